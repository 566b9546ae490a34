//! Where rows are filed, and which of two that fit is the more specific.

use std::cmp::Reverse;
use std::collections::HashMap;

use consoletap_flow::SmolStr;
use foldhash::fast::FixedState;

use crate::hosts::{HostMatch, LabelMap};
use crate::pattern::Pattern;
use crate::prefixes::Prefixes;
use crate::row::Row;

/// The ways to a row. Each row is filed once for every way in which a request can be of it.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) hosts: LabelMap<HostRows>,
    /// Rows whose path says enough where no host is known.
    pub(crate) paths: Prefixes<Matcher>,
    pub(crate) agents: Prefixes<Matcher>,
    headers: HashMap<SmolStr, Vec<Matcher>, FixedState>,
    /// A bit for each length that a name in `headers` has: most headers end there.
    header_lengths: u64,
    hellos: HashMap<SmolStr, Vec<Matcher>, FixedState>,
}

/// The rows of a domain.
#[derive(Debug, Default, Clone)]
pub(crate) struct HostRows {
    pub(crate) any_path: Vec<Matcher>,
    pub(crate) by_path: Prefixes<Matcher>,
}

/// One way for a request to be of a row.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    pub(crate) row: usize,
    pub(crate) host: Option<HostMatch>,
    /// What the path, the user agent or the header's value must fit.
    pub(crate) text: Option<Pattern>,
    pub(crate) rank: Rank,
}

/// The most specific matcher wins; of equals, which `Catalog::check` tells, the smaller id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) specificity: u64,
    row: Reverse<usize>,
}

impl Index {
    /// Files rows, which must be sorted by their ids.
    pub(crate) fn of(rows: &[Row]) -> Self {
        let mut filing = Filing::default();
        rows.iter().enumerate().for_each(|(index, row)| filing.add(index, row));
        filing.done()
    }

    /// The rows that ask for a header of this name and nothing else.
    pub(crate) fn headers(&self, name: &str) -> &[Matcher] {
        if self.header_lengths & length_bit(name) == 0 {
            return &[];
        }
        let name = name.to_ascii_lowercase();
        self.headers.get(&*name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has_headers(&self) -> bool {
        self.header_lengths != 0
    }

    /// The rows that ask for this JA3 or JA4 and nothing else.
    pub(crate) fn hellos(&self, fingerprint: &str) -> &[Matcher] {
        self.hellos.get(fingerprint).map_or(&[], Vec::as_slice)
    }

    /// Lists of matchers that can fit one and the same request.
    pub(crate) fn lists(&self) -> Vec<Vec<&Matcher>> {
        let mut lists = vec![self.paths.iter().collect(), self.agents.iter().collect()];
        for rows in self.hosts.iter() {
            lists.push(rows.any_path.iter().collect());
            lists.push(rows.by_path.iter().collect());
        }
        lists.extend(self.headers.values().chain(self.hellos.values()).map(|l| l.iter().collect()));
        lists
    }
}

fn length_bit(name: &str) -> u64 {
    1 << (name.len() & 63)
}

/// A matcher, under the text that its pattern begins with.
type Prefixed = (Box<str>, Matcher);

#[derive(Default)]
struct Filing {
    /// For each domain the rows without a path, and those with one.
    hosts: HashMap<Box<str>, (Vec<Matcher>, Vec<Prefixed>)>,
    paths: Vec<Prefixed>,
    agents: Vec<Prefixed>,
    headers: HashMap<SmolStr, Vec<Matcher>, FixedState>,
    hellos: HashMap<SmolStr, Vec<Matcher>, FixedState>,
}

impl Filing {
    fn add(&mut self, index: usize, row: &Row) {
        let matcher = |host: Option<(&str, &HostMatch)>, text: Option<&Pattern>| Matcher {
            row: index,
            host: host.map(|(_, host)| host.clone()),
            text: text.cloned(),
            rank: Rank { specificity: specificity(row, host, text), row: Reverse(index) },
        };
        let by_prefix =
            |matcher: Matcher| (matcher.text.as_ref().map_or("", Pattern::prefix).into(), matcher);
        for (key, host) in &row.hosts {
            let (any_path, by_path) = self.hosts.entry(key.clone()).or_default();
            let host = Some((&**key, host));
            by_path.extend(row.paths.iter().map(|path| by_prefix(matcher(host, Some(path)))));
            any_path.extend(row.paths.is_empty().then(|| matcher(host, None)));
        }
        if row.path_alone {
            self.paths.extend(row.paths.iter().map(|path| by_prefix(matcher(None, Some(path)))));
        }
        if !row.hosts.is_empty() || !row.paths.is_empty() {
            return;
        }
        // The first of these that a row asks for is the way to it; the others narrow it.
        if !row.agents.is_empty() {
            self.agents.extend(row.agents.iter().map(|text| by_prefix(matcher(None, Some(text)))));
        } else if !row.headers.is_empty() {
            for header in &row.headers {
                let matcher = matcher(None, header.value.as_ref());
                self.headers.entry(header.name.clone()).or_default().push(matcher);
            }
        } else {
            let fingerprints = if row.ja3.is_empty() { &row.ja4 } else { &row.ja3 };
            for fingerprint in fingerprints {
                self.hellos.entry(fingerprint.clone()).or_default().push(matcher(None, None));
            }
        }
    }

    fn done(mut self) -> Index {
        let by_rank = |list: &mut Vec<Matcher>| list.sort_by_key(|m| Reverse(m.rank));
        let file = |mut list: Vec<Prefixed>| {
            list.sort_by_key(|(_, matcher)| Reverse(matcher.rank));
            Prefixes::file(list)
        };
        let hosts = self.hosts.into_iter().map(|(domain, (mut any_path, by_path))| {
            by_rank(&mut any_path);
            (domain, HostRows { any_path, by_path: file(by_path) })
        });
        let hosts = LabelMap::file(hosts.collect());
        self.headers.values_mut().chain(self.hellos.values_mut()).for_each(by_rank);
        Index {
            hosts,
            paths: file(self.paths),
            agents: file(self.agents),
            header_lengths: self.headers.keys().fold(0, |bits, name| bits | length_bit(name)),
            headers: self.headers,
            hellos: self.hellos,
        }
    }
}

/// Host and path over host, over path alone; exact hosts over patterns over domains; then the
/// longer text; then what else the row asks for.
fn specificity(row: &Row, host: Option<(&str, &HostMatch)>, text: Option<&Pattern>) -> u64 {
    let clamp = |value: usize, most: u64| u64::try_from(value).unwrap_or(most).min(most);
    let (kind, length) = host.map_or((0, 0), |(key, host)| host.rank(key));
    let parts = [
        (u64::from(host.is_some()), 1),
        (u64::from(text.is_some()), 1),
        (kind, 2),
        (clamp(length, 0xffff), 16),
        (text.map_or(0, |text| clamp(text.specificity(), 0xffff)), 16),
        (u64::from(row.environment.is_some()), 1),
        (u64::from(!row.agents.is_empty()), 1),
        (u64::from(!row.headers.is_empty()), 1),
        (u64::from(!row.ja3.is_empty() || !row.ja4.is_empty()), 1),
        (u64::from(row.method.is_some()), 1),
        (u64::from(row.port.is_some()), 1),
    ];
    parts.into_iter().fold(0, |rank, (part, bits)| (rank << bits) | part)
}
