//! A DNS server that breaks the rules, lies, or falls silent: what the guest gets, what it may reach afterwards, and
//! how long it waits.
//!
//! After each look-up the guest tries to connect, to what the answer gave and to what it must not have given. All of
//! 10.9.0.0/16 is in the test's own network and nobody listens there, so `connection-refused` says that a guest was
//! let through.

use std::time::{Duration, Instant};

use outport_e2e::dns::{DnsServer, RecordType, Reply, Transport};
use outport_e2e::guest;
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::script::{Script, results, timed};
use outport_e2e::tcp::{Manner, TcpPeer};

/// The script guests, on WASI 0.2 and 0.3.
const SCRIPT_GUESTS: [&str; 2] = ["script-guest", "script-guest-p3"];

/// A guest that may reach names, and no address that no name has.
fn run(script_guest: &str, dns: &DnsServer) -> Outport {
    Outport::run(guest::path(script_guest))
        .allow("*://*.test:5432")
        .dns(dns)
}

/// Adds that these addresses can be reached.
fn reaches(script: Script, addresses: &[&str]) -> Script {
    addresses.iter().fold(script, |script, address| {
        script.gets(format!("tcp.connect {address}:5432"), "connection-refused")
    })
}

/// Adds that these addresses cannot be reached, since no look-up gave them.
fn misses(script: Script, addresses: &[&str]) -> Script {
    addresses.iter().fold(script, |script, address| {
        script.denied(format!("tcp.connect {address}:5432"), "allow.name-not-looked-up")
    })
}

/// The links of a chain: `PREFIX1.test`, `PREFIX2.test`, …
fn links(prefix: &str, count: usize) -> Vec<String> {
    (1..=count)
        .map(|number| format!("{prefix}{number}.test"))
        .collect()
}

fn texts(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str)
}

/// What a row of answers gives: the results of as many look-ups of `name`, and what can be reached then.
struct Case<'a> {
    name: &'a str,
    replies: Vec<Reply>,
    results: &'a [&'a str],
    reached: &'a [&'a str],
    missed: &'a [&'a str],
}

/// Runs all cases in one process for each version of WASI.
fn run_cases(cases: &[Case<'_>]) {
    for script_guest in SCRIPT_GUESTS {
        let dns = DnsServer::start();
        let script = cases.iter().fold(Script::new(), |script, case| {
            dns.answers(case.name, case.replies.clone());
            let script = case.results.iter().fold(script, |script, result| {
                script.gets(format!("dns.lookup {}", case.name), result)
            });
            misses(reaches(script, case.reached), case.missed)
        });
        script.run(run(script_guest, &dns));
    }
}

const UNRESOLVABLE: &str = "name-unresolvable";
const TEMPORARY: &str = "temporary-resolver-failure";

// proves: DNS-3, DNS-5
#[test]
fn an_answer_grants_the_addresses_of_the_name_and_nothing_that_came_along() {
    isolated(|| {
        run_cases(&[
            Case {
                name: "stray.test",
                replies: vec![Reply::addresses(["10.9.1.1"]).with_stray("other.test", "10.9.1.2")],
                results: &["10.9.1.1"],
                reached: &["10.9.1.1"],
                missed: &["10.9.1.2"],
            },
            Case {
                name: "foreign.test",
                replies: vec![Reply::addresses(["10.9.2.1"]).owned_by("other.test")],
                results: &[UNRESOLVABLE],
                reached: &[],
                missed: &["10.9.2.1"],
            },
            Case {
                // The addresses belong to the name itself, although it is an alias of another.
                name: "beside.test",
                replies: vec![Reply::alias(["nobody.test"]).with_stray("beside.test", "10.9.3.1")],
                results: &[UNRESOLVABLE],
                reached: &[],
                missed: &["10.9.3.1"],
            },
            Case {
                name: "garbled.test",
                replies: vec![Reply::garbage(&[0xff; 40])],
                results: &[TEMPORARY],
                reached: &[],
                missed: &[],
            },
            Case {
                name: "cut-off.test",
                replies: vec![Reply::garbage(&[0x81, 0x80, 0, 1, 0, 1])],
                results: &[TEMPORARY],
                reached: &[],
                missed: &[],
            },
            Case {
                name: "oversized.test",
                replies: vec![Reply::many_addresses(500).oversized()],
                results: &[TEMPORARY],
                reached: &[],
                missed: &["10.0.0.1", "10.0.0.100"],
            },
        ]);
    });
}

// proves: DNS-3, DL-4
#[test]
fn chains_lead_to_the_end_or_nowhere() {
    isolated(|| {
        let (sixteen, twenty) = (links("s", 16), links("t", 20));
        let hop = |from: &str, to: &str| (from.to_owned(), Reply::alias([to]));
        let mut hops = vec![hop("hops.test", "h1.test"), hop("far.test", "f1.test")];
        let numbers = |prefix: &'static str, last: usize| {
            let link = move |number| format!("{prefix}{number}.test");
            (1..last).map(move |number| (link(number), Reply::alias([link(number + 1).as_str()])))
        };
        hops.extend(numbers("h", 16));
        hops.extend(numbers("f", 20));
        hops.push(("h16.test".to_owned(), Reply::addresses(["10.9.13.1"])));
        hops.push(("f20.test".to_owned(), Reply::addresses(["10.9.14.1"])));
        hops.push(hop("round.test", "about.test"));
        hops.push(hop("about.test", "round.test"));
        hops.push(hop("self.test", "self.test"));
        hops.push(hop("dead-end.test", "unknown.test"));
        hops.push(hop("upper.test", "UPPER.Test"));
        for (name, target) in [
            ("spaced.test", "not a name.test"),
            ("literal.test", "127.0.0.1"),
            ("empty.test", "\0.test"),
            ("hidden.test", "a.invalid"),
        ] {
            hops.push(hop(name, target));
        }
        for script_guest in SCRIPT_GUESTS {
            let dns = DnsServer::start();
            dns.answers(
                "whole.test",
                [Reply::addresses(["10.9.11.1"]).via(texts(&sixteen))],
            );
            dns.answers("long.test", [Reply::addresses(["10.9.12.1"]).via(texts(&twenty))]);
            dns.answers("loop.test", [Reply::alias_loop("loop.test", "pool.test")]);
            for (name, reply) in &hops {
                dns.answers(name, [reply.clone()]);
            }
            let script = Script::new()
                .gets("dns.lookup whole.test", "10.9.11.1")
                .gets("dns.lookup hops.test", "10.9.13.1")
                .gets("dns.lookup long.test", TEMPORARY)
                .gets("dns.lookup far.test", TEMPORARY)
                .gets("dns.lookup loop.test", TEMPORARY)
                .gets("dns.lookup round.test", TEMPORARY)
                .gets("dns.lookup self.test", TEMPORARY)
                .gets("dns.lookup upper.test", TEMPORARY)
                .gets("dns.lookup spaced.test", TEMPORARY)
                .gets("dns.lookup literal.test", TEMPORARY)
                .gets("dns.lookup empty.test", TEMPORARY)
                .gets("dns.lookup dead-end.test", UNRESOLVABLE)
                .gets("dns.lookup hidden.test", UNRESOLVABLE);
            let script = reaches(script, &["10.9.11.1", "10.9.13.1"]);
            misses(script, &["10.9.12.1", "10.9.14.1", "127.0.0.1"]).run(run(script_guest, &dns));
            let after_the_end = ["f17.test", "a.invalid", "localhost"];
            assert!(
                after_the_end.iter().all(|name| dns.queries_for(name).is_empty()),
                "{:?}",
                dns.queries()
            );
        }
    });
}

// proves: DNS-12
#[test]
fn of_five_hundred_addresses_sixty_four_are_granted() {
    isolated(|| {
        for script_guest in SCRIPT_GUESTS {
            let dns = DnsServer::start();
            dns.answers("big.test", [Reply::many_addresses(500)]);
            let script = Script::new()
                .any("dns.lookup big.test")
                .gets("tcp.connect 10.0.0.5:5432", "connection-refused")
                .gets("tcp.connect 10.0.0.64:5432", "remote-unreachable");
            let script = misses(script, &["10.0.0.65", "10.0.1.244"]);
            let finished = script.run(run(script_guest, &dns));
            assert_eq!(results(&finished.stdout)[0].split(',').count(), 64, "{finished}");
        }
    });
}

// proves: DNS-11
#[test]
fn a_time_to_live_is_believed_from_one_second_to_a_day() {
    isolated(|| {
        let ttls = |seconds: u32| {
            let [first, next] = ["10.9.21.1", "10.9.21.2"].map(|address| Reply::addresses([address]));
            vec![first.ttl(seconds), next.ttl(seconds)]
        };
        let kept = ["10.9.21.1", "10.9.21.1"];
        let fresh = ["10.9.21.1", "10.9.21.2"];
        for (name, seconds, results) in [
            ("zero.test", 0, fresh),
            ("minute.test", 60, kept),
            ("decades.test", i32::MAX.unsigned_abs(), kept),
            // RFC 2181, section 8: the highest bit makes it zero.
            ("negative.test", 1 << 31, fresh),
            ("most.test", u32::MAX, fresh),
        ] {
            let other = if results == kept { "10.9.21.2" } else { "10.9.21.1" };
            let dns = DnsServer::start();
            dns.answers(name, ttls(seconds));
            let script = results.iter().fold(Script::new(), |script, result| {
                script.gets(format!("dns.lookup {name}"), result)
            });
            let script = reaches(script, &results[1..]);
            let reason = if results == kept {
                "allow.name-not-looked-up"
            } else {
                "grant.replaced"
            };
            script
                .denied(format!("tcp.connect {other}:5432"), reason)
                .run(run("script-guest", &dns));
        }
    });
}

// proves: DNS-4, DNS-5
#[test]
fn grants_follow_the_newest_answer_through_every_change() {
    isolated(|| {
        for script_guest in SCRIPT_GUESTS {
            let dns = DnsServer::start();
            let (here, there) = (
                || Reply::addresses(["10.9.31.1"]),
                || Reply::addresses(["10.9.31.2"]),
            );
            dns.answers(
                "flip.test",
                [
                    Reply::nxdomain(),
                    here(),
                    there(),
                    Reply::servfail(),
                    Reply::servfail(),
                    Reply::servfail(),
                    here(),
                    Reply::nodata(),
                    there(),
                    Reply::refused(),
                    Reply::refused(),
                    Reply::refused(),
                    Reply::nxdomain(),
                ],
            );
            let (first, second) = ("tcp.connect 10.9.31.1:5432", "tcp.connect 10.9.31.2:5432");
            let (lookup, refused) = ("dns.lookup flip.test", "connection-refused");
            Script::new()
                .gets(lookup, UNRESOLVABLE)
                .denied(first, "allow.name-not-looked-up")
                .gets(lookup, "10.9.31.1")
                .gets(first, refused)
                .gets(lookup, "10.9.31.2")
                .gets(second, refused)
                .denied(first, "grant.replaced")
                .gets(lookup, TEMPORARY)
                .gets(second, refused)
                .gets(lookup, "10.9.31.1")
                .gets(first, refused)
                .gets(lookup, UNRESOLVABLE)
                .denied(first, "grant.replaced")
                .denied(second, "grant.replaced")
                .gets(lookup, "10.9.31.2")
                .gets(second, refused)
                .gets(lookup, "permanent-resolver-failure")
                .gets(second, refused)
                .gets(lookup, UNRESOLVABLE)
                .denied(second, "grant.replaced")
                .run(run(script_guest, &dns));
        }
    });
}

// proves: DNS-3
#[test]
fn over_tcp_the_answer_must_be_to_the_question_as_well() {
    isolated(|| {
        let truncated = || Reply::addresses(["10.9.41.1"]).truncated();
        let cases = [
            ("whole.test", vec![truncated()], "10.9.41.1"),
            (
                "other.test",
                vec![
                    truncated(),
                    Reply::addresses(["10.9.42.1"]).to_the_question("evil.test"),
                ],
                TEMPORARY,
            ),
            (
                "gone.test",
                vec![truncated(), Reply::nxdomain().to_the_question("evil.test")],
                TEMPORARY,
            ),
        ];
        for script_guest in SCRIPT_GUESTS {
            let dns = DnsServer::start();
            let mut script = Script::new();
            for (name, replies, result) in &cases {
                dns.answers(name, replies.clone());
                script = script.gets(format!("dns.lookup {name}"), result);
            }
            misses(reaches(script, &["10.9.41.1"]), &["10.9.42.1"]).run(run(script_guest, &dns));
            let over_tcp = dns.queries_for("other.test");
            assert!(
                over_tcp.iter().any(|query| query.transport == Transport::Tcp),
                "{over_tcp:?}"
            );
        }
    });
}

/// Every way to give no answer, all at once, with a grant from before.
// proves: DNS-5, DNS-12
#[test]
fn no_silence_lasts_longer_than_five_seconds_and_none_ends_a_grant() {
    isolated(|| {
        let forged = || Reply::addresses(["10.9.51.99"]);
        let ways = [
            ("quiet", vec![Reply::silence()]),
            ("slow", vec![forged().after(Duration::from_secs(8))]),
            ("wrong-id", vec![forged().wrong_id()]),
            ("wrong-question", vec![forged().to_the_question("evil.test")]),
            ("quiet-over-tcp", vec![forged().truncated(), Reply::silence()]),
            ("half-quiet", vec![Reply::alias(["never.test"])]),
        ];
        for script_guest in SCRIPT_GUESTS {
            let dns = DnsServer::start();
            dns.answers("never.test", [Reply::silence()]);
            let mut script = Script::new();
            for (way, replies) in &ways {
                let name = format!("{way}.test");
                let replies = [Reply::addresses(["10.9.51.1"])]
                    .into_iter()
                    .chain(replies.clone());
                dns.answers_of(RecordType::A, &name, replies);
                dns.answers_of(RecordType::AAAA, &name, [Reply::silence()]);
                script = script.gets(format!("dns.start {name} as before-{way}"), "started");
            }
            for (way, _) in &ways {
                script = script.gets(format!("dns.read before-{way}"), "10.9.51.1");
            }
            for (way, _) in &ways {
                script = script.gets(format!("dns.start {way}.test as {way}"), "started");
            }
            for (way, _) in &ways {
                script = script.gets(format!("dns.read {way}"), TEMPORARY);
            }
            let script = misses(reaches(script, &["10.9.51.1"]), &["10.9.51.99"]);
            let start = Instant::now();
            script.run(run(script_guest, &dns));
            // Twice the time of a look-up, since the first ones wait for the silent family.
            assert!(
                start.elapsed() < Duration::from_secs(25),
                "{script_guest}: {:?}",
                start.elapsed()
            );
        }
    });
}

// proves: DNS-12, DNS-13
#[test]
fn a_request_waits_no_longer_for_a_silent_server_than_a_lookup() {
    let dns = DnsServer::start();
    dns.answers("quiet.test", [Reply::silence()]);
    for script_guest in SCRIPT_GUESTS {
        let finished = Script::new()
            .any("timed http GET http://quiet.test:8080/")
            .run(Outport::run(guest::path(script_guest)).allow("*://*:*").dns(&dns));
        let (result, time) = timed(&finished, 0);
        assert_eq!(result, "DNS-timeout", "{finished}");
        assert!((4..8).contains(&time.as_secs()), "{finished}");
    }
}

// proves: DNS-13, DL-4
#[test]
fn requests_make_of_odd_answers_what_lookups_do() {
    isolated(|| {
        let twenty = links("t", 20);
        let rows = [
            (
                "plain.test",
                Reply::addresses(["10.9.71.1"]),
                "connection-refused",
            ),
            (
                "stray.test",
                Reply::addresses(["10.9.71.1"]).with_stray("other.test", "10.0.0.5"),
                "connection-refused",
            ),
            ("chain.test", Reply::alias(["plain.test"]), "connection-refused"),
            (
                "foreign.test",
                Reply::addresses(["10.0.0.5"]).owned_by("other.test"),
                "DNS-error",
            ),
            ("none.test", Reply::nodata(), "DNS-error"),
            ("no.test", Reply::refused(), "DNS-error"),
            ("broken.test", Reply::servfail(), "DNS-timeout"),
            ("garbled.test", Reply::garbage(&[0xff; 40]), "DNS-timeout"),
            (
                "loop.test",
                Reply::alias_loop("loop.test", "pool.test"),
                "DNS-timeout",
            ),
            (
                "long.test",
                Reply::addresses(["10.0.0.5"]).via(texts(&twenty)),
                "DNS-timeout",
            ),
            ("literal.test", Reply::alias(["10.0.0.5"]), "DNS-timeout"),
            ("unknown.test", Reply::nxdomain(), "DNS-error"),
        ];
        // Whoever is led astray finds somebody there.
        let wrong = TcpPeer::start_on(([10, 0, 0, 5], 5432), Manner::Echo);
        for script_guest in SCRIPT_GUESTS {
            let dns = DnsServer::start();
            let script = rows.iter().fold(Script::new(), |script, (name, reply, result)| {
                dns.answers(name, [reply.clone()]);
                script.gets(format!("http GET http://{name}:5432/"), result)
            });
            script.run(
                Outport::run(guest::path(script_guest))
                    .allow("http://*.test:5432")
                    .dns(&dns),
            );
        }
        assert_eq!(wrong.accepted(), 0);
    });
}

// proves: DNS-5
#[test]
fn a_server_that_dies_while_it_is_asked_ends_no_grant() {
    isolated(|| {
        for script_guest in SCRIPT_GUESTS {
            for last in [
                vec![Reply::death()],
                vec![Reply::addresses(["10.9.61.2"]).truncated(), Reply::death()],
            ] {
                let dns = DnsServer::start();
                let replies = [Reply::addresses(["10.9.61.1"])].into_iter().chain(last);
                dns.answers_of(RecordType::A, "last.test", replies);
                dns.answers_of(RecordType::AAAA, "last.test", [Reply::nodata()]);
                let script = Script::new()
                    .gets("dns.lookup last.test", "10.9.61.1")
                    .gets("dns.lookup last.test", TEMPORARY);
                let script = reaches(script, &["10.9.61.1"]);
                misses(script, &["10.9.61.2"]).run(run(script_guest, &dns));
            }
        }
    });
}
