//! `spin:key-value@3.0.0`, which is asynchronous.
//!
//! Keys come as a stream, each piece read when the guest has taken the one before, so that a store of any size is listed
//! in the memory of one piece; beside it a future says whether those were all.

use std::pin::Pin;
use std::task::{Context, Poll};

use wasmtime::component::{Accessor, FutureReader, Linker, Resource, StreamReader};

use super::bindings::spin::key_value::key_value::{self, Error, Host, HostStore, HostStoreWithStore};
use super::{Bucket, NotOpened, StoreError, open};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::pieces::{self, Pieces};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    key_value::add_to_linker::<T, Hosted>(linker, T::platform)
}

impl Host for PlatformCtxView<'_> {}

impl HostStore for PlatformCtxView<'_> {
    async fn drop(&mut self, store: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl<T: PlatformView + 'static> HostStoreWithStore<T> for Hosted {
    async fn open(store: &Accessor<T, Self>, label: String) -> Answer<Resource<Bucket>> {
        store.with(|mut store| {
            let view = store.get();
            match open(&view, &label) {
                Ok(bucket) => Ok(Ok(view.table.push(bucket)?)),
                Err(why) => Ok(Err(why.into())),
            }
        })
    }

    async fn get(store: &Accessor<T, Self>, own: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(bucket(store, &own)?.get(&key).await.map_err(Error::from))
    }

    async fn set(
        store: &Accessor<T, Self>,
        own: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Answer<()> {
        Ok(bucket(store, &own)?
            .set(vec![(key, value)])
            .await
            .map_err(Error::from))
    }

    async fn delete(store: &Accessor<T, Self>, own: Resource<Bucket>, key: String) -> Answer<()> {
        Ok(bucket(store, &own)?.delete(vec![key]).await.map_err(Error::from))
    }

    async fn exists(store: &Accessor<T, Self>, own: Resource<Bucket>, key: String) -> Answer<bool> {
        Ok(bucket(store, &own)?.exists(&key).await.map_err(Error::from))
    }

    async fn get_keys(
        store: &Accessor<T, Self>,
        own: Resource<Bucket>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let bucket = bucket(store, &own)?;
        store.with(|mut store| {
            let keys = Keys {
                bucket,
                piece: None,
                last: None,
            };
            let (keys, outcome) = pieces::given(keys);
            let stream = StreamReader::new(&mut store, keys)?;
            let outcome = async move { wasmtime::error::Ok(outcome.await) };
            Ok((stream, FutureReader::new(&mut store, outcome)?))
        })
    }
}

fn bucket<T: PlatformView + 'static>(
    store: &Accessor<T, Hosted>,
    own: &Resource<Bucket>,
) -> wasmtime::Result<Bucket> {
    store.with(|mut store| store.get().bucket(own))
}

/// The keys of a store, piece by piece.
struct Keys {
    bucket: Bucket,
    piece: Option<Piece>,
    last: Option<String>,
}

/// The next piece, which is being read.
type Piece = Pin<Box<dyn Future<Output = Result<Vec<String>, StoreError>> + Send>>;

impl Keys {
    fn next_piece(&self) -> Piece {
        let (bucket, after) = (self.bucket.clone(), self.last.clone());
        Box::pin(async move { bucket.some_keys(after).await })
    }
}

impl Pieces for Keys {
    type Item = String;
    type Error = Error;

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<String>>, Error>> {
        let mut piece = match self.piece.take() {
            Some(piece) => piece,
            None => self.next_piece(),
        };
        match piece.as_mut().poll(cx) {
            Poll::Ready(Ok(keys)) if keys.is_empty() => Poll::Ready(Ok(None)),
            Poll::Ready(Ok(keys)) => {
                self.last = keys.last().cloned();
                Poll::Ready(Ok(Some(keys)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => {
                self.piece = Some(piece);
                Poll::Pending
            }
        }
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
