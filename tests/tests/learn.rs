//! `outport learn`: for programs of different kinds the list that it proposes suffices, and without any one entry
//! something breaks. What other layers refuse is never proposed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::net::Ipv4Addr;

use outport_e2e::dns::{DnsServer, RecordType, Reply};
use outport_e2e::guest;
use outport_e2e::http::Origin;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::schema;
use outport_e2e::script::results;
use outport_e2e::tcp::{ClosedPort, Manner, TcpPeer};
use outport_e2e::udp::UdpEcho;

/// What programs find around them.
struct World {
    dns: DnsServer,
    echo: TcpPeer,
    other: TcpPeer,
    on_v6: TcpPeer,
    udp: UdpEcho,
    http: Origin,
    closed: ClosedPort,
}

impl World {
    fn start() -> Self {
        let dns = DnsServer::start();
        dns.answers("db.test", [Reply::addresses(["127.0.0.1"])]);
        dns.answers("alias.test", [Reply::addresses(["127.0.0.1"]).via(["real.test"])]);
        dns.answers("other.test", [Reply::addresses(["127.0.0.2"])]);
        dns.answers("none.test", [Reply::nxdomain()]);
        dns.answers("api.test", [Reply::addresses(["127.0.0.1"])]);
        dns.answers_of(RecordType::AAAA, "turns.test", [Reply::nodata()]);
        Self {
            dns,
            echo: TcpPeer::echo(),
            other: TcpPeer::echo(),
            on_v6: TcpPeer::start_on((std::net::Ipv6Addr::LOCALHOST, 0), Manner::Echo),
            udp: UdpEcho::start(),
            http: Origin::start("hello"),
            closed: ClosedPort::take(),
        }
    }

    /// Programs, each a name, its statements, and how many entries it needs.
    fn programs(&self) -> Vec<(&'static str, Vec<String>, usize)> {
        let (echo, other, closed) = (self.echo.port(), self.other.port(), self.closed.number());
        let (udp, http, v6) = (self.udp.port(), self.http.address().port(), self.on_v6.port());
        let rows: Vec<(&str, String, usize)> = vec![
            ("nothing", "print hello".into(), 0),
            ("an address", format!("tcp.connect 127.0.0.1:{echo}"), 1),
            (
                "two ports",
                format!("tcp.connect 127.0.0.1:{echo}; tcp.connect 127.0.0.1:{other}"),
                1,
            ),
            (
                "two addresses",
                format!("tcp.connect 127.0.0.1:{echo}; tcp.connect 127.0.0.2:{closed}"),
                2,
            ),
            ("nobody listens", format!("tcp.connect 127.0.0.1:{closed}"), 1),
            (
                "by name",
                format!("dns.lookup db.test; tcp.connect 127.0.0.1:{echo}"),
                1,
            ),
            (
                "by name, two ports",
                format!("dns.lookup db.test; tcp.connect 127.0.0.1:{echo}; tcp.connect 127.0.0.1:{other}"),
                1,
            ),
            (
                "an alias",
                format!("dns.lookup alias.test; tcp.connect 127.0.0.1:{echo}"),
                1,
            ),
            (
                "two names",
                format!(
                    "dns.lookup db.test; tcp.connect 127.0.0.1:{echo}; dns.lookup other.test; tcp.connect 127.0.0.2:{closed}"
                ),
                2,
            ),
            (
                "localhost",
                format!("dns.lookup localhost; tcp.connect 127.0.0.1:{echo}"),
                1,
            ),
            ("a look-up alone", "dns.lookup db.test".into(), 1),
            (
                "an address before its name",
                format!("tcp.connect 127.0.0.1:{echo}; dns.lookup db.test"),
                2,
            ),
            ("IPv6", format!("tcp.connect [::1]:{v6}"), 1),
            (
                "datagrams",
                format!("udp.bind 0.0.0.0:0 as u; udp.send-to u 127.0.0.1:{udp} hello"),
                1,
            ),
            (
                "datagrams and a connection to one port",
                format!(
                    "udp.bind 0.0.0.0:0 as u; udp.send-to u 127.0.0.1:{closed} hello; tcp.connect 127.0.0.1:{closed}"
                ),
                1,
            ),
            ("http", format!("http GET http://127.0.0.1:{http}/"), 1),
            ("http by name", format!("http GET http://api.test:{http}/"), 1),
            ("https", format!("http GET https://api.test:{closed}/"), 1),
            (
                "http and a socket",
                format!("http GET http://api.test:{http}/; tcp.connect 127.0.0.1:{http}"),
                2,
            ),
            (
                "answers by turns",
                std::iter::repeat_n(
                    format!("dns.lookup turns.test; tcp.connect 127.0.1.TURN:{closed}"),
                    50,
                )
                .enumerate()
                .map(|(turn, text)| text.replace("TURN", &(turn + 1).to_string()))
                .collect::<Vec<_>>()
                .join("; "),
                1,
            ),
        ];
        let parts = |text: String| text.split("; ").map(str::to_owned).collect();
        rows.into_iter()
            .map(|(name, statements, entries)| (name, parts(statements), entries))
            .collect()
    }

    fn with(&self, outport: Outport) -> Outport {
        outport
            .dns(&self.dns)
            .options(["--allow-udp", "--allow-loopback-answers"])
    }

    fn learnt(&self, guest: &str, statements: &[String]) -> (Vec<String>, Finished) {
        let learn = self.with(Outport::command("learn").option("--allow-any-host"));
        let finished = learn
            .option(guest::path(guest))
            .args(statements)
            .finish()
            .expect_code(0);
        (options(&finished), finished)
    }

    fn run(&self, guest: &str, statements: &[String], list: &[String]) -> Finished {
        let run = list
            .iter()
            .fold(Outport::run(guest::path(guest)), |run, entry| run.allow(entry));
        self.with(run).args(statements).finish()
    }
}

/// The entries of the options that it printed.
fn options(finished: &Finished) -> Vec<String> {
    let lines = finished.stdout.lines();
    let options = lines.filter_map(|line| line.strip_prefix("  --allowed-outbound-hosts "));
    options.map(|entry| entry.trim_matches('\'').to_owned()).collect()
}

/// What the guest got. While it is learnt from, standard output is not its own.
fn outcome(finished: &Finished) -> Vec<String> {
    let printed = finished.stdout.clone() + &finished.stderr;
    results(&printed).into_iter().map(str::to_owned).collect()
}

/// Half of the programs with the guest of WASI 0.2, and half with that of 0.3.
fn programs_of(half: usize) {
    let world = World::start();
    for (number, (name, statements, expected)) in world.programs().into_iter().enumerate() {
        if number % 2 != half {
            continue;
        }
        let guest = ["script-guest", "script-guest-p3"][number / 2 % 2];
        world.dns.answers_of(RecordType::A, "turns.test", turns());
        let (list, learnt) = world.learnt(guest, &statements);
        assert_eq!(list.len(), expected, "{name} {guest}: {list:?}\n{learnt}");
        let needed = outcome(&learnt);
        assert_eq!(needed.len(), statements.len(), "{name}: {learnt}");
        world.dns.answers_of(RecordType::A, "turns.test", turns());
        let enough = world.run(guest, &statements, &list);
        assert_eq!(outcome(&enough), needed, "{name} {guest} with {list:?}\n{enough}");
        assert_eq!(
            enough.reasons(),
            [] as [&str; 0],
            "{name} with {list:?}\n{enough}"
        );
        for (left_out, entry) in list.iter().enumerate() {
            let mut fewer = list.clone();
            fewer.remove(left_out);
            world.dns.answers_of(RecordType::A, "turns.test", turns());
            let broken = world.run(guest, &statements, &fewer);
            assert_ne!(
                outcome(&broken),
                needed,
                "{name}: {entry} is needless in {list:?}\n{broken}"
            );
        }
    }
}

fn turns() -> Vec<Reply> {
    let address = |last: u8| Ipv4Addr::new(127, 0, 1, last).to_string();
    (1..=50)
        .map(|last| Reply::addresses([address(last).as_str()]).ttl(0))
        .collect()
}

#[test]
fn the_list_of_a_program_suffices_and_every_entry_of_it_is_needed() {
    programs_of(0);
}

#[test]
fn the_list_of_another_program_suffices_and_every_entry_of_it_is_needed() {
    programs_of(1);
}

#[test]
fn a_name_is_learnt_by_its_name_and_a_port_as_it_was_used() {
    let world = World::start();
    let (echo, other) = (world.echo.port(), world.other.port());
    let statements = [
        "dns.lookup db.test".to_owned(),
        format!("tcp.connect 127.0.0.1:{echo}"),
        format!("tcp.connect 127.0.0.1:{other}"),
        format!("http GET http://api.test:{}/", world.http.address().port()),
    ];
    let (list, finished) = world.learnt("script-guest", &statements);
    let (low, high) = (echo.min(other), echo.max(other));
    let between = if low + 1 == high { "-" } else { "," };
    let ports = format!("{low}{between}{high}");
    let ports = if between == "," {
        format!("{{{ports}}}")
    } else {
        ports
    };
    assert_eq!(
        list,
        [
            format!("http://api.test:{}", world.http.address().port()),
            format!("*://db.test:{ports}")
        ],
        "{finished}"
    );
    assert!(finished.stderr.contains("ANY HOST"), "{finished}");
    assert!(finished.stdout.contains("tcp 2 times"), "{finished}");
}

#[test]
fn what_other_layers_refuse_is_told_and_never_proposed() {
    let world = World::start();
    let echo = world.echo.port();
    world
        .dns
        .answers("inside.test", [Reply::addresses(["127.0.0.1"])]);
    let statements = [
        format!("tcp.connect 127.0.0.3:{echo}"),
        "tcp.connect 127.0.0.1:25".to_owned(),
        "tcp.connect 169.254.169.254:80".to_owned(),
        "udp.create ipv4 as u".to_owned(),
        "dns.lookup denied.test".to_owned(),
        // Rebinding: nobody has lifted that.
        "dns.lookup inside.test".to_owned(),
        "tcp.bind 0.0.0.0:0 as t".to_owned(),
        "tcp.listen on t".to_owned(),
        format!("http GET http://127.0.0.3:{echo}/"),
        "http GET http://inside.test:8080/".to_owned(),
    ];
    let learn = Outport::command("learn")
        .option("--allow-any-host")
        .dns(&world.dns)
        .deny("*://127.0.0.3:*")
        .deny("*://denied.test:*")
        .option(guest::path("script-guest"))
        .args(&statements)
        .finish()
        .expect_code(0);
    assert_eq!(options(&learn), [] as [&str; 0], "{learn}");
    for reason in [
        "deny.host",
        "runtime.loopback-port",
        "runtime.link-local",
        "runtime.udp",
        "dns.rebinding",
        "hard.listen",
    ] {
        assert!(learn.stdout.contains(&format!("[{reason}]")), "{reason}\n{learn}");
    }
}

#[test]
fn nothing_is_run_that_nobody_has_meant_to_run() {
    let learn = || Outport::command("learn");
    let guest = guest::path("script-guest");
    let without = learn().option(&guest).args(["print ran"]).finish().expect_code(2);
    assert!(without.stderr.contains("`--allow-any-host`"), "{without}");
    let in_ci = learn()
        .option("--allow-any-host")
        .option(&guest)
        .args(["print ran"])
        .variable("CI", "1")
        .finish()
        .expect_code(2);
    assert!(in_ci.stderr.contains("`CI`"), "{in_ci}");
    // An empty variable says nothing.
    let empty = learn()
        .option("--allow-any-host")
        .option(&guest)
        .args(["print ran"]);
    let empty = empty.variable("CI", "").finish().expect_code(0);
    assert!(empty.stderr.contains("=> ran"), "{empty}");
    // Neither a file nor the environment can mean it.
    let by_environment = learn().option(&guest).args(["print ran"]);
    let by_environment = by_environment
        .variable("OUTPORT_ALLOW_ANY_HOST", "1")
        .finish()
        .expect_code(2);
    for refused in [without, in_ci, by_environment] {
        assert!(!refused.stderr.contains("=> ran"), "{refused}");
    }
    for command in ["run", "up", "serve"] {
        let refused = Outport::command(command)
            .option("--allow-any-host")
            .option(&guest)
            .finish();
        refused.expect_code(2);
    }
}

#[test]
fn a_log_of_an_ordinary_run_is_learnt_from() {
    let world = World::start();
    let echo = world.echo.port();
    let statements = [
        "dns.lookup db.test".to_owned(),
        format!("tcp.connect 127.0.0.1:{echo}"),
        format!("tcp.connect 127.0.0.2:{echo}"),
        "http GET https://api.test:444/".to_owned(),
        "dns.lookup other.test".to_owned(),
    ];
    let run = world.with(Outport::script_guest().allow("*://db.test:1"));
    let run = run.args(&statements).finish();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let lines = run.audit.iter().map(|line| format!("{line}\n"));
    fs::write(&log, lines.collect::<String>()).unwrap();
    let learn = Outport::command("learn")
        .option("--from")
        .option(&log)
        .option("--format=json");
    // Where nothing is run it does not matter.
    let learn = learn.variable("CI", "1").finish().expect_code(0);
    let told = schema::valid("docs/schema/learn.json", &learn.stdout);
    let entries: Vec<&str> = told["lists"][0]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["entry"].as_str().unwrap())
        .collect();
    assert_eq!(
        entries,
        [
            format!("*://127.0.0.2:{echo}"),
            "https://api.test:444".to_owned(),
            format!("*://db.test:{echo}")
        ],
        "{learn}"
    );
    assert_eq!(told["refused"][0]["reason"], "dns.name-not-allowed", "{learn}");
}
