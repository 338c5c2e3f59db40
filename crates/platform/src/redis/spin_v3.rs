//! `spin:redis@3.0.0`, which is asynchronous.

use wasmtime::component::{Accessor, Linker, LinkerInstance, Resource};

use super::bindings::spin::redis::redis::{
    self, Error, Host, HostConnection, HostConnectionWithStore, RedisParameter, RedisResult,
};
use super::commands::{Answer as Value, Argument};
use super::connection::{Client, Failure};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::not_opened::NotOpened;
use crate::part::PartView;

type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    redis::add_to_linker::<T, Hosted>(linker, T::platform)
}

pub(super) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: PartView<T>,
) -> wasmtime::Result<()> {
    redis::add_to_linker_instance::<T, Hosted>(instance, view)
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
        match platform.redis().open(&dialer, &address).await {
            Ok(client) => store.with(|mut store| Ok(Ok(store.get().table.push(client)?))),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn publish(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        channel: String,
        payload: Vec<u8>,
    ) -> Answer<()> {
        Ok(client(store, &own)?
            .publish(&channel, &payload)
            .await
            .map_err(Error::from))
    }

    async fn get(store: &Accessor<T, Self>, own: Resource<Client>, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(client(store, &own)?.get(&key).await.map_err(Error::from))
    }

    async fn set(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        key: String,
        value: Vec<u8>,
    ) -> Answer<()> {
        Ok(client(store, &own)?.set(&key, &value).await.map_err(Error::from))
    }

    async fn incr(store: &Accessor<T, Self>, own: Resource<Client>, key: String) -> Answer<i64> {
        Ok(client(store, &own)?.incr(&key).await.map_err(Error::from))
    }

    async fn del(store: &Accessor<T, Self>, own: Resource<Client>, keys: Vec<String>) -> Answer<u32> {
        Ok(client(store, &own)?.del(&keys).await.map_err(Error::from))
    }

    async fn sadd(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        key: String,
        values: Vec<String>,
    ) -> Answer<u32> {
        Ok(client(store, &own)?
            .sadd(&key, &values)
            .await
            .map_err(Error::from))
    }

    async fn smembers(store: &Accessor<T, Self>, own: Resource<Client>, key: String) -> Answer<Vec<String>> {
        Ok(client(store, &own)?.smembers(&key).await.map_err(Error::from))
    }

    async fn srem(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        key: String,
        values: Vec<String>,
    ) -> Answer<u32> {
        Ok(client(store, &own)?
            .srem(&key, &values)
            .await
            .map_err(Error::from))
    }

    async fn execute(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        command: String,
        arguments: Vec<RedisParameter>,
    ) -> Answer<Vec<RedisResult>> {
        let arguments = arguments.into_iter().map(Argument::from).collect();
        let answers = client(store, &own)?.execute(&command, arguments).await;
        Ok(answers
            .map(|answers| answers.into_iter().map(RedisResult::from).collect())
            .map_err(Error::from))
    }
}

fn client<T: PlatformView + 'static>(
    store: &Accessor<T, Hosted>,
    own: &Resource<Client>,
) -> wasmtime::Result<Client> {
    store.with(|mut store| store.get().redis(own))
}

impl From<RedisParameter> for Argument {
    fn from(parameter: RedisParameter) -> Self {
        match parameter {
            RedisParameter::Int64(number) => Self::Number(number),
            RedisParameter::Binary(bytes) => Self::Bytes(bytes),
        }
    }
}

impl From<Value> for RedisResult {
    fn from(value: Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Status(text) => Self::Status(text),
            Value::Number(number) => Self::Int64(number),
            Value::Bytes(bytes) => Self::Binary(bytes),
        }
    }
}

impl From<NotOpened> for Error {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::Denied | NotOpened::Address(_) => Self::InvalidAddress,
            NotOpened::TooMany => Self::TooManyConnections,
            NotOpened::Failed(_) | NotOpened::NotIntroduced(_) => Self::Other(why.to_string()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Type => Self::TypeError,
            Failure::Other(why) => Self::Other(why),
        }
    }
}
