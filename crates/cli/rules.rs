//! `consoletap rules …`: working on rules. A command a file.

mod check;
mod diff;
mod list;
mod trial;
pub(crate) mod watch;

use std::io::Write as _;

use clap::Subcommand;

use crate::terminal::{Data, Printer};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the packs that `--rules` knows by name, or what rules did in a session
    List(list::Args),
    /// Read rule files and say what is wrong in them
    Check(check::Args),
    /// Say what rules would do, with a request or with the flows of a session
    Test(trial::Args),
}

/// Runs the command; false where it found something wrong.
pub(crate) fn run(command: Command, printer: &Printer) -> anyhow::Result<bool> {
    let look = printer.data_look();
    let mut out = Data(printer);
    let good = match command {
        Command::List(args) => list::run(&args, &look, &mut out).map(|()| true),
        Command::Check(args) => check::run(&args, &mut out, printer),
        Command::Test(args) => trial::run(&args, &look, &mut out).map(|()| true),
    }?;
    out.flush()?;
    Ok(good)
}
