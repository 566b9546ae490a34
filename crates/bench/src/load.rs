//! The run: rounds, modes and subjects in turn, each against a fresh process.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::report::{Figures, Measurement, Report};
use crate::subject::{Subject, Workbench};
pub(crate) use mode::{Goal, Metric, Mode};

mod bulk;
mod closed_loop;
mod idle;
mod latency;
mod mode;
mod start;

/// Between two of them, for the kernel to put away the connections of the one before.
const PAUSE: Duration = Duration::from_millis(200);
/// No measurement takes this much longer than it was asked to.
const GRACE: Duration = Duration::from_secs(60);

/// Options of `consoletap-bench load`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often everything is measured; the table shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Only these modes, separated by commas
    #[arg(long, value_delimiter = ',', value_enum)]
    modes: Vec<Mode>,
    /// Seconds for each mode that runs for a time
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Size of a bulk transfer
    #[arg(long, default_value_t = 1024, value_name = "MIB",
          value_parser = clap::value_parser!(u64).range(1..=16384))]
    bulk_mib: u64,
    /// Tunnels held open in the idle mode
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=9000))]
    tunnels: u32,
    /// The program to measure [default: consoletap beside this program]
    #[arg(long, value_name = "PATH")]
    consoletap: Option<PathBuf>,
    /// Measure only the direct connection and the bare relay
    #[arg(long, conflicts_with = "consoletap")]
    no_consoletap: bool,
    /// Write every figure of every round here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How much of everything.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) duration: Duration,
    pub(crate) bulk_bytes: u64,
    pub(crate) tunnels: u32,
}

/// Measures and prints the table.
pub(crate) fn run(options: Options) -> Result<()> {
    ensure!(
        (0.05..=60.0).contains(&options.seconds),
        "--seconds {}: expected 0.05 to 60",
        options.seconds
    );
    crate::process::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Caught, so that the processes of the run end with it.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            report = measure_all(&options) => {
                let report = report?;
                crate::print(&report.table())?;
                if let Some(file) = &options.json {
                    let json = serde_json::to_string_pretty(&report)?;
                    fs::write(file, json + "\n")
                        .with_context(|| format!("cannot write {}", file.display()))?;
                }
                report.outcome()
            }
            _ = interrupt.recv() => bail!("stopped by Ctrl-C"),
            _ = terminate.recv() => bail!("stopped"),
        }
    })
}

async fn measure_all(options: &Options) -> Result<Report> {
    let workbench = Workbench::new(consoletap(options)?)?;
    let extent = Extent {
        duration: Duration::from_secs_f64(options.seconds),
        bulk_bytes: options.bulk_mib << 20,
        tunnels: options.tunnels,
    };
    let modes = if options.modes.is_empty() { Mode::all() } else { options.modes.clone() };
    let mut report = Report::new(options.rounds);
    let begun = Instant::now();
    for round in 0..options.rounds {
        for &mode in &modes {
            for subject in in_turn(workbench.subjects(), round) {
                if !mode.applies_to(subject) {
                    continue;
                }
                tokio::time::sleep(PAUSE.min(extent.duration)).await;
                let limit = extent.duration + GRACE;
                let measuring = mode.measure(&workbench, subject, extent);
                let measured = match tokio::time::timeout(limit, measuring).await {
                    Ok(measured) => measured,
                    Err(_) => Err(anyhow!("not done within {limit:?}")),
                };
                workbench.remove_session();
                match measured {
                    Ok(figures) => {
                        progress(round, mode, subject, &figures, begun.elapsed());
                        report.add(Measurement { round, mode, subject, figures });
                    }
                    // The other figures of a run are worth having all the same.
                    Err(error) => {
                        let failure = format!("{mode} against {subject:?}: {error:#}");
                        crate::say(&format!("{failure}\n{}", workbench.last_words(subject)));
                        report.fail(failure);
                    }
                }
            }
        }
    }
    report.finish();
    Ok(report)
}

/// Each round begins with another subject, so that none always follows the same one.
fn in_turn(mut subjects: Vec<Subject>, round: u32) -> Vec<Subject> {
    let first = round as usize % subjects.len();
    subjects.rotate_left(first);
    subjects
}

fn consoletap(options: &Options) -> Result<Option<PathBuf>> {
    if options.no_consoletap {
        return Ok(None);
    }
    let path = match &options.consoletap {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("consoletap"),
    };
    let found = path.canonicalize().with_context(|| {
        format!(
            "no program at {}; build it (cargo build --release), name it with --consoletap PATH, \
             or leave it out with --no-consoletap",
            path.display()
        )
    })?;
    Ok(Some(found))
}

fn progress(round: u32, mode: Mode, subject: Subject, figures: &Figures, elapsed: Duration) {
    let rate = figures
        .get(&Metric::Rate)
        .map(|rate| format!("{rate:.0} {}", mode.rate_unit()))
        .unwrap_or_default();
    let seconds = elapsed.as_secs();
    crate::say(&format!("{seconds:4} s  round {}  {mode:24} {subject:?} {rate}", round + 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_first_once() {
        let subjects = vec![Subject::Direct, Subject::Relay, Subject::Consoletap];
        let first = |round| in_turn(subjects.clone(), round)[0];
        assert_eq!(
            [first(0), first(1), first(2), first(3)],
            [Subject::Direct, Subject::Relay, Subject::Consoletap, Subject::Direct]
        );
    }
}
