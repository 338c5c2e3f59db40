//! `[[trigger.mqtt]]`: what is published on topics of an MQTT broker.
//!
//! | key | |
//! | --- | --- |
//! | `topic` | a topic, or a filter for several (`+`, `#`) |
//! | `qos` | the quality of service: `"0"`, `"1"` or `"2"` |
//!
//! The broker is that of `[application.trigger.mqtt]`:
//!
//! | key | |
//! | --- | --- |
//! | `address` | its URL |
//! | `username`, `password` | of the app; empty where the broker asks for none |
//! | `keep_alive_interval` | seconds between two signs of life, 0 to 65535; 0 for none |
//!
//! All of them are strings, as with Spin, and have to be there; all but `qos` and `keep_alive_interval` may have variables.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::reading::fields::{Fields, Node};
use crate::reading::trigger::event::{Setting, report_value, require_filled_template, require_template};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::Located;
use crate::template::Template;

/// Topics of a broker.
#[derive(Debug, Clone)]
pub struct MqttTopic {
    /// The filter for them.
    pub topic: Located<Template>,
    /// The quality of service that is asked for.
    pub qos: Qos,
    /// The broker.
    pub server: Arc<MqttServer>,
}

/// How often a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qos {
    /// `0`: it may be lost.
    AtMostOnce,
    /// `1`: it may come more than once.
    AtLeastOnce,
    /// `2`
    ExactlyOnce,
}

/// A broker: `[application.trigger.mqtt]`. `Debug` shows nothing of what may be secret.
#[derive(Clone)]
pub struct MqttServer {
    /// Its URL.
    pub address: Located<Template>,
    /// The user; empty where it asks for none.
    pub username: Located<Template>,
    /// The user's password; empty where it asks for none.
    pub password: Located<Template>,
    /// The time between two signs of life; zero for none. Whole seconds, at most 65535.
    pub keep_alive: Duration,
}

impl MqttServer {
    /// The texts in it that may have variables.
    pub(crate) fn templates(&self) -> [&Located<Template>; 3] {
        [&self.address, &self.username, &self.password]
    }
}

impl fmt::Debug for MqttServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("MqttServer");
        shown
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}

/// Reads `[application.trigger.mqtt]`.
pub(crate) fn read_settings(found: &mut Findings, mut fields: Fields<'_>) -> Setting<Arc<MqttServer>> {
    let address = require_filled_template(found, &mut fields, "address");
    let username = require_template(found, &mut fields, "username");
    let password = require_template(found, &mut fields, "password");
    let keep_alive = fields
        .require(found, "keep_alive_interval")
        .and_then(|node| read_keep_alive(found, node));
    fields.finish(found);
    let server = || {
        Some(MqttServer {
            address: address?,
            username: username?,
            password: password?,
            keep_alive: keep_alive?,
        })
    };
    Setting::of(server().map(Arc::new))
}

pub(crate) fn read_topic(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    server: &Setting<Arc<MqttServer>>,
) -> Option<MqttTopic> {
    let topic = require_filled_template(found, fields, "topic");
    let qos = fields
        .require(found, "qos")
        .and_then(|node| read_qos(found, node));
    let server = match server {
        Setting::Read(server) => Some(Arc::clone(server)),
        Setting::Wrong => None,
        Setting::Absent => {
            let missing = Mistake::MissingKey {
                key: "address",
                table: "`[application.trigger.mqtt]`".to_owned(),
            };
            found.report(fields.span(), missing);
            None
        }
    };
    Some(MqttTopic {
        topic: topic?,
        qos: qos?,
        server: server?,
    })
}

fn read_qos(found: &mut Findings, node: Node<'_>) -> Option<Qos> {
    let text = node.string(found)?;
    let qos = match text.value.as_str() {
        "0" => Some(Qos::AtMostOnce),
        "1" => Some(Qos::AtLeastOnce),
        "2" => Some(Qos::ExactlyOnce),
        _ => None,
    };
    if qos.is_none() {
        let help = "0 may lose messages, 1 may repeat them, 2 does neither";
        let wrong = "must be `\"0\"`, `\"1\"` or `\"2\"`".to_owned();
        report_value(found, node.key(), &text.span, wrong, help);
    }
    qos
}

fn read_keep_alive(found: &mut Findings, node: Node<'_>) -> Option<Duration> {
    let text = node.string(found)?;
    match text.value.parse::<u16>() {
        Ok(seconds) => Some(Duration::from_secs(u64::from(seconds))),
        Err(_) => {
            let wrong = format!("must be a number of seconds from 0 to {}, as a string", u16::MAX);
            report_value(
                found,
                node.key(),
                &text.span,
                wrong,
                "write `\"30\"`, for example",
            );
            None
        }
    }
}
