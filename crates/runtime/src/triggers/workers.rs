//! The threads on which instances run, each with a runtime of its own.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The threads of a server.
#[derive(Debug)]
pub(crate) struct Workers {
    handles: Vec<Handle>,
    next: AtomicUsize,
}

impl Workers {
    pub(crate) fn new(handles: Vec<Handle>) -> Self {
        Self {
            handles,
            next: AtomicUsize::new(0),
        }
    }

    /// Runs something on the next of them, one after the other. None if there are none. What is not at its end when the
    /// threads end is dropped.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len().max(1);
        self.handles.get(number).map(|handle| handle.spawn(task))
    }

    /// Waits until each of them has run something. One that has ended is not waited for.
    pub(crate) async fn take_a_turn(&self) {
        let turns: Vec<_> = self.handles.iter().map(|handle| handle.spawn(async {})).collect();
        for turn in turns {
            let _ = turn.await;
        }
    }
}
