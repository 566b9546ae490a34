//! Settings of a rule file: what whoever uses it must say, as the folder of a pack.
//!
//! A file declares them in `[settings.NAME]` and uses them as `${NAME}` in its texts; they are
//! given behind its name: `local-packages:folder=/srv/packages`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::error::RulesError;

/// The name of a pack or file, with the settings that were given behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) given: Vec<(&'a str, &'a str)>,
}

impl<'a> Named<'a> {
    /// Reads `NAME` or `NAME:KEY=VALUE,KEY=VALUE`. A comma belongs to the value before it, unless
    /// a key follows.
    pub(crate) fn parse(text: &'a str) -> Self {
        // `C:\rules.toml` has no setting behind its colon.
        let split = text.match_indices(':').find(|(at, _)| key(&text[at + 1..]).is_some());
        let Some((at, _)) = split else { return Self { name: text, given: Vec::new() } };
        let mut given = Vec::new();
        let mut rest = &text[at + 1..];
        while let Some(name) = key(rest) {
            let value = &rest[name.len() + 1..];
            let next =
                value.match_indices(',').find(|(comma, _)| key(&value[comma + 1..]).is_some());
            let end = next.map_or(value.len(), |(comma, _)| comma);
            given.push((name, &value[..end]));
            rest = value.get(end + 1..).unwrap_or_default();
        }
        Self { name: &text[..at], given }
    }

    /// Whether this is the name of a file, and not that of a pack.
    pub(crate) fn is_file(&self) -> bool {
        self.name.contains(['/', '\\']) || self.name.ends_with(".toml")
    }
}

/// The key that a text begins with, as `folder=`.
fn key(text: &str) -> Option<&str> {
    let (key, _) = text.split_once('=')?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!key.is_empty() && key.bytes().all(fits)).then_some(key)
}

/// A setting as a file declares it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    /// What it is, for people.
    pub(crate) about: String,
    /// What it is where nothing is said; without one, something must be.
    default: Option<String>,
    /// Whether it is a path, which is meant from the working directory on.
    #[serde(default)]
    path: bool,
}

#[derive(Deserialize)]
struct Declared {
    #[serde(default)]
    settings: BTreeMap<String, Spanned<Setting>>,
}

/// The settings that a file declares, by their names.
pub(crate) fn declared(
    file: &str,
    source: &str,
) -> Result<BTreeMap<String, Spanned<Setting>>, RulesError> {
    let declared: Declared = toml::from_str(source)
        .map_err(|error| RulesError::at(file, source, error.span(), error.message()))?;
    for (name, setting) in &declared.settings {
        if key(&format!("{name}=")).is_none() {
            let problem = format!("a setting is named in small letters, and this is {name:?}");
            return Err(RulesError::at(file, source, Some(setting.span()), problem));
        }
    }
    Ok(declared.settings)
}

/// The text of a file with its settings put in.
pub(crate) fn fill<'s>(named: &Named<'_>, source: &'s str) -> Result<Cow<'s, str>, RulesError> {
    if named.given.is_empty() && !source.contains("${") && !source.contains("[settings") {
        return Ok(Cow::Borrowed(source));
    }
    let declared = declared(named.name, source)?;
    let wrong = |problem: String| RulesError::Setting { file: named.name.to_owned(), problem };
    for (index, (name, _)) in named.given.iter().enumerate() {
        if !declared.contains_key(*name) {
            let problem = match list(declared.keys()) {
                known if known.is_empty() => format!("it has no settings, and {name} was given"),
                known => format!("it has no setting {name}; there are {known}"),
            };
            return Err(wrong(problem));
        }
        if named.given[..index].iter().any(|(other, _)| other == name) {
            return Err(wrong(format!("{name} was given twice")));
        }
    }
    let mut values = BTreeMap::new();
    for (name, setting) in &declared {
        let setting = setting.get_ref();
        let given = named.given.iter().find(|(given, _)| given == name).map(|(_, value)| *value);
        let value = given.or(setting.default.as_deref()).ok_or_else(|| {
            wrong(format!(
                "it needs to know {name}: {}. Write {}:{name}=…",
                setting.about, named.name
            ))
        })?;
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(wrong(format!("{name} has no value of one line: {}", setting.about)));
        }
        let value = if setting.path { absolute(value) } else { value.to_owned() };
        values.insert(name.as_str(), escaped(&value));
    }
    put_in(named.name, source, &values).map(Cow::Owned)
}

/// Puts values in the place of `${name}`; comments stay as they are.
fn put_in(file: &str, source: &str, values: &BTreeMap<&str, String>) -> Result<String, RulesError> {
    let mut filled = String::with_capacity(source.len());
    let mut offset = 0;
    for line in source.split_inclusive('\n') {
        let mut rest = if line.trim_start().starts_with('#') { "" } else { line };
        let mut at = offset;
        if rest.is_empty() {
            filled.push_str(line);
        }
        while let Some(start) = rest.find("${") {
            let end = rest[start..].find('}').map(|end| start + end);
            let name = end.map(|end| &rest[start + 2..end]);
            let Some((value, end)) = name.and_then(|name| Some((values.get(name)?, end?))) else {
                let known = list(values.keys());
                let problem = match name {
                    Some(name) if known.is_empty() => {
                        format!("there is no setting ${{{name}}}; [settings.{name}] declares one")
                    }
                    Some(name) => format!("there is no setting ${{{name}}}; there are {known}"),
                    None => "this ${ is not closed; a setting is written ${name}".to_owned(),
                };
                let place = at + start..at + end.map_or(start + 2, |end| end + 1);
                return Err(RulesError::at(file, source, Some(place), problem));
            };
            filled.push_str(&rest[..start]);
            filled.push_str(value);
            rest = &rest[end + 1..];
            at += end + 1;
        }
        filled.push_str(rest);
        offset += line.len();
    }
    Ok(filled)
}

/// For a text in double quotes.
fn escaped(value: &str) -> String {
    value.chars().fold(String::new(), |mut text, c| {
        match c {
            '"' | '\\' => {
                let _ = write!(text, "\\{c}");
            }
            _ => text.push(c),
        }
        text
    })
}

/// A path from the working directory on; `~/` is the home folder.
fn absolute(value: &str) -> String {
    let home = value.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    let path = home.unwrap_or_else(|| Path::new(value).to_owned());
    let path = std::path::absolute(&path).unwrap_or(path);
    path.into_os_string().into_string().unwrap_or_else(|_| value.to_owned())
}

fn list<S: AsRef<str>>(names: impl Iterator<Item = S>) -> String {
    names.map(|name| name.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_behind_the_name() {
        let parse = |text: &'static str| {
            let Named { name, given } = Named::parse(text);
            (name, given)
        };
        assert_eq!(parse("quiet"), ("quiet", vec![]));
        assert_eq!(parse("p:folder=/a,b:c"), ("p", vec![("folder", "/a,b:c")]));
        assert_eq!(parse("./x.toml:a=1,b-2=,c"), ("./x.toml", vec![("a", "1"), ("b-2", ",c")]));
        assert_eq!(parse("p:a=1,b=2=3"), ("p", vec![("a", "1"), ("b", "2=3")]));
        assert_eq!(parse("C:\\x.toml"), ("C:\\x.toml", vec![]));
        assert_eq!(parse("p:folder"), ("p:folder", vec![]));
    }

    const FILE: &str = "# ${this} is a comment\n[settings.name]\nabout = 'who'\n\
                        [settings.greeting]\nabout = 'what'\ndefault = 'Hi'\n\
                        x = \"${greeting}, ${name}!\"\n";

    fn filled(given: &[(&'static str, &'static str)]) -> Result<String, String> {
        let named = Named { name: "p", given: given.to_vec() };
        let source = FILE.replace("x = ", "[x]\nx = ");
        fill(&named, &source).map(Cow::into_owned).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_put_in_and_quotes_cannot_break_out() {
        assert!(filled(&[("name", "you")]).unwrap().contains("x = \"Hi, you!\""));
        let odd = filled(&[("name", "a\"\\b"), ("greeting", "${name}")]).unwrap();
        assert!(odd.contains(r#"x = "${name}, a\"\\b!""#), "{odd}");
    }

    #[test]
    fn what_is_missing_or_unknown_is_told() {
        assert_eq!(filled(&[]).unwrap_err(), "p: it needs to know name: who. Write p:name=…");
        let unknown = filled(&[("nam", "x")]).unwrap_err();
        assert_eq!(unknown, "p: it has no setting nam; there are greeting, name");
        assert_eq!(filled(&[("name", "")]).unwrap_err(), "p: name has no value of one line: who");
        let twice = filled(&[("name", "x"), ("name", "y")]).unwrap_err();
        assert_eq!(twice, "p: name was given twice");
        let none = fill(&Named { name: "p", given: vec![] }, "a = 1\nb = \"x${é}\"").unwrap_err();
        assert!(none.to_string().starts_with("p:2:7: there is no setting ${é}; [settings.é]"));
        let open = fill(&Named { name: "p", given: vec![] }, "b = \"${x\"").unwrap_err();
        assert!(open.to_string().starts_with("p:1:6: this ${ is not closed"), "{open}");
    }
}
