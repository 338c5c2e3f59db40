//! Redis: `redis2` is `fermyon:spin/redis@2.0.0`, `redis3` is `spin:redis@3.0.0`.
//!
//! | statement | result |
//! | --- | --- |
//! | `open ADDRESS` | `ok`: the connection of the statements that follow |
//! | `get KEY` | the value, its length if it is long, or `none` |
//! | `set KEY VALUE` | `ok` |
//! | `execute COMMAND ARGUMENT…` | the values that it gives |

use crate::bindings::fermyon::spin::redis as v2;
use crate::bindings::spin::redis::redis as v3;
use crate::interpreter::Outcome;
use crate::kept::Kept;
use crate::text::{named, row, shown, unescape, unescape_text};

#[derive(Default)]
pub(crate) struct Redis2(Kept<v2::Connection>);

impl Redis2 {
    pub(crate) fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        if verb == "open" {
            let opened = v2::Connection::open(&unescape_text(&words.join(" ")));
            return Some(told(opened.map(|opened| self.0.keep(opened))));
        }
        let open = match self.0.connection() {
            Ok(open) => open,
            Err(nothing) => return Some(nothing),
        };
        Some(match (verb, words) {
            ("get", [key]) => told(open.get(&unescape_text(key)).map(value)),
            ("set", [key, value]) => told(open.set(&unescape_text(key), &unescape(value)).map(done)),
            ("execute", [command, arguments @ ..]) => {
                let arguments = arguments.iter().map(|word| unescape(word));
                let arguments: Vec<_> = arguments.map(v2::RedisParameter::Binary).collect();
                let values = open.execute(&unescape_text(command), &arguments);
                told(values.map(|values| row(&values)))
            }
            _ => return None,
        })
    }
}

#[derive(Default)]
pub(crate) struct Redis3(Kept<v3::Connection>);

impl Redis3 {
    pub(crate) async fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        if verb == "open" {
            let opened = v3::Connection::open(unescape_text(&words.join(" "))).await;
            return Some(told(opened.map(|opened| self.0.keep(opened))));
        }
        let open = match self.0.connection() {
            Ok(open) => open,
            Err(nothing) => return Some(nothing),
        };
        Some(match (verb, words) {
            ("get", [key]) => told(open.get(unescape_text(key)).await.map(value)),
            ("set", [key, value]) => told(open.set(unescape_text(key), unescape(value)).await.map(done)),
            ("execute", [command, arguments @ ..]) => {
                let arguments = arguments.iter().map(|word| unescape(word));
                let arguments: Vec<_> = arguments.map(v3::RedisParameter::Binary).collect();
                let values = open.execute(unescape_text(command), arguments).await;
                told(values.map(|values| row(&values)))
            }
            _ => return None,
        })
    }
}

fn told<E: std::fmt::Debug>(answer: Result<String, E>) -> Outcome {
    answer.map_err(|error| named(&error))
}

fn value(value: Option<Vec<u8>>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| shown(&value))
}

fn done((): ()) -> String {
    "ok".to_owned()
}
