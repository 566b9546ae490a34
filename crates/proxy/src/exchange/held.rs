//! Bodies of requests of which something must be known, or changed, before they go on.

use bytes::BytesMut;
use consoletap_flow::{Headers, ResponseHead, Version};

use crate::console::{Answer, Gone, RequestBody};
use crate::exchange::relay::Ending;
use crate::exchange::request::Request;
use crate::exchange::{After, Inlet, refusal};
use crate::http1::{BodyError, Frame};
use crate::open_flow::OpenFlow;
use crate::rewrite;
use crate::serve;

/// Changes the body of a request as a rule wants it; it goes on as it came where that cannot be
/// done, and the row says why.
pub(super) async fn rewritten<'s>(
    inlet: &Inlet,
    request: &mut Request<'_>,
    flow: &mut OpenFlow,
    source: RequestBody<'s>,
    answer: &mut Answer<'_>,
) -> Result<RequestBody<'s>, After> {
    let cap = inlet.shared.settings.limits.held_body;
    let too_large = || format!("the request's body is larger than {cap} bytes; sent on unchanged");
    if source.expected().is_some_and(|length| length > cap as u64) {
        flow.log.note(too_large());
        return Ok(source);
    }
    let source = match hold(cap.saturating_add(1), inlet, request, source, answer).await {
        Ok(source) => source,
        Err((source, ending)) => {
            return Err(refusal::broken(request, flow, &source, answer, ending).await);
        }
    };
    request.is_held = true;
    let RequestBody::Held { beginning, trailers, rest } = source else { return Ok(source) };
    if beginning.len() > cap || !rest.is_done() {
        flow.log.note(too_large());
        return Ok(RequestBody::Held { beginning, trailers, rest });
    }
    let changed = rewrite::apply_to_request(
        &request.decision,
        &request.context(inlet),
        &request.head.headers,
        &beginning,
        cap,
    );
    flow.log.acted(changed.acted);
    let Some(body) = changed.body else {
        return Ok(RequestBody::Held { beginning, trailers, rest });
    };
    request.sent_length = Some(body.len() as u64);
    // Trailers tell of the body that came, such as its hash.
    Ok(RequestBody::Held { beginning: body.into(), trailers: None, rest })
}

/// Reads the beginning of a body.
pub(super) async fn hold<'s>(
    wanted: usize,
    inlet: &Inlet,
    request: &Request<'_>,
    mut source: RequestBody<'s>,
    answer: &mut Answer<'_>,
) -> Result<RequestBody<'s>, (RequestBody<'s>, Ending)> {
    if wanted == 0 || source.is_done() {
        return Ok(source);
    }
    if request.awaits_continue() {
        // What is asked for depends on the body, so that it has to come first.
        let head = ResponseHead {
            status: 100,
            reason: serve::reason(100).into(),
            version: Version::Http11,
            headers: Headers::default(),
        };
        if answer.interim(&head).await.is_err() {
            return Err((source, Gone.into()));
        }
    }
    let idle = inlet.shared.settings.deadlines.idle;
    let mut beginning = BytesMut::new();
    let mut trailers = None;
    while beginning.len() < wanted {
        match tokio::time::timeout(idle, source.next()).await {
            Ok(Ok(Some(Frame::Data(octets)))) => beginning.extend_from_slice(&octets),
            Ok(Ok(Some(Frame::Trailers(fields)))) => trailers = Some(fields),
            Ok(Ok(None)) => break,
            Ok(Err(BodyError::Cut | BodyError::Io(_) | BodyError::Http2(_))) => {
                let cause = "the client stopped sending its request".to_owned();
                return Err((source, Ending::ClientGone(cause)));
            }
            Ok(Err(error)) => return Err((source, Ending::BadRequest(error.to_string()))),
            Err(_) => {
                let cause =
                    format!("the client sent nothing of its request for {} s", idle.as_secs());
                return Err((source, Ending::ClientGone(cause)));
            }
        }
    }
    Ok(RequestBody::Held { beginning: beginning.freeze(), trailers, rest: Box::new(source) })
}
