//! The reason why there is no component.

/// The reason why no component can be made of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdaptError {
    /// It is damaged.
    #[error("{reason}")]
    Invalid {
        /// The reader's message.
        reason: String,
    },
}

impl AdaptError {
    pub(crate) fn invalid(reason: impl ToString) -> Self {
        Self::Invalid {
            reason: reason.to_string(),
        }
    }

    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Invalid { .. } => None,
        }
    }
}
