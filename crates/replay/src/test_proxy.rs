//! A session that is served for the length of a test: [`TestProxy`], which fails the test for what
//! had no answer. Everything about it is its own: runtime, thread, port, CA and folder.

mod authority;
mod builder;
mod requests;
mod running;
mod seen;
mod told;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_filter::Filter;

use crate::serve::Replay;
use crate::test_proxy::authority::TestAuthority;
use crate::test_proxy::running::Running;
use crate::test_proxy::seen::Seen;
use crate::test_proxy::told::Told;

pub use builder::TestProxyBuilder;
pub use requests::Requests;
pub use seen::Request;

/// A proxy that answers from a recorded session, as long as it lives. It connects to nobody.
///
/// ```
/// use consoletap_replay::TestProxy;
///
/// # let ps4 = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/sessions/ps4");
/// let replay = TestProxy::serve(ps4);
/// let proxy = ureq::Proxy::new(&replay.url()).unwrap();
/// let client: ureq::Agent = ureq::config::Config::builder().proxy(Some(proxy)).build().into();
///
/// let list = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
/// let text = client.get(list).call().unwrap().body_mut().read_to_string().unwrap();
/// assert!(text.contains("system_pup label=\"1.72\""));
/// replay.asked("~cat fw-updatelist").once();
/// ```
///
/// At its end it panics where a request came that it had no answer for, and says which, and which
/// recorded one is the nearest. Where the test fails anyway, it says so on the standard error.
///
/// It has a thread and a runtime of its own, so that it serves a plain `#[test]`, which may block,
/// as well as a `#[tokio::test]`. For the time of its end it holds up its thread, a few milliseconds.
#[must_use = "it ends when it is dropped"]
pub struct TestProxy {
    replay: Arc<Replay>,
    seen: Arc<Seen>,
    #[cfg_attr(not(feature = "interception"), expect(dead_code, reason = "it has none then"))]
    authority: TestAuthority,
    catalog: Arc<Catalog>,
    /// What needs no answer.
    tolerated: Vec<Filter>,
    running: Running,
}

impl TestProxy {
    /// Serves a session, on a free port of this machine.
    ///
    /// # Panics
    /// When the session cannot be served; the message says why.
    #[track_caller]
    pub fn serve(session: impl AsRef<Path>) -> Self {
        Self::of(session).start()
    }

    /// The same with more to say about it.
    pub fn of(session: impl AsRef<Path>) -> TestProxyBuilder {
        TestProxyBuilder::new(session.as_ref().to_owned())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The same as clients want it said, for HTTP and HTTPS alike: `http://127.0.0.1:34567`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The requests that came so far, in the order they came in. A CONNECT is one of them only where
    /// nothing that was asked inside the tunnel could be seen.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests()
    }

    /// Those of them that fit a filter (docs/filters.md), to be counted:
    /// `replay.asked("~cat fw-updatelist").once()`.
    ///
    /// # Panics
    /// When the filter cannot be read; the message shows where.
    #[track_caller]
    pub fn asked(&self, filter: &str) -> Requests {
        let filter = match Filter::parse(filter) {
            Ok(filter) => filter,
            Err(error) => panic!("the filter cannot be read: {error}"),
        };
        let found = self.requests().into_iter().filter(|one| one.fits(&filter)).collect();
        Requests::new(filter, found, self.told().all())
    }

    /// The requests that had no answer so far, and are not tolerated: a line each, with the nearest
    /// recorded request below it.
    #[must_use]
    pub fn unanswered(&self) -> Vec<String> {
        self.told().unanswered()
    }

    /// The answers that nobody asked for so far, those written by hand first.
    #[must_use]
    pub fn unused(&self) -> Vec<String> {
        self.replay.unused()
    }

    /// Fails where there are answers that nobody asked for.
    ///
    /// # Panics
    /// Where there are; the message lists them.
    #[track_caller]
    pub fn all_answers_used(&self) {
        let unused = self.unused();
        assert!(unused.is_empty(), "{}", told::unused(&unused, &self.told().all()));
    }

    fn told(&self) -> Told<'_> {
        Told { seen: &self.seen, tolerated: &self.tolerated, catalog: &self.catalog }
    }
}

impl fmt::Debug for TestProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.replay.session().directory();
        let mut told = f.debug_struct("TestProxy");
        told.field("session", &session).field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.running.stop();
        let fails_anyway = std::thread::panicking();
        let Some(report) = self.told().at_the_end(fails_anyway) else { return };
        if fails_anyway {
            // A second panic would end the process, and with it the report of the first.
            #[expect(clippy::print_stderr, reason = "what the harness shows of a test that fails")]
            {
                eprintln!("{report}");
            }
        } else {
            panic!("{report}");
        }
    }
}
