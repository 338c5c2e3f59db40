//! `spin:mysql@3.0.0`, which is asynchronous: rows come as a stream.

use wasmtime::component::{Accessor, FutureReader, Linker, LinkerInstance, Resource, StreamReader};

use super::bindings::spin::mysql::mysql::{
    self, Column, DbDataType, DbValue, Error, Host, HostConnection, HostConnectionWithStore, ParameterValue,
};
use super::connection::Client;
use super::failure::Failure;
use super::rows::Rows;
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::not_opened::NotOpened;
use crate::part::PartView;
use crate::rdbms::types;
use crate::row_stream::{self, RowSource};

type Answer<T> = wasmtime::Result<Result<T, Error>>;
type Row = Vec<DbValue>;

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
    async fn drop(&mut self, own: Resource<Client>) -> wasmtime::Result<()> {
        self.table.delete(own)?;
        Ok(())
    }
}

impl<T: PlatformView + 'static> HostConnectionWithStore<T> for Hosted {
    async fn open(store: &Accessor<T, Self>, address: String) -> Answer<Resource<Client>> {
        let (dialer, platform) = store.with(|mut store| {
            let view = store.get();
            (view.gate.dialer(), view.ctx.platform().clone())
        });
        match platform.mysql().open(&dialer, &address).await {
            Ok(client) => store.with(|mut store| Ok(Ok(store.get().table.push(client)?))),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn query(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<(Vec<Column>, StreamReader<Row>, FutureReader<Result<(), Error>>)> {
        let client = client(store, &own)?;
        let values = values.into_iter().map(types::ParameterValue::from).collect();
        let rows = match client.rows(&statement, values).await {
            Ok(rows) => rows,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let columns = rows.columns().into_iter().map(Column::from).collect();
        store.with(|mut store| {
            let (rows, outcome) = row_stream::given(Converted(rows));
            let stream = StreamReader::new(&mut store, rows)?;
            let outcome = async move { wasmtime::error::Ok(outcome.await) };
            Ok(Ok((columns, stream, FutureReader::new(&mut store, outcome)?)))
        })
    }

    async fn execute(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<()> {
        let client = client(store, &own)?;
        let values = values.into_iter().map(types::ParameterValue::from).collect();
        Ok(client.execute(&statement, values).await.map_err(Error::from))
    }
}

fn client<T: PlatformView + 'static>(
    store: &Accessor<T, Hosted>,
    own: &Resource<Client>,
) -> wasmtime::Result<Client> {
    store.with(|mut store| store.get().mysql(own))
}

/// Rows in the terms of this version.
struct Converted(Rows);

impl RowSource for Converted {
    type Row = Row;
    type Error = Error;

    async fn next(&mut self) -> Result<Option<Row>, Error> {
        let row = self.0.next().await?;
        Ok(row.map(|row| row.into_iter().map(DbValue::from).collect()))
    }
}

impl From<ParameterValue> for types::ParameterValue {
    fn from(value: ParameterValue) -> Self {
        match value {
            ParameterValue::Boolean(value) => Self::Boolean(value),
            ParameterValue::Int8(value) => Self::Int8(value),
            ParameterValue::Int16(value) => Self::Int16(value),
            ParameterValue::Int32(value) => Self::Int32(value),
            ParameterValue::Int64(value) => Self::Int64(value),
            ParameterValue::Uint8(value) => Self::Uint8(value),
            ParameterValue::Uint16(value) => Self::Uint16(value),
            ParameterValue::Uint32(value) => Self::Uint32(value),
            ParameterValue::Uint64(value) => Self::Uint64(value),
            ParameterValue::Floating32(value) => Self::Floating32(value),
            ParameterValue::Floating64(value) => Self::Floating64(value),
            ParameterValue::Str(value) => Self::Str(value),
            ParameterValue::Binary(value) => Self::Binary(value),
            ParameterValue::DbNull => Self::DbNull,
        }
    }
}

impl From<types::Column> for Column {
    fn from(column: types::Column) -> Self {
        Self {
            name: column.name,
            data_type: match column.data_type {
                types::DbDataType::Boolean => DbDataType::Boolean,
                types::DbDataType::Int8 => DbDataType::Int8,
                types::DbDataType::Int16 => DbDataType::Int16,
                types::DbDataType::Int32 => DbDataType::Int32,
                types::DbDataType::Int64 => DbDataType::Int64,
                types::DbDataType::Uint8 => DbDataType::Uint8,
                types::DbDataType::Uint16 => DbDataType::Uint16,
                types::DbDataType::Uint32 => DbDataType::Uint32,
                types::DbDataType::Uint64 => DbDataType::Uint64,
                types::DbDataType::Floating32 => DbDataType::Floating32,
                types::DbDataType::Floating64 => DbDataType::Floating64,
                types::DbDataType::Str => DbDataType::Str,
                types::DbDataType::Binary => DbDataType::Binary,
                types::DbDataType::Other => DbDataType::Other,
            },
        }
    }
}

impl From<types::DbValue> for DbValue {
    fn from(value: types::DbValue) -> Self {
        match value {
            types::DbValue::Boolean(value) => Self::Boolean(value),
            types::DbValue::Int8(value) => Self::Int8(value),
            types::DbValue::Int16(value) => Self::Int16(value),
            types::DbValue::Int32(value) => Self::Int32(value),
            types::DbValue::Int64(value) => Self::Int64(value),
            types::DbValue::Uint8(value) => Self::Uint8(value),
            types::DbValue::Uint16(value) => Self::Uint16(value),
            types::DbValue::Uint32(value) => Self::Uint32(value),
            types::DbValue::Uint64(value) => Self::Uint64(value),
            types::DbValue::Floating32(value) => Self::Floating32(value),
            types::DbValue::Floating64(value) => Self::Floating64(value),
            types::DbValue::Str(value) => Self::Str(value),
            types::DbValue::Binary(value) => Self::Binary(value),
            types::DbValue::DbNull => Self::DbNull,
            types::DbValue::Unsupported => Self::Unsupported,
        }
    }
}

impl From<NotOpened> for Error {
    fn from(why: NotOpened) -> Self {
        Self::ConnectionFailed(why.to_string())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match types::Error::from(failure) {
            types::Error::ConnectionFailed(why) => Self::ConnectionFailed(why),
            types::Error::BadParameter(why) => Self::BadParameter(why),
            types::Error::QueryFailed(why) => Self::QueryFailed(why),
            types::Error::ValueConversionFailed(why) => Self::ValueConversionFailed(why),
            types::Error::Other(why) => Self::Other(why),
        }
    }
}
