//! The value of a variable, which may be secret.

use std::fmt;
use std::sync::Arc;

/// Text that may be secret. Secret text is shown as `***` by `Display` and `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct VariableText {
    text: Arc<str>,
    secret: bool,
}

impl VariableText {
    /// Text that may be shown.
    pub fn public(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            secret: false,
        }
    }

    /// Text that must not be shown.
    pub fn secret(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            secret: true,
        }
    }

    /// The text itself, also if it is secret: for the guest and for parsing, never for a message.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// True if it must not be shown.
    pub fn is_secret(&self) -> bool {
        self.secret
    }
}

impl fmt::Display for VariableText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secret { "***" } else { &self.text })
    }
}

impl fmt::Debug for VariableText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret {
            f.write_str("***")
        } else {
            fmt::Debug::fmt(&*self.text, f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_text_is_never_shown() {
        let secret = VariableText::secret("hunter2");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "*** *** Some(***)"
        );
        let public = VariableText::public("x");
        assert_eq!(format!("{public} {public:?}"), "x \"x\"");
    }
}
