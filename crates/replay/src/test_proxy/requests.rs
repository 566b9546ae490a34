//! Requests that fit a filter, to be counted.

use std::fmt;

use consoletap_filter::Filter;

use crate::test_proxy::seen::Request;

/// The requests that fit a filter. What counts them fails the test where there are more or less,
/// and lists what was asked.
#[must_use = "nothing is counted"]
pub struct Requests {
    filter: Filter,
    found: Vec<Request>,
    /// All that was asked, for the message.
    all: String,
}

impl Requests {
    pub(super) fn new(filter: Filter, found: Vec<Request>, all: String) -> Self {
        Self { filter, found, all }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// There is one, which is given back.
    ///
    /// # Panics
    /// When there is none, or more.
    #[track_caller]
    pub fn once(self) -> Request {
        let mut found = self.counted(|count| count == 1, "once");
        found.remove(0)
    }

    /// There is none.
    ///
    /// # Panics
    /// When there is one.
    #[track_caller]
    pub fn never(self) {
        self.counted(|count| count == 0, "never");
    }

    /// There is one, or there are more.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn at_least_once(self) -> Vec<Request> {
        self.counted(|count| count > 0, "at least once")
    }

    /// There are so many.
    ///
    /// # Panics
    /// When there are more or less.
    #[track_caller]
    pub fn times(self, times: usize) -> Vec<Request> {
        self.counted(|count| count == times, &often(times))
    }

    #[track_caller]
    fn counted(self, fits: impl Fn(usize) -> bool, expected: &str) -> Vec<Request> {
        let Self { filter, found, all } = self;
        if !fits(found.len()) {
            let often = often(found.len());
            panic!("`{filter}` was to be asked {expected}, and was asked {often}\n{all}");
        }
        found
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("filter", &self.filter)
            .field("found", &self.found)
            .finish()
    }
}

fn often(times: usize) -> String {
    match times {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    }
}
