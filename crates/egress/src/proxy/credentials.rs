//! Who a proxy is spoken to as. Nothing that shows it shows the password, or the user.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Arc<str>,
    password: Arc<str>,
}

/// Why there are no such credentials. It quotes nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Not UTF-8.
    #[error("this is not UTF-8 text")]
    NotText,
    /// No colon.
    #[error("there is no `:` between user and password; write `user:password` on one line")]
    NoColon,
    /// An empty user.
    #[error("there is no user before the `:`")]
    NoUser,
    /// A colon in the user, which ends it for whoever reads it (RFC 7617, section 2).
    #[error("the user has a `:`")]
    ColonInUser,
    /// A control character, a line end among them.
    #[error("there is a control character or a second line; write `user:password` on one line")]
    Control,
    /// Longer than [`MAX_LENGTH`](Credentials::MAX_LENGTH).
    #[error("this is longer than {} bytes", Credentials::MAX_LENGTH)]
    TooLong,
    /// More than SOCKS5 has room for (RFC 1929).
    #[error("SOCKS5 has room for 255 bytes of a user, and for 1 to 255 of a password")]
    NotForSocks5,
}

impl Credentials {
    /// Bytes of the longest credentials, with their colon.
    pub const MAX_LENGTH: usize = 1024;

    /// The credentials of a user and a password.
    ///
    /// # Errors
    ///
    /// What cannot be sent.
    pub fn new(user: &str, password: &str) -> Result<Self, CredentialsError> {
        if user.is_empty() {
            Err(CredentialsError::NoUser)
        } else if user.contains(':') {
            Err(CredentialsError::ColonInUser)
        } else if user.chars().chain(password.chars()).any(char::is_control) {
            Err(CredentialsError::Control)
        } else if user.len() + 1 + password.len() > Self::MAX_LENGTH {
            Err(CredentialsError::TooLong)
        } else {
            Ok(Self {
                user: user.into(),
                password: password.into(),
            })
        }
    }

    /// Reads `user:password`, with or without a line end behind it: the content of a file.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn parse(content: &[u8]) -> Result<Self, CredentialsError> {
        if content.len() > Self::MAX_LENGTH + "\r\n".len() {
            return Err(CredentialsError::TooLong);
        }
        let text = str::from_utf8(content).map_err(|_| CredentialsError::NotText)?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let (user, password) = text.split_once(':').ok_or(CredentialsError::NoColon)?;
        Self::new(user, password)
    }

    /// The value of `Proxy-Authorization` (RFC 7617).
    pub(super) fn basic(&self) -> String {
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", self.user, self.password))
        )
    }

    /// The message of SOCKS5 (RFC 1929).
    pub(super) fn socks5(&self) -> Result<Vec<u8>, CredentialsError> {
        let length = |text: &str| u8::try_from(text.len()).map_err(|_| CredentialsError::NotForSocks5);
        let mut message = vec![1, length(&self.user)?];
        message.extend_from_slice(self.user.as_bytes());
        message.push(length(&self.password)?);
        message.extend_from_slice(self.password.as_bytes());
        Ok(message)
    }

    /// Whether SOCKS5 has room for them.
    pub(super) fn fit_socks5(&self) -> Result<(), CredentialsError> {
        if self.password.is_empty() {
            return Err(CredentialsError::NotForSocks5);
        }
        self.socks5().map(drop)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_user_and_a_password_on_one_line() {
        use CredentialsError as E;
        let long = format!("u:{}", "x".repeat(Credentials::MAX_LENGTH));
        let longest = format!("u:{}\r\n", "x".repeat(Credentials::MAX_LENGTH - 2));
        for (content, expected) in [
            (&b"user:secret"[..], Ok(("user", "secret"))),
            (b"user:secret\n", Ok(("user", "secret"))),
            (b"user:secret\r\n", Ok(("user", "secret"))),
            (b"user:se:cr:et", Ok(("user", "se:cr:et"))),
            (b"user: secret ", Ok(("user", " secret "))),
            (b"user:", Ok(("user", ""))),
            ("üser:pässword".as_bytes(), Ok(("üser", "pässword"))),
            (b"", Err(E::NoColon)),
            (b"user", Err(E::NoColon)),
            (b":secret", Err(E::NoUser)),
            (b"user:secret\n\n", Err(E::Control)),
            (b"user:sec\nret", Err(E::Control)),
            (b"user:sec\0ret", Err(E::Control)),
            (b"user:\xff", Err(E::NotText)),
            (long.as_bytes(), Err(E::TooLong)),
            (longest.as_bytes(), Ok(("u", &longest[2..longest.len() - 2]))),
        ] {
            let expected = expected.map(|(user, password)| Credentials::new(user, password).unwrap());
            assert_eq!(Credentials::parse(content), expected, "{content:?}");
        }
    }

    #[test]
    fn each_protocol_has_its_form() {
        // The example of RFC 7617, section 2.
        let aladdin = Credentials::new("Aladdin", "open sesame").unwrap();
        assert_eq!(aladdin.basic(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(aladdin.socks5().unwrap(), b"\x01\x07Aladdin\x0bopen sesame");
        let fits = |user: usize, password: usize| {
            let credentials = Credentials::new(&"u".repeat(user), &"p".repeat(password)).unwrap();
            credentials.fit_socks5().is_ok()
        };
        assert!(fits(255, 255) && fits(1, 1));
        assert!(!fits(256, 1) && !fits(1, 256) && !fits(1, 0));
    }
}
