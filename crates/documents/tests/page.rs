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
fn the_error_of_the_page_is_what_is_said() {
    let cut = "<?xml version=\"1.0\" ?>\n<update_data_list>\n  <region id=\"us\"><system_pup version=\"05.050.000\" label=\"5.05\"/>                 \n";
    let error = Document::recognise(Some(Format::UpdateList), cut.as_bytes()).unwrap_err();
    assert!(PAGE.contains(&error.to_string()), "{error}");
}
