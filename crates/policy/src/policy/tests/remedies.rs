//! What a denial says would permit it (RSN).

use super::*;

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
    let lift = |setting| Some(Remedy::Lift(setting));
    let with_port = |text: &str| Some(Remedy::AddEntryWithPort(Host::parse(text).unwrap()));
    let (a, b) = (name("a.example"), Host::Name(name("b.example")));
    let answer = |address| Attempt::Answer {
        name: &a,
        chain: &[],
        address,
        source: SERVER,
    };
    for (attempt, remedy) in [
        (answer(address("127.0.0.1")), lift(Setting::LoopbackAnswers)),
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
        (Scheme::HTTP, "127.0.0.1", 80, lift(Setting::LoopbackPort(80))),
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

// proves: RSN-2
#[test]
fn a_remedy_says_who_changes_what() {
    let name = name("db.example");
    for (remedy, words) in [
        (
            Remedy::AddEntry("*://a:1".into()),
            "add \"*://a:1\" to the allow list",
        ),
        (
            Remedy::AddEntryWithPort(Host::Name(name.clone())),
            "add \"*://db.example:PORT\" to the allow list, PORT being the service's",
        ),
        (
            Remedy::Inherit(Setting::AllowList),
            "let the dependency inherit the allow list",
        ),
        (
            Remedy::Lookup(name),
            "look up `db.example` again before connecting",
        ),
        (
            Remedy::Lift(Setting::Udp),
            "the operator can lift this with `RuntimeLimits::udp`",
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

/// A host with a name for one setting, and a sentence for one remedy.
struct Console;

impl RemedyWords for Console {
    fn name(&self, setting: Setting) -> std::borrow::Cow<'static, str> {
        match setting {
            Setting::AllowList => "page *Egress* of the console".into(),
            other => other.neutral(),
        }
    }

    fn sentence(&self, remedy: &Remedy) -> Option<String> {
        matches!(remedy, Remedy::Lift(Setting::Udp)).then(|| "ask support for UDP".to_owned())
    }
}

// proves: RSN-2
#[test]
fn a_remedy_is_told_in_the_words_of_the_host() {
    let add = Remedy::AddEntry("*://a:1".into());
    for (remedy, words) in [
        (add.clone(), "add \"*://a:1\" to page *Egress* of the console"),
        (
            Remedy::OfComponent(Box::new(add)),
            "add \"*://a:1\" to page *Egress* of the console, of the component itself",
        ),
        (
            Remedy::Inherit(Setting::AllowList),
            "let the dependency inherit page *Egress* of the console",
        ),
        (Remedy::Lift(Setting::Udp), "ask support for UDP"),
        (
            Remedy::Lift(Setting::LoopbackPort(22)),
            "the operator can lift this with port 22 in `RuntimeLimits::loopback_ports`",
        ),
        (
            Remedy::AddLabel {
                kind: LabelKind::KeyValueStore,
                label: "default".into(),
            },
            "add \"default\" to the labels of key-value stores",
        ),
    ] {
        assert_eq!(remedy.in_words_of(&Console).to_string(), words);
    }
}

/// A host whose words are this.
struct Says(&'static str);

impl RemedyWords for Says {
    fn name(&self, _setting: Setting) -> std::borrow::Cow<'static, str> {
        self.0.into()
    }

    fn sentence(&self, _remedy: &Remedy) -> Option<String> {
        Some(self.0.to_owned())
    }
}

// proves: RSN-2
#[test]
fn words_that_say_nothing_leave_no_sentence_with_a_gap() {
    for remedy in [
        Remedy::AddEntry("*://a:1".into()),
        Remedy::AddEntryWithPort(Host::Name(name("a.example"))),
        Remedy::OfPart(Box::new(Remedy::AddEntry("*://a:1".into()))),
        Remedy::Inherit(Setting::AllowList),
        Remedy::Lift(Setting::Udp),
        Remedy::Lookup(name("a.example")),
    ] {
        for nothing in ["", " \n"] {
            assert_eq!(remedy.in_words_of(&Says(nothing)).to_string(), remedy.to_string());
        }
        assert_eq!(remedy.in_words_of(&Says("ask us")).to_string(), "ask us");
    }
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
    let lift = |setting| Some(Remedy::Lift(setting));
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
            lift(Setting::LoopbackPort(22)),
        ),
        (
            reach(Transport::Tcp, "169.254.169.254:80"),
            None,
            lift(Setting::LinkLocal),
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
            let lift = Remedy::Lift(Setting::LoopbackPort(port));
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
