//! Why a proxy gave no connection, for the guest and for the operator.
//!
//! The guest gets the error that it would get without a proxy, or the nearest one (PX-5); `docs/egress-proxy.md` has the
//! table. What is the proxy's own fault is told to the operator as a warning, each kind at most once a minute: all guests
//! have it at once, and none can make it.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::denied::Denied;

/// Why there is no connection through a proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The permit was for something else: a mistake of ours, which connects nothing.
    #[error("there was no permit for it")]
    NotPermitted,
    /// The address has no form that a proxy could be asked for.
    #[error("an address with a scope means nothing to it")]
    Scoped,
    /// The address turned out to be the proxy's own.
    #[error("it would have to connect to itself")]
    Itself,
    /// Its name has no address.
    #[error("its name has no address")]
    NoAddress,
    /// It cannot be connected to.
    #[error("it cannot be connected to: {0}")]
    Unreachable(#[source] io::Error),
    /// It was connected to, and the connection broke.
    #[error("the connection to it broke: {0}")]
    Broken(#[source] io::Error),
    /// It says nothing, or not all.
    #[error("it did not answer within {} s", TUNNEL_TIME.as_secs())]
    Silent,
    /// It has ended the connection instead of answering.
    #[error("it closed the connection instead of answering")]
    Closed,
    /// It says what makes no sense in its protocol.
    #[error("it does not answer as a proxy of its kind does: {0}")]
    Garbled(&'static str),
    /// It wants to know who asks.
    #[error("it wants a user and a password, and is given none")]
    WantsCredentials,
    /// It does not know who asks.
    #[error("it does not take the user and the password that it is given")]
    RefusesCredentials,
    /// It answers by HTTP, and not with success.
    #[error("it answers with status {0}")]
    Status(u16),
    /// It answers by SOCKS, and not with success.
    #[error("it answers `{}` ({})", reply(*.0), .0)]
    Reply(u8),
}

/// The time for a connection through a proxy, from the look-up of its name to its answer.
pub(super) const TUNNEL_TIME: Duration = Duration::from_secs(15);

/// The kinds of fault that are told to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Gone,
    Silent,
    Garbled,
    Credentials,
}

impl Fault {
    pub(super) const COUNT: usize = 4;
}

impl Trouble {
    /// The error of the system that a guest would have seen.
    pub(crate) fn errno(&self) -> Errno {
        match self {
            Self::NotPermitted | Self::Itself | Self::WantsCredentials | Self::RefusesCredentials => {
                Errno::ACCESS
            }
            Self::Unreachable(error) if error.kind() == io::ErrorKind::TimedOut => Errno::TIMEDOUT,
            // Not the destination's: it may be fine.
            Self::Scoped | Self::NoAddress | Self::Unreachable(_) => Errno::HOSTUNREACH,
            Self::Silent => Errno::TIMEDOUT,
            Self::Broken(_) | Self::Closed | Self::Garbled(_) => Errno::CONNRESET,
            Self::Status(status) => match status {
                401 | 403 => Errno::ACCESS,
                404 => Errno::HOSTUNREACH,
                408 | 504 => Errno::TIMEDOUT,
                _ => Errno::CONNREFUSED,
            },
            Self::Reply(code) => match code {
                2 => Errno::ACCESS,
                3 => Errno::NETUNREACH,
                4 | 8 => Errno::HOSTUNREACH,
                6 => Errno::TIMEDOUT,
                _ => Errno::CONNREFUSED,
            },
        }
    }

    /// The fault of the proxy, where it is one that no destination makes.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self {
            Self::NoAddress | Self::Unreachable(_) | Self::Broken(_) | Self::Closed => Some(Fault::Gone),
            Self::Silent => Some(Fault::Silent),
            Self::Garbled(_) => Some(Fault::Garbled),
            Self::WantsCredentials | Self::RefusesCredentials => Some(Fault::Credentials),
            Self::NotPermitted | Self::Scoped | Self::Itself | Self::Status(_) | Self::Reply(_) => None,
        }
    }

    /// The words for the operator, who reads them behind "it is allowed, but".
    pub(crate) fn said(&self) -> String {
        format!("the egress proxy gives no connection: {self}")
    }

    /// The trouble that an error of [`into_io`](Self::into_io) was.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }

    /// The same for whoever connects for a guest.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::new(io::Error::from(self.errno()).kind(), self)
    }
}

impl From<Denied> for Trouble {
    fn from(_: Denied) -> Self {
        Self::NotPermitted
    }
}

/// The meaning of a reply (RFC 1928, section 6).
fn reply(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "not allowed",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::sockets::ErrorCode;

    use super::*;

    // proves: PX-5
    #[test]
    fn a_guest_gets_the_nearest_error_of_its_own() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        for (trouble, expected) in [
            (Trouble::Status(403), "AccessDenied"),
            (Trouble::WantsCredentials, "AccessDenied"),
            (Trouble::RefusesCredentials, "AccessDenied"),
            (Trouble::Status(302), "ConnectionRefused"),
            (Trouble::Status(404), "RemoteUnreachable"),
            (Trouble::Status(500), "ConnectionRefused"),
            (Trouble::Status(502), "ConnectionRefused"),
            (Trouble::Status(503), "ConnectionRefused"),
            (Trouble::Status(504), "Timeout"),
            (Trouble::Reply(1), "ConnectionRefused"),
            (Trouble::Reply(2), "AccessDenied"),
            (Trouble::Reply(3), "RemoteUnreachable"),
            (Trouble::Reply(4), "RemoteUnreachable"),
            (Trouble::Reply(5), "ConnectionRefused"),
            (Trouble::Reply(6), "Timeout"),
            (Trouble::Reply(7), "ConnectionRefused"),
            (Trouble::Reply(8), "RemoteUnreachable"),
            (Trouble::Reply(200), "ConnectionRefused"),
            (Trouble::NoAddress, "RemoteUnreachable"),
            (Trouble::Unreachable(refused()), "RemoteUnreachable"),
            (Trouble::Silent, "Timeout"),
            (Trouble::Closed, "ConnectionReset"),
            (Trouble::Garbled(""), "ConnectionReset"),
        ] {
            let code = ErrorCode::from(trouble.errno());
            assert_eq!(format!("{code:?}"), expected, "{trouble}");
            let kind = io::Error::from(trouble.errno()).kind();
            assert_eq!(trouble.into_io().kind(), kind);
        }
    }
}
