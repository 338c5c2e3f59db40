//! `fermyon:spin/mysql` without a version, which is the first: each call has the address, and a connection of its own, made or
//! taken from the pool. Its values are those of version 2.

use wasmtime::component::{Linker, LinkerInstance};

use super::bindings_v1::fermyon::spin::mysql::{self, Host, MysqlError};
use super::connection::Client;
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::part::PartView;
use crate::rdbms::types::{Error, ParameterValue, RowSet};

type Answer<T> = wasmtime::Result<Result<T, MysqlError>>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    mysql::add_to_linker::<T, Hosted>(linker, T::platform)
}

pub(super) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: PartView<T>,
) -> wasmtime::Result<()> {
    mysql::add_to_linker_instance::<T, Hosted>(instance, view)
}

impl Host for PlatformCtxView<'_> {
    async fn query(
        &mut self,
        address: String,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<RowSet> {
        let client = match self.at_mysql(&address).await {
            Ok(client) => client,
            Err(error) => return Ok(Err(error)),
        };
        let rows = client.row_set(&statement, values).await;
        Ok(rows.map_err(|failure| Error::from(failure).into()))
    }

    async fn execute(
        &mut self,
        address: String,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<()> {
        let client = match self.at_mysql(&address).await {
            Ok(client) => client,
            Err(error) => return Ok(Err(error)),
        };
        let done = client.execute(&statement, values).await;
        Ok(done.map_err(|failure| Error::from(failure).into()))
    }
}

impl PlatformCtxView<'_> {
    async fn at_mysql(&mut self, address: &str) -> Result<Client, MysqlError> {
        let dialer = self.gate.dialer();
        let opened = self.ctx.platform().mysql().open(&dialer, address).await;
        opened.map_err(|why| Error::from(why).into())
    }
}

impl From<Error> for MysqlError {
    fn from(error: Error) -> Self {
        match error {
            Error::ConnectionFailed(why) => Self::ConnectionFailed(why),
            Error::BadParameter(why) => Self::BadParameter(why),
            Error::QueryFailed(why) => Self::QueryFailed(why),
            Error::ValueConversionFailed(why) => Self::ValueConversionFailed(why),
            Error::Other(why) => Self::OtherError(why),
        }
    }
}
