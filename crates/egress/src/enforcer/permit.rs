//! The right to connect, or to send one datagram, to one address.
//!
//! The policy decides about an [`Endpoint`], which is canonical: `::ffff:10.0.0.1` is `10.0.0.1`, and an IPv6 scope is
//! no part of it. The system needs the address as the guest wrote it, scope and flow label included. So the enforcer
//! asks about the one, and makes of the answer and the other what is here: the only thing that the steps which lead
//! out of the machine take. Whoever has one has passed the policy, and whoever has not cannot take the step.

use std::net::SocketAddr;

use outport_policy::{Endpoint, Permit, Reason};

use super::DecisionId;
use crate::denied::Denied;

/// The right to connect, or to send one datagram, to [`remote`](ConnectPermit::remote). Nothing else makes one than the
/// [`Enforcer`](super::Enforcer), and it cannot be copied.
#[derive(Debug)]
#[must_use = "what was permitted is done with the permit, or not at all"]
pub(crate) struct ConnectPermit {
    remote: SocketAddr,
    decision: DecisionId,
}

impl ConnectPermit {
    /// Binds what the policy permitted to the address that the system gets.
    ///
    /// # Errors
    ///
    /// The two are not the same destination: a mistake of ours, which permits nothing (ORD-4).
    pub(super) fn new(permit: Permit<'_>, remote: SocketAddr, decision: DecisionId) -> Result<Self, Denied> {
        match permit.into_remote() {
            Some(permitted) if permitted == Endpoint::from(remote) => Ok(Self { remote, decision }),
            _ => Err(Denied::new(Reason::ErrorInternal)),
        }
    }

    /// The only address that may be connected or sent to.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The decision that permitted it, by which its outcomes name it.
    pub(crate) fn decision(&self) -> DecisionId {
        self.decision
    }
}
