//! Whole scenes: what a console does by itself, and what it got.

mod others;
mod ps4;

use std::fmt;
use std::time::Duration;

pub use others::{ps3_update_check, ps5_download, switch_connection_test, vita_update_check};
pub use ps4::ps4_start_up;

use crate::console::GotAnswer;
use crate::error::Error;

/// How fast a scene is played, and in what portions it downloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Pause between two steps.
    pub pause: Duration,
    /// Length of a slice of a download.
    pub slice: u64,
    /// Connections at a time of a download.
    pub connections: usize,
}

impl Pace {
    /// Without pauses, in small slices: for tests.
    #[must_use]
    pub fn at_once() -> Self {
        Self { pause: Duration::ZERO, slice: 256 << 10, connections: 4 }
    }

    /// So that a person can read along.
    #[must_use]
    pub fn for_people() -> Self {
        Self { pause: Duration::from_millis(120), ..Self::at_once() }
    }

    /// With the slices of a real PS4 (16 MiB); a PS5 takes 18 MiB.
    #[must_use]
    pub fn as_a_console() -> Self {
        Self { pause: Duration::from_millis(120), slice: 16 << 20, connections: 4 }
    }
}

/// What a scene asked for and what came.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order in which they were played.
    pub steps: Vec<Step>,
}

/// One thing that a console asked for.
#[derive(Debug)]
pub struct Step {
    /// The request, as `GET http://…` or `CONNECT host:443`.
    pub asked: String,
    /// What came; or, if it was not what the console needs, why.
    pub came: Result<String, Error>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.came {
            Ok(came) => write!(f, "{}: {came}", self.asked),
            Err(surprise) => write!(f, "{}: {surprise}", self.asked),
        }
    }
}

impl Report {
    /// The steps that went other than documented.
    pub fn surprises(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.came.is_err())
    }

    /// Whether everything went as documented.
    #[must_use]
    pub fn is_as_documented(&self) -> bool {
        self.surprises().next().is_none()
    }
}

/// A scene while it is played.
#[derive(Debug)]
struct Scene {
    pace: Pace,
    report: Report,
}

impl Scene {
    fn new(pace: Pace) -> Self {
        Self { pace, report: Report::default() }
    }

    /// Notes a step. A surprise does not end the scene, an unreachable proxy does.
    async fn note<T>(
        &mut self,
        asked: String,
        came: Result<(String, T), Error>,
    ) -> Result<Option<T>, Error> {
        if !self.pace.pause.is_zero() {
            tokio::time::sleep(self.pace.pause).await;
        }
        let (came, value) = match came {
            Err(unreachable @ Error::Unreachable { .. }) => return Err(unreachable),
            Err(surprise) => (Err(surprise), None),
            Ok((came, value)) => (Ok(came), Some(value)),
        };
        self.report.steps.push(Step { asked, came });
        Ok(value)
    }
}

/// The answer in a few words, if it has this status and its body passes.
fn expect(
    answer: Result<GotAnswer, Error>,
    status: u16,
    needed: &str,
    passes: impl FnOnce(&GotAnswer) -> bool,
) -> Result<(String, GotAnswer), Error> {
    let answer = answer?;
    let came =
        format!("{} {}, {} bytes", answer.head.status, answer.head.reason, answer.body.len());
    if answer.head.status == status && passes(&answer) {
        return Ok((came, answer));
    }
    Err(Error::Unexpected { expected: format!("{status} with {needed}"), got: came })
}

/// The text between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}
