//! A session read flow by flow, with bodies, and without secrets unless they are wanted.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_content::{Decoded, UnknownCoding, decode};
use consoletap_flow::{BodySide, BodySummary, Digest, EntryId, Flow, Header, Headers, Kept};
use consoletap_redact::{Redacted, Redactor};
use consoletap_session::{ReadProblem, Session};

use crate::key;

/// A larger body is not looked through for secrets, and so withheld where they are taken out.
pub(crate) const LARGEST_SEARCHED: u64 = 16 << 20;

/// A body of so many octets is small.
const SMALL: u64 = 64 << 10;

/// What happens to secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They stay.
    Keep,
    /// They get pseudonyms.
    Replace,
}

/// A session to be written in another form.
#[derive(Debug)]
pub struct Source {
    session: Session,
    redactor: Option<Redactor>,
    /// The largest body that is given out.
    body_cap: u64,
}

/// A flow with its bodies.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The flow.
    pub flow: Flow,
    /// The request's body.
    pub request_body: Body,
    /// The answer's body.
    pub response_body: Body,
}

/// A body, as it went over the wire.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Body {
    /// How many octets passed.
    pub bytes: u64,
    /// What there is of it.
    pub octets: Vec<u8>,
    /// Why that is not all.
    pub missing: Option<Missing>,
}

/// Why a body is not there, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The session holds its beginning only.
    Rest,
    /// None of it is there; and why.
    All(String),
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rest => f.write_str("only its beginning was kept"),
            Self::All(why) => f.write_str(why),
        }
    }
}

impl Body {
    /// The body without its codings, up to `cap` octets.
    ///
    /// # Errors
    /// When a coding is not known.
    pub fn decoded(
        &self,
        headers: Option<&Headers>,
        cap: usize,
    ) -> Result<Decoded<'_>, UnknownCoding> {
        let coding = headers.and_then(|headers| headers.text("content-encoding"));
        decode(&self.octets, coding.unwrap_or_default(), cap)
    }
}

impl Source {
    /// A session. Where secrets are replaced, all of it is read once now, to learn them.
    ///
    /// # Errors
    /// When this machine gives no random octets for the key of pseudonyms.
    pub fn new(
        session: Session,
        catalog: Arc<Catalog>,
        secrets: Secrets,
        body_cap: u64,
    ) -> io::Result<Self> {
        let mut source = Self { session, redactor: None, body_cap };
        if secrets == Secrets::Replace {
            let key = key(source.session.directory())?;
            let redactor = Redactor::with_pseudonyms(catalog, key);
            source.redactor = Some(learned(&source.session, redactor));
        }
        Ok(source)
    }

    /// A session with its secrets.
    #[must_use]
    pub fn as_it_is(session: Session, body_cap: u64) -> Self {
        Self { session, redactor: None, body_cap }
    }

    /// The same, with its secrets taken out by something that knows them.
    #[must_use]
    pub fn redacted_by(self, redactor: Redactor) -> Self {
        Self { redactor: Some(redactor), ..self }
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What takes the secrets out.
    #[must_use]
    pub fn redactor(&self) -> Option<&Redactor> {
        self.redactor.as_ref()
    }

    /// Its flows as they were recorded, secrets and all: to choose from, not to show.
    pub fn flows(&self) -> impl Iterator<Item = Result<Flow, ReadProblem>> + use<> {
        self.session.flows()
    }

    /// The flow as it may be told, with its bodies.
    #[must_use]
    pub fn exchange(&self, flow: &Flow) -> Exchange {
        let summaries = flow.finished.as_ref().map(|end| (end.request_body, end.response_body));
        let (request, response) = summaries.unwrap_or_default();
        let mut told = self.redactor.as_ref().map_or_else(|| flow.clone(), |r| r.flow(flow));
        let (request_body, uncoded) = self.body(flow, BodySide::Request, &request);
        if let Some(head) = &mut told.request {
            fit(&mut head.headers, &request, &request_body, uncoded);
        }
        let (response_body, uncoded) = self.body(flow, BodySide::Response, &response);
        if let Some(head) = &mut told.response {
            fit(&mut head.headers, &response, &response_body, uncoded);
        }
        Exchange { flow: told, request_body, response_body }
    }

    /// A body, and whether its coding is gone.
    fn body(&self, flow: &Flow, part: BodySide, summary: &BodySummary) -> (Body, bool) {
        let mut body = Body { bytes: summary.bytes, ..Body::default() };
        let cap = if self.redactor.is_some() {
            self.body_cap.min(LARGEST_SEARCHED)
        } else {
            self.body_cap
        };
        match load(&self.session, summary, cap) {
            Ok((octets, missing)) => {
                body.octets = octets;
                body.missing = missing;
            }
            Err(why) => {
                body.missing = Some(Missing::All(why));
                return (body, false);
            }
        }
        let Some(redactor) = &self.redactor else { return (body, false) };
        match redactor.body(flow, part, &body.octets) {
            Redacted::Same => (body, false),
            Redacted::Changed { octets, uncoded } => {
                if body.missing.is_none() {
                    body.bytes = octets.len() as u64;
                }
                body.octets = octets;
                (body, uncoded)
            }
            Redacted::Withheld(why) => {
                body.octets = Vec::new();
                body.missing = Some(Missing::All(format!("it may hold secrets: {why}")));
                (body, false)
            }
        }
    }
}

/// Something that takes secrets out, once it knows all of this session.
pub(crate) fn learned(session: &Session, mut redactor: Redactor) -> Redactor {
    Lessons::thorough(session).take_all(&mut redactor);
    redactor
}

/// The secrets of a session, flow by flow. A body that several flows share is read once.
#[derive(Debug)]
pub struct Lessons<'s> {
    session: &'s Session,
    seen: HashSet<(Digest, Option<EntryId>)>,
    is_thorough: bool,
}

impl<'s> Lessons<'s> {
    /// For what leaves the machine: every body that can be looked into.
    #[must_use]
    pub fn thorough(session: &'s Session) -> Self {
        Self { session, seen: HashSet::new(), is_thorough: true }
    }

    /// For what is shown here and now: of bodies the small ones that are no downloads.
    #[must_use]
    pub fn quick(session: &'s Session) -> Self {
        Self { is_thorough: false, ..Self::thorough(session) }
    }

    /// Learns the secrets of all flows.
    pub fn take_all(mut self, redactor: &mut Redactor) {
        for flow in self.session.flows_with_bodies().flatten() {
            self.take(redactor, &flow);
        }
    }

    /// Learns the secrets of a flow and of its bodies.
    pub fn take(&mut self, redactor: &mut Redactor, flow: &Flow) {
        redactor.learn(flow);
        let Some(end) = &flow.finished else { return };
        for (part, summary) in
            [(BodySide::Request, &end.request_body), (BodySide::Response, &end.response_body)]
        {
            let is_small = summary.bytes <= SMALL && !flow.classification.download;
            let Some(digest) = summary.digest.filter(|_| self.is_thorough || is_small) else {
                // The beginning of a larger one.
                if self.is_thorough {
                    self.learn(redactor, flow, part, summary);
                }
                continue;
            };
            if self.seen.insert((digest, flow.classification.entry.clone())) {
                self.learn(redactor, flow, part, summary);
            }
        }
    }

    fn learn(&self, redactor: &mut Redactor, flow: &Flow, part: BodySide, summary: &BodySummary) {
        if let Ok((octets, _)) = load(self.session, summary, LARGEST_SEARCHED)
            && !octets.is_empty()
        {
            redactor.learn_body(flow, part, &octets);
        }
    }
}

/// What is kept of a body, or why there is nothing.
pub(crate) fn load(
    session: &Session,
    summary: &BodySummary,
    cap: u64,
) -> Result<(Vec<u8>, Option<Missing>), String> {
    let (digest, missing) = match (&summary.kept, summary.digest) {
        (Kept::Prefix { digest, .. }, _) => (*digest, Some(Missing::Rest)),
        (Kept::Whole, Some(digest)) => (digest, None),
        _ if summary.bytes == 0 => return Ok((Vec::new(), None)),
        (Kept::Lost, _) => return Err("the disk could not take it".to_owned()),
        _ => return Err("it was not kept".to_owned()),
    };
    read(session, &digest, cap).map(|octets| (octets, missing))
}

fn read(session: &Session, digest: &Digest, cap: u64) -> Result<Vec<u8>, String> {
    let told = |error: io::Error| error.to_string();
    let mut octets = Vec::new();
    let mut body = session.open_body(digest).map_err(told)?;
    let is_checked = session.is_checked(&body);
    (&mut body).take(cap + 1).read_to_end(&mut octets).map_err(told)?;
    if octets.len() as u64 > cap {
        return Err(format!("it is larger than {cap} bytes"));
    }
    if !is_checked {
        return Ok(octets);
    }
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &octets);
    if hash.as_ref() != digest.octets {
        return Err("it was changed or cut after it was recorded".to_owned());
    }
    Ok(octets)
}

/// Makes a head true for a body that was changed.
pub(crate) fn fit(headers: &mut Headers, before: &BodySummary, now: &Body, uncoded: bool) {
    if uncoded {
        headers.remove("content-encoding");
    }
    if now.bytes != before.bytes
        && headers.contains("content-length")
        && let Ok(length) = Header::new("Content-Length", now.bytes.to_string())
    {
        headers.set(length);
    }
}
