//! `[[trigger.sqs]]`: the messages of a queue of SQS.
//!
//! | key | default | |
//! | --- | --- | --- |
//! | `queue_url` | | the queue |
//! | `max_messages` | 10 | messages that are fetched at a time, 1 to 10 |
//! | `idle_wait_seconds` | 2 | seconds from an answer without messages, or an error, to the next question |
//! | `system_attributes` | none | the system's attributes that come with a message |
//! | `message_attributes` | none | those of its sender |
//!
//! None of them has variables. The credentials are the operator's.

use std::time::Duration;

use crate::reading::fields::{Fields, Node};
use crate::reading::trigger::event::report_value;
use crate::report::findings::Findings;
use crate::source::Located;
use crate::values::server_url::ServerUrl;

/// A queue of SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    /// Its URL, `https` or `http`.
    pub queue_url: Located<ServerUrl>,
    /// Messages that are fetched at a time, 1 to 10. Default 10.
    pub max_messages: u32,
    /// The time from an answer without messages, or an error, to the next question. Default 2 s.
    pub idle_wait: Duration,
    /// The system's attributes that come with a message. Default none.
    pub system_attributes: Vec<String>,
    /// The sender's attributes that come with a message. Default none.
    pub message_attributes: Vec<String>,
}

pub(crate) fn read_queue(found: &mut Findings, fields: &mut Fields<'_>) -> Option<SqsQueue> {
    let queue_url = fields
        .require(found, "queue_url")
        .and_then(|node| read_url(found, node));
    let max_messages = match fields.get("max_messages") {
        None => Some(MOST_AT_A_TIME),
        Some(node) => read_max_messages(found, node),
    };
    let idle_wait = match fields.get("idle_wait_seconds") {
        None => Some(IDLE_WAIT),
        Some(node) => node.count(found).map(|seconds| seconds.value),
    };
    let mut names = |key| {
        let names = fields.get(key).map(|node| node.strings(found));
        let names = names.unwrap_or_default().into_iter();
        names.map(|name| name.value).collect()
    };
    let (system_attributes, message_attributes) = (names("system_attributes"), names("message_attributes"));
    Some(SqsQueue {
        queue_url: queue_url?,
        max_messages: max_messages?,
        idle_wait: Duration::from_secs(u64::from(idle_wait?)),
        system_attributes,
        message_attributes,
    })
}

fn read_url(found: &mut Findings, node: Node<'_>) -> Option<Located<ServerUrl>> {
    let text = node.string(found)?;
    let url = ServerUrl::parse(&text.value, &[("https", 443), ("http", 80)]);
    match url.and_then(ServerUrl::with_path_alone) {
        Ok(url) => Some(Located::new(url, text.span)),
        Err(error) => {
            let help =
                "write the queue's URL, such as `https://sqs.eu-central-1.amazonaws.com/123456789012/orders`";
            report_value(found, node.key(), &text.span, error.to_string(), help);
            None
        }
    }
}

fn read_max_messages(found: &mut Findings, node: Node<'_>) -> Option<u32> {
    let number = node.count(found)?;
    if (1..=MOST_AT_A_TIME).contains(&number.value) {
        return Some(number.value);
    }
    let wrong = format!("must be a number from 1 to {MOST_AT_A_TIME}");
    let help = "a queue gives no more at a time";
    report_value(found, node.key(), &number.span, wrong, help);
    None
}

/// Messages that a queue gives at a time.
const MOST_AT_A_TIME: u32 = 10;

/// Seconds.
const IDLE_WAIT: u32 = 2;
