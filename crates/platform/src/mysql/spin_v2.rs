//! `fermyon:spin/mysql@2.0.0`, whose types are those of other databases too.

use wasmtime::component::{Linker, LinkerInstance, Resource};

use super::bindings::fermyon::spin::mysql::{self, Host, HostConnection};
use super::connection::Client;
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::part::PartView;
use crate::rdbms::types::{Error, ParameterValue, RowSet};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    mysql::add_to_linker::<T, Hosted>(linker, T::platform)
}

pub(super) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: PartView<T>,
) -> wasmtime::Result<()> {
    mysql::add_to_linker_instance::<T, Hosted>(instance, view)
}

impl Host for PlatformCtxView<'_> {}

impl HostConnection for PlatformCtxView<'_> {
    async fn open(&mut self, address: String) -> Answer<Resource<Client>> {
        let dialer = self.gate.dialer();
        match self.ctx.platform().mysql().open(&dialer, &address).await {
            Ok(client) => Ok(Ok(self.table.push(client)?)),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn query(
        &mut self,
        own: Resource<Client>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<RowSet> {
        let client = self.mysql(&own)?;
        Ok(client.row_set(&statement, values).await.map_err(Error::from))
    }

    async fn execute(
        &mut self,
        own: Resource<Client>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<()> {
        let client = self.mysql(&own)?;
        Ok(client.execute(&statement, values).await.map_err(Error::from))
    }

    async fn drop(&mut self, own: Resource<Client>) -> wasmtime::Result<()> {
        self.table.delete(own)?;
        Ok(())
    }
}

impl PlatformCtxView<'_> {
    pub(super) fn mysql(&self, own: &Resource<Client>) -> wasmtime::Result<Client> {
        Ok(self.table.get(own)?.clone())
    }
}
