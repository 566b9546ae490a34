//! Recorded values in which something stands for a secret that was taken out.

use consoletap_redact::stand_ins;

/// Whether a value came as it was recorded, where anything may come for a secret.
pub(crate) fn fits(recorded: &str, came: &str) -> bool {
    let mut rest = came;
    let mut from = 0;
    for place in stand_ins(recorded.as_bytes()) {
        let literal = &recorded[from..place.start];
        let at =
            if from == 0 { rest.starts_with(literal).then_some(0) } else { rest.find(literal) };
        let Some(at) = at else { return false };
        rest = &rest[at + literal.len()..];
        from = place.end;
    }
    if from == 0 { recorded == came } else { rest.ends_with(&recorded[from..]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_may_come_for_a_secret_and_nothing_else() {
        let secret = "redacted-abcdefghij";
        for (recorded, came, fit) in [
            ("a", "a", true),
            ("a", "b", false),
            (&*format!("x={secret};y"), "x=1;y", true),
            (&*format!("x={secret};y"), "x=1;z", false),
            (&*format!("x={secret};y"), "z=1;y", false),
            (&*format!("{secret}{secret}"), "", true),
            (&*format!("{secret} and {secret}"), "one and two", true),
            (&*format!("{secret} and {secret}"), "one or two", false),
        ] {
            assert_eq!(fits(recorded, came), fit, "{recorded} {came}");
        }
    }
}
