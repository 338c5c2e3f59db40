//! One socket in the counts, for as long as it lasts.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use outport_policy::{Attempt, Transport};

use crate::connections::{Registration, Way};
use crate::followed::Followed;
use crate::instance::{DecisionId, InstanceGate};
use crate::refusal::Refusal;

/// One socket in the counts of its instance, its component and the process. Dropping it gives the place back.
pub(crate) struct SocketSlot {
    gate: Arc<InstanceGate>,
    created: OnceLock<DecisionId>,
    connection: OnceLock<Registration>,
}

impl SocketSlot {
    /// Takes a place for a new socket.
    ///
    /// The place is taken before it is judged, so that two threads cannot both get the last one, and given back
    /// when the judgement is a refusal.
    ///
    /// # Errors
    ///
    /// The refusal: UDP that is not lifted, or a quota that is used up.
    pub(crate) fn take(gate: &Arc<InstanceGate>, transport: Transport) -> Result<Arc<SocketSlot>, Refusal> {
        let before = gate.held().count_socket();
        let slot = Arc::new(SocketSlot {
            gate: gate.clone(),
            created: OnceLock::new(),
            connection: OnceLock::new(),
        });
        let created = gate.judge_counted("socket.create", &Attempt::CreateSocket { transport }, before)?;
        let _ = slot.created.set(created);
        Ok(slot)
    }

    /// Notes that the socket is connected, which it can be once.
    pub(super) fn connected(
        &self,
        socket: &Arc<OwnedFd>,
        remote: SocketAddr,
        followed: Option<&Arc<Followed>>,
    ) {
        let connections = self.gate.gate().wall().open_connections();
        let way = Way::Socket {
            socket: Arc::downgrade(socket),
        };
        self.connection
            .get_or_init(|| connections.register(&self.gate, remote, way, followed));
    }

    /// The gate of the instance that has the socket.
    pub(super) fn gate(&self) -> &Arc<InstanceGate> {
        &self.gate
    }

    /// The decision that there may be the socket.
    pub(super) fn created(&self) -> DecisionId {
        self.created.get().copied().unwrap_or_default()
    }
}

impl Drop for SocketSlot {
    fn drop(&mut self) {
        self.gate.held().uncount_socket();
    }
}
