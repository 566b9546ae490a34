//! The bodies of a session: small ones are kept at hand, others are opened when they are sent.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use consoletap_flow::Digest;
use consoletap_proxy::OpenBody;
use consoletap_session::{Body, Session};

/// A body that is no larger is read at once, in octets.
const SMALL: u64 = 64 << 10;
/// So many octets of small bodies are kept at hand.
const AT_HAND: usize = 8 << 20;

/// Whether a body of this length is read at once.
pub(crate) fn is_small(length: u64) -> bool {
    length <= SMALL
}

/// The bodies of a session.
#[derive(Debug)]
pub(crate) struct Bodies {
    session: Session,
    at_hand: Mutex<AtHand>,
}

#[derive(Debug, Default)]
struct AtHand {
    bodies: HashMap<Digest, Bytes>,
    octets: usize,
}

impl Bodies {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, at_hand: Mutex::default() }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    fn known(&self, body: &Digest) -> Option<Bytes> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner).bodies.get(body).cloned()
    }

    /// A small body, checked.
    pub(crate) async fn small(self: &Arc<Self>, body: Digest) -> io::Result<Bytes> {
        if let Some(octets) = self.known(&body) {
            return Ok(octets);
        }
        let bodies = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let octets = Bytes::from(bodies.session.body(&body)?);
            bodies.keep(body, &octets);
            Ok(octets)
        });
        reading.await.map_err(io::Error::other)?
    }

    fn keep(&self, body: Digest, octets: &Bytes) {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if at_hand.octets + octets.len() > AT_HAND {
            *at_hand = AtHand::default();
        }
        if at_hand.bodies.insert(body, octets.clone()).is_none() {
            at_hand.octets += octets.len();
        }
    }

    /// Opens a body; waits for the disk.
    pub(crate) fn open(&self, body: &Digest) -> io::Result<OpenBody> {
        if let Some(octets) = self.known(body) {
            return Ok(OpenBody::Octets(octets));
        }
        match self.session.open_body(body)? {
            Body::File(file) => Ok(OpenBody::File { file, name: body.to_string() }),
            mut small @ Body::Small(_) => {
                let mut octets = Vec::new();
                small.read_to_end(&mut octets)?;
                let octets = Bytes::from(octets);
                self.keep(*body, &octets);
                Ok(OpenBody::Octets(octets))
            }
        }
    }
}
