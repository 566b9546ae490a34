//! What a recording amounts to: flows and sizes, by category and by console.

use std::collections::BTreeMap;
use std::net::IpAddr;

use consoletap_flow::{Category, Flow, State};

use crate::amounts::{count, size};
use crate::consoles::{Consoles, address};
use crate::escape::{Charset, escape};
use crate::look::{Ink, Look};

/// Counts of finished flows.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    all: Count,
    failed: u64,
    by_category: BTreeMap<Box<str>, Count>,
    by_client: BTreeMap<IpAddr, Count>,
    by_rule: BTreeMap<Box<str>, Count>,
    consoles: Consoles,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    flows: u64,
    up: u64,
    down: u64,
}

impl Count {
    fn add(&mut self, up: u64, down: u64) {
        self.flows += 1;
        self.up = self.up.saturating_add(up);
        self.down = self.down.saturating_add(down);
    }
}

impl Totals {
    /// Counts a flow. A tunnel that was opened counts as a flow, its octets with the flows inside.
    pub(crate) fn add(&mut self, flow: &Flow) {
        let (up, down) =
            if flow.intercepted { (0, 0) } else { (flow.request_bytes, flow.response_bytes) };
        self.consoles.learn(flow);
        self.all.add(up, down);
        let category = flow.classification.category.as_str();
        match self.by_category.get_mut(category) {
            Some(count) => count.add(up, down),
            None => self.by_category.entry(category.into()).or_default().add(up, down),
        }
        self.by_client.entry(address(flow)).or_default().add(up, down);
        for (index, hit) in flow.rules.iter().enumerate() {
            // A rule that did two things to a flow acted on one flow.
            if flow.rules[..index].iter().all(|other| other.name != hit.name) {
                self.by_rule.entry(hit.name.as_str().into()).or_default().add(up, down);
            }
        }
        if !matches!(flow.state(), State::Complete | State::AbortedByClient) {
            self.failed += 1;
        }
    }

    /// Learns what the client of a flow is, before the flow is over.
    pub(crate) fn meet(&mut self, flow: &Flow) {
        self.consoles.learn(flow);
    }

    /// How many flows there were.
    #[cfg(test)]
    pub(crate) fn flows(&self) -> u64 {
        self.all.flows
    }

    /// What the clients are called.
    pub(crate) fn consoles(&self) -> &Consoles {
        &self.consoles
    }

    /// The totals as text: a sentence, and two small tables.
    pub(crate) fn draw(&self, look: &Look) -> String {
        let Count { flows, up, down } = self.all;
        if flows == 0 {
            return "No flow was seen.\n".to_owned();
        }
        let mut text = format!(
            "{}: {} to the console, {} from it",
            count(flows, "flow", "flows"),
            size(down),
            size(up)
        );
        if self.failed > 0 {
            let failed = format!("{} failed", self.failed);
            text.push_str(&format!("; {}", look.paint(Ink::Bad, &failed)));
        }
        text.push_str(".\n");
        let categories = self.by_category.iter().map(|(name, count)| {
            let unknown = &**name == Category::UNKNOWN;
            let name = if unknown { "unknown (in no table)" } else { name };
            (escape(name, Charset::Ascii).into_owned(), *count)
        });
        let clients = self.by_client.iter().map(|(ip, count)| {
            let label = self.consoles.label(*ip, look);
            (format!("{label} ({ip})"), *count)
        });
        text.push_str(&table("category", categories.collect(), look));
        text.push_str(&table("console", clients.collect(), look));
        text.push_str(&self.rules(look));
        text
    }

    /// The rules that acted, as a table; empty where none did.
    pub(crate) fn rules(&self, look: &Look) -> String {
        if self.by_rule.is_empty() {
            return String::new();
        }
        let rules = self.by_rule.iter();
        let rules = rules.map(|(name, count)| (escape(name, Charset::Ascii).into_owned(), *count));
        table("rule", rules.collect(), look)
    }
}

/// Rows with the most octets first.
fn table(title: &str, mut rows: Vec<(String, Count)>, look: &Look) -> String {
    rows.sort_by_key(|(_, count)| {
        std::cmp::Reverse((count.down.saturating_add(count.up), count.flows))
    });
    let width = rows.iter().map(|(name, _)| name.chars().count()).chain([title.len()]).max();
    let width = width.unwrap_or_default();
    let head = format!("  {title:width$} {:>7} {:>8} {:>8}", "flows", "down", "up");
    let mut text = look.paint(Ink::Dim, &head) + "\n";
    for (name, Count { flows, up, down }) in rows {
        let row = format!("  {name:width$} {flows:>7} {:>8} {:>8}\n", size(down), size(up));
        text.push_str(&row);
    }
    text
}

#[cfg(test)]
mod tests {
    use consoletap_flow::Side;
    use insta::assert_snapshot;

    use super::*;
    use crate::sample::Sample;

    #[test]
    fn the_totals_name_categories_and_consoles() {
        let mut totals = Totals::default();
        let get = || Sample::get("http://a/").platform("ps4").category("fw-updatelist");
        let rule = |sample: Sample| sample.rule("mine", "did", consoletap_flow::Effect::Noted);
        totals.add(&rule(rule(get())).bytes(0, 2_400).flow());
        totals.add(&get().bytes(0, 2_400).flow());
        totals.add(&get().category("title-pkg").bytes(0, 3_000_000_000).flow());
        totals.add(&Sample::connect("b:443").bytes(9_000, 45_000).client("10.0.0.9:1").flow());
        let refused = Sample::get("http://b/").client("10.0.0.9:1");
        totals.add(&refused.failed(State::UpstreamError, Side::Upstream, "refused").flow());
        assert_snapshot!(totals.draw(&Look::PLAIN));
    }

    #[test]
    fn nothing_at_all_is_said_so() {
        assert_eq!(Totals::default().draw(&Look::PLAIN), "No flow was seen.\n");
    }

    #[test]
    fn the_octets_of_an_opened_tunnel_are_counted_once() {
        let mut totals = Totals::default();
        totals.add(&Sample::connect("a:443").bytes(10, 20).change(|f| f.intercepted = true).flow());
        totals.add(&Sample::get("https://a/").bytes(1, 2).flow());
        assert_eq!(totals.all, Count { flows: 2, up: 1, down: 2 });
    }
}
