//! The connection tests of the consoles.

use hyper::StatusCode;

use crate::content::Content;
use crate::origin::{Answer, Question};

/// The beginning of what Nintendo's servers write.
const DENIED: &str = "<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD></HTML>\n";

pub(super) fn answer(question: &Question<'_>) -> Option<Answer> {
    let answer = match (question.host, question.path) {
        ("ena.net.playstation.net", "/netstart/icst") => Answer::text("text/plain", "Success"),
        ("get.net.playstation.net", "/networktest/get_2m") => zeros(question, 2 << 20),
        ("get.net.playstation.net", "/networktest/get_6m") => zeros(question, 6 << 20),
        // Answered before the body is read: Al-Azif's exploit host found that a PS4 wants it so.
        ("post.net.playstation.net", "/networktest/post_128") => {
            Answer::text("text/plain", "").at_once()
        }
        ("ctest.cdn.nintendo.net", "/") => nintendo(question, "NX NIFM/", || {
            Answer::text("text/plain", "ok").with("x-organization", "Nintendo")
        }),
        ("ctest-dl-lp1.cdn.nintendo.net", "/30m") => {
            nintendo(question, "Nintendo", || zeros(question, 30 << 20))
        }
        ("ctest-ul-lp1.cdn.nintendo.net", "/1m") => {
            nintendo(question, "Nintendo", || Answer::text("text/plain", ""))
        }
        ("conntest.nintendowifi.net", _) => {
            Answer::text("text/html", "ok").with("x-organization", "Nintendo")
        }
        ("www.msftncsi.com", "/ncsi.txt") => Answer::text("text/plain", "Microsoft NCSI"),
        _ => return None,
    };
    Some(answer)
}

fn zeros(question: &Question<'_>, size: u64) -> Answer {
    Answer::file(question, "text/plain", Content::zeros(size))
}

/// Any other user agent is turned away (NintendoClients wiki, Connection Test).
fn nintendo(question: &Question<'_>, agent: &str, answer: impl FnOnce() -> Answer) -> Answer {
    if question.agent.starts_with(agent) {
        return answer()
            .with("cache-control", "max-age=0, no-cache, no-store")
            .with("pragma", "no-cache");
    }
    Answer::status(StatusCode::FORBIDDEN, "text/html", DENIED)
}
