//! What can be said about a [`TestProxy`] before it starts.

use std::path::PathBuf;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_filter::Filter;
use consoletap_proxy::{Parts, TlsParts};
use consoletap_rules::{RuleBook, Rules};
use consoletap_tls::{Learned, Trust, TrustSettings};

use crate::serve::{Answer, MatchKeys, Repeat, Replay, ReplaySettings, Timing};
use crate::test_proxy::TestProxy;
use crate::test_proxy::authority::TestAuthority;
use crate::test_proxy::running::Running;
use crate::test_proxy::seen::Seen;

/// A [`TestProxy`] that is about to be started.
///
/// ```
/// use consoletap_replay::{Answer, TestProxy};
///
/// # let ps4 = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/sessions/ps4");
/// let list = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
/// // Once it is busy, and then it says what was recorded.
/// let replay = TestProxy::of(ps4).answer(Answer::get(list).status(503)).start();
/// # let proxy = ureq::Proxy::new(&replay.url()).unwrap();
/// # let config = ureq::config::Config::builder().proxy(Some(proxy)).http_status_as_error(false);
/// # let client: ureq::Agent = config.build().into();
/// assert_eq!(client.get(list).call().unwrap().status(), 503);
/// assert_eq!(client.get(list).call().unwrap().status(), 200);
/// replay.asked("~u ps4-updatelist").times(2);
/// ```
#[must_use = "it is not started"]
pub struct TestProxyBuilder {
    session: PathBuf,
    answers: Vec<Answer>,
    keys: String,
    repeat: Repeat,
    timing: Timing,
    unmatched: u16,
    rules: Vec<String>,
    tolerated: Vec<String>,
    pub(super) certs: Option<PathBuf>,
}

impl TestProxyBuilder {
    pub(super) fn new(session: PathBuf) -> Self {
        Self {
            session,
            answers: Vec::new(),
            keys: String::new(),
            repeat: Repeat::default(),
            timing: Timing::default(),
            unmatched: 504,
            rules: Vec::new(),
            tolerated: Vec::new(),
            certs: None,
        }
    }

    /// With one more answer that was written by hand. They come before the recorded ones.
    pub fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// What must be the same for an answer to fit, as `--match` has it: `-query:time,+json:/id`.
    pub fn keys(mut self, keys: impl Into<String>) -> Self {
        self.keys = keys.into();
        self
    }

    /// What happens when a request comes more often than it was recorded; the last answer comes
    /// again, if nothing is said.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// How fast answers come; at once, if nothing is said.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// The status of what has no answer; 504, if nothing is said.
    pub fn unmatched(mut self, status: u16) -> Self {
        self.unmatched = status;
        self
    }

    /// With the rules of a file (docs/rules.md), which act on replayed answers as on live ones.
    pub fn rules(mut self, file: impl Into<String>) -> Self {
        self.rules.push(file.into());
        self
    }

    /// Requests that fit this filter need no answer: the test does not fail for them.
    pub fn tolerate(mut self, filter: impl Into<String>) -> Self {
        self.tolerated.push(filter.into());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When the session cannot be read, or something that was said has a mistake; the message says
    /// what and where.
    #[track_caller]
    pub fn start(self) -> TestProxy {
        let session = self.session.display().to_string();
        match self.try_start() {
            Ok(proxy) => proxy,
            Err(why) => panic!("the session {session} cannot be served: {why}"),
        }
    }

    fn try_start(self) -> Result<TestProxy, String> {
        fn told<E: std::fmt::Display>(error: E) -> String {
            error.to_string()
        }
        let keys: MatchKeys = match &*self.keys {
            "" => MatchKeys::default(),
            keys => keys.parse().map_err(told)?,
        };
        let tolerated = self.tolerated.iter().map(|filter| Filter::parse(filter));
        let tolerated = tolerated.collect::<Result<_, _>>().map_err(told)?;
        let rules = Rules::load(&self.rules).map_err(told)?;
        let catalog = Arc::new(Catalog::builtin());
        let settings = ReplaySettings {
            keys,
            repeat: self.repeat,
            timing: self.timing,
            unmatched: self.unmatched,
            answers: self.answers,
            ..ReplaySettings::new(Arc::clone(&catalog))
        };
        let replay = Arc::new(Replay::open(&self.session, settings).map_err(told)?);
        let (authority, interceptor) = TestAuthority::new(self.certs.as_deref())?;
        let seen = Arc::new(Seen::default());
        let parts = Parts {
            catalog: Arc::clone(&catalog),
            rules: Arc::new(RuleBook::new(rules)),
            tls: TlsParts {
                interceptor,
                trust: Arc::new(Trust::new(&TrustSettings::default()).map_err(told)?),
                learned: Arc::new(Learned::load(None)),
            },
            recorder: Arc::clone(&seen) as _,
            seen: None,
            origin: Some(Arc::clone(&replay) as _),
        };
        let running = Running::start(parts)?;
        Ok(TestProxy { replay, seen, authority, catalog, tolerated, running })
    }
}
