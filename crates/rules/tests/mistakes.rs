//! What is told of a rule file that is wrong: place, problem, and what was expected.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;

use consoletap_rules::Rules;

/// Files that are wrong as a whole.
const FILES: [&str; 15] = [
    "",
    "description = 'nothing'\n",
    "[[rule]\nname = 'x'\n",
    "[[rule]]\nname = 'x'\n",
    "[[rule]]\nwhen = '~all'\n",
    "[[rule]]\nname = ''\nwhen = '~all'\n",
    "[[rule]]\nname = \"a\\nb\"\nwhen = '~all'\n",
    "[[rule]]\nname = 'x'\nwhen = '~all'\nblock = 404\n[[rule]]\nname = 'x'\nwhen = '~all'\nblock = 404\n",
    "[rule]\nname = 'x'\n",
    "description = 7\n",
    "settings = 7\n[[rule]]\nname = 'x'\n",
    "[settings.folder]\npath = true\n[[rule]]\nname = 'x'\n",
    "[settings.folder]\nabout = 'where'\n[[rule]]\nname = 'x'\n",
    "[settings.Folder]\nabout = 'where'\n[[rule]]\nname = 'x'\n",
    "[[rule]]\nname = 'x'\nwhen = '~all'\nmap-local = { folder = \"${foldr}\" }\n",
];

/// Conditions that are wrong.
const CONDITIONS: [&str; 9] = [
    "when = '~d a & (~d b'",
    "when = '~c 404'",
    "when = ''",
    "when = 7",
    "when = '~all'\nclient = 'ps4'",
    "when = '~all'\nclient = ['10.0.0.1', '10.0.0.0/40']",
    "when = '~all'\nurl = 'a(b'",
    "when = '~all'\nurl = '(?<part>x'",
    "when = '~all'\nurl = 7",
];

/// Actions that are wrong.
const ACTIONS: [&str; 68] = [
    "",
    "rewirte = {}",
    "block = 404\ndelay = '1s'",
    "block = 200",
    "block = 'no'",
    "block = true",
    "block = -1",
    "answer = 7",
    "answer = { status = 100 }",
    "answer = { status = 99999 }",
    "answer = { status = 204, body = 'x' }",
    "answer = { body = 'x', file = 'y' }",
    "answer = { body = '{titel_id}' }",
    "answer = { body = '{' }",
    "answer = { bdy = 'x' }",
    "answer = { headers = { 'X-A' = \"a\\r\\nb: c\" } }",
    "answer = { headers = { 'X A' = 'x' } }",
    "answer = { headers = { 'X-A' = 7 } }",
    "answer = { headers = { 'Content-Length' = '7' } }",
    "answer = { path = '{file}' }",
    "map-local = 'x.pkg'",
    "map-local = {}",
    "map-local = { file = 'a', folder = 'b' }",
    "map-local = { file = '{file}' }",
    "map-local = { folder = 'b', path = '{part}' }",
    "map-local = { folder = '' }",
    "map-local = { folder = 'b', missing = 'maybe' }",
    "map-local = { file = 'a', content-type = \"a\\nb\" }",
    "map-remote = {}",
    "map-remote = { host = 'a b' }",
    "map-remote = { host = 'h:0' }",
    "map-remote = { scheme = 'ftp' }",
    "map-remote = { path = '/a b' }",
    "map-remote = { path = '/{part}' }",
    "set-header = {}",
    "set-header.answer = {}",
    "set-header.server = { 'X-A' = 'x' }",
    "set-header.answer = { 'X-A' = \"a\\u0000\" }",
    "set-header.answer = { 'X-A' = [] }",
    "set-header.answer = { 'Transfer-Encoding' = 'x' }",
    "set-header.request = { 'Host' = 'x' }",
    "remove-header.answer = ['']",
    "remove-header.answer = []",
    "remove-header = ['ETag']",
    "rename-header.answer = { 'A' = 'B C' }",
    "rename-header.answer = { 'A' = 'Connection' }",
    "rewrite = {}",
    "rewrite = { firmware = 'hide', json = { a = 1 } }",
    "rewrite.firmware = 'show'",
    "rewrite.json = {}",
    "rewrite.json = { 'a..b' = 1 }",
    "rewrite.json = { a = '{b}' }",
    "rewrite.json = { a = nan }",
    "rewrite.json = { 'n.*.a' = 1, 'n.0' = 2 }",
    "rewrite.replace = { find = '(', with = 'x' }",
    "rewrite.replace = { find = 'a', with = '{1}' }",
    "rewrite.replace = []",
    "rewrite.replace = { find = 'a' }",
    "rewrite.json-patch = [{ op = 'change', path = '/a', value = 1 }]",
    "rewrite.json-patch = [{ op = 'remove', path = 'a' }]",
    "rewrite.json-merge-patch = '{'",
    "rewrite.xml = { 'a//b' = 'x' }",
    "delay = 2",
    "delay = '2h'",
    "throttle = {}",
    "throttle = { down = 0 }",
    "throttle = { down = '1x' }",
    "fault = { cut = 1, stall = 2 }",
];

/// More of them.
const MORE: [&str; 15] = [
    "rewrite-request = {}",
    "rewrite-request = { firmware = 'hide' }",
    "rewrite-request.form = {}",
    "rewrite-request.form = { a = 7 }",
    "rewrite-request = { form = { a = 'b' }, replace = { find = 'a', with = 'b' } }",
    "rewrite.document = { 'updatelist.ofer' = '9.00' }",
    "rewrite.document = { updatelist.offer = 'no version' }",
    "rewrite.document = { updatelist.offer = '9.00', title.name = 'x' }",
    "rewrite.document = {}",
    "fault = { cut = -1 }",
    "tls = 'open'",
    "store = 'all'",
    "store = -1",
    "tag = ''",
    "tag = ['a', 'b,c']",
];

fn told(source: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    fs::write(&file, source).unwrap();
    let Err(error) = Rules::load(&[file.to_str().unwrap().to_owned()]) else {
        return format!("NO MISTAKE in {source}");
    };
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_was_expected() {
    let mut page = String::new();
    let conditions =
        CONDITIONS.iter().map(|lines| format!("[[rule]]\nname = 'x'\n{lines}\nblock = 404\n"));
    let actions = ACTIONS.iter().chain(&MORE);
    let actions = actions.map(|lines| format!("[[rule]]\nname = 'x'\nwhen = '~all'\n{lines}\n"));
    let files = FILES.iter().map(|file| (*file).to_owned()).chain(conditions).chain(actions);
    for source in files {
        let error = told(&source);
        writeln!(page, "{source}---> {error}\n").unwrap();
    }
    assert!(!page.contains("NO MISTAKE"), "{page}");
    insta::assert_snapshot!(page);
}
