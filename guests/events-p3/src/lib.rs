//! A guest that is handed events, of every type of Spin 4, by asynchronous functions. It does what `events` does; the table
//! is there.

use script::{Interpreter, Script};
use script_p3::P3;
use wasip3::cli::environment::get_environment;
use wasip3::cli::stdout;
use wasip3::wit_stream;

use crate::bindings::exports::spin::redis::inbound_redis;
use crate::bindings::spin::redis::redis;
use crate::bindings::spin::sqs::sqs_types::MessageAttributeValue;
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
    async fn handle_message(message: Vec<u8>) -> Result<(), redis::Error> {
        match perform("redis", &String::from_utf8_lossy(&message)).await {
            Answer::Fail(message) => Err(redis::Error::Other(message)),
            Answer::Done | Answer::Leave => Ok(()),
        }
    }
}

impl Guest for Events {
    async fn handle_cron_event(metadata: CronMetadata) -> Result<(), CronError> {
        let environment = get_environment().into_iter();
        let text = environment
            .filter(|(name, _)| name == "EVENT")
            .map(|(_, value)| value);
        match perform(&format!("cron {}", metadata.timestamp), &text.collect::<String>()).await {
            Answer::Fail(message) => Err(CronError::Other(message)),
            Answer::Done | Answer::Leave => Ok(()),
        }
    }

    async fn handle_message(message: Vec<u8>, metadata: MqttMetadata) -> Result<(), MqttError> {
        let text = String::from_utf8_lossy(&message);
        match perform(&format!("mqtt {}", metadata.topic), &text).await {
            Answer::Fail(message) => Err(MqttError::Other(message)),
            Answer::Done | Answer::Leave => Ok(()),
        }
    }

    async fn handle_queue_message(message: Message) -> Result<MessageAction, SqsError> {
        let mut came = format!("sqs {}", message.id.unwrap_or_default());
        for attribute in message.message_attributes {
            let value = match attribute.value {
                MessageAttributeValue::Str(text) => text,
                MessageAttributeValue::Binary(bytes) => format!("{bytes:?}"),
            };
            came += &format!(" {}={value}", attribute.name);
        }
        match perform(&came, &message.body.unwrap_or_default()).await {
            Answer::Done => Ok(MessageAction::Delete),
            Answer::Leave => Ok(MessageAction::Leave),
            Answer::Fail(message) => Err(SqsError::Other(message)),
        }
    }
}

async fn perform(came: &str, text: &str) -> Answer {
    say(&format!("{came}: {text}")).await;
    if let Some(message) = text.strip_prefix("fail ") {
        return Answer::Fail(message.to_owned());
    }
    if text == "leave" {
        return Answer::Leave;
    }
    if let Ok(script) = Script::parse([text]) {
        let mut interpreter = Interpreter::new(P3);
        for statement in script.statements() {
            let result = statement.report(&interpreter.perform(statement.action()).await);
            say(&format!("{came}: {result}")).await;
        }
    }
    Answer::Done
}

async fn say(line: &str) {
    let (mut out, text) = wit_stream::new();
    let written = stdout::write_via_stream(text);
    out.write_all(format!("{line}\n").into_bytes()).await;
    drop(out);
    // Nobody may be reading, which is no reason to fail.
    let _ = written.await;
}
