//! Whether two patterns fit a common text, and which: patterns are regular, so this can be
//! answered for sure, with the product of their automata.

use std::collections::{HashMap, VecDeque};

use super::shape::{self, ByteSet};
use super::{Pattern, Token};

/// The work that one answer is worth; our own patterns need some hundred steps.
const MOST_STEPS: usize = 200_000;

/// A nondeterministic automaton. State 0 is its start, its last state the end.
struct Automaton {
    /// The steps out of each state: on a byte of a set, or on nothing at all.
    steps: Vec<Vec<(Option<ByteSet>, usize)>>,
}

impl Pattern {
    /// A text that both patterns fit.
    ///
    /// Two that may begin anywhere (`*(PS3*`, `*(PS4*`) nearly always fit some text: what each
    /// finds, one behind the other. Nobody sends that, and it does not count. They cannot be told
    /// apart where the find of one can be that of the other, or hold it.
    pub(crate) fn shared_text(&self, other: &Self) -> Option<String> {
        let may_meet = !self.is_sought() || !other.is_sought() || self.shares_find(other);
        // What stands behind the finds can still tell them apart.
        let text = || Automaton::of(&self.tokens).shared_text(&Automaton::of(&other.tokens));
        may_meet.then(text).flatten()
    }

    fn shares_find(&self, other: &Self) -> bool {
        let (one, two) = (self.first_find(), other.first_find());
        match (&one[..], &two[..]) {
            ([Token::Literal(one)], [Token::Literal(two)]) => {
                one.contains(&**two) || two.contains(&**one)
            }
            _ => is_within(&one, &two) || is_within(&two, &one),
        }
    }

    /// What is looked for behind the first `*`, up to the next one.
    fn first_find(&self) -> Vec<Token> {
        let mut find = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            match token {
                Token::Any if index == 0 => {}
                Token::Seek(needle) if index == 0 => {
                    find.push(Token::Literal(needle.text().into()))
                }
                Token::Any | Token::Seek(_) => break,
                token => find.push(token.clone()),
            }
        }
        find
    }
}

/// Whether a text of the one can stand in a text of the other.
fn is_within(inner: &[Token], outer: &[Token]) -> bool {
    may_begin_in(inner, outer) && stands_in(inner, outer)
}

/// Whether there is a place in the other at which the one can begin: cheap, and the answer for
/// nearly all pairs of a large table.
fn may_begin_in(inner: &[Token], outer: &[Token]) -> bool {
    let Some(Token::Literal(inner)) = inner.first() else { return true };
    let inner = inner.as_bytes();
    let agrees = |text: &[u8]| text.iter().zip(inner).all(|(one, other)| one == other);
    outer.iter().any(|token| match token {
        Token::Literal(text) => (0..text.len()).any(|at| agrees(&text.as_bytes()[at..])),
        Token::Field { runs, .. } => runs.iter().any(|run| run.set.contains(inner[0])),
        Token::OneOf(words, _) => words.iter().any(|word| word.as_bytes().contains(&inner[0])),
        Token::Any | Token::Seek(_) => true,
    })
}

fn stands_in(inner: &[Token], outer: &[Token]) -> bool {
    let anywhere = [&[Token::Any], inner, &[Token::Any]].concat();
    Automaton::of(&anywhere).shared_text(&Automaton::of(outer)).is_some()
}

type State = (usize, usize);

impl Automaton {
    /// A text that both read, as short as there is one.
    fn shared_text(&self, other: &Self) -> Option<String> {
        let end = (self.last(), other.last());
        // How each pair of states was reached first.
        let mut reached = HashMap::from([((0, 0), None)]);
        let mut queue = VecDeque::from([(0, 0)]);
        while let Some(state) = queue.pop_front() {
            if state == end {
                return Some(text_to(state, &reached));
            }
            if reached.len() > MOST_STEPS {
                return None;
            }
            for (byte, next) in self.steps_with(other, state) {
                reached.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    Some((byte, state))
                });
            }
        }
        None
    }

    fn of(tokens: &[Token]) -> Self {
        let mut automaton = Self { steps: vec![Vec::new()] };
        for token in tokens {
            match token {
                Token::Literal(text) => automaton.literal(text.as_bytes()),
                Token::Field { runs, .. } => {
                    for run in runs {
                        automaton.run(run.set, run.least, run.most);
                    }
                }
                Token::OneOf(words, _) => automaton.one_of(words),
                Token::Seek(needle) => {
                    automaton.run(shape::ANY, 0, None);
                    automaton.literal(needle.0.needle());
                }
                Token::Any => automaton.run(shape::ANY, 0, None),
            }
        }
        automaton
    }

    fn last(&self) -> usize {
        self.steps.len() - 1
    }

    fn step(&mut self, set: Option<ByteSet>) {
        let from = self.last();
        self.steps.push(Vec::new());
        let to = self.last();
        self.steps[from].push((set, to));
    }

    fn literal(&mut self, text: &[u8]) {
        text.iter().for_each(|&byte| self.step(Some(ByteSet::of(&[(byte, byte)]))));
    }

    fn run(&mut self, set: ByteSet, least: usize, most: Option<usize>) {
        (0..least).for_each(|_| self.step(Some(set)));
        match most {
            None => {
                let here = self.last();
                self.steps[here].push((Some(set), here));
                // The loop must not be entered again from what comes next.
                self.step(None);
            }
            Some(most) => {
                for _ in least..most {
                    let before = self.last();
                    self.step(Some(set));
                    let after = self.last();
                    self.steps[before].push((None, after));
                }
            }
        }
    }

    fn one_of(&mut self, words: &[Box<str>]) {
        let start = self.last();
        let mut ends = Vec::new();
        for word in words {
            // Each word begins with a state of its own.
            self.steps.push(Vec::new());
            let first = self.last();
            self.steps[start].push((None, first));
            self.literal(word.as_bytes());
            ends.push(self.last());
        }
        self.steps.push(Vec::new());
        let end = self.last();
        ends.into_iter().for_each(|at| self.steps[at].push((None, end)));
    }

    /// Every step that both can take together, or one alone without reading.
    fn steps_with(
        &self,
        other: &Self,
        (here, there): State,
    ) -> impl Iterator<Item = (Option<u8>, State)> {
        let alone = |step: &(Option<ByteSet>, usize)| step.0.is_none().then_some(step.1);
        let mine = self.steps[here].iter().filter_map(alone).map(move |to| (None, (to, there)));
        let theirs = other.steps[there].iter().filter_map(alone).map(move |to| (None, (here, to)));
        let both = self.steps[here].iter().flat_map(move |&(one, to)| {
            other.steps[there]
                .iter()
                .filter_map(move |&(two, too)| Some((Some(one?.shared(two?)?), (to, too))))
        });
        mine.chain(theirs).chain(both)
    }
}

fn text_to(end: State, reached: &HashMap<State, Option<(Option<u8>, State)>>) -> String {
    let mut bytes = Vec::new();
    let mut state = end;
    while let Some(Some((byte, before))) = reached.get(&state) {
        bytes.extend(byte);
        state = *before;
    }
    bytes.reverse();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(one: &str, other: &str) -> Option<String> {
        Pattern::parse(one).unwrap().shared_text(&Pattern::parse(other).unwrap())
    }

    #[test]
    fn patterns_that_meet_are_shown_where() {
        assert_eq!(shared("/a/{x:digits}", "/a/{y:word}").as_deref(), Some("/a/0"));
        assert_eq!(shared("/{a:json|xml}", "/{b:xml|txt}").as_deref(), Some("/xml"));
        assert_eq!(shared("/*b", "/a*").as_deref(), Some("/ab"));
        assert_eq!(shared("/x", "/x").as_deref(), Some("/x"));
        assert_eq!(shared("*", "").as_deref(), Some(""));
    }

    #[test]
    fn patterns_that_never_meet_are_told() {
        assert_eq!(shared("/{x:digits}", "/{y:cc}"), None);
        assert_eq!(shared("/{x:segment}", "/a/b"), None);
        assert_eq!(shared("/{np_title_id}.json", "/{title_id}.json"), None);
        assert_eq!(shared("/a", "/ab"), None);
    }

    #[test]
    fn finds_meet_where_one_is_or_holds_the_other() {
        for (one, other, text) in [
            ("*(PS4*", "*(PS4*", "(PS4"),
            ("*(PS {a:digits}*", "*(PS {b:hex2})*", "(PS 0a)"),
            ("*/x/{a:digits}.js", "*/x/{b:word}.js", "/x/0.js"),
            ("*{a:json|xml} *", "*{b:xml|txt} *", "xml "),
            ("*PlayStation 4*", "*Station*", "PlayStation 4"),
            ("*(PS4*libhttp*", "*(PS4*AppleWeb*", "(PS4libhttpAppleWeb"),
            ("*{a:word}*", "*4*", "4"),
            ("*", "*", ""),
        ] {
            assert_eq!(shared(one, other).as_deref(), Some(text), "{one} {other}");
        }
    }

    #[test]
    fn finds_that_only_stand_side_by_side_or_share_an_edge_do_not_meet() {
        for (one, other) in [
            ("*(PlayStation 4*", "*(PlayStation 5*"),
            ("*Xbox*", "*xeno*"),
            ("*(PS {a:digits})*", "*(PS {b:cc})*"),
            ("*_{n:digits}.pkg", "*-{n:digits}.pkg"),
            ("*ab*cd*", "*efgh*"),
            ("*ab*x", "*ab*y"),
            ("*ab{x:digits}", "*ab{x:digits}c"),
        ] {
            assert_eq!(shared(one, other), None, "{one} {other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_cheap_answer_is_that_of_the_automata(one in "[ab]{0,3}(\\{x:digits\\}|\\{x:aa\\|b\\})?[ab0]{0,2}",
                                                    other in "[ab]{0,2}(\\{y:hex2\\}|\\{y:b0\\|a\\})?[ab0]{0,3}") {
            let [one, other] = [one, other].map(|text| Pattern::parse(&text).unwrap());
            proptest::prop_assert_eq!(
                is_within(&one.tokens, &other.tokens),
                stands_in(&one.tokens, &other.tokens)
            );
        }

        #[test]
        fn a_shared_text_that_is_sought_is_read_by_both(one in "\\*[ab]{1,3}(\\{x:digits\\}|\\{x:word\\})?[ab0]{0,2}\\*?",
                                         other in "\\*(\\{y:aa\\|b\\}|\\{y:hex2\\})?[ab0]{1,3}(\\*a)?\\*?") {
            let (one, other) = (Pattern::parse(&one).unwrap(), Pattern::parse(&other).unwrap());
            if let Some(text) = one.shared_text(&other) {
                proptest::prop_assert!(one.read(&text).is_some(), "{text}");
                proptest::prop_assert!(other.read(&text).is_some(), "{text}");
            }
            proptest::prop_assert!(one.shared_text(&one).is_some());
        }

        #[test]
        fn a_shared_text_is_read_by_both(one in "/[ab]{0,2}(\\*|\\{x:digits\\}|\\{x:word\\}|\\{x:aa\\|b\\})[ab0]{0,2}",
                                         other in "/[ab]{0,2}(\\*|\\{y:segment\\}|\\{y:hex2\\})[ab0]{0,2}") {
            let (one, other) = (Pattern::parse(&one).unwrap(), Pattern::parse(&other).unwrap());
            if let Some(text) = one.shared_text(&other) {
                proptest::prop_assert!(one.read(&text).is_some(), "{text}");
                proptest::prop_assert!(other.read(&text).is_some(), "{text}");
            }
        }
    }
}
