//! `consoletap session trim`: a small session of some flows, for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_interchange::{TrimOptions, TrimmedSession};
use consoletap_session::Session;

use crate::amounts::{count, read_size};
use crate::exit::Usage;
use crate::session::wanted::Wanted;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// The number of a flow, or which flows, as `~cat update`; all without it. The tunnels that
    /// they came through go with them. Last the folder for the new session; it must not be there
    /// yet
    #[arg(value_name = "FLOW|FILTER… OUT", required = true, num_args = 1..)]
    pub(crate) words: Vec<String>,
    /// Bodies up to this size are kept whole, of others the beginning [default: 64k]
    #[arg(long, value_name = "SIZE", value_parser = read_size)]
    pub(crate) max_body: Option<usize>,
    /// Where the session comes from, in words for whoever reads it
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

/// Makes the session; gives what is to be said of it.
pub(crate) fn run(args: &Args, catalog: Arc<Catalog>) -> anyhow::Result<String> {
    let (filter, out) = parted(&args.words)?;
    let wanted = Wanted::parse(filter)?;
    let session = Session::open(&args.directory)?;
    let wanted = wanted.of(&session);
    let standard = TrimOptions::default();
    let options = TrimOptions {
        max_body: args.max_body.map_or(standard.max_body, |most| most as u64),
        note: args.note.clone(),
    };
    let fits = |flow: &_| wanted.fits(flow);
    let told = consoletap_interchange::trim(&session, catalog, &fits, options, out)?;
    Ok(format!("{}: {}", out.display(), said(told, session.about().redacted)))
}

/// The filter, and the folder behind it.
fn parted(words: &[String]) -> Result<(&[String], &Path), Usage> {
    match words.split_last() {
        Some((out, filter)) if !out.starts_with('~') => Ok((filter, Path::new(out))),
        _ => Err(Usage::new("name the folder for the new session behind the filter")),
    }
}

fn said(told: TrimmedSession, was_redacted: bool) -> String {
    let TrimmedSession { flows, tunnels, secrets, cut_bodies, withheld_bodies, problems } = told;
    let mut text = count(flows, "flow", "flows");
    if tunnels > 0 {
        text.push_str(&format!(" ({} around others)", count(tunnels, "tunnel", "tunnels")));
    }
    if !was_redacted {
        text.push_str(&format!(", {} replaced", count(secrets as u64, "secret", "secrets")));
    }
    text.push_str(".\n");
    if cut_bodies > 0 {
        let bodies = count(cut_bodies, "larger body", "larger bodies");
        text.push_str(&format!("Of {bodies} the beginning is kept.\n"));
    }
    if withheld_bodies > 0 {
        let bodies = count(withheld_bodies, "body is", "bodies are");
        text.push_str(&format!("{bodies} left out, since they cannot be looked into.\n"));
    }
    if problems > 0 {
        let lines = count(problems, "line", "lines");
        text.push_str(&format!("{lines} of the log could not be read, and are not in it.\n"));
    }
    text.push_str(
        "Names that nobody lists as secret are still in it: look at it before you hand it on.\n",
    );
    text
}
