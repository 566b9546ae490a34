//! A small session of a large one, for tests: some flows, without secrets, written so that it reads
//! well in a diff and can be edited by hand.
//!
//! Whatever is another one each time is made the same: numbers of flows and connections, times,
//! addresses of clients, the port of a server on this machine. What is trimmed already stays as it
//! is, but for the edits of people: they are checked, and names and lengths of bodies set right.

mod normal;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use consoletap_catalog::Catalog;
use consoletap_content::{End, decode, kind};
use consoletap_flow::{
    BodyCopy, BodySummary, Digest, Event, Flow, FlowId, Happening, Header, Headers, Kept, State,
};
use consoletap_redact::Redactor;
use consoletap_session::{About, PlainWriter, Session};

use crate::TrimError;
use crate::key::key;
use crate::secretless::Secretless;
use crate::source::learned;
use crate::trim::normal::{Normal, START};

/// So much is kept of a body that is too large: its magic number, and a head.
const BEGINNING: usize = 1 << 10;

/// What to make.
#[derive(Debug, Clone)]
pub struct TrimOptions {
    /// Bodies up to so many octets are kept whole, of others the beginning.
    pub max_body: u64,
    /// Where the session comes from, in words for a person; `None` leaves what was said before.
    pub note: Option<String>,
}

impl Default for TrimOptions {
    fn default() -> Self {
        Self { max_body: 64 << 10, note: None }
    }
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrimmedSession {
    /// How many flows it has.
    pub flows: u64,
    /// How many of them are there since others came through them.
    pub tunnels: u64,
    /// How many secrets were learned.
    pub secrets: usize,
    /// Bodies of which the beginning is left.
    pub cut_bodies: u64,
    /// Bodies that are left out, since they cannot be looked into.
    pub withheld_bodies: u64,
    /// Lines of the log that could not be read.
    pub problems: u64,
}

/// Writes the flows that are wanted, with the tunnels that they came through, to a new directory.
/// The same session gives the same octets each time. Pseudonyms are those of the session's own key;
/// where secrets were taken out before, they stay as they are. All events of these flows are held
/// in memory, and one body at a time.
///
/// # Errors
/// When no flow is wanted, the place is taken, the disk refuses, or a session that was edited by
/// hand has a mistake.
pub fn trim(
    session: &Session,
    catalog: Arc<Catalog>,
    wanted: &dyn Fn(&Flow) -> bool,
    options: TrimOptions,
    out: &Path,
) -> Result<TrimmedSession, TrimError> {
    if out.exists() {
        return Err(TrimError::Exists { directory: out.to_owned() });
    }
    let mut told = TrimmedSession::default();
    let chosen = choose(session, wanted, &mut told)?;
    let flows = gather(session, &chosen);
    let about = session.about();
    let redactor = if about.redacted {
        None
    } else {
        let key = key(session.directory()).map_err(TrimError::Key)?;
        Some(learned(session, Redactor::with_pseudonyms(catalog, key)))
    };
    let about = About {
        started: START,
        options: serde_json::json!({}),
        redacted: true,
        note: options.note.or_else(|| about.note.clone()),
        ..about.clone()
    };
    let mut copy = Copy {
        normal: Normal::of(flows.iter().flat_map(|(_, events)| events)),
        secretless: Secretless::new(session, redactor),
        writer: PlainWriter::create(out, about)?,
        max_body: options.max_body,
        told,
    };
    let write = |source| TrimError::Write { directory: out.to_owned(), source };
    for (flow, events) in flows {
        copy.flow(&flow, events).map_err(write)?;
    }
    copy.finish().map_err(write)
}

/// The flows that are wanted, and their tunnels.
fn choose(
    session: &Session,
    wanted: &dyn Fn(&Flow) -> bool,
    told: &mut TrimmedSession,
) -> Result<BTreeSet<FlowId>, TrimError> {
    let mut chosen = BTreeSet::new();
    let mut tunnels = BTreeSet::new();
    for flow in session.flows() {
        match flow {
            Ok(flow) if wanted(&flow) => {
                chosen.insert(flow.id);
                tunnels.extend(flow.tunnel);
            }
            Ok(_) => {}
            // Whoever edited it wants to know now, and not what is left of it.
            Err(problem) if session.about().trimmed => return Err(TrimError::Edited(problem)),
            Err(_) => told.problems += 1,
        }
    }
    if chosen.is_empty() {
        return Err(TrimError::Nothing { directory: session.directory().to_owned() });
    }
    tunnels.retain(|tunnel| !chosen.contains(tunnel));
    told.tunnels = tunnels.len() as u64;
    chosen.extend(tunnels);
    Ok(chosen)
}

/// These flows with their events, in the order they began.
fn gather(session: &Session, chosen: &BTreeSet<FlowId>) -> Vec<(Flow, Vec<Event>)> {
    let mut flows = BTreeMap::<FlowId, (Flow, Vec<Event>)>::new();
    let events = session.events().flatten().filter(|event| chosen.contains(&event.flow));
    for event in events {
        if let Some((flow, events)) = flows.get_mut(&event.flow) {
            flow.apply(event.clone());
            // The end says it all, and of what has none the last one.
            events.retain(|old| !matches!(old.happening, Happening::Progress { .. }));
            events.push(event);
        } else if let Some(flow) = Flow::open(event.clone()) {
            flows.insert(event.flow, (flow, vec![event]));
        }
    }
    let mut flows: Vec<_> = flows.into_values().collect();
    flows.sort_by_key(|(flow, _)| (flow.started, flow.id));
    flows
}

struct Copy<'s> {
    normal: Normal,
    secretless: Secretless<'s>,
    writer: PlainWriter,
    max_body: u64,
    told: TrimmedSession,
}

impl Copy<'_> {
    fn flow(&mut self, flow: &Flow, events: Vec<Event>) -> io::Result<()> {
        self.told.flows += 1;
        let (mut events, mut bodies) = self.secretless.flow(flow, events);
        for event in &mut events {
            let is_head = flow.request.as_ref().is_some_and(|head| head.method.as_str() == "HEAD");
            let (headers, body) = match (&mut event.happening, &mut bodies) {
                (Happening::Opened(opened), [request, _]) => {
                    (opened.request.as_mut().map(|head| &mut head.headers), request)
                }
                (Happening::Response(head), [_, response]) if !is_head => {
                    (Some(&mut head.headers), response)
                }
                _ => continue,
            };
            if let (Some(headers), Some(body)) = (headers, body) {
                uncode(headers, body, self.max_body);
                if flow.state() == State::Complete {
                    set_length(headers, body);
                }
            }
        }
        for mut event in events {
            if let Happening::Finished(end) = &mut event.happening {
                let [request, response] = std::mem::take(&mut bodies);
                self.keep(request, &mut end.request_body)?;
                self.keep(response, &mut end.response_body)?;
            }
            self.writer.event(&self.normal.event(flow.client, event))?;
        }
        Ok(())
    }

    /// Writes what stays of a body.
    fn keep(&mut self, copy: Option<BodyCopy>, summary: &mut BodySummary) -> io::Result<()> {
        let Some(BodyCopy { octets, whole }) = copy.filter(|copy| !copy.octets.is_empty()) else {
            return Ok(());
        };
        if whole {
            summary.bytes = octets.len() as u64;
            summary.digest = Some(sha256(&octets));
        }
        if whole && summary.bytes <= self.max_body {
            summary.kept = Kept::Whole;
            return self.writer.body(&octets).map(drop);
        }
        let beginning = beginning(&octets);
        self.told.cut_bodies += u64::from(whole || beginning.len() < octets.len());
        let digest = self.writer.body(beginning)?;
        summary.kept = Kept::Prefix { bytes: beginning.len() as u64, digest };
        Ok(())
    }

    fn finish(self) -> io::Result<TrimmedSession> {
        self.writer.finish()?;
        let Secretless { withheld_bodies, .. } = self.secretless;
        Ok(TrimmedSession { secrets: self.secretless.secrets(), withheld_bodies, ..self.told })
    }
}

/// Takes the coding off text, which nobody could read or edit with it.
fn uncode(headers: &mut Headers, body: &mut BodyCopy, most: u64) {
    let Some(coding) = headers.text("content-encoding").filter(|_| body.whole) else { return };
    let cap = usize::try_from(most).unwrap_or(usize::MAX);
    let Ok(decoded) = decode(&body.octets, coding, cap) else { return };
    let is_text = kind(headers.text("content-type"), &decoded.octets).is_text();
    if decoded.end == End::Whole && is_text {
        body.octets = decoded.octets.into_owned();
        headers.remove("content-encoding");
        set_length(headers, body);
    }
}

/// Makes a length true that was said of a body.
fn set_length(headers: &mut Headers, body: &BodyCopy) {
    if body.whole
        && headers.contains("content-length")
        && let Ok(field) = Header::new("Content-Length", body.octets.len().to_string())
    {
        headers.set(field);
    }
}

/// The first octets; of text, whole characters.
fn beginning(octets: &[u8]) -> &[u8] {
    let first = &octets[..octets.len().min(BEGINNING)];
    match std::str::from_utf8(first) {
        Err(error) if error.error_len().is_none() => &first[..error.valid_up_to()],
        _ => first,
    }
}

fn sha256(octets: &[u8]) -> Digest {
    let mut hash = [0; 32];
    // SHA-256 has 32 octets; `zip` cannot panic on another length.
    hash.iter_mut().zip(digest(&SHA256, octets).as_ref()).for_each(|(to, from)| *to = *from);
    Digest::sha256(hash)
}
