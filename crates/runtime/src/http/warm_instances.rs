//! The instances of a component that may take further requests.
//!
//! A request is offered to the instances on its own thread that answer requests as deep as it is, the newest first, so
//! that those that are not needed become idle and end. An instance is listed from before it is made until it
//! takes no more. At most [`LONGEST`] of a kind are: one more is not noted, and ends with its request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use super::instance_queue::{InstanceQueue, QueuedRequest};

/// The warm instances of a component.
#[derive(Default)]
pub(super) struct WarmInstances {
    open: Mutex<HashMap<Kind, Vec<Arc<InstanceQueue>>>>,
}

/// The kind of instances that a request may be given to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    thread: ThreadId,
    depth: u32,
}

impl WarmInstances {
    /// Notes an instance of this thread, or makes it accept no more where there are enough.
    pub(super) fn enter(&self, queue: &Arc<InstanceQueue>) {
        if queue.is_closed() {
            return;
        }
        let mut open = self.open();
        let kind = open.entry(Kind::here(queue.depth())).or_default();
        match kind.len() {
            ..LONGEST => kind.push(Arc::clone(queue)),
            _ => queue.stop_accepting(),
        }
    }

    /// Strikes an instance off, from whatever thread.
    pub(super) fn leave(&self, queue: &Arc<InstanceQueue>) {
        let mut open = self.open();
        // It may be on the list of another thread.
        open.retain(|kind, queues| {
            if kind.depth == queue.depth() {
                queues.retain(|other| !Arc::ptr_eq(other, queue));
            }
            !queues.is_empty()
        });
    }

    /// Gives a request to an instance, or back.
    pub(super) fn offer(&self, mut queued: Box<QueuedRequest>) -> Result<(), Box<QueuedRequest>> {
        let mut open = self.open();
        let kind = Kind::here(queued.slot.depth());
        let Some(queues) = open.get_mut(&kind) else {
            return Err(queued);
        };
        // Backwards, so that removing one moves none that is still to come.
        for slot in (0..queues.len()).rev() {
            let offered = queues[slot].offer(queued);
            if queues[slot].is_closed() {
                queues.remove(slot);
            }
            match offered {
                Ok(()) => return Ok(()),
                Err(back) => queued = back,
            }
        }
        Err(queued)
    }

    /// Nothing panics between two steps that belong together.
    fn open(&self) -> MutexGuard<'_, HashMap<Kind, Vec<Arc<InstanceQueue>>>> {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Kind {
    fn here(depth: u32) -> Self {
        Self {
            thread: thread::current().id(),
            depth,
        }
    }
}

/// Instances of a kind that are looked through for each request.
const LONGEST: usize = 64;
