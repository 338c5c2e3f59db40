//! Answers that are not finished, and what is said of it (ISO-8); standard output that nobody reads (ISO-6).

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::component::{Hostile, forever, times};
use crate::row::{Complaint, Row};
use crate::scene::Scene;

pub(crate) fn rows_of_unread_output() -> Vec<Row> {
    let print = |stream: &str, length: u32| {
        let write = format!(
            "(call $output-stream.blocking-write (local.get $i) (i32.const 65536) (i32.const {length}) (i32.const 1024))"
        );
        Hostile::new(format!(
            "(local.set $i (call ${stream})) {} (drop (call $respond (local.get $out) (i32.const 200)))",
            times("j", 500, &write)
        ))
    };
    let row = |name, hostile| {
        Row::new(name, "ISO-6")
            .hostile(hostile)
            .clients(4)
            .unread_stdout()
            .ends(4)
    };
    vec![
        row("standard output that nobody reads", print("stdout", 4096)),
        row("lines that nobody reads", print("stdout", 1)),
    ]
}

pub(crate) fn rows_of_unfinished_answers() -> Vec<Row> {
    let zeros = |then: &str| {
        Hostile::new(format!(
            "(local.set $i (call $respond (local.get $out) (i32.const 200))) {then}"
        ))
    };
    let write =
        "(call $output-stream.blocking-write-zeroes (local.get $i) (i64.const 4096) (i32.const 1024))";
    let streams = || zeros(&forever(write));
    let computes = || zeros(&format!("{write} (loop $on (br $on))"));
    let waits = || zeros(&format!("{write} (call $hold (i64.const 60000))"));
    let traps = || zeros(&format!("{write} unreachable"));
    let leaves = || zeros(write);
    let (processor, life, none) = ("--max-cpu-time=300ms", "--max-time=500ms", "--max-time=10s");
    vec![
        row("cut off while it streams", streams(), processor).attack(http1),
        row("streams, in HTTP/2", streams(), processor).attack(http2),
        row("cut off while it computes", computes(), processor).attack(http1),
        row("computes, in HTTP/2", computes(), processor).attack(http2),
        row("cut off while it waits", waits(), life).attack(http1),
        row("waits, in HTTP/2", waits(), life).attack(http2),
        row("traps before its end", traps(), none).attack(http1),
        row("traps, in HTTP/2", traps(), none).attack(http2),
        row("returns without an end", leaves(), none).attack(http1),
        row("returns, in HTTP/2", leaves(), none).attack(http2),
    ]
}

fn row(name: &'static str, hostile: Hostile, limit: &str) -> Row {
    Row::new(name, "ISO-8")
        .hostile(hostile)
        .option(limit)
        .ends(1)
        .says("`hostile`")
}

/// The end of an answer in HTTP/1.1 must not be that of a whole one.
fn http1(scene: &Scene<'_>) {
    let (mut begin, mut end) = (Vec::new(), Vec::new());
    let closed = read(scene, b"GET /hostile HTTP/1.1\r\nHost: x\r\n\r\n", |bytes| {
        if begin.len() < 12 {
            begin.extend(bytes);
        }
        end.extend(bytes);
        end.drain(..end.len().saturating_sub(7));
        false
    });
    // One that breaks off before anything of it left is none at all.
    if !begin.is_empty() && !begin.starts_with(b"HTTP/1.1 200") {
        let begin = String::from_utf8_lossy(&begin);
        scene.complain(Complaint::Late(format!("no answer: {begin:.60}")));
    }
    if end.ends_with(b"\r\n0\r\n\r\n") {
        scene.complain(whole("the answer ends with its last chunk"));
    } else if !closed {
        scene.complain(Complaint::Late("the answer does not end".to_owned()));
    }
    scene.count();
    scene.wait();
}

/// In HTTP/2 there must be `RST_STREAM`, and no data with `END_STREAM`.
fn http2(scene: &Scene<'_>) {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let windows = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff\
        \x00\x00\x04\x08\x00\x00\x00\x00\x00\x3f\xff\xff\xff";
    let get = b"\x00\x00\x0f\x01\x05\x00\x00\x00\x01\x82\x86\x04\x08/hostile\x41\x01x";
    let request = [&preface[..], windows, get].concat();
    let (mut frames, mut end) = (Frames::default(), None);
    read(scene, &request, |bytes| {
        end = end.take().or_else(|| frames.take(bytes));
        end.is_some()
    });
    match end {
        Some(End::Reset) => {}
        Some(End::Whole) => scene.complain(whole("the stream ends with END_STREAM")),
        None => scene.complain(Complaint::Late("the stream does not end".to_owned())),
    }
    scene.count();
    scene.wait();
}

fn whole(what: &str) -> Complaint {
    Complaint::Wrong(format!("{what}, as if it were whole"))
}

enum End {
    Whole,
    Reset,
}

/// Frames of HTTP/2, as they come.
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    /// Bytes of a payload to come.
    payload: usize,
}

impl Frames {
    /// How stream 1 ends in these bytes, if it does.
    fn take(&mut self, mut bytes: &[u8]) -> Option<End> {
        while !bytes.is_empty() {
            let skipped = self.payload.min(bytes.len());
            self.payload -= skipped;
            bytes = &bytes[skipped..];
            let missing = (9 - self.head.len()).min(bytes.len());
            self.head.extend(&bytes[..missing]);
            bytes = &bytes[missing..];
            let &[a, b, c, kind, flags, .., stream] = &self.head[..] else {
                continue;
            };
            if self.head.len() < 9 {
                continue;
            }
            self.payload = u32::from_be_bytes([0, a, b, c]) as usize;
            self.head.clear();
            match (kind, flags & 1, stream) {
                (3, _, 1) => return Some(End::Reset),
                (0 | 1, 1, 1) => return Some(End::Whole),
                _ => {}
            }
        }
        None
    }
}

/// Shows what comes after this request, until that is enough, or half a minute is over, or the server closes, which it
/// then says.
fn read(scene: &Scene<'_>, request: &[u8], mut enough: impl FnMut(&[u8]) -> bool) -> bool {
    let Some(mut stream) = scene.connect() else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
    let _ = stream.write_all(request);
    let (start, mut buffer) = (Instant::now(), vec![0; 256 * 1024]);
    while start.elapsed() < Duration::from_secs(30) {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(length) if enough(&buffer[..length]) => return false,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return true;
            }
            Ok(_) | Err(_) => {}
        }
    }
    false
}
