//! A connection to an MQTT broker, made or taken from the pool, and what may be kept of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::BytesMut;
use outport_egress::{
    AuthorizedDestination, ConnectionHandle, Dialer, HostCalls, HostConnection, HostInterface,
    IntroductionFailure, Pool, Pooled,
};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::address::MqttAddress;
use super::driver::{Delivery, Driver, Ended, packet};
use super::message::message;
use super::pings::ANSWER_TIME;
use super::session::{CurrentTurn, Turn};
use crate::not_opened::NotOpened;
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
    /// A message is not confirmed, so something may be under way.
    spoilt: AtomicBool,
    calls: HostCalls,
    _place: Place,
}

/// A client that keeps nothing open.
pub(super) struct WeakClient(Weak<ClientInner>);

/// A connection that a broker has let in.
pub(super) struct Server {
    deliveries: mpsc::Sender<Delivery>,
    handle: ConnectionHandle,
    ended: Arc<OnceLock<Ended>>,
    turn: CurrentTurn,
    /// Dropping it has the driver take leave.
    _stay: oneshot::Sender<()>,
}

impl Pooled for Server {
    fn connection(&self) -> &ConnectionHandle {
        &self.handle
    }
}

impl Client {
    /// A connection to `address`, where `authorized` permits to go.
    pub(super) async fn open(
        dialer: &Dialer,
        authorized: AuthorizedDestination<'_>,
        pool: &Pool<Server>,
        address: &MqttAddress,
        place: Place,
        turn: Option<Turn>,
    ) -> Result<Self, NotOpened> {
        let key = address.key();
        let server = match pool.take(&key, authorized) {
            Ok(server) => {
                server.turn.begin(turn);
                server
            }
            Err(authorized) => {
                let introduction = |connection| Server::over(dialer, connection, address, turn);
                let secret = Some(&*address.password);
                authorized.introduce(None, secret, introduction).await?
            }
        };
        Ok(Self(Arc::new(ClientInner {
            server: Some(server),
            key,
            pool: pool.clone(),
            spoilt: AtomicBool::new(false),
            calls: dialer.calls(HostInterface::Mqtt),
            _place: place,
        })))
    }

    /// Publishes a message, and waits until it is sent (at most once) or the broker has it. The error is in words.
    pub(super) async fn publish(&self, topic: String, payload: Vec<u8>, qos: QoS) -> Result<(), String> {
        let named = topic.clone();
        let delivered = self.deliver(topic, payload, qos);
        self.0.calls.call("publish", Some(&named), delivered).await
    }

    async fn deliver(&self, topic: String, payload: Vec<u8>, qos: QoS) -> Result<(), String> {
        let message = message(topic, payload, qos)?;
        let closed = || Ended::Broken.to_string();
        let server = self.0.server.as_ref().ok_or_else(closed)?;
        let mut unconfirmed = Unconfirmed(Some(&self.0.spoilt));
        let (confirmed, confirmation) = oneshot::channel();
        let delivered = async {
            let delivery = Delivery { message, confirmed };
            server.deliveries.send(delivery).await.ok()?;
            confirmation.await.ok()
        };
        match timeout(ANSWER_TIME, delivered).await {
            Ok(Some(())) => {
                unconfirmed.0 = None;
                Ok(())
            }
            Ok(None) => Err(server.ended.get().unwrap_or(&Ended::Broken).to_string()),
            Err(_) => Err(Ended::Silent.to_string()),
        }
    }

    pub(super) fn downgrade(&self) -> WeakClient {
        WeakClient(Arc::downgrade(&self.0))
    }
}

impl WeakClient {
    /// The client, if it has a connection that nobody has ended.
    pub(super) fn upgrade(&self) -> Option<Client> {
        let inner = self.0.upgrade()?;
        let is_open = inner.server.as_ref()?.handle.is_open();
        is_open.then_some(Client(inner))
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// A message that is not confirmed. Unless it is, nobody knows what the connection is at.
struct Unconfirmed<'a>(Option<&'a AtomicBool>);

impl Drop for Unconfirmed<'_> {
    fn drop(&mut self) {
        if let Some(spoilt) = self.0 {
            spoilt.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        // Of one that is not kept the turn ends with the connection.
        if let Some(server) = self.server.take()
            && !self.spoilt.load(Ordering::Relaxed)
        {
            let turn = server.turn.clone();
            self.pool.put(&self.key, server);
            turn.free();
        }
    }
}

impl Server {
    /// Speaks TLS where the address says so, and introduces itself.
    async fn over(
        dialer: &Dialer,
        connection: HostConnection,
        address: &MqttAddress,
        turn: Option<Turn>,
    ) -> Result<Self, NotOpened> {
        let handle = connection.handle();
        let introduced = async {
            if address.speaks_tls {
                let host = address.destination.host();
                let secured = dialer.secure(connection, host).await;
                let secured = secured.map_err(|error| IntroductionFailure::tls(&error, ""))?;
                Self::introduced(secured, handle, address, turn).await
            } else {
                Self::introduced(connection, handle, address, turn).await
            }
        };
        let in_time = timeout(INTRODUCTION_TIME, introduced).await;
        in_time.unwrap_or_else(|_| Err(Ended::Silent.into()))
    }

    async fn introduced<S>(
        mut stream: S,
        handle: ConnectionHandle,
        address: &MqttAddress,
        turn: Option<Turn>,
    ) -> Result<Self, NotOpened>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut incoming = BytesMut::new();
        introduce(&mut stream, &mut incoming, &introduction(address)).await?;
        let (deliveries, to_deliver) = mpsc::channel(1);
        let (stay, left) = oneshot::channel();
        let (ended, turn) = (Arc::new(OnceLock::new()), CurrentTurn::new(turn));
        let driver = Driver::new(stream, incoming, address.keep_alive, to_deliver, left);
        let (noted, turns) = (Arc::clone(&ended), turn.clone());
        handle.drive(async move {
            driver
                .run(|why| {
                    // The first reason is the only one.
                    let _ = noted.set(why);
                })
                .await;
            turns.end();
        });
        Ok(Self {
            deliveries,
            handle,
            ended,
            turn,
            _stay: stay,
        })
    }
}

/// Connects, and reads what the broker says to it, and maybe more, into `incoming`. The answer is whether the broker has kept
/// the session.
pub(super) async fn introduce<S>(
    stream: &mut S,
    incoming: &mut BytesMut,
    connect: &Connect,
) -> Result<bool, NotOpened>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut outgoing = BytesMut::new();
    connect.write(&mut outgoing).map_err(|_| Ended::Malformed)?;
    let sent = async {
        stream.write_all(&outgoing).await?;
        stream.flush().await
    };
    sent.await.map_err(|_| Ended::Broken)?;
    let answer = loop {
        if let Some(packet) = packet(incoming)? {
            break packet;
        }
        match stream.read_buf(incoming).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Err(Ended::Broken.into()),
        }
    };
    let Packet::ConnAck(answer) = answer else {
        return Err(Ended::Unasked.into());
    };
    consent(answer.code, connect.login.is_some())?;
    Ok(answer.session_present)
}

/// Whoever connects begins anew: there is nothing of an earlier connection that it would take up again.
pub(super) fn introduction(address: &MqttAddress) -> Connect {
    let own_id = || format!("outport{:016x}", rand::random::<u64>());
    let mut connect = Connect::new(address.client_id.clone().unwrap_or_else(own_id));
    connect.keep_alive = address.keep_alive;
    if !address.user.is_empty() {
        connect.set_login(&address.user, &address.password);
    }
    connect
}

/// Many brokers answer a wrong password with what stands for a client that may not connect.
fn consent(code: ConnectReturnCode, has_user: bool) -> Result<(), NotOpened> {
    let refused = match code {
        ConnectReturnCode::Success => return Ok(()),
        ConnectReturnCode::RefusedProtocolVersion => "the broker does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "the broker refuses the client identifier",
        ConnectReturnCode::ServiceUnavailable => "the broker is not available",
        ConnectReturnCode::BadUserNamePassword => "the broker refuses the user or the password",
        ConnectReturnCode::NotAuthorized if has_user => {
            "the broker does not let this client in: perhaps the user or the password is wrong"
        }
        ConnectReturnCode::NotAuthorized => {
            "the broker does not let this client in: perhaps it wants a user and a password"
        }
    };
    Err(IntroductionFailure::refused(refused).into())
}

impl From<Ended> for NotOpened {
    fn from(ended: Ended) -> Self {
        let words = ended.to_string();
        let failure = match ended {
            Ended::Broken => IntroductionFailure::broken(words),
            Ended::Silent => IntroductionFailure::silent(words),
            Ended::Unasked | Ended::Malformed => IntroductionFailure::not_understood(words),
        };
        failure.into()
    }
}

/// How long TLS and the broker's consent may take.
pub(super) const INTRODUCTION_TIME: Duration = Duration::from_secs(10);
