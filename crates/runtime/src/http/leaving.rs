//! The ways in which the connections of a worker learn that it stops, and how it learns that they are gone. What listens
//! for events says in the same way that it is.
//!
//! A client may be about to send its next request on a connection that is idle, so a connection is not closed the moment
//! that it is asked to leave: it stays for a while ([`Leave::lingered`]), and whoever sends a request meanwhile is answered. Who
//! has begun to send one, or to agree on TLS, and does not go on with it, stays no longer than who says nothing
//! ([`Leave::without_request`]); who does go on has twice that time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::client_socket::ResponseClock;

/// The worker's side.
pub(super) struct Leaving(watch::Sender<Option<Duration>>);

/// A connection's side, held for as long as the connection lasts.
#[derive(Clone)]
pub(crate) struct Leave(watch::Receiver<Option<Duration>>);

impl Leaving {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// For a new connection.
    pub(super) fn notice(&self) -> Leave {
        Leave(self.0.subscribe())
    }

    /// Asks all connections to leave, idle ones after so long, and waits until they have.
    pub(super) async fn all(&self, linger: Duration) {
        self.0.send_replace(Some(linger));
        self.gone().await;
    }

    /// Waits until there are no connections, which nobody asks to leave.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }
}

impl Leave {
    /// Waits until the worker stops. Answers for how long an idle connection stays.
    pub(super) async fn asked(&mut self) -> Duration {
        // The worker is only gone when nobody waits for a graceful end.
        let linger = self.0.wait_for(Option::is_some).await;
        linger.ok().and_then(|linger| *linger).unwrap_or_default()
    }

    /// Waits until the worker has stopped for so long that a connection without a request is closed.
    pub(super) async fn lingered(&mut self) {
        let linger = self.asked().await;
        sleep(linger).await;
    }

    /// Waits until the worker has stopped for so long that a connection on which no request is under way is closed.
    pub(super) async fn without_request(&mut self, clock: &ResponseClock) {
        let linger = self.asked().await;
        clock.idle_for(linger).await;
    }

    /// The same of one on which there can be no request yet.
    pub(super) async fn before_request(&mut self, clock: &ResponseClock) {
        let linger = self.asked().await;
        // Also of a client that reads nothing.
        let _ = timeout(linger.saturating_mul(2), clock.idle_for(linger)).await;
    }

    /// True once the worker stops.
    pub(super) fn is_asked(&self) -> bool {
        self.0.borrow().is_some()
    }
}
