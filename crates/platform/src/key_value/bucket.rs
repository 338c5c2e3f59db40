//! A store that an instance has open.

use std::sync::Arc;

use outport_egress::{HostCalls, HostInterface};
use outport_policy::LabelKind;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Backend, Change, Changed, KeyValueStore, MOST_IN_A_RESULT, StoreError};
use crate::ctx::{Place, PlatformCtxView};
use crate::work::Account;

/// A handle to a store. It has its place among those of its instance until it is dropped.
#[derive(Clone)]
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Bucket {
    store: KeyValueStore,
    account: Account,
    /// Turns to read what is large.
    turns: Arc<Semaphore>,
    calls: HostCalls,
    _place: Arc<Place>,
}

/// Why a guest gets no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// The gate refuses, and has told why.
    Denied,
    /// Nobody defines the label.
    Undefined,
    /// The instance has too many.
    TooMany,
}

/// Opens what `label` stands for, if it is granted.
pub(crate) fn open(view: &PlatformCtxView<'_>, label: &str) -> Result<Bucket, NotOpened> {
    let calls = view.gate.calls(HostInterface::KeyValue);
    let opened = calls.clone();
    opened.call_at_once("open", Some(label), || granted(view, label, calls))
}

fn granted(view: &PlatformCtxView<'_>, label: &str, calls: HostCalls) -> Result<Bucket, NotOpened> {
    view.gate
        .authorize_open(LabelKind::KeyValueStore, label)
        .map_err(|_| NotOpened::Denied)?;
    let store = view
        .ctx
        .platform()
        .key_value_store(label)
        .ok_or(NotOpened::Undefined)?;
    let place = Place::take(view.ctx.open_stores()).ok_or(NotOpened::TooMany)?;
    Ok(Bucket {
        store: store.clone(),
        account: view.gate.account(),
        turns: Arc::clone(view.ctx.large_reads()),
        calls,
        _place: Arc::new(place),
    })
}

impl Bucket {
    fn backend(&self) -> &dyn Backend {
        self.store.backend()
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.calls.call("get", None, self.value(key)).await
    }

    async fn value(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.backend().get_at_once(key) {
            return Ok(value);
        }
        // Until the value is handed over: a guest is ended for what it holds when it has been given it, and would be given
        // many that were read meanwhile.
        let _turn = self.turn().await;
        self.backend().get(key, self.account.clone()).await
    }

    /// A turn to read what may be large, until it is dropped.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.backend().turns(&self.turns)?.acquire().await.ok()
    }

    pub(crate) async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        let exists = self.backend().exists(key, self.account.clone());
        self.calls.call("exists", None, exists).await
    }

    /// Some keys in order, those after `after`; none if that was the last one.
    pub(crate) async fn some_keys(&self, after: Option<String>) -> Result<Vec<String>, StoreError> {
        let keys = self.backend().keys(after, self.account.clone());
        self.calls.call("list-keys", None, keys).await
    }

    /// All keys, as far as they fit into one result.
    pub(crate) async fn keys(&self) -> Result<Vec<String>, StoreError> {
        self.calls.call("get-keys", None, self.all_keys()).await
    }

    async fn all_keys(&self) -> Result<Vec<String>, StoreError> {
        let _turn = self.turn().await;
        let (mut all, mut size) = (Vec::new(), 0);
        loop {
            let after = all.last().cloned();
            let some = self.backend().keys(after, self.account.clone()).await?;
            if some.is_empty() {
                return Ok(all);
            }
            size += some.iter().map(|key| key.len() + KEY).sum::<usize>();
            if size > MOST_IN_A_RESULT {
                return Err(StoreError::too_large());
            }
            all.extend(some);
        }
    }

    /// The values of `keys`, as far as they fit into one result.
    pub(crate) async fn get_many(
        &self,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, StoreError> {
        self.calls.call("get-many", None, self.values(keys)).await
    }

    async fn values(&self, keys: Vec<String>) -> Result<Vec<(String, Option<Vec<u8>>)>, StoreError> {
        let (mut all, mut size) = (Vec::new(), 0);
        for key in keys {
            let value = self.value(&key).await?;
            size += key.len() + KEY + value.as_ref().map_or(0, Vec::len);
            if size > MOST_IN_A_RESULT {
                return Err(StoreError::too_large());
            }
            all.push((key, value));
        }
        Ok(all)
    }

    pub(crate) async fn set(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        self.change(Change::Set(pairs)).await.map(drop)
    }

    pub(crate) async fn delete(&self, keys: Vec<String>) -> Result<(), StoreError> {
        self.change(Change::Delete(keys)).await.map(drop)
    }

    pub(crate) async fn change(&self, change: Change) -> Result<Changed, StoreError> {
        let operation = change.operation();
        let change = self.backend().change(change, self.account.clone());
        self.calls.call(operation, None, change).await
    }
}

/// Bytes that a key in a list takes beside its text.
const KEY: usize = size_of::<String>();
