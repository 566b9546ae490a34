//! The test: a link to an HTTPS page of ours, opened with a certificate of ours. Who sees it trusts
//! us; who does not learns here what that means.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::html::Html;

/// Clients whose last test is remembered.
const CLIENTS: usize = 64;

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// TLS stood.
    Opened,
    /// It did not, and why.
    Failed(String),
}

/// The last test of each client.
#[derive(Default)]
pub(crate) struct Tested(Mutex<HashMap<IpAddr, Outcome>>);

impl Tested {
    pub(crate) fn tell(&self, client: IpAddr, outcome: Outcome) {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if outcomes.len() >= CLIENTS && !outcomes.contains_key(&client) {
            outcomes.clear();
        }
        outcomes.insert(client, outcome);
    }

    pub(crate) fn last(&self, client: IpAddr) -> Option<Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&client).cloned()
    }
}

pub(super) fn it_works() -> Html {
    let mut page = Html::begin("consoletap: it works");
    page.title("It works");
    page.strong("This page came through HTTPS that the proxy opened.");
    page.paragraph(
        "If no warning came before it, this browser trusts the certificate of the proxy. Other \
         programs of the console may have lists of their own, and some accept one certificate only: \
         whether theirs can be opened shows in the log of the proxy.",
    );
    page.link("http://consoletap.test/", "Back");
    page
}

/// What is known of the test, and the link to it.
pub(super) fn offer(page: &mut Html, last: Option<&Outcome>) {
    page.link("https://test.consoletap.test/", "Test whether HTTPS can be opened here");
    page.paragraph(
        "If a page says \"It works\", this browser trusts the certificate below. If an error or a \
         warning comes instead, it does not: nothing is broken by that, and its HTTPS is passed on \
         unread. Come back here then to read why.",
    );
    match last {
        None => {}
        Some(Outcome::Opened) => {
            page.strong("The last test from this address: HTTPS could be opened.");
        }
        Some(Outcome::Failed(why)) => {
            page.strong(&format!("The last test from this address failed: {why}."));
        }
    }
}
