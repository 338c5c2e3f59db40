//! The escape suite: hostile guests that try every way out that is known.
//!
//! ```text
//! tests/escapes/*.toml ──► table ──► attempts ──► the built binary, WASI 0.2 and 0.3
//!                                       │            │ guests of tests
//!                                       └─ compare ◄───┴──► outside: a listener at every port
//! ```
//!
//! Each attempt is made by a guest in an instance of its own, in a network of the test's own in which private,
//! metadata and public addresses exist and have listeners. What must happen is compared with what the guest got,
//! with the reasons in the audit log, with what arrived outside and with what the name server was asked. The
//! report at the end counts how the attempts really ended.
//!
//! The files of the table are `tests/escapes/*.toml`; [`table`] explains their form. `OUTPORT_ESCAPES=datagrams`
//! runs one file only.

mod attempts;
mod hello;
mod outside;
mod service;
mod table;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use attempts::{Counts, run_world};
use outport_e2e::egress_proxy::{EgressProxy, Manner};
use outport_e2e::guest::workspace;
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::script::{Script, results};
use outport_e2e::udp::{UdpEcho, send_as_stranger};
use outside::Outside;
use table::{Attempt, Ending, File, List, World};

// proves: ORD-1, ORD-2, ORD-3, HL-1, HL-2, HL-3, HL-5, HL-6, HL-7, RL-1, RL-2, RL-3, RL-4, RL-5
// proves: DL-1, DL-2, DL-3, DL-4, DL-5, DL-6, DL-8, AL-1, AL-3, AL-4, AL-5, AL-6, AL-7
// proves: DNS-1, DNS-2, DNS-3, DNS-4, DNS-5, DNS-6, DNS-7, DNS-8, DNS-9, DNS-10, DNS-12, DNS-13, RSN-3, Q-1
// proves: HI-1, HI-2, HI-3, HI-5, HI-8, AL-9, TLS-1, TLS-2, TLS-3, BUD-1, BUD-2, BUD-3
#[test]
fn every_attempt_ends_as_the_table_says() {
    isolated(|| {
        let (outside, mut complaints) = (Outside::open(), Vec::new());
        let only = env::var("OUTPORT_ESCAPES").ok();
        let (mut sum, mut expected) = (Counts::default(), Counts::default());
        println!(
            "{:14} {:>8} {:>8} {:>10} {:>8} {:>8}",
            "", "attempts", "denied", "impossible", "through", "arrived"
        );
        for (name, file) in File::all() {
            if only.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            let mut counts = Counts::default();
            for world in &file.world {
                counts.add(run_world(world, &outside, &mut complaints));
                expected.add(promised(world));
            }
            println!("{name:14} {counts}");
            sum.add(counts);
        }
        println!("{:14} {sum}", "all");
        assert!(
            complaints.is_empty(),
            "{} worlds are not as they should be:\n{}",
            complaints.len(),
            complaints.join("\n")
        );
        assert_eq!(sum, expected, "the report is not what the table promises");
    });
}

/// Files of the table that are played behind a proxy as well: where addresses, names and requests lead, and what is said on
/// the way.
const BEHIND_A_PROXY: [&str; 4] = ["addresses", "grants", "requests", "tls"];

// proves: PX-1, PX-2, PX-3, PX-4, TLS-1
#[test]
fn every_verdict_is_the_same_behind_an_egress_proxy() {
    isolated(|| {
        let (outside, mut complaints) = (Outside::open(), Vec::new());
        let only = env::var("OUTPORT_ESCAPES").ok();
        let (mut sum, mut expected) = (Counts::default(), Counts::default());
        let proxy = EgressProxy::start(Manner::RelayThere);
        for (name, file) in File::all() {
            let is_wanted = only.as_ref().is_none_or(|only| *only == name);
            if !is_wanted || !BEHIND_A_PROXY.contains(&name.as_str()) {
                continue;
            }
            for world in file.world.iter().map(|world| behind(&proxy, world)) {
                sum.add(run_world(&world, &outside, &mut complaints));
                expected.add(promised(&world));
            }
        }
        println!("{:14} {sum}", "behind a proxy");
        assert!(
            complaints.is_empty(),
            "{} worlds are not as they should be:\n{}",
            complaints.len(),
            complaints.join("\n")
        );
        assert_eq!(sum, expected, "the report is not what the table promises");
        // It may have been asked for what the list permits, and never by a name.
        let names = proxy.asked();
        let names: Vec<_> = names
            .iter()
            .filter(|asked| asked.parse::<SocketAddr>().is_err())
            .collect();
        assert_eq!(names, Vec::<&String>::new());
        assert!(only.is_some() || !proxy.asked().is_empty());
    });
}

/// The same world with everything that goes out going through `proxy`, without what is about datagrams.
fn behind(proxy: &EgressProxy, world: &World) -> World {
    let mut world = world.clone();
    world.options.retain(|option| option != "--allow-udp");
    world
        .options
        .push(format!("--egress-proxy={}", proxy.url("socks5")));
    let is_about_datagrams = |attempt: &Attempt| attempt.does.iter().any(|step| step.contains("udp"));
    world.attempt.retain(|attempt| !is_about_datagrams(attempt));
    world
}

/// What the table says about a world, in numbers.
fn promised(world: &World) -> Counts {
    let guests = world.guests();
    let versions = |attempt: &Attempt| {
        guests
            .iter()
            .filter(|(version, _, _)| attempt.is_for(version))
            .count()
    };
    let mut counts = Counts::default();
    for attempt in &world.attempt {
        let count = attempt.variants().len() * versions(attempt);
        counts.attempts += count;
        counts.arrived += count * attempt.reaches;
        match attempt.ends {
            Ending::Denied => counts.denied += count,
            Ending::Impossible => counts.impossible += count,
            Ending::Through => counts.through += count,
        }
    }
    counts
}

// proves: AL-1, AL-2
#[test]
fn every_entry_is_read_as_the_table_says() {
    let files = File::all();
    let written: Vec<_> = files.iter().flat_map(|(_, file)| &file.entry).collect();
    assert!(!written.is_empty(), "no entries in the table");
    let mut complaints = Vec::new();
    for row in written {
        let only = [String::new()];
        let each = if row.each.is_empty() { &only } else { &row.each[..] };
        for text in each {
            let put = |place: &str| place.replace("{x}", text);
            let (entry, says) = (put(&row.entry), put(&row.says));
            let outport = match row.list {
                List::Allow => Outport::script_guest().allow(&entry),
                List::Deny => Outport::script_guest().deny(&entry),
            };
            let finished = outport
                .option("--no-resolve-disallowed")
                .args(["print started"])
                .finish();
            let started = finished.code == Some(0) && finished.stdout.contains("started");
            if started != row.starts || !finished.stderr.contains(&says) {
                complaints.push(format!("{} `{entry}`:\n{finished}", row.id));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Attempts that are known from other systems' failures, by the ids that they have in the table. Each must be
/// made here, or be named with the test that makes it.
const KNOWN: &str = "
    A01 A02 A04 A05 A07 A09 A10 A11 B01 B02 B03 B04 B05 B07 B09 B11 B12 C01 C02 C03 C04 C06
    D02 D04 D05 D06 D07 D11 D12 D13 D16 D17 D18 D19 E02 E03 E04 E05 E06 E07 E08 E09 E10 E11 E13 E18 E20 E21 E22
    E23 E25 E27 E28 F01 F05 F08 F09 F10 F11 G01 G02 G05 G06 G07 G10 G11 G13 G14
    H01 H03 H04 H06 H07 H08 H09 H11 H12 H13 H14 H15 H16 H17 H19 H22 I03 I05 I07 J01 J05
    K01 K02 K03 K05 K06 K07 L01 L02 L03 L04 L05
    S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S25 S26 S27 S28
    S29 S30 S31
    T01 T02 T03 T04 T05 T06 T07 T08 T09 T10 T11 T12 T13 T14 T15 T16 T17 U01 U02 U03 U04 U05 U06
";

#[test]
fn every_known_attempt_is_made() {
    let files = File::all();
    let made: BTreeSet<&str> = files
        .iter()
        .flat_map(|(_, file)| {
            let attempts = file.world.iter().flat_map(|world| &world.attempt);
            let attempts = attempts.map(|attempt| attempt.id.as_str());
            let entries = file.entry.iter().map(|entry| entry.id.as_str());
            let elsewhere = file.elsewhere.iter().map(|row| row.id.as_str());
            attempts.chain(entries).chain(elsewhere)
        })
        .collect();
    let missing: Vec<_> = KNOWN.split_whitespace().filter(|id| !made.contains(id)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_tests_and_clauses_that_the_table_names_exist() {
    let policy = fs::read_to_string(workspace().join("docs/policy.md")).expect("the policy");
    for (name, file) in File::all() {
        assert!(!file.about.is_empty(), "{name}");
        for row in &file.elsewhere {
            let (path, test) = row.test.split_once(": ").expect("`path: test`");
            let source = fs::read_to_string(workspace().join(path)).unwrap_or_default();
            assert!(
                source.contains(&format!("fn {test}(")),
                "{}: {} ({})",
                row.id,
                row.test,
                row.why
            );
        }
        let attempts = file.world.iter().flat_map(|world| &world.attempt);
        let clauses = attempts.flat_map(|attempt| &attempt.clauses);
        let clauses = clauses.chain(file.entry.iter().flat_map(|entry| &entry.clauses));
        for clause in clauses {
            assert!(
                policy.contains(&format!("{clause}.")),
                "{name}: `{clause}` is no clause"
            );
        }
    }
}

// proves: HL-4, RSN-4
#[test]
fn a_flood_of_strangers_costs_neither_the_guest_nor_the_log() {
    let echo = UdpEcho::start();
    let script = Script::new()
        .ok("udp.bind 0.0.0.0:0 as u")
        .ok(format!("udp.send-to u {} hello", echo.address()))
        .gets("udp.recv u 20000", format!("hello from {}", echo.address()))
        .any("udp.collect u 2500");
    let outport = Outport::script_guest()
        .allow("udp://127.0.0.1:*")
        .option("--allow-udp");
    let running = outport.args(script.statements()).start();
    let guest = (Ipv4Addr::LOCALHOST, echo.wait_for_sender().port()).into();
    running.wait_for_line("3 udp.recv");
    send_as_stranger(Ipv4Addr::new(127, 0, 0, 2), guest, &[b'x'; 512], 20_000);
    // Where the guest has not got to what was sent, there is no room for more yet.
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(200));
        echo.say(guest, b"after");
    }
    let finished = running.finish().expect_code(0);
    let results = results(&finished.stdout);
    let after = format!("after from {}", echo.address());
    assert!(
        results[3].split(", ").all(|datagram| datagram == after),
        "{finished}"
    );
    let told = finished.reasons();
    assert!(told.len() <= 10, "{} lines of the log for one flood", told.len());
    assert!(told.iter().all(|reason| reason == "hard.unsolicited"), "{told:?}");
}
