//! Many filters, asked at once: of a thousand rules few can fit a flow, and which they are shows
//! in its category, its title, its console, its client and its URL.
//!
//! Every filter is put under what it *demands*: something without which it cannot fit. Where it
//! demands several things, the rarest decides. Who demands nothing that can be looked up is always
//! asked.

mod demand;

use std::collections::HashMap;
use std::net::IpAddr;

use aho_corasick::AhoCorasick;
use consoletap_flow::{Platform, Platforms};

use self::demand::{Demand, Demands};
use crate::expression::Filter;
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
    /// `None` are those for consoles that are not known.
    by_console: HashMap<Option<Platform>, Vec<u32>>,
    by_port: HashMap<u16, Vec<u32>>,
    /// Texts that stand in a method, and who demands them. There are few.
    by_method: Vec<(Box<str>, Vec<u32>)>,
    /// Texts that stand in a URL, and who demands them.
    texts: Option<AhoCorasick>,
    by_text: Vec<Vec<u32>>,
}

impl FilterIndex {
    /// Puts filters under what they demand.
    pub fn new<'f>(filters: impl Iterator<Item = &'f Filter>) -> Self {
        let demands: Vec<Demands> = filters.map(|filter| Demands::of(filter.root())).collect();
        let mut askers: HashMap<&Demand, usize> = HashMap::new();
        for demands in &demands {
            demands.each(&mut |demand| *askers.entry(demand).or_default() += 1);
        }
        let mut index = Self::default();
        let mut texts: HashMap<&str, usize> = HashMap::new();
        for demands in &demands {
            let number = index.count;
            index.count += 1;
            match demands.rarest(&|demand| askers.get(demand).copied().unwrap_or_default()) {
                Some((_, chosen)) => {
                    chosen.into_iter().for_each(|demand| index.put(number, demand, &mut texts));
                }
                None => index.always.push(number),
            }
        }
        index.search_for(&texts);
        index
    }

    fn put<'d>(&mut self, number: u32, demand: &'d Demand, texts: &mut HashMap<&'d str, usize>) {
        let list = match demand {
            Demand::Category(name) => self.by_category.entry(name.clone()).or_default(),
            Demand::Title(name) => self.by_title.entry(name.clone()).or_default(),
            Demand::Client(ip) => self.by_client.entry(*ip).or_default(),
            Demand::Console(console) => self.by_console.entry(*console).or_default(),
            Demand::Port(port) => self.by_port.entry(*port).or_default(),
            Demand::Method(text) => {
                let known = self.by_method.iter().position(|(known, _)| known == text);
                let place = known.unwrap_or_else(|| {
                    self.by_method.push((text.clone(), Vec::new()));
                    self.by_method.len() - 1
                });
                &mut self.by_method[place].1
            }
            Demand::Text(text) => {
                let place = *texts.entry(text).or_insert_with(|| {
                    self.by_text.push(Vec::new());
                    self.by_text.len() - 1
                });
                &mut self.by_text[place]
            }
        };
        list.push(number);
    }

    /// Makes the searcher for the texts, which have their places in `by_text`.
    fn search_for(&mut self, texts: &HashMap<&str, usize>) {
        let mut in_order: Vec<(&str, usize)> =
            texts.iter().map(|(text, place)| (*text, *place)).collect();
        in_order.sort_unstable_by_key(|(_, place)| *place);
        if in_order.is_empty() {
            return;
        }
        match AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(in_order.iter().map(|(text, _)| text.as_bytes()))
        {
            Ok(searcher) => self.texts = Some(searcher),
            // It is too large: those filters are always asked.
            Err(_) => self.always.extend(self.by_text.drain(..).flatten()),
        }
    }

    /// The numbers of filters that can fit, in their order; every one that fits is among them.
    #[must_use]
    pub fn candidates(&self, subject: &Subject<'_>) -> Vec<usize> {
        let mut found = self.always.clone();
        if let Some(classification) = subject.classification {
            found.extend(look_up(&self.by_category, classification.category.as_str()));
            self.of_console(classification.platform, &mut found);
        }
        if !self.by_title.is_empty() {
            for title in subject.titles() {
                found.extend(look_up(&self.by_title, title));
            }
        }
        if let Some(ip) = subject.client.filter(|_| !self.by_client.is_empty()) {
            found.extend(self.by_client.get(&ip).into_iter().flatten());
        }
        if let Some(target) = subject.target.filter(|_| !self.by_port.is_empty()) {
            found.extend(self.by_port.get(&target.authority().port).into_iter().flatten());
        }
        if let Some(method) = subject.method {
            for (text, list) in &self.by_method {
                if may_hold(method, text) {
                    found.extend(list);
                }
            }
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

    /// Those who ask for the console or for its family.
    fn of_console(&self, platforms: Platforms, found: &mut Vec<u32>) {
        if self.by_console.is_empty() {
            return;
        }
        let unknown = platforms.is_unknown().then_some(None);
        let named = platforms.iter().flat_map(|platform| [platform, platform.family()]).map(Some);
        for console in unknown.into_iter().chain(named) {
            found.extend(self.by_console.get(&console).into_iter().flatten());
        }
    }
}

/// Whether the text, in small letters and of ASCII, can stand in the method; of a method with other
/// letters nobody says no, for the reason that holds for URLs.
fn may_hold(method: &str, text: &str) -> bool {
    let mut windows = method.as_bytes().windows(text.len());
    !method.is_ascii() || windows.any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
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
