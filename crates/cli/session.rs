//! `consoletap session …`: what was recorded, looked at, handed on and brought in. A command a
//! file.

mod columns;
mod diff;
mod downloads;
mod export;
mod flow_page;
mod import;
mod list;
mod pack;
mod redact;
mod report;
mod save;
mod show;
mod tls_page;
mod trim;
mod unknown;
mod wanted;

use std::io::{BufWriter, Write as _};
use std::sync::Arc;

use clap::Subcommand;
use consoletap_catalog::Catalog;
use jiff::tz::TimeZone;

pub(crate) use crate::session::wanted::Wanted;
use crate::terminal::{Data, Printer};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List sessions, newest first
    List(list::Args),
    /// Show the flows of a session, or one flow in full
    Show(show::Args),
    /// List the files that were fetched in pieces: how much of each, how fast, and whether it is right
    Downloads(downloads::Args),
    /// Write the body of an answer, or a whole download, to a file
    Save(save::Args),
    /// List what no row of the catalog explains, ready to be contributed
    Unknown(unknown::Args),
    /// Add up a session: by console, category, title and host
    Report(report::Args),
    /// Say what one session asked for that another did not
    Diff(diff::Args),
    /// Write flows as HAR, curl commands, raw HTTP, JSON lines or WARC; without secrets
    Export(export::Args),
    /// Make a session of a HAR file, a mitmproxy flow file or a capture of packets
    Import(import::Args),
    /// Make a copy of a session without secrets, to be handed on
    Redact(redact::Args),
    /// Make a small session of some flows, without secrets, for tests: to read, edit and commit
    Trim(trim::Args),
    /// Put a session into one file, as it is
    Pack(pack::PackArgs),
    /// Take a session out of such a file
    Unpack(pack::UnpackArgs),
}

/// Runs the command.
pub(crate) fn run(command: Command, printer: &Printer) -> anyhow::Result<()> {
    let zone = TimeZone::system();
    let look = printer.data_look();
    let catalog = || Arc::new(Catalog::builtin());
    let mut out = BufWriter::new(Data(printer));
    // What is to be said beside the data, once all of it is out.
    let remarks = match command {
        Command::List(args) => list::run(&args, &look, &zone, &mut out)?,
        Command::Downloads(args) => downloads::run(&args, catalog(), &look, &mut out)?,
        Command::Save(args) => save::run(&args)?,
        Command::Unknown(args) => unknown::run(&args, &mut out)?,
        Command::Show(args) => show::run(&args, catalog(), &look, &zone, &mut out)?,
        Command::Report(args) => report::run(&args, catalog(), &look, &mut out)?,
        Command::Diff(args) => diff::run(&args, catalog(), &look, &mut out)?,
        Command::Export(args) => export::run(&args, catalog(), &mut out)?,
        Command::Import(args) => import::run(&args, catalog())?,
        Command::Redact(args) => redact::run(&args, catalog())?,
        Command::Trim(args) => trim::run(&args, catalog())?,
        Command::Pack(args) => pack::pack(&args)?,
        Command::Unpack(args) => pack::unpack(&args)?,
    };
    out.flush()?;
    printer.say(&remarks);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use consoletap_flow::{Flow, Record, Recorder as _, Timestamp};
    use consoletap_session::{About, Options, Writer};

    use super::*;
    use crate::fold::tests::ends;
    use crate::sample::Sample;
    use crate::terminal::tests::Paper;

    /// Writes a session of these flows, and of one that has no end.
    pub(crate) fn record(directory: &Path, flows: &[Flow], cut_off: Option<&Flow>) {
        let about = About {
            tool: "consoletap".to_owned(),
            version: "0".to_owned(),
            started: Timestamp(1_795_466_580_000_000),
            ..About::default()
        };
        let writer = Arc::new(Writer::create(directory, about, Options::default(), None).unwrap());
        for event in flows.iter().flat_map(ends) {
            writer.record(Record::new(event));
        }
        if let Some(flow) = cut_off {
            let [opened, _] = ends(flow);
            writer.record(Record::new(opened));
        }
        writer.close();
    }

    /// A PS4 asks for the update list.
    pub(crate) fn list_of(id: u64) -> Sample {
        Sample::get("http://fus01.ps4.update.playstation.net/update/ps4/list/us/l.xml?sid=geheim")
            .id(id)
            .platform("ps4")
            .category("fw-updatelist")
            .bytes(0, 1234)
    }

    #[test]
    fn no_session_at_all_is_said_so() {
        let printer = Printer::new(Box::new(Paper::default()), Box::new(io::sink()), false);
        let root = tempfile::tempdir().unwrap();
        let paper = Paper::default();
        let told = Printer::new(Box::new(paper.clone()), Box::new(io::sink()), false);
        let args = list::Args { root: Some(root.path().to_owned()) };
        run(Command::List(args), &told).unwrap();
        assert!(paper.text().starts_with("There is no session in "));
        let missing = show::Args { directory: root.path().join("none"), ..show::Args::default() };
        let error = run(Command::Show(missing), &printer).unwrap_err();
        assert!(error.to_string().contains("is no session"), "{error}");
    }
}
