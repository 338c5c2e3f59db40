//! A new process takes over from an old one, and no client notices: by the listeners that it gets from it, or by a socket
//! that somebody else holds from one to the other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::outport::{Outport, Running};
use outport_e2e::redis::Redis;
use outport_e2e::service_manager::ServiceManager;
use outport_e2e::slow_component::slow_component;
use outport_e2e::tls::Authority;
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;
use outport_e2e::wrk::Wrk;
use outport_e2e::{guest, http};
use rustix::process::Signal;
use tempfile::TempDir;

const APP: &str = r#"
spin_manifest_version = 2
[application]
name = "upgraded"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*"]
"#;

/// A place where processes meet.
struct Meeting {
    folder: TempDir,
}

impl Meeting {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("upgraded")
    }

    /// One that will come there.
    fn comer(&self, command: Outport) -> Outport {
        command.option("--upgrade-socket").option(self.path())
    }

    /// An app that is served from where the one before it is, or from a free port.
    fn app(&self) -> Outport {
        self.comer(Outport::up(APP))
    }
}

fn hello() -> Outport {
    Outport::serve(guest::path("hello"))
}

/// Waits until the process before has said that another one took over, and has ended.
fn ended(old: Running) {
    old.wait_for_error_text(" has taken over; ");
    old.finish().expect_code(0);
}

#[test]
fn under_load_no_request_fails_in_ten_upgrades() {
    let meeting = Meeting::new();
    let mut serving = meeting.comer(hello()).option("--workers=3").start();
    let address = serving.address();
    let load = Wrk::start(&format!("http://{address}/"), 256);
    let mut replaced = Vec::new();
    for round in 0..10 {
        // The number of workers changes too: every queue is served.
        let workers = [1, 2, 4][round % 3];
        let next = meeting
            .comer(hello())
            .option(format!("--workers={workers}"))
            .start();
        assert_eq!(next.address(), address);
        next.wait_for_error_text(&format!("Took over from process {}\n", serving.id()));
        replaced.push(std::mem::replace(&mut serving, next));
    }
    let load = load.stop();
    replaced.into_iter().for_each(ended);
    serving.stop().expect_code(0);
    assert_eq!(load.errors, Vec::<String>::new(), "of {} requests", load.requests);
    assert!(load.requests > 256 * 5, "{load:?}");
}

#[test]
fn under_load_no_request_fails_when_a_process_with_an_inherited_socket_is_started_anew() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // As the unit of systemd has it.
    rustix::net::listen(&socket, 4096).unwrap();
    let address = socket.local_addr().unwrap();
    let start = || {
        let command = Outport::command("serve").args([guest::path("hello")]);
        command.inheriting(&socket).start()
    };
    let mut serving = start();
    serving.address();
    let load = Wrk::start(&format!("http://{address}/"), 256);
    for _ in 0..10 {
        serving.stop().expect_code(0);
        serving = start();
        // Who is behind all others is answered after them.
        assert_eq!(http::get(address, "/").unwrap().status, 200);
    }
    let load = load.stop();
    serving.stop().expect_code(0);
    assert_eq!(load.errors, Vec::<String>::new(), "of {} requests", load.requests);
    assert!(load.requests > 256 * 5, "{load:?}");
}

#[test]
fn under_load_no_request_over_tls_fails_in_upgrades_either() {
    let meeting = Meeting::new();
    let identity = Authority::new().identity("localhost");
    let start = || {
        meeting
            .comer(hello())
            .file("own.pem", &identity.certificate)
            .file("own.key", &identity.key)
            .options(["--tls-cert=own.pem", "--tls-key=own.key"])
            .start()
    };
    let mut serving = start();
    let url = serving
        .wait_for_error_line("Serving https://")
        .replace("Serving ", "");
    let load = Wrk::start(&format!("{url}/"), 64);
    let mut replaced = Vec::new();
    for _ in 0..3 {
        let next = start();
        next.wait_for_error_text("Took over from process");
        replaced.push(std::mem::replace(&mut serving, next));
    }
    let load = load.stop();
    replaced.into_iter().for_each(ended);
    serving.stop().expect_code(0);
    assert_eq!(load.errors, Vec::<String>::new(), "of {} requests", load.requests);
    assert!(load.requests > 64, "{load:?}");
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// Sends a request on a connection that stays open, and answers whether it is the last one.
fn ask(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let request = request("/hello");
    reader.get_mut().write_all(request.as_bytes()).unwrap();
    let response = http::read_response(reader, &request).unwrap();
    assert_eq!(response.status, 200);
    response.header("connection").map(str::to_owned)
}

#[test]
fn an_idle_connection_of_the_old_one_gets_one_more_answer_which_says_that_it_is_the_last() {
    let meeting = Meeting::new();
    let old = meeting.app().start();
    let address = old.address();
    let mut idle = BufReader::new(TcpStream::connect(address).unwrap());
    assert_eq!(ask(&mut idle), None);
    // One that has not said anything yet is answered, too.
    let mut silent = BufReader::new(TcpStream::connect(address).unwrap());
    let new = meeting.app().start();
    old.wait_for_error_text(" has taken over; ");
    assert_eq!(ask(&mut idle).as_deref(), Some("close"));
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "it is closed then");
    // Which of the two had it is the kernel's to say.
    ask(&mut silent);
    old.finish().expect_code(0);
    assert_eq!(new.get("/hello").status, 200);
    new.stop().expect_code(0);
}

#[test]
fn an_ordinary_stop_answers_what_is_on_its_way_and_is_quick_all_the_same() {
    let run = Outport::up(APP).start();
    let address = run.address();
    let mut idle = BufReader::new(TcpStream::connect(address).unwrap());
    assert_eq!(ask(&mut idle), None);
    let left = BufReader::new(TcpStream::connect(address).unwrap());
    run.signal(Signal::TERM);
    until("nobody is let in", || TcpStream::connect(address).is_err());
    assert_eq!(ask(&mut idle).as_deref(), Some("close"));
    let start = Instant::now();
    let finished = run.finish().expect_code(0);
    // It waits for half a second for who says nothing; the machine may be busy.
    assert!(start.elapsed() < Duration::from_secs(8), "{finished}");
    drop(left);
}

#[test]
fn the_beginning_of_a_request_holds_up_no_stop() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // Of HEADERS that do not end: `:method: GET`.
    let unended = [PREFACE, &settings, &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]].concat();
    let beginnings: [(&str, &[u8]); 6] = [
        ("a byte", b"G"),
        ("half a head", b"GET /hello HTTP/1.1\r\nHos"),
        (
            "a request, and half a head",
            b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /h",
        ),
        ("half a preface", &PREFACE[..9]),
        ("who answers no ping", &[PREFACE, &settings].concat()),
        ("headers that do not end", &unended),
    ];
    for (name, beginning) in beginnings {
        let run = Outport::up(APP).start();
        let mut strangers: Vec<TcpStream> = (0..20)
            .map(|_| {
                let mut stream = TcpStream::connect(run.address()).unwrap();
                stream.write_all(beginning).unwrap();
                stream
            })
            .collect();
        // They were accepted before this one was.
        assert_eq!(run.get("/hello").status, 200);
        let start = Instant::now();
        let finished = run.stop().expect_code(0);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(6), "{name}: {took:?} {finished}");
        strangers.clear();
    }
}

#[test]
fn who_sends_a_request_byte_by_byte_holds_up_no_stop_and_who_has_sent_all_of_it_is_answered() {
    let run = Outport::up(APP).start();
    let address = run.address();
    let slow = TcpStream::connect(address).unwrap();
    let drips = thread::spawn(move || {
        let mut slow = slow;
        // Far longer than a stop takes.
        let head = [b"GET /".as_slice(), &[b'x'; 150]].concat();
        for byte in head {
            if slow.write_all(&[byte]).is_err() {
                return true;
            }
            thread::sleep(Duration::from_millis(100));
        }
        false
    });
    let turnstile = Turnstile::closed();
    let script = turnstile.wait();
    let running = thread::spawn(move || http::post(address, "/", &script));
    turnstile.has(1);
    let start = Instant::now();
    run.signal(Signal::TERM);
    assert!(drips.join().unwrap(), "it was not let go");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    turnstile.open();
    assert_eq!(running.join().unwrap().unwrap().status, 200);
    run.finish().expect_code(0);
}

#[test]
fn what_runs_in_the_old_one_is_finished_there() {
    let meeting = Meeting::new();
    let old = meeting.app().start();
    let address = old.address();
    old.get("/hello");
    let turnstile = Turnstile::closed();
    let script = turnstile.wait();
    let running = thread::spawn(move || http::post(address, "/", &script));
    turnstile.has(1);
    let new = meeting.app().start();
    old.wait_for_error_text(" has taken over; ");
    assert_eq!(new.get("/hello").status, 200);
    assert!(!running.is_finished());
    turnstile.open();
    assert_eq!(running.join().unwrap().unwrap().status, 200);
    old.finish().expect_code(0);
    new.stop().expect_code(0);
}

#[test]
fn a_new_one_that_does_not_become_ready_changes_nothing() {
    let meeting = Meeting::new();
    let mut old = meeting.app().start();
    let address = old.address();
    // It has a mistake, it is killed while it prepares, and it is no Outport at all.
    let broken = Outport::up(&APP.replace("http-script-guest", "no-such-guest"));
    meeting.comer(broken).finish().expect_code(2);
    let slow = Outport::up(&APP.replace("GUESTS/http-script-guest.wasm", "slow.wasm"));
    let slow = slow
        .file("slow.wasm", slow_component(500, 500))
        .option("--max-compile-time=none");
    let compiling = meeting.comer(slow).start();
    compiling.wait_for_error_text("compiling `");
    // Another one comes too early meanwhile.
    let early = meeting.app().finish().expect_code(2);
    assert!(early.stderr.contains("is taking over already"), "{early}");
    compiling.signal(Signal::KILL);
    compiling.finish();
    old.wait_for_error_text("ended before it was ready");
    let strange = std::os::unix::net::UnixStream::connect(meeting.path());
    assert!(strange.is_err(), "it is of another kind");
    assert_eq!(http::get(address, "/hello").unwrap().status, 200);
    assert!(!old.stderr().contains("has taken over"), "{old}");
    old.until_idle();
    let new = meeting.app().start();
    assert_eq!(new.address(), address);
    ended(old);
    new.stop().expect_code(0);
}

#[test]
fn an_old_one_that_hangs_is_not_waited_for_however_many_have_tried() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let meeting = Meeting::new();
    let old = meeting.app().start();
    assert_eq!(old.get("/hello").status, 200);
    old.signal(Signal::STOP);
    // As those leave behind that came before.
    let came_before = || {
        let kind = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let socket = socket_with(kind.0, kind.1, SocketFlags::NONBLOCK, None).unwrap();
        let address = SocketAddrUnix::new(meeting.path()).unwrap();
        connect(&socket, &address).is_ok().then_some(socket)
    };
    let queue: Vec<_> = std::iter::from_fn(came_before).take(100).collect();
    assert!(queue.len() < 100, "there is no end of the queue");
    let refused = meeting.app().finish().expect_code(2);
    let why = "does not hand its listeners over: it does not answer";
    assert!(refused.stderr.contains(why), "{refused}");
    drop(queue);
    old.signal(Signal::CONT);
    assert_eq!(old.get("/hello").status, 200);
    old.stop().expect_code(0);
}

#[test]
fn a_socket_that_nobody_listens_at_is_replaced_and_anything_else_is_an_error() {
    let meeting = Meeting::new();
    let mut old = meeting.app().start();
    old.address();
    let id = old.id();
    old.signal(Signal::KILL);
    assert_eq!(old.finish().code, None, "{id}");
    assert!(meeting.path().exists());
    let new = meeting.app().start();
    assert_eq!(new.get("/hello").status, 200);
    new.stop().expect_code(0);
    let refused = |part: &str| {
        let finished = meeting.app().finish().expect_code(2);
        assert!(finished.stderr.contains("`--upgrade-socket`: "), "{finished}");
        assert!(finished.stderr.contains(part), "{finished}");
    };
    fs::remove_file(meeting.path()).unwrap();
    fs::write(meeting.path(), "mine").unwrap();
    refused("is there and is not a socket");
    assert_eq!(fs::read_to_string(meeting.path()).unwrap(), "mine");
    fs::remove_file(meeting.path()).unwrap();
    let _other = UnixListener::bind(meeting.path()).unwrap();
    refused("cannot be used");
}

#[test]
fn where_another_address_is_asked_for_the_old_one_ends_all_the_same() {
    let meeting = Meeting::new();
    let old = meeting.app().start();
    let address = old.address();
    let elsewhere = Outport::command("up").options(["--listen=127.0.0.2:0", "--no-output-prefix"]);
    let elsewhere = meeting.comer(elsewhere.manifest(APP));
    let new = elsewhere.start();
    let moved = new.address();
    assert_eq!(moved.ip(), Ipv4Addr::new(127, 0, 0, 2));
    ended(old);
    assert!(
        TcpStream::connect(address).is_err(),
        "nobody listens there any more"
    );
    assert_eq!(new.get("/hello").status, 200);
    new.stop().expect_code(0);
}

#[test]
fn the_admin_listener_goes_over_too_and_shows_one_process_at_a_time() {
    let meeting = Meeting::new();
    let app = || meeting.app().option("--admin-listen=127.0.0.1:0");
    let admin = |run: &Running| -> SocketAddr {
        let line = run.wait_for_error_line("Admin listener: http://");
        line.trim_start_matches("Admin listener: http://")
            .parse()
            .unwrap()
    };
    let old = app().start();
    let (address, tools) = (old.address(), admin(&old));
    let is_ready = || http::get(tools, "/readyz").is_ok_and(|response| response.status == 200);
    until("the old one is ready", is_ready);
    let new = app().start();
    assert_eq!((new.address(), admin(&new)), (address, tools));
    ended(old);
    until("the new one is ready", is_ready);
    new.stop().expect_code(0);
}

#[test]
fn the_service_manager_is_told_by_the_new_one_alone() {
    let (meeting, manager) = (Meeting::new(), ServiceManager::default());
    let old = meeting.app().notifying(manager.path()).start();
    old.address();
    manager.wait_for("READY=1", 1);
    let mut new = meeting.app().notifying(manager.path()).start();
    let main = format!("MAINPID={}", new.id());
    manager.wait_for(&main, 1);
    ended(old);
    assert_eq!(manager.count("STOPPING=1"), 0, "{:?}", manager.told());
    new.stop().expect_code(0);
    assert_eq!(manager.count("STOPPING=1"), 1, "{:?}", manager.told());
}

#[test]
fn no_message_is_handled_by_both() {
    let redis = Redis::start();
    let manifest = format!(
        r#"
spin_manifest_version = 2
[application]
name = "events"

[[trigger.redis]]
component = "job"
channel = "orders"
address = "redis://127.0.0.1:{}"

[component.job]
source = "GUESTS/events.wasm"
allowed_outbound_hosts = ["redis://127.0.0.1:*"]
"#,
        redis.port()
    );
    let meeting = Meeting::new();
    let app = || meeting.comer(Outport::up(&manifest));
    let old = app().start();
    old.wait_for_error_line("Waiting for events");
    let mut next = 0..;
    let mut publish = || {
        let number = next.next().unwrap();
        let told = redis.ask(&format!("PUBLISH orders n{number}.")).unwrap();
        // Those that come while one stops and the other begins have no receiver.
        told.trim_start_matches(':').trim().parse::<u32>().unwrap()
    };
    until("the old one listens", || publish() > 0);
    let new = app().start();
    until("the new one handles messages", || {
        publish();
        new.stdout().contains("redis: n")
    });
    let (old, new) = (old.finish().expect_code(0), new.stop().expect_code(0));
    assert!(!old.lines().is_empty(), "{old}");
    let both: Vec<_> = old
        .lines()
        .into_iter()
        .filter(|line| new.lines().contains(line))
        .collect();
    assert_eq!(both, Vec::<&str>::new(), "{old}{new}");
}
