//! Messages on topics of an MQTT broker.
//!
//! ```text
//! SUBSCRIBE, unless the session has it ── SUBACK
//!   ▼
//! PUBLISH ─ next ─▶ worked on ─ settle ─┬─ at most once: nothing
//!                                       ├─ at least once: PUBACK
//!                                       └─ exactly once: PUBREC ── PUBREL ── PUBCOMP
//! ```
//!
//! One message is taken at a time, in the order in which the broker sends them. While it is worked on the connection is not
//! read, and only kept alive.

use bytes::{Buf, Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    Disconnect, Packet, PingReq, PubAck, PubComp, PubRec, Publish, Subscribe, SubscribeReasonCode,
    Unsubscribe,
};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf, split};
use tokio::time::timeout;

use super::driver::{Ended, LEAVE_TIME, LONGEST_ANSWER, MOST_UNSENT, Sent, send};
use super::pings::{ANSWER_TIME, Pings, wait_until};
use super::subscriber::{Topics, locked};
use crate::listening::{Duplex, Lost, MOST_MESSAGE, shrink};

/// A connection on which messages come.
pub struct Subscription {
    reader: ReadHalf<Box<dyn Duplex>>,
    writer: WriteHalf<Box<dyn Duplex>>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Something was written that may not be sent yet.
    is_unflushed: bool,
    /// Nothing of what is to be sent was taken since the last ping was due.
    is_stuck: bool,
    /// A message was handed out, and what comes after it was not waited for.
    is_away: bool,
    topics: Topics,
    pings: Pings,
    /// What the broker is to consent to.
    awaited: Option<Awaited>,
    /// Read before anybody asked for it.
    ahead: Option<Message>,
    /// Handed out and not settled.
    unsettled: Option<(QoS, u16)>,
    /// Bytes that are still to come of a message that is dropped.
    unwanted: usize,
    has_told: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Subscribed,
    Unsubscribed,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// The broker has sent it before, as far as it knows.
    pub is_repeated: bool,
    unsettled: Option<(QoS, u16)>,
}

impl Subscription {
    /// Begins on the stream of a broker that has let its client in. `incoming` has what came behind that; `keep_alive` is in
    /// seconds.
    pub(super) fn begin(
        stream: Box<dyn Duplex>,
        incoming: BytesMut,
        topics: Topics,
        keep_alive: u16,
    ) -> Result<Self, Ended> {
        let mut outgoing = BytesMut::new();
        let is_subscribed = locked(&topics.session).is_subscribed;
        if !is_subscribed {
            let mut subscribe = Subscribe::new(topics.filter.as_str(), topics.qos);
            subscribe.pkid = OWN_NUMBER;
            subscribe.write(&mut outgoing).map_err(|_| Ended::Malformed)?;
        }
        let (reader, writer) = split(stream);
        Ok(Self {
            reader,
            writer,
            incoming,
            outgoing,
            is_unflushed: false,
            is_stuck: false,
            is_away: false,
            topics,
            pings: Pings::new(keep_alive),
            awaited: (!is_subscribed).then_some(Awaited::Subscribed),
            ahead: None,
            unsettled: None,
            unwanted: 0,
            has_told: false,
        })
    }

    /// The next message, to be settled before the one after it. A future that is dropped has lost none.
    ///
    /// # Errors
    ///
    /// The connection has ended, or the broker is silent or does not speak the protocol.
    pub async fn next(&mut self) -> Result<Message, Lost> {
        if self.unsettled.is_some() {
            return Err(Lost("a message was not settled".to_owned()));
        }
        if std::mem::take(&mut self.is_away) {
            // What the broker answered meanwhile was not read.
            self.pings.wait_anew();
            shrink(&mut self.incoming);
            shrink(&mut self.outgoing);
        }
        loop {
            let message = match self.ahead.take() {
                Some(message) => Some(message),
                None => self.hear()?,
            };
            if let Some(message) = message {
                self.unsettled = message.unsettled;
                self.is_away = true;
                return Ok(message);
            }
            self.turn(Reading::Yes).await?;
        }
    }

    /// Keeps the connection alive while a message is worked on. It ends with the connection.
    pub async fn attend(&mut self) -> Lost {
        loop {
            if let Err(lost) = self.turn(Reading::No).await {
                return lost;
            }
        }
    }

    /// Lets the broker know that the last message was handed over.
    ///
    /// # Errors
    ///
    /// The connection has ended. The message comes once more.
    pub async fn settle(&mut self) -> Result<(), Lost> {
        self.acknowledge();
        let sent = timeout(ANSWER_TIME, self.until_sent()).await;
        sent.unwrap_or_else(|_| Err(lost(Ended::Silent)))
    }

    /// Lets the broker know that nobody listens any more: for now, or, where nobody will find the session again, at all.
    pub async fn leave(mut self) {
        // A broker that does not answer is left all the same.
        if !self.topics.is_kept {
            let _ = timeout(LEAVE_TIME, self.unsubscribe()).await;
        }
        if Disconnect.write(&mut self.outgoing).is_ok() {
            let _ = timeout(LEAVE_TIME, self.until_sent()).await;
        }
    }

    async fn unsubscribe(&mut self) -> Result<(), Lost> {
        let mut unsubscribe = Unsubscribe::new(self.topics.filter.as_str());
        unsubscribe.pkid = OWN_NUMBER;
        self.say(&Packet::Unsubscribe(unsubscribe))?;
        self.awaited = Some(Awaited::Unsubscribed);
        while self.awaited.is_some() {
            // A message that comes before it is nobody's.
            if self.hear()?.is_none() && self.awaited.is_some() {
                self.turn(Reading::Yes).await?;
            }
        }
        Ok(())
    }

    async fn until_sent(&mut self) -> Result<(), Lost> {
        while !self.is_sent() {
            self.turn(Reading::No).await?;
        }
        Ok(())
    }

    /// Waits until the broker has consented, or sends messages already.
    pub(super) async fn await_consent(&mut self) -> Result<(), Lost> {
        while self.awaited.is_some() && self.ahead.is_none() {
            self.ahead = self.hear()?;
            if self.awaited.is_some() && self.ahead.is_none() {
                self.turn(Reading::Yes).await?;
            }
        }
        Ok(())
    }

    /// Takes what has come, until there is a message.
    fn hear(&mut self) -> Result<Option<Message>, Lost> {
        // A broker that takes no answers is not asked for more of what needs them.
        while self.outgoing.len() < MOST_UNSENT {
            if self.unwanted > 0 {
                let dropped = self.unwanted.min(self.incoming.len());
                self.incoming.advance(dropped);
                self.unwanted -= dropped;
                if self.unwanted > 0 {
                    return Ok(None);
                }
                (self.topics.too_long)();
            }
            let Some(packet) = self.packet()? else {
                return Ok(None);
            };
            match packet {
                Packet::Publish(message) => {
                    if let Some(message) = self.message(message) {
                        return Ok(Some(message));
                    }
                }
                Packet::PubRel(released) => {
                    locked(&self.topics.session).received.remove(&released.pkid);
                    self.say(&Packet::PubComp(PubComp::new(released.pkid)))?;
                }
                Packet::SubAck(answer) if self.awaited == Some(Awaited::Subscribed) => {
                    self.awaited = None;
                    self.consented(&answer.return_codes)?;
                }
                Packet::UnsubAck(_) if self.awaited == Some(Awaited::Unsubscribed) => self.awaited = None,
                Packet::PingResp => self.pings.answered().map_err(lost)?,
                _ => return Err(lost(Ended::Unasked)),
            }
        }
        Ok(None)
    }

    fn consented(&mut self, answers: &[SubscribeReasonCode]) -> Result<(), Lost> {
        match answers {
            [SubscribeReasonCode::Success(granted)] => {
                if granted.to_owned() as u8 != self.topics.qos as u8 {
                    tracing::warn!(
                        "the broker has `{}` for quality of service {} instead of {}",
                        outport_policy::text::message(self.topics.filter.as_str()),
                        *granted as u8,
                        self.topics.qos as u8
                    );
                }
                locked(&self.topics.session).is_subscribed = true;
                Ok(())
            }
            [SubscribeReasonCode::Failure] => Err(Lost(
                "the broker does not let this client listen to the topic".to_owned(),
            )),
            _ => Err(lost(Ended::Malformed)),
        }
    }

    /// The message that is to be worked on, if this one is.
    fn message(&mut self, message: Publish) -> Option<Message> {
        let unsettled = match message.qos {
            QoS::AtMostOnce => None,
            qos => Some((qos, message.pkid)),
        };
        let is_known =
            message.qos == QoS::ExactlyOnce && locked(&self.topics.session).received.contains(&message.pkid);
        let is_wanted = self.topics.filter.matches(&message.topic);
        if is_known || !is_wanted {
            if !is_wanted && !std::mem::replace(&mut self.has_told, true) {
                tracing::warn!(
                    "the broker sends messages that are not of `{}`, maybe of an earlier use of the client identifier; they \
                     are dropped",
                    outport_policy::text::message(self.topics.filter.as_str())
                );
            }
            self.unsettled = unsettled;
            self.acknowledge();
            return None;
        }
        Some(Message {
            topic: message.topic,
            payload: message.payload,
            is_repeated: message.dup,
            unsettled,
        })
    }

    fn acknowledge(&mut self) {
        let Some((qos, number)) = self.unsettled.take() else {
            return;
        };
        let packet = match qos {
            QoS::AtMostOnce => return,
            QoS::AtLeastOnce => Packet::PubAck(PubAck::new(number)),
            QoS::ExactlyOnce => {
                locked(&self.topics.session).received.insert(number);
                Packet::PubRec(PubRec::new(number))
            }
        };
        // These have a length that is always right.
        let _ = self.say(&packet);
    }

    fn say(&mut self, packet: &Packet) -> Result<(), Lost> {
        let written = packet.write(&mut self.outgoing, usize::MAX);
        written.map(drop).map_err(|_| lost(Ended::Malformed))
    }

    /// The packet that has come as a whole, if one has. One of another kind or length than those that may come is refused
    /// by its first bytes.
    fn packet(&mut self) -> Result<Option<Packet>, Lost> {
        let Some(first) = self.incoming.first().copied() else {
            return Ok(None);
        };
        let most = match first >> 4 {
            PUBLISH => MOST_PACKET,
            kind if ANSWERS.contains(&kind) => LONGEST_ANSWER,
            _ => return Err(lost(Ended::Unasked)),
        };
        match Packet::read(&mut self.incoming, most) {
            Ok(packet) => Ok(Some(packet)),
            Err(Error::InsufficientBytes(missing)) => {
                if first >> 4 == PUBLISH {
                    // So that it is not moved each time that a little of it comes.
                    self.incoming.reserve(missing.min(MOST_PACKET));
                }
                Ok(None)
            }
            Err(Error::PayloadSizeLimitExceeded(length)) if first >> 4 == PUBLISH => self.drop_packet(length),
            Err(_) => Err(lost(Ended::Malformed)),
        }
    }

    /// Drops a message whose packet has `length` bytes behind its header, and acknowledges it: it would come for ever.
    fn drop_packet(&mut self, length: usize) -> Result<Option<Packet>, Lost> {
        let malformed = || lost(Ended::Malformed);
        // The header has a byte, and its length of four, since it is a large one.
        let (header, first) = (5, self.incoming[0]);
        let Some(topic) = self.incoming.get(header..header + 2) else {
            return Ok(None);
        };
        let topic = usize::from(u16::from_be_bytes([topic[0], topic[1]]));
        let Some(number) = self.incoming.get(header + 2 + topic..header + 4 + topic) else {
            return Ok(None);
        };
        let number = u16::from_be_bytes([number[0], number[1]]);
        self.unsettled = match (first >> 1) & 3 {
            0 => None,
            1 => Some((QoS::AtLeastOnce, number)),
            2 => Some((QoS::ExactlyOnce, number)),
            _ => return Err(malformed()),
        };
        self.unwanted = header + length;
        self.acknowledge();
        // The rest of it is dropped as it comes.
        let here = self.unwanted.min(self.incoming.len());
        self.incoming.advance(here);
        self.unwanted -= here;
        if self.unwanted == 0 {
            (self.topics.too_long)();
            self.packet()
        } else {
            Ok(None)
        }
    }

    /// Waits until something has come, was sent, or has to be.
    async fn turn(&mut self, reading: Reading) -> Result<(), Lost> {
        let is_sent = self.is_sent();
        let reads = reading == Reading::Yes && self.outgoing.len() < MOST_UNSENT;
        let next = self.pings.next();
        self.incoming.reserve(READ_AT_ONCE);
        tokio::select! {
            read = self.reader.read_buf(&mut self.incoming), if reads => match read {
                Ok(1..) => Ok(()),
                Ok(0) | Err(_) => Err(lost(Ended::Broken)),
            },
            sent = send(&mut self.writer, &mut self.outgoing), if !is_sent => {
                let sent = sent.map_err(|_| lost(Ended::Broken))?;
                self.is_unflushed = matches!(sent, Sent::Part);
                self.is_stuck = false;
                if self.is_unflushed {
                    self.pings.sent();
                }
                Ok(())
            }
            () = wait_until(next) => self.ping(reading),
        }
    }

    fn ping(&mut self, reading: Reading) -> Result<(), Lost> {
        match reading {
            Reading::Yes if self.pings.is_overdue() => return Err(lost(Ended::Silent)),
            Reading::Yes => {}
            // Whoever does not read cannot know.
            Reading::No => self.pings.wait_anew(),
        }
        self.pings.sent();
        if !self.outgoing.is_empty() {
            if std::mem::replace(&mut self.is_stuck, true) {
                return Err(lost(Ended::Silent));
            }
        } else {
            PingReq
                .write(&mut self.outgoing)
                .map_err(|_| lost(Ended::Malformed))?;
            self.pings.asked();
        }
        Ok(())
    }

    fn is_sent(&self) -> bool {
        self.outgoing.is_empty() && !self.is_unflushed
    }

    /// Bytes that it keeps.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.incoming.capacity() + self.outgoing.capacity()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Yes,
    No,
}

pub(super) fn lost(why: Ended) -> Lost {
    Lost(why.to_string())
}

/// The kind of packet that a message is (2.2.1).
const PUBLISH: u8 = 3;

/// PUBREL, SUBACK, UNSUBACK and PINGRESP.
const ANSWERS: [u8; 4] = [6, 9, 11, 13];

/// Bytes of a packet with a message, behind its header: the topic and two numbers of two bytes come before it.
const MOST_PACKET: usize = MOST_MESSAGE + 65_535 + 4;

/// The number of the one packet that this side sends and that is to be answered.
const OWN_NUMBER: u16 = 1;

/// Bytes that are read at once, at least.
const READ_AT_ONCE: usize = 4 << 10;
