//! The record layer while it is in the clear: handshake messages, found in their records and put
//! together where they span several of them (RFC 8446 section 5.1), however the octets come in.
//! What a message says is for others to read.
//!
//! Every octet is looked at once, and no more is held than the message that is under way.

/// The longest message that is put together. Hellos of today are under 2 KiB, and the largest that
/// servers are known to take is 64 KiB.
pub(crate) const LIMIT: usize = 64 << 10;
/// How many octets of one direction are looked at: the longest message, and the heads of records
/// around it. A message in records of one octet each is more than anybody sends.
const LIMIT_OF_STREAM: usize = LIMIT + (8 << 10);

/// RFC 8446 5.1: a record carries 2^14 octets at most before it is encrypted.
const MAX_RECORD: usize = 1 << 14;

/// Content types.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// What comes next in a stream.
#[derive(Debug)]
pub(crate) enum Next {
    /// It is not all there yet.
    NeedMore,
    /// These are no handshake records.
    NotTls,
    /// They were, until this was found.
    Broken(&'static str),
    /// A handshake message: its type, and its body without type and length.
    Message(u8, Vec<u8>),
    /// An alert, by its number.
    Alert(u8),
    /// From here on octets are encrypted, unless TLS 1.3 only says so to please old machines.
    ChangeCipherSpec,
    /// These octets are encrypted.
    Encrypted,
}

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Records {
    /// The type that the first message must have.
    wanted: u8,
    /// The head of the record that is under way: type, version, length.
    head: [u8; 5],
    filled: usize,
    /// Octets of that record that are to come.
    left: usize,
    /// Octets of the message that is under way, and of what follows it in the same record.
    held: Vec<u8>,
    /// Whether the first message has begun as it should.
    begun: bool,
    /// Octets looked at so far.
    taken: usize,
}

impl Records {
    /// A stream whose first message must be of this type.
    pub(crate) fn new(wanted: u8) -> Self {
        Self { wanted, head: [0; 5], filled: 0, left: 0, held: Vec::new(), begun: false, taken: 0 }
    }

    /// What comes next; `input` is left with what was not looked at. After `NotTls`, `Broken` and
    /// `Encrypted` there is nothing more to ask for.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Next {
        self.read(input).unwrap_or_else(|end| end)
    }

    fn read(&mut self, input: &mut &[u8]) -> Result<Next, Next> {
        loop {
            if let Some((kind, body)) = self.message()? {
                return Ok(Next::Message(kind, body));
            }
            if self.left == 0 && !self.head(input)? {
                return Ok(Next::NeedMore);
            }
            let content = self.head[0];
            let (now, later) = input.split_at(self.left.min(input.len()));
            *input = later;
            self.left -= now.len();
            self.taken += now.len();
            if self.taken > LIMIT_OF_STREAM {
                return Err(Next::Broken("the handshake takes more than 64 KiB"));
            }
            self.held.extend_from_slice(now);
            match content {
                HANDSHAKE => {}
                _ if self.left > 0 => {}
                CHANGE_CIPHER_SPEC => {
                    self.held.clear();
                    return Ok(Next::ChangeCipherSpec);
                }
                // An alert is its level and its number; a longer one is encrypted.
                _ => match std::mem::take(&mut self.held)[..] {
                    [_, number] => return Ok(Next::Alert(number)),
                    _ => return Err(Next::Encrypted),
                },
            }
            if now.is_empty() {
                return Ok(Next::NeedMore);
            }
        }
    }

    /// Takes in the head of a record; whether it is all there, with octets to follow. What is wrong
    /// with it is told with the octet that shows it.
    fn head(&mut self, input: &mut &[u8]) -> Result<bool, Next> {
        if self.filled == self.head.len() {
            self.filled = 0;
        }
        while let ([octet, rest @ ..], true) = (*input, self.filled < self.head.len()) {
            self.check_head(*octet)?;
            self.head[self.filled] = *octet;
            self.filled += 1;
            self.taken += 1;
            *input = rest;
        }
        if self.filled < self.head.len() {
            return Ok(false);
        }
        self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
        match self.left {
            0 => Err(Next::Broken("a handshake record is empty")),
            1..=MAX_RECORD => Ok(true),
            _ => Err(Next::Broken("a handshake record is larger than 16 KiB")),
        }
    }

    /// Whether this octet can stand where it does in the head of a record.
    fn check_head(&self, octet: u8) -> Result<(), Next> {
        let first = self.taken < self.head.len();
        match (self.filled, octet) {
            // A side that gives up at once sends an alert and nothing else.
            (0, HANDSHAKE) | (1, 3) => Ok(()),
            (0, ALERT) if first => Ok(()),
            (0 | 1, _) if first => Err(Next::NotTls),
            (0, APPLICATION_DATA) if self.held.is_empty() => Err(Next::Encrypted),
            (0, CHANGE_CIPHER_SPEC | ALERT) if self.held.is_empty() => Ok(()),
            (0, _) => {
                Err(Next::Broken("another record stands in the middle of a handshake message"))
            }
            // The version of a record goes from 3.0 (SSL 3.0) to 3.3; 3.4 is tolerated.
            (2, 5..) if first => Err(Next::NotTls),
            (1, _) => Err(Next::Broken("a record has an impossible version")),
            _ => Ok(()),
        }
    }

    /// The message that is under way, once it is all there.
    fn message(&mut self) -> Result<Option<(u8, Vec<u8>)>, Next> {
        let (HANDSHAKE, Some(&kind)) = (self.head[0], self.held.first()) else { return Ok(None) };
        if !std::mem::replace(&mut self.begun, true) && kind != self.wanted {
            return Err(Next::Broken("the first handshake message is no hello"));
        }
        let Some(&[_, high, middle, low]) = self.held.first_chunk() else { return Ok(None) };
        let length = 4 + u32::from_be_bytes([0, high, middle, low]) as usize;
        if length > LIMIT {
            return Err(Next::Broken("a handshake message is larger than 64 KiB"));
        }
        if self.held.len() < length {
            return Ok(None);
        }
        let rest = self.held.split_off(length);
        let mut message = std::mem::replace(&mut self.held, rest);
        message.drain(..4);
        Ok(Some((kind, message)))
    }
}
