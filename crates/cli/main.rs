//! consoletap: the proxy that a person sets on a game console to see, keep and change what it
//! says on the network. This is the binary: arguments, settings, wiring, what is printed.

mod amounts;
mod args;
mod banner;
mod bodies;
mod catalog;
mod certs;
mod consoles;
mod demo;
mod escape;
mod exit;
mod explain;
mod fold;
mod json;
mod line;
mod live;
mod look;
mod mark;
mod progress;
mod quantity;
mod recording;
mod remembered;
mod replay;
mod rules;
mod run;
#[cfg(test)]
mod sample;
mod session;
mod settings;
mod settings_file;
mod shown;
mod suggest;
mod terminal;
mod tls;
mod totals;
mod url;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser as _};

use crate::args::{Command, CommandLine, RunArgs};
use crate::terminal::{Data, Printer};

fn main() -> ExitCode {
    let CommandLine { command, run } = CommandLine::parse();
    let printer = Arc::new(Printer::of_process());
    let done = match command {
        Some(command) => perform(command, &printer),
        None => run_alone(run, &printer),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            let code = exit::code(&error);
            if code != ExitCode::SUCCESS {
                printer.say(&format!("consoletap: {}\n", exit::message(&error)));
            }
            code
        }
    }
}

/// Without a command the proxy runs, unless a command was meant.
fn run_alone(args: RunArgs, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    let commands = CommandLine::command();
    let names = commands.get_subcommands().map(|command| command.get_name().to_owned());
    shown::refuse_command(&args.words, &names.collect::<Vec<_>>())?;
    run::run(args, printer)
}

fn perform(command: Command, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => return run::run(*args, printer),
        Command::Demo(args) => return demo::run(args, printer),
        Command::Explain(args) => {
            let catalog = args.load()?;
            let known =
                explain::run(args, &catalog, &mut Data(printer), &mut std::io::stdin().lock())?;
            return Ok(if known { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Url(args) => url::run(&args, printer)?,
        Command::Catalog(command) => return catalog::run(command, printer),
        Command::Session(command) => session::run(command, printer)?,
        Command::Replay(command) => return replay::run(command, printer),
        Command::Certs(command) => certs::run(command, printer)?,
        Command::Rules(command) => {
            let good = rules::run(command, printer)?;
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Tls(command) => tls::run(command, printer)?,
        Command::Settings => printer.data(settings_file::TEMPLATE)?,
    }
    Ok(ExitCode::SUCCESS)
}
