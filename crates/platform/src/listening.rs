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
