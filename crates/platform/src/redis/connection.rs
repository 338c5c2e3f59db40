//! A connection to a Redis server, made or taken from the pool, and one command on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use outport_egress::{
    AuthorizedDestination, ConnectionHandle, Dialer, HostCalls, HostConnection, HostInterface,
    IntroductionFailure, Pool, Pooled,
};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::address::RedisAddress;
use super::reply_bound::{Answered, Bounded};
use super::state::changes_the_connection;
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
    /// Commands that are not answered yet.
    awaited: AtomicU32,
    /// Something is different from how a new connection would be, or unknown.
    spoilt: AtomicBool,
    calls: HostCalls,
    _place: Place,
}

/// A connection that a server has let in.
pub(crate) struct Server {
    commands: MultiplexedConnection,
    handle: ConnectionHandle,
    answered: Arc<Answered>,
}

/// Why a command has no answer that the guest could use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The value is of another type.
    Type,
    /// Anything else, in words.
    Other(String),
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
    /// A connection to `address`, where `authorized` permits to go.
    pub(crate) async fn open(
        dialer: &Dialer,
        authorized: AuthorizedDestination<'_>,
        pool: &Pool<Server>,
        address: &RedisAddress,
        place: Place,
    ) -> Result<Self, NotOpened> {
        let key = address.key();
        let server = match pool.take(&key, authorized) {
            Ok(server) => server,
            Err(authorized) => {
                let introduction = |connection| Server::over(dialer, connection, address);
                let secret = address.password.as_deref();
                authorized.introduce(None, secret, introduction).await?
            }
        };
        Ok(Self(Arc::new(ClientInner {
            server: Some(server),
            key,
            pool: pool.clone(),
            awaited: AtomicU32::new(0),
            spoilt: AtomicBool::new(false),
            calls: dialer.calls(HostInterface::Redis),
            _place: place,
        })))
    }

    /// Charges what the connection costs, until it is given back, to `account`.
    #[cfg(feature = "key-value")]
    pub(crate) fn charge_to(&self, account: Option<&Arc<dyn outport_egress::HostAccount>>) {
        if let Some(server) = &self.0.server {
            server.handle.charge_to(account);
        }
    }

    /// The calls by the guest that has it.
    pub(super) fn calls(&self) -> &HostCalls {
        &self.0.calls
    }

    /// What the server says to `command`, whose name is `name`.
    pub(super) async fn ask(&self, name: &str, command: &Cmd) -> Result<Value, Failure> {
        let inner = &*self.0;
        let Some(server) = &inner.server else {
            return Err(Failure::Other("the connection is closed".to_owned()));
        };
        if changes_the_connection(name) {
            inner.spoilt.store(true, Ordering::Relaxed);
        }
        let awaited = Awaited::begin(inner, &server.answered);
        let mut commands = server.commands.clone();
        let answer = timeout(COMMAND_TIME, commands.send_packed_command(command)).await;
        let failed = |why: &str| Err(Failure::Other(why.to_owned()));
        match answer.map(|answer| answer.and_then(Value::extract_error)) {
            Ok(Ok(value)) => {
                awaited.answered();
                Ok(value)
            }
            Ok(Err(error)) if is_an_answer(&error) => {
                awaited.answered();
                Err(failure(&error))
            }
            Ok(Err(_)) if server.answered.was_too_much() => failed("the answer is larger than any may be"),
            Ok(Err(_)) => failed("the connection was broken off"),
            Err(_) => failed("the server did not answer in time"),
        }
    }
}

/// A command that is not answered yet. Unless it is, nobody knows what the connection is at.
struct Awaited<'a> {
    inner: &'a ClientInner,
    is_answered: bool,
}

impl<'a> Awaited<'a> {
    fn begin(inner: &'a ClientInner, answered: &Answered) -> Self {
        if inner.awaited.fetch_add(1, Ordering::Relaxed) == 0 {
            answered.forget();
        }
        Self {
            inner,
            is_answered: false,
        }
    }

    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.inner.awaited.fetch_sub(1, Ordering::Relaxed);
        if !self.is_answered {
            self.inner.spoilt.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        if let Some(server) = self.server.take()
            && !self.spoilt.load(Ordering::Relaxed)
        {
            self.pool.put(&self.key, server);
        }
    }
}

impl Server {
    /// Speaks TLS where the address says so, and introduces itself.
    async fn over(
        dialer: &Dialer,
        connection: HostConnection,
        address: &RedisAddress,
    ) -> Result<Self, NotOpened> {
        let handle = connection.handle();
        let introduced = async {
            if address.speaks_tls {
                let host = address.destination.host();
                let secured = dialer.secure(connection, host).await;
                let secured = secured.map_err(|error| IntroductionFailure::tls(&error, ""))?;
                Self::introduced(secured, handle.clone(), address).await
            } else {
                Self::introduced(connection, handle.clone(), address).await
            }
        };
        let in_time = timeout(INTRODUCTION_TIME, introduced).await;
        in_time.unwrap_or_else(|_| Err(silent()))
    }

    async fn introduced<S>(
        stream: S,
        handle: ConnectionHandle,
        address: &RedisAddress,
    ) -> Result<Self, NotOpened>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut who = RedisConnectionInfo::default()
            .set_db(address.database)
            .set_skip_set_lib_name();
        if let Some(user) = &address.user {
            who = who.set_username(user);
        }
        if let Some(password) = &address.password {
            who = who.set_password(password);
        }
        let answered = Arc::new(Answered::default());
        // How long is waited for an answer is said here, where the connection is given up with it.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let stream = Bounded::new(stream, Arc::clone(&answered));
        let (commands, driver) = MultiplexedConnection::new_with_config(&who, stream, config)
            .await
            .map_err(|error| match failure(&error) {
                // The library keeps to itself what the server said.
                Failure::Other(_) if error.kind() == ErrorKind::AuthenticationFailed => {
                    IntroductionFailure::refused("the server refuses the user or the password")
                }
                Failure::Other(why) if is_an_answer(&error) => IntroductionFailure::said(why),
                Failure::Other(why) if error.is_io_error() => IntroductionFailure::broken(why),
                Failure::Other(why) => IntroductionFailure::not_understood(why),
                Failure::Type => IntroductionFailure::refused("the server refuses"),
            })?;
        handle.drive(driver);
        Ok(Self {
            commands,
            handle,
            answered,
        })
    }
}

/// Whether the server has said it, so that the connection is as good as before.
fn is_an_answer(error: &RedisError) -> bool {
    error.code().is_some() && !error.is_io_error()
}

/// What the guest is told of an error. A redirect of a cluster is one: nobody follows it (HI-1).
fn failure(error: &RedisError) -> Failure {
    let detail = error.detail().unwrap_or_default();
    match error.code() {
        Some("WRONGTYPE") => Failure::Type,
        Some("ERR") if NOT_A_NUMBER.iter().any(|text| detail.starts_with(text)) => Failure::Type,
        Some(code) => Failure::Other(format!("{code} {detail}").trim_end().to_owned()),
        None if error.is_io_error() => Failure::Other("the connection was broken off".to_owned()),
        None => Failure::Other(error.to_string()),
    }
}

/// How the server says that a value is not a number.
const NOT_A_NUMBER: [&str; 2] = ["value is not an integer", "hash value is not an integer"];

/// How long TLS and the server's consent may take.
pub(super) const INTRODUCTION_TIME: Duration = Duration::from_secs(10);

/// How long the answer to a command may take, a command that blocks among them.
const COMMAND_TIME: Duration = Duration::from_secs(60);
