//! What rules do.

use consoletap_documents::{Firmware, JsonPath, TitleMetadata, UpdateList};
use consoletap_flow::{Details, Effect, Target};
use serde_json::Value;

use crate::decision::Context;
use crate::template::Template;

/// The action of a rule. Blocking, answering from here and delaying come beside this one.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Change the body of the answer.
    Rewrite(Rewrite),
}

/// A change to a body.
#[derive(Debug, Clone)]
pub(crate) enum Rewrite {
    /// Lower the versions of an update list to the console's own.
    HideFirmware,
    /// Replace fields of title metadata.
    Json(Vec<(JsonPath, NewValue)>),
}

/// A value to put in: text can have places to fill in.
#[derive(Debug, Clone)]
pub(crate) enum NewValue {
    Text(Template),
    Other(Value),
}

/// What a rewrite did.
pub(crate) struct Outcome {
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) did: String,
    pub(crate) effect: Effect,
    pub(crate) notes: Vec<String>,
}

impl Action {
    /// In plain words, for `explain`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Rewrite(Rewrite::HideFirmware) => {
                "rewrite the update list: nothing newer than the console's firmware".to_owned()
            }
            Self::Rewrite(Rewrite::Json(fields)) => {
                let paths: Vec<String> = fields.iter().map(|(path, _)| path.to_string()).collect();
                format!("rewrite the title metadata: replace {}", paths.join(", "))
            }
        }
    }
}

impl Rewrite {
    /// Reads the fields of `json = { … }`. Tables are paths written without quotes:
    /// `names.0.name = "x"` means the same as `"names.0.name" = "x"`.
    pub(crate) fn json(table: &toml::Table) -> Result<Self, String> {
        let mut fields = Vec::new();
        collect(table, "", &mut fields)?;
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

    /// Changes a body; or says why it is not what the rule is for.
    pub(crate) fn apply(&self, body: &[u8], context: &Context<'_>) -> Result<Outcome, String> {
        match self {
            Self::HideFirmware => hide_firmware(body, context),
            Self::Json(fields) => replace_fields(fields, body, context),
        }
    }
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
    context: &Context<'_>,
) -> Result<Outcome, String> {
    let document = TitleMetadata::parse(body).map_err(|error| error.to_string())?;
    let details = Details {
        // The document itself knows its title, should the request not tell it.
        np_title_id: Some(document.np_title_id()),
        ..context.classification.details.clone()
    };
    let mut notes = Vec::new();
    let replaced = document.replace(fields.iter().map(|(path, _)| path), |path, old| {
        let (_, new) = fields.iter().find(|(candidate, _)| candidate == path)?;
        match new {
            NewValue::Other(value) => Some(value.clone()),
            NewValue::Text(template) => {
                let old = old.as_str().map_or_else(|| old.to_string(), str::to_owned);
                match template.fill(&old, &details) {
                    Ok(text) => Some(Value::from(text)),
                    Err(unknown) => {
                        notes.push(format!("{path} stays as it is: {unknown} is not known here"));
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
        1 => (format!("rewrote the title metadata of {title}: 1 field"), Effect::Rewritten),
        n => (format!("rewrote the title metadata of {title}: {n} fields"), Effect::Rewritten),
    };
    Ok(Outcome { body: replaced.body, did, effect, notes })
}

fn collect(
    table: &toml::Table,
    prefix: &str,
    fields: &mut Vec<(JsonPath, NewValue)>,
) -> Result<(), String> {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        if let toml::Value::Table(inner) = value {
            collect(inner, &format!("{path}."), fields)?;
            continue;
        }
        let new = match value {
            toml::Value::String(text) => NewValue::Text(Template::parse(text)?),
            other => NewValue::Other(json(other).map_err(|problem| format!("{path}: {problem}"))?),
        };
        let path =
            path.parse().map_err(|error: consoletap_documents::InvalidPath| error.to_string())?;
        fields.push((path, new));
    }
    Ok(())
}

fn json(value: &toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::from(text.clone()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) if number.is_finite() => Value::from(*number),
        toml::Value::Float(_) => return Err("JSON has no inf and no nan".to_owned()),
        toml::Value::Boolean(truth) => Value::from(*truth),
        toml::Value::Datetime(_) => return Err("JSON has no dates; write a text".to_owned()),
        toml::Value::Array(elements) => {
            Value::Array(elements.iter().map(json).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => Value::Object(
            table
                .iter()
                .map(|(name, value)| Ok((name.clone(), json(value)?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}
