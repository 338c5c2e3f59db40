//! `fermyon:spin/sqlite@2.0.0`.

use wasmtime::component::{Linker, Resource};

use super::bindings::fermyon::spin::sqlite::{self, Host, HostConnection, QueryResult, Value};
use super::session::{NotOpened, Session, open};
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

    async fn drop(&mut self, connection: Resource<Session>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl PlatformCtxView<'_> {
    /// Opens what `label` stands for, for a version whose errors these are.
    pub(super) fn open_session<E: From<NotOpened>>(
        &mut self,
        label: &str,
    ) -> wasmtime::Result<Result<Resource<Session>, E>> {
        match open(self, label) {
            Ok(session) => Ok(Ok(self.table.push(session)?)),
            Err(why) => Ok(Err(why.into())),
        }
    }

    pub(super) fn session(&self, connection: &Resource<Session>) -> wasmtime::Result<Session> {
        Ok(self.table.get(connection)?.clone())
    }
}
