//! `consoletap replay …`: recorded sessions as tests. A command a file.

mod send;
mod serve;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use crate::terminal::Printer;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send the recorded requests again, and compare what comes with what was recorded
    Send(Box<send::Args>),
    /// Run the proxy with a recorded session in the place of servers
    Serve(Box<serve::Args>),
}

/// Runs the command.
pub(crate) fn run(command: Command, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Send(args) => send::run(&args, printer),
        Command::Serve(args) => serve::run(*args, printer),
    }
}
