//! User agents: the rows that say which console and which firmware speaks.

use std::collections::HashMap;

use crate::pattern::{Captures, Pattern};

/// How many bytes of a pattern's start it is filed under.
const KEY: usize = 4;

/// The user agent patterns of all rows, most specific first.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    by_start: HashMap<[u8; KEY], Vec<Agent>>,
    anywhere: Vec<Agent>,
}

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) row: usize,
    pub(crate) pattern: Pattern,
}

impl Agents {
    pub(crate) fn insert(&mut self, row: usize, pattern: Pattern) {
        let list = match pattern.prefix().as_bytes().first_chunk() {
            Some(key) => self.by_start.entry(*key).or_default(),
            None => &mut self.anywhere,
        };
        let at = list.partition_point(|agent| agent.pattern.specificity() >= pattern.specificity());
        list.insert(at, Agent { row, pattern });
    }

    /// The most specific pattern that fits. Spaces around the value are no part of it (RFC 9110
    /// 5.5); the PS Vita sends two before it.
    pub(crate) fn find<'a, 't>(&'a self, value: &'t str) -> Option<(&'a Agent, Captures<'t>)> {
        let value = value.trim_matches([' ', '\t']);
        let first = |list: &'a [Agent]| {
            list.iter().find_map(|agent| Some((agent, agent.pattern.read(value)?)))
        };
        let listed = value.as_bytes().first_chunk().and_then(|key| self.by_start.get(key));
        let by_start = listed.and_then(|list| first(list));
        let anywhere = first(&self.anywhere);
        match (by_start, anywhere) {
            (Some(one), Some(other)) => {
                let wins = one.0.pattern.specificity() >= other.0.pattern.specificity();
                Some(if wins { one } else { other })
            }
            (one, other) => one.or(other),
        }
    }
}
