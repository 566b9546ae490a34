//! What a row says of hosts, and under which name the row is found.

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

/// The host itself and every name above it: `a.b.c`, `b.c`, `c`.
pub(crate) fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    let above = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
    std::iter::once(host).chain(above)
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
