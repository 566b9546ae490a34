//! Answers that were written by hand. They come before the recorded ones: each is given once, in
//! the order they were written in, and then it is the recorded ones' turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use consoletap_catalog::{Catalog, Query};
use consoletap_filter::{Filter, FilterError, Stage, Subject};
use consoletap_flow::{
    Authority, Header, Headers, InvalidHeader, ResponseHead, Scheme, Target, Url, Version,
};
use consoletap_proxy::{Asked, StandIn, StoredBody};
use consoletap_tls::INTERCEPTION_AVAILABLE;
use thiserror::Error;

use crate::serve::keys::{MatchKeys, Question, RequestKey};
use crate::serve::near_miss::{NearMiss, nearest, shown};
use crate::serve::request_body::RequestBody;

/// An answer that is written by hand. As it comes, it is 200 with an empty body, and given once
/// before what was recorded.
///
/// ```
/// use consoletap_replay::Answer;
///
/// let busy = Answer::get("http://game.example/scores").status(503).field("Retry-After", "1");
/// let list = Answer::fitting("~cat fw-updatelist & ~d feu01").body("<update_data_list/>").always();
/// # let _ = (busy, list);
/// ```
#[derive(Debug, Clone)]
#[must_use = "it is given to nobody"]
pub struct Answer {
    wanted: Wanted,
    status: u16,
    fields: Vec<(String, String)>,
    body: Bytes,
    wait: Duration,
    always: bool,
}

#[derive(Debug, Clone)]
enum Wanted {
    Request { method: String, url: String },
    Filter(String),
}

impl Answer {
    /// To requests with this method and URL, compared as recorded ones are: order and noise in the
    /// query do not matter.
    pub fn to(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self::with(Wanted::Request { method: method.into(), url: url.into() })
    }

    /// To GET of this URL, and to HEAD.
    pub fn get(url: impl Into<String>) -> Self {
        Self::to("GET", url)
    }

    /// To requests that fit this filter, by what is known when their head has come
    /// (docs/filters.md). Which servers that are is not known before, so that TLS to any is opened.
    pub fn fitting(filter: impl Into<String>) -> Self {
        Self::with(Wanted::Filter(filter.into()))
    }

    fn with(wanted: Wanted) -> Self {
        let (fields, body, wait) = (Vec::new(), Bytes::new(), Duration::ZERO);
        Self { wanted, status: 200, fields, body, wait, always: false }
    }

    /// With this status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With one more header field. The length and what else belongs to the connection is ours.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// With this body. Of a 200, ranges and conditions select from it.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// After so long.
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Each time, so that what was recorded for these requests never has its turn.
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }
}

/// Why nobody can be given an answer that was written by hand.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InvalidAnswer {
    /// What it is for.
    #[error("an answer to {line} has no URL: {cause}; expected http://host/path or https://…")]
    Url {
        /// What was written.
        line: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The filter that says what it is for.
    #[error("an answer has a filter that cannot be used: {0}")]
    Filter(FilterError),
    /// A header field.
    #[error("the answer to {line} has a field that cannot be sent: {cause}")]
    Field {
        /// Whose answer it is.
        line: String,
        /// What is wrong with it.
        cause: InvalidHeader,
    },
    /// The status.
    #[error("the answer to {line} has the status {status}; expected 200 to 599")]
    Status {
        /// Whose answer it is.
        line: String,
        /// What was written.
        status: u16,
    },
}

/// All answers that were written by hand.
#[derive(Debug)]
pub(crate) struct Written {
    /// What of a URL counts.
    keys: MatchKeys,
    answers: Vec<One>,
}

#[derive(Debug)]
struct One {
    line: String,
    wants: Wants,
    head: ResponseHead,
    body: Bytes,
    wait: Duration,
    always: bool,
    /// It had its turn.
    given: AtomicBool,
    /// It was given, if not in this round.
    used: AtomicBool,
}

#[derive(Debug)]
enum Wants {
    Request { key: RequestKey, url: Url },
    Fitting(Filter),
}

/// What is found among them.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It is this one's turn.
    Now(StandIn),
    /// All that fit were given; the last, and how many.
    Over(StandIn, usize),
    /// None fits.
    None,
}

impl Written {
    pub(crate) fn new(
        answers: Vec<Answer>,
        keys: &MatchKeys,
        catalog: &Catalog,
    ) -> Result<Self, InvalidAnswer> {
        let keys = keys.of_method_and_url();
        let answers = answers.into_iter().map(|answer| One::new(answer, &keys, catalog));
        Ok(Self { answers: answers.collect::<Result<_, _>>()?, keys })
    }

    /// What of a request is compared with the URLs.
    pub(crate) fn keys(&self) -> &MatchKeys {
        &self.keys
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The answer to a request, which is counted as given.
    pub(crate) fn turn(&self, asked: &Asked<'_>, key: &RequestKey) -> Turn {
        let target = Target::Url(asked.url.clone());
        let fitting: Vec<&One> =
            self.answers.iter().filter(|one| one.wants.fits(asked, &target, key)).collect();
        for one in &fitting {
            one.used.store(true, Ordering::Relaxed);
            if !one.given.swap(true, Ordering::Relaxed) || one.always {
                return Turn::Now(one.stand_in());
            }
        }
        fitting.last().map_or(Turn::None, |last| Turn::Over(last.stand_in(), fitting.len()))
    }

    /// The first answer to a request again, and after it the others.
    pub(crate) fn anew(&self, asked: &Asked<'_>, key: &RequestKey) -> Option<StandIn> {
        let target = Target::Url(asked.url.clone());
        let mut fitting = self.answers.iter().filter(|one| one.wants.fits(asked, &target, key));
        let first = fitting.next()?;
        fitting.for_each(|one| one.given.store(false, Ordering::Relaxed));
        Some(first.stand_in())
    }

    /// The answers that nobody asked for.
    pub(crate) fn unused(&self) -> impl Iterator<Item = String> {
        let unused = self.answers.iter().filter(|one| !one.used.load(Ordering::Relaxed));
        unused.map(|one| format!("{} (written by hand)", one.line))
    }

    /// Whether a tunnel to this server has to be opened for one of them.
    pub(crate) fn opens(&self, server: &Authority) -> bool {
        self.answers.iter().any(|one| match &one.wants {
            Wants::Request { url, .. } => url.authority == *server,
            Wants::Fitting(_) => true,
        })
    }

    /// The one that a request is nearest to.
    pub(crate) fn nearest(&self, key: &RequestKey) -> Option<NearMiss> {
        let keys = self.answers.iter().filter_map(|one| match &one.wants {
            Wants::Request { key, .. } => Some((one, key.clone())),
            Wants::Fitting(_) => None,
        });
        let (ones, keys): (Vec<_>, Vec<_>) = keys.unzip();
        let (index, likeness, differences) = nearest(key, keys.into_iter())?;
        let nearest = format!("the nearest answer written by hand is to {}", ones[index].line);
        Some(NearMiss { nearest, likeness, differences })
    }
}

impl One {
    fn new(answer: Answer, keys: &MatchKeys, catalog: &Catalog) -> Result<Self, InvalidAnswer> {
        let Answer { wanted, status, fields, body, wait, always } = answer;
        let (line, wants) = match wanted {
            Wanted::Request { method, url } => {
                let line = format!("{method} {url}");
                let invalid = |cause: String| InvalidAnswer::Url { line: line.clone(), cause };
                let url: Url = url.parse().map_err(|cause| invalid(format!("{cause}")))?;
                if url.scheme == Scheme::Https && !INTERCEPTION_AVAILABLE {
                    let cause = "HTTPS is answered by a build with the feature interception";
                    return Err(invalid(cause.to_owned()));
                }
                let line = format!("{method} {}", shown(&url));
                (line, Wants::Request { key: key(&method, &url, keys, catalog), url })
            }
            Wanted::Filter(filter) => {
                let filter = Filter::parse(&filter).and_then(|filter| {
                    filter.check(Stage::Request)?;
                    Ok(filter)
                });
                let filter = filter.map_err(InvalidAnswer::Filter)?;
                (filter.to_string(), Wants::Fitting(filter))
            }
        };
        if !(200..600).contains(&status) {
            return Err(InvalidAnswer::Status { line, status });
        }
        let mut headers = Headers::default();
        for (name, value) in fields {
            let field = Header::new(name, value);
            headers
                .push(field.map_err(|cause| InvalidAnswer::Field { line: line.clone(), cause })?);
        }
        let (reason, version) = ("".into(), Version::Http11);
        let head = ResponseHead { status, reason, version, headers };
        let (given, used) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { line, wants, head, body, wait, always, given, used })
    }

    fn stand_in(&self) -> StandIn {
        StandIn {
            head: self.head.clone(),
            body: StoredBody::Octets(self.body.clone()),
            selects: self.head.status == 200,
            missing: self.head.status,
            wait: self.wait,
            receive: Duration::ZERO,
            notes: vec![format!("answered by hand, as written for {}", self.line)],
        }
    }
}

impl Wants {
    fn fits(&self, asked: &Asked<'_>, target: &Target, asked_key: &RequestKey) -> bool {
        match self {
            Self::Request { key, .. } => key == asked_key,
            Self::Fitting(filter) => {
                let mut subject = Subject::default();
                subject.method = Some(asked.method);
                subject.target = Some(target);
                subject.classification = Some(asked.classification);
                filter.matches(&subject.with_headers(asked.headers))
            }
        }
    }
}

fn key(method: &str, url: &Url, keys: &MatchKeys, catalog: &Catalog) -> RequestKey {
    let headers = Headers::default();
    let classification = catalog.classify(&Query {
        method: Some(method),
        host: Some(&url.authority.host),
        port: Some(url.authority.port),
        path: Some(&url.path),
        ..Query::default()
    });
    let question = Question { method, url, headers: &headers, body: &RequestBody::Unknown };
    keys.of(&question, catalog.entry_of(&classification))
}
