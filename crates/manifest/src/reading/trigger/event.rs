//! Triggers that hand events to a component: `[[trigger.redis]]`, `[[trigger.cron]]`, `[[trigger.mqtt]]`, `[[trigger.sqs]]`.
//!
//! What they have in common is here; what each of them listens to is read by a module of its own. What
//! `[application.trigger.redis]` or `[application.trigger.mqtt]` says for all triggers of a type is given to each of them.

use std::sync::Arc;

use crate::reading::component::read_template;
use crate::reading::fields::Fields;
use crate::reading::trigger::cron::{CronSchedule, read_schedule};
use crate::reading::trigger::mqtt::{MqttServer, MqttTopic, read_topic};
use crate::reading::trigger::redis::{RedisChannel, read_channel};
use crate::reading::trigger::sqs::{SqsQueue, read_queue};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::{Located, Span};
use crate::template::Template;
use crate::values::identifier::ComponentId;

/// One trigger that hands events over: each starts an instance of the component.
#[derive(Debug, Clone)]
pub struct EventTrigger {
    /// Its id, written or made up.
    pub id: String,
    /// The component that gets the events.
    pub component: Located<ComponentId>,
    /// Where they come from.
    pub source: EventSource,
    /// The place where the trigger stands.
    pub span: Span,
}

/// Where the events of a trigger come from.
#[derive(Debug, Clone)]
pub enum EventSource {
    /// A channel of a Redis server.
    Redis(RedisChannel),
    /// The clock.
    Cron(CronSchedule),
    /// Topics of an MQTT broker.
    Mqtt(MqttTopic),
    /// A queue of SQS.
    Sqs(SqsQueue),
}

/// The type of a trigger that hands events over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// `[[trigger.redis]]`
    Redis,
    /// `[[trigger.cron]]`
    Cron,
    /// `[[trigger.mqtt]]`
    Mqtt,
    /// `[[trigger.sqs]]`
    Sqs,
}

/// What `[application.trigger]` says for all triggers of a type.
#[derive(Debug, Default)]
pub(crate) struct EventSettings {
    pub(crate) redis: Setting<Located<Template>>,
    pub(crate) mqtt: Setting<Arc<MqttServer>>,
}

/// One of them.
#[derive(Debug, Clone, Default)]
pub(crate) enum Setting<T> {
    /// Nobody wrote it.
    #[default]
    Absent,
    /// It is there, and was wrong: that was reported.
    Wrong,
    Read(T),
}

impl EventKind {
    /// All types.
    pub const ALL: [Self; 4] = [Self::Redis, Self::Cron, Self::Mqtt, Self::Sqs];

    /// The type of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name: `redis`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Cron => "cron",
            Self::Mqtt => "mqtt",
            Self::Sqs => "sqs",
        }
    }

    /// Its table in a manifest: `trigger.redis`.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Redis => "trigger.redis",
            Self::Cron => "trigger.cron",
            Self::Mqtt => "trigger.mqtt",
            Self::Sqs => "trigger.sqs",
        }
    }
}

impl EventSource {
    /// The type of the trigger.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Redis(_) => EventKind::Redis,
            Self::Cron(_) => EventKind::Cron,
            Self::Mqtt(_) => EventKind::Mqtt,
            Self::Sqs(_) => EventKind::Sqs,
        }
    }

    /// The texts in it that may have variables.
    pub fn templates(&self) -> impl Iterator<Item = &Located<Template>> {
        let templates = match self {
            Self::Redis(channel) => vec![&channel.channel, &channel.address],
            Self::Mqtt(topic) => {
                let server = topic.server.templates();
                std::iter::once(&topic.topic).chain(server).collect()
            }
            Self::Cron(_) | Self::Sqs(_) => Vec::new(),
        };
        templates.into_iter()
    }
}

impl EventSettings {
    /// The texts in them that may have variables.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Located<Template>> {
        let redis = self.redis.read();
        let mqtt = self.mqtt.read().into_iter();
        redis
            .into_iter()
            .chain(mqtt.flat_map(|server| server.templates()))
    }
}

impl<T> Setting<T> {
    pub(crate) fn of(read: Option<T>) -> Self {
        read.map_or(Self::Wrong, Self::Read)
    }

    fn read(&self) -> Option<&T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }
}

/// Reads where the events of a trigger come from.
pub(crate) fn read_source(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    kind: EventKind,
    settings: &EventSettings,
) -> Option<EventSource> {
    match kind {
        EventKind::Redis => read_channel(found, fields, &settings.redis).map(EventSource::Redis),
        EventKind::Cron => read_schedule(found, fields).map(EventSource::Cron),
        EventKind::Mqtt => read_topic(found, fields, &settings.mqtt).map(EventSource::Mqtt),
        EventKind::Sqs => read_queue(found, fields).map(EventSource::Sqs),
    }
}

/// A text that has to be there, and may have variables.
pub(crate) fn require_template(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    key: &'static str,
) -> Option<Located<Template>> {
    let text = fields.require(found, key)?.string(found)?;
    read_template(found, &text)
}

/// A text that has to be there, and have something in it.
pub(crate) fn require_filled_template(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    key: &'static str,
) -> Option<Located<Template>> {
    let text = fields.require(found, key)?.filled_string(found)?;
    read_template(found, &text)
}

/// Reports a value that is none of those allowed.
pub(crate) fn report_value(found: &mut Findings, key: &str, span: &Span, wrong: String, help: &str) {
    let mistake = Mistake::Value {
        key: key.to_owned(),
        wrong,
        help: Some(help.to_owned()),
    };
    found.report(span, mistake);
}
