//! The URLs that follow from a title: rows whose patterns can be filled in from its ids, with the
//! hashes that the tables have keys for. What cannot be written is told with its reason.

use std::collections::BTreeMap;
use std::str::FromStr;

use consoletap_flow::{Category, EntryId, Platforms};
use serde::Serialize;

use crate::catalog::Catalog;
use crate::entry::Confidence;
use crate::hosts::HostMatch;
use crate::pattern::{Pattern, shape};
use crate::row::Row;
use crate::title::{self, ContentId};

/// A title, by one of its ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Title {
    /// As `CUSA00001`.
    pub title_id: String,
    /// As `CUSA00001_00`; where only the title id was given, its first revision.
    pub np_title_id: String,
    /// As `EP4389-CUSA08652_00-CAR0050000000000`, where it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// What its letters tell.
    pub platform: Platforms,
}

/// Text that is no id of a title.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no title: expected a title id (CUSA00001), an NP title id (CUSA00001_00) or a content id (EP4389-CUSA08652_00-CAR0050000000000)"
)]
pub struct InvalidTitle(String);

/// A URL that follows from a title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TitleUrl {
    /// The URL.
    pub url: String,
    /// The row it is written from.
    pub entry: EntryId,
    /// What is there.
    pub category: Category,
    /// The same, in a few words.
    pub summary: String,
    /// How sure the row is.
    pub confidence: Confidence,
}

/// A URL that does not follow from a title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Underivable {
    /// The row.
    pub entry: EntryId,
    /// What would be there.
    pub summary: String,
    /// Why it cannot be written.
    pub why: String,
}

/// Everything that the tables can say of a title's URLs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TitleUrls {
    /// The title.
    #[serde(flatten)]
    pub title: Title,
    /// What can be written, by the ids of the rows.
    pub urls: Vec<TitleUrl>,
    /// What cannot.
    pub not_derivable: Vec<Underivable>,
}

impl FromStr for Title {
    type Err = InvalidTitle;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.trim().to_ascii_uppercase();
        let (np_title_id, content_id) = if shape::is(shape::TITLE_ID, &id) {
            (format!("{id}_00"), None)
        } else if shape::is(shape::NP_TITLE_ID, &id) {
            (id, None)
        } else if let Some(content) = ContentId::parse(&id) {
            (content.np_title_id.to_owned(), Some(id))
        } else {
            return Err(InvalidTitle(text.to_owned()));
        };
        let title_id = np_title_id[..9].to_owned();
        let platform = title::platform(&title_id).unwrap_or_default();
        Ok(Self { title_id, np_title_id, content_id, platform })
    }
}

impl Catalog {
    /// The URLs of a title. `given` are values of fields that the title does not tell, as
    /// `country` and `language` of the store.
    #[must_use]
    pub fn urls(&self, title: &Title, given: &BTreeMap<String, String>) -> TitleUrls {
        let mut urls = Vec::new();
        let mut not_derivable = Vec::new();
        for row in self.rows.iter().filter(|row| row.is_about(title)) {
            for path in row.paths.iter().filter(|path| names_title(path)) {
                match self.write(row, path, title, given) {
                    Ok(url) => urls.push(TitleUrl {
                        url,
                        entry: row.entry.id.clone(),
                        category: row.entry.category.clone(),
                        summary: row.entry.summary.to_string(),
                        confidence: row.entry.confidence,
                    }),
                    Err(missing) => not_derivable.push(Underivable {
                        entry: row.entry.id.clone(),
                        summary: row.entry.summary.to_string(),
                        why: why(row, &missing, title),
                    }),
                }
            }
        }
        TitleUrls { title: title.clone(), urls, not_derivable }
    }

    /// The row's URL; or the first field whose value is not known.
    fn write(
        &self,
        row: &Row,
        path: &Pattern,
        title: &Title,
        given: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        let plain = |name: &str| {
            let known = match name {
                "title_id" => Some(title.title_id.as_str()),
                "np_title_id" => Some(title.np_title_id.as_str()),
                "content_id" => title.content_id.as_deref(),
                "prefix" => Some(&title.title_id[..4]),
                _ => given.get(name).map(String::as_str),
            };
            let fixed = row.fields.iter().find(|(known, _)| known.as_str() == name);
            known
                .or_else(|| fixed.map(|(_, value)| value.as_str()))
                .or_else(|| row.entry.defaults.get(name).map(String::as_str))
        };
        let hash = row
            .hash
            .as_ref()
            .and_then(|rule| Some((&*rule.field, self.keys.get(&rule.key)?.text(rule, plain)?)));
        let value = |name: &str| match &hash {
            Some((field, text)) if *field == name => Some(text.as_str()),
            _ => plain(name),
        };
        let host = match row.hosts.first() {
            Some((key, HostMatch::Exact)) => key.to_string(),
            Some((_, HostMatch::Pattern(pattern))) => pattern.write(value)?,
            Some((_, HostMatch::Below)) | None => return Err("host".to_owned()),
        };
        Ok(format!("{}://{host}{}", row.scheme(), path.write(value)?))
    }
}

impl Row {
    /// Whether a console that plays the title could ask for this.
    fn is_about(&self, title: &Title) -> bool {
        title.platform.is_unknown()
            || title.platform.iter().any(|platform| self.entry.platform.admit(platform))
    }

    /// The scheme that its source writes.
    fn scheme(&self) -> &str {
        let written = self.entry.format.iter().chain(&self.entry.examples);
        let scheme = |text: &str| text.contains("http://");
        if written.into_iter().any(|text| scheme(text)) { "http" } else { "https" }
    }
}

fn names_title(path: &Pattern) -> bool {
    path.names().any(|name| matches!(name.as_str(), "title_id" | "np_title_id" | "content_id"))
}

fn why(row: &Row, missing: &str, title: &Title) -> String {
    if let Some(why) = &row.entry.underivable {
        return why.clone();
    }
    match missing {
        "content_id" if title.content_id.is_none() => {
            "it needs the content id: ask with that instead of the title id".to_owned()
        }
        "*" => "its path is not known in full".to_owned(),
        _ => format!("nothing tells its `{missing}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(id: &str) -> TitleUrls {
        Catalog::builtin().urls(&id.parse().unwrap(), &BTreeMap::new())
    }

    #[test]
    fn every_form_of_an_id_is_read_and_others_are_told_what_to_write() {
        let title: Title = "cusa00001".parse().unwrap();
        assert_eq!((&*title.title_id, &*title.np_title_id), ("CUSA00001", "CUSA00001_00"));
        let title: Title = "EP4389-CUSA08652_00-CAR0050000000000".parse().unwrap();
        assert_eq!(title.np_title_id, "CUSA08652_00");
        assert!(title.content_id.is_some());
        for bad in ["", "CUSA1", "CUSA00001_0", "ÄÖÜ"] {
            let error = bad.parse::<Title>().unwrap_err().to_string();
            assert!(error.contains("expected a title id (CUSA00001)"), "{error}");
        }
    }

    #[test]
    fn the_urls_of_the_page_follow_from_their_titles() {
        let found = urls("CUSA00001");
        let has = |url: &str| found.urls.iter().any(|found| found.url == url);
        assert!(
            has(
                "http://gs-sec.ww.np.dl.playstation.net/plo/np/CUSA00001/1123f23c1f00810a5e43fcb409ada7823bc5ad21b357817e314b6c4832cf6f9f/CUSA00001-ver.xml"
            ),
            "{found:?}"
        );
        assert!(
            has(
                "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00001_00_C32A667A087A40C2AD1889435907AA4B0D9DBA1F/CUSA00001_00.json"
            ),
            "{found:?}"
        );
        assert!(found.not_derivable.iter().any(|not| not.why.contains("f_")), "{found:?}");
    }

    #[test]
    fn each_url_is_explained_by_the_row_it_was_written_from() {
        let catalog = Catalog::builtin();
        for id in [
            "CUSA00001",
            "EP4389-CUSA08652_00-CAR0050000000000",
            "PCSF00532",
            "BLES00001",
            "NPPA00236",
            "PPSA01590",
        ] {
            for found in urls(id).urls {
                let question = crate::Question::parse(None, Some(&found.url), None).unwrap();
                let said = catalog.classify(&question.query());
                assert_eq!(said.entry.as_ref(), Some(&found.entry), "{}", found.url);
                assert_ne!(said.details.hash_ok, Some(false), "{}", found.url);
            }
        }
    }

    #[test]
    fn a_ps5_title_says_why_its_versions_cannot_be_found() {
        let found = urls("PPSA01590");
        let version = found.not_derivable.iter().find(|not| not.entry.0 == "ps5-title-version-xml");
        assert!(version.unwrap().why.contains("param.json"), "{found:?}");
    }

    proptest::proptest! {
        #[test]
        fn hostile_ids_never_panic(id in "\\PC{0,40}|[A-Z0-9_-]{0,40}") {
            let _ = id.parse::<Title>();
        }
    }
}
