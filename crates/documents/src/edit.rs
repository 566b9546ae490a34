//! Changing fields where they stand: every document gives the places of a field, and what is
//! written there has the form of its place.

use std::ops::Range;

use crate::document::Document;
use crate::error::DocumentError;
use crate::field::{Field, InvalidValue, UnknownField, Value};
use crate::firmware::Firmware;
use crate::patch::Patch;

/// What became of the fields that were to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replaced {
    /// The new document; `None` where no byte changes.
    pub body: Option<Vec<u8>>,
    /// How many values were replaced.
    pub values: usize,
    /// The fields that the document does not have.
    pub missing: Vec<String>,
}

/// Why a field was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No document has such a field.
    #[error(transparent)]
    Field(#[from] UnknownField),
    /// The field cannot hold that.
    #[error(transparent)]
    Value(#[from] InvalidValue),
    /// This document does not have the field.
    #[error("the document is {format} without {field}; nothing was added")]
    Absent {
        /// The field's name.
        field: &'static str,
        /// What the document is, with its article.
        format: &'static str,
    },
    /// The changed document would be none; nothing was changed.
    #[error("the changed document would be {0}")]
    Broken(#[from] DocumentError),
}

/// A place of a field in the source.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) span: Range<usize>,
    /// What stands there, decoded.
    pub(crate) old: String,
    pub(crate) form: Form,
}

/// How a value is written at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is, but without these characters, which end it there.
    Plain(&'static [char]),
    /// In an attribute.
    Attribute,
    /// Between tags.
    Text,
    /// In a CDATA section.
    Cdata,
    /// As a JSON string, with its quotes.
    JsonText,
    /// As a JSON number.
    JsonNumber,
    /// A version in one number, two hexadecimal digits a part, written in decimal.
    Packed,
    /// The same number as four bytes, least significant first.
    PackedLittle,
    /// Bytes of a fixed number, filled up with zeros.
    Fixed,
    /// The same with its length as four bytes elsewhere, least significant first; with a zero at
    /// its end, which counts, where it is `closed`.
    Counted { length: Range<usize>, closed: bool },
    /// An unsigned number of as many bytes as the place has.
    Big,
    /// The same with the least significant byte first.
    Little,
}

impl Slot {
    /// Puts a value there; or says what was expected instead.
    fn write(&self, value: &str, patch: &mut Patch) -> Result<(), String> {
        if let Form::Counted { length, closed } = &self.form {
            let count = value.len() + usize::from(*closed);
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            patch.replace(length.clone(), count.to_le_bytes());
        }
        patch.replace(self.span.clone(), self.bytes(value)?);
        Ok(())
    }

    /// The bytes to put there.
    fn bytes(&self, value: &str) -> Result<Vec<u8>, String> {
        let width = self.span.len();
        match &self.form {
            Form::Plain(ends) => match value.contains(*ends) {
                true => Err(format!("text without any of {ends:?}")),
                false => Ok(value.into()),
            },
            Form::Text => Ok(quick_xml::escape::partial_escape(value).into_owned().into_bytes()),
            Form::Attribute => Ok(quick_xml::escape::escape(value).into_owned().into_bytes()),
            Form::Cdata if value.contains("]]>") => Err("text without ]]>".to_owned()),
            Form::Cdata => Ok(value.into()),
            Form::JsonText => Ok(serde_json::Value::from(value).to_string().into_bytes()),
            Form::JsonNumber => {
                let number: u64 = value.parse().map_err(|_| "a whole number".to_owned())?;
                Ok(number.to_string().into_bytes())
            }
            Form::Packed | Form::PackedLittle => {
                let version: Firmware =
                    value.parse().map_err(|_| "a version, as 9.00 or 09.000.000".to_owned())?;
                Ok(match self.form {
                    Form::Packed => version.packed().to_string().into_bytes(),
                    _ => version.packed().to_le_bytes().into(),
                })
            }
            Form::Fixed | Form::Counted { .. } => {
                let closed = matches!(self.form, Form::Counted { closed: true, .. });
                let room = width.saturating_sub(usize::from(closed));
                if value.len() > room {
                    return Err(format!("at most {room} bytes"));
                }
                let mut bytes = value.as_bytes().to_vec();
                bytes.resize(width, 0);
                Ok(bytes)
            }
            Form::Big | Form::Little => {
                let number: u64 = value.parse().map_err(|_| "a whole number".to_owned())?;
                let bytes = number.to_be_bytes();
                let (over, bytes) = bytes.split_at(bytes.len().saturating_sub(width));
                if over.iter().any(|&byte| byte != 0) {
                    return Err(format!("a number of {width} bytes"));
                }
                let mut bytes = bytes.to_vec();
                if self.form == Form::Little {
                    bytes.reverse();
                }
                Ok(bytes)
            }
        }
    }
}

impl Document<'_> {
    /// The values of a field, in the order of the source; none where the document does not have
    /// it.
    #[must_use]
    pub fn values(&self, field: Field) -> Vec<String> {
        self.slots(field).into_iter().map(|slot| slot.old).collect()
    }

    /// Puts one value wherever the field stands.
    ///
    /// ```
    /// use consoletap_documents::Document;
    ///
    /// let list = b"<update_data_list><region id='us'>\
    ///     <system_pup version='11.500.000' label='11.50'/></region></update_data_list>";
    /// let document = Document::recognise(None, list).unwrap();
    /// let replaced = document.set("updatelist.offer", "05.050.000").unwrap();
    /// assert_eq!(
    ///     replaced.body.unwrap(),
    ///     b"<update_data_list><region id='us'>\
    ///     <system_pup version='05.050.000' label='5.05'/></region></update_data_list>"
    /// );
    /// ```
    ///
    /// # Errors
    /// When no document has such a field or this one does not, or it cannot hold the value.
    pub fn set(&self, field: &str, value: &str) -> Result<Replaced, EditError> {
        let field: Field = field.parse()?;
        let replaced = self.edit([field], |_, _| Some(value.to_owned()))?;
        match replaced.missing.is_empty() {
            true => Ok(replaced),
            false => {
                let format = self.format().description();
                Err(EditError::Absent { field: field.name(), format })
            }
        }
    }

    /// Changes fields: `new` gives for a field and the value that stands there the value to put
    /// in its place, or `None` to leave it. All of them change at once, or none does.
    ///
    /// # Errors
    /// When a field cannot hold its new value, or the changed document would be none.
    pub fn edit(
        &self,
        fields: impl IntoIterator<Item = Field>,
        mut new: impl FnMut(Field, &str) -> Option<String>,
    ) -> Result<Replaced, EditError> {
        let mut patch = Patch::default();
        let mut replaced = Replaced::default();
        for field in fields {
            let slots = self.slots(field);
            if slots.is_empty() {
                replaced.missing.push(field.name().to_owned());
            }
            for slot in slots {
                let Some(value) = new(field, &slot.old) else { continue };
                field.check(&value)?;
                let value = match field.value() {
                    Value::Version => reshaped(value, &slot.old),
                    _ => value,
                };
                if value == slot.old {
                    continue;
                }
                slot.write(&value, &mut patch)
                    .map_err(|expected| InvalidValue::new(field, &value, expected))?;
                replaced.values += 1;
            }
        }
        replaced.body = patch.apply(self.source());
        if let Some(body) = &replaced.body {
            Document::recognise(Some(self.format()), body)?;
        }
        Ok(replaced)
    }
}

/// The version in the shape of the one that stood there; as it is where one of them is of
/// another kind.
fn reshaped(new: String, old: &str) -> String {
    let shape = |text: &str| text.split('.').map(str::len).collect::<Vec<_>>();
    if shape(&new) == shape(old) {
        return new;
    }
    match (new.parse::<Firmware>(), old.parse::<Firmware>()) {
        (Ok(version), Ok(_)) => version.shaped_as(old),
        _ => new,
    }
}
