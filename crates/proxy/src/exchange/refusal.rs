//! Exchanges that end with words of ours, or without any.

use consoletap_flow::{Classification, Failure, Kind, Opened, RequestHead, Side, State, Target};

use crate::console::{Answer, Gone, RequestBody};
use crate::dial::DialError;
use crate::exchange::relay::Ending;
use crate::exchange::request::Request;
use crate::exchange::{After, Inlet, after};
use crate::http1::Framing;
use crate::open_flow::OpenFlow;
use crate::serve::{LocalAnswer, LocalBody};

/// Says no, with a row and a page.
pub(crate) async fn refuse(
    inlet: &Inlet,
    head: RequestHead,
    target: Option<Target>,
    answer: &mut Answer<'_>,
    status: u16,
    cause: String,
) -> After {
    let page = LocalAnswer::page(status, &cause, head.method == "HEAD");
    let mut flow = OpenFlow::begin(
        &inlet.shared,
        Opened {
            kind: Kind::Refused,
            client: inlet.client,
            tunnel: inlet.inside.as_ref().map(|inside| inside.flow),
            target,
            request: Some(head),
            classification: Classification::default(),
        },
    );
    let side = if status == 508 { Side::Here } else { Side::Client };
    answer.close_after();
    say(&mut flow, answer, &page, State::Refused, Failure::new(side, cause)).await;
    After::Close
}

/// Answers with a page of ours and ends the flow.
pub(crate) async fn say(
    flow: &mut OpenFlow,
    answer: &mut Answer<'_>,
    page: &LocalAnswer,
    state: State,
    failure: impl Into<Option<Failure>>,
) {
    flow.log.response(page.head.clone());
    let sent = put(page, answer).await;
    if let (Ok(()), LocalBody::Octets(octets)) = (&sent, &page.body) {
        flow.response.see(octets);
    }
    flow.finish(state, failure.into()).wait().await;
    if sent.is_ok() {
        // A client that went away meanwhile has no use for the page.
        let _ = answer.end(None).await;
    }
}

/// Puts a page on its way; `answer.end` sends its last octet.
pub(crate) async fn put(page: &LocalAnswer, answer: &mut Answer<'_>) -> Result<(), Gone> {
    let LocalAnswer { head, body } = page;
    let fields = head.headers.clone();
    match body {
        LocalBody::Octets(octets) => {
            let framing = Framing::Length(octets.len() as u64);
            answer.head(head.status, &head.reason, fields, framing)?;
            answer.data(octets.clone(), true).await
        }
        // A page is never a file.
        LocalBody::None | LocalBody::File(_) | LocalBody::Pieces(_) => {
            answer.head(head.status, &head.reason, fields, Framing::Empty)
        }
    }
}

/// There is no way to the server.
pub(super) async fn unreachable(
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &RequestBody<'_>,
    answer: &mut Answer<'_>,
    error: &DialError,
) -> After {
    let page = LocalAnswer::page(error.status(), &error.to_string(), request.is_head());
    let state = if error.is_refusal() { State::Refused } else { State::UpstreamError };
    if !source.is_done() {
        answer.close_after();
    }
    say(flow, answer, &page, state, error.failure()).await;
    after(answer)
}

/// The exchange began and did not end well.
pub(super) async fn broken(
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &RequestBody<'_>,
    answer: &mut Answer<'_>,
    ending: Ending,
) -> After {
    let (status, state, failure) = match ending {
        Ending::NoAnswer(cause) => {
            (Some(502), State::UpstreamError, Failure::new(Side::Upstream, cause))
        }
        Ending::Silent(cause) => {
            (Some(504), State::UpstreamError, Failure::new(Side::Upstream, cause))
        }
        Ending::BadRequest(cause) => (Some(400), State::Refused, Failure::new(Side::Client, cause)),
        Ending::Truncated(cause) => (None, State::Truncated, Failure::new(Side::Upstream, cause)),
        Ending::Broken(cause) => (None, State::Truncated, Failure::new(Side::Here, cause)),
        Ending::ClientGone(cause) => {
            (None, State::AbortedByClient, Failure::new(Side::Client, cause))
        }
        // Handled by the caller; a second way to end them would be a second truth.
        Ending::Stale | Ending::Switched | Ending::Complete { .. } => return After::Close,
    };
    let Some(status) = status else {
        flow.finish(state, Some(failure)).wait().await;
        // What waits for a client that is gone may have been sent in part: it is left alone.
        if state == State::Truncated && answer.break_off().await {
            return After::Close;
        }
        answer.reset();
        return After::Drop;
    };
    if !source.is_done() {
        answer.close_after();
    }
    let page = LocalAnswer::page(status, &failure.cause, request.is_head());
    say(flow, answer, &page, state, failure).await;
    after(answer)
}
