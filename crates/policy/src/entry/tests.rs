use super::*;
use crate::{EntryProblem, Host, PortsError};

fn read(text: &str) -> Entry {
    Entry::parse(text, Location::Code).unwrap_or_else(|error| panic!("{error}"))
}

fn problem(text: &str) -> (EntryProblem, Option<String>) {
    let error = Entry::parse(text, Location::Code).expect_err(text);
    (error.problem().clone(), error.instead().map(str::to_owned))
}

// proves: AL-1
#[test]
fn entries_are_read_in_every_form_and_shown_canonically() {
    for (text, canonical) in [
        ("*://example.com:5432", "*://example.com:5432"),
        ("  *://example.com:5432 \n", "*://example.com:5432"),
        ("HTTPS://Example.COM.", "https://example.com"),
        ("https://example.com/", "https://example.com"),
        ("https://example.com:443/", "https://example.com:443"),
        ("{http,HTTPS}://example.com", "{http,https}://example.com"),
        (
            "{ http , https }://{ a.example , *.b.example }:{ 80 , 443 }",
            "{http,https}://{a.example,*.b.example}:{80,443}",
        ),
        ("*://bücher.example:*", "*://xn--bcher-kva.example:*"),
        ("*://*:*", "*://*:*"),
        ("http://*", "http://*"),
        ("tcp://*.example.com:80..90", "tcp://*.example.com:80..90"),
        ("UDP://10.0.0.5:53", "udp://10.0.0.5:53"),
        ("*://10.0.0.5:8000-8100", "*://10.0.0.5:8000-8100"),
        ("*://10.0.0.5:1-65535", "*://10.0.0.5:*"),
        ("*://10.0.0.5:7-7", "*://10.0.0.5:7"),
        (
            "*://10.0.0.5:{80,443,8000-8100,9000..9010}",
            "*://10.0.0.5:{80,443,8000-8100,9000..9010}",
        ),
        ("*://10.0.0.5:65534..65535", "*://10.0.0.5:65534..65535"),
        ("*://10.0.0.0/8:*", "*://10.0.0.0/8:*"),
        ("http://10.0.0.0/8", "http://10.0.0.0/8"),
        ("http://10.0.0.0/8/", "http://10.0.0.0/8"),
        ("*://0.0.0.0/0:80", "*://0.0.0.0/0:80"),
        ("*://[::1]:80", "*://[::1]:80"),
        ("*://[0:0:0:0:0:0:0:1]:80/", "*://[::1]:80"),
        ("*://[::ffff:10.0.0.5]:80", "*://10.0.0.5:80"),
        ("*://[::ffff:10.0.0.0]/104:80", "*://10.0.0.0/8:80"),
        ("*://[::ffff:0:0]/96:80", "*://0.0.0.0/0:80"),
        ("*://[2001:db8::]/32:443", "*://[2001:db8::]/32:443"),
        ("*://[2001:db8::/32]:443", "*://[2001:db8::]/32:443"),
        ("*://2001:db8::/32:443", "*://[2001:db8::]/32:443"),
        ("https://2001:db8::/32", "https://[2001:db8::]/32"),
        ("https://2001:db8::/32/", "https://[2001:db8::]/32"),
        (
            "*://{[::1],10.0.0.0/8,2001:db8::/32}:{80,443}",
            "*://{[::1],10.0.0.0/8,[2001:db8::]/32}:{80,443}",
        ),
        ("http://self", "http://self"),
        ("http://SELF/", "http://self"),
        ("http://self.:*", "http://self:*"),
        ("*://self.alt", "*://self"),
        ("http://ｓｅｌｆ", "http://self"),
        ("*://self", "*://self"),
        ("http://self:3000", "http://self:3000"),
        ("redis://cache.internal", "redis://cache.internal"),
        ("http://*.spin.internal", "http://*.spin.internal"),
    ] {
        let entry = read(text);
        assert_eq!(entry.to_string(), canonical, "{text}");
        assert_eq!(read(canonical), entry, "{text}");
        assert_eq!(entry.text(), text.trim(), "{text}");
    }
}

// proves: AL-1
#[test]
fn a_missing_port_is_the_schemes_own() {
    for (scheme, port) in [
        ("http", 80),
        ("https", 443),
        ("redis", 6379),
        ("postgres", 5432),
        ("mysql", 3306),
        ("mqtt", 1883),
    ] {
        let entry = read(&format!("{scheme}://example.com"));
        assert_eq!(
            entry.ports_for(&entry.schemes()[0]).to_string(),
            port.to_string(),
            "{scheme}"
        );
    }
    for text in [
        "*://example.com",
        "tcp://example.com",
        "udp://example.com",
        "{http,ftp}://h",
    ] {
        let (problem, instead) = problem(text);
        assert!(matches!(problem, EntryProblem::NoDefaultPort(_)), "{text}");
        assert_eq!(instead.as_deref(), Some(format!("{text}:PORT").as_str()));
    }
}

// proves: AL-2
#[test]
fn what_is_suggested_in_a_deny_list_denies_all_that_may_have_been_meant() {
    let rows = [
        ("bad.test", Some("*://bad.test:*")),
        (" bad.test ", Some("*://bad.test:*")),
        ("bad.test:80", Some("*://bad.test:80")),
        ("*.internal", Some("*://*.internal:*")),
        ("10.0.0.0/8", Some("*://10.0.0.0/8:*")),
        ("[2001:db8::1]", Some("*://[2001:db8::1]:*")),
        ("https://bad.test/x", Some("https://bad.test")),
        ("*://bad.test", Some("*://bad.test:*")),
        ("tcp://bad.test/", Some("tcp://bad.test:*")),
        ("*://::1", Some("*://[::1]:*")),
        (":", None),
        // No host of this name is meant.
        ("private", None),
        ("loopback", Some("*://{127.0.0.0/8,[::1]}:*")),
        ("link-local", Some("*://{169.254.0.0/16,[fe80::]/10}:*")),
        ("all", Some("*://*:*")),
    ];
    for (text, instead) in rows {
        let error = Entry::parse(text, Location::Code).unwrap_err().in_a_deny_list();
        assert_eq!(error.instead(), instead, "{text}");
        assert!(
            instead.is_none_or(|text| Entry::parse(text, Location::Code).is_ok()),
            "{text}"
        );
    }
}

#[test]
fn every_mistake_says_what_to_write_instead() {
    use EntryProblem as P;
    let ports = P::Ports;
    let unknown = |scheme: &str, meant| P::UnknownScheme {
        scheme: scheme.to_owned(),
        meant,
    };
    let host_bits = |network: &str| P::HostBits {
        network: network.parse().unwrap(),
    };
    for (text, expected, instead) in [
        ("", P::Empty, None),
        ("   ", P::Empty, None),
        ("example.com:80", P::NoScheme, Some("*://example.com:80")),
        ("example.com", P::NoScheme, Some("https://example.com")),
        ("10.0.0.5", P::NoScheme, Some("*://10.0.0.5:PORT")),
        ("10.0.0.0/8", P::NoScheme, Some("*://10.0.0.0/8:PORT")),
        ("10.0.0.0/8:80", P::NoScheme, Some("*://10.0.0.0/8:80")),
        ("2001:db8::/32", P::NoScheme, Some("*://[2001:db8::]/32:PORT")),
        ("2001:db8::1", P::NoScheme, Some("*://[2001:db8::1]:PORT")),
        ("http:80", P::NoScheme, Some("*://http:80")),
        ("http:80..90", P::NoScheme, Some("*://http:80..90")),
        (
            "http:example.com",
            P::Separator("http"),
            Some("http://example.com"),
        ),
        (
            "HTTPS//example.com:8443",
            P::Separator("https"),
            Some("https://example.com:8443"),
        ),
        ("tcp:/10.0.0.5:80", P::Separator("tcp"), Some("tcp://10.0.0.5:80")),
        ("*:10.0.0.5:80", P::Separator("*"), Some("*://10.0.0.5:80")),
        ("https://a.example,https://b.example", P::SeveralEntries, None),
        ("*://a.example:80; *://b.example:80", P::SeveralEntries, None),
        ("*://a.example:80,h2c://b.example:80", P::SeveralEntries, None),
        ("*://a.example:80,://b.example:80", P::SeveralEntries, None),
        (
            "htps://api.example.com",
            unknown("htps", Some("https")),
            Some("https://api.example.com"),
        ),
        (
            "tpc://db.example.com",
            unknown("tpc", Some("tcp")),
            Some("tcp://db.example.com:PORT"),
        ),
        (
            "ws://example.com",
            unknown("ws", None),
            Some("*://example.com:80"),
        ),
        (
            "wss://[2001:db8::1]",
            unknown("wss", None),
            Some("*://[2001:db8::1]:443"),
        ),
        (
            "ftp://example.com/",
            unknown("ftp", None),
            Some("*://example.com:21"),
        ),
        (
            "gopher://example.com",
            unknown("gopher", None),
            Some("*://example.com:PORT"),
        ),
        ("self", P::NoScheme, Some("http://self")),
        (
            "back.spin.internal",
            P::NoScheme,
            Some("http://back.spin.internal"),
        ),
        ("10.0.0.5:5432", P::NoScheme, Some("*://10.0.0.5:5432")),
        (":", P::NoScheme, None),
        ("*", P::LoneWildcard, Some("*://*:*")),
        ("insecure:allow-all", P::InsecureAllowAll, Some("*://*:*")),
        ("h2c://example.com:80", P::Scheme("h2c".into()), None),
        ("grpc+tls://example.com:80", P::Scheme("grpc+tls".into()), None),
        ("://example.com:80", P::Scheme(String::new()), None),
        ("*://:80", P::NoHost, None),
        ("https://", P::NoHost, None),
        ("https://example.com/path", P::Path, Some("https://example.com")),
        (
            "https://example.com:8080/path/",
            P::Path,
            Some("https://example.com:8080"),
        ),
        ("https://example.com//", P::Path, Some("https://example.com")),
        ("https://example.com/24", P::Path, Some("https://example.com")),
        ("https://example.com?q=1", P::Query, Some("https://example.com")),
        ("https://example.com/?q", P::Query, Some("https://example.com")),
        ("https://example.com#f", P::Fragment, Some("https://example.com")),
        (
            "https://user:pw@example.com",
            P::UserInfo,
            Some("https://example.com"),
        ),
        (
            "postgres://user:pw@db.example.com:5432/x?y",
            P::UserInfo,
            Some("postgres://db.example.com:5432"),
        ),
        ("redis://:p@cache/0", P::UserInfo, Some("redis://cache")),
        (
            "redis://localhost:6379/0",
            P::Path,
            Some("redis://localhost:6379"),
        ),
        (
            "rediss://u:p@[2001:db8::1]:6380/0",
            P::UserInfo,
            Some("rediss://[2001:db8::1]:6380"),
        ),
        ("mysql://u:p@db/x", P::UserInfo, Some("mysql://db")),
        (
            "mqtts://mq.example:8883/?client_id=a",
            P::Query,
            Some("mqtts://mq.example:8883"),
        ),
        (
            "{redis,mqtt}://u@cache",
            P::UserInfo,
            Some("{redis,mqtt}://cache"),
        ),
        ("reddis://cache/0", P::Path, Some("redis://cache")),
        (
            "tpc://u:p@db.example.com:5432/x",
            P::UserInfo,
            Some("tcp://db.example.com:5432"),
        ),
        (
            "reddis://cache",
            unknown("reddis", Some("redis")),
            Some("redis://cache"),
        ),
        (
            "mssql://db.example.com",
            unknown("mssql", None),
            Some("*://db.example.com:PORT"),
        ),
        ("amqp://u:p@mq.example", P::UserInfo, Some("*://mq.example:PORT")),
        ("tcp://u@mq.example/", P::UserInfo, Some("tcp://mq.example:PORT")),
        (
            "postgres://db.example.com/x",
            P::Path,
            Some("postgres://db.example.com"),
        ),
        ("*://*example.com:80", P::Wildcard, None),
        ("*://a.*.com:80", P::Wildcard, None),
        ("*://*.*.com:80", P::Wildcard, None),
        ("*://**:80", P::Wildcard, None),
        (
            "*://::1",
            P::BareIpv6("::1".parse().unwrap()),
            Some("*://[::1]:PORT"),
        ),
        (
            "*://2001:db8::1:443",
            P::BareIpv6("2001:db8::1:443".parse().unwrap()),
            Some("*://[2001:db8::1]:443"),
        ),
        (
            "https://2001:db8::1",
            P::BareIpv6("2001:db8::1".parse().unwrap()),
            Some("https://[2001:db8::1]"),
        ),
        (
            "https://2001:db8::1/",
            P::BareIpv6("2001:db8::1".parse().unwrap()),
            Some("https://[2001:db8::1]"),
        ),
        ("*://[example.com]:80", P::NotIpv6("example.com".into()), None),
        ("*://[fe80::1%eth0]:80", P::Zone, None),
        (
            "*://127.1:80",
            P::NumericIpv4("127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()),
            Some("*://127.0.0.1:80"),
        ),
        (
            "*://0x7f000001:80",
            P::NumericIpv4("127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()),
            Some("*://127.0.0.1:80"),
        ),
        (
            "http://2130706433",
            P::NumericIpv4("127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()),
            Some("http://127.0.0.1"),
        ),
        (
            "*://10.0.0.5/8:80",
            host_bits("10.0.0.0/8"),
            Some("*://10.0.0.0/8:80"),
        ),
        (
            "*://[2001:db8::1]/32:80",
            host_bits("2001:db8::/32"),
            Some("*://[2001:db8::]/32:80"),
        ),
        (
            "*://2001:db8::1/32:80",
            host_bits("2001:db8::/32"),
            Some("*://[2001:db8::]/32:80"),
        ),
        ("*://10.0.0.0/33:80", P::PrefixTooLong { longest: 32 }, None),
        ("*://10.0.0.0/256:80", P::PrefixTooLong { longest: 32 }, None),
        ("*://[2001:db8::]/129:80", P::PrefixTooLong { longest: 128 }, None),
        ("*://10.0.0.0/x:80", P::NotAPrefix("x".into()), None),
        ("*://10.0.0.0/:80", P::NotAPrefix(String::new()), None),
        ("*://10.0.0.0/+8:80", P::NotAPrefix("+8".into()), None),
        ("*://10.0.0.0/0008:80", P::NotAPrefix("0008".into()), None),
        ("*://[fe80::%eth0]/64:80", P::Zone, None),
        ("*://[2001:db8::g]/32:80", P::NotIpv6("2001:db8::g".into()), None),
        ("*://{a.example/24,b.example}:80", P::Path, None),
        (
            "*://{127.1/8,b.example}:80",
            P::NumericIpv4("127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()),
            None,
        ),
        ("*://10.0.0.5:80..80", P::EmptyRange("80..80".into()), None),
        ("*://10.0.0.5:90..80", P::EmptyRange("90..80".into()), None),
        (
            "*://10.0.0.5:90-80",
            ports(PortsError::Empty("90-80".into())),
            None,
        ),
        ("*://10.0.0.5:0", ports(PortsError::Zero), None),
        ("*://10.0.0.5:0..80", ports(PortsError::Zero), None),
        (
            "*://10.0.0.5:65536",
            ports(PortsError::TooHigh("65536".into())),
            None,
        ),
        (
            "*://10.0.0.5:+80",
            ports(PortsError::NotANumber("+80".into())),
            None,
        ),
        (
            "*://10.0.0.5:",
            ports(PortsError::NotANumber(String::new())),
            None,
        ),
        (
            "*://example.com:80,443",
            ports(PortsError::NotANumber("80,443".into())),
            Some("*://example.com:{80,443}"),
        ),
        (
            "http,https://example.com",
            P::Scheme("http,https".into()),
            Some("{http,https}://example.com"),
        ),
        (
            "*://10.0.0.5:http",
            ports(PortsError::NotANumber("http".into())),
            None,
        ),
        ("*://{a,b:80", P::OpenList, None),
        ("*://h:{80,443", P::OpenList, None),
        ("*://{a,,b}:80", P::EmptyPart, None),
        ("{}://a:80", P::EmptyPart, None),
        ("tcp://self:80", P::SelfIsHttp, Some("http://self")),
        (
            "*://{127.0.0.1,::1}:35175",
            P::BareIpv6("::1".parse().unwrap()),
            Some("*://{127.0.0.1,[::1]}:35175"),
        ),
        (
            "*://{ ::1 , 127.1,10.0.0.5/8,2001:db8::1/32,a.example}:{80,443}",
            P::BareIpv6("::1".parse().unwrap()),
            Some("*://{ [::1] , 127.0.0.1,10.0.0.0/8,[2001:db8::]/32,a.example}:{80,443}"),
        ),
        (
            "  https://{127.1,a.example}  ",
            P::NumericIpv4("127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()),
            Some("https://{127.0.0.1,a.example}"),
        ),
        ("*://{a}b:80", P::Trailing("b:80".into()), None),
        ("*://256.1.1.1:80", P::Name(crate::NameError::BadAddress), None),
        ("*://a..b:80", P::Name(crate::NameError::EmptyLabel), None),
    ] {
        let (found, suggested) = problem(text);
        assert_eq!(found, expected, "{text}");
        if let Some(instead) = instead {
            assert_eq!(suggested.as_deref(), Some(instead), "{text}");
        }
    }
    let error = Entry::parse("https://a.example,b.example", Location::Code).expect_err("a comma in a name");
    assert_eq!(error.instead(), Some("https://{a.example,b.example}"));
}

#[test]
fn no_message_shows_a_password() {
    for text in [
        "postgres://user:hunter2@db.example.com:5432/x",
        "postgres://user:hun/ter2@db.example.com",
        "https://user:2#hunter2@db.example.com",
        "https://2/hunter2@db.example.com:1",
        "user:hunter2@db.example.com:5432",
        "https://hunter2@a.example,https://hunter2@b.example",
        "hunter2@db.example.com:5432",
    ] {
        let error = Entry::parse(text, Location::Code).expect_err(text);
        let message = error.to_string();
        assert!(
            !message.contains("ter2") && !message.contains(":2"),
            "{text}: {message}"
        );
        assert_eq!(error.shown().len(), text.len(), "{text}");
    }
}

#[test]
fn nothing_is_suggested_that_would_leave_out_what_was_right() {
    for text in [
        "*://{::1,b..c}:80",
        "tcp://{self,a.example}:80",
        "*://{::1,a.example}:0",
        "*://a.example:80,{443}",
        // A path with an `@`, or a user and a password: the host may be the one or the other.
        "https://a.example/@b.example",
        "https://a.example/?q=@b.example",
        "https://a.example:8080?q=@b.example",
        "https://a.example#@b.example",
    ] {
        assert_eq!(problem(text).1, None, "{text}");
    }
}

#[test]
fn a_suggestion_is_made_for_what_can_be_copied() {
    for (length, suggested) in [(500, true), (501, false), (1000, false)] {
        let others = (length - "https://".len()) / "a.example,".len() - 1;
        let text = format!("https://{}", "a.example,".repeat(others));
        let text = format!("{text}{}", "b".repeat(length - text.len()));
        assert_eq!(text.len(), length);
        let (_, instead) = problem(&text);
        assert_eq!(instead.is_some(), suggested, "{length}");
    }
}

#[test]
fn a_scheme_that_was_meant_is_told() {
    for (text, told) in [("htps://a.example", true), ("gopher://a.example", false)] {
        let error = Entry::parse(text, Location::Code).expect_err(text);
        let message = error.to_string();
        assert_eq!(
            message.contains("port; `https` was meant, most likely"),
            told,
            "{message}"
        );
        assert_eq!(message.contains("was meant"), told, "{message}");
        let source = std::error::Error::source(&error).expect("the problem");
        assert_eq!(source.to_string(), error.problem().to_string());
    }
}

#[test]
fn a_message_is_short_however_long_the_entry_is() {
    let long = "a".repeat(200_000);
    for text in [
        format!("{long}.example:80"),
        format!("{long}+://a:80"),
        format!("*://{long}:80"),
        format!("*://[{long}]:80"),
        format!("*://10.0.0.0/{long}:80"),
        format!("*://a:{long}"),
        format!("*://a:{}", "9".repeat(200_000)),
        format!("*://{{a}}{long}:80"),
        format!("{long}://a.example"),
        format!("*://{{{}}}:80", vec!["::1"; 50_000].join(",")),
    ] {
        let error = Entry::parse(&text, Location::Code).expect_err(&text[..20]);
        let message = error.to_string();
        assert!(message.len() < 600 && message.contains('…'), "{message}");
        assert_eq!(error.text(), text, "what was written is still known");
    }
}

#[test]
fn an_error_points_at_the_part_at_fault() {
    for (text, part) in [
        ("  h2c://example.com:80", "h2c"),
        ("*://a.example:{80,99999}", "99999"),
        ("*://{a.example,b..c}:80", "b..c"),
        ("https://example.com/some/path", "/some/path"),
        ("*://10.0.0.5/8:80", "10.0.0.5/8"),
        ("https://a.example, h2c://b.example", "h2c://b.example"),
    ] {
        let error = Entry::parse(text, Location::Code).expect_err(text);
        assert_eq!(&text[error.span()], part, "{text}");
    }
}

// proves: AL-3, AL-4, AL-6, AL-9, DL-2
#[test]
fn what_a_scheme_permits_and_what_it_denies() {
    let redis = Scheme::parse("redis").unwrap();
    let protocols = [
        Protocol::Socket(Transport::Tcp),
        Protocol::Socket(Transport::Udp),
        Protocol::Url(&Scheme::HTTP),
        Protocol::Url(&Scheme::HTTPS),
        Protocol::Url(&redis),
    ];
    // scheme, then for tcp, udp, http, https, redis: permitted; denied
    for (scheme, permits, denies) in [
        (
            "*",
            [true, true, true, true, true],
            [true, true, true, true, true],
        ),
        (
            "tcp",
            [true, false, false, false, false],
            [true, false, true, true, true],
        ),
        (
            "udp",
            [false, true, false, false, false],
            [false, true, false, false, false],
        ),
        (
            "http",
            [false, false, true, false, false],
            [true, false, true, false, false],
        ),
        (
            "https",
            [false, false, false, true, false],
            [true, false, false, true, false],
        ),
        (
            "redis",
            [false, false, false, false, true],
            [true, false, false, false, true],
        ),
    ] {
        let entry = read(&format!("{scheme}://h:80"));
        let own = &entry.schemes()[0];
        assert_eq!(
            protocols.map(|protocol| own.permits(protocol)),
            permits,
            "{scheme} permits"
        );
        assert_eq!(
            protocols.map(|protocol| own.denies(protocol)),
            denies,
            "{scheme} denies"
        );
        assert_eq!(entry.permits_sockets(), permits[0] || permits[1], "{scheme}");
    }
}

// proves: AL-5, AL-7
#[test]
fn hosts_match_names_or_addresses_never_both() {
    let cases: [(&str, &[&str], &[&str]); 7] = [
        ("*", &["example.com", "10.0.0.5", "::1"], &[]),
        (
            "example.com",
            &["example.com", "EXAMPLE.com."],
            &["a.example.com", "example.com.evil", "notexample.com", "10.0.0.5"],
        ),
        (
            "*.example.com",
            &["a.example.com", "a.b.c.example.com"],
            &["example.com", "aexample.com", "example.org"],
        ),
        (
            "10.0.0.5",
            &["10.0.0.5", "::ffff:10.0.0.5"],
            &["10.0.0.6", "::10.0.0.5", "64:ff9b::10.0.0.5", "example.com"],
        ),
        (
            "10.0.0.0/8",
            &["10.0.0.0", "10.255.255.255"],
            &["9.255.255.255", "11.0.0.0", "64:ff9b::10.0.0.5"],
        ),
        (
            "[2001:db8::]/32",
            &["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
            &["2001:db9::", "10.0.0.5"],
        ),
        (
            "self",
            &["self", "self.alt"],
            &["a.self", "a.self.alt", "10.0.0.5"],
        ),
    ];
    for (pattern, accepts, rejects) in cases {
        let entry = read(&format!("http://{pattern}:80"));
        for host in accepts {
            assert!(
                entry.hosts()[0].matches(&Host::parse(host).unwrap()),
                "{pattern} accepts {host}"
            );
        }
        for host in rejects {
            assert!(
                !entry.hosts()[0].matches(&Host::parse(host).unwrap()),
                "{pattern} rejects {host}"
            );
        }
    }
}

#[test]
fn entries_are_equal_if_they_mean_the_same_in_the_same_order() {
    for (a, b, equal) in [
        ("*://a.example:80", " *://A.example.:80/", true),
        ("*://a.example:80-80", "*://a.example:80", true),
        ("*://a.example:80", "tcp://a.example:80", false),
        ("*://a.example:80", "*://b.example:80", false),
        ("*://a.example:80", "*://a.example:81", false),
        ("https://a.example", "https://a.example:443", false),
        ("*://{a,b}:80", "*://{b,a}:80", false),
        ("*://a.example:80", "udp://b.example:81", false),
    ] {
        assert_eq!(read(a) == read(b), equal, "{a} {b}");
    }
}

#[test]
fn an_entry_that_holds_a_secret_shows_what_it_is_shown_as() {
    let entry = Entry::parse_shown_as(
        "*://hunter2.example:1..3",
        "*://{{ host }}:{{ ports }}",
        Location::Code,
    )
    .unwrap();
    assert_eq!(entry, read("*://hunter2.example:1..3"));
    assert!(entry.is_concealed());
    for shown in [entry.text().to_owned(), entry.to_string(), format!("{entry:?}")] {
        assert!(
            shown.contains("*://{{ host }}:{{ ports }}") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
    let public = read("*://hunter2.example:1");
    assert!(!public.is_concealed() && !public.is_filled_in());
    let filled_in = Entry::parse_filled_in(" *://hunter2.example:1", Location::Code).unwrap();
    assert!(entry.is_filled_in() && filled_in.is_filled_in() && !filled_in.is_concealed());
    assert_eq!(filled_in.text(), "*://hunter2.example:1");
    Entry::parse_shown_as("hunter2.example", "{{ host }}", Location::Code).expect_err("it has no scheme");
}
