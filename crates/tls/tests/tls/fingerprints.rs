use crate::hellos::{Hello, ps3_475, ps3_481, ps3_482, vita, vita_373};

/// Published JA3 of captures (PS3 and Vita pcaps).
#[test]
fn ja3_of_consoles_are_the_published_ones() {
    for (hello, ja3) in [
        (ps3_475(), "020944dd06c6d915f917237ca3ca4c14"),
        (ps3_481(), "7f340e6caa1fa4c979df919227160ff6"),
        (ps3_482(), "59566b3606a7fa636a100d2b1693687f"),
        (vita(), "4f193c90be6e0aed1752e8aa0daee95a"),
        (vita_373(), "fc2299d5b2964cd242c5a2c8c531a5f0"),
    ] {
        assert_eq!(hello.parsed().facts.ja3, ja3);
    }
}

/// The hellos of Chrome whose lists are published with their JA4: in the JA4 specification
/// (application settings as 0x4469, padding) and in the documentation of Huginn Net (0x44cd,
/// encrypted client hello). GREASE is strewn in as Chrome does.
#[test]
fn ja4_of_chrome_is_the_published_one() {
    let before = [0x0005, 0x000a, 0x000b, 0x0012, 0x0017, 0x001b, 0x0023, 0x002d, 0x0033, 0xff01];
    for (more, ja4) in [
        ([0x0015, 0x4469], "t13d1516h2_8daaf6152771_e5627efa2ab1"),
        ([0x44cd, 0xfe0d], "t13d1516h2_8daaf6152771_d8a2da3f94cd"),
    ] {
        let mut hello = chrome().with(0x0a0a, Vec::new());
        for number in more.into_iter().chain(before) {
            hello = hello.with(number, Vec::new());
        }
        assert_eq!(hello.with(0xfafa, vec![0]).parsed().facts.ja4, ja4);
    }
}

fn chrome() -> Hello {
    let suites = [
        0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
        0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
    ];
    Hello::new(0x0303, &suites)
        .name("example.org")
        .alpn(&[b"h2", b"http/1.1"])
        .versions(&[0x2a2a, 0x0304, 0x0303])
        .list(13, &[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601])
}

/// The examples of the JA4 specification.
#[test]
fn ja4_shows_the_first_protocol_by_its_ends() {
    for (protocol, ends) in [
        (&b"h2"[..], "h2"),
        (b"http/1.1", "h1"),
        (b"x", "xx"),
        (b"", "00"),
        (b"\xab", "ab"),
        (b"\xab\xcd", "ad"),
        (b"\x30\xab", "3b"),
        (b"\x30\x31\xab\xcd", "3d"),
        (b"\x30\xab\xcd\x31", "01"),
        (b"\x0a\x0a", "0a"),
    ] {
        let ja4 = Hello::new(0x0303, &[0x1301]).alpn(&[protocol]).parsed().facts.ja4;
        assert_eq!(&ja4[8..10], ends, "{protocol:?}");
    }
    assert_eq!(&ps3_475().parsed().facts.ja4[..10], "t10i030000");
}

#[test]
fn ja4_of_nothing_is_zeros_and_counts_stop_at_99() {
    assert!(Hello::new(0x0300, &[]).parsed().facts.ja4.ends_with("_000000000000_000000000000"));
    let many: Vec<u16> = (0x2000..0x2080).collect();
    let hello = many.iter().fold(Hello::new(0x0300, &many), |hello, &n| hello.with(n, Vec::new()));
    assert_eq!(&hello.parsed().facts.ja4[..10], "ts3i999900");
}
