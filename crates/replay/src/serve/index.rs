//! Everything that a session can answer, found by what a request asks. It holds heads, keys and the
//! names of bodies, and never a body.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use consoletap_catalog::{Catalog, Entry, Query};
use consoletap_flow::{Authority, Flow, Headers, Kept, Kind, Scheme};
use consoletap_session::Session;
use consoletap_tls::INTERCEPTION_AVAILABLE;

use crate::serve::Repeat;
use crate::serve::file::{Files, Version};
use crate::serve::keys::{MatchKeys, Question, RequestKey};
use crate::serve::near_miss::{self, NearMiss};
use crate::serve::packed::PackedKey;
use crate::serve::recorded::{Exchange, Recorded};
use crate::serve::request_body::{READ_AT_MOST, RequestBody};

/// The answers of a session.
#[derive(Debug, Default)]
pub(crate) struct Index {
    exchanges: Vec<Recorded>,
    groups: Vec<Group>,
    by_key: HashMap<Arc<PackedKey>, usize>,
    /// Groups in whose key something stands for a secret.
    secret: Vec<(RequestKey, usize)>,
    /// Servers that can be answered for through a tunnel: those that were spoken to by HTTPS which
    /// was opened, and by HTTP, since some clients ask any proxy for a tunnel.
    opened: HashSet<Authority>,
    /// Servers that were spoken to by HTTPS alone, in a build that opens none.
    secure: HashSet<Authority>,
    /// Servers that were spoken to through tunnels alone.
    blind: HashSet<Authority>,
}

/// The recorded answers to one question, in their order.
#[derive(Debug)]
struct Group {
    key: Arc<PackedKey>,
    /// Mostly one.
    members: Vec<usize>,
    /// Where some of it was fetched in slices.
    files: Option<Box<Files>>,
    /// The place behind the last answer that was given; to GET and the like, and to HEAD.
    given: Mutex<[u32; 2]>,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'r> {
    /// One recorded answer.
    One(&'r Recorded),
    /// Slices of a file; the exchange whose head speaks for it.
    File(&'r Recorded, &'r Version),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// Every recorded answer was given already.
    UsedUp(usize),
    /// It was recorded, with answers that do not fit this request: a 304 for who has nothing.
    Unfit(u16),
    /// Nothing like it was recorded; the nearest, where anything is near.
    Unknown(Option<NearMiss>),
}

/// How a server was spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tunnelled {
    Opened,
    /// By HTTPS, which this build does not open.
    Secure,
    Blind,
    Never,
}

impl Index {
    /// Takes in a flow of the session.
    pub(crate) fn add(
        &mut self,
        flow: Flow,
        session: &Session,
        catalog: &Catalog,
        keys: &MatchKeys,
    ) {
        if let (Kind::Tunnel | Kind::TlsFailure, Some(target)) = (flow.kind, &flow.target) {
            let known = if flow.intercepted { self.opened(Scheme::Https) } else { &mut self.blind };
            known.insert(target.authority().clone());
        }
        let Some(exchange) = Exchange::of(flow) else { return };
        self.opened(exchange.url.scheme).insert(exchange.url.authority.clone());
        let key = key(&exchange, session, catalog, keys);
        let index = self.exchanges.len();
        let packed = PackedKey::of(&key);
        let group = match self.by_key.get(&packed) {
            Some(&group) => group,
            None => self.new_group(packed, key),
        };
        self.exchanges.push(exchange.recorded);
        let (group, exchanges) = (&mut self.groups[group], &self.exchanges);
        group.members.push(index);
        match &mut group.files {
            Some(files) => files.add(index, &exchanges[index]),
            None if exchanges[index].status() == 206 => {
                let files = group.files.insert(Box::default());
                group.members.iter().for_each(|&index| files.add(index, &exchanges[index]));
            }
            None => {}
        }
    }

    fn new_group(&mut self, packed: PackedKey, key: RequestKey) -> usize {
        let (index, packed) = (self.groups.len(), Arc::new(packed));
        if key.has_secrets() {
            self.secret.push((key, index));
        }
        self.by_key.insert(Arc::clone(&packed), index);
        let (key, members) = (packed, Vec::with_capacity(1));
        let (files, given) = (None, Mutex::default());
        self.groups.push(Group { key, members, files, given });
        index
    }

    /// The servers that were spoken to in this way, and whether they can be answered for so.
    fn opened(&mut self, scheme: Scheme) -> &mut HashSet<Authority> {
        let opens = scheme == Scheme::Http || INTERCEPTION_AVAILABLE;
        if opens { &mut self.opened } else { &mut self.secure }
    }

    /// How this server was spoken to.
    pub(crate) fn tunnelled(&self, authority: &Authority) -> Tunnelled {
        if self.opened.contains(authority) {
            Tunnelled::Opened
        } else if self.secure.contains(authority) {
            Tunnelled::Secure
        } else if self.blind.contains(authority) {
            Tunnelled::Blind
        } else {
            Tunnelled::Never
        }
    }

    /// How many exchanges there are.
    pub(crate) fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Exchanges whose answer nobody asked for so far.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &Recorded> {
        self.exchanges.iter().filter(|recorded| !recorded.is_used())
    }

    /// Finds the answer to a request, and counts it as given.
    pub(crate) fn find(
        &self,
        key: &RequestKey,
        method: &str,
        asked: &Headers,
        repeat: Repeat,
    ) -> Result<Found<'_>, NotFound> {
        let group = self.by_key.get(&PackedKey::of(key)).copied().or_else(|| {
            let secret = self.secret.iter().find(|(recorded, _)| recorded.admits(key));
            secret.map(|&(_, group)| group)
        });
        let Some(group) = group.map(|group| &self.groups[group]) else {
            return Err(NotFound::Unknown(self.nearest(key)));
        };
        if matches!(method, "GET" | "HEAD")
            && let Some(version) = group.files.as_ref().and_then(|files| files.best(asked))
        {
            version.members.iter().for_each(|&index| self.exchanges[index].use_it());
            return Ok(Found::File(&self.exchanges[version.first], version));
        }
        let recorded = group.next(&self.exchanges, method == "HEAD", asked, repeat)?;
        recorded.use_it();
        Ok(Found::One(recorded))
    }

    fn nearest(&self, key: &RequestKey) -> Option<NearMiss> {
        let keys = self.groups.iter().map(|group| group.key.unpack());
        let (group, likeness, differences) = near_miss::nearest(key, keys)?;
        let first = self.groups.get(group)?.members.first()?;
        let recorded = self.exchanges.get(*first)?;
        let nearest =
            format!("the nearest recorded request is {} (flow {})", recorded.line, recorded.flow);
        Some(NearMiss { nearest, likeness, differences })
    }
}

impl Group {
    /// The answer whose turn it is.
    fn next<'e>(
        &self,
        exchanges: &'e [Recorded],
        to_head: bool,
        asked: &Headers,
        repeat: Repeat,
    ) -> Result<&'e Recorded, NotFound> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let given = &mut given[usize::from(to_head)];
        // Who has nothing yet cannot be told that it has the newest.
        let conditional =
            ["if-none-match", "if-modified-since"].iter().any(|name| asked.contains(name));
        // What was recorded for HEAD has no body; a GET is good for both.
        let has_heads = self.members.iter().any(|&index| exchanges[index].is_head);
        let fits = |recorded: &Recorded| {
            (recorded.status() != 304 || conditional) && recorded.is_head == (to_head && has_heads)
        };
        let eligible = |from: usize| {
            let rest = self.members.iter().enumerate().skip(from);
            rest.map(|(place, &index)| (place, &exchanges[index])).find(|(_, one)| fits(one))
        };
        if let Some((place, recorded)) = eligible(*given as usize) {
            *given = u32::try_from(place + 1).unwrap_or(u32::MAX);
            return Ok(recorded);
        }
        let Some((first, recorded)) = eligible(0) else {
            let status = self.members.first().map_or(0, |&index| exchanges[index].status());
            return Err(NotFound::Unfit(status));
        };
        match repeat {
            Repeat::Never => Err(NotFound::UsedUp(self.members.len())),
            Repeat::Again => {
                *given = u32::try_from(first + 1).unwrap_or(u32::MAX);
                Ok(recorded)
            }
            Repeat::Last => {
                let back = self.members.iter().rev().map(|&index| &exchanges[index]);
                Ok(back.into_iter().find(|one| fits(one)).unwrap_or(recorded))
            }
        }
    }
}

fn key(exchange: &Exchange, session: &Session, catalog: &Catalog, keys: &MatchKeys) -> RequestKey {
    let Exchange { url, request, request_body, .. } = exchange;
    let octets = match (request_body.kept, request_body.digest) {
        _ if !keys.reads_body() || request_body.bytes > READ_AT_MOST as u64 => None,
        _ if request_body.bytes == 0 => Some(Vec::new()),
        (Kept::Whole, Some(digest)) => session.body(&digest).ok(),
        _ => None,
    };
    let body = match (&octets, request_body.digest) {
        (Some(octets), _) => RequestBody::known(&request.headers, octets),
        (None, _) if request_body.bytes > READ_AT_MOST as u64 => RequestBody::Large,
        (None, Some(digest)) => RequestBody::Hashed(digest),
        (None, None) => RequestBody::Unknown,
    };
    let classification = catalog.classify(&Query {
        method: Some(&request.method),
        host: Some(&url.authority.host),
        port: Some(url.authority.port),
        path: Some(&url.path),
        user_agent: request.headers.text("user-agent"),
        headers: Some(&request.headers),
        ..Query::default()
    });
    let entry: Option<&Entry> = catalog.entry_of(&classification);
    let question =
        Question { method: &request.method, url, headers: &request.headers, body: &body };
    keys.of(&question, entry)
}
