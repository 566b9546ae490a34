//! What a filter says of a flow: yes, no, or not yet.

/// What a filter says of a flow by what is known so far. A condition on what is not known yet is
/// neither true nor false; `!`, `&` and `|` follow Kleene's three-valued logic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It fits, whatever else comes.
    Yes,
    /// It does not fit.
    No,
    /// What it asks for is not known yet.
    NotYet,
}

impl Answer {
    /// Whether it fits.
    #[must_use]
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }

    /// Yes when one is, no when all are.
    pub(crate) fn any(answers: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::No;
        for answer in answers {
            match answer {
                Self::Yes => return Self::Yes,
                Self::NotYet => all = Self::NotYet,
                Self::No => {}
            }
        }
        all
    }

    /// Yes when all are, no when one is.
    pub(crate) fn all(answers: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::Yes;
        for answer in answers {
            match answer {
                Self::No => return Self::No,
                Self::NotYet => all = Self::NotYet,
                Self::Yes => {}
            }
        }
        all
    }
}

impl From<bool> for Answer {
    fn from(truth: bool) -> Self {
        if truth { Self::Yes } else { Self::No }
    }
}

impl std::ops::Not for Answer {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::NotYet => Self::NotYet,
        }
    }
}
