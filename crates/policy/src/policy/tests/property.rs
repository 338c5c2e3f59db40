//! The compiled policy against a model that is obviously right, on random entries and destinations.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::{EntryPorts, EntryScheme, HostPattern, PortSpec, Protocol};

/// The naive model: walk all entries and ask each whether it covers the destination.
fn permits(entry: &Entry, host: &Host, protocol: Protocol<'_>, port: u16) -> bool {
    if let Some(canonical) = app_itself(host, protocol) {
        return entry.hosts().contains(&HostPattern::ToSelf)
            || covers_every_host(entry, EntryScheme::permits, canonical);
    }
    entry
        .hosts()
        .iter()
        .filter(|pattern| **pattern != HostPattern::ToSelf)
        .any(|pattern| pattern.matches(host))
        && entry
            .schemes()
            .iter()
            .any(|own| own.permits(protocol) && entry.ports_for(own).contains(port))
}

/// The one spelling of the app itself (AL-10).
fn app_itself<'a>(host: &Host, protocol: Protocol<'_>) -> Option<(Protocol<'a>, u16)> {
    static HTTP: Scheme = Scheme::HTTP;
    let speaks_http = [Scheme::HTTP, Scheme::HTTPS]
        .iter()
        .any(|own| protocol == Protocol::Url(own));
    (speaks_http && host.to_string() == "self").then_some((Protocol::Url(&HTTP), 80))
}

type Speaks = fn(&EntryScheme, Protocol<'_>) -> bool;

fn covers_every_host(entry: &Entry, speaks: Speaks, (protocol, port): (Protocol<'_>, u16)) -> bool {
    let mut schemes = entry.schemes().iter();
    entry.hosts().contains(&HostPattern::Any)
        && schemes.any(|own| speaks(own, protocol) && entry.ports_for(own).contains(port))
}

fn denies(entry: &Entry, host: &Host, protocol: Protocol<'_>, port: u16) -> bool {
    if let Some(canonical) = app_itself(host, protocol) {
        return entry.hosts().contains(&HostPattern::ToSelf)
            || covers_every_host(entry, EntryScheme::denies, canonical);
    }
    let scheme = entry
        .schemes()
        .iter()
        .any(|own| own.denies(protocol) && entry.ports_for(own).contains(port));
    let loopback = |host: &Host| {
        matches!(host, Host::Address(address) if {
            let ip = address.ip();
            ip.is_loopback() || ip.is_unspecified() || matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 0)
        })
    };
    let names_localhost =
        |pattern: &HostPattern| ["localhost", "*.localhost"].contains(&pattern.to_string().as_str());
    let covers = |pattern: &HostPattern, host: &Host| {
        *pattern != HostPattern::ToSelf && pattern.matches(host) || names_localhost(pattern) && loopback(host)
    };
    let readings: Vec<Host> = match host {
        Host::Name(_) => vec![host.clone()],
        Host::Address(address) => address.readings().map(Host::Address).collect(),
    };
    scheme
        && readings
            .iter()
            .any(|host| entry.hosts().iter().any(|pattern| covers(pattern, host)))
}

const NAMES: [&str; 8] = [
    "a.example",
    "b.a.example",
    "c.b.a.example",
    "example",
    "localhost",
    "x.localhost",
    "other.test",
    "self",
];
const ADDRESSES: [&str; 14] = [
    "10.0.0.5",
    "10.0.0.6",
    "10.1.0.0",
    "192.0.2.1",
    "127.0.0.1",
    "127.0.0.2",
    "0.0.0.7",
    "::1",
    "2001:db8::1",
    "2001:db8:1::1",
    "64:ff9b::10.0.0.5",
    "2002:a00:5::",
    "::ffff:10.0.0.5",
    "2001:db9::1",
];
const PATTERNS: [&str; 16] = [
    "*",
    "a.example",
    "*.a.example",
    "*.example",
    "localhost",
    "*.localhost",
    "10.0.0.5",
    "10.0.0.0/8",
    "10.0.0.4/30",
    "0.0.0.0/0",
    "127.0.0.0/8",
    "[::1]",
    "[2001:db8::]/32",
    "[2001:db8:1::]/48",
    "[64:ff9b::]/96",
    "[::]/0",
];
const PORTS: [&str; 9] = [
    "80", "*", "80..90", "80-90", "{80,443}", "1-65535", "443", "1..2", "65535",
];

fn entry_text() -> impl Strategy<Value = String> {
    let scheme = select(vec![
        "*",
        "tcp",
        "udp",
        "http",
        "https",
        "redis",
        "{http,udp}",
        "{tcp,https}",
    ]);
    let host = prop_oneof![
        select(PATTERNS.to_vec()).prop_map(str::to_owned),
        (select(PATTERNS.to_vec()), select(PATTERNS.to_vec())).prop_map(|(a, b)| format!("{{{a},{b}}}")),
    ];
    (scheme, host, select(PORTS.to_vec()))
        .prop_map(|(scheme, host, port)| format!("{scheme}://{host}:{port}"))
}

fn entry_list() -> impl Strategy<Value = Vec<Entry>> {
    proptest::collection::vec(entry_text(), 0..6).prop_map(|texts| {
        texts
            .iter()
            .map(|text| Entry::parse(text, Location::Code).unwrap())
            .collect()
    })
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![select(NAMES.to_vec()), select(ADDRESSES.to_vec())]
        .prop_map(|text| Host::parse(text).unwrap())
}

fn port() -> impl Strategy<Value = u16> {
    select(vec![1, 2, 79, 80, 89, 90, 91, 443, 8080, 65534, 65535])
}

fn world(allow: Vec<Entry>, deny: Vec<Entry>) -> World {
    let mut world = World::with(&[], &[], |operator| {
        operator.limits = lifted();
        operator.deny = DenyList::compile(deny, Vec::new());
    });
    world.policy.allow = Arc::new(AllowList::compile(allow));
    world
}

fn allows(world: &World, host: &Host, protocol: Protocol<'_>, port: u16) -> bool {
    let attempt = match (protocol, host) {
        (Protocol::Url(scheme), host) => Attempt::Request {
            scheme,
            host,
            port,
            method: RequestMethod::Other,
        },
        (Protocol::Socket(transport), Host::Address(address)) => Attempt::Connect {
            transport,
            remote: Endpoint::new(address.ip(), port),
        },
        (Protocol::Socket(_), Host::Name(_)) => unreachable!("a socket connects to an address"),
    };
    matches!(world.judge(&attempt), Decision::Allow(_))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    // proves: ORD-3, AL-3, AL-4, AL-5, AL-6, DL-1, DL-2, DL-6, DL-8, HL-7
    #[test]
    fn the_compiled_policy_agrees_with_the_naive_model(
        allow in entry_list(), deny in entry_list(), host in host(), port in port(),
        scheme in select(vec![Scheme::HTTP, Scheme::HTTPS, Scheme::parse("redis").unwrap()]),
    ) {
        let world = world(allow.clone(), deny.clone());
        let sockets = [Protocol::Socket(Transport::Tcp), Protocol::Socket(Transport::Udp)];
        let url = Protocol::Url(&scheme);
        let protocols = sockets.into_iter().filter(|_| matches!(host, Host::Address(_))).chain([url]);
        for protocol in protocols {
            let expected = allow.iter().any(|entry| permits(entry, &host, protocol, port))
                && !deny.iter().any(|entry| denies(entry, &host, protocol, port));
            prop_assert_eq!(allows(&world, &host, protocol, port), expected, "{} {} {}", protocol, host, port);
        }
    }

    // proves: DNS-3, DL-3
    #[test]
    fn a_grant_opens_what_the_entries_for_its_name_permit_and_the_deny_list_leaves(
        allow in entry_list(), deny in entry_list(), name in select(NAMES.to_vec()), port in port(),
    ) {
        let mut world = world(allow.clone(), deny.clone());
        world.grant(name, &[], &["192.0.2.77"]);
        let (by_name, literal) = (Host::parse(name).unwrap(), Host::parse("192.0.2.77").unwrap());
        for protocol in [Protocol::Socket(Transport::Tcp), Protocol::Socket(Transport::Udp)] {
            let permitted = |host| allow.iter().any(|entry| permits(entry, host, protocol, port));
            let denied = |host| deny.iter().any(|entry| denies(entry, host, protocol, port));
            let expected = !denied(&literal) && (permitted(&literal) || permitted(&by_name) && !denied(&by_name));
            prop_assert_eq!(allows(&world, &literal, protocol, port), expected, "{} {}", protocol, port);
        }
    }

    // proves: DL-1
    #[test]
    fn adding_a_deny_entry_never_allows_more(
        allow in entry_list(), deny in entry_list(), more in entry_text(), host in host(), port in port(),
    ) {
        let before = world(allow.clone(), deny.clone());
        let more = Entry::parse(&more, Location::Code).unwrap();
        let after = world(allow, deny.into_iter().chain([more]).collect());
        let sockets = [Protocol::Socket(Transport::Tcp), Protocol::Socket(Transport::Udp)];
        let protocols = sockets.into_iter().filter(|_| matches!(host, Host::Address(_)));
        for protocol in protocols.chain([Protocol::Url(&Scheme::HTTP)]) {
            prop_assert!(!allows(&after, &host, protocol, port) || allows(&before, &host, protocol, port));
        }
    }

    // proves: AL-1
    #[test]
    fn showing_an_entry_and_reading_it_again_gives_the_same(text in entry_text()) {
        let entry = Entry::parse(&text, Location::Code).unwrap();
        let again = Entry::parse(&entry.to_string(), Location::Code).unwrap();
        prop_assert_eq!(&entry, &again);
        prop_assert_eq!(entry.to_string(), again.to_string());
        if let EntryPorts::Written(specs) = entry.ports() {
            prop_assert!(specs.iter().all(|spec: &PortSpec| spec.range().first() > 0));
        }
    }

    // proves: AL-2
    #[test]
    fn reading_never_panics_and_points_inside_the_text(text in "\\PC{0,40}|[*a-z0-9:/.{},\\[\\]@?#% -]{0,40}") {
        match Entry::parse(&text, Location::Code) {
            Ok(entry) => prop_assert_eq!(Entry::parse(&entry.to_string(), Location::Code).unwrap(), entry),
            Err(error) => {
                prop_assert!(text.get(error.span()).is_some(), "{:?} of {:?}", error.span(), text);
                if let Some(instead) = error.instead() {
                    // Its port may be for the author to fill in.
                    prop_assert!(Entry::parse(&instead.replace(":PORT", ":1"), Location::Code).is_ok());
                }
            }
        }
    }
}
