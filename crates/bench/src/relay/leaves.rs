//! Certificates of the relay: one for each host, kept ready to serve.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;

/// More hosts than a run asks for; beyond it the cache starts anew.
const MOST: usize = 4096;

/// Ready TLS servers by host.
pub(super) struct Leaves {
    authority: Authority,
    ready: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Leaves {
    pub(super) fn new(authority: Authority) -> Self {
        Self { authority, ready: Mutex::default() }
    }

    /// The TLS side for `host`, made at first contact.
    pub(super) fn acceptor(&self, host: &str) -> Result<TlsAcceptor> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = ready.get(host) {
            return Ok(TlsAcceptor::from(Arc::clone(config)));
        }
        let config = Arc::new(self.authority.server_config(&[host])?);
        if ready.len() >= MOST {
            ready.clear();
        }
        ready.insert(host.to_owned(), Arc::clone(&config));
        Ok(TlsAcceptor::from(config))
    }
}
