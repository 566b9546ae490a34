//! Finds secrets in text by their names and shapes, and puts something in their place. Everything
//! else stays to the letter; what is cut off or broken is read as far as it goes.

mod edit;
mod fields;
mod json;
mod multipart;
mod pairs;
mod shapes;
mod xml;

use std::borrow::Cow;

use consoletap_content::Kind;

use crate::known::Weight;
use crate::names::{Names, Place};
use crate::stand_in::{StandIn, is_stand_in};

/// Text within text within text … is looked into so deep.
const DEEPEST: u8 = 4;

/// A look through one text after the other.
pub(crate) struct Scan<'a> {
    pub(crate) names: Names<'a>,
    pub(crate) stand_in: &'a StandIn,
    /// Is told every secret that was found.
    pub(crate) found: &'a mut dyn FnMut(&[u8], Weight),
    depth: u8,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(
        names: Names<'a>,
        stand_in: &'a StandIn,
        found: &'a mut dyn FnMut(&[u8], Weight),
    ) -> Self {
        Self { names, stand_in, found, depth: 0 }
    }

    /// What stands in the place of a secret; `None` where there is nothing to hide.
    fn secret(&mut self, value: &[u8]) -> Option<String> {
        self.weighed(value, Weight::Secret)
    }

    fn weighed(&mut self, value: &[u8], weight: Weight) -> Option<String> {
        let value = value.trim_ascii();
        if value.is_empty() || is_stand_in(value) {
            return None;
        }
        (self.found)(value, weight);
        Some(self.stand_in.token(value))
    }

    /// A decoded body of this kind.
    pub(crate) fn body<'t>(&mut self, kind: &Kind, text: &'t str) -> Cow<'t, str> {
        let edited = match kind {
            Kind::Json => self.json(text),
            Kind::Xml => self.xml(text),
            Kind::Form => self.pairs(text),
            Kind::Multipart { boundary } => self.multipart(text, boundary),
            Kind::Text => self.words(text),
            Kind::Image { .. } | Kind::Binary => Cow::Borrowed(text),
        };
        and_then(edited, |text| self.shapes(text))
    }

    /// Text in the value of something that is no secret by its name: a URL, JSON, a form.
    fn nested<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        if self.depth >= DEEPEST || text.len() < 4 {
            return Cow::Borrowed(text);
        }
        self.depth += 1;
        let edited = match text.trim_start().as_bytes().first() {
            Some(b'{' | b'[') => self.json(text),
            Some(b'<') => self.xml(text),
            _ if text.contains("://") || text.starts_with('/') => self.url(text),
            _ if text.contains('=') => self.pairs(text),
            _ => Cow::Borrowed(text),
        };
        self.depth -= 1;
        edited
    }

    fn is_secret(&self, place: Place, name: &str) -> bool {
        self.names.is_secret(place, name)
    }
}

/// The next step on what one made of a text.
pub(crate) fn and_then<'t>(
    text: Cow<'t, str>,
    step: impl FnOnce(&str) -> Cow<'_, str>,
) -> Cow<'t, str> {
    let stepped = match step(&text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(changed) => Some(changed),
    };
    stepped.map_or(text, Cow::Owned)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The text with every secret masked, and the secrets.
    pub(crate) fn masked(
        text: &str,
        scan: impl for<'t> FnOnce(&mut Scan<'_>, &'t str) -> Cow<'t, str>,
    ) -> (String, Vec<String>) {
        let mut found = Vec::new();
        let mut tell =
            |value: &[u8], _: Weight| found.push(String::from_utf8_lossy(value).into_owned());
        let masked =
            scan(&mut Scan::new(Names::default(), &StandIn::Mask, &mut tell), text).into_owned();
        (masked, found)
    }
}
