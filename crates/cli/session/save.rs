//! `consoletap session save`: the body of an answer, or a download, as a file.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use consoletap_catalog::Catalog;
use consoletap_flow::{Flow, FlowId, Kept};
use consoletap_session::Session;

use crate::amounts::size;
use crate::exit::Usage;
use crate::session::downloads::{few_spans, is_download, said};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// The number of a flow, for its answer's body, or `d1` and so on, for a download
    #[arg(value_name = "FLOW|DOWNLOAD")]
    pub(crate) what: What,
    /// The file to write; it must not be there yet
    pub(crate) file: PathBuf,
}

/// What is to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Flow(FlowId),
    Download(usize),
}

impl std::str::FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let download = text.strip_prefix('d').and_then(|number| number.parse().ok());
        let flow = || text.parse().ok().map(|number| Self::Flow(FlowId(number)));
        download.map(Self::Download).or_else(flow).ok_or_else(|| {
            format!("{text:?} is neither the number of a flow nor of a download, as 7 or d1")
        })
    }
}

/// Saves it; gives what is to be said.
pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let session = Session::open(&args.directory)?;
    match args.what {
        What::Flow(id) => save_flow(&session, id, &args.file),
        What::Download(number) => save_download(&session, number, &args.file),
    }
}

fn save_flow(session: &Session, id: FlowId, file: &Path) -> anyhow::Result<String> {
    let flow = session.flows().flatten().find(|flow| flow.id == id);
    let flow = flow.with_context(|| format!("there is no flow {id} in this session"))?;
    let remark = remark(&flow)?;
    let bytes = write(file, |to| session.write_answer(&flow, to))?;
    Ok(format!("{}: {}, {remark}.\n", file.display(), size(bytes)))
}

/// What a saved body is, where there is one.
fn remark(flow: &Flow) -> anyhow::Result<String> {
    let Some(end) = &flow.finished else {
        return Ok("what came before it was cut off".to_owned());
    };
    let body = end.response_body;
    let encoded = flow
        .response
        .as_ref()
        .and_then(|head| head.headers.text("content-encoding"))
        .map(|coding| format!(", still encoded ({coding})"))
        .unwrap_or_default();
    match body.kept {
        Kept::Whole => Ok(format!("the whole body{encoded}")),
        Kept::Prefix { .. } => {
            Ok(format!("only the beginning of {}{encoded}: no more was kept", size(body.bytes)))
        }
        Kept::Nothing if body.bytes == 0 => bail!("the answer of flow {} has no body", flow.id),
        Kept::Nothing => bail!("the body of flow {} was not to be kept", flow.id),
        Kept::Lost => bail!("the disk did not take the body of flow {}", flow.id),
    }
}

fn save_download(session: &Session, number: usize, file: &Path) -> anyhow::Result<String> {
    let (downloads, _) = session.downloads(is_download(&Catalog::builtin()));
    let download = number.checked_sub(1).and_then(|index| downloads.get(index));
    let Some(download) = download else {
        return Err(Usage::new(format!(
            "there is no download d{number}; `consoletap session downloads {}` lists them",
            session.directory().display()
        ))
        .into());
    };
    let not_kept = download.not_kept();
    if !not_kept.is_empty() {
        let missing = download.missing();
        let had = if missing.is_empty() {
            "the console got all of it; keep bodies with --store full".to_owned()
        } else {
            format!("the console itself lacks {}", few_spans(&missing))
        };
        bail!(
            "d{number} cannot be saved: its octets {} are not in the session ({had})",
            few_spans(&not_kept)
        );
    }
    let bytes = write(file, |to| session.write_download(download, to))?;
    let (_, check) = said(&session.check(download));
    Ok(format!("{}: {}, {check}.\n", file.display(), size(bytes)))
}

/// Writes a file that was not there; nothing stays where it fails.
fn write(
    path: &Path,
    content: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<u64>,
) -> anyhow::Result<u64> {
    let file = File::options().write(true).create_new(true).open(path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    let mut to = BufWriter::new(file);
    let written = content(&mut to).and_then(|bytes| to.flush().map(|()| bytes));
    if written.is_err() {
        // Half a file would be taken for a whole one.
        let _ = std::fs::remove_file(path);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}
