//! What a trigger hands to a component.

use outport_manifest::EventKind;

/// One event. What it holds is bounded by whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What was published on a channel of a Redis server.
    Redis {
        /// The message.
        payload: Vec<u8>,
    },
    /// A time of the clock.
    Cron {
        /// When the component was started: seconds since 1970, UTC.
        timestamp: u64,
    },
    /// What was published on a topic of an MQTT broker.
    Mqtt {
        /// The message.
        payload: Vec<u8>,
        /// The topic.
        topic: String,
    },
    /// A message of a queue of SQS.
    Sqs(SqsMessage),
}

/// A message of a queue of SQS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SqsMessage {
    /// The queue's id of it.
    pub id: Option<String>,
    /// The system's attributes and those of its sender.
    pub attributes: Vec<SqsAttribute>,
    /// Its text.
    pub body: Option<String>,
}

/// An attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsAttribute {
    /// Its name.
    pub name: String,
    /// What its sender says it is, such as `Number`.
    pub data_type: Option<String>,
    /// Its value.
    pub value: SqsValue,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqsValue {
    /// Text, or a number as text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Event {
    /// The type of trigger that hands over such events.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Redis { .. } => EventKind::Redis,
            Self::Cron { .. } => EventKind::Cron,
            Self::Mqtt { .. } => EventKind::Mqtt,
            Self::Sqs(_) => EventKind::Sqs,
        }
    }
}
