//! Title metadata: the tmdb2 JSON that tells a PS4 the name and the pictures of a title.
//!
//! Fields are replaced where they stand. A field that the document does not have is not added:
//! no console is known to look for more than its server sends.

use serde_json::Value;

use crate::document::Content;
use crate::edit::{Replaced, Slot};
use crate::error::{DocumentError, shown};
use crate::json::{Json, JsonPath};
use crate::patch::Patch;

const FORMAT: &str = "title metadata";

/// The metadata of a title.
#[derive(Debug, Clone, Copy)]
pub struct TitleMetadata<'a> {
    json: Json<'a>,
}

impl<'a> TitleMetadata<'a> {
    /// Reads title metadata: a JSON object with an `npTitleId`.
    ///
    /// # Errors
    /// When it is not; also when an object in it has a name twice.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let json = Json::parse(FORMAT, bytes)?;
        if json.string("npTitleId").is_none() {
            return Err(json.error("there is no \"npTitleId\""));
        }
        Ok(Self { json })
    }

    /// The title, as `CUSA00080_00`.
    #[must_use]
    pub fn np_title_id(&self) -> String {
        self.json.string("npTitleId").unwrap_or_default()
    }

    /// The name in the first language.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.json.string("names.0.name")
    }

    /// What it is, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = self.np_title_id();
        if let Some(name) = self.name() {
            line.push_str(&format!(" {name:?}"));
        }
        if let Some(revision) = self.json.number("revision") {
            line.push_str(&format!(", revision {revision}"));
        }
        if let Some(category) = self.json.string("category") {
            line.push_str(&format!(", category {category}"));
        }
        shown(&line)
    }

    /// Replaces fields: `new` gives for a path and the value that stands there the value to put
    /// in its place, or `None` to leave it.
    pub fn replace<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p JsonPath>,
        mut new: impl FnMut(&JsonPath, &Value) -> Option<Value>,
    ) -> Replaced {
        let mut patch = Patch::default();
        let mut replaced = Replaced::default();
        for path in paths {
            let found = self.json.values(path);
            if found.is_empty() {
                replaced.missing.push(path.to_string());
            }
            for raw in found {
                // What was read once reads again.
                let Ok(old) = serde_json::from_str(raw.get()) else { continue };
                if let Some(new) = new(path, &old).filter(|new| *new != old) {
                    patch.replace(self.json.span(raw), new.to_string());
                    replaced.values += 1;
                }
            }
        }
        replaced.body = patch.apply(self.json.source);
        replaced
    }
}

impl Content for TitleMetadata<'_> {
    fn source(&self) -> &[u8] {
        self.json.source.as_bytes()
    }

    fn summary(&self) -> String {
        self.summary()
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        self.json.slots(match key {
            "name" => "names.*.name",
            "content_id" => "contentId",
            "revision" => "revision",
            "parental_level" => "parentalLevel",
            "category" => "category",
            "icon" => "icons.*.icon",
            "background" => "backgroundImage",
            _ => return Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../samples/title-metadata.json");

    fn replace(source: &str, fields: &[(&str, Value)]) -> Replaced {
        let paths: Vec<JsonPath> = fields.iter().map(|(path, _)| path.parse().unwrap()).collect();
        let document = TitleMetadata::parse(source.as_bytes()).unwrap();
        document.replace(&paths, |path, _| {
            fields.iter().find(|(p, _)| *p == path.to_string()).map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn a_line_says_which_title_it_is() {
        assert_eq!(
            TitleMetadata::parse(SAMPLE.as_bytes()).unwrap().summary(),
            "CUSA00080_00 \"Example Title\", revision 12, category gd"
        );
    }

    #[test]
    fn only_the_bytes_of_the_replaced_fields_change() {
        let fields = [
            ("names.0.name", Value::from("A \"quoted\"\nname\\ é")),
            ("parentalLevel", Value::from(1)),
            ("nothere.0", Value::from(1)),
        ];
        let replaced = replace(SAMPLE, &fields);
        let expected = SAMPLE
            .replacen("\"Example Title\"", "\"A \\\"quoted\\\"\\nname\\\\ é\"", 1)
            .replacen("\"parentalLevel\" : 5", "\"parentalLevel\" : 1", 1);
        assert_eq!(String::from_utf8(replaced.body.unwrap()).unwrap(), expected);
        assert_eq!((replaced.values, replaced.missing), (2, vec!["nothere.0".to_owned()]));
    }

    #[test]
    fn a_star_reaches_every_language_and_the_same_value_changes_nothing() {
        let replaced = replace(SAMPLE, &[("names.*.name", Value::from("X"))]);
        assert_eq!(replaced.values, 2);
        let same = replace(SAMPLE, &[("revision", Value::from(12))]);
        assert_eq!(same, Replaced::default());
    }

    #[test]
    fn other_documents_are_not_title_metadata() {
        for bad in ["", "[]", "{}", "{\"npTitleId\": 5}", "<titleid/>"] {
            let error = TitleMetadata::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(error.format, "title metadata", "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_string_can_be_put_in_and_reads_back(name in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let replaced = replace(SAMPLE, &[("names.0.name", Value::from(name.clone()))]);
            let body = replaced.body.unwrap_or_else(|| SAMPLE.as_bytes().to_vec());
            proptest::prop_assert_eq!(TitleMetadata::parse(&body).unwrap().name(), Some(name));
        }
    }
}
