//! Reads a session, also one that is being written: only whole lines are seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, Cursor};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use consoletap_flow::{BodySide, Digest, Event, Flow, FlowId, Happening, Timestamp};

use crate::bodies::sha256;
use crate::by_hand::{self, ByHand};
use crate::layout::SegmentFile;
use crate::line::{Cut, Entry, Seal, Skimmed, check, cut, glued, open, parse, skim};
use crate::small_bodies::SmallBodies;
use crate::{About, Gap, OpenError, ReadProblem, layout};

/// A session on disk.
#[derive(Debug)]
pub struct Session {
    directory: PathBuf,
    about: About,
    small_bodies: Arc<SmallBodies>,
}

/// A kept body to read from.
#[derive(Debug)]
pub enum Body {
    /// It is a file of its own.
    File(File),
    /// It was small, and lay in the log.
    Small(Cursor<Vec<u8>>),
}

impl io::Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            Self::Small(octets) => octets.read(into),
        }
    }
}

impl io::Seek for Body {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Small(octets) => octets.seek(to),
        }
    }
}

/// A session in a few numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// How many flows it holds.
    pub flows: u64,
    /// How many events.
    pub events: u64,
    /// How many octets it takes on disk: the log and the bodies.
    pub bytes: u64,
    /// When the first event happened.
    pub first: Option<Timestamp>,
    /// When the last one happened.
    pub last: Option<Timestamp>,
    /// Events that the disk did not take.
    pub lost_events: u64,
    /// Lines that cannot be read.
    pub problems: u64,
    /// Lines without a check of their own: written by hand, or by another program.
    pub unchecked: u64,
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// When there is none, or its `session.json` cannot be read.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let small_bodies = Arc::default();
        Ok(Self { about: About::read(dir)?, directory: dir.to_owned(), small_bodies })
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Who recorded it, and when.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    fn lines(&self) -> Lines {
        Lines::of(&self.directory, self.about.trimmed.then(|| ByHand::new(&self.directory)))
    }

    /// Its flows, in the order they began. Those that the recording did not see the end of are
    /// unfinished. While one stays open, no more than 4096 wait for it: then they go first.
    #[must_use]
    pub fn flows(&self) -> Flows {
        Flows {
            lines: self.lines(),
            lost_events: 0,
            open: HashMap::new(),
            order: BTreeMap::new(),
            over: BTreeSet::new(),
            begun: 0,
        }
    }

    /// The same for whoever looks into the bodies of the flows that it is given: [`Session::body`] and
    /// [`Session::open_body`] find the small ones without a search of the log.
    #[must_use]
    pub fn flows_with_bodies(&self) -> Flows {
        let mut flows = self.flows();
        // One that was edited is told apart by its place.
        if !self.about.trimmed {
            flows.lines.bodies = Some(Arc::clone(&self.small_bodies));
        }
        flows
    }

    /// Its events, as they were written.
    pub fn events(&self) -> impl Iterator<Item = Result<Event, ReadProblem>> + use<> {
        self.lines().filter_map(|line| match line {
            Ok((Entry::Event(event), _)) => Some(Ok(event)),
            Ok(_) => None,
            Err(problem) => Some(Err(problem)),
        })
    }

    /// What the disk did not take while it was recorded.
    pub fn gaps(&self) -> impl Iterator<Item = Gap> + use<> {
        self.lines().filter_map(|line| match line {
            Ok((Entry::Gap(gap), _)) => Some(gap),
            _ => None,
        })
    }

    /// The octets of a kept body.
    ///
    /// # Errors
    /// When it was not kept, cannot be read, or is not what its name says.
    pub fn body(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        let mut body = self.open_body(digest)?;
        io::Read::read_to_end(&mut body, &mut octets)?;
        if !self.is_checked(&body) || sha256(&octets) == *digest {
            return Ok(octets);
        }
        let what = format!("the body {digest} was changed or cut after it was recorded");
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }

    /// Whether a body is to hash to its name. In the log of a trimmed session it may have been
    /// edited since it was named.
    #[must_use]
    pub fn is_checked(&self, body: &Body) -> bool {
        !(self.about.trimmed && matches!(body, Body::Small(_)))
    }

    /// A kept body to read from; whether it is what its name says is not checked.
    ///
    /// # Errors
    /// When it was not kept, or cannot be opened.
    pub fn open_body(&self, digest: &Digest) -> io::Result<Body> {
        let path = layout::body(&self.directory, digest).ok_or_else(|| {
            let what = format!("only bodies with a sha256 are kept, and this is {digest}");
            io::Error::new(io::ErrorKind::NotFound, what)
        })?;
        let small = |octets| Body::Small(Cursor::new(octets));
        if let Some(Ok(octets)) = self.small_bodies.recent(digest) {
            return Ok(small(octets));
        }
        match File::open(&path) {
            Ok(file) => return Ok(Body::File(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let what = format!("cannot read the body {}: {error}", path.display());
                return Err(io::Error::new(error.kind(), what));
            }
        }
        match self.small_bodies.get(&self.directory, digest) {
            Ok(Some(octets)) => Ok(small(octets)),
            Ok(None) => {
                let what = format!(
                    "the body {digest} is not in this session: neither {} nor a line of the log",
                    path.display()
                );
                Err(io::Error::new(io::ErrorKind::NotFound, what))
            }
            Err(error) => {
                let what = format!("cannot read the body {digest} from the log: {error}");
                Err(io::Error::new(error.kind(), what))
            }
        }
    }

    /// What there is of a large body whose flow has no end: it is still being kept, or a crash cut
    /// it off there.
    #[must_use]
    pub fn part_of_body(&self, flow: FlowId, side: BodySide) -> Option<File> {
        File::open(layout::part(&self.directory, flow, side)).ok()
    }

    /// The session in a few numbers; reads the whole log.
    #[must_use]
    pub fn overview(&self) -> Overview {
        let mut overview =
            Overview { bytes: layout::bytes_below(&self.directory), ..Overview::default() };
        // Of most lines no more is needed than what a look tells.
        let lines = Lines { skims: !self.about.trimmed, ..self.lines() };
        for line in lines {
            let entry = line.map(|(entry, seal)| {
                overview.unchecked += u64::from(seal == Seal::None);
                entry
            });
            match entry {
                Ok(Entry::Event(event)) => {
                    let opens = matches!(event.happening, Happening::Opened(_));
                    overview.add(event.at, opens);
                }
                Ok(Entry::Skimmed(Skimmed { at, opens })) => overview.add(at, opens),
                Ok(Entry::Gap(gap)) => {
                    overview.lost_events = overview.lost_events.saturating_add(gap.events);
                }
                Ok(Entry::Body | Entry::Unknown) => {}
                Err(_) => overview.problems += 1,
            }
        }
        overview
    }
}

impl Overview {
    fn add(&mut self, at: Timestamp, opens: bool) {
        self.flows += u64::from(opens);
        self.events += 1;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(Some(at));
    }
}

/// So many flows wait for one that began before them. A tunnel may stay open for the whole
/// session, and what is read must not grow with it.
const MOST_HELD: usize = 4096;

/// The flows of a session, folded from its events: [`Session::flows`]. A flow is given out once it
/// and all before it are finished, or too many wait, so that little is held at a time.
pub struct Flows {
    lines: Lines,
    lost_events: u64,
    open: HashMap<FlowId, (u64, Flow)>,
    /// Those that were not given out, by the place of their beginning in the log.
    order: BTreeMap<u64, FlowId>,
    /// The places of those of them that are over.
    over: BTreeSet<u64>,
    begun: u64,
}

impl Iterator for Flows {
    type Item = Result<Flow, ReadProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(place) = self.ready() {
                return self.give(place);
            }
            match self.lines.next() {
                None => {
                    let (&first, _) = self.order.first_key_value()?;
                    return self.give(first);
                }
                Some(Err(problem)) => return Some(Err(problem)),
                Some(Ok((Entry::Event(event), _))) => self.apply(event),
                Some(Ok((Entry::Gap(gap), _))) => {
                    self.lost_events = self.lost_events.saturating_add(gap.events);
                }
                Some(Ok(_)) => {}
            }
        }
    }
}

impl Flows {
    /// How many events the disk did not take, in what was read so far.
    #[must_use]
    pub fn lost_events(&self) -> u64 {
        self.lost_events
    }

    fn apply(&mut self, event: Event) {
        if let Some((place, flow)) = self.open.get_mut(&event.flow) {
            flow.apply(event);
            if self.lines.by_hand.is_some() {
                by_hand::fit(flow);
            }
            if flow.finished.is_some() {
                self.over.insert(*place);
            }
        } else if let Some(flow) = Flow::open(event) {
            self.order.insert(self.begun, flow.id);
            self.open.insert(flow.id, (self.begun, flow));
            self.begun += 1;
        }
        // Else its beginning is in a gap, or in a line that was reported.
    }

    /// The place of a flow that can be given out.
    fn ready(&self) -> Option<u64> {
        let over = *self.over.first()?;
        let is_first = || self.order.first_key_value().is_some_and(|(&first, _)| first == over);
        (self.order.len() > MOST_HELD || is_first()).then_some(over)
    }

    fn give(&mut self, place: u64) -> Option<Result<Flow, ReadProblem>> {
        self.over.remove(&place);
        let id = self.order.remove(&place)?;
        self.open.remove(&id).map(|(_, flow)| Ok(flow))
    }
}

/// The lines of all segments. The last line of the last segment may be torn, which is no problem:
/// nobody was ever shown its event.
struct Lines {
    segments: vec::IntoIter<SegmentFile>,
    /// What is checked beyond what the writer of a session may be trusted with.
    by_hand: Option<ByHand>,
    /// Whether a look at an event is enough.
    skims: bool,
    /// Where the lines of small bodies are remembered.
    bodies: Option<Arc<SmallBodies>>,
    current: Option<Segment>,
    line: Vec<u8>,
    unread: Option<ReadProblem>,
}

struct Segment {
    file: Box<dyn BufRead + Send>,
    path: PathBuf,
    number: u64,
    /// Whether its last line may be one that nobody finished.
    may_be_torn: bool,
    /// Whether an editor may have left it without its last line feed.
    edited: bool,
    /// Reading failed; it would fail for ever.
    failed: bool,
    /// What was found glued to the line before.
    glued: Vec<u8>,
}

type Read = Result<(Entry, Seal), ReadProblem>;

impl Lines {
    fn of(directory: &Path, by_hand: Option<ByHand>) -> Self {
        let (segments, unread) = match layout::segments(directory) {
            Ok(segments) => (segments, None),
            Err(error) => (Vec::new(), Some(problem(directory, 0, &error))),
        };
        let (segments, line) = (segments.into_iter(), Vec::new());
        let (skims, bodies, current) = (false, None, None);
        Self { segments, by_hand, skims, bodies, current, line, unread }
    }

    fn open_next(&mut self) -> Option<Result<(), ReadProblem>> {
        let segment = self.segments.next()?;
        let edited = self.by_hand.is_some();
        let may_be_torn = self.segments.len() == 0 && !edited;
        Some(match open(&segment) {
            Ok(file) => {
                let (path, glued) = (segment.path, Vec::new());
                let (number, failed) = (0, false);
                self.current =
                    Some(Segment { file, path, number, may_be_torn, edited, failed, glued });
                Ok(())
            }
            Err(error) => Err(problem(&segment.path, 0, &error)),
        })
    }
}

impl Iterator for Lines {
    type Item = Read;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(problem) = self.unread.take() {
            return Some(Err(problem));
        }
        loop {
            let Some(segment) = &mut self.current else {
                match self.open_next()? {
                    Ok(()) => continue,
                    Err(problem) => return Some(Err(problem)),
                }
            };
            let read = segment.read(&mut self.line, self.skims);
            match (read, &mut self.by_hand) {
                (Some(Ok((mut entry, seal))), Some(by_hand)) => {
                    return Some(match by_hand.look(&mut entry, &self.line) {
                        Ok(()) => Ok((entry, seal)),
                        Err(what) => Err(problem(&segment.path, segment.number, &what)),
                    });
                }
                (Some(read), _) => {
                    if let (Ok((Entry::Body, _)), Some(bodies)) = (&read, &self.bodies) {
                        bodies.remember(&self.line);
                    }
                    return Some(read);
                }
                (None, _) => self.current = None,
            }
        }
    }
}

impl Segment {
    /// The next line that says something; `None` at the end.
    fn read(&mut self, line: &mut Vec<u8>, skims: bool) -> Option<Read> {
        if !self.glued.is_empty() {
            *line = std::mem::take(&mut self.glued);
            return self.say(line);
        }
        if self.failed {
            return None;
        }
        self.number += 1;
        let what = match cut(&mut self.file, line) {
            Ok(Cut::End) => return None,
            // It lacks nothing but its line feed, and that may be on its way.
            Ok(Cut::Torn) if check(line) == Seal::Sound => return self.say(line),
            Ok(Cut::Torn) => match glued(line) {
                Some(end) => return self.unglue(line, end),
                None if self.may_be_torn => return None,
                None if self.edited => return self.say(line),
                None => "the segment ends within a line",
            },
            Ok(Cut::TooLong) => "the line is longer than 4 MiB",
            Ok(Cut::Line) => {
                if let Some(skimmed) = skims.then(|| skim(line)).flatten() {
                    return Some(Ok((Entry::Skimmed(skimmed), Seal::Sound)));
                }
                return self.say(line);
            }
            Err(error) => {
                let problem = problem(&self.path, self.number, &error);
                self.failed = true;
                return Some(Err(problem));
            }
        };
        Some(Err(problem(&self.path, self.number, &what)))
    }

    fn say(&mut self, line: &mut Vec<u8>) -> Option<Read> {
        match parse(line) {
            Ok(read) => Some(Ok(read)),
            Err(error) => match glued(line) {
                Some(end) => self.unglue(line, end),
                None if check(line) == Seal::None && self.may_be_torn && self.is_at_end() => None,
                None => Some(Err(problem(&self.path, self.number, &error))),
            },
        }
    }

    /// Takes two lines apart whose line feed was changed into another octet.
    fn unglue(&mut self, line: &mut Vec<u8>, end: usize) -> Option<Read> {
        self.glued = line.split_off(end).split_off(1);
        self.say(line)
    }

    fn is_at_end(&mut self) -> bool {
        self.file.fill_buf().is_ok_and(<[u8]>::is_empty)
    }
}

fn problem(file: &Path, line: u64, what: &dyn std::fmt::Display) -> ReadProblem {
    ReadProblem { file: file.to_owned(), line, what: what.to_string() }
}
