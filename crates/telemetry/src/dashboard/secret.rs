//! The secret in the URL of the dashboard.

use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;
use subtle::ConstantTimeEq;

/// What has to be known to be answered. Not shown by `Debug`.
pub(super) struct Secret(String);

/// Bytes that are drawn: 192 bits.
const BYTES: usize = 24;

impl Secret {
    /// A new one, from the system; none where it gives no random numbers.
    pub(super) fn draw() -> Option<Self> {
        let mut bytes = [0; BYTES];
        SysRng.try_fill_bytes(&mut bytes).ok()?;
        Some(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// As it stands in the URL.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// True if `text` is it. How long that takes says nothing of where they differ.
    pub(super) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_its_own_and_not_shown() {
        let (one, other) = (Secret::draw().unwrap(), Secret::draw().unwrap());
        assert_eq!(one.as_str().len(), 2 * BYTES);
        assert_ne!(one.as_str(), other.as_str());
        assert!(one.is(one.as_str()));
        for wrong in ["", "0", other.as_str(), &one.as_str()[1..]] {
            assert!(!one.is(wrong), "{wrong}");
        }
        assert_eq!(format!("{one:?}"), "Secret");
    }
}
