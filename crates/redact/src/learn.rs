//! Learning: the secrets of a session are met by their names, to be found by their values later.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash};

use foldhash::quality::RandomState;

use consoletap_flow::{BodySide, Flow, Target};

use crate::Redactor;
use crate::known::Weight;
use crate::redactor::Found;

impl Redactor {
    /// Learns the secrets of a flow, bodies aside.
    pub fn learn(&mut self, flow: &Flow) {
        let mut met = Vec::new();
        let mut found = |value: &[u8], weight: Weight| met.push((value.to_vec(), weight));
        let mut seen = std::mem::take(&mut self.seen);
        self.by_names(|it| it.look_through(flow, &mut seen, &mut found));
        self.seen = seen;
        self.remember(met);
        let from = flow.client.address.ip().to_canonical();
        let to = self.stand_in.address(from);
        if from != to {
            self.known.add_address(&from.to_string(), &to.to_string());
        }
    }

    /// Learns the secrets in a body.
    pub fn learn_body(&mut self, flow: &Flow, part: BodySide, octets: &[u8]) {
        let mut met = Vec::new();
        let mut found = |value: &[u8], weight: Weight| met.push((value.to_vec(), weight));
        self.by_names(|it| _ = it.body_with(flow, part, octets, &mut found));
        self.remember(met);
    }

    /// Looks without what is known: that is no lesson, and the search for it would have to be made
    /// anew after each one.
    fn by_names(&mut self, look: impl FnOnce(&Self)) {
        let known = std::mem::take(&mut self.known);
        look(self);
        self.known = known;
    }

    fn remember(&mut self, met: Vec<(Vec<u8>, Weight)>) {
        let Self { stand_in, known, .. } = self;
        for (value, weight) in met {
            known.add(&value, weight, |value| stand_in.token(value));
        }
    }

    /// Looks at everything of a flow that may tell a secret.
    fn look_through(&self, flow: &Flow, seen: &mut Seen, found: Found<'_>) {
        let scan = &mut self.scan(flow, found);
        // What is secret in a text depends on the flow's row.
        let row = &flow.classification.entry;
        let details = &flow.classification.details.fields;
        let path = flow.target.as_ref().and_then(Target::path).unwrap_or_default();
        let target = flow.request.as_ref().map(|head| &*head.target);
        if seen.is_new((row, details, path, target)) {
            self.url(scan, flow, path);
            // As a rule it ends with that path.
            let other = target.filter(|target| path.is_empty() || !target.ends_with(path));
            other.into_iter().for_each(|target| _ = self.url(scan, flow, target));
            self.classification(scan, &flow.classification);
        }
        let request = flow.request.as_ref().map(|head| &head.headers);
        let answers = flow.interim.iter().chain(&flow.response).map(|head| &head.headers);
        for field in request.into_iter().chain(answers).flatten() {
            if seen.is_new((row, field.name(), field.value())) {
                self.header(scan, field);
            }
        }
        flow.rules.iter().for_each(|hit| _ = self.rule(scan, hit));
        flow.notes.iter().for_each(|note| _ = self.words(scan, note));
        let failure = flow.finished.as_ref().and_then(|end| end.failure.as_ref());
        failure.into_iter().for_each(|failure| _ = self.failure(scan, failure));
    }
}

/// So many are remembered; then it begins again.
const MOST_SEEN: usize = 1 << 16;

/// Header fields and URLs that were looked at: most of a session are sent over and over, and tell
/// nothing the second time.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    hashes: HashSet<u64, RandomState>,
    hasher: RandomState,
}

impl Seen {
    /// Whether this was not seen before.
    fn is_new(&mut self, what: impl Hash) -> bool {
        if self.hashes.len() >= MOST_SEEN {
            self.hashes.clear();
        }
        // Nobody can choose two of one hash: its seed is this process's own.
        self.hashes.insert(self.hasher.hash_one(what))
    }
}
