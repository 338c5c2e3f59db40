//! The instances of a component that may take further requests.
//!
//! A request is offered to the instances on its own thread that answer requests as deep as it is, the newest first, so
//! that those that are not needed become idle and end. An instance is on the roster from before it is made until it
//! takes no more. At most [`LONGEST`] of a kind are: one more is not noted, and ends with its request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use super::inbox::{Inbox, Job};

/// The roster of a component.
#[derive(Default)]
pub(super) struct Roster {
    open: Mutex<HashMap<Kind, Vec<Arc<Inbox>>>>,
}

/// What instances have in common that a request may be given to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    thread: ThreadId,
    depth: u32,
}

impl Roster {
    /// Notes an instance of this thread, or closes its door where there are enough.
    pub(super) fn enter(&self, inbox: &Arc<Inbox>) {
        if inbox.is_closed() {
            return;
        }
        let mut open = self.open();
        let kind = open.entry(Kind::here(inbox.depth())).or_default();
        match kind.len() {
            ..LONGEST => kind.push(Arc::clone(inbox)),
            _ => inbox.close_door(),
        }
    }

    /// Strikes an instance off, from whatever thread.
    pub(super) fn leave(&self, inbox: &Arc<Inbox>) {
        let mut open = self.open();
        open.retain(|kind, inboxes| {
            if kind.depth == inbox.depth() {
                inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
            }
            !inboxes.is_empty()
        });
    }

    /// Gives a request to an instance, or back.
    pub(super) fn offer(&self, mut job: Box<Job>) -> Result<(), Box<Job>> {
        let mut open = self.open();
        let kind = Kind::here(job.place.depth());
        let Some(inboxes) = open.get_mut(&kind) else {
            return Err(job);
        };
        for place in (0..inboxes.len()).rev() {
            let offered = inboxes[place].offer(job);
            if inboxes[place].is_closed() {
                inboxes.remove(place);
            }
            match offered {
                Ok(()) => return Ok(()),
                Err(back) => job = back,
            }
        }
        Err(job)
    }

    /// Nothing panics between two steps that belong together.
    fn open(&self) -> MutexGuard<'_, HashMap<Kind, Vec<Arc<Inbox>>>> {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Kind {
    fn here(depth: u32) -> Kind {
        Kind {
            thread: thread::current().id(),
            depth,
        }
    }
}

/// Instances of a kind that are looked through for each request.
const LONGEST: usize = 64;
