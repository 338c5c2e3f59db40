//! What an instance holds, counted for itself, its component and the process.
//!
//! Whoever takes a place counts it first and is told what was held before; the decision is made on that, and a
//! refusal gives the place back. So two threads cannot both get the last one.

use std::sync::atomic::{AtomicU32, Ordering};

use outport_policy::Usage;

use crate::gate::Gate;

/// The sockets and connections of an instance.
pub(crate) struct UsageCounter {
    gate: Gate,
    /// Sockets, and exchanges of outgoing HTTP.
    open: AtomicU32,
}

impl UsageCounter {
    pub(crate) fn new(gate: Gate) -> Self {
        Self {
            gate,
            open: AtomicU32::new(0),
        }
    }

    /// What is held now.
    pub(crate) fn usage(&self) -> Usage {
        self.usage_of(
            self.open.load(Ordering::Acquire),
            self.gate.open_in_component().sockets(),
            self.gate.egress().open_in_process().load(Ordering::Acquire),
        )
    }

    /// Counts a socket, and says what was held before it.
    pub(crate) fn count_socket(&self) -> Usage {
        self.usage_of(
            self.open.fetch_add(1, Ordering::AcqRel),
            self.gate.open_in_component().count_socket(),
            self.gate
                .egress()
                .open_in_process()
                .fetch_add(1, Ordering::AcqRel),
        )
    }

    /// Gives back what [`count_socket`](UsageCounter::count_socket) took.
    pub(crate) fn uncount_socket(&self) {
        self.gate.open_in_component().uncount_socket();
        self.open.fetch_sub(1, Ordering::AcqRel);
        self.uncount();
    }

    /// Counts a connection of outgoing HTTP, and says what was held before it.
    pub(crate) fn count_connection(&self) -> Usage {
        self.gate.open_in_component().count_connection();
        self.usage_of(
            self.open.load(Ordering::Acquire),
            self.gate.open_in_component().sockets(),
            self.gate
                .egress()
                .open_in_process()
                .fetch_add(1, Ordering::AcqRel),
        )
    }

    /// Gives back what [`count_connection`](UsageCounter::count_connection) took.
    pub(crate) fn uncount_connection(&self) {
        self.gate.open_in_component().uncount_connection();
        self.uncount();
    }

    /// Counts an exchange of outgoing HTTP. Its connection is counted for itself, since it may outlive the exchange.
    pub(crate) fn count_exchange(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// Gives back what [`count_exchange`](UsageCounter::count_exchange) took.
    pub(crate) fn uncount_exchange(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
        self.gate.egress().freed().notify_waiters();
    }

    fn uncount(&self) {
        self.gate
            .egress()
            .open_in_process()
            .fetch_sub(1, Ordering::AcqRel);
        self.gate.egress().freed().notify_waiters();
    }

    fn usage_of(&self, of_instance: u32, sockets_of_component: u32, of_process: u32) -> Usage {
        Usage {
            sockets_of_instance: of_instance,
            sockets_of_component,
            sockets_of_process: of_process,
            kept_for_others: self.gate.egress().kept_for_others(&self.gate, of_process),
            connections_of_process: of_process,
            lookups_of_instance: 0,
        }
    }
}

/// What the instances of one component have open.
#[derive(Default)]
pub(crate) struct OpenInComponent {
    sockets: AtomicU32,
    connections: AtomicU32,
}

impl OpenInComponent {
    /// Sockets alone, as `max_socket_connections` counts them.
    pub(crate) fn sockets(&self) -> u32 {
        self.sockets.load(Ordering::Acquire)
    }

    /// Connections of outgoing HTTP, idle ones among them.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Acquire)
    }

    /// Both.
    pub(crate) fn all(&self) -> u32 {
        self.sockets() + self.connections()
    }

    fn count_socket(&self) -> u32 {
        self.sockets.fetch_add(1, Ordering::AcqRel)
    }

    fn uncount_socket(&self) {
        self.sockets.fetch_sub(1, Ordering::AcqRel);
    }

    fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::AcqRel);
    }

    fn uncount_connection(&self) {
        self.connections.fetch_sub(1, Ordering::AcqRel);
    }
}
