//! Both directions of one exchange at once: a server may answer before the request is through,
//! and a console may go away at any time.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use consoletap_flow::Headers;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::console::{Answer, Gone, RequestBody};
use crate::exchange::Inlet;
use crate::exchange::download::Download;
use crate::exchange::outlet::Outlet;
use crate::exchange::request::Request;
use crate::headers;
use crate::http1::{BodyError, Frame};
use crate::open_flow::OpenFlow;
use crate::server::{AnswerSource, RequestSink};
use crate::shape::{Pace, Shape};
use crate::tap::Tap;

/// How long a request may stand still that is answered already, on a connection which is going to
/// be closed. A server may have closed it by now, and nothing but sending more would tell.
pub(super) const AFTER_LAST_ANSWER: Duration = Duration::from_secs(2);

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The answer is through, but for its end.
    Complete {
        /// Whether the server's connection can serve another request.
        reusable: bool,
        /// Whether its end is through, too: it came before the request was.
        ended: bool,
        trailers: Option<Headers>,
    },
    /// 101: the client has its head, and the octets behind it are no HTTP.
    Switched,
    /// A kept connection was closed before it took the request: another one may.
    Stale,
    /// The server sent no answer that can be passed on; the client got nothing yet.
    NoAnswer(String),
    /// The server sent none in time; the client got nothing yet.
    Silent(String),
    /// The body of the request is broken; the client got nothing yet.
    BadRequest(String),
    /// The server ended the body of its answer too early.
    Truncated(String),
    /// The answer does not go on, and it is us who break it off: a rule wants it, or a file changed.
    Broken(String),
    /// The client went away.
    ClientGone(String),
}

impl Ending {
    /// The client leaves its answer unread.
    pub(super) fn takes_nothing(idle: Duration) -> Self {
        Self::ClientGone(format!("the client took nothing for {} s", idle.as_secs()))
    }

    /// The body of the answer does not go on.
    pub(super) fn truncated(error: &BodyError) -> Self {
        Self::Truncated(format!("the server's answer broke off: {error}"))
    }
}

impl From<Gone> for Ending {
    fn from(_: Gone) -> Self {
        Self::ClientGone("the client closed the connection".to_owned())
    }
}

/// One request with both its sides.
pub(crate) struct Exchange<'e, 'c> {
    pub(crate) inlet: &'e Inlet,
    pub(crate) request: &'e Request<'e>,
    pub(crate) upgrade: Option<&'e str>,
    pub(crate) flow: &'e mut OpenFlow,
    pub(crate) source: &'e mut RequestBody<'c>,
    pub(crate) answer: &'e mut Answer<'c>,
}

/// What both directions need to know of each other.
#[derive(Default)]
pub(super) struct Progress {
    /// Octets of the request that were sent on.
    pub(super) sent: AtomicU64,
    /// Octets of the answer that the client took.
    pub(super) taken: AtomicU64,
    /// The request is through, or the server takes no more of it.
    pub(super) request_done: AtomicBool,
    /// Told when it is.
    pub(super) through: Notify,
    /// The client got the head of an answer.
    pub(super) answered: AtomicBool,
}

impl Exchange<'_, '_> {
    /// Runs both directions until the answer is through or something broke. `may_be_stale`: the
    /// connection was used before, and the request could be sent again.
    pub(crate) async fn run(
        &mut self,
        from: AnswerSource<'_>,
        mut into: RequestSink<'_>,
        may_be_stale: bool,
    ) -> Ending {
        let progress = Progress::default();
        let idle = self.inlet.shared.settings.deadlines.idle;
        let OpenFlow {
            log, request: request_tap, response: response_tap, timings, document, ..
        } = self.flow;
        let bodiless = self.source.is_done();
        progress.request_done.store(bodiless, Ordering::Relaxed);
        if bodiless && into.flush().await.is_err() && may_be_stale {
            return Ending::Stale;
        }
        let mut download = Download {
            inlet: self.inlet,
            request: self.request,
            upgrade: self.upgrade,
            timings,
            document,
            progress: &progress,
            out: Outlet {
                answer: self.answer,
                tap: response_tap,
                log,
                taken: &progress.taken,
                sent: &progress.sent,
                idle,
                shape: Shape::of(&self.request.decision),
            },
        };
        let rate = self.request.decision.throttle().and_then(|by| by.what.up);
        let source = &mut *self.source;
        let mut client_side = pin!(async {
            if !bodiless {
                upload(source, &mut into, request_tap, &progress, idle, rate.map(Pace::new))
                    .await?;
            }
            progress.through.notify_one();
            source.gone(&progress.taken).await;
            Err::<Infallible, Ending>(Gone.into())
        });
        let ending = tokio::select! {
            biased;
            ending = download.run(from, may_be_stale && bodiless) => ending,
            Err(ending) = &mut client_side => match ending {
                Ending::BadRequest(cause) if progress.answered.load(Ordering::Relaxed) => {
                    Ending::ClientGone(cause)
                }
                ending => ending,
            },
        };
        let awaited = progress.sent.load(Ordering::Relaxed) > 0 || !self.request.awaits_continue();
        match ending {
            Ending::Complete { reusable, trailers, .. }
                if awaited && !progress.request_done.load(Ordering::Relaxed) =>
            {
                // The server answered before it had everything.
                let patience = if reusable { idle } else { AFTER_LAST_ANSWER.min(idle) };
                let ended = end_early(
                    &mut download.out,
                    trailers.as_ref(),
                    client_side,
                    &progress,
                    patience,
                );
                if let Err(ending) = ended.await {
                    return ending;
                }
                Ending::Complete { reusable, ended: true, trailers: None }
            }
            ending => ending,
        }
    }
}

impl Progress {
    /// Resolves once the request has not moved for so long.
    async fn stands_still(&self, patience: Duration) {
        let mut before = self.sent.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(patience).await;
            let after = self.sent.load(Ordering::Relaxed);
            if after == before {
                return;
            }
            before = after;
        }
    }
}

/// Ends an answer that is through before its request is: the client gets the end now, and the rest
/// of its request is taken as long as it keeps at it.
pub(super) async fn end_early(
    out: &mut Outlet<'_, '_>,
    trailers: Option<&Headers>,
    client_side: Pin<&mut impl Future<Output = Result<Infallible, Ending>>>,
    progress: &Progress,
    patience: Duration,
) -> Result<(), Ending> {
    match timeout(out.idle, out.answer.end(trailers)).await {
        Ok(Ok(())) => {}
        Ok(Err(Gone)) => return Err(Gone.into()),
        Err(_) => return Err(Ending::takes_nothing(out.idle)),
    }
    tokio::select! {
        () = progress.through.notified() => {}
        _ = client_side => {
            // One that has said everything may be gone in the same moment.
            if !progress.request_done.load(Ordering::Relaxed) {
                out.log.note("the client had its answer and stopped sending its request");
            }
        }
        () = progress.stands_still(patience) => {}
    }
    Ok(())
}

/// Sends the request's body on. Ends early when the server takes no more: its answer may still
/// come, and says more than our error could.
pub(super) async fn upload(
    source: &mut RequestBody<'_>,
    into: &mut RequestSink<'_>,
    tap: &mut Tap,
    progress: &Progress,
    idle: Duration,
    mut pace: Option<Pace>,
) -> Result<(), Ending> {
    loop {
        let next = tokio::select! {
            biased;
            next = source.next() => Ok(next),
            // Nothing more is at hand, so what there is goes now: the head alone, if need be. With
            // `Expect: 100-continue` nothing follows before the server has seen that.
            () = std::future::ready(()) => {
                if into.flush().await.is_err() {
                    break;
                }
                timeout(idle, source.next()).await
            }
        };
        let frame = match next {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) => {
                let _ = into.end().await;
                break;
            }
            Ok(Err(BodyError::Cut | BodyError::Io(_) | BodyError::Http2(_))) => {
                return Err(Ending::ClientGone(
                    "the client stopped sending its request".to_owned(),
                ));
            }
            Ok(Err(error)) => return Err(Ending::BadRequest(error.to_string())),
            Err(_) => {
                let cause =
                    format!("the client sent nothing of its request for {} s", idle.as_secs());
                return Err(Ending::ClientGone(cause));
            }
        };
        let (frame, octets) = match frame {
            Frame::Data(octets) => {
                tap.see(&octets);
                let rest = match &mut pace {
                    Some(pace) => Box::pin(send_slowly(octets, into, pace, progress)).await,
                    None => Some(octets),
                };
                let Some(octets) = rest else { break };
                let count = octets.len() as u64;
                (Frame::Data(octets), count)
            }
            Frame::Trailers(mut fields) => {
                headers::clean_trailers(&mut fields);
                (Frame::Trailers(fields), 0)
            }
        };
        if into.frame(frame).await.is_err() {
            break;
        }
        progress.sent.fetch_add(octets, Ordering::Relaxed);
    }
    progress.request_done.store(true, Ordering::Relaxed);
    Ok(())
}

/// Sends octets no faster than a rule allows; what is left for the last turn, or `None` where the
/// server takes no more.
async fn send_slowly(
    mut octets: Bytes,
    into: &mut RequestSink<'_>,
    pace: &mut Pace,
    progress: &Progress,
) -> Option<Bytes> {
    while octets.len() > pace.piece() {
        let piece = octets.split_to(pace.piece());
        pace.wait(piece.len()).await;
        let count = piece.len() as u64;
        into.frame(Frame::Data(piece)).await.ok()?;
        into.flush().await.ok()?;
        progress.sent.fetch_add(count, Ordering::Relaxed);
    }
    pace.wait(octets.len()).await;
    Some(octets)
}
