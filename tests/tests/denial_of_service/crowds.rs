//! Clients who come in crowds, or pretend to: nobody has all connections, and nobody has all places.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::http;
use outport_e2e::http2::{self, Http2};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::{PATIENCE, until};
use rustix::process::{Resource, Rlimit};

use super::{APP, descriptors, run_script};

const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Whether the server closes a new connection without a word.
fn is_turned_away(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(b"GET /web/hello HTTP/1.1\r\nHost: x\r\n\r\n");
    match stream.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

// proves: ISO-5
#[test]
fn iso_5_no_client_has_all_connections() {
    // (options, connections that one client gets)
    let rows: [(&[&str], usize); 3] = [
        (&["--max-connections=20"], 10),
        (&["--max-connections=20", "--max-connections-per-client=5"], 5),
        (
            &[
                "--max-connections=20",
                "--max-connections-per-client=20",
                "--workers=3",
            ],
            20,
        ),
    ];
    for (options, bound) in rows {
        let mut app = Outport::up(APP).options(options).start();
        let address = app.address();
        // It has all the descriptors that it needs to begin.
        thread::sleep(Duration::from_millis(300));
        let calm = descriptors(&mut app);
        let held: Vec<_> = (0..bound).map(|_| TcpStream::connect(address).unwrap()).collect();
        until("all are let in", || descriptors(&mut app) >= calm + bound);
        for _ in 0..10 {
            assert!(
                is_turned_away(TcpStream::connect(address).unwrap()),
                "{options:?}\n{app}"
            );
        }
        if bound < 20 {
            let answer = http::get_from(OTHER, address, "/web/hello").unwrap();
            assert_eq!(answer.status, 200, "{options:?}\n{app}");
        }
        drop(held);
        until(format_args!("{options:?}: they are given back"), || {
            !is_turned_away(TcpStream::connect(address).unwrap())
        });
        let finished = app.stop().expect_code(0);
        let told = finished
            .stderr
            .lines()
            .filter(|line| line.contains("one client may have"));
        assert_eq!(told.count(), 1, "{finished}");
    }
}

// proves: ISO-5
#[test]
fn iso_5_neither_a_component_nor_a_client_has_all_places() {
    let app = Outport::up(APP).option("--max-requests=8").start();
    let address = app.address();
    let turnstile = Turnstile::closed();
    let wait = turnstile.wait().replace(' ', "%20");
    let greedy = format!("GET /greedy/script?{wait} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut held = Vec::new();
    // (client, places that the greedy component has)
    for (from, places) in [(Ipv4Addr::LOCALHOST, 4), (OTHER, 7)] {
        for _ in 0..20 {
            let mut stream = http::connect_from(from, address).unwrap();
            stream.write_all(greedy.as_bytes()).unwrap();
            held.push(stream);
        }
        turnstile.has(places);
        // One client leaves places to the other, and both leave some to the other component.
        if from == Ipv4Addr::LOCALHOST {
            let answer = http::get_from(OTHER, address, "/greedy/hello").unwrap();
            assert_eq!(answer.status, 200, "{app}");
        }
        for from in [Ipv4Addr::LOCALHOST, OTHER] {
            assert_eq!(
                http::get_from(from, address, "/web/hello").unwrap().status,
                200,
                "{app}"
            );
        }
        assert_eq!(turnstile.guests(), places, "none was given up meanwhile\n{app}");
    }
    drop(held);
    turnstile.open();
    app.stop();
}

/// Sends a request and leaves, again and again.
fn hang_up(server: SocketAddr, request: &str, done: &AtomicBool) -> usize {
    let mut times = 0;
    while !done.load(Ordering::SeqCst) && times < 20_000 {
        if let Ok(mut stream) = TcpStream::connect(server) {
            let _ = stream.write_all(request.as_bytes());
        }
        times += 1;
    }
    times
}

/// Begins requests on one connection after another, and resets each at once.
fn reset(server: SocketAddr, path: &str, done: &AtomicBool) -> usize {
    let mut times = 0;
    while !done.load(Ordering::SeqCst) && times < 20_000 {
        let Ok(stream) = TcpStream::connect(server) else {
            continue;
        };
        let Ok(mut http2) = Http2::begin(stream, 1000) else {
            continue;
        };
        for stream in (1..2001).step_by(2) {
            times += 1;
            let sent = http2
                .ask(stream, "GET", path)
                .and_then(|()| http2.send(http2::RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            if sent.is_err() {
                break;
            }
        }
    }
    times
}

// proves: ISO-5
#[test]
fn iso_5_clients_who_leave_at_once_and_come_again_leave_their_neighbours_alone() {
    for guest in ["http-script-guest", "http-script-guest-p3"] {
        let manifest = APP.replace("GUESTS/http-script-guest.wasm", &format!("GUESTS/{guest}.wasm"));
        let app = Outport::up(&manifest)
            .options(["--max-requests=40", "--response-timeout=5s"])
            .start();
        let address = app.address();
        assert_eq!(run_script(address, "print there").unwrap(), ["there"]);
        let script = "/greedy/script?wait%2060000";
        let request = format!("GET {script} HTTP/1.1\r\nHost: x\r\n\r\n");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let hanging = scope.spawn(|| hang_up(address, &request, &done));
            let resetting = scope.spawn(|| reset(address, script, &done));
            let start = Instant::now();
            let mut asked = 0;
            while start.elapsed() < Duration::from_secs(4) {
                let begun = Instant::now();
                let answer = http::get(address, "/web/hello");
                assert!(answer.is_ok_and(|answer| answer.status == 200), "{asked}\n{app}");
                assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
                asked += 1;
                thread::sleep(Duration::from_millis(5));
            }
            done.store(true, Ordering::SeqCst);
            let (hung, reset) = (hanging.join().unwrap(), resetting.join().unwrap());
            eprintln!("{guest}: {asked} answered beside {hung} who hung up and {reset} resets");
            assert!(hung > 100 && reset > 100);
        });
        app.stop();
    }
}

// proves: Q-4
#[test]
fn q_4_running_out_of_descriptors_is_told_once_and_passes() {
    let mut app = Outport::up(APP).option("--workers=2").start();
    let address = app.address();
    assert_eq!(app.get("/web/hello").status, 200);
    let few = u64::try_from(descriptors(&mut app) + 5).unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(app.id()).unwrap());
    let limit = Rlimit {
        current: Some(few),
        maximum: Some(few),
    };
    rustix::process::prlimit(id, Resource::Nofile, limit).unwrap();
    let held: Vec<_> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    let told = |app: &Running| app.stderr().matches("cannot accept a connection").count();
    until("it is told", || told(&app) > 0);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(told(&app), 1, "{app}");
    drop(held);
    assert_eq!(app.get("/web/hello").status, 200, "{app}");
    let finished = app.stop().expect_code(0);
    assert!(
        finished.stderr.matches("cannot accept").count() <= 2,
        "{finished}"
    );
}
