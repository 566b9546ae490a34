//! Fields of a form (`application/x-www-form-urlencoded`), as consoles send it when they sign in.

use consoletap_content::{percent_decode, percent_encode};

/// Gives fields the values that `value` says of their name and their old value; how many those
/// were. What it says nothing of keeps its bytes, and no field is added.
pub(crate) fn set(
    body: &[u8],
    mut value: impl FnMut(&str, &str) -> Option<String>,
) -> Result<(Vec<u8>, usize), String> {
    let text = std::str::from_utf8(body)
        .map_err(|error| format!("not UTF-8 text (byte {})", error.valid_up_to()))?;
    if text.trim_start().starts_with(['{', '[', '<']) {
        return Err("no form: its fields were expected, as a=b&c=d".to_owned());
    }
    let mut places = 0;
    let fields = text.split('&').map(|field| {
        let (name, old) = field.split_once('=').unwrap_or((field, ""));
        match value(&plain(name), &plain(old)) {
            Some(new) => {
                places += 1;
                format!("{name}={}", percent_encode(new.as_bytes()))
            }
            None => field.to_owned(),
        }
    });
    let new = fields.collect::<Vec<_>>().join("&");
    Ok((new.into_bytes(), places))
}

/// A name or value without its coding.
fn plain(text: &str) -> String {
    String::from_utf8_lossy(&percent_decode(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_fields_change() {
        let set = |body: &str| {
            let (new, places) = set(body.as_bytes(), |name, old| {
                (name == "a b").then(|| format!("<{old}> & more"))
            })
            .unwrap();
            (String::from_utf8(new).unwrap(), places)
        };
        assert_eq!(
            set("x=%7e&a+b=1%20&&a%20b=+&y"),
            ("x=%7e&a+b=%3C1%20%3E%20%26%20more&&a%20b=%3C%20%3E%20%26%20more&y".to_owned(), 2)
        );
        assert_eq!(set(""), (String::new(), 0));
    }

    #[test]
    fn what_is_no_form_is_told() {
        for body in [&b"{\"a\":1}"[..], b" <a/>", b"\xff"] {
            assert!(set(body, |_, _| None).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_keeps_its_bytes_where_nothing_is_set(body in "[a-z=&%+0-9]{0,40}") {
            let (new, places) = set(body.as_bytes(), |_, _| None).unwrap();
            proptest::prop_assert_eq!((new, places), (body.into_bytes(), 0));
        }
    }
}
