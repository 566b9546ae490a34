//! What came, in words for whoever reads why a test failed. Secrets are masked: such text ends in
//! the logs of build machines.

use std::fmt::Write as _;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_filter::Filter;
use consoletap_flow::{Effect, Flow, Kind, State};
use consoletap_redact::Redactor;

use crate::test_proxy::seen::{Request, Seen};

/// So many lines of a kind are listed.
const LISTED: usize = 40;

/// What came, and what of it may have no answer.
pub(super) struct Told<'p> {
    pub(super) seen: &'p Seen,
    pub(super) tolerated: &'p [Filter],
    pub(super) catalog: &'p Arc<Catalog>,
}

impl Told<'_> {
    /// All that was asked, a line each and what became of it; and what else went wrong.
    pub(super) fn all(&self) -> String {
        let redactor = Redactor::masking(Arc::clone(self.catalog));
        let requests = self.seen.requests();
        let flows = requests.iter().map(Request::flow);
        let lines: Vec<String> = flows
            .map(|flow| match no_answer(flow) {
                Some(why) => format!("{}: no answer\n    {why}", line(flow, &redactor)),
                None => format!("{} {}", line(flow, &redactor), became(flow)),
            })
            .collect();
        let mut text = match lines.is_empty() {
            true => "nothing was asked".to_owned(),
            false => format!("what was asked:{}", listed(&lines)),
        };
        text.push_str(&self.failed_handshakes());
        text
    }

    /// What had no answer and needs one; why, and what is the nearest, in lines below it.
    pub(super) fn unanswered(&self) -> Vec<String> {
        let redactor = Redactor::masking(Arc::clone(self.catalog));
        let needs_one = |request: &Request| !self.tolerated.iter().any(|one| request.fits(one));
        let requests = self.seen.requests().into_iter().filter(needs_one);
        requests
            .filter_map(|request| {
                let why = no_answer(request.flow())?;
                Some(format!("{}\n    {why}", line(request.flow(), &redactor)))
            })
            .collect()
    }

    /// Why the test fails now; nothing where it does not. Where it fails anyway, TLS that failed is a
    /// likely reason.
    pub(super) fn at_the_end(&self, fails_anyway: bool) -> Option<String> {
        let (unanswered, handshakes) = (self.unanswered(), self.failed_handshakes());
        let what = match unanswered.len() {
            0 if fails_anyway && !handshakes.is_empty() => {
                return Some(handshakes.trim_start().to_owned());
            }
            0 => return None,
            1 => "a request had no answer".to_owned(),
            count => format!("{count} requests had no answer"),
        };
        Some(format!("{what}:{}{handshakes}", listed(&unanswered)))
    }

    /// Tunnels in which TLS failed, since what was to be asked in them was never seen.
    fn failed_handshakes(&self) -> String {
        let failed: Vec<String> = self
            .seen
            .all()
            .iter()
            .filter(|request| request.flow().kind == Kind::TlsFailure)
            .map(|request| {
                let why = cause(request.flow()).unwrap_or("the client went away");
                format!("{}: {why}", request.url())
            })
            .collect();
        match failed.is_empty() {
            true => String::new(),
            false => format!(
                "\nTLS failed; does the client trust the CA of `ca_pem()`?{}",
                listed(&failed)
            ),
        }
    }
}

/// What an assertion about unused answers says.
pub(super) fn unused(unused: &[String], all: &str) -> String {
    let what = match unused.len() {
        1 => "an answer was never asked for".to_owned(),
        count => format!("{count} answers were never asked for"),
    };
    format!("{what}:{}\n{all}", listed(unused))
}

/// Lines below a heading.
fn listed(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines.iter().take(LISTED) {
        let _ = write!(text, "\n  {line}");
    }
    let more = lines.len().saturating_sub(LISTED);
    if more > 0 {
        let _ = write!(text, "\n  and {more} more");
    }
    text
}

fn line(flow: &Flow, redactor: &Redactor) -> String {
    let flow = redactor.row(flow);
    let method = flow.request.as_ref().map_or("?", |head| head.method.as_str());
    let target = flow.target.as_ref().map(ToString::to_string);
    format!("{method} {}", target.unwrap_or_else(|| "something that is no URL".to_owned()))
}

/// How a request that has an answer stands.
fn became(flow: &Flow) -> String {
    let status = flow.status().map(|status| status.to_string());
    let failed = cause(flow).map(|cause| format!("({cause})"));
    let waits = "(not answered yet)".to_owned();
    match (status, failed) {
        (Some(status), Some(failed)) => format!("{status} {failed}"),
        (status, failed) => status.or(failed).unwrap_or(waits),
    }
}

fn cause(flow: &Flow) -> Option<&str> {
    Some(&flow.finished.as_ref()?.failure.as_ref()?.cause)
}

/// Why there was no answer; nothing where there was one, if only from a rule.
fn no_answer(flow: &Flow) -> Option<String> {
    let is_refused = matches!(flow.state(), State::Refused | State::UpstreamError);
    let is_blocked = flow.rules.iter().any(|hit| hit.effect == Effect::Blocked);
    // A row has one line; what a client was told had several.
    (is_refused && !is_blocked)
        .then(|| cause(flow).unwrap_or("it was not served").replace("; ", "\n    "))
}
