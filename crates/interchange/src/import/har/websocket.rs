//! The messages of a WebSocket in a HAR entry. Chrome began with `_webSocketMessages`; mitmproxy, HTTP
//! Toolkit, Proxyman and others followed. A session keeps how much passed and not what, so they are
//! counted.

use serde_json::Value;

use super::entry::{number, text};

/// What passed: from the client, and to it.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) octets: [u64; 2],
    counts: [u64; 2],
    /// Why it was closed, in HTTP Toolkit's files.
    close: Option<String>,
}

pub(super) fn messages(entry: &Value) -> Messages {
    let mut all = Messages::default();
    for message in entry["_webSocketMessages"].as_array().into_iter().flatten() {
        let side = usize::from(text(message, "type") != "send");
        all.counts[side] += 1;
        all.octets[side] += octets(message);
    }
    let close = &entry["_webSocketClose"];
    all.close = number(&close["code"]).map(|code| {
        let reason = text(close, "reason");
        let told = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        format!("it was closed with {code}{told}")
    });
    all
}

/// The length of a message: text as it is, binary (opcode 2, RFC 6455 5.2) in base64.
fn octets(message: &Value) -> u64 {
    let data = text(message, "data");
    if number(&message["opcode"]) != Some(2.0) {
        return data.len() as u64;
    }
    let digits = data.bytes().filter(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte));
    digits.count() as u64 * 3 / 4
}

impl Messages {
    /// Whether there were any.
    pub(super) fn any(&self) -> bool {
        self.counts != [0, 0]
    }

    /// For a person.
    pub(super) fn told(&self) -> Vec<String> {
        let ([sent, got], [up, down]) = (self.counts, self.octets);
        let messages = self.any().then(|| {
            format!(
                "WebSocket messages: {sent} sent ({up} bytes), {got} received ({down} bytes); \
                 what they said is not in the session"
            )
        });
        messages.into_iter().chain(self.close.clone()).collect()
    }
}
