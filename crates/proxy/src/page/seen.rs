//! What was seen of the client that asks, and of no other.

use std::net::IpAddr;
use std::sync::Arc;

use consoletap_flow::{Flow, Target};

use super::html::Html;
use super::{Facts, is_ours};

/// How many rows are shown, and need to be remembered for a client.
const MOST: usize = 100;

/// Somebody who remembers the latest flows of each client, for the page that a console can look at.
pub trait Seen: Send + Sync {
    /// The latest flows of this client that are over, the latest first; 100 are enough.
    fn latest(&self, client: IpAddr) -> Vec<Arc<Flow>>;
}

pub(super) fn page(facts: &Facts<'_>) -> Html {
    let flows = facts.seen.map(|seen| seen.latest(facts.client)).unwrap_or_default();
    let rows: Vec<String> =
        flows.iter().filter(|flow| !is_about_us(flow)).take(MOST).map(|flow| row(flow)).collect();
    let mut page = Html::begin("consoletap: seen so far");
    page.title("Seen so far");
    if rows.is_empty() {
        page.paragraph("Nothing yet. Use the console for a while, and load this page again.");
    } else {
        page.paragraph("What this console asked for through the proxy, the latest first:");
        page.list(rows.iter().map(String::as_str));
    }
    page.link("/", "Back");
    page
}

fn is_about_us(flow: &Flow) -> bool {
    match &flow.target {
        Some(Target::Url(url)) => is_ours(&url.authority.host),
        Some(Target::Authority(authority)) => is_ours(&authority.host),
        None => false,
    }
}

/// Method, host and path without its query (there may be secrets in it), status, category.
fn row(flow: &Flow) -> String {
    let method = flow.request.as_ref().map_or("-", |request| &*request.method);
    let target = match &flow.target {
        Some(Target::Url(url)) => {
            let path = url.path.split(['?', '#']).next().unwrap_or_default();
            format!("{}{path}", url.authority.host)
        }
        Some(Target::Authority(authority)) => authority.to_string(),
        None => "(not readable)".to_owned(),
    };
    let status = flow.status().map_or_else(|| "-".to_owned(), |status| status.to_string());
    format!("{method} {} {status} {}", shortened(&target), flow.classification.category)
}

/// Long paths push everything else off a screen of 640 pixels.
fn shortened(text: &str) -> String {
    const MOST: usize = 120;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MOST).collect();
    short.push_str("...");
    short
}
