//! `fermyon:spin/sqlite` without a version, which is the first: a connection is a number.

use wasmtime::component::{Linker, Resource};

use super::bindings_v1::fermyon::spin::sqlite::{self, Error, Host, QueryResult, Value};
use super::session::{Session, open};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// A connection that was opened by number: one of a later version is not reached by any.
struct Numbered(Session);

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    sqlite::add_to_linker::<T, Hosted>(linker, T::platform)
}

super::conversions::conversions!();

impl Host for PlatformCtxView<'_> {
    async fn open(&mut self, label: String) -> Answer<u32> {
        match open(self, &label) {
            Ok(session) => Ok(Ok(self.table.push(Numbered(session))?.rep())),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn execute(
        &mut self,
        connection: u32,
        statement: String,
        parameters: Vec<Value>,
    ) -> Answer<QueryResult> {
        let Ok(Numbered(session)) = self.table.get(&Resource::new_borrow(connection)) else {
            return Ok(Err(Error::InvalidConnection));
        };
        let session = session.clone();
        Ok(execute(session, statement, parameters).await)
    }

    async fn close(&mut self, connection: u32) -> wasmtime::Result<()> {
        // One that is not open is no error.
        drop(self.table.delete(Resource::<Numbered>::new_own(connection)));
        Ok(())
    }
}
