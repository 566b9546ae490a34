//! How the program ends: 0 done, 1 failed, 2 wrong usage.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// Something that was typed, or stands in a file of the user, cannot be used.
#[derive(Debug)]
pub(crate) struct Usage(Box<dyn Error + Send + Sync>);

impl Usage {
    pub(crate) fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Usage {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// The code for an error. A reader of standard output that had enough is no failure.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    let causes = || error.chain();
    let broken_pipe = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    };
    if causes().any(broken_pipe) {
        ExitCode::SUCCESS
    } else if causes().any(|cause| cause.is::<Usage>()) {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// The error with its causes, each once: some errors tell their cause themselves.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn usage_is_2_failure_is_1_and_a_full_reader_is_0() {
        // ExitCode has no comparison; its debug text has the number.
        let code = |error: anyhow::Error| format!("{:?}", code(&error));
        let expected = |number: u8| format!("{:?}", ExitCode::from(number));
        assert_eq!(code(Usage::new("no such filter").into()), expected(2));
        assert_eq!(code(anyhow::anyhow!("no disk")), expected(1));
        let pipe: io::Result<()> = Err(io::ErrorKind::BrokenPipe.into());
        assert_eq!(message(&anyhow::anyhow!("b").context("a: b").context("c")), "c: a: b");
        assert_eq!(code(pipe.context("cannot print").unwrap_err()), expected(0));
    }
}
