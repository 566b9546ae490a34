//! From a request to its row, and what the request itself tells.

use consoletap_flow::{Classification, Details, Headers, Host, Platform, Platforms, SmolStr};

use crate::catalog::{Catalog, Query};
use crate::entry::Confidence;
use crate::field::told;
use crate::hosts::HostMatch;
use crate::index::{Matcher, Rank};
use crate::pattern::{Captures, Pattern};
use crate::row::{HeaderMatch, Row};
use crate::{environment, path, title};

/// A row that fits, with what its patterns held.
struct Found<'c, 't> {
    matcher: &'c Matcher,
    row: &'c Row,
    host: Captures<'t>,
    text: Captures<'t>,
}

/// A request, made ready for the patterns.
struct Asked<'q, 't> {
    query: &'q Query<'q>,
    path: Option<&'t str>,
    agent: Option<&'t str>,
    label: Option<&'t str>,
}

/// Everything that was found of a request.
#[derive(Default)]
struct Evidence<'c, 't> {
    /// By host and path, or by path alone: what is asked for.
    asked: Option<Found<'c, 't>>,
    /// These three tell who asks.
    agent: Option<Found<'c, 't>>,
    header: Option<Found<'c, 't>>,
    hello: Option<Found<'c, 't>>,
}

impl Catalog {
    /// What is known of a request. Unknown things are `unknown`, never a guess.
    #[must_use]
    pub fn classify(&self, query: &Query<'_>) -> Classification {
        let sni: Option<Host> = match query.host.and_then(Host::name) {
            None => query.sni.and_then(|sni| sni.parse().ok()),
            Some(_) => None,
        };
        let host: Option<&Host> = sni.as_ref().or(query.host);
        let name = host.and_then(Host::name);
        let path = query.path.map(path::normalise);
        let path = path.as_deref();
        let label =
            name.and_then(environment::of_host).or_else(|| path.and_then(environment::of_path));
        let retail = name.zip(label).map(|(name, label)| environment::retail_host(name, label));
        // Spaces around a value are no part of it (RFC 9110 5.5); the PS Vita sends two.
        let agent = query.user_agent.map(|value| value.trim_matches([' ', '\t']));
        let asked = Asked { query, path, agent, label };

        let mut evidence = Evidence {
            asked: name.and_then(|name| self.find_by_host(name, &asked)),
            agent: agent.and_then(|agent| {
                best(self.index.agents.of(agent), |m| self.try_text(m, agent, &asked))
            }),
            ..Evidence::default()
        };
        if let Some(retail) = retail.as_deref() {
            let other = self.find_by_host(retail, &asked);
            if rank(&other) > rank(&evidence.asked) {
                evidence.asked = other;
            }
        }
        if host.is_none()
            && evidence.asked.is_none()
            && let Some(path) = path
        {
            evidence.asked = best(self.index.paths.of(path), |m| self.try_text(m, path, &asked));
        }
        if self.index.has_headers()
            && let Some(headers) = query.headers
        {
            evidence.header = self.find_by_header(headers, &asked);
        }
        let mut hellos = [query.ja3, query.ja4].into_iter().flatten();
        evidence.hello = hellos.find_map(|fingerprint| {
            best([self.index.hellos(fingerprint)], |m| self.try_text(m, "", &asked))
        });
        self.describe(&evidence, &asked)
    }

    fn find_by_host<'t>(&self, host: &'t str, asked: &Asked<'_, 't>) -> Option<Found<'_, 't>> {
        let mut found: Option<Found<'_, 't>> = None;
        for (length, rows) in self.index.hosts.above(host) {
            let is_itself = length == host.len();
            if let Some(path) = asked.path {
                for list in rows.by_path.of(path) {
                    first_above(list, &mut found, |matcher| {
                        self.try_host(matcher, host, is_itself, path, asked)
                    });
                }
            }
            first_above(&rows.any_path, &mut found, |matcher| {
                self.try_host(matcher, host, is_itself, "", asked)
            });
        }
        found
    }

    fn find_by_header<'t>(
        &self,
        headers: &'t Headers,
        asked: &Asked<'_, 't>,
    ) -> Option<Found<'_, 't>> {
        let mut found = None;
        for header in headers.iter() {
            let list = self.index.headers(header.name());
            if let Ok(value) = std::str::from_utf8(header.value()) {
                first_above(list, &mut found, |m| self.try_text(m, value.trim(), asked));
            }
        }
        found
    }

    fn try_host<'c, 't>(
        &'c self,
        matcher: &'c Matcher,
        host: &'t str,
        is_itself: bool,
        path: &'t str,
        asked: &Asked<'_, 't>,
    ) -> Option<Found<'c, 't>> {
        let captures = match &matcher.host {
            None => Captures::default(),
            Some(HostMatch::Exact) if is_itself => Captures::default(),
            Some(HostMatch::Below) if !is_itself => Captures::default(),
            Some(HostMatch::Pattern(pattern)) => pattern.read(host)?,
            Some(HostMatch::Exact | HostMatch::Below) => return None,
        };
        let found = self.try_text(matcher, path, asked)?;
        Some(Found { host: captures, ..found })
    }

    fn try_text<'c, 't>(
        &'c self,
        matcher: &'c Matcher,
        text: &'t str,
        asked: &Asked<'_, 't>,
    ) -> Option<Found<'c, 't>> {
        let text = match &matcher.text {
            None => Captures::default(),
            Some(pattern) => pattern.read(text)?,
        };
        let row = &self.rows[matcher.row];
        row.allows(asked).then_some(Found { matcher, row, host: Captures::default(), text })
    }

    fn describe(&self, evidence: &Evidence<'_, '_>, asked: &Asked<'_, '_>) -> Classification {
        let Some(row) = evidence.row() else {
            let mut unknown = self.unknown.clone();
            unknown.environment = environment::named(asked.label);
            return unknown;
        };
        let mut details = Details::default();
        details.fields.reserve_exact(evidence.most_fields(row));
        if evidence.agent.is_some()
            && let Some(product) = asked.agent.and_then(first_product)
        {
            details.fields.push((SmolStr::new_static("agent"), product.into()));
        }
        evidence.all().for_each(|found| found.tell(&mut details));
        if !row.query.is_empty() {
            for (key, value) in path::pairs(asked.query.path.unwrap_or_default()) {
                if let Some(name) = row.query.iter().find(|name| name.as_str() == key) {
                    let before = details.fields.len();
                    name.tell(&mut details, before, value.into());
                }
            }
        }
        derive_ids(&mut details);
        if let Some(rule) = &row.hash
            && let Some(key) = self.keys.get(&rule.key)
            && let Some(hash) = told(&details, &rule.field)
        {
            details.hash_ok = key.fits(rule, hash, |name| told(&details, name));
        }
        Classification {
            platform: evidence.platform(row, details.title_platform),
            category: row.entry.category.clone(),
            entry: Some(row.entry.id.clone()),
            summary: Some(row.entry.summary.clone()),
            environment: environment::named(asked.label.or(row.nonretail.as_deref())),
            documented: row.entry.documented,
            download: row.entry.download,
            details,
        }
    }
}

impl<'c, 't> Evidence<'c, 't> {
    fn all(&self) -> impl Iterator<Item = &Found<'c, 't>> {
        [&self.hello, &self.header, &self.agent, &self.asked].into_iter().flatten()
    }

    /// The row that says what this is: the first that knows a category, or else the first.
    fn row(&self) -> Option<&'c Row> {
        let order = [&self.asked, &self.agent, &self.header, &self.hello];
        let mut rows = order.into_iter().flatten().map(|found| found.row);
        rows.clone().find(|row| !row.entry.category.is_unknown()).or_else(|| rows.next())
    }

    /// How many fields there can be.
    fn most_fields(&self, row: &Row) -> usize {
        let agent = usize::from(self.agent.is_some());
        agent + row.query.len() + self.all().map(Found::most_fields).sum::<usize>()
    }

    /// The console that asks: what it says of itself, then what its service is for, then what its
    /// handshake and its title leave open no longer.
    fn platform(&self, row: &Row, titled: Option<Platforms>) -> Platforms {
        let own = [&self.agent, &self.header].into_iter().flatten();
        let own = own.map(|found| found.row.entry.platform).find(|told| !told.is_unknown());
        if let Some(platform) = own {
            return platform;
        }
        let mut platform = row.entry.platform;
        if let Some(hello) = &self.hello
            && let Some(shown) = hello.row.entry.platform.only()
        {
            let weak = row.entry.confidence == Confidence::Unconfirmed;
            let same_family = || platform.iter().all(|known| known.family() == shown.family());
            if platform.admit(shown) || weak && same_family() {
                platform = shown.into();
            }
        }
        // A title tells more than "unknown" or "some PlayStation", and less than anything else.
        match titled {
            Some(titled) if platform.is_unknown() || platform == Platform::PlayStation.into() => {
                titled
            }
            _ => platform,
        }
    }
}

impl Found<'_, '_> {
    fn patterns(&self) -> impl Iterator<Item = (&Pattern, &Captures<'_>)> {
        let host = match &self.matcher.host {
            Some(HostMatch::Pattern(pattern)) => Some((pattern, &self.host)),
            _ => None,
        };
        let text = self.matcher.text.as_ref().map(|pattern| (pattern, &self.text));
        host.into_iter().chain(text)
    }

    fn most_fields(&self) -> usize {
        self.row.fields.len()
            + self.patterns().map(|(pattern, _)| pattern.name_count()).sum::<usize>()
    }

    fn tell(&self, details: &mut Details) {
        let before = details.fields.len();
        for (name, value) in &self.row.fields {
            name.tell(details, before, value.clone());
        }
        for (pattern, captures) in self.patterns() {
            let before = if pattern.repeats() { usize::MAX } else { details.fields.len() };
            pattern.fields(captures).for_each(|(name, value)| name.tell(details, before, value));
        }
    }
}

impl Row {
    /// Whether the request fits what the row asks for besides the way to it.
    fn allows(&self, asked: &Asked<'_, '_>) -> bool {
        let query = asked.query;
        let agent =
            || asked.agent.is_some_and(|value| self.agents.iter().any(|p| p.read(value).is_some()));
        let header = || {
            let has = |wanted: &HeaderMatch| {
                let mut values = query.headers.into_iter().flat_map(|h| h.all(&wanted.name));
                values.any(|value| wanted.fits(value))
            };
            self.headers.iter().any(has)
        };
        let fits = |wanted: &[SmolStr], found: Option<&str>| {
            wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|w| *w == *found))
        };
        self.method.as_deref().is_none_or(|method| query.method == Some(method))
            && self.port.is_none_or(|port| query.port == Some(port))
            && self.environment.as_deref().is_none_or(|label| asked.label == Some(label))
            && (self.agents.is_empty() || agent())
            && (self.headers.is_empty() || header())
            && fits(&self.ja3, query.ja3)
            && fits(&self.ja4, query.ja4)
    }
}

/// The best of some lists, each of which is sorted by rank.
fn best<'c, 't>(
    lists: impl IntoIterator<Item = &'c [Matcher]>,
    mut attempt: impl FnMut(&'c Matcher) -> Option<Found<'c, 't>>,
) -> Option<Found<'c, 't>> {
    let mut found = None;
    lists.into_iter().for_each(|list| first_above(list, &mut found, &mut attempt));
    found
}

/// Takes the first of a list, sorted by rank, that fits and is better than what is there.
#[inline]
fn first_above<'c, 't>(
    list: &'c [Matcher],
    found: &mut Option<Found<'c, 't>>,
    attempt: impl FnMut(&'c Matcher) -> Option<Found<'c, 't>>,
) {
    let beaten = rank(found);
    let better = list.iter().take_while(|matcher| Some(matcher.rank) > beaten);
    if let Some(better) = better.map(attempt).find(Option::is_some) {
        *found = better;
    }
}

fn rank(found: &Option<Found<'_, '_>>) -> Option<Rank> {
    found.as_ref().map(|found| found.matcher.rank)
}

/// The first `name/version` of a user agent (RFC 9110 10.1.5).
fn first_product(value: &str) -> Option<&str> {
    value.split(' ').next().filter(|product| product.contains('/'))
}

/// An id holds the shorter ones: content, NP title, title. A content id tells the region, too,
/// where nothing nearer does.
fn derive_ids(details: &mut Details) {
    if let Some(content) = details.content_id.as_deref().and_then(title::ContentId::parse) {
        if details.np_title_id.is_none() {
            details.np_title_id = Some(content.np_title_id.into());
        }
        if details.region.is_none() {
            details.region = content.region().map(SmolStr::new_static);
        }
    }
    if details.title_id.is_none()
        && let Some(title_id) = details.np_title_id.as_deref().and_then(|id| id.get(..9))
    {
        details.title_id = Some(title_id.into());
    }
    details.title_platform = details.title_id.as_deref().and_then(title::platform);
}
