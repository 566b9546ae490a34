//! Which servers are meant: retail, or those of developers and testers.

use consoletap_flow::{Environment, SmolStr};
use memchr::memchr;

/// Labels that stand where retail hosts say `np` (seen in hosts and after `/plo/`; ciss84,
/// host-6.72).
fn is_playstation(label: &str) -> bool {
    matches!(label, "sp-int" | "prod-qa" | "mgmt" | "e1-np" | "e2-np")
}

/// Nintendo's development environments; live is `lp1`. They are a label, or end one after a dash
/// (NintendoClients wiki, Server-List).
fn is_nintendo(part: &str) -> bool {
    matches!(part, "dd1" | "jd1" | "sd1" | "sp1" | "dp1" | "td1" | "xd1" | "yd1" | "zd1")
}

/// The label of a host that names a nonretail environment.
pub(crate) fn of_host(host: &str) -> Option<&str> {
    if is_under(host, "playstation.net") || is_under(host, "playstation.org") {
        // All of these labels but one have a dash: most hosts are done with here.
        if memchr(b'-', host.as_bytes()).is_none() && !host.contains("mgmt") {
            return None;
        }
        return host.split('.').find(|label| is_playstation(label));
    }
    if is_under(host, "nintendo.net") {
        return host.split('.').flat_map(|label| label.split('-')).find(|part| is_nintendo(part));
    }
    None
}

/// The same for the segment after `/plo/` (PS4), `/pl/` (Vita) or `/tpl/` (PS3) of a path.
pub(crate) fn of_path(path: &str) -> Option<&str> {
    let rest = ["/plo/", "/pl/", "/tpl/"].iter().find_map(|start| path.strip_prefix(start))?;
    rest.split('/').next().filter(|segment| is_playstation(segment))
}

/// The retail host of the same service, under which the tables know it.
pub(crate) fn retail_host(host: &str, label: &str) -> String {
    // PlayStation's labels are whole and hold dashes themselves; Nintendo's end one after a dash.
    let (ends, retail): (&[char], _) =
        if is_nintendo(label) { (&['.', '-'], "lp1") } else { (&['.'], "np") };
    let parts = host.split_inclusive(ends).map(|part| {
        let (name, end) = part.split_at(part.trim_end_matches(ends).len());
        [if name == label { retail } else { name }, end]
    });
    parts.flatten().collect()
}

pub(crate) fn named(label: Option<&str>) -> Environment {
    label.map_or(Environment::Retail, |label| Environment::Nonretail(SmolStr::new(label)))
}

fn is_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_label_under_the_domain_counts() {
        assert_eq!(of_host("ps4updptl.jp.sp-int.community.playstation.net"), Some("sp-int"));
        assert_eq!(of_host("sp-int.evil.example"), None);
        assert_eq!(of_host("xsp-int.playstation.net"), None);
        assert_eq!(of_host("dauth-dd1.ndas.srv.nintendo.net"), Some("dd1"));
        assert_eq!(of_path("/plo/e1-np/x"), Some("e1-np"));
        assert_eq!(of_path("/plo/np/x"), None);
    }

    #[test]
    fn the_retail_host_is_that_of_the_tables() {
        let retail = |host| retail_host(host, of_host(host).unwrap());
        assert_eq!(
            retail("ps4updptl.jp.sp-int.community.playstation.net"),
            "ps4updptl.jp.np.community.playstation.net"
        );
        assert_eq!(retail("dauth-dd1.ndas.srv.nintendo.net"), "dauth-lp1.ndas.srv.nintendo.net");
        assert_eq!(retail("sun.hac.td1.d4c.nintendo.net"), "sun.hac.lp1.d4c.nintendo.net");
    }
}
