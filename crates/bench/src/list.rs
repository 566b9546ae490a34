//! How fast a large session is looked at: `consoletap session list` and `session show` over one
//! of 100,000 flows, each in a process of its own.
//!
//! The session is written by the real writer, so that its lines are what a recording has.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use consoletap_flow::{Record, Recorder as _, Timestamp};
use consoletap_session::{About, Options as Recording, Writer};
use serde::Serialize;

use crate::evening::Evening;
use crate::process::Process;

/// A process that takes longer than this is stopped.
const LIMIT: Duration = Duration::from_secs(120);
/// How often the memory of a running process is looked at. `VmHWM` only grows, so that what is
/// missed is what it grows in the last millisecond.
const LOOK: Duration = Duration::from_millis(1);

/// What is looked at, and what it is called.
const VIEWS: [(&str, &[&str]); 5] = [
    ("session list", &["list", "ROOT"]),
    ("session show", &["show", "SESSION"]),
    ("session show --raw", &["show", "SESSION", "--raw"]),
    ("session show --columns", &["show", "SESSION", "--columns", "id,time,host,status,down"]),
    ("session show FILTER", &["show", "SESSION", "~cat", "fw-updatelist"]),
];

/// Options of `consoletap-bench list`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many flows the session has
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    flows: u64,
    /// How often each view is measured; the table shows medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// The program to measure [default: consoletap beside this program]
    #[arg(long, value_name = "PATH")]
    consoletap: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// One process that came to its end.
#[derive(Clone, Copy)]
struct Run {
    wall: Duration,
    cpu: Duration,
    peak_kib: u64,
}

/// The medians of one view.
#[derive(Serialize)]
struct Row {
    view: &'static str,
    wall_ms: u128,
    cpu_ms: u128,
    peak_kib: u64,
}

/// Measures and prints the table.
pub(crate) fn run(options: Options) -> Result<()> {
    let program = match options.consoletap {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("consoletap"),
    };
    let root = tempfile::tempdir().context("a folder for the session")?;
    let session = root.path().join("large.psession");
    let begun = Instant::now();
    let events = write(&session, options.flows)?;
    let took = begun.elapsed().as_secs_f64();
    crate::say(&format!("{} flows in {events} events written in {took:.1} s", options.flows));
    let mut rows = Vec::new();
    for (view, words) in VIEWS {
        let mut runs = Vec::new();
        for _ in 0..options.rounds {
            let words = words.iter().map(|&word| match word {
                "ROOT" => root.path().as_os_str(),
                "SESSION" => session.as_os_str(),
                word => word.as_ref(),
            });
            let mut command = Command::new(&program);
            command.arg("session").args(words).current_dir(root.path());
            runs.push(watch(command, &root.path().join("words"))?);
        }
        rows.push(Row {
            view,
            wall_ms: median(runs.iter().map(|run| run.wall.as_millis())),
            cpu_ms: median(runs.iter().map(|run| run.cpu.as_millis())),
            peak_kib: median(runs.iter().map(|run| run.peak_kib)),
        });
    }
    let text =
        if options.json { serde_json::to_string_pretty(&rows)? + "\n" } else { table(&rows) };
    crate::print(&text)
}

/// Writes the session; gives the number of its events.
fn write(directory: &Path, flows: u64) -> Result<u64> {
    let about = About {
        tool: "consoletap-bench".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: Timestamp(crate::evening::START),
        ..About::default()
    };
    let writer = Writer::create(directory, about, Recording::default(), None)?;
    let evening = Evening::new();
    for flow in 1..=flows {
        let (events, mut body) = evening.flow(flow)?;
        let last = events.len() - 1;
        for (at, event) in events.into_iter().enumerate() {
            let mut record = Record::new(event);
            if at == last {
                record.response_copy = body.take();
            }
            writer.record(record);
            if at == last {
                // Nothing is to pile up.
                writer.flush();
            }
        }
    }
    let stats = writer.close();
    ensure!(
        stats.lost_events == 0 && stats.lost_bodies == 0,
        "the disk did not take the session: {stats:?}"
    );
    Ok(stats.events)
}

/// Runs it to its end, with what it prints on its way to nowhere and its words in `words`.
fn watch(mut command: Command, words: &Path) -> Result<Run> {
    let file = File::create(words).with_context(|| format!("cannot write {}", words.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let begun = Instant::now();
    let program = command.get_program().to_owned();
    let mut child =
        command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    let process = Process(child.id());
    let mut run = Run { wall: Duration::ZERO, cpu: Duration::ZERO, peak_kib: 0 };
    // Until it is waited for, what it took stays readable; its memory goes with its end.
    while !process.is_over()? && begun.elapsed() < LIMIT {
        run.peak_kib = process.peak_memory_kib().unwrap_or(0).max(run.peak_kib);
        sleep(LOOK);
    }
    run.wall = begun.elapsed();
    run.cpu = process.cpu_time()?;
    // Over already, unless it took too long.
    let _ = child.kill();
    let status = child.wait()?;
    let said = std::fs::read_to_string(words).unwrap_or_default();
    ensure!(status.success(), "{command:?} ended with {status}: {}", said.trim());
    Ok(run)
}

fn median<T: Ord + Copy + Default>(of: impl Iterator<Item = T>) -> T {
    let mut all: Vec<T> = of.collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn table(rows: &[Row]) -> String {
    let mut text = "| view | time | CPU | peak memory |\n|---|---|---|---|\n".to_owned();
    for Row { view, wall_ms, cpu_ms, peak_kib } in rows {
        let mib = *peak_kib as f64 / 1024.0;
        text.push_str(&format!("| `{view}` | {wall_ms} ms | {cpu_ms} ms | {mib:.0} MiB |\n"));
    }
    text
}
