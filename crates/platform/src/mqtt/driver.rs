//! What speaks MQTT 3.1.1 over a connection that a broker has consented to.
//!
//! ```text
//! Delivery ──▶ PUBLISH ──┬─ at most once: sent ───────────────────────────▶ confirmed
//!                        ├─ at least once: PUBACK ────────────────────────▶ confirmed
//!                        └─ exactly once: PUBREC, then PUBREL ── PUBCOMP ─▶ confirmed
//! nothing sent for most of the keep-alive ──▶ PINGREQ ── PINGRESP
//! whoever spoke over it is gone ──▶ DISCONNECT
//! ```
//!
//! It reads whenever there is something, so that neither side waits for the other. All that a broker may say is an answer to
//! what is awaited, each once: no flood of whatever packets can cost more than one of them does. What is kept of the broker
//! is 16 bytes and a header.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{Disconnect, Packet, PingReq, PubRel, Publish};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::pings::{Pings, wait_until};

/// A message to publish, and who hears that it is.
pub(super) struct Delivery {
    pub(super) message: Publish,
    pub(super) confirmed: oneshot::Sender<()>,
}

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    #[error("the connection was broken off")]
    Broken,
    #[error("the broker did not answer in time")]
    Silent,
    #[error("the broker sent what nobody asked for")]
    Unasked,
    #[error("the broker does not speak MQTT 3.1.1")]
    Malformed,
}

pub(super) struct Driver<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Something was written that may not be sent yet.
    is_unflushed: bool,
    deliveries: mpsc::Receiver<Delivery>,
    /// Resolves when nobody speaks over the connection any more.
    left: oneshot::Receiver<()>,
    /// By the number that each has until it is confirmed.
    awaited: HashMap<u16, (Step, oneshot::Sender<()>)>,
    /// Confirmed by being sent.
    unsent: Vec<oneshot::Sender<()>>,
    last_number: u16,
    pings: Pings,
}

/// What is awaited of a broker that was given a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Acknowledged,
    Received,
    Completed,
}

impl<S: AsyncRead + AsyncWrite> Driver<S> {
    /// Over `stream`, of which `incoming` was read already. It ends when the other side of `left` is dropped.
    pub(super) fn new(
        stream: S,
        incoming: BytesMut,
        keep_alive: u16,
        deliveries: mpsc::Receiver<Delivery>,
        left: oneshot::Receiver<()>,
    ) -> Self {
        let (reader, writer) = split(stream);
        Self {
            reader,
            writer,
            incoming,
            outgoing: BytesMut::new(),
            is_unflushed: false,
            deliveries,
            left,
            awaited: HashMap::new(),
            unsent: Vec::new(),
            last_number: 0,
            pings: Pings::new(keep_alive),
        }
    }

    /// Speaks until one of the sides ends it; `note` is told why before anybody who waits is.
    pub(super) async fn run(mut self, note: impl FnOnce(Ended)) {
        let why = match self.speak().await {
            Err(why) => why,
            Ok(()) => {
                self.take_leave().await;
                Ended::Broken
            }
        };
        note(why);
    }

    async fn speak(&mut self) -> Result<(), Ended> {
        self.hear()?;
        loop {
            let is_sent = self.outgoing.is_empty() && !self.is_unflushed;
            let has_room =
                self.outgoing.len() < MOST_UNSENT && self.awaited.len() + self.unsent.len() < MOST_AWAITED;
            let next = self.pings.next();
            tokio::select! {
                read = self.reader.read_buf(&mut self.incoming) => match read {
                    Ok(1..) => self.hear()?,
                    Ok(0) | Err(_) => return Err(Ended::Broken),
                },
                sent = send(&mut self.writer, &mut self.outgoing), if !is_sent => {
                    let sent = sent.map_err(|_| Ended::Broken)?;
                    self.sent(sent);
                }
                delivery = self.deliveries.recv(), if has_room => match delivery {
                    Some(delivery) => self.publish(delivery)?,
                    None => return Ok(()),
                },
                _ = &mut self.left => return Ok(()),
                () = wait_until(next) => self.ping()?,
            }
        }
    }

    fn publish(&mut self, delivery: Delivery) -> Result<(), Ended> {
        let Delivery {
            mut message,
            confirmed,
        } = delivery;
        let step = match message.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Step::Acknowledged),
            QoS::ExactlyOnce => Some(Step::Received),
        };
        if step.is_some() {
            message.pkid = self.next_number();
        }
        // Its length was looked at before.
        message.write(&mut self.outgoing).map_err(|_| Ended::Malformed)?;
        match step {
            Some(step) => drop(self.awaited.insert(message.pkid, (step, confirmed))),
            None => self.unsent.push(confirmed),
        }
        Ok(())
    }

    /// A number that no message has. There are more than there may be messages.
    fn next_number(&mut self) -> u16 {
        loop {
            self.last_number = self.last_number.checked_add(1).unwrap_or(1);
            if !self.awaited.contains_key(&self.last_number) {
                return self.last_number;
            }
        }
    }

    /// Takes what has come, packet by packet.
    fn hear(&mut self) -> Result<(), Ended> {
        while let Some(packet) = packet(&mut self.incoming)? {
            match packet {
                Packet::PubAck(ack) => self.expect(ack.pkid, Step::Acknowledged)?,
                Packet::PubRec(received) => {
                    self.expect(received.pkid, Step::Received)?;
                    PubRel::new(received.pkid)
                        .write(&mut self.outgoing)
                        .map_err(|_| Ended::Malformed)?;
                }
                Packet::PubComp(completed) => self.expect(completed.pkid, Step::Completed)?,
                Packet::PingResp => self.pings.answered()?,
                _ => return Err(Ended::Unasked),
            }
        }
        Ok(())
    }

    /// Goes on with the message of that number, of which `step` has to be awaited.
    fn expect(&mut self, number: u16, step: Step) -> Result<(), Ended> {
        match self.awaited.remove(&number) {
            Some((awaited, confirmed)) if awaited == step => {
                if step == Step::Received {
                    self.awaited.insert(number, (Step::Completed, confirmed));
                } else {
                    // Who does not wait any more need not be told.
                    let _ = confirmed.send(());
                }
                Ok(())
            }
            _ => Err(Ended::Unasked),
        }
    }

    fn sent(&mut self, sent: Sent) {
        match sent {
            Sent::Part => {
                self.is_unflushed = true;
                self.pings.sent();
            }
            Sent::All => {
                self.is_unflushed = false;
                for confirmed in self.unsent.drain(..) {
                    let _ = confirmed.send(());
                }
                if self.outgoing.capacity() > MOST_UNSENT {
                    self.outgoing = BytesMut::new();
                }
            }
        }
    }

    fn ping(&mut self) -> Result<(), Ended> {
        if self.pings.is_overdue() {
            return Err(Ended::Silent);
        }
        self.pings.sent();
        // Otherwise something is about to be sent anyway.
        if self.outgoing.is_empty() {
            PingReq.write(&mut self.outgoing).map_err(|_| Ended::Malformed)?;
            self.pings.asked();
        }
        Ok(())
    }

    /// Says goodbye, if that is not in the middle of something else.
    async fn take_leave(&mut self) {
        if self.outgoing.is_empty() && Disconnect.write(&mut self.outgoing).is_ok() {
            let said = async {
                self.writer.write_all(&self.outgoing).await?;
                self.writer.shutdown().await
            };
            // A broker that does not take two bytes hears no more.
            let _: Result<io::Result<()>, _> = timeout(LEAVE_TIME, said).await;
        }
    }
}

/// How far something was sent.
pub(super) enum Sent {
    Part,
    All,
}

pub(super) async fn send<W: AsyncWrite + Unpin>(writer: &mut W, outgoing: &mut BytesMut) -> io::Result<Sent> {
    if outgoing.is_empty() {
        writer.flush().await?;
        return Ok(Sent::All);
    }
    match writer.write_buf(outgoing).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(Sent::Part),
    }
}

/// The packet that `incoming` begins with, if it is there as a whole. One of another kind or length than those that are
/// answers is refused by its first bytes.
pub(super) fn packet(incoming: &mut BytesMut) -> Result<Option<Packet>, Ended> {
    let Some(first) = incoming.first() else {
        return Ok(None);
    };
    if !ANSWERS.contains(&(first >> 4)) {
        return Err(Ended::Unasked);
    }
    match Packet::read(incoming, LONGEST_ANSWER) {
        Ok(packet) => Ok(Some(packet)),
        Err(Error::InsufficientBytes(_)) => Ok(None),
        Err(_) => Err(Ended::Malformed),
    }
}

/// CONNACK, PUBACK, PUBREC, PUBCOMP and PINGRESP (2.2.1).
const ANSWERS: [u8; 5] = [2, 4, 5, 7, 13];

/// Bytes of an answer behind its header, of which all have two at most.
pub(super) const LONGEST_ANSWER: usize = 16;

/// How long taking leave may take.
pub(super) const LEAVE_TIME: Duration = Duration::from_secs(1);

/// Bytes that are to be sent, beyond which no further message is taken.
pub(super) const MOST_UNSENT: usize = 64 * 1024;

/// Messages of one connection that are not confirmed.
const MOST_AWAITED: usize = 64;
