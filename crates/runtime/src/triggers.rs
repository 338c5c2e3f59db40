//! Triggers that hand events to components: messages of Redis, MQTT and SQS, and the times of a clock.
//!
//! ```text
//! Connector ── next ──► Listener ── a slot among the running ──► EventComponent: an instance, its answer
//!     ▲                  │ order, a bound, waits for what is lost                        │
//!     └──── settle ──────┴───────────────────────────────────────────────────────────────┘
//! ```
//!
//! An event is one call of one function that a component exports, in an instance of its own, with grants of its own, as a
//! request to a component of WASI 0.2 has one. It runs where requests run: on the server's threads, at the limits of a
//! request, in a slot of the same [number](crate::http::Router) that may run at a time. So what waits for events
//! cannot take all slots from clients, nor clients from it.
//!
//! What a connector speaks to is none of the listener's business, and what a handler did none of the connector's: it
//! learns whether the event is [done](connector::Outcome), and may tell its server.

#[cfg_attr(
    not(all(feature = "mqtt", feature = "redis", feature = "sqs")),
    allow(dead_code, reason = "each kind of server uses a part of it")
)]
mod brokers;
pub mod connector;
mod connectors;
mod cron;
mod event;
mod event_component;
mod event_counts;
mod event_trace;
mod handler;
mod listener;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqs")]
mod sqs;
mod waits;
mod workers;

pub(crate) use self::brokers::Surroundings;
pub use self::brokers::{Brokers, OwnServer};
pub use self::connectors::NoConnector;
pub(crate) use self::connectors::connector;
pub use self::event::{Event, SqsAttribute, SqsMessage, SqsValue};
pub use self::event_component::{EventComponent, EventError};
pub use self::handler::{Handled, NotAnEventComponent};
pub use self::listener::Listener;
pub(crate) use self::listener::{CLOSE_TIME, Place};
pub(crate) use self::workers::Workers;
