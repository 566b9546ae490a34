//! Numbers and texts at fixed places of a binary head.

use std::ops::Range;

use crate::edit::{Form, Slot};
use crate::error::DocumentError;

/// A binary source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Octets<'a> {
    pub(crate) format: &'static str,
    pub(crate) source: &'a [u8],
}

impl<'a> Octets<'a> {
    /// The bytes at a place.
    pub(crate) fn get(&self, span: Range<usize>) -> Result<&'a [u8], DocumentError> {
        self.source.get(span.clone()).ok_or_else(|| {
            let problem = format!("it ends here, {} bytes are the least", span.end);
            self.error(self.source.len(), problem)
        })
    }

    /// A number of up to 8 bytes with the most significant first.
    pub(crate) fn big(&self, at: usize, width: usize) -> Result<u64, DocumentError> {
        let bytes = self.get(at..at + width)?;
        Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// The same with the least significant byte first.
    pub(crate) fn little(&self, at: usize, width: usize) -> Result<u64, DocumentError> {
        let bytes = self.get(at..at + width)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// A text that ends with its first zero, or with its place.
    pub(crate) fn text(&self, span: Range<usize>) -> Result<&'a str, DocumentError> {
        let bytes = self.get(span.clone())?;
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        std::str::from_utf8(&bytes[..end])
            .map_err(|error| self.error(span.start + error.valid_up_to(), "it is not UTF-8"))
    }

    /// An error at a byte.
    pub(crate) fn error(&self, at: usize, problem: impl Into<String>) -> DocumentError {
        DocumentError::binary(self.format, at, problem)
    }

    /// The place of a number; none where the source ends before.
    pub(crate) fn number_slot(&self, span: Range<usize>, form: Form) -> Option<Slot> {
        let number = match form {
            Form::Little => self.little(span.start, span.len()),
            _ => self.big(span.start, span.len()),
        };
        Some(Slot { span, old: number.ok()?.to_string(), form })
    }

    /// The place of a text.
    pub(crate) fn text_slot(&self, span: Range<usize>) -> Option<Slot> {
        let old = self.text(span.clone()).ok()?.to_owned();
        Some(Slot { span, old, form: Form::Fixed })
    }
}
