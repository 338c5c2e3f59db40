//! One verdict for every way out: the same place, asked for by URL and by raw socket, on WASI 0.2 and 0.3.
//!
//! ```text
//! Scene: what author and operator say ── Row: `http://db.test:8080` ─┬─ http GET http://db.test:8080/
//!                                                                   ├─ dns.lookup db.test      (a name)
//!                                                                   └─ tcp.connect 10.0.0.5:8080
//! ```
//!
//! A row says what both must get: through, with an answer of the server that stands at every address of the test's
//! network, or a denial with its reason. The server counts: nobody may get in beside those who must. Where the ways
//! differ, the row says so, and which clause wants it ([`Row::but_by_socket`]). There are five kinds of that:
//!
//! - an entry for a scheme is one for that way alone (AL-3, AL-4, DL-2);
//! - what no entry names is `allow.no-match` to a URL, and refused to a socket at the look-up, with a reason that
//!   says so (DNS-1); an address whose name was not looked up likewise (DNS-3);
//! - a look-up knows no port, so what is refused for the port is refused when connecting (DNS-9);
//! - of what is wrong with an unspecified address or port 0, WASI demands `invalid-argument` from sockets (HL-6);
//! - so does WASI for IPv4-mapped addresses, of which HTTP's are made canonical (HL-7).

#[path = "one_verdict/explained.rs"]
mod explained;

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use outport_e2e::audit::AuditLine;
use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest;
use outport_e2e::http::{Closing, Origin};
use outport_e2e::network::isolated;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::script::results;

/// What happens to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The server answers.
    Through,
    /// Refused for this reason.
    Denied(&'static str),
    /// No argument in WASI's own rules, before anybody judges.
    NoArgument,
}

use Verdict::{Denied, NoArgument, Through};

/// A place, and what must become of attempts to reach it.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Host and port as in a URL.
    place: &'static str,
    /// The address that a name has.
    at: Option<&'static str>,
    by_url: Verdict,
    by_socket: Verdict,
}

/// A place given by its address.
fn literal(place: &'static str, verdict: Verdict) -> Row {
    Row {
        place,
        at: None,
        by_url: verdict,
        by_socket: verdict,
    }
}

/// A place given by a name that has one address.
fn named(place: &'static str, at: &'static str, verdict: Verdict) -> Row {
    Row {
        at: Some(at),
        ..literal(place, verdict)
    }
}

impl Row {
    fn but_by_socket(self, by_socket: Verdict) -> Self {
        Self { by_socket, ..self }
    }

    /// One by URL; and one by socket, before which a name is looked up.
    fn statements(&self) -> Vec<String> {
        let (host, port) = self.place.rsplit_once(':').expect("a place has a port");
        let lookup = self.at.map(|_| format!("dns.lookup {host}"));
        let connect = format!("tcp.connect {}:{port}", self.at.unwrap_or(host));
        let by_url = format!("http GET http://{}/", self.place);
        [by_url].into_iter().chain(lookup).chain([connect]).collect()
    }

    /// What became of the way by URL and of that by socket. A look-up that was refused ends the latter.
    fn verdicts(&self, outcomes: &[Outcome]) -> (Verdict, Verdict) {
        let by_socket = match outcomes {
            [_, lookup, _] if lookup.is_refused() => lookup,
            [.., connect] => connect,
            [] => panic!("no outcome for {}", self.place),
        };
        (outcomes[0].verdict("200"), by_socket.verdict("ok"))
    }
}

/// What author and operator say, and the rows in it.
struct Scene {
    title: &'static str,
    author: &'static [&'static str],
    operator: &'static [&'static str],
    rows: Vec<Row>,
}

/// What became of one statement: what the guest got, and why, as the audit log says.
#[derive(Clone, Debug)]
struct Outcome {
    result: String,
    reasons: Vec<String>,
}

impl Outcome {
    fn is_refused(&self) -> bool {
        let refusals = [
            "access-denied",
            "HTTP-request-denied",
            "destination-IP-prohibited",
        ];
        refusals.contains(&self.result.as_str())
    }

    /// `success` is what a guest gets that is let through. Whoever is refused is told so, and so is the log, with
    /// one reason; all else is neither.
    #[track_caller]
    fn verdict(&self, success: &str) -> Verdict {
        let reasons: BTreeSet<&str> = self.reasons.iter().map(String::as_str).collect();
        match (self.result.as_str(), Vec::from_iter(reasons).as_slice()) {
            (result, []) if result == success => Through,
            ("invalid-argument", []) => NoArgument,
            (_, [reason]) if self.is_refused() => Denied(known(reason)),
            _ => panic!("{self:?} is no verdict"),
        }
    }
}

/// The reason as the tables write it.
fn known(reason: &str) -> &'static str {
    String::leak(reason.to_owned())
}

/// The names of all scenes.
fn names() -> DnsServer {
    let dns = DnsServer::start();
    for (name, reply) in [
        ("db.test", Reply::addresses(["10.0.0.5"])),
        ("other.test", Reply::addresses(["10.0.0.6"])),
        ("a.wild.test", Reply::addresses(["10.0.0.6"])),
        ("web.test", Reply::addresses(["10.0.0.6"])),
        ("raw.test", Reply::addresses(["10.0.0.6"])),
        ("six.test", Reply::addresses(["2606:2800:21f::34"])),
        ("evil.test", Reply::addresses(["10.0.0.6"])),
        ("x.bad.test", Reply::addresses(["10.0.0.6"])),
        ("alias.test", Reply::addresses(["10.0.0.6"]).via(["evil.test"])),
        ("far.test", Reply::alias(["near.test"])),
        ("near.test", Reply::alias(["middle.test", "evil.test"])),
        ("inside.test", Reply::addresses(["93.184.216.34"])),
        ("loopback.test", Reply::addresses(["127.0.0.1"])),
        ("loopback6.test", Reply::addresses(["::1"])),
        ("mapped.test", Reply::addresses(["::ffff:127.0.0.1"])),
        ("nat64.test", Reply::addresses(["64:ff9b::7f00:1"])),
        (
            "hidden.test",
            Reply::addresses(["127.0.0.1"]).via(["loopback.test"]),
        ),
        ("metadata.test", Reply::addresses(["169.254.169.254"])),
        ("link.test", Reply::addresses(["fe80::1"])),
        ("group.test", Reply::addresses(["224.0.0.1"])),
        ("to-localhost.test", Reply::alias(["localhost"])),
    ] {
        dns.answers(name, [reply]);
    }
    dns
}

// proves: ORD-3, AL-3, AL-4, AL-5, AL-6, DNS-1, DNS-3
#[test]
fn the_authors_list_is_the_same_for_urls_and_sockets() {
    isolated(|| {
        run_scene(&Scene {
            title: "the author's list",
            author: &[
                "*://10.0.0.5:8080",
                "*://10.0.0.6:{80,8081-8090}",
                "*://[2606:2800:21f::34]:8080",
                "*://db.test:8080",
                "*://*.wild.test:8080",
                "http://web.test:8080",
                "tcp://raw.test:8080",
                "*://six.test:80",
            ],
            operator: &[],
            rows: vec![
                literal("10.0.0.5:8080", Through),
                literal("10.0.0.5:80", Denied("allow.port")),
                literal("10.0.0.5:8081", Denied("allow.port")),
                literal("10.0.0.6:80", Through),
                literal("10.0.0.6:8080", Denied("allow.port")),
                literal("10.0.0.4:9", Denied("allow.no-match")),
                literal("10.0.0.4:8080", Denied("allow.no-match"))
                    .but_by_socket(Denied("allow.name-not-looked-up")),
                literal("[2606:2800:21f::34]:8080", Through),
                literal("[2606:2800:21f:0:0:0:0:34]:8080", Through),
                literal("[2606:2800:21f::34]:8081", Denied("allow.port")),
                literal("[2606:2800:21f::35]:9", Denied("allow.no-match")),
                literal("[::ffff:10.0.0.5]:8080", Through).but_by_socket(NoArgument),
                named("db.test:8080", "10.0.0.5", Through),
                named("DB.Test.:8080", "10.0.0.5", Through),
                named("db.test:80", "10.0.0.5", Denied("allow.port")),
                named("a.wild.test:8080", "10.0.0.6", Through),
                named("wild.test:8080", "10.0.0.6", Denied("allow.no-match"))
                    .but_by_socket(Denied("dns.name-not-allowed")),
                named("other.test:8080", "10.0.0.6", Denied("allow.no-match"))
                    .but_by_socket(Denied("dns.name-not-allowed")),
                named("web.test:8080", "10.0.0.6", Through).but_by_socket(Denied("allow.scheme")),
                named("raw.test:8080", "10.0.0.6", Denied("allow.scheme")).but_by_socket(Through),
                named("six.test:80", "[2606:2800:21f::34]", Through),
                named("six.test:9", "[2606:2800:21f::34]", Denied("allow.port")),
            ],
        })
    });
}

// proves: ORD-2, ORD-3
#[test]
fn without_an_entry_nothing_is_reached_by_any_way() {
    isolated(|| {
        run_scene(&Scene {
            title: "no entry",
            author: &[],
            operator: &[
                "--allow-loopback-ports=*",
                "--allow-link-local",
                "--allow-loopback-answers",
            ],
            rows: vec![
                literal("10.0.0.5:8080", Denied("allow.none")),
                literal("127.0.0.1:80", Denied("allow.none")),
                literal("[2606:2800:21f::34]:8080", Denied("allow.none")),
                named("db.test:8080", "10.0.0.5", Denied("allow.none")),
                named("localhost:8080", "127.0.0.1", Denied("allow.none")),
            ],
        })
    });
}

// proves: ORD-1, ORD-3, DL-1, DL-2, DL-3, DL-4, DL-6, HL-7
#[test]
fn the_operators_list_is_the_same_for_urls_and_sockets() {
    isolated(|| {
        run_scene(&Scene {
            title: "the operator's list",
            author: &["*://*:*"],
            operator: &[
                "--disallowed-outbound-hosts=*://10.0.0.5:8080,*://93.184.216.0/24:*,*://evil.test:*",
                "--disallowed-outbound-hosts=*://*.bad.test:*,https://10.0.0.6:8081,http://10.0.0.6:80",
                "--no-resolve-disallowed",
            ],
            rows: vec![
                literal("10.0.0.5:8080", Denied("deny.host")),
                literal("10.0.0.5:80", Through),
                literal("[::ffff:10.0.0.5]:8080", Denied("deny.host")).but_by_socket(NoArgument),
                literal("[64:ff9b::a00:5]:8080", Denied("deny.host")),
                literal("[2002:a00:5::1]:8080", Denied("deny.host")),
                literal("93.184.216.34:8080", Denied("deny.network")),
                literal("93.184.216.34:80", Denied("deny.network")),
                literal("[64:ff9b::5db8:d822]:8080", Denied("deny.network")),
                literal("[64:ff9b:1::5db8:d822]:8080", Denied("deny.network")),
                literal("[2002:5db8:d822::1]:8080", Denied("deny.network")),
                literal("[2001:db8::5efe:5db8:d822]:8080", Denied("deny.network")),
                literal("10.0.0.6:80", Denied("deny.host")),
                literal("10.0.0.6:8081", Through).but_by_socket(Denied("deny.host")),
                named("evil.test:8080", "10.0.0.6", Denied("deny.host")),
                named("EVIL.test.:8080", "10.0.0.6", Denied("deny.host")),
                named("x.bad.test:8080", "10.0.0.6", Denied("deny.host")),
                named("alias.test:8080", "10.0.0.6", Denied("deny.cname")),
                named("far.test:8080", "10.0.0.6", Denied("deny.cname")),
                named("inside.test:8080", "93.184.216.34", Denied("deny.network")),
                named("other.test:8080", "10.0.0.6", Through),
                named("six.test:8080", "[2606:2800:21f::34]", Through),
            ],
        })
    });
}

// proves: DL-3, DL-4, ORD-3
#[test]
fn the_denied_ports_of_a_name_are_the_same_for_urls_and_sockets() {
    isolated(|| {
        run_scene(&Scene {
            title: "denied ports",
            author: &["*://*.test:*"],
            operator: &[
                "--disallowed-outbound-hosts=*://db.test:80,*://evil.test:8081,http://six.test:8080",
                "--no-resolve-disallowed",
            ],
            rows: vec![
                named("db.test:80", "10.0.0.5", Denied("deny.host")),
                named("db.test:8080", "10.0.0.5", Through),
                named("alias.test:8081", "10.0.0.6", Denied("deny.cname")),
                named("alias.test:8080", "10.0.0.6", Through),
                named("far.test:8081", "10.0.0.6", Denied("deny.cname")),
                named("far.test:8080", "10.0.0.6", Through),
                named("six.test:8080", "[2606:2800:21f::34]", Denied("deny.host")),
            ],
        })
    });
}

// proves: DL-5, ORD-3
#[test]
fn the_addresses_of_a_denied_name_are_denied_by_every_way() {
    isolated(|| {
        run_scene(&Scene {
            title: "addresses of denied names",
            author: &["*://*:*"],
            operator: &["--disallowed-outbound-hosts=*://evil.test:8080"],
            rows: vec![
                literal("10.0.0.6:8080", Denied("deny.name-address")),
                literal("[64:ff9b::a00:6]:8080", Denied("deny.name-address")),
                literal("10.0.0.6:80", Through),
                named("other.test:8080", "10.0.0.6", Denied("deny.name-address")),
                named("evil.test:80", "10.0.0.6", Through),
                named("db.test:8080", "10.0.0.5", Through),
            ],
        })
    });
}

// proves: RL-1, RL-3, RL-4, HL-5, HL-6, HL-7
#[test]
fn the_runtime_limits_are_the_same_for_urls_and_sockets() {
    isolated(|| {
        run_scene(&Scene {
            title: "runtime and hard limits",
            author: &["*://*:*"],
            operator: &[],
            rows: vec![
                literal("127.0.0.1:80", Denied("runtime.loopback-port")),
                literal("127.0.0.1:8080", Through),
                literal("127.1.2.3:80", Denied("runtime.loopback-port")),
                literal("[::1]:80", Denied("runtime.loopback-port")),
                literal("[::1]:8080", Through),
                literal("[::ffff:127.0.0.1]:80", Denied("runtime.loopback-port")).but_by_socket(NoArgument),
                literal("[64:ff9b::7f00:1]:80", Denied("runtime.loopback-port")),
                literal("0.1.2.3:80", Denied("runtime.loopback-port")),
                named("localhost:80", "127.0.0.1", Denied("runtime.loopback-port")),
                named("db.localhost:8080", "127.0.0.1", Through),
                literal("169.254.169.254:8080", Denied("runtime.link-local")),
                literal("100.100.100.200:8080", Denied("runtime.link-local")),
                literal("168.63.129.16:80", Denied("runtime.link-local")),
                literal("[fd00:ec2::254]:8080", Denied("runtime.link-local")),
                literal("[fe80::1]:8080", Denied("runtime.link-local")),
                literal("[64:ff9b::a9fe:a9fe]:8080", Denied("runtime.link-local")),
                literal("[2002:a9fe:a9fe::]:8080", Denied("runtime.link-local")),
                named(
                    "metadata.test:8080",
                    "169.254.169.254",
                    Denied("runtime.link-local"),
                ),
                named("link.test:8080", "[fe80::1]", Denied("runtime.link-local")),
                literal("224.0.0.1:8080", Denied("hard.multicast")),
                literal("255.255.255.255:8080", Denied("hard.multicast")),
                literal("[ff02::1]:8080", Denied("hard.multicast")),
                named("group.test:8080", "224.0.0.1", Denied("hard.multicast")),
                literal("10.0.0.5:0", Denied("hard.port-zero")).but_by_socket(NoArgument),
                literal("0.0.0.0:8080", Denied("hard.unspecified")).but_by_socket(NoArgument),
                literal("[::]:8080", Denied("hard.unspecified")).but_by_socket(NoArgument),
            ],
        })
    });
}

// proves: RL-5, RL-4
#[test]
fn a_lifted_limit_is_lifted_for_every_way() {
    isolated(|| {
        run_scene(&Scene {
            title: "lifted limits",
            author: &[
                "*://127.0.0.1:80",
                "*://169.254.169.254:8080",
                "*://[fd00:ec2::254]:8080",
                "*://loopback.test:8080",
            ],
            operator: &[
                "--allow-loopback-ports=80",
                "--allow-link-local",
                "--allow-loopback-answers",
            ],
            rows: vec![
                literal("127.0.0.1:80", Through),
                literal("127.0.0.1:81", Denied("runtime.loopback-port")),
                literal("169.254.169.254:8080", Through),
                literal("[fd00:ec2::254]:8080", Through),
                literal("100.100.100.200:9", Denied("allow.no-match")),
                named("loopback.test:8080", "127.0.0.1", Through),
            ],
        })
    });
}

// proves: DNS-9, DNS-13
#[test]
fn an_answer_that_points_at_this_machine_is_refused_to_every_way() {
    isolated(|| {
        run_scene(&Scene {
            title: "rebinding answers",
            author: &["*://*.test:*", "*://localhost:8080"],
            operator: &[],
            rows: vec![
                named("loopback.test:8080", "127.0.0.1", Denied("dns.rebinding")),
                named("loopback6.test:8080", "[::1]", Denied("dns.rebinding")),
                named("mapped.test:8080", "127.0.0.1", Denied("dns.rebinding")),
                named("nat64.test:8080", "[64:ff9b::7f00:1]", Denied("dns.rebinding")),
                named("hidden.test:8080", "127.0.0.1", Denied("dns.rebinding")),
                named("loopback.test:80", "127.0.0.1", Denied("runtime.loopback-port"))
                    .but_by_socket(Denied("dns.rebinding")),
                named(
                    "metadata.test:8080",
                    "169.254.169.254",
                    Denied("runtime.link-local"),
                ),
                named("to-localhost.test:8080", "127.0.0.1", Denied("dns.rebinding")),
                named("localhost:8080", "127.0.0.1", Through),
                named("db.test:8080", "10.0.0.5", Through),
            ],
        })
    });
}

/// Runs a scene on both versions of WASI. Is called in a network of the test's own.
fn run_scene(scene: &Scene) {
    let dns = names();
    let origins = [8080, 80, 8081].map(|port| Origin::start_on(("::", port), "here", Closing::Always));
    for script_guest in ["script-guest", "script-guest-p3"] {
        let before = accepted(&origins);
        let finished = run_statements(scene, script_guest, &dns);
        let outcomes = outcomes(&finished);
        let mut rest = outcomes.as_slice();
        for row in &scene.rows {
            let (own, others) = rest.split_at(row.statements().len());
            let (title, place) = (scene.title, row.place);
            assert_eq!(
                row.verdicts(own),
                (row.by_url, row.by_socket),
                "by URL and by socket: {place} ({title}, {script_guest}): {own:?}\n{finished}"
            );
            rest = others;
        }
        let let_through = outcomes
            .iter()
            .filter(|outcome| ["200", "ok"].contains(&outcome.result.as_str()));
        let expected = before + let_through.count();
        assert!(
            eventually(|| accepted(&origins) == expected),
            "{} connections instead of {expected} ({}, {script_guest})",
            accepted(&origins),
            scene.title
        );
    }
}

/// Before each statement stands one that is always refused, whose port is the number of the statement: a mark in
/// the audit log.
fn run_statements(scene: &Scene, script_guest: &str, dns: &DnsServer) -> Finished {
    let statements = scene.rows.iter().flat_map(Row::statements).zip(1..);
    let marked = statements.flat_map(|(statement, number)| [format!("{MARK}:{number}"), statement]);
    let run = Outport::run(guest::path(script_guest))
        .dns(dns)
        .options(scene.operator);
    let run = scene.author.iter().fold(run, Outport::allow);
    run.args(marked).finish().expect_code(0)
}

const MARK: &str = "tcp.bind 127.0.0.1";

/// What became of every statement that is no mark.
fn outcomes(finished: &Finished) -> Vec<Outcome> {
    let results = results(&finished.stdout);
    let is_mark = |denial: &&AuditLine| denial.reason() == "hard.bind";
    let denials: Vec<&AuditLine> = finished.audit.iter().filter(|line| line.denied()).collect();
    let after_marks = denials.split(|denial| is_mark(denial)).skip(1);
    let outcomes: Vec<Outcome> = (results.chunks(2).zip(after_marks))
        .map(|(pair, denials)| Outcome {
            result: pair[1].to_owned(),
            reasons: denials.iter().map(|denial| denial.reason()).collect(),
        })
        .collect();
    assert_eq!(outcomes.len() * 2, results.len(), "{finished}");
    outcomes
}

fn accepted(origins: &[Origin]) -> usize {
    origins.iter().map(Origin::accepted).sum()
}

/// Whether it comes true within a minute.
fn eventually(condition: impl Fn() -> bool) -> bool {
    (0..6000).any(|_| {
        let holds = condition();
        if !holds {
            thread::sleep(Duration::from_millis(10));
        }
        holds
    })
}
