//! `consoletap session pack` and `unpack`: a session in one file.

use std::path::PathBuf;

use consoletap_session::Session;

use crate::amounts::size;

#[derive(Debug, clap::Args)]
pub(crate) struct PackArgs {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// The file to write, as `evening.psession.tar.zst`; it must not be there yet
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UnpackArgs {
    /// The packed session
    pub(crate) file: PathBuf,
    /// The folder to make of it; it must not be there yet
    pub(crate) directory: PathBuf,
}

pub(crate) fn pack(args: &PackArgs) -> anyhow::Result<String> {
    let session = Session::open(&args.directory)?;
    let bytes = consoletap_interchange::pack(&session, &args.file)?;
    let mut text = format!("{}: {}\n", args.file.display(), size(bytes));
    if !session.about().redacted {
        text.push_str(
            "It holds passwords, tokens and device ids. To hand it on, make a copy without them \
             first: consoletap session redact\n",
        );
    }
    Ok(text)
}

pub(crate) fn unpack(args: &UnpackArgs) -> anyhow::Result<String> {
    let bytes = consoletap_interchange::unpack(&args.file, &args.directory)?;
    Ok(format!("{}: {}\n", args.directory.display(), size(bytes)))
}
