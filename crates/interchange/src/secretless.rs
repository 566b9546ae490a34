//! Flows of a session on their way into another one, without their secrets.

use consoletap_flow::{BodyCopy, BodySide, BodySummary, Event, Flow, Happening, Kept};
use consoletap_redact::{Redacted, Redactor};
use consoletap_session::Session;

use crate::source::{Body, LARGEST_SEARCHED, Missing, fit, load};

/// Below this a hash says what the body is to whoever tries all of them.
const GUESSABLE: u64 = 1 << 20;

/// What takes them out, and what became of bodies so far.
pub(crate) struct Secretless<'s> {
    session: &'s Session,
    /// `None` where nothing secret is left in the session.
    redactor: Option<Redactor>,
    /// Bodies in which something was replaced.
    pub(crate) changed_bodies: u64,
    /// Bodies that are left out, since they cannot be looked into.
    pub(crate) withheld_bodies: u64,
}

impl<'s> Secretless<'s> {
    pub(crate) fn new(session: &'s Session, redactor: Option<Redactor>) -> Self {
        Self { session, redactor, changed_bodies: 0, withheld_bodies: 0 }
    }

    /// How many secrets are known.
    pub(crate) fn secrets(&self) -> usize {
        self.redactor.as_ref().map_or(0, Redactor::known)
    }

    /// The events of a flow, and what is kept of its two bodies.
    pub(crate) fn flow(
        &mut self,
        flow: &Flow,
        events: Vec<Event>,
    ) -> (Vec<Event>, [Option<BodyCopy>; 2]) {
        let mut events: Vec<Event> = match &self.redactor {
            Some(redactor) => events.iter().map(|event| redactor.event(flow, event)).collect(),
            None => events,
        };
        let mut bodies = [None, None];
        let mut notes = Vec::new();
        if let Some(end) = &flow.finished {
            let parts = [
                (BodySide::Request, end.request_body, "request"),
                (BodySide::Response, end.response_body, "answer"),
            ];
            for (copy, (part, before, name)) in bodies.iter_mut().zip(parts) {
                let (summary, body, uncoded) = self.body(flow, part, &before, copy);
                if let Some(Missing::All(why)) =
                    body.missing.as_ref().filter(|_| before.kept != summary.kept)
                {
                    notes.push(format!(
                        "the body of the {name} was left out when secrets were taken out: {why}"
                    ));
                }
                for event in &mut events {
                    mend(event, part, &before, &summary, &body, uncoded);
                }
            }
        }
        let end = events.len().saturating_sub(1);
        let at = flow.latest;
        let note = |note| Event { flow: flow.id, at, happening: Happening::Note(note) };
        events.splice(end..end, notes.into_iter().map(note));
        (events, bodies)
    }

    /// The new summary of a body; the new octets go to `copy`.
    fn body(
        &mut self,
        flow: &Flow,
        part: BodySide,
        before: &BodySummary,
        copy: &mut Option<BodyCopy>,
    ) -> (BodySummary, Body, bool) {
        let mut summary = *before;
        let mut body = Body { bytes: before.bytes, ..Body::default() };
        let is_whole = before.kept == Kept::Whole;
        if !is_whole && before.bytes <= GUESSABLE && self.redactor.is_some() {
            summary.digest = None;
        }
        let octets = match load(self.session, before, LARGEST_SEARCHED) {
            Ok((octets, missing)) => {
                body.missing = missing;
                octets
            }
            Err(why) => {
                if matches!(before.kept, Kept::Whole | Kept::Prefix { .. }) {
                    self.withheld_bodies += 1;
                    summary.kept = Kept::Nothing;
                }
                body.missing = Some(Missing::All(why));
                return (summary, body, false);
            }
        };
        if octets.is_empty() {
            return (summary, body, false);
        }
        let mut gone = false;
        let Some(redactor) = &self.redactor else {
            *copy = Some(BodyCopy { octets, whole: is_whole });
            return (summary, body, false);
        };
        let octets = match redactor.body(flow, part, &octets) {
            Redacted::Same => octets,
            Redacted::Changed { octets, uncoded } => {
                self.changed_bodies += 1;
                gone = uncoded;
                summary.digest = None;
                if is_whole {
                    body.bytes = octets.len() as u64;
                    summary.bytes = body.bytes;
                }
                octets
            }
            Redacted::Withheld(why) => {
                self.withheld_bodies += 1;
                summary.kept = Kept::Nothing;
                summary.digest = None;
                body.missing = Some(Missing::All(why.to_owned()));
                return (summary, body, false);
            }
        };
        // The writer says in the summary where it keeps the copy.
        *copy = Some(BodyCopy { octets, whole: is_whole });
        (summary, body, gone)
    }
}

/// Makes an event true for a body that was changed.
fn mend(
    event: &mut Event,
    part: BodySide,
    before: &BodySummary,
    summary: &BodySummary,
    body: &Body,
    uncoded: bool,
) {
    match (&mut event.happening, part) {
        (Happening::Opened(opened), BodySide::Request) => {
            if let Some(head) = &mut opened.request {
                fit(&mut head.headers, before, body, uncoded);
            }
        }
        (Happening::Response(head), BodySide::Response) => {
            fit(&mut head.headers, before, body, uncoded);
        }
        (Happening::Finished(end), BodySide::Request) => end.request_body = *summary,
        (Happening::Finished(end), BodySide::Response) => end.response_body = *summary,
        _ => {}
    }
}
