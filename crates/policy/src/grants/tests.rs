use std::time::Duration;

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn address(last: u8) -> Address {
    std::net::Ipv4Addr::new(192, 0, 2, last).into()
}

fn answer(last: &[u8]) -> LookupOutcome {
    LookupOutcome::Answered {
        chain: Vec::new(),
        addresses: last.iter().map(|last| address(*last)).collect(),
    }
}

fn lookup(grants: &mut Grants, text: &str, outcome: LookupOutcome) -> Settled {
    let ticket = grants.begin(name(text));
    grants.settle(ticket, outcome, Instant::now())
}

fn holds(grants: &Grants, last: u8) -> Vec<String> {
    grants
        .of(address(last))
        .map(|grant| grant.name.to_string())
        .collect()
}

// proves: DNS-3, DNS-4
#[test]
fn a_new_answer_replaces_the_old_one_of_that_name_only() {
    let mut grants = Grants::new(8);
    lookup(&mut grants, "a.example", answer(&[1, 2]));
    lookup(&mut grants, "b.example", answer(&[2, 3]));
    assert_eq!(holds(&grants, 2), ["a.example", "b.example"]);
    lookup(&mut grants, "a.example", answer(&[4]));
    assert!(holds(&grants, 1).is_empty());
    assert_eq!(
        grants.ended(address(1)),
        Some((&name("a.example"), Ending::Replaced))
    );
    assert_eq!(
        holds(&grants, 2),
        ["b.example"],
        "an address of two names lives until both drop it"
    );
    assert_eq!(grants.ended(address(2)), None);
    assert_eq!(holds(&grants, 3), ["b.example"]);
    assert_eq!(holds(&grants, 4), ["a.example"]);
}

// proves: DNS-4
#[test]
fn of_two_lookups_in_flight_the_later_one_wins() {
    for later_first in [true, false] {
        let mut grants = Grants::new(8);
        let earlier = grants.begin(name("a.example"));
        let later = grants.begin(name("a.example"));
        let now = Instant::now();
        if later_first {
            assert_eq!(grants.settle(later, answer(&[2]), now), Settled::InForce);
            assert_eq!(grants.settle(earlier, answer(&[1]), now), Settled::Superseded);
        } else {
            assert_eq!(grants.settle(earlier, answer(&[1]), now), Settled::InForce);
            assert_eq!(grants.settle(later, answer(&[2]), now), Settled::InForce);
        }
        assert!(holds(&grants, 1).is_empty());
        assert_eq!(holds(&grants, 2), ["a.example"]);
    }
}

// proves: DNS-4
#[test]
fn a_late_answer_cannot_bring_back_what_a_later_lookup_ended() {
    let mut grants = Grants::new(8);
    let earlier = grants.begin(name("a.example"));
    lookup(&mut grants, "a.example", LookupOutcome::Nothing);
    assert_eq!(
        grants.settle(earlier, answer(&[1]), Instant::now()),
        Settled::Superseded
    );
    assert!(holds(&grants, 1).is_empty());
}

// proves: DNS-4
#[test]
fn an_abandoned_lookup_grants_nothing_and_ends_nothing() {
    let mut grants = Grants::new(8);
    lookup(&mut grants, "a.example", answer(&[1]));
    drop(grants.begin(name("a.example")));
    assert_eq!(holds(&grants, 1), ["a.example"]);
}

// proves: DNS-5
#[test]
fn a_name_that_is_gone_loses_its_grants_and_a_failure_keeps_them() {
    let mut grants = Grants::new(8);
    lookup(&mut grants, "a.example", answer(&[1]));
    assert_eq!(
        lookup(&mut grants, "a.example", LookupOutcome::Failed),
        Settled::Unchanged
    );
    assert_eq!(holds(&grants, 1), ["a.example"]);
    lookup(&mut grants, "a.example", LookupOutcome::Nothing);
    assert!(holds(&grants, 1).is_empty());
}

// proves: DNS-12
#[test]
fn the_least_recently_looked_up_name_makes_room() {
    let mut grants = Grants::new(2);
    let start = Instant::now();
    for (second, text, last) in [
        (0, "a.example", 1),
        (1, "b.example", 2),
        (2, "a.example", 1),
        (3, "c.example", 3),
    ] {
        let ticket = grants.begin(name(text));
        grants.settle(ticket, answer(&[last]), start + Duration::from_secs(second));
    }
    assert_eq!(grants.names(), 2);
    assert_eq!(holds(&grants, 1), ["a.example"]);
    assert!(holds(&grants, 2).is_empty());
    assert_eq!(holds(&grants, 3), ["c.example"]);
    assert_eq!(
        grants.ended(address(2)),
        Some((&name("b.example"), Ending::Evicted))
    );
}

// proves: DNS-4, DNS-12
#[test]
fn a_name_that_made_room_still_supersedes_its_older_lookups() {
    let rows: [(&str, LookupOutcome, &[u8]); 3] = [
        ("an answer", answer(&[2]), &[]),
        ("the end of the name", LookupOutcome::Nothing, &[]),
        ("a failure, which settles nothing", LookupOutcome::Failed, &[1]),
    ];
    for (what, later, expected) in rows {
        let mut grants = Grants::new(1);
        let earlier = grants.begin(name("a.example"));
        lookup(&mut grants, "a.example", later);
        lookup(&mut grants, "b.example", answer(&[3]));
        let settled = grants.settle(earlier, answer(&[1]), Instant::now());
        let found: Vec<u8> = (1..4)
            .filter(|last| holds(&grants, *last) == ["a.example"])
            .collect();
        assert_eq!(found, expected, "{what}");
        assert_eq!(settled == Settled::Superseded, expected.is_empty(), "{what}");
    }
}

// proves: DNS-3, DNS-12
#[test]
fn a_lookup_that_began_after_its_name_was_looked_up_last_is_not_superseded_when_that_makes_room() {
    let mut grants = Grants::new(1);
    lookup(&mut grants, "a.example", answer(&[1]));
    let again = grants.begin(name("a.example"));
    let other = grants.begin(name("c.example"));
    lookup(&mut grants, "b.example", answer(&[3]));
    assert_eq!(
        grants.settle(again, answer(&[2]), Instant::now()),
        Settled::InForce
    );
    assert_eq!(
        grants.settle(other, answer(&[4]), Instant::now()),
        Settled::InForce,
        "another name"
    );
}

#[test]
fn lookups_that_are_over_take_no_room() {
    let mut grants = Grants::new(1);
    let held = grants.begin(name("a.example"));
    for _ in 0..100 {
        lookup(&mut grants, "a.example", answer(&[1]));
        drop(grants.begin(name("b.example")));
    }
    assert!(grants.in_flight.len() <= 3, "{}", grants.in_flight.len());
    drop(held);
}

#[test]
fn the_last_addresses_whose_grants_ended_are_remembered() {
    let mut grants = Grants::new(1);
    let of = |n: u16| Address::from(std::net::Ipv4Addr::from(u32::from(n)));
    for n in 0..=256 {
        let addresses = vec![of(n)];
        let chain = Vec::new();
        lookup(
            &mut grants,
            "a.example",
            LookupOutcome::Answered { chain, addresses },
        );
    }
    // The last one is granted still, and 256 are remembered.
    assert_eq!(grants.ended(of(256)), None);
    let ended = Some((&name("a.example"), Ending::Replaced));
    assert!((0..256).all(|n| grants.ended(of(n)) == ended));
    lookup(&mut grants, "a.example", LookupOutcome::Nothing);
    assert_eq!(grants.ended(of(0)), None);
    assert!((1..=256).all(|n| grants.ended(of(n)) == ended));
}
