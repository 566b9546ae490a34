//! JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396) on the text itself.

use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// One operation of a JSON Patch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Operation {
    Add { path: Pointer, value: Value },
    Remove { path: Pointer },
    Replace { path: Pointer, value: Value },
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test { path: Pointer, value: Value },
}

/// A JSON Pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pointer(Vec<String>);

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let problem = || format!("{text:?} is no JSON Pointer: write steps as \"/names/0/name\"");
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let steps = text.strip_prefix('/').ok_or_else(problem)?.split('/');
        let steps = steps.map(|step| {
            let unescaped = step.replace("~1", "/").replace("~0", "~");
            // Only ~0 and ~1 are escapes.
            let fine = step.matches('~').count()
                == step.matches("~0").count() + step.matches("~1").count();
            fine.then_some(unescaped).ok_or_else(problem)
        });
        steps.collect::<Result<_, _>>().map(Self)
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

/// Applies the operations in their order; all of them, or none.
pub(crate) fn patch(body: &[u8], operations: &[Operation]) -> Result<Vec<u8>, String> {
    let (mark, text) = super::text(body)?;
    check(text)?;
    let mut text = text.to_owned();
    for operation in operations {
        text = apply(&text, operation)?;
    }
    Ok([mark, &text].concat().into_bytes())
}

/// Merges `patch` into the document.
pub(crate) fn merge(body: &[u8], patch: &Value) -> Result<Vec<u8>, String> {
    let (mark, text) = super::text(body)?;
    check(text)?;
    let at = root(text);
    let merged = merge_into(&text[at.clone()], patch);
    Ok([mark, &text[..at.start], &merged, &text[at.end..]].concat().into_bytes())
}

fn check(text: &str) -> Result<(), String> {
    let checked = serde_json::from_str::<&RawValue>(text);
    checked.map(|_| ()).map_err(|error| format!("not JSON: {error}"))
}

fn apply(text: &str, operation: &Operation) -> Result<String, String> {
    match operation {
        Operation::Add { path, value } => add(text, path, &value.to_string()),
        Operation::Remove { path } => remove(text, path),
        Operation::Replace { path, value } => {
            let at = find(text, &path.0).ok_or_else(|| not_there(path))?;
            Ok(put(text, at, value))
        }
        Operation::Move { from, path } => {
            if path.0.len() > from.0.len() && path.0.starts_with(&from.0) {
                return Err(format!("{from} cannot be moved into itself"));
            }
            let at = find(text, &from.0).ok_or_else(|| not_there(from))?;
            let value = text[at].to_owned();
            if path == from { Ok(text.to_owned()) } else { add(&remove(text, from)?, path, &value) }
        }
        Operation::Copy { from, path } => {
            let at = find(text, &from.0).ok_or_else(|| not_there(from))?;
            add(text, path, &text[at])
        }
        Operation::Test { path, value } => {
            let at = find(text, &path.0).ok_or_else(|| not_there(path))?;
            let there = serde_json::from_str::<Value>(&text[at]).map_err(|e| e.to_string())?;
            if same(&there, value) {
                Ok(text.to_owned())
            } else {
                Err(format!("{path} is {there}, and the patch tests for {value}"))
            }
        }
    }
}

fn not_there(path: &Pointer) -> String {
    format!("there is no {path}")
}

/// Whether two values are equal as RFC 6902 4.6 means it: numbers by their value.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// Puts a value where another stands; one that means the same keeps its bytes.
fn put(text: &str, at: Range<usize>, value: &Value) -> String {
    let stays = serde_json::from_str::<Value>(&text[at.clone()]).is_ok_and(|old| old == *value);
    if stays { text.to_owned() } else { splice(text, at, &value.to_string()) }
}

fn splice(text: &str, at: Range<usize>, new: &str) -> String {
    [&text[..at.start], new, &text[at.end..]].concat()
}

fn add(text: &str, path: &Pointer, value: &str) -> Result<String, String> {
    let Some((last, parent)) = path.0.split_last() else {
        return Ok(splice(text, root(text), value));
    };
    let at = find(text, parent).ok_or_else(|| format!("{path} has nothing to be added to"))?;
    let changed = match text.as_bytes()[at.start] {
        b'{' => set_member(&text[at.clone()], last, value),
        b'[' => {
            let elements = children(&text[at.clone()]).len();
            let index = if last == "-" { Some(elements) } else { index(last) };
            let index = index.filter(|&index| index <= elements);
            let index = index.ok_or_else(|| format!("{path} is outside of its array"))?;
            insert(&text[at.clone()], index, value)
        }
        _ => return Err(format!("{path} has nothing to be added to")),
    };
    Ok(splice(text, at, &changed))
}

fn remove(text: &str, path: &Pointer) -> Result<String, String> {
    let Some((last, parent)) = path.0.split_last() else {
        return Err("the whole document cannot be removed".to_owned());
    };
    let at = find(text, parent).ok_or_else(|| not_there(path))?;
    let container = &text[at.clone()];
    let child = place(container, last).ok_or_else(|| not_there(path))?;
    Ok(splice(text, at, &without(container, child)))
}

fn merge_into(target: &str, patch: &Value) -> String {
    let Value::Object(fields) = patch else {
        let stays = serde_json::from_str::<Value>(target).is_ok_and(|old| old == *patch);
        return if stays { target.to_owned() } else { patch.to_string() };
    };
    let mut merged = if target.starts_with('{') { target } else { "{}" }.to_owned();
    for (name, value) in fields {
        let there = place(&merged, name);
        merged = match (there, value) {
            (Some(child), Value::Null) => without(&merged, child),
            (None, Value::Null) => merged,
            (Some(child), value) => {
                let at = children(&merged)[child].value.clone();
                let new = merge_into(&merged[at.clone()], value);
                splice(&merged, at, &new)
            }
            // What is new takes no nulls along.
            (None, value) => set_member(&merged, name, &merge_into("null", value)),
        };
    }
    merged
}

// The text of a document that was checked: it is JSON, so its commas and brackets are where they
// have to be.

/// A member of an object or an element of an array.
struct Child {
    /// The name with its quotes.
    key: Option<Range<usize>>,
    value: Range<usize>,
}

impl Child {
    fn start(&self) -> usize {
        self.key.as_ref().map_or(self.value.start, |key| key.start)
    }
}

fn root(text: &str) -> Range<usize> {
    let start = skip_white(text.as_bytes(), 0);
    start..end_of_value(text.as_bytes(), start)
}

/// Where the value of a pointer stands.
fn find(text: &str, steps: &[String]) -> Option<Range<usize>> {
    let mut at = root(text);
    for step in steps {
        let container = &text[at.clone()];
        let child = children(container).into_iter().nth(place(container, step)?)?;
        at = at.start + child.value.start..at.start + child.value.end;
    }
    Some(at)
}

/// Which child a step means. Of members with the same name it is the last, which is the one that
/// readers take.
fn place(container: &str, step: &str) -> Option<usize> {
    let children = children(container);
    if container.starts_with('[') {
        return index(step).filter(|&index| index < children.len());
    }
    children.iter().rposition(|child| {
        let key = child.key.clone().and_then(|key| container.get(key));
        key.and_then(|key| serde_json::from_str::<String>(key).ok()).is_some_and(|key| key == step)
    })
}

/// An array's index (RFC 6901 4): digits without a leading zero.
fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (step == "0" || !step.starts_with('0'))).then(|| step.parse().ok())?
}

fn set_member(object: &str, name: &str, value: &str) -> String {
    if let Some(child) = place(object, name) {
        return splice(object, children(object)[child].value.clone(), value);
    }
    let colon = match children(object).first() {
        Some(Child { key: Some(key), value }) => &object[key.end..value.start],
        _ => ":",
    };
    let member = format!("{}{colon}{value}", Value::from(name));
    insert(object, children(object).len(), &member)
}

/// Puts a child before the one of this index, with the white space that stands between the others.
fn insert(container: &str, index: usize, new: &str) -> String {
    let children = children(container);
    let (Some(first), Some(last)) = (children.first(), children.last()) else {
        return [&container[..1], new, &container[container.len() - 1..]].concat();
    };
    let between = match children.get(1) {
        Some(second) => container[first.value.end..second.start()].to_owned(),
        None => format!(",{}", &container[1..first.start()]),
    };
    match children.get(index) {
        Some(next) => {
            let at = next.start();
            [&container[..at], new, &between, &container[at..]].concat()
        }
        None => {
            let at = last.value.end;
            [&container[..at], &between, new, &container[at..]].concat()
        }
    }
}

/// Takes a child out, with one of the commas beside it.
fn without(container: &str, index: usize) -> String {
    let children = children(container);
    let child = &children[index];
    let at = match (children.get(index + 1), index.checked_sub(1)) {
        (Some(next), _) => child.start()..next.start(),
        (None, Some(before)) => children[before].value.end..child.value.end,
        (None, None) => 1..container.len() - 1,
    };
    splice(container, at, "")
}

/// What an object or an array holds; nothing for any other value.
fn children(container: &str) -> Vec<Child> {
    let text = container.as_bytes();
    let mut children = Vec::new();
    let (close, named) = match text.first() {
        Some(b'{') => (b'}', true),
        Some(b'[') => (b']', false),
        _ => return children,
    };
    let mut at = skip_white(text, 1);
    while at < text.len() && text[at] != close {
        let key = named.then(|| at..end_of_value(text, at));
        if let Some(key) = &key {
            // The colon.
            at = skip_white(text, skip_white(text, key.end) + 1);
        }
        let value = at..end_of_value(text, at);
        at = skip_white(text, value.end);
        if text.get(at) == Some(&b',') {
            at = skip_white(text, at + 1);
        }
        children.push(Child { key, value });
    }
    children
}

fn skip_white(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn end_of_value(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while text.get(at).is_some_and(|&byte| byte != b'"') {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                if depth == 0 {
                    return at;
                }
                depth -= 1;
                at += 1;
            }
            b',' | b':' if depth == 0 => return at,
            _ if depth == 0 && byte.is_ascii_whitespace() => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at.min(text.len());
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(body: &str, operations: &str) -> Result<String, String> {
        let operations: Vec<Operation> = serde_json::from_str(operations).unwrap();
        patch(body.as_bytes(), &operations).map(|body| String::from_utf8(body).unwrap())
    }

    fn merged(body: &str, patch: &str) -> String {
        let patch = serde_json::from_str(patch).unwrap();
        String::from_utf8(merge(body.as_bytes(), &patch).unwrap()).unwrap()
    }

    const LIST: &str = "\u{feff}{\r\n  \"a\" : [1, 2],\r\n  \"b\\u0063\": {\"x\": \"}\\\"\"},\r\n  \"n\": 1.0\r\n}\r\n";

    #[test]
    fn operations_touch_nothing_else() {
        for (operation, from, to) in [
            (r#"{"op":"replace","path":"/a/1","value":{"k":3}}"#, "[1, 2]", r#"[1, {"k":3}]"#),
            (r#"{"op":"add","path":"/a/-","value":3}"#, "[1, 2]", "[1, 2, 3]"),
            (r#"{"op":"add","path":"/a/0","value":0}"#, "[1, 2]", "[0, 1, 2]"),
            (r#"{"op":"remove","path":"/a/0"}"#, "[1, 2]", "[2]"),
            (r#"{"op":"remove","path":"/a/1"}"#, "[1, 2]", "[1]"),
            (r#"{"op":"remove","path":"/bc"}"#, "\"b\\u0063\": {\"x\": \"}\\\"\"},\r\n  ", ""),
            (r#"{"op":"remove","path":"/n"}"#, ",\r\n  \"n\": 1.0", ""),
            (r#"{"op":"add","path":"/new~1","value":"v"}"#, "1.0", "1.0,\r\n  \"new/\" : \"v\""),
            (r#"{"op":"add","path":"/bc/x","value":null}"#, "\"}\\\"\"", "null"),
            (r#"{"op":"copy","from":"/bc/x","path":"/n"}"#, "1.0", "\"}\\\"\""),
            (r#"{"op":"move","from":"/a/0","path":"/a/1"}"#, "[1, 2]", "[2,1]"),
            (r#"{"op":"test","path":"/n","value":1}"#, "", ""),
            (r#"{"op":"replace","path":"/n","value":1.0}"#, "", ""),
        ] {
            let expected = LIST.replacen(from, to, usize::from(!from.is_empty()));
            assert_eq!(patched(LIST, &format!("[{operation}]")).unwrap(), expected, "{operation}");
        }
    }

    #[test]
    fn an_operation_that_cannot_be_done_undoes_all_of_them() {
        for (operation, problem) in [
            (r#"{"op":"remove","path":"/x"}"#, "there is no /x"),
            (r#"{"op":"replace","path":"/a/2","value":1}"#, "there is no /a/2"),
            (r#"{"op":"add","path":"/a/3","value":1}"#, "/a/3 is outside of its array"),
            (r#"{"op":"add","path":"/a/01","value":1}"#, "/a/01 is outside of its array"),
            (r#"{"op":"add","path":"/n/x","value":1}"#, "/n/x has nothing to be added to"),
            (r#"{"op":"test","path":"/n","value":2}"#, "/n is 1.0, and the patch tests for 2"),
            (r#"{"op":"move","from":"/bc","path":"/bc/x"}"#, "/bc cannot be moved into itself"),
        ] {
            assert_eq!(patched(LIST, &format!("[{operation}]")).unwrap_err(), problem);
        }
        assert!(patched("[1,", "[]").unwrap_err().starts_with("not JSON: "));
        assert!(patch(b"\xff", &[]).unwrap_err().starts_with("not UTF-8"));
    }

    /// The table of RFC 7396, appendix A.
    #[test]
    fn merging_is_as_its_standard_says() {
        for (body, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (" { \"a\" : 1 }\n", r#"{"b":2}"#, " { \"a\" : 1, \"b\" : 2 }\n"),
        ] {
            assert_eq!(merged(body, patch), result, "{body} {patch}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_comes_out_is_json_and_means_what_was_asked(
            text in "[\\[\\]{}:,\"a\\\\u0-9.e \n-]{0,40}", step in "[a0-9-]{0,2}",
        ) {
            let operations = [
                Operation::Add { path: Pointer(vec![step.clone()]), value: Value::from("new") },
                Operation::Remove { path: Pointer(vec![step.clone()]) },
            ];
            for operation in &operations {
                if let Ok(changed) = patch(text.as_bytes(), std::slice::from_ref(operation)) {
                    let json: Value = serde_json::from_slice(&changed).unwrap();
                    if matches!(operation, Operation::Add { .. }) && json.is_object() {
                        proptest::prop_assert_eq!(&json[&step], "new");
                    }
                }
            }
        }
    }
}
