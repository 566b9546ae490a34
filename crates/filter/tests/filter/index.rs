//! An index leaves no filter out that fits.

use consoletap_filter::{Filter, FilterIndex, Subject};
use consoletap_flow::{Category, Classification, Details, Platform, Target};
use proptest::prelude::*;
use proptest::sample::select;

const ATOMS: [&str; 38] = [
    "~all",
    "~dns",
    "~cat fw-updatelist",
    "~cat FW-updatelist|title-metadata",
    "~cat title-*",
    "~cat update",
    "~title CUSA00001",
    "~title cusa00002|ppsa00001",
    "~title CUSA*",
    "~client 10.0.0.1",
    "~client 10.0.0.1|10.0.0.2",
    "~client 10.0.0.0/8",
    "~console ps4",
    "~m POST",
    "~d playstation",
    "~d ^f(us|eu)01\\.PS4\\.",
    "~d \"nintendo|playstation\\.net$\"",
    "~d \\.net",
    "~u /tmdb2/",
    "~u \"(update|list)+/ps4\"",
    "~u \"ſystem|KELVIN\"",
    "~u system",
    "~u kelvin",
    "~u \"(?i:UPDATE)list\"",
    "~u \"é+\"",
    "~u \"lists?\\.xml\"",
    "domain:*.playstation.net",
    "domain:10.0.0.?",
    "domain:*",
    "~console playstation",
    "~console switch|unknown",
    "~console nintendo",
    "~m \"^(get|head)$\"",
    "~m ge",
    "~port 80|8443",
    "~port >8000",
    "~port 443",
    "ps4-updatelist",
];

const URLS: [&str; 8] = [
    "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml?a=1",
    "http://FEU01.PS4.UPDATE.playstation.net/UPDATE/PS4/LIST/eu/PS4-UPDATELIST.XML",
    "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00001_00_X/CUSA00001_00.json",
    "http://ctest.cdn.nintendo.net/",
    "http://example.org:8000/\u{17f}ystem/\u{212a}elvin/list.xml",
    "http://example.org/system/Kelvin/ÉÉ",
    "https://[::1]:8443/updatelist",
    "http://10.0.0.9/x",
];

fn filter() -> impl Strategy<Value = String> {
    let atom = select(&ATOMS[..]).prop_map(str::to_owned);
    atom.prop_recursive(3, 8, 3, |inner| {
        let many = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.prop_map(|filter| format!("!({filter})")),
            many.clone().prop_map(|filters| format!("({})", filters.join(" & "))),
            many.prop_map(|filters| format!("({})", filters.join(" | "))),
        ]
    })
}

proptest! {
    #[test]
    fn candidates_hold_every_filter_that_fits(
        filters in prop::collection::vec(filter(), 0..30),
        url in select(&URLS[..]),
        category in select(&["fw-updatelist", "TITLE-metadata", "unknown"][..]),
        title in select(&[None, Some("CUSA00001_00"), Some("ppsa00001_00")][..]),
        client in select(&[[10, 0, 0, 1], [10, 0, 0, 2], [192, 168, 0, 1]][..]),
        platform in select(&[None, Some(Platform::Ps4), Some(Platform::Switch), Some(Platform::Nintendo)][..]),
        method in select(&["GET", "post", "gE\u{17f}"][..]),
        is_tunnel: bool,
    ) {
        let filters: Vec<Filter> = filters.iter().map(|text| text.parse().unwrap()).collect();
        let target = match url.parse().unwrap() {
            consoletap_flow::Url { authority, .. } if is_tunnel => Target::Authority(authority),
            url => Target::Url(url),
        };
        let class = Classification {
            category: Category::from(category),
            platform: platform.into_iter().collect(),
            details: Details { np_title_id: title.map(Into::into), ..Details::default() },
            ..Classification::default()
        };
        let subject = Subject::request(method, &target, &class, client.into());
        let one_by_one: Vec<usize> =
            (0..filters.len()).filter(|&number| filters[number].matches(&subject)).collect();
        let index = FilterIndex::new(filters.iter());
        let by_index: Vec<usize> = index
            .candidates(&subject)
            .into_iter()
            .filter(|&number| filters[number].matches(&subject))
            .collect();
        prop_assert_eq!(by_index, one_by_one);
    }
}

#[test]
fn few_of_many_filters_are_asked() {
    let filters: Vec<Filter> = (0..1000)
        .map(|number| match number % 8 {
            0 => format!("~cat title-update-json & ~title CUSA{number:05}"),
            1 => format!("~d ^host{number:04}\\.example\\.net$ & ~m GET"),
            2 => format!("~u /a/path/of/number{number:04}/ | ~title PPSA{number:05}"),
            3 => format!("~cat category-{number}|other-{number} & ~console ps4"),
            4 => format!("~d \"^host{number:04}\\.(a|b)\\.example\\.net$\""),
            5 => format!("~console switch & ~hq ^x-number:.{number}$"),
            6 => format!("~m POST & ~port {number}"),
            _ => format!("~cat title-update-json & ~client 10.0.{}.{}", number / 256, number % 256),
        })
        .map(|text| text.parse().unwrap())
        .collect();
    let index = FilterIndex::new(filters.iter());
    let target = Target::Url("http://host0009.example.net/a/path/of/number0010/x".parse().unwrap());
    let class = Classification {
        category: Category::from("title-update-json"),
        details: Details { np_title_id: Some("CUSA00016_00".into()), ..Details::default() },
        ..Classification::default()
    };
    let subject = Subject::request("GET", &target, &class, [10, 0, 0, 1].into());
    assert_eq!(index.candidates(&subject), [9, 10, 16]);
}
