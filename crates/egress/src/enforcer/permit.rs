//! The right to connect, or to send one datagram, to one address.
//!
//! The policy decides about an [`Endpoint`], which is canonical: `::ffff:10.0.0.1` is `10.0.0.1`, and an IPv6 scope is
//! no part of it. The system needs the address as the guest wrote it, scope and flow label included. So the enforcer
//! asks about the one, and makes of the answer and the other what is here: the only thing that the steps which lead
//! out of the machine take. Whoever has one has passed the policy, and whoever has not cannot take the step. A permit is
//! for one kind of step, too: one to send a datagram connects nothing. And it says whether the step is taken directly:
//! whoever has one that leads through the operator's proxy cannot take it without.

use std::net::SocketAddr;
use std::sync::Arc;

use outport_policy::{Attempt, Endpoint, Permit, Reason, Transport};

use super::DecisionId;
use crate::denied::Denied;
use crate::proxy::ProxyServer;

/// The right to take one step to one address, once. Nothing else makes one than the [`Enforcer`](super::Enforcer), and it
/// cannot be copied.
#[derive(Debug)]
#[must_use = "what was permitted is done with the permit, or not at all"]
pub(crate) struct ConnectPermit {
    step: Step,
    remote: SocketAddr,
    decision: DecisionId,
    /// The proxy that has to be asked for the connection; none: it is made directly.
    proxy: Option<Arc<ProxyServer>>,
}

/// A kind of step that leads out of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A TCP connection, of the guest or made for it.
    ConnectStream,
    /// A UDP socket that is to speak to one peer alone.
    ConnectDatagrams,
    /// One datagram.
    SendDatagram,
}

impl ConnectPermit {
    /// Binds what the policy permitted of `attempt` to the address that the system gets.
    ///
    /// # Errors
    ///
    /// The two are not the same destination, or the attempt leads nowhere: a mistake of ours, which permits nothing
    /// (ORD-4).
    pub(super) fn new(
        attempt: &Attempt<'_>,
        permit: Permit<'_>,
        remote: SocketAddr,
        decision: DecisionId,
    ) -> Result<Self, Denied> {
        match (Step::of(attempt), permit.into_remote()) {
            (Some(step), Some(permitted)) if permitted == Endpoint::from(remote) => Ok(Self {
                step,
                remote,
                decision,
                proxy: None,
            }),
            _ => Err(Denied::new(Reason::ErrorInternal)),
        }
    }

    /// The only address that may be connected or sent to, for whoever takes this step now.
    ///
    /// # Errors
    ///
    /// The permit is for another step: a mistake of ours, which permits nothing (ORD-4).
    pub(crate) fn spend(self, step: Step) -> Result<SocketAddr, Denied> {
        if self.step == step {
            Ok(self.remote)
        } else {
            Err(Denied::new(Reason::ErrorInternal))
        }
    }

    /// The same, for a connection that `proxy` is asked for.
    pub(super) fn through(self, proxy: Option<Arc<ProxyServer>>) -> Self {
        Self { proxy, ..self }
    }

    /// The proxy that has to be asked for the connection, if it is not made directly.
    pub(crate) fn proxy(&self) -> Option<&Arc<ProxyServer>> {
        self.proxy.as_ref()
    }

    /// The decision that permitted it, by which its outcomes name it.
    pub(crate) fn decision(&self) -> DecisionId {
        self.decision
    }
}

impl Step {
    /// The step that an attempt is about, if it leads out of the machine.
    fn of(attempt: &Attempt<'_>) -> Option<Self> {
        match attempt {
            Attempt::Dial { .. } => Some(Self::ConnectStream),
            Attempt::Connect { transport, .. } => Some(match transport {
                Transport::Tcp => Self::ConnectStream,
                Transport::Udp => Self::ConnectDatagrams,
            }),
            Attempt::Send { .. } => Some(Self::SendDatagram),
            _ => None,
        }
    }
}
