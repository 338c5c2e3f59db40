use std::net::SocketAddr;

use outport_policy::Transport;

use super::*;
use crate::testing::{Script, World, addresses, answer, deny, instance, name};

fn failed() -> Result<Answer, ResolveError> {
    Err(ResolveError::Failed {
        detail: "SERVFAIL".to_owned(),
    })
}

fn with_ttl(ttl: u64, texts: &[&str]) -> Result<Answer, ResolveError> {
    answer(texts).map(|answer| Answer {
        ttl: Duration::from_secs(ttl),
        ..answer
    })
}

fn in_part(result: Result<Answer, ResolveError>) -> Result<Answer, ResolveError> {
    result.map(|answer| Answer {
        extent: Extent::OneFamily,
        ..answer
    })
}

// proves: DL-5
#[test]
fn a_name_is_due_when_its_ttl_has_run_out_but_not_sooner_than_every_thirty_seconds() {
    let rows = [
        (with_ttl(0, &["10.0.0.1"]), 30),
        (with_ttl(29, &["10.0.0.1"]), 30),
        (with_ttl(31, &["10.0.0.1"]), 31),
        (with_ttl(u64::from(u32::MAX), &["10.0.0.1"]), 24 * 60 * 60),
        (failed(), 30),
        (in_part(with_ttl(3600, &["10.0.0.1"])), 30),
        (Err(ResolveError::NoSuchName), 30),
    ];
    for (result, seconds) in rows {
        let (mut known, start, names) = (Known::default(), Instant::now(), [name("evil.example")]);
        assert_eq!(known.due(&names, start), names);
        known.note(name("evil.example"), result.clone(), start);
        assert_eq!(known.pause(start), Duration::from_secs(seconds), "{result:?}");
        let before = start + Duration::from_secs(seconds) - Duration::from_millis(1);
        assert_eq!(known.due(&names, before), [], "{result:?}");
        assert_eq!(
            known.due(&names, start + Duration::from_secs(seconds)),
            names,
            "{result:?}"
        );
    }
}

// proves: DL-5
#[test]
fn a_failed_refresh_keeps_the_last_answer_and_a_name_that_is_gone_has_none() {
    let (mut known, now) = (Known::default(), Instant::now());
    let learned = |known: &Known| {
        let mut expected = LearnedAddresses::default();
        expected.insert(&name("evil.example"), addresses(&["10.0.0.1"]));
        known.learned() == expected
    };
    known.note(name("evil.example"), answer(&["10.0.0.1"]), now);
    assert!(learned(&known));
    known.note(name("evil.example"), failed(), now);
    assert!(learned(&known));
    known.note(name("evil.example"), Err(ResolveError::NoSuchName), now);
    assert!(!learned(&known));
}

// proves: DL-5
#[test]
fn a_refresh_that_fails_for_one_family_keeps_the_last_addresses_of_that_family() {
    let part = |texts: &[&str]| in_part(answer(texts));
    let (mut known, now) = (Known::default(), Instant::now());
    let rows: [(_, &[&str]); 6] = [
        (answer(&["10.0.0.1", "fd00::1"]), &["10.0.0.1", "fd00::1"]),
        (part(&["fd00::2"]), &["10.0.0.1", "fd00::2"]),
        (part(&["fd00::3"]), &["10.0.0.1", "fd00::3"]),
        (part(&["10.0.0.2"]), &["10.0.0.2", "fd00::3"]),
        (answer(&["10.0.0.2"]), &["10.0.0.2"]),
        (part(&["fd00::4"]), &["10.0.0.2", "fd00::4"]),
    ];
    for (step, (result, denied)) in rows.into_iter().enumerate() {
        known.note(name("evil.example"), result, now);
        let mut expected = LearnedAddresses::default();
        expected.insert(&name("evil.example"), addresses(denied));
        assert_eq!(known.learned(), expected, "step {step}");
    }
}

#[test]
fn the_log_says_of_what_cannot_be_resolved_whether_anything_is_denied() {
    for (addresses, which, said) in [
        (
            0,
            "",
            "its addresses are not known and so not denied yet; it is tried again in 30 s",
        ),
        (2, "", "its last addresses stay denied; it is tried again in 30 s"),
        (
            0,
            " of the other family",
            "its addresses of the other family are not known and so not denied yet; it is tried again in 30 s",
        ),
        (
            1,
            " of the other family",
            "its last addresses of the other family stay denied; it is tried again in 30 s",
        ),
    ] {
        assert_eq!(left(addresses, which), said);
    }
}

#[test]
fn a_name_that_is_no_longer_denied_is_forgotten() {
    let (mut known, now) = (Known::default(), Instant::now());
    known.note(name("evil.example"), answer(&["10.0.0.1"]), now);
    assert_eq!(known.due(&[name("other.example")], now), [name("other.example")]);
    assert_eq!(known.learned(), LearnedAddresses::default());
}

// proves: DL-5
#[tokio::test(start_paused = true)]
async fn the_addresses_of_a_denied_name_follow_its_answers() {
    let script = Script::new()
        .then("evil.example", with_ttl(1, &["10.0.0.1"]))
        .then("evil.example", with_ttl(40, &["10.0.0.2"]))
        .then("evil.example", failed())
        .then("evil.example", Err(ResolveError::NoSuchName));
    let egress = World::new(script).deny(&["*://evil.example:*"]).egress();
    let gate = instance(&egress, &["*://10.0.0.0/8:*"]);
    let connects = |last: u8| {
        gate.authorize_connect(Transport::Tcp, SocketAddr::from(([10, 0, 0, last], 80)))
            .is_ok()
    };
    let rounds = Rounds::default();
    let refreshing = refresh_forever(egress.downgrade(), &rounds);
    let looking = async {
        let rows = [
            (1, [false, true], "the first answer"),
            (29, [false, true], "its TTL is over, but not the shortest pause"),
            (31, [true, false], "the second answer"),
            (69, [true, false], "its TTL lasts"),
            (71, [true, false], "a failure keeps the last answer"),
            (101, [true, true], "the name is gone"),
        ];
        let start = Instant::now();
        for (second, expected, why) in rows {
            tokio::time::sleep_until(start + Duration::from_secs(second)).await;
            assert_eq!([connects(1), connects(2)], expected, "after {second} s: {why}");
        }
    };
    tokio::select! {
        () = refreshing => panic!("the egress is still there"),
        () = looking => {}
    }
}

// proves: DL-5, DL-9
#[test]
fn the_addresses_of_a_denied_name_are_denied_until_it_is_off_the_list() {
    let script = Script::new()
        .then("evil.example", answer(&["10.0.0.1"]))
        .then("worse.example", answer(&["10.0.0.2"]));
    let world = World::new(script).deny(&["*://evil.example:*"]);
    let egress = world.egress();
    let gate = instance(&egress, &["*://10.0.0.0/8:*"]);
    let connects = |remote: &str| {
        gate.authorize_connect(Transport::Tcp, remote.parse().unwrap())
            .is_ok()
    };
    assert!(connects("10.0.0.1:80"), "nobody has resolved the name yet");
    let refresher = Refresher::start(&egress).unwrap();
    let tried = refresher.tried();
    refresher.first_round(Duration::from_secs(60));
    assert!(tried());
    assert!(!connects("10.0.0.1:80"));
    assert!(connects("10.0.0.2:80"));

    let mut operator = world.operator.clone();
    operator.deny = deny(&["*://worse.example:*"]);
    egress.replace_operator(operator);
    let start = Instant::now();
    while connects("10.0.0.2:80") {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the new list is never resolved"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(connects("10.0.0.1:80"));
}

// proves: DL-5, DNS-2
#[test]
fn a_denied_name_without_a_dot_is_resolved_as_a_guest_would() {
    let script = Script::new()
        .search("corp.example")
        .then("db.corp.example", answer(&["10.0.0.1"]));
    let egress = World::new(script).deny(&["*://db:*"]).egress();
    let gate = instance(&egress, &["*://10.0.0.0/8:*"]);
    Refresher::start(&egress)
        .unwrap()
        .first_round(Duration::from_secs(5));
    assert!(
        gate.authorize_connect(Transport::Tcp, "10.0.0.1:80".parse().unwrap())
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_counts_as_tried_from_the_round_on_that_knows_the_list_it_is_on() {
    let world = World::new(Script::new()).deny(&["*://evil.example:*"]);
    let egress = world.egress();
    let refresher = Refresher {
        rounds: Arc::default(),
        egress: egress.downgrade(),
        _stop: oneshot::channel().0,
    };
    let tried = refresher.tried();
    assert!(!tried());
    let round = || async {
        let refreshing = refresh_forever(egress.downgrade(), &refresher.rounds);
        // It has a round behind it when it first sleeps.
        let _ = tokio::time::timeout(Duration::from_secs(1), refreshing).await;
    };
    round().await;
    assert!(tried());
    for (list, expected) in [
        (&["*://evil.example:*", "*://later.example:*"][..], false),
        (&["*://evil.example:*"], true),
        (&[], true),
        (&["*://later.example:*"], false),
    ] {
        let mut operator = world.operator.clone();
        operator.deny = deny(list);
        egress.replace_operator(operator);
        assert_eq!(tried(), expected, "{list:?}");
    }
    round().await;
    assert!(tried());
    drop(egress);
    assert!(tried());
}
