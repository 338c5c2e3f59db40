//! A list in an answer. A few bytes of text each could be an entry that takes many times as much, so there is a bound
//! besides that of the text.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// At most [`MOST`] entries.
pub(crate) struct BoundedList<T>(Vec<T>);

impl<T> BoundedList<T> {
    #[cfg(feature = "sqlite")]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Default for BoundedList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<BoundedList<T>> for Vec<T> {
    fn from(list: BoundedList<T>) -> Self {
        list.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for BoundedList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = BoundedList<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            list.push(entry);
        }
        Ok(BoundedList(list))
    }
}

/// More than the texts that a guest may pass in one call.
pub(crate) const MOST: usize = 262_144;
