//! The list of what was permitted and is not over, so that a process that stops can tell of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

/// Something that has an end of which somebody wants to know.
pub(crate) trait UntilStopped: Send + Sync {
    /// Tells the end: the process stops.
    fn stopped(&self);

    /// What it has carried so far.
    fn carried(&self) -> Option<Carried>;
}

/// What something that is open has carried so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Carried {
    /// The number of the decision that permitted it.
    pub decision: u64,
    /// Bytes (of a request: of its body) to the peer; datagrams of a UDP socket.
    pub sent: u64,
    /// The same from the peer.
    pub received: u64,
}

/// All that is not over in a process.
#[derive(Default)]
pub(crate) struct Unfinished {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Weak<dyn UntilStopped>>>,
}

impl Unfinished {
    /// The number of the next one.
    pub(crate) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn insert(&self, number: u64, one: Weak<dyn UntilStopped>) {
        self.lock().insert(number, one);
    }

    pub(crate) fn remove(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// Tells of all that is open that the process stops.
    pub(crate) fn stop(&self) {
        let open: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        open.iter().for_each(|one| one.stopped());
    }

    /// What each that is open has carried.
    pub(crate) fn carried(&self) -> Vec<Carried> {
        let open: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        open.iter().filter_map(|one| one.carried()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Weak<dyn UntilStopped>>> {
        // What is told wrong after a panic is better than a second one.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
