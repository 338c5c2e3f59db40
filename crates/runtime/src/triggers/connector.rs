//! What listens to a broker, a queue or a clock, as a [`Listener`](super::Listener) drives it.

use async_trait::async_trait;

use super::event::Event;

/// Listens to one channel, filter of topics, queue or clock.
///
/// One connector belongs to one trigger, and is driven by one task: nothing is called while something else is under way.
/// It is connected, asked for events, and told what became of each; after an error it is connected again.
#[async_trait]
pub trait Connector: Send {
    /// What it listens to, for people: "channel `orders` of redis://cache:6379". Never anything secret.
    fn listens_to(&self) -> String;

    /// The number of events that may be under way at a time, those that wait for others of their lane included. At least
    /// 1; 1 keeps the order of all.
    fn concurrency(&self) -> usize {
        1
    }

    /// Makes the connection that events come by, from the beginning: a former one is lost. Answers when it listens.
    async fn connect(&mut self) -> Result<(), ConnectorError>;

    /// The next event. Waits as long as there is none; is asked only while there is room for one. May be dropped at any
    /// point where it waits, and loses nothing then.
    async fn next(&mut self) -> Result<Delivery, ConnectorError>;

    /// What has to be done while no event is asked for, such as signs of life and longer leases; answers only if the
    /// connection was lost. May be dropped as `next` may.
    async fn attend(&mut self) -> ConnectorError {
        std::future::pending().await
    }

    /// Learns what became of an event, and tells its server. Is called once for each event that was given out on a
    /// connection that still is there or has just been lost, in the order in which they end.
    async fn settle(&mut self, receipt: Receipt, outcome: Outcome) -> Result<(), ConnectorError>;

    /// Says good-bye. What was not settled by now was not handled.
    async fn close(&mut self) {}
}

/// An event that a connector gives out.
#[derive(Debug)]
pub struct Delivery {
    /// The event.
    pub event: Event,
    /// The connector's own number for it.
    pub receipt: Receipt,
    /// Of events with the same lane one is handled at a time, in the order in which they came. Others do not wait for
    /// each other.
    pub lane: Option<Vec<u8>>,
}

/// A connector's own number for an event that it gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt(pub u64);

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was handled.
    Done,
    /// It was handled, and its message is to stay where it is.
    Leave,
    /// Its handler returned an error, trapped or ran out of time. It was told.
    Failed,
    /// It was not begun, since the app stops.
    NotBegun,
}

/// The reason why a connector has no events.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConnectorError {
    /// What went wrong, for people, with everything escaped that is a stranger's. Never anything secret.
    pub message: String,
    /// Whether trying again soon is of any use.
    pub again: Again,
}

/// Whether trying again soon is of any use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It may be: a server went away.
    Soon,
    /// Hardly: the policy denies it, or the server knows no such user. It is tried as seldom as anything is, since the
    /// policy can change.
    Seldom,
}

impl ConnectorError {
    /// A connection was lost, or could not be made.
    pub fn lost(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            again: Again::Soon,
        }
    }

    /// Somebody refused it.
    pub fn refused(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            again: Again::Seldom,
        }
    }
}
