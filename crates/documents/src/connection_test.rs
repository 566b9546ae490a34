//! What a server answers to a console that asks whether there is an internet. The whole answer is
//! one word or line; anything else is not the server that was asked (a hotel's sign-in page).

use crate::document::Content;
use crate::edit::{Form, Slot};
use crate::error::{DocumentError, shown, text, without_mark};

const FORMAT: &str = "a connection test";

/// The answers that are known, with who gives them.
const ANSWERS: [(&str, &str); 4] = [
    ("Success", "PlayStation"),
    ("ok", "Nintendo Switch"),
    ("Microsoft NCSI", "Xbox and Windows"),
    ("Microsoft Connect Test", "Xbox and Windows"),
];

/// What stands in the page that a Wii, Wii U, DS or 3DS asks for (unconfirmed beyond its title).
const NINTENDO_PAGE: &str = "<title>HTML Page</title>";

/// The answer of a connection test.
#[derive(Debug, Clone)]
pub struct ConnectionTest<'a> {
    source: &'a str,
    service: &'static str,
}

impl<'a> ConnectionTest<'a> {
    /// Reads it: one of the known answers, with white space around it or without.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let source = text(FORMAT, bytes, MAX_ANSWER)?;
        let (body, at) = without_mark(source);
        let answer = body.trim();
        let known = ANSWERS.iter().find(|(known, _)| *known == answer).map(|(_, service)| *service);
        let page = || answer.contains(NINTENDO_PAGE).then_some("Nintendo Wii, Wii U, DS and 3DS");
        let service = known.or_else(page).ok_or_else(|| {
            let problem = format!("none of the known answers (as Success), but {answer:.40}");
            DocumentError::at(FORMAT, bytes, at, problem)
        })?;
        Ok(Self { source, service })
    }

    /// Whose test it is.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.service
    }
}

/// The longest known answer is a small page of HTML.
const MAX_ANSWER: usize = 4096;

impl Content for ConnectionTest<'_> {
    fn source(&self) -> &[u8] {
        self.source.as_bytes()
    }

    fn summary(&self) -> String {
        let answer = without_mark(self.source).0.trim();
        let answer = if answer.starts_with('<') { "a page" } else { answer };
        shown(&format!("connected: {answer} ({})", self.service))
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        let (body, mark) = without_mark(self.source);
        let answer = body.trim();
        if key != "answer" || answer.starts_with('<') {
            return Vec::new();
        }
        let start = mark + body.len() - body.trim_start().len();
        let span = start..start + answer.len();
        vec![Slot { span, old: answer.to_owned(), form: Form::Plain(&['\r', '\n']) }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_are_told_and_others_are_none() {
        for (answer, expected) in [
            (&include_bytes!("../samples/icst.txt")[..], "connected: Success (PlayStation)"),
            (b"ok", "connected: ok (Nintendo Switch)"),
            (b"Microsoft NCSI\r\n", "connected: Microsoft NCSI (Xbox and Windows)"),
            (
                b"<html><head><title>HTML Page</title></head></html>",
                "connected: a page (Nintendo Wii, Wii U, DS and 3DS)",
            ),
        ] {
            assert_eq!(ConnectionTest::parse(answer).unwrap().summary(), expected);
        }
        for bad in [&b""[..], b"success", b"<html>Please sign in</html>", &[b'a'; 5000]] {
            assert!(ConnectionTest::parse(bad).is_err());
        }
    }
}
