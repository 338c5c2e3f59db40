//! `spin:sqlite@3.1.0`, which has each function of 3.0.0, and each once more, asynchronous.
//!
//! There rows come as a stream, as they are found; beside it a future says whether those were all.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureReader, Linker, Resource, StreamProducer, StreamReader, StreamResult,
    VecBuffer,
};

use super::SqliteError;
use super::bindings::spin::sqlite3_1_0::sqlite::{
    self, Error, Host, HostConnection, HostConnectionWithStore, QueryResult, RowResult, Value,
};
use super::session::{Rows, Session};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// The columns of a statement, its rows, and whether those were all.
type Found = (
    Vec<String>,
    StreamReader<RowResult>,
    FutureReader<Result<(), Error>>,
);

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    sqlite::add_to_linker::<T, Hosted>(linker, T::platform)
}

super::conversions::conversions!();

impl Host for PlatformCtxView<'_> {}

impl HostConnection for PlatformCtxView<'_> {
    async fn open(&mut self, label: String) -> Answer<Resource<Session>> {
        self.open_session(&label)
    }

    async fn execute(
        &mut self,
        connection: Resource<Session>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Answer<QueryResult> {
        let session = self.session(&connection)?;
        Ok(execute(session, statement, parameters).await)
    }

    async fn last_insert_rowid(&mut self, connection: Resource<Session>) -> wasmtime::Result<i64> {
        Ok(self.session(&connection)?.last_insert_rowid())
    }

    async fn changes(&mut self, connection: Resource<Session>) -> wasmtime::Result<u64> {
        Ok(self.session(&connection)?.changes())
    }

    async fn drop(&mut self, connection: Resource<Session>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: PlatformView + 'static> HostConnectionWithStore<T> for Hosted {
    async fn open_async(store: &Accessor<T, Self>, label: String) -> Answer<Resource<Session>> {
        store.with(|mut store| store.get().open_session(&label))
    }

    async fn execute_async(
        store: &Accessor<T, Self>,
        own: Resource<Session>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Answer<Found> {
        let parameters = parameters.into_iter().map(Into::into).collect();
        let (columns, rows) = match session(store, &own)?.execute(statement, parameters).await {
            Ok(executed) => executed,
            Err(error) => return Ok(Err(error.into())),
        };
        store.with(|mut store| {
            let (reply, outcome) = oneshot::channel();
            let rows = Producer {
                rows,
                outcome: Some(reply),
            };
            let stream = StreamReader::new(&mut store, rows)?;
            // Without a word the guest has dropped the stream, and does not want what was to come.
            let outcome = async move { wasmtime::error::Ok(outcome.await.unwrap_or(Ok(()))) };
            let outcome = FutureReader::new(&mut store, outcome)?;
            Ok(Ok((columns, stream, outcome)))
        })
    }

    async fn last_insert_rowid_async(
        store: &Accessor<T, Self>,
        own: Resource<Session>,
    ) -> wasmtime::Result<i64> {
        Ok(session(store, &own)?.last_insert_rowid())
    }

    async fn changes_async(store: &Accessor<T, Self>, own: Resource<Session>) -> wasmtime::Result<u64> {
        Ok(session(store, &own)?.changes())
    }
}

fn session<T: PlatformView + 'static>(
    store: &Accessor<T, Hosted>,
    own: &Resource<Session>,
) -> wasmtime::Result<Session> {
    store.with(|mut store| store.get().session(own))
}

/// Gives rows to the guest.
struct Producer {
    rows: Rows,
    outcome: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Producer {
    fn end(&mut self, outcome: Result<(), SqliteError>) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(reply) = self.outcome.take() {
            // The guest may have dropped its future, and then does not want to know.
            let _ = reply.send(outcome.map_err(Error::from));
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl<T> StreamProducer<T> for Producer {
    type Item = RowResult;
    type Buffer = VecBuffer<RowResult>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'a, T>,
        mut destination: Destination<'a, RowResult, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if self.outcome.is_none() {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        match self.rows.poll_next(cx) {
            Poll::Ready(Ok(Some(rows))) => {
                let rows: Vec<RowResult> = rows.into_iter().map(Into::into).collect();
                destination.set_buffer(rows.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Ok(None)) => self.end(Ok(())),
            Poll::Ready(Err(error)) => self.end(Err(error)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
