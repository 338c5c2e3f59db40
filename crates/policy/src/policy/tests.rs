//! The clauses as tables. One row is one attempt under one policy, and what must come of it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::{
    BlockedNetwork, DenyList, Entry, Grants, Label, LabelKind, LearnedAddresses, Location, LookupOutcome,
    Peers, PortSet, Quotas, Remedy, RuntimeLimits, Scheme, Usage,
};

mod property;

/// A policy and the state of one instance under it.
struct World {
    policy: Policy,
    grants: Grants,
    peers: Peers,
    usage: Usage,
    now: Instant,
}

impl World {
    fn new(allow: &[&str], deny: &[&str]) -> Self {
        Self::with(allow, deny, |_| {})
    }

    fn with(allow: &[&str], deny: &[&str], change: impl FnOnce(&mut Operator)) -> Self {
        let mut operator = Operator {
            deny: DenyList::compile(entries(deny), Vec::new()),
            ..Operator::default()
        };
        change(&mut operator);
        let quotas = operator.quotas.clone();
        Self {
            policy: Policy::new(
                "web",
                Arc::new(AllowList::compile(entries(allow))),
                Arc::new(operator),
            ),
            grants: Grants::new(quotas.granted_names),
            peers: Peers::from(&quotas),
            usage: Usage::default(),
            now: Instant::now(),
        }
    }

    fn grant(&mut self, text: &str, chain: &[&str], addresses: &[&str]) {
        let ticket = self.grants.begin(name(text));
        let chain = chain.iter().map(|alias| name(alias)).collect();
        let addresses = addresses.iter().map(|text| address(text)).collect();
        self.grants
            .settle(ticket, LookupOutcome::Answered { chain, addresses }, self.now);
    }

    fn judge(&self, attempt: &Attempt<'_>) -> Decision<'_> {
        let situation = Situation {
            grants: &self.grants,
            peers: &self.peers,
            usage: self.usage,
            now: self.now,
        };
        self.policy.decide(attempt, &situation)
    }

    /// `allow`, or the code of the reason.
    fn code(&self, attempt: &Attempt<'_>) -> &'static str {
        self.judge(attempt).reason().map_or("allow", Reason::code)
    }

    fn tcp(&self, remote: &str) -> &'static str {
        self.code(&reach(Transport::Tcp, remote))
    }

    fn udp(&self, remote: &str) -> &'static str {
        self.code(&reach(Transport::Udp, remote))
    }

    fn lookup(&self, text: &str) -> &'static str {
        self.code(&Attempt::Lookup { name: &name(text) })
    }

    fn answer(&self, text: &str, chain: &[&str], given: &str, source: AnswerSource) -> &'static str {
        let chain: Vec<Name> = chain.iter().map(|alias| name(alias)).collect();
        self.code(&Attempt::Answer {
            name: &name(text),
            chain: &chain,
            address: address(given),
            source,
        })
    }

    fn request(&self, scheme: &Scheme, host: &str, port: u16) -> &'static str {
        let host = Host::parse(host).unwrap();
        self.code(&Attempt::Request {
            scheme,
            host: &host,
            port,
            method: RequestMethod::Other,
        })
    }

    fn dial(&self, scheme: &Scheme, host: &str, chain: &[&str], remote: &str) -> &'static str {
        let chain: Vec<Name> = chain.iter().map(|alias| name(alias)).collect();
        let (host, remote) = (Host::parse(host).unwrap(), endpoint(remote));
        self.code(&Attempt::Dial {
            scheme,
            host: &host,
            chain: &chain,
            remote,
            source: AnswerSource::Server,
        })
    }

    fn remedy(&self, attempt: &Attempt<'_>) -> Option<Remedy> {
        match self.judge(attempt) {
            Decision::Allow(_) => None,
            Decision::Deny(denial) => denial.remedy(attempt),
        }
    }
}

fn entries(texts: &[&str]) -> Vec<Entry> {
    texts
        .iter()
        .map(|text| Entry::parse(text, Location::Code).unwrap_or_else(|error| panic!("{error}")))
        .collect()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn address(text: &str) -> Address {
    Address::new(text.parse::<IpAddr>().unwrap())
}

fn endpoint(text: &str) -> Endpoint {
    text.parse::<SocketAddr>().unwrap().into()
}

fn reach(transport: Transport, remote: &str) -> Attempt<'static> {
    Attempt::Connect {
        transport,
        remote: endpoint(remote),
    }
}

fn send(remote: &str) -> Attempt<'static> {
    let remote = endpoint(remote);
    Attempt::Send { remote }
}

fn udp_lifted(operator: &mut Operator) {
    operator.limits.udp = Limit::Lifted;
}

const SERVER: AnswerSource = AnswerSource::Server;

// proves: ORD-1
#[test]
fn the_first_layer_that_refuses_gives_the_reason() {
    let privileged = "127.0.0.1:80";
    for (allow, deny, ports, full, expected) in [
        (&["*://*:*"][..], &["*://127.0.0.1:80"][..], "", true, "deny.host"),
        (&["*://*:*"], &[], "", true, "runtime.loopback-port"),
        (&[], &["*://127.0.0.1:80"], "", true, "deny.host"),
        (&[], &[], "", true, "runtime.loopback-port"),
        (&[], &[], "80", true, "allow.none"),
        (&["*://127.0.0.1:81"], &[], "80", true, "allow.port"),
        (&["*://127.0.0.1:80"], &[], "80", true, "allow"),
    ] {
        let mut world = World::with(allow, deny, |operator| {
            if !ports.is_empty() {
                operator.limits.loopback_ports = PortSet::parse(ports).unwrap();
            }
        });
        if full {
            world.usage.sockets_of_instance = u32::MAX;
        }
        assert_eq!(world.tcp(privileged), expected, "{allow:?} {deny:?} {ports}");
    }
    let mut world = World::new(&[], &["*://224.0.0.1:80"]);
    assert_eq!(
        world.tcp("224.0.0.1:80"),
        "hard.multicast",
        "the hard limits come before the deny list"
    );
    world.usage.sockets_of_instance = u32::MAX;
    assert_eq!(
        world.code(&Attempt::CreateSocket {
            transport: Transport::Udp
        }),
        "runtime.udp"
    );
    assert_eq!(
        world.code(&Attempt::CreateSocket {
            transport: Transport::Tcp
        }),
        "quota.sockets"
    );
}

// proves: ORD-2
#[test]
fn without_configuration_nothing_is_reached() {
    let world = World::with(&[], &[], udp_lifted);
    for remote in [
        "127.0.0.1:7001",
        "10.0.0.5:5432",
        "93.184.216.34:443",
        "[2606:2800::1]:443",
        "[::1]:8080",
    ] {
        assert_eq!(world.tcp(remote), "allow.none", "{remote}");
        assert_eq!(world.udp(remote), "allow.none", "{remote}");
    }
    for text in ["example.com", "localhost", "a.localhost"] {
        assert_eq!(world.lookup(text), "allow.none", "{text}");
    }
    assert_eq!(world.request(&Scheme::HTTPS, "example.com", 443), "allow.none");
    assert_eq!(world.code(&bind(Transport::Tcp, "0.0.0.0:0")), "allow.none");
}

// proves: ORD-2, RSN-2
#[test]
fn a_list_that_is_not_inherited_permits_nothing_not_even_a_socket() {
    let mut world = World::with(&[], &["*://evil.example:*"], udp_lifted);
    world.policy = Policy::new(
        "web/a:b/c",
        Arc::new(AllowList::not_inherited()),
        Arc::new(world.policy.operator().clone()),
    );
    let (transport, other) = (Transport::Tcp, Transport::Udp);
    let (db, evil) = (name("db.example"), name("evil.example"));
    let host = Host::Name(db.clone());
    let inherits = Some(Remedy::Inherit("allowed_outbound_hosts"));
    for (attempt, reason, remedy) in [
        (
            Attempt::CreateSocket { transport },
            "allow.not-inherited",
            &inherits,
        ),
        (
            Attempt::CreateSocket { transport: other },
            "allow.not-inherited",
            &inherits,
        ),
        (bind(transport, "0.0.0.0:0"), "allow.not-inherited", &inherits),
        (bind(transport, "0.0.0.0:80"), "hard.bind", &None),
        (
            reach(transport, "10.0.0.5:5432"),
            "allow.not-inherited",
            &inherits,
        ),
        (
            reach(transport, "127.0.0.1:22"),
            "runtime.loopback-port",
            &Some(Remedy::Switch("--allow-loopback-ports 22".into())),
        ),
        (Attempt::Lookup { name: &db }, "allow.not-inherited", &inherits),
        (
            Attempt::Lookup { name: &evil },
            "deny.host",
            &Some(Remedy::Undeny {
                text: "*://evil.example:*".into(),
                location: Location::Code,
            }),
        ),
        (
            Attempt::Request {
                scheme: &Scheme::HTTPS,
                host: &host,
                port: 443,
                method: RequestMethod::Other,
            },
            "allow.not-inherited",
            &inherits,
        ),
    ] {
        assert_eq!(world.code(&attempt), reason, "{attempt}");
        assert_eq!(&world.remedy(&attempt), remedy, "{attempt}");
    }
}

// proves: HI-5
#[test]
fn a_label_is_granted_by_its_own_list_and_by_nothing_else() {
    let mut world = World::new(&["*://*:*"], &["*://default:*"]);
    let label = |kind, text| Label::new(kind, text, Location::Code);
    let labels = vec![
        label(LabelKind::KeyValueStore, "default"),
        label(LabelKind::SqliteDatabase, "orders"),
    ];
    let allow = AllowList::compile(entries(&["*://*:*"])).with_labels(labels);
    world.policy = Policy::new("web", Arc::new(allow), Arc::new(world.policy.operator().clone()));
    let add = |list: &str, label: &str| Some(format!("add \"{label}\" to {list}"));
    for (kind, label, reason, remedy) in [
        (LabelKind::KeyValueStore, "default", "allow", None),
        (LabelKind::SqliteDatabase, "orders", "allow", None),
        (
            LabelKind::KeyValueStore,
            "orders",
            "allow.label",
            add("key_value_stores", "orders"),
        ),
        (
            LabelKind::SqliteDatabase,
            "default",
            "allow.label",
            add("sqlite_databases", "default"),
        ),
        (
            LabelKind::AiModel,
            "default",
            "allow.label",
            add("ai_models", "default"),
        ),
        (
            LabelKind::KeyValueStore,
            "Default",
            "allow.label",
            add("key_value_stores", "Default"),
        ),
        (LabelKind::KeyValueStore, "default ", "allow.label", None),
        (LabelKind::KeyValueStore, "", "allow.label", None),
        (LabelKind::KeyValueStore, "a\nb", "allow.label", None),
    ] {
        let attempt = Attempt::Open { kind, label };
        assert_eq!(world.code(&attempt), reason, "{attempt}");
        assert_eq!(
            world.remedy(&attempt).map(|remedy| remedy.to_string()),
            remedy,
            "{attempt}"
        );
    }
    let attempt = Attempt::Open {
        kind: LabelKind::SqliteDatabase,
        label: "orders",
    };
    let Decision::Allow(permit) = world.judge(&attempt) else {
        panic!("it is listed")
    };
    assert_eq!(
        permit.rule().to_string(),
        "orders in sqlite_databases (the embedder)"
    );
    assert!(permit.into_remote().is_none(), "it leads nowhere by itself");

    let nothing = Arc::new(AllowList::not_inherited());
    world.policy = Policy::new("web/a:b/c", nothing, Arc::new(world.policy.operator().clone()));
    assert_eq!(world.code(&attempt), "allow.not-inherited");
    let remedy = world.remedy(&attempt).map(|remedy| remedy.to_string());
    let inherit = "add \"sqlite_databases\" to `inherit_configuration` of the dependency";
    assert_eq!(remedy.as_deref(), Some(inherit));
}

// proves: AL-11, ORD-2, ORD-3, RSN-2, RSN-5
#[test]
fn a_part_reaches_what_its_list_and_that_of_its_component_permit() {
    let list = |texts: &[&str]| Arc::new(AllowList::compile(entries(texts)));
    let whole = [
        "*://10.0.0.0/8:5432",
        "*://db.example:*",
        "https://api.example",
        "*://*.test:80",
    ];
    // (the part's own list, what is tried, whether it is permitted, the remedies)
    let tcp = |remote| reach(Transport::Tcp, remote);
    let (db, other, api) = (
        name("db.example"),
        name("other.example"),
        Host::Name(name("api.example")),
    );
    let https = Scheme::parse("https").unwrap();
    let request = Attempt::Request {
        scheme: &https,
        host: &api,
        port: 443,
        method: RequestMethod::Other,
    };
    let add = |entry: &str| format!("add \"{entry}\" to allowed_outbound_hosts");
    let own = |entry: &str| format!("{}, of the part itself", add(entry));
    let of_component = |entry: &str| format!("{}, of the component itself", add(entry));
    let rows: [(&[&str], Attempt<'_>, Vec<String>); 11] = [
        (&["*://10.0.0.5:*"], tcp("10.0.0.5:5432"), vec![]),
        (
            &["*://10.0.0.5:*"],
            tcp("10.0.0.6:5432"),
            vec![own("*://10.0.0.6:5432")],
        ),
        (
            &["*://10.0.0.5:*"],
            tcp("10.0.0.5:80"),
            vec![of_component("*://10.0.0.5:80")],
        ),
        (
            &["*://10.0.0.5:*"],
            tcp("10.0.0.6:80"),
            vec![own("*://10.0.0.6:80"), of_component("*://10.0.0.6:80")],
        ),
        (&["*://*:*"], tcp("10.9.9.9:5432"), vec![]),
        (
            &["*://*:*"],
            tcp("192.0.2.1:5432"),
            vec![of_component("*://192.0.2.1:5432")],
        ),
        (&["*://*:*"], request, vec![]),
        (&["http://api.example"], request, vec![own("https://api.example")]),
        (&["*://db.example:5432"], Attempt::Lookup { name: &db }, vec![]),
        (
            &["*://*:*"],
            Attempt::Lookup { name: &other },
            vec![format!(
                "{}, PORT being the service's, of the component itself",
                add("*://other.example:PORT")
            )],
        ),
        (&[], bind(Transport::Tcp, "0.0.0.0:0"), vec![]),
    ];
    for (texts, attempt, remedies) in rows {
        let mut world = World::new(&whole, &[]);
        world.policy = world.policy.for_part("web/a:b/c", list(texts));
        let situation = Situation {
            grants: &world.grants,
            peers: &world.peers,
            usage: world.usage,
            now: world.now,
        };
        let denials = world.policy.denials(&attempt, &situation);
        let told: Vec<String> = denials
            .iter()
            .filter_map(|denial| denial.remedy(&attempt))
            .map(|remedy| remedy.to_string())
            .collect();
        assert_eq!(told, remedies, "{texts:?}: {attempt}");
        let permitted = matches!(world.judge(&attempt), Decision::Allow(_));
        assert_eq!(permitted, denials.is_empty(), "{texts:?}: {attempt}");
    }
    // What the part looked up is granted where both lists have the name and the port.
    let mut world = World::new(&whole, &[]);
    world.policy = world
        .policy
        .for_part("web/a:b/c", list(&["*://db.example:5432", "*://other.example:*"]));
    world.grant("db.example", &[], &["192.0.2.1"]);
    world.grant("other.example", &[], &["192.0.2.2"]);
    assert_eq!(world.tcp("192.0.2.1:5432"), "allow");
    assert_eq!(world.tcp("192.0.2.1:80"), "allow.port", "its own list");
    assert_ne!(world.tcp("192.0.2.2:5432"), "allow", "the component's");
    world.policy = world.policy.for_part("web/a:b/c/d", list(&["*://*:80"]));
    assert_ne!(world.tcp("192.0.2.1:5432"), "allow", "a part of a part");
}

// proves: ORD-3
#[test]
fn a_decision_carries_its_rule_and_depends_on_nothing_but_its_arguments() {
    let mut world = World::new(&["*://10.0.0.0/8:5432", "*://db.example:6379"], &[]);
    world.grant("db.example", &[], &["192.0.2.1"]);
    let rule = |remote| match world.judge(&reach(Transport::Tcp, remote)) {
        Decision::Allow(permit) => {
            let rule = permit.rule().to_string();
            assert_eq!(permit.into_remote(), Some(endpoint(remote)));
            rule
        }
        Decision::Deny(denial) => denial.reason().code().to_owned(),
    };
    for _ in 0..2 {
        assert_eq!(rule("10.0.0.5:5432"), "*://10.0.0.0/8:5432 (the embedder)");
        assert_eq!(
            rule("192.0.2.1:6379"),
            "*://db.example:6379 (the embedder) by look-up of db.example"
        );
        assert_eq!(rule("192.0.2.1:6380"), "allow.port");
    }
    assert_eq!(world.policy.component(), "web");
    assert_eq!(world.policy.allow().entries().len(), 2);
}

fn bind(transport: Transport, local: &str) -> Attempt<'static> {
    Attempt::Bind {
        transport,
        local: local.parse().unwrap(),
    }
}

// proves: HL-1, HL-2
#[test]
fn nobody_can_make_a_guest_listen() {
    let world = World::with(&["*://*:*"], &[], |operator| {
        operator.limits = lifted();
    });
    for local in ["0.0.0.0:0", "127.0.0.1:8080", "[::]:0", "[::1]:80"] {
        let local = local.parse().unwrap();
        assert_eq!(world.code(&Attempt::Listen { local }), "hard.listen");
        assert_eq!(world.code(&Attempt::Accept { peer: local }), "hard.accept");
    }
}

fn lifted() -> RuntimeLimits {
    RuntimeLimits {
        udp: Limit::Lifted,
        loopback_ports: PortSet::all(),
        link_local: Limit::Lifted,
        loopback_answers: Limit::Lifted,
    }
}

// proves: HL-3
#[test]
fn a_guest_binds_only_to_what_the_system_would_choose() {
    let world = World::with(&["*://*:*"], &[], |operator| operator.limits = lifted());
    for (local, expected) in [
        ("0.0.0.0:0", "allow"),
        ("[::]:0", "allow"),
        ("0.0.0.0:1", "hard.bind"),
        ("0.0.0.0:8080", "hard.bind"),
        ("[::]:8080", "hard.bind"),
        ("127.0.0.1:0", "hard.bind"),
        ("[::1]:0", "hard.bind"),
        ("224.0.0.1:0", "hard.bind"),
        ("255.255.255.255:0", "hard.bind"),
    ] {
        for transport in [Transport::Tcp, Transport::Udp] {
            assert_eq!(
                world.code(&bind(transport, local)),
                expected,
                "{transport} {local}"
            );
        }
    }
}

// proves: HL-4
#[test]
fn a_permit_to_receive_is_no_permit_to_send() {
    let mut world = World::with(&["udp://10.0.0.5:53"], &[], udp_lifted);
    let peer = endpoint("10.0.0.5:53");
    world.peers.sent(peer, world.now);
    let leads_to = |attempt: &Attempt<'_>| match world.judge(attempt) {
        Decision::Allow(permit) => permit.into_remote(),
        Decision::Deny(denial) => panic!("{attempt}: {}", denial.reason().code()),
    };
    assert_eq!(leads_to(&send("10.0.0.5:53")), Some(peer));
    assert_eq!(leads_to(&reach(Transport::Udp, "10.0.0.5:53")), Some(peer));
    assert_eq!(leads_to(&Attempt::Receive { peer }), None);
}

// proves: ORD-3, RL-2, HL-5, HL-6
#[test]
fn a_datagram_is_judged_as_connecting_its_socket_is() {
    let rows = [
        "10.0.0.5:53",
        "10.0.0.5:54",
        "10.0.0.5:2000",
        "10.0.0.6:53",
        "10.0.0.7:53",
        "127.0.0.1:53",
        "169.254.1.1:53",
        "10.0.0.5:0",
        "0.0.0.0:53",
        "224.0.0.1:53",
        "[2001:db8::1]:53",
    ];
    for lifted in [false, true] {
        let lift = |operator: &mut Operator| {
            if lifted {
                udp_lifted(operator);
            }
        };
        let allow = ["udp://10.0.0.0/8:53", "tcp://10.0.0.5:54", "udp://*:1-1024"];
        let world = World::with(&allow, &["udp://10.0.0.7:*"], lift);
        for row in rows {
            let (connect, send) = (reach(Transport::Udp, row), send(row));
            assert_eq!(world.code(&send), world.code(&connect), "{row}");
            assert_eq!(world.remedy(&send), world.remedy(&connect), "{row}");
            assert_eq!(send.to_string(), connect.to_string());
        }
    }
}

#[test]
fn each_attempt_has_the_code_that_the_log_has_always_had_and_words_for_people() {
    let name = name("db.example");
    let host = Host::Name(name.clone());
    let (remote, local) = (endpoint("10.0.0.5:53"), "0.0.0.0:0".parse().unwrap());
    let [tcp, udp] = [Transport::Tcp, Transport::Udp];
    let scheme = &Scheme::HTTPS;
    let answer = Attempt::Answer {
        name: &name,
        chain: &[],
        address: remote.address,
        source: SERVER,
    };
    let request = Attempt::Request {
        scheme,
        host: &host,
        port: 443,
        method: RequestMethod::Other,
    };
    let dial = Attempt::Dial {
        scheme,
        host: &host,
        chain: &[],
        remote,
        source: SERVER,
    };
    let open = |kind| Attempt::Open {
        kind,
        label: "default",
    };
    let mut codes = BTreeSet::new();
    for (attempt, code, words) in [
        (
            Attempt::CreateSocket { transport: udp },
            "socket.create",
            "udp socket",
        ),
        (bind(tcp, "0.0.0.0:0"), "tcp.bind", "tcp bind to 0.0.0.0:0"),
        (bind(udp, "0.0.0.0:0"), "udp.bind", "udp bind to 0.0.0.0:0"),
        (Attempt::Listen { local }, "tcp.listen", "listen on 0.0.0.0:0"),
        (
            Attempt::Accept { peer: local },
            "tcp.accept",
            "accept from 0.0.0.0:0",
        ),
        (reach(tcp, "10.0.0.5:53"), "tcp.connect", "tcp 10.0.0.5:53"),
        (reach(udp, "10.0.0.5:53"), "udp.connect", "udp 10.0.0.5:53"),
        (Attempt::Send { remote }, "udp.send", "udp 10.0.0.5:53"),
        (
            Attempt::Receive { peer: remote },
            "udp.receive",
            "datagram from 10.0.0.5:53",
        ),
        (
            Attempt::Lookup { name: &name },
            "dns.lookup",
            "look-up of db.example",
        ),
        (answer, "dns.answer", "answer 10.0.0.5 for db.example"),
        (request, "http.request", "https://db.example:443"),
        (dial, "http.dial", "https://db.example at 10.0.0.5:53"),
        (
            Attempt::Tls {
                server: &host,
                ports: &[],
            },
            "tls.connect",
            "TLS with db.example",
        ),
        (
            open(LabelKind::KeyValueStore),
            "key-value.open",
            "key-value store `default`",
        ),
        (
            open(LabelKind::SqliteDatabase),
            "sqlite.open",
            "SQLite database `default`",
        ),
        (open(LabelKind::AiModel), "llm.infer", "model `default`"),
    ] {
        assert_eq!(attempt.operation(), code, "{attempt}");
        assert_eq!(attempt.to_string(), words);
        codes.insert(code);
    }
    for kind in LabelKind::ALL {
        assert!(codes.contains(kind.operation()), "{kind}");
    }
    for (scheme, connect, dial) in [
        ("https", "http.request", "http.dial"),
        ("redis", "redis.connect", "redis.dial"),
        ("rediss", "redis.connect", "redis.dial"),
        ("postgres", "postgres.connect", "postgres.dial"),
        ("postgresql", "postgres.connect", "postgres.dial"),
        ("mysql", "mysql.connect", "mysql.dial"),
        ("mqtt", "mqtt.connect", "mqtt.dial"),
        ("mqtts", "mqtt.connect", "mqtt.dial"),
        ("amqp", "url.connect", "url.dial"),
    ] {
        let scheme = &Scheme::parse(scheme).unwrap();
        let request = Attempt::Request {
            scheme,
            host: &host,
            port: 443,
            method: RequestMethod::Other,
        };
        let to_address = Attempt::Dial {
            scheme,
            host: &host,
            chain: &[],
            remote,
            source: SERVER,
        };
        assert_eq!(
            (request.operation(), to_address.operation()),
            (connect, dial),
            "{scheme}"
        );
        codes.extend([connect, dial]);
    }
    // What the log may hold is said in two places.
    let schema = include_str!("../../../../docs/schema/audit-log.json");
    let (_, decision) = schema
        .split_once("\"attempt\": {\n          \"enum\": [")
        .expect("a decision has an attempt");
    let (listed, _) = decision.split_once(']').expect("the list has an end");
    let listed: BTreeSet<&str> = listed
        .split(',')
        .map(|code| code.trim().trim_matches('"'))
        .collect();
    assert_eq!(listed, codes, "docs/schema/audit-log.json");
    let page = include_str!("../../../../docs/operating.md");
    for code in codes {
        assert!(
            page.contains(&format!("`{code}`")),
            "{code} is not in docs/operating.md"
        );
    }
}

// proves: HL-4
#[test]
fn a_datagram_comes_in_only_from_whom_one_was_sent_to() {
    let mut world = World::with(&["*://10.0.0.5:*", "tcp://10.0.0.6:*"], &[], udp_lifted);
    let receive = |world: &World, peer| world.code(&Attempt::Receive { peer: endpoint(peer) });
    assert_eq!(receive(&world, "10.0.0.5:53"), "hard.unsolicited");
    world.peers.sent(endpoint("10.0.0.5:53"), world.now);
    assert_eq!(receive(&world, "10.0.0.5:53"), "allow");
    assert_eq!(receive(&world, "10.0.0.5:54"), "hard.unsolicited", "another port");
    assert_eq!(
        receive(&world, "10.0.0.6:53"),
        "hard.unsolicited",
        "another address"
    );
    world.peers.sent(endpoint("10.0.0.6:53"), world.now);
    assert_eq!(
        receive(&world, "10.0.0.6:53"),
        "allow.scheme",
        "no longer permitted at the moment of arrival"
    );
    world.now += Duration::from_secs(121);
    assert_eq!(
        receive(&world, "10.0.0.5:53"),
        "hard.unsolicited",
        "idle too long"
    );
}

// proves: HL-5, HL-6
#[test]
fn multicast_port_zero_and_the_unspecified_address_are_no_destinations() {
    let world = World::with(&["*://*:*"], &[], |operator| operator.limits = lifted());
    for (remote, expected) in [
        ("223.255.255.255:9", "allow"),
        ("224.0.0.0:9", "hard.multicast"),
        ("239.255.255.255:9", "hard.multicast"),
        ("255.255.255.255:9", "hard.multicast"),
        ("[ff02::1]:9", "hard.multicast"),
        ("[64:ff9b::e000:1]:9", "hard.multicast"),
        ("10.0.0.5:0", "hard.port-zero"),
        ("0.0.0.0:80", "hard.unspecified"),
        ("[::]:80", "hard.unspecified"),
        ("0.0.0.1:80", "allow"),
    ] {
        assert_eq!(world.tcp(remote), expected, "{remote}");
        assert_eq!(world.udp(remote), expected, "{remote}");
        assert_eq!(
            world.dial(&Scheme::HTTP, "example.com", &[], remote),
            expected,
            "{remote}"
        );
    }
    let shut = World::new(&["*://*:*"], &[]);
    assert_eq!(
        shut.tcp("0.0.0.1:80"),
        "runtime.loopback-port",
        "0.0.0.0/8 counts as loopback for judging"
    );
}

// proves: HL-7, DL-6
#[test]
fn an_embedded_address_is_refused_with_the_one_it_embeds_and_never_permitted_by_it() {
    let forms = [
        "64:ff9b::a00:5",
        "64:ff9b:1::a00:5",
        "2002:a00:5::1",
        "2001:0:a00:5::1",
        "2001:db8::5efe:10.0.0.5",
        "::10.0.0.5",
    ];
    let denied = World::new(&["*://*:*"], &["*://10.0.0.0/8:*"]);
    let listed = World::new(&["*://10.0.0.0/8:*"], &[]);
    let itself = World::new(&["*://[::]/0:*"], &[]);
    for form in forms {
        let remote = format!("[{form}]:5432");
        assert_eq!(denied.tcp(&remote), "deny.network", "{form}");
        assert_eq!(listed.tcp(&remote), "allow.no-match", "{form}");
        assert_eq!(itself.tcp(&remote), "allow", "{form}");
    }
    assert_eq!(
        denied.tcp("[::ffff:10.0.0.5]:5432"),
        "deny.network",
        "a mapped address is the IPv4 address"
    );
    assert_eq!(listed.tcp("[::ffff:10.0.0.5]:5432"), "allow");
    let everything = World::new(&["*://*:*"], &[]);
    for form in [
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
    ] {
        assert_eq!(
            everything.tcp(&format!("[{form}]:22")),
            "runtime.loopback-port",
            "{form}"
        );
    }
    assert_eq!(everything.tcp("[64:ff9b::a9fe:a9fe]:8080"), "runtime.link-local");
}

// proves: RL-1, RL-5
#[test]
fn privileged_loopback_ports_stay_shut_until_lifted() {
    let shut = World::new(&["*://*:*"], &[]);
    let open = World::with(&["*://127.0.0.1:*"], &[], |operator| {
        operator.limits.loopback_ports = PortSet::parse("53,80-90").unwrap();
    });
    for (remote, by_default, lifted) in [
        ("127.0.0.1:1", "runtime.loopback-port", "runtime.loopback-port"),
        ("127.0.0.1:52", "runtime.loopback-port", "runtime.loopback-port"),
        ("127.0.0.1:53", "runtime.loopback-port", "allow"),
        ("127.0.0.1:80", "runtime.loopback-port", "allow"),
        ("127.0.0.1:90", "runtime.loopback-port", "allow"),
        ("127.0.0.1:91", "runtime.loopback-port", "runtime.loopback-port"),
        ("127.0.0.1:1023", "runtime.loopback-port", "runtime.loopback-port"),
        ("127.0.0.1:1024", "allow", "allow"),
        (
            "127.255.255.254:22",
            "runtime.loopback-port",
            "runtime.loopback-port",
        ),
        ("[::1]:22", "runtime.loopback-port", "runtime.loopback-port"),
        ("[::1]:80", "runtime.loopback-port", "allow.no-match"),
        ("128.0.0.1:22", "allow", "allow.no-match"),
    ] {
        assert_eq!(shut.tcp(remote), by_default, "{remote}");
        assert_eq!(open.tcp(remote), lifted, "{remote}");
    }
}

// proves: RL-2, RL-5, AL-4
#[test]
fn udp_stays_shut_until_lifted_and_still_needs_an_entry() {
    let allow = ["udp://10.0.0.5:53", "tcp://10.0.0.6:53", "*://10.0.0.7:53"];
    let create = Attempt::CreateSocket {
        transport: Transport::Udp,
    };
    let shut = World::new(&allow, &[]);
    assert_eq!(shut.code(&create), "runtime.udp");
    assert_eq!(shut.code(&bind(Transport::Udp, "0.0.0.0:0")), "runtime.udp");
    assert_eq!(shut.udp("10.0.0.5:53"), "runtime.udp");
    let open = World::with(&allow, &[], udp_lifted);
    assert_eq!(open.code(&create), "allow");
    for (remote, tcp, udp) in [
        ("10.0.0.5:53", "allow.scheme", "allow"),
        ("10.0.0.6:53", "allow", "allow.scheme"),
        ("10.0.0.7:53", "allow", "allow"),
        ("10.0.0.8:53", "allow.no-match", "allow.no-match"),
    ] {
        assert_eq!(open.tcp(remote), tcp, "{remote}");
        assert_eq!(open.udp(remote), udp, "{remote}");
    }
}

// proves: RL-3, RL-4
#[test]
fn link_local_and_metadata_addresses_stay_shut_for_sockets_and_http() {
    let shut = World::new(&["*://*:*"], &[]);
    let open = World::with(&["*://*:*"], &[], |operator| {
        operator.limits.link_local = Limit::Lifted
    });
    for (ip, refused) in [
        ("169.254.169.254", true),
        ("169.253.255.255", false),
        ("[fe80::1]", true),
        ("[fec0::1]", false),
        ("[fd00:ec2::254]", true),
        ("100.100.100.200", true),
        ("100.100.100.201", false),
        ("168.63.129.16", true),
        ("192.0.0.192", true),
    ] {
        let expected = if refused { "runtime.link-local" } else { "allow" };
        let remote = format!("{ip}:8080");
        assert_eq!(shut.tcp(&remote), expected, "{ip}");
        assert_eq!(shut.request(&Scheme::HTTP, ip, 8080), expected, "{ip}");
        assert_eq!(shut.dial(&Scheme::HTTP, ip, &[], &remote), expected, "{ip}");
        assert_eq!(open.tcp(&remote), "allow", "{ip}");
    }
    assert_eq!(
        shut.request(&Scheme::HTTP, "127.0.0.1", 80),
        "runtime.loopback-port"
    );
    assert_eq!(
        shut.dial(&Scheme::HTTP, "127.0.0.1", &[], "127.0.0.1:80"),
        "runtime.loopback-port"
    );
}

// proves: DL-1
#[test]
fn the_deny_list_beats_every_allow() {
    let world = World::new(
        &["*://10.0.0.5:5432", "*://*:*"],
        &["*://10.0.0.5:5432", "*://*.evil.example:*"],
    );
    assert_eq!(world.tcp("10.0.0.5:5432"), "deny.host");
    assert_eq!(world.tcp("10.0.0.5:5433"), "allow");
    assert_eq!(world.lookup("a.b.evil.example"), "deny.host");
    assert_eq!(world.lookup("evil.example"), "allow");
    assert_eq!(world.request(&Scheme::HTTP, "a.evil.example", 80), "deny.host");
}

// proves: DL-2
#[test]
fn a_scheme_on_the_deny_list_denies_what_could_be_it() {
    for (deny, tcp, udp, http, https) in [
        (
            "*://10.0.0.5:443",
            "deny.host",
            "deny.host",
            "deny.host",
            "deny.host",
        ),
        ("https://10.0.0.5:443", "deny.host", "allow", "allow", "deny.host"),
        ("http://10.0.0.5:443", "deny.host", "allow", "deny.host", "allow"),
        ("redis://10.0.0.5:443", "deny.host", "allow", "allow", "allow"),
        (
            "tcp://10.0.0.5:443",
            "deny.host",
            "allow",
            "deny.host",
            "deny.host",
        ),
        ("udp://10.0.0.5:443", "allow", "deny.host", "allow", "allow"),
    ] {
        let world = World::with(&["*://*:*"], &[deny], udp_lifted);
        assert_eq!(world.tcp("10.0.0.5:443"), tcp, "{deny}");
        assert_eq!(world.udp("10.0.0.5:443"), udp, "{deny}");
        assert_eq!(world.request(&Scheme::HTTP, "10.0.0.5", 443), http, "{deny}");
        assert_eq!(world.request(&Scheme::HTTPS, "10.0.0.5", 443), https, "{deny}");
        assert_eq!(world.tcp("10.0.0.5:444"), "allow", "{deny}");
    }
}

/// Each scheme of an interface that the host has beside HTTP, with its port.
const INTERFACES: [(&str, u16); 8] = [
    ("redis", 6379),
    ("rediss", 6379),
    ("postgres", 5432),
    ("postgresql", 5432),
    ("mysql", 3306),
    ("mariadb", 3306),
    ("mqtt", 1883),
    ("mqtts", 8883),
];

// proves: AL-9, HI-3
#[test]
fn schemes_of_one_protocol_count_as_one_for_those_who_permit_and_those_who_deny() {
    let pairs = [
        ("redis", "rediss", true),
        ("postgres", "postgresql", true),
        ("mysql", "mariadb", true),
        ("mqtt", "mqtts", true),
        ("http", "https", false),
        ("redis", "mysql", false),
        ("redisss", "redis", false),
    ];
    for (one, other, same) in pairs {
        for (entry, asked) in [(one, other), (other, one)] {
            let scheme = Scheme::parse(asked).unwrap();
            let entry = format!("{entry}://10.0.0.5:7000");
            let (permitted, denied) = if same {
                ("allow", "deny.host")
            } else {
                ("allow.scheme", "allow")
            };
            let world = World::new(&[&entry], &[]);
            assert_eq!(
                world.request(&scheme, "10.0.0.5", 7000),
                permitted,
                "{entry} {asked}"
            );
            let world = World::new(&["*://*:*"], &[&entry]);
            assert_eq!(
                world.request(&scheme, "10.0.0.5", 7000),
                denied,
                "{entry} {asked}"
            );
        }
    }
    assert_eq!(
        Scheme::parse("REDISS").unwrap().to_string(),
        "rediss",
        "it is told as it is written"
    );
}

// proves: HI-2, AL-1, AL-9
#[test]
fn an_interface_needs_an_entry_of_its_scheme_or_for_all_and_gives_no_socket() {
    for (text, port) in INTERFACES {
        let scheme = Scheme::parse(text).unwrap();
        let rows = [
            (format!("{text}://10.0.0.5"), "allow", "allow.scheme"),
            (format!("{text}://10.0.0.5:{port}"), "allow", "allow.scheme"),
            (format!("{text}://10.0.0.0/8:*"), "allow", "allow.scheme"),
            (
                format!("{{http,{text}}}://10.0.0.5:{port}"),
                "allow",
                "allow.scheme",
            ),
            (format!("*://10.0.0.5:{port}"), "allow", "allow"),
            (format!("*://*:{port}"), "allow", "allow"),
            (format!("tcp://10.0.0.5:{port}"), "allow.scheme", "allow"),
            (format!("udp://10.0.0.5:{port}"), "allow.scheme", "allow.scheme"),
            (format!("http://10.0.0.5:{port}"), "allow.scheme", "allow.scheme"),
            (format!("amqp://10.0.0.5:{port}"), "allow.scheme", "allow.scheme"),
            (format!("{text}://10.0.0.5:1"), "allow.port", "allow.scheme"),
            (format!("{text}://10.0.0.6"), "allow.no-match", "allow.no-match"),
        ];
        for (entry, interface, socket) in rows {
            let world = World::new(&[&entry], &[]);
            let remote = format!("10.0.0.5:{port}");
            assert_eq!(
                world.request(&scheme, "10.0.0.5", port),
                interface,
                "{text}: {entry}"
            );
            assert_eq!(
                world.dial(&scheme, "10.0.0.5", &[], &remote),
                interface,
                "{text}: {entry}"
            );
            assert_eq!(world.tcp(&remote), socket, "{text}: {entry}");
        }
        // Layers 1 to 3 are those of HTTP.
        let world = World::new(&["*://*:*"], &[]);
        assert_eq!(world.request(&scheme, "10.0.0.5", 0), "hard.port-zero", "{text}");
        assert_eq!(
            world.request(&scheme, "224.0.0.1", port),
            "hard.multicast",
            "{text}"
        );
        assert_eq!(
            world.request(&scheme, "127.0.0.1", 80),
            "runtime.loopback-port",
            "{text}"
        );
        assert_eq!(
            world.request(&scheme, "169.254.169.254", port),
            "runtime.link-local",
            "{text}"
        );
        let remote = format!("127.0.0.1:{port}");
        assert_eq!(
            world.dial(&scheme, "db.example", &[], &remote),
            "dns.rebinding",
            "{text}"
        );
    }
}

// proves: HI-3, DL-2, DL-4
#[test]
fn an_entry_of_an_interface_on_the_deny_list_denies_it_and_raw_tcp() {
    for (text, port) in INTERFACES {
        let scheme = Scheme::parse(text).unwrap();
        let rows = [
            (
                format!("{text}://{{10.0.0.5,db.example}}:{port}"),
                "deny.host",
                "deny.host",
            ),
            (
                format!("{text}://{{10.0.0.5,db.example}}"),
                "deny.host",
                "deny.host",
            ),
            (
                format!("*://{{10.0.0.5,db.example}}:{port}"),
                "deny.host",
                "deny.host",
            ),
            (
                format!("tcp://{{10.0.0.5,db.example}}:{port}"),
                "deny.host",
                "deny.host",
            ),
            (format!("udp://{{10.0.0.5,db.example}}:{port}"), "allow", "allow"),
            (
                format!("amqp://{{10.0.0.5,db.example}}:{port}"),
                "allow",
                "deny.host",
            ),
            (format!("{text}://{{10.0.0.5,db.example}}:1"), "allow", "allow"),
        ];
        for (entry, interface, socket) in rows {
            let world = World::new(&["*://*:*"], &[&entry]);
            let remote = format!("10.0.0.5:{port}");
            let alias = if interface == "allow" {
                "allow"
            } else {
                "deny.cname"
            };
            assert_eq!(
                world.request(&scheme, "10.0.0.5", port),
                interface,
                "{text}: {entry}"
            );
            assert_eq!(
                world.request(&scheme, "db.example", port),
                interface,
                "{text}: {entry}"
            );
            assert_eq!(
                world.dial(&scheme, "other.example", &[], &remote),
                interface,
                "{text}: {entry}"
            );
            let elsewhere = format!("10.0.0.6:{port}");
            let by_alias = world.dial(&scheme, "other.example", &["db.example"], &elsewhere);
            assert_eq!(by_alias, alias, "{text}: {entry}");
            assert_eq!(world.tcp(&remote), socket, "{text}: {entry}");
        }
    }
}

// proves: HI-6
#[test]
fn an_address_of_the_operators_own_is_not_asked_about_in_the_operators_layers() {
    let mut world = World::new(&[], &["*://*:*"]);
    let own = AllowList::of_operator(entries(&["redis://{cache.internal,127.0.0.1}:80"]));
    world.policy = Policy::new("store", Arc::new(own), Arc::new(world.policy.operator().clone()));
    let redis = Scheme::parse("redis").unwrap();
    for (host, port, remote, by_name, by_address) in [
        ("cache.internal", 80, "10.0.0.5:80", "allow", "allow"),
        ("cache.internal", 80, "127.0.0.1:80", "allow", "allow"),
        ("cache.internal", 80, "169.254.169.254:80", "allow", "allow"),
        ("cache.internal", 80, "224.0.0.1:80", "allow", "hard.multicast"),
        ("127.0.0.1", 80, "127.0.0.1:80", "allow", "allow"),
        ("cache.internal", 81, "10.0.0.5:81", "allow.port", "allow.port"),
        (
            "other.internal",
            80,
            "10.0.0.5:80",
            "allow.no-match",
            "allow.no-match",
        ),
        ("10.0.0.5", 80, "10.0.0.5:80", "allow.no-match", "allow.no-match"),
    ] {
        assert_eq!(world.request(&redis, host, port), by_name, "{host}:{port}");
        assert_eq!(
            world.dial(&redis, host, &[], remote),
            by_address,
            "{host} at {remote}"
        );
    }
    assert_eq!(world.tcp("127.0.0.1:80"), "allow.scheme");
    world.usage.sockets_of_instance = u32::MAX;
    assert_eq!(
        world.dial(&redis, "cache.internal", &[], "10.0.0.5:80"),
        "quota.connections"
    );
}

// proves: DL-3
#[test]
fn a_name_denied_on_all_ports_cannot_be_looked_up_and_on_some_ports_only_there() {
    for (deny, lookup, with_udp) in [
        (&["*://db.example:*"][..], "deny.host", "deny.host"),
        (
            &["*://db.example:1-1000", "*://*.example:1001-65535"],
            "deny.host",
            "deny.host",
        ),
        (&["*://db.example:1-65534"], "allow", "allow"),
        (&["tcp://db.example:*"], "deny.host", "allow"),
        (&["https://db.example:*"], "deny.host", "allow"),
        (&["udp://db.example:*"], "allow", "allow"),
        (&["*://*.db.example:*"], "allow", "allow"),
    ] {
        assert_eq!(
            World::new(&["*://*:*"], deny).lookup("db.example"),
            lookup,
            "{deny:?}"
        );
        assert_eq!(
            World::with(&["*://*:*"], deny, udp_lifted).lookup("DB.example."),
            with_udp,
            "{deny:?}"
        );
    }
    let mut world = World::new(&["*://db.example:*"], &["*://db.example:6379"]);
    world.grant("db.example", &[], &["192.0.2.1"]);
    assert_eq!(world.tcp("192.0.2.1:5432"), "allow");
    assert_eq!(
        world.tcp("192.0.2.1:6379"),
        "deny.host",
        "the grant leaves the denied port out"
    );
}

// proves: DL-4
#[test]
fn an_alias_of_a_denied_name_is_denied_on_the_same_ports() {
    let world = World::new(&["*://*.example:*"], &["*://*.evil.test:*", "*://half.test:80"]);
    assert_eq!(
        world.answer("a.example", &["x.evil.test"], "192.0.2.1", SERVER),
        "deny.cname"
    );
    assert_eq!(
        world.answer("a.example", &["b.test", "x.evil.test"], "192.0.2.1", SERVER),
        "deny.cname"
    );
    assert_eq!(
        world.answer("a.example", &["half.test"], "192.0.2.1", SERVER),
        "allow"
    );
    let mut world = world;
    world.grant("a.example", &["half.test"], &["192.0.2.1"]);
    assert_eq!(world.tcp("192.0.2.1:80"), "deny.cname");
    assert_eq!(world.tcp("192.0.2.1:81"), "allow");
    let web = World::new(&["http://*.example"], &["http://half.test"]);
    assert_eq!(
        web.dial(&Scheme::HTTP, "a.example", &["half.test"], "192.0.2.1:80"),
        "deny.cname"
    );
    assert_eq!(web.dial(&Scheme::HTTP, "a.example", &[], "192.0.2.1:80"), "allow");
}

// proves: DL-5
#[test]
fn the_addresses_of_denied_names_are_denied_by_literal_address_on_the_same_ports() {
    let world = World::with(
        &["*://*:*"],
        &["*://db.example:5432", "*://*.evil.example:*", "*://localhost:9"],
        |operator| {
            assert_eq!(operator.deny.exact_names(), [name("db.example")]);
            let mut learned = LearnedAddresses::default();
            learned.insert(&name("db.example"), [address("192.0.2.9")]);
            learned.insert(
                &name("db.example"),
                [address("192.0.2.1"), address("2001:db8::1")],
            );
            operator.deny = operator.deny.with_learned(learned);
        },
    );
    let attempt = reach(Transport::Tcp, "192.0.2.1:5432");
    let Decision::Deny(denial) = world.judge(&attempt) else {
        panic!("allowed")
    };
    assert_eq!(denial.reason(), Reason::DenyNameAddress);
    assert_eq!(
        denial.name(),
        Some(&name("db.example")),
        "the log says for which name"
    );
    assert_eq!(world.tcp("[2001:db8::1]:5432"), "deny.name-address");
    assert_eq!(world.tcp("[64:ff9b::192.0.2.1]:5432"), "deny.name-address");
    assert_eq!(world.tcp("192.0.2.1:5433"), "allow");
    assert_eq!(
        world.tcp("192.0.2.9:5432"),
        "allow",
        "a newer answer took its place"
    );
    assert_eq!(
        world.dial(&Scheme::HTTP, "web.example", &[], "192.0.2.1:5432"),
        "deny.name-address"
    );
}

// proves: DL-7
#[test]
fn blocked_networks_hold_for_all_ports_and_schemes() {
    for (blocked, remote, expected) in [
        ("10.0.0.0/8", "10.1.2.3:9999", "deny.network"),
        ("10.0.0.0/8", "11.0.0.0:9999", "allow"),
        ("private", "192.168.0.1:1", "deny.network"),
        ("private", "127.0.0.1:8080", "deny.network"),
        ("private", "93.184.216.34:80", "allow"),
        ("private", "[fd00::1]:80", "deny.network"),
        ("private", "[64:ff9b::a00:5]:80", "deny.network"),
    ] {
        let world = World::with(&["*://*:*"], &[], |operator| {
            udp_lifted(operator);
            operator.deny = DenyList::compile(
                Vec::new(),
                vec![BlockedNetwork::parse(blocked, Location::Code).unwrap()],
            );
        });
        assert_eq!(world.tcp(remote), expected, "{blocked} {remote}");
        assert_eq!(world.udp(remote), expected, "{blocked} {remote}");
        assert_eq!(
            world.dial(&Scheme::HTTPS, "a.example", &[], remote),
            expected,
            "{blocked} {remote}"
        );
        assert_eq!(
            world.answer(
                "a.example",
                &[],
                &endpoint(remote).address.to_string(),
                AnswerSource::HostsFile
            ),
            expected
        );
    }
}

// proves: DL-7, RSN-2
#[test]
fn a_refusal_cites_what_the_operator_wrote() {
    let world = World::with(&["*://*:*"], &[], |operator| {
        operator.deny = DenyList::compile(
            entries(&["*://172.16.0.0/12:*"]),
            vec![BlockedNetwork::parse("10.0.0.0/9", Location::Code).unwrap()],
        );
    });
    let undeny = |text: &str| {
        Some(Remedy::Undeny {
            text: text.into(),
            location: Location::Code,
        })
    };
    for (remote, entry, network, cited, remedy) in [
        ("10.200.0.1:80", None, None, None, None),
        ("224.0.0.1:80", None, None, None, None),
        (
            "172.16.0.1:80",
            Some("*://172.16.0.0/12:*"),
            None,
            Some("*://172.16.0.0/12:* (the embedder)"),
            undeny("*://172.16.0.0/12:*"),
        ),
        (
            "10.1.0.1:80",
            None,
            Some("10.0.0.0/9"),
            Some("10.0.0.0/9 (the embedder)"),
            undeny("10.0.0.0/9"),
        ),
    ] {
        let attempt = reach(Transport::Tcp, remote);
        let denial = match world.judge(&attempt) {
            Decision::Allow(_) => None,
            Decision::Deny(denial) => Some(denial),
        };
        let denial = denial.as_ref();
        assert_eq!(
            denial.and_then(Denial::denied_by).map(Entry::text),
            entry,
            "{remote}"
        );
        let by = denial.and_then(Denial::blocked_by).map(BlockedNetwork::to_string);
        assert_eq!(by.as_deref(), network, "{remote}");
        assert_eq!(denial.and_then(Denial::cited).as_deref(), cited, "{remote}");
        assert_eq!(world.remedy(&attempt), remedy, "{remote}");
    }
}

// proves: DL-8
#[test]
fn localhost_on_the_deny_list_covers_the_loopback_addresses() {
    for deny in ["*://localhost:*", "*://*.localhost:*", "http://localhost:8080"] {
        let world = World::new(&["*://*:*"], &[deny]);
        for remote in [
            "127.0.0.1:8080",
            "127.9.9.9:8080",
            "[::1]:8080",
            "0.0.0.1:8080",
            "[::ffff:127.0.0.1]:8080",
        ] {
            assert_eq!(world.tcp(remote), "deny.host", "{deny} {remote}");
        }
        assert_eq!(world.tcp("128.0.0.1:8080"), "allow", "{deny}");
    }
    let ports = World::new(&["*://*:*"], &["*://localhost:8080"]);
    assert_eq!(ports.tcp("127.0.0.1:8081"), "allow");
    assert_eq!(ports.lookup("localhost"), "allow");
    assert_eq!(
        World::new(&["*://*:*"], &["*://localhost:*"]).lookup("localhost"),
        "deny.host"
    );
}

// proves: AL-3, AL-9
#[test]
fn only_an_entry_for_all_schemes_or_for_sockets_permits_a_socket() {
    for (entry, expected) in [
        ("*://192.168.0.1:80", "allow"),
        ("tcp://192.168.0.1:80", "allow"),
        ("{http,tcp}://192.168.0.1:80", "allow"),
        ("http://192.168.0.1", "allow.scheme"),
        ("https://192.168.0.1:80", "allow.scheme"),
        ("redis://192.168.0.1:80", "allow.scheme"),
        ("udp://192.168.0.1:80", "allow.scheme"),
    ] {
        assert_eq!(
            World::new(&[entry], &[]).tcp("192.168.0.1:80"),
            expected,
            "{entry}"
        );
    }
}

// proves: AL-5
#[test]
fn names_and_addresses_do_not_stand_for_each_other() {
    let by_name = World::new(&["*://*.example.com:443", "*://[2001:db8::]/32:443"], &[]);
    assert_eq!(by_name.lookup("a.example.com"), "allow");
    assert_eq!(by_name.lookup("a.b.example.com"), "allow");
    assert_eq!(by_name.lookup("example.com"), "dns.name-not-allowed");
    assert_eq!(by_name.tcp("192.0.2.1:443"), "allow.name-not-looked-up");
    let by_network = World::new(&["*://0.0.0.0/0:443"], &[]);
    assert_eq!(by_network.lookup("example.com"), "dns.name-not-allowed");
    assert_eq!(by_network.tcp("192.0.2.1:443"), "allow");
    assert_eq!(by_network.tcp("[2001:db8::1]:443"), "allow.no-match");
    let any = World::new(&["*://*:443"], &[]);
    assert_eq!(
        (any.lookup("example.com"), any.tcp("[2001:db8::1]:443")),
        ("allow", "allow")
    );
}

// proves: AL-6
#[test]
fn requests_are_matched_by_the_host_as_written() {
    let world = World::new(
        &[
            "https://api.example",
            "http://10.0.0.0/8",
            "*://both.example:*",
            "tcp://sock.example:443",
        ],
        &[],
    );
    for (scheme, host, port, expected) in [
        (Scheme::HTTPS, "api.example", 443, "allow"),
        (Scheme::HTTPS, "API.example.", 443, "allow"),
        (Scheme::HTTPS, "api.example", 8443, "allow.port"),
        (Scheme::HTTP, "api.example", 443, "allow.scheme"),
        (Scheme::HTTP, "10.1.2.3", 80, "allow"),
        (Scheme::HTTP, "both.example", 8080, "allow"),
        (Scheme::HTTPS, "sock.example", 443, "allow.scheme"),
        (Scheme::HTTPS, "other.example", 443, "allow.no-match"),
        (Scheme::HTTPS, "api.example", 0, "hard.port-zero"),
    ] {
        assert_eq!(
            world.request(&scheme, host, port),
            expected,
            "{scheme}://{host}:{port}"
        );
    }
    let host = Host::parse("api.example").unwrap();
    let connect = Attempt::Request {
        scheme: &Scheme::HTTPS,
        host: &host,
        port: 443,
        method: RequestMethod::Connect,
    };
    assert_eq!(world.code(&connect), "http.connect-method");
}

// proves: AL-7
#[test]
fn self_and_service_chaining_are_for_http_only() {
    let world = World::new(&["http://self", "http://*.spin.internal", "*://*:*"], &[]);
    assert_eq!(
        World::new(&["http://self"], &[]).request(&Scheme::HTTP, "self", 80),
        "allow"
    );
    assert_eq!(
        World::new(&["http://other"], &[]).request(&Scheme::HTTP, "self", 80),
        "allow.no-match"
    );
    assert_eq!(world.request(&Scheme::HTTP, "back.spin.internal", 80), "allow");
    assert_eq!(world.lookup("back.spin.internal"), "dns.name-not-allowed");
    assert_eq!(world.lookup("spin.internal"), "dns.name-not-allowed");
    let redis = Scheme::parse("redis").unwrap();
    assert_eq!(
        world.request(&redis, "back.spin.internal", 80),
        "dns.name-not-allowed"
    );
    assert_eq!(
        world.dial(&redis, "back.spin.internal", &[], "10.0.0.5:80"),
        "dns.name-not-allowed"
    );
}

// proves: AL-10
#[test]
fn every_spelling_of_the_app_itself_is_one_destination() {
    let spellings = [
        (Scheme::HTTP, "self", 80),
        (Scheme::HTTPS, "self", 443),
        (Scheme::HTTP, "self", 3000),
        (Scheme::HTTP, "SELF.", 80),
        (Scheme::HTTP, "self.alt", 80),
        (Scheme::HTTPS, "Self.Alt.", 8443),
    ];
    let rows: [(&[&str], &[&str], &str); 20] = [
        (&["http://self"], &[], "allow"),
        (&["https://self"], &[], "allow"),
        (&["http://self.alt"], &[], "allow"),
        (&["*://self.:9"], &[], "allow"),
        (&["http://*"], &[], "allow"),
        (&["*://*:*"], &[], "allow"),
        (&["*://*:5432"], &[], "allow.port"),
        (&["https://*"], &[], "allow.scheme"),
        (&["http://*.alt"], &[], "allow.no-match"),
        (&[], &[], "allow.none"),
        (&["http://self"], &["*://self:*"], "deny.host"),
        (&["http://self"], &["http://self"], "deny.host"),
        (&["http://self"], &["https://SELF.ALT"], "deny.host"),
        (&["http://self"], &["http://self:1"], "deny.host"),
        (
            &["http://self"],
            &["{http,https}://{a.example,self}"],
            "deny.host",
        ),
        (&["http://self"], &["*://*:*"], "deny.host"),
        (&["http://self"], &["http://*"], "deny.host"),
        (&["http://self"], &["tcp://*:80"], "deny.host"),
        (
            &["http://self"],
            &["*://*:5432", "*://localhost:*", "*://127.0.0.0/8:*"],
            "allow",
        ),
        (
            &["http://self"],
            &["*://*.self:*", "*://*.alt:*", "udp://*:*"],
            "allow",
        ),
    ];
    for (allow, deny, expected) in rows {
        let world = World::new(allow, deny);
        for (scheme, host, port) in &spellings {
            let found = world.request(scheme, host, *port);
            assert_eq!(
                found, expected,
                "{scheme}://{host}:{port}, {allow:?} without {deny:?}"
            );
        }
    }
    let redis = Scheme::parse("redis").unwrap();
    assert_eq!(
        World::new(&["http://self"], &[]).request(&redis, "self", 80),
        "allow.no-match"
    );
}

// proves: AL-7, AL-10
#[test]
fn a_component_is_denied_on_every_port_and_allowed_as_it_is_written() {
    let spellings = [
        (Scheme::HTTP, 80, "allow"),
        (Scheme::HTTP, 81, "allow.port"),
        (Scheme::HTTPS, 443, "allow.scheme"),
    ];
    let rows: [(&[&str], bool); 14] = [
        (&[], false),
        (&["http://back.spin.internal"], true),
        (&["https://BACK.spin.internal.:9"], true),
        (&["tcp://back.spin.internal:9"], true),
        (&["*://{a.example,*.spin.internal}:9"], true),
        (&["*://*.internal:443"], true),
        (&["http://*"], true),
        (&["*://*:80"], true),
        (&["*://*:*"], true),
        (&["*://*:9"], false),
        (&["udp://*.spin.internal:*"], false),
        (&["redis://back.spin.internal"], false),
        (
            &[
                "http://self",
                "http://front.spin.internal",
                "*://*.back.spin.internal:*",
            ],
            false,
        ),
        (&["*://localhost:*", "*://127.0.0.0/8:*"], false),
    ];
    for (deny, denied) in rows {
        let world = World::new(&["http://back.spin.internal"], deny);
        for (scheme, port, allowed) in &spellings {
            let expected = if denied { "deny.host" } else { *allowed };
            let found = world.request(scheme, "back.spin.internal", *port);
            assert_eq!(found, expected, "{scheme} on {port} without {deny:?}");
        }
    }
    let world = World::new(&["*://*:*"], &["*://*:443"]);
    assert_eq!(
        world.request(&Scheme::HTTPS, "back.spin.internal", 443),
        "deny.host"
    );
    assert_eq!(world.request(&Scheme::HTTP, "back.spin.internal", 81), "allow");
}

// proves: DNS-1
#[test]
fn a_name_is_looked_up_only_for_a_socket() {
    for (allow, text, expected) in [
        (&["*://db.example:5432"][..], "db.example", "allow"),
        (&["tcp://db.example:5432"], "db.example", "allow"),
        (&["udp://db.example:5432"], "db.example", "allow"),
        (&["*://*.example:5432"], "a.db.example", "allow"),
        (&["*://*:5432"], "db.example", "allow"),
        (&["http://db.example"], "db.example", "allow.scheme"),
        (&["redis://db.example"], "db.example", "allow.scheme"),
        (&["*://10.0.0.0/8:*"], "db.example", "dns.name-not-allowed"),
        (&["*://other.example:*"], "db.example", "dns.name-not-allowed"),
        (&[], "db.example", "allow.none"),
    ] {
        assert_eq!(World::new(allow, &[]).lookup(text), expected, "{allow:?} {text}");
    }
}

// proves: DNS-3, DNS-4
#[test]
fn an_answer_opens_the_ports_and_protocols_of_the_entries_for_its_name() {
    let allow = [
        "*://db.example:5432",
        "tcp://*.example:6379",
        "udp://db.example:53",
        "https://db.example",
    ];
    let mut world = World::with(&allow, &[], udp_lifted);
    assert_eq!(world.tcp("192.0.2.1:5432"), "allow.name-not-looked-up");
    world.grant("db.example", &[], &["192.0.2.1"]);
    for (remote, tcp, udp) in [
        ("192.0.2.1:5432", "allow", "allow"),
        ("192.0.2.1:6379", "allow", "allow.scheme"),
        ("192.0.2.1:53", "allow.scheme", "allow"),
        ("192.0.2.1:443", "allow.scheme", "allow.scheme"),
        ("192.0.2.1:80", "allow.port", "allow.port"),
        (
            "192.0.2.2:5432",
            "allow.name-not-looked-up",
            "allow.name-not-looked-up",
        ),
    ] {
        assert_eq!(world.tcp(remote), tcp, "{remote}");
        assert_eq!(world.udp(remote), udp, "{remote}");
    }
    world.grant("db.example", &[], &["192.0.2.2"]);
    assert_eq!(world.tcp("192.0.2.1:5432"), "grant.replaced");
    assert_eq!(world.tcp("192.0.2.2:5432"), "allow");
}

// proves: DNS-9
#[test]
fn a_server_cannot_turn_a_name_into_this_machine() {
    let guarded = [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "0.0.0.0",
        "::",
        "fe80::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ];
    let plain = World::with(&["*://*:*"], &[], |operator| {
        operator.limits.link_local = Limit::Lifted
    });
    for given in guarded {
        assert_eq!(
            plain.answer("a.example", &[], given, SERVER),
            "dns.rebinding",
            "{given}"
        );
        assert_eq!(
            plain.answer("a.example", &[], given, AnswerSource::HostsFile),
            "allow",
            "{given}"
        );
        assert_eq!(
            plain.answer("localhost", &[], given, AnswerSource::Localhost),
            "allow",
            "{given}"
        );
        let remote = format!("[{given}]:8080");
        let remote = if given.contains(':') {
            remote
        } else {
            format!("{given}:8080")
        };
        if !address(given).is_unspecified() {
            assert_eq!(
                plain.dial(&Scheme::HTTP, "a.example", &[], &remote),
                "dns.rebinding",
                "{given}"
            );
        }
    }
    assert_eq!(
        plain.answer("a.example", &[], "224.0.0.1", SERVER),
        "hard.multicast"
    );
    assert_eq!(
        plain.answer("a.example", &[], "10.0.0.5", SERVER),
        "allow",
        "a private address is no rebinding"
    );
    for (allow, given, expected) in [
        ("*://127.0.0.1:8080", "127.0.0.1", "allow"),
        ("tcp://127.0.0.0/8:8080", "127.8.8.8", "allow"),
        ("http://127.0.0.1:8080", "127.0.0.1", "dns.rebinding"),
        ("*://127.0.0.1:8080", "::1", "dns.rebinding"),
        ("*://127.0.0.1:8080", "64:ff9b::7f00:1", "dns.rebinding"),
        ("*://[64:ff9b::]/96:8080", "64:ff9b::7f00:1", "allow"),
    ] {
        let world = World::new(&["*://a.example:*", allow], &[]);
        assert_eq!(
            world.answer("a.example", &[], given, SERVER),
            expected,
            "{allow} {given}"
        );
    }
    let lifted = World::with(&["*://a.example:*"], &[], |operator| {
        operator.limits.loopback_answers = Limit::Lifted;
    });
    assert_eq!(lifted.answer("a.example", &[], "127.0.0.1", SERVER), "allow");
    assert_eq!(
        lifted.answer("a.example", &[], "fe80::1", SERVER),
        "runtime.link-local"
    );
}

// proves: DNS-9
#[test]
fn an_address_that_is_refused_on_all_ports_is_no_answer_and_on_some_ports_it_is() {
    for (deny, given, expected) in [
        (&["*://192.0.2.1:*"][..], "192.0.2.1", "deny.host"),
        (&["*://192.0.2.0/24:*"], "192.0.2.1", "deny.network"),
        (
            &["*://192.0.2.0/24:1-1000", "*://192.0.2.1:1001-65535"],
            "192.0.2.1",
            "deny.network",
        ),
        (&["*://192.0.2.0/24:1-1000"], "192.0.2.1", "allow"),
        (&["*://192.0.2.1:*"], "64:ff9b::192.0.2.1", "deny.host"),
        (&[], "169.254.169.254", "runtime.link-local"),
    ] {
        let world = World::new(&["*://a.example:*"], deny);
        assert_eq!(
            world.answer("a.example", &[], given, SERVER),
            expected,
            "{deny:?} {given}"
        );
    }
}

// proves: DNS-13
#[test]
fn every_address_of_a_request_is_judged_by_the_first_three_layers() {
    let world = World::new(
        &["https://api.example"],
        &["*://192.0.2.66:*", "https://denied.example"],
    );
    for (remote, expected) in [
        ("192.0.2.1:443", "allow"),
        ("192.0.2.66:443", "deny.host"),
        ("169.254.169.254:443", "runtime.link-local"),
        ("127.0.0.1:443", "runtime.loopback-port"),
        ("[::1]:443", "runtime.loopback-port"),
        ("224.0.0.1:443", "hard.multicast"),
    ] {
        assert_eq!(
            world.dial(&Scheme::HTTPS, "api.example", &[], remote),
            expected,
            "{remote}"
        );
    }
    let mut world = world;
    world.grant("api.example", &[], &["192.0.2.1"]);
    assert_eq!(
        world.tcp("192.0.2.1:443"),
        "allow.scheme",
        "a request grants nothing to sockets"
    );
}

// proves: RSN-2, RSN-5
#[test]
fn what_would_permit_requests_and_answers_is_no_wider_than_they_are() {
    let allow = [
        "http://listed.example",
        "*://a.example:*",
        "https://b.example",
        "http://range.example:80-90",
        "{http,https}://two.example",
        "{http,https}://same.example:8080",
    ];
    let mut world = World::with(&allow, &[], |operator| {
        operator.limits.link_local = Limit::Lifted;
    });
    let add = |text: &str| Some(Remedy::AddEntry(text.to_owned()));
    let switch = |text: &str| Some(Remedy::Switch(text.to_owned()));
    let with_port = |text: &str| Some(Remedy::AddEntryWithPort(Host::parse(text).unwrap()));
    let (a, b) = (name("a.example"), Host::Name(name("b.example")));
    let answer = |address| Attempt::Answer {
        name: &a,
        chain: &[],
        address,
        source: SERVER,
    };
    for (attempt, remedy) in [
        (answer(address("127.0.0.1")), switch("--allow-loopback-answers")),
        (answer(address("fe80::1")), with_port("fe80::1")),
        (
            dial(&Scheme::HTTPS, &b, "[fe80::1]:443"),
            add("https://[fe80::1]"),
        ),
        (
            dial(&Scheme::HTTPS, &b, "127.0.0.1:8443"),
            add("https://b.example:8443"),
        ),
        (dial(&Scheme::HTTP, &b, "192.0.2.1:80"), add("http://b.example")),
    ] {
        assert_eq!(world.remedy(&attempt), remedy, "{attempt}");
    }
    for (scheme, host, port, remedy) in [
        (Scheme::HTTPS, "other.example", 443, add("https://other.example")),
        (
            Scheme::HTTPS,
            "other.example",
            80,
            add("https://other.example:80"),
        ),
        (Scheme::HTTP, "10.0.0.5", 8080, add("http://10.0.0.5:8080")),
        (Scheme::HTTPS, "self.alt", 8443, add("http://self")),
        (Scheme::HTTP, "127.0.0.1", 80, switch("--allow-loopback-ports 80")),
    ] {
        let host = Host::parse(host).unwrap();
        let attempt = Attempt::Request {
            scheme: &scheme,
            host: &host,
            port,
            method: RequestMethod::Other,
        };
        assert_eq!(world.remedy(&attempt), remedy, "{attempt}");
    }
    for (text, remedy) in [
        ("range.example", with_port("range.example")),
        ("two.example", with_port("two.example")),
        ("same.example", add("*://same.example:8080")),
    ] {
        let name = name(text);
        assert_eq!(world.remedy(&Attempt::Lookup { name: &name }), remedy, "{text}");
    }
    // A datagram from where one was sent to, which is permitted no longer.
    let peer = endpoint("10.0.0.5:53");
    world.peers.sent(peer, world.now);
    let mut operator = world.policy.operator().clone();
    operator.limits.udp = Limit::Lifted;
    world.policy = Policy::new(
        "web",
        Arc::new(AllowList::compile(entries(&allow))),
        Arc::new(operator),
    );
    assert_eq!(world.remedy(&Attempt::Receive { peer }), add("udp://10.0.0.5:53"));
}

fn dial<'a>(scheme: &'a Scheme, host: &'a Host, remote: &str) -> Attempt<'a> {
    Attempt::Dial {
        scheme,
        host,
        chain: &[],
        remote: endpoint(remote),
        source: SERVER,
    }
}

// proves: RSN-2
#[test]
fn a_remedy_says_who_changes_what() {
    let name = name("db.example");
    for (remedy, words) in [
        (
            Remedy::AddEntry("*://a:1".into()),
            "add \"*://a:1\" to allowed_outbound_hosts",
        ),
        (
            Remedy::AddEntryWithPort(Host::Name(name.clone())),
            "add \"*://db.example:PORT\" to allowed_outbound_hosts, PORT being the service's",
        ),
        (
            Remedy::Inherit("allowed_outbound_hosts"),
            "add \"allowed_outbound_hosts\" to `inherit_configuration` of the dependency",
        ),
        (
            Remedy::Lookup(name),
            "look up `db.example` again before connecting",
        ),
        (
            Remedy::Switch("--allow-udp".into()),
            "the operator can lift this with `--allow-udp`",
        ),
        (
            Remedy::Undeny {
                text: "*://a:1".into(),
                location: Location::Code,
            },
            "the operator denies `*://a:1` (the embedder)",
        ),
    ] {
        assert_eq!(remedy.to_string(), words);
    }
}

#[test]
fn a_limit_is_lifted_if_the_operator_said_so() {
    assert_eq!([true, false].map(Limit::lifted_if), [Limit::Lifted, Limit::Holds]);
}

// proves: RSN-2, RSN-5
#[test]
fn a_denial_says_what_would_permit_it() {
    let mut world = World::with(
        &[
            "*://db.example:5432",
            "http://web.example",
            "https://*.wild.example",
        ],
        &["*://10.9.0.0/16:*"],
        udp_lifted,
    );
    world.grant("db.example", &[], &["192.0.2.1"]);
    world.grant("db.example", &[], &["192.0.2.2"]);
    let add = |text: &str| Some(Remedy::AddEntry(text.to_owned()));
    let switch = |text: &str| Some(Remedy::Switch(text.to_owned()));
    let web = name("web.example");
    let (other, wild) = (name("other.example"), name("a.wild.example"));
    for (attempt, closest, remedy) in [
        (
            Attempt::Lookup { name: &wild },
            Some("https://*.wild.example"),
            Some(Remedy::AddEntryWithPort(Host::Name(wild.clone()))),
        ),
        (
            Attempt::Lookup { name: &other },
            None,
            Some(Remedy::AddEntryWithPort(Host::Name(other.clone()))),
        ),
        (
            reach(Transport::Tcp, "192.0.2.2:6379"),
            Some("*://db.example:5432"),
            add("*://db.example:6379"),
        ),
        (
            reach(Transport::Udp, "192.0.2.2:53"),
            Some("*://db.example:5432"),
            add("udp://db.example:53"),
        ),
        (
            reach(Transport::Tcp, "192.0.2.1:5432"),
            Some("*://db.example:5432"),
            Some(Remedy::Lookup(name("db.example"))),
        ),
        (
            reach(Transport::Tcp, "192.0.2.9:5432"),
            Some("*://db.example:5432"),
            add("*://192.0.2.9:5432"),
        ),
        (
            reach(Transport::Tcp, "[2001:db8::1]:80"),
            None,
            add("*://[2001:db8::1]:80"),
        ),
        (
            reach(Transport::Tcp, "127.0.0.1:22"),
            None,
            switch("--allow-loopback-ports 22"),
        ),
        (
            reach(Transport::Tcp, "169.254.169.254:80"),
            None,
            switch("--allow-link-local"),
        ),
        (
            Attempt::Lookup { name: &web },
            Some("http://web.example"),
            add("*://web.example:80"),
        ),
        (reach(Transport::Tcp, "224.0.0.1:80"), None, None),
        (
            reach(Transport::Tcp, "10.9.1.1:80"),
            None,
            Some(Remedy::Undeny {
                text: "*://10.9.0.0/16:*".into(),
                location: Location::Code,
            }),
        ),
    ] {
        let Decision::Deny(denial) = world.judge(&attempt) else {
            panic!("{attempt} is allowed")
        };
        assert_eq!(denial.closest().map(Entry::text), closest, "{attempt}");
        assert_eq!(world.remedy(&attempt), remedy, "{attempt}");
    }
}

// proves: RSN-5
#[test]
fn every_layer_that_refuses_is_told_the_one_that_decides_first() {
    // (attempt, who refuses)
    let world = World::with(
        &["*://db.example:5432"],
        &["*://evil.example:*", "*://127.0.0.1:*", "*://169.254.0.0/16:*"],
        |_| {},
    );
    let (evil, other) = (name("evil.example"), name("other.example"));
    let (local, elsewhere) = (Host::Name(name("localhost")), Host::Name(other.clone()));
    let rows: &[(Attempt<'_>, &[&str])] = &[
        (reach(Transport::Tcp, "224.0.0.1:80"), &["hard.multicast"]),
        (reach(Transport::Tcp, "10.0.0.5:80"), &["allow.no-match"]),
        (
            reach(Transport::Tcp, "127.0.0.1:80"),
            &["deny.host", "runtime.loopback-port", "allow.no-match"],
        ),
        (
            reach(Transport::Udp, "169.254.169.254:80"),
            &[
                "deny.network",
                "runtime.udp",
                "runtime.link-local",
                "allow.no-match",
            ],
        ),
        (
            Attempt::Lookup { name: &evil },
            &["deny.host", "dns.name-not-allowed"],
        ),
        (Attempt::Lookup { name: &other }, &["dns.name-not-allowed"]),
        (
            Attempt::Request {
                scheme: &Scheme::HTTPS,
                host: &elsewhere,
                port: 443,
                method: RequestMethod::Other,
            },
            &["allow.no-match"],
        ),
        // Where `localhost` leads is known before it is resolved.
        (
            Attempt::Request {
                scheme: &Scheme::HTTPS,
                host: &local,
                port: 443,
                method: RequestMethod::Other,
            },
            &["allow.no-match", "runtime.loopback-port"],
        ),
        (
            Attempt::Request {
                scheme: &Scheme::HTTP,
                host: &local,
                port: 8080,
                method: RequestMethod::Other,
            },
            &["allow.no-match"],
        ),
    ];
    for (attempt, expected) in rows {
        let situation = Situation {
            grants: &world.grants,
            peers: &world.peers,
            usage: world.usage,
            now: world.now,
        };
        let denials = world.policy.denials(attempt, &situation);
        let codes: Vec<&str> = denials.iter().map(|denial| denial.reason().code()).collect();
        assert_eq!(codes, *expected, "{attempt}");
        assert_eq!(codes.first(), Some(&world.code(attempt)), "{attempt}");
        let shut = denials
            .iter()
            .find(|denial| denial.reason() == Reason::RuntimeLoopbackPort);
        if let Some(shut) = shut {
            let port = if codes.len() == 2 { 443 } else { 80 };
            let lift = Remedy::Switch(format!("--allow-loopback-ports {port}"));
            assert_eq!(shut.remedy(attempt), Some(lift), "{attempt}");
        }
    }
    let allowed = World::with(&["*://10.0.0.5:80"], &[], |_| {});
    let situation = Situation {
        grants: &allowed.grants,
        peers: &allowed.peers,
        usage: allowed.usage,
        now: allowed.now,
    };
    let attempt = reach(Transport::Tcp, "10.0.0.5:80");
    assert!(allowed.policy.denials(&attempt, &situation).is_empty());
}

// proves: RSN-1
#[test]
fn a_lookup_is_suggested_only_for_a_name_that_may_have_the_address() {
    // (entry, remote, reason)
    for (entry, remote, reason) in [
        ("*://db.example:5432", "10.0.0.5:5432", "allow.name-not-looked-up"),
        ("*://*.example:*", "10.0.0.5:5432", "allow.name-not-looked-up"),
        ("*://db.example:5432", "10.0.0.5:5433", "allow.no-match"),
        ("*://localhost:*", "10.0.0.5:5432", "allow.no-match"),
        ("*://*.localhost:*", "10.0.0.5:5432", "allow.no-match"),
        ("*://localhost:*", "127.0.0.1:5432", "allow.name-not-looked-up"),
        ("*://*.localhost:*", "[::1]:5432", "allow.name-not-looked-up"),
        ("*://localhost:1024", "127.0.0.1:5432", "allow.no-match"),
    ] {
        assert_eq!(World::new(&[entry], &[]).tcp(remote), reason, "{entry} {remote}");
    }
}

// proves: RSN-2, AL-7
#[test]
fn no_entry_is_suggested_for_a_name_that_only_requests_reach() {
    let world = World::new(&["*://self:*", "*://*.spin.internal:*"], &[]);
    for text in ["self", "SELF.", "back.spin.internal", "spin.internal"] {
        let name = name(text);
        let attempt = Attempt::Lookup { name: &name };
        assert_eq!(world.code(&attempt), "dns.name-not-allowed", "{text}");
        assert_eq!(world.remedy(&attempt), None, "{text}");
    }
}

// proves: RSN-2
#[test]
fn adding_the_suggested_entry_permits_the_attempt() {
    let everybody = [
        "10.0.0.5:5432",
        "[2001:db8::1]:80",
        "127.0.0.1:7001",
        "93.184.216.34:443",
    ];
    for remote in everybody {
        for transport in [Transport::Tcp, Transport::Udp] {
            let attempt = reach(transport, remote);
            let world = World::with(&["https://unrelated.example"], &[], udp_lifted);
            let Some(Remedy::AddEntry(entry)) = world.remedy(&attempt) else {
                panic!("{attempt}: no entry to add")
            };
            let world = World::with(&[&entry], &[], udp_lifted);
            assert_eq!(world.code(&attempt), "allow", "{attempt} with {entry}");
        }
    }
}

// proves, DNS-12
#[test]
fn quotas_come_last_and_count_from_creation() {
    let quotas = |operator: &mut Operator| {
        operator.quotas = Quotas {
            sockets_per_instance: 2,
            sockets_per_process: 10,
            sockets_per_component: Some(5),
            total_connections: Some(8),
            lookups_in_flight: 1,
            ..Quotas::default()
        };
    };
    let create = Attempt::CreateSocket {
        transport: Transport::Tcp,
    };
    for (instance, component, process, connections, expected) in [
        (1, 4, 9, 7, "allow"),
        (2, 4, 9, 7, "quota.sockets"),
        (1, 5, 9, 7, "quota.connections"),
        (1, 4, 10, 7, "quota.sockets"),
        (1, 4, 9, 8, "quota.connections"),
    ] {
        let mut world = World::with(&["*://*:*"], &[], quotas);
        world.usage = Usage {
            sockets_of_instance: instance,
            sockets_of_component: component,
            sockets_of_process: process,
            kept_for_others: 0,
            connections_of_process: connections,
            ..Usage::default()
        };
        assert_eq!(world.code(&create), expected, "{:?}", world.usage);
        // A connection of HTTP is none of a component's sockets, and is called a connection.
        let of_http = if (instance, process, connections) == (1, 9, 7) {
            "allow"
        } else {
            "quota.connections"
        };
        assert_eq!(
            world.dial(&Scheme::HTTP, "a.example", &[], "192.0.2.1:80"),
            of_http,
            "{:?}",
            world.usage
        );
    }
    let mut world = World::with(&["*://*:*"], &[], quotas);
    assert_eq!(world.lookup("a.example"), "allow");
    world.usage.lookups_of_instance = 1;
    assert_eq!(world.lookup("a.example"), "quota.lookups");
}

/// TLS with `server` by an instance with connections to these ports.
fn tls(world: &World, server: &str, ports: &[u16]) -> String {
    let server = Host::parse(server).unwrap();
    let server = &server;
    world.code(&Attempt::Tls { server, ports }).to_owned()
}

// proves: TLS-5, AL-1
#[test]
fn a_server_of_tls_is_judged_by_the_deny_list_on_every_port_that_there_is_a_connection_to() {
    for (deny, server, ports, expected) in [
        ("*://a.example:443", "a.example", &[443][..], "deny.tls-name"),
        ("*://a.example:443", "A.Example.", &[443], "deny.tls-name"),
        ("*://a.example:443", "a.example", &[442, 444], "allow"),
        ("*://a.example:443", "a.example", &[22, 443], "deny.tls-name"),
        ("*://a.example:440-450", "a.example", &[439, 450], "deny.tls-name"),
        ("*://a.example:440-450", "a.example", &[439, 451], "allow"),
        ("*://a.example:443", "www.a.example", &[443], "allow"),
        ("*://*.a.example:443", "www.a.example", &[443], "deny.tls-name"),
        ("*://*.a.example:443", "a.example", &[443], "allow"),
        ("https://a.example", "a.example", &[443], "deny.tls-name"),
        ("https://a.example", "a.example", &[8443], "allow"),
        ("udp://a.example:443", "a.example", &[443], "allow"),
        ("*://*:443", "a.example", &[443], "deny.tls-name"),
        ("*://10.0.0.0/8:443", "10.9.8.7", &[443], "deny.tls-name"),
        ("*://10.0.0.0/8:443", "0xa.1", &[443], "deny.tls-name"),
        ("*://10.0.0.0/8:443", "::ffff:10.9.8.7", &[443], "deny.tls-name"),
        ("*://10.0.0.0/8:443", "11.9.8.7", &[443], "allow"),
        ("*://localhost:443", "127.0.0.1", &[443], "deny.tls-name"),
        ("*://a.example:443", "224.0.0.1", &[443], "hard.multicast"),
        ("*://a.example:443", "::", &[443], "hard.unspecified"),
        // Limits on what may be connected to were asked about when it was.
        ("*://a.example:443", "127.0.0.1", &[443], "allow"),
        ("*://a.example:443", "169.254.169.254", &[443], "allow"),
    ] {
        let mut world = World::new(&[], &[deny]);
        world.usage.tcp_connections_of_instance = 1;
        assert_eq!(tls(&world, server, ports), expected, "{deny} {server} {ports:?}");
    }
}

// proves: TLS-5, RSN-2
#[test]
fn a_denied_server_of_tls_is_told_with_the_entry() {
    let mut world = World::new(&[], &["*://*.example:1-65535"]);
    world.usage.tcp_connections_of_instance = 1;
    let server = &Host::parse("A.example").unwrap();
    let attempt = Attempt::Tls {
        server,
        ports: &[443],
    };
    let Decision::Deny(denial) = world.judge(&attempt) else {
        panic!("not denied");
    };
    assert_eq!(attempt.operation(), "tls.connect");
    assert_eq!(attempt.to_string(), "TLS with a.example");
    assert_eq!(denial.denied_by().unwrap().text(), "*://*.example:1-65535");
    assert!(matches!(denial.remedy(&attempt), Some(Remedy::Undeny { .. })));
}

// proves: ISO-3
#[test]
fn there_may_be_two_tls_connections_for_each_tcp_connection() {
    for (connections, secured, expected) in [
        (0, 0, "quota.connections"),
        (1, 0, "allow"),
        (1, 1, "allow"),
        (1, 2, "quota.connections"),
        (3, 5, "allow"),
        (3, 6, "quota.connections"),
        (u32::MAX, 6, "allow"),
    ] {
        let mut world = World::new(&[], &[]);
        world.usage.tcp_connections_of_instance = connections;
        world.usage.tls_of_instance = secured;
        assert_eq!(
            tls(&world, "a.example", &[443]),
            expected,
            "{connections} {secured}"
        );
    }
}

// proves: ORD-2
#[test]
fn a_dependency_that_inherits_nothing_speaks_no_tls() {
    let mut world = World::new(&[], &[]);
    world.policy = Policy::new(
        "web",
        Arc::new(AllowList::not_inherited()),
        Arc::new(Operator::default()),
    );
    assert_eq!(tls(&world, "a.example", &[]), "allow.not-inherited");
}

#[test]
fn asking_layer_by_layer_gives_what_the_decision_gives() {
    let world = World::new(&["*://10.0.0.5:5432"], &["*://10.0.0.6:*"]);
    let situation = Situation {
        grants: &world.grants,
        peers: &world.peers,
        usage: world.usage,
        now: world.now,
    };
    for remote in [
        "10.0.0.5:5432",
        "10.0.0.5:22",
        "10.0.0.6:5432",
        "127.0.0.1:22",
        "224.0.0.1:1",
    ] {
        let attempt = reach(Transport::Tcp, remote);
        let first =
            Layer::ALL
                .into_iter()
                .find_map(|layer| match world.policy.ask(layer, &attempt, &situation) {
                    LayerAnswer::Refuses(denial) => Some(denial.reason()),
                    LayerAnswer::Passes | LayerAnswer::Permits(_) => None,
                });
        assert_eq!(first, world.judge(&attempt).reason(), "{remote}");
    }
}
