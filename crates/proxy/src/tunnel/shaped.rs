//! A direction of a tunnel that rules slow down or break. Its octets are copied here, turn by turn:
//! the kernel, which moves those of others, neither waits nor changes any.

use std::io;
use std::sync::Mutex;

use bytes::BytesMut;
use consoletap_flow::{Effect, RuleHit};
use consoletap_rules::Decision;

use super::broken::{Broken, Direction};
use super::watch::Watched;
use super::{Failed, HANDSHAKE_TURN, Way};
use crate::open_flow::FlowLog;
use crate::shape::{Shape, Step};

/// What rules do to a tunnel.
pub(crate) struct Shapes {
    up: Option<Box<Shape>>,
    down: Option<Box<Shape>>,
    slowed: Option<RuleHit>,
}

impl Shapes {
    /// What the rules want; `None` where it is nothing.
    pub(crate) fn of(decision: &Decision<'_>) -> Option<Box<Self>> {
        let throttle = decision.throttle();
        let up = throttle.and_then(|by| by.what.up).map(Shape::slow);
        let down = Shape::of_tunnel(decision);
        let slowed = throttle.map(|by| by.hit(Effect::Noted, by.what.describe()));
        (up.is_some() || down.is_some()).then(|| Box::new(Self { up, down, slowed }))
    }

    /// What is done to octets from the client, and to those for it; the row is told what holds
    /// from the beginning.
    pub(super) fn begin(self, log: &FlowLog) -> (Option<Box<Shape>>, Option<Box<Shape>>) {
        if let Some(hit) = self.slowed {
            log.rule(hit);
        }
        (self.up, self.down)
    }
}

/// What became of a turn.
enum Passed {
    All,
    /// The rule lets nothing more through; both connections stay.
    Stalled(String),
    /// The rule ends the tunnel.
    Cut(String),
}

impl Way<'_> {
    /// Passes everything on as a rule wants it.
    pub(super) async fn run_shaped(
        &self,
        mut first: BytesMut,
        mut watched: Watched,
        mut shape: Box<Shape>,
    ) -> Direction {
        loop {
            let passed = match self.pass(&mut first, &mut watched, &mut shape).await {
                Ok(passed) => passed,
                Err(failed) => return self.direction(Err(failed)),
            };
            match passed {
                Passed::All => {}
                Passed::Stalled(cause) => return Ok(Some(Broken::Stalled(cause))),
                Passed::Cut(cause) => return Err(Broken::Cut(cause)),
            }
            match self.next(&mut first).await {
                Ok(0) => return self.direction(self.close()),
                Ok(_) => {}
                Err(failed) => return self.direction(Err(failed)),
            }
        }
    }

    /// The next octets; 0 at the end.
    async fn next(&self, turn: &mut BytesMut) -> Result<usize, Failed> {
        loop {
            self.readable().await?;
            turn.reserve(HANDSHAKE_TURN);
            match self.from.try_read_buf(turn) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Failed::Read(error)),
            }
        }
    }

    async fn pass(
        &self,
        turn: &mut BytesMut,
        watched: &mut Watched,
        shape: &mut Shape,
    ) -> Result<Passed, Failed> {
        while !turn.is_empty() {
            let step = shape.step(turn.len());
            tell(shape, self.log);
            let count = match step {
                Step::Go(count) => count,
                Step::Stall(cause) => return Ok(Passed::Stalled(cause)),
                Step::Cut(cause) => return Ok(Passed::Cut(cause)),
            };
            let octets = shape.corrupted(turn.split_to(count).freeze());
            tell(shape, self.log);
            shape.pace(octets.len()).await;
            let written = self.write_all(&octets).await;
            if let (false, Ok(log)) = (watched.is_over(), self.log.lock()) {
                watched.look(&octets, &log);
            }
            written?;
        }
        Ok(Passed::All)
    }
}

fn tell(shape: &mut Shape, log: &Mutex<&mut FlowLog>) {
    let hits = shape.hits();
    if let (false, Ok(log)) = (hits.is_empty(), log.lock()) {
        hits.into_iter().for_each(|hit| log.rule(hit));
    }
}
