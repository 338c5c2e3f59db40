//! The clauses as tables, those of each layer in a file. One row is one attempt under one policy, and what must come of
//! it. Here is what they are made of, and what is about all layers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::*;
use crate::{
    Address, AnswerSource, BlockedNetwork, DenyList, Entry, Grants, Host, Label, LabelKind, LearnedAddresses,
    Limit, Location, LookupOutcome, Name, NameBounds, NameLimits, Peers, PortSet, Quotas, Reason, Remedy,
    RemedyWords, RequestMethod, RuntimeLimits, Scheme, ServerName, Setting, TlsNames, Transport, Usage,
};

mod allow_list;
mod deny_list;
mod egress_proxy;
mod hard;
mod lookups;
mod property;
mod quotas;
mod remedies;
mod runtime_limits;
mod tls_names;

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

fn lifted() -> RuntimeLimits {
    RuntimeLimits {
        udp: Limit::Lifted,
        loopback_ports: PortSet::all(),
        link_local: Limit::Lifted,
        loopback_answers: Limit::Lifted,
    }
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
        (
            Attempt::Resolve { name: &name },
            "dns.resolve",
            "resolution of db.example",
        ),
        (answer, "dns.answer", "answer 10.0.0.5 for db.example"),
        (request, "http.request", "https://db.example:443"),
        (dial, "http.dial", "https://db.example at 10.0.0.5:53"),
        (
            Attempt::Tls {
                server: &host,
                remotes: &[],
            },
            "tls.connect",
            "TLS with db.example",
        ),
        (
            hello(ServerName::Host(&host), "10.0.0.5:443"),
            "tls.hello",
            "TLS with db.example at 10.0.0.5:443",
        ),
        (
            hello(ServerName::Missing, "10.0.0.5:443"),
            "tls.hello",
            "TLS without a server name at 10.0.0.5:443",
        ),
        (
            hello(ServerName::Malformed(b""), "10.0.0.5:443"),
            "tls.hello",
            "malformed TLS at 10.0.0.5:443",
        ),
        (
            hello(ServerName::TooLong, "10.0.0.5:443"),
            "tls.hello",
            "a ClientHello that is too long at 10.0.0.5:443",
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
    let documented = |path: &str| {
        let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let schema = documented("docs/schema/audit-log.json");
    let (_, decision) = schema
        .split_once("\"attempt\": {\n          \"enum\": [")
        .expect("a decision has an attempt");
    let (listed, _) = decision.split_once(']').expect("the list has an end");
    let listed: BTreeSet<&str> = listed
        .split(',')
        .map(|code| code.trim().trim_matches('"'))
        .collect();
    assert_eq!(listed, codes, "docs/schema/audit-log.json");
    let page = documented("docs/operating.md");
    for code in codes {
        assert!(
            page.contains(&format!("`{code}`")),
            "{code} is not in docs/operating.md"
        );
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

fn dial<'a>(scheme: &'a Scheme, host: &'a Host, remote: &str) -> Attempt<'a> {
    Attempt::Dial {
        scheme,
        host,
        chain: &[],
        remote: endpoint(remote),
        source: SERVER,
    }
}

/// TLS with `server` by an instance with connections to these ports.
fn tls(world: &World, server: &str, ports: &[u16]) -> String {
    let remotes: Vec<Endpoint> = ports
        .iter()
        .map(|port| Endpoint::new(address("203.0.113.1"), *port))
        .collect();
    tls_on(world, server, &remotes)
}

fn tls_on(world: &World, server: &str, remotes: &[Endpoint]) -> String {
    let server = Host::parse(server).unwrap();
    let server = &server;
    world.code(&Attempt::Tls { server, remotes }).to_owned()
}

fn hello<'a>(server: ServerName<'a>, remote: &str) -> Attempt<'a> {
    Attempt::ClientHello {
        server,
        remote: endpoint(remote),
    }
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
