//! What was asked of a session, and what became of it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use consoletap_flow::{Classification, FlowId, Headers, Url};
use consoletap_proxy::Asked;

/// A request that came.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Its flow.
    pub flow: FlowId,
    /// Its method.
    pub method: String,
    /// What it is for.
    pub url: Url,
    /// Its fields.
    pub headers: Headers,
    /// What the catalog says of it.
    pub classification: Classification,
    /// What became of it.
    pub served: Served,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// It was answered from this flow of the session; of a file in slices, the first.
    Recorded(FlowId),
    /// It has no answer; why, in words.
    Unmatched(String),
    /// It went to its server.
    Forwarded,
}

/// The newest requests.
#[derive(Debug)]
pub(crate) struct Log {
    asks: Mutex<VecDeque<Ask>>,
    most: usize,
}

impl Log {
    pub(crate) fn new(most: usize) -> Self {
        Self { asks: Mutex::default(), most }
    }

    pub(crate) fn add(&self, asked: &Asked<'_>, served: Served) {
        if self.most == 0 {
            return;
        }
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        if asks.len() >= self.most {
            asks.pop_front();
        }
        asks.push_back(Ask {
            flow: asked.flow,
            method: asked.method.to_owned(),
            url: asked.url.clone(),
            headers: asked.headers.clone(),
            classification: asked.classification.clone(),
            served,
        });
    }

    pub(crate) fn all(&self) -> Vec<Ask> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
