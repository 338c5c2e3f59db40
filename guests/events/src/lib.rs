//! A guest that is handed events, of every type that Spin had before version 4, and does what they say.
//!
//! The text of an event (a payload, a body; for a clock the environment variable `EVENT`) is printed, with what came along:
//!
//! ```text
//! redis: TEXT
//! cron TIMESTAMP: TEXT
//! mqtt TOPIC: TEXT
//! sqs ID NAME=VALUE…: TEXT
//! ```
//!
//! | text | then |
//! | --- | --- |
//! | `fail MESSAGE` | an error is returned |
//! | `leave` | a message of SQS stays in its queue |
//! | statements of the script guests | they are performed, and each result printed: `redis: 1 wait 5 => ok` |
//! | anything else | nothing |

use script::{Interpreter, Script};
use script_p2::{P2, run};
use wasip2::cli::environment::get_environment;
use wasip2::cli::stdout;

use crate::bindings::exports::fermyon::spin::inbound_redis;
use crate::bindings::fermyon::spin::redis_types;
use crate::bindings::fermyon::spin_sqs::sqs_types::MessageAttributeValue;
use crate::bindings::{
    CronError, CronMetadata, Guest, Message, MessageAction, MqttError, MqttMetadata, SqsError,
};

#[allow(missing_docs)]
mod bindings {
    wit_bindgen::generate!({ world: "events", path: "wit", generate_all });
}

struct Events;

bindings::export!(Events with_types_in bindings);

/// What the text of an event asks to be answered.
enum Answer {
    Done,
    Leave,
    Fail(String),
}

impl inbound_redis::Guest for Events {
    fn handle_message(message: Vec<u8>) -> Result<(), redis_types::Error> {
        match perform("redis", &String::from_utf8_lossy(&message)) {
            Answer::Fail(_) => Err(redis_types::Error::Error),
            Answer::Done | Answer::Leave => Ok(()),
        }
    }
}

impl Guest for Events {
    fn handle_cron_event(metadata: CronMetadata) -> Result<(), CronError> {
        let environment = get_environment().into_iter();
        let text = environment
            .filter(|(name, _)| name == "EVENT")
            .map(|(_, value)| value);
        match perform(&format!("cron {}", metadata.timestamp), &text.collect::<String>()) {
            Answer::Fail(message) => Err(CronError::Other(message)),
            Answer::Done | Answer::Leave => Ok(()),
        }
    }

    fn handle_message(message: Vec<u8>, metadata: MqttMetadata) -> Result<(), MqttError> {
        let text = String::from_utf8_lossy(&message);
        match perform(&format!("mqtt {}", metadata.topic), &text) {
            Answer::Fail(message) => Err(MqttError::Other(message)),
            Answer::Done | Answer::Leave => Ok(()),
        }
    }

    fn handle_queue_message(message: Message) -> Result<MessageAction, SqsError> {
        let mut came = format!("sqs {}", message.id.unwrap_or_default());
        for attribute in message.message_attributes {
            let value = match attribute.value {
                MessageAttributeValue::Str(text) => text,
                MessageAttributeValue::Binary(bytes) => format!("{bytes:?}"),
            };
            came += &format!(" {}={value}", attribute.name);
        }
        match perform(&came, &message.body.unwrap_or_default()) {
            Answer::Done => Ok(MessageAction::Delete),
            Answer::Leave => Ok(MessageAction::Leave),
            Answer::Fail(message) => Err(SqsError::Other(message)),
        }
    }
}

fn perform(came: &str, text: &str) -> Answer {
    say(&format!("{came}: {text}"));
    if let Some(message) = text.strip_prefix("fail ") {
        return Answer::Fail(message.to_owned());
    }
    if text == "leave" {
        return Answer::Leave;
    }
    if let Ok(script) = Script::parse([text]) {
        run(async {
            let mut interpreter = Interpreter::new(P2);
            for statement in script.statements() {
                let result = statement.report(&interpreter.perform(statement.action()).await);
                say(&format!("{came}: {result}"));
            }
        });
    }
    Answer::Done
}

fn say(line: &str) {
    // Nobody may be reading, which is no reason to fail.
    let _ = stdout::get_stdout().blocking_write_and_flush(format!("{line}\n").as_bytes());
}
