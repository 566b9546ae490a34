//! `consoletap session list`: the sessions below a folder, in a line each.

use std::io::Write;
use std::path::PathBuf;

use consoletap_session::Listed;
use jiff::tz::TimeZone;

use crate::amounts::{count, size};
use crate::escape::escape;
use crate::look::{Ink, Look};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder they are in [default: where `run` writes them]
    pub(crate) root: Option<PathBuf>,
}

/// Lists them.
pub(crate) fn run(
    args: &Args,
    look: &Look,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> anyhow::Result<String> {
    let root = args.root.clone().unwrap_or_else(consoletap_session::default_root);
    let sessions = consoletap_session::list(&root);
    if sessions.is_empty() {
        let root = root.to_string_lossy();
        writeln!(out, "There is no session in {}.", escape(&root, look.charset))?;
    }
    for Listed { directory, session } in sessions {
        let directory = escape(&directory.to_string_lossy(), look.charset).into_owned();
        match session {
            Ok(session) => {
                let overview = session.overview();
                let started = session.about().started.calendar().to_zoned_datetime(zone.clone());
                let mut remarks = Vec::new();
                if overview.lost_events > 0 {
                    remarks.push(count(overview.lost_events, "event lost", "events lost"));
                }
                if overview.problems > 0 {
                    remarks.push(count(overview.problems, "broken line", "broken lines"));
                }
                writeln!(
                    out,
                    "{}  {:>12}  {:>8}  {directory}{}{}",
                    started.strftime("%Y-%m-%d %H:%M"),
                    count(overview.flows, "flow", "flows"),
                    size(overview.bytes),
                    if remarks.is_empty() { "" } else { "  " },
                    look.paint(Ink::Bad, &remarks.join(", ")),
                )?;
            }
            Err(problem) => {
                let problem = look.paint(Ink::Bad, &problem.to_string());
                writeln!(out, "{directory}  {problem}")?;
            }
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::{list_of, record};

    #[test]
    fn sessions_are_listed_with_broken_ones_behind() {
        let root = tempfile::tempdir().unwrap();
        record(&root.path().join("one.psession"), &[list_of(1).flow()], None);
        std::fs::create_dir(root.path().join("two.psession")).unwrap();
        let mut out = Vec::new();
        let args = Args { root: Some(root.path().to_owned()) };
        run(&args, &Look::PLAIN, &TimeZone::UTC, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("2026-11-23 20:43        1 flow"), "{text}");
        assert!(lines[1].contains("two.psession") && lines[1].contains("session.json"), "{text}");
    }
}
