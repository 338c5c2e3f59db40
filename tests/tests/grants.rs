//! What a look-up grants, to whom, and until when.

use std::time::Duration;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::script::Script;
use outport_e2e::tcp::{Manner, TcpPeer};

/// Peers at 10.0.0.5, 10.0.0.6 and 93.184.216.34, port 5432.
fn peers() -> [TcpPeer; 3] {
    [[10, 0, 0, 5], [10, 0, 0, 6], [93, 184, 216, 34]]
        .map(|address| TcpPeer::start_on((address, 5432), Manner::Echo))
}

// proves: DNS-3
#[test]
fn dns_3_every_address_of_an_answer_is_granted_for_the_ports_of_its_entries() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        dns.answers("db.test", [Reply::addresses(["10.0.0.5", "93.184.216.34"])]);
        let script = Script::new()
            .denied("tcp.connect 10.0.0.5:5432", "allow.name-not-looked-up")
            .any("dns.lookup db.test")
            .ok("tcp.connect 10.0.0.5:5432")
            .ok("tcp.connect 93.184.216.34:5432")
            .denied("tcp.connect 10.0.0.6:5432", "allow.name-not-looked-up")
            .denied("tcp.connect 10.0.0.5:5433", "allow.port")
            .gets("tcp.connect 10.0.0.5:6000", "connection-refused");
        script.run(
            Outport::script_guest()
                .allow("*://db.test:5432")
                .allow("tcp://*.test:6000")
                .dns(&dns),
        );
    });
}

// proves: DNS-3, AL-4
#[test]
fn dns_3_a_grant_is_for_the_protocols_of_its_entries() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
        let script = Script::new()
            .gets("dns.lookup db.test", "10.0.0.5")
            .ok("tcp.connect 10.0.0.5:5432")
            .denied("udp.connect 10.0.0.5:5432", "allow.scheme");
        script.run(
            Outport::script_guest()
                .allow("tcp://db.test:5432")
                .dns(&dns)
                .option("--allow-udp"),
        );
        let script = Script::new()
            .gets("dns.lookup db.test", "10.0.0.5")
            .denied("tcp.connect 10.0.0.5:5432", "allow.scheme")
            .ok("udp.connect 10.0.0.5:5432");
        script.run(
            Outport::script_guest()
                .allow("udp://db.test:5432")
                .dns(&dns)
                .option("--allow-udp"),
        );
    });
}

// proves: DNS-4
#[test]
fn dns_4_a_new_answer_replaces_the_grants() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        dns.answers(
            "db.test",
            [Reply::addresses(["10.0.0.5"]), Reply::addresses(["10.0.0.6"])],
        );
        let script = Script::new()
            .gets("dns.lookup db.test", "10.0.0.5")
            .ok("tcp.connect 10.0.0.5:5432")
            .gets("dns.lookup db.test", "10.0.0.6")
            .denied("tcp.connect 10.0.0.5:5432", "grant.replaced")
            .ok("tcp.connect 10.0.0.6:5432");
        script.run(Outport::script_guest().allow("*://db.test:5432").dns(&dns));
    });
}

// proves: DNS-4
#[test]
fn dns_4_another_name_changes_nothing_and_an_address_lives_until_both_drop_it() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        dns.answers(
            "a.test",
            [Reply::addresses(["10.0.0.5"]), Reply::addresses(["10.0.0.6"])],
        );
        dns.answers(
            "b.test",
            [
                Reply::addresses(["10.0.0.5"]),
                Reply::addresses(["93.184.216.34"]),
            ],
        );
        let script = Script::new()
            .gets("dns.lookup a.test", "10.0.0.5")
            .gets("dns.lookup b.test", "10.0.0.5")
            .gets("dns.lookup a.test", "10.0.0.6")
            .ok("tcp.connect 10.0.0.5:5432")
            .ok("tcp.connect 10.0.0.6:5432")
            .gets("dns.lookup b.test", "93.184.216.34")
            .denied("tcp.connect 10.0.0.5:5432", "grant.replaced")
            .ok("tcp.connect 10.0.0.6:5432")
            .ok("tcp.connect 93.184.216.34:5432");
        script.run(Outport::script_guest().allow("*://*.test:5432").dns(&dns));
    });
}

#[test]
fn two_lookups_of_one_name_in_flight_share_a_query_and_its_answer() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        let slow = Reply::addresses(["10.0.0.5"]).after(Duration::from_millis(250));
        dns.answers("db.test", [slow, Reply::addresses(["10.0.0.6"])]);
        let script = Script::new()
            .gets("dns.start db.test as first", "started")
            .gets("dns.start db.test as second", "started")
            .gets("dns.read second", "10.0.0.5")
            .gets("dns.read first", "10.0.0.5")
            .ok("tcp.connect 10.0.0.5:5432")
            .denied("tcp.connect 10.0.0.6:5432", "allow.name-not-looked-up");
        script.run(Outport::script_guest().allow("*://db.test:5432").dns(&dns));
    });
}

// proves: DNS-4
#[test]
fn dns_4_an_abandoned_lookup_grants_nothing() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        dns.answers(
            "db.test",
            [Reply::addresses(["10.0.0.5"]).after(Duration::from_millis(1000))],
        );
        let script = Script::new()
            .gets("dns.start db.test as it", "started")
            .ok("drop it")
            .ok("wait 1500")
            .denied("tcp.connect 10.0.0.5:5432", "allow.name-not-looked-up");
        script.run(Outport::script_guest().allow("*://db.test:5432").dns(&dns));
    });
}

// proves: DNS-4
#[test]
fn dns_4_the_grants_are_those_of_the_newest_lookup_while_an_older_answer_is_read() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        dns.answers(
            "db.test",
            [Reply::addresses(["10.0.0.5"]), Reply::addresses(["10.0.0.6"])],
        );
        let script = Script::new()
            .gets("dns.start db.test as old", "started")
            .ok("wait 1000")
            .gets("dns.lookup db.test", "10.0.0.6")
            .gets("dns.next old", "10.0.0.5")
            .any("tcp.connect 10.0.0.5:5432")
            .ok("tcp.connect 10.0.0.6:5432");
        let run = Outport::script_guest().allow("*://db.test:5432").dns(&dns);
        let finished = run.args(script.statements()).finish().expect_code(0);
        let results = outport_e2e::script::results(&finished.stdout);
        assert_eq!(results[3..], ["10.0.0.5", "access-denied", "ok"], "{finished}");
    });
}

// proves: DNS-5
#[test]
fn dns_5_a_name_that_is_gone_takes_its_grants_along() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        for gone in [Reply::nxdomain(), Reply::nodata()] {
            dns.answers("db.test", [Reply::addresses(["10.0.0.5"]), gone]);
            let script = Script::new()
                .gets("dns.lookup db.test", "10.0.0.5")
                .gets("dns.lookup db.test", "name-unresolvable")
                .denied("tcp.connect 10.0.0.5:5432", "grant.replaced");
            script.run(Outport::script_guest().allow("*://db.test:5432").dns(&dns));
        }
    });
}

// proves: DNS-5
#[test]
fn dns_5_a_resolver_that_fails_leaves_the_grants() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        for (failure, code) in [
            (Reply::servfail(), "temporary-resolver-failure"),
            (Reply::refused(), "permanent-resolver-failure"),
        ] {
            dns.answers("db.test", [Reply::addresses(["10.0.0.5"]), failure]);
            let script = Script::new()
                .gets("dns.lookup db.test", "10.0.0.5")
                .gets("dns.lookup db.test", code)
                .ok("tcp.connect 10.0.0.5:5432");
            script.run(Outport::script_guest().allow("*://db.test:5432").dns(&dns));
        }
    });
}

// proves: DNS-6
#[test]
fn dns_6_an_open_connection_outlives_its_grant() {
    isolated(|| {
        let (dns, _peers) = (DnsServer::start(), peers());
        dns.answers(
            "db.test",
            [Reply::addresses(["10.0.0.5"]), Reply::addresses(["10.0.0.6"])],
        );
        let script = Script::new()
            .gets("dns.lookup db.test", "10.0.0.5")
            .ok("tcp.connect 10.0.0.5:5432 as c")
            .gets("dns.lookup db.test", "10.0.0.6")
            .ok("tcp.send c still")
            .gets("tcp.recv c", "still")
            .denied("tcp.connect 10.0.0.5:5432", "grant.replaced");
        script.run(Outport::script_guest().allow("*://db.test:5432").dns(&dns));
    });
}

// proves: DNS-6
#[test]
fn dns_6_each_datagram_needs_its_grant() {
    isolated(|| {
        let dns = DnsServer::start();
        dns.answers(
            "db.test",
            [Reply::addresses(["10.0.0.5"]), Reply::addresses(["10.0.0.6"])],
        );
        let script = Script::new()
            .gets("dns.lookup db.test", "10.0.0.5")
            .ok("udp.bind 0.0.0.0:0 as u")
            .ok("udp.send-to u 10.0.0.5:5432 x")
            .ok("udp.connect 10.0.0.5:5432 as connected")
            .ok("udp.send connected x")
            .gets("dns.lookup db.test", "10.0.0.6")
            .denied("udp.send-to u 10.0.0.5:5432 x", "grant.replaced")
            .denied("udp.send connected x", "grant.replaced")
            .ok("udp.send-to u 10.0.0.6:5432 x");
        script.run(
            Outport::script_guest()
                .allow("udp://db.test:5432")
                .dns(&dns)
                .option("--allow-udp"),
        );
    });
}

// proves: DNS-12
#[test]
fn dns_12_of_257_names_the_least_recently_looked_up_loses_its_grants() {
    isolated(|| {
        let dns = DnsServer::start();
        dns.answers("n1.test", [Reply::addresses(["10.0.0.5"])]);
        for number in 2..=257 {
            dns.answers(&format!("n{number}.test"), [Reply::addresses(["10.0.0.6"])]);
        }
        let script = Script::new()
            .gets("repeat 256 dns.lookup n{}.test", "10.0.0.6 x255, 10.0.0.5 x1")
            .gets("tcp.connect 10.0.0.5:5432", "connection-refused")
            .gets("dns.lookup n257.test", "10.0.0.6")
            .denied("tcp.connect 10.0.0.5:5432", "grant.evicted");
        script.run(Outport::script_guest().allow("*://*.test:5432").dns(&dns));
    });
}
