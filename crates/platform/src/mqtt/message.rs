//! What a guest publishes, as far as MQTT has a way to say it. It is checked before anything is sent: a broker ends the
//! connection of a client that breaks the protocol, and with it what others have under way.

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Publish;

/// A message with a topic that messages may have (4.7), and of a length that a packet may have (2.2.3).
pub(super) fn message(topic: String, payload: Vec<u8>, qos: QoS) -> Result<Publish, &'static str> {
    if topic.is_empty() {
        return Err("the topic is empty");
    }
    if topic.len() > usize::from(u16::MAX) {
        return Err("the topic is longer than 65,535 bytes");
    }
    if topic.contains(['+', '#']) {
        return Err("the topic has a wildcard, `+` or `#`");
    }
    if topic.contains('\0') {
        return Err("the topic has a NUL byte");
    }
    if payload.len() > LONGEST_PACKET - TOPIC_LENGTH - topic.len() - PACKET_ID {
        return Err("the message is longer than 268,435,455 bytes");
    }
    Ok(Publish::from_bytes(topic, qos, Bytes::from(payload)))
}

/// Bytes of a packet behind its header.
const LONGEST_PACKET: usize = 268_435_455;

/// Bytes before a topic that say how long it is.
const TOPIC_LENGTH: usize = 2;

/// Bytes of the number that a message has until it is confirmed.
const PACKET_ID: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_mqtt_cannot_say_is_refused() {
        let (long, longest) = ("a".repeat(65_536), "a".repeat(65_535));
        for (topic, refused) in [
            ("a", None),
            ("/", None),
            ("a/b c/ü", None),
            ("$SYS/x", None),
            (&*longest, None),
            ("", Some("the topic is empty")),
            ("a/+", Some("the topic has a wildcard, `+` or `#`")),
            ("#", Some("the topic has a wildcard, `+` or `#`")),
            ("a+b", Some("the topic has a wildcard, `+` or `#`")),
            ("a\0", Some("the topic has a NUL byte")),
            (&*long, Some("the topic is longer than 65,535 bytes")),
        ] {
            let found = message(topic.to_owned(), Vec::new(), QoS::AtLeastOnce).err();
            assert_eq!(found, refused);
        }
        for (length, is_refused) in [(LONGEST_PACKET - 5, false), (LONGEST_PACKET - 4, true)] {
            let found = message("a".to_owned(), vec![0; length], QoS::ExactlyOnce);
            assert_eq!(found.is_err(), is_refused, "{length}");
        }
    }
}
