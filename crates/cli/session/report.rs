//! `consoletap session report`: a session added up, by console, category, title and host.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_flow::{Category, Flow, State};
use consoletap_interchange::Lessons;
use consoletap_redact::Redactor;
use consoletap_session::Session;
use serde_json::{Map, Value, json};

use crate::amounts::{count, short_duration, size};
use crate::consoles::{Consoles, address};
use crate::escape::{Charset, escape};
use crate::look::{Ink, Look};
use crate::session::columns::title;
use crate::session::wanted::Wanted;

/// So many rows of a table are drawn; the others are one row together.
const ROWS: usize = 12;
const BAR: usize = 16;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// Of which flows: a filter [default: all]
    pub(crate) filter: Vec<String>,
    /// One JSON object, with every row
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw every row
    #[arg(long)]
    pub(crate) all: bool,
}

/// Draws the report.
pub(crate) fn run(
    args: &Args,
    catalog: Arc<Catalog>,
    look: &Look,
    out: &mut dyn Write,
) -> anyhow::Result<String> {
    let wanted = Wanted::parse(&args.filter)?;
    let session = Session::open(&args.directory)?;
    let wanted = wanted.of(&session);
    let mut redactor = Redactor::masking(catalog);
    Lessons::quick(&session).take_all(&mut redactor);
    let mut report = Report::default();
    let mut problems = 0;
    for flow in session.flows() {
        match flow {
            Ok(flow) if wanted.fits(&flow) => report.add(&redactor.flow(&flow)),
            Ok(_) => {}
            Err(_) => problems += 1,
        }
    }
    if args.json {
        writeln!(out, "{}", report.json())?;
    } else {
        out.write_all(report.draw(look, args.all).as_bytes())?;
    }
    Ok(if problems > 0 {
        format!("{} of the log could not be read.\n", count(problems, "line", "lines"))
    } else {
        String::new()
    })
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    flows: u64,
    up: u64,
    down: u64,
    failed: u64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.flows += other.flows;
        self.up = self.up.saturating_add(other.up);
        self.down = self.down.saturating_add(other.down);
        self.failed += other.failed;
    }

    fn octets(&self) -> u64 {
        self.up.saturating_add(self.down)
    }
}

#[derive(Debug, Default)]
struct Report {
    all: Sum,
    first: Option<i64>,
    last: i64,
    by_client: HashMap<std::net::IpAddr, Sum>,
    by_category: HashMap<String, Sum>,
    by_title: HashMap<String, Sum>,
    by_host: HashMap<String, Sum>,
    consoles: Consoles,
}

impl Report {
    /// Counts a flow. The octets of an opened tunnel are those of the flows inside.
    fn add(&mut self, flow: &Flow) {
        let (up, down) =
            if flow.intercepted { (0, 0) } else { (flow.request_bytes, flow.response_bytes) };
        let failed = !matches!(flow.state(), State::Complete | State::AbortedByClient);
        let sum = Sum { flows: 1, up, down, failed: u64::from(failed) };
        self.all.add(sum);
        self.first = Some(self.first.unwrap_or(i64::MAX).min(flow.started.0));
        self.last = self.last.max(flow.latest.0);
        self.consoles.learn(flow);
        self.by_client.entry(address(flow)).or_default().add(sum);
        self.by_category.entry(flow.classification.category.to_string()).or_default().add(sum);
        if let Some(title) = title(flow) {
            self.by_title.entry(title.to_owned()).or_default().add(sum);
        }
        if let Some(target) = &flow.target {
            self.by_host.entry(target.authority().host.to_string()).or_default().add(sum);
        }
    }

    fn tables(&self, look: &Look) -> [(&'static str, Vec<(String, Sum)>); 4] {
        let clients = self
            .by_client
            .iter()
            .map(|(ip, sum)| (format!("{} ({ip})", self.consoles.label(*ip, look)), *sum));
        let named = |map: &HashMap<String, Sum>| -> Vec<(String, Sum)> {
            sorted(map.iter().map(|(name, sum)| (name.clone(), *sum)).collect())
        };
        [
            ("console", sorted(clients.collect())),
            ("category", named(&self.by_category)),
            ("title", named(&self.by_title)),
            ("host", named(&self.by_host)),
        ]
    }

    fn json(&self) -> Value {
        let of = |sum: &Sum| json!({ "flows": sum.flows, "up": sum.up, "down": sum.down, "failed": sum.failed });
        let mut report = Map::new();
        report.insert("total".to_owned(), of(&self.all));
        for (name, rows) in self.tables(&Look::PLAIN) {
            let rows = rows.iter().map(|(name, sum)| {
                let mut row = of(sum);
                row["name"] = json!(name);
                row
            });
            report.insert(name.to_owned(), rows.collect());
        }
        Value::Object(report)
    }

    fn draw(&self, look: &Look, every_row: bool) -> String {
        let Some(first) = self.first else { return "No flow was seen.\n".to_owned() };
        let took = u64::try_from(self.last.saturating_sub(first)).unwrap_or(0);
        let mut text = format!(
            "{} in {}: {} to the console, {} from it",
            count(self.all.flows, "flow", "flows"),
            short_duration(std::time::Duration::from_micros(took)),
            size(self.all.down),
            size(self.all.up),
        );
        if self.all.failed > 0 {
            let failed = format!("{} failed", self.all.failed);
            text.push_str(&format!("; {}", look.paint(Ink::Bad, &failed)));
        }
        text.push_str(".\n");
        for (name, rows) in self.tables(look) {
            if !rows.is_empty() {
                text.push('\n');
                text.push_str(&table(name, rows, look, every_row));
            }
        }
        text
    }
}

/// Most octets first, then most flows, then by name.
fn sorted(mut rows: Vec<(String, Sum)>) -> Vec<(String, Sum)> {
    rows.sort_by(|one, other| {
        let order = |row: &(String, Sum)| (row.1.octets(), row.1.flows);
        order(other).cmp(&order(one)).then_with(|| one.0.cmp(&other.0))
    });
    rows
}

fn table(title: &str, mut rows: Vec<(String, Sum)>, look: &Look, every_row: bool) -> String {
    let most = rows.iter().map(|(_, sum)| sum.octets()).max().unwrap_or(0);
    if !every_row && rows.len() > ROWS {
        let rest = rows.split_off(ROWS - 1);
        let mut others = Sum::default();
        rest.iter().for_each(|(_, sum)| others.add(*sum));
        rows.push((format!("{} more", rest.len()), others));
    }
    let room = look.width.saturating_sub(BAR + 31).max(20);
    let name = |name: &str| {
        let unknown = name == Category::UNKNOWN;
        let name = if unknown { "unknown (in no table)" } else { name };
        look.shorten(&escape(name, Charset::Ascii), room).into_owned()
    };
    let rows: Vec<(String, Sum)> = rows.into_iter().map(|(n, sum)| (name(&n), sum)).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).chain([title.len()]).max();
    let width = width.unwrap_or_default();
    let head = format!("  {title:width$} {:>7} {:>8} {:>8}", "flows", "down", "up");
    let mut text = look.paint(Ink::Bold, &head) + "\n";
    for (name, sum) in rows {
        let fill = width - name.chars().count();
        let row = format!(
            "  {name}{:fill$} {:>7} {:>8} {:>8}  {}",
            "",
            sum.flows,
            size(sum.down),
            size(sum.up),
            look.paint(Ink::Category, &bar(sum.octets(), most, look)),
        );
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// A bar of at most [`BAR`] columns; what is there at all gets a mark.
fn bar(octets: u64, most: u64, look: &Look) -> String {
    if octets == 0 || most == 0 {
        return String::new();
    }
    // Of each column the terminal can show eighths, where it has the signs for them.
    let eighths = (u128::from(octets) * (BAR as u128) * 8).div_ceil(u128::from(most));
    let eighths = usize::try_from(eighths).unwrap_or(BAR * 8);
    match look.charset {
        Charset::Ascii => "#".repeat(eighths.div_ceil(8)),
        Charset::Unicode => {
            let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
            format!("{}{part}", "█".repeat(eighths / 8))
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::session::tests::{list_of, record};

    fn report(look: &Look, json: bool) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut flows: Vec<Flow> = (1..=3).map(|id| list_of(id).flow()).collect();
        let tunnel =
            |id, host: &str| crate::sample::Sample::connect(host).id(id).client("10.0.0.9:1");
        flows.push(tunnel(4, "a.example:443").bytes(9_000_000, 45_000_000).flow());
        flows.extend(
            (5..20).map(|id| tunnel(id, &format!("h{id}.example:443")).bytes(1, id).flow()),
        );
        record(folder.path(), &flows, None);
        let args =
            Args { directory: folder.path().to_owned(), filter: Vec::new(), json, all: false };
        let mut out = Vec::new();
        run(&args, Arc::new(Catalog::builtin()), look, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_report_adds_up_and_draws_bars() {
        assert_snapshot!(report(&Look::PLAIN, false));
    }

    #[test]
    fn programs_get_every_row() {
        let report: Value = serde_json::from_str(&report(&Look::PLAIN, true)).unwrap();
        assert_eq!(report["host"].as_array().unwrap().len(), 17);
        assert_eq!(report["total"]["flows"], 19);
    }

    #[test]
    fn bars_have_eighths_where_they_can_be_shown() {
        let unicode = Look { charset: Charset::Unicode, ..Look::PLAIN };
        assert_eq!(bar(100, 100, &unicode).chars().count(), BAR);
        assert_eq!(bar(1, 1_000_000, &unicode), "▏");
        assert_eq!(bar(1, 1_000_000, &Look::PLAIN), "#");
        assert_eq!(bar(0, 5, &Look::PLAIN), "");
    }
}
