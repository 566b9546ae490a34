//! What can be typed. The options of a run are also the keys of the settings file, and both are
//! read into [`RunArgs`]; what they mean is for `settings.rs` to say.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use consoletap_filter::{Filter, NamedClient};
use consoletap_flow::HostGlob;
use consoletap_proxy::{Redirect, TlsPick};
use consoletap_tls::{ClientCertificate, ExtraRoots};
use ipnet::IpNet;

use crate::catalog::CatalogCommand;
use crate::explain::ExplainArgs;
use crate::mark::legend;
use crate::quantity::{Size, Span, Store, SyncTime};
use crate::replay;
use crate::rules;
use crate::session;
use crate::tls::TlsCommand;
use crate::url::UrlArgs;

/// The proxy you set on a game console to see, keep and change what it says on the network.
///
/// Without a command it runs the proxy (`consoletap run`): it prints what to type into the
/// console, then a line for everything that the console asks for.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_long_help = legend())]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy (what happens without a command, too)
    #[command(after_long_help = legend())]
    Run(Box<RunArgs>),
    /// Play a PS4 start-up through a proxy on this machine, without a console
    Demo(DemoArgs),
    /// Say what a URL, a host with its port, or a port is known for
    Explain(ExplainArgs),
    /// Write every URL that follows from a title
    Url(UrlArgs),
    /// Look at the tables of what is known
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Look at recorded sessions
    #[command(subcommand)]
    Session(session::Command),
    /// Use recorded sessions as tests
    #[command(subcommand)]
    Replay(replay::Command),
    /// Look at our certificate, and export it for a console
    #[command(subcommand)]
    Certs(crate::certs::Command),
    /// List, check and try rules
    #[command(subcommand)]
    Rules(rules::Command),
    /// Look at what was learned about TLS
    #[command(subcommand)]
    Tls(TlsCommand),
    /// Print the settings file with every key explained
    Settings,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The port of the proxy [default: a free one]
    #[arg(short, long, default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
    /// Write the session to this folder
    #[arg(short, long = "write", value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
}

/// The options of a run; absent is what was not typed.
#[derive(Debug, Default, Clone, PartialEq, Args)]
pub(crate) struct RunArgs {
    /// Listen on this port; 0 takes a free one [default: 8080]
    #[arg(short, long)]
    pub(crate) port: Option<u16>,
    /// Listen on this address [default: 0.0.0.0, which is all]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen_host: Option<IpAddr>,
    /// Write the session to this folder, or continue the one in it [default: a new one]
    #[arg(short, long, value_name = "DIR", conflicts_with = "no_session")]
    pub(crate) write: Option<PathBuf>,
    /// Write no session
    #[arg(long)]
    pub(crate) no_session: bool,
    /// How much of bodies above 1 MiB is kept: none (and of no other), head, or full [default: head]
    #[arg(long, value_name = "HOW")]
    pub(crate) store: Option<Store>,
    /// When the session is brought to the platter: always, never, or at a time as 1s [default: 1s]
    #[arg(long, value_name = "WHEN")]
    pub(crate) sync: Option<SyncTime>,
    /// Keep no more bodies once the session holds so much, as 10GB [default: no limit]
    #[arg(long, value_name = "SIZE")]
    pub(crate) session_quota: Option<Size>,
    /// Keep no more bodies with less free space on the disk [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) min_free_disk: Option<Size>,
    /// Remove sessions older than this when a new one begins, as 30d [default: never]
    #[arg(long, value_name = "AGE")]
    pub(crate) retain_age: Option<Span>,
    /// Remove the oldest sessions beyond so many when a new one begins [default: never]
    #[arg(long, value_name = "COUNT")]
    pub(crate) retain_count: Option<u32>,
    /// Remove the oldest sessions when all together hold more [default: never]
    #[arg(long, value_name = "SIZE")]
    pub(crate) retain_size: Option<Size>,
    /// No line for each flow
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Say more about what the proxy does (RUST_LOG says how much)
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// One JSON line for each flow, on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Open the TLS to these hosts (repeatable), as `*.playstation.net` or, of one console or
    /// client, `ps4@*.playstation.net` or `192.168.1.23@*`
    #[arg(long, value_name = "[WHO@]HOST-GLOB")]
    pub(crate) intercept: Vec<TlsPick>,
    /// Open all TLS that the console lets us open
    #[arg(long)]
    pub(crate) intercept_all: bool,
    /// Pass the TLS to these hosts on unopened, whatever else is said (repeatable)
    #[arg(long, value_name = "[WHO@]HOST-GLOB")]
    pub(crate) tunnel: Vec<TlsPick>,
    /// Refuse TLS to these hosts (repeatable)
    #[arg(long, value_name = "[WHO@]HOST-GLOB")]
    pub(crate) block_tls: Vec<TlsPick>,
    /// Open even hosts that are known to be refused by consoles (pinned in the catalog)
    #[arg(long)]
    pub(crate) force: bool,
    /// Believe these servers without a valid certificate (repeatable); all, where none is named
    #[arg(
        long,
        value_name = "HOST-GLOB",
        num_args = 0..=1,
        default_missing_value = "*"
    )]
    pub(crate) insecure_upstream: Vec<HostGlob>,
    /// Believe servers under the certificates in this PEM file, too, or some of them alone
    /// (repeatable)
    #[arg(long, value_name = "[HOST-GLOB=]FILE")]
    pub(crate) upstream_ca: Vec<ExtraRoots>,
    /// Show these servers a client certificate, PEM or P12 (repeatable); SECOND is a file with the
    /// password of a P12 or the key of a PEM
    #[arg(long, value_name = "HOST-GLOB=FILE[:SECOND]")]
    pub(crate) client_cert: Vec<ClientCertificate>,
    /// Write the secrets of TLS to this file, for Wireshark (SSLKEYLOGFILE does the same)
    #[arg(long, value_name = "FILE")]
    pub(crate) key_log: Option<PathBuf>,
    /// The folder of the CA: ca.pem and its key
    #[arg(long, value_name = "DIR")]
    pub(crate) certs: Option<PathBuf>,
    /// Use this CA instead: its certificate, in PEM form
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// The key of that CA, readable by you alone
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    pub(crate) ca_key: Option<PathBuf>,
    /// Speak TLS that is not safe any more with clients that ask for these hosts (repeatable); for
    /// old consoles, in builds with the feature legacy-tls
    #[arg(long, value_name = "[WHO@]HOST-GLOB")]
    pub(crate) legacy_tls: Vec<TlsPick>,
    /// Speak TLS that is not safe any more with these servers (repeatable), in builds with the feature
    /// legacy-tls
    #[arg(long, value_name = "HOST-GLOB")]
    pub(crate) legacy_upstream: Vec<HostGlob>,
    /// Give certificates for these hosts the names of the server's own one (repeatable); all, where
    /// none is named
    #[arg(
        long,
        value_name = "HOST-GLOB",
        num_args = 0..=1,
        default_missing_value = "*"
    )]
    pub(crate) copy_upstream_names: Vec<HostGlob>,
    /// Use a rule pack by its name, or a file of rules (repeatable)
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) rules: Vec<String>,
    /// Read more tables of what is known from this folder (repeatable)
    #[arg(long, value_name = "DIR")]
    pub(crate) catalog: Vec<PathBuf>,
    /// Connect there instead (repeatable), as `*.example.net=192.168.1.5:8000`
    #[arg(long, value_name = "GLOB=ADDRESS[:PORT]")]
    pub(crate) resolve: Vec<Redirect>,
    /// The largest body that is held for a rule to change, as 16m [default: 16m]
    #[arg(long, value_name = "SIZE", value_parser = crate::amounts::read_size)]
    pub(crate) max_held_body: Option<usize>,
    /// Give a client, or a network of them, a name for rules and filters (repeatable)
    #[arg(long, value_name = "NAME=ADDRESS")]
    pub(crate) name_client: Vec<NamedClient>,
    /// Let these clients use the proxy, too (repeatable); private addresses always may
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub(crate) allow: Vec<IpNet>,
    /// Show only flows that fit this filter, as `~cat update`; all are recorded
    #[arg(long, value_name = "FILTER", conflicts_with = "words")]
    pub(crate) filter: Option<Filter>,
    /// The same filter without the option: '~console ps4 & ~cat download'
    #[arg(value_name = "FILTER")]
    pub(crate) words: Vec<String>,
    /// Read settings from this file [default: ~/.config/consoletap/config.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A network, or one address.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    IpNet::from_str(text).ok().or_else(address).ok_or_else(|| {
        format!("{text:?} is no network: write an address and the length of its prefix, as 203.0.113.0/24")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn run(line: &str) -> RunArgs {
        CommandLine::try_parse_from(line.split(' ')).unwrap().run
    }

    #[test]
    fn the_definition_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn no_command_is_the_command_run() {
        let line = "--port 0 --listen-host 127.0.0.1 -q --resolve a.b=1.2.3.4:5 --allow 8.8.8.8";
        let CommandLine { command: Some(Command::Run(args)), .. } =
            CommandLine::try_parse_from(format!("consoletap run {line}").split(' ')).unwrap()
        else {
            panic!("run is a command");
        };
        assert_eq!(run(&format!("consoletap {line}")), *args);
        assert_eq!((args.port, args.allow.len(), args.resolve.len()), (Some(0), 1, 1));
    }

    #[test]
    fn insecure_upstream_is_for_all_hosts_or_for_some() {
        let hosts = |line: &str| -> Vec<String> {
            run(line).insecure_upstream.iter().map(ToString::to_string).collect()
        };
        assert_eq!(hosts("consoletap --insecure-upstream"), ["*"]);
        assert_eq!(
            hosts("consoletap --insecure-upstream=a.b --insecure-upstream c.d"),
            ["a.b", "c.d"]
        );
    }

    #[test]
    fn wrong_usage_ends_with_2() {
        for line in
            ["--port 99999", "--resolve x", "--allow nobody", "--no-such", "-w a --no-session"]
        {
            let error =
                CommandLine::try_parse_from(format!("consoletap {line}").split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
