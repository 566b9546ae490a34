//! Flows as lines of JSON, for programs: the same lines live and from disk.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use consoletap_flow::Flow;
use consoletap_redact::Redactor;

use crate::consoles::address;
use crate::live::Flows;
use crate::look::Look;
use crate::shown::Shown;
use crate::terminal::Printer;

/// The flow in one line; whoever shows it takes its secrets out first.
pub(crate) fn line(flow: &Flow) -> String {
    // A summary is strings, numbers and lists of them: nothing that JSON could not hold.
    let mut line = serde_json::to_string(&flow.summary()).unwrap_or_default();
    line.push('\n');
    line
}

/// Writes finished flows to standard output, in a thread of its own, so that a slow reader holds
/// up nothing. No line is left out: what the reader has not taken yet waits in memory without
/// bound, since a program that reads a log with gaps would draw wrong conclusions.
pub(crate) struct JsonLines {
    queue: Sender<Option<Arc<Flow>>>,
    thread: JoinHandle<io::Result<()>>,
}

impl JsonLines {
    /// Begins to write. `broken` is called when nothing can be written any more.
    pub(crate) fn start(
        printer: Arc<Printer>,
        flows: Flows,
        shown: Shown,
        redactor: Arc<Redactor>,
        broken: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, done) = mpsc::channel();
        let thread = thread::Builder::new().name("json".to_owned()).spawn(move || {
            let result = write(&printer, &flows, &shown, &redactor, &done);
            if result.is_err() {
                broken();
            }
            result
        })?;
        Ok(Self { queue, thread })
    }

    /// Where finished flows go.
    pub(crate) fn queue(&self) -> JsonQueue {
        JsonQueue(self.queue.clone())
    }

    /// Writes what is left, and ends.
    ///
    /// # Errors
    /// When something could not be written; a reader that had enough is no error.
    pub(crate) fn close(self) -> io::Result<()> {
        let _ = self.queue.send(None);
        match self.thread.join() {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other("the writer of JSON lines panicked")),
        }
    }
}

/// Takes finished flows.
#[derive(Clone)]
pub(crate) struct JsonQueue(Sender<Option<Arc<Flow>>>);

impl JsonQueue {
    /// Never blocks. Once the reader is gone, flows are dropped.
    pub(crate) fn push(&self, flow: Arc<Flow>) {
        let _ = self.0.send(Some(flow));
    }
}

fn write(
    printer: &Printer,
    flows: &Flows,
    shown: &Shown,
    redactor: &Redactor,
    done: &Receiver<Option<Arc<Flow>>>,
) -> io::Result<()> {
    while let Ok(Some(flow)) = done.recv() {
        let called = flows.look_at().totals().consoles().label(address(&flow), &Look::PLAIN);
        if shown.fits(&flow, &called) {
            printer.data(&line(&redactor.flow(&flow)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::sample::{Sample, masking};
    use crate::terminal::tests::Paper;

    #[test]
    fn every_flow_is_a_line_and_secrets_are_masked() {
        let paper = Paper::default();
        let printer = Printer::new(Box::new(paper.clone()), Box::new(io::sink()), false);
        let broken = || panic!("nothing broke");
        let (flows, shown) = (Flows::default(), Shown::default());
        let lines = JsonLines::start(Arc::new(printer), flows, shown, masking(), broken).unwrap();
        for id in 1..=500 {
            lines
                .queue()
                .push(Arc::new(Sample::get("http://a/x?sid=geheim").id(id).status(200).flow()));
        }
        lines.close().unwrap();
        let text = paper.text();
        assert!(!text.contains("geheim"));
        let ids: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|flow| flow["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids, (1..=500).collect::<Vec<_>>());
        assert!(text.starts_with(r#"{"id":1,"kind":"http","started":"2026-11-23T"#), "{text:.90}");
    }

    #[test]
    fn a_reader_that_had_enough_ends_it_quietly() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let broken = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&broken);
        let printer = Arc::new(Printer::new(Box::new(Closed), Box::new(io::sink()), false));
        let (flows, shown) = (Flows::default(), Shown::default());
        let lines = JsonLines::start(printer, flows, shown, masking(), move || {
            told.store(true, Ordering::SeqCst)
        })
        .unwrap();
        lines.queue().push(Arc::new(Sample::get("http://a/").flow()));
        lines.close().unwrap();
        assert!(broken.load(Ordering::SeqCst));
    }
}
