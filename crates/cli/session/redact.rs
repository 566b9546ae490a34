//! `consoletap session redact`: a copy of a session that can be handed on.

use std::path::PathBuf;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_interchange::RedactedSession;
use consoletap_session::Session;

use crate::amounts::count;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// The folder for the copy; it must not be there yet
    pub(crate) out: PathBuf,
}

/// Makes the copy; gives what is to be said of it.
pub(crate) fn run(args: &Args, catalog: Arc<Catalog>) -> anyhow::Result<String> {
    let session = Session::open(&args.directory)?;
    let told = consoletap_interchange::redact(&session, catalog, &args.out)?;
    let RedactedSession { flows, secrets, changed_bodies, withheld_bodies, problems } = told;
    let mut text = format!(
        "{}: {}, {} replaced, {} changed.\n",
        args.out.display(),
        count(flows, "flow", "flows"),
        count(secrets as u64, "secret", "secrets"),
        count(changed_bodies, "body", "bodies"),
    );
    if withheld_bodies > 0 {
        let bodies = count(withheld_bodies, "body is", "bodies are");
        text.push_str(&format!("{bodies} left out, since they cannot be looked into.\n"));
    }
    if problems > 0 {
        let lines = count(problems, "line", "lines");
        text.push_str(&format!("{lines} of the log could not be read, and are not in the copy.\n"));
    }
    text.push_str(
        "Names that nobody lists as secret are still in it: look at it before you hand it on.\n",
    );
    Ok(text)
}
