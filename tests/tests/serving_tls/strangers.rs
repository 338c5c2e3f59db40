//! Clients who do not do as they should, and the ends of connections.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use outport_e2e::http;
use outport_e2e::outport::Running;
use outport_e2e::tls::Authority;
use outport_e2e::tls_client::TlsClient;
use outport_e2e::until::{PATIENCE, until};

use super::hello;

// proves: ISO-5
#[test]
fn iso_5_clients_who_never_finish_a_handshake_are_in_nobodys_way() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost"))
        .options([
            "--max-connections=400",
            "--admin-listen=127.0.0.1:0",
            "--workers=2",
        ])
        .start();
    let server = run.address();
    let start = Instant::now();
    // A record of 512 bytes begins, and so does a ClientHello in it.
    let half = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 40]].concat();
    let manners: [&[u8]; 3] = [b"", &half[..5], &half];
    let mut silent: Vec<TcpStream> = (0..300)
        .filter_map(|number| {
            let from = std::net::Ipv4Addr::new(127, 0, 1, (number % 3) as u8 + 1);
            let mut stream = http::connect_from(from, server).ok()?;
            stream.write_all(manners[number % 3]).ok()?;
            Some(stream)
        })
        .collect();
    let client = TlsClient::trusting(&authority);
    while start.elapsed() < Duration::from_secs(3) {
        let began = Instant::now();
        assert_eq!(client.get(server, "/hello").unwrap().body, "hello\n");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    // All of them are let go.
    for stream in &mut silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    let took = start.elapsed();
    assert!(took > Duration::from_secs(8) && took < PATIENCE, "{took:?}");
    until("all of them are counted", || {
        counts(&run).contains("outport_tls_handshakes_total{outcome=\"timed-out\"} 300")
    });
    run.stop().expect_code(0);
}

/// The lines of the metrics about handshakes.
fn counts(run: &Running) -> String {
    let text = text_of_metrics(run);
    let lines = text.lines().filter(|line| line.starts_with("outport_tls_"));
    lines.collect::<Vec<_>>().join("\n")
}

fn text_of_metrics(run: &Running) -> String {
    let line = run.wait_for_error_line("Admin listener: http://");
    let admin: SocketAddr = line
        .trim_start_matches("Admin listener: http://")
        .parse()
        .unwrap();
    http::get(admin, "/metrics").unwrap().body
}

#[test]
fn who_speaks_something_else_is_told_and_counted() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost"))
        .option("--admin-listen=127.0.0.1:0")
        .start();
    let server = run.address();
    let answer = http::get(server, "/hello").unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("https://"), "{}", answer.body);
    let large = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n{}",
        "a".repeat(30_000)
    );
    assert_eq!(http::send(server, &large).unwrap().status, 400);
    run.wait_for_error_text("sent plain HTTP where HTTPS is spoken");

    for (sent, is_alert) in [
        (&b"\x16\x03\x01\xff\xff\xff\xff\xff\xff"[..], true),
        (b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10 an old hello", true),
        (b"\0\0\0\0\0\0\0\0", true),
        (b"hello, is anybody there?\r\n", true),
    ] {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(sent).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert_eq!(got.first() == Some(&0x15), is_alert, "{sent:?}: {got:?}");
    }
    run.wait_for_error_text("that is not TLS");
    drop(TcpStream::connect(server).unwrap());
    let client = TlsClient::trusting(&authority);
    assert_eq!(client.get(server, "/hello").unwrap().body, "hello\n");
    until("all are counted", || {
        let counted = counts(&run);
        let has =
            |outcome: &str| counted.contains(&format!("outport_tls_handshakes_total{{outcome={outcome}"));
        has("\"plain-http\"} 2") && has("\"failed\"} 4") && has("\"abandoned\"} 1") && has("\"succeeded\"} 1")
    });
    run.stop().expect_code(0);
}

// proves: ISO-5
#[test]
fn iso_5_a_client_who_reads_no_more_is_let_go_within_tls_too() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost"))
        .options(["--client-timeout=1s", "--admin-listen=127.0.0.1:0"])
        .start();
    let client = TlsClient::trusting(&authority);
    let mut stream = client.connect(run.address()).unwrap();
    stream
        .write_all(b"GET /zeroes?100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let start = Instant::now();
    // Nothing is read: the server gives up, and what is still read after that breaks off.
    until(format_args!("the client is let go\n{run}"), || {
        text_of_metrics(&run).contains("\noutport_client_connections_open 0\n")
    });
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    let read = io::copy(&mut stream, &mut io::sink());
    assert!(!matches!(read, Ok(100_000_000..)), "{read:?}");
    run.stop().expect_code(0);
}

// proves: ISO-8
#[test]
fn iso_8_a_response_that_ends_with_its_connection_is_whole_only_with_an_end_of_tls() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost"))
        .option("--max-time=2s")
        .start();
    let client = TlsClient::trusting(&authority);
    let ask = |path: &str| {
        let mut stream = client.connect(run.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        io::copy(&mut stream, &mut io::sink())
    };
    assert!(ask("/hello").unwrap() > 0);
    // The guest is ended in the middle of its body, by its time.
    let end = ask("/zeroes?100000000000").unwrap_err();
    assert!(
        matches!(
            end.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
        ),
        "{end:?}"
    );
    run.wait_for_error_text("broke off");
    run.stop().expect_code(0);
}

#[test]
fn a_handshake_that_is_not_finished_holds_up_no_stop() {
    let authority = Authority::new();
    let half = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 40]].concat();
    for (beginning, grace) in [(&half[..], "10s"), (&half[..1], "none")] {
        let run = hello(&authority.identity("localhost"))
            .option(format!("--grace={grace}"))
            .start();
        let mut strangers: Vec<TcpStream> = (0..20)
            .map(|_| {
                let mut stream = TcpStream::connect(run.address()).unwrap();
                stream.write_all(beginning).unwrap();
                stream
            })
            .collect();
        // They were accepted before this one was.
        let client = TlsClient::trusting(&authority);
        assert_eq!(client.get(run.address(), "/hello").unwrap().body, "hello\n");
        let start = Instant::now();
        let finished = run.stop().expect_code(0);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(6), "{grace}: {took:?} {finished}");
        strangers.clear();
    }
}

#[test]
fn idle_connections_end_in_order_when_the_server_stops() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost")).start();
    let client = TlsClient::trusting(&authority);
    let mut stream = client.connect(run.address()).unwrap();
    let request = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    assert_eq!(http::read_response(&mut stream, request).unwrap().body, "hello\n");
    let start = Instant::now();
    let finished = run.stop().expect_code(0);
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?} {finished}",
        start.elapsed()
    );
    // An end of TLS, without which this would be an error.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}
