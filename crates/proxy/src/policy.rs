//! What becomes of the TLS of a connection: passed on, opened, or refused. Pure: what it depends on
//! is given, and what it says can be shown.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use consoletap_flow::{EntryId, Host, HostGlob, Platforms, TlsAction, UnknownPlatform, Verdict};
use consoletap_tls::{INTERCEPTION_AVAILABLE, LEGACY_AVAILABLE, Reason};
use ipnet::IpNet;

/// Whose TLS to which hosts: `*.example.net` is everybody's, `ps3@*.example.net` that of one kind of
/// console, `192.168.1.23@*` and `192.168.1.0/24@*` that of some clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPick {
    who: Who,
    hosts: HostGlob,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Anybody,
    Clients(IpNet),
    Consoles(Platforms),
}

/// Text that picks no connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPick {
    text: String,
    why: String,
}

impl fmt::Display for InvalidPick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} picks no hosts: {}; write HOST-GLOB or WHO@HOST-GLOB, where WHO is an address, a \
             network or a console, as `ps4@*.playstation.net`",
            self.text, self.why
        )
    }
}

impl std::error::Error for InvalidPick {}

impl FromStr for TlsPick {
    type Err = InvalidPick;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: String| InvalidPick { text: text.to_owned(), why };
        let (who, hosts) = match text.split_once('@') {
            Some((who, hosts)) => {
                let who = who.parse().map_err(|UnknownPlatform(who)| {
                    invalid(format!("{who:?} is no address, no network and no console"))
                })?;
                (who, hosts)
            }
            None => (Who::Anybody, text),
        };
        let hosts = hosts.parse().map_err(|_| invalid(format!("{hosts:?} is no host pattern")))?;
        Ok(Self { who, hosts })
    }
}

impl FromStr for Who {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Clients(address.to_canonical().into()));
        }
        if let Ok(network) = bare.parse() {
            return Ok(Self::Clients(network));
        }
        let consoles: Platforms = text.to_ascii_lowercase().parse()?;
        if consoles.is_unknown() {
            return Err(UnknownPlatform(text.to_owned()));
        }
        Ok(Self::Consoles(consoles))
    }
}

impl fmt::Display for TlsPick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Who::Anybody => {}
            Who::Clients(net) if net.prefix_len() == net.max_prefix_len() => {
                write!(f, "{}@", net.addr())?;
            }
            Who::Clients(net) => write!(f, "{net}@")?,
            Who::Consoles(consoles) => write!(f, "{consoles}@")?,
        }
        write!(f, "{}", self.hosts)
    }
}

impl From<HostGlob> for TlsPick {
    fn from(hosts: HostGlob) -> Self {
        Self { who: Who::Anybody, hosts }
    }
}

impl TlsPick {
    fn picks(&self, connection: &Connection<'_>) -> bool {
        let who = match self.who {
            Who::Anybody => true,
            Who::Clients(network) => network.contains(&connection.client.to_canonical()),
            // What may be another console is not picked.
            Who::Consoles(consoles) => {
                let mut known = connection.platform.iter().peekable();
                known.peek().is_some() && known.all(|one| consoles.contains(one))
            }
        };
        who && connection.hosts().any(|host| self.hosts.matches(host))
    }
}

/// What the user wants done with the TLS of which connections. Where several fit, the more careful
/// one counts: block before tunnel before intercept.
#[derive(Debug, Clone, Default)]
pub struct TlsPolicy {
    /// Whose TLS to open.
    pub intercept: Vec<TlsPick>,
    /// Open everybody's.
    pub intercept_all: bool,
    /// Whose TLS to pass on in any case.
    pub tunnel: Vec<TlsPick>,
    /// Whose connections to refuse.
    pub block: Vec<TlsPick>,
    /// Open even hosts of which the catalog knows that their clients refuse it.
    pub force: bool,
    /// With whom TLS may be spoken that is not safe any more (1.0, 1.1, RSA key exchange, CBC, RC4,
    /// 3DES), where theirs is to be opened and this build can do that.
    pub legacy: Vec<TlsPick>,
    /// Hosts whose own certificate gives its names to ours.
    pub copy_names: Vec<HostGlob>,
}

impl TlsPolicy {
    /// Whether any TLS is to be opened.
    #[must_use]
    pub fn intercepts(&self) -> bool {
        self.intercept_all || !self.intercept.is_empty()
    }

    /// Whether certificates for this host get the names of its own one.
    pub(crate) fn copies_names(&self, host: &Host) -> bool {
        self.copy_names.iter().any(|glob| glob.matches(host))
    }
}

/// A connection as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection<'a> {
    pub(crate) client: IpAddr,
    /// Which console it can be.
    pub(crate) platform: Platforms,
    /// Where it leads.
    pub(crate) host: &'a Host,
    /// Whom the client asked for inside, once that is known and another.
    pub(crate) sni: Option<&'a Host>,
}

impl Connection<'_> {
    fn hosts(&self) -> impl Iterator<Item = &Host> {
        [self.host].into_iter().chain(self.sni)
    }
}

/// What is wanted, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) action: TlsAction,
    pub(crate) by: String,
}

/// What the settings want of a connection.
pub(crate) fn wish(policy: &TlsPolicy, connection: &Connection<'_>) -> Option<Wish> {
    let lists = [
        (TlsAction::Block, "--block-tls", &policy.block),
        (TlsAction::Tunnel, "--tunnel", &policy.tunnel),
        (TlsAction::Intercept, "--intercept", &policy.intercept),
    ];
    let picked = lists.into_iter().find_map(|(action, option, picks)| {
        let pick = picks.iter().find(|pick| pick.picks(connection))?;
        Some(Wish { action, by: format!("{option} {pick}") })
    });
    let all = || Wish { action: TlsAction::Intercept, by: "--intercept-all".to_owned() };
    picked.or_else(|| policy.intercept_all.then(all))
}

/// Why a client cannot be answered that rustls cannot speak to, for the reason `why`; `None` where
/// OpenSSL answers it. `is_test` is the page's own test, which shows nothing of value and tells
/// whether those who are named can be opened.
pub(crate) fn without_legacy(
    policy: &TlsPolicy,
    connection: &Connection<'_>,
    why: &str,
    is_test: bool,
) -> Option<String> {
    if !LEGACY_AVAILABLE {
        return Some(format!(
            "{why}; this build opens what is safe today, and one with the feature legacy-tls more"
        ));
    }
    let named = policy.legacy.iter().any(|pick| pick.picks(connection));
    if named || (is_test && !policy.legacy.is_empty()) {
        return None;
    }
    Some(format!("{why}; --legacy-tls {} would open it", connection.host))
}

/// What speaks against opening a connection that somebody wants opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Obstacles {
    /// There is no authority to sign with.
    pub(crate) no_authority: bool,
    /// The entry of the catalog that says that its clients refuse any other certificate.
    pub(crate) pinned: Option<EntryId>,
    /// This client refused before.
    pub(crate) refused: Option<Reason>,
    /// The client's TLS cannot be spoken here; with the reason, as "offers TLS 1.0 at most".
    pub(crate) unsupported: Option<String>,
}

/// Decides. `None` is a tunnel that nobody wanted to be anything else.
pub(crate) fn decide(
    wish: Option<Wish>,
    host: &Host,
    force: bool,
    against: &Obstacles,
) -> Option<Verdict> {
    let Wish { action, by } = wish?;
    if action != TlsAction::Intercept {
        return Some(Verdict { action, because: by });
    }
    let not = |why: String| Some(Verdict { action: TlsAction::Tunnel, because: why });
    if against.no_authority {
        return not(if INTERCEPTION_AVAILABLE {
            "not opened: there is no certificate authority to open TLS with".to_owned()
        } else {
            "not opened: this build opens no TLS; one with the feature interception does".to_owned()
        });
    }
    if let Some(entry) = against.pinned.as_ref().filter(|_| !force) {
        return not(format!(
            "not opened: consoles refuse any certificate but the real one here (catalog entry \
             {entry}); --force opens it all the same"
        ));
    }
    if let Some(reason) = &against.refused {
        return not(format!(
            "not opened: this client refused our certificate before ({reason}); once it trusts \
             our CA, `consoletap tls learned --clear {host}`"
        ));
    }
    if let Some(why) = &against.unsupported {
        return not(format!("not opened: the client {why}"));
    }
    Some(Verdict { action, because: by })
}

#[cfg(test)]
mod tests {
    use consoletap_flow::{Platform, Timestamp};

    use super::*;

    fn policy(intercept: &[&str], tunnel: &[&str], block: &[&str]) -> TlsPolicy {
        let picks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        TlsPolicy {
            intercept: picks(intercept),
            tunnel: picks(tunnel),
            block: picks(block),
            ..TlsPolicy::default()
        }
    }

    fn asks(policy: &TlsPolicy, client: &str, platforms: &[Platform], host: &str) -> String {
        let host = host.parse().unwrap();
        let connection = Connection {
            client: client.parse().unwrap(),
            platform: platforms.iter().copied().collect(),
            host: &host,
            sni: None,
        };
        wish(policy, &connection).map_or_else(|| "nothing".to_owned(), |wish| wish.by)
    }

    #[test]
    fn who_and_where_are_picked() {
        let policy =
            policy(&["ps3|ps4@*.net", "192.168.1.0/24@a.test", "[fd00::1]@b.test"], &[], &[]);
        let ps4 = [Platform::Ps4];
        assert_eq!(asks(&policy, "10.0.0.1", &ps4, "x.net"), "--intercept ps3|ps4@*.net");
        assert_eq!(asks(&policy, "10.0.0.1", &[Platform::Switch], "x.net"), "nothing");
        assert_eq!(asks(&policy, "10.0.0.1", &[], "x.net"), "nothing");
        // It may be a PS4, or a PS5.
        assert_eq!(asks(&policy, "10.0.0.1", &[Platform::Ps4, Platform::Ps5], "x.net"), "nothing");
        assert_eq!(
            asks(&policy, "::ffff:192.168.1.9", &[], "a.test"),
            "--intercept 192.168.1.0/24@a.test"
        );
        assert_eq!(asks(&policy, "fd00::1", &[], "b.test"), "--intercept fd00::1@b.test");
        assert_eq!(asks(&policy, "fd00::2", &[], "b.test"), "nothing");
    }

    #[test]
    fn the_more_careful_wish_counts() {
        let mut policy = policy(&["*.test"], &["b.test", "c.test"], &["c.test"]);
        for (host, by) in [
            ("a.test", "--intercept *.test"),
            ("b.test", "--tunnel b.test"),
            ("c.test", "--block-tls c.test"),
            ("d.example", "nothing"),
        ] {
            assert_eq!(asks(&policy, "10.0.0.1", &[], host), by);
        }
        policy.intercept_all = true;
        assert_eq!(asks(&policy, "10.0.0.1", &[], "d.example"), "--intercept-all");
        assert_eq!(asks(&policy, "10.0.0.1", &[], "b.test"), "--tunnel b.test");
    }

    #[test]
    fn the_name_asked_for_inside_counts_as_the_one_outside() {
        let policy = policy(&["inner.test"], &[], &[]);
        let (host, sni) = ("10.1.2.3".parse().unwrap(), "inner.test".parse().unwrap());
        let connection = Connection {
            client: [10, 0, 0, 1].into(),
            platform: Platforms::default(),
            host: &host,
            sni: Some(&sni),
        };
        assert_eq!(wish(&policy, &connection).unwrap().action, TlsAction::Intercept);
    }

    #[test]
    fn what_speaks_against_opening_is_told_with_what_to_do() {
        let open = || Some(Wish { action: TlsAction::Intercept, by: "--intercept-all".to_owned() });
        let host = "a.test".parse().unwrap();
        let told = |force, against: Obstacles| {
            let verdict = decide(open(), &host, force, &against).unwrap();
            format!("{}: {}", verdict.action, verdict.because)
        };
        let pinned = || Obstacles { pinned: Some(EntryId("kdc".into())), ..Obstacles::default() };
        assert_eq!(told(false, Obstacles::default()), "intercept: --intercept-all");
        assert!(told(false, pinned()).contains("catalog entry kdc); --force opens it"));
        assert_eq!(told(true, pinned()), "intercept: --intercept-all");
        let reason = Reason { text: "unknown_ca".to_owned(), since: Timestamp(0) };
        let refused = Obstacles { refused: Some(reason), ..Obstacles::default() };
        let told_refused = told(true, refused);
        assert!(told_refused.starts_with("tunnel: ") && told_refused.contains("--clear a.test"));
        let old = Obstacles { unsupported: Some("is old".to_owned()), ..Obstacles::default() };
        assert_eq!(told(false, old), "tunnel: not opened: the client is old");
        assert_eq!(decide(None, &host, true, &pinned()), None);
    }

    #[test]
    fn what_picks_nothing_is_refused_with_an_example() {
        for bad in
            ["", "@", "x@", "@a.test", "ps9@a.test", "unknown@a.test", "ps4@http://x", "1.2.3@a"]
        {
            let error = bad.parse::<TlsPick>().unwrap_err().to_string();
            assert!(error.contains("ps4@*.playstation.net"), "{bad}: {error}");
        }
        for good in ["a.test", "ps4@*", "playstation|ps5@x.*", "10.0.0.0/8@*", "fd00::1@[::1]"] {
            let pick: TlsPick = good.parse().unwrap();
            assert_eq!(pick.to_string().parse::<TlsPick>().unwrap(), pick, "{good}");
        }
    }
}
