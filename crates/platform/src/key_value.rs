//! Key-value stores: `fermyon:spin/key-value` without a version and `@2.0.0`, `spin:key-value@3.0.0` and
//! `wasi:keyvalue@0.2.0-draft2`.
//!
//! They say the same in different words, so each is a thin adapter over [`KeyValueStore`], and what
//! one wrote another reads. A store is a [file](mod@file) in the format of Spin's, the same in memory, or the keys of a
//! [Redis server](redis).
//!
//! | | bound |
//! | --- | --- |
//! | a value | what a guest may pass in one call |
//! | large values that are read at a time for an instance | 1 |
//! | a list of keys, or of values | 128 MiB together ([`MOST_IN_A_RESULT`]) |
//! | a file | 10 GiB |
//! | a store in memory | 128 MiB |
//! | stores that an instance has open | 256, as in Spin |

mod bucket;
mod file;
#[cfg(feature = "redis")]
mod redis;
mod spin_v1;
mod spin_v2;
mod spin_v3;
mod wasi;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
pub use bindings::fermyon::spin::key_value::Error as SpinV2Error;
pub use bindings::spin::key_value::key_value::Error as SpinV3Error;
pub use bindings::wasi::keyvalue::store::Error as WasiError;
pub use bindings_v1::fermyon::spin::key_value::Error as SpinV1Error;
pub(crate) use bucket::{Bucket, NotOpened, open};
use file::{Database, FileStore};
#[cfg(feature = "redis")]
pub use redis::RedisUrlError;
use tokio::sync::Semaphore;
use wasmtime::component::Linker;

use crate::ctx::PlatformView;
use crate::work::Account;

/// What a label stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyValueDefinition {
    /// An SQLite file with Spin's table, made if it is not there; its directory has to be there. Labels with the same file
    /// share it and not their keys.
    File(PathBuf),
    /// As long as the process lives.
    Memory,
}

/// A key-value store. Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct KeyValueStore(Arc<dyn Backend>);

/// Why a store did not do what it was asked to, for the guest. The operator's log has more, where it is not the guest's
/// fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub(crate) String);

/// A change that is made as one.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Set(Vec<(String, Vec<u8>)>),
    Delete(Vec<String>),
    /// To the number of 8 bytes, lower ones first, that the key has; 0 if it has none.
    Add {
        key: String,
        delta: i64,
    },
    /// If the value is still `from`.
    Swap {
        key: String,
        from: Option<Vec<u8>>,
        to: Vec<u8>,
    },
}

impl Change {
    /// What the interface calls it.
    fn operation(&self) -> &'static str {
        match self {
            Self::Set(_) => "set",
            Self::Delete(_) => "delete",
            Self::Add { .. } => "increment",
            Self::Swap { .. } => "swap",
        }
    }

    /// Bytes of keys and values in it.
    fn size(&self) -> usize {
        match self {
            Self::Set(pairs) => pairs.iter().map(|(key, value)| key.len() + value.len()).sum(),
            Self::Delete(keys) => keys.iter().map(String::len).sum(),
            Self::Add { key, .. } => key.len(),
            Self::Swap { key, to, .. } => key.len() + to.len(),
        }
    }
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    Done,
    /// The number is this one now.
    Number(i64),
    /// The value was another one, and still is.
    Not,
}

/// What keeps the keys and values of one label.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Where one instance reads one large thing at a time, its turns to. By default reading takes none.
    fn turns<'t>(&self, _of_instance: &'t Semaphore) -> Option<&'t Semaphore> {
        None
    }

    /// The value of a key, if that is small and there without waiting.
    fn get_at_once(&self, _key: &str) -> Option<Option<Vec<u8>>> {
        None
    }

    /// The value of a key.
    async fn get(&self, key: &str, account: Account) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether a key has a value.
    async fn exists(&self, key: &str, account: Account) -> Result<bool, StoreError>;

    /// Keys in order, those after `after`; none if that was the last one.
    async fn keys(&self, after: Option<String>, account: Account) -> Result<Vec<String>, StoreError>;

    /// Makes a change. When it is done it outlives the process.
    async fn change(&self, change: Change, account: Account) -> Result<Changed, StoreError>;
}

impl KeyValueStore {
    /// One for each definition.
    pub(crate) fn all(definitions: BTreeMap<String, KeyValueDefinition>) -> BTreeMap<String, Self> {
        let mut files: BTreeMap<PathBuf, Arc<Database>> = BTreeMap::new();
        let store = |(label, definition): (String, KeyValueDefinition)| {
            let database = match definition {
                KeyValueDefinition::File(path) => {
                    let database = files
                        .entry(path)
                        .or_insert_with_key(|path| Database::file(path.clone()).into());
                    Arc::clone(database)
                }
                KeyValueDefinition::Memory => Arc::new(Database::memory()),
            };
            let store = Self(Arc::new(FileStore::new(database, &label)));
            (label, store)
        };
        definitions.into_iter().map(store).collect()
    }

    /// Gives a key this value, in the host's own name.
    ///
    /// # Errors
    ///
    /// When the store cannot be opened or written.
    pub async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let change = Change::Set(vec![(key.to_owned(), value.to_owned())]);
        self.0.change(change, None).await.map(drop)
    }

    /// The keys of the Redis server at `url`.
    #[cfg(feature = "redis")]
    pub(crate) fn on_redis(
        egress: &outport_egress::Egress,
        label: &str,
        url: &str,
        location: outport_policy::Location,
    ) -> Result<Self, RedisUrlError> {
        let store = redis::RedisStore::new(egress, label, url, location)?;
        Ok(Self(Arc::new(store)))
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.0
    }
}

impl StoreError {
    /// A result would be larger than any may be.
    pub(crate) fn too_large() -> Self {
        Self(format!(
            "the result is larger than {} MiB",
            MOST_IN_A_RESULT >> 20
        ))
    }
}

/// Adds the interfaces.
pub(crate) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    spin_v1::add_to_linker(linker)?;
    spin_v2::add_to_linker(linker)?;
    spin_v3::add_to_linker(linker)?;
    wasi::add_to_linker(linker)
}

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "outport:platform/key-value",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/key-value.store": super::bucket::Bucket,
            "spin:key-value/key-value.store": super::bucket::Bucket,
            "wasi:keyvalue/store.bucket": super::bucket::Bucket,
            "wasi:keyvalue/atomics.cas": super::wasi::Cas,
        },
    });
}

mod bindings_v1 {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit-v1",
        world: "fermyon:spin/first-key-value",
        imports: { default: async | trappable },
    });
}

/// Bytes of a list that is given out as one: 128 MiB.
pub(crate) const MOST_IN_A_RESULT: usize = 128 << 20;
