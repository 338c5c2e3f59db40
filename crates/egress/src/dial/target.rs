//! The target of a connection that the host makes for a guest.

use outport_policy::{AnswerSource, Attempt, Endpoint, Host, Name, Scheme, Usage};

use super::destination::Destination;
use crate::denied::Denied;
use crate::dns::Answer;
use crate::enforcer::{ConnectPermit, Enforcer};

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
