//! Trimmed sessions, which people edit: their mistakes are told line by line, where a writer's
//! lines are taken as they are; and a body is what its line says, whatever was said of it before
//! somebody edited it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use consoletap_flow::{
    BodySummary, Digest, Event, Flow, FlowId, Happening, Header, Headers, Kept, State,
};
use serde_json::Value;

use crate::layout;
use crate::line::{Entry, KINDS};
use crate::small_bodies;

/// What was read so far.
#[derive(Debug)]
pub(crate) struct ByHand {
    directory: PathBuf,
    /// The lengths of the bodies in the log.
    bodies: HashMap<[u8; 32], u64>,
    open: HashSet<FlowId>,
    over: HashSet<FlowId>,
}

impl ByHand {
    pub(crate) fn new(directory: &Path) -> Self {
        let (bodies, open, over) = (HashMap::new(), HashSet::new(), HashSet::new());
        Self { directory: directory.to_owned(), bodies, open, over }
    }

    /// Takes in a line; sets right what it says of bodies that were edited.
    ///
    /// # Errors
    /// When it cannot stand where it stands; in words, with what was expected.
    pub(crate) fn look(&mut self, entry: &mut Entry, line: &[u8]) -> Result<(), String> {
        match entry {
            Entry::Gap(_) | Entry::Skimmed(_) => Ok(()),
            Entry::Unknown => Err(unknown(line)),
            Entry::Body => {
                let name = small_bodies::name_of(line)
                    .ok_or("a body is named by the 64 hex digits of its `sha256`")?;
                let octets = small_bodies::read(line).map_err(|error| error.to_string())?;
                self.bodies.insert(name, octets.len() as u64);
                Ok(())
            }
            Entry::Event(event) => self.event(event),
        }
    }

    fn event(&mut self, event: &mut Event) -> Result<(), String> {
        let id = event.flow;
        if self.over.contains(&id) {
            return Err(format!("flow {id} is `finished` before this line"));
        }
        let opens = matches!(event.happening, Happening::Opened(_));
        match (opens, self.open.contains(&id)) {
            (true, true) => {
                return Err(format!("flow {id} is `opened` before this line; each has its number"));
            }
            (false, false) => {
                return Err(format!("flow {id} is not `opened` before this line"));
            }
            _ => {}
        }
        if opens {
            self.open.insert(id);
        }
        if let Happening::Finished(end) = &mut event.happening {
            for (key, body) in
                [("request_body", &mut end.request_body), ("response_body", &mut end.response_body)]
            {
                self.body(body).map_err(|what| format!("`{key}`: {what}"))?;
            }
            self.over.insert(id);
        }
        Ok(())
    }

    /// Looks for a body that is said to be kept.
    fn body(&self, body: &mut BodySummary) -> Result<(), String> {
        let (digest, said) = match (&mut body.kept, body.digest) {
            (Kept::Whole, None) => {
                return Err("`kept` is \"whole\", and a `digest` has to name the body".to_owned());
            }
            (Kept::Whole, Some(digest)) => (digest, &mut body.bytes),
            (Kept::Prefix { bytes, digest }, _) => (*digest, bytes),
            (Kept::Nothing | Kept::Lost, _) => return Ok(()),
        };
        if let Some(length) = self.bodies.get(&digest.octets) {
            *said = *length;
            return Ok(());
        }
        if self.is_a_file(&digest) {
            return Ok(());
        }
        let hex = digest.hex();
        Err(format!(
            "{digest} is kept; expected a line {{\"body\":{{\"sha256\":\"{}…\",\"text\":\"…\"}}}} \
             before this one, or a file in {}/{}",
            &hex[..8],
            layout::BODIES,
            &hex[..2]
        ))
    }

    fn is_a_file(&self, digest: &Digest) -> bool {
        layout::body(&self.directory, digest).is_some_and(|path| path.is_file())
    }
}

/// What is wrong with a line that says nothing.
fn unknown(line: &[u8]) -> String {
    let line = serde_json::from_slice::<Value>(line).unwrap_or_default();
    let kind = match line.get("event") {
        Some(Value::String(kind)) => Some(kind),
        Some(Value::Object(kind)) => kind.keys().next(),
        _ => None,
    };
    match kind {
        Some(kind) => {
            format!("`{kind}` is no kind of event; expected one of {}", KINDS.join(", "))
        }
        None => "expected an event (`flow`, `at`, `event`) or a `body`".to_owned(),
    }
}

/// Makes the heads of a flow true for bodies that were edited.
pub(crate) fn fit(flow: &mut Flow) {
    let Some(end) = &flow.finished else { return };
    // Of a transfer that was cut off, the head says how long it should have been.
    if end.state != State::Complete {
        return;
    }
    let has_no_body = flow.request.as_ref().is_some_and(|head| head.method.as_str() == "HEAD");
    if let Some(head) = &mut flow.request {
        fit_length(&mut head.headers, &end.request_body);
    }
    if let Some(head) = flow.response.as_mut().filter(|_| !has_no_body) {
        fit_length(&mut head.headers, &end.response_body);
    }
}

fn fit_length(headers: &mut Headers, body: &BodySummary) {
    let length = body.bytes.to_string();
    let said = headers.text("content-length");
    if body.kept == Kept::Whole
        && said.is_some_and(|said| said != length)
        && let Ok(field) = Header::new("Content-Length", length)
    {
        headers.set(field);
    }
}
