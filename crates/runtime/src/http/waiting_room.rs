//! The requests that wait for a slot. A request that waits costs its headers and a task, so not all may.
//!
//! At most [`FOR_EACH_SLOT`] times as many wait as there are slots, or [`FEWEST`], and half of these for one client.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::clients::Client;

/// Room for those who wait.
pub(super) struct WaitingRoom {
    waiting: AtomicUsize,
    room: usize,
}

/// A request that waits, counted.
pub(super) struct Waits<'a> {
    all: &'a AtomicUsize,
    of_client: Option<&'a AtomicUsize>,
}

impl WaitingRoom {
    /// Room beside so many slots.
    pub(super) fn new(slots: u32) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            room: (slots as usize * FOR_EACH_SLOT).max(FEWEST),
        }
    }

    /// Counts a request of a client, or of a component, if there is room.
    pub(super) fn enter<'a>(&'a self, client: Option<&'a Client>) -> Option<Waits<'a>> {
        let of_client = client.map(|client| &client.waiting);
        if of_client.is_some_and(|waiting| !count(waiting, self.room / 2)) {
            return None;
        }
        if !count(&self.waiting, self.room) {
            uncount(of_client);
            return None;
        }
        Some(Waits {
            all: &self.waiting,
            of_client,
        })
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        uncount(Some(self.all));
        uncount(self.of_client);
    }
}

/// Counts one more and returns true, if there was room.
fn count(counter: &AtomicUsize, room: usize) -> bool {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counted| {
            (counted < room).then_some(counted + 1)
        })
        .is_ok()
}

fn uncount(counter: Option<&AtomicUsize>) {
    if let Some(counter) = counter {
        counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Requests that wait for each slot that there is.
const FOR_EACH_SLOT: usize = 4;

/// Requests that may wait however few slots there are.
pub(super) const FEWEST: usize = 1024;
