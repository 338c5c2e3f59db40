//! The operator's list, loaded again while guests run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::script::results;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::until::{PATIENCE, until};
use rustix::process::Signal;

const LOADED: &str = "The operator's list was loaded again";
const KEPT: &str = "warning: the operator's list stays as it was";

/// What a script waits for: a statement that connects, and one that ends when the test says so.
struct Cue(TcpListener);

impl Cue {
    fn new() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Statements that wait; the connection stays open afterwards.
    fn statements(&self) -> [String; 2] {
        [
            format!("tcp.connect {} as cue", self.address()),
            "tcp.recv cue 60000".into(),
        ]
    }

    /// Waits until the guest waits.
    fn reached(&self) -> TcpStream {
        self.0.accept().unwrap().0
    }
}

fn go(mut cue: TcpStream) -> TcpStream {
    cue.write_all(b"go").unwrap();
    cue
}

fn denying(hosts: &[String]) -> String {
    format!("[outbound_networking]\ndisallowed_outbound_hosts = {hosts:?}\n")
}

fn host(peer: &TcpPeer) -> String {
    format!("*://{}", peer.address())
}

/// A script guest that its author permits everything, with a runtime config file.
fn script_guest(config: &str) -> Outport {
    Outport::script_guest()
        .allow("*://*:*")
        .file("config.toml", config)
        .option("--runtime-config-file=config.toml")
}

/// How the operator makes a change known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The file is rewritten in place, and that is all.
    InPlace,
    /// Another file is renamed over it.
    Renamed,
    /// The file is rewritten so that its time is the old one, and a signal is sent.
    Signalled,
}

impl Change {
    fn make(self, run: &Running, config: &str) {
        let path = run.folder().join("config.toml");
        match self {
            Self::InPlace => run.write("config.toml", config),
            Self::Renamed => {
                run.write("config.new", config);
                fs::rename(run.folder().join("config.new"), path).unwrap();
            }
            Self::Signalled => {
                let before = fs::metadata(&path).unwrap().modified().unwrap();
                run.write("config.toml", config);
                File::options()
                    .append(true)
                    .open(&path)
                    .unwrap()
                    .set_modified(before)
                    .unwrap();
                run.signal(Signal::HUP);
            }
        }
    }
}

// proves: DL-9
#[test]
fn dl_9_a_changed_list_judges_new_attempts_and_closes_what_it_forbids() {
    for change in [Change::InPlace, Change::Renamed, Change::Signalled] {
        is_soon(|| judges_and_closes(change));
    }
}

/// How long it takes until a change closes a connection.
fn judges_and_closes(change: Change) -> Duration {
    let (denied, kept) = (TcpPeer::echo(), TcpPeer::echo());
    let run = script_guest(&denying(&[]))
        .args([
            format!("tcp.connect {} as denied", denied.address()),
            format!("tcp.connect {} as kept", kept.address()),
            "tcp.recv denied 60000".into(),
            "tcp.send denied more".into(),
            format!("tcp.connect {}", denied.address()),
            "tcp.send kept still".into(),
            "tcp.recv kept".into(),
            format!("tcp.connect {}", kept.address()),
        ])
        .start();
    run.wait_for_line("2 tcp.connect");
    let start = Instant::now();
    change.make(&run, &denying(&[host(&denied)]));
    run.wait_for_line("3 tcp.recv");
    let took = start.elapsed();
    let finished = run.finish().expect_code(0);
    let results = results(&finished.stdout);
    assert_eq!(
        results,
        ["ok", "ok", "eof", "closed", "access-denied", "ok", "still", "ok"],
        "{change:?}\n{finished}"
    );
    assert_eq!(finished.reasons(), ["deny.host"], "{change:?}\n{finished}");
    assert!(finished.stderr.contains(LOADED), "{change:?}\n{finished}");
    took
}

/// Two looks at a file are half a second apart at most; the rest is for machines that have other work to do. For those
/// that have much, one time of five is enough.
fn is_soon(mut change: impl FnMut() -> Duration) {
    let mut took = Vec::new();
    let soon = (0..5).any(|_| {
        took.push(change());
        took.last()
            .is_some_and(|took| *took < Duration::from_millis(1500))
    });
    assert!(soon, "{took:?}");
}

// proves: DL-9
#[test]
fn dl_9_a_signal_loads_a_file_that_has_not_changed() {
    let run = script_guest(&denying(&[]))
        .args(["print ready", "wait 60000"])
        .start();
    run.wait_for_line("1 print ready");
    run.signal(Signal::HUP);
    run.wait_for_error_line(LOADED);
    assert_eq!(run.stop().code, Some(143));
}

// proves: DL-9
#[test]
fn dl_9_grants_that_a_changed_list_forbids_end() {
    let (dns, cue) = (DnsServer::start(), Cue::new());
    dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
    dns.answers("other.test", [Reply::addresses(["10.0.0.6"])]);
    let mut statements = vec!["dns.lookup db.test".to_owned(), "dns.lookup other.test".into()];
    statements.extend(cue.statements());
    statements.extend(
        [
            "tcp.connect 10.0.0.5:5432",
            "udp.create ipv4 as u",
            "udp.connect 10.0.0.6:53 on u",
        ]
        .map(String::from),
    );
    statements.push("dns.lookup db.test".into());
    let run = Outport::script_guest()
        .allow("*://{db.test,other.test,127.0.0.1}:*")
        .option("--allow-udp")
        .dns(&dns)
        .file("config.toml", "")
        .option("--runtime-config-file=config.toml")
        .args(statements)
        .start();
    let cue = cue.reached();
    run.write("config.toml", denying(&["*://db.test:*".into()]));
    run.wait_for_error_line(LOADED);
    let _open = go(cue);
    let finished = run.finish().expect_code(0);
    let results = results(&finished.stdout);
    assert_eq!(results[0], "10.0.0.5", "{finished}");
    assert_eq!(
        results[4], "access-denied",
        "the grant of a denied name\n{finished}"
    );
    assert_eq!(results[6], "ok", "the grant of another name\n{finished}");
    assert_eq!(results[7], "access-denied", "{finished}");
}

// proves: DL-9, DL-5
#[test]
fn dl_9_names_of_a_changed_list_are_resolved() {
    let (dns, cue) = (DnsServer::start(), Cue::new());
    dns.answers("bad.test", [Reply::addresses(["10.0.0.5"])]);
    let mut statements = cue.statements().to_vec();
    statements.push("tcp.connect 10.0.0.5:80".into());
    let run = script_guest("").dns(&dns).args(statements).start();
    let cue = cue.reached();
    run.write("config.toml", denying(&["*://bad.test:*".into()]));
    run.wait_for_error_line(LOADED);
    until("both families of `bad.test` are asked for", || {
        dns.queries().len() >= 2
    });
    // The answers are being learned.
    std::thread::sleep(Duration::from_millis(1000));
    let _open = go(cue);
    let finished = run.finish().expect_code(0);
    assert_eq!(finished.reasons(), ["deny.name-address"], "{finished}");
}

// proves: DL-9
#[test]
fn dl_9_a_list_that_does_not_parse_changes_nothing_and_is_reported() {
    let (denied, cue) = (TcpPeer::echo(), Cue::new());
    for signal in [None, Some(Signal::HUP)] {
        for (wrong, words) in [
            ("disallowed_outbound_hosts = [\"http//a\"]", "config.toml:2:"),
            ("disallowed_outbound_hosts = [", "config.toml:2:"),
            ("disallowed_outbound_host = []", "disallowed_outbound_host"),
            ("block_networks = [\"10.0.0.1/8\"]", "10.0.0.1/8"),
        ] {
            let mut statements = cue.statements().to_vec();
            statements.push(format!("tcp.connect {}", denied.address()));
            let run = script_guest(&denying(&[host(&denied)])).args(statements).start();
            let waiting = cue.reached();
            run.write("config.toml", format!("[outbound_networking]\n{wrong}\n"));
            if let Some(signal) = signal {
                run.signal(signal);
            }
            run.wait_for_error_line(KEPT);
            let _open = go(waiting);
            let finished = run.finish().expect_code(0);
            assert_eq!(finished.reasons(), ["deny.host"], "{wrong}\n{finished}");
            assert!(finished.stderr.contains("error"), "{wrong}\n{finished}");
            assert!(finished.stderr.contains(words), "{wrong}\n{finished}");
            let told = finished.stderr.matches(KEPT).count();
            assert_eq!(told, 1, "it is told once\n{finished}");
        }
    }
}

// proves: DL-9
#[test]
fn dl_9_a_file_that_is_gone_changes_nothing_until_it_is_back() {
    let (denied, cue, second) = (TcpPeer::echo(), Cue::new(), Cue::new());
    let statements = cue
        .statements()
        .into_iter()
        .chain([format!("tcp.connect {}", denied.address())])
        .chain(second.statements())
        .chain([format!("tcp.connect {}", denied.address())]);
    let run = script_guest(&denying(&[host(&denied)])).args(statements).start();
    let waiting = cue.reached();
    fs::remove_file(run.folder().join("config.toml")).unwrap();
    run.wait_for_error_line("error: there is no runtime config file");
    run.write("config.toml", denying(&[host(&denied)]));
    run.wait_for_error_line("The runtime config file is back");
    let _open = go(waiting);
    let waiting = second.reached();
    run.write("config.toml", "");
    run.wait_for_error_line(LOADED);
    let _open_too = go(waiting);
    let finished = run.finish().expect_code(0);
    assert_eq!(finished.reasons(), ["deny.host"], "{finished}");
    let results = results(&finished.stdout);
    assert_eq!((results[2], results[5]), ("access-denied", "ok"), "{finished}");
}

// proves: DL-9, DL-1
#[test]
fn dl_9_what_the_command_line_and_the_environment_say_stays() {
    let (option, variable, file) = (TcpPeer::echo(), TcpPeer::echo(), TcpPeer::echo());
    let cue = Cue::new();
    let mut statements = cue.statements().to_vec();
    statements.extend([&option, &variable, &file].map(|peer| format!("tcp.connect {}", peer.address())));
    let run = script_guest(&denying(&[host(&file)]))
        .deny(host(&option))
        .variable("OUTPORT_DISALLOWED_OUTBOUND_HOSTS", host(&variable))
        .args(statements)
        .start();
    let waiting = cue.reached();
    run.write("config.toml", "");
    run.wait_for_error_line(LOADED);
    let _open = go(waiting);
    let finished = run.finish().expect_code(0);
    let results = results(&finished.stdout);
    assert_eq!(
        results[2..],
        ["access-denied", "access-denied", "ok"],
        "{finished}"
    );
}

// proves: DL-9
#[test]
fn dl_9_limits_are_loaded_again_and_what_needs_a_restart_is_said() {
    let cue = Cue::new();
    let mut statements = cue.statements().to_vec();
    statements.insert(0, "udp.create ipv4".into());
    statements.push("udp.create ipv4".into());
    let run = script_guest("").args(statements).start();
    let waiting = cue.reached();
    run.write(
        "config.toml",
        "state_dir = \"elsewhere\"\n[outbound_networking]\nallow_udp = true\ndns_servers = [\"127.0.0.1:9\"]\n\
        resolve_disallowed = false\n[outbound_http]\nconnection_pooling = false\nmax_connections = 7\n\
        [key_value_store.default]\ntype = \"spin\"\n[outbound_redis]\nmax_connections = 3\n",
    );
    run.wait_for_error_line(LOADED);
    let _open = go(waiting);
    let finished = run.finish().expect_code(0);
    let results = results(&finished.stdout);
    assert_eq!((results[0], results[3]), ("access-denied", "ok"), "{finished}");
    for setting in [
        "dns_servers",
        "resolve_disallowed",
        "connection_pooling",
        "[outbound_http] max_connections",
        "[outbound_redis] max_connections",
        "key_value_store",
        "state_dir",
    ] {
        let said = format!("warning: `{setting}` has changed, which takes a restart");
        assert!(finished.stderr.contains(&said), "{finished}");
    }
}

fn connect_by_script(server: SocketAddr, peer: &TcpPeer) -> String {
    let script = format!("tcp.connect {}", peer.address());
    let length = script.len();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{script}"
    );
    let response = http::send(server, &request).unwrap();
    results(&response.body)[0].to_owned()
}

// proves: DL-9
#[test]
fn dl_9_servers_load_a_list_that_is_behind_a_link() {
    let manifest = "spin_manifest_version = 2\n[application]\nname = \"web\"\n[[trigger.http]]\nroute = \"/...\"\n\
        component = \"web\"\n[component.web]\nsource = \"GUESTS/http-script-guest.wasm\"\n\
        allowed_outbound_hosts = [\"*://127.0.0.1:*\"]\n";
    let serve = Outport::serve(outport_e2e::guest::path("http-script-guest")).allow("*://127.0.0.1:*");
    for server in [Outport::up(manifest), serve] {
        let peer = TcpPeer::start(Manner::Stall);
        let server = server
            .file("first.toml", denying(&[]))
            .file("second.toml", denying(&[host(&peer)]))
            .option("--runtime-config-file=config.toml");
        symlink("first.toml", server.folder().join("config.toml")).unwrap();
        let run = server.start();
        let address = run.address();
        assert_eq!(connect_by_script(address, &peer), "ok");

        symlink("second.toml", run.folder().join("next")).unwrap();
        fs::rename(run.folder().join("next"), run.folder().join("config.toml")).unwrap();
        run.wait_for_error_line(LOADED);
        assert_eq!(connect_by_script(address, &peer), "access-denied");

        run.write("second.toml", denying(&[]));
        until("the last change is seen", || {
            connect_by_script(address, &peer) == "ok"
        });
        run.stop().expect_code(0);
    }
}

#[test]
fn a_signal_without_a_file_is_answered_and_stops_nothing() {
    let run = Outport::script_guest()
        .args(["print ready", "wait 60000"])
        .start();
    run.wait_for_line("1 print ready");
    run.signal(Signal::HUP);
    run.wait_for_error_line("The operator's list stays as it was at start");
    assert_eq!(run.stop().code, Some(143));
}

const ANSWERED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BEGUN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun";

// proves: DL-9
#[test]
fn dl_9_a_pooled_connection_and_a_response_under_way_are_closed() {
    for (pooling, answer) in [(true, ANSWERED), (true, BEGUN), (false, BEGUN)] {
        is_soon(|| {
            let what = format!("pooling: {pooling}, {answer:?}");
            let pooling = format!("[outbound_http]\nconnection_pooling = {pooling}\n");
            let (origin, cue) = (TcpListener::bind(("127.0.0.1", 0)).unwrap(), Cue::new());
            let address = origin.local_addr().unwrap();
            let mut statements = vec![format!("http.length GET http://{address}/")];
            statements.extend(cue.statements());
            let run = script_guest(&pooling).args(statements).start();
            let mut served = origin.accept().unwrap().0;
            served.set_read_timeout(Some(PATIENCE)).unwrap();
            let _ = served.read(&mut [0; 1024]).unwrap();
            served.write_all(answer.as_bytes()).unwrap();
            if answer == ANSWERED {
                run.wait_for_line("1 http.length");
            }
            let start = Instant::now();
            run.write("config.toml", pooling + &denying(&[format!("*://{address}")]));
            let ended = served.read(&mut [0; 16]);
            let took = start.elapsed();
            assert!(
                matches!(ended, Ok(0) | Err(_)),
                "the origin sees the end: {ended:?}, {what}"
            );
            let _open = go(cue.reached());
            let finished = run.finish().expect_code(0);
            let whole = results(&finished.stdout)[0].starts_with("200 ");
            assert_eq!(whole, answer == ANSWERED, "{what}\n{finished}");
            took
        });
    }
}
