//! Flows as rows of chosen columns, parted by tabs: for `cut`, `sort`, and spreadsheets.

use clap::ValueEnum;
use consoletap_flow::{Flow, Target};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::consoles::address;
use crate::escape::{Charset, escape};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Column {
    /// The number in the session
    Id,
    /// When it began
    Time,
    /// Milliseconds from the first event to the last
    Duration,
    /// What its client is called
    Console,
    /// The client's address
    Client,
    /// The server's address
    Server,
    /// http, tunnel, websocket, tls-failure, refused
    Kind,
    /// How it ended
    State,
    Method,
    Host,
    Port,
    Path,
    Url,
    Status,
    /// The type of the answer
    Type,
    Platform,
    Category,
    /// The row of the catalog
    Entry,
    Title,
    Firmware,
    Region,
    /// Octets from the console
    Up,
    /// Octets to the console
    Down,
    /// The server name of the ClientHello
    Sni,
    Ja3,
    Ja4,
    /// The rules that acted
    Rules,
    /// What went wrong
    Error,
}

/// What stands in a row for the name of the console, which only all flows together tell. No cell
/// holds it: it is escaped there.
pub(crate) const CONSOLE: &str = "\0";

/// The rows of chosen columns.
pub(crate) struct Table<'a> {
    columns: &'a [Column],
    zone: &'a TimeZone,
    begun: bool,
}

impl<'a> Table<'a> {
    pub(crate) fn new(columns: &'a [Column], zone: &'a TimeZone) -> Self {
        Self { columns, zone, begun: false }
    }

    /// The row of a flow, with [`CONSOLE`] where the name of its client goes; before the first the
    /// names of the columns.
    pub(crate) fn row(&mut self, flow: &Flow) -> String {
        let cells = self.columns.iter().map(|column| match column {
            Column::Console => CONSOLE.to_owned(),
            // Whoever reads this parts it by tabs, which are escaped as everything else.
            column => escape(&self.cell(*column, flow), Charset::Ascii).into_owned(),
        });
        let mut text = String::new();
        if !self.begun {
            let names = self.columns.iter().filter_map(Column::to_possible_value);
            let names: Vec<_> = names.map(|value| value.get_name().to_owned()).collect();
            text.push_str(&names.join("\t"));
            text.push('\n');
        }
        text.push_str(&cells.collect::<Vec<_>>().join("\t"));
        text.push('\n');
        self.begun = true;
        text
    }

    fn cell(&self, column: Column, flow: &Flow) -> String {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let at = flow.target.as_ref().map(Target::authority);
        let end = flow.finished.as_ref();
        let known = &flow.classification;
        let hello = flow.hello.as_ref();
        match column {
            Column::Id => flow.id.to_string(),
            Column::Time => {
                let time = flow.started.calendar().to_zoned_datetime(self.zone.clone());
                time.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
            }
            Column::Duration => flow.latest.since(flow.started).as_millis().to_string(),
            Column::Console => String::new(),
            Column::Client => address(flow).to_string(),
            Column::Server => {
                end.and_then(|end| end.server).map(|server| server.to_string()).unwrap_or_default()
            }
            Column::Kind => word(&json!(flow.kind)),
            Column::State => word(&json!(flow.state())),
            Column::Method => text(flow.request.as_ref().map(|head| head.method.as_str())),
            Column::Host => at.map(|at| at.host.to_string()).unwrap_or_default(),
            Column::Port => at.map(|at| at.port.to_string()).unwrap_or_default(),
            Column::Path => text(flow.target.as_ref().and_then(Target::path)),
            Column::Url => flow.target.as_ref().map(ToString::to_string).unwrap_or_default(),
            Column::Status => flow.status().map(|status| status.to_string()).unwrap_or_default(),
            Column::Type => {
                text(flow.response.as_ref().and_then(|head| head.headers.text("content-type")))
            }
            Column::Platform => known.platform.to_string(),
            Column::Category => known.category.to_string(),
            Column::Entry => known.entry.as_ref().map(ToString::to_string).unwrap_or_default(),
            Column::Title => text(title(flow)),
            Column::Firmware => text(known.details.firmware.as_deref()),
            Column::Region => text(known.details.region.as_deref()),
            Column::Up => flow.request_bytes.to_string(),
            Column::Down => flow.response_bytes.to_string(),
            Column::Sni => text(hello.and_then(|hello| hello.sni.as_deref())),
            Column::Ja3 => text(hello.map(|hello| hello.ja3.as_str())),
            Column::Ja4 => text(hello.map(|hello| hello.ja4.as_str())),
            Column::Rules => {
                flow.rules.iter().map(|hit| hit.name.as_str()).collect::<Vec<_>>().join(",")
            }
            Column::Error => {
                text(end.and_then(|end| end.failure.as_ref()).map(|failure| failure.cause.as_str()))
            }
        }
    }
}

/// The title that a flow is about, by the most telling of its ids.
pub(crate) fn title(flow: &Flow) -> Option<&str> {
    let details = &flow.classification.details;
    let ids = [&details.title_id, &details.np_title_id, &details.content_id];
    ids.into_iter().find_map(|id| id.as_deref())
}

/// The name that JSON has for a kind or a state.
fn word(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
