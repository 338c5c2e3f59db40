//! `spin:postgres@4.2.0`, and 4.0.0 and 4.1.0 with it: what is synchronous, and the same asynchronous.

use wasmtime::component::{Accessor, FutureReader, Linker, LinkerInstance, Resource, StreamReader};

use super::Builder;
use super::connection::Client;
use super::types::{
    self, Column, DbValue, Error, Host, HostConnection, HostConnectionBuilder,
    HostConnectionBuilderWithStore, HostConnectionWithStore, ParameterValue, RowSet,
};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::part::PartView;
use crate::platform::Platform;
use crate::row_stream;

type Answer<T> = wasmtime::Result<Result<T, Error>>;
type Row = Vec<DbValue>;
type Outcome = Result<(), Error>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, Hosted>(linker, T::platform)
}

pub(super) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: PartView<T>,
) -> wasmtime::Result<()> {
    types::add_to_linker_instance::<T, Hosted>(instance, view)
}

impl Host for PlatformCtxView<'_> {}

impl HostConnection for PlatformCtxView<'_> {
    async fn open(&mut self, address: String) -> Answer<Resource<Client>> {
        let dialer = self.gate.dialer();
        match self.ctx.platform().postgres().open(&dialer, &address).await {
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
        Ok(row_set(self.postgres(&own)?, &statement, values).await)
    }

    async fn execute(
        &mut self,
        own: Resource<Client>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<u64> {
        Ok(self.postgres(&own)?.execute(&statement, values).await)
    }

    async fn drop(&mut self, own: Resource<Client>) -> wasmtime::Result<()> {
        self.table.delete(own)?;
        Ok(())
    }
}

impl HostConnectionBuilder for PlatformCtxView<'_> {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<Builder>> {
        let builder = Builder::new(self.ctx, &address)
            .ok_or_else(|| wasmtime::format_err!("the instance has too many connection builders"))?;
        Ok(self.table.push(builder)?)
    }

    async fn set_ca_root(&mut self, own: Resource<Builder>, certificate: String) -> Answer<()> {
        let dialer = self.gate.dialer();
        let builder = self.table.get_mut(&own)?;
        Ok(builder.trust(&dialer, certificate).map_err(Error::Other))
    }

    async fn build(&mut self, own: Resource<Builder>) -> Answer<Resource<Client>> {
        let (dialer, builder) = (self.gate.dialer(), self.table.get(&own)?.clone());
        match builder.build(self.ctx.platform().postgres(), &dialer).await {
            Ok(client) => Ok(Ok(self.table.push(client)?)),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn drop(&mut self, own: Resource<Builder>) -> wasmtime::Result<()> {
        self.table.delete(own)?;
        Ok(())
    }
}

impl<T: PlatformView + 'static> HostConnectionWithStore<T> for Hosted {
    async fn open_async(store: &Accessor<T, Self>, address: String) -> Answer<Resource<Client>> {
        let (dialer, platform) = dialer(store);
        match platform.postgres().open(&dialer, &address).await {
            Ok(client) => store.with(|mut store| Ok(Ok(store.get().table.push(client)?))),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn query_async(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<(Vec<Column>, StreamReader<Row>, FutureReader<Outcome>)> {
        let client = client(store, &own)?;
        let mut rows = match client.rows(&statement, values).await {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        let columns = rows.take_columns();
        store.with(|mut store| {
            let (rows, outcome) = row_stream::given(rows);
            let stream = StreamReader::new(&mut store, rows)?;
            let outcome = async move { wasmtime::error::Ok(outcome.await) };
            Ok(Ok((columns, stream, FutureReader::new(&mut store, outcome)?)))
        })
    }

    async fn execute_async(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<u64> {
        Ok(client(store, &own)?.execute(&statement, values).await)
    }
}

impl<T: PlatformView + 'static> HostConnectionBuilderWithStore<T> for Hosted {
    async fn build_async(store: &Accessor<T, Self>, own: Resource<Builder>) -> Answer<Resource<Client>> {
        let (dialer, platform) = dialer(store);
        let builder = store.with(|mut store| wasmtime::error::Ok(store.get().table.get(&own)?.clone()))?;
        match builder.build(platform.postgres(), &dialer).await {
            Ok(client) => store.with(|mut store| Ok(Ok(store.get().table.push(client)?))),
            Err(why) => Ok(Err(why.into())),
        }
    }
}

impl PlatformCtxView<'_> {
    pub(super) fn postgres(&self, own: &Resource<Client>) -> wasmtime::Result<Client> {
        Ok(self.table.get(own)?.clone())
    }
}

fn dialer<T: PlatformView + 'static>(store: &Accessor<T, Hosted>) -> (outport_egress::Dialer, Platform) {
    store.with(|mut store| {
        let view = store.get();
        (view.gate.dialer(), view.ctx.platform().clone())
    })
}

fn client<T: PlatformView + 'static>(
    store: &Accessor<T, Hosted>,
    own: &Resource<Client>,
) -> wasmtime::Result<Client> {
    store.with(|mut store| store.get().postgres(own))
}

/// All rows of a statement at once.
pub(super) async fn row_set(
    client: Client,
    statement: &str,
    values: Vec<ParameterValue>,
) -> Result<RowSet, Error> {
    let mut rows = client.rows(statement, values).await?;
    Ok(RowSet {
        columns: rows.take_columns(),
        rows: rows.all().await?,
    })
}
