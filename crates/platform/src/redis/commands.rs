//! The commands that the interface has, and any other.

use redis::{Cmd, Value};

use super::connection::{Client, Failure};

/// An argument of any command.
pub(crate) enum Argument {
    Number(i64),
    Bytes(Vec<u8>),
}

/// One value of the answer to any command. Values in values come one after the other, as in Spin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Nil,
    Status(String),
    Number(i64),
    Bytes(Vec<u8>),
}

impl Client {
    pub(super) async fn publish(&self, channel: &str, payload: &[u8]) -> Result<(), Failure> {
        self.ask_with("PUBLISH", |command| command.arg(channel).arg(payload))
            .await
            .map(drop)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self.ask_with("GET", |command| command.arg(key)).await? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            _ => Err(Failure::Type),
        }
    }

    pub(super) async fn set(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        self.ask_with("SET", |command| command.arg(key).arg(value))
            .await
            .map(drop)
    }

    pub(super) async fn incr(&self, key: &str) -> Result<i64, Failure> {
        number(&self.ask_with("INCR", |command| command.arg(key)).await?)
    }

    pub(super) async fn del(&self, keys: &[String]) -> Result<u32, Failure> {
        count(&self.ask_with("DEL", |command| command.arg(keys)).await?)
    }

    pub(super) async fn sadd(&self, key: &str, values: &[String]) -> Result<u32, Failure> {
        count(
            &self
                .ask_with("SADD", |command| command.arg(key).arg(values))
                .await?,
        )
    }

    pub(super) async fn smembers(&self, key: &str) -> Result<Vec<String>, Failure> {
        match self.ask_with("SMEMBERS", |command| command.arg(key)).await? {
            Value::Array(values) | Value::Set(values) => values.into_iter().map(text).collect(),
            _ => Err(Failure::Type),
        }
    }

    pub(super) async fn srem(&self, key: &str, values: &[String]) -> Result<u32, Failure> {
        count(
            &self
                .ask_with("SREM", |command| command.arg(key).arg(values))
                .await?,
        )
    }

    /// Any command, sent as it is. Its name is one word: what follows a space would be no part of it for the server either.
    pub(crate) async fn execute(
        &self,
        command: &str,
        arguments: Vec<Argument>,
    ) -> Result<Vec<Answer>, Failure> {
        let value = self.ask_any(command, arguments).await?;
        let mut answers = Vec::new();
        append(&mut answers, value);
        Ok(answers)
    }

    /// The same, with the answer as it is.
    pub(crate) async fn ask_any(&self, command: &str, arguments: Vec<Argument>) -> Result<Value, Failure> {
        self.ask_as(ANY, command, |command| {
            for argument in &arguments {
                match argument {
                    Argument::Number(number) => command.arg(*number),
                    Argument::Bytes(bytes) => command.arg(&**bytes),
                };
            }
            command
        })
        .await
    }

    async fn ask_with(
        &self,
        name: &'static str,
        complete: impl FnOnce(&mut Cmd) -> &mut Cmd,
    ) -> Result<Value, Failure> {
        self.ask_as(name, name, complete).await
    }

    async fn ask_as(
        &self,
        operation: &'static str,
        name: &str,
        complete: impl FnOnce(&mut Cmd) -> &mut Cmd,
    ) -> Result<Value, Failure> {
        let mut command = Cmd::new();
        complete(command.arg(name));
        self.calls().call(operation, None, self.ask(name, &command)).await
    }
}

/// What any command is called in a span: its name may be anything.
const ANY: &str = "execute";

fn number(value: &Value) -> Result<i64, Failure> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(Failure::Type),
    }
}

fn count(value: &Value) -> Result<u32, Failure> {
    u32::try_from(number(value)?).map_err(|_| Failure::Type)
}

fn text(value: Value) -> Result<String, Failure> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| Failure::Type),
        _ => Err(Failure::Type),
    }
}

/// What is in what is bounded by the library: a hundred levels.
fn append(answers: &mut Vec<Answer>, value: Value) {
    let mut all = |values: Vec<Value>| values.into_iter().for_each(|value| append(answers, value));
    match value {
        Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => all(values),
        Value::Map(pairs) => all(pairs.into_iter().flat_map(<[Value; 2]>::from).collect()),
        Value::Attribute { data, .. } => append(answers, *data),
        Value::Nil => answers.push(Answer::Nil),
        Value::Int(number) => answers.push(Answer::Number(number)),
        Value::Boolean(truth) => answers.push(Answer::Number(truth.into())),
        Value::Okay => answers.push(Answer::Status("OK".to_owned())),
        Value::SimpleString(text) => answers.push(Answer::Status(text)),
        Value::BulkString(bytes) | Value::BigNumber(bytes) => answers.push(Answer::Bytes(bytes)),
        Value::VerbatimString { text, .. } => answers.push(Answer::Bytes(text.into_bytes())),
        Value::Double(number) => answers.push(Answer::Bytes(number.to_string().into_bytes())),
        // An error is no answer: it was taken out before.
        Value::ServerError(_) => {}
        // A kind that the library may have one day.
        _ => answers.push(Answer::Nil),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_values_come_one_after_the_other() {
        let bytes = |text: &str| Value::BulkString(text.into());
        let value = Value::Array(vec![
            Value::Int(1),
            Value::Array(vec![bytes("a"), Value::Nil, Value::Array(Vec::new())]),
            Value::Map(vec![(bytes("k"), Value::Boolean(true))]),
            Value::Okay,
            Value::SimpleString("QUEUED".to_owned()),
            Value::Double(1.5),
        ]);
        let mut answers = Vec::new();
        append(&mut answers, value);
        let bytes = |text: &str| Answer::Bytes(text.into());
        let status = |text: &str| Answer::Status(text.to_owned());
        assert_eq!(
            answers,
            [
                Answer::Number(1),
                bytes("a"),
                Answer::Nil,
                bytes("k"),
                Answer::Number(1),
                status("OK"),
                status("QUEUED"),
                bytes("1.5"),
            ]
        );
    }
}
