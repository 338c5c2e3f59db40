//! Connections that are open, so that a new deny list can close what it forbids (DL-9).
//!
//! A connection is registered once it is established and leaves when its owner drops the [`Registration`]. Nothing
//! here is touched by the data that it carries. When the operator's policy is replaced, each is judged again as it
//! was when it was opened; only the deny list counts then, since an established connection outlives its grants
//! (DNS-6). What is forbidden is shut down in both directions: the guest reads an end and can write no more, and the
//! peer sees the end as well. Its socket is kept beside its registration, and is open for as long as its owner has it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use outport_policy::{Attempt, Endpoint, Layer, Transport};
use rustix::net::Shutdown;

use crate::audit::EndedBy;
use crate::enforcer::Enforcer;
use crate::followed::Followed;
use crate::http::DialTarget;

/// The open connections of a process.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<BTreeMap<u64, Arc<Open>>>,
    next: AtomicU64,
}

struct Open {
    enforcer: Weak<Enforcer>,
    /// The system's socket, as long as there is one.
    socket: Weak<OwnedFd>,
    way: Way,
    followed: Weak<Followed>,
}

/// How a connection came about, which is how it is judged again.
pub(crate) enum Way {
    /// A TCP socket of the guest, connected to there.
    Socket(SocketAddr),
    /// Outgoing HTTP.
    Http(DialTarget),
}

/// The place of one connection among the open ones.
pub(crate) struct Registration {
    connections: Arc<Connections>,
    number: u64,
}

impl Connections {
    /// Registers a connection that `enforcer` has let through. If the deny list has changed since it was judged, and
    /// forbids it now, it is closed at once.
    pub(crate) fn register(
        self: &Arc<Self>,
        enforcer: &Arc<Enforcer>,
        socket: &Arc<OwnedFd>,
        way: Way,
        followed: Option<&Arc<Followed>>,
    ) -> Registration {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let open = Open {
            enforcer: Arc::downgrade(enforcer),
            socket: Arc::downgrade(socket),
            way,
            followed: followed.map(Arc::downgrade).unwrap_or_default(),
        };
        // Another thread may replace the policy right now: whoever comes second sees what the first has done.
        let open = Arc::new(open);
        self.lock().insert(number, open.clone());
        open.close_if_forbidden();
        Registration {
            connections: self.clone(),
            number,
        }
    }

    /// Judges every open connection again, and closes those that the deny list forbids.
    pub(crate) fn close_forbidden(&self) {
        let open: Vec<Arc<Open>> = self.lock().values().cloned().collect();
        open.iter().for_each(|open| open.close_if_forbidden());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Open>>> {
        self.open
            .lock()
            .expect("nothing panics while the connections are locked")
    }
}

impl Open {
    fn close_if_forbidden(&self) {
        // One whose instance, or whose socket, is gone has ended.
        let (Some(enforcer), Some(socket)) = (self.enforcer.upgrade(), self.socket.upgrade()) else {
            return;
        };
        if !is_forbidden(&enforcer, &self.way.attempt()) {
            return;
        }
        if let Some(followed) = self.followed.upgrade() {
            followed.note_end(EndedBy::Policy);
        }
        // One that the peer has ended meanwhile cannot be shut down, and need not be.
        let _ = rustix::net::shutdown(&socket, Shutdown::Both);
    }
}

/// Whether the deny list forbids by now what was permitted when it was judged.
pub(crate) fn is_forbidden(enforcer: &Enforcer, attempt: &Attempt<'_>) -> bool {
    let verdict = enforcer.recheck(attempt, enforcer.usage());
    matches!(verdict, Err(denied) if denied.layer() == Layer::DenyList)
}

impl Way {
    fn attempt(&self) -> Attempt<'_> {
        match self {
            Self::Socket(remote) => Attempt::Connect {
                transport: Transport::Tcp,
                remote: Endpoint::from(*remote),
            },
            Self::Http(target) => target.attempt(),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
    }
}
