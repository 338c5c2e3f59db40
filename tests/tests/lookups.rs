//! Names: which may be looked up, what is asked, and what the guest gets of the answer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use outport_e2e::dns::{DnsServer, RecordType, Reply, Transport};
use outport_e2e::guest::Wasi;
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::script::{Script, results, timed};
use outport_e2e::tcp::ClosedPort;

/// A script guest that may look every name up, at this server.
fn curious(dns: &DnsServer) -> Outport {
    Outport::script_guest().allow("*://*:*").dns(dns)
}

// proves: DNS-1
#[test]
fn dns_1_only_names_of_entries_for_sockets_are_asked_for() {
    let dns = DnsServer::start();
    dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
    for entry in [
        "*://db.test:80",
        "tcp://db.test:80",
        "udp://db.test:80",
        "*://*.test:80",
        "*://*:80",
        "tcp://*:1",
    ] {
        Script::new()
            .gets("dns.lookup db.test", "10.0.0.5")
            .run(Outport::script_guest().allow(entry).dns(&dns));
    }
    let asked = dns.queries().len();
    for (entry, reason) in [
        ("*://db2.test:80", "dns.name-not-allowed"),
        ("*://*.db.test:80", "dns.name-not-allowed"),
        ("*://10.0.0.0/8:*", "dns.name-not-allowed"),
        ("*://0.0.0.0/0:*", "dns.name-not-allowed"),
        ("http://db.test", "allow.scheme"),
        ("redis://db.test", "allow.scheme"),
        ("https://*:443", "allow.scheme"),
    ] {
        Script::new()
            .denied("dns.lookup db.test", reason)
            .run(Outport::script_guest().allow(entry).dns(&dns));
    }
    Script::new()
        .denied("dns.lookup db.test", "allow.none")
        .run(Outport::script_guest().dns(&dns));
    assert_eq!(
        dns.queries().len(),
        asked,
        "no query leaves for a name that is not allowed"
    );
}

// proves: DNS-2
#[test]
fn dns_2_the_query_is_in_lower_case_and_absolute() {
    let dns = DnsServer::start();
    dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
    dns.answers("xn--bcher-kva.test", [Reply::addresses(["10.0.0.5"])]);
    let script = ["DB.Test", "db.test.", "BÜCHER.test"]
        .into_iter()
        .fold(Script::new(), |script, name| {
            script.gets(format!("dns.lookup {name}"), "10.0.0.5")
        })
        .refused("dns.lookup unknown.test", "name-unresolvable", "");
    let finished = curious(&dns).args(script.statements()).finish().expect_code(0);
    assert_eq!(
        results(&finished.stdout),
        ["10.0.0.5", "10.0.0.5", "10.0.0.5", "name-unresolvable"],
        "{finished}"
    );
    let mut names: Vec<_> = dns.queries().into_iter().map(|query| query.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names, ["db.test", "unknown.test", "xn--bcher-kva.test"]);
}

// proves: DNS-2
#[test]
fn dns_2_what_cannot_be_a_name_is_an_invalid_argument() {
    let dns = DnsServer::start();
    let (long_label, long_name) = ("a".repeat(64), format!("{}test", "abcdefg.".repeat(32)));
    let script = [
        "a..test",
        ".test",
        "..",
        "a_b c",
        "a/b.test",
        "a@b.test",
        "a:80",
        "%6c.test%00",
        &long_label,
        &long_name,
    ]
    .into_iter()
    .filter(|name| !name.contains(' '))
    .fold(Script::new(), |script, name| {
        script.gets(format!("dns.lookup {name}"), "invalid-argument")
    });
    script.run(curious(&dns));
    assert_eq!(dns.queries(), []);
}

// proves: DNS-2
#[test]
fn dns_2_the_longest_names_are_asked_for() {
    let dns = DnsServer::start();
    let label = "a".repeat(63);
    let name = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    dns.answers(&name, [Reply::addresses(["10.0.0.5"])]);
    Script::new()
        .gets(format!("dns.lookup {name}"), "10.0.0.5")
        .run(curious(&dns));
}

// proves: DNS-5
#[test]
fn dns_5_each_failure_has_its_code() {
    let dns = DnsServer::start();
    dns.answers("none.test", [Reply::nodata()]);
    dns.answers("broken.test", [Reply::servfail()]);
    dns.answers("no.test", [Reply::refused()]);
    let script = Script::new()
        .gets("dns.lookup unknown.test", "name-unresolvable")
        .gets("dns.lookup none.test", "name-unresolvable")
        .gets("dns.lookup broken.test", "temporary-resolver-failure")
        .gets("dns.lookup no.test", "permanent-resolver-failure");
    script.run(curious(&dns));
}

// proves: DNS-5, DNS-12
#[test]
fn dns_12_a_silent_server_is_given_up_after_five_seconds() {
    let dns = DnsServer::start();
    dns.answers("quiet.test", [Reply::silence()]);
    let finished = Script::new()
        .any("timed dns.lookup quiet.test")
        .run(curious(&dns));
    let (result, time) = timed(&finished, 0);
    assert_eq!(result, "temporary-resolver-failure", "{finished}");
    assert!((4..9).contains(&time.as_secs()), "{finished}");
}

#[test]
fn a_server_that_dies_in_the_middle_is_a_temporary_failure() {
    let dns = DnsServer::start();
    dns.answers("last.test", [Reply::death()]);
    let script = Script::new()
        .gets("dns.lookup last.test", "temporary-resolver-failure")
        .gets("dns.lookup db.test", "temporary-resolver-failure");
    script.run(curious(&dns));
}

#[test]
fn forged_and_foreign_answers_give_nothing() {
    let dns = DnsServer::start();
    dns.answers("forged.test", [Reply::addresses(["10.0.0.5"]).wrong_id()]);
    dns.answers(
        "foreign.test",
        [Reply::addresses(["10.0.0.5"]).owned_by("other.test")],
    );
    dns.answers(
        "stray.test",
        [Reply::addresses(["10.0.0.5"]).with_stray("other.test", "10.0.0.6")],
    );
    dns.answers("loop.test", [Reply::alias_loop("loop.test", "pool.test")]);
    dns.answers("pool.test", [Reply::alias_loop("pool.test", "loop.test")]);
    let script = Script::new()
        .gets("dns.lookup forged.test", "temporary-resolver-failure")
        .gets("dns.lookup foreign.test", "name-unresolvable")
        .gets("dns.lookup stray.test", "10.0.0.5")
        .any("dns.lookup loop.test");
    let finished = script.run(curious(&dns));
    let last = results(&finished.stdout)[3];
    assert!(
        ["name-unresolvable", "temporary-resolver-failure"].contains(&last),
        "{finished}"
    );
}

// proves: DNS-12
#[test]
fn dns_12_answers_that_are_cut_again_and_again_are_told_ever_more_seldom() {
    let dns = DnsServer::start();
    dns.answers("big.test", [Reply::many_addresses(100).ttl(60)]);
    let finished = curious(&dns)
        .args(["repeat 100 dns.lookup big.test"])
        .finish()
        .expect_code(0);
    let told = finished.stderr.matches("an answer was cut").count();
    assert_eq!(
        told, 7,
        "the first, and whenever there are twice as many\n{finished}"
    );
}

#[test]
fn a_chain_is_followed_over_several_answers() {
    let dns = DnsServer::start();
    dns.answers(
        "whole.test",
        [Reply::addresses(["10.0.0.5"]).via(["cdn.test", "edge.test"])],
    );
    dns.answers("half.test", [Reply::alias(["whole.test"])]);
    dns.answers("quarter.test", [Reply::alias(["half.test"])]);
    let script = ["whole.test", "half.test", "quarter.test"]
        .into_iter()
        .fold(Script::new(), |script, name| {
            script.gets(format!("dns.lookup {name}"), "10.0.0.5")
        });
    script.run(curious(&dns));
}

#[test]
fn both_families_are_answered_and_one_is_enough() {
    let dns = DnsServer::start();
    dns.answers("both.test", [Reply::addresses(["10.0.0.5", "fd00::5"])]);
    dns.answers("six.test", [Reply::addresses(["fd00::5"])]);
    dns.answers("half.test", [Reply::addresses(["10.0.0.5"])]);
    dns.answers_of(RecordType::AAAA, "half.test", [Reply::servfail()]);
    let finished = Script::new()
        .any("dns.lookup both.test")
        .gets("dns.lookup six.test", "fd00::5")
        .gets("dns.lookup half.test", "10.0.0.5")
        .run(curious(&dns));
    let mut both: Vec<_> = results(&finished.stdout)[0].split(',').collect();
    both.sort_unstable();
    assert_eq!(both, ["10.0.0.5", "fd00::5"]);
}

// proves: DNS-8
#[test]
fn dns_8_a_literal_address_is_returned_without_a_query_and_grants_nothing() {
    let dns = DnsServer::start();
    let script = Script::new()
        .gets("dns.lookup 127.0.0.1", "127.0.0.1")
        .gets("dns.lookup 93.184.216.34", "93.184.216.34")
        .gets("dns.lookup ::1", "::1")
        .denied("tcp.connect 127.0.0.1:8080", "allow.name-not-looked-up");
    script.run(Outport::script_guest().allow("*://db.test:8080").dns(&dns));
    assert_eq!(dns.queries(), []);
}

// proves: DNS-9
#[test]
fn dns_9_addresses_of_this_machine_are_left_out_of_a_servers_answer() {
    let dns = DnsServer::start();
    for (name, addresses) in [
        ("mixed.test", vec!["127.0.0.1", "10.0.0.5", "169.254.1.1"]),
        ("six.test", vec!["::1", "fe80::1", "ff02::1", "::", "fd00::5"]),
        (
            "mapped.test",
            vec!["::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00::5"],
        ),
        ("loopback.test", vec!["127.0.0.1"]),
        ("zero.test", vec!["0.0.0.0"]),
        ("zero-net.test", vec!["0.1.2.3"]),
        ("local.test", vec!["169.254.169.254"]),
        ("group.test", vec!["224.0.0.1"]),
        ("all.test", vec!["255.255.255.255"]),
    ] {
        dns.answers(name, [Reply::addresses(addresses)]);
    }
    let finished = curious(&dns)
        .args(
            [
                "mixed", "six", "mapped", "loopback", "zero", "zero-net", "local", "group", "all",
            ]
            .map(|name| format!("dns.lookup {name}.test")),
        )
        .finish()
        .expect_code(0);
    let mut expected = vec!["10.0.0.5", "fd00::5", "fd00::5"];
    expected.extend(["access-denied"; 6]);
    assert_eq!(results(&finished.stdout), expected, "{finished}");
    let codes = ["dns.rebinding", "runtime.link-local", "hard.multicast"];
    assert!(
        finished
            .reasons()
            .iter()
            .all(|reason| codes.contains(&reason.as_str())),
        "{finished}"
    );
    assert!(
        finished.reasons().iter().any(|reason| reason == "dns.rebinding"),
        "{finished}"
    );
}

// proves: DNS-9
#[test]
fn dns_9_an_entry_for_the_address_itself_lets_it_through() {
    let dns = DnsServer::start();
    dns.answers("local.test", [Reply::addresses(["127.0.0.1"])]);
    let closed = ClosedPort::take();
    let port = closed.number();
    for entry in [format!("*://127.0.0.1:{port}"), format!("*://127.0.0.0/8:{port}")] {
        let script = Script::new()
            .gets("dns.lookup local.test", "127.0.0.1")
            .gets(format!("tcp.connect 127.0.0.1:{port}"), "connection-refused");
        script.run(
            Outport::script_guest()
                .allow(format!("*://local.test:{port}"))
                .allow(entry)
                .dns(&dns),
        );
    }
}

// proves: DNS-9, RL-1
#[test]
fn dns_9_the_operator_lets_loopback_answers_through_and_low_ports_stay_refused() {
    let dns = DnsServer::start();
    dns.answers("local.test", [Reply::addresses(["127.0.0.1"])]);
    let closed = ClosedPort::take();
    let script = Script::new()
        .gets("dns.lookup local.test", "127.0.0.1")
        .gets(
            format!("tcp.connect 127.0.0.1:{}", closed.number()),
            "connection-refused",
        )
        .denied("tcp.connect 127.0.0.1:80", "runtime.loopback-port");
    script.run(
        Outport::script_guest()
            .allow("*://local.test:*")
            .dns(&dns)
            .option("--allow-loopback-answers"),
    );
}

// proves: DNS-9
#[test]
fn dns_9_an_answer_of_private_and_public_addresses_stays_whole() {
    isolated(|| {
        let dns = DnsServer::start();
        dns.answers("mixed.test", [Reply::addresses(["93.184.216.34", "10.0.0.5"])]);
        let finished = Script::new().any("dns.lookup mixed.test").run(curious(&dns));
        let mut addresses: Vec<_> = results(&finished.stdout)[0].split(',').collect();
        addresses.sort_unstable();
        assert_eq!(addresses, ["10.0.0.5", "93.184.216.34"]);
    });
}

// proves: DNS-10
#[test]
fn dns_10_localhost_is_never_asked_for_and_needs_an_entry() {
    let dns = DnsServer::start();
    dns.answers("localhost", [Reply::addresses(["10.0.0.5"])]);
    dns.answers("db.localhost", [Reply::addresses(["10.0.0.5"])]);
    let (closed, other) = (ClosedPort::take(), ClosedPort::take());
    let port = closed.number();
    let script = Script::new()
        .gets("dns.lookup localhost", "127.0.0.1,::1")
        .gets("dns.lookup LocalHost.", "127.0.0.1,::1")
        .gets("dns.lookup db.localhost", "127.0.0.1,::1")
        .gets(format!("tcp.connect 127.0.0.1:{port}"), "connection-refused")
        .denied(format!("tcp.connect 127.0.0.1:{}", other.number()), "allow.port");
    script.run(
        Outport::script_guest()
            .allow(format!("*://localhost:{port}"))
            .allow(format!("*://*.localhost:{port}"))
            .dns(&dns),
    );
    let script = Script::new()
        .denied("dns.lookup localhost", "dns.name-not-allowed")
        .denied("dns.lookup db.localhost", "dns.name-not-allowed");
    script.run(Outport::script_guest().allow("*://db.test:7001").dns(&dns));
    assert_eq!(dns.queries(), []);
}

// proves: DNS-11
#[test]
fn dns_11_the_servers_of_the_option_replace_the_systems() {
    let (silent, dns) = (DnsServer::start(), DnsServer::start());
    silent.answers("db.test", [Reply::silence()]);
    dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
    Script::new()
        .gets("dns.lookup db.test", "10.0.0.5")
        .run(curious(&dns));
    // Of several servers one that answers is enough.
    Script::new()
        .gets("dns.lookup db.test", "10.0.0.5")
        .run(curious(&silent).dns(&dns));
}

// proves: DNS-11
#[test]
fn dns_11_answers_are_kept_for_their_time_to_live_and_no_longer() {
    let dns = DnsServer::start();
    dns.answers(
        "kept.test",
        [
            Reply::addresses(["10.0.0.5"]).ttl(60),
            Reply::addresses(["10.0.0.6"]),
        ],
    );
    dns.answers(
        "fresh.test",
        [
            Reply::addresses(["10.0.0.5"]).ttl(0),
            Reply::addresses(["10.0.0.6"]),
        ],
    );
    dns.answers("far.test", [Reply::addresses(["10.0.0.5"]).ttl(1 << 31)]);
    let finished = Script::new()
        .gets("dns.lookup fresh.test", "10.0.0.5")
        .gets("dns.lookup fresh.test", "10.0.0.6")
        .gets("dns.lookup kept.test", "10.0.0.5")
        .any("dns.lookup kept.test")
        .gets("dns.lookup far.test", "10.0.0.5")
        .run(curious(&dns));
    let again = results(&finished.stdout)[3];
    assert!(["10.0.0.5", "10.0.0.6"].contains(&again), "{finished}");
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let dns = DnsServer::start();
    dns.answers("tc.test", [Reply::addresses(["10.0.0.5"]).truncated()]);
    Script::new()
        .gets("dns.lookup tc.test", "10.0.0.5")
        .run(curious(&dns));
    assert!(
        dns.queries_for("tc.test")
            .iter()
            .any(|query| query.transport == Transport::Tcp)
    );
}

// proves: DNS-12
#[test]
fn dns_12_an_answer_is_cut_at_64_addresses() {
    let dns = DnsServer::start();
    dns.answers("big.test", [Reply::many_addresses(500)]);
    let finished = Script::new().any("dns.lookup big.test").run(curious(&dns));
    assert_eq!(results(&finished.stdout)[0].split(',').count(), 64, "{finished}");
}

// proves: DNS-12
#[test]
fn dns_12_the_seventeenth_lookup_in_flight_is_refused() {
    let dns = DnsServer::start();
    for number in 1..=18 {
        dns.answers(
            &format!("n{number}.test"),
            [Reply::addresses(["10.0.0.5"]).after(Duration::from_millis(1500))],
        );
    }
    let mut script = Script::new().gets("repeat 16 dns.start n{}.test as l{}", "started x16");
    script = script.refused(
        "dns.start n17.test as l17",
        Wasi::under_test().quota_code(),
        "quota.lookups",
    );
    script = script
        .gets("dns.read l1", "10.0.0.5")
        .gets("dns.read l16", "10.0.0.5");
    script.gets("dns.lookup n18.test", "10.0.0.5").run(curious(&dns));
}

#[test]
fn a_lookup_that_waits_holds_no_other_up() {
    let dns = DnsServer::start();
    dns.answers(
        "slow.test",
        [Reply::addresses(["10.0.0.5"]).after(Duration::from_millis(1600))],
    );
    dns.answers("fast.test", [Reply::addresses(["10.0.0.6"])]);
    let finished = Script::new()
        .gets("dns.start slow.test as slow", "started")
        .any("timed dns.lookup fast.test")
        .gets("dns.read slow", "10.0.0.5")
        .run(curious(&dns));
    let (result, time) = timed(&finished, 1);
    assert!(
        result == "10.0.0.6" && time < Duration::from_millis(1500),
        "{finished}"
    );
}
