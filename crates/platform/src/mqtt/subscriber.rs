//! A client that listens to topics of an MQTT broker: who it is, and the session by which the broker knows it.
//!
//! ```text
//! CONNECT, without a clean session ── CONNACK: is the session still there?
//!   │ SUBSCRIBE, unless it is ── SUBACK
//!   ▼
//! the messages of a subscription
//! ```
//!
//! A broker keeps the session of a client identifier while its client is away: what was not acknowledged comes once more,
//! and what was published meanwhile comes then. So a message is handed over at least once as long as the identifier stays
//! the same. Exactly once holds within one [`Subscriber`], which knows what it has received; a process that begins anew
//! does not.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use outport_egress::{Destination, Dialer, HostConnection};
use rumqttc::mqttbytes::QoS;
use tokio::time::timeout;

use super::Wanted;
use super::address::MqttAddress;
use super::connection::{INTRODUCTION_TIME, introduce, introduction};
use super::driver::Ended;
use super::pings::ANSWER_TIME;
use super::subscription::{Subscription, lost};
use super::topic::TopicFilter;
use crate::listening::{NotAnAddress, NotListening, TooLong, duplex};
use crate::not_opened::NotOpened;

/// How often a message is handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QualityOfService {
    /// Once or never.
    #[default]
    AtMostOnce,
    /// Once, and maybe again.
    AtLeastOnce,
    /// Once, as long as neither side forgets the session.
    ExactlyOnce,
}

/// Topics of a broker, and the session by which it knows who listens to them.
pub struct Subscriber {
    address: MqttAddress,
    client_id: String,
    topics: Topics,
}

/// What is listened to, and how.
#[derive(Clone)]
pub(super) struct Topics {
    pub(super) filter: TopicFilter,
    pub(super) qos: QoS,
    /// The operator's own, which he wants to find again.
    pub(super) is_kept: bool,
    pub(super) session: Arc<Mutex<Session>>,
    pub(super) too_long: TooLong,
}

/// What both sides know of a session.
#[derive(Default)]
pub(super) struct Session {
    /// The broker has the subscription of this process.
    pub(super) is_subscribed: bool,
    /// Messages of "exactly once" that were handed over and that the broker has not let go of, by their numbers.
    pub(super) received: HashSet<u16>,
}

impl Subscriber {
    /// The topics of `filter`, of the broker at `address`: `mqtt://…` or `mqtts://…`, as a guest writes it. `user` is empty
    /// if there is none; `keep_alive` is in seconds, and 0 means 60. The session is that of `client_id`, which nobody else
    /// may use meanwhile; `is_kept` says that it is to be found again by a later process. Nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// A part of `address` or of who connects is not understood.
    pub fn new(
        (address, user, password): (&str, &str, &str),
        keep_alive: u64,
        (filter, qos): (TopicFilter, QualityOfService),
        (client_id, is_kept): (String, bool),
    ) -> Result<Self, NotAnAddress> {
        let address = MqttAddress::parse(Wanted {
            address: address.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            // Without one nobody would notice that a broker is gone.
            keep_alive: if keep_alive == 0 { 60 } else { keep_alive },
        })?;
        if address.client_id.is_some() {
            return Err(NotAnAddress("a client identifier, which the operator gives"));
        }
        if client_id.is_empty() || client_id.len() > usize::from(u16::MAX) || client_id.contains('\0') {
            return Err(NotAnAddress("a client identifier that MQTT cannot say"));
        }
        Ok(Self {
            address,
            client_id,
            topics: Topics {
                filter,
                qos: match qos {
                    QualityOfService::AtMostOnce => QoS::AtMostOnce,
                    QualityOfService::AtLeastOnce => QoS::AtLeastOnce,
                    QualityOfService::ExactlyOnce => QoS::ExactlyOnce,
                },
                is_kept,
                session: Arc::default(),
                too_long: Arc::new(|| ()),
            },
        })
    }

    /// Tells of each message that was dropped for its length by a call of `too_long`.
    #[must_use]
    pub fn telling(mut self, too_long: TooLong) -> Self {
        self.topics.too_long = too_long;
        self
    }

    /// Where it connects to.
    pub fn destination(&self) -> &Destination {
        &self.address.destination
    }

    /// Connects by `dialer`, and takes the session up again.
    ///
    /// # Errors
    ///
    /// It may not be connected to, cannot be, or does not let its client in or listen.
    pub async fn subscribe(&self, dialer: &Dialer) -> Result<Subscription, NotListening> {
        let authorized = dialer.authorize(&self.address.destination);
        let authorized = authorized.map_err(NotOpened::from)?;
        let secret = Some(&*self.address.password);
        let introduced = authorized.introduce(None, secret, async |connection| {
            let introduced = self.introduced(dialer, connection);
            let in_time = timeout(INTRODUCTION_TIME, introduced).await;
            in_time.unwrap_or_else(|_| Err(Ended::Silent.into()))
        });
        let mut subscription = introduced.await?;
        let consent = timeout(ANSWER_TIME, subscription.await_consent()).await;
        consent.map_err(|_| lost(Ended::Silent))??;
        Ok(subscription)
    }

    async fn introduced(
        &self,
        dialer: &Dialer,
        connection: HostConnection,
    ) -> Result<Subscription, NotOpened> {
        let address = &self.address;
        let host = address.destination.host();
        let mut stream = duplex(dialer, connection, host, address.speaks_tls).await?;
        let mut connect = introduction(address);
        connect.client_id.clone_from(&self.client_id);
        connect.clean_session = false;
        let mut incoming = BytesMut::new();
        let has_session = introduce(&mut stream, &mut incoming, &connect).await?;
        if !has_session {
            *locked(&self.topics.session) = Session::default();
        }
        let topics = self.topics.clone();
        Ok(Subscription::begin(stream, incoming, topics, address.keep_alive)?)
    }
}

/// What is counted wrong after a panic is better than a second one.
pub(super) fn locked(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
