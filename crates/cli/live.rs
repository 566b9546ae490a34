//! The live log: a line a finished flow, and below them the transfers under way. It draws in a
//! thread of its own and may skip lines; the proxy never waits for a terminal.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use consoletap_flow::{Event, Flow, Timestamp};
use consoletap_proxy::Seen;
use consoletap_redact::Redactor;
use jiff::tz::TimeZone;

use crate::amounts::count;
use crate::consoles::address;
use crate::fold::{Done, Fold};
use crate::json::JsonQueue;
use crate::line::Line;
use crate::look::Ink;
use crate::progress;
use crate::shown::Shown;
use crate::terminal::Printer;

/// Flows that wait to be drawn. A terminal that is further behind loses lines.
const QUEUE: usize = 1024;

/// Lines of so long go out together. Nobody sees it, and under load whoever brings a line need not
/// wake this thread for it.
const GATHER: Duration = Duration::from_millis(15);

/// How often the block of transfers is drawn anew.
const REDRAW: Duration = Duration::from_millis(250);

/// The flows of this run. Shared by who counts them and who draws them.
#[derive(Clone, Default)]
pub(crate) struct Flows(Arc<Mutex<Fold>>);

impl Flows {
    /// To look at, for a moment: the recorder waits meanwhile.
    pub(crate) fn look_at(&self) -> MutexGuard<'_, Fold> {
        // The fold is whole between two events, whatever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen for Flows {
    fn latest(&self, client: IpAddr) -> Vec<Arc<Flow>> {
        self.look_at().latest(client)
    }
}

/// Sees every event once it is on disk, counts, and hands finished flows on.
pub(crate) struct Observer {
    pub(crate) flows: Flows,
    pub(crate) log: Option<LogQueue>,
    pub(crate) json: Option<JsonQueue>,
}

impl Observer {
    /// Takes in an event. Never blocks on a terminal or a reader.
    pub(crate) fn see(&mut self, event: Event) {
        let Some(done) = self.flows.look_at().take(event) else { return };
        if let Some(json) = &self.json {
            json.push(done.flow.clone());
        }
        if let Some(log) = self.log.as_ref().filter(|_| done.has_line()) {
            log.push(done);
        }
    }
}

/// The thread that draws.
pub(crate) struct LiveLog {
    queue: LogQueue,
    thread: JoinHandle<()>,
}

/// Takes finished flows to be drawn.
#[derive(Clone)]
pub(crate) struct LogQueue {
    sender: SyncSender<Message>,
    skipped: Arc<AtomicU64>,
}

enum Message {
    Done(Done),
    End,
}

impl LogQueue {
    fn push(&self, done: Done) {
        if self.sender.try_send(Message::Done(done)).is_err() {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl LiveLog {
    /// Begins to draw.
    pub(crate) fn start(
        printer: Arc<Printer>,
        flows: Flows,
        shown: Shown,
        redactor: Arc<Redactor>,
        zone: TimeZone,
    ) -> io::Result<Self> {
        let (sender, messages) = mpsc::sync_channel(QUEUE);
        let skipped = Arc::new(AtomicU64::new(0));
        let queue = LogQueue { sender, skipped: Arc::clone(&skipped) };
        let redrawn = Instant::now();
        let drawing = Drawing { printer, flows, shown, redactor, zone, skipped, told: 0, redrawn };
        let thread =
            thread::Builder::new().name("log".to_owned()).spawn(move || drawing.run(&messages))?;
        Ok(Self { queue, thread })
    }

    /// Where finished flows go.
    pub(crate) fn queue(&self) -> LogQueue {
        self.queue.clone()
    }

    /// Draws what is left, takes the block away, and ends.
    pub(crate) fn close(self) {
        let _ = self.queue.sender.send(Message::End);
        let _ = self.thread.join();
    }
}

struct Drawing {
    printer: Arc<Printer>,
    flows: Flows,
    shown: Shown,
    redactor: Arc<Redactor>,
    zone: TimeZone,
    skipped: Arc<AtomicU64>,
    told: u64,
    redrawn: Instant,
}

impl Drawing {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Some(first) = self.next(messages) {
            if first.is_some() {
                thread::sleep(GATHER);
            }
            let mut flows = Vec::new();
            let mut ended = false;
            // What else waits goes out in the same write.
            for message in first.into_iter().chain(messages.try_iter().take(QUEUE)) {
                match message {
                    Message::Done(done) => flows.push(done.flow),
                    Message::End => ended = true,
                }
            }
            let mut text = self.lines(&flows);
            text.push_str(&self.gap());
            if !text.is_empty() {
                self.printer.say(&text);
            }
            if ended {
                break;
            }
            self.redraw();
        }
        self.printer.redraw(Vec::new());
    }

    /// The next message; `Some(None)` when it is only time to redraw, `None` at the end.
    fn next(&self, messages: &Receiver<Message>) -> Option<Option<Message>> {
        if !self.printer.is_live() {
            return messages.recv().ok().map(Some);
        }
        match messages.recv_timeout(REDRAW) {
            Ok(message) => Some(Some(message)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn lines(&self, flows: &[Arc<Flow>]) -> String {
        // What the terminal looks like, and what clients are called, is asked once for all of them.
        let look = self.printer.look();
        let clients: Vec<_> = {
            let fold = self.flows.look_at();
            let consoles = fold.totals().consoles();
            flows.iter().map(|flow| consoles.label(address(flow), &look)).collect()
        };
        let fitting = flows.iter().zip(&clients).filter(|(flow, it)| self.shown.fits(flow, it));
        let lines = fitting.map(|(flow, client)| {
            let flow = self.redactor.row(flow);
            Line { flow: &flow, client, numbered: false }.draw(&look, &self.zone)
        });
        lines.collect()
    }

    /// Says how many lines were skipped since it was last said.
    fn gap(&mut self) -> String {
        let skipped = self.skipped.load(Ordering::Relaxed);
        let new = skipped - self.told;
        self.told = skipped;
        if new == 0 {
            return String::new();
        }
        let lines = count(new, "flow has", "flows have");
        let words = format!("({lines} no line here: the terminal is too slow for them)");
        self.printer.look().paint(Ink::Notice, &words) + "\n"
    }

    fn redraw(&mut self) {
        if !self.printer.is_live() || self.redrawn.elapsed() < REDRAW {
            return;
        }
        self.redrawn = Instant::now();
        let now = Timestamp::from(jiff::Timestamp::now());
        let look = self.printer.look();
        let flows = self.flows.look_at();
        let block = progress::block(&flows, &self.shown, now, &self.redactor, &look);
        drop(flows);
        self.printer.redraw(block);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::{Receiver as Gate, channel};

    use consoletap_flow::{Flow, FlowId};

    use super::*;
    use crate::fold::tests::ends;
    use crate::sample::{Sample, masking};
    use crate::terminal::tests::Paper;

    fn flow(id: u64) -> Flow {
        Sample::get("http://a.example/x").id(id).status(200).flow()
    }

    fn observe(observer: &mut Observer, flow: &Flow) {
        for event in ends(flow) {
            observer.see(event);
        }
    }

    #[test]
    fn every_finished_flow_gets_its_line() {
        let paper = Paper::default();
        let printer = Arc::new(Printer::new(Box::new(io::sink()), Box::new(paper.clone()), false));
        let flows = Flows::default();
        let shown = Shown::default();
        let log = LiveLog::start(printer, flows.clone(), shown, masking(), TimeZone::UTC).unwrap();
        let mut observer = Observer { flows, log: Some(log.queue()), json: None };
        for id in 1..=20 {
            observe(&mut observer, &flow(id));
        }
        log.close();
        assert_eq!(paper.text().lines().count(), 20, "{}", paper.text());
        assert!(paper.text().starts_with("20:43:00 .1.23  GET  a.example/x"), "{}", paper.text());
    }

    #[test]
    fn a_stuck_terminal_holds_nothing_up_and_the_gap_is_told() {
        /// A terminal that takes nothing until the gate is gone.
        struct Stuck(Gate<()>, Paper);
        impl Write for Stuck {
            fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                self.1.write(octets)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (gate, stuck) = channel();
        let paper = Paper::default();
        let terminal = Box::new(Stuck(stuck, paper.clone()));
        let printer = Arc::new(Printer::new(Box::new(io::sink()), terminal, false));
        let flows = Flows::default();
        let shown = Shown::default();
        let log = LiveLog::start(printer, flows.clone(), shown, masking(), TimeZone::UTC).unwrap();
        let mut observer = Observer { flows: flows.clone(), log: Some(log.queue()), json: None };
        let many = 3 * QUEUE as u64;
        for id in 1..=many {
            observe(&mut observer, &flow(id));
        }
        assert_eq!(flows.look_at().totals().flows(), many, "the totals skip nothing");
        drop(gate);
        log.close();
        let text = paper.text();
        let shown = text.lines().filter(|line| line.contains("a.example")).count() as u64;
        let told: u64 = text
            .lines()
            .filter_map(|line| line.strip_prefix('(')?.split(' ').next()?.parse::<u64>().ok())
            .sum();
        assert!(told > 0);
        assert_eq!(shown + told, many);
    }

    #[test]
    fn an_opened_tunnel_with_flows_inside_has_no_line() {
        let paper = Paper::default();
        let printer = Arc::new(Printer::new(Box::new(io::sink()), Box::new(paper.clone()), false));
        let flows = Flows::default();
        let shown = Shown::default();
        let log = LiveLog::start(printer, flows.clone(), shown, masking(), TimeZone::UTC).unwrap();
        let mut observer = Observer { flows, log: Some(log.queue()), json: None };
        let [opened, finished] = ends(&Sample::connect("a.example:443").id(1).status(200).flow());
        observer.see(opened);
        observer.see(Event {
            flow: FlowId(1),
            at: Timestamp(0),
            happening: consoletap_flow::Happening::Intercepted,
        });
        let inner = Sample::get("https://a.example/in").id(2).status(200);
        observe(&mut observer, &inner.change(|flow| flow.tunnel = Some(FlowId(1))).flow());
        observer.see(finished);
        log.close();
        assert_eq!(paper.text().lines().count(), 1, "{}", paper.text());
    }
}
