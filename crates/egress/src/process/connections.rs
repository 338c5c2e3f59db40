//! Connections that are open, so that a new deny list can close what it forbids (DL-9).
//!
//! A connection is registered once it is established and leaves when its owner drops the [`Registration`]. Nothing
//! here is touched by the data that it carries.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::byte_budget::ByteBudget;

/// A connection that can be judged again.
pub(crate) trait Revocable: Send + Sync {
    /// Closes it if the deny list forbids it by now.
    fn close_if_forbidden(&self);

    /// Closes it if it is of the component that has this budget, which is used up.
    fn close_if_of(&self, budget: &ByteBudget);
}

/// The open connections of a process.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<BTreeMap<u64, Arc<dyn Revocable>>>,
    next: AtomicU64,
}

/// The place of one connection among the open ones.
pub(crate) struct Registration {
    connections: Arc<Connections>,
    number: u64,
}

impl Connections {
    /// Registers a connection that was let through. If the deny list has changed since it was judged, and forbids it
    /// now, it is closed at once.
    pub(crate) fn register(self: &Arc<Self>, connection: Arc<dyn Revocable>) -> Registration {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Another thread may replace the policy right now: whoever comes second sees what the first has done.
        self.lock().insert(number, connection.clone());
        connection.close_if_forbidden();
        Registration {
            connections: self.clone(),
            number,
        }
    }

    /// Judges every open connection again, and closes those that the deny list forbids. Waits for the locks of instances:
    /// nobody calls it who has one.
    pub(super) fn close_forbidden(&self) {
        // Judged out of the lock: each takes a decision, and a connection that ends meanwhile needs it to leave.
        let open: Vec<_> = self.lock().values().cloned().collect();
        open.iter().for_each(|connection| connection.close_if_forbidden());
    }

    /// Closes every open connection of the component that has this budget. Waits for no lock of an instance.
    pub(crate) fn close_of(&self, budget: &ByteBudget) {
        let open: Vec<_> = self.lock().values().cloned().collect();
        open.iter().for_each(|connection| connection.close_if_of(budget));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<dyn Revocable>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
    }
}
