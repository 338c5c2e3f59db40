//! Spin's first interfaces, which have no version: a store or database is a number, and a server's address is in each call.
//!
//! | interface | statement | result |
//! | --- | --- | --- |
//! | `kv1` | `open LABEL`, `get KEY`, `set KEY VALUE`, `fill KEY LENGTH`, `delete KEY`, `exists KEY`, `keys` | as of the others, an error for a key without a value |
//! | `kv1`, `sqlite1` | `close` | `ok`: the store or connection of the statements before |
//! | | `use NUMBER` | `ok`: what has this number is that of the statements that follow |
//! | `sqlite1` | `open LABEL`, `execute SQL` | as of the others |
//! | `redis1` | `open ADDRESS` | `ok` if the server answers PING: the address of the statements that follow |
//! | | `get KEY`, `set KEY VALUE`, `execute COMMAND ARGUMENT…` | as of the others |
//! | | `incr KEY`, `publish CHANNEL MESSAGE`, `del`, `sadd`, `srem`, `smembers KEY …` | what it gives |
//! | `mysql1`, `pg1` | `open ADDRESS` | `ok` if the server answers `SELECT 1`: the address of the statements that follow |
//! | | `query SQL`, `execute SQL` | as of the others |
//! | `config1` | `get KEY` | the value |
//! | `http1` | `METHOD URL [BODY]` | status and body of the answer |
//! | | `headers METHOD URL [NAME=VALUE…]` | status and headers of the answer |

use std::cell::{Cell, RefCell};

use crate::first_bindings::fermyon::spin::http_types::{Method, Request};
use crate::first_bindings::fermyon::spin::redis_types::RedisParameter;
use crate::first_bindings::fermyon::spin::{config, http, key_value, mysql, postgres, redis, sqlite};
use crate::interpreter::Outcome;
use crate::text::{listed, named, row, shown, table, unescape, unescape_text};

/// What the statements before have opened.
#[derive(Default)]
pub(crate) struct First {
    store: Cell<u32>,
    database: Cell<u32>,
    redis: RefCell<String>,
    mysql: RefCell<String>,
    postgres: RefCell<String>,
}

impl First {
    /// `None` if it is no statement.
    pub(crate) fn perform(&self, interface: &str, verb: &str, words: &[&str]) -> Option<Outcome> {
        match interface {
            "config1" => config(verb, words),
            "http1" => http(verb, words),
            "kv1" => self.key_value(verb, words),
            "mysql1" => self.mysql(verb, words),
            "pg1" => self.postgres(verb, words),
            "redis1" => self.redis(verb, words),
            "sqlite1" => self.sqlite(verb, words),
            _ => None,
        }
    }

    fn key_value(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let store = self.store.get();
        let texts: Vec<String> = words.iter().map(|word| unescape_text(word)).collect();
        let key = texts.first().map(String::as_str).unwrap_or_default();
        let done = match (verb, words) {
            ("open", _) => key_value::open(key).map(|opened| self.store.set(opened)),
            ("use", [number]) => {
                self.store.set(number.parse().ok()?);
                Ok(())
            }
            ("close", []) => {
                key_value::close(store);
                Ok(())
            }
            ("get", [_]) => return Some(told(key_value::get(store, key).map(|value| shown(&value)))),
            ("set", [_, value]) => key_value::set(store, key, &unescape(value)),
            ("fill", [_, length]) => key_value::set(store, key, &vec![b'.'; length.parse().ok()?]),
            ("delete", [_]) => key_value::delete(store, key),
            ("exists", [_]) => return Some(told(key_value::exists(store, key).map(|is| is.to_string()))),
            ("keys", []) => return Some(told(key_value::get_keys(store).map(|keys| listed(&keys)))),
            _ => return None,
        };
        Some(told(done.map(ok)))
    }

    fn sqlite(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        let connection = self.database.get();
        let answer = match verb {
            "open" => sqlite::open(&text).map(|opened| ok(self.database.set(opened))),
            "use" => Ok(ok(self.database.set(text.parse().ok()?))),
            "close" => Ok(ok(sqlite::close(connection))),
            "execute" => {
                let answer = sqlite::execute(connection, &text, &[]);
                answer.map(|answer| table(answer.rows.into_iter().map(|row| row.values)))
            }
            _ => return None,
        };
        Some(told(answer))
    }

    fn redis(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        if verb == "open" {
            self.redis.replace(unescape_text(&words.join(" ")));
        }
        let at = &*self.redis.borrow();
        let texts: Vec<String> = words.iter().map(|word| unescape_text(word)).collect();
        let (key, rest) = texts.split_first().map_or(("", &texts[..]), |(key, rest)| (key.as_str(), rest));
        let answer = match (verb, words) {
            ("open", _) => redis::execute(at, "PING", &[]).map(|_| "ok".to_owned()),
            ("get", [_]) => redis::get(at, key).map(|value| shown(&value)),
            ("set", [_, value]) => redis::set(at, key, &unescape(value)).map(ok),
            ("publish", [_, message]) => redis::publish(at, key, &unescape(message)).map(ok),
            ("incr", [_]) => redis::incr(at, key).map(|number| number.to_string()),
            ("del", _) => redis::del(at, &texts).map(|number| number.to_string()),
            ("sadd", _) => redis::sadd(at, key, rest).map(|number| number.to_string()),
            ("srem", _) => redis::srem(at, key, rest).map(|number| number.to_string()),
            ("smembers", [_]) => redis::smembers(at, key).map(|mut values| {
                values.sort();
                listed(&values)
            }),
            ("execute", [_, arguments @ ..]) => {
                let arguments = arguments.iter().map(|word| match word.strip_prefix('#') {
                    Some(number) => number.parse().map(RedisParameter::Int64).ok(),
                    None => Some(RedisParameter::Binary(unescape(word))),
                });
                let arguments: Vec<_> = arguments.collect::<Option<_>>()?;
                redis::execute(at, key, &arguments).map(|values| row(&values))
            }
            _ => return None,
        };
        Some(answer.map_err(|error| error.name().to_owned()))
    }

    fn mysql(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        if verb == "open" {
            self.mysql.replace(text.clone());
        }
        let at = &*self.mysql.borrow();
        Some(told(match verb {
            "open" => mysql::query(at, "SELECT 1", &[]).map(|_| "ok".to_owned()),
            "query" => mysql::query(at, &text, &[]).map(|answer| table(answer.rows)),
            "execute" => mysql::execute(at, &text, &[]).map(ok),
            _ => return None,
        }))
    }

    fn postgres(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        if verb == "open" {
            self.postgres.replace(text.clone());
        }
        let at = &*self.postgres.borrow();
        Some(told(match verb {
            "open" => postgres::query(at, "SELECT 1", &[]).map(|_| "ok".to_owned()),
            "query" => postgres::query(at, &text, &[]).map(|answer| table(answer.rows)),
            "execute" => postgres::execute(at, &text, &[]).map(|rows| rows.to_string()),
            _ => return None,
        }))
    }
}

fn config(verb: &str, words: &[&str]) -> Option<Outcome> {
    match (verb, words) {
        ("get", [key]) => Some(told(config::get_config(&unescape_text(key)))),
        _ => None,
    }
}

fn http(verb: &str, words: &[&str]) -> Option<Outcome> {
    let (method, words) = match (verb, words) {
        ("headers", [method, words @ ..]) => (*method, words),
        (method, words) => (method, words),
    };
    let (url, rest) = words.split_first()?;
    let mut request = Request {
        method: self::method(method)?,
        uri: unescape_text(url),
        headers: Vec::new(),
        params: Vec::new(),
        body: None,
    };
    if verb == "headers" {
        let pair = |word: &&str| {
            let (name, value) = word.split_once('=')?;
            Some((unescape_text(name), unescape_text(value)))
        };
        request.headers = rest.iter().map(pair).collect::<Option<_>>()?;
    } else if !rest.is_empty() {
        request.body = Some(unescape(&rest.join(" ")));
    }
    let answer = http::send_request(&request);
    let answer = answer.map(|answer| {
        let shown = match verb {
            "headers" => {
                let headers = answer.headers.unwrap_or_default();
                let headers = headers.iter().map(|(name, value)| format!("{name}={value}"));
                headers.collect::<Vec<_>>().join(" ")
            }
            _ => shown(&answer.body.unwrap_or_default()),
        };
        format!("{} {shown}", answer.status).trim_end().to_owned()
    });
    Some(answer.map_err(|error| error.name().to_owned()))
}

fn method(name: &str) -> Option<Method> {
    Some(match name {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        _ => return None,
    })
}

fn told<E: std::fmt::Debug>(answer: Result<String, E>) -> Outcome {
    answer.map_err(|error| named(&error))
}

fn ok((): ()) -> String {
    "ok".to_owned()
}
