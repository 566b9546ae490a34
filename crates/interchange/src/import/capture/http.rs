//! HTTP/1 as it stands in a capture: messages are cut out of the two directions of a connection
//! (RFC 9112). It is lenient, since nobody forwards what it reads.

use std::collections::VecDeque;

use consoletap_flow::{Headers, Timestamp, Version};

use super::super::message::{Response, push};

/// A longer head is none.
const LARGEST_HEAD: usize = 256 << 10;
/// So much of a body is kept, as in a recording.
const KEPT: usize = 1 << 20;
/// So many requests may wait for their answers.
const MOST_PENDING: usize = 256;

/// The two directions of a connection that speaks HTTP.
#[derive(Debug, Default)]
pub(super) struct Http {
    up: Side,
    down: Side,
    /// Requests whose answers did not come yet.
    pending: VecDeque<Request>,
    answer: Option<Answer>,
}

#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) at: Timestamp,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) version: Option<Version>,
    pub(super) headers: Headers,
    pub(super) body: Body,
}

#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) began: Timestamp,
    pub(super) head: Response,
    pub(super) body: Body,
}

/// A body that went by.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) kept: Vec<u8>,
    pub(super) bytes: u64,
    /// Octets that are not in the capture.
    pub(super) missing: u64,
    pub(super) is_whole: bool,
}

/// An exchange, with as much of its answer as there is.
#[derive(Debug)]
pub(super) struct Exchanged {
    pub(super) request: Request,
    pub(super) answer: Option<Answer>,
    pub(super) ended: Timestamp,
    /// The connection goes on as something else: a tunnel, a WebSocket.
    pub(super) leaves_http: bool,
}

#[derive(Debug, Default)]
struct Side {
    buffer: Vec<u8>,
    state: State,
    /// What follows is no HTTP.
    is_lost: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Length(u64),
    /// Before the size of a chunk.
    ChunkSize,
    /// In a chunk: what is left of it, with its line end.
    Chunk(u64),
    Trailer,
    UntilClose,
}

/// Whether these octets can be the beginning of a request.
pub(super) fn begins_request(octets: &[u8]) -> bool {
    let method = octets.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    (3..=10).contains(&method) && octets.get(method).is_none_or(|&byte| byte == b' ')
}

impl Http {
    /// Octets from the client.
    pub(super) fn up(&mut self, at: Timestamp, octets: &[u8]) {
        if self.up.is_lost {
            return;
        }
        self.up.buffer.extend_from_slice(octets);
        loop {
            if self.up.state == State::Head {
                let Some((request, state)) = self.up.request_head(at) else { break };
                if self.pending.len() >= MOST_PENDING {
                    self.up.is_lost = true;
                    break;
                }
                self.pending.push_back(request);
                self.up.state = state;
            }
            let Some(request) = self.pending.back_mut() else { break };
            if !self.up.body(&mut request.body) {
                break;
            }
        }
    }

    /// Octets from the server; gives the exchanges that they complete.
    pub(super) fn down(&mut self, at: Timestamp, octets: &[u8], done: &mut Vec<Exchanged>) {
        if self.down.is_lost {
            return;
        }
        self.down.buffer.extend_from_slice(octets);
        loop {
            if self.down.state == State::Head {
                let method = self.pending.front().map(|request| request.method.clone());
                let Some((answer, state)) = self.down.answer_head(at, method.as_deref()) else {
                    break;
                };
                // An interim answer says nothing of its own, but that the protocol changes.
                if (100..200).contains(&answer.head.status) && answer.head.status != 101 {
                    continue;
                }
                self.answer = Some(answer);
                self.down.state = state;
            }
            let Some(answer) = &mut self.answer else { break };
            if !self.down.body(&mut answer.body) {
                break;
            }
            answer.body.is_whole = true;
            let leaves = self.leaves_http();
            self.complete(at, leaves, done);
            if leaves {
                self.up.is_lost = true;
                self.down.is_lost = true;
                break;
            }
        }
    }

    /// Octets of a direction that are not in the capture.
    pub(super) fn gap(&mut self, is_up: bool, missing: u64) {
        let side = if is_up { &mut self.up } else { &mut self.down };
        let body = match is_up {
            true => self.pending.back_mut().map(|request| &mut request.body),
            false => self.answer.as_mut().map(|answer| &mut answer.body),
        };
        match (side.state, body) {
            (State::Length(left), Some(body)) if left >= missing => {
                body.bytes += missing;
                body.missing += missing;
                side.state = State::Length(left - missing);
            }
            (State::Chunk(left), Some(body)) if left > missing + 2 => {
                body.bytes += missing;
                body.missing += missing;
                side.state = State::Chunk(left - missing);
            }
            (State::UntilClose, Some(body)) => {
                body.bytes += missing;
                body.missing += missing;
            }
            // Where the next message begins cannot be known.
            _ => side.is_lost = true,
        }
    }

    /// The connection ends.
    pub(super) fn finish(&mut self, at: Timestamp, done: &mut Vec<Exchanged>) {
        if self.down.state == State::UntilClose
            && let Some(answer) = &mut self.answer
        {
            answer.body.is_whole = true;
        }
        if self.answer.is_some() {
            self.complete(at, false, done);
        }
        for request in self.pending.drain(..) {
            done.push(Exchanged { ended: at, request, answer: None, leaves_http: false });
        }
    }

    /// Whether what follows the answer is no HTTP (RFC 9110 9.3.6, 15.2.2).
    fn leaves_http(&self) -> bool {
        let is_connect = self.pending.front().is_some_and(|request| request.method == "CONNECT");
        self.answer.as_ref().is_some_and(|answer| {
            answer.head.status == 101 || (is_connect && (200..300).contains(&answer.head.status))
        })
    }

    fn complete(&mut self, at: Timestamp, leaves_http: bool, done: &mut Vec<Exchanged>) {
        let answer = self.answer.take();
        self.down.state = State::Head;
        // An answer to a request that is not in the capture has nothing to be shown by.
        if let Some(request) = self.pending.pop_front() {
            done.push(Exchanged { request, answer, ended: at, leaves_http });
        }
    }
}

impl Side {
    fn request_head(&mut self, at: Timestamp) -> Option<(Request, State)> {
        // RFC 9112 2.2: an empty line before a request is passed over.
        let empty = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.buffer.drain(..empty);
        let mut fields = [httparse::EMPTY_HEADER; 256];
        let mut parsed = httparse::Request::new(&mut fields);
        let (request, length) = match parsed.parse(&self.buffer) {
            Ok(httparse::Status::Complete(length)) => {
                let headers = headers(parsed.headers);
                let request = Request {
                    at,
                    method: parsed.method.unwrap_or_default().to_owned(),
                    target: parsed.path.unwrap_or_default().to_owned(),
                    version: version(parsed.version),
                    headers,
                    body: Body::default(),
                };
                (request, length)
            }
            Ok(httparse::Status::Partial) => {
                self.is_lost = self.buffer.len() > LARGEST_HEAD;
                return None;
            }
            Err(_) => {
                self.is_lost = true;
                return None;
            }
        };
        self.buffer.drain(..length);
        let state = framing(&request.headers).unwrap_or(State::Length(0));
        Some((request, state))
    }

    fn answer_head(&mut self, at: Timestamp, method: Option<&str>) -> Option<(Answer, State)> {
        let mut fields = [httparse::EMPTY_HEADER; 256];
        let mut parsed = httparse::Response::new(&mut fields);
        let (head, length) = match parsed.parse(&self.buffer) {
            Ok(httparse::Status::Complete(length)) => {
                let head = Response {
                    status: parsed.code.unwrap_or_default(),
                    reason: parsed.reason.unwrap_or_default().to_owned(),
                    version: version(parsed.version),
                    headers: headers(parsed.headers),
                    body: 0,
                };
                (head, length)
            }
            Ok(httparse::Status::Partial) => {
                self.is_lost = self.buffer.len() > LARGEST_HEAD;
                return None;
            }
            Err(_) => {
                self.is_lost = true;
                return None;
            }
        };
        self.buffer.drain(..length);
        // RFC 9112 6.3
        let bodiless = method == Some("HEAD")
            || matches!(head.status, 100..200 | 204 | 304)
            || (method == Some("CONNECT") && (200..300).contains(&head.status));
        let state = match framing(&head.headers) {
            _ if bodiless => State::Length(0),
            Some(state) => state,
            None => State::UntilClose,
        };
        let state = if (100..200).contains(&head.status) && head.status != 101 {
            State::Head
        } else {
            state
        };
        Some((Answer { began: at, head, body: Body::default() }, state))
    }

    /// Moves the buffer on through a body; whether the message is over.
    fn body(&mut self, body: &mut Body) -> bool {
        loop {
            match self.state {
                State::Head => return true,
                State::Length(0) => {
                    self.state = State::Head;
                    return true;
                }
                State::Length(left) => {
                    let taken = self.keep(body, left);
                    self.state = State::Length(left - taken);
                    if taken == 0 {
                        return false;
                    }
                }
                State::UntilClose => {
                    self.keep(body, u64::MAX);
                    return false;
                }
                State::Chunk(left) => {
                    // The two octets of the line end are no body.
                    let taken = match left {
                        0..=2 => {
                            let taken = self.buffer.len().min(left as usize);
                            self.buffer.drain(..taken);
                            taken as u64
                        }
                        _ => self.keep(body, left - 2),
                    };
                    self.state = State::Chunk(left - taken);
                    if left == taken {
                        self.state = State::ChunkSize;
                    } else if taken == 0 {
                        return false;
                    }
                }
                State::ChunkSize => {
                    let Some(line) = self.line() else { return false };
                    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
                    let digits = std::str::from_utf8(digits.trim_ascii()).unwrap_or_default();
                    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                    match u64::from_str_radix(digits, 16).ok().filter(|_| plain) {
                        Some(0) => self.state = State::Trailer,
                        Some(size) if size < 1 << 60 => self.state = State::Chunk(size + 2),
                        _ => {
                            self.is_lost = true;
                            return false;
                        }
                    }
                }
                State::Trailer => {
                    let Some(line) = self.line() else { return false };
                    if line.is_empty() {
                        self.state = State::Length(0);
                    }
                }
            }
        }
    }

    /// Takes up to `most` octets of the buffer into a body; how many.
    fn keep(&mut self, body: &mut Body, most: u64) -> u64 {
        let taken = usize::try_from(most).unwrap_or(usize::MAX).min(self.buffer.len());
        let room = KEPT.saturating_sub(body.kept.len()).min(taken);
        // Behind a gap nothing is kept: it would stand in the wrong place.
        if body.missing == 0 {
            body.kept.extend_from_slice(&self.buffer[..room]);
        }
        self.buffer.drain(..taken);
        body.bytes += taken as u64;
        taken as u64
    }

    /// The next line, without its end.
    fn line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') else {
            self.is_lost |= self.buffer.len() > LARGEST_HEAD;
            return None;
        };
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        Some(line.trim_ascii_end().to_vec())
    }
}

fn headers(fields: &[httparse::Header<'_>]) -> Headers {
    let mut headers = Headers::default();
    fields.iter().for_each(|field| push(&mut headers, field.name.as_bytes(), field.value));
    headers
}

fn version(minor: Option<u8>) -> Option<Version> {
    minor.map(|minor| if minor == 0 { Version::Http10 } else { Version::Http11 })
}

/// What the head says of the body's length (RFC 9112 6.3).
fn framing(headers: &Headers) -> Option<State> {
    let is_chunked = headers
        .elements("transfer-encoding")
        .last()
        .is_some_and(|c| c.eq_ignore_ascii_case(b"chunked"));
    if is_chunked {
        return Some(State::ChunkSize);
    }
    let length = headers.text("content-length")?.split(',').next()?.trim();
    let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| length.parse().ok().map(State::Length))?
}
