//! `fermyon:spin/key-value` without a version, which is the first: a store is a number.

use wasmtime::component::{Linker, Resource};

use super::bindings_v1::fermyon::spin::key_value::{self, Error, Host};
use super::{Bucket, NotOpened, StoreError, open};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// A store that was opened by number: one of a later version is not reached by any.
struct Numbered(Bucket);

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    key_value::add_to_linker::<T, Hosted>(linker, T::platform)
}

impl Host for PlatformCtxView<'_> {
    async fn open(&mut self, label: String) -> Answer<u32> {
        match open(self, &label) {
            Ok(bucket) => Ok(Ok(self.table.push(Numbered(bucket))?.rep())),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn get(&mut self, store: u32, key: String) -> Answer<Vec<u8>> {
        let Some(bucket) = self.numbered_bucket(store) else {
            return Ok(Err(Error::InvalidStore));
        };
        let value = bucket.get(&key).await.map_err(Error::from);
        Ok(value.and_then(|value| value.ok_or(Error::NoSuchKey)))
    }

    async fn set(&mut self, store: u32, key: String, value: Vec<u8>) -> Answer<()> {
        let Some(bucket) = self.numbered_bucket(store) else {
            return Ok(Err(Error::InvalidStore));
        };
        Ok(bucket.set(vec![(key, value)]).await.map_err(Error::from))
    }

    async fn delete(&mut self, store: u32, key: String) -> Answer<()> {
        let Some(bucket) = self.numbered_bucket(store) else {
            return Ok(Err(Error::InvalidStore));
        };
        Ok(bucket.delete(vec![key]).await.map_err(Error::from))
    }

    async fn exists(&mut self, store: u32, key: String) -> Answer<bool> {
        let Some(bucket) = self.numbered_bucket(store) else {
            return Ok(Err(Error::InvalidStore));
        };
        Ok(bucket.exists(&key).await.map_err(Error::from))
    }

    async fn get_keys(&mut self, store: u32) -> Answer<Vec<String>> {
        let Some(bucket) = self.numbered_bucket(store) else {
            return Ok(Err(Error::InvalidStore));
        };
        Ok(bucket.keys().await.map_err(Error::from))
    }

    async fn close(&mut self, store: u32) -> wasmtime::Result<()> {
        // One that is not open is no error.
        drop(self.table.delete(Resource::<Numbered>::new_own(store)));
        Ok(())
    }
}

impl PlatformCtxView<'_> {
    /// The open store that has this number; none if it is another thing's, or nothing's.
    fn numbered_bucket(&self, store: u32) -> Option<Bucket> {
        let Numbered(bucket) = self.table.get(&Resource::new_borrow(store)).ok()?;
        Some(bucket.clone())
    }
}

impl From<NotOpened> for Error {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::Denied => Self::AccessDenied,
            NotOpened::Undefined => Self::NoSuchStore,
            NotOpened::TooMany => Self::StoreTableFull,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Io(error.to_string())
    }
}
