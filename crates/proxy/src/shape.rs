//! What rules do to the octets of an answer, or of a tunnel, on their way to the client: slow them
//! down, cut them off, let them stall, change one. And to those on their way to the server: slow
//! them down.

use std::time::Duration;

use bytes::Bytes;
use consoletap_flow::{Effect, RuleHit};
use consoletap_rules::{Decision, Fault};
use tokio::time::{Instant, sleep_until};

/// How often a slow transfer moves. Often enough to be smooth, seldom enough to cost nothing.
const TICK: u64 = 20;

/// A rate that is kept.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: u64,
    next: Instant,
}

impl Pace {
    /// `rate` in octets a second, not 0.
    pub(crate) fn new(rate: u64) -> Self {
        Self { rate, next: Instant::now() }
    }

    /// How many octets go at once.
    pub(crate) fn piece(&self) -> usize {
        usize::try_from(self.rate / TICK).unwrap_or(usize::MAX).clamp(1, 256 << 10)
    }

    /// Waits until so many octets may go. What was not used in a pause is not made up for.
    pub(crate) async fn wait(&mut self, count: usize) {
        sleep_until(self.next).await;
        let nanos = u128::from(count as u64) * 1_000_000_000 / u128::from(self.rate);
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.next = self.next.max(Instant::now() - Duration::from_millis(100)) + time;
    }
}

/// What rules do to the body of one answer, or to one direction of a tunnel.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What it is, in words.
    of: &'static str,
    pace: Option<Pace>,
    fault: Option<(String, Fault)>,
    passed: u64,
    hits: Vec<RuleHit>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many octets.
    Go(usize),
    /// The connection is cut; why.
    Cut(String),
    /// Nothing more; why.
    Stall(String),
}

impl Shape {
    /// What the rules want; `None` where it is nothing.
    pub(crate) fn of(decision: &Decision<'_>) -> Option<Box<Self>> {
        let rate = decision.throttle().and_then(|by| by.what.down);
        let fault = decision.fault().map(|by| (by.rule.to_owned(), by.what));
        let wanted = rate.is_some() || fault.is_some();
        wanted.then(|| {
            let pace = rate.map(Pace::new);
            Box::new(Self { of: "answer", pace, fault, passed: 0, hits: Vec::new() })
        })
    }

    /// The same for a tunnel, whose octets to the client count as an answer's.
    pub(crate) fn of_tunnel(decision: &Decision<'_>) -> Option<Box<Self>> {
        let mut shape = Self::of(decision)?;
        shape.of = "tunnel";
        Some(shape)
    }

    /// No faster than this many octets a second, and nothing else.
    pub(crate) fn slow(rate: u64) -> Box<Self> {
        let pace = Some(Pace::new(rate));
        Box::new(Self { of: "answer", pace, fault: None, passed: 0, hits: Vec::new() })
    }

    /// The same, no faster than this many octets a second.
    pub(crate) fn no_faster(shape: Option<Box<Self>>, rate: Option<u64>) -> Option<Box<Self>> {
        let Some(rate) = rate else { return shape };
        let Some(mut shape) = shape else { return Some(Self::slow(rate.max(1))) };
        let rate = shape.pace.as_ref().map_or(rate, |pace| pace.rate.min(rate));
        shape.pace = Some(Pace::new(rate.max(1)));
        Some(shape)
    }

    /// What becomes of the next `count` octets, at least one.
    pub(crate) fn step(&mut self, count: usize) -> Step {
        let mut go = self.pace.as_ref().map_or(count, |pace| count.min(pace.piece()));
        if let Some((rule, Fault::Cut(after) | Fault::Stall(after))) = &self.fault {
            let left = after.saturating_sub(self.passed);
            if left == 0 {
                let (rule, after) = (rule.clone(), *after);
                let of = self.of;
                let (words, step): (_, fn(String) -> Step) = match self.fault.take() {
                    Some((_, Fault::Stall(_))) => (format!("let the {of} stall"), Step::Stall),
                    _ => (format!("cut the {of} off"), Step::Cut),
                };
                let did = format!("{words} after {after} bytes");
                let cause = format!("rule {rule} {did}");
                self.hits.push(RuleHit { name: rule, did, effect: Effect::Blocked });
                return step(cause);
            }
            go = go.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        Step::Go(go)
    }

    /// Waits until they may go.
    pub(crate) async fn pace(&mut self, count: usize) {
        if let Some(pace) = &mut self.pace {
            pace.wait(count).await;
        }
    }

    /// The octets as they go.
    pub(crate) fn corrupted(&mut self, octets: Bytes) -> Bytes {
        let begin = self.passed;
        self.passed += octets.len() as u64;
        let Some((rule, Fault::Corrupt(at))) = &self.fault else { return octets };
        let Some(index) = at.checked_sub(begin).and_then(|at| usize::try_from(at).ok()) else {
            return octets;
        };
        if index >= octets.len() {
            return octets;
        }
        let did = format!("inverted the byte behind {at}");
        self.hits.push(RuleHit { name: rule.clone(), did, effect: Effect::Rewritten });
        let mut changed = octets.to_vec();
        changed[index] = !changed[index];
        changed.into()
    }

    /// What was done since the last time.
    pub(crate) fn hits(&mut self) -> Vec<RuleHit> {
        std::mem::take(&mut self.hits)
    }
}
