//! Connections that are open, so that a new deny list can close what it forbids (DL-9).
//!
//! A connection is registered once it is established and leaves when its owner drops the [`Registration`]. Nothing
//! here is touched by the data that it carries. When the operator's policy is replaced, each is judged again as it
//! was when it was opened; only the deny list counts then, since an established connection outlives its grants
//! (DNS-6). What is forbidden is shut down in both directions ([`shutdown`]): the guest reads an end and can write
//! no more, and the peer sees the end as well.

mod shutdown;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use outport_policy::{AnswerSource, Attempt, Endpoint, Host, Name, Scheme, Transport};

use crate::instance::InstanceGate;

/// The open connections of a process.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<u64, Arc<Open>>>,
    next: AtomicU64,
}

struct Open {
    gate: Weak<InstanceGate>,
    local: SocketAddr,
    remote: SocketAddr,
    way: Way,
}

/// How a connection came about, which is how it is judged again.
pub(crate) enum Way {
    /// A TCP socket of the guest.
    Socket,
    /// Outgoing HTTP.
    Http {
        /// The scheme of the requests.
        scheme: Scheme,
        /// Their host.
        host: Host,
        /// The names that its answer led through.
        chain: Vec<Name>,
        /// Who answered.
        source: AnswerSource,
    },
}

/// The place of one connection among the open ones.
pub(crate) struct Registration {
    connections: Arc<Connections>,
    number: u64,
}

impl Connections {
    /// Registers a connection between `local` and `remote` that `gate` has let through. If the deny list has
    /// changed since it was judged, and forbids it now, it is closed at once.
    pub(crate) fn register(
        self: &Arc<Connections>,
        gate: &Arc<InstanceGate>,
        local: SocketAddr,
        remote: SocketAddr,
        way: Way,
    ) -> Registration {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let open = Open {
            gate: Arc::downgrade(gate),
            local,
            remote,
            way,
        };
        // Another thread may replace the policy right now: whoever comes second sees what the first has done.
        let open = Arc::new(open);
        self.lock().insert(number, open.clone());
        if open.is_forbidden() {
            shutdown::shut_down(&[(local, remote)]);
        }
        Registration {
            connections: self.clone(),
            number,
        }
    }

    /// Judges every open connection again, and closes those that the deny list forbids.
    pub(crate) fn close_forbidden(&self) {
        let open: Vec<Arc<Open>> = self.lock().values().cloned().collect();
        let forbidden = open
            .iter()
            .filter(|open| open.is_forbidden())
            .map(|open| (open.local, open.remote));
        let forbidden: Vec<(SocketAddr, SocketAddr)> = forbidden.collect();
        if !forbidden.is_empty() {
            shutdown::shut_down(&forbidden);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Open>>> {
        self.open
            .lock()
            .expect("nothing panics while the connections are locked")
    }
}

impl Open {
    /// A connection of an instance that is gone is about to end anyway.
    fn is_forbidden(&self) -> bool {
        let Some(gate) = self.gate.upgrade() else {
            return false;
        };
        let remote = Endpoint::from(self.remote);
        match &self.way {
            Way::Socket => gate.has_become_denied(&Attempt::Reach {
                transport: Transport::Tcp,
                remote,
            }),
            Way::Http {
                scheme,
                host,
                chain,
                source,
            } => gate.has_become_denied(&Attempt::Dial {
                scheme,
                host,
                chain,
                remote,
                source: *source,
            }),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
    }
}
