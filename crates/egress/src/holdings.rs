//! What an instance holds, counted for itself, its component and the process.
//!
//! Whoever takes a place counts it first and is told what was held before; the decision is made on that, and a
//! refusal gives the place back. So two threads cannot both get the last one.

use std::sync::atomic::{AtomicU32, Ordering};

use outport_policy::Usage;

use crate::gate::Gate;

/// The sockets and connections of an instance.
pub(crate) struct Holdings {
    gate: Gate,
    sockets: AtomicU32,
}

impl Holdings {
    pub(crate) fn new(gate: Gate) -> Holdings {
        Holdings {
            gate,
            sockets: AtomicU32::new(0),
        }
    }

    /// What is held now.
    pub(crate) fn usage(&self) -> Usage {
        let wall = self.gate.wall();
        let sockets_of_process = wall.sockets().load(Ordering::Acquire);
        Usage {
            sockets_of_instance: self.sockets.load(Ordering::Acquire),
            sockets_of_component: self.gate.sockets().load(Ordering::Acquire),
            sockets_of_process,
            connections_of_process: sockets_of_process + wall.connections().load(Ordering::Acquire),
            lookups_of_instance: 0,
        }
    }

    /// Counts a socket, and says what was held before it.
    pub(crate) fn count_socket(&self) -> Usage {
        let wall = self.gate.wall();
        let sockets_of_process = wall.sockets().fetch_add(1, Ordering::AcqRel);
        Usage {
            sockets_of_instance: self.sockets.fetch_add(1, Ordering::AcqRel),
            sockets_of_component: self.gate.sockets().fetch_add(1, Ordering::AcqRel),
            sockets_of_process,
            connections_of_process: sockets_of_process + wall.connections().load(Ordering::Acquire),
            lookups_of_instance: 0,
        }
    }

    /// Gives back what [`count_socket`](Holdings::count_socket) took.
    pub(crate) fn uncount_socket(&self) {
        self.gate.wall().sockets().fetch_sub(1, Ordering::AcqRel);
        self.gate.sockets().fetch_sub(1, Ordering::AcqRel);
        self.sockets.fetch_sub(1, Ordering::AcqRel);
        self.gate.wall().freed().notify_waiters();
    }

    /// Counts a connection of outgoing HTTP, and says what was held before it.
    pub(crate) fn count_connection(&self) -> Usage {
        let usage = self.usage();
        let connections = self.gate.wall().connections().fetch_add(1, Ordering::AcqRel);
        Usage {
            connections_of_process: usage.sockets_of_process + connections,
            ..usage
        }
    }

    /// Gives back what [`count_connection`](Holdings::count_connection) took.
    pub(crate) fn uncount_connection(&self) {
        self.gate.wall().connections().fetch_sub(1, Ordering::AcqRel);
        self.gate.wall().freed().notify_waiters();
    }
}
