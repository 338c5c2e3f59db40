//! `fermyon:spin/postgres` without a version, which is the first: each call has the address, and a connection of its own, made
//! or taken from the pool. Its values are those of version 2.

use wasmtime::component::{Linker, LinkerInstance};

use super::bindings_v1::fermyon::spin::postgres::{self, Host, PgError};
use super::connection::Client;
use super::spin_v4::row_set;
use super::types;
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::part::PartView;
use crate::rdbms::types::{Error, ParameterValue, RowSet};

type Answer<T> = wasmtime::Result<Result<T, PgError>>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    postgres::add_to_linker::<T, Hosted>(linker, T::platform)
}

pub(super) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: PartView<T>,
) -> wasmtime::Result<()> {
    postgres::add_to_linker_instance::<T, Hosted>(instance, view)
}

impl Host for PlatformCtxView<'_> {
    async fn query(
        &mut self,
        address: String,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<RowSet> {
        let client = match self.at_postgres(&address).await {
            Ok(client) => client,
            Err(error) => return Ok(Err(error)),
        };
        let values = values.into_iter().map(types::ParameterValue::from).collect();
        let rows = row_set(client, &statement, values).await;
        Ok(rows.map(RowSet::from).map_err(|error| Error::from(error).into()))
    }

    async fn execute(
        &mut self,
        address: String,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<u64> {
        let client = match self.at_postgres(&address).await {
            Ok(client) => client,
            Err(error) => return Ok(Err(error)),
        };
        let values = values.into_iter().map(types::ParameterValue::from).collect();
        let rows = client.execute(&statement, values).await;
        Ok(rows.map_err(|error| Error::from(error).into()))
    }
}

impl PlatformCtxView<'_> {
    async fn at_postgres(&mut self, address: &str) -> Result<Client, PgError> {
        let dialer = self.gate.dialer();
        let opened = self.ctx.platform().postgres().open(&dialer, address).await;
        opened.map_err(|why| Error::from(why).into())
    }
}

impl From<Error> for PgError {
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
