//! Messages that are published on a channel of a Redis server.
//!
//! ```text
//! redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], as a guest writes it
//!   │ `redis.connect` judged by name, `redis.dial`, TLS, AUTH, SELECT, SUBSCRIBE
//!   ▼
//! next ──▶ a message, in the order in which the server sends them
//! nothing heard for 30 s ──▶ PING ── nothing for 30 s more ▶ lost
//! ```
//!
//! Redis keeps nothing for who is not there: what is published while there is no connection is lost, and so is what a
//! server drops with the connection since its client reads too slowly (`client-output-buffer-limit pubsub`). There is
//! nothing to acknowledge.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use outport_egress::{Destination, Dialer, HostConnection, IntroductionFailure};
use redis::cmd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::address::RedisAddress;
use super::pub_sub::{Incoming, NotAReply, Reply};
use crate::listening::{Duplex, Lost, NotAnAddress, NotListening, TooLong, duplex, shrink, without_secrets};
use crate::not_opened::{NotOpened, silent};

/// A channel of a server.
pub struct Subscriber {
    address: RedisAddress,
    channel: String,
    too_long: TooLong,
}

/// A connection on which the messages of the channel come.
pub struct Subscription {
    stream: Box<dyn Duplex>,
    incoming: Incoming,
    outgoing: BytesMut,
    channel: String,
    too_long: TooLong,
    /// What its client has told the server, and nobody else is to know.
    secret: Option<String>,
    /// When the server was last heard, or waited for again.
    heard: Instant,
    is_pinged: bool,
    /// The last message was handed out, and what comes after it was not waited for.
    is_away: bool,
}

impl Subscriber {
    /// The channel of that name, on the server at `address`: `redis://…` or `rediss://…`, as a guest writes it. Nothing is
    /// connected to yet.
    ///
    /// # Errors
    ///
    /// A part of `address` is not understood.
    pub fn new(address: &str, channel: impl Into<String>) -> Result<Self, NotAnAddress> {
        Ok(Self {
            address: RedisAddress::parse(address)?,
            channel: channel.into(),
            too_long: Arc::new(|| ()),
        })
    }

    /// Tells of each message that was dropped for its length by a call of `too_long`.
    #[must_use]
    pub fn telling(self, too_long: TooLong) -> Self {
        Self { too_long, ..self }
    }

    /// Where it connects to.
    pub fn destination(&self) -> &Destination {
        &self.address.destination
    }

    /// Subscribes on a new connection, of `dialer`.
    ///
    /// # Errors
    ///
    /// It may not be connected to, cannot be, or does not let its client in.
    pub async fn subscribe(&self, dialer: &Dialer) -> Result<Subscription, NotListening> {
        let authorized = dialer.authorize(&self.address.destination);
        let authorized = authorized.map_err(NotOpened::from)?;
        let secret = self.address.password.as_deref();
        let introduced = authorized.introduce(None, secret, async |connection| {
            let introduced = self.introduced(dialer, connection);
            let in_time = timeout(super::connection::INTRODUCTION_TIME, introduced).await;
            in_time.unwrap_or_else(|_| Err(silent()))
        });
        Ok(introduced.await?)
    }

    async fn introduced(
        &self,
        dialer: &Dialer,
        connection: HostConnection,
    ) -> Result<Subscription, NotOpened> {
        let address = &self.address;
        let host = address.destination.host();
        let stream = duplex(dialer, connection, host, address.speaks_tls).await?;
        let mut subscription = Subscription {
            stream,
            incoming: Incoming::default(),
            outgoing: BytesMut::new(),
            channel: self.channel.clone(),
            too_long: Arc::clone(&self.too_long),
            secret: address.password.clone(),
            heard: Instant::now(),
            is_pinged: false,
            is_away: false,
        };
        if let Some(password) = &address.password {
            let mut auth = cmd("AUTH");
            if let Some(user) = &address.user {
                auth.arg(user);
            }
            subscription.ask(auth.arg(password)).await?;
        }
        if address.database != 0 {
            subscription.ask(cmd("SELECT").arg(address.database)).await?;
        }
        subscription.ask(cmd("SUBSCRIBE").arg(&self.channel)).await?;
        Ok(subscription)
    }
}

impl Subscription {
    /// The next message. A future that is dropped has lost none.
    ///
    /// # Errors
    ///
    /// The connection has ended, or the server is silent or does not speak the protocol.
    pub async fn next(&mut self) -> Result<Bytes, Lost> {
        if std::mem::take(&mut self.is_away) {
            self.heard = Instant::now();
            self.is_pinged = false;
            shrink(&mut self.incoming.bytes);
        }
        loop {
            match self.incoming.reply().map_err(lost)? {
                Some(Reply::Message { channel, payload }) => {
                    if *channel != *self.channel.as_bytes() {
                        return Err(Lost("the server sent a message of another channel".to_owned()));
                    }
                    self.is_away = true;
                    return Ok(payload);
                }
                Some(Reply::Pong) => {}
                Some(Reply::Dropped) => (self.too_long)(),
                Some(Reply::Error(why)) => {
                    return Err(Lost(format!("the server says: {}", self.hidden_in(&why))));
                }
                Some(Reply::Subscribed | Reply::Status) => return Err(lost(NotAReply)),
                None => self.wait().await?,
            }
        }
    }

    /// What the server says, without the password.
    fn hidden_in<'s>(&'s self, said: &'s str) -> Cow<'s, str> {
        without_secrets(said, self.secret.as_deref())
    }

    /// Lets the server know that nobody listens any more.
    pub async fn leave(mut self) {
        // Whoever does not take it in a second hears no more.
        let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }

    /// Waits until something has come, or was sent.
    async fn wait(&mut self) -> Result<(), Lost> {
        let due = self.heard
            + if self.is_pinged {
                2 * PING_AFTER
            } else {
                PING_AFTER
            };
        self.incoming.bytes.reserve(READ_AT_ONCE);
        tokio::select! {
            read = self.stream.read_buf(&mut self.incoming.bytes) => match read {
                Ok(1..) => {
                    self.heard = Instant::now();
                    self.is_pinged = false;
                }
                Ok(0) | Err(_) => return Err(broken()),
            },
            () = sleep_until(due) => {
                if self.is_pinged {
                    return Err(Lost("the server did not answer in time".to_owned()));
                }
                self.is_pinged = true;
                self.outgoing.extend_from_slice(&cmd("PING").get_packed_command());
                // A server that takes nothing is silent too, so it is not waited for.
                let sent = timeout(PING_AFTER, self.stream.write_all_buf(&mut self.outgoing)).await;
                let flushed = match sent {
                    Ok(Ok(())) => self.stream.flush().await,
                    _ => return Err(broken()),
                };
                flushed.map_err(|_| broken())?;
            }
        }
        Ok(())
    }

    /// Sends a command, and waits until the server has consented.
    async fn ask(&mut self, command: &redis::Cmd) -> Result<(), NotOpened> {
        let broken = |_| IntroductionFailure::broken("the connection was broken off");
        let packed = command.get_packed_command();
        self.stream.write_all(&packed).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        loop {
            let reply = self.incoming.reply().map_err(|NotAReply| {
                IntroductionFailure::not_understood("what was answered is not of the protocol")
            })?;
            match reply {
                Some(Reply::Status | Reply::Subscribed) => return Ok(()),
                Some(Reply::Error(why)) => {
                    return Err(IntroductionFailure::said(self.hidden_in(&why)).into());
                }
                Some(Reply::Message { .. } | Reply::Pong | Reply::Dropped) => {
                    return Err(
                        IntroductionFailure::not_understood("the server said what nobody asked for").into(),
                    );
                }
                None => match self.stream.read_buf(&mut self.incoming.bytes).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => {
                        return Err(IntroductionFailure::broken("the connection was broken off").into());
                    }
                },
            }
        }
    }
}

fn lost(NotAReply: NotAReply) -> Lost {
    Lost("the server sent what is not of the protocol".to_owned())
}

fn broken() -> Lost {
    Lost("the connection was broken off".to_owned())
}

/// How long nothing may come before the server is asked whether it is there, and how long that may take.
const PING_AFTER: Duration = Duration::from_secs(30);

/// Bytes that are read at once, at least.
const READ_AT_ONCE: usize = 4 << 10;
