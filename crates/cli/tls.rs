//! `consoletap tls`: which clients are left alone with which hosts, because they refused our
//! certificate.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use consoletap_flow::{Host, HostGlob, Timestamp};
use consoletap_tls::{Learned, Refused};
use jiff::tz::TimeZone;

use crate::args::RunArgs;
use crate::escape::{Charset, escape};
use crate::exit::Usage;
use crate::settings::Settings;
use crate::terminal::Printer;

/// The list, in the folder of the CA.
const FILE: &str = "refusals.json";

#[derive(Debug, Subcommand)]
pub(crate) enum TlsCommand {
    /// Show which clients refused our certificate, or forget it
    Learned(LearnedArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LearnedArgs {
    /// Forget what is remembered: all of it, or of a host pattern or a client's address alone
    #[arg(
        long,
        value_name = "HOST|CLIENT",
        num_args = 0..=1,
        default_missing_value = "*"
    )]
    clear: Option<String>,
    /// One JSON line each
    #[arg(long, conflicts_with = "clear")]
    json: bool,
    /// The folder of the CA, where the list is
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    /// Read settings from this file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Where the list is.
pub(crate) fn list_file(certs: &Path) -> PathBuf {
    certs.join(FILE)
}

/// Runs the command.
pub(crate) fn run(command: TlsCommand, printer: &Printer) -> anyhow::Result<()> {
    let TlsCommand::Learned(LearnedArgs { clear, json, certs, config }) = command;
    let settings = Settings::read(RunArgs { certs, config, ..RunArgs::default() })?;
    let file = list_file(&settings.certs);
    let learned = Learned::load(Some(file.clone()));
    if let Some(which) = clear {
        let which = Which::parse(&which)?;
        let cleared = learned
            .clear(|client, host| which.fits(client, host))
            .with_context(|| format!("cannot write {}", file.display()))?;
        printer.say(&format!("{}; a proxy that runs knows within a second\n", counted(cleared)));
        return Ok(());
    }
    let list = learned.list(now());
    if json {
        for refused in &list {
            printer.data(&format!("{}\n", serde_json::to_string(refused)?))?;
        }
    } else if list.is_empty() {
        printer.say("No client refused our certificate in the last day.\n");
    } else {
        printer.data(&table(&list, &TimeZone::system()))?;
        printer.say("Once a client trusts our CA: consoletap tls learned --clear HOST|CLIENT\n");
    }
    Ok(())
}

fn counted(cleared: usize) -> String {
    match cleared {
        0 => "Nothing of that kind is remembered".to_owned(),
        1 => "Forgot 1 refusal".to_owned(),
        more => format!("Forgot {more} refusals"),
    }
}

/// What to forget.
#[derive(Debug)]
enum Which {
    Address(IpAddr),
    Hosts(HostGlob),
}

impl Which {
    fn parse(text: &str) -> anyhow::Result<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        Ok(Self::Hosts(text.parse().map_err(Usage::new)?))
    }

    /// An address may be a client's, or the host's.
    fn fits(&self, client: IpAddr, host: &Host) -> bool {
        match self {
            Self::Address(address) => client == *address || host.ip() == Some(*address),
            Self::Hosts(glob) => glob.matches(host),
        }
    }
}

fn table(list: &[Refused], zone: &TimeZone) -> String {
    let clock = |stamp: Timestamp| {
        stamp.calendar().to_zoned_datetime(zone.clone()).strftime("%m-%d %H:%M").to_string()
    };
    let rows: Vec<[String; 4]> = list
        .iter()
        .map(|it| [it.client.to_string(), it.host.to_string(), clock(it.since), clock(it.until)])
        .collect();
    let heads = ["client", "host", "refused", "until"].map(str::to_owned);
    let width = |column: usize| {
        rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0)
    };
    let widths = [0, 1, 2, 3].map(width);
    let mut text = String::new();
    let reasons = ["how"].into_iter().chain(list.iter().map(|it| it.reason.as_str()));
    for (row, reason) in [&heads].into_iter().chain(&rows).zip(reasons) {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", escape(reason, Charset::Unicode));
    }
    text
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_a_table() {
        let refused = |client: &str, host: &str| Refused {
            client: client.parse().unwrap(),
            host: host.parse().unwrap(),
            reason: "the console rejected our certificate (unknown_ca)".to_owned(),
            since: Timestamp(0),
            until: Timestamp(86_400_000_000),
        };
        let list = [refused("192.168.1.5", "a.example"), refused("fd00::1", "long.name.example")];
        insta::assert_snapshot!(table(&list, &TimeZone::UTC), @r"
        client       host               refused      until        how
        192.168.1.5  a.example          01-01 00:00  01-02 00:00  the console rejected our certificate (unknown_ca)
        fd00::1      long.name.example  01-01 00:00  01-02 00:00  the console rejected our certificate (unknown_ca)
        ");
    }

    #[test]
    fn a_client_a_host_or_everything_can_be_forgotten() {
        let client: IpAddr = "192.168.1.5".parse().unwrap();
        let host: Host = "a.example".parse().unwrap();
        for (which, fits) in [
            ("*", true),
            ("192.168.1.5", true),
            ("::ffff:192.168.1.5", true),
            ("192.168.1.6", false),
            ("*.example", true),
            ("b.example", false),
        ] {
            assert_eq!(Which::parse(which).unwrap().fits(client, &host), fits, "{which}");
        }
        assert!(Which::parse("http://a.example").is_err());
    }
}
