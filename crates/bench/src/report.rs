//! Medians, ratios and the table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::load::{Metric, Mode};
use crate::subject::Subject;
use goal::{Reached, verdict};

mod goal;

/// The figures of one measurement.
pub(crate) type Figures = BTreeMap<Metric, f64>;

/// One subject, measured once in one mode.
#[derive(Serialize)]
pub(crate) struct Measurement {
    pub(crate) round: u32,
    pub(crate) mode: Mode,
    pub(crate) subject: Subject,
    pub(crate) figures: Figures,
}

/// A whole run.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: String,
    rounds: u32,
    measurements: Vec<Measurement>,
    /// What could not be measured, in words.
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(rounds: u32) -> Self {
        Self { machine: machine(), rounds, measurements: Vec::new(), failures: Vec::new() }
    }

    pub(crate) fn add(&mut self, measurement: Measurement) {
        self.measurements.push(measurement);
    }

    pub(crate) fn fail(&mut self, failure: String) {
        self.failures.push(failure);
    }

    /// A run with a hole in it is no success, though its table is shown.
    pub(crate) fn outcome(&self) -> Result<()> {
        ensure!(self.failures.is_empty(), "{} measurement(s) failed", self.failures.len());
        Ok(())
    }

    /// Adds what can be said only when all subjects of a round are known: the latency that a
    /// proxy adds to the direct connection of its own round.
    pub(crate) fn finish(&mut self) {
        let pairs =
            [(Metric::MedianUs, Metric::AddedMedianUs), (Metric::P99Us, Metric::AddedP99Us)];
        for index in 0..self.measurements.len() {
            let Measurement { round, mode, subject, .. } = self.measurements[index];
            if subject == Subject::Direct
                || !matches!(mode, Mode::PlainLatency | Mode::InterceptLatency)
            {
                continue;
            }
            for (whole, added) in pairs {
                let direct = self.figure(round, mode, Subject::Direct, whole);
                let figures = &mut self.measurements[index].figures;
                if let (Some(direct), Some(&own)) = (direct, figures.get(&whole)) {
                    figures.insert(added, own - direct);
                }
            }
        }
    }

    /// The run as Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("{}; medians of {} round(s).\n\n", self.machine, self.rounds);
        table.push_str(
            "| mode | figure | direct | bare relay | consoletap | ÷ relay | no session | ÷ no session | goal | reached |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---|---|\n",
        );
        let mut rows: Vec<(Mode, Metric)> = self
            .measurements
            .iter()
            .flat_map(|one| one.figures.keys().map(|&metric| (one.mode, metric)))
            .collect();
        rows.sort_unstable();
        rows.dedup();
        for (mode, metric) in rows {
            self.row(&mut table, mode, metric);
        }
        self.replayed(&mut table);
        for failure in &self.failures {
            let _ = writeln!(table, "\nFailed: {failure}");
        }
        table
    }

    /// What was answered from a session, beside what the same program does with a server.
    fn replayed(&self, table: &mut String) {
        let measured = self.measurements.iter().filter(|one| one.subject == Subject::Replay);
        let mut rows: Vec<_> = measured
            .flat_map(|one| one.figures.keys().map(|&metric| (one.mode, metric)))
            .filter(|&(_, metric)| metric != Metric::Errors)
            .collect();
        rows.sort_unstable();
        rows.dedup();
        if !rows.is_empty() {
            table.push_str("\nreplay serve, and its ratio to consoletap with a server:\n\n");
        }
        for (mode, metric) in rows {
            let figure = shown(self.median_of(mode, Subject::Replay, metric));
            let ratio = self.ratio(mode, metric, Subject::Replay).filter(|ratio| *ratio > 0.0);
            let ratio = ratio.map(|ratio| format!(", × {:.2}", 1.0 / ratio)).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(table, "- {mode}, {}: {figure}{ratio}", metric.label(mode));
        }
    }

    fn row(&self, table: &mut String, mode: Mode, metric: Metric) {
        let median_of = |subject| self.median_of(mode, subject, metric);
        let subjects = [Subject::Direct, Subject::Relay, Subject::Consoletap, Subject::Unrecorded];
        let figures = subjects.map(median_of);
        let [direct, relay, consoletap, unrecorded] = figures;
        // Rows of zeros say nothing.
        if metric == Metric::Errors && figures.into_iter().flatten().all(|errors| errors == 0.0) {
            return;
        }
        let to_relay = self.ratio(mode, metric, Subject::Relay);
        let to_unrecorded = self.ratio(mode, metric, Subject::Unrecorded);
        let to_direct = self.ratio(mode, metric, Subject::Direct);
        let times = |ratio: Option<f64>| ratio.map(|it| format!("{it:.2}")).unwrap_or_default();
        let goal = mode.goal(metric);
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {mode} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            metric.label(mode),
            shown(direct),
            shown(relay),
            shown(consoletap),
            times(to_relay),
            unrecorded.map(|it| shown(Some(it))).unwrap_or_default(),
            times(to_unrecorded),
            goal.map(|goal| goal.to_string()).unwrap_or_default(),
            goal.and_then(|goal| verdict(
                goal,
                Reached { figure: consoletap, to_relay, to_unrecorded, to_direct }
            ))
            .unwrap_or_default(),
        );
    }

    fn median_of(&self, mode: Mode, subject: Subject, metric: Metric) -> Option<f64> {
        let mut figures: Vec<f64> = self
            .measurements
            .iter()
            .filter(|one| one.mode == mode && one.subject == subject)
            .filter_map(|one| one.figures.get(&metric).copied())
            .collect();
        (!figures.is_empty()).then(|| median(&mut figures))
    }

    /// consoletap ÷ another subject: the median over rounds of the ratio within a round, for a machine
    /// is not equally fast in every minute.
    fn ratio(&self, mode: Mode, metric: Metric, to: Subject) -> Option<f64> {
        let mut ratios: Vec<f64> = (0..self.rounds)
            .filter_map(|round| {
                let other = self.figure(round, mode, to, metric)?;
                let own = self.figure(round, mode, Subject::Consoletap, metric)?;
                (other > 0.0).then(|| own / other)
            })
            .collect();
        (!ratios.is_empty()).then(|| median(&mut ratios))
    }

    fn figure(&self, round: u32, mode: Mode, subject: Subject, metric: Metric) -> Option<f64> {
        let of =
            |one: &&Measurement| one.round == round && one.mode == mode && one.subject == subject;
        self.measurements.iter().find(of)?.figures.get(&metric).copied()
    }
}

/// The median; of an even number the mean of the two in the middle; 0 of nothing.
pub(crate) fn median(figures: &mut [f64]) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures {
        [] => 0.0,
        _ if figures.len() % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}

/// The nearest-rank percentile, `share` from 0 to 1; nothing of nothing is zero.
pub(crate) fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let rank = (times.len() as f64 * share).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

pub(crate) fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Three figures that matter, no more.
fn shown(figure: Option<f64>) -> String {
    match figure {
        None => "–".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(figure) if figure.abs() >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure.abs() >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

/// What the figures depend on, without the name of the machine.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cores} cores, Linux {kernel}, load average {load} at the start")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rounds: &[(f64, f64, f64)]) -> Report {
        let mut report = Report::new(rounds.len() as u32);
        for (round, &(direct, relay, consoletap)) in rounds.iter().enumerate() {
            let subjects = [
                (Subject::Direct, direct),
                (Subject::Relay, relay),
                (Subject::Consoletap, consoletap),
            ];
            for (subject, figure) in subjects {
                report.add(Measurement {
                    round: round as u32,
                    mode: Mode::PlainLatency,
                    subject,
                    figures: Figures::from([(Metric::MedianUs, figure)]),
                });
            }
        }
        report.finish();
        report
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The third round ran on a machine twice as slow.
        let report = report(&[(100.0, 200.0, 220.0), (100.0, 200.0, 210.0), (200.0, 400.0, 440.0)]);
        let metric = Metric::AddedMedianUs;
        let ratio = report.ratio(Mode::PlainLatency, metric, Subject::Relay).unwrap();
        assert!((ratio - 1.2).abs() < 1e-9, "{ratio}");
        assert!(
            report.table().contains("| 1.20 |  |  | ≤ 1.3 × relay | yes |"),
            "{}",
            report.table()
        );
    }

    #[test]
    fn a_goal_missed_says_no() {
        let report = report(&[(100.0, 200.0, 250.0)]);
        assert!(
            report.table().contains("| 1.50 |  |  | ≤ 1.3 × relay | **no** |"),
            "{}",
            report.table()
        );
    }

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0]), 2.5);
        assert_eq!(median(&mut []), 0.0);
        let mut times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&mut times, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }
}
