//! The ways in which the connections of a worker learn that it stops, and how it learns that they are gone. What listens
//! for events says in the same way that it is.

use tokio::sync::watch;

/// The worker's side.
pub(super) struct Leaving(watch::Sender<bool>);

/// A connection's side, held for as long as the connection lasts.
#[derive(Clone)]
pub(crate) struct Leave(watch::Receiver<bool>);

impl Leaving {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// For a new connection.
    pub(super) fn notice(&self) -> Leave {
        Leave(self.0.subscribe())
    }

    /// Asks all connections to leave, and waits until they have.
    pub(super) async fn all(&self) {
        self.0.send_replace(true);
        self.0.closed().await;
    }
}

impl Leave {
    /// Waits until the worker stops.
    pub(super) async fn asked(&mut self) {
        // The worker is only gone when nobody waits for a graceful end.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
