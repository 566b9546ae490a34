//! What is told of mistakes: a caret at the place, what was expected, what was meant.

use consoletap_filter::Filter;

fn told(expression: &str) -> String {
    Filter::parse(expression).unwrap_err().to_string()
}

#[test]
fn mistakes_are_shown_with_a_caret_and_what_was_meant() {
    assert_eq!(
        told("~d sony & ~cta fw-updatelist"),
        "~cta is no operator\n  \
         ~d sony & ~cta fw-updatelist\n            ^^^^ did you mean ~cat fw-updatelist?"
    );
    let told_all = told("~é (\t~console ps9)");
    assert!(told_all.starts_with("~é is no operator; there are ~all ~u ~d "), "{told_all}");
    assert!(told_all.ends_with(" ~udp\n  ~é ( ~console ps9)\n  ^^"), "{told_all}");
    for (expression, expected) in [
        ("", "~all fits every flow"),
        ("(~all", "this ( is not closed\n  (~all\n  ^"),
        ("~all)", "there is no ( for this )\n  ~all)\n      ^"),
        ("~all &", "something is missing here"),
        ("& ~all", "condition was expected"),
        ("~all && ~all", "a condition was expected here\n  ~all && ~all\n        ^"),
        ("()", "condition was expected before )"),
        ("~d", "~d needs a value, as ~d playstation"),
        ("~d 'x", "the quote ' is not closed"),
        ("~d [", "this is no regex: unclosed character class\n  ~d [\n     ^"),
        ("~u a{1000}{1000}{1000}", "this regex is too large"),
        ("~c 40x", "a status was expected, as 404, 4xx or >=400"),
        ("~c 9999", "a status was expected"),
        ("~size 10m", "a size was expected, as >10m"),
        ("~dur >x", "a duration was expected"),
        ("~client 192.168.1.300", "an address, a network or a name was expected"),
        ("~client 10.0.0.0/33", "an address, a network or a name was expected"),
        ("~ip tv", "an IP address or a network was expected"),
        ("~port http", "a port was expected, as 443 or >=9293"),
        ("~port 65536", "a port was expected"),
        ("~since yesterday", "a time was expected: how long ago, as 10m"),
        ("~tls 2.0", "a TLS version was expected, as 1.0, <1.2 or ssl3"),
        ("~marker [", "this is no regex"),
        ("~b '(?<x'", "this is no regex"),
        ("domain:", "domain: needs a value, as domain:*.playstation.net"),
        ("domain:a/b", "a host was expected, with * for any part"),
        ("is:cached", "only is:running says something"),
        ("scheme:ftp", "http or https was expected\n  scheme:ftp\n         ^^^"),
        ("larger-than:x", "a size was expected, as 10m"),
        ("status-code:abc", "a status was expected"),
        (
            "-domian:*.net",
            "there is no key -domian:\n  -domian:*.net\n  ^^^^^^^^^^^^^ did you mean -domain:*.net?",
        ),
        ("~console ps9", "\"ps9\" is no console; there are ps3 psp"),
        ("~cat *fw", "a * only at their end"),
    ] {
        let told = told(expression);
        assert!(told.contains(expected), "{expression}: {told}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    assert!(told(&"!".repeat(60)).contains("nested deeper than 50"));
    assert!(told(&"(".repeat(4000)).contains("nested deeper than 50"));
    assert!(told(&"~all ".repeat(101)).contains("more than 100 conditions"));
    assert!(told(&"x".repeat(4097)).contains("longer than 4096"));
    assert!(Filter::parse(&"~all ".repeat(100)).is_ok());
}
