//! One socket in the counts, for as long as it lasts.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use outport_policy::{Attempt, Endpoint, Transport};

use crate::denied::Denied;
use crate::enforcer::{DecisionId, Enforcer};
use crate::established::{self, Way};
use crate::followed::Followed;
use crate::process::connections::Registration;
use crate::tls_usage::OpenRemote;

/// One socket in the counts of its instance, its component and the process. Dropping it gives the place back.
pub(crate) struct SocketSlot {
    enforcer: Arc<Enforcer>,
    created: OnceLock<DecisionId>,
    connection: OnceLock<(Registration, OpenRemote)>,
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
    pub(crate) fn take(enforcer: &Arc<Enforcer>, transport: Transport) -> Result<Arc<Self>, Denied> {
        let before = enforcer.usage_counter().count_socket();
        let slot = Arc::new(Self {
            enforcer: enforcer.clone(),
            created: OnceLock::new(),
            connection: OnceLock::new(),
        });
        let created = enforcer.authorize(&Attempt::CreateSocket { transport }, before)?;
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
        let way = Way::Socket(remote);
        self.connection.get_or_init(|| {
            let port = self.enforcer.tls_usage().opened(Endpoint::from(remote));
            let registration = established::register(&self.enforcer, socket, way, followed);
            (registration, port)
        });
    }

    /// The enforcer of the instance that has the socket.
    pub(super) fn enforcer(&self) -> &Arc<Enforcer> {
        &self.enforcer
    }

    /// The decision that there may be the socket.
    pub(super) fn created(&self) -> DecisionId {
        self.created.get().copied().unwrap_or_default()
    }
}

impl Drop for SocketSlot {
    fn drop(&mut self) {
        self.enforcer.usage_counter().uncount_socket();
    }
}
