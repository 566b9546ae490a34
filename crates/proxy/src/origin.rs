//! What stands in for servers: something that answers requests in their place, as a recorded session
//! does. The proxy asks it before it opens a connection, and sends what it says as it sends any
//! other answer: rules, ranges, conditions and the log are the proxy's business.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consoletap_flow::{Authority, Classification, Digest, FlowId, Headers, ResponseHead, Url};

use crate::serve::Coverage;

/// Answers requests in the place of servers.
pub trait Origin: Send + Sync {
    /// How many octets of a request's body it wants to see before it answers; 0 for none. They are
    /// held in memory.
    fn body_wanted(&self) -> usize;

    /// What becomes of a request.
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a>;

    /// What becomes of a tunnel, before anything is known of its inside.
    fn tunnel(&self, to: &Authority) -> ForTunnel;

    /// Whether a connection to this server may be opened. Asked before each.
    fn may_dial(&self, to: &Authority) -> bool;

    /// Opens a body that a [`Coverage`] names. It may wait for the disk.
    ///
    /// # Errors
    /// When it is not there any more, or cannot be read.
    fn open_body(&self, body: &Digest) -> io::Result<OpenBody>;
}

/// An answer on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

/// A request that wants an answer.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its flow.
    pub flow: FlowId,
    /// Its method.
    pub method: &'a str,
    /// What it is for; where a rule sends it elsewhere, there.
    pub url: &'a Url,
    /// Its fields as a server would get them: rules had their turn.
    pub headers: &'a Headers,
    /// The first octets of its body, no more than were wanted.
    pub body: &'a [u8],
    /// Whether that is all of it.
    pub whole: bool,
    /// What the catalog says of it.
    pub classification: &'a Classification,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Reply {
    /// It is answered.
    Answer(Box<StandIn>),
    /// It goes to its server.
    Forward,
    /// It is answered with a page that says why there is no answer.
    Refuse {
        /// The status of the page.
        status: u16,
        /// What it says; several lines, if need be. It stands in the row, too.
        why: String,
    },
}

/// What becomes of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForTunnel {
    /// TLS is opened, or HTTP without it served, and nobody is connected to for it.
    Open,
    /// What would become of it without a stand-in.
    Live,
    /// It is refused.
    Refuse {
        /// With this status.
        status: u16,
        /// And these words.
        why: String,
    },
}

/// An answer from a stand-in.
#[derive(Debug)]
pub struct StandIn {
    /// Its head as a server sent it. Fields that belong to a connection are left out here, and the
    /// length is that of the body.
    pub head: ResponseHead,
    /// Its body.
    pub body: StoredBody,
    /// Whether it stands for the whole of a file, so that ranges and conditions of the request
    /// select from it (RFC 9110 13, 14). Else it is sent as it is.
    pub selects: bool,
    /// The status where what is asked for of it is not there.
    pub missing: u16,
    /// How long to wait before the head.
    pub wait: Duration,
    /// How long the body is to take.
    pub receive: Duration,
    /// For the row.
    pub notes: Vec<String>,
}

/// Where a body is.
#[derive(Debug, Clone)]
pub enum StoredBody {
    /// There is none: an answer to HEAD, which may tell the length of something.
    None,
    /// In memory.
    Octets(Bytes),
    /// In bodies that are opened one after the other.
    Stored(Arc<Coverage>),
}

/// A body to read from.
#[derive(Debug)]
pub enum OpenBody {
    /// It is this file.
    File {
        /// The file.
        file: File,
        /// As a person names it.
        name: String,
    },
    /// It is this.
    Octets(Bytes),
}
