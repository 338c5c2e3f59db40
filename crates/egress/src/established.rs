//! An established connection, as it is judged again when the operator's policy is replaced (DL-9).
//!
//! It is judged as it was when it was opened; only the deny list counts then, since an established connection outlives
//! its grants (DNS-6). What is forbidden is shut down in both directions: the guest reads an end and can write no more,
//! and the peer sees the end as well. Its socket is kept beside its registration, and is open for as long as its owner
//! has it.
//!
//! When its component has sent all that it may (BUD-3), every connection of that is shut down in the same way.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use outport_policy::{Attempt, Endpoint, Host, Layer, Reason, ServerName, Transport};
use rustix::net::Shutdown;

use crate::audit::EndedBy;
use crate::byte_budget::ByteBudget;
use crate::dial::DialTarget;
use crate::enforcer::Enforcer;
use crate::followed::Followed;
use crate::process::connections::{Registration, Revocable};

struct Established {
    // Weak, all three: what is noted here keeps no instance, and no socket, from ending.
    enforcer: Weak<Enforcer>,
    /// The system's socket, as long as there is one.
    socket: Weak<OwnedFd>,
    way: Way,
    followed: Weak<Followed>,
}

/// The way in which a connection came about, which is how it is judged again.
pub(crate) enum Way {
    /// A TCP socket of the guest, connected to there.
    Socket(SocketAddr),
    /// A TCP socket of the guest on which it speaks TLS with these servers (TLS-1).
    Tls(Vec<Host>, Endpoint),
    /// Made by the host for the guest: of outgoing HTTP, or of another interface.
    Dialed(DialTarget),
}

/// Registers a connection that `enforcer` has let through, for as long as what comes back is kept.
pub(crate) fn register(
    enforcer: &Arc<Enforcer>,
    socket: &Arc<OwnedFd>,
    way: Way,
    followed: Option<&Arc<Followed>>,
) -> Registration {
    let connections = &enforcer.process().connections;
    let established = Arc::new(Established {
        enforcer: Arc::downgrade(enforcer),
        socket: Arc::downgrade(socket),
        way,
        followed: followed.map(Arc::downgrade).unwrap_or_default(),
    });
    let registration = connections.register(established.clone());
    // One that was on its way when the bytes of its component were used up: whoever comes second sees what the first has done.
    let budget = enforcer.component().bytes();
    if budget.is_used_up() {
        established.close_if_of(budget);
    }
    registration
}

impl Revocable for Established {
    fn close_if_forbidden(&self) {
        // One whose instance, or whose socket, is gone has ended.
        let (Some(enforcer), Some(socket)) = (self.enforcer.upgrade(), self.socket.upgrade()) else {
            return;
        };
        if !self.way.is_forbidden(&enforcer) {
            return;
        }
        self.close(&socket, EndedBy::Policy);
    }

    fn close_if_of(&self, budget: &ByteBudget) {
        let (Some(enforcer), Some(socket)) = (self.enforcer.upgrade(), self.socket.upgrade()) else {
            return;
        };
        if std::ptr::eq(&**enforcer.component().bytes(), budget) {
            self.close(&socket, EndedBy::Quota);
        }
    }
}

impl Established {
    fn close(&self, socket: &OwnedFd, by: EndedBy) {
        if let Some(followed) = self.followed.upgrade() {
            followed.note_end(by);
        }
        // One that the peer has ended meanwhile cannot be shut down, and need not be.
        let _ = rustix::net::shutdown(socket, Shutdown::Both);
    }
}

/// True if the deny list forbids by now what was permitted when it was judged. What cannot be judged any more, since a panic
/// has poisoned its instance, is forbidden as well (ORD-4).
pub(crate) fn is_forbidden(enforcer: &Enforcer, attempt: &Attempt<'_>) -> bool {
    let verdict = enforcer.recheck(attempt, enforcer.usage());
    matches!(verdict, Err(denied) if denied.layer() == Layer::DenyList || denied.reason() == Reason::ErrorInternal)
}

impl Way {
    fn is_forbidden(&self, enforcer: &Enforcer) -> bool {
        let is_forbidden = |attempt| is_forbidden(enforcer, &attempt);
        match self {
            Self::Socket(remote) => is_forbidden(Attempt::Connect {
                transport: Transport::Tcp,
                remote: Endpoint::from(*remote),
            }),
            Self::Tls(servers, remote) => servers.iter().any(|server| {
                is_forbidden(Attempt::ClientHello {
                    server: ServerName::Host(server),
                    remote: *remote,
                })
            }),
            Self::Dialed(target) => is_forbidden(target.attempt()),
        }
    }
}
