//! `consoletap session import`: a session of a file that another tool wrote.

use std::path::PathBuf;
use std::sync::Arc;

use consoletap_catalog::Catalog;

use crate::amounts::count;
use crate::escape::{Charset, escape};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A HAR file, a flow file of mitmproxy, or a capture (pcap, pcapng)
    pub(crate) file: PathBuf,
    /// The folder for the session; it must be new or empty
    pub(crate) out: PathBuf,
}

/// Makes the session; gives what is to be said of it.
pub(crate) fn run(args: &Args, catalog: Arc<Catalog>) -> anyhow::Result<String> {
    let imported = consoletap_interchange::import(&args.file, catalog, &args.out)?;
    let flows = count(imported.flows, "flow", "flows");
    let mut text = format!("{}: {flows} from {}.\n", args.out.display(), imported.format);
    for remark in imported.remarks {
        // It tells what stood in the file.
        text.push_str(&escape(&remark, Charset::Ascii));
        text.push('\n');
    }
    Ok(text)
}
