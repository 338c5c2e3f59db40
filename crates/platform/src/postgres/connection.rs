//! A connection to a PostgreSQL server, made or taken from the pool, and what may be kept of it.
//!
//! What one instance did with it must not reach the next one. So a connection goes back into the pool only when nothing is
//! under way on it, no transaction is open, and everything of its session was set back ([`RESET`]). What cannot be set back
//! without the client library's own statements is looked for: who made a prepared statement in SQL gets no other use of the
//! connection. This is done when the guest has dropped it, so nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outport_egress::{
    AuthorizedDestination, ConnectionHandle, HostCalls, HostConnection, IntroductionFailure, Pool, Pooled,
};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use super::address::PostgresAddress;
use super::known::Known;
use super::transport::{Begun, Transport, TransportError};
use super::watched::{Seen, Watched};
use crate::not_opened::{NotOpened, silent};
use crate::places::Place;

/// What guests are given as a connection: cheap to clone, and back in the pool when the last clone is dropped.
#[derive(Clone)]
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Client(Arc<ClientInner>);

struct ClientInner {
    /// Until it is dropped.
    server: Option<Server>,
    key: String,
    pool: Pool<Server>,
    place: Place,
    calls: HostCalls,
    /// A statement was sent.
    used: AtomicBool,
    /// Nobody knows what the connection is at.
    spoilt: AtomicBool,
}

/// A connection that a server has let in.
pub(super) struct Server {
    client: tokio_postgres::Client,
    handle: ConnectionHandle,
    seen: Arc<Seen>,
    known: Known,
}

impl Pooled for Server {
    fn connection(&self) -> &ConnectionHandle {
        &self.handle
    }
}

/// What drives a connection waits for every answer that is still to come, so the connection is closed under it.
impl Drop for Server {
    fn drop(&mut self) {
        self.handle.close();
    }
}

impl Client {
    /// A connection to `address`, where `authorized` permits to go, with TLS by `tls`. `key` tells it from others.
    pub(super) async fn open(
        authorized: AuthorizedDestination<'_>,
        pool: &Pool<Server>,
        address: &PostgresAddress,
        tls: Arc<ClientConfig>,
        key: String,
        (place, calls): (Place, HostCalls),
    ) -> Result<Self, NotOpened> {
        let server = match pool.take(&key, authorized) {
            Ok(server) => server,
            Err(authorized) => {
                let begun = Instant::now();
                let introduction = |connection| async move {
                    let left = match address.connect_time {
                        Some(time) => time.saturating_sub(begun.elapsed()).min(INTRODUCTION_TIME),
                        None => INTRODUCTION_TIME,
                    };
                    let introduced = timeout(left, Server::over(connection, address, tls)).await;
                    introduced.unwrap_or_else(|_| Err(silent()))
                };
                let secret = address.password();
                authorized
                    .introduce(address.connect_time, secret, introduction)
                    .await?
            }
        };
        Ok(Self(Arc::new(ClientInner {
            server: Some(server),
            key,
            pool: pool.clone(),
            place,
            calls,
            used: AtomicBool::new(false),
            spoilt: AtomicBool::new(false),
        })))
    }

    /// The calls by the guest that has it.
    pub(super) fn calls(&self) -> &HostCalls {
        &self.0.calls
    }

    /// Begins a statement.
    pub(super) fn begin(&self) -> Statement {
        self.0.used.store(true, Ordering::Relaxed);
        Statement {
            client: self.clone(),
            is_answered: false,
        }
    }

    /// What speaks to the server.
    pub(super) fn library(&self) -> Option<&tokio_postgres::Client> {
        self.0.server.as_ref().map(|server| &server.client)
    }

    /// What was seen of the connection.
    pub(super) fn seen(&self) -> Option<&Seen> {
        self.0.server.as_ref().map(|server| &*server.seen)
    }

    /// The statements that may be executed without being prepared, where there is such a thing now.
    pub(super) fn known(&self) -> Option<&Known> {
        let server = self.0.server.as_ref()?;
        let is_usable = !server.seen.is_in_transaction() && !server.seen.has_forgotten();
        is_usable.then_some(&server.known)
    }

    /// Whether the connection was ended since the server sent too much at once.
    pub(super) fn was_too_much(&self) -> bool {
        self.0
            .server
            .as_ref()
            .is_some_and(|server| server.seen.was_too_much())
    }
}

/// A statement that is under way. Unless it is answered, nobody knows what the connection is at.
pub(super) struct Statement {
    client: Client,
    is_answered: bool,
}

impl Statement {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// All of its answer was taken.
    pub(super) fn answered(&mut self) {
        self.is_answered = true;
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if !self.is_answered {
            self.client.0.spoilt.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else {
            return;
        };
        if self.spoilt.load(Ordering::Relaxed) || server.seen.has_forgotten() {
            return;
        }
        let (key, pool, place) = (
            std::mem::take(&mut self.key),
            self.pool.clone(),
            self.place.take(),
        );
        if !self.used.load(Ordering::Relaxed) {
            return pool.put(&key, server);
        }
        // Outside of a runtime there is no next use.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if server.is_reset().await {
                pool.put(&key, server);
            }
            drop(place);
        });
    }
}

impl Server {
    async fn over(
        connection: HostConnection,
        address: &PostgresAddress,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, NotOpened> {
        let handle = connection.handle();
        let host = address.destination.host();
        let config = address.config();
        match Transport::agree(connection, address.encryption, host, tls).await? {
            Transport::Plain(stream) => Self::introduced(stream, handle, config).await,
            Transport::Secured(stream) => Self::introduced_securely(*stream, handle, config).await,
        }
    }

    async fn introduced<S>(stream: S, handle: ConnectionHandle, config: Config) -> Result<Self, NotOpened>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let seen = Arc::new(Seen::default());
        let stream = Watched::new(stream, Arc::clone(&seen));
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        handle.drive(async move { ended(connection.await) });
        Ok(Self {
            client,
            handle,
            seen,
            known: Known::default(),
        })
    }

    async fn introduced_securely<S>(
        stream: S,
        handle: ConnectionHandle,
        mut config: Config,
    ) -> Result<Self, NotOpened>
    where
        S: TlsStream + Unpin + Send + 'static,
    {
        let seen = Arc::new(Seen::default());
        let stream = Watched::new(stream, Arc::clone(&seen));
        // For the library TLS begins with the connection, and is there when it asks.
        config
            .ssl_mode(SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct);
        let (client, connection) = config.connect_raw(stream, Begun).await?;
        handle.drive(async move { ended(connection.await) });
        Ok(Self {
            client,
            handle,
            seen,
            known: Known::default(),
        })
    }

    /// Sets everything of the session back, and says whether it is as a new one.
    async fn is_reset(&self) -> bool {
        if self.client.is_closed() {
            return false;
        }
        self.client.clear_type_cache();
        // The numbers that are random for the next instance are not those that this one has chosen.
        let seed = rand::random_range(-1.0..1.0_f64);
        let reset = format!("SELECT pg_catalog.setseed({seed}); {RESET}");
        match timeout(RESET_TIME, self.client.simple_query(&reset)).await {
            Ok(Ok(said)) => !self.seen.is_in_transaction() && nothing_is_prepared(&said),
            _ => false,
        }
    }
}

/// How a connection ends is told to whoever is at a statement.
fn ended(how: Result<(), tokio_postgres::Error>) {
    if let Err(error) = how {
        tracing::debug!(%error, "a connection to a PostgreSQL server ended");
    }
}

/// What the last of the statements of [`RESET`] says.
fn nothing_is_prepared(said: &[SimpleQueryMessage]) -> bool {
    let rows = said.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.last().and_then(|row| row.get(0)) == Some("0")
}

impl From<TransportError> for NotOpened {
    fn from(error: TransportError) -> Self {
        let words = error.to_string();
        let failure = match error {
            TransportError::NoTls => IntroductionFailure::no_tls(words),
            TransportError::NoAnswer => IntroductionFailure::not_understood(words),
            TransportError::Tls(error) => {
                IntroductionFailure::tls(&error, "; `sslmode=disable` does without")
            }
            TransportError::Broken(_) => IntroductionFailure::broken(words),
        };
        failure.into()
    }
}

/// The server has not let it in.
impl From<tokio_postgres::Error> for NotOpened {
    fn from(error: tokio_postgres::Error) -> Self {
        let failure = match error.as_db_error() {
            Some(said) => IntroductionFailure::said(said.to_string()),
            None if error.is_closed() => IntroductionFailure::broken(super::failure::chain(&error)),
            None => IntroductionFailure::not_understood(super::failure::chain(&error)),
        };
        failure.into()
    }
}

/// What `DISCARD ALL` does but for two things: it would take the client library's own prepared statements along, and it
/// cannot be sent with others. The last statement says how many were prepared by `PREPARE`.
const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES; \
    SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements WHERE from_sql";

/// How long setting everything back may take.
const RESET_TIME: Duration = Duration::from_secs(5);

/// How long TLS and the server's consent may take.
const INTRODUCTION_TIME: Duration = Duration::from_secs(10);
