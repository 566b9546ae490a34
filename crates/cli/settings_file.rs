//! The settings file: TOML whose keys are the options of a run. Errors name file, line and key,
//! and what was expected there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use consoletap_flow::HostGlob;
use consoletap_proxy::TlsPick;
use consoletap_rules::Rules;
use consoletap_tls::{ClientCertificate, ExtraRoots};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::amounts;
use crate::args::{RunArgs, network};
use crate::quantity::Size;
use crate::suggest::nearest;

/// The keys; a test holds them to the options.
const KEYS: [&str; 36] = [
    "allow",
    "block-tls",
    "ca-cert",
    "ca-key",
    "catalog",
    "certs",
    "client-cert",
    "copy-upstream-names",
    "filter",
    "force",
    "insecure-upstream",
    "intercept",
    "intercept-all",
    "json",
    "key-log",
    "legacy-tls",
    "legacy-upstream",
    "listen-host",
    "max-held-body",
    "min-free-disk",
    "name-client",
    "no-session",
    "port",
    "quiet",
    "resolve",
    "retain-age",
    "retain-count",
    "retain-size",
    "rules",
    "session-quota",
    "store",
    "sync",
    "tunnel",
    "upstream-ca",
    "verbose",
    "write",
];

/// Every key with its default and an explanation; what `consoletap settings` prints.
pub(crate) const TEMPLATE: &str = include_str!("../../config/consoletap.toml");

/// What is wrong in a settings file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileError {
    file: PathBuf,
    line: usize,
    problem: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.problem)
    }
}

impl std::error::Error for FileError {}

/// Reads the text of a settings file. Paths in it are meant from its folder.
pub(crate) fn parse(file: &Path, text: &str) -> Result<RunArgs, FileError> {
    let reader = Reader { file, text };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        reader.error(at, error.message().to_owned())
    })?;
    let mut args = RunArgs::default();
    for (key, value) in table.into_inner() {
        let at = key.span().start;
        reader.read(&mut args, at, key.get_ref(), &value)?;
    }
    if args.write.is_some() && args.no_session {
        return Err(reader.error(0, "`write` and `no-session` cannot both be set".to_owned()));
    }
    Ok(args)
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn read(
        &self,
        args: &mut RunArgs,
        at: usize,
        key: &str,
        value: &Value<'_>,
    ) -> Result<(), FileError> {
        match key {
            "port" => args.port = Some(self.port(value)?),
            "listen-host" => {
                args.listen_host = Some(self.parsed(key, value, "an address as \"0.0.0.0\"")?);
            }
            "write" => args.write = Some(self.path(key, value)?),
            "no-session" => args.no_session = self.switch(key, value)?,
            "store" => {
                args.store = Some(self.parsed(key, value, "\"none\", \"head\" or \"full\"")?);
            }
            "sync" => {
                args.sync = Some(self.parsed(key, value, "\"always\", \"never\" or \"1s\"")?);
            }
            "session-quota" => args.session_quota = Some(self.size(key, value)?),
            "min-free-disk" => args.min_free_disk = Some(self.size(key, value)?),
            "retain-age" => args.retain_age = Some(self.parsed(key, value, "a time as \"30d\"")?),
            "retain-count" => args.retain_count = Some(self.count(key, value)?),
            "retain-size" => args.retain_size = Some(self.size(key, value)?),
            "quiet" => args.quiet = self.switch(key, value)?,
            "verbose" => args.verbose = self.switch(key, value)?,
            "json" => args.json = self.switch(key, value)?,
            "filter" => {
                args.filter = Some(self.parsed(key, value, "a filter as \"~cat update\"")?)
            }
            "intercept" => args.intercept = self.picks(key, value)?,
            "intercept-all" => args.intercept_all = self.switch(key, value)?,
            "tunnel" => args.tunnel = self.picks(key, value)?,
            "block-tls" => args.block_tls = self.picks(key, value)?,
            "force" => args.force = self.switch(key, value)?,
            "insecure-upstream" => args.insecure_upstream = self.some_or_all(key, value)?,
            "copy-upstream-names" => args.copy_upstream_names = self.some_or_all(key, value)?,
            "legacy-upstream" => args.legacy_upstream = self.hosts(key, value)?,
            "upstream-ca" => args.upstream_ca = self.list(key, value, |v| self.roots(key, v))?,
            "name-client" => {
                args.name_client = self.list(key, value, |v| {
                    self.parsed(key, v, "names with addresses as \"living-room=192.168.1.20\"")
                })?;
            }
            "client-cert" => {
                args.client_cert = self.list(key, value, |v| self.client_certificate(key, v))?;
            }
            "key-log" => args.key_log = Some(self.path(key, value)?),
            "ca-cert" => args.ca_cert = Some(self.path(key, value)?),
            "ca-key" => args.ca_key = Some(self.path(key, value)?),
            "legacy-tls" => args.legacy_tls = self.picks(key, value)?,
            "certs" => args.certs = Some(self.path(key, value)?),
            "rules" => args.rules = self.list(key, value, |v| self.rule(key, v))?,
            "catalog" => args.catalog = self.list(key, value, |v| self.path(key, v))?,
            "resolve" => {
                args.resolve = self.list(key, value, |v| {
                    self.parsed(key, v, "redirects as \"*.example.net=192.168.1.5:8000\"")
                })?;
            }
            "max-held-body" => {
                let size = amounts::read_size(self.string(key, value)?);
                args.max_held_body = Some(size.map_err(|problem| {
                    self.error(value.span().start, format!("`{key}`: {problem}"))
                })?);
            }
            "allow" => args.allow = self.list(key, value, |v| self.network(key, v))?,
            _ => return Err(self.unknown(at, key)),
        }
        Ok(())
    }

    fn port(&self, value: &Value<'_>) -> Result<u16, FileError> {
        let number = value.get_ref().as_integer().filter(|integer| integer.radix() == 10);
        number
            .and_then(|integer| integer.as_str().replace('_', "").parse().ok())
            .ok_or_else(|| self.wrong("port", value, "a number from 0 to 65535"))
    }

    fn size(&self, key: &str, value: &Value<'_>) -> Result<Size, FileError> {
        self.parsed(key, value, "a size as \"10GB\"")
    }

    fn count(&self, key: &str, value: &Value<'_>) -> Result<u32, FileError> {
        let number = value.get_ref().as_integer().filter(|integer| integer.radix() == 10);
        number
            .and_then(|integer| integer.as_str().replace('_', "").parse().ok())
            .ok_or_else(|| self.wrong(key, value, "a whole number"))
    }

    fn switch(&self, key: &str, value: &Value<'_>) -> Result<bool, FileError> {
        value.get_ref().as_bool().ok_or_else(|| self.wrong(key, value, "true or false"))
    }

    fn string<'v>(&self, key: &str, value: &'v Value<'_>) -> Result<&'v str, FileError> {
        value.get_ref().as_str().ok_or_else(|| self.wrong(key, value, "text in quotes"))
    }

    fn parsed<T: FromStr<Err: fmt::Display>>(
        &self,
        key: &str,
        value: &Value<'_>,
        expected: &str,
    ) -> Result<T, FileError> {
        let text = value.get_ref().as_str().ok_or_else(|| self.wrong(key, value, expected))?;
        text.parse().map_err(|error| self.error(value.span().start, format!("`{key}`: {error}")))
    }

    fn roots(&self, key: &str, value: &Value<'_>) -> Result<ExtraRoots, FileError> {
        let roots: ExtraRoots = self.parsed(key, value, "a file, or \"*.example.net=FILE\"")?;
        let file = self.file_at(&roots.file);
        Ok(ExtraRoots { file, ..roots })
    }

    fn client_certificate(
        &self,
        key: &str,
        value: &Value<'_>,
    ) -> Result<ClientCertificate, FileError> {
        let one: ClientCertificate =
            self.parsed(key, value, "host patterns with files as \"*.example.net=console.p12\"")?;
        let (file, second) =
            (self.file_at(&one.file), one.second.as_deref().map(|second| self.file_at(second)));
        Ok(ClientCertificate { file, second, ..one })
    }

    fn path(&self, key: &str, value: &Value<'_>) -> Result<PathBuf, FileError> {
        Ok(self.file_at(Path::new(self.string(key, value)?)))
    }

    /// A path as it is meant: from the folder of the settings file, or from home.
    fn file_at(&self, path: &Path) -> PathBuf {
        let home =
            path.strip_prefix("~").ok().and_then(|rest| Some(std::env::home_dir()?.join(rest)));
        let folder = self.file.parent().unwrap_or_else(|| Path::new(""));
        home.unwrap_or_else(|| folder.join(path))
    }

    /// A pack has no slash in its name; everything else is a file.
    fn rule(&self, key: &str, value: &Value<'_>) -> Result<String, FileError> {
        let text = self.string(key, value)?;
        if Rules::files(&[text.to_owned()]).next().is_none() {
            return Ok(text.to_owned());
        }
        let path = self.path(key, value)?;
        let unicode = path.into_os_string().into_string();
        unicode.map_err(|_| self.wrong(key, value, "a path in UTF-8"))
    }

    fn network(&self, key: &str, value: &Value<'_>) -> Result<ipnet::IpNet, FileError> {
        let text = self.string(key, value)?;
        network(text).map_err(|error| self.error(value.span().start, format!("`{key}`: {error}")))
    }

    fn picks(&self, key: &str, value: &Value<'_>) -> Result<Vec<TlsPick>, FileError> {
        self.list(key, value, |v| {
            self.parsed(key, v, "host patterns as \"*.example.net\" or \"ps4@*.example.net\"")
        })
    }

    fn hosts(&self, key: &str, value: &Value<'_>) -> Result<Vec<HostGlob>, FileError> {
        self.list(key, value, |v| self.parsed(key, v, "host patterns as \"*.example.net\""))
    }

    /// `true` is all hosts, as the option without a value.
    fn some_or_all(&self, key: &str, value: &Value<'_>) -> Result<Vec<HostGlob>, FileError> {
        match value.get_ref() {
            DeValue::Boolean(false) => Ok(Vec::new()),
            DeValue::Boolean(true) => Ok("*".parse().into_iter().collect()),
            DeValue::Array(_) => self.hosts(key, value),
            _ => Err(self.wrong(key, value, "true, false or a list of host patterns")),
        }
    }

    fn list<T>(
        &self,
        key: &str,
        value: &Value<'_>,
        element: impl Fn(&Value<'_>) -> Result<T, FileError>,
    ) -> Result<Vec<T>, FileError> {
        let wrong = || self.wrong(key, value, "a list, as [\"…\", \"…\"]");
        value.get_ref().as_array().ok_or_else(wrong)?.iter().map(element).collect()
    }

    fn wrong(&self, key: &str, value: &Value<'_>, expected: &str) -> FileError {
        let found = self.text.get(value.span()).unwrap_or_default();
        let problem = format!("`{key}` wants {expected}, and there is {found}");
        self.error(value.span().start, problem)
    }

    fn unknown(&self, at: usize, key: &str) -> FileError {
        let problem = match nearest(key, &KEYS) {
            Some(near) => format!("there is no key `{key}`; did you mean `{near}`?"),
            None => format!("there is no key `{key}`; there are {}", KEYS.join(", ")),
        };
        self.error(at, problem)
    }

    fn error(&self, at: usize, problem: String) -> FileError {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        FileError { file: self.file.to_owned(), line, problem }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::CommandLine;

    fn read(text: &str) -> Result<RunArgs, String> {
        parse(Path::new("/etc/tap.toml"), text).map_err(|error| error.to_string())
    }

    /// The template with its settings switched on, as a person would do it.
    fn switched_on() -> String {
        let lines = TEMPLATE.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with([' ', '#']) => setting,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_option_is_a_key_and_stands_in_the_template() {
        let command = CommandLine::command();
        let mut options: Vec<&str> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .filter(|name| !matches!(*name, "help" | "version" | "config"))
            .collect();
        options.sort_unstable();
        assert_eq!(options, KEYS);
        for key in KEYS {
            let settings = TEMPLATE.lines().filter(|line| line.starts_with(&format!("#{key} = ")));
            assert_eq!(settings.count(), 1, "{key} stands once in the template");
        }
    }

    #[test]
    fn the_template_as_it_is_sets_nothing() {
        assert_eq!(read(TEMPLATE).unwrap(), RunArgs::default());
    }

    #[test]
    fn the_template_switched_on_can_be_read() {
        // `write` and `no-session` exclude each other.
        let text = switched_on().replace("\nno-session = true", "\nno-session = false");
        let args = read(&text).unwrap();
        assert_eq!(args.port, Some(8080));
        assert!(!args.intercept.is_empty() && !args.resolve.is_empty() && !args.rules.is_empty());
    }

    #[test]
    fn errors_name_line_key_and_what_was_expected() {
        for (text, error) in [
            ("\nport = \"x\"", "2: `port` wants a number from 0 to 65535, and there is \"x\""),
            ("port = 70000", "1: `port` wants a number from 0 to 65535, and there is 70000"),
            ("qiet = true", "1: there is no key `qiet`; did you mean `quiet`?"),
            ("no_session = true", "1: there is no key `no_session`; did you mean `no-session`?"),
            ("prot = 1", "1: there is no key `prot`; did you mean `port`?"),
            ("quiet = 1", "1: `quiet` wants true or false, and there is 1"),
            ("rules = \"a\"", "1: `rules` wants a list, as [\"…\", \"…\"], and there is \"a\""),
            (
                "max-held-body = \"much\"",
                "1: `max-held-body`: \"much\" is no size: write bytes as 65536, 64k or 16m",
            ),
            ("write = \"a\"\nno-session = true", "1: `write` and `no-session` cannot both be set"),
        ] {
            assert_eq!(read(text).unwrap_err(), format!("/etc/tap.toml:{error}"));
        }
        let error = read("[x]").unwrap_err();
        assert!(error.contains("there are allow, block-tls"), "{error}");
        let error = read("resolve = [\n  \"a.b=1.2.3.4\",\n  \"nonsense\"]").unwrap_err();
        assert!(
            error.starts_with("/etc/tap.toml:3: `resolve`: \"nonsense\" is no redirect"),
            "{error}"
        );
        assert!(read("port = ").unwrap_err().starts_with("/etc/tap.toml:1: "));
    }

    #[test]
    fn paths_are_meant_from_the_folder_of_the_file() {
        let args = read("write = \"s\"\nrules = [\"firmware-guard\", \"my.toml\"]\ncerts = \"/c\"");
        let args = args.unwrap();
        assert_eq!(args.write, Some("/etc/s".into()));
        assert_eq!(args.rules, ["firmware-guard", "/etc/my.toml"]);
        assert_eq!(args.certs, Some("/c".into()));
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_settings_or_an_error(text in "\\PC{0,80}", key in 0..KEYS.len()) {
            let _ = read(&text);
            let _ = read(&format!("{} = {text}", KEYS[key]));
        }
    }
}
