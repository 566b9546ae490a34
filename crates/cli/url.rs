//! `consoletap url`: every URL that follows from a title.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use consoletap_catalog::{Confidence, Title, TitleUrls};

use crate::catalog::TablesArgs;
use crate::terminal::Printer;

#[derive(Debug, Args)]
pub(crate) struct UrlArgs {
    /// A title id (CUSA00001), an NP title id (CUSA00001_00) or a content id
    #[arg(value_name = "TITLE_ID")]
    title: Title,
    /// The country of the store, in capitals [default: US]
    #[arg(long, value_name = "CC")]
    country: Option<String>,
    /// The language of the store, in small letters [default: en]
    #[arg(long, value_name = "LL")]
    language: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tables: TablesArgs,
}

/// Prints the URLs, and says what cannot be derived.
///
/// # Errors
/// When tables cannot be read, or nothing can be printed.
pub(crate) fn run(args: &UrlArgs, printer: &Printer) -> anyhow::Result<()> {
    let given = [("region", args.country.as_ref()), ("language", args.language.as_ref())];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let given = given.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    let found = args.tables.load()?.urls(&args.title, &given);
    if args.json {
        printer.data(&(serde_json::to_string(&found)? + "\n"))?;
        return Ok(());
    }
    printer.data(&urls(&found)?)?;
    printer.say(&reasons(&found)?);
    Ok(())
}

fn urls(found: &TitleUrls) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for url in &found.urls {
        let doubt = if url.confidence == Confidence::Unconfirmed { ", unconfirmed" } else { "" };
        writeln!(text, "{}", url.url)?;
        writeln!(text, "    {} ({}{doubt})", url.summary, url.entry)?;
    }
    Ok(text)
}

/// What cannot be derived, one reason after the other.
fn reasons(found: &TitleUrls) -> Result<String, std::fmt::Error> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for not in &found.not_derivable {
        by_reason.entry(&not.why).or_default().push(&not.entry.0);
    }
    let mut text = String::new();
    if found.urls.is_empty() {
        writeln!(text, "No URL follows from {} alone.", found.title.np_title_id)?;
    }
    for (why, rows) in by_reason {
        writeln!(text, "Not derivable: {}; {why}", rows.join(", "))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use consoletap_catalog::Catalog;

    use super::*;

    #[test]
    fn urls_stand_alone_and_reasons_beside_them() {
        let found = Catalog::builtin().urls(&"CUSA00001".parse().unwrap(), &BTreeMap::new());
        let text = urls(&found).unwrap();
        assert!(text.contains("/CUSA00001_00.json\n    Name, icons and rating of a PS4 title (ps4-title-metadata)\n"), "{text}");
        assert!(!text.contains("Not derivable"), "{text}");
        let reasons = reasons(&found).unwrap();
        assert!(reasons.contains("; the folder f_… is a hash of unknown make"), "{reasons}");
    }

    #[test]
    fn the_uuid_of_a_ps5_title_cannot_be_derived_and_is_told() {
        let found = Catalog::builtin().urls(&"PPSA01590".parse().unwrap(), &BTreeMap::new());
        let text = reasons(&found).unwrap();
        assert!(text.starts_with("No URL follows from PPSA01590_00 alone."), "{text}");
        assert!(text.contains("param.json"), "{text}");
    }
}
