//! What was typed and what stands in the settings file, put together and checked: [`Settings`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use consoletap_filter::{Filter, NamedClient};
use consoletap_proxy::{Keep, TlsPolicy};
use consoletap_session::{Options, Retention};
use consoletap_tls::{LEGACY_AVAILABLE, TrustSettings};

use crate::args::RunArgs;
use crate::certs::CaPlace;
use crate::exit::Usage;
use crate::quantity::{Size, Span, Store, SyncTime};
use crate::{settings_file, shown};

/// What a run does.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// What to keep.
    pub(crate) session: Keeping,
    /// What to show.
    pub(crate) views: Views,
    /// The wire.
    pub(crate) proxy: consoletap_proxy::Settings,
    /// The folder of what is kept about certificates.
    pub(crate) certs: PathBuf,
    /// Where the CA is.
    pub(crate) ca: CaPlace,
    /// Which servers to believe.
    pub(crate) trust: TrustSettings,
    /// Where the secrets of TLS are written.
    pub(crate) key_log: Option<PathBuf>,
    /// Which flows are shown.
    pub(crate) filter: Option<Filter>,
    /// Clients that have a name.
    pub(crate) clients: Vec<NamedClient>,
    /// Packs and files of rules.
    pub(crate) rules: Vec<String>,
    /// Folders of tables.
    pub(crate) catalog: Vec<PathBuf>,
}

/// The session of a run.
#[derive(Debug, Clone)]
pub(crate) struct Keeping {
    /// Where it goes.
    pub(crate) place: SessionPlace,
    /// How it is written.
    pub(crate) options: Options,
    /// Which old ones may stay beside a new one.
    pub(crate) retention: Retention,
}

impl From<SessionPlace> for Keeping {
    /// As it is where nothing is set.
    fn from(place: SessionPlace) -> Self {
        Self { place, options: Options::default(), retention: Retention::default() }
    }
}

/// Where the session goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SessionPlace {
    /// Nowhere.
    Nowhere,
    /// A new folder below the usual one.
    New,
    /// This folder.
    Folder(PathBuf),
}

/// Who is shown what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Views {
    /// Lines for people.
    pub(crate) log: bool,
    /// Lines for programs.
    pub(crate) json: bool,
    /// The totals at the end.
    pub(crate) summary: bool,
    /// Debug messages.
    pub(crate) verbose: bool,
}

impl Settings {
    /// Reads the settings file, where there is one, and puts it below what was typed.
    pub(crate) fn read(mut typed: RunArgs) -> anyhow::Result<Self> {
        let words = std::mem::take(&mut typed.words);
        typed.filter = shown::typed(&words)?.or(typed.filter);
        let file = match &typed.config {
            Some(path) => Some((path.clone(), read_text(path)?)),
            None => match default_file() {
                Some(path) if path.exists() => Some((path.clone(), read_text(&path)?)),
                _ => None,
            },
        };
        let written = match &file {
            Some((path, text)) => settings_file::parse(path, text).map_err(Usage::new)?,
            None => RunArgs::default(),
        };
        let args = typed.over(written);
        args.check()?;
        let mut settings = Self::of(args);
        // As curl and browsers do it. Empty is unset.
        let variable = std::env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty());
        settings.key_log = settings.key_log.or_else(|| variable.map(PathBuf::from));
        Ok(settings)
    }

    /// The clients that have a name in the settings file that is read without `--config`.
    pub(crate) fn named_clients() -> anyhow::Result<Vec<NamedClient>> {
        let Some(path) = default_file().filter(|path| path.exists()) else { return Ok(Vec::new()) };
        let written = settings_file::parse(&path, &read_text(&path)?).map_err(Usage::new)?;
        Ok(written.name_client)
    }

    fn of(args: RunArgs) -> Self {
        let host = args.listen_host.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let port = args.port.unwrap_or(consoletap_proxy::DEFAULT_LISTEN.port());
        let session = Keeping::of(&args);
        let keep = match (&session.place, args.store) {
            // Bodies that nobody keeps need not be copied, nor hashed.
            (SessionPlace::Nowhere, _) | (_, Some(Store::None)) => {
                Keep { whole: 0, prefix: 0, full: false }
            }
            (_, store) => Keep { full: store == Some(Store::Full), ..Keep::default() },
        };
        let views = Views {
            // Standard error stays readable beside JSON lines, unless it is asked for.
            log: !args.quiet && (!args.json || args.verbose),
            json: args.json,
            summary: !args.quiet,
            verbose: args.verbose,
        };
        let mut limits = consoletap_proxy::Limits::default();
        if let Some(size) = args.max_held_body {
            limits.held_body = size;
        }
        let proxy = consoletap_proxy::Settings {
            limits,
            allow: args.allow,
            redirects: args.resolve,
            tls: TlsPolicy {
                intercept: args.intercept,
                intercept_all: args.intercept_all,
                tunnel: args.tunnel,
                block: args.block_tls,
                force: args.force,
                legacy: args.legacy_tls,
                copy_names: args.copy_upstream_names,
            },
            keep,
            ..consoletap_proxy::Settings::default()
        };
        let certs = args.certs.unwrap_or_else(default_certs);
        let ca = match (args.ca_cert, args.ca_key) {
            (Some(certificate), Some(key)) => CaPlace::Files { certificate, key },
            _ => CaPlace::Folder(certs.clone()),
        };
        let trust = TrustSettings {
            extra_roots: args.upstream_ca,
            insecure: args.insecure_upstream,
            legacy: args.legacy_upstream,
            client_certificates: args.client_cert,
            key_log: None,
        };
        Self {
            listen: SocketAddr::new(host, port),
            session,
            views,
            proxy,
            certs,
            ca,
            trust,
            key_log: args.key_log,
            filter: args.filter.map(|filter| filter.naming_clients(&args.name_client)),
            clients: args.name_client,
            rules: args.rules,
            catalog: args.catalog,
        }
    }

    /// Whether any TLS is to be opened.
    pub(crate) fn intercepts(&self) -> bool {
        self.proxy.tls.intercepts()
    }
}

impl Keeping {
    fn of(args: &RunArgs) -> Self {
        let place = match &args.write {
            _ if args.no_session => SessionPlace::Nowhere,
            Some(folder) => SessionPlace::Folder(folder.clone()),
            None => SessionPlace::New,
        };
        let usual = Options::default();
        let options = Options {
            sync: args.sync.map_or(usual.sync, |SyncTime(sync)| sync),
            quota: args.session_quota.map(|Size(octets)| octets),
            min_free_disk: args.min_free_disk.map_or(usual.min_free_disk, |Size(octets)| octets),
            ..usual
        };
        let retention = Retention {
            age: args.retain_age.map(|Span(age)| age),
            count: args.retain_count.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            bytes: args.retain_size.map(|Size(octets)| octets),
        };
        Self { place, options, retention }
    }
}

impl RunArgs {
    /// What one option alone cannot tell.
    fn check(&self) -> Result<(), Usage> {
        if self.ca_cert.is_some() != self.ca_key.is_some() {
            return Err(Usage::new("ca-cert and ca-key belong together, and one is missing"));
        }
        let asked = [
            ("legacy-tls", self.legacy_tls.is_empty()),
            ("legacy-upstream", self.legacy_upstream.is_empty()),
        ];
        let unknown = asked.into_iter().find(|(_, is_empty)| !is_empty && !LEGACY_AVAILABLE);
        if let Some((option, _)) = unknown {
            return Err(Usage::new(format!(
                "{option}: this build cannot speak old TLS; build it with \
                 `cargo build --release --features legacy-tls`",
            )));
        }
        Ok(())
    }

    /// These, and where they say nothing, those. Lists are joined, these first.
    fn over(self, below: Self) -> Self {
        // A certificate of one place and a key of another are no CA.
        let ca_typed = self.ca_cert.is_some() || self.ca_key.is_some();
        let session_typed = self.write.is_some() || self.no_session;
        Self {
            port: self.port.or(below.port),
            listen_host: self.listen_host.or(below.listen_host),
            write: if session_typed { self.write } else { below.write },
            no_session: if session_typed { self.no_session } else { below.no_session },
            store: self.store.or(below.store),
            sync: self.sync.or(below.sync),
            session_quota: self.session_quota.or(below.session_quota),
            min_free_disk: self.min_free_disk.or(below.min_free_disk),
            retain_age: self.retain_age.or(below.retain_age),
            retain_count: self.retain_count.or(below.retain_count),
            retain_size: self.retain_size.or(below.retain_size),
            quiet: self.quiet || below.quiet,
            verbose: self.verbose || below.verbose,
            json: self.json || below.json,
            intercept: joined(self.intercept, below.intercept),
            intercept_all: self.intercept_all || below.intercept_all,
            tunnel: joined(self.tunnel, below.tunnel),
            block_tls: joined(self.block_tls, below.block_tls),
            force: self.force || below.force,
            insecure_upstream: joined(self.insecure_upstream, below.insecure_upstream),
            upstream_ca: joined(self.upstream_ca, below.upstream_ca),
            client_cert: joined(self.client_cert, below.client_cert),
            key_log: self.key_log.or(below.key_log),
            certs: self.certs.or(below.certs),
            ca_cert: if ca_typed { self.ca_cert } else { below.ca_cert },
            ca_key: if ca_typed { self.ca_key } else { below.ca_key },
            legacy_tls: joined(self.legacy_tls, below.legacy_tls),
            legacy_upstream: joined(self.legacy_upstream, below.legacy_upstream),
            copy_upstream_names: joined(self.copy_upstream_names, below.copy_upstream_names),
            filter: self.filter.or(below.filter),
            words: Vec::new(),
            rules: joined(self.rules, below.rules),
            catalog: joined(self.catalog, below.catalog),
            resolve: joined(self.resolve, below.resolve),
            max_held_body: self.max_held_body.or(below.max_held_body),
            name_client: joined(self.name_client, below.name_client),
            allow: joined(self.allow, below.allow),
            config: self.config,
        }
    }
}

/// Without what is there already: a pack named twice is no mistake.
fn joined<T: PartialEq>(mut first: Vec<T>, then: Vec<T>) -> Vec<T> {
    for item in then {
        if !first.contains(&item) {
            first.push(item);
        }
    }
    first
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Usage::new(format!("cannot read the settings file {}: {error}", path.display())).into()
    })
}

/// `$XDG_CONFIG_HOME/consoletap/config.toml`, or below `~/.config`.
fn default_file() -> Option<PathBuf> {
    Some(base("XDG_CONFIG_HOME", ".config")?.join("consoletap/config.toml"))
}

/// In a checkout of the project its own folder, which git ignores; else
/// `$XDG_DATA_HOME/consoletap/certs`, or below `~/.local/share`; without a home right here.
fn default_certs() -> PathBuf {
    if Path::new("crates/cli/main.rs").exists() && Path::new("certs/README.md").exists() {
        return "certs".into();
    }
    base("XDG_DATA_HOME", ".local/share").unwrap_or_default().join("consoletap/certs")
}

/// A base folder of the XDG specification, which wants relative paths ignored.
fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let set = std::env::var_os(variable).map(PathBuf::from).filter(absolute);
    set.or_else(|| Some(std::env::home_dir().filter(absolute)?.join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> RunArgs {
        settings_file::parse(Path::new("config.toml"), text).unwrap()
    }

    #[test]
    fn what_is_typed_wins_and_lists_add_up() {
        let typed = RunArgs {
            port: Some(9000),
            rules: vec!["mine.toml".to_owned(), "firmware-guard".to_owned()],
            no_session: true,
            ..RunArgs::default()
        };
        let below = written(
            "port = 1\nwrite = \"s\"\nquiet = true\nrules = [\"firmware-guard\", \"other\"]",
        );
        let settings = Settings::of(typed.over(below));
        assert_eq!(settings.listen.to_string(), "0.0.0.0:9000");
        assert_eq!(settings.rules, ["mine.toml", "firmware-guard", "other"]);
        assert_eq!(settings.session.place, SessionPlace::Nowhere);
        assert!(!settings.views.log);
    }

    #[test]
    fn a_folder_that_is_typed_wins_over_no_session() {
        let typed = RunArgs { write: Some("here".into()), ..RunArgs::default() };
        let settings = Settings::of(typed.over(written("no-session = true")));
        assert_eq!(settings.session.place, SessionPlace::Folder("here".into()));
    }

    #[test]
    fn without_anything_a_new_session_and_a_log() {
        let settings = Settings::of(RunArgs::default());
        assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(settings.session.place, SessionPlace::New);
        assert!(settings.views.log && settings.views.summary && !settings.intercepts());
    }

    #[test]
    fn json_takes_the_place_of_the_log_unless_it_is_asked_for() {
        let views = |json, verbose, quiet| {
            Settings::of(RunArgs { json, verbose, quiet, ..RunArgs::default() }).views.log
        };
        assert!(!views(true, false, false));
        assert!(views(true, true, false));
        assert!(!views(true, true, true));
    }
}
