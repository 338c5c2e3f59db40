//! Connections that are open, so that a new deny list can close what it forbids (DL-9).
//!
//! A connection is registered once it is established and leaves when its owner drops the [`Registration`]. Nothing
//! here is touched by the data that it carries. When the operator's policy is replaced, each is judged again as it
//! was when it was opened; only the deny list counts then, since an established connection outlives its grants
//! (DNS-6). What is forbidden is shut down in both directions: the guest reads an end and can write no more, and the
//! peer sees the end as well. The sockets of guests are ours; those of outgoing HTTP belong to somebody else and are
//! found by their ends ([`shutdown`]).

mod shutdown;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use rustix::net::Shutdown;

use outport_policy::{AnswerSource, Attempt, Endpoint, Host, Layer, Name, Scheme, Transport};

use crate::audit::EndedBy;
use crate::enforcer::Enforcer;
use crate::followed::Followed;

/// The open connections of a process.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<BTreeMap<u64, Arc<Open>>>,
    next: AtomicU64,
}

struct Open {
    enforcer: Weak<Enforcer>,
    remote: SocketAddr,
    way: Way,
    followed: Weak<Followed>,
}

/// How a connection came about, which is how it is judged again.
pub(crate) enum Way {
    /// A TCP socket of the guest.
    Socket {
        /// The system's socket, as long as there is one.
        socket: Weak<OwnedFd>,
    },
    /// Outgoing HTTP.
    Http {
        /// The end of the connection that is not the remote one.
        local: SocketAddr,
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
    /// Registers a connection to `remote` that `enforcer` has let through. If the deny list has changed since it was
    /// judged, and forbids it now, it is closed at once.
    pub(crate) fn register(
        self: &Arc<Connections>,
        enforcer: &Arc<Enforcer>,
        remote: SocketAddr,
        way: Way,
        followed: Option<&Arc<Followed>>,
    ) -> Registration {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let open = Open {
            enforcer: Arc::downgrade(enforcer),
            remote,
            way,
            followed: followed.map(Arc::downgrade).unwrap_or_default(),
        };
        // Another thread may replace the policy right now: whoever comes second sees what the first has done.
        let open = Arc::new(open);
        self.lock().insert(number, open.clone());
        if open.is_forbidden() {
            close([&*open].into_iter());
        }
        Registration {
            connections: self.clone(),
            number,
        }
    }

    /// Judges every open connection again, and closes those that the deny list forbids.
    pub(crate) fn close_forbidden(&self) {
        let open: Vec<Arc<Open>> = self.lock().values().cloned().collect();
        close(open.iter().map(|open| &**open).filter(|open| open.is_forbidden()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Open>>> {
        self.open
            .lock()
            .expect("nothing panics while the connections are locked")
    }
}

/// Shuts connections down.
fn close<'a>(forbidden: impl Iterator<Item = &'a Open>) {
    let mut pairs = Vec::new();
    for open in forbidden {
        if let Some(followed) = open.followed.upgrade() {
            followed.note_end(EndedBy::Policy);
        }
        match &open.way {
            Way::Socket { socket } => {
                if let Some(socket) = socket.upgrade() {
                    // One that has ended meanwhile cannot be shut down, and need not be.
                    let _ = rustix::net::shutdown(&socket, Shutdown::Both);
                }
            }
            Way::Http { local, .. } => pairs.push((*local, open.remote)),
        }
    }
    if !pairs.is_empty() {
        shutdown::shut_down(&pairs);
    }
}

impl Open {
    /// A connection of an instance that is gone is about to end anyway.
    fn is_forbidden(&self) -> bool {
        let Some(enforcer) = self.enforcer.upgrade() else {
            return false;
        };
        let has_become_denied = |attempt| {
            let verdict = enforcer.recheck(&attempt, enforcer.usage());
            matches!(verdict, Err(denied) if denied.layer() == Layer::DenyList)
        };
        let remote = Endpoint::from(self.remote);
        match &self.way {
            Way::Socket { .. } => has_become_denied(Attempt::Connect {
                transport: Transport::Tcp,
                remote,
            }),
            Way::Http {
                scheme,
                host,
                chain,
                source,
                ..
            } => has_become_denied(Attempt::Dial {
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
