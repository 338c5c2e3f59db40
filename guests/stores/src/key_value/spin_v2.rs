//! `fermyon:spin/key-value@2.0.0`.

use std::cell::RefCell;

use super::{Told, done, exists, given, not_open, value};
use crate::bindings::fermyon::spin::key_value::{Error, Store};
use crate::interpreter::Outcome;
use crate::text::{listed, unescape_text};

#[derive(Default)]
pub(crate) struct SpinV2 {
    store: RefCell<Option<Store>>,
    held: RefCell<Vec<Store>>,
}

impl SpinV2 {
    pub(crate) fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let (first, rest) = words
            .split_first()
            .map_or(("", words), |(first, rest)| (*first, rest));
        let first = unescape_text(first);
        if let ("open" | "hold", []) = (verb, rest) {
            let opened = Store::open(&first).map(|store| match verb {
                "open" => drop(self.store.replace(Some(store))),
                _ => self.held.borrow_mut().push(store),
            });
            return Some(done(opened));
        }
        let store = self.store.borrow();
        let Some(store) = &*store else {
            return Some(not_open());
        };
        Some(match (verb, rest) {
            ("get", []) => value(store.get(&first)),
            ("set" | "fill", rest) => done(store.set(&first, &given(verb, rest)?)),
            ("delete", []) => done(store.delete(&first)),
            ("exists", []) => exists(store.exists(&first)),
            ("keys", []) => store.get_keys().map(|keys| listed(&keys)).map_err(String::told),
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
