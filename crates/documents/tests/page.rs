//! What `docs/documents.md` says, held against the code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use consoletap_documents::{Document, Field, Format};

const PAGE: &str = include_str!("../../../docs/documents.md");

#[test]
fn the_page_lists_every_field_as_the_code_does() {
    let listed: Vec<&str> = PAGE
        .lines()
        .filter(|line| {
            line.starts_with("| `") && line.contains('.') && line.matches('|').count() == 5
        })
        .collect();
    let known: Vec<String> = Field::all()
        .map(|field| {
            let (format, holds) = (field.format(), field.holds());
            format!("| `{field}` | {format} | {holds} | {} |", field.description())
        })
        .collect();
    assert_eq!(listed, known, "docs/documents.md should have:\n{}", known.join("\n"));
}

#[test]
fn the_page_lists_every_format() {
    for format in Format::ALL {
        assert!(PAGE.contains(&format!("\n| `{format}` | ")), "{format}");
    }
}

#[test]
fn the_lines_of_the_page_are_what_is_said_of_the_samples() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/");
    let said = |name: &str| {
        let bytes = std::fs::read(format!("{samples}{name}")).unwrap();
        let hint = match name {
            "no-such-key.xml" => Some(Format::TitleUpdate),
            "icst.txt" => Some(Format::ConnectionTest),
            _ => None,
        };
        Document::recognise(hint, &bytes).unwrap().summary()
    };
    let (_, table) = PAGE.split_once("| sample | line |\n|---|---|\n").unwrap();
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 17);
    for row in rows {
        let name = row.split('`').nth(1).unwrap();
        assert_eq!(row, format!("| `{name}` | {} |", said(name)));
    }
    assert!(PAGE.contains(&format!("\n         = update-list: {}\n", said("ps4-updatelist.xml"))));
}

#[test]
fn the_error_of_the_page_is_what_is_said() {
    let cut = "<?xml version=\"1.0\" ?>\n<update_data_list>\n  <region id=\"us\"><system_pup version=\"05.050.000\" label=\"5.05\"/>                 \n";
    let error = Document::recognise(Some(Format::UpdateList), cut.as_bytes()).unwrap_err();
    assert!(PAGE.contains(&error.to_string()), "{error}");
}
