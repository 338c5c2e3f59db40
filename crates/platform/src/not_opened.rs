//! Why a guest has no connection to a server of a database, in words that it may be told.

use outport_egress::DialError;

use crate::places::NoPlace;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    /// The log has why.
    #[error("it is not permitted")]
    Denied,
    #[error("the address is not understood: {0}")]
    Address(&'static str),
    #[error("too many connections are open")]
    TooMany,
    #[error("{0}")]
    Failed(String),
    #[error("the server did not answer in time")]
    Silent,
}

impl From<NoPlace> for NotOpened {
    fn from(_: NoPlace) -> Self {
        Self::TooMany
    }
}

impl From<DialError> for NotOpened {
    fn from(error: DialError) -> Self {
        match error {
            error if error.is_refused() => Self::Denied,
            DialError::Quota => Self::TooMany,
            error => Self::Failed(error.to_string()),
        }
    }
}
