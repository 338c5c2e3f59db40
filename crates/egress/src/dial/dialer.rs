//! Connections of the host's interfaces on a guest's behalf (HI-1 to HI-4).
//!
//! ```text
//! address string ── the interface parses it, or refuses it ▶ Destination
//!   │ Dialer::authorize: judge Request by name ─── refused ▶ HostRefused; nothing was resolved
//!   ▼
//! AuthorizedDestination ─┬─ Pool::take: a connection that waits, judged again
//!                        └─ connect: a new one, as for outgoing HTTP
//!                             introduce: and the interface's TLS and authentication, whose failure is told too
//! ```
//!
//! The protocol over the connection is the interface's. It is given a stream and no way to open another one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use outport_policy::{Host, Reason, RequestMethod, Scheme};
#[cfg(feature = "tls")]
use rustls::ClientConfig;
use tokio::time::timeout;
#[cfg(feature = "tls")]
use tokio_rustls::TlsConnector;
#[cfg(feature = "tls")]
use tokio_rustls::client::TlsStream;

use super::destination::{Destination, address_with};
use super::error::{DialError, LookupFailure};
use super::host_connection::HostConnection;
use super::introduction::NotIntroduced;
use super::pool::{Pool, Pooled};
use super::use_slot::UseSlot;
use super::{Connected, dial};
use crate::asking::Pass;
use crate::audit;
use crate::enforcer::Enforcer;
use crate::followed::{self, Followed};
use crate::host_calls::{HostCalls, HostInterface};
use crate::tls::Tls;
#[cfg(feature = "tls")]
use crate::tls::{TlsProfile, TlsProfileError, server_name};

/// Connects for one instance, or for what the host does by itself since its operator configured it. Cheap to clone, and
/// usable on any task of a tokio runtime; it may outlive the instance, which then still is the one that is counted and
/// recorded. From [`GateCtx::dialer`](crate::GateCtx::dialer) or
/// [`Egress::operator_dialer`](crate::Egress::operator_dialer).
#[derive(Clone)]
pub struct Dialer {
    enforcer: Arc<Enforcer>,
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "there is nothing in it"))]
    tls: Arc<Tls>,
}

/// A destination that may be gone to as it was named, once. Its addresses are judged when it is connected to.
#[must_use = "what was permitted is done with this, or not at all"]
pub struct AuthorizedDestination<'a> {
    pub(super) enforcer: &'a Arc<Enforcer>,
    pub(super) destination: &'a Destination,
    followed: Option<Arc<Followed>>,
    /// In force while it is gone there.
    pub(super) pass: Pass,
}

impl Dialer {
    pub(crate) fn new(enforcer: Arc<Enforcer>, tls: Arc<Tls>) -> Self {
        Self { enforcer, tls }
    }

    /// A new connection to `destination`, if the policy permits it: [`authorize`](Dialer::authorize) and
    /// [`connect`](AuthorizedDestination::connect).
    ///
    /// # Errors
    ///
    /// Those of the two.
    pub async fn connect(&self, destination: &Destination) -> Result<HostConnection, DialError> {
        self.authorize(destination)?.connect().await
    }

    /// Judges going to `destination` as it is named. Nothing is resolved or connected to yet.
    ///
    /// # Errors
    ///
    /// [`DialError::HostRefused`], and the audit log says why. What is inside the app, such as `http://self`, is
    /// [`LookupFailure::Unresolvable`]: no connection leads there.
    pub fn authorize<'a>(
        &'a self,
        destination: &'a Destination,
    ) -> Result<AuthorizedDestination<'a>, DialError> {
        self.authorized(destination, Pass::default())
    }

    /// The same for what the guest itself wants: where [somebody is asked](crate::Questioner) what else it may reach, that is
    /// done first, and waited for.
    ///
    /// # Errors
    ///
    /// Those of [`authorize`](Self::authorize).
    pub async fn ask_and_authorize<'a>(
        &'a self,
        destination: &'a Destination,
    ) -> Result<AuthorizedDestination<'a>, DialError> {
        let attempt = destination.attempt_by(RequestMethod::Other);
        let pass = if is_inside(destination) {
            Pass::default()
        } else {
            self.enforcer.ask_first(&attempt).await
        };
        self.authorized(destination, pass)
    }

    fn authorized<'a>(
        &'a self,
        destination: &'a Destination,
        pass: Pass,
    ) -> Result<AuthorizedDestination<'a>, DialError> {
        if is_inside(destination) {
            return Err(LookupFailure::Unresolvable.into());
        }
        let attempt = destination.attempt_by(RequestMethod::Other);
        let decision = pass
            .with(|| self.enforcer.authorize(&attempt, self.enforcer.usage()))
            .map_err(DialError::of_denied_host)?;
        Ok(AuthorizedDestination {
            followed: Followed::begin(&self.enforcer, decision, &attempt),
            enforcer: &self.enforcer,
            destination,
            pass,
        })
    }

    /// Notes that the guest gave an address string that is refused before there is a destination (`address.invalid`, HI-1):
    /// `attempt` is what it wanted, as the audit log calls it, and `part` what is wrong with the string. The string itself
    /// stays out of the log, since it may have a password.
    pub fn refuse_address(&self, attempt: &'static str, part: &'static str) {
        self.enforcer
            .refuse(attempt, &address_with(part), Reason::AddressInvalid);
    }

    /// A pool for connections of an interface, of whatever component of this process. It has none yet, and never will where
    /// the egress keeps none.
    pub fn pool<C: Pooled>(&self) -> Pool<C> {
        Pool::new(&self.enforcer.process().usage)
    }

    /// The calls of an interface by the instance that it connects for, to be counted and traced.
    pub fn calls(&self, interface: HostInterface) -> HostCalls {
        HostCalls::new(&self.enforcer, interface)
    }

    /// The id of the component that it connects for.
    pub fn component(&self) -> &str {
        self.enforcer.component().name()
    }

    /// Speaks TLS over `connection`, with `host` by [`tls_config`](Dialer::tls_config).
    ///
    /// # Errors
    ///
    /// TLS cannot be agreed on, or the certificate is not one for `host` that is trusted.
    #[cfg(feature = "tls")]
    pub async fn secure(
        &self,
        connection: HostConnection,
        host: &Host,
    ) -> io::Result<TlsStream<HostConnection>> {
        let name = server_name(host).map_err(io::Error::other)?;
        let connector = TlsConnector::from(self.tls_config(host));
        connector.connect(name, connection).await
    }

    /// The settings of TLS with `host`: the roots of this machine, or the profile of the component for that host. Names
    /// are always verified. No application protocol is offered.
    #[cfg(feature = "tls")]
    pub fn tls_config(&self, host: &Host) -> Arc<ClientConfig> {
        self.tls.without_alpn(host)
    }

    /// How to speak TLS to who is vouched for by the certificates in `pem`, and by nobody else. Names are always verified, no
    /// certificate is shown, and no application protocol is offered.
    ///
    /// # Errors
    ///
    /// `pem` has no certificate, or one that is none.
    #[cfg(feature = "tls")]
    pub fn tls_config_trusting(&self, pem: &[u8]) -> Result<Arc<ClientConfig>, TlsProfileError> {
        let profile = TlsProfile::builder(Vec::new()).roots_pem(pem)?.build()?;
        Ok(profile.without_alpn())
    }
}

impl AuthorizedDestination<'_> {
    /// A new connection, to exactly one of the addresses that were judged.
    ///
    /// A place is waited for at most 5 seconds, as is the resolver, and all together for at most [`CONNECT_TIME`].
    ///
    /// # Errors
    ///
    /// Why there is none, which the audit log has too.
    pub async fn connect(self) -> Result<HostConnection, DialError> {
        let connection = self.dialed(CONNECT_TIME).await?;
        self.came_about();
        Ok(connection)
    }

    /// A new connection as by [`connect`](Self::connect), within `time` where that is less, over which `introduction` lets
    /// its server and the interface get to know each other. It came about when they have; if they do not, that is told to
    /// the operator, without words that may hold `secret`.
    ///
    /// # Errors
    ///
    /// Why there is none, and that of `introduction`.
    pub async fn introduce<C, E, F>(
        self,
        time: Option<Duration>,
        secret: Option<&str>,
        introduction: impl FnOnce(HostConnection) -> F,
    ) -> Result<C, E>
    where
        E: NotIntroduced,
        F: Future<Output = Result<C, E>>,
    {
        let time = time.map_or(CONNECT_TIME, |time| time.min(CONNECT_TIME));
        let connection = self.dialed(time).await?;
        let introduced = introduction(connection).await;
        match &introduced {
            Ok(_) => self.came_about(),
            Err(error) => {
                if let Some(failure) = error.failure() {
                    self.failed(failure.code(), failure.for_operator(secret));
                }
            }
        }
        introduced
    }

    /// Refuses it, since so much of its kind is open already that there is no place for it.
    pub fn refuse_for_want_of_a_place(self) {
        let attempt = self.destination.attempt_by(RequestMethod::Other);
        let shown = audit::destination(&attempt);
        self.enforcer
            .refuse(attempt.operation(), &shown, Reason::QuotaConnections);
        self.failed(DialError::Quota.code(), None);
    }

    /// The id of the component that goes there.
    pub fn component(&self) -> &str {
        self.enforcer.component().name()
    }

    async fn dialed(&self, time: Duration) -> Result<HostConnection, DialError> {
        let slot = UseSlot::count(self.enforcer);
        let dialing = self
            .pass
            .during(dial(self.enforcer, self.destination, &slot, None));
        let dialing = timeout(time, dialing);
        let dialed = dialing
            .await
            .unwrap_or_else(|_| Err(DialError::Connect(io::ErrorKind::TimedOut.into())));
        match dialed {
            Ok(connected) => Ok(connection(self.enforcer, connected, slot)),
            Err(error) => {
                self.failed(error.code(), error.said_of_proxy());
                Err(error)
            }
        }
    }

    /// Tells that it failed with the error `code`, and what can be said of it.
    fn failed(&self, code: &str, said: Option<String>) {
        let attempt = self.destination.attempt_by(RequestMethod::Other);
        let followed = self.followed.as_ref();
        followed::failed_saying(self.enforcer, followed, &attempt, (code, said));
    }

    /// Notes that there is a connection to there.
    pub(super) fn came_about(&self) {
        if let Some(followed) = &self.followed {
            followed.done();
        }
    }
}

fn connection(enforcer: &Arc<Enforcer>, connected: Connected, slot: UseSlot) -> HostConnection {
    if let Some(followed) = &connected.followed {
        followed.succeeded(None);
    }
    HostConnection::new(enforcer, connected.stream, connected.target, slot)
}

/// True if it is the app itself or a component of it, which outgoing HTTP answers without a connection.
fn is_inside(destination: &Destination) -> bool {
    let speaks_http = matches!(*destination.scheme(), Scheme::HTTP | Scheme::HTTPS);
    match destination.host() {
        Host::Name(name) => speaks_http && (name.is_the_app_itself() || name.is_service_chaining()),
        Host::Address(_) => false,
    }
}

/// The time that a connection may take to be made: waiting for a place, resolving and connecting.
pub const CONNECT_TIME: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
