//! The answers of a queue's server, each part of them bounded.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A message, as a component is handed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The id that the queue gave it.
    pub id: Option<String>,
    /// What it says.
    pub body: Option<String>,
    /// Those of the system, and then its own.
    pub attributes: Vec<Attribute>,
}

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What it is called.
    pub name: String,
    /// `String`, `Number` or `Binary`, maybe with more behind a dot; none of the system has one.
    pub data_type: Option<String>,
    /// What it says.
    pub value: AttributeValue,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Text, or a number as it was written.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// The answer to `ReceiveMessage`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Received {
    pub(super) messages: Option<Few<Item>>,
}

/// A message that is held.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Item {
    message_id: Option<String>,
    pub(super) receipt_handle: Option<String>,
    body: Option<String>,
    attributes: Option<Pairs<String>>,
    message_attributes: Option<Pairs<Value>>,
}

/// The value of an attribute of a message's own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Value {
    data_type: Option<String>,
    string_value: Option<String>,
    binary_value: Option<String>,
}

/// The answer to `GetQueueAttributes`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct QueueAttributes {
    attributes: Option<Pairs<String>>,
}

/// What a server says of its failure.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    #[serde(rename = "__type")]
    pub(super) kind: String,
    #[serde(alias = "Message")]
    pub(super) message: String,
}

impl Received {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.as_ref().is_none_or(|few| few.0.is_empty())
    }
}

impl QueueAttributes {
    /// Seconds that a message may be worked on before it comes again.
    pub(super) fn visibility_timeout(&self) -> Option<u32> {
        let attributes = self.attributes.as_ref()?.0.iter();
        let mut own = attributes.filter(|(name, _)| name == "VisibilityTimeout");
        own.next()?.1.parse().ok()
    }
}

impl Item {
    /// The group that it has its place in the order of.
    pub(super) fn group(&self) -> Option<&str> {
        let attributes = self.attributes.as_ref()?.0.iter();
        let mut own = attributes.filter(|(name, _)| name == GROUP);
        Some(&own.next()?.1)
    }

    /// What a component is handed of it, which is not told its group unless that was asked for.
    pub(super) fn message(&mut self, tells_group: bool) -> Message {
        let systems = self.attributes.take().map(|pairs| pairs.0).unwrap_or_default();
        let own = self
            .message_attributes
            .take()
            .map(|pairs| pairs.0)
            .unwrap_or_default();
        let systems = systems
            .into_iter()
            .filter(|(name, _)| tells_group || name != GROUP)
            .map(|(name, text)| Attribute {
                name,
                data_type: None,
                value: AttributeValue::Text(text),
            });
        let own = own.into_iter().filter_map(|(name, value)| {
            let text = value.string_value.map(AttributeValue::Text);
            let binary = || {
                let bytes = BASE64_STANDARD.decode(value.binary_value?);
                bytes.ok().map(AttributeValue::Binary)
            };
            Some(Attribute {
                name,
                data_type: value.data_type,
                value: text.or_else(binary)?,
            })
        });
        Message {
            id: self.message_id.take(),
            body: self.body.take(),
            attributes: systems.chain(own).collect(),
        }
    }
}

/// A list of at most [`MOST_MESSAGES`] entries.
#[derive(Debug)]
pub(super) struct Few<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MOST_MESSAGES} messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    if list.len() == MOST_MESSAGES {
                        return Err(A::Error::invalid_length(MOST_MESSAGES + 1, &self));
                    }
                    list.push(entry);
                }
                Ok(Few(list))
            }
        }

        deserializer.deserialize_seq(Entries(PhantomData))
    }
}

/// At most [`MOST_ATTRIBUTES`] values by their names. In a few bytes of text could be an entry that takes many times as much.
#[derive(Debug)]
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MOST_ATTRIBUTES} attributes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    if pairs.len() == MOST_ATTRIBUTES {
                        return Err(A::Error::invalid_length(MOST_ATTRIBUTES + 1, &self));
                    }
                    pairs.push(entry);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// The attribute of the system's that says a message's group.
pub(super) const GROUP: &str = "MessageGroupId";

/// Messages of one answer, as SQS has it.
const MOST_MESSAGES: usize = 10;

/// Attributes of a message. SQS has 10 of a message's own, and about as many of the system's.
const MOST_ATTRIBUTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn received(text: &str) -> Option<Vec<Item>> {
        let received: Received = serde_json::from_str(text).ok()?;
        Some(received.messages.map(|few| few.0).unwrap_or_default())
    }

    #[test]
    fn an_answer_has_messages_with_attributes_of_both_kinds() {
        let text = r#"{"Messages": [{"MessageId": "1", "ReceiptHandle": "r", "MD5OfBody": "x", "Body": "hi",
            "Attributes": {"MessageGroupId": "g", "SentTimestamp": "5"},
            "MessageAttributes": {"t": {"DataType": "String", "StringValue": "a"},
                "b": {"DataType": "Binary", "BinaryValue": "AP8="}, "n": {"DataType": "Odd"},
                "x": {"DataType": "Binary", "BinaryValue": "%"}}}, {}]}"#;
        let mut items = received(text).unwrap();
        assert_eq!(items[0].group(), Some("g"));
        let message = items[0].message(false);
        let attributes: Vec<_> = message
            .attributes
            .iter()
            .map(|own| (&*own.name, &own.value))
            .collect();
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        assert_eq!(
            attributes,
            [
                ("SentTimestamp", &text("5")),
                ("t", &text("a")),
                ("b", &AttributeValue::Binary(vec![0, 255])),
            ]
        );
        assert_eq!(
            (message.id.as_deref(), message.body.as_deref()),
            (Some("1"), Some("hi"))
        );
        assert_eq!(items[1].message(true).body, None);
    }

    #[test]
    fn an_answer_that_has_more_than_any_may_have_is_refused() {
        let messages = |number| format!("{{\"Messages\": [{}]}}", vec!["{}"; number].join(","));
        let attributes = |number: usize| {
            let pairs: Vec<String> = (0..number).map(|n| format!("\"{n}\":\"\"")).collect();
            format!("{{\"Messages\": [{{\"Attributes\": {{{}}}}}]}}", pairs.join(","))
        };
        for (text, number) in [
            (messages(10), Some(10)),
            (messages(11), None),
            (attributes(64), Some(1)),
            (attributes(65), None),
            ("{}".to_owned(), Some(0)),
            (r#"{"Messages": null}"#.to_owned(), Some(0)),
            ("<xml/>".to_owned(), None),
        ] {
            assert_eq!(received(&text).map(|items| items.len()), number, "{text}");
        }
    }
}
