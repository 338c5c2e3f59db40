//! `wasi:keyvalue@0.2.0-draft2`. Beside the common verbs:
//!
//! | statement | result |
//! | --- | --- |
//! | `some-keys`, `some-keys CURSOR` | `KEYS then CURSOR`, or `KEYS then none` |
//! | `get-many KEY…` | `KEY=VALUE`, or `KEY` without a value |
//! | `set-many KEY=VALUE…` | `ok` |
//! | `delete-many KEY…` | `ok` |
//! | `increment KEY DELTA` | the number |
//! | `cas KEY` | `ok`: the key of the next two |
//! | `current` | the value, or `none` |
//! | `swap VALUE` | `ok`, or `cas-failed`, after which it can be tried again |

use std::cell::RefCell;

use super::{Told, done, exists, given, not_open, value};
use crate::bindings::wasi::keyvalue::atomics::{self, Cas, CasError};
use crate::bindings::wasi::keyvalue::batch;
use crate::bindings::wasi::keyvalue::store::{self, Bucket, Error};
use crate::interpreter::Outcome;
use crate::text::{listed, shown, unescape, unescape_text};

#[derive(Default)]
pub(crate) struct Wasi {
    cas: RefCell<Option<Cas>>,
    bucket: RefCell<Option<Bucket>>,
    held: RefCell<Vec<Bucket>>,
}

impl Wasi {
    pub(crate) fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let (first, rest) = words
            .split_first()
            .map_or(("", words), |(first, rest)| (*first, rest));
        let first = unescape_text(first);
        if let ("open" | "hold", []) = (verb, rest) {
            let opened = store::open(&first).map(|bucket| match verb {
                "open" => drop(self.bucket.replace(Some(bucket))),
                _ => self.held.borrow_mut().push(bucket),
            });
            return Some(done(opened));
        }
        let bucket = self.bucket.borrow();
        let Some(bucket) = &*bucket else {
            return Some(not_open());
        };
        Some(match (verb, rest) {
            ("get", []) => value(bucket.get(&first)),
            ("set" | "fill", rest) => done(bucket.set(&first, &given(verb, rest)?)),
            ("delete", []) => done(bucket.delete(&first)),
            ("exists", []) => exists(bucket.exists(&first)),
            ("keys", []) => all_keys(bucket).map(|keys| listed(&keys)).map_err(String::told),
            ("some-keys", []) => some_keys(bucket, words.first().copied()),
            ("get-many", _) => get_many(bucket, words),
            ("set-many", _) => set_many(bucket, words)?,
            ("delete-many", _) => {
                let keys: Vec<String> = words.iter().map(|key| unescape_text(key)).collect();
                done(batch::delete_many(bucket, &keys))
            }
            ("increment", [delta]) => {
                let number = atomics::increment(bucket, &first, delta.parse().ok()?);
                number.map(|number| number.to_string()).map_err(String::told)
            }
            ("cas", []) => done(Cas::new(bucket, &first).map(|cas| drop(self.cas.replace(Some(cas))))),
            ("current", []) => match &*self.cas.borrow() {
                Some(cas) => value(cas.current()),
                None => not_open(),
            },
            ("swap", _) => self.swap(&unescape(&words.join(" "))),
            _ => return None,
        })
    }

    fn swap(&self, value: &[u8]) -> Outcome {
        let Some(cas) = self.cas.take() else {
            return not_open();
        };
        match atomics::swap(cas, value) {
            Ok(()) => Ok("ok".to_owned()),
            Err(CasError::CasFailed(again)) => {
                self.cas.replace(Some(again));
                Err("cas-failed".to_owned())
            }
            Err(CasError::StoreError(error)) => Err(String::told(error)),
        }
    }
}

fn all_keys(bucket: &Bucket) -> Result<Vec<String>, Error> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let some = bucket.list_keys(cursor.as_deref())?;
        all.extend(some.keys);
        if some.cursor.is_none() {
            return Ok(all);
        }
        cursor = some.cursor;
    }
}

fn some_keys(bucket: &Bucket, cursor: Option<&str>) -> Outcome {
    let some = bucket.list_keys(cursor).map_err(String::told)?;
    let cursor = some.cursor.as_deref().unwrap_or("none");
    Ok(format!("{} then {cursor}", listed(&some.keys)))
}

fn get_many(bucket: &Bucket, keys: &[&str]) -> Outcome {
    let keys: Vec<String> = keys.iter().map(|key| unescape_text(key)).collect();
    let pairs = batch::get_many(bucket, &keys).map_err(String::told)?;
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| match value {
            Some(value) => format!("{key}={}", shown(value)),
            None => key.clone(),
        })
        .collect();
    Ok(pairs.join(" "))
}

fn set_many(bucket: &Bucket, pairs: &[&str]) -> Option<Outcome> {
    let pairs: Option<Vec<(String, Vec<u8>)>> = pairs
        .iter()
        .map(|pair| {
            pair.split_once('=')
                .map(|(key, value)| (unescape_text(key), unescape(value)))
        })
        .collect();
    Some(done(batch::set_many(bucket, &pairs?)))
}

impl Told<Error> for String {
    fn told(error: Error) -> Self {
        match error {
            Error::NoSuchStore => "no-such-store".to_owned(),
            Error::AccessDenied => "access-denied".to_owned(),
            Error::Other(text) => format!("other: {text}"),
        }
    }
}
