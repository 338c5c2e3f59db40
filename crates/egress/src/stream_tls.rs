//! TLS that the host speaks on connections of a guest's own (`wasi:tls`, TLS-5).
//!
//! ```text
//! server name, streams ── name: canonical, or refused ── judge Tls ── refused ▶ Denied, TooMany
//!   ▼
//! handshake: 10 s, with the component's roots and certificate for that host; the certificate is verified for the name
//!   │ judge Tls again ────────────────────────────────────────────── refused ▶ Denied
//!   ▼
//! SecuredStream: cleartext on this side, the guest's streams on the other
//! ```
//!
//! What comes in are streams and no socket, so which port they lead to is not known. It is one of those that the
//! instance has TCP connections to, and the name may be denied on none of them. A connection that is opened while the
//! handshake goes on may be the one it leads over; this is why all are asked about again when it ends. One that is
//! opened later is none of it: whoever vouched for himself in the handshake is at the other end of an older one.
//!
//! It opens nothing. What a connection may carry beside TLS is not looked at here.

mod secured_stream;
mod trouble;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use outport_policy::{Host, Layer, Reason};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub use self::secured_stream::SecuredStream;
use self::trouble::Trouble;
use crate::denied::{Denied, DeniedKind};
use crate::dial::Paced;
use crate::enforcer::Enforcer;
use crate::followed::{self, Followed};
use crate::host_account::charged;
use crate::tls::{Tls, server_name};
use crate::tls_usage::{self, TLS_ATTEMPT, TLS_SERVER_NAME, TlsPlace};

/// Speaks TLS for one instance, as a client. From [`GateCtx::stream_tls`](crate::GateCtx::stream_tls).
#[derive(Clone)]
pub struct StreamTls {
    enforcer: Arc<Enforcer>,
    tls: Arc<Tls>,
}

/// The right to speak TLS with one server, once.
#[must_use = "what was permitted is done with this, or not at all"]
pub struct TlsHandshake {
    enforcer: Arc<Enforcer>,
    connector: TlsConnector,
    server: Host,
    name: ServerName<'static>,
    place: TlsPlace,
    followed: Option<Arc<Followed>>,
}

/// Why TLS is not spoken, in words for the guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamTlsError {
    /// The server name is none.
    #[error("the server name is none that a certificate could be for")]
    ServerName,
    /// The policy refuses the server.
    #[error("it is not permitted to speak TLS with this server")]
    Denied,
    /// As many TLS connections as there may be.
    #[error("there may be two TLS connections for each TCP connection that is open, and there are")]
    TooMany,
    /// The handshake failed; what is inside says why.
    #[error("{0}")]
    Handshake(&'static str),
}

impl StreamTls {
    pub(crate) fn new(enforcer: Arc<Enforcer>, tls: Arc<Tls>) -> Self {
        Self { enforcer, tls }
    }

    /// Judges speaking TLS with `server_name`, a DNS name in any spelling or an IP address.
    ///
    /// # Errors
    ///
    /// It is no name, or refused, which the audit log has with its reason.
    pub fn authorize(&self, server_name: &str) -> Result<TlsHandshake, StreamTlsError> {
        let named = Host::parse(server_name).ok();
        let named = named.and_then(|host| Some((self::server_name(&host).ok()?, host)));
        let Some((name, server)) = named else {
            self.enforcer
                .refuse(TLS_ATTEMPT, TLS_SERVER_NAME, Reason::AddressInvalid);
            return Err(StreamTlsError::ServerName);
        };
        let (place, decision) = TlsPlace::take(&self.enforcer, &server)?;
        let followed = tls_usage::with_attempt(&self.enforcer, &server, |attempt| {
            Followed::begin(&self.enforcer, decision, attempt)
        });
        Ok(TlsHandshake {
            enforcer: Arc::clone(&self.enforcer),
            connector: TlsConnector::from(self.tls.without_alpn(&server)),
            server,
            name,
            place,
            followed,
        })
    }
}

impl TlsHandshake {
    /// Agrees on TLS over `transport`, at the account of the instance. No application protocol is offered.
    ///
    /// # Errors
    ///
    /// The server shows no certificate for the name that somebody trusted vouches for, or does not speak TLS as we do,
    /// or hangs up, or takes more than 10 seconds; or the guest has connected to where the server is denied meanwhile.
    pub async fn connect<S>(self, transport: S) -> Result<SecuredStream<S>, StreamTlsError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let account = self.enforcer.account();
        let transport = Paced::new(Transport(transport));
        let handshake = self.connector.connect(self.name, transport);
        let agreed = timeout(HANDSHAKE_TIME, charged(account.clone(), handshake)).await;
        let agreed = agreed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = agreed.map_err(|error| {
            let trouble = Trouble::of(&error);
            tls_usage::with_attempt(&self.enforcer, &self.server, |attempt| {
                followed::failed(&self.enforcer, self.followed.as_ref(), attempt, trouble.code());
            });
            StreamTlsError::Handshake(trouble.in_handshake())
        })?;
        tls_usage::with_attempt(&self.enforcer, &self.server, |attempt| {
            let still = self.enforcer.authorize_implied(attempt, &[Layer::Quotas]);
            still.inspect_err(|_| {
                followed::failed(&self.enforcer, self.followed.as_ref(), attempt, "access-denied");
            })
        })?;
        if let Some(followed) = &self.followed {
            followed.done();
        }
        Ok(SecuredStream::new(stream, self.place, account))
    }
}

impl From<Denied> for StreamTlsError {
    fn from(denied: Denied) -> Self {
        match denied.kind() {
            DeniedKind::Quota => Self::TooMany,
            DeniedKind::Policy => Self::Denied,
        }
    }
}

/// The streams of a guest. One that takes nothing has ended: rustls would wait for it, and nobody would wake it.
#[derive(Debug)]
pub(crate) struct Transport<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.0).poll_write(cx, bytes) {
            Poll::Ready(Ok(0)) if !bytes.is_empty() => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The time that a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
