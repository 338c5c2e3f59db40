//! The target of a connection that the host makes for a guest.

use std::sync::Arc;

use outport_policy::{AnswerSource, Attempt, Endpoint, Host, Name, Reason, Scheme, Usage};

use super::destination::Destination;
use super::use_slot::UseSlot;
use crate::denied::{Denied, DeniedKind};
use crate::dns::Answer;
use crate::enforcer::{ConnectPermit, Enforcer, Step};

/// One address that a destination may be reached at, with all that its judgement looks at: whenever it is judged again,
/// it is as it was when it was judged first.
#[derive(Clone, Debug)]
pub(crate) struct DialTarget {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    /// The names that the answer led through.
    pub(crate) chain: Vec<Name>,
    pub(crate) remote: Endpoint,
    /// The source of the answer.
    pub(crate) source: AnswerSource,
}

/// The right to use one connection once more.
#[must_use = "what was permitted is done with the permit, or not at all"]
pub(crate) struct UsePermit {
    target: Arc<DialTarget>,
    permit: ConnectPermit,
}

/// The reason why a connection is not used once more.
pub(crate) enum NotUsed {
    /// Only a quota is in the way. Nobody was told.
    NoRoom,
    /// Forbidden by now. That was recorded.
    Refused,
}

impl DialTarget {
    /// One for each address of the answer about `destination`, in its order.
    pub(crate) fn all(destination: &Destination, answer: &Answer) -> Vec<Self> {
        let target = |address| Self {
            scheme: destination.scheme.clone(),
            host: destination.host.clone(),
            chain: answer.chain.clone(),
            remote: Endpoint::new(address, destination.port),
            source: answer.source,
        };
        answer.addresses.iter().copied().map(target).collect()
    }

    /// Judges connecting to there while `usage` is held.
    pub(crate) fn authorize(&self, enforcer: &Enforcer, usage: Usage) -> Result<ConnectPermit, Denied> {
        enforcer.authorize_dial(&self.attempt(), self.remote.into(), usage)
    }

    /// Judges another use, which `slot` counts, of a connection to there. Where only a quota is in the way somebody
    /// else may use it, and this instance waits for a slot ([`connection_slot`](super::connection_slot)): that is no
    /// denial yet, so it is neither counted nor recorded.
    pub(crate) fn authorize_use(
        self: &Arc<Self>,
        enforcer: &Enforcer,
        slot: &UseSlot,
    ) -> Result<UsePermit, NotUsed> {
        // The connection is among those that are counted, and it takes no further slot but with its instance.
        let usage = slot.usage_of_instance();
        if let Err(denied) = enforcer.recheck(&self.attempt(), usage)
            && denied.kind() == DeniedKind::Quota
        {
            return Err(NotUsed::NoRoom);
        }
        let permit = self.authorize(enforcer, usage).map_err(|_| NotUsed::Refused)?;
        Ok(UsePermit {
            target: Arc::clone(self),
            permit,
        })
    }

    /// To connect to there, for the policy.
    pub(crate) fn attempt(&self) -> Attempt<'_> {
        Attempt::Dial {
            scheme: &self.scheme,
            host: &self.host,
            chain: &self.chain,
            remote: self.remote,
            source: self.source,
        }
    }
}

impl UsePermit {
    /// Begins a use of the connection that was made to `target`.
    ///
    /// # Errors
    ///
    /// The permit is for another connection: a mistake of ours, which permits nothing (ORD-4).
    pub(crate) fn spend(self, target: &Arc<DialTarget>) -> Result<(), Denied> {
        let remote = self.permit.spend(Step::ConnectStream)?;
        if Arc::ptr_eq(&self.target, target) && remote == target.remote.into() {
            Ok(())
        } else {
            Err(Denied::new(Reason::ErrorInternal))
        }
    }
}
