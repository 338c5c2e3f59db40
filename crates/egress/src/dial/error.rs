//! Why there is no connection.

use std::io;

use crate::denied::{Denied, DeniedKind};
use crate::lookup::LookupError;
use crate::proxy::Trouble;

/// Why no connection came about. The interface says it in its own terms, and the audit log has the reason of a refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The policy refuses the host, as it was written or as a search domain completes it.
    #[error("it is not permitted")]
    HostRefused,
    /// The policy refuses every address of the host.
    #[error("it is not permitted")]
    AddressRefused,
    /// Permitted, but so much is open already that there was no room for five seconds.
    #[error("too many connections are open")]
    Quota,
    /// The host has no address.
    #[error(transparent)]
    Lookup(#[from] LookupFailure),
    /// No address could be connected to; the error is that of the last one.
    #[error("{}", said(.0))]
    Connect(#[source] io::Error),
}

/// Why a host has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupFailure {
    /// The name does not exist, or has no address.
    #[error("the name does not exist, or has no address")]
    Unresolvable,
    /// The name servers failed or were silent.
    #[error("the name servers failed or were silent")]
    Temporary,
    /// The component has asked for as many names, or as often, as it may in this time (BUD-1, BUD-2). Its guest is told what
    /// it is told of name servers that fail.
    #[error("the name servers failed or were silent")]
    OverBudget,
    /// The name servers refuse to answer for it.
    #[error("the name servers refuse to answer for it")]
    Permanent,
}

impl DialError {
    /// True if the policy refused it, which is all that its guest may know.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::HostRefused | Self::AddressRefused)
    }

    /// The host was refused before anything was resolved.
    pub(crate) fn of_denied_host(denied: Denied) -> Self {
        match denied.kind() {
            DeniedKind::Quota => Self::Quota,
            DeniedKind::Policy => Self::HostRefused,
        }
    }

    /// The words for it where it is the operator's proxy that gave no connection.
    pub(crate) fn said_of_proxy(&self) -> Option<String> {
        match self {
            Self::Connect(error) => Trouble::of(error).map(Trouble::said),
            _ => None,
        }
    }

    /// The code of it in the log. The words are those of `wasi:http`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::HostRefused => "http-request-denied",
            Self::AddressRefused => "destination-ip-prohibited",
            Self::Quota => "connection-limit-reached",
            Self::Lookup(LookupFailure::Unresolvable | LookupFailure::Permanent) => "dns-error",
            Self::Lookup(LookupFailure::Temporary) => "dns-timeout",
            Self::Lookup(LookupFailure::OverBudget) => LookupError::OverBudget.code(),
            Self::Connect(error) => match Obstacle::of(error) {
                Obstacle::Refused => "connection-refused",
                Obstacle::TimedOut => "connection-timeout",
                Obstacle::NoRoute => "destination-ip-unroutable",
                Obstacle::Broken => "connection-terminated",
                Obstacle::Prohibited => "destination-ip-prohibited",
                Obstacle::Other => "destination-unavailable",
            },
        }
    }
}

impl From<LookupError> for DialError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Denied => Self::HostRefused,
            LookupError::NotAName | LookupError::Unresolvable => Self::Lookup(LookupFailure::Unresolvable),
            LookupError::TooMany | LookupError::TemporaryFailure => Self::Lookup(LookupFailure::Temporary),
            LookupError::OverBudget => Self::Lookup(LookupFailure::OverBudget),
            LookupError::PermanentFailure => Self::Lookup(LookupFailure::Permanent),
        }
    }
}

/// The obstacle that kept an address from being connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Nobody listens there.
    Refused,
    /// Nobody answered in time.
    TimedOut,
    /// There is no way to it.
    NoRoute,
    /// Broken off on the way.
    Broken,
    /// The operator's proxy does not permit it.
    Prohibited,
    /// Anything else.
    Other,
}

impl Obstacle {
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable => Self::NoRoute,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Broken,
            io::ErrorKind::PermissionDenied if Trouble::of(error).is_some() => Self::Prohibited,
            _ => Self::Other,
        }
    }
}

fn said(error: &io::Error) -> &'static str {
    match Obstacle::of(error) {
        Obstacle::Refused => "nobody listens there",
        Obstacle::TimedOut => "nobody answered in time",
        Obstacle::NoRoute => "there is no route to it",
        Obstacle::Broken => "the connection was broken off",
        Obstacle::Prohibited => "the operator's proxy does not permit it",
        Obstacle::Other => "it cannot be connected to",
    }
}
