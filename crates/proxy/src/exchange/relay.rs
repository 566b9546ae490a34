//! Both directions of one exchange at once: a server may answer before the request is through,
//! and a console may go away at any time.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use consoletap_flow::{Headers, ResponseHead, Timings, Version};
use consoletap_rules::Context;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::console::{Answer, Gone, RequestBody};
use crate::dial::micros;
use crate::exchange::Inlet;
use crate::exchange::request::Request;
use crate::headers;
use crate::http1::{BodyError, Frame, Framing};
use crate::open_flow::{FlowLog, OpenFlow};
use crate::rewrite::{self, Held};
use crate::serve;
use crate::server::{AnswerSource, NoAnswer, RequestSink, ServerAnswer, ServerBody, is_reusable};
use crate::tap::Tap;

/// How long a request may stand still that a server has answered already, on a connection which
/// it is going to close. It may be closed by now, and nothing but sending more would tell.
const AFTER_LAST_ANSWER: Duration = Duration::from_secs(2);

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
    /// The client went away.
    ClientGone(String),
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
struct Progress {
    /// Octets of the request that were sent on.
    sent: AtomicU64,
    /// Octets of the answer that the client took.
    taken: AtomicU64,
    /// The request is through, or the server takes no more of it.
    request_done: AtomicBool,
    /// Told when it is.
    through: Notify,
    /// The client got the head of an answer.
    answered: AtomicBool,
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
        let OpenFlow { log, request: request_tap, response: response_tap, timings, .. } = self.flow;
        let bodiless = self.source.is_done();
        progress.request_done.store(bodiless, Ordering::Relaxed);
        if bodiless && into.flush().await.is_err() && may_be_stale {
            return Ending::Stale;
        }
        let mut download = Download {
            inlet: self.inlet,
            request: self.request,
            upgrade: self.upgrade,
            log,
            tap: response_tap,
            timings,
            answer: self.answer,
            progress: &progress,
        };
        let source = &mut *self.source;
        let mut client_side = pin!(async {
            if !bodiless {
                upload(source, &mut into, request_tap, &progress, idle).await?;
            }
            progress.through.notify_one();
            source.gone(&progress.taken).await;
            Err::<Infallible, _>(Ending::ClientGone("the client closed the connection".to_owned()))
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
                // The server answered before it had everything. The client gets the answer now,
                // and the server the rest, as long as they keep at it.
                match timeout(idle, download.answer.end(trailers.as_ref())).await {
                    Ok(Ok(())) => {}
                    Ok(Err(Gone)) => return gone(Gone),
                    Err(_) => return takes_nothing(idle),
                }
                let patience = if reusable { idle } else { AFTER_LAST_ANSWER.min(idle) };
                tokio::select! {
                    () = progress.through.notified() => {}
                    _ = &mut client_side => {
                        download.log.note("the client had its answer and stopped sending its request");
                    }
                    () = progress.stands_still(patience) => {}
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

/// Sends the request's body on. Ends early when the server takes no more: its answer may still
/// come, and says more than our error could.
async fn upload(
    source: &mut RequestBody<'_>,
    into: &mut RequestSink<'_>,
    tap: &mut Tap,
    progress: &Progress,
    idle: Duration,
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

/// The answer's direction.
struct Download<'d, 'c> {
    inlet: &'d Inlet,
    request: &'d Request<'d>,
    upgrade: Option<&'d str>,
    log: &'d mut FlowLog,
    tap: &'d mut Tap,
    timings: &'d mut Timings,
    answer: &'d mut Answer<'c>,
    progress: &'d Progress,
}

impl Download<'_, '_> {
    async fn run(&mut self, from: AnswerSource<'_>, may_be_stale: bool) -> Ending {
        let begun = Instant::now();
        let server = match self.final_head(from, may_be_stale).await {
            Ok(Some(server)) => server,
            Ok(None) => return Ending::Switched,
            Err(ending) => return ending,
        };
        self.timings.wait = Some(micros(begun));
        let receiving = Instant::now();
        let ending = self.pass_on(server).await;
        self.timings.receive = Some(micros(receiving));
        ending.unwrap_or_else(|ending| ending)
    }

    /// Passes interim answers on until the final head is there; `None` after a 101.
    async fn final_head<'s>(
        &mut self,
        mut from: AnswerSource<'s>,
        may_be_stale: bool,
    ) -> Result<Option<ServerAnswer<'s>>, Ending> {
        let limits = self.inlet.shared.settings.limits;
        let mut interim = 0;
        loop {
            let incoming = match self.head_in_time(&mut from).await? {
                Ok(incoming) => incoming,
                Err(NoAnswer::Closed | NoAnswer::Failed(_)) if may_be_stale && interim == 0 => {
                    return Err(Ending::Stale);
                }
                Err(error) => return Err(Ending::NoAnswer(error.to_string())),
            };
            match incoming.status() {
                101 => {
                    let head = incoming.into_head();
                    return self.switch(head).await.map(|()| None);
                }
                100..=199 => {
                    interim += 1;
                    if interim > limits.interim {
                        let cause =
                            format!("the server sent more than {} interim answers", limits.interim);
                        return Err(Ending::NoAnswer(cause));
                    }
                    self.pass_interim_on(incoming.into_head()).await?;
                }
                _ => {
                    let to_head = self.request.head.method == "HEAD";
                    return from
                        .into_answer(incoming, to_head, &limits)
                        .map(Some)
                        .map_err(|error| Ending::NoAnswer(error.to_string()));
                }
            }
        }
    }

    /// A head, before the server was silent for too long. An upload that moves is no silence.
    async fn head_in_time(
        &mut self,
        from: &mut AnswerSource<'_>,
    ) -> Result<Result<crate::server::Incoming, NoAnswer>, Ending> {
        let shared = &self.inlet.shared;
        let limit = shared.settings.deadlines.answer;
        let mut sent = self.progress.sent.load(Ordering::Relaxed);
        loop {
            if let Ok(result) = timeout(limit, from.head(&shared.settings.limits)).await {
                return Ok(result);
            }
            let now = self.progress.sent.load(Ordering::Relaxed);
            if now == sent {
                let cause = format!("the server sent no answer within {} s", limit.as_secs());
                return Err(Ending::Silent(cause));
            }
            sent = now;
        }
    }

    async fn pass_interim_on(&mut self, mut head: ResponseHead) -> Result<(), Ending> {
        self.log.tell(consoletap_flow::Happening::Interim(Box::new(head.clone())));
        headers::strip_hop_by_hop(&mut head.headers);
        // RFC 9110 8.6: there is no length in a 1xx or 204, and who believes it waits for ever.
        head.headers.remove("content-length");
        self.answer.interim(&head).await.map(|_| ()).map_err(gone)
    }

    /// The server agreed to switch protocols; the client learns it now and not before.
    async fn switch(&mut self, mut head: ResponseHead) -> Result<(), Ending> {
        let Some(asked) = self.upgrade else {
            return Err(Ending::NoAnswer("the server switched protocols (101) unasked".to_owned()));
        };
        self.log.response(head.clone());
        let protocol = head.headers.text("upgrade").unwrap_or(asked).to_owned();
        if !protocol.eq_ignore_ascii_case(asked) {
            let cause = format!("the server switched to {protocol}, and was asked for {asked}");
            return Err(Ending::NoAnswer(cause));
        }
        headers::strip_hop_by_hop(&mut head.headers);
        headers::restore_upgrade(&mut head.headers, &protocol);
        self.answer.switch(&head).await.map_err(gone)
    }

    /// Passes the final answer on.
    async fn pass_on(&mut self, server: ServerAnswer<'_>) -> Result<Ending, Ending> {
        let ServerAnswer { head, framing, mut body } = server;
        self.log.response(head.clone());
        let reusable = is_reusable(&head, framing)
            && !headers::binds_connection(&head.headers)
            && !headers::binds_connection(&self.request.head.headers);
        let mut fields = head.headers;
        headers::strip_hop_by_hop(&mut fields);
        headers::say_length_once(&mut fields);
        if head.status == 204 {
            fields.remove("content-length");
        }
        if self.inlet.shared.settings.via {
            self.inlet.shared.pseudonym.add(&mut fields, head.version);
        }
        // HTTP/2 says it by the end of the stream.
        if framing == Framing::Empty
            && self.request.head.version != Version::Http2
            && self.request.head.method != "HEAD"
            && !matches!(head.status, 204 | 304)
            && !fields.contains("content-length")
        {
            headers::push(&mut fields, "Content-Length", "0");
        }
        let reason = if head.reason.is_empty() { serve::reason(head.status) } else { &head.reason };
        self.progress.answered.store(true, Ordering::Relaxed);
        if !self.progress.request_done.load(Ordering::Relaxed)
            && (!reusable || self.request.awaits_continue())
        {
            // What the client sends from here on, its body or the next request, cannot be told.
            self.answer.close_after();
        }

        let holds = self.request.decision.rewrites() && head.status == 200;
        if holds && framing != Framing::Empty {
            return self.pass_held_on(head.status, reason, fields, framing, body, reusable).await;
        }
        self.tap.expect(body.expected());
        self.answer.head(head.status, reason, fields, framing).map_err(gone)?;
        let trailers = self.stream(&mut body).await?;
        Ok(Ending::Complete { reusable: reusable && body.is_done(), ended: false, trailers })
    }

    /// Streams a body, with back-pressure: nothing is read before what was read is on its way.
    async fn stream(&mut self, body: &mut ServerBody<'_>) -> Result<Option<Headers>, Ending> {
        let idle = self.inlet.shared.settings.deadlines.idle;
        let mut trailers = None;
        loop {
            let next = tokio::select! {
                biased;
                next = body.next() => Ok(next),
                // Nothing more is at hand, so what there is goes now.
                () = std::future::ready(()) => {
                    match timeout(idle, self.answer.flush()).await {
                        Ok(sent) => sent.map_err(gone)?,
                        Err(_) => return Err(takes_nothing(idle)),
                    }
                    timeout(idle, body.next()).await
                }
            };
            match next {
                Ok(Ok(Some(Frame::Data(octets)))) => {
                    self.send(octets, body.is_done(), idle).await?
                }
                Ok(Ok(Some(Frame::Trailers(mut fields)))) => {
                    headers::clean_trailers(&mut fields);
                    trailers = Some(fields);
                }
                Ok(Ok(None)) => return Ok(trailers),
                Ok(Err(error)) => return Err(truncated(&error)),
                Err(_) => return Err(truncated(&BodyError::Idle(idle.as_secs()))),
            }
        }
    }

    async fn send(&mut self, octets: Bytes, last: bool, idle: Duration) -> Result<(), Ending> {
        match timeout(idle, self.answer.data(octets.clone(), last)).await {
            Ok(sent) => sent.map_err(gone)?,
            Err(_) => return Err(takes_nothing(idle)),
        }
        // Hashed behind the sending: the client works on it meanwhile.
        self.tap.see(&octets);
        self.progress.taken.fetch_add(octets.len() as u64, Ordering::Relaxed);
        self.log.progress(self.progress.sent.load(Ordering::Relaxed), self.tap.bytes());
        Ok(())
    }

    /// Passes an answer on that a rule wants to change.
    async fn pass_held_on(
        &mut self,
        status: u16,
        reason: &str,
        mut fields: Headers,
        framing: Framing,
        mut body: ServerBody<'_>,
        reusable: bool,
    ) -> Result<Ending, Ending> {
        let settings = &self.inlet.shared.settings;
        let idle = settings.deadlines.idle;
        let cap = settings.limits.held_body;
        let (held, trailers) = match rewrite::hold(&mut body, cap, idle).await {
            Ok(Held::Whole(held, trailers)) => (held, trailers),
            Ok(Held::TooLarge(beginning)) => {
                self.log.note(format!("the body is larger than {cap} bytes; passed on unchanged"));
                self.answer.head(status, reason, fields, framing).map_err(gone)?;
                if !beginning.is_empty() {
                    self.send(beginning.into(), false, idle).await?;
                }
                let trailers = self.stream(&mut body).await?;
                return Ok(Ending::Complete {
                    reusable: reusable && body.is_done(),
                    ended: false,
                    trailers,
                });
            }
            // Nothing was passed on yet, so the client can be told.
            Err(error) => return Err(Ending::NoAnswer(format!("the answer broke off: {error}"))),
        };
        let context =
            Context { classification: &self.request.classification, target: &self.request.target };
        let changed = rewrite::apply(&self.request.decision, &context, &mut fields, held, cap);
        changed.hits.into_iter().for_each(|hit| self.log.rule(hit));
        changed.notes.into_iter().for_each(|note| self.log.note(note));
        let framing = match framing {
            Framing::Chunked | Framing::Close if !changed.changed => framing,
            _ => Framing::Length(changed.body.len() as u64),
        };
        self.answer.head(status, reason, fields, framing).map_err(gone)?;
        if !changed.body.is_empty() {
            self.send(changed.body.into(), true, idle).await?;
        }
        // Trailers tell of the body that came, such as its hash.
        let trailers = trailers.filter(|_| !changed.changed);
        Ok(Ending::Complete { reusable: reusable && body.is_done(), ended: false, trailers })
    }
}

fn gone(_: Gone) -> Ending {
    Ending::ClientGone("the client closed the connection".to_owned())
}

fn takes_nothing(idle: Duration) -> Ending {
    Ending::ClientGone(format!("the client took nothing for {} s", idle.as_secs()))
}

fn truncated(error: &BodyError) -> Ending {
    Ending::Truncated(format!("the server's answer broke off: {error}"))
}
