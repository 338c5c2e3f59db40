//! `fermyon:spin/key-value@2.0.0`.

use wasmtime::component::{Linker, Resource};

use super::bindings::fermyon::spin::key_value::{self, Error, Host, HostStore};
use super::{Bucket, NotOpened, StoreError, open};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    key_value::add_to_linker::<T, Hosted>(linker, T::platform)
}

impl Host for PlatformCtxView<'_> {}

impl HostStore for PlatformCtxView<'_> {
    async fn open(&mut self, label: String) -> Answer<Resource<Bucket>> {
        match open(self, &label) {
            Ok(bucket) => Ok(Ok(self.table.push(bucket)?)),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn get(&mut self, store: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(self.bucket(&store)?.get(&key).await.map_err(Error::from))
    }

    async fn set(&mut self, store: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        Ok(self
            .bucket(&store)?
            .set(vec![(key, value)])
            .await
            .map_err(Error::from))
    }

    async fn delete(&mut self, store: Resource<Bucket>, key: String) -> Answer<()> {
        Ok(self.bucket(&store)?.delete(vec![key]).await.map_err(Error::from))
    }

    async fn exists(&mut self, store: Resource<Bucket>, key: String) -> Answer<bool> {
        Ok(self.bucket(&store)?.exists(&key).await.map_err(Error::from))
    }

    async fn get_keys(&mut self, store: Resource<Bucket>) -> Answer<Vec<String>> {
        Ok(self.bucket(&store)?.keys().await.map_err(Error::from))
    }

    async fn drop(&mut self, store: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl PlatformCtxView<'_> {
    pub(super) fn bucket(&self, store: &Resource<Bucket>) -> wasmtime::Result<Bucket> {
        Ok(self.table.get(store)?.clone())
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
        Self::Other(error.to_string())
    }
}
