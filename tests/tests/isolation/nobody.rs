//! Bodies that are written without end, and that nobody reads: of requests that are denied or answered already, of
//! responses to HEAD (ISO-3).
//!
//! What is written goes nowhere and is no error while its guest has time, and the processor time is its own. A guest that
//! is told of an error answers 200, or nothing more; one whose time is over does neither.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::component::{Hostile, data, forever};
use crate::peers::{Does, Peer};
use crate::row::{Complaint, Row};
use crate::scene::Scene;

pub(crate) fn rows() -> Vec<Row> {
    let answered = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (early, stalled) = (Peer::start(Does::Once(answered)), Peer::start(Does::Nothing));
    vec![
        row("a denied request", request("10.0.0.1:80"), "--max-cpu-time=300ms")
            .attack(ask)
            .says("computed for more than"),
        row(
            "a denied request, for a time",
            request("10.0.0.1:80"),
            "--max-time=500ms",
        )
        .attack(ask),
        row(
            "a request that is answered",
            request(&early.authority()),
            "--max-time=500ms",
        )
        .attack(ask)
        .asks(early.is_reached())
        .keep(early),
        row(
            "a request not read",
            request(&stalled.authority()),
            "--max-time=500ms",
        )
        .attack(ask)
        .asks(stalled.is_reached())
        .keep(stalled),
        row("HEAD", response(), "--max-cpu-time=300ms")
            .says("computed for more than")
            .attack(|scene| {
                let _stream = head(scene);
                scene.wait();
            }),
        row("HEAD, for a time", response(), "--max-time=500ms").attack(|scene| {
            let _stream = head(scene);
            scene.wait();
        }),
        // Its time is not over then: it is told by an error, a second later, and ends by itself.
        row("HEAD, of a client who left", response(), "--max-time=1m").attack(|scene| {
            drop(head(scene));
            scene.wait();
        }),
    ]
}

fn row(name: &'static str, hostile: Hostile, limit: &str) -> Row {
    Row::new(name, "ISO-3")
        .hostile(hostile)
        .option(limit)
        .lasts(Duration::from_millis(1800))
        .ends(1)
        // A second at most of the guest, and what others need.
        .within_processor(Duration::from_millis(1500))
}

/// Writes 4,096 bytes to the stream at this address again and again, until that is an error.
fn write(at: u32) -> String {
    let write = format!(
        "(call $output-stream.blocking-write-zeroes (i32.load (i32.const {at})) (i64.const 4096) (i32.const 1100))
         (br_if 1 (i32.load8_u (i32.const 1100)))"
    );
    format!("(block {})", forever(&write))
}

/// Sends a request, and writes its body.
fn request(authority: &str) -> Hostile {
    let body = format!(
        "(local.set $j (call $outgoing-request.new (call $fields.new)))
         (drop (call $outgoing-request.set-scheme (local.get $j) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
         (drop (call $outgoing-request.set-authority (local.get $j) (i32.const 1) (i32.const 64) (i32.const {})))
         (call $outgoing-request.body (local.get $j) (i32.const 1024))
         (call $outgoing-body.write (i32.load (i32.const 1028)) (i32.const 1032))
         (call $outgoing.handle (local.get $j) (i32.const 0) (i32.const 0) (i32.const 1040))
         {} (drop (call $respond (local.get $out) (i32.const 200)))",
        authority.len(),
        write(1036)
    );
    Hostile::new(body).items(data(64, authority))
}

/// Answers, and writes the body.
fn response() -> Hostile {
    Hostile::new(format!(
        "(i32.store (i32.const 1036) (call $respond (local.get $out) (i32.const 200))) {}",
        write(1036)
    ))
}

/// Asks once; the answer must not be that of a guest that could not write.
fn ask(scene: &Scene<'_>) {
    let Some(mut stream) = scene.connect() else {
        return;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let _ = stream.write_all(b"GET /hostile HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    if !answer.starts_with("HTTP/1.1 5") {
        let complaint = format!("it is not ended by its limit: {answer:.60}");
        scene.complain(Complaint::Late(complaint));
    }
    scene.count();
    scene.wait();
}

/// A connection on which HEAD was answered.
fn head(scene: &Scene<'_>) -> Option<TcpStream> {
    let mut stream = scene.connect()?;
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let _ = stream.write_all(b"HEAD /hostile HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = [0; 12];
    if stream.read_exact(&mut answer).is_err() || answer != *b"HTTP/1.1 200" {
        scene.complain(Complaint::Late("HEAD is not answered".to_owned()));
    }
    scene.count();
    Some(stream)
}
