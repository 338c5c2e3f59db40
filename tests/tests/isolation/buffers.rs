//! Components that make the host hold what their sockets and requests send and get.

use outport_e2e::tcp::{Manner, TcpPeer};

use crate::component::{Hostile, data, times};
use crate::memory::{many, row};
use crate::peers::{Does, Peer};
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    [sockets(), answers()].into_iter().flatten().collect()
}

fn sockets() -> Vec<Row> {
    let stalled = TcpPeer::start(Manner::Stall);
    let connect = tcp_to(stalled.port());
    vec![
        row("datagrams that nobody takes", Hostile::new(datagrams())).option("--allow-udp"),
        row("sockets with full queues, 200", Hostile::new(many(200, &connect))).keep(stalled),
    ]
}

/// Responses that are larger than anything, and are not taken.
fn answers() -> Vec<Row> {
    let asking = |name, number: u32, does: Does, then: &str| {
        let peer = Peer::start(does);
        let authority = peer.authority();
        let get = format!(
            "(local.set $j (call $get (i32.const 0) (i32.const {}))) {then}",
            authority.len()
        );
        row(name, Hostile::new(many(number, &get)).items(data(64, &authority)))
            .asks(peer.is_reached())
            .keep(peer)
    };
    let endless = Does::Endlessly(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
        &[b'0'; 4096],
    );
    let not_read = "(drop (call $stream-of (local.get $j)))";
    let a_byte =
        "(call $input-stream.blocking-read (call $stream-of (local.get $j)) (i64.const 1) (i32.const 1024))";
    vec![
        asking("answers of 1 TB not taken, 100", 100, endless, ""),
        asking("answers of 1 TB not read, 100", 100, endless, not_read),
        asking("answers read by one byte, 100", 100, endless, a_byte),
        asking("requests in flight, 5,000", 5000, Does::Nothing, ""),
    ]
}

/// Sockets with datagrams of 60 KB to a port where nobody listens.
fn datagrams() -> String {
    let zeros = "(i32.const 0) ".repeat(10);
    let send = "(call $udp.check-send (i32.load (i32.const 1048)) (i32.const 1056))
      (if (i64.gt_u (i64.load (i32.const 1064)) (i64.const 0)) (then
        (call $udp.send (i32.load (i32.const 1048)) (i32.const 2048) (i32.const 1) (i32.const 1072))))";
    // One datagram: 60,000 bytes at 65536, to 127.0.0.1:9 (a record of list, option, variant, port and address).
    let datagram =
        "(i32.store (i32.const 2048) (i32.const 65536)) (i32.store (i32.const 2052) (i32.const 60000))
      (i32.store8 (i32.const 2056) (i32.const 1)) (i32.store8 (i32.const 2060) (i32.const 0))
      (i32.store16 (i32.const 2064) (i32.const 9)) (i32.store (i32.const 2066) (i32.const 0x0100007f))";
    let socket = format!(
        "(call $udp.create (i32.const 0) (i32.const 1024))
         (if (i32.eqz (i32.load8_u (i32.const 1024))) (then
           (call $udp.start-bind (i32.load (i32.const 1028)) (local.get $k) (i32.const 0) (i32.const 0) {zeros} (i32.const 1032))
           (call $udp.finish-bind (i32.load (i32.const 1028)) (i32.const 1032))
           (call $udp.stream (i32.load (i32.const 1028)) (i32.const 0) (i32.const 0) (i32.const 0) {zeros} (i32.const 1040))
           {}))",
        times("j", 100, send)
    );
    format!("{datagram} (local.set $k (call $network)) {}", many(250, &socket))
}

/// Connects to a port of 127.0.0.1 and writes until the socket takes no more.
fn tcp_to(port: u16) -> String {
    let write = "(call $output-stream.check-write (i32.load (i32.const 1048)) (i32.const 1056))
      (if (i32.and (i32.eqz (i32.load8_u (i32.const 1056))) (i64.gt_u (i64.load (i32.const 1064)) (i64.const 0)))
        (then (call $output-stream.write (i32.load (i32.const 1048)) (i32.const 65536)
          (i32.wrap_i64 (select (i64.load (i32.const 1064)) (i64.const 65536)
            (i64.lt_u (i64.load (i32.const 1064)) (i64.const 65536)))) (i32.const 1072))))";
    let rest = "(i32.const 0) ".repeat(6);
    format!(
        "(call $tcp.create (i32.const 0) (i32.const 1024))
         (if (i32.eqz (i32.load8_u (i32.const 1024))) (then
           (call $tcp.start-connect (i32.load (i32.const 1028)) (call $network) (i32.const 0) (i32.const {port})
             (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1) {rest} (i32.const 1032))
           (local.set $k (call $tcp.subscribe (i32.load (i32.const 1028))))
           (call $pollable.block (local.get $k))
           (call $tcp.finish-connect (i32.load (i32.const 1028)) (i32.const 1040))
           (if (i32.eqz (i32.load8_u (i32.const 1040))) (then {}))))",
        times("j", 200, write)
    )
}
