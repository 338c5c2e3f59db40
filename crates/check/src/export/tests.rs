//! What an export says of entries that the arithmetic alone does not show: names, needs, sizes.

use std::sync::Arc;

use outport_policy::{AllowList, DenyList, EgressProxy, Host, Operator, Policy};

use super::*;

fn operator(denied: &[&str]) -> Operator {
    Operator {
        deny: DenyList::parse(denied).unwrap(),
        ..Operator::default()
    }
}

fn exported(allowed: &[&str], operator: &Operator, target: Target) -> Result<Exported, TooLarge> {
    let list = Arc::new(AllowList::parse(allowed).unwrap());
    let policies = [Policy::new("web", list, Arc::new(operator.clone()))];
    let request = Request {
        direct: operator.egress_proxy.as_ref().map(|_| Vec::new()),
        attached: Attached::Namespace,
        ..Request::new("shop", &policies, operator)
    };
    Exported::of(request, target)
}

fn listed(allowed: &[&str], denied: &[&str], target: Target) -> Vec<String> {
    let exported = exported(allowed, &operator(denied), target).unwrap();
    let notes = exported.notes().iter().filter(|note| !note.beyond_addresses);
    notes
        .map(|note| format!("{} {}", note.differs.as_str(), note.about))
        .collect()
}

#[test]
fn what_is_said_in_full_has_no_notes() {
    for allowed in [
        &["tcp://10.0.0.5:5432"][..],
        &["*://[2001:db8::]/32:*"],
        &["*://*:443"],
        &[],
    ] {
        let listed = listed(allowed, &["*://10.9.0.0/16:*"], Target::Nftables);
        assert_eq!(listed, [""; 0], "{allowed:?}");
    }
}

#[test]
fn each_difference_is_told_of_its_entry() {
    let inside = "narrower addresses inside the cluster";
    let loopback = "wider loopback";
    for (allowed, denied, target, expected) in [
        (
            &["http://10.0.0.5"][..],
            &[][..],
            Target::Nftables,
            &["wider http://10.0.0.5 (the embedder)"][..],
        ),
        (
            &["redis://10.0.0.5", "tcp://10.0.0.5:6379"],
            &[],
            Target::Nftables,
            &[],
        ),
        (
            &["*://localhost:5432"],
            &[],
            Target::Nftables,
            &["wider *://localhost:5432 (the embedder)"],
        ),
        (
            &["*://10.0.0.5:443"],
            &["https://10.0.0.0/8:443"],
            Target::Nftables,
            &["wider *://10.0.0.5:443 (the embedder)"],
        ),
        (
            &["*://db.example.com:5432"],
            &[],
            Target::Nftables,
            &["narrower *://db.example.com:5432 (the embedder)"],
        ),
        // Nothing is left of it, so nothing differs.
        (
            &["*://db.example.com:5432"],
            &["*://*.example.com:*"],
            Target::Nftables,
            &[],
        ),
        (
            &["*://*:443"],
            &["*://evil.example.com:*"],
            Target::Nftables,
            &["wider *://evil.example.com:* (the embedder)"],
        ),
        (
            &["*://db.example.com:5432"],
            &[],
            Target::NetworkPolicy,
            &["narrower *://db.example.com:5432 (the embedder)", loopback],
        ),
        (
            &["*://db.example.com:5432"],
            &[],
            Target::Cilium,
            &[loopback, "wider names"],
        ),
        (
            &["*://*:443"],
            &[],
            Target::NetworkPolicy,
            &[
                "wider IPv6 addresses that embed an IPv4 address which is denied, by TCP",
                loopback,
                inside,
            ],
        ),
        (
            &["http://self", "http://api.spin.internal"],
            &[],
            Target::Nftables,
            &[],
        ),
    ] {
        assert_eq!(
            listed(allowed, denied, target),
            expected,
            "{allowed:?} {denied:?} {target:?}"
        );
    }
}

#[test]
fn cilium_is_told_every_depth_and_what_may_be_looked_up() {
    let exported = exported(
        &["*://*.example.com:443"],
        &operator(&["*://evil.test:*"]),
        Target::Cilium,
    );
    let document = exported.unwrap().to_yaml().unwrap();
    for text in [
        r#"matchPattern: "*.example.com""#,
        r#"matchPattern: "**.example.com""#,
    ] {
        assert!(document.contains(text), "{document}");
    }
}

#[test]
fn an_app_that_reaches_nothing_is_forbidden_everything() {
    for (target, expected) in [
        (Target::NetworkPolicy, "  egress: []\n"),
        (Target::Cilium, "  egress:\n    - {}\n"),
    ] {
        let document = exported(&[], &operator(&[]), target).unwrap().to_yaml().unwrap();
        assert!(document.contains(expected), "{document}");
    }
    let document = exported(&[], &operator(&[]), Target::Nftables)
        .unwrap()
        .to_nftables();
    // The hook's, answers, errors, the kernel's own, what is open.
    assert_eq!(document.matches(" accept").count(), 5, "{document}");
}

#[test]
fn what_is_open_is_looked_at_after_what_is_denied_and_before_what_is_permitted() {
    let document = exported(
        &["*://10.0.0.0/8:443", "*://db.example.com:5432"],
        &operator(&["*://10.9.0.0/16:*", "*://evil.example.com:443"]),
        Target::Nftables,
    );
    let document = document.unwrap().to_nftables();
    let mut at = 0;
    for rule in [
        "ct direction reply ct state established accept",
        "@denied_tcp_1_v4",
        "@denied_name_1_v4",
        "\t\tct state established accept",
        "ip daddr @permitted_tcp_1_v4",
        "ip daddr @guarded_tcp_1_v4 tcp dport 5432 drop",
        "ip daddr @name_1_v4",
    ] {
        let found = document.get(at..).and_then(|rest| rest.find(rule));
        at += found.unwrap_or_else(|| panic!("{rule}\n{document}"));
    }
}

#[test]
fn no_name_is_this_machine_unless_somebody_says_so() {
    let guarded = |allowed: &[&str], operator: &Operator| {
        let exported = exported(allowed, operator, Target::Nftables).unwrap();
        let (guarded, masked) = exported.guards[0].on(&exported.ports_of_names(Transport::Tcp));
        move |address: &str, port: u16| {
            let address: std::net::IpAddr = address.parse().unwrap();
            let by_mask = match address {
                std::net::IpAddr::V6(ip) => masked.contains(ip, port),
                std::net::IpAddr::V4(_) => false,
            };
            guarded.contains(address, port) || by_mask
        }
    };
    let name = "*://db.example.com:5432";
    let guard = guarded(&[name], &Operator::default());
    for address in [
        "127.0.0.1",
        "::1",
        "169.254.1.1",
        "fe80::1",
        "64:ff9b::7f00:1",
        "2001:db8::5efe:7f00:1",
    ] {
        assert!(guard(address, 5432), "{address}");
        assert!(!guard(address, 5433), "{address}");
    }
    assert!(!guard("192.0.2.7", 5432));
    // An entry has the address itself.
    assert!(!guarded(&[name, "*://127.0.0.1:8080"], &Operator::default())(
        "127.0.0.1",
        5432
    ));
    let mut lifted = Operator::default();
    lifted.limits.loopback_answers = outport_policy::Limit::Lifted;
    let guard = guarded(&[name], &lifted);
    assert!(!guard("127.0.0.1", 5432) && !guard("::1", 5432) && guard("169.254.1.1", 5432));
    // Without names nothing is left out of them; those of this machine are its own.
    assert!(!guarded(&["*://localhost:5432"], &Operator::default())(
        "127.0.0.1",
        5432
    ));
}

#[test]
fn behind_a_proxy_only_loopback_is_left() {
    let proxied = Operator {
        egress_proxy: Some(EgressProxy::new([(Host::parse("10.0.0.9").unwrap(), 3128)])),
        ..Operator::default()
    };
    let allowed = ["*://*:*", "*://db.example.com:5432"];
    let exported = exported(&allowed, &proxied, Target::Nftables).unwrap();
    let passes = exported.tcp.passes();
    for (address, port, expected) in [
        ("127.0.0.1", 8080, true),
        ("127.0.0.1", 80, false),
        ("127.0.0.1", 3128, true),
        ("10.0.0.9", 3128, false),
        ("203.0.113.7", 443, false),
    ] {
        assert_eq!(
            passes.contains(address.parse().unwrap(), port),
            expected,
            "{address} {port}"
        );
    }
    assert!(exported.permitted.is_empty());
    assert!(exported.udp.passes().is_empty());
}

#[test]
fn what_nobody_could_load_is_refused() {
    // Each is another network, and none touches the next.
    let denied: Vec<String> = (0..6_000_u32)
        .map(|n| format!("*://11.{}.{}.1:*", n / 256, n % 256))
        .collect();
    let denied: Vec<&str> = denied.iter().map(String::as_str).collect();
    let error = exported(&["*://*:443"], &operator(&denied), Target::NetworkPolicy).unwrap_err();
    assert!(error.to_string().contains("more than the 10000"), "{error}");
}

#[test]
fn what_no_filter_of_addresses_says_is_listed_apart() {
    let beyond = |allowed: &[&str], operator: &Operator| -> Vec<String> {
        let exported = exported(allowed, operator, Target::Nftables).unwrap();
        let notes = exported.notes().iter().filter(|note| note.beyond_addresses);
        notes.map(|note| note.about.clone()).collect()
    };
    let sockets = "--max-sockets 4096, --max-sockets-per-instance 256";
    let none = Operator::default();
    assert_eq!(beyond(&[], &none), [""; 0]);
    assert_eq!(beyond(&["tcp://10.0.0.5:5432"], &none), [sockets]);
    let names = "--max-lookups-per-minute 600, --max-names-per-wildcard 1000";
    assert_eq!(beyond(&["*://*.example.com:443"], &none), [sockets, names]);
    let denying = operator(&["*://evil.example.com:443"]);
    assert_eq!(
        beyond(&["*://*:443"], &denying),
        ["--tls-names denied", sockets, names]
    );
    let off = Operator {
        tls_names: outport_policy::TlsNames::Off,
        ..denying
    };
    assert_eq!(beyond(&["*://*:443"], &off), [sockets, names]);
    let mut bounded = Operator {
        tls_names: outport_policy::TlsNames::Allowed,
        ..Operator::default()
    };
    let budget = outport_policy::ByteBudget {
        send_rate: std::num::NonZeroU64::new(1),
        ..Default::default()
    };
    bounded.quotas.bytes = outport_policy::ByteBudgets::new(budget, []);
    assert_eq!(
        beyond(&["*://db.example.com:443"], &bounded),
        [
            "--tls-names allowed",
            sockets,
            "--max-send-rate",
            "--max-lookups-per-minute 600"
        ]
    );
}

#[test]
fn a_table_for_a_user_holds_whatever_else_he_runs() {
    let operator = Operator::default();
    let exported = Exported::of(Request::new("shop", &[], &operator), Target::Nftables).unwrap();
    let notes = exported.notes();
    assert_eq!(notes.len(), 1);
    assert_eq!(
        (notes[0].differs, notes[0].about.as_str()),
        (Differs::Narrower, "--attach user=outport")
    );
    assert!(
        exported
            .to_nftables()
            .contains("# By address and port it says just")
    );
}

/// The rule for DNS of an app that asks the cluster, and what is listed about names without a dot.
fn asked(allowed: &[&str], operator: &Operator, more: &str, resolves_denied: bool) -> (String, usize) {
    let list = Arc::new(AllowList::parse(allowed).unwrap());
    let policies = [Policy::new("web", list, Arc::new(operator.clone()))];
    let need = |at, spoken| Need {
        what: "it".to_owned(),
        at,
        port: 53,
        spoken,
    };
    let named = (!more.is_empty()).then(|| need(NeededHost::Host(Host::parse(more).unwrap()), Spoken::Tcp));
    let request = Request {
        needs: [need(NeededHost::ClusterDns, Spoken::UdpAndTcp)]
            .into_iter()
            .chain(named)
            .collect(),
        direct: operator.egress_proxy.as_ref().map(|_| Vec::new()),
        resolves_denied,
        ..Request::new("shop", &policies, operator)
    };
    let exported = Exported::of(request, Target::Cilium).unwrap();
    let notes = exported.notes().iter();
    let dotless = notes.filter(|note| note.why.contains("has no dot")).count();
    let document = exported.to_yaml().unwrap();
    let rule = document.split_once("\"dns\":").map_or("", |(_, rest)| rest);
    let rule = rule
        .lines()
        .skip(1)
        .map(str::trim)
        .take_while(|line| line.starts_with("- match"));
    (
        rule.collect::<Vec<_>>().join(" ").replace(['"', '-'], ""),
        dotless,
    )
}

#[test]
fn cilium_lets_ask_for_what_is_asked_for_and_nothing_else() {
    let none = Operator::default();
    let denying = operator(&["*://evil.test:443", "*://*.evil.test:443"]);
    let proxied = Operator {
        egress_proxy: Some(EgressProxy::new([(Host::parse("10.0.0.9").unwrap(), 3128)])),
        ..Operator::default()
    };
    let dotted = "*://db.example.com:443";
    for (allowed, operator, more, resolves, expected, dotless) in [
        (dotted, &none, "", true, " matchName: db.example.com", 0),
        // Through the proxy the name is resolved all the same.
        (dotted, &proxied, "", true, " matchName: db.example.com", 0),
        ("*://10.0.0.5:443", &proxied, "", true, "", 0),
        ("*://db:443", &none, "", true, " matchName: db", 1),
        (
            "*://10.0.0.5:443",
            &none,
            "collector",
            true,
            " matchName: collector",
            1,
        ),
        ("*://*:443", &none, "collector", true, " matchPattern: *", 0),
        (
            dotted,
            &denying,
            "",
            true,
            " matchName: db.example.com  matchName: evil.test",
            0,
        ),
        (dotted, &denying, "", false, " matchName: db.example.com", 0),
    ] {
        let found = asked(&[allowed], operator, more, resolves);
        assert_eq!(
            found,
            (expected.to_owned(), dotless),
            "{allowed} {more} {resolves}"
        );
    }
}
