//! The sets against the decider: what is left is what it permits, on random entries and destinations.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::select;

use crate::*;

fn entry(text: &str) -> Entry {
    Entry::parse(text, Location::Code).unwrap_or_else(|error| panic!("{error}"))
}

fn operator(deny: &[&str], block: &[&str], limits: RuntimeLimits) -> Operator {
    let blocked = block
        .iter()
        .map(|net| BlockedNetwork::parse(net, Location::Code).unwrap());
    Operator {
        deny: DenyList::compile(deny.iter().map(|text| entry(text)).collect(), blocked.collect()),
        limits,
        ..Operator::default()
    }
}

fn no_limits() -> RuntimeLimits {
    RuntimeLimits {
        udp: Limit::Lifted,
        loopback_ports: PortSet::all(),
        link_local: Limit::Lifted,
        loopback_answers: Limit::Holds,
    }
}

/// Left of the entry, and the direct cuts as text.
fn what_is_left(allow: &str, deny: &[&str], block: &[&str], limits: RuntimeLimits) -> (Left, Vec<String>) {
    let operator = operator(deny, block, limits);
    let kept_out = KeptOut::of(&operator);
    let allow = entry(allow);
    let is_direct = |cut: &Cut<'_>| matches!(cut.region.hosts, Hosts::Pattern(_));
    let texts =
        |cuts: &mut dyn Iterator<Item = Cut<'_>>| cuts.map(|cut| cut.region.to_string()).collect::<Vec<_>>();
    let direct = texts(&mut kept_out.direct_cuts(&allow));
    assert_eq!(direct, texts(&mut kept_out.cuts(&allow).filter(is_direct)));
    (kept_out.left(&allow), direct)
}

fn summary(left: &Left) -> &'static str {
    match left {
        Left::Whole => "whole",
        Left::Part { .. } => "part",
        Left::Nothing => "nothing",
    }
}

// proves: VAL-2, VAL-5
#[test]
fn an_entry_is_whole_narrowed_or_blocked() {
    for (allow, deny, expected, cut) in [
        (
            "*://example.com:8080",
            "*://example.com:8080",
            "nothing",
            "every protocol to example.com, ports 8080",
        ),
        (
            "*://example.com:*",
            "*://example.com:8080",
            "part",
            "every protocol to example.com, ports 8080",
        ),
        ("*://example.com:80", "*://example.com:8080", "whole", ""),
        (
            "https://example.com",
            "https://example.com",
            "nothing",
            "https to example.com, ports 443",
        ),
        (
            "*://example.com:443",
            "https://example.com",
            "part",
            "TCP sockets, https to example.com, ports 443",
        ),
        ("http://example.com:443", "https://example.com", "whole", ""),
        (
            "tcp://example.com:443",
            "https://example.com",
            "nothing",
            "TCP sockets to example.com, ports 443",
        ),
        ("udp://example.com:443", "https://example.com", "whole", ""),
        (
            "*://*.example.com:1",
            "*://a.example.com:*",
            "part",
            "every protocol to a.example.com, ports 1",
        ),
        ("*://*.example.com:1", "*://example.com:*", "whole", ""),
        (
            "*://*.example.com:1",
            "*://*.com:*",
            "nothing",
            "every protocol to *.example.com, ports 1",
        ),
        (
            "*://a.example.com:1",
            "*://*.example.com:*",
            "nothing",
            "every protocol to a.example.com, ports 1",
        ),
        (
            "*://10.0.0.0/8:1",
            "*://10.0.0.0/9:*",
            "part",
            "every protocol to 10.0.0.0/9, ports 1",
        ),
        (
            "*://10.0.0.0/8:1",
            "*://{10.0.0.0/9,10.128.0.0/9}:*",
            "nothing",
            "every protocol to 10.0.0.0/9, ports 1; every protocol to 10.128.0.0/9, ports 1",
        ),
        (
            "*://10.0.0.0/9:1",
            "*://10.0.0.0/8:*",
            "nothing",
            "every protocol to 10.0.0.0/9, ports 1",
        ),
        ("*://10.0.0.5:1", "*://10.0.0.0/8:2", "whole", ""),
        ("*://10.0.0.0/8:*", "*://example.com:*", "whole", ""),
        ("*://example.com:*", "*://10.0.0.0/8:*", "whole", ""),
        (
            "*://{a.example,b.example}:1",
            "*://a.example:1",
            "part",
            "every protocol to a.example, ports 1",
        ),
        (
            "*://localhost:8080",
            "*://localhost:8080",
            "nothing",
            "every protocol to localhost, ports 8080",
        ),
        (
            "*://127.0.0.1:8080",
            "*://localhost:8080",
            "nothing",
            "every protocol to 127.0.0.1, ports 8080",
        ),
        ("*://localhost:8080", "*://127.0.0.1:8080", "whole", ""),
        (
            "*://localhost:8080",
            "*://{127.0.0.1,[::1]}:8080",
            "nothing",
            "every protocol to localhost, ports 8080",
        ),
        ("http://self", "*://*:*", "nothing", "http to self, ports 80"),
        ("http://self", "*://self:*", "nothing", "http to self, ports 80"),
        (
            "http://self",
            "https://{a.example,SELF.}",
            "nothing",
            "http to self, ports 80",
        ),
        (
            "http://self.alt:8080",
            "http://self",
            "nothing",
            "http to self, ports 80",
        ),
        ("http://self", "*://*:5432", "whole", ""),
        (
            "*://h.example:80",
            "{udp,http,https,other}://h.example:80",
            "part",
            "TCP sockets, UDP sockets, http, https, other to h.example, ports 80",
        ),
        (
            "*://[64:ff9b::10.0.0.5]:1",
            "*://10.0.0.0/8:*",
            "nothing",
            "every protocol to [64:ff9b::a00:5], ports 1",
        ),
        ("*://[64:ff9b::]/96:1", "*://0.0.0.0/0:*", "nothing", ""),
        ("*://[2002::]/16:1", "*://0.0.0.0/0:*", "nothing", ""),
        ("*://[64:ff9b:1::]/48:1", "*://0.0.0.0/0:*", "nothing", ""),
        ("*://[2001:db8::]/32:1", "*://0.0.0.0/0:*", "part", ""),
        ("*://[2001:db8::5efe:a00:0]/104:1", "*://10.0.0.0/9:*", "part", ""),
    ] {
        let (left, cuts) = what_is_left(allow, &[deny], &[], no_limits());
        assert_eq!(summary(&left), expected, "{allow} against {deny}");
        let mut cuts: Vec<String> = cuts
            .into_iter()
            .filter(|text| expected != "whole" || !text.is_empty())
            .collect();
        cuts.dedup();
        let shown = cuts.join("; ");
        assert!(shown.starts_with(cut), "{allow} against {deny}: {shown}");
    }
}

// proves: VAL-2, RL-1, RL-2, RL-3
#[test]
fn limits_and_blocked_networks_take_away_too() {
    let held = RuntimeLimits::default;
    for (allow, block, limits, expected) in [
        ("udp://10.0.0.5:53", &[][..], held(), "nothing"),
        ("udp://10.0.0.5:53", &[], no_limits(), "whole"),
        ("tcp://127.0.0.1:80", &[], held(), "nothing"),
        ("tcp://127.0.0.1:*", &[], held(), "part"),
        ("tcp://127.0.0.1:1024", &[], held(), "whole"),
        ("tcp://localhost:80", &[], held(), "nothing"),
        ("https://localhost", &[], held(), "nothing"),
        ("https://api.localhost", &[], held(), "nothing"),
        ("https://*.localhost:*", &[], held(), "part"),
        ("http://169.254.169.254", &[], held(), "nothing"),
        ("http://[fe80::1]", &[], held(), "nothing"),
        ("http://[fd00:ec2::254]", &[], held(), "nothing"),
        ("http://[fd00:ec2::253]", &[], held(), "whole"),
        ("http://224.0.0.1", &[], no_limits(), "nothing"),
        ("http://10.0.0.5", &["private"], held(), "nothing"),
        ("http://[64:ff9b::10.0.0.5]", &["private"], held(), "nothing"),
        ("http://11.0.0.5", &["private"], held(), "whole"),
        ("http://192.0.0.8/29", &["private"], held(), "part"),
        ("http://10.0.0.0/8", &["10.0.0.0/8"], held(), "nothing"),
        ("tcp://back.spin.internal:1", &[], held(), "nothing"),
        ("http://back.spin.internal", &[], held(), "whole"),
    ] {
        let (left, _) = what_is_left(allow, &[], block, limits);
        assert_eq!(summary(&left), expected, "{allow} {block:?}");
    }
}

// proves: VAL-2, AL-7, AL-10
#[test]
fn what_denies_a_component_takes_it_out_on_every_port() {
    for (deny, expected) in [
        (&["http://back.spin.internal"][..], "nothing"),
        (&["https://back.spin.internal:9"], "nothing"),
        (&["tcp://back.spin.internal:9"], "nothing"),
        (&["*://{a.example,*.spin.internal}:9"], "nothing"),
        (&["https://*.spin.internal"], "nothing"),
        (&["*://*.internal:443"], "nothing"),
        (&["https://*.internal:9"], "nothing"),
        (&["http://*"], "nothing"),
        (&["*://*:80"], "nothing"),
        (&["*://*:9"], "whole"),
        (&["https://*:9"], "whole"),
        (&["redis://*:80"], "whole"),
        (&["*://*.example:9"], "whole"),
        (&["udp://*.internal:*"], "whole"),
        (&["udp://*.spin.internal:*"], "whole"),
        (&["redis://back.spin.internal"], "whole"),
        (
            &["http://front.spin.internal", "*://*.back.spin.internal:*"],
            "whole",
        ),
    ] {
        for allow in ["http://back.spin.internal", "http://back.spin.internal:81"] {
            let (left, _) = what_is_left(allow, deny, &[], no_limits());
            assert_eq!(summary(&left), expected, "{allow} without {deny:?}");
        }
    }
}

// proves: VAL-2, DL-5
#[test]
fn the_addresses_of_a_denied_name_are_taken_out_on_the_ports_of_its_entries() {
    let mut operator = operator(
        &["*://db.example:5432", "udp://*.example:53", "*://other.test:80"],
        &[],
        no_limits(),
    );
    let mut learned = LearnedAddresses::default();
    let address = Address::new("192.0.2.1".parse().unwrap());
    learned.insert(&Name::parse("db.example").unwrap(), [address]);
    operator.deny = operator.deny.with_learned(learned);
    let kept_out = KeptOut::of(&operator);
    for (allow, expected) in [
        ("*://192.0.2.1:5432", "nothing"),
        ("*://192.0.2.1:5433", "whole"),
        ("*://192.0.2.1:53", "part"),
        ("udp://192.0.2.1:53", "nothing"),
        ("*://192.0.2.1:80", "whole"),
        ("*://192.0.2.0/24:5432", "part"),
        ("*://192.0.2.2:5432", "whole"),
        ("*://[64:ff9b::192.0.2.1]:5432", "nothing"),
    ] {
        assert_eq!(summary(&kept_out.left(&entry(allow))), expected, "{allow}");
    }
}

// proves: VAL-2
#[test]
fn what_is_denied_at_both_addresses_of_localhost_is_taken_out_of_the_name() {
    for (deny, expected) in [
        (
            &["*://{127.0.0.1,[::1]}:8080"][..],
            &[
                "every protocol to localhost, ports 8080",
                "every protocol to *.localhost, ports 8080",
            ][..],
        ),
        (
            &["tcp://127.0.0.0/8:80-90", "*://[::1]:85-100"],
            &[
                "TCP sockets, every URL to localhost, ports 85-90",
                "TCP sockets, every URL to *.localhost, ports 85-90",
            ],
        ),
        (&["*://127.0.0.1:*"], &[]),
        (&["*://127.0.0.1:80", "*://[::1]:81"], &[]),
        (&["udp://127.0.0.1:80", "tcp://[::1]:80"], &[]),
    ] {
        let (_, cuts) = what_is_left("*://*:*", deny, &[], no_limits());
        let of_localhost: Vec<&String> = cuts.iter().filter(|cut| cut.contains("localhost")).collect();
        assert_eq!(of_localhost, expected, "{deny:?}");
        let operator = operator(deny, &[], no_limits());
        let rules = super::rules::Rules::new(super::draft::Draft::of(&operator).rules);
        assert_eq!(rules.of_localhost().is_empty(), expected.is_empty(), "{deny:?}");
    }
}

// proves: VAL-5
#[test]
fn an_entry_gains_what_was_not_listed_or_was_kept_out() {
    let same = "*://a.example:80";
    let translated = "tcp://[64:ff9b::]/96:1";
    for (old, old_deny, new, deny, expected) in [
        (&[same][..], &[][..], same, &[][..], None),
        (&[], &[], same, &[], Some("tcp://a.example:80")),
        (
            &["https://a.example:80"],
            &[],
            same,
            &[],
            Some("tcp://a.example:80"),
        ),
        (&["*://*:*"], &[], same, &[], None),
        (
            &[same],
            &["*://a.example:*"],
            same,
            &[],
            Some("tcp://a.example:80"),
        ),
        (
            &[same],
            &["https://a.example:80"],
            same,
            &[],
            Some("tcp://a.example:80"),
        ),
        (&[same], &["*://a.example:*"], same, &["*://*.example:*"], None),
        (&[], &[], same, &["*://a.example:*"], None),
        (&[translated], &[], translated, &[], None),
        (
            &[translated],
            &["*://203.0.113.5:*"],
            translated,
            &[],
            Some("tcp://[64:ff9b::cb00:7105]:1"),
        ),
        (
            &[translated],
            &["*://203.0.113.5:*"],
            translated,
            &["*://203.0.113.0/24:*"],
            None,
        ),
    ] {
        let policy = |allow: &[&str], deny: &[&str]| {
            let allow = allow.iter().map(|text| entry(text)).collect();
            let operator = operator(deny, &[], no_limits());
            Policy::new("web", Arc::new(AllowList::compile(allow)), Arc::new(operator))
        };
        let (before, after) = (policy(old, old_deny), policy(&[new], deny));
        let gains = crate::gained(&before, &after);
        let examples: Vec<String> = gains.iter().map(|gain| gain.example.to_string()).collect();
        let expected: Vec<&str> = expected.into_iter().collect();
        assert_eq!(
            examples, expected,
            "{old:?} without {old_deny:?}, then {new} without {deny:?}"
        );
    }
}

// proves: VAL-3
#[test]
fn only_an_answer_decides_between_a_name_and_an_address() {
    let limits = RuntimeLimits::default();
    let operator = self::operator(&["*://10.0.0.0/8:*", "*://192.0.2.1:443"], &["fd00::/8"], limits);
    let kept_out = KeptOut::of(&operator);
    let only_names = self::operator(&["*://denied.example:*"], &[], RuntimeLimits::default());
    assert!(
        KeptOut::of(&only_names)
            .undecided(&entry("*://db.example:80"), 5)
            .is_empty()
    );
    let shadowed = self::operator(
        &["udp://10.0.0.0/8:*", "https://10.0.0.1"],
        &[],
        RuntimeLimits::default(),
    );
    assert_eq!(
        KeptOut::of(&shadowed)
            .undecided(&entry("https://db.example"), 5)
            .len(),
        1
    );
    for (allow, expected) in [
        ("*://db.example:5432", 2),
        ("https://db.example", 2),
        ("*://*.example:443", 2),
        ("*://*:443", 2),
        ("*://10.0.0.5:443", 0),
        ("*://localhost:443", 0),
        ("http://back.spin.internal", 0),
        ("http://self", 0),
    ] {
        let found = kept_out.undecided(&entry(allow), 5).len();
        assert_eq!(found > 0, expected > 0, "{allow}");
        assert!(kept_out.undecided(&entry(allow), 1).len() <= 1);
    }
}

/// The decider's word on a destination, with just this entry on the allow list.
fn permits(policy: &Policy, destination: &Destination) -> bool {
    let (name, port) = match &destination.host {
        Host::Address(address) => {
            return permits_address(policy, destination.channel.protocol(), *address, destination.port);
        }
        Host::Name(name) => (name, destination.port),
    };
    match &destination.channel {
        Channel::Url(scheme) => permits_request(policy, scheme, name, port),
        Channel::Socket(transport) => permits_socket(policy, *transport, name, port),
    }
}

fn permits_address(policy: &Policy, protocol: Protocol<'_>, address: Address, port: u16) -> bool {
    let remote = Endpoint::new(address.ip(), port);
    match protocol {
        Protocol::Socket(transport) => {
            allows(policy, &Attempt::Connect { transport, remote }, &Grants::new(1))
        }
        Protocol::Url(scheme) => {
            let host = &Host::Address(address);
            let method = RequestMethod::Other;
            let request = Attempt::Request {
                scheme,
                host,
                port,
                method,
            };
            allows(policy, &request, &Grants::new(1)) && dials(policy, scheme, host, address, port)
        }
    }
}

fn permits_request(policy: &Policy, scheme: &Scheme, name: &Name, port: u16) -> bool {
    let host = &Host::Name(name.clone());
    let method = RequestMethod::Other;
    let request = allows(
        policy,
        &Attempt::Request {
            scheme,
            host,
            port,
            method,
        },
        &Grants::new(1),
    );
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].map(Address::new);
    request
        && (!name.is_localhost()
            || loopback
                .into_iter()
                .any(|ip| dials(policy, scheme, host, ip, port)))
}

fn dials(policy: &Policy, scheme: &Scheme, host: &Host, address: Address, port: u16) -> bool {
    let remote = Endpoint::new(address.ip(), port);
    let source = AnswerSource::Localhost;
    allows(
        policy,
        &Attempt::Dial {
            scheme,
            host,
            chain: &[],
            remote,
            source,
        },
        &Grants::new(1),
    )
}

/// Looks the name up, takes its addresses as grants, and connects to one of them. The addresses of names but
/// `localhost` are such that only the name can permit or deny them.
fn permits_socket(policy: &Policy, transport: Transport, name: &Name, port: u16) -> bool {
    let mut grants = Grants::new(8);
    if !allows(policy, &Attempt::Lookup { name }, &grants) {
        return false;
    }
    let (addresses, source) = if name.is_localhost() {
        (
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            AnswerSource::Localhost,
        )
    } else {
        (vec![IpAddr::from(UNLISTED)], AnswerSource::Server)
    };
    let addresses: Vec<Address> = addresses.into_iter().map(Address::new).collect();
    let granted = addresses.iter().copied().filter(|address| {
        allows(
            policy,
            &Attempt::Answer {
                name,
                chain: &[],
                address: *address,
                source,
            },
            &grants,
        )
    });
    let granted: Vec<Address> = granted.collect();
    let ticket = grants.begin(name.clone());
    let outcome = LookupOutcome::Answered {
        chain: Vec::new(),
        addresses: granted.clone(),
    };
    grants.settle(ticket, outcome, Instant::now());
    // An entry for `*` permits the addresses themselves, so the deny list is asked about the name as well.
    let protocol = Protocol::Socket(transport);
    let denied = policy
        .operator()
        .deny
        .refuses_name(name, &[], protocol, port)
        .is_some();
    let reach = |address: Address| Attempt::Connect {
        transport,
        remote: Endpoint::new(address.ip(), port),
    };
    let by_name = policy.allow().permits_name(name, protocol, port).is_some();
    by_name
        && !denied
        && granted
            .into_iter()
            .any(|address| allows(policy, &reach(address), &grants))
}

/// On no list of these tests, and in no network of one but the whole address space.
const UNLISTED: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);

fn allows(policy: &Policy, attempt: &Attempt<'_>, grants: &Grants) -> bool {
    let peers = Peers::from(&Quotas::default());
    let situation = Situation {
        grants,
        peers: &peers,
        usage: Usage::default(),
        now: Instant::now(),
    };
    matches!(policy.decide(attempt, &situation), Decision::Allow(_))
}

const NAMES: [&str; 11] = [
    "a.example",
    "b.a.example",
    "c.b.a.example",
    "example",
    "localhost",
    "x.localhost",
    "other.test",
    "self",
    "back.spin.internal",
    "spin.internal",
    "host.example",
];
const ADDRESSES: [&str; 32] = [
    "10.0.0.5",
    "10.0.0.6",
    "10.1.0.0",
    "192.0.2.1",
    "127.0.0.1",
    "127.0.0.2",
    "0.0.0.7",
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "192.0.0.9",
    "192.0.0.8",
    "::",
    "::1",
    "::10.0.0.5",
    "2001:db8::1",
    "2001:db8:1::1",
    "2001:db8::5efe:10.0.0.5",
    "2001:db8::200:5efe:127.0.0.1",
    "64:ff9b::10.0.0.5",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::10.0.0.5",
    "64:ff9b:1:a00:0:500::",
    "2002:a00:5::",
    "2002:a00:5::5efe:127.0.0.1",
    "2001:0:a00:5::f5ff:fffa",
    "2001:0:808:808::80ff:fffe",
    "fe80::1",
    "ff02::1",
    "fd00:ec2::254",
];
const PATTERNS: [&str; 32] = [
    "*",
    "a.example",
    "*.a.example",
    "*.example",
    "localhost",
    "*.localhost",
    "10.0.0.5",
    "10.0.0.0/8",
    "10.0.0.4/30",
    "127.0.0.0/8",
    "127.0.0.0/9",
    "[::1]",
    "[2001:db8::]/32",
    "[2001:db8:1::]/48",
    "[64:ff9b::]/96",
    "[64:ff9b::a00:0]/104",
    "[::]/0",
    "self",
    "*.spin.internal",
    "back.spin.internal",
    "[2002::]/16",
    "[2001::]/32",
    "[64:ff9b:1::]/48",
    "[2001:db8::5efe:0:0]/96",
    "0.0.0.0/5",
    "128.0.0.0/1",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "[::]/96",
    "[2002:a00::]/24",
    "[2001:0:a00::]/40",
    "192.0.0.0/28",
];
const PORTS: [&str; 8] = [
    "80",
    "*",
    "80-90",
    "{80,443}",
    "1-1023",
    "443",
    "1024-65535",
    "65535",
];

fn entry_text(patterns: &'static [&'static str]) -> impl Strategy<Value = String> {
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
        select(patterns).prop_map(str::to_owned),
        (select(patterns), select(patterns)).prop_map(|(a, b)| format!("{{{a},{b}}}")),
    ];
    (scheme, host, select(&PORTS[..]))
        .prop_map(|(scheme, host, port)| format!("{scheme}://{host}:{port}"))
        .prop_filter("`self` is HTTP only", |text| {
            Entry::parse(text, Location::Code).is_ok()
        })
}

fn destination() -> impl Strategy<Value = Destination> {
    let channels =
        ["http", "https", "redis", "gopher"].map(|text| Channel::Url(Scheme::parse(text).unwrap()));
    let channels: Vec<Channel> = channels
        .into_iter()
        .chain([Transport::Tcp, Transport::Udp].map(Channel::Socket))
        .collect();
    let host = prop_oneof![
        select(&NAMES[..]).prop_map(|text| Host::parse(text).unwrap()),
        select(&ADDRESSES[..]).prop_map(|text| Host::Address(Address::new(text.parse().unwrap()))),
    ];
    let port = select(vec![1, 79, 80, 90, 91, 443, 1023, 1024, 8080, 65535]);
    (select(channels), host, port).prop_map(|(channel, host, port)| match (&channel, &host) {
        // The app itself is one destination (AL-10).
        (Channel::Url(Scheme::HTTPS), Host::Name(name)) if name.is_the_app_itself() => itself(host),
        (Channel::Url(Scheme::HTTP), Host::Name(name)) if name.is_the_app_itself() => itself(host),
        _ => Destination { channel, host, port },
    })
}

fn itself(host: Host) -> Destination {
    Destination {
        channel: Channel::Url(Scheme::HTTP),
        host,
        port: 80,
    }
}

fn limits() -> impl Strategy<Value = RuntimeLimits> {
    let limit = || select(vec![Limit::Holds, Limit::Lifted]);
    let ports = select(vec!["80", "*", "443-500"]).prop_map(|text| PortSet::parse(text).unwrap());
    let ports = prop_oneof![Just(PortSet::EMPTY), ports];
    (limit(), ports, limit()).prop_map(|(udp, loopback_ports, link_local)| RuntimeLimits {
        udp,
        loopback_ports,
        link_local,
        loopback_answers: Limit::Holds,
    })
}

fn egress_proxy() -> impl Strategy<Value = EgressProxy> {
    let host = prop_oneof![
        select(vec![
            "a.example",
            "localhost",
            "host.example",
            "10.0.0.5",
            "127.0.0.1",
            "[::1]",
            "[2001:db8::1]"
        ]),
        select(vec!["[64:ff9b::10.0.0.5]", "192.0.2.1"]),
    ];
    let port = select(vec![80, 443, 1024, 65535]);
    (host, port, any::<bool>()).prop_map(|(host, port, is_here)| {
        let mut proxy = EgressProxy::new([(Host::parse(host).unwrap(), port)]);
        if is_here {
            proxy.is_local(port);
        }
        proxy
    })
}

fn blocked() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(
        select(vec!["10.0.0.0/8", "private", "2001:db8::/32", "::1", "192.0.2.1"]),
        0..2,
    )
}

// proves: VAL-2, DL-6
#[test]
fn what_is_denied_of_ipv4_is_taken_out_of_the_networks_that_embed_it() {
    for (allow, deny, expected) in [
        (
            "*://[64:ff9b::]/96:1",
            "*://203.0.113.5:*",
            &["203.0.113.5/32"][..],
        ),
        (
            "*://[64:ff9b::]/96:1",
            "*://203.0.113.0/24:*",
            &["203.0.113.0/24"],
        ),
        ("*://[64:ff9b::]/96:1", "*://203.0.113.5:2", &[]),
        ("*://[64:ff9b::]/96:1", "*://[64:ff9b::1]:*", &[]),
        (
            "*://[64:ff9b::203.0.113.0]/120:1",
            "*://203.0.113.5:*",
            &["203.0.113.5/32"],
        ),
        ("*://[64:ff9b::203.0.113.0]/120:1", "*://203.0.114.5:*", &[]),
        ("*://[2600::]/112:1", "*://203.0.113.5:*", &[]),
        ("*://example.com:1", "*://203.0.113.5:*", &[]),
        ("*://*:1", "*://203.0.113.5:*", &["203.0.113.5/32"]),
    ] {
        let operator = operator(&[deny], &[], no_limits());
        let kept_out = KeptOut::of(&operator);
        let cuts = kept_out
            .cuts(&entry(allow))
            .filter_map(|cut| match (cut.by, cut.region.hosts) {
                (KeptOutBy::Entry(_), Hosts::Embedding { network, .. }) => Some(network.to_string()),
                _ => None,
            });
        assert_eq!(cuts.collect::<Vec<_>>(), expected, "{allow} without {deny}");
    }
}

// proves: VAL-2
#[test]
fn a_long_list_cuts_out_of_an_entry_what_its_rules_cut_out_one_by_one() {
    let ports = ["80", "443", "8000-8100", "*", "{80,5432}"];
    let rule = |n: usize| {
        let port = ports[n * n % 5];
        match n % 5 {
            0 => format!("*://n{n}.example:{port}"),
            1 => format!("*://*.n{n}.example:{port}"),
            2 => format!("udp://11.0.{}.0/24:{port}", n % 256),
            3 => format!("*://[2001:db8:{n:x}::]/48:{port}"),
            _ => format!("https://11.{}.{}.9:{port}", n % 7, n % 256),
        }
    };
    let deny: Vec<String> = (0..900).map(rule).collect();
    let deny: Vec<&str> = deny.iter().map(String::as_str).collect();
    let whole = operator(&deny, &[], no_limits());
    let kept_out = KeptOut::of(&whole);
    let alone: Vec<Operator> = deny
        .iter()
        .map(|text| operator(&[text], &[], no_limits()))
        .collect();
    let alone: Vec<KeptOut<'_>> = alone.iter().map(KeptOut::of).collect();
    let owners = |cuts: &mut dyn Iterator<Item = Cut<'_>>| {
        let texts = cuts.filter_map(|cut| match cut.by {
            KeptOutBy::Entry(entry) => Some(entry.text().to_owned()),
            _ => None,
        });
        texts.collect::<std::collections::BTreeSet<_>>()
    };
    for host in [
        "*",
        "*.example",
        "11.0.0.0/8",
        "11.0.128.0/17",
        "[2001:db8::]/32",
        "[::]/0",
    ] {
        for port in ["80", "443", "8050", "5432-8001", "9", "*"] {
            let allow = entry(&format!("*://{host}:{port}"));
            let direct = owners(&mut kept_out.direct_cuts(&allow));
            let one_by_one = owners(&mut alone.iter().flat_map(|one| one.direct_cuts(&allow)));
            assert_eq!(direct, one_by_one, "{host} {port}");
            let all = owners(&mut kept_out.cuts(&allow));
            let one_by_one = owners(&mut alone.iter().flat_map(|one| one.cuts(&allow)));
            assert_eq!(all, one_by_one, "{host} {port}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    // proves: VAL-5, VAL-2
    #[test]
    fn a_destination_is_left_exactly_if_the_runtime_permits_it(
        allow in entry_text(&PATTERNS),
        deny in proptest::collection::vec(entry_text(&PATTERNS), 0..4),
        block in blocked(),
        limits in limits(),
        egress_proxy in proptest::option::weighted(0.3, egress_proxy()),
        destinations in proptest::collection::vec(destination(), 24),
    ) {
        let deny: Vec<&str> = deny.iter().map(String::as_str).collect();
        let operator = Operator { egress_proxy, ..operator(&deny, &block, limits) };
        let operator = Arc::new(operator);
        let allow = entry(&allow);
        let policy = Policy::new("web", Arc::new(AllowList::compile(vec![allow.clone()])), Arc::clone(&operator));
        let kept_out = KeptOut::of(&operator);
        let regions = Region::permitted_by(&allow);
        let cuts: Vec<Cut<'_>> = kept_out.cuts(&allow).collect();
        let left = kept_out.left(&allow);
        prop_assert_eq!(left == Left::Whole, cuts.is_empty());
        for destination in &destinations {
            let in_entry = regions.iter().any(|region| region.contains(destination));
            let cut = cuts.iter().find(|cut| cut.region.contains(destination));
            let permitted = permits(&policy, destination);
            prop_assert_eq!(
                permitted, in_entry && cut.is_none(),
                "{:?} {} in: {} cut: {:?}", allow, destination, in_entry, cut
            );
            prop_assert!(!permitted || left != Left::Nothing, "{:?} {}", allow, destination);
        }
        if let Left::Part { example: Some(example) } = &left {
            prop_assert!(regions.iter().any(|region| region.contains(example)), "{:?} {}", allow, example);
            prop_assert!(permits(&policy, example), "{:?} {}", allow, example);
        }
        for cut in &cuts {
            let example = cut.example();
            prop_assert!(example.is_some(), "{:?} {:?}", allow, cut);
            if let Some(example) = example {
                prop_assert!(cut.region.contains(&example), "{:?} {:?} {}", allow, cut, example);
                prop_assert!(!permits(&policy, &example), "{:?} {:?} {}", allow, cut, example);
            }
        }
    }

    // proves: VAL-5
    #[test]
    fn what_a_new_policy_gains_is_what_the_old_one_did_not_permit(
        allow in proptest::collection::vec(entry_text(&PATTERNS), 1..4),
        old_allow in proptest::collection::vec(entry_text(&PATTERNS), 0..4),
        deny in proptest::collection::vec(entry_text(&PATTERNS), 0..3),
        old_deny in proptest::collection::vec(entry_text(&PATTERNS), 0..3),
        limits in limits(),
        destinations in proptest::collection::vec(destination(), 24),
    ) {
        let policy = |allow: &[String], deny: &[String]| {
            let deny: Vec<&str> = deny.iter().map(String::as_str).collect();
            let operator = Arc::new(operator(&deny, &[], limits.clone()));
            let allow = allow.iter().map(|text| entry(text)).collect();
            Policy::new("web", Arc::new(AllowList::compile(allow)), operator)
        };
        let (old, new) = (policy(&old_allow, &old_deny), policy(&allow, &deny));
        let gained = crate::gained(&old, &new);
        for gain in &gained {
            prop_assert!(permits(&new, &gain.example), "{} {:?} {:?}", gain.example, allow, deny);
            prop_assert!(!permits(&old, &gain.example), "{} {:?} {:?}", gain.example, old_allow, old_deny);
        }
        for destination in &destinations {
            let more = permits(&new, destination) && !permits(&old, destination);
            let embeds = matches!(destination.host, Host::Address(ip) if ip.embedded().next().is_some());
            prop_assert!(!more || embeds || !gained.is_empty(), "{} {:?} {:?}", destination, allow, deny);
        }
    }

    // proves: VAL-4, VAL-5
    #[test]
    fn without_its_redundant_entries_a_list_permits_the_same(
        texts in proptest::collection::vec(entry_text(&PATTERNS), 1..7),
        destinations in proptest::collection::vec(destination(), 24),
    ) {
        let entries: Vec<Entry> = texts.iter().map(|text| entry(text)).collect();
        let redundant: Vec<usize> = crate::redundant(&entries).iter().map(|one| one.number).collect();
        let rest = entries.iter().enumerate().filter(|(number, _)| !redundant.contains(number));
        let rest: Vec<Entry> = rest.map(|(_, entry)| entry.clone()).collect();
        let operator = Arc::new(operator(&[], &[], no_limits()));
        let policy = |entries| Policy::new("web", Arc::new(AllowList::compile(entries)), Arc::clone(&operator));
        let (before, after) = (policy(entries.clone()), policy(rest));
        for destination in &destinations {
            prop_assert_eq!(permits(&before, destination), permits(&after, destination), "{}", destination);
        }
    }
}
