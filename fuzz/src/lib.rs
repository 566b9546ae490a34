//! What several targets do.

use consoletap_documents::{Document, Field, Format};

/// Reads a document and does everything with it that can be done: nothing may panic, and what is
/// written back without a change is what was read.
pub fn document(hint: Option<Format>, data: &[u8]) {
    match Document::recognise(hint, data) {
        Ok(document) => {
            assert_eq!(document.source(), data);
            assert!(document.summary().chars().count() <= 200);
            if let Ok(same) = document.edit(Field::all(), |_, old| Some(old.to_owned())) {
                assert_eq!(same.body, None);
            }
            for field in document.fields() {
                // What cannot be written is told; what was written is still a document.
                drop(document.edit([field], |_, _| Some("12345678".to_owned())));
            }
        }
        Err(error) => assert!(error.offset <= data.len(), "{error}"),
    }
}
