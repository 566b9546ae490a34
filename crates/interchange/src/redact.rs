//! A session without its secrets: a whole one, which everything here reads like any other.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_flow::{BodyCopy, BodySide, BodySummary, Event, Flow, FlowId, Happening, Kept};
use consoletap_redact::{Redacted, Redactor};
use consoletap_session::Session;

use crate::RedactError;
use crate::key;
use crate::recorder::SessionRecorder;
use crate::source::{Body, LARGEST_SEARCHED, Lessons, Missing, fit, load};

/// Below this a hash says what the body is to whoever tries all of them.
const GUESSABLE: u64 = 1 << 20;

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RedactedSession {
    /// How many flows it has.
    pub flows: u64,
    /// How many secrets were learned.
    pub secrets: usize,
    /// Bodies in which something was replaced.
    pub changed_bodies: u64,
    /// Bodies that are left out, since they cannot be looked into.
    pub withheld_bodies: u64,
    /// Lines of the log that could not be read, and are not in the new one.
    pub problems: u64,
}

/// Writes a session without its secrets to a new directory. Its pseudonyms are of a key that is
/// kept nowhere.
///
/// # Errors
/// When the place is taken, or the disk refuses.
pub fn redact(
    session: &Session,
    catalog: Arc<Catalog>,
    out: &Path,
) -> Result<RedactedSession, RedactError> {
    if out.exists() {
        return Err(RedactError::Exists { directory: out.to_owned() });
    }
    let key = key::random().map_err(|error| RedactError::Lost(error.to_string()))?;
    let mut redactor = Redactor::with_pseudonyms(catalog, key);
    let mut lessons = Lessons::thorough(session);
    for flow in session.flows().flatten() {
        lessons.take(&mut redactor, &flow);
    }
    let lost: u64 = session.gaps().map(|gap| gap.events).sum();
    // Options hold paths of this machine and names of hosts; they are nobody else's business.
    let options =
        serde_json::json!({ "recorded_with": session.about().version, "lost_events": lost });
    let recorder = SessionRecorder::create(out, session.about().started, options, true)?;
    let mut copy = Copy {
        session,
        redactor,
        recorder,
        open: HashMap::new(),
        told: RedactedSession::default(),
    };
    for event in session.events() {
        match event {
            Ok(event) => copy.take(event),
            Err(_) => copy.told.problems += 1,
        }
    }
    copy.finish()
}

struct Copy<'a> {
    session: &'a Session,
    redactor: Redactor,
    recorder: SessionRecorder,
    /// Flows that are under way, with their events: a head can be written once the body is known.
    open: HashMap<FlowId, (Flow, Vec<Event>)>,
    told: RedactedSession,
}

impl Copy<'_> {
    fn take(&mut self, event: Event) {
        let id = event.flow;
        if let Some((flow, events)) = self.open.get_mut(&id) {
            flow.apply(event.clone());
            // Of a long transfer the last progress says it all.
            if matches!(event.happening, Happening::Progress { .. }) {
                events.retain(|old| !matches!(old.happening, Happening::Progress { .. }));
            }
            let is_over = matches!(event.happening, Happening::Finished(_));
            events.push(event);
            if is_over && let Some((flow, events)) = self.open.remove(&id) {
                self.write(&flow, events);
            }
        } else if let Some(flow) = Flow::open(event.clone()) {
            self.told.flows += 1;
            self.open.insert(id, (flow, vec![event]));
        }
    }

    fn write(&mut self, flow: &Flow, events: Vec<Event>) {
        let mut events: Vec<Event> =
            events.iter().map(|event| self.redactor.event(flow, event)).collect();
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
        self.recorder.events(events, bodies);
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
        if !is_whole && before.bytes <= GUESSABLE {
            summary.digest = None;
        }
        let octets = match load(self.session, before, LARGEST_SEARCHED) {
            Ok((octets, missing)) => {
                body.missing = missing;
                octets
            }
            Err(why) => {
                if matches!(before.kept, Kept::Whole | Kept::Prefix { .. }) {
                    self.told.withheld_bodies += 1;
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
        let octets = match self.redactor.body(flow, part, &octets) {
            Redacted::Same => octets,
            Redacted::Changed { octets, uncoded } => {
                self.told.changed_bodies += 1;
                gone = uncoded;
                summary.digest = None;
                if is_whole {
                    body.bytes = octets.len() as u64;
                    summary.bytes = body.bytes;
                }
                octets
            }
            Redacted::Withheld(why) => {
                self.told.withheld_bodies += 1;
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

    fn finish(mut self) -> Result<RedactedSession, RedactError> {
        let mut left: Vec<(Flow, Vec<Event>)> = self.open.drain().map(|(_, open)| open).collect();
        left.sort_by_key(|(flow, _)| flow.id);
        for (flow, events) in left {
            self.write(&flow, events);
        }
        self.told.secrets = self.redactor.known();
        let stats = self.recorder.close();
        if stats.lost_events > 0 || stats.lost_bodies > 0 {
            return Err(RedactError::Lost(stats.last_error.unwrap_or_default()));
        }
        Ok(self.told)
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
