//! Many filters, asked at once: of a thousand rules few can fit a flow, and which they are shows
//! in its category, its title, its client and its URL.
//!
//! Every filter is put under what it *demands*: something without which it cannot fit. Who
//! demands nothing that can be looked up is always asked.

use std::collections::HashMap;
use std::net::IpAddr;

use aho_corasick::AhoCorasick;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use crate::expression::{Expression, Filter};
use crate::operator::{Client, Operator};
use crate::pattern::{Names, Pattern};
use crate::subject::Subject;

/// Filters by what they demand.
#[derive(Debug, Clone, Default)]
pub struct FilterIndex {
    /// How many filters there are.
    count: u32,
    /// Those that demand nothing.
    always: Vec<u32>,
    by_category: HashMap<Box<str>, Vec<u32>>,
    by_title: HashMap<Box<str>, Vec<u32>>,
    by_client: HashMap<IpAddr, Vec<u32>>,
    /// Texts that stand in a URL, and who demands them.
    texts: Option<AhoCorasick>,
    by_text: Vec<Vec<u32>>,
}

/// What a filter cannot fit without. Texts are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand {
    Category(Box<str>),
    Title(Box<str>),
    Client(IpAddr),
    /// In the URL, or in `host:port` of a tunnel.
    Text(Box<str>),
}

impl FilterIndex {
    /// Puts filters under what they demand.
    pub fn new<'f>(filters: impl Iterator<Item = &'f Filter>) -> Self {
        let mut index = Self::default();
        let mut texts: Vec<Box<str>> = Vec::new();
        for filter in filters {
            let number = index.count;
            index.count += 1;
            let Some(demands) = demands(filter.root()) else {
                index.always.push(number);
                continue;
            };
            for demand in demands {
                let list = match demand {
                    Demand::Category(name) => index.by_category.entry(name).or_default(),
                    Demand::Title(name) => index.by_title.entry(name).or_default(),
                    Demand::Client(ip) => index.by_client.entry(ip).or_default(),
                    Demand::Text(text) => {
                        let place = texts.iter().position(|known| *known == text);
                        let place = place.unwrap_or_else(|| {
                            texts.push(text);
                            index.by_text.push(Vec::new());
                            texts.len() - 1
                        });
                        &mut index.by_text[place]
                    }
                };
                list.push(number);
            }
        }
        if !texts.is_empty() {
            match AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(texts.iter().map(|text| text.as_bytes()))
            {
                Ok(searcher) => index.texts = Some(searcher),
                // It is too large: those filters are always asked.
                Err(_) => index.always.extend(index.by_text.drain(..).flatten()),
            }
        }
        index
    }

    /// The numbers of filters that can fit, in their order; every one that fits is among them.
    #[must_use]
    pub fn candidates(&self, subject: &Subject<'_>) -> Vec<usize> {
        let mut found = self.always.clone();
        if let Some(classification) = subject.classification {
            found.extend(look_up(&self.by_category, classification.category.as_str()));
        }
        if !self.by_title.is_empty() {
            for title in subject.titles() {
                found.extend(look_up(&self.by_title, title));
            }
        }
        if let Some(ip) = subject.client.filter(|_| !self.by_client.is_empty()) {
            found.extend(self.by_client.get(&ip).into_iter().flatten());
        }
        if let (Some(texts), Some(url)) = (&self.texts, subject.url()) {
            if url.is_ascii() {
                for hit in texts.find_overlapping_iter(url) {
                    found.extend(&self.by_text[hit.pattern().as_usize()]);
                }
            } else {
                // A regex without case finds ſ and K where s and k are written; this search
                // does not.
                found.extend(self.by_text.iter().flatten());
            }
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|number| number as usize).collect()
    }
}

/// A name in any case, without an allocation where it is as short as names are.
fn look_up<'m>(map: &'m HashMap<Box<str>, Vec<u32>>, name: &str) -> &'m [u32] {
    if map.is_empty() {
        return &[];
    }
    let mut buffer = [0; 64];
    let found = match buffer.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            // Letters of ASCII were changed only.
            std::str::from_utf8(lower).ok().and_then(|lower| map.get(lower))
        }
        None => map.get(&*name.to_ascii_lowercase()),
    };
    found.map(Vec::as_slice).unwrap_or_default()
}

/// What an expression demands: one of these at least; `None` where nothing can be looked up.
fn demands(expression: &Expression) -> Option<Vec<Demand>> {
    match expression {
        Expression::Operator(operator, _) => of_operator(operator),
        Expression::Not(_) => None,
        Expression::And(parts) => {
            parts.iter().filter_map(demands).min_by_key(|demands| weight(demands))
        }
        Expression::Or(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(demands).collect();
            Some(parts?.concat())
        }
    }
}

/// How many flows these let through, roughly: the less the better.
fn weight(demands: &[Demand]) -> usize {
    let one = |demand: &Demand| match demand {
        Demand::Title(_) => 1,
        Demand::Text(text) if text.len() >= 16 => 2,
        Demand::Text(text) if text.len() >= 8 => 6,
        Demand::Category(_) => 4,
        Demand::Client(_) => 8,
        Demand::Text(_) => 12,
    };
    demands.iter().map(one).sum()
}

fn of_operator(operator: &Operator) -> Option<Vec<Demand>> {
    match operator {
        Operator::Never => Some(Vec::new()),
        Operator::Category(names) => whole(names, Demand::Category),
        Operator::Title(names) => whole(names, Demand::Title),
        Operator::Host(pattern) | Operator::Url(pattern) => texts(pattern),
        Operator::Client(clients) => clients
            .iter()
            .map(|client| match client {
                Client::Address(ip) => Some(Demand::Client(*ip)),
                Client::Network(_) | Client::Named(_) => None,
            })
            .collect(),
        _ => None,
    }
}

fn whole(names: &Names, demand: fn(Box<str>) -> Demand) -> Option<Vec<Demand>> {
    names.iter().map(|name| (!name.is_stem).then(|| demand(name.text.clone()))).collect()
}

/// Texts of which one stands wherever the regex matches.
fn texts(pattern: &Pattern) -> Option<Vec<Demand>> {
    let hir = ParserBuilder::new().nest_limit(50).build().parse(pattern.as_str()).ok()?;
    let texts = required(&hir)?;
    Some(texts.into_iter().map(|text| Demand::Text(text.into())).collect())
}

/// A regex that begins with one of so many texts is better asked itself.
const MOST_TEXTS: usize = 16;
/// Shorter ones are found everywhere.
const SHORTEST: usize = 3;

fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            let useful = text.is_ascii() && text.len() >= SHORTEST;
            useful.then(|| vec![text.to_ascii_lowercase()])
        }
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(required).max_by_key(|texts| {
            (texts.iter().map(String::len).min(), std::cmp::Reverse(texts.len()))
        }),
        HirKind::Alternation(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(required).collect();
            Some(parts?.concat()).filter(|texts| texts.len() <= MOST_TEXTS)
        }
        _ => None,
    }
}
