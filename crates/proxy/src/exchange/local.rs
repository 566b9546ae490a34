//! What rules do before a server is asked, and answers that come from here.

use std::sync::Arc;

use consoletap_flow::{Effect, Failure, Headers, ResponseHead, Side, State, Version};
use consoletap_rules::{Block, FromHere, Here, LocalFile};

use crate::console::{Answer, Gone, RequestBody};
use crate::exchange::outlet::Outlet;
use crate::exchange::relay::{Ending, Progress, upload};
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
        let nothing_moves = std::sync::atomic::AtomicU64::new(0);
        let gone = tokio::select! {
            () = tokio::time::sleep(delay.what) => false,
            () = source.gone(&nothing_moves) => true,
        };
        if gone {
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
            return Some(block_with(block, failure, request, flow, source, answer).await);
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
    Some(answer_with(inlet, request, flow, source, answer, local).await)
}

async fn block_with(
    block: Block,
    failure: Failure,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &RequestBody<'_>,
    answer: &mut Answer<'_>,
) -> After {
    let Block::Status(status) = block else {
        flow.finish(State::Refused, Some(failure)).wait().await;
        if block == Block::Reset {
            answer.reset();
            return After::Drop;
        }
        return After::Close;
    };
    if !source.is_done() {
        answer.close_after();
    }
    let page = LocalAnswer::page(status, &failure.cause, request.is_head());
    refusal::say(flow, answer, &page, State::Refused, failure).await;
    after(answer)
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

/// Takes the request in and answers it from here; the flow ends with it.
pub(super) async fn answer_with(
    inlet: &Inlet,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &mut RequestBody<'_>,
    answer: &mut Answer<'_>,
    local: LocalAnswer,
) -> After {
    let ending = match take_in(inlet, request, flow, source, answer).await {
        Ok(()) => send(inlet, request, flow, source, answer, local).await,
        Err(ending) => Err(ending),
    };
    if let Err(ending) = ending {
        return refusal::broken(request, flow, source, answer, ending).await;
    }
    flow.finish(State::Complete, None).wait().await;
    if !end_in_time(inlet, answer, None).await {
        answer.reset();
        return After::Drop;
    }
    after(answer)
}

/// Takes in the body of a request that no server gets: it is what the console says, and many a
/// console reads no answer before it has said it all.
async fn take_in(
    inlet: &Inlet,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &mut RequestBody<'_>,
    answer: &mut Answer<'_>,
) -> Result<(), Ending> {
    if source.is_done() {
        return Ok(());
    }
    if request.awaits_continue() {
        let head = ResponseHead {
            status: 100,
            reason: serve::reason(100).into(),
            version: Version::Http11,
            headers: Headers::default(),
        };
        answer.interim(&head).await?;
    }
    let idle = inlet.shared.settings.deadlines.idle;
    let rate = request.decision.throttle().and_then(|by| by.what.up);
    let mut nowhere = RequestSink::Nowhere;
    let progress = Progress::default();
    upload(source, &mut nowhere, &mut flow.request, &progress, idle, rate.map(Pace::new)).await
}

async fn send(
    inlet: &Inlet,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &mut RequestBody<'_>,
    answer: &mut Answer<'_>,
    local: LocalAnswer,
) -> Result<(), Ending> {
    let LocalAnswer { mut head, body } = local;
    let acted = request.decision.edit_answer(&mut head.headers, &request.context(inlet));
    flow.log.acted(acted);
    flow.log.response(head.clone());
    let framing = match &body {
        LocalBody::None => Framing::Empty,
        body => Framing::Length(body.len()),
    };
    let progress = Progress::default();
    let mut outlet = Outlet {
        answer,
        tap: &mut flow.response,
        log: &mut flow.log,
        taken: &progress.taken,
        sent: &progress.sent,
        idle: inlet.shared.settings.deadlines.idle,
        shape: Shape::of(&request.decision),
    };
    let sending = async {
        outlet.head(head.status, &head.reason, head.headers, framing)?;
        outlet.body(body).await
    };
    tokio::select! {
        biased;
        ended = sending => ended,
        () = source.gone(&progress.taken) => Err(Gone.into()),
    }
}
