//! Why a connection came about and is of no use: its server and the interface did not agree to speak.
//!
//! The guest is told in the words of it. The log has the code, and the operator's terminal the words too, but for those that
//! may hold the guest's password: some servers repeat what they do not understand.

#[cfg(feature = "tls")]
use std::io;

use super::error::DialError;

/// The failure of TLS, of authentication, or of what else comes before the first statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct IntroductionFailure {
    kind: Kind,
    words: String,
}

/// An error that [`introduce`](super::AuthorizedDestination::introduce) can end with.
pub trait NotIntroduced: From<DialError> {
    /// The failure, unless it is one of what was before: of the policy, or of connecting.
    fn failure(&self) -> Option<&IntroductionFailure>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Certificate,
    Tls,
    NoTls,
    Broken,
    Silent,
    NotUnderstood,
    Refused,
    Said,
}

impl IntroductionFailure {
    /// TLS cannot be agreed on; `advice` follows what is wrong with it.
    #[cfg(feature = "tls")]
    pub fn tls(error: &io::Error, advice: &str) -> Self {
        let of_tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let kind = match of_tls {
            Some(rustls::Error::InvalidCertificate(_)) => Kind::Certificate,
            _ => Kind::Tls,
        };
        Self::new(kind, format!("TLS cannot be agreed on: {error}{advice}"))
    }

    /// TLS is demanded, and the server has none.
    pub fn no_tls(words: impl Into<String>) -> Self {
        Self::new(Kind::NoTls, words)
    }

    /// The connection was broken off.
    pub fn broken(words: impl Into<String>) -> Self {
        Self::new(Kind::Broken, words)
    }

    /// No answer came in time.
    pub fn silent(words: impl Into<String>) -> Self {
        Self::new(Kind::Silent, words)
    }

    /// What came is not of the protocol, or not to be done.
    pub fn not_understood(words: impl Into<String>) -> Self {
        Self::new(Kind::NotUnderstood, words)
    }

    /// The server refuses, in Outport's words.
    pub fn refused(words: impl Into<String>) -> Self {
        Self::new(Kind::Refused, words)
    }

    /// The server refuses, in its own words.
    pub fn said(words: impl Into<String>) -> Self {
        Self::new(Kind::Said, words)
    }

    fn new(kind: Kind, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { kind, words }
    }

    /// The code in the log. The words are those of `wasi:http`, where it has one.
    pub(super) fn code(&self) -> &'static str {
        match self.kind {
            Kind::Certificate => "tls-certificate-error",
            Kind::Tls => "tls-protocol-error",
            Kind::NoTls => "tls-not-offered",
            Kind::Broken => "connection-terminated",
            Kind::Silent => "connection-read-timeout",
            Kind::NotUnderstood => "protocol-error",
            Kind::Refused | Kind::Said => "server-refused",
        }
    }

    /// The words for the operator, unless they may hold `secret`. A server may repeat only the beginning of it.
    pub(super) fn for_operator(&self, secret: Option<&str>) -> Option<String> {
        let beginning = secret.map(|secret| match secret.char_indices().nth(SECRET_BEGINNING) {
            Some((end, _)) => &secret[..end],
            None => secret,
        });
        match (self.kind, beginning) {
            // These are Outport's own.
            (Kind::NoTls | Kind::Silent | Kind::Refused, _) => Some(self.words.clone()),
            (_, Some(beginning)) if !beginning.is_empty() && self.words.contains(beginning) => None,
            (Kind::Said, _) => Some(format!("the server says: {}", self.words)),
            _ => Some(self.words.clone()),
        }
    }
}

/// Characters of a secret by which it is known again.
const SECRET_BEGINNING: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    // proves: RSN-6
    #[test]
    fn what_a_server_says_is_shown_unless_it_may_hold_the_password() {
        let said = "ERR unknown command 'AUTH', with args beginning with: 'me' 'correct-ho";
        for (secret, shown) in [
            (None, true),
            (Some(""), true),
            (Some("other"), true),
            (Some("correct-horse-battery"), false),
            (Some("corr"), false),
            (Some("me"), false),
            (Some("corn"), true),
            (Some("ü"), true),
        ] {
            let words = IntroductionFailure::said(said).for_operator(secret);
            assert_eq!(
                words,
                shown.then(|| format!("the server says: {said}")),
                "{secret:?}"
            );
        }
    }
}
