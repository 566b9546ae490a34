//! Which servers are meant: retail, or those of developers and testers.

use consoletap_flow::Environment;

/// Labels that stand where retail hosts say `np` (seen in hosts and after `/plo/`).
const PLAYSTATION: [&str; 5] = ["sp-int", "prod-qa", "mgmt", "e1-np", "e2-np"];
/// Nintendo's development environments; live is `lp1`. They end a label, after a dash.
const NINTENDO: [&str; 7] = ["dd1", "jd1", "sd1", "sp1", "dp1", "td1", "xd1"];

/// The label of a host that names a nonretail environment.
pub(crate) fn of_host(host: &str) -> Option<&str> {
    if is_under(host, "playstation.net") || is_under(host, "playstation.org") {
        return host.split('.').find(|label| PLAYSTATION.contains(label));
    }
    if is_under(host, "nintendo.net") {
        return host
            .split('.')
            .flat_map(|label| label.split('-'))
            .find(|part| NINTENDO.contains(part));
    }
    None
}

/// The same for the segment after `/plo/` (PS4) or `/pl/` (Vita) of a path.
pub(crate) fn of_path(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/plo/").or_else(|| path.strip_prefix("/pl/"))?;
    let segment = rest.split('/').next()?;
    PLAYSTATION.into_iter().find(|&token| token == segment).map(|_| segment)
}

/// The retail host of the same service, under which the tables know it.
pub(crate) fn retail_host(host: &str, label: &str) -> String {
    let retail = |part| if part == label { "np" } else { part };
    host.split('.').map(retail).collect::<Vec<_>>().join(".")
}

pub(crate) fn named(label: Option<&str>) -> Environment {
    label.map_or(Environment::Retail, |label| Environment::Nonretail(label.into()))
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
}
