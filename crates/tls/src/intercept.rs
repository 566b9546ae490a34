//! Our side towards the console: a ready `ServerConfig` for each host.

use std::hash::Hash;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use consoletap_flow::Host;
use quick_cache::sync::Cache;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::SingleCertAndKey;
use rustls::{KeyLog, ServerConfig};

use crate::acceptor::Acceptor;
use crate::alpn::Alpn;
use crate::ca::{Authority, CaError};
use crate::hello::ClientHello;
use crate::leaf::LeafKeys;
use crate::legacy::{Contexts, LegacyAcceptor};
use crate::provider::{TlsError, provider_for_clients};
use crate::stack::{Answerer, LeafKey};
use crate::upstream_names::UpstreamNames;

/// How many hosts are kept ready. A console speaks to some dozens.
const HOSTS: usize = 1024;
/// A proxy may run for a year; its certificates are valid for half of one.
pub(crate) const FRESH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Sessions that clients without tickets may resume.
const SESSIONS: usize = 1024;

/// Opens connections with certificates of our own authority.
pub struct Interceptor {
    authority: Authority,
    keys: LeafKeys,
    /// What all hosts share: tickets, sessions, versions.
    base: OnceLock<ServerConfig>,
    ready: Cache<Wanted, Ready>,
    /// What goes into certificates of these hosts beside their own names.
    copied: Cache<Host, Copied>,
    legacy: Contexts,
    key_log: Option<Arc<dyn KeyLog>>,
}

/// What a configuration is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Wanted {
    host: Host,
    key: LeafKey,
    alpn: Alpn,
}

#[derive(Clone)]
struct Ready {
    config: Arc<ServerConfig>,
    made: Instant,
}

#[derive(Clone)]
struct Copied {
    names: Arc<UpstreamNames>,
    made: Instant,
}

impl Interceptor {
    /// Cheap: keys, tickets and certificates are made when first needed, or by
    /// [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// None today; a CA that cannot sign would be told here.
    pub fn new(authority: Authority) -> Result<Self, CaError> {
        Ok(Self {
            authority,
            keys: LeafKeys::default(),
            base: OnceLock::new(),
            ready: Cache::new(HOSTS),
            copied: Cache::new(HOSTS),
            legacy: Contexts::default(),
            key_log: None,
        })
    }

    /// With the secrets of all connections written there.
    #[must_use]
    pub fn with_key_log(mut self, key_log: Arc<dyn KeyLog>) -> Self {
        self.key_log = Some(key_log);
        self
    }

    /// The authority that signs.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Makes the keys now, some 80 ms of work. To be called on a thread of its own once the
    /// listener is bound, so that the first handshake does not wait.
    ///
    /// # Errors
    /// When this machine gives no random numbers.
    pub fn prepare(&self) -> Result<(), TlsError> {
        self.base()?;
        self.keys.prepare(&self.authority, LeafKey::Ecdsa)?;
        self.keys.prepare(&self.authority, LeafKey::Rsa)
    }

    /// Whether the names of this host's own certificate are known.
    #[must_use]
    pub fn has_names(&self, host: &Host) -> bool {
        self.copied.get(host).is_some_and(|copied| copied.made.elapsed() < FRESH)
    }

    /// From now on certificates for this host have these names of its own one.
    pub fn copy_names(&self, host: &Host, names: UpstreamNames) {
        let copied = Copied { names: Arc::new(names), made: Instant::now() };
        self.copied.insert(host.clone(), copied);
        // Those that were made without them.
        for key in [LeafKey::Ecdsa, LeafKey::Rsa] {
            for alpn in Alpn::ALL {
                self.ready.remove(&Wanted { host: host.clone(), key, alpn });
            }
        }
        self.legacy.forget(host);
    }

    /// What answers this hello for `name`, with `alpn` of what it offers. Where there was none yet a
    /// certificate is made, and where RSA signs it that takes longer than a task may hold its thread:
    /// see [`acceptor_at_once`](Self::acceptor_at_once).
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn acceptor(
        &self,
        name: &Host,
        answerer: Answerer,
        alpn: Alpn,
        hello: &ClientHello,
    ) -> Result<Acceptor, TlsError> {
        match answerer {
            Answerer::Rustls(key) => self.answer(name, key, alpn, hello).map(Acceptor::rustls),
            Answerer::Legacy => self.legacy_acceptor(name).map(Acceptor::legacy),
        }
    }

    /// The same where RSA signs nothing for it; else `None`.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn acceptor_at_once(
        &self,
        name: &Host,
        answerer: Answerer,
        alpn: Alpn,
        hello: &ClientHello,
    ) -> Result<Option<Acceptor>, TlsError> {
        let key = match answerer {
            Answerer::Rustls(key) => key,
            Answerer::Legacy => return Ok(self.legacy.ready(name).map(Acceptor::legacy)),
        };
        if key == LeafKey::Ecdsa && !self.authority.signs_leaves_with_rsa() {
            return self.answer(name, key, alpn, hello).map(Acceptor::rustls).map(Some);
        }
        let ready = self.ready.get(&Wanted { host: name.clone(), key, alpn });
        let ready = ready.filter(|ready| ready.made.elapsed() < FRESH);
        Ok(ready.map(|ready| Acceptor::rustls(in_its_order(ready.config, hello))))
    }

    /// The configuration that answers this hello for `name`.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn answer(
        &self,
        name: &Host,
        key: LeafKey,
        alpn: Alpn,
        hello: &ClientHello,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let config = self.server_config(name, key, alpn)?;
        Ok(in_its_order(config, hello))
    }

    /// The configuration that answers for `name`: the same `Arc` for every connection to it.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn server_config(
        &self,
        name: &Host,
        key: LeafKey,
        alpn: Alpn,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let wanted = Wanted { host: name.clone(), key, alpn };
        // Whoever comes second waits for the first, and gets the same certificate.
        let ready = self.ready.get_or_insert_with(&wanted, || self.make(&wanted))?;
        if ready.made.elapsed() < FRESH {
            return Ok(ready.config);
        }
        let renewed = self.make(&wanted)?;
        self.ready.insert(wanted, renewed.clone());
        Ok(renewed.config)
    }

    /// What answers for `name` towards a console that rustls cannot speak to. Nothing about it is safe;
    /// it is for hosts that the user named. Always an error where this build has no OpenSSL.
    fn legacy_acceptor(&self, name: &Host) -> Result<LegacyAcceptor, TlsError> {
        let copied = self.copied.get(name);
        let names = copied.as_ref().map(|copied| &*copied.names);
        let key_log = &self.base()?.key_log;
        self.legacy.acceptor(&self.authority, &self.keys, name, names, key_log)
    }

    fn make(&self, wanted: &Wanted) -> Result<Ready, TlsError> {
        let copied = self.copied.get(&wanted.host);
        let names = copied.as_ref().map(|copied| &*copied.names);
        let leaf = self.keys.mint(&self.authority, &wanted.host, names, wanted.key)?;
        let mut config = self.base()?.clone();
        config.cert_resolver = Arc::new(SingleCertAndKey::from(leaf));
        config.alpn_protocols = wanted.alpn.protocols();
        Ok(Ready { config: Arc::new(config), made: Instant::now() })
    }

    fn base(&self) -> Result<&ServerConfig, TlsError> {
        if let Some(base) = self.base.get() {
            return Ok(base);
        }
        let mut base = base()?;
        if let Some(key_log) = &self.key_log {
            base.key_log = Arc::clone(key_log);
        }
        Ok(self.base.get_or_init(|| base))
    }
}

/// A client that names ChaCha20 first gets what it wants most.
fn in_its_order(config: Arc<ServerConfig>, hello: &ClientHello) -> Arc<ServerConfig> {
    if !hello.prefers_chacha() {
        return config;
    }
    let mut own_order = (*config).clone();
    own_order.ignore_client_order = false;
    Arc::new(own_order)
}

/// Tickets are shared by all hosts, so that a console resumes; rustls compares the names.
fn base() -> Result<ServerConfig, TlsError> {
    let mut base = ServerConfig::builder_with_provider(provider_for_clients())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    base.ticketer = Ticketer::new()?;
    base.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    // Every connection that resumes gets another one.
    base.send_tls13_tickets = 1;
    base.ignore_client_order = true;
    Ok(base)
}
