//! Why a request found no answer: the recorded request that is nearest to it, and what differs.

use std::fmt;

use consoletap_flow::Url;
use consoletap_redact::is_secret_name;

use crate::secret::fits;
use crate::serve::keys::{Label, RequestKey};

/// More recorded requests than this are not compared with one that found no answer.
const COMPARE_AT_MOST: usize = 20_000;

/// The nearest recorded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NearMiss {
    /// What it is, in one line.
    pub(crate) nearest: String,
    /// How alike it is to what was asked.
    pub(crate) likeness: u32,
    /// What differs.
    pub(crate) differences: Vec<Mismatch>,
}

impl NearMiss {
    /// The one that is more like what was asked; of equals the first.
    pub(crate) fn nearer(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if other.likeness > one.likeness => Some(other),
            (one, other) => one.or(other),
        }
    }
}

/// One part in which two requests differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    part: String,
    recorded: Option<String>,
    asked: Option<String>,
}

/// A URL as it is shown: without its query, which may hold secrets.
pub(crate) fn shown(url: &Url) -> String {
    let path = url.path_only();
    let query = if path.len() < url.path.len() { "?…" } else { "" };
    format!("{}{query}", Url { path: path.to_owned(), ..url.clone() })
}

/// A longer value is cut when it is shown.
const SHOWN: usize = 120;

impl Mismatch {
    fn new(label: &Label, recorded: Option<&str>, asked: Option<&str>) -> Self {
        let is_secret = match label {
            Label::Query(name) | Label::Header(name) | Label::Body(name) => {
                is_secret_name(name.rsplit('/').next().unwrap_or(name))
            }
            Label::Method | Label::Scheme | Label::Host | Label::Path => false,
        };
        let shown = |value: &str| match value.char_indices().nth(SHOWN) {
            Some((cut, _)) => format!("{}…", &value[..cut]),
            None => value.to_owned(),
        };
        if is_secret {
            let what = match (recorded, asked) {
                (Some(_), Some(_)) => "another one was recorded",
                (Some(_), None) => "recorded, not asked for",
                _ => "asked, not recorded",
            };
            return Self { part: format!("{label}: {what}"), recorded: None, asked: None };
        }
        Self { part: label.to_string(), recorded: recorded.map(shown), asked: asked.map(shown) }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, recorded, asked } = self;
        match (recorded, asked) {
            (Some(recorded), Some(asked)) => {
                write!(f, "{part}: recorded {recorded:?}, asked {asked:?}")
            }
            (Some(recorded), None) => write!(f, "{part}: recorded {recorded:?}, not asked for"),
            (None, Some(asked)) => write!(f, "{part}: asked {asked:?}, not recorded"),
            (None, None) => f.write_str(part),
        }
    }
}

/// Finds the request that is nearest to `asked`, how alike it is, and what differs; none where
/// nothing is alike.
pub(crate) fn nearest(
    asked: &RequestKey,
    recorded: impl Iterator<Item = RequestKey>,
) -> Option<(usize, u32, Vec<Mismatch>)> {
    let (index, key, likeness) = recorded
        .take(COMPARE_AT_MOST)
        .enumerate()
        .map(|(index, key)| {
            let likeness = likeness(asked, &key);
            (index, key, likeness)
        })
        // The first of equals: `max_by_key` would take the last.
        .fold(None, |best: Option<(usize, RequestKey, u32)>, this| match best {
            Some(best) if best.2 >= this.2 => Some(best),
            _ => Some(this),
        })
        .filter(|(_, _, likeness)| *likeness > 0)?;
    Some((index, likeness, differences(asked, &key)))
}

/// How alike two requests are. The host and the path say most; a method or a scheme that they
/// share is no likeness by itself.
fn likeness(asked: &RequestKey, recorded: &RequestKey) -> u32 {
    let mut same_place = 0;
    let mut same_rest = 0;
    for part in asked.parts() {
        let Some(value) = recorded.value(&part.label) else { continue };
        match part.label {
            Label::Path => same_place += shared_segments(&part.value, value),
            Label::Host => same_place += shared_labels(&part.value, value),
            _ => same_rest += u32::from(part.value == value),
        }
    }
    if same_place == 0 { 0 } else { same_place * 16 + same_rest }
}

fn shared_segments(one: &str, other: &str) -> u32 {
    if one == other {
        return 100;
    }
    let shared = one.split('/').zip(other.split('/')).filter(|(a, b)| a == b && !a.is_empty());
    u32::try_from(shared.count().min(20)).unwrap_or(20) * 4
}

/// Labels from the end, since names end in what they have in common; two of them say little.
fn shared_labels(one: &str, other: &str) -> u32 {
    if one == other {
        return 60;
    }
    let shared = one.rsplit('.').zip(other.rsplit('.')).take_while(|(a, b)| a == b);
    u32::try_from(shared.count().min(10)).unwrap_or(10).saturating_sub(1) * 4
}

fn differences(asked: &RequestKey, recorded: &RequestKey) -> Vec<Mismatch> {
    let mut differences = Vec::new();
    for part in recorded.parts() {
        let value = asked.value(&part.label);
        if !value.is_some_and(|value| fits(&part.value, value)) {
            let (recorded, asked) = (Some(&*part.value), value);
            differences.push(Mismatch::new(&part.label, recorded, asked));
        }
    }
    for part in asked.parts() {
        if recorded.value(&part.label).is_none() {
            differences.push(Mismatch::new(&part.label, None, Some(&part.value)));
        }
    }
    differences
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.nearest)?;
        self.differences.iter().try_for_each(|difference| write!(f, "\n  {difference}"))
    }
}
