//! Listening to brokers and queues, for the triggers of an app.
//!
//! ```text
//! address, and what is listened to ── parsed, or refused ─▶ Subscriber, Queue
//!   │ subscribe(dialer) ─ judged by name, resolved, each address judged ── refused ─▶ NotListening::Denied
//!   ▼
//! Subscription
//!   │ next ────▶ one message; nothing more is read while it is worked on
//!   │ attend ──▶ what the connection needs meanwhile
//!   │ settle ──▶ the broker hears that it was handed over
//!   └ leave ───▶ the broker hears that nobody listens any more
//! ```
//!
//! Nothing here waits to try again: whoever listens does, after what made it end. A future of `next` or `attend` may be
//! dropped at any time, and nothing is lost by it. What a broker sends while nobody reads stays in the buffers of the
//! system, and then with the broker (back-pressure); what is kept here is one message, of at most [`MOST_MESSAGE`] bytes.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::BytesMut;
use outport_egress::{Dialer, HostConnection, IntroductionFailure};
use outport_policy::Host;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::BadAddress;
use crate::not_opened::NotOpened;

/// Why nothing is heard of a broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotListening {
    /// The policy refuses it. The log has why.
    #[error("it is not permitted")]
    Denied,
    /// Anything else, in words.
    #[error("{0}")]
    Failed(String),
}

/// Is called for each message of more than [`MOST_MESSAGE`] bytes that has come and was dropped.
pub type TooLong = Arc<dyn Fn() + Send + Sync>;

/// Why a subscription has ended, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub(crate) String);

/// The part of a trigger's address, topic or queue that is not understood. It quotes nothing, since an address may have a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", has(.0))]
pub struct NotAnAddress(pub(crate) &'static str);

impl NotAnAddress {
    /// The part, for a message: `a path`.
    pub fn part(self) -> &'static str {
        self.0
    }
}

/// What a value with this part has, or lacks.
fn has(part: &str) -> String {
    match part.strip_suffix(" that is missing") {
        Some(missing) => format!("it has no {}", missing.strip_prefix("a ").unwrap_or(missing)),
        None => format!("it has {part}"),
    }
}

impl From<BadAddress> for NotAnAddress {
    fn from(BadAddress(part): BadAddress) -> Self {
        Self(part)
    }
}

impl From<NotOpened> for NotListening {
    fn from(error: NotOpened) -> Self {
        match error {
            NotOpened::Denied => Self::Denied,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<Lost> for NotListening {
    fn from(Lost(why): Lost) -> Self {
        Self::Failed(why)
    }
}

/// What a connection carries: a TCP stream, or TLS over one.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for S {}

/// `connection` itself, or TLS over it.
pub(crate) async fn duplex(
    dialer: &Dialer,
    connection: HostConnection,
    host: &Host,
    speaks_tls: bool,
) -> Result<Box<dyn Duplex>, IntroductionFailure> {
    if !speaks_tls {
        return Ok(Box::new(connection));
    }
    let secured = dialer.secure(connection, host).await;
    let secured = secured.map_err(|error| IntroductionFailure::tls(&error, ""))?;
    Ok(Box::new(secured))
}

/// What a server has `said`, for the log, without what it repeats of the secrets that were sent to it. It may repeat only the
/// beginning of one.
#[cfg(any(feature = "redis", feature = "sqs"))]
pub(crate) fn without_secrets<'s>(said: &'s str, secrets: impl IntoIterator<Item = &'s str>) -> Cow<'s, str> {
    let secrets: Vec<(&str, usize)> = secrets
        .into_iter()
        .map(|secret| {
            (
                secret,
                secret.chars().take(SECRET_BEGINNING).map(char::len_utf8).sum(),
            )
        })
        .filter(|(_, beginning)| *beginning > 0)
        .collect();
    if !secrets.iter().any(|(secret, end)| said.contains(&secret[..*end])) {
        return Cow::Borrowed(said);
    }
    let (mut shown, mut rest) = (String::with_capacity(said.len()), said);
    while let Some(first) = rest.chars().next() {
        // Of several that begin alike, the one of which most is repeated.
        let repeated = secrets.iter().filter_map(|(secret, beginning)| {
            let same = rest
                .chars()
                .zip(secret.chars())
                .take_while(|(said, own)| said == own);
            let length: usize = same.map(|(said, _)| said.len_utf8()).sum();
            (length >= *beginning).then_some(length)
        });
        let length = if let Some(length) = repeated.max() {
            shown.push_str("***");
            length
        } else {
            shown.push(first);
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    Cow::Owned(shown)
}

/// Characters of a secret by which it is known again.
#[cfg(any(feature = "redis", feature = "sqs"))]
const SECRET_BEGINNING: usize = 4;

/// Gives back the room that a large message took, once nothing is in it.
pub(crate) fn shrink(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > KEPT {
        *buffer = BytesMut::new();
    }
}

/// Bytes of room that are kept for what comes next.
const KEPT: usize = 64 << 10;

/// Bytes of a message that a component can be handed. A longer one is dropped, and said: a component would hardly have the
/// memory for it, and whoever comes after it should not wait for ever.
pub const MOST_MESSAGE: usize = 16 << 20;

#[cfg(all(test, any(feature = "redis", feature = "sqs")))]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_repeats_of_a_secret_is_not_told() {
        for (said, secrets, shown) in [
            (
                "you were hunter2pass, hunter2pass",
                &["hunter2pass"][..],
                "you were ***, ***",
            ),
            ("'hunter2' is what I got", &["hunter2pass"], "'***' is what I got"),
            ("hunt", &["hunter2pass"], "***"),
            ("hunhunter2pass", &["hunter2pass"], "hun***"),
            ("key-one key-two", &["key-two", "key-one"], "*** ***"),
            ("pässwörter", &["pässwort"], "***örter"),
            ("a b c", &["b", ""], "a *** c"),
            ("nothing", &["other"], "nothing"),
        ] {
            assert_eq!(without_secrets(said, secrets.iter().copied()), shown, "{said}");
        }
    }
}
