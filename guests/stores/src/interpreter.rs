//! Performs statements.

use std::cell::RefCell;

use futures_util::future::{LocalBoxFuture, join_all};
use script::Script;
use script_p3::P3;

use crate::callee::outport::callee::interpreter;
use crate::first::First;
use crate::key_value::spin_v2::SpinV2;
use crate::key_value::spin_v3::SpinV3;
use crate::key_value::wasi::Wasi;
use crate::llm;
use crate::mqtt::{Mqtt2, Mqtt3};
use crate::mysql::{Mysql2, Mysql3};
use crate::postgres::{Postgres2, Postgres3, Postgres4};
use crate::redis::{Redis2, Redis3};
use crate::sqlite::{Sqlite2, Sqlite3};
use crate::text::Counts;

/// What a statement got: a result, or what was wrong. Both are shown in the same way.
pub(crate) type Outcome = Result<String, String>;

/// Statements in, results out; keeps what they opened.
#[derive(Default)]
pub(crate) struct Interpreter {
    first: First,
    kv2: SpinV2,
    kv3: SpinV3,
    mqtt2: Mqtt2,
    mqtt3: Mqtt3,
    mysql2: Mysql2,
    mysql3: Mysql3,
    pg2: Postgres2,
    pg3: Postgres3,
    pg4: Postgres4,
    redis2: Redis2,
    redis3: Redis3,
    sqlite2: Sqlite2,
    sqlite3: Sqlite3,
    wasi: Wasi,
    network: Network,
}

/// The interpreter of the script guests. It performs one statement at a time, and is away meanwhile.
struct Network(RefCell<Option<script::Interpreter<P3>>>);

impl Default for Network {
    fn default() -> Self {
        Self(RefCell::new(Some(script::Interpreter::new(P3))))
    }
}

impl Network {
    /// `None` if it is no statement.
    async fn perform(&self, statement: &str) -> Option<Outcome> {
        let script = Script::parse([statement]).ok()?;
        let action = script.statements().next()?.action();
        let Some(mut interpreter) = self.0.take() else {
            return Some(Err("another statement on the network is at work".to_owned()));
        };
        let result = interpreter.perform(action).await;
        self.0.replace(Some(interpreter));
        Some(Ok(result))
    }
}

impl Interpreter {
    /// The results of a script, a line each.
    pub(crate) async fn perform(&self, script: &str) -> String {
        let mut lines = String::new();
        let statements = script.split([';', '\n']).map(str::trim);
        let statements = statements.filter(|text| !text.is_empty() && !text.starts_with('#'));
        for (index, statement) in statements.enumerate() {
            let result = self.statement(statement.to_owned()).await;
            lines += &format!("{} {statement} => {result}\n", index + 1);
        }
        lines
    }

    fn statement(&self, statement: String) -> LocalBoxFuture<'_, String> {
        Box::pin(async move {
            let known = match first_word(&statement) {
                ("repeat", rest) => self.repeat(rest).await,
                ("all", rest) => self.all(rest).await,
                ("callee:", rest) => Some(self.callee(rest).await),
                ("wait", ms) => wait(ms).await,
                (verb, rest) => match self.one(verb, rest).await {
                    None => self.network.perform(&statement).await,
                    known => known,
                },
            };
            known
                .unwrap_or_else(|| Err("not a statement".to_owned()))
                .unwrap_or_else(|wrong| wrong)
        })
    }

    /// `None` if it is no statement.
    async fn one(&self, verb: &str, rest: &str) -> Option<Outcome> {
        let (interface, verb) = verb.split_once('.')?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        match interface {
            "kv2" => self.kv2.perform(verb, &words),
            "kv3" => self.kv3.perform(verb, &words).await,
            "llm2" => llm::perform(verb, &words),
            "mqtt2" => self.mqtt2.perform(verb, &words),
            "mqtt3" => self.mqtt3.perform(verb, &words).await,
            "mysql2" => self.mysql2.perform(verb, &words),
            "mysql3" => self.mysql3.perform(verb, &words).await,
            "pg2" => self.pg2.perform(verb, &words),
            "pg3" => self.pg3.perform(verb, &words),
            "pg4" => self.pg4.perform(verb, &words).await,
            "redis2" => self.redis2.perform(verb, &words),
            "redis3" => self.redis3.perform(verb, &words).await,
            "sqlite2" => self.sqlite2.perform(verb, &words),
            "sqlite3" => self.sqlite3.perform(verb, &words).await,
            "wasi" => self.wasi.perform(verb, &words),
            interface => self.first.perform(interface, verb, &words),
        }
    }

    async fn repeat(&self, rest: &str) -> Option<Outcome> {
        let mut counts = Counts::default();
        for statement in iterations(rest)? {
            counts.add(self.statement(statement).await);
        }
        Some(Ok(counts.shown()))
    }

    async fn all(&self, rest: &str) -> Option<Outcome> {
        let all = iterations(rest)?.map(|statement| self.statement(statement));
        let mut counts = Counts::default();
        join_all(all)
            .await
            .into_iter()
            .for_each(|result| counts.add(result));
        Some(Ok(counts.shown()))
    }

    /// What the dependency says of one statement.
    async fn callee(&self, statement: &str) -> Outcome {
        let lines = interpreter::perform(statement.to_owned()).await;
        let result = lines
            .trim_end()
            .split_once(" => ")
            .map(|(_, result)| result.to_owned());
        result.ok_or(lines)
    }
}

async fn wait(ms: &str) -> Option<Outcome> {
    let ms: u64 = ms.parse().ok()?;
    wasip3::clocks::monotonic_clock::wait_for(ms * 1_000_000).await;
    Some(Ok("ok".to_owned()))
}

/// `N STATEMENT` as N statements, with the number of each in the place of `{}`.
fn iterations(text: &str) -> Option<impl Iterator<Item = String>> {
    let (count, statement) = first_word(text);
    let count: usize = count.parse().ok()?;
    Some((1..=count).map(move |number| statement.replace("{}", &number.to_string())))
}

fn first_word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim_start())
}
