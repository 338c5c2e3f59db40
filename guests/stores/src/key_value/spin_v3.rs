//! `spin:key-value@3.0.0`. Beside the common verbs `unread`: asks for all keys, and keeps the stream without reading it; and
//! `outcome`: asks for all keys, and waits for the end without reading them.

use std::cell::RefCell;
use std::rc::Rc;

use wit_bindgen::{FutureReader, StreamReader};

use super::{Told, done, exists, given, not_open, value};
use crate::bindings::spin::key_value::key_value::{Error, Store};
use crate::interpreter::Outcome;
use crate::text::{listed, unescape_text};

#[derive(Default)]
pub(crate) struct SpinV3 {
    store: RefCell<Option<Rc<Store>>>,
    held: RefCell<Vec<Store>>,
    unread: RefCell<Vec<Unread>>,
}

type Unread = (StreamReader<String>, FutureReader<Result<(), Error>>);

impl SpinV3 {
    pub(crate) async fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let (first, rest) = words
            .split_first()
            .map_or(("", words), |(first, rest)| (*first, rest));
        let first = unescape_text(first);
        if let ("open" | "hold", []) = (verb, rest) {
            let opened = Store::open(first).await.map(|store| match verb {
                "open" => drop(self.store.replace(Some(Rc::new(store)))),
                _ => self.held.borrow_mut().push(store),
            });
            return Some(done(opened));
        }
        let Some(store) = self.store.borrow().clone() else {
            return Some(not_open());
        };
        Some(match (verb, rest) {
            ("get", []) => value(store.get(first).await),
            ("set" | "fill", rest) => done(store.set(first, given(verb, rest)?).await),
            ("delete", []) => done(store.delete(first).await),
            ("exists", []) => exists(store.exists(first).await),
            ("keys", []) => {
                let (keys, outcome) = store.get_keys().await;
                let keys = keys.collect().await;
                outcome.await.map(|()| listed(&keys)).map_err(String::told)
            }
            ("outcome", []) => {
                let (_keys, outcome) = store.get_keys().await;
                done(outcome.await)
            }
            ("unread", []) => {
                let unread = store.get_keys().await;
                self.unread.borrow_mut().push(unread);
                Ok("ok".to_owned())
            }
            _ => return None,
        })
    }
}

impl Told<Error> for String {
    fn told(error: Error) -> Self {
        match error {
            Error::StoreTableFull => "store-table-full".to_owned(),
            Error::NoSuchStore => "no-such-store".to_owned(),
            Error::AccessDenied => "access-denied".to_owned(),
            Error::Other(text) => format!("other: {text}"),
        }
    }
}
