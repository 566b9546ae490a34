//! HTTP/1.0 and 1.1 on a connection, for both sides of the proxy: heads, bodies, and nothing of
//! what they mean.
//!
//! It is our own, over the tokeniser that hyper uses: hyper neither lets an interim answer
//! through to a client, nor keeps the order of fields, nor shows the octets that it refused.

mod body;
mod framing;
mod head;
mod reader;
mod writer;

pub(crate) use body::{BodyError, BodyLimits, BodyReader, Frame};
pub(crate) use framing::{AnswerContext, Framing, request_framing, response_framing};
pub(crate) use head::{HeadError, HeadLimits, parse_request, parse_response};
pub(crate) use reader::{ReadError, Reader};
pub(crate) use writer::{BodyWriter, Writer};
