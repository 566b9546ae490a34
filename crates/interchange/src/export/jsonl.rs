//! A line of JSON for each flow: everything that is known of it, and its bodies.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::{Body, Exchange};

/// Writes an exchange. The keys are those of a flow in a session; `request_content` and
/// `response_content` are the bodies, decoded, as `text` or `base64`.
///
/// # Errors
/// When it cannot be written.
pub fn jsonl(exchange: &Exchange, decoded_cap: usize, out: &mut dyn Write) -> io::Result<()> {
    let flow = &exchange.flow;
    let mut line = json!(flow);
    if let Some(members) = line.as_object_mut() {
        let request = flow.request.as_ref().map(|head| &head.headers);
        let response = flow.response.as_ref().map(|head| &head.headers);
        for (name, body, headers) in [
            ("request_content", &exchange.request_body, request),
            ("response_content", &exchange.response_body, response),
        ] {
            if body.bytes > 0 {
                members.insert(name.to_owned(), content(body, headers, decoded_cap));
            }
        }
    }
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

fn content(body: &Body, headers: Option<&consoletap_flow::Headers>, cap: usize) -> Value {
    let mut content = json!({ "bytes": body.bytes });
    if let Some(missing) = &body.missing {
        content["missing"] = json!(missing.to_string());
    }
    match body.decoded(headers, cap) {
        Ok(decoded) if !decoded.octets.is_empty() => match std::str::from_utf8(&decoded.octets) {
            Ok(text) => content["text"] = json!(text),
            Err(_) => content["base64"] = json!(BASE64.encode(&decoded.octets)),
        },
        Ok(_) => {}
        Err(unknown) => content["missing"] = json!(unknown.to_string()),
    }
    content
}
