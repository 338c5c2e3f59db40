use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::{
    Decision, DenyList, Endpoint, Grants, Host, LookupOutcome, Operator, Peers, Quotas, RequestMethod, Rule,
    Scheme, Transport, Usage,
};

fn location() -> Location {
    Location::Option { name: "--ask".into() }
}

fn list(entries: &[&str]) -> AllowList {
    AllowList::parse(entries).unwrap().that_may_grow()
}

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    let deny = deny
        .iter()
        .map(|text| Entry::parse(text, Location::Code).unwrap())
        .collect();
    let operator = Operator {
        deny: DenyList::compile(deny, Vec::new()),
        ..Operator::default()
    };
    Policy::new("web", Arc::new(list(allow)), Arc::new(operator))
}

/// An instance that looked `db.example` up, which answered with 10.0.0.9.
struct Instance {
    grants: Grants,
    peers: Peers,
}

impl Instance {
    fn new() -> Self {
        let quotas = Quotas::default();
        let mut grants = Grants::new(quotas.granted_names);
        let ticket = grants.begin(name("db.example"));
        let outcome = LookupOutcome::Answered {
            chain: Vec::new(),
            addresses: vec![crate::Address::new([10, 0, 0, 9].into())],
        };
        grants.settle(ticket, outcome, Instant::now());
        Self {
            grants,
            peers: Peers::from(&quotas),
        }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            grants: &self.grants,
            peers: &self.peers,
            usage: Usage::default(),
            now: Instant::now(),
        }
    }
}

fn name(text: &str) -> Name {
    match Host::parse(text).unwrap() {
        Host::Name(name) => name,
        Host::Address(_) => panic!("{text} is not a name"),
    }
}

fn tcp(address: [u8; 4], port: u16) -> Attempt<'static> {
    Attempt::Connect {
        transport: Transport::Tcp,
        remote: Endpoint::new(std::net::Ipv4Addr::from(address), port),
    }
}

fn shown(wanted: &[Wanted]) -> Vec<String> {
    let show = |wanted: &Wanted| {
        let addition = match wanted.addition() {
            Addition::Entry(entry) => entry.cited().to_string(),
            Addition::Lookup(lookup) => lookup.to_string(),
        };
        format!("{:?} {addition}", wanted.list())
    };
    wanted.iter().map(show).collect()
}

/// The author's list, the operator's, an attempt, and what it wants.
type Row<'a> = (&'a [&'a str], &'a [&'a str], Attempt<'a>, &'a [&'a str]);

// proves: RSN-5
#[test]
fn what_the_list_alone_refuses_wants_the_narrowest_addition_and_all_else_nothing() {
    let instance = Instance::new();
    let db = name("db.example");
    let chaining = name("api.spin.internal");
    let host = Host::parse("api.example").unwrap();
    let request = Attempt::Request {
        scheme: &Scheme::HTTPS,
        host: &host,
        port: 443,
        method: RequestMethod::Other,
    };
    let lookup = Attempt::Lookup { name: &db };
    let inside = Attempt::Lookup { name: &chaining };
    let udp = Attempt::Send {
        remote: Endpoint::new(std::net::Ipv4Addr::new(10, 0, 0, 1), 53),
    };
    let rows: [Row<'_>; 13] = [
        (
            &[],
            &[],
            tcp([10, 0, 0, 1], 5432),
            &["Own *://10.0.0.1:5432 (--ask)"],
        ),
        (
            &["*://a.test:1"],
            &[],
            tcp([10, 0, 0, 1], 9),
            &["Own *://10.0.0.1:9 (--ask)"],
        ),
        // By the name that it was looked up by, also where there is no entry at all.
        (
            &[],
            &[],
            tcp([10, 0, 0, 9], 5432),
            &["Own *://db.example:5432 (--ask)"],
        ),
        (
            &["*://db.example:1"],
            &[],
            tcp([10, 0, 0, 9], 5432),
            &["Own *://db.example:5432 (--ask)"],
        ),
        (&[], &[], request, &["Own https://api.example (--ask)"]),
        (&[], &[], lookup, &["Own look-up of db.example alone (--ask)"]),
        (
            &["postgres://db.example"],
            &[],
            lookup,
            &["Own look-up of db.example alone (--ask)"],
        ),
        // Permitted already.
        (&["*://10.0.0.1:9"], &[], tcp([10, 0, 0, 1], 9), &[]),
        // Refused by another layer too: the operator's list, a runtime limit, a hard limit.
        (&[], &["*://10.0.0.1:*"], tcp([10, 0, 0, 1], 9), &[]),
        (&[], &[], tcp([127, 0, 0, 1], 22), &[]),
        (&[], &[], tcp([224, 0, 0, 1], 9), &[]),
        (&[], &[], udp, &[]),
        // No entry would do.
        (&["*://*:*"], &[], inside, &[]),
    ];
    for (allow, deny, attempt, expected) in rows {
        let policy = policy(allow, deny);
        let wanted = policy.wanted(&attempt, &instance.situation(), &location());
        assert_eq!(shown(&wanted), expected, "{allow:?} {deny:?} {attempt}");
        // With what it wants the attempt is permitted, by that.
        let Some(wanted) = wanted.first() else { continue };
        let with = policy.with(wanted.list(), wanted.addition());
        let Decision::Allow(permit) = with.decide(&attempt, &instance.situation()) else {
            panic!("{attempt} is refused with what it wants");
        };
        assert!(permit.rule().to_string().contains("(--ask)"), "{attempt}");
    }
}

// proves: DNS-3
#[test]
fn a_lookup_alone_opens_no_port_and_covers_no_other_name() {
    let instance = Instance::new();
    let db = name("db.example");
    let policy = policy(&[], &[]);
    let lookup = Attempt::Lookup { name: &db };
    let wanted = policy.wanted(&lookup, &instance.situation(), &location());
    let with = policy.with(ListOf::Own, wanted[0].addition());
    assert!(
        matches!(with.decide(&lookup, &instance.situation()), Decision::Allow(permit) if matches!(permit.rule(), Rule::Lookup(_)))
    );
    for port in [1, 53, 5432, 65535] {
        assert!(
            matches!(
                with.decide(&tcp([10, 0, 0, 9], port), &instance.situation()),
                Decision::Deny(_)
            ),
            "{port}"
        );
    }
    for other in ["example", "a.db.example", "db.example.org"] {
        let other = name(other);
        let other = Attempt::Lookup { name: &other };
        assert!(
            matches!(with.decide(&other, &instance.situation()), Decision::Deny(_)),
            "{other}"
        );
    }
}

#[test]
fn a_part_wants_of_its_own_list_and_of_the_one_around_it() {
    let instance = Instance::new();
    let part = |whole: &[&str], own: AllowList| policy(whole, &[]).for_part("web/dep", Arc::new(own));
    let attempt = tcp([10, 0, 0, 1], 9);
    let wanted = |policy: &Policy| shown(&policy.wanted(&attempt, &instance.situation(), &location()));
    let (own, whole) = ("Own *://10.0.0.1:9 (--ask)", "Whole *://10.0.0.1:9 (--ask)");
    assert_eq!(wanted(&part(&[], list(&[]))), [own, whole]);
    assert_eq!(wanted(&part(&[], list(&["*://10.0.0.1:9"]))), [whole]);
    assert_eq!(wanted(&part(&["*://10.0.0.1:9"], list(&[]))), [own]);
    // It inherits nothing: that is not an entry.
    assert!(wanted(&part(&["*://10.0.0.1:9"], AllowList::not_inherited())).is_empty());

    let mut policy = part(&[], list(&[]));
    for _ in 0..2 {
        let wanted = policy.wanted(&attempt, &instance.situation(), &location());
        policy = policy.with(wanted[0].list(), wanted[0].addition());
    }
    assert!(matches!(
        policy.decide(&attempt, &instance.situation()),
        Decision::Allow(_)
    ));
}

// proves: ORD-2, HL-3
#[test]
fn a_list_that_may_grow_lets_sockets_be_bound_and_permits_nothing_else() {
    let instance = Instance::new();
    let policy = policy(&[], &[]);
    let bind = |local: &str| Attempt::Bind {
        transport: Transport::Tcp,
        local: local.parse().unwrap(),
    };
    assert!(matches!(
        policy.decide(&bind("0.0.0.0:0"), &instance.situation()),
        Decision::Allow(_)
    ));
    assert!(matches!(
        policy.decide(&bind("0.0.0.0:80"), &instance.situation()),
        Decision::Deny(_)
    ));
    assert!(matches!(
        policy.decide(&tcp([10, 0, 0, 9], 1), &instance.situation()),
        Decision::Deny(_)
    ));
}
