//! `spin:sqlite@3.1.0`, which has each function of 3.0.0, and each once more, asynchronous.
//!
//! There rows come as a stream, as they are found; beside it a future says whether those were all.

use std::task::{Context, Poll};

use wasmtime::component::{Accessor, FutureReader, Linker, Resource, StreamReader};

use super::bindings::spin::sqlite3_1_0::sqlite::{
    self, Error, Host, HostConnection, HostConnectionWithStore, QueryResult, RowResult, Value,
};
use super::session::{Rows, Session};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::pieces::{self, Pieces};

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
            let (rows, outcome) = pieces::given(Given(rows));
            let stream = StreamReader::new(&mut store, rows)?;
            let outcome = async move { wasmtime::error::Ok(outcome.await) };
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

/// Rows as the guest is given them.
struct Given(Rows);

impl Pieces for Given {
    type Item = RowResult;
    type Error = Error;

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<RowResult>>, Error>> {
        let next = self.0.poll_next(cx);
        next.map(|next| match next {
            Ok(Some(rows)) => Ok(Some(rows.into_iter().map(Into::into).collect())),
            Ok(None) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }
}
