//! What rules do before a server is asked, and answers that come from here.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use consoletap_flow::{Effect, Failure, Side, State};
use consoletap_rules::{Block, FromHere, Here, LocalFile};

use crate::console::{Answer, Gone, RequestBody};
use crate::exchange::outlet::Outlet;
use crate::exchange::relay::{AFTER_LAST_ANSWER, Ending, Progress, end_early, upload};
use crate::exchange::request::Request;
use crate::exchange::{After, Inlet, after, end_in_time, refusal};
use crate::http1::Framing;
use crate::open_flow::OpenFlow;
use crate::serve::{self, LocalAnswer, LocalBody, OpenError};
use crate::server::RequestSink;
use crate::shape::{Pace, Shape};

/// Does what rules want before a server is asked. `None` where the request goes on.
pub(super) async fn act(
    inlet: &Inlet,
    request: &mut Request<'_>,
    flow: &mut OpenFlow,
    source: &mut RequestBody<'_>,
    answer: &mut Answer<'_>,
) -> Option<After> {
    let decision = request.decision.clone();
    flow.tell_rules(&decision);
    if let Some(throttle) = decision.throttle() {
        flow.log.rule(throttle.hit(Effect::Noted, throttle.what.describe()));
    }
    if let Some(delay) = decision.delay() {
        let did = format!("waited {} ms", delay.what.as_millis());
        flow.log.rule(delay.hit(Effect::Noted, did));
        if !waited(delay.what, source).await {
            return Some(refusal::broken(request, flow, source, answer, Gone.into()).await);
        }
    }
    let (wanted, notes) = decision.from_here(&request.context(inlet));
    notes.into_iter().for_each(|note| flow.log.note(note));
    if let Some(wanted) = wanted
        && let Some(after) = from_here(inlet, request, flow, source, answer, wanted).await
    {
        return Some(after);
    }
    let mapped = decision.map_remote(&request.context(inlet));
    match mapped {
        Ok(None) => {}
        Ok(Some((url, keeps_host, hit))) => {
            flow.log.rule(hit);
            request.map(url, keeps_host);
        }
        Err(note) => flow.log.note(note),
    }
    None
}

/// Waits so long; whether the client is still there then.
pub(super) async fn waited(time: Duration, source: &mut RequestBody<'_>) -> bool {
    let nothing_moves = AtomicU64::new(0);
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        () = source.gone(&nothing_moves) => false,
    }
}

/// Answers as a rule wants it; `None` where its file is not there and the net has it.
async fn from_here(
    inlet: &Inlet,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &mut RequestBody<'_>,
    answer: &mut Answer<'_>,
    wanted: FromHere,
) -> Option<After> {
    let FromHere { what, mut hit } = wanted;
    let to_head = request.is_head();
    let local = match what {
        Here::Block(block) => {
            let failure = Failure::new(Side::Here, format!("blocked by the rule {}", hit.name));
            flow.log.rule(hit);
            let Block::Status(status) = block else {
                return Some(leave(block, failure, flow, answer).await);
            };
            let page = LocalAnswer::page(status, &failure.cause, to_head);
            let sent = both_ways(inlet, request, flow, source, answer, page, None).await;
            let end = (State::Refused, Some(failure));
            return Some(conclude(inlet, request, flow, source, answer, sent, end).await);
        }
        Here::Answer { status, headers, body } => {
            let body =
                if matches!(status, 204 | 304) { LocalBody::None } else { LocalBody::Octets(body) };
            LocalAnswer::new(status, headers, body, to_head)
        }
        Here::File { status, headers, file } => match open(file).await {
            Ok(content) => {
                let local = match status {
                    Some(status) => content.answer_as(status, headers, to_head),
                    None => content.answer(&request.head.method, &request.head.headers, headers),
                };
                hit.did = format!("answered {} from {}", local.head.status, content.name());
                local
            }
            Err((error, or_net)) => {
                if or_net && error.status() == 404 {
                    flow.log.note(format!("rule {}: {error}; taken from the net", hit.name));
                    return None;
                }
                hit.did = format!("answered {} from here: {error}", error.status());
                // Where files lie here is nobody's business but the log's.
                LocalAnswer::page(error.status(), "the rule's file is not here", to_head)
            }
        },
    };
    flow.log.rule(hit);
    Some(answer_with(inlet, request, flow, source, answer, local, None).await)
}

/// Closes the connection without a word.
async fn leave(
    block: Block,
    failure: Failure,
    flow: &mut OpenFlow,
    answer: &mut Answer<'_>,
) -> After {
    flow.finish(State::Refused, Some(failure)).wait().await;
    if block == Block::Reset {
        answer.reset();
        return After::Drop;
    }
    After::Close
}

/// Opens a file of a rule, away from what else goes on.
async fn open(file: LocalFile) -> Result<Arc<serve::LocalContent>, (OpenError, bool)> {
    let or_net = file.or_net;
    let opening = tokio::task::spawn_blocking(move || serve::open(&file)).await;
    match opening {
        Ok(Ok(content)) => Ok(Arc::new(content)),
        Ok(Err(error)) => Err((error, or_net)),
        Err(error) => Err((OpenError::Other("the file".to_owned(), error.into()), false)),
    }
}

/// Answers a request from here, and takes its body in at the same time; the flow ends with both.
///
/// `rate`: no more octets of it a second. The answer does not wait for the body: the network test of a PS4 wants it before (public servers
/// for it answer its POST before they read), and no rule looks at what is sent.
pub(super) async fn answer_with(
    inlet: &Inlet,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &mut RequestBody<'_>,
    answer: &mut Answer<'_>,
    local: LocalAnswer,
    rate: Option<u64>,
) -> After {
    let sent = both_ways(inlet, request, flow, source, answer, local, rate).await;
    let end = (State::Complete, None);
    conclude(inlet, request, flow, source, answer, sent, end).await
}

/// Ends a flow that was answered from here, and with it the answer.
async fn conclude(
    inlet: &Inlet,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &RequestBody<'_>,
    answer: &mut Answer<'_>,
    sent: Result<bool, Ending>,
    (state, failure): (State, Option<Failure>),
) -> After {
    let ended = match sent {
        Ok(ended) => ended,
        Err(ending) => return refusal::broken(request, flow, source, answer, ending).await,
    };
    if !source.is_done() {
        answer.close_after();
    }
    flow.finish(state, failure).wait().await;
    if !ended && !end_in_time(inlet, answer, None).await {
        answer.reset();
        return After::Drop;
    }
    after(answer)
}

/// Sends the answer while the request's body comes in; whether the end of the answer is through,
/// too, because it was there before the end of the request.
async fn both_ways(
    inlet: &Inlet,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &mut RequestBody<'_>,
    answer: &mut Answer<'_>,
    local: LocalAnswer,
    down: Option<u64>,
) -> Result<bool, Ending> {
    let LocalAnswer { mut head, body } = local;
    let acted = request.decision.edit_answer(&mut head.headers, &request.context(inlet));
    flow.log.acted(acted);
    let framing = match &body {
        LocalBody::None => Framing::Empty,
        body => Framing::Length(body.len()),
    };
    let idle = inlet.shared.settings.deadlines.idle;
    let progress = Progress::default();
    let bodiless = source.is_done();
    progress.request_done.store(bodiless, Ordering::Relaxed);
    let rate = request.decision.throttle().and_then(|by| by.what.up);
    let mut outlet = Outlet {
        answer,
        tap: &mut flow.response,
        log: &mut flow.log,
        taken: &progress.taken,
        sent: &progress.sent,
        idle,
        shape: Shape::no_faster(Shape::of(&request.decision), down),
    };
    let request_tap = &mut flow.request;
    let mut client_side = pin!(async {
        if !bodiless {
            // Who reads its answer first may be silent meanwhile: the answer has its own deadline,
            // and what comes after it, too.
            let (mut nowhere, pace) = (RequestSink::Nowhere, rate.map(Pace::new));
            upload(source, &mut nowhere, request_tap, &progress, Duration::MAX, pace).await?;
            progress.through.notify_one();
        }
        source.gone(&progress.taken).await;
        Err::<Infallible, Ending>(Gone.into())
    });
    // What came along with the head is looked at first: a broken body gets its 400, and with a
    // whole one the flow's last event is written before the last octet of the answer.
    if let Poll::Ready(Err(ending)) = poll_fn(|cx| Poll::Ready(client_side.as_mut().poll(cx))).await
    {
        return Err(ending);
    }
    let request_done = || progress.request_done.load(Ordering::Relaxed);
    let comes = || progress.sent.load(Ordering::Relaxed) > 0 || !request.awaits_continue();
    if !request_done() && !comes() {
        // A final answer in place of the 100: whether the body comes now is up to the client, so
        // nothing else can come behind it (RFC 9110 10.1.1).
        outlet.answer.close_after();
    }
    outlet.log.response(head.clone());
    outlet.head(head.status, &head.reason, head.headers, framing)?;
    tokio::select! {
        biased;
        sent = outlet.body(body) => sent?,
        Err(ending) = &mut client_side => return Err(match ending {
            // There is no place for a 400 any more.
            Ending::BadRequest(cause) => Ending::ClientGone(cause),
            ending => ending,
        }),
    }
    if request_done() || !comes() {
        return Ok(false);
    }
    let patience = if outlet.answer.keeps_alive() { idle } else { AFTER_LAST_ANSWER.min(idle) };
    end_early(&mut outlet, None, client_side, &progress, patience).await?;
    Ok(true)
}
