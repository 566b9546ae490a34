//! What can be made of a record before it is its turn: the hashes of its bodies, and its line. Turns
//! are taken one after the other; this is done by all who bring records at the same time.

use consoletap_flow::{BodyCopy, BodySummary, Digest, Event, Happening, Record};

use crate::bodies::{sha256, tell_kept};
use crate::json;
use crate::line::{MAX_LINE, seal};

/// A copy above this is not hashed and written by whoever brings it.
const LIGHT: usize = 16 << 10;

/// Room for most lines.
const USUAL_LINE: usize = 768;

/// A record that waits for its turn.
pub(crate) struct Prepared {
    /// The record. The summaries in its event say already that the copies are kept.
    pub(crate) record: Record,
    /// The names of its copies.
    pub(crate) names: Names,
    /// The line of its event, as long as that does not change.
    pub(crate) line: Option<Vec<u8>>,
}

/// The hashes of the copies of a record that has not much to hash.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) request: Option<Digest>,
    pub(crate) response: Option<Digest>,
}

impl Prepared {
    pub(crate) fn new(record: Record) -> Self {
        let mut prepared = Self { record, names: Names::default(), line: None };
        if prepared.is_heavy() {
            return prepared;
        }
        let Record { event, request_copy, response_copy, .. } = &mut prepared.record;
        if let Happening::Finished(finished) = &mut event.happening {
            prepared.names = Names {
                request: name(request_copy.as_ref(), &mut finished.request_body),
                response: name(response_copy.as_ref(), &mut finished.response_body),
            };
        }
        prepared.line = line(event);
        prepared
    }

    /// Whether it is too much work for whoever brings it.
    pub(crate) fn is_heavy(&self) -> bool {
        let copies = [&self.record.request_copy, &self.record.response_copy];
        copies.into_iter().flatten().any(|copy| copy.octets.len() > LIGHT)
    }
}

fn name(copy: Option<&BodyCopy>, summary: &mut BodySummary) -> Option<Digest> {
    let copy = copy?;
    let name = sha256(&copy.octets);
    tell_kept(copy, &name, summary);
    Some(name)
}

/// The line of an event; `None` where it would be too long.
pub(crate) fn line(event: &Event) -> Option<Vec<u8>> {
    let mut line = Vec::with_capacity(USUAL_LINE);
    json::write(&mut line, event).ok()?;
    seal(&mut line, 0);
    (line.len() <= MAX_LINE).then_some(line)
}
