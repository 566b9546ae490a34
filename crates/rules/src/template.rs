//! Texts with places to fill in: `{value} [{np_title_id}]`.

use consoletap_flow::Details;

/// A text with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// What can be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Value,
    NpTitleId,
    TitleId,
    ContentId,
    Region,
}

const PLACES: [(&str, Place); 5] = [
    ("value", Place::Value),
    ("np_title_id", Place::NpTitleId),
    ("title_id", Place::TitleId),
    ("content_id", Place::ContentId),
    ("region", Place::Region),
];

impl Template {
    /// Reads a text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| brace == "{");
            let Some(end) = end else {
                return Err(format!(
                    "a single {brace} in {text:?}; write {brace}{brace} for a brace"
                ));
            };
            let name = &rest[..end];
            let Some((_, place)) = PLACES.iter().find(|(known, _)| *known == name) else {
                let known = PLACES.map(|(known, _)| format!("{{{known}}}")).join(" ");
                return Err(format!("{{{name}}} cannot be filled in; there are {known}"));
            };
            parts.push(Part::Text(std::mem::take(&mut literal)));
            parts.push(Part::Place(*place));
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        Ok(Self(parts))
    }

    /// The text, filled in; or the name of what is not known.
    pub(crate) fn fill(&self, value: &str, details: &Details) -> Result<String, &'static str> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Place(place) => text.push_str(place.of(value, details)?),
            }
        }
        Ok(text)
    }
}

impl Place {
    fn of<'a>(self, value: &'a str, details: &'a Details) -> Result<&'a str, &'static str> {
        let np_title_id = details.np_title_id.as_deref();
        match self {
            Self::Value => Ok(value),
            Self::NpTitleId => np_title_id.ok_or("np_title_id"),
            Self::TitleId => details
                .title_id
                .as_deref()
                .or_else(|| np_title_id?.split('_').next())
                .ok_or("title_id"),
            Self::ContentId => details.content_id.as_deref().ok_or("content_id"),
            Self::Region => details.region.as_deref().ok_or("region"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str, details: &Details) -> Result<String, &'static str> {
        Template::parse(text).unwrap().fill("old", details)
    }

    #[test]
    fn places_are_filled_in_and_double_braces_are_braces() {
        let known = Details { np_title_id: Some("CUSA00001_00".into()), ..Details::default() };
        assert_eq!(
            fill("{value} [{np_title_id}] {{{title_id}}}", &known).unwrap(),
            "old [CUSA00001_00] {CUSA00001}"
        );
        assert_eq!(fill("{title_id}", &Details::default()), Err("title_id"));
    }

    #[test]
    fn what_cannot_be_filled_in_is_told_when_the_rules_are_read() {
        assert!(Template::parse("{nmae}").unwrap_err().contains("there are {value}"));
        for bad in ["{", "}", "a}b", "{value", "{}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
