//! Requests that something answers in the place of their server: asked for, looked at, and sent the
//! way of every answer from here.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use consoletap_flow::{Failure, Headers, Side, State};

use crate::console::{Answer, Gone, RequestBody};
use crate::exchange::held::hold;
use crate::exchange::outlet::Opened;
use crate::exchange::relay::Ending;
use crate::exchange::request::Request;
use crate::exchange::{After, Inlet, after, local, refusal};
use crate::open_flow::OpenFlow;
use crate::origin::{Asked, Origin, Reply, StandIn};
use crate::rewrite;
use crate::serve::{self, LocalAnswer, LocalBody, NotThere, Pieces};

/// Asks the stand-in. The body comes back where the request goes to its server.
pub(super) async fn ask<'s>(
    origin: &Arc<dyn Origin>,
    inlet: &Inlet,
    request: &Request<'_>,
    fields: &Headers,
    flow: &mut OpenFlow,
    source: RequestBody<'s>,
    answer: &mut Answer<'_>,
) -> Result<After, RequestBody<'s>> {
    let mut source = match hold(origin.body_wanted(), inlet, request, source, answer).await {
        Ok(source) => source,
        Err((source, ending)) => {
            return Ok(refusal::broken(request, flow, &source, answer, ending).await);
        }
    };
    let (body, whole) = match &source {
        RequestBody::Held { beginning, rest, .. } => (&beginning[..], rest.is_done()),
        source => (&[][..], source.is_done()),
    };
    let asked = Asked {
        flow: flow.id(),
        method: request.head.method.as_str(),
        url: &request.url,
        headers: fields,
        body,
        whole,
        classification: &request.classification,
    };
    match origin.answer(asked).await {
        Reply::Forward => Err(source),
        Reply::Refuse { status, why } => {
            Ok(refuse(status, why, request, flow, &source, answer).await)
        }
        Reply::Answer(stored) => {
            Ok(send(origin, inlet, request, fields, flow, &mut source, answer, *stored).await)
        }
    }
}

async fn refuse(
    status: u16,
    why: String,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &RequestBody<'_>,
    answer: &mut Answer<'_>,
) -> After {
    if !source.is_done() {
        answer.close_after();
    }
    let page = LocalAnswer::page(status, &why, request.is_head());
    // A row has one line.
    let cause = why.lines().map(str::trim).collect::<Vec<_>>().join("; ");
    refusal::say(flow, answer, &page, State::Refused, Failure::new(Side::Here, cause)).await;
    after(answer)
}

#[expect(clippy::too_many_arguments, reason = "both sides of an exchange, and what is sent")]
async fn send(
    origin: &Arc<dyn Origin>,
    inlet: &Inlet,
    request: &Request<'_>,
    fields: &Headers,
    flow: &mut OpenFlow,
    source: &mut RequestBody<'_>,
    answer: &mut Answer<'_>,
    mut stored: StandIn,
) -> After {
    let mut notes = std::mem::take(&mut stored.notes);
    let (missing, wait, receive) = (stored.missing, stored.wait, stored.receive);
    let local = serve::answer(stored, origin, &request.head.method, fields, &mut notes);
    notes.into_iter().for_each(|note| flow.log.note(note));
    let mut local = match local {
        Ok(local) => local,
        Err(NotThere(why)) => return refuse(missing, why, request, flow, source, answer).await,
    };
    if let Err(why) = begin(&mut local.body).await {
        return refuse(missing, why, request, flow, source, answer).await;
    }
    if request.decision.rewrites() && local.head.status == 200 && !request.is_head() {
        local = match rewritten(inlet, request, flow, local).await {
            Ok(local) => local,
            Err(ending) => return refusal::broken(request, flow, source, answer, ending).await,
        };
    }
    if !wait.is_zero() && !local::waited(wait, source).await {
        return refusal::broken(request, flow, source, answer, Gone.into()).await;
    }
    let rate = rate(local.body.len(), receive);
    local::answer_with(inlet, request, flow, source, answer, local, rate).await
}

/// Opens the first of many stored bodies: where it is not there, the client can still be told.
async fn begin(body: &mut LocalBody) -> Result<(), String> {
    let LocalBody::Pieces(Pieces { origin, pieces, .. }) = body else { return Ok(()) };
    let Some(first) = pieces.first() else { return Ok(()) };
    match Opened::of(origin, first.clone()).await {
        Ok(_) => Ok(()),
        Err(Ending::Broken(why)) => Err(why),
        Err(_) => Err("the stored body cannot be read".to_owned()),
    }
}

/// What rules make of an answer, where it is small enough to be held.
async fn rewritten(
    inlet: &Inlet,
    request: &Request<'_>,
    flow: &mut OpenFlow,
    local: LocalAnswer,
) -> Result<LocalAnswer, Ending> {
    let cap = inlet.shared.settings.limits.held_body;
    if local.body.len() > cap as u64 {
        flow.log.note(format!("the body is larger than {cap} bytes; passed on unchanged"));
        return Ok(local);
    }
    let LocalAnswer { mut head, body } = local;
    let held = match body {
        LocalBody::Octets(octets) => octets,
        LocalBody::Pieces(Pieces { missing: Some(why), .. }) => return Err(Ending::NoAnswer(why)),
        LocalBody::Pieces(pieces) => all(pieces).await?,
        // There is nothing in it to change.
        body => return Ok(LocalAnswer { head, body }),
    };
    let context = request.context(inlet);
    let mut changed =
        rewrite::apply(&request.decision, &context, &mut head.headers, held.to_vec(), cap);
    std::mem::take(&mut changed.hits).into_iter().for_each(|hit| flow.log.rule(hit));
    std::mem::take(&mut changed.notes).into_iter().for_each(|note| flow.log.note(note));
    // The stand-in was asked for all of it; what the client wanted of that is selected now.
    if let Some(selected) = rewrite::select(&request.head, &head.headers, &changed) {
        return Ok(selected);
    }
    Ok(LocalAnswer { head, body: LocalBody::Octets(changed.body.into()) })
}

/// All octets of stored bodies, which are few enough to be held.
async fn all(body: Pieces) -> Result<Bytes, Ending> {
    let Pieces { origin, pieces, .. } = body;
    let mut held = BytesMut::new();
    for piece in pieces {
        held.extend_from_slice(&Opened::of(&origin, piece).await?.octets().await?);
    }
    Ok(held.freeze())
}

/// Octets a second, so that so many take so long.
fn rate(octets: u64, time: Duration) -> Option<u64> {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let rate = u128::from(octets) * 1_000_000 / u128::from(micros.max(1));
    (micros > 0 && octets > 0).then(|| u64::try_from(rate).unwrap_or(u64::MAX).max(1))
}
