//! Clients that stop reading, stop sending or hang up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::component::{Hostile, forever};
use crate::row::Row;
use crate::scene::Scene;

pub(crate) fn rows() -> Vec<Row> {
    let waits = || Hostile::new("(call $hold (i64.const 60000))");
    let streams =
        || {
            Hostile::new(format!(
        "(local.set $i (call $respond (local.get $out) (i32.const 200))) {}",
        forever("(call $output-stream.blocking-write-zeroes (local.get $i) (i64.const 4096) (i32.const 1024))
                 (br_if 1 (i32.load8_u (i32.const 1024)))")
    ))
        };
    let few = |name| {
        Row::new(name, "ISO-5")
            .option("--max-requests=20")
            .option("--response-timeout=500ms")
    };
    vec![
        few("clients that hang up at once")
            .hostile(waits())
            .attack(|scene| hang_up(scene, Duration::from_millis(20))),
        few("clients that hang up after 300 ms")
            .hostile(waits())
            .attack(|scene| hang_up(scene, Duration::from_millis(300))),
        few("answers that are never read")
            .hostile(streams())
            .attack(never_read)
            .option("--max-time=500ms")
            .lasts(Duration::from_secs(2)),
        Row::new("whole answers that nobody reads", "ISO-3")
            .hostile(whole_answer())
            .attack(read_none)
            .lasts(Duration::from_secs(2)),
        few("answers without a window")
            .hostile(streams())
            .attack(no_window)
            .option("--max-time=500ms")
            .lasts(Duration::from_secs(2)),
        Row::new("headers without end, 200", "ISO-5").attack(|scene| unfinished(scene, 200, 300_000)),
        Row::new("HTTP/2 headers without end, 200", "ISO-5").attack(|scene| unfinished_http2(scene, 200)),
        Row::new("one address has all connections", "ISO-5")
            .descriptors(512)
            .attack(|scene| hoard(scene, b"")),
        Row::new("one address has all, HTTP/2", "ISO-5")
            .descriptors(512)
            .attack(|scene| hoard(scene, PREFACE)),
        Row::new("one address has all, unfinished", "ISO-5")
            .descriptors(512)
            .attack(|scene| hoard(scene, b"GET / HTTP/1.1\r\nx: ")),
        Row::new("pings of a client", "ISO-5")
            .attack(|scene| flood(scene, b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678")),
        Row::new("settings of a client", "ISO-5")
            .attack(|scene| flood(scene, b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")),
        Row::new("pipelined requests", "ISO-5").attack(flood_http1),
    ]
}

const GET: &[u8] = b"GET /hostile HTTP/1.1\r\nHost: x\r\n\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// `GET /hostile`, for a server of HTTP/2 that was told that it may send nothing but headers.
const GET_WITHOUT_WINDOW: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\
    \x00\x00\x0f\x01\x05\x00\x00\x00\x01\x82\x86\x04\x08/hostile\x41\x01x";

fn connect(scene: &Scene<'_>) -> Option<TcpStream> {
    let stream = scene.connect()?;
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    Some(stream)
}

/// Requests that nobody waits for: fewer than there are places, if each place is free again after its time limit.
fn hang_up(scene: &Scene<'_>, after: Duration) {
    while !scene.is_over() {
        let mut streams: Vec<_> = (0..8).filter_map(|_| connect(scene)).collect();
        for stream in &mut streams {
            let _ = stream.write_all(GET);
        }
        thread::sleep(after);
        drop(streams);
        thread::sleep(Duration::from_millis(320).saturating_sub(after));
    }
}

/// Requests whose answers are not read. New ones follow as long as the server takes them.
fn never_read(scene: &Scene<'_>) {
    keep_asking(scene, GET);
}

fn no_window(scene: &Scene<'_>) {
    keep_asking(scene, GET_WITHOUT_WINDOW);
}

fn keep_asking(scene: &Scene<'_>, request: &[u8]) {
    let mut open = Vec::new();
    while !scene.is_over() {
        for _ in 0..10 {
            if let Some(mut stream) = connect(scene).filter(|_| open.len() < 60) {
                let _ = stream.write_all(request);
                open.push(stream);
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Clients that each have sent so many bytes of a header, and no end of it.
fn unfinished(scene: &Scene<'_>, clients: usize, bytes: usize) {
    let mut open = Vec::new();
    for _ in 0..clients {
        if let Some(mut stream) = connect(scene) {
            let _ = stream.write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\nx: ");
            let _ = stream.write_all(&vec![b'a'; bytes]);
            open.push(stream);
        }
    }
    scene.wait();
}

/// The same in HTTP/2: headers whose end does not come, in frames of 16 KiB.
fn unfinished_http2(scene: &Scene<'_>, clients: usize) {
    let mut open = Vec::new();
    let mut headers = PREFACE.to_vec();
    headers.extend(b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82");
    // A header `x` of 14,000 letters, in continuations.
    let mut field = b"\x00\x01x\x7f\xb1\x6c".to_vec();
    field.extend(vec![b'a'; 14_000]);
    for _ in 0..20 {
        headers.extend([0, (field.len() >> 8) as u8, field.len() as u8, 9, 0, 0, 0, 0, 1]);
        headers.extend(&field);
    }
    for _ in 0..clients {
        if let Some(mut stream) = connect(scene) {
            let _ = stream.write_all(&headers);
            open.push(stream);
        }
    }
    scene.wait();
}

/// One address takes all the connections that it gets, and again when they end.
fn hoard(scene: &Scene<'_>, first: &[u8]) {
    let mut open = Vec::new();
    while !scene.is_over() {
        if let Some(mut stream) = (open.len() < 800).then(|| connect(scene)).flatten() {
            let _ = stream.write_all(first);
            open.push(stream);
        } else {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Answers with as many bytes as are taken without waiting, finishes, and is gone.
fn whole_answer() -> Hostile {
    let write = "(call $output-stream.check-write (local.get $i) (i32.const 1056))
         (if (i32.eqz (i32.load8_u (i32.const 1056)))
           (then (call $output-stream.write (local.get $i) (i32.const 65536)
             (i32.wrap_i64 (i64.load (i32.const 1064))) (i32.const 1072))))";
    Hostile::new(format!(
        "(local.set $i (call $respond (local.get $out) (i32.const 200)))
         (local.set $j (i32.load (i32.const 1028)))
         {write} {write} {write}
         (call $drop.output-stream (local.get $i))
         (call $outgoing-body.finish (local.get $j) (i32.const 0) (i32.const 0) (i32.const 2048))"
    ))
    .pages(20)
}

/// 100 requests on each of 40 connections of HTTP/2 whose windows stay shut.
fn read_none(scene: &Scene<'_>) {
    let settings = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00";
    let mut asked = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat();
    for stream in (1_u8..200).step_by(2) {
        asked.extend(b"\x00\x00\x0f\x01\x05\x00\x00\x00");
        asked.push(stream);
        asked.extend(b"\x82\x86\x04\x08/hostile\x41\x01x");
    }
    let mut held = Vec::new();
    for _ in 0..40 {
        if let Some(mut stream) = connect(scene) {
            let _ = stream.write_all(&asked);
            held.push(stream);
        }
    }
    scene.wait();
}

/// One frame without end.
fn flood(scene: &Scene<'_>, frame: &[u8]) {
    let many = frame.repeat(1000);
    while !scene.is_over() {
        let Some(mut stream) = connect(scene) else {
            continue;
        };
        let _ = stream.write_all(PREFACE);
        while !scene.is_over() && stream.write_all(&many).is_ok() {}
    }
}

/// Requests one behind the other, on connections whose answers are read slowly.
fn flood_http1(scene: &Scene<'_>) {
    let many = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    let mut answers = vec![0; 64 * 1024];
    while !scene.is_over() {
        let Some(mut stream) = connect(scene) else {
            continue;
        };
        while !scene.is_over()
            && stream.write_all(&many).is_ok()
            && stream.read(&mut answers).is_ok_and(|n| n > 0)
        {}
    }
}
