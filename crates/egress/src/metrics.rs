//! The counts of what happened. Always counted, whether or not anybody listens to events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A snapshot of the counters of a process ([`Egress::metrics`](crate::Egress::metrics)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Attempts that were permitted, each datagram among them.
    pub allowed: u64,
    /// Attempts that were refused, by the code of the reason. Datagrams that were dropped unseen are
    /// `hard.unsolicited`.
    pub denied: BTreeMap<&'static str, u64>,
    /// Answers that had more addresses than the quota and were cut (DNS-12).
    pub answers_cut: u64,
    /// Sockets of guests that exist now.
    pub sockets: u32,
    /// Connections of outgoing HTTP, and of other interfaces of the host, that exist now.
    pub connections: u32,
}

/// The counters themselves.
#[derive(Default)]
pub(crate) struct Counters {
    allowed: AtomicU64,
    denied: Mutex<BTreeMap<&'static str, u64>>,
    answers_cut: AtomicU64,
}

impl Counters {
    pub(crate) fn allow(&self) {
        self.allowed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn deny(&self, code: &'static str) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        *denied.entry(code).or_default() += 1;
    }

    /// Counts an answer that was cut, and says how many there are now.
    pub(crate) fn cut_answer(&self) -> u64 {
        self.answers_cut.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A snapshot of the counters; the sockets and connections that exist are not known here.
    pub(crate) fn snapshot(&self) -> Metrics {
        Metrics {
            allowed: self.allowed.load(Ordering::Relaxed),
            denied: self.denied.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            answers_cut: self.answers_cut.load(Ordering::Relaxed),
            ..Metrics::default()
        }
    }
}
