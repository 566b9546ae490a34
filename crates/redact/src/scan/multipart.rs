//! `multipart/…`: the parts, each by its own name and type.

use std::borrow::Cow;

use consoletap_content::kind;

use super::edit::Edit;
use super::{DEEPEST, Scan};
use crate::names::Place;

impl Scan<'_> {
    /// The text with secret parts replaced, and the others looked into.
    pub(crate) fn multipart<'t>(&mut self, text: &'t str, boundary: &str) -> Cow<'t, str> {
        if self.depth >= DEEPEST {
            return Cow::Borrowed(text);
        }
        self.depth += 1;
        let mark = format!("--{boundary}");
        let mut edit = Edit::of(text);
        let mut at = text.find(&mark).map_or(text.len(), |start| start + mark.len());
        while at < text.len() {
            let end = text[at..].find(&mark).map_or(text.len(), |found| at + found);
            let part = &text[at..end];
            if let Some((head, length)) = head_of(part) {
                let start = at + length;
                let body = &text[start..end];
                let body = body.strip_suffix('\n').unwrap_or(body);
                let body = body.strip_suffix('\r').unwrap_or(body);
                if let Some(new) = self.part(head, body) {
                    edit.replace(start..start + body.len(), &new);
                }
            }
            at = end + mark.len();
        }
        self.depth -= 1;
        edit.finish()
    }

    fn part(&mut self, head: &str, body: &str) -> Option<String> {
        let field = |name: &str| {
            head.lines().filter_map(|line| line.split_once(':')).find_map(|(field, value)| {
                field.trim().eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let disposition = field("content-disposition").unwrap_or_default();
        let parameters = disposition.split(';').filter_map(|part| part.trim().split_once('='));
        let mut names = parameters.filter(|(name, _)| name.eq_ignore_ascii_case("name"));
        let name = names.next_back();
        if name.is_some_and(|(_, name)| self.is_secret(Place::Pair, name.trim_matches('"'))) {
            return self.secret(body.as_bytes());
        }
        match self.body(&kind(field("content-type"), body.as_bytes()), body) {
            Cow::Owned(changed) => Some(changed),
            Cow::Borrowed(_) => None,
        }
    }
}

/// The head of a part, and the length up to its body.
fn head_of(part: &str) -> Option<(&str, usize)> {
    ["\r\n\r\n", "\n\n"]
        .into_iter()
        .filter_map(|gap| part.find(gap).map(|at| (&part[..at], at + gap.len())))
        .min_by_key(|(_, length)| *length)
}

#[cfg(test)]
mod tests {
    use super::super::tests::masked;

    #[test]
    fn parts_are_masked_by_their_names_and_types() {
        let text = "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\ngeheim\r\n--b\r\n\
                    Content-Disposition: form-data; name=\"x\"\r\nContent-Type: application/json\r\n\r\n\
                    {\"sid\":1}\r\n--b\r\n\r\nplain\r\n--b--\r\n";
        let (masked, found) = masked(text, |scan, text| scan.multipart(text, "b"));
        assert_eq!(masked, text.replace("geheim", "***").replace(":1}", ":\"***\"}"));
        assert_eq!(found, ["geheim", "1"]);
    }
}
