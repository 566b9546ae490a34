//! Changing the body of an answer, or of a request.

use consoletap_documents::{Document, Field, Firmware, JsonPath, TitleMetadata, UpdateList};
use consoletap_flow::{Classification, Details, Effect, Target};
use regex::bytes::Regex;
use serde_json::Value;

use crate::decision::Context;
use crate::edit::json::Operation;
use crate::edit::xml::XmlPath;
use crate::edit::{form, json, xml};
use crate::template::{Captured, Places, Template, Values};

/// A change to a body.
#[derive(Debug, Clone)]
pub(crate) enum Rewrite {
    /// Lower the versions of an update list to the console's own.
    HideFirmware,
    /// Replace fields of title metadata.
    Json(Vec<(JsonPath, NewValue)>),
    /// Set fields of one kind of document, by their names.
    Document(Vec<(Field, Template)>),
    /// Replace what regexes find, one after the other.
    Replace(Vec<Replace>),
    /// RFC 6902.
    JsonPatch(Vec<Operation>),
    /// RFC 7396.
    JsonMergePatch(Value),
    /// Set elements and attributes.
    Xml(Vec<(XmlPath, Template)>),
    /// Set fields of a form, by their names.
    Form(Vec<(String, Template)>),
}

/// A value to put in: text can have places to fill in.
#[derive(Debug, Clone)]
pub(crate) enum NewValue {
    Text(Template),
    Other(Value),
}

/// What a regex finds, and what comes in its place: a template with the regex's own groups.
#[derive(Debug, Clone)]
pub(crate) struct Replace {
    pub(crate) find: Regex,
    pub(crate) with: Template,
}

/// What a rewrite did.
pub(crate) struct Outcome {
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) did: String,
    pub(crate) effect: Effect,
    pub(crate) notes: Vec<String>,
}

impl Outcome {
    /// A body that may be the one that there was.
    fn of(old: &[u8], new: Vec<u8>, did: String, unchanged: &str) -> Self {
        let changed = new != old;
        Self {
            did: if changed { did } else { format!("left the body: {unchanged}") },
            effect: if changed { Effect::Rewritten } else { Effect::Noted },
            body: changed.then_some(new),
            notes: Vec::new(),
        }
    }
}

impl Rewrite {
    /// Reads the fields of `json = { … }`. Tables are paths written without quotes:
    /// `names.0.name = "x"` means the same as `"names.0.name" = "x"`.
    pub(crate) fn json(table: &toml::Table, captures: &[String]) -> Result<Self, String> {
        let places = Places { value: true, captures };
        let mut fields = Vec::new();
        collect(table, "", places, &mut fields)?;
        if fields.is_empty() {
            return Err("`json` needs a field, as \"names.0.name\" = \"…\"".to_owned());
        }
        for (index, (path, _)) in fields.iter().enumerate() {
            if let Some((other, _)) = fields[..index].iter().find(|(other, _)| other.overlaps(path))
            {
                return Err(format!("{other} and {path} can mean the same field; keep one"));
            }
        }
        Ok(Self::Json(fields))
    }

    /// Reads the fields of `document = { … }`; they are all of one kind of document.
    pub(crate) fn document(table: &toml::Table, captures: &[String]) -> Result<Self, String> {
        let places = Places { value: true, captures };
        let mut fields = Vec::new();
        fields_of_a_document(table, "", places, &mut fields)?;
        let formats = fields.iter().map(|(field, _)| field.format());
        match (
            formats.clone().next(),
            formats.clone().all(|one| Some(one) == formats.clone().next()),
        ) {
            (None, _) => Err("`document` needs a field, as updatelist.offer = \"9.00\"".to_owned()),
            (_, false) => {
                Err("these fields are of different documents; make a rule of each".to_owned())
            }
            _ => Ok(Self::Document(fields)),
        }
    }

    /// Changes a body; or says why it is not what the rule is for.
    pub(crate) fn apply(&self, body: &[u8], values: &Values<'_>) -> Result<Outcome, String> {
        match self {
            Self::HideFirmware => hide_firmware(body, values.context),
            Self::Json(fields) => replace_fields(fields, body, values),
            Self::Document(fields) => set_fields(fields, body, values),
            Self::Replace(replaces) => replace(replaces, body, values),
            Self::JsonPatch(operations) => {
                let new = json::patch(body, operations)?;
                let did = format!("patched the JSON: {}", count(operations.len(), "operation"));
                Ok(Outcome::of(body, new, did, "the patch changes nothing"))
            }
            Self::JsonMergePatch(patch) => {
                let new = json::merge(body, patch)?;
                let did = "merged the patch into the JSON".to_owned();
                Ok(Outcome::of(body, new, did, "the patch changes nothing"))
            }
            Self::Xml(settings) => set_xml(settings, body, values),
            Self::Form(fields) => set_form(fields, body, values),
        }
    }

    /// In plain words, for `explain`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::HideFirmware => {
                "rewrite the update list: nothing newer than the console's firmware".to_owned()
            }
            Self::Json(fields) => {
                let paths: Vec<String> = fields.iter().map(|(path, _)| path.to_string()).collect();
                format!("rewrite the title metadata: replace {}", paths.join(", "))
            }
            Self::Document(fields) => {
                let names: Vec<&str> = fields.iter().map(|(field, _)| field.name()).collect();
                format!("rewrite the document: set {}", names.join(", "))
            }
            Self::Replace(replaces) => {
                let finds: Vec<&str> = replaces.iter().map(|r| r.find.as_str()).collect();
                format!("rewrite the body: replace {}", finds.join(", "))
            }
            Self::JsonPatch(operations) => {
                format!("patch the JSON: {}", count(operations.len(), "operation"))
            }
            Self::JsonMergePatch(_) => "merge a patch into the JSON".to_owned(),
            Self::Xml(settings) => {
                let paths: Vec<String> =
                    settings.iter().map(|(path, _)| path.to_string()).collect();
                format!("rewrite the XML: set {}", paths.join(", "))
            }
            Self::Form(fields) => {
                let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
                format!("rewrite the form: set {}", names.join(", "))
            }
        }
    }
}

fn set_form(
    fields: &[(String, Template)],
    body: &[u8],
    values: &Values<'_>,
) -> Result<Outcome, String> {
    let mut notes = Vec::new();
    let (new, places) = form::set(body, |name, old| {
        let (_, template) = fields.iter().find(|(field, _)| field == name)?;
        match template.fill(&Values { value: Some(old), ..*values }) {
            Ok(text) => Some(text),
            Err(problem) => {
                notes.push(format!("{name} stays as it is: {problem}"));
                None
            }
        }
    })?;
    let did = format!("rewrote the form: {}", count(places, "field"));
    let outcome = Outcome::of(body, new, did, "it has no field that is set");
    Ok(Outcome { notes, ..outcome })
}

/// `1 field`, `2 fields`
fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn replace(replaces: &[Replace], body: &[u8], values: &Values<'_>) -> Result<Outcome, String> {
    let mut new = body.to_vec();
    let mut places = 0;
    for Replace { find, with } in replaces {
        let mut changed = Vec::with_capacity(new.len());
        let mut done = 0;
        for captures in find.captures_iter(&new) {
            let Some(whole) = captures.get(0) else { continue };
            let groups = Captured::of_octets(find, &captures);
            let values = Values { url: Some(&groups.or(values.url)), ..*values };
            changed.extend_from_slice(&new[done..whole.start()]);
            changed.extend_from_slice(with.fill(&values)?.as_bytes());
            done = whole.end();
            places += 1;
        }
        changed.extend_from_slice(&new[done..]);
        new = changed;
    }
    let did = format!("rewrote the body: {}", count(places, "place"));
    let unchanged = if places == 0 { "nothing fits" } else { "nothing changes" };
    Ok(Outcome::of(body, new, did, unchanged))
}

fn set_fields(
    fields: &[(Field, Template)],
    body: &[u8],
    values: &Values<'_>,
) -> Result<Outcome, String> {
    let format = fields.first().map(|(field, _)| field.format());
    let document = Document::recognise(format, body).map_err(|error| error.to_string())?;
    let mut notes = Vec::new();
    let edited = document.edit(fields.iter().map(|(field, _)| *field), |field, old| {
        let (_, template) = fields.iter().find(|(candidate, _)| *candidate == field)?;
        match template.fill(&Values { value: Some(old), ..*values }) {
            Ok(text) => Some(text),
            Err(problem) => {
                notes.push(format!("{field} stays as it is: {problem}"));
                None
            }
        }
    });
    let edited = edited.map_err(|error| format!("left alone: {error}"))?;
    if !edited.missing.is_empty() {
        let missing = edited.missing.join(", ");
        notes.push(format!("the document has no {missing}; nothing was added"));
    }
    let Some(new) = edited.body else {
        let did = format!("left the document: nothing changes ({})", document.summary());
        return Ok(Outcome { body: None, did, effect: Effect::Noted, notes });
    };
    let after = Document::recognise(format, &new).map(|document| document.summary());
    let after = after.map_err(|error| format!("left alone: it would be {error}"))?;
    let did = format!("rewrote the document: {after} (the server {})", document.summary());
    Ok(Outcome { body: Some(new), did, effect: Effect::Rewritten, notes })
}

fn fields_of_a_document(
    table: &toml::Table,
    prefix: &str,
    places: Places<'_>,
    fields: &mut Vec<(Field, Template)>,
) -> Result<(), String> {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        let text = match value {
            toml::Value::Table(inner) => {
                fields_of_a_document(inner, &format!("{name}."), places, fields)?;
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            _ => return Err(format!("{name} wants a text or a whole number")),
        };
        let field: Field =
            name.parse().map_err(|error: consoletap_documents::UnknownField| error.to_string())?;
        let template = Template::parse(&text, places)?;
        if let Some(fixed) = template.fixed() {
            field.check(fixed).map_err(|error| error.to_string())?;
        }
        fields.push((field, template));
    }
    Ok(())
}

fn set_xml(
    settings: &[(XmlPath, Template)],
    body: &[u8],
    values: &Values<'_>,
) -> Result<Outcome, String> {
    let (mut new, mut places, mut missing) = (body.to_vec(), 0, Vec::new());
    for (path, value) in settings {
        let (changed, set) = xml::set(&new, path, &value.fill(values)?)?;
        new = changed;
        places += set;
        if set == 0 {
            missing.push(path.to_string());
        }
    }
    let did = format!("rewrote the XML: {}", count(places, "place"));
    let mut outcome = Outcome::of(body, new, did, "nothing changes");
    if !missing.is_empty() {
        outcome.notes.push(format!("the XML has no {}; nothing was added", missing.join(", ")));
    }
    Ok(outcome)
}

fn hide_firmware(body: &[u8], context: &Context<'_>) -> Result<Outcome, String> {
    let list = UpdateList::parse(body).map_err(|error| error.to_string())?;
    let before = list.summary();
    let Some(changed) = list.hide(own_firmware(context)) else {
        return Ok(Outcome {
            body: None,
            did: format!("left the update list: it has nothing newer ({before})"),
            effect: Effect::Noted,
            notes: Vec::new(),
        });
    };
    let after = UpdateList::parse(&changed)
        .map(|list| list.summary())
        .map_err(|error| format!("the changed list would be {error}"))?;
    Ok(Outcome {
        body: Some(changed),
        did: format!("rewrote the update list: {after} (the server {before})"),
        effect: Effect::Rewritten,
        notes: Vec::new(),
    })
}

/// The console's firmware: from its user agent, as the catalog read it, or from the query of a
/// PS Vita (`ver=03730000`).
fn own_firmware(context: &Context<'_>) -> Option<Firmware> {
    let details = &context.classification.details;
    let told = details.firmware.as_deref().and_then(|firmware| firmware.parse().ok());
    told.or_else(|| {
        let Target::Url(url) = context.target else { return None };
        let (_, query) = url.path.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix("ver="))?.parse().ok()
    })
}

fn replace_fields(
    fields: &[(JsonPath, NewValue)],
    body: &[u8],
    values: &Values<'_>,
) -> Result<Outcome, String> {
    let context = values.context;
    let document = TitleMetadata::parse(body).map_err(|error| error.to_string())?;
    // The document itself knows its title, should the request not tell it.
    let details = Details {
        np_title_id: Some(document.np_title_id().into()),
        ..context.classification.details.clone()
    };
    let classification = Classification { details, ..context.classification.clone() };
    let context = Context { classification: &classification, ..*context };
    let mut notes = Vec::new();
    let replaced = document.replace(fields.iter().map(|(path, _)| path), |path, old| {
        let (_, new) = fields.iter().find(|(candidate, _)| candidate == path)?;
        match new {
            NewValue::Other(value) => Some(value.clone()),
            NewValue::Text(template) => {
                let old = old.as_str().map_or_else(|| old.to_string(), str::to_owned);
                match template.fill(&Values { value: Some(&old), context: &context, ..*values }) {
                    Ok(text) => Some(Value::from(text)),
                    Err(problem) => {
                        notes.push(format!("{path} stays as it is: {problem}"));
                        None
                    }
                }
            }
        }
    });
    if !replaced.missing.is_empty() {
        let missing = replaced.missing.join(", ");
        notes.push(format!("the title metadata has no {missing}; nothing was added"));
    }
    let title = document.np_title_id();
    let (did, effect) = match replaced.values {
        0 => (format!("left the title metadata of {title}: nothing changes"), Effect::Noted),
        n => {
            let fields = count(n, "field");
            (format!("rewrote the title metadata of {title}: {fields}"), Effect::Rewritten)
        }
    };
    Ok(Outcome { body: replaced.body, did, effect, notes })
}

fn collect(
    table: &toml::Table,
    prefix: &str,
    places: Places<'_>,
    fields: &mut Vec<(JsonPath, NewValue)>,
) -> Result<(), String> {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        if let toml::Value::Table(inner) = value {
            collect(inner, &format!("{path}."), places, fields)?;
            continue;
        }
        let new = match value {
            toml::Value::String(text) => NewValue::Text(Template::parse(text, places)?),
            other => {
                NewValue::Other(json_value(other).map_err(|problem| format!("{path}: {problem}"))?)
            }
        };
        let path =
            path.parse().map_err(|error: consoletap_documents::InvalidPath| error.to_string())?;
        fields.push((path, new));
    }
    Ok(())
}

/// A TOML value as JSON.
pub(crate) fn json_value(value: &toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::from(text.clone()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) if number.is_finite() => Value::from(*number),
        toml::Value::Float(_) => return Err("JSON has no inf and no nan".to_owned()),
        toml::Value::Boolean(truth) => Value::from(*truth),
        toml::Value::Datetime(_) => return Err("JSON has no dates; write a text".to_owned()),
        toml::Value::Array(elements) => {
            Value::Array(elements.iter().map(json_value).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => Value::Object(
            table
                .iter()
                .map(|(name, value)| Ok((name.clone(), json_value(value)?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}
