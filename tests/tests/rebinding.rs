//! A DNS server that answers with a public address first and with this machine next: nobody gets here by it.
//!
//! Each test runs in a network of its own where the public address exists. `public` listens there and `inside` on
//! loopback, on the same port, and the tests end with the same claim: nobody has connected to `inside`.

use std::time::Duration;

use outport_e2e::dns::{DnsServer, RecordType, Reply};
use outport_e2e::guest;
use outport_e2e::http::{Closing, Origin};
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::script::{Script, results};

const PUBLIC: &str = "93.184.216.34";
const PORT: u16 = 8080;

/// The script guests, on WASI 0.2 and 0.3.
const SCRIPT_GUESTS: [&str; 2] = ["script-guest", "script-guest-p3"];

struct Machines {
    public: Origin,
    inside: [Origin; 2],
    dns: DnsServer,
}

impl Machines {
    fn start() -> Self {
        let inside = |address| Origin::start_on((address, PORT), "inside", Closing::Always);
        Self {
            public: Origin::start_on((PUBLIC, PORT), "public", Closing::OnRequest),
            inside: [inside("127.0.0.1"), inside("::1")],
            dns: DnsServer::start(),
        }
    }

    /// A guest that may reach every name, by socket and by URL, and no address.
    fn run(&self, script_guest: &str) -> Outport {
        Outport::run(guest::path(script_guest))
            .allow("*://*.test:*")
            .dns(&self.dns)
    }

    #[track_caller]
    fn nobody_came_inside(&self) {
        // What was on its way would have arrived by then.
        std::thread::sleep(Duration::from_millis(100));
        for origin in &self.inside {
            assert_eq!(origin.accepted(), 0, "{} was reached", origin.address());
        }
    }
}

/// First the public address, then what `turned` says, for good.
fn turning<const N: usize>(turned: [&str; N]) -> [Reply; 2] {
    [Reply::addresses([PUBLIC]), Reply::addresses(turned)]
}

/// Answers that point at this machine or its link, and the reason that the log gives for leaving them out.
const TURNED: [(&str, &str); 6] = [
    ("127.0.0.1", "dns.rebinding"),
    ("127.8.8.8", "dns.rebinding"),
    ("::1", "dns.rebinding"),
    ("::ffff:127.0.0.1", "dns.rebinding"),
    ("64:ff9b::7f00:1", "dns.rebinding"),
    ("0.0.0.0", "dns.rebinding"),
];

// proves: DNS-9, DNS-4
#[test]
fn a_name_that_turns_to_this_machine_is_no_way_for_sockets() {
    isolated(|| {
        let machines = Machines::start();
        for script_guest in SCRIPT_GUESTS {
            let mut script = Script::new();
            for (number, (turned, reason)) in (0..).zip(TURNED) {
                let name = format!("turn{number}.test");
                // Each family has a script of its own, and only one of them turns.
                let turns_in = if turned.contains(':') {
                    RecordType::AAAA
                } else {
                    RecordType::A
                };
                machines
                    .dns
                    .answers(&name, [Reply::addresses([PUBLIC]), Reply::nodata()]);
                machines.dns.answers_of(turns_in, &name, turning([turned]));
                script = script
                    .gets(format!("dns.lookup {name}"), PUBLIC)
                    .ok(format!("tcp.connect {PUBLIC}:{PORT}"))
                    .denied(format!("dns.lookup {name}"), reason)
                    .denied(
                        format!("tcp.connect 127.0.0.1:{PORT}"),
                        "allow.name-not-looked-up",
                    )
                    .denied(format!("tcp.connect [::1]:{PORT}"), "allow.name-not-looked-up")
                    .denied(format!("tcp.connect {PUBLIC}:{PORT}"), "grant.replaced");
            }
            script.run(machines.run(script_guest));
        }
        machines.nobody_came_inside();
    });
}

// proves: DNS-9, DNS-13, RSN-3
#[test]
fn a_name_that_turns_to_this_machine_is_no_way_for_requests() {
    isolated(|| {
        let machines = Machines::start();
        for script_guest in SCRIPT_GUESTS {
            let mut script = Script::new();
            for (number, (turned, reason)) in (0..).zip(TURNED) {
                let url = format!("http://turn{number}.test:{PORT}/close");
                let name = format!("turn{number}.test");
                let turns_in = if turned.contains(':') {
                    RecordType::AAAA
                } else {
                    RecordType::A
                };
                machines
                    .dns
                    .answers(&name, [Reply::addresses([PUBLIC]), Reply::nodata()]);
                machines.dns.answers_of(turns_in, &name, turning([turned]));
                let reason = if turned == "0.0.0.0" {
                    "hard.unspecified"
                } else {
                    reason
                };
                script = script.gets(format!("http.text GET {url}"), "200 public").refused(
                    format!("http.text GET {url}"),
                    "destination-IP-prohibited",
                    reason,
                );
            }
            script.run(machines.run(script_guest));
        }
        machines.nobody_came_inside();
    });
}

// proves: DNS-9, DNS-13
#[test]
fn a_pooled_connection_stays_where_it_was_judged_and_a_new_one_is_judged_anew() {
    isolated(|| {
        let machines = Machines::start();
        for script_guest in SCRIPT_GUESTS {
            machines.dns.answers("turn.test", turning(["127.0.0.1"]));
            let (url, before) = (format!("http://turn.test:{PORT}"), machines.public.accepted());
            let script = Script::new()
                .gets(format!("http.text GET {url}/"), "200 public")
                .gets(format!("http.text GET {url}/again"), "200 public")
                .gets(format!("http.text GET {url}/close"), "200 public")
                .refused(
                    format!("http.text GET {url}/"),
                    "destination-IP-prohibited",
                    "dns.rebinding",
                );
            script.run(machines.run(script_guest));
            assert_eq!(
                machines.public.accepted() - before,
                1,
                "{script_guest}: one connection, from the pool"
            );
        }
        machines.nobody_came_inside();
    });
}

// proves: DNS-9, DNS-13
#[test]
fn of_an_answer_with_both_only_the_public_address_is_ever_tried() {
    isolated(|| {
        let machines = Machines::start();
        let both = Reply::addresses(["127.0.0.1", PUBLIC, "::1"]);
        machines.dns.answers("both.test", [both]);
        // Nobody listens at the public address there; whoever tries the next one comes to this machine.
        let trap =
            ["127.0.0.1", "::1"].map(|address| Origin::start_on((address, 8081), "trap", Closing::Always));
        for script_guest in SCRIPT_GUESTS {
            let script = Script::new()
                .gets("dns.lookup both.test", PUBLIC)
                .logging("dns.rebinding")
                .logging("dns.rebinding")
                .gets(
                    format!("http.text GET http://both.test:{PORT}/close"),
                    "200 public",
                )
                .logging("dns.rebinding")
                .logging("dns.rebinding")
                .gets("http.text GET http://both.test:8081/", "connection-refused")
                .logging("dns.rebinding")
                .logging("dns.rebinding")
                .gets(format!("tcp.connect {PUBLIC}:8081"), "connection-refused")
                .denied("tcp.connect 127.0.0.1:8081", "allow.name-not-looked-up");
            script.run(machines.run(script_guest));
        }
        machines.nobody_came_inside();
        assert_eq!(trap.map(|trap| trap.accepted()), [0, 0]);
    });
}

/// What is resolved twice can be answered twice: here every query gets another answer than the one before, whoever
/// asks and how often.
// proves: DNS-9, DNS-13
#[test]
fn answers_that_flip_at_every_query_lead_nobody_inside() {
    isolated(|| {
        let machines = Machines::start();
        let flips = (0..200).map(|number| Reply::addresses([[PUBLIC, "127.0.0.1"][number % 2]]));
        machines.dns.answers("flip.test", flips);
        for script_guest in SCRIPT_GUESTS {
            let requests = format!("repeat 20 http GET http://flip.test:{PORT}/close");
            let finished = machines
                .run(script_guest)
                .args([
                    requests.as_str(),
                    "repeat 20 dns.lookup flip.test",
                    "http GET http://flip.test:22/",
                ])
                .finish()
                .expect_code(0);
            let results = results(&finished.stdout);
            assert_eq!(results[0], "200 x10, destination-IP-prohibited x10", "{finished}");
            assert_eq!(
                results[1],
                format!("{PUBLIC} x10, access-denied x10"),
                "{finished}"
            );
        }
        machines.nobody_came_inside();
    });
}

// proves: DNS-9, DNS-11
#[test]
fn a_long_time_to_live_keeps_the_first_answer_and_turns_nowhere() {
    isolated(|| {
        let machines = Machines::start();
        let lasting = turning(["127.0.0.1"]).map(|reply| reply.ttl(600));
        machines.dns.answers("turn.test", lasting);
        let script = Script::new()
            .gets(
                format!("repeat 5 http GET http://turn.test:{PORT}/close"),
                "200 x5",
            )
            .gets("repeat 5 dns.lookup turn.test", format!("{PUBLIC} x5"));
        script.run(machines.run("script-guest"));
        // The cache is a process's own, so the next one sees the turn.
        let script = Script::new().denied("dns.lookup turn.test", "dns.rebinding");
        script.run(machines.run("script-guest-p3"));
        machines.nobody_came_inside();
    });
}
