//! Why a guest has no connection to a server, in words that it may be told.

use outport_egress::{DialError, IntroductionFailure, NotIntroduced};

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
    /// There is one, and the server and the interface do not agree to speak.
    #[error(transparent)]
    NotIntroduced(#[from] IntroductionFailure),
}

impl NotIntroduced for NotOpened {
    fn failure(&self) -> Option<&IntroductionFailure> {
        match self {
            Self::NotIntroduced(failure) => Some(failure),
            Self::Denied | Self::Address(_) | Self::TooMany | Self::Failed(_) => None,
        }
    }
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

/// The server said nothing for too long.
pub(crate) fn silent() -> NotOpened {
    IntroductionFailure::silent("the server did not answer in time").into()
}
