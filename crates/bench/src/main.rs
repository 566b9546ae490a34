//! The load program: how fast consoletap is beside no proxy at all and beside the smallest
//! honest proxy, on loopback, and how fast it looks at a large session. `docs/benchmarks.md` says
//! how to run it and how to read it.
//!
//! Not a test of correctness (that is `tests/`), and no microbenchmark (those are in the
//! `benches/` of the crates).

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

mod authority;
mod client;
mod evening;
mod list;
mod load;
mod origin;
mod process;
mod relay;
mod report;
mod served;
mod subject;

/// Measures a direct connection, a bare relay and consoletap in turn, on loopback.
#[derive(Parser)]
#[command(name = "consoletap-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything and print the table
    Load(load::Options),
    /// Write a large session, and measure how it is listed and shown
    List(list::Options),
    /// The smallest honest proxy, as a process of its own
    Relay(relay::Options),
    /// The server that is asked, as a process of its own
    Origin(origin::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Load(options) => load::run(options),
        Command::List(options) => list::run(options),
        Command::Relay(options) => relay::run(options),
        Command::Origin(options) => origin::run(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("consoletap-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for the person, on standard error. A closed terminal is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The result, on standard output.
fn print(result: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(result.as_bytes()).context("cannot print the result")
}
