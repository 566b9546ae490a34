//! Events become flows here, once: for the log, for `--json` and for the closing totals. Nothing
//! is ever skipped at this point, and a flow is forgotten once it is over.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use consoletap_flow::{Event, Flow, FlowId};

use crate::remembered::Remembered;
use crate::totals::Totals;

/// The flows that are under way, and what came of the others.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    open: HashMap<FlowId, Open>,
    totals: Totals,
    remembered: Remembered,
}

#[derive(Debug)]
struct Open {
    // A flow is large, and is handed on more than once; until its end nobody else has it.
    flow: Arc<Flow>,
    inner: u64,
}

/// A flow that is over.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    /// The flow.
    pub(crate) flow: Arc<Flow>,
    /// How many flows came through it.
    pub(crate) inner: u64,
}

impl Done {
    /// Whether the log gives it a line: an opened tunnel is told by the flows inside it, unless
    /// there were none, or it failed.
    pub(crate) fn has_line(&self) -> bool {
        let failed = self.flow.finished.as_ref().is_some_and(|end| end.failure.is_some());
        !self.flow.intercepted || self.inner == 0 || failed
    }
}

impl Fold {
    /// Takes in an event; the flow, where this was its last.
    pub(crate) fn take(&mut self, event: Event) -> Option<Done> {
        let id = event.flow;
        if let Some(open) = self.open.get_mut(&id) {
            Arc::get_mut(&mut open.flow)?.apply(event);
            open.flow.finished.as_ref()?;
            let Open { flow, inner } = self.open.remove(&id)?;
            self.totals.add(&flow);
            self.remembered.add(&flow);
            return Some(Done { flow, inner });
        }
        let flow = Arc::new(Flow::open(event)?);
        self.totals.meet(&flow);
        if let Some(tunnel) = flow.tunnel.and_then(|tunnel| self.open.get_mut(&tunnel)) {
            tunnel.inner += 1;
        }
        self.open.insert(id, Open { flow, inner: 0 });
        None
    }

    /// The flows that are under way, in no order.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Flow> {
        self.open.values().map(|open| &*open.flow)
    }

    /// The latest of a client that are over, the latest first.
    pub(crate) fn latest(&self, client: IpAddr) -> Vec<Arc<Flow>> {
        self.remembered.latest(client)
    }

    /// What came of those that are over.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use consoletap_flow::{Happening, Opened};

    use super::*;
    use crate::sample::Sample;

    /// The first and the last event of a finished flow.
    pub(crate) fn ends(flow: &Flow) -> [Event; 2] {
        let opened = Happening::Opened(Box::new(Opened {
            kind: flow.kind,
            client: flow.client,
            tunnel: flow.tunnel,
            target: flow.target.clone(),
            request: flow.request.clone(),
            classification: flow.classification.clone(),
        }));
        let finished = Happening::Finished(flow.finished.clone().unwrap());
        [
            Event { flow: flow.id, at: flow.started, happening: opened },
            Event { flow: flow.id, at: flow.latest, happening: finished },
        ]
    }

    #[test]
    fn a_flow_is_counted_and_forgotten_at_its_end() {
        let mut fold = Fold::default();
        let [opened, finished] = ends(&Sample::get("http://a/").bytes(1, 2).flow());
        assert!(fold.take(finished.clone()).is_none(), "an end without a beginning is no flow");
        assert!(fold.take(opened).is_none());
        assert_eq!(fold.open().count(), 1);
        assert!(fold.take(finished).unwrap().has_line());
        assert_eq!((fold.open().count(), fold.totals().flows()), (0, 1));
    }

    #[test]
    fn an_opened_tunnel_speaks_through_the_flows_inside_it() {
        let tunnel = |id| Sample::connect("a:443").id(id).change(|flow| flow.intercepted = true);
        let inner = Sample::get("https://a/").id(2).change(|flow| flow.tunnel = Some(FlowId(1)));
        let mut fold = Fold::default();
        let intercepted = |id| Event {
            flow: FlowId(id),
            at: consoletap_flow::Timestamp(0),
            happening: Happening::Intercepted,
        };
        let [opened, finished] = ends(&tunnel(1).flow());
        fold.take(opened);
        fold.take(intercepted(1));
        for event in ends(&inner.flow()) {
            fold.take(event);
        }
        assert!(!fold.take(finished).unwrap().has_line());

        let [opened, finished] = ends(&tunnel(3).flow());
        fold.take(opened);
        fold.take(intercepted(3));
        assert!(fold.take(finished).unwrap().has_line(), "nothing came through it");
    }
}
