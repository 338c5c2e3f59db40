use outport_policy::{Limit, Transport};

use super::*;
use crate::testing::{Script, World, addresses, answer, answer_through, deny, instance, name};

async fn lookup(enforcer: &Arc<Enforcer>, text: &str) -> Result<Vec<Address>, LookupError> {
    match Lookup::start(enforcer, text)? {
        Lookup::Known(addresses) => Ok(addresses),
        Lookup::Pending(asked) => asked.answer().await,
    }
}

fn connects(enforcer: &Enforcer, remote: &str) -> bool {
    enforcer
        .authorize_connect(Transport::Tcp, remote.parse().unwrap())
        .is_ok()
}

// proves: DNS-3
#[tokio::test]
async fn an_answer_is_granted_before_the_guest_has_it() {
    let enforcer = World::new(Script::new().then("db.example", answer(&["10.0.0.1", "10.0.0.2"])))
        .instance(&["*://db.example:5432"]);
    assert!(!connects(&enforcer, "10.0.0.1:5432"));
    assert_eq!(
        lookup(&enforcer, "db.example").await,
        Ok(addresses(&["10.0.0.1", "10.0.0.2"]))
    );
    assert!(connects(&enforcer, "10.0.0.1:5432"));
    assert!(connects(&enforcer, "10.0.0.2:5432"));
    assert!(
        !connects(&enforcer, "10.0.0.1:5433"),
        "the entry names another port"
    );
    assert!(
        !connects(&enforcer, "10.0.0.3:5432"),
        "the answer did not have it"
    );
}

// proves: DNS-1, ORD-2
#[tokio::test]
async fn a_name_that_no_socket_entry_matches_is_refused_without_a_query() {
    let rows: [(&[&str], &str, Result<usize, LookupError>); 9] = [
        (&[], "db.example", Err(LookupError::Denied)),
        (&["*://db.example:1"], "db.example", Ok(1)),
        (&["tcp://db.example:1"], "db.example", Ok(1)),
        (&["udp://db.example:1"], "db.example", Ok(1)),
        (&["*://*.example:1"], "db.example", Ok(1)),
        (&["*://*:1"], "db.example", Ok(1)),
        (&["https://db.example"], "db.example", Err(LookupError::Denied)),
        (&["*://10.0.0.0/8:1"], "db.example", Err(LookupError::Denied)),
        (&["*://other.example:1"], "db.example", Err(LookupError::Denied)),
    ];
    for (allowed, name, expected) in rows {
        let world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
        let result = lookup(&world.instance(allowed), name)
            .await
            .map(|addresses| addresses.len());
        assert_eq!(result, expected, "{allowed:?}");
        assert_eq!(
            world.script.questions().len(),
            usize::from(expected.is_ok()),
            "{allowed:?}"
        );
    }
}

// proves: DL-3
#[tokio::test]
async fn a_denied_name_is_refused_without_a_query_and_a_partly_denied_one_keeps_the_other_ports() {
    let script = || Script::new().then("db.example", answer(&["10.0.0.1"]));
    let world = World::new(script()).deny(&["*://db.example:*"]);
    assert_eq!(
        lookup(&world.instance(&["*://*:*"]), "db.example").await,
        Err(LookupError::Denied)
    );
    assert_eq!(world.script.questions(), [] as [&str; 0]);

    let enforcer = World::new(script())
        .deny(&["*://db.example:22"])
        .instance(&["*://db.example:*"]);
    assert_eq!(
        lookup(&enforcer, "db.example").await,
        Ok(addresses(&["10.0.0.1"]))
    );
    assert!(connects(&enforcer, "10.0.0.1:5432"));
    assert!(!connects(&enforcer, "10.0.0.1:22"));
}

// proves: DL-4
#[tokio::test]
async fn a_denied_name_behind_an_alias_denies_the_alias() {
    let script = Script::new().then("www.example", answer_through(&["evil.example"], &["10.0.0.1"]));
    let world = World::new(script).deny(&["*://evil.example:*"]);
    assert_eq!(
        lookup(&world.instance(&["*://www.example:*"]), "www.example").await,
        Err(LookupError::Denied)
    );
    assert_eq!(
        world.events.take(),
        ["dns.lookup www.example", "dns.answer 10.0.0.1 [deny.cname]"]
    );
}

// proves: DNS-8
#[tokio::test]
async fn a_literal_address_comes_back_and_grants_nothing() {
    let rows = [
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
    ];
    let world = World::new(Script::new());
    let enforcer = world.instance(&[]);
    for (text, expected) in rows {
        assert_eq!(
            lookup(&enforcer, text).await,
            Ok(addresses(&[expected])),
            "{text}"
        );
    }
    assert!(!connects(&enforcer, "10.0.0.1:5432"));
    assert_eq!(world.script.questions(), [] as [&str; 0]);
}

// proves: DNS-2
#[tokio::test]
async fn what_cannot_be_a_name_is_not_one() {
    let enforcer = World::new(Script::new()).instance(&["*://*:*"]);
    let long_label = format!("{}.example", "a".repeat(64));
    let long_name = vec!["a".repeat(50); 6].join(".");
    for text in [
        "",
        ".",
        "a..b",
        "a b",
        "a/b",
        "http://a",
        "user@a",
        "a:80",
        &long_label,
        &long_name,
    ] {
        assert_eq!(
            lookup(&enforcer, text).await,
            Err(LookupError::NotAName),
            "{text:?}"
        );
    }
}

// proves: DNS-2
#[tokio::test]
async fn a_name_is_asked_for_in_lower_case_and_without_its_trailing_dot() {
    let world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
    let enforcer = world.instance(&["*://db.example:5432"]);
    assert!(lookup(&enforcer, "DB.Example.").await.is_ok());
    assert_eq!(world.script.questions(), ["db.example"]);
}

// proves: DNS-2
#[tokio::test]
async fn a_search_domain_is_tried_for_a_name_without_a_dot_and_may_be_denied() {
    let script = || {
        Script::new()
            .search("corp.example")
            .then("db.corp.example", answer(&["10.0.0.1"]))
            .then("db", answer(&["10.0.0.2"]))
    };
    let world = World::new(script());
    let enforcer = world.instance(&["*://db:5432"]);
    assert_eq!(lookup(&enforcer, "db").await, Ok(addresses(&["10.0.0.1"])));
    assert_eq!(world.script.questions(), ["db.corp.example"]);
    assert!(
        connects(&enforcer, "10.0.0.1:5432"),
        "the grant is that of the name that was looked up"
    );
    for (spelling, chain) in [
        (Spelling::Relative, vec![name("db.corp.example")]),
        (Spelling::Absolute, Vec::new()),
    ] {
        let answer = resolve(&enforcer, &name("db"), spelling, None).await.unwrap();
        assert_eq!(answer.chain, chain, "{spelling:?}");
    }

    let world = World::new(script()).deny(&["*://db.corp.example:*"]);
    assert_eq!(
        lookup(&world.instance(&["*://db:5432"]), "db").await,
        Ok(addresses(&["10.0.0.2"]))
    );
    assert_eq!(
        world.script.questions(),
        ["db"],
        "no query leaves for a denied name"
    );
}

// proves: DNS-2
#[tokio::test]
async fn a_name_with_its_final_dot_is_that_name_and_no_search_domain_is_tried() {
    let script = || {
        Script::new()
            .search("corp.example")
            .then("db.corp.example", answer(&["10.0.0.1"]))
            .then("db", answer(&["10.0.0.2"]))
    };
    for (text, expected, asked) in [
        ("db", "10.0.0.1", "db.corp.example"),
        ("DB.", "10.0.0.2", "db"),
        ("db\u{3002}", "10.0.0.2", "db"),
    ] {
        let world = World::new(script());
        let enforcer = world.instance(&["*://db:5432"]);
        assert_eq!(
            lookup(&enforcer, text).await,
            Ok(addresses(&[expected])),
            "{text}"
        );
        assert_eq!(world.script.questions(), [asked], "{text}");
    }
}

// proves: DNS-2, RSN-3
#[tokio::test]
async fn a_name_without_an_address_whose_expansion_is_denied_is_refused() {
    for (deny, expected) in [
        ("*://db.corp.example:*", LookupError::Denied),
        ("*://other.example:*", LookupError::Unresolvable),
    ] {
        let world = World::new(Script::new().search("corp.example")).deny(&[deny]);
        let found = lookup(&world.instance(&["*://db:5432"]), "db").await;
        assert_eq!(found, Err(expected), "{deny}");
    }
}

// proves: DNS-4
#[tokio::test]
async fn a_new_answer_replaces_the_grants_of_its_name() {
    let script = Script::new()
        .then("db.example", answer(&["10.0.0.1", "10.0.0.2"]))
        .then("db.example", answer(&["10.0.0.2", "10.0.0.3"]))
        .then("other.example", answer(&["10.0.0.1"]));
    let enforcer = World::new(script).instance(&["*://*.example:5432"]);
    lookup(&enforcer, "db.example").await.unwrap();
    lookup(&enforcer, "other.example").await.unwrap();
    lookup(&enforcer, "db.example").await.unwrap();
    assert!(connects(&enforcer, "10.0.0.3:5432"));
    assert!(
        connects(&enforcer, "10.0.0.1:5432"),
        "another name still grants it"
    );
}

// proves: DNS-4
#[tokio::test]
async fn of_two_lookups_in_flight_the_one_that_started_later_wins() {
    for later_answers_first in [true, false] {
        let world = World::new(
            Script::new()
                .then("db.example", answer(&["10.0.0.1"]))
                .then("db.example", answer(&["10.0.0.2"])),
        );
        let enforcer = world.instance(&["*://db.example:5432"]);
        let (first, second) = (world.script.hold("db.example"), world.script.hold("db.example"));
        let start = || match Lookup::start(&enforcer, "db.example") {
            Ok(Lookup::Pending(asked)) => tokio::spawn(asked.answer()),
            _ => panic!("the name may be looked up"),
        };
        let earlier = start();
        tokio::task::yield_now().await;
        let later = start();
        tokio::task::yield_now().await;
        let order = if later_answers_first {
            [(second, later), (first, earlier)]
        } else {
            [(first, earlier), (second, later)]
        };
        for (release, task) in order {
            release.send(()).unwrap();
            task.await.unwrap().unwrap();
        }
        assert!(
            connects(&enforcer, "10.0.0.2:5432"),
            "later answers first: {later_answers_first}"
        );
        assert!(
            !connects(&enforcer, "10.0.0.1:5432"),
            "later answers first: {later_answers_first}"
        );
    }
}

// proves: DNS-4
#[tokio::test]
async fn a_lookup_that_the_guest_gave_up_grants_nothing_and_gives_its_place_back() {
    let mut world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
    world.operator.quotas.lookups_in_flight = 1;
    let enforcer = world.instance(&["*://db.example:5432"]);
    for _ in 0..3 {
        let started = Lookup::start(&enforcer, "db.example");
        assert!(matches!(started, Ok(Lookup::Pending(_))));
        assert!(matches!(
            Lookup::start(&enforcer, "db.example"),
            Err(LookupError::TooMany)
        ));
        drop(started);
    }
    assert!(!connects(&enforcer, "10.0.0.1:5432"));

    let _never = world.script.hold("db.example");
    let Ok(Lookup::Pending(asked)) = Lookup::start(&enforcer, "db.example") else {
        panic!()
    };
    let task = tokio::spawn(asked.answer());
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(
        lookup(&enforcer, "db.example").await.is_ok(),
        "the place is free again"
    );
}

// proves: DNS-12
#[tokio::test]
async fn a_lookup_that_is_over_gives_its_place_back_however_it_ended() {
    let script = Script::new()
        .then("db.example", answer(&["10.0.0.1"]))
        .then("slow.example", Err(ResolveError::TimedOut));
    let mut world = World::new(script);
    world.operator.quotas.lookups_in_flight = 1;
    let enforcer = world.instance(&["*://*.example:5432"]);
    for _ in 0..2 {
        for (text, expected) in [
            ("db.example", Ok(addresses(&["10.0.0.1"]))),
            ("slow.example", Err(LookupError::TemporaryFailure)),
            ("none.example", Err(LookupError::Unresolvable)),
        ] {
            assert_eq!(lookup(&enforcer, text).await, expected, "{text}");
        }
    }
}

// proves: RSN-6
#[test]
fn an_error_is_logged_as_the_guest_is_told_it() {
    for (error, code) in [
        (LookupError::NotAName, "invalid-argument"),
        (LookupError::Denied, "access-denied"),
        (LookupError::TooMany, "new-socket-limit"),
        (LookupError::OverBudget, "lookup-quota"),
        (LookupError::Unresolvable, "name-unresolvable"),
        (LookupError::TemporaryFailure, "temporary-resolver-failure"),
        (LookupError::PermanentFailure, "permanent-resolver-failure"),
    ] {
        assert_eq!(error.code(), code);
    }
}

// proves: DNS-5
#[tokio::test]
async fn grants_end_with_the_name_and_outlive_a_failing_server() {
    let failed = || ResolveError::Failed {
        detail: "SERVFAIL".to_owned(),
    };
    let refused = || ResolveError::Refused {
        detail: "REFUSED".to_owned(),
    };
    let rows = [
        (ResolveError::NoSuchName, LookupError::Unresolvable, false),
        (ResolveError::NoAddress, LookupError::Unresolvable, false),
        (failed(), LookupError::TemporaryFailure, true),
        (ResolveError::TimedOut, LookupError::TemporaryFailure, true),
        (refused(), LookupError::PermanentFailure, true),
    ];
    for (error, expected, granted) in rows {
        let script = Script::new()
            .then("db.example", answer(&["10.0.0.1"]))
            .then("db.example", Err(error.clone()));
        let enforcer = World::new(script).instance(&["*://db.example:5432"]);
        lookup(&enforcer, "db.example").await.unwrap();
        assert_eq!(lookup(&enforcer, "db.example").await, Err(expected), "{error:?}");
        assert_eq!(connects(&enforcer, "10.0.0.1:5432"), granted, "{error:?}");
    }
}

// proves: DNS-5, DNS-12
#[tokio::test(start_paused = true)]
async fn a_silent_server_fails_after_the_time_of_a_lookup() {
    let world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
    let enforcer = world.instance(&["*://db.example:5432"]);
    let _silent = world.script.hold("db.example");
    let start = tokio::time::Instant::now();
    assert_eq!(
        lookup(&enforcer, "db.example").await,
        Err(LookupError::TemporaryFailure)
    );
    assert_eq!(start.elapsed().as_secs(), 5);
}

// proves: DNS-7
#[tokio::test]
async fn no_other_instance_gains_from_a_grant() {
    let world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
    let egress = world.egress();
    let (mine, other) = (
        instance(&egress, &["*://db.example:5432"]),
        instance(&egress, &["*://db.example:5432"]),
    );
    lookup(&mine, "db.example").await.unwrap();
    assert!(connects(&mine, "10.0.0.1:5432"));
    assert!(!connects(&other, "10.0.0.1:5432"));
}

// proves: DNS-9
#[tokio::test]
async fn addresses_of_the_machine_are_left_out_of_what_a_server_answers() {
    let guarded = [
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "169.254.0.1",
        "224.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
    ];
    for address in guarded {
        let script = Script::new()
            .then("www.example", answer(&[address]))
            .then("www.example", answer(&["10.0.0.1", address]));
        let enforcer = World::new(script).instance(&["*://www.example:8080"]);
        assert_eq!(
            lookup(&enforcer, "www.example").await,
            Err(LookupError::Denied),
            "{address} alone"
        );
        assert_eq!(
            lookup(&enforcer, "www.example").await,
            Ok(addresses(&["10.0.0.1"])),
            "{address} among others"
        );
        assert!(
            !connects(
                &enforcer,
                &std::net::SocketAddr::new(address.parse().unwrap(), 8080).to_string()
            ),
            "{address}"
        );
    }
}

// proves: DNS-9
#[tokio::test]
async fn the_operator_may_lift_loopback_answers() {
    let mut world = World::new(Script::new().then("www.example", answer(&["127.0.0.1"])));
    world.operator.limits.loopback_answers = Limit::Lifted;
    let enforcer = world.instance(&["*://www.example:*"]);
    assert_eq!(
        lookup(&enforcer, "www.example").await,
        Ok(addresses(&["127.0.0.1"]))
    );
    assert!(connects(&enforcer, "127.0.0.1:8080"));
    assert!(!connects(&enforcer, "127.0.0.1:22"), "RL-1 holds all the same");
}

// proves: DNS-9
#[tokio::test]
async fn what_the_deny_list_refuses_is_left_out_of_the_answer() {
    let script = Script::new().then("www.example", answer(&["10.0.0.1", "192.0.2.1"]));
    let world = World::new(script).deny(&["*://10.0.0.0/8:*"]);
    assert_eq!(
        lookup(&world.instance(&["*://www.example:*"]), "www.example").await,
        Ok(addresses(&["192.0.2.1"]))
    );
    assert_eq!(
        world.events.take(),
        [
            "dns.lookup www.example",
            "dns.answer 10.0.0.1 [deny.network]",
            "dns.answer 192.0.2.1"
        ]
    );
}

// proves: DNS-10
#[tokio::test]
async fn localhost_is_answered_here_and_needs_an_entry() {
    let world = World::new(Script::new().then("localhost", answer(&["192.0.2.1"])));
    let enforcer = world.instance(&["*://localhost:7001", "*://*.localhost:7001"]);
    for text in ["localhost", "db.localhost", "LOCALHOST."] {
        assert_eq!(
            lookup(&enforcer, text).await,
            Ok(addresses(&["127.0.0.1", "::1"])),
            "{text}"
        );
    }
    assert!(connects(&enforcer, "127.0.0.1:7001"));
    assert_eq!(world.script.questions(), [] as [&str; 0]);
    assert_eq!(
        lookup(&world.instance(&["*://db.example:1"]), "localhost").await,
        Err(LookupError::Denied)
    );
}

// proves: DNS-12
#[tokio::test]
async fn an_answer_is_cut_to_as_many_addresses_as_are_permitted() {
    let texts: Vec<String> = (0..70).map(|index| format!("10.0.0.{index}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (given, kept, cut) in [(64, 64, 0), (65, 64, 1), (70, 64, 1)] {
        let egress = World::new(Script::new().then("db.example", answer(&texts[..given]))).egress();
        let enforcer = instance(&egress, &["*://db.example:5432"]);
        assert_eq!(lookup(&enforcer, "db.example").await.unwrap().len(), kept);
        assert_eq!(egress.metrics().answers_cut, cut, "{given} addresses");
        assert!(connects(&enforcer, "10.0.0.63:5432"));
        assert!(!connects(&enforcer, "10.0.0.64:5432"));
    }
}

// proves: DL-9
#[tokio::test]
async fn a_new_deny_list_ends_the_grants_that_it_forbids() {
    let world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
    let egress = world.egress();
    let enforcer = instance(&egress, &["*://db.example:5432"]);
    lookup(&enforcer, "db.example").await.unwrap();
    assert!(connects(&enforcer, "10.0.0.1:5432"));

    let mut operator = world.operator.clone();
    operator.deny = deny(&["*://db.example:*"]);
    egress.replace_operator(operator);
    assert!(!connects(&enforcer, "10.0.0.1:5432"));
    assert_eq!(lookup(&enforcer, "db.example").await, Err(LookupError::Denied));

    egress.replace_operator(world.operator.clone());
    assert!(connects(&enforcer, "10.0.0.1:5432"));
}

// proves: BUD-1
#[tokio::test(start_paused = true)]
async fn as_many_lookups_leave_in_a_minute_as_may_by_whatever_instance_and_grants_stay() {
    let script = Script::new().then("db.example", answer(&["10.0.0.1"]));
    let mut world = World::new(script);
    world.operator.quotas.lookups_per_minute = 3;
    let egress = world.egress();
    let instances = [(); 2].map(|()| instance(&egress, &["*://db.example:5432", "*://other.example:1"]));
    let one = Ok(addresses(&["10.0.0.1"]));
    for enforcer in [&instances[0], &instances[1], &instances[0]] {
        assert_eq!(lookup(enforcer, "db.example").await, one);
    }
    world.events.take();
    for enforcer in &instances {
        assert_eq!(lookup(enforcer, "db.example").await, Err(LookupError::OverBudget));
        let told = [
            "dns.lookup db.example",
            "dns.resolve db.example [quota.lookup-rate]",
        ];
        assert_eq!(world.events.take(), told);
        assert!(connects(enforcer, "10.0.0.1:5432"), "what was granted stays");
        world.events.take();
    }
    assert_eq!(
        lookup(&instances[0], "other.example").await,
        Err(LookupError::OverBudget)
    );
    assert_eq!(world.script.questions().len(), 3);

    // What needs no server needs no budget, and neighbours have their own.
    assert!(lookup(&instances[0], "10.0.0.9").await.is_ok());
    let neighbour = egress
        .gate("api", crate::testing::allow(&["*://db.example:1"]))
        .open();
    assert_eq!(lookup(&neighbour.enforcer, "db.example").await, one);

    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(lookup(&instances[1], "db.example").await, one);
}

// proves: BUD-1
#[tokio::test]
async fn a_lookup_is_one_however_many_search_domains_are_tried() {
    let script = Script::new().search("a.example").search("b.example");
    let mut world = World::new(script.then("db", answer(&["10.0.0.1"])));
    world.operator.quotas.lookups_per_minute = 2;
    let enforcer = world.instance(&["*://db:1", "*://no:1"]);
    assert!(lookup(&enforcer, "db").await.is_ok());
    assert_eq!(lookup(&enforcer, "no").await, Err(LookupError::Unresolvable));
    assert_eq!(world.script.questions().len(), 6);
    assert_eq!(lookup(&enforcer, "db").await, Err(LookupError::OverBudget));
    assert_eq!(world.script.questions().len(), 6);
}

// proves: BUD-2
#[tokio::test(start_paused = true)]
async fn as_many_names_are_asked_for_below_a_wildcard_as_may_whether_or_not_they_exist() {
    let script = Script::new().then("a.w.example", answer(&["10.0.0.1"]));
    let mut world = World::new(script.then("exact.w.example", answer(&["10.0.0.2"])));
    world.operator.quotas.names_per_wildcard = 2;
    let egress = world.egress();
    let list = [
        "*://*.w.example:1",
        "tcp://*.w.example:2",
        "https://exact.w.example",
    ];
    let instances = [(); 2].map(|()| instance(&egress, &list));
    assert!(lookup(&instances[0], "a.w.example").await.is_ok());
    assert_eq!(
        lookup(&instances[1], "b.w.example").await,
        Err(LookupError::Unresolvable)
    );
    world.events.take();
    assert_eq!(
        lookup(&instances[0], "c.w.example").await,
        Err(LookupError::OverBudget)
    );
    assert_eq!(
        world
            .events
            .drain()
            .last()
            .and_then(|event| event.remedy.clone())
            .as_deref(),
        Some("the operator can lift this with `Quotas::names_per_wildcard`")
    );
    for name in ["a.w.example", "exact.w.example"] {
        assert!(
            lookup(&instances[1], name).await.is_ok(),
            "{name} is no further name"
        );
    }
    assert_eq!(world.script.questions().len(), 4);
    assert!(lookup(&instances[0], "x.localhost").await.is_err());

    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(
        lookup(&instances[0], "c.w.example").await,
        Err(LookupError::Unresolvable)
    );
}

// proves: BUD-2
#[tokio::test]
async fn what_is_refused_before_is_not_counted_and_a_list_for_every_name_is_not_limited() {
    let script = Script::new().then("a.w.example", answer(&["10.0.0.1"]));
    let mut world = World::new(script).deny(&["*://no.w.example:*"]);
    world.operator.quotas.names_per_wildcard = 1;
    let enforcer = world.instance(&["*://*.w.example:1"]);
    assert_eq!(lookup(&enforcer, "no.w.example").await, Err(LookupError::Denied));
    assert_eq!(
        lookup(&enforcer, "a.other.example").await,
        Err(LookupError::Denied)
    );
    assert!(lookup(&enforcer, "a.w.example").await.is_ok());
    let enforcer = world.instance(&["*://*.w.example:1", "https://*"]);
    for number in 0..10 {
        let result = lookup(&enforcer, &format!("n{number}.w.example")).await;
        assert_eq!(result, Err(LookupError::Unresolvable));
    }
}

// proves: BUD-1, BUD-2
#[tokio::test]
async fn a_part_uses_up_what_its_component_has_and_a_replaced_policy_forgets_nothing() {
    let mut world = World::new(Script::new());
    world.operator.quotas.names_per_wildcard = 2;
    let egress = world.egress();
    let gate = egress.gate("web", crate::testing::allow(&["*://*.w.example:*"]));
    let whole = gate.open();
    let part = gate
        .part("lib", crate::testing::allow(&["*://*.a.w.example:*"]))
        .open(&whole);
    assert_eq!(
        lookup(&part.enforcer, "1.a.w.example").await,
        Err(LookupError::Unresolvable)
    );
    assert_eq!(
        lookup(&whole.enforcer, "2.w.example").await,
        Err(LookupError::Unresolvable)
    );
    let lacking = |result| assert_eq!(result, Err(LookupError::OverBudget));
    lacking(lookup(&part.enforcer, "2.a.w.example").await);
    egress.replace_operator(world.operator.clone());
    lacking(lookup(&whole.enforcer, "3.w.example").await);
    // Another gate for the component is no other budget.
    let again = instance(&egress, &["*://*.w.example:*"]);
    lacking(lookup(&again, "4.w.example").await);

    world.operator.quotas.names_per_wildcard = 3;
    egress.replace_operator(world.operator.clone());
    assert_eq!(
        lookup(&part.enforcer, "2.a.w.example").await,
        Err(LookupError::Unresolvable)
    );
    egress.collect();
    let value = |series| world.counted.value(series);
    assert_eq!(value("outport_budget_used{web,names_per_wildcard}"), Some(3.0));
    assert_eq!(value("outport_budget_limit{web,names_per_wildcard}"), Some(3.0));
    assert_eq!(value("outport_budget_used{web,lookups_per_minute}"), Some(3.0));
}
