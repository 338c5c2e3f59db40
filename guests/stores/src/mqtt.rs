//! MQTT: `mqtt2` is `fermyon:spin/mqtt@2.0.0`, `mqtt3` is `spin:mqtt@3.0.0`.
//!
//! | statement | result |
//! | --- | --- |
//! | `open ADDRESS` | `ok`: the connection of the statements that follow, with neither a name nor a password |
//! | `publish TOPIC TEXT` | `ok`: the broker has it at least once |

use crate::bindings::fermyon::spin::mqtt as v2;
use crate::bindings::spin::mqtt::mqtt as v3;
use crate::interpreter::Outcome;
use crate::kept::Kept;
use crate::text::{named, unescape, unescape_text};

/// Seconds.
const KEEP_ALIVE: u64 = 30;

#[derive(Default)]
pub(crate) struct Mqtt2(Kept<v2::Connection>);

impl Mqtt2 {
    pub(crate) fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let answer = match (verb, words, self.0.connection()) {
            ("open", words, _) => {
                let address = unescape_text(&words.join(" "));
                v2::Connection::open(&address, "", "", KEEP_ALIVE).map(|opened| self.0.keep(opened))
            }
            ("publish", _, Err(nothing)) => return Some(nothing),
            ("publish", [topic, text @ ..], Ok(open)) => {
                let (topic, text) = (unescape_text(topic), unescape(&text.join(" ")));
                let done = open.publish(&topic, &text, v2::Qos::AtLeastOnce);
                done.map(|()| "ok".to_owned())
            }
            _ => return None,
        };
        Some(answer.map_err(|error| named(&error)))
    }
}

#[derive(Default)]
pub(crate) struct Mqtt3(Kept<v3::Connection>);

impl Mqtt3 {
    pub(crate) async fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let answer = match (verb, words, self.0.connection()) {
            ("open", words, _) => {
                let address = unescape_text(&words.join(" "));
                let opened = v3::Connection::open(address, String::new(), String::new(), KEEP_ALIVE).await;
                opened.map(|opened| self.0.keep(opened))
            }
            ("publish", _, Err(nothing)) => return Some(nothing),
            ("publish", [topic, text @ ..], Ok(open)) => {
                let (topic, text) = (unescape_text(topic), unescape(&text.join(" ")));
                let done = open.publish(topic, text, v3::Qos::AtLeastOnce).await;
                done.map(|()| "ok".to_owned())
            }
            _ => return None,
        };
        Some(answer.map_err(|error| named(&error)))
    }
}
