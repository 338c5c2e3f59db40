//! Waiting for what comes when the machine gets to it.
//!
//! A pause is no proof that something has happened: on a busy machine a server or a guest may not have run at all
//! meanwhile. What a test builds on it waits for, by a sign of it: a line in a log, a connection that a peer accepted,
//! a byte that it got.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How long is waited for what should come at once. Only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds` says so, which is asked every few milliseconds.
///
/// # Panics
///
/// If it does not within [`PATIENCE`]; `what` says what was waited for.
#[track_caller]
pub fn until(what: impl Display, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
