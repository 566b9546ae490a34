//! What the origin received, for assertions.

use std::sync::{Arc, Mutex, PoisonError};

/// One request as the origin saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRequest {
    /// Which connection carried it, counted from 0: equal numbers mean a connection kept alive.
    pub connection: u64,
    /// Whether it came inside TLS.
    pub tls: bool,
    /// Protocol version, as `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The method.
    pub method: String,
    /// The target as it stood in the request line; for HTTP/2 `:path`.
    pub target: String,
    /// Header lines in the order and, in HTTP/1, the case in which they came.
    pub headers: Vec<(String, String)>,
    /// The bytes of an HTTP/1 head, blank line included; empty for HTTP/2.
    pub raw_head: Vec<u8>,
    /// Length of the body received so far.
    pub body_length: u64,
    /// Whether the body came to its end.
    pub body_complete: bool,
}

impl SeenRequest {
    /// The first value of a header, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The host that the request was for, without port.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.header("host").unwrap_or_default();
        authority.rsplit_once(':').map_or(authority, |(host, _)| host)
    }
}

/// The requests of a world, in the order in which their heads came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<SeenRequest>>>);

impl Log {
    pub(crate) fn all(&self) -> Vec<SeenRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add(&self, request: SeenRequest) -> Entry {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(request);
        Entry { log: self.clone(), index: requests.len() - 1 }
    }
}

/// One request of the log whose body is still coming.
#[derive(Debug)]
pub(crate) struct Entry {
    log: Log,
    index: usize,
}

impl Entry {
    pub(crate) fn update(&self, change: impl FnOnce(&mut SeenRequest)) {
        let mut requests = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut requests[self.index]);
    }
}
