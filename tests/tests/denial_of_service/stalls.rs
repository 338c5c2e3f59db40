//! Clients who stop reading, stop sending or say nothing: what they hold, they hold for a bounded time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::http;
use outport_e2e::http2::{self, Http2};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::until::{PATIENCE, until};

use super::{APP, descriptors, memory, run_script, wait_for_descriptors};

const ZEROES: &str = "GET /greedy/zeroes?200000000 HTTP/1.1\r\nHost: x\r\n\r\n";

/// A manifest whose components are of WASI 0.2, and one of 0.3.
fn apps() -> [String; 2] {
    ["http-script-guest", "http-script-guest-p3"]
        .map(|guest| APP.replace("GUESTS/http-script-guest.wasm", &format!("GUESTS/{guest}.wasm")))
}

fn client(server: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Soon enough, however busy the machine. Whoever waits in vain waits for longer.
const SOON: Duration = Duration::from_secs(20);

/// The neighbour is served, and soon.
fn neighbour_is_well(app: &Running) {
    let start = Instant::now();
    assert_eq!(app.get("/web/hello").body, "hello\n", "{app}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// How long it takes until the server ends the connection, whatever it says before.
fn time_to_the_end(stream: &mut TcpStream) -> Duration {
    let start = Instant::now();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return start.elapsed(),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return start.elapsed(),
            Ok(_) => {}
            Err(error) => panic!("{error} after {:?}", start.elapsed()),
        }
    }
}

// proves: ISO-5
#[test]
fn iso_5_the_time_for_a_response_holds_when_its_client_hangs_up() {
    for manifest in apps() {
        let app = Outport::up(&manifest)
            .options(["--max-requests=4", "--response-timeout=2s"])
            .start();
        let address = app.address();
        // One client may have two places: one of the component's, one that is common.
        let wait = "GET /greedy/script?tcp.connect%2010.0.0.1:80;%20wait%2060000 HTTP/1.1\r\nHost: x\r\n\r\n";
        let clients = [client(address, wait), client(address, wait)];
        // A request whose client is gone before it is looked at does not begin.
        until("both have begun", || app.denials() == 2);
        drop(clients);
        neighbour_is_well(&app);
        let start = Instant::now();
        assert_eq!(run_script(address, "print there").unwrap(), ["there"], "{app}");
        assert!(start.elapsed() < SOON, "{:?}\n{app}", start.elapsed());
        let finished = app.stop().expect_code(0);
        let told = "component `greedy` gave no response within 2 s";
        assert_eq!(
            finished.stderr.matches(told).count(),
            2,
            "once, and once more\n{finished}"
        );
    }
}

// proves: ISO-5
#[test]
fn iso_5_a_client_who_stops_reading_loses_its_connection() {
    for manifest in apps() {
        let mut app = Outport::up(&manifest).option("--client-timeout=500ms").start();
        let address = app.address();
        neighbour_is_well(&app);
        let calm = descriptors(&mut app);
        let stalled: Vec<_> = (0..10).map(|_| client(address, ZEROES)).collect();
        for response in &stalled {
            assert_eq!(response.peek(&mut [0]).unwrap(), 1, "it has begun");
        }
        neighbour_is_well(&app);
        wait_for_descriptors(&mut app, calm);
        drop(stalled);
        app.stop().expect_code(0);
    }
}

// proves: ISO-5
#[test]
fn iso_5_a_client_who_reads_slowly_is_served_until_the_guests_time_is_over() {
    // (option, how long it is read, unless it ends)
    for (option, reads, stays) in [("--max-time=60s", 8, true), ("--max-time=1s", 40, false)] {
        let app = Outport::up(APP).options(["--client-timeout=3s", option]).start();
        let mut slow = client(app.address(), ZEROES);
        let (start, mut buffer) = (Instant::now(), vec![0; 400_000]);
        let mut ended = false;
        // Faster than the kernel's buffers need, slower than the guest.
        while !ended && start.elapsed() < Duration::from_secs(reads) {
            thread::sleep(Duration::from_millis(50));
            ended = !matches!(slow.read(&mut buffer), Ok(1..));
        }
        assert_eq!(ended, !stays, "{option} after {:?}\n{app}", start.elapsed());
        drop(slow);
        app.stop().expect_code(0);
    }
}

// proves: ISO-5
#[test]
fn iso_5_a_client_of_http_2_who_grants_nothing_loses_the_response_and_then_the_connection() {
    for manifest in apps() {
        for window in [0, 1000] {
            let mut app = Outport::up(&manifest).option("--client-timeout=500ms").start();
            neighbour_is_well(&app);
            let calm = descriptors(&mut app);
            let mut stalled = Http2::begin(TcpStream::connect(app.address()).unwrap(), window).unwrap();
            stalled.ask(1, "GET", "/greedy/zeroes?200000000").unwrap();
            stalled.ask(3, "GET", "/web/zeroes?200000000").unwrap();
            let start = Instant::now();
            for _ in 0..2 {
                let reset = stalled.next_of(http2::RST_STREAM).expect("it is reset");
                assert!([1, 3].contains(&reset.stream), "{reset:?}");
            }
            assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
            neighbour_is_well(&app);
            assert!(stalled.next_of(http2::GOAWAY).is_some(), "it is idle then\n{app}");
            stalled.read_to_end();
            assert!(start.elapsed() < 2 * SOON, "{:?}", start.elapsed());
            wait_for_descriptors(&mut app, calm);
            app.stop().expect_code(0);
        }
    }
}

// proves: ISO-5
#[test]
fn iso_5_a_stalled_stream_of_http_2_leaves_the_others_of_its_connection() {
    let app = Outport::up(APP).option("--client-timeout=1s").start();
    let mut proxy = Http2::begin(TcpStream::connect(app.address()).unwrap(), 1000).unwrap();
    proxy.ask(1, "GET", "/greedy/zeroes?200000000").unwrap();
    for stream in (3..43).step_by(2) {
        proxy.ask(stream, "GET", "/web/hello").unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    let (mut ended, mut reset) = (0, Vec::new());
    while ended < 20 || reset.is_empty() {
        let frame = proxy
            .next_frame()
            .unwrap_or_else(|error| panic!("{error}\n{app}"));
        match frame.kind {
            http2::RST_STREAM => reset.push(frame.stream),
            http2::DATA if frame.flags & http2::END_STREAM != 0 => ended += 1,
            _ => {}
        }
    }
    assert_eq!(reset, [1], "{app}");
    app.stop().expect_code(0);
}

// proves: ISO-5
#[test]
fn iso_5_an_idle_connection_of_http_2_ends_whatever_is_said_on_it() {
    let mut app = Outport::up(APP).option("--client-timeout=700ms").start();
    let address = app.address();
    neighbour_is_well(&app);
    let calm = descriptors(&mut app);
    // (what is sent after a first request)
    for unfinished in [None, Some(http2::HEADERS), Some(http2::CONTINUATION)] {
        let mut idle = Http2::begin(TcpStream::connect(address).unwrap(), 1 << 20).unwrap();
        idle.ask(1, "GET", "/web/hello").unwrap();
        assert!(idle.next_of(http2::DATA).is_some());
        let block = http2::headers("GET", "/web/hello");
        if unfinished.is_some() {
            idle.send(http2::HEADERS, http2::END_STREAM, 3, &block[..2])
                .unwrap();
        }
        if unfinished == Some(http2::CONTINUATION) {
            idle.send(http2::CONTINUATION, 0, 3, &block[2..3]).unwrap();
        }
        let start = Instant::now();
        let mut next_ping = Instant::now();
        idle.set_read_timeout(Duration::from_millis(50));
        loop {
            match idle.next_frame() {
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                _ => {}
            }
            // Within a header block no ping is permitted.
            if unfinished.is_none() && Instant::now() >= next_ping {
                next_ping += Duration::from_millis(100);
                let _ = idle.send(http2::PING, 0, 0, &[0; 8]);
            }
            assert!(start.elapsed() < SOON, "{unfinished:?}\n{app}");
        }
        assert!(start.elapsed() > Duration::from_millis(500), "{unfinished:?}");
        neighbour_is_well(&app);
        wait_for_descriptors(&mut app, calm);
    }
    app.stop().expect_code(0);
}

// proves: ISO-5
#[test]
fn iso_5_a_client_who_stops_sending_a_body_keeps_its_guest_for_a_while_only() {
    for manifest in apps() {
        let mut app = Outport::up(&manifest).option("--client-timeout=500ms").start();
        let address = app.address();
        neighbour_is_well(&app);
        let calm = descriptors(&mut app);
        let started = "POST /greedy/count HTTP/1.1\r\nHost: x\r\n";
        for rest in [
            "Content-Length: 100\r\n\r\n0123456789",
            "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n",
            "Transfer-Encoding: chunked\r\n\r\na\r\n01",
            "Content-Length: 100\r\n\r\n",
        ] {
            let mut stalled = client(address, &format!("{started}{rest}"));
            let took = time_to_the_end(&mut stalled);
            assert!(took < SOON, "{rest:?}: {took:?}\n{app}");
        }
        let mut stalled = Http2::begin(TcpStream::connect(address).unwrap(), 1 << 20).unwrap();
        stalled.ask(1, "POST", "/greedy/count").unwrap();
        stalled.send(http2::DATA, 0, 1, b"0123456789").unwrap();
        let start = Instant::now();
        stalled.read_to_end();
        assert!(start.elapsed() < SOON, "{:?}\n{app}", start.elapsed());
        neighbour_is_well(&app);
        wait_for_descriptors(&mut app, calm);
        app.stop().expect_code(0);
    }
}

// proves: ISO-5
#[test]
fn iso_5_a_client_may_pause_in_a_body_that_goes_on() {
    let app = Outport::up(APP).option("--client-timeout=3s").start();
    let mut slow = client(
        app.address(),
        "POST /greedy/count HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\n",
    );
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(600));
        slow.write_all(b"x").unwrap();
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("6\n\r\n0\r\n\r\n"), "{answer}");
    app.stop().expect_code(0);
}

// proves: ISO-5
#[test]
fn iso_5_headers_are_bounded_and_cost_what_was_sent_of_them() {
    let mut app = Outport::up(APP).start();
    let address = app.address();
    // (bytes of one header, status)
    for (length, status) in [(10_000, 200), (60_000, 200), (70_000, 431), (500_000, 431)] {
        let filler = "x".repeat(length);
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("GET /web/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-filler: {filler}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        let expected = format!("HTTP/1.1 {status}");
        assert_eq!(String::from_utf8_lossy(&answer), expected, "{length}");
    }
    let calm = memory(&mut app);
    let begun = format!(
        "GET /web/hello HTTP/1.1\r\nHost: x\r\nx-filler: {}",
        "x".repeat(60_000)
    );
    let unfinished: Vec<_> = (0..200).map(|_| client(address, &begun)).collect();
    thread::sleep(Duration::from_millis(500));
    let each = memory(&mut app).saturating_sub(calm) / 200;
    eprintln!("an unfinished header costs {each} bytes");
    assert!(each < 160 * 1024, "{each} bytes for each");
    neighbour_is_well(&app);
    drop(unfinished);
    app.stop().expect_code(0);
}

// proves: ISO-5
#[test]
fn iso_5_connections_that_say_little_cost_little() {
    let mut app = Outport::up(APP).start();
    let address = app.address();
    neighbour_is_well(&app);
    let calm = memory(&mut app);
    let mut idle: Vec<_> = (0..200)
        .map(|_| Http2::begin(TcpStream::connect(address).unwrap(), 0).unwrap())
        .collect();
    for connection in &mut idle {
        connection.ask(1, "GET", "/web/hello").unwrap();
    }
    thread::sleep(Duration::from_millis(1000));
    let each = memory(&mut app).saturating_sub(calm) / 200;
    eprintln!("a connection of HTTP/2 costs {each} bytes");
    assert!(each < 200 * 1024, "{each} bytes for each");
    let finished = http::get(address, "/web/hello").unwrap();
    assert_eq!(finished.status, 200);
    drop(idle);
    app.stop().expect_code(0);
}
