//! Peers that make the host work or hold memory by what they send: interim answers, chunks, trailers, frames.

use std::time::Duration;

use outport_e2e::tls::Authority;

use crate::component::{Hostile, data, forever};
use crate::peers::{Does, Peer};
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let waits = "(drop (call $stream-of (local.get $i)))";
    let reads = &format!(
        "(local.set $j (call $stream-of (local.get $i))) {}",
        forever(
            "(call $input-stream.blocking-read (local.get $j) (i64.const 65536) (i32.const 1024))
                 (br_if 1 (i32.load8_u (i32.const 1024)))"
        )
    );
    let reads = &format!("(block {reads})");
    // Asks, takes the answer, and lets the connection go back to the pool.
    let leaves = "(drop (call $stream-of (local.get $i))) (call $hold (i64.const 200))";
    let answered: &[u8] = b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88";
    vec![
        http1(
            "103 without end",
            waits,
            b"",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        ),
        http1("100 without end", waits, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        http1(
            "a header without end",
            waits,
            b"HTTP/1.1 200 OK\r\nx: ",
            b"aaaaaaaaaaaaaaaa",
        ),
        http1(
            "headers without end",
            waits,
            b"HTTP/1.1 200 OK\r\n",
            b"x: aaaaaaaaaaaaaaaa\r\n",
        ),
        http1(
            "chunk extensions without end",
            reads,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1",
            b";aaaaaaaaaaaaaaa",
        ),
        http1(
            "chunk extensions, a MB in all",
            reads,
            chunked,
            b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n",
        ),
        http1(
            "trailers without end",
            reads,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"x: aaaaaaaaaaaaaaaa\r\n",
        ),
        http1("chunks of one byte, read", reads, chunked, b"1\r\nx\r\n"),
        http1(
            "chunks of one byte, not read",
            waits_long(waits),
            chunked,
            b"1\r\nx\r\n",
        ),
        http1(
            "an answer beside a request",
            leaves,
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        http2(
            "HTTP/2: 103 without end",
            waits,
            b"",
            b"\x00\x00\x05\x01\x04\x00\x00\x00\x01\x08\x03103",
        ),
        http2(
            "HTTP/2: pings during a request",
            waits,
            b"",
            b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
        ),
        http2(
            "HTTP/2: settings during a request",
            waits,
            b"",
            b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        ),
        http2(
            "HTTP/2: window updates",
            waits,
            b"",
            b"\x00\x00\x04\x08\x00\x00\x00\x00\x01\x00\x00\x00\x00",
        ),
        http2(
            "HTTP/2: empty data",
            reads,
            b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88",
            b"\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        ),
        http2(
            "HTTP/2: data of one byte",
            reads,
            b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88",
            b"\x00\x00\x01\x00\x00\x00\x00\x00\x01x",
        ),
        http2(
            "HTTP/2: continuations",
            waits,
            b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x88",
            b"\x00\x00\x00\x09\x00\x00\x00\x00\x01",
        ),
        http2(
            "HTTP/2: priorities",
            waits,
            b"",
            b"\x00\x00\x05\x02\x00\x00\x00\x00\x03\x00\x00\x00\x00\x10",
        ),
        http2(
            "HTTP/2: pings while idle",
            leaves,
            answered,
            b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
        ),
        http2(
            "HTTP/2: settings while idle",
            leaves,
            answered,
            b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        ),
        http2(
            "HTTP/2: unknown frames while idle",
            leaves,
            answered,
            b"\x00\x00\x01\xfa\x00\x00\x00\x00\x00x",
        ),
    ]
}

fn waits_long(waits: &str) -> String {
    format!("{waits} (call $hold (i64.const 3000))")
}

fn http1(name: &'static str, then: impl AsRef<str>, first: &'static [u8], again: &'static [u8]) -> Row {
    let peer = Peer::start(Does::Endlessly(first, again));
    flood(name, 0, &peer.authority(), then.as_ref())
        .asks(peer.is_reached())
        .keep(peer)
}

fn http2(name: &'static str, then: &str, first: &'static [u8], again: &'static [u8]) -> Row {
    let authority = Authority::new();
    let peer = Peer::start_http2(&authority, Does::Endlessly(first, again));
    let profile = "[[client_tls]]\ncomponent_ids = [\"hostile\"]\nhosts = [\"localhost\"]\nca_roots_file = \"ca.pem\"\n";
    flood(name, 1, &format!("localhost:{}", peer.port()), then)
        .file("ca.pem", authority.pem())
        .file("runtime.toml", profile)
        .option("--runtime-config-file=runtime.toml")
        .asks(peer.is_reached())
        .keep(peer)
}

/// A component that asks the peer and does `then` with the future of the answer in `$i`.
fn flood(name: &'static str, scheme: u32, authority: &str, then: &str) -> Row {
    let body = format!(
        "(local.set $i (call $get (i32.const {scheme}) (i32.const {}))) {then}",
        authority.len()
    );
    let hostile = Hostile::new(body).items(data(64, authority));
    Row::new(name, "ISO-2")
        .hostile(hostile)
        .option("--max-cpu-time=300ms")
        .once()
        // 300 ms of the instance, 100 ms of its connection while nobody uses it, hello, and what the kernel does to read.
        .within_processor(Duration::from_millis(1400))
}
