//! `spin:sqlite@3.0.0`.

use wasmtime::component::{Linker, Resource};

use super::bindings::spin::sqlite3_0_0::sqlite::{self, Host, HostConnection, QueryResult, Value};
use super::session::Session;
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};

type Answer<T> = wasmtime::Result<Result<T, sqlite::Error>>;

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
