//! The answer's direction: interim answers, the head, the body, with back-pressure.

use std::sync::atomic::Ordering;

use consoletap_flow::{Headers, ResponseHead, Timings, Version};
use tokio::time::{Instant, timeout};

use crate::describe::Expected;
use crate::dial::micros;
use crate::exchange::Inlet;
use crate::exchange::outlet::Outlet;
use crate::exchange::relay::{Ending, Progress};
use crate::exchange::request::Request;
use crate::headers;
use crate::http1::{BodyError, Frame, Framing};
use crate::rewrite::{self, Held};
use crate::serve::{self, LocalAnswer, LocalBody};
use crate::server::{AnswerSource, NoAnswer, ServerAnswer, ServerBody, is_reusable};

/// The answer's direction.
pub(super) struct Download<'d, 'c> {
    pub(super) inlet: &'d Inlet,
    pub(super) request: &'d Request<'d>,
    pub(super) upgrade: Option<&'d str>,
    pub(super) timings: &'d mut Timings,
    pub(super) document: &'d mut Option<Expected>,
    pub(super) progress: &'d Progress,
    pub(super) out: Outlet<'d, 'c>,
}

impl Download<'_, '_> {
    pub(super) async fn run(&mut self, from: AnswerSource<'_>, may_be_stale: bool) -> Ending {
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
        self.out.log.interim(head.clone());
        headers::strip_hop_by_hop(&mut head.headers);
        // RFC 9110 8.6: there is no length in a 1xx or 204, and who believes it waits for ever.
        head.headers.remove("content-length");
        self.out.answer.interim(&head).await.map(|_| ()).map_err(Ending::from)
    }

    /// The server agreed to switch protocols; the client learns it now and not before.
    async fn switch(&mut self, mut head: ResponseHead) -> Result<(), Ending> {
        let Some(asked) = self.upgrade else {
            return Err(Ending::NoAnswer("the server switched protocols (101) unasked".to_owned()));
        };
        self.out.log.response(head.clone());
        let protocol = head.headers.text("upgrade").unwrap_or(asked).to_owned();
        if !protocol.eq_ignore_ascii_case(asked) {
            let cause = format!("the server switched to {protocol}, and was asked for {asked}");
            return Err(Ending::NoAnswer(cause));
        }
        headers::strip_hop_by_hop(&mut head.headers);
        headers::restore_upgrade(&mut head.headers, &protocol);
        self.out.answer.switch(&head).await.map_err(Ending::from)
    }

    /// Passes the final answer on.
    async fn pass_on(&mut self, server: ServerAnswer<'_>) -> Result<Ending, Ending> {
        let ServerAnswer { head, framing, mut body } = server;
        self.out.log.response(head.clone());
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
            self.out.answer.close_after();
        }

        let holds = self.request.decision.rewrites() && head.status == 200;
        if holds && self.request.is_head() {
            // They describe what the server has, and not what GET would give.
            rewrite::forget_what_was(&mut fields);
        }
        if holds && framing != Framing::Empty {
            let held = self.pass_held_on(head.status, reason, fields, framing, body, reusable);
            return Box::pin(held).await;
        }
        self.out.tap.expect(body.expected());
        self.head(head.status, reason, fields, framing)?;
        let trailers = self.stream(&mut body).await?;
        Ok(Ending::Complete { reusable: reusable && body.is_done(), ended: false, trailers })
    }

    /// Begins the answer, with its head as rules want it.
    fn head(
        &mut self,
        status: u16,
        reason: &str,
        mut fields: Headers,
        framing: Framing,
    ) -> Result<(), Ending> {
        let decision = &self.request.decision;
        if decision.edits_headers() {
            let acted = decision.edit_answer(&mut fields, &self.request.context(self.inlet));
            self.out.log.acted(acted);
        }
        if !self.request.is_head() {
            *self.document = Expected::of(&self.request.classification, status, &fields);
        }
        self.out.head(status, reason, fields, framing)
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
                    self.out.flush().await?;
                    timeout(idle, body.next()).await
                }
            };
            match next {
                Ok(Ok(Some(Frame::Data(octets)))) => self.out.send(octets, body.is_done()).await?,
                Ok(Ok(Some(Frame::Trailers(mut fields)))) => {
                    headers::clean_trailers(&mut fields);
                    trailers = Some(fields);
                }
                Ok(Ok(None)) => return Ok(trailers),
                Ok(Err(error)) => return Err(Ending::truncated(&error)),
                Err(_) => return Err(Ending::truncated(&BodyError::Idle(idle.as_secs()))),
            }
        }
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
                self.out
                    .log
                    .note(format!("the body is larger than {cap} bytes; passed on unchanged"));
                self.head(status, reason, fields, framing)?;
                if !beginning.is_empty() {
                    self.out.send(beginning.into(), false).await?;
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
        let context = self.request.context(self.inlet);
        let mut changed = rewrite::apply(&self.request.decision, &context, &mut fields, held, cap);
        std::mem::take(&mut changed.hits).into_iter().for_each(|hit| self.out.log.rule(hit));
        std::mem::take(&mut changed.notes).into_iter().for_each(|note| self.out.log.note(note));
        // What the server was not asked for: a part, or nothing where the client has it already.
        if let Some(local) = rewrite::select(&self.request.head, &fields, &changed) {
            let LocalAnswer { head, body: local } = local;
            let framing = match &local {
                LocalBody::None => Framing::Empty,
                local => Framing::Length(local.len()),
            };
            self.head(head.status, &head.reason, head.headers, framing)?;
            Box::pin(self.out.body(local)).await?;
            let reusable = reusable && body.is_done();
            return Ok(Ending::Complete { reusable, ended: false, trailers: None });
        }
        let framing = match framing {
            Framing::Chunked | Framing::Close if !changed.changed => framing,
            _ => Framing::Length(changed.body.len() as u64),
        };
        self.head(status, reason, fields, framing)?;
        if !changed.body.is_empty() {
            self.out.send(changed.body.into(), true).await?;
        }
        // Trailers tell of the body that came, such as its hash.
        let trailers = trailers.filter(|_| !changed.changed);
        Ok(Ending::Complete { reusable: reusable && body.is_done(), ended: false, trailers })
    }
}
