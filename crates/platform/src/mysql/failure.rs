//! What a guest is told when a statement fails.

use super::greeting::Said;
use super::packets::Ended;
use super::values::NoValue;
use crate::rdbms::types::Error;

/// Why a statement has no answer that the guest could use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Said(Said),
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error("the server did not answer in time")]
    Silent,
    #[error("the server wants a file of this machine, and gets none")]
    File,
    #[error("the connection was given up in the middle of an answer")]
    GivenUp,
    #[error("the connection is at another statement")]
    Busy,
    #[error("the statement has {wanted} parameters, and {given} were given")]
    Parameters { wanted: usize, given: usize },
    #[error("the column `{column}`: {why}")]
    Value { column: String, why: NoValue },
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let why = failure.to_string();
        match failure {
            Failure::Parameters { .. } => Self::BadParameter(why),
            Failure::Value { .. } => Self::ValueConversionFailed(why),
            Failure::Busy => Self::Other(why),
            Failure::Said(_) | Failure::Ended(_) | Failure::Silent | Failure::File | Failure::GivenUp => {
                Self::QueryFailed(why)
            }
        }
    }
}
