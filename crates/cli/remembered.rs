//! The latest flows of each client, for the page that a console can look at.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use consoletap_flow::Flow;

use crate::consoles::address;

/// Flows remembered for a client.
const FLOWS: usize = 100;
/// Clients remembered; of more, the one that was silent for longest is forgotten.
const CLIENTS: usize = 16;

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    clients: HashMap<IpAddr, Client>,
    /// Counts the flows, to know who was silent for longest.
    turn: u64,
}

#[derive(Debug, Default)]
struct Client {
    flows: VecDeque<Arc<Flow>>,
    last: u64,
}

impl Remembered {
    /// Takes in a flow that is over.
    pub(crate) fn add(&mut self, flow: &Arc<Flow>) {
        let address = address(flow);
        if self.clients.len() >= CLIENTS && !self.clients.contains_key(&address) {
            let silent = self.clients.iter().min_by_key(|(_, client)| client.last);
            if let Some(&silent) = silent.map(|(address, _)| address) {
                self.clients.remove(&silent);
            }
        }
        self.turn += 1;
        let client = self.clients.entry(address).or_default();
        client.last = self.turn;
        if client.flows.len() >= FLOWS {
            client.flows.pop_front();
        }
        client.flows.push_back(Arc::clone(flow));
    }

    /// The latest flows of a client, the latest first.
    pub(crate) fn latest(&self, client: IpAddr) -> Vec<Arc<Flow>> {
        let flows = self.clients.get(&client.to_canonical());
        flows.into_iter().flat_map(|client| client.flows.iter().rev().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    #[test]
    fn a_client_is_told_its_own_latest_flows_and_memory_is_bounded() {
        let mut remembered = Remembered::default();
        let flow = |id: u64, ip: &str| {
            let address = format!("{ip}:1").parse().unwrap();
            let sample = Sample::get("http://a/").id(id);
            Arc::new(sample.change(|flow| flow.client.address = address).flow())
        };
        for id in 0..150 {
            remembered.add(&flow(id, "10.0.0.1"));
        }
        remembered.add(&flow(500, "10.0.0.2"));
        let ids = |ip: &str| -> Vec<u64> {
            remembered.latest(ip.parse().unwrap()).iter().map(|flow| flow.id.0).collect()
        };
        assert_eq!(ids("10.0.0.1"), (50..150).rev().collect::<Vec<_>>());
        assert_eq!(ids("::ffff:10.0.0.2"), [500]);
        assert!(ids("10.0.0.3").is_empty());
        for last in 3..=20 {
            remembered.add(&flow(last, &format!("10.0.0.{last}")));
        }
        assert_eq!(remembered.clients.len(), CLIENTS);
        assert!(remembered.latest("10.0.0.1".parse().unwrap()).is_empty());
    }
}
