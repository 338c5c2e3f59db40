//! `wasi:keyvalue@0.2.0-draft2`: stores, batches and atomics.

use wasmtime::component::{Linker, Resource};

use super::bindings::wasi::keyvalue::{atomics, batch, store};
use super::{Bucket, Change, Changed, NotOpened, StoreError, open};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};

type Answer<T> = wasmtime::Result<Result<T, store::Error>>;

/// A value that is to be exchanged as long as it is what it was when it was looked at last.
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Cas {
    bucket: Bucket,
    key: String,
    seen: Option<Vec<u8>>,
}

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    store::add_to_linker::<T, Hosted>(linker, T::platform)?;
    batch::add_to_linker::<T, Hosted>(linker, T::platform)?;
    atomics::add_to_linker::<T, Hosted>(linker, T::platform)
}

impl store::Host for PlatformCtxView<'_> {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Bucket>> {
        match open(self, &identifier) {
            Ok(bucket) => Ok(Ok(self.table.push(bucket)?)),
            Err(why) => Ok(Err(why.into())),
        }
    }
}

impl store::HostBucket for PlatformCtxView<'_> {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(self.bucket(&bucket)?.get(&key).await.map_err(Into::into))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        Ok(self
            .bucket(&bucket)?
            .set(vec![(key, value)])
            .await
            .map_err(Into::into))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        Ok(self.bucket(&bucket)?.delete(vec![key]).await.map_err(Into::into))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        Ok(self.bucket(&bucket)?.exists(&key).await.map_err(Into::into))
    }

    /// The cursor is the last key of the answer before, so it stays true whatever is set and deleted meanwhile.
    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Answer<store::KeyResponse> {
        let keys = self.bucket(&bucket)?.some_keys(cursor).await;
        Ok(keys
            .map(|keys| store::KeyResponse {
                cursor: keys.last().cloned(),
                keys,
            })
            .map_err(Into::into))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl batch::Host for PlatformCtxView<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Answer<Vec<(String, Option<Vec<u8>>)>> {
        Ok(self.bucket(&bucket)?.get_many(keys).await.map_err(Into::into))
    }

    async fn set_many(&mut self, bucket: Resource<Bucket>, pairs: Vec<(String, Vec<u8>)>) -> Answer<()> {
        Ok(self.bucket(&bucket)?.set(pairs).await.map_err(Into::into))
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Answer<()> {
        Ok(self.bucket(&bucket)?.delete(keys).await.map_err(Into::into))
    }
}

impl atomics::Host for PlatformCtxView<'_> {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: i64) -> Answer<i64> {
        let changed = self.bucket(&bucket)?.change(Change::Add { key, delta }).await;
        Ok(match changed {
            Ok(Changed::Number(number)) => Ok(number),
            Ok(_) => Err(store::Error::Other("the number was not changed".to_owned())),
            Err(error) => Err(error.into()),
        })
    }

    async fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let mut cas = self.table.delete(cas)?;
        let change = Change::Swap {
            key: cas.key.clone(),
            from: cas.seen.take(),
            to: value,
        };
        let failed = |error: StoreError| Ok(Err(atomics::CasError::StoreError(error.into())));
        match cas.bucket.change(change).await {
            Ok(Changed::Not) => match cas.bucket.get(&cas.key).await {
                Ok(seen) => {
                    let again = self.table.push(Cas { seen, ..cas })?;
                    Ok(Err(atomics::CasError::CasFailed(again)))
                }
                Err(error) => failed(error),
            },
            Ok(_) => Ok(Ok(())),
            Err(error) => failed(error),
        }
    }
}

impl atomics::HostCas for PlatformCtxView<'_> {
    /// The value is looked at here already: who swaps without asking for it has seen none, and must not overwrite what
    /// somebody else sets meanwhile.
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Resource<Cas>> {
        let bucket = self.bucket(&bucket)?;
        match bucket.get(&key).await {
            Ok(seen) => Ok(Ok(self.table.push(Cas { bucket, key, seen })?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Answer<Option<Vec<u8>>> {
        let (bucket, key) = {
            let cas = self.table.get(&cas)?;
            (cas.bucket.clone(), cas.key.clone())
        };
        match bucket.get(&key).await {
            Ok(value) => {
                self.table.get_mut(&cas)?.seen.clone_from(&value);
                Ok(Ok(value))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl From<NotOpened> for store::Error {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::Denied => Self::AccessDenied,
            NotOpened::Undefined => Self::NoSuchStore,
            NotOpened::TooMany => Self::Other("too many stores are open".to_owned()),
        }
    }
}

impl From<StoreError> for store::Error {
    fn from(error: StoreError) -> Self {
        Self::Other(error.to_string())
    }
}
