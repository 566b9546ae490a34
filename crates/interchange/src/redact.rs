//! A session without its secrets: a whole one, which everything here reads like any other.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_flow::{Event, Flow, FlowId, Happening};
use consoletap_redact::Redactor;
use consoletap_session::Session;

use crate::RedactError;
use crate::key;
use crate::recorder::SessionRecorder;
use crate::secretless::Secretless;
use crate::source::learned;

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
    let redactor = learned(session, Redactor::with_pseudonyms(catalog, key));
    let lost: u64 = session.gaps().map(|gap| gap.events).sum();
    // Options hold paths of this machine and names of hosts; they are nobody else's business.
    let options =
        serde_json::json!({ "recorded_with": session.about().version, "lost_events": lost });
    let recorder = SessionRecorder::create(out, session.about().started, options, true)?;
    let mut copy = Copy {
        secretless: Secretless::new(session, Some(redactor)),
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
    secretless: Secretless<'a>,
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
        let (events, bodies) = self.secretless.flow(flow, events);
        self.recorder.events(events, bodies);
    }

    fn finish(mut self) -> Result<RedactedSession, RedactError> {
        let mut left: Vec<(Flow, Vec<Event>)> = self.open.drain().map(|(_, open)| open).collect();
        left.sort_by_key(|(flow, _)| flow.id);
        for (flow, events) in left {
            self.write(&flow, events);
        }
        self.told.secrets = self.secretless.secrets();
        self.told.changed_bodies = self.secretless.changed_bodies;
        self.told.withheld_bodies = self.secretless.withheld_bodies;
        let stats = self.recorder.close();
        if stats.lost_events > 0 || stats.lost_bodies > 0 {
            return Err(RedactError::Lost(stats.last_error.unwrap_or_default()));
        }
        Ok(self.told)
    }
}
