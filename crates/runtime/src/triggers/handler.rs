//! The function that a component exports for events of a type: which one it has, and a call of it.
//!
//! | events | exports, of several the first |
//! | --- | --- |
//! | Redis | `spin:redis/inbound-redis@3.0.0`, `fermyon:spin/inbound-redis` |
//! | a clock | `handle-cron-event` |
//! | MQTT | `handle-message` |
//! | SQS | `handle-queue-message` |
//!
//! The latter three are functions of the component itself, whatever version of Spin's packages their types are from: the
//! types of all versions are the same. A function is `async` or not by its component's choice, and called alike.

use outport_manifest::EventKind;
use wasmtime::Store;

use self::bindings::{cron, first_redis, mqtt, redis, sqs};
use super::event::{Event, SqsMessage, SqsValue};
use crate::component::{Export, INBOUND_REDIS, list};
use crate::guest::Guest;
use crate::guest_pre::GuestPre;

/// A component's function for events of one type.
#[derive(Clone)]
pub(super) enum HandlerPre {
    FirstRedis(first_redis::FirstRedisPre<Guest>),
    Redis(redis::RedisPre<Guest>),
    Cron(cron::CronPre<Guest>),
    Mqtt(mqtt::MqttPre<Guest>),
    Sqs(sqs::SqsPre<Guest>),
}

/// What a handler that returned wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// Nothing more: the event is done.
    Done,
    /// The message may stay in its queue.
    Leave,
}

/// The error that a handler returned, as a text of the guest's; not escaped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GuestError(pub(super) String);

/// The reason why a component cannot be handed events of a type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnEventComponent {
    /// The component does not export the function.
    #[error("component `{component}` handles no {}: it exports no {}, but {}", events(*.kind), expected(*.kind), list(.exports))]
    NoExport {
        /// The component.
        component: String,
        /// The type of the events.
        kind: EventKind,
        /// The exports that it has instead.
        exports: Vec<String>,
    },
    /// The function has other parameters or results.
    #[error("component `{component}` handles no {}: its `{export}` has another type than that of Spin's triggers", events(*.kind))]
    OtherType {
        /// The component.
        component: String,
        /// The type of the events.
        kind: EventKind,
        /// The export.
        export: &'static str,
    },
}

fn events(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Redis => "messages of Redis",
        EventKind::Cron => "events of a clock",
        EventKind::Mqtt => "messages of MQTT",
        EventKind::Sqs => "messages of SQS",
    }
}

/// The exports that a component needs one of for events of a type, for a message.
fn expected(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Redis => "`spin:redis/inbound-redis@3.0.0` or `fermyon:spin/inbound-redis`",
        EventKind::Cron => "`handle-cron-event`",
        EventKind::Mqtt => "`handle-message`",
        EventKind::Sqs => "`handle-queue-message`",
    }
}

impl HandlerPre {
    /// The handler of a component for events of this type.
    pub(super) fn of(guest: &GuestPre, kind: EventKind) -> Result<Self, NotAnEventComponent> {
        let export = match kind {
            EventKind::Redis if guest.has(Export::InboundRedisV3) => Export::InboundRedisV3,
            EventKind::Redis => Export::InboundRedis,
            EventKind::Cron => Export::CronEvent,
            EventKind::Mqtt => Export::MqttMessage,
            EventKind::Sqs => Export::QueueMessage,
        };
        let component = guest.name().to_owned();
        if !guest.has(export) {
            let exports = guest.exports().collect();
            return Err(NotAnEventComponent::NoExport {
                component,
                kind,
                exports,
            });
        }
        let pre = guest.instance().clone();
        let handler = match kind {
            EventKind::Redis if export == Export::InboundRedisV3 => {
                redis::RedisPre::new(pre).map(Self::Redis)
            }
            EventKind::Redis => first_redis::FirstRedisPre::new(pre).map(Self::FirstRedis),
            EventKind::Cron => cron::CronPre::new(pre).map(Self::Cron),
            EventKind::Mqtt => mqtt::MqttPre::new(pre).map(Self::Mqtt),
            EventKind::Sqs => sqs::SqsPre::new(pre).map(Self::Sqs),
        };
        handler.map_err(|error| {
            tracing::debug!("{error:#}");
            NotAnEventComponent::OtherType {
                component,
                kind,
                export: export.name(),
            }
        })
    }

    /// The type of events that it takes.
    pub(super) fn kind(&self) -> EventKind {
        match self {
            Self::FirstRedis(_) | Self::Redis(_) => EventKind::Redis,
            Self::Cron(_) => EventKind::Cron,
            Self::Mqtt(_) => EventKind::Mqtt,
            Self::Sqs(_) => EventKind::Sqs,
        }
    }

    /// The export that it calls.
    pub(super) fn export(&self) -> &'static str {
        match self {
            Self::FirstRedis(_) => INBOUND_REDIS,
            Self::Redis(_) => Export::InboundRedisV3.name(),
            Self::Cron(_) => Export::CronEvent.name(),
            Self::Mqtt(_) => Export::MqttMessage.name(),
            Self::Sqs(_) => Export::QueueMessage.name(),
        }
    }

    /// Has a new instance in `store` handle an event, which is one of its type.
    pub(super) async fn call(
        &self,
        mut store: Store<Guest>,
        event: Event,
    ) -> wasmtime::Result<Result<Handled, GuestError>> {
        let store = &mut store;
        let done = match (self, event) {
            (Self::FirstRedis(pre), Event::Redis { payload }) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let interface = instance.fermyon_spin_inbound_redis();
                let answer = interface.call_handle_message(store, &payload).await?;
                answer.map_err(|_| GuestError("error".to_owned()))
            }
            (Self::Redis(pre), Event::Redis { payload }) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let interface = instance.spin_redis_inbound_redis();
                let answer = interface.call_handle_message(store, &payload).await?;
                answer.map_err(|error| GuestError(redis_error(error)))
            }
            (Self::Cron(pre), Event::Cron { timestamp }) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let answer = instance
                    .call_handle_cron_event(store, cron::Metadata { timestamp })
                    .await?;
                answer.map_err(|cron::Error::Other(text)| GuestError(text))
            }
            (Self::Mqtt(pre), Event::Mqtt { payload, topic }) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let metadata = mqtt::Metadata { topic };
                let answer = instance.call_handle_message(store, &payload, &metadata).await?;
                answer.map_err(|mqtt::Error::Other(text)| GuestError(text))
            }
            (Self::Sqs(pre), Event::Sqs(message)) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let answer = instance.call_handle_queue_message(store, &message.into()).await?;
                return Ok(match answer {
                    Ok(sqs::MessageAction::Delete) => Ok(Handled::Done),
                    Ok(sqs::MessageAction::Leave) => Ok(Handled::Leave),
                    Err(sqs::Error::Other(text)) => Err(GuestError(text)),
                });
            }
            (handler, event) => {
                let (kind, other) = (handler.kind().name(), event.kind().name());
                return Err(wasmtime::Error::msg(format!(
                    "a handler for {kind} was given an event of {other}"
                )));
            }
        };
        Ok(done.map(|()| Handled::Done))
    }
}

fn redis_error(error: redis::spin::redis::redis::Error) -> String {
    use redis::spin::redis::redis::Error;
    match error {
        Error::InvalidAddress => "invalid-address".to_owned(),
        Error::TooManyConnections => "too-many-connections".to_owned(),
        Error::TypeError => "type-error".to_owned(),
        Error::Other(text) => text,
    }
}

impl From<SqsMessage> for sqs::Message {
    fn from(message: SqsMessage) -> Self {
        let attributes = message.attributes.into_iter();
        let attributes = attributes.map(|attribute| sqs::MessageAttribute {
            name: attribute.name,
            data_type: attribute.data_type,
            value: match attribute.value {
                SqsValue::Text(text) => sqs::MessageAttributeValue::Str(text),
                SqsValue::Binary(bytes) => sqs::MessageAttributeValue::Binary(bytes),
            },
        });
        Self {
            id: message.id,
            message_attributes: attributes.collect(),
            body: message.body,
        }
    }
}

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    pub(in super::super) mod first_redis {
        wasmtime::component::bindgen!({
            path: "wit-events",
            world: "outport:events/first-redis",
            exports: { default: async },
        });
    }

    pub(in super::super) mod redis {
        wasmtime::component::bindgen!({
            path: "wit-events",
            world: "outport:events/redis",
            exports: { default: async },
        });
    }

    pub(in super::super) mod cron {
        wasmtime::component::bindgen!({
            path: "wit-events",
            world: "outport:events/cron",
            exports: { default: async },
        });
    }

    pub(in super::super) mod mqtt {
        wasmtime::component::bindgen!({
            path: "wit-events",
            world: "outport:events/mqtt",
            exports: { default: async },
        });
    }

    pub(in super::super) mod sqs {
        wasmtime::component::bindgen!({
            path: "wit-events",
            world: "outport:events/sqs",
            exports: { default: async },
        });
    }
}
