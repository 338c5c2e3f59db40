//! The number of files and sockets that the process may have open.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the process's own limit to what the system permits it, and answers that number. Most systems start
/// programs with 1024, which a server with as many clients outgrows.
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// The number of clients' connections that fit into a limit of descriptors, at least one. Half of the limit is for what
/// guests hold, and what the process itself needs is kept back: to accept, to resolve names, to open files.
pub fn for_clients(limit: u64, workers: usize) -> usize {
    let workers = u64::try_from(workers).unwrap_or(u64::MAX);
    let kept_back = KEPT_BACK.saturating_add(workers.saturating_mul(FOR_EACH_WORKER));
    let rest = (limit - limit / 2).saturating_sub(kept_back).max(1);
    usize::try_from(rest).unwrap_or(usize::MAX)
}

/// Connections of clients that are open now.
static CLIENT_CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// The number of clients' connections now.
pub(crate) fn client_connections() -> u64 {
    CLIENT_CONNECTIONS.load(Ordering::Relaxed)
}

/// One connection of a client, in the count of them until it is dropped.
pub(crate) struct ClientConnection(());

impl ClientConnection {
    /// Counts a connection.
    pub(crate) fn count() -> Self {
        CLIENT_CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        CLIENT_CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Descriptors of the process itself.
pub(crate) const KEPT_BACK: u64 = 64;

/// Descriptors of a worker: its listener, what it waits with, and a connection that waits for a place.
const FOR_EACH_WORKER: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    // proves: Q-4
    #[test]
    fn clients_guests_and_the_process_itself_fit_into_the_limit() {
        // (limit, workers, connections)
        for (limit, workers, connections) in [
            (1024, 2, 512 - 80),
            (1024, 1, 512 - 72),
            (1025, 2, 513 - 80),
            (256, 2, 48),
            (64, 2, 1),
            (0, 1, 1),
            (1_048_576, 2, 524_288 - 80),
            (u64::MAX, 2, (1 << 63) - 80),
        ] {
            assert_eq!(for_clients(limit, workers), connections, "{limit}, {workers}");
            let all = for_clients(limit, workers) as u64 + limit / 2;
            assert!(limit < 256 || all < limit, "{limit}, {workers}");
        }
    }
}
