//! `consoletap certs show`.

use super::{CaArgs, shown};
use crate::terminal::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    ca: CaArgs,
}

pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<()> {
    let place = args.ca.place()?;
    let authority = place.authority()?;
    let text = format!(
        "certificate  {}\nkey          {}\nname         {}\nvalid until  {}\nSHA-256      {}\n",
        shown(&place.certificate()),
        shown(&place.key()),
        authority.name(),
        authority.valid_until(),
        authority.fingerprint(),
    );
    printer.data(&text)?;
    Ok(())
}
