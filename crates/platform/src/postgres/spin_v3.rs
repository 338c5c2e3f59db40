//! `spin:postgres@3.0.0`, which lacks the later types: their columns are `other`, and their values `unsupported`.

use wasmtime::component::{Linker, LinkerInstance, Resource};

use super::bindings::spin::postgres3_0_0::postgres::{
    self, Column, DbDataType, DbValue, Error, Host, HostConnection, ParameterValue, RowSet,
};
use super::connection::Client;
use super::failure::as_text;
use super::spin_v4::row_set;
use super::types;
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::not_opened::NotOpened;
use crate::part::PartView;

type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    postgres::add_to_linker::<T, Hosted>(linker, T::platform)
}

pub(super) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: PartView<T>,
) -> wasmtime::Result<()> {
    postgres::add_to_linker_instance::<T, Hosted>(instance, view)
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
        let values = values.into_iter().map(types::ParameterValue::from).collect();
        let rows = row_set(self.postgres(&own)?, &statement, values).await;
        Ok(rows.map(RowSet::from).map_err(Error::from))
    }

    async fn execute(
        &mut self,
        own: Resource<Client>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Answer<u64> {
        let values = values.into_iter().map(types::ParameterValue::from).collect();
        Ok(self
            .postgres(&own)?
            .execute(&statement, values)
            .await
            .map_err(Error::from))
    }

    async fn drop(&mut self, own: Resource<Client>) -> wasmtime::Result<()> {
        self.table.delete(own)?;
        Ok(())
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
            ParameterValue::Floating32(value) => Self::Floating32(value),
            ParameterValue::Floating64(value) => Self::Floating64(value),
            ParameterValue::Str(value) => Self::Str(value),
            ParameterValue::Binary(value) => Self::Binary(value),
            ParameterValue::Date(value) => Self::Date(value),
            ParameterValue::Time(value) => Self::Time(value),
            ParameterValue::Datetime(value) => Self::Datetime(value),
            ParameterValue::Timestamp(value) => Self::Timestamp(value),
            ParameterValue::DbNull => Self::DbNull,
        }
    }
}

impl From<types::RowSet> for RowSet {
    fn from(set: types::RowSet) -> Self {
        let columns = set.columns.into_iter().map(|column| Column {
            name: column.name,
            data_type: column.data_type.into(),
        });
        let rows = set.rows.into_iter();
        Self {
            columns: columns.collect(),
            rows: rows
                .map(|row| row.into_iter().map(DbValue::from).collect())
                .collect(),
        }
    }
}

impl From<types::DbDataType> for DbDataType {
    fn from(of: types::DbDataType) -> Self {
        match of {
            types::DbDataType::Boolean => Self::Boolean,
            types::DbDataType::Int8 => Self::Int8,
            types::DbDataType::Int16 => Self::Int16,
            types::DbDataType::Int32 => Self::Int32,
            types::DbDataType::Int64 => Self::Int64,
            types::DbDataType::Floating32 => Self::Floating32,
            types::DbDataType::Floating64 => Self::Floating64,
            types::DbDataType::Str => Self::Str,
            types::DbDataType::Binary => Self::Binary,
            types::DbDataType::Date => Self::Date,
            types::DbDataType::Time => Self::Time,
            types::DbDataType::Datetime => Self::Datetime,
            types::DbDataType::Timestamp => Self::Timestamp,
            _ => Self::Other,
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
            types::DbValue::Floating32(value) => Self::Floating32(value),
            types::DbValue::Floating64(value) => Self::Floating64(value),
            types::DbValue::Str(value) => Self::Str(value),
            types::DbValue::Binary(value) => Self::Binary(value),
            types::DbValue::Date(value) => Self::Date(value),
            types::DbValue::Time(value) => Self::Time(value),
            types::DbValue::Datetime(value) => Self::Datetime(value),
            types::DbValue::Timestamp(value) => Self::Timestamp(value),
            types::DbValue::DbNull => Self::DbNull,
            _ => Self::Unsupported,
        }
    }
}

impl From<NotOpened> for Error {
    fn from(why: NotOpened) -> Self {
        Self::ConnectionFailed(why.to_string())
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::ConnectionFailed(why) => Self::ConnectionFailed(why),
            types::Error::BadParameter(why) => Self::BadParameter(why),
            types::Error::QueryFailed(error) => Self::QueryFailed(as_text(error)),
            types::Error::ValueConversionFailed(why) => Self::ValueConversionFailed(why),
            types::Error::Other(why) => Self::Other(why),
        }
    }
}
