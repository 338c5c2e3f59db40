//! The connector of a trigger, by its type.

use std::fmt::Display;

use outport_manifest::{EventKind, EventSource, Span, TemplateError};

use super::brokers::Surroundings;
use super::connector::Connector;
use super::cron::CronConnector;
use super::event_component::EventComponent;

/// The reason why a trigger has no connector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoConnector {
    /// This build has none for triggers of that type.
    #[error("triggers of type `{}` are not served by this build", .kind.name())]
    NotServed {
        /// The type.
        kind: EventKind,
    },
    /// A value is made of a variable that the app does not have, or that has no value.
    #[error("{error}")]
    Variable {
        /// What is wrong with it.
        error: TemplateError,
        /// Where the value stands.
        span: Span,
    },
    /// A value, with its variables filled in, is none that can be listened to.
    #[error("`{key}` cannot be used: {why}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong with it. Nothing of the value is in it, which may be secret.
        why: String,
        /// Advice on what to write, as a sentence without full stop.
        help: Option<&'static str>,
        /// Where the value stands.
        span: Span,
    },
}

impl NoConnector {
    #[cfg_attr(
        not(any(feature = "mqtt", feature = "redis", feature = "sqs")),
        allow(dead_code, reason = "a clock has no such values")
    )]
    pub(super) fn value(key: &'static str, why: impl Display, span: Span) -> Self {
        Self::Value {
            key,
            why: why.to_string(),
            help: None,
            span,
        }
    }

    #[cfg_attr(
        not(any(feature = "mqtt", feature = "redis", feature = "sqs")),
        allow(dead_code, reason = "a clock has no such values")
    )]
    pub(super) fn helped_by(mut self, advice: Option<&'static str>) -> Self {
        if let Self::Value { help, .. } = &mut self {
            *help = advice;
        }
        self
    }

    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Value { help, .. } => *help,
            Self::Variable { .. } | Self::NotServed { .. } => None,
        }
    }

    /// Where it stands, if it is about one value.
    pub fn span(&self) -> Option<&Span> {
        match self {
            Self::Value { span, .. } | Self::Variable { span, .. } => Some(span),
            Self::NotServed { .. } => None,
        }
    }
}

/// What listens to the source of a trigger, for a component.
///
/// # Errors
///
/// When nothing can.
pub(crate) fn connector(
    source: &EventSource,
    component: &EventComponent,
    around: &Surroundings<'_>,
) -> Result<Box<dyn Connector>, NoConnector> {
    match source {
        EventSource::Cron(schedule) => Ok(Box::new(CronConnector::new(schedule, component.failures()))),
        #[cfg(feature = "redis")]
        EventSource::Redis(channel) => Ok(Box::new(super::redis::RedisConnector::new(
            channel,
            component.failures(),
            around,
        )?)),
        #[cfg(feature = "mqtt")]
        EventSource::Mqtt(topic) => Ok(Box::new(super::mqtt::MqttConnector::new(
            topic,
            component.failures(),
            around,
        )?)),
        #[cfg(feature = "sqs")]
        EventSource::Sqs(queue) => Ok(Box::new(super::sqs::SqsConnector::new(
            queue,
            component.failures(),
            around,
        )?)),
        #[cfg(not(all(feature = "redis", feature = "mqtt", feature = "sqs")))]
        other => {
            let _ = around;
            Err(NoConnector::NotServed { kind: other.kind() })
        }
    }
}
