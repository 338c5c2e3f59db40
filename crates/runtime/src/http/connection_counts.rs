//! The counts of clients' connections.

use ::metrics::{Counter, Gauge};
use outport_egress::meter::Meter;

use crate::metrics::{CLIENT_CONNECTIONS, CLIENT_CONNECTIONS_TOTAL};

/// The counts of a server's connections.
pub(super) struct ConnectionCounts {
    open: Gauge,
    accepted: Counter,
    pub(super) turned_away: Counter,
    pub(super) failed: Counter,
}

/// A connection that is counted among those that are open until this is dropped.
pub(super) struct OpenConnection(Gauge);

impl ConnectionCounts {
    pub(super) fn of(meter: &Meter) -> Self {
        let counter = |outcome: &'static str| meter.counter(&CLIENT_CONNECTIONS_TOTAL, [outcome.into()]);
        Self {
            open: meter.gauge(&CLIENT_CONNECTIONS, []),
            accepted: counter("accepted"),
            turned_away: counter("turned-away"),
            failed: counter("failed"),
        }
    }

    /// Counts a connection that was accepted.
    pub(super) fn accept(&self) -> OpenConnection {
        self.accepted.increment(1);
        self.open.increment(1.0);
        OpenConnection(self.open.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
