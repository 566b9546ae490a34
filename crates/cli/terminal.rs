//! The one place that prints. Data goes to standard output, what a person reads to standard
//! error, and the block of running transfers stays below whatever else is said there.

use std::env;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::escape::Charset;
use crate::look::{DEFAULT_WIDTH, Look};

/// Standard output and standard error.
pub(crate) struct Printer {
    data: Mutex<Box<dyn Write + Send>>,
    people: Mutex<People>,
    live: bool,
}

/// Standard error, and what is drawn at its end.
struct People {
    stream: Box<dyn Write + Send>,
    block: Vec<String>,
}

impl Printer {
    /// The streams of this process.
    pub(crate) fn of_process() -> Self {
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let live = io::stderr().is_terminal() && !dumb;
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), live)
    }

    /// Any streams; `live` where the second is a terminal whose cursor may be moved.
    pub(crate) fn new(
        data: Box<dyn Write + Send>,
        people: Box<dyn Write + Send>,
        live: bool,
    ) -> Self {
        let people = People { stream: people, block: Vec::new() };
        Self { data: Mutex::new(data), people: Mutex::new(people), live }
    }

    /// Whether something can be redrawn for people.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// How text for people may look now; a window changes its width at any time.
    pub(crate) fn look(&self) -> Look {
        look_of(&io::stderr())
    }

    /// How text on standard output may look.
    pub(crate) fn data_look(&self) -> Look {
        look_of(&io::stdout())
    }

    /// Says something to people. Where it cannot be written there is nobody left to tell.
    pub(crate) fn say(&self, text: &str) {
        let mut people = lock(&self.people);
        let mut output = people.erasure();
        output.push_str(text);
        for line in &people.block {
            output.push_str(line);
            output.push('\n');
        }
        let _ = people.stream.write_all(output.as_bytes()).and_then(|()| people.stream.flush());
    }

    /// Draws these lines at the end of what people see, in the place of those before. None of
    /// them may be wider than the terminal. Without a live terminal nothing happens.
    pub(crate) fn redraw(&self, block: Vec<String>) {
        let mut people = lock(&self.people);
        if !self.live || people.block == block {
            return;
        }
        let mut output = people.erasure();
        for line in &block {
            output.push_str(line);
            output.push('\n');
        }
        people.block = block;
        let _ = people.stream.write_all(output.as_bytes()).and_then(|()| people.stream.flush());
    }

    /// Writes data, and flushes it.
    ///
    /// # Errors
    /// When it cannot be written; [`io::ErrorKind::BrokenPipe`] when the reader had enough.
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        let mut data = lock(&self.data);
        data.write_all(text.as_bytes())?;
        data.flush()
    }
}

impl People {
    /// What takes the block away: up by its lines, then erase to the end (ECMA-48 CUU, ED).
    fn erasure(&self) -> String {
        match self.block.len() {
            0 => String::new(),
            lines => format!("\r\x1b[{lines}A\x1b[J"),
        }
    }
}

/// A writer that panicked while it wrote left nothing that the next one could not write after.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A [`Write`] on standard output of the printer, for what writes by itself.
pub(crate) struct Data<'a>(pub(crate) &'a Printer);

impl Write for Data<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        lock(&self.0.data).write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        lock(&self.0.data).flush()
    }
}

/// A writer of debug messages, which come a line at a time. They go above the block, as everything
/// for people does.
pub(crate) struct Tracing(pub(crate) Arc<Printer>);

impl Write for Tracing {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.say(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Width and colours where the stream is a terminal; <https://no-color.org>.
fn look_of<S: io::IsTerminal + AsFd>(stream: &S) -> Look {
    let terminal = stream.is_terminal();
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    let size = terminal.then(|| rustix::termios::tcgetwinsize(stream).ok()).flatten();
    let width = size.map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 0);
    Look {
        width: width.unwrap_or(DEFAULT_WIDTH),
        colour: terminal && !set("NO_COLOR") && !dumb,
        charset: charset_of(|name| env::var(name).ok()),
    }
}

/// The charset of the locale (POSIX: the first of these that is set and not empty counts).
fn charset_of(variable: impl Fn(&str) -> Option<String>) -> Charset {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        .unwrap_or_default()
        .to_ascii_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Charset::Unicode
    } else {
        Charset::Ascii
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A stream whose text can be looked at.
    #[derive(Clone, Default)]
    pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_go_above_the_block() {
        let paper = Paper::default();
        let printer = Printer::new(Box::new(io::sink()), Box::new(paper.clone()), true);
        printer.redraw(vec!["50%".to_owned(), "60%".to_owned()]);
        printer.say("a flow\n");
        printer.redraw(Vec::new());
        printer.say("the end\n");
        assert_eq!(
            paper.text(),
            "50%\n60%\n\r\x1b[2A\x1b[Ja flow\n50%\n60%\n\r\x1b[2A\x1b[Jthe end\n"
        );
    }

    #[test]
    fn without_a_terminal_no_cursor_moves() {
        let paper = Paper::default();
        let printer = Printer::new(Box::new(io::sink()), Box::new(paper.clone()), false);
        printer.redraw(vec!["50%".to_owned()]);
        printer.say("a flow\n");
        assert_eq!(paper.text(), "a flow\n");
    }

    #[test]
    fn the_locale_says_which_characters_there_are() {
        let charset = |lang: &'static str, all: &'static str| {
            charset_of(|name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert_eq!(charset("en_US.UTF-8", ""), Charset::Unicode);
        assert_eq!(charset("de_DE.utf8", ""), Charset::Unicode);
        assert_eq!(charset("en_US.UTF-8", "C"), Charset::Ascii);
        assert_eq!(charset("", ""), Charset::Ascii);
    }
}
