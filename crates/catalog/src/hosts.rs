//! What a row says of hosts, and the label map under which rows are found: from the last label
//! of a host to its first, so that an unknown host ends the search early and a name that merely
//! looks alike (`playstation.net.evil.example`) is never near.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::pattern::Pattern;

/// Which hosts a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostMatch {
    /// This one.
    Exact,
    /// Any name below the key, but not the key itself (`*.example`).
    Below,
    /// Those that fit the pattern.
    Pattern(Pattern),
}

impl HostMatch {
    /// Reads a host of a row; gives the key (a whole suffix of labels) to file it under too.
    /// The error ends `expected …`.
    pub(crate) fn parse(text: &str) -> Result<(Box<str>, Self), String> {
        if text.is_empty() || text.bytes().any(|b| b.is_ascii_whitespace() || b"/@".contains(&b)) {
            return Err("a host name without scheme, port and path".into());
        }
        if let Some(domain) = text.strip_prefix("*.")
            && !domain.contains(['*', '{'])
        {
            return Ok((lower(domain)?, Self::Below));
        }
        let pattern = Pattern::parse(text).map_err(|error| error.to_string())?;
        if pattern.is_literal() {
            return Ok((lower(text)?, Self::Exact));
        }
        let key = pattern.suffix().split_once('.').map(|(_, key)| key);
        let key = key.filter(|key| key.contains('.')).ok_or(
            "at least two whole labels after the last field, as in `{country:cc}.example.net`",
        )?;
        Ok((lower(key)?, Self::Pattern(pattern)))
    }

    pub(crate) fn rank(&self, key: &str) -> (u64, usize) {
        match self {
            Self::Exact => (3, key.len() * 4),
            Self::Pattern(pattern) => (2, pattern.specificity()),
            Self::Below => (1, key.len() * 4),
        }
    }
}

fn lower(text: &str) -> Result<Box<str>, String> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase())
        || text.starts_with('.')
        || text.ends_with('.')
    {
        return Err("a host name in small letters, without a dot at either end".into());
    }
    Ok(text.into())
}

/// Things filed under domains.
#[derive(Debug)]
pub(crate) struct LabelMap<T> {
    nodes: Vec<Node<T>>,
    /// For each domain that something is filed under what [`above`](Self::above) gives: the hosts
    /// of the tables are asked for most, and one step finds them.
    known: HashMap<Box<str>, Box<[Above]>, FixedState>,
}

/// The length of a domain's name, and its node.
type Above = (usize, usize);

#[derive(Debug)]
struct Node<T> {
    // The keys are ours, and a fixed seed makes every run the same.
    below: HashMap<Box<str>, usize, FixedState>,
    here: Option<T>,
}

impl<T> Default for LabelMap<T> {
    fn default() -> Self {
        Self::file(Vec::new())
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { below: HashMap::with_hasher(FixedState::default()), here: None }
    }
}

impl<T> LabelMap<T> {
    /// Files all things, each under a domain of its own.
    pub(crate) fn file(things: Vec<(Box<str>, T)>) -> Self {
        let mut map = Self { nodes: vec![Node::default()], known: HashMap::default() };
        let mut domains = Vec::with_capacity(things.len());
        for (domain, thing) in things {
            map.insert(&domain, thing);
            domains.push(domain);
        }
        map.known = domains
            .into_iter()
            .map(|domain| {
                let above = map.walk(&domain).collect();
                (domain, above)
            })
            .collect();
        map
    }

    fn insert(&mut self, domain: &str, thing: T) {
        let mut at = 0;
        for label in domain.rsplit('.') {
            let next = self.nodes.len();
            at = *self.nodes[at].below.entry(label.into()).or_insert(next);
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        self.nodes[at].here = Some(thing);
    }

    /// What is filed under the host itself and under every domain above it, the shortest domain
    /// first; each with the length of its name.
    #[inline]
    pub(crate) fn above<'a>(&'a self, host: &str) -> impl Iterator<Item = (usize, &'a T)> {
        let known = self.known.get(host);
        let unknown = known.is_none().then(|| self.walk(host));
        let found = known.into_iter().flatten().copied().chain(unknown.into_iter().flatten());
        found.filter_map(|(length, node)| Some((length, self.nodes[node].here.as_ref()?)))
    }

    /// The nodes on the way to a host, label by label, as far as there are any.
    fn walk(&self, host: &str) -> impl Iterator<Item = Above> {
        let mut at = 0;
        let mut taken = 0;
        host.rsplit('.')
            .map_while(move |label| {
                at = *self.nodes[at].below.get(label)?;
                taken += label.len() + 1;
                Some((taken - 1, at))
            })
            .filter(|(_, node)| self.nodes[*node].here.is_some())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().filter_map(|node| node.here.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_labels_from_the_end_find_their_things() {
        let domains = ["example.net", "b.example.net", "net"];
        let map = LabelMap::file(domains.map(|domain| (domain.into(), domain)).into());
        let found = |host: &str| map.above(host).map(|(_, domain)| *domain).collect::<Vec<_>>();
        assert_eq!(found("a.b.example.net"), ["net", "example.net", "b.example.net"]);
        assert_eq!(found("b.example.net"), ["net", "example.net", "b.example.net"]);
        assert_eq!(found("xexample.net"), ["net"]);
        assert_eq!(found("example.net.evil.example"), [""; 0]);
        assert_eq!(found(""), [""; 0]);
        assert_eq!(map.above("x.b.example.net").last().map(|(length, _)| length), Some(13));
    }
}
