//! The count of what an instance holds, kept for itself, its component and the process.
//!
//! Whoever takes a place counts it first and is told what was held before; the decision is made on that, and a
//! refusal gives the place back. So two threads cannot both get the last one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use outport_policy::Usage;

use crate::process::Component;

/// The sockets and connections of an instance.
pub(crate) struct UsageCounter {
    component: Arc<Component>,
    /// Sockets, and exchanges of outgoing HTTP.
    open: AtomicU32,
}

impl UsageCounter {
    pub(crate) fn new(component: Arc<Component>) -> Self {
        Self {
            component,
            open: AtomicU32::new(0),
        }
    }

    /// The usage now.
    pub(crate) fn usage(&self) -> Usage {
        self.usage_of(
            self.open.load(Ordering::Acquire),
            self.component.open().sockets(),
            self.component.process().usage.open().load(Ordering::Acquire),
        )
    }

    /// Counts a socket, and says what was held before it.
    pub(crate) fn count_socket(&self) -> Usage {
        self.usage_of(
            self.open.fetch_add(1, Ordering::AcqRel),
            self.component.open().count_socket(),
            self.component
                .process()
                .usage
                .open()
                .fetch_add(1, Ordering::AcqRel),
        )
    }

    /// Gives back what [`count_socket`](UsageCounter::count_socket) took.
    pub(crate) fn uncount_socket(&self) {
        self.component.open().uncount_socket();
        self.open.fetch_sub(1, Ordering::AcqRel);
        self.uncount();
    }

    /// Counts a connection of outgoing HTTP, and says what was held before it.
    pub(crate) fn count_connection(&self) -> Usage {
        // Not for the instance, where its exchange counts: the connection may serve others after it.
        self.component.open().count_connection();
        self.usage_of(
            self.open.load(Ordering::Acquire),
            self.component.open().sockets(),
            self.component
                .process()
                .usage
                .open()
                .fetch_add(1, Ordering::AcqRel),
        )
    }

    /// Gives back what [`count_connection`](UsageCounter::count_connection) took.
    pub(crate) fn uncount_connection(&self) {
        self.component.open().uncount_connection();
        self.uncount();
    }

    /// Counts an exchange of outgoing HTTP. Its connection is counted for itself, since it may outlive the exchange.
    pub(crate) fn count_use(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// Gives back what [`count_use`](UsageCounter::count_use) took.
    pub(crate) fn uncount_use(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
        self.component.process().usage.freed().notify_waiters();
    }

    fn uncount(&self) {
        self.component
            .process()
            .usage
            .open()
            .fetch_sub(1, Ordering::AcqRel);
        self.component.process().usage.freed().notify_waiters();
    }

    fn usage_of(&self, of_instance: u32, sockets_of_component: u32, of_process: u32) -> Usage {
        let process = self.component.process();
        let most = process.policy.load().quotas.sockets_per_process;
        Usage {
            sockets_of_instance: of_instance,
            sockets_of_component,
            sockets_of_process: of_process,
            kept_for_others: process
                .usage
                .kept_for_others(self.component.open(), most, of_process),
            connections_of_process: of_process,
            lookups_of_instance: 0,
            // Of a look-up alone, which is counted when it is judged.
            lookups_of_last_minute: None,
            names_below_wildcard: None,
            tcp_connections_of_instance: 0,
            tls_of_instance: 0,
            sent_of_component: self.component.bytes().sent(),
            about_to_send: 0,
        }
    }
}
