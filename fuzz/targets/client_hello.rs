//! The first flight of a guest, from the bytes that it writes to the names of servers in them.
//!
//! However it is cut into pieces the same bytes pass and the same are kept, no more than are to be, and reading them gives no more
//! names than are to be judged.

#![no_main]

// The sources of another crate, of which a part is used: that crate as a whole brings all of wasmtime.
#[allow(dead_code, unreachable_pub, reason = "see above")]
#[path = "../../crates/egress/src/sockets/first_flight/client_hello.rs"]
mod client_hello;
#[allow(dead_code, unreachable_pub, reason = "see above")]
#[path = "../../crates/egress/src/sockets/first_flight/opening.rs"]
mod opening;

use client_hello::{ClientHello, MOST_NAMES};
use libfuzzer_sys::fuzz_target;
use opening::{MOST_RECORDS, Nameless, Opening, Seen};

// Whether a hello without a name is kept, or a second one looked for, the size of pieces, and what is written.
fuzz_target!(|input: &[u8]| {
    let [kind, piece, bytes @ ..] = input else {
        return;
    };
    let opening = match kind % 3 {
        0 => Opening::new(Nameless::Passes),
        1 => Opening::new(Nameless::Kept),
        _ => Opening::second(),
    };
    let (seen, kept) = looked_at(opening, bytes, usize::MAX);
    let in_pieces = looked_at(opening, bytes, usize::from(*piece).max(1));
    // What is over is not kept, and in one piece it was never begun.
    if seen != Seen::Over {
        assert_eq!((seen, kept), in_pieces);
    } else {
        assert_eq!(in_pieces.0, Seen::Over);
    }
    assert!(in_pieces.1.len() <= MOST_RECORDS);
    let hello = ClientHello::read(&in_pieces.1);
    assert!(hello.names.len() <= MOST_NAMES);
    let names: usize = hello.names.iter().map(Vec::len).sum();
    assert!(names <= bytes.len());
    let _ = ClientHello::read(bytes);
});

/// What the bytes are in the end, and what is kept of them.
fn looked_at(mut opening: Opening, bytes: &[u8], piece: usize) -> (Seen, Vec<u8>) {
    let (mut rest, mut kept, mut last) = (bytes, Vec::new(), Seen::Kept);
    while !rest.is_empty() {
        let (looked, seen) = opening.look(&rest[..rest.len().min(piece)]);
        last = seen;
        match seen {
            Seen::Passing => assert!(kept.is_empty() && looked > 0),
            Seen::Over => break,
            _ => kept.extend_from_slice(&rest[..looked]),
        }
        if !matches!(seen, Seen::Passing | Seen::Kept) {
            break;
        }
        rest = &rest[looked..];
    }
    (last, kept)
}
