//! The allow list of the author (AL), layer 4: entries, labels, and parts of a component.

use super::*;

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
    let inherits = Some(Remedy::Inherit(Setting::AllowList));
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
            &Some(Remedy::Lift(Setting::LoopbackPort(22))),
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
            add("the labels of key-value stores", "orders"),
        ),
        (
            LabelKind::SqliteDatabase,
            "default",
            "allow.label",
            add("the labels of SQLite databases", "default"),
        ),
        (
            LabelKind::AiModel,
            "default",
            "allow.label",
            add("the labels of models", "default"),
        ),
        (
            LabelKind::KeyValueStore,
            "Default",
            "allow.label",
            add("the labels of key-value stores", "Default"),
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
    let inherit = "let the dependency inherit the labels of SQLite databases";
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
    let add = |entry: &str| format!("add \"{entry}\" to the allow list");
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
