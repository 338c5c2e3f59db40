//! `--ask`: somebody at a terminal is asked about what only the author's list refuses. Each test has a real terminal; that of
//! WASI 0.3 runs them with a guest of that version.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "ask/hostile.rs"]
mod hostile;

use std::fs;
use std::io::{self, PipeWriter, Write};
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest::{self, Wasi};
use outport_e2e::http::{self, Origin};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::redis::Redis;
use outport_e2e::tcp::TcpPeer;
use outport_e2e::udp::UdpEcho;
use outport_e2e::until::until;
use rustix::process::Signal;

/// Outport in a terminal, and what is typed there.
struct Terminal {
    running: Running,
    keys: PipeWriter,
    /// Questions that were shown and answered so far.
    asked: usize,
}

/// Starts Outport with `--ask` in a terminal.
fn ask(outport: Outport) -> Terminal {
    let (typed, keys) = io::pipe().unwrap();
    let outport = outport.option("--ask").in_terminal(200).reading(typed);
    Terminal {
        running: outport.start(),
        keys,
        asked: 0,
    }
}

impl Terminal {
    /// What the terminal was written so far, without the line ends of one.
    fn seen(&self) -> String {
        self.running.stdout().replace('\r', "")
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        until(format_args!("{text:?} in {}", self.seen()), || {
            self.seen().contains(text)
        });
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the next question, and answers the text of it.
    /// That is once the prompt is there: what is typed before is discarded.
    #[track_caller]
    fn question(&mut self) -> String {
        self.asked += 1;
        let number = self.asked;
        let whole = |seen: &str| {
            let question = seen.split("outport asks: ").nth(number)?;
            question.contains("(Enter is no").then(|| question.to_owned())
        };
        until(format_args!("question {number} in {}", self.seen()), || {
            whole(&self.seen()).is_some()
        });
        whole(&self.seen()).unwrap()
    }

    /// Waits for the next question, which has `expected` in it, and answers it.
    #[track_caller]
    fn answers(&mut self, expected: &str, answer: &str) {
        let question = self.question();
        assert!(question.contains(expected), "{expected:?} in {question}");
        self.types(&format!("{answer}\n"));
    }

    /// How many questions were shown.
    fn questions(&self) -> usize {
        self.seen().matches("outport asks: ").count()
    }
}

fn web(port: &str) -> String {
    format!(
        "spin_manifest_version = 2\napplication.name = \"asking\"\n\n# who answers\n[[trigger.http]]\nroute = \
         \"/web\"\ncomponent = \"web\"\n\n[[trigger.http]]\nroute = \"/hello\"\ncomponent = \
         \"hello\"\n\n[component.web]\nsource = \"GUESTS/{}.wasm\"\nallowed_outbound_hosts = [\n  # the \
         first\n  \"*://127.0.0.1:{port}\", # a peer\n]\n\n[component.hello]\nsource = \"GUESTS/hello.wasm\"\n",
        match Wasi::under_test() {
            Wasi::V0_2 => "http-script-guest",
            Wasi::V0_3 => "http-script-guest-p3",
        }
    )
}

/// The address at which `up` serves.
fn address(terminal: &Terminal) -> SocketAddr {
    terminal.shows("Serving http://");
    let mut address = None;
    until("the whole line", || {
        let seen = terminal.seen();
        let rest = seen.split("Serving http://").nth(1).unwrap();
        address = rest
            .split_once('\n')
            .and_then(|(line, _)| line.trim().parse().ok());
        address.is_some()
    });
    address.unwrap()
}

/// Has `/web` perform `script`, on a thread: it may wait for an answer.
fn perform(address: SocketAddr, script: impl Into<String>) -> JoinHandle<String> {
    let script = script.into();
    thread::spawn(move || http::post(address, "/web", &script).unwrap().body)
}

// proves: RSN-5
#[test]
fn an_attempt_waits_for_an_answer_which_holds_once_or_for_the_run_or_is_no() {
    let [peer, other] = [TcpPeer::echo(), TcpPeer::echo()];
    let [peer, other] = [peer.address(), other.address()].map(|address| (address, address.to_string()));
    let (a, b) = (&peer.1, &other.1);
    let script = format!("repeat 3 tcp.connect {a}; repeat 2 tcp.connect {b}; tcp.connect 127.0.0.1:22");
    let mut terminal = ask(Outport::script_guest().args([script]));
    let entry = format!("\"*://{a}\"");
    terminal.answers(&entry, "once");
    terminal.answers(&format!("connect to {a}"), "r");
    terminal.answers(&format!("connect to {b}"), "");
    let finished = terminal.running.finish().expect_code(0);
    let seen = finished.stdout.replace('\r', "");
    assert!(seen.contains("=> ok x3\n"), "{seen}");
    // Not asked again; and what a limit refuses never is.
    assert!(seen.contains("=> access-denied x2\n"), "{seen}");
    assert_eq!(seen.matches("outport asks").count(), 3, "{seen}");
    let rules: Vec<String> = finished
        .audit
        .iter()
        .filter(|line| !line.denied() && line.field("attempt") == "tcp.connect")
        .map(|line| line.field("rule"))
        .collect();
    assert_eq!(rules, vec![format!("*://{a} (--ask)"); 3]);
    assert_eq!(
        finished.reasons(),
        ["allow.port", "allow.port", "runtime.loopback-port"]
    );
}

// proves: DNS-1, DNS-3
#[test]
fn a_name_is_asked_about_before_its_query_leaves_and_again_with_its_port() {
    let dns = DnsServer::start();
    dns.answers("db.test", [Reply::addresses(["127.0.0.1"])]);
    let peer = TcpPeer::echo();
    let port = peer.port();
    let script = format!("repeat 3 dns.lookup db.test; tcp.connect 127.0.0.1:{port}; dns.lookup db.test");
    let outport = Outport::script_guest()
        .option("--allow-loopback-answers")
        .dns(&dns);
    let mut terminal = ask(outport.args([script]));
    terminal.answers("look up db.test", "once");
    // No entry, so nothing could be written.
    let question = terminal.question();
    assert!(
        question.contains("you are asked again when it connects"),
        "{question}"
    );
    assert!(!question.contains("spin.toml"), "{question}");
    assert_eq!(dns.queries().len() % 2, 0);
    let before = dns.queries().len();
    terminal.types("w\n");
    terminal.shows("that is none of the answers");
    assert_eq!(
        dns.queries().len(),
        before,
        "no query leaves before there is an answer"
    );
    terminal.types("run\n");
    let question = terminal.question();
    assert!(question.contains("looked up  db.test"), "{question}");
    assert!(
        question.contains(&format!("\"*://db.test:{port}\"")),
        "{question}"
    );
    terminal.types("r\n");
    let finished = terminal.running.finish().expect_code(0);
    let seen = finished.stdout.replace('\r', "");
    assert!(seen.contains("=> 127.0.0.1 x3\n"), "{seen}");
    assert!(
        seen.contains(&format!("tcp.connect 127.0.0.1:{port} => ok\n")),
        "{seen}"
    );
    assert!(seen.contains("3 dns.lookup db.test => 127.0.0.1\n"), "{seen}");
}

#[test]
fn requests_and_datagrams_are_asked_about_like_connections() {
    let (origin, peer) = (Origin::start("hi there"), UdpEcho::start());
    let (web, udp) = (origin.address(), peer.address());
    let script = format!(
        "repeat 2 http.text GET http://{web}/x; udp.create ipv4 as u; udp.bind 0.0.0.0:0 as u; udp.send-to u {udp} a; \
         udp.send-to u {udp} b; udp.recv u 20000"
    );
    let mut terminal = ask(Outport::script_guest().option("--allow-udp").args([script]));
    terminal.answers(&format!("send a request to http://{web}"), "once");
    terminal.answers(&format!("\"http://{web}\""), "no");
    let question = terminal.question();
    assert!(question.contains(&format!("\"udp://{udp}\"")), "{question}");
    // A datagram that is permitted once would have no answer.
    assert!(!question.contains("[o]nce"), "{question}");
    terminal.types("r\n");
    let finished = terminal.running.finish().expect_code(0);
    let seen = finished.stdout.replace('\r', "");
    assert!(
        seen.contains("=> 200 hi there x1, HTTP-request-denied x1\n"),
        "{seen}"
    );
    // On WASI 0.2 there is no room while the question stands, and the script guest does not try the same once more.
    let first = match Wasi::under_test() {
        Wasi::V0_2 => "would-block",
        Wasi::V0_3 => "ok",
    };
    assert!(
        seen.contains(&format!("udp.send-to u {udp} a => {first}\n")),
        "{seen}"
    );
    assert!(seen.contains(&format!("udp.send-to u {udp} b => ok\n")), "{seen}");
    assert!(seen.contains(&format!("from {udp}")), "{seen}");
    assert_eq!(seen.matches("outport asks").count(), 3, "{seen}");
}

#[test]
fn an_entry_is_written_into_the_manifest_and_in_force_at_once_while_others_go_on() {
    let peer = TcpPeer::echo();
    let outport = Outport::up(&web("1")).option("--workers=1");
    let before = fs::read_to_string(outport.folder().join("spin.toml")).unwrap();
    let mut terminal = ask(outport);
    let address = address(&terminal);
    let performed = perform(address, format!("tcp.connect {}", peer.address()));
    let question = terminal.question();
    assert!(
        question.contains("in allowed_outbound_hosts of `web`"),
        "{question}"
    );
    // On the same thread.
    assert_eq!(http::get(address, "/hello").unwrap().status, 200);
    terminal.types("w\n");
    assert!(performed.join().unwrap().contains("=> ok"));
    terminal.shows("written to ");
    let entry = format!("\"*://{}\"", peer.address());
    let after = before.replace("# a peer\n", &format!("# a peer\n  {entry},\n"));
    assert_ne!(before, after);
    let written = terminal.running.folder().join("spin.toml");
    assert_eq!(fs::read_to_string(written).unwrap(), after);
    let again = perform(address, format!("tcp.connect {}", peer.address()));
    assert!(again.join().unwrap().contains("=> ok"));
    assert_eq!(terminal.questions(), 1);
    terminal.running.signal(Signal::TERM);
}

/// `up` of one component, at every path.
fn only(source: &str) -> String {
    format!(
        "spin_manifest_version = 2\napplication.name = \"only\"\n\n[[trigger.http]]\nroute = \"/...\"\ncomponent = \
         \"only\"\n\n[component.only]\nsource = \"GUESTS/{source}.wasm\"\n"
    )
}

#[test]
fn the_interfaces_of_the_host_and_the_first_ones_of_spin_ask_as_well() {
    if matches!(Wasi::under_test(), Wasi::V0_3) {
        return;
    }
    let redis = Redis::start();
    let url = format!("redis://127.0.0.1:{}", redis.port());
    let mut terminal = ask(Outport::up(&only("spin-rust")));
    let address = self::address(&terminal);
    let get = |path: String| thread::spawn(move || http::get(address, &path).unwrap());
    let first = get(format!("/redis?{url}"));
    terminal.answers(&format!("\"{url}\""), "once");
    let once = first.join().unwrap();
    let second = get(format!("/redis?{url}"));
    terminal.answers(&format!("may `only` use {url}"), "n");
    let no = second.join().unwrap();
    assert_ne!(
        (once.status, &once.body),
        (no.status, &no.body),
        "{}",
        terminal.seen()
    );
    terminal.running.signal(Signal::TERM);

    let origin = Origin::start("from the origin");
    let mut terminal = ask(Outport::up(&only("spin-rust-1")));
    let address = self::address(&terminal);
    let sent = format!("/send?http://{}/", origin.address());
    let first = thread::spawn({
        let sent = sent.clone();
        move || http::get(address, &sent).unwrap().body
    });
    terminal.answers(&format!("\"http://{}\"", origin.address()), "w");
    assert_eq!(first.join().unwrap(), "from the origin");
    assert_eq!(http::get(address, &sent).unwrap().body, "from the origin");
    let manifest = fs::read_to_string(terminal.running.folder().join("spin.toml")).unwrap();
    let list = format!("allowed_outbound_hosts = [\"http://{}\"]\n", origin.address());
    assert!(manifest.ends_with(&list), "{manifest}");
    terminal.running.signal(Signal::TERM);
}

#[test]
fn a_dependency_with_a_list_of_its_own_needs_both_and_its_own_is_not_written() {
    if matches!(Wasi::under_test(), Wasi::V0_3) {
        return;
    }
    let peer = TcpPeer::echo();
    let to = peer.address();
    let outport = Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"parts\"\n\n[[trigger.command]]\ncomponent = \"main\"\nargs = \
         [\"callee: tcp.connect {to}\", \"callee: tcp.connect {to}\"]\n\n[component.main]\nsource = \
         \"GUESTS/caller.wasm\"\nallowed_outbound_hosts = []\n[component.main.dependencies]\n\
         \"outport:callee/interpreter\" = {{ path = \"GUESTS/callee.wasm\", inherit_configuration = \
         [\"allowed_outbound_hosts\"], allowed_outbound_hosts = [] }}\n"
    ));
    let before = fs::read_to_string(outport.folder().join("spin.toml")).unwrap();
    let mut terminal = ask(outport);
    let question = terminal.question();
    assert!(
        question.contains("of `main/outport:callee/interpreter`"),
        "{question}"
    );
    assert!(!question.contains("[w]rite"), "{question}");
    terminal.types("r\n");
    let question = terminal.question();
    assert!(
        question.contains("of `main`, ") && question.contains("[w]rite"),
        "{question}"
    );
    terminal.types("w\n");
    terminal.shows("written to ");
    let written = fs::read_to_string(terminal.running.folder().join("spin.toml")).unwrap();
    let list = format!("allowed_outbound_hosts = [\"*://{to}\"]\n[component.main.dependencies]");
    let after = before.replace(
        "allowed_outbound_hosts = []\n[component.main.dependencies]",
        &list,
    );
    assert_ne!(before, after);
    assert_eq!(written, after);
    let finished = terminal.running.finish().expect_code(0);
    assert_eq!(finished.stdout.matches("=> ok").count(), 2, "{finished}");
}

#[test]
fn without_somebody_at_a_terminal_nothing_starts() {
    let refused = |outport: Outport, expected: &str| {
        let finished = outport.finish().expect_code(2);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(expected), "{finished}");
    };
    let run = || Outport::script_guest().option("--ask").args(["print started"]);
    refused(
        run(),
        "`--ask` needs somebody at a terminal, and standard error is none",
    );
    refused(
        Outport::serve(guest::path("hello")).option("--ask"),
        "standard error is none",
    );
    refused(Outport::up(&web("1")).option("--ask"), "standard error is none");
    refused(run().in_terminal(80).variable("CI", "true"), "`CI` is set");
    refused(
        Outport::command("watch").option("--ask").manifest(&web("1")),
        "`--ask` is of no use here",
    );
    // It is of one command line.
    refused(
        run()
            .in_terminal(80)
            .file("outport.toml", "ask = true\n")
            .option("--config=outport.toml"),
        "it is about one command line",
    );
    let variable = Outport::script_guest().variable("OUTPORT_ASK", "true");
    let finished = variable.args(["tcp.connect 127.0.0.1:2000"]).finish();
    assert!(!finished.stdout.contains("outport asks"), "{finished}");
}
