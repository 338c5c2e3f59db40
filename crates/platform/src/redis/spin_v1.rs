//! `fermyon:spin/redis` without a version, which is the first: each call has the address, and a connection of its own, made
//! or taken from the pool. Of what goes wrong it says nothing.

use wasmtime::component::{Linker, LinkerInstance};

use super::bindings_v1::fermyon::spin::redis::{self, Host};
use super::bindings_v1::fermyon::spin::redis_types::{self, Error, RedisParameter, RedisResult};
use super::commands::{Answer as Value, Argument};
use super::connection::{Client, Failure};
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::not_opened::NotOpened;
use crate::part::PartView;

type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    redis_types::add_to_linker::<T, Hosted>(linker, T::platform)?;
    redis::add_to_linker::<T, Hosted>(linker, T::platform)
}

pub(super) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: PartView<T>,
) -> wasmtime::Result<()> {
    redis::add_to_linker_instance::<T, Hosted>(instance, view)
}

impl redis_types::Host for PlatformCtxView<'_> {}

impl Host for PlatformCtxView<'_> {
    async fn publish(&mut self, address: String, channel: String, payload: Vec<u8>) -> Answer<()> {
        let published = async |client: Client| client.publish(&channel, &payload).await;
        self.at_redis(&address, published).await
    }

    async fn get(&mut self, address: String, key: String) -> Answer<Vec<u8>> {
        let value = self
            .at_redis(&address, async |client| client.get(&key).await)
            .await?;
        // A key without a value is an empty one, as in Spin.
        Ok(value.map(Option::unwrap_or_default))
    }

    async fn set(&mut self, address: String, key: String, value: Vec<u8>) -> Answer<()> {
        self.at_redis(&address, async |client| client.set(&key, &value).await)
            .await
    }

    async fn incr(&mut self, address: String, key: String) -> Answer<i64> {
        self.at_redis(&address, async |client| client.incr(&key).await)
            .await
    }

    async fn del(&mut self, address: String, keys: Vec<String>) -> Answer<i64> {
        let deleted = self
            .at_redis(&address, async |client| client.del(&keys).await)
            .await?;
        Ok(deleted.map(i64::from))
    }

    async fn sadd(&mut self, address: String, key: String, values: Vec<String>) -> Answer<i64> {
        let added = async |client: Client| client.sadd(&key, &values).await;
        Ok(self.at_redis(&address, added).await?.map(i64::from))
    }

    async fn smembers(&mut self, address: String, key: String) -> Answer<Vec<String>> {
        self.at_redis(&address, async |client| client.smembers(&key).await)
            .await
    }

    async fn srem(&mut self, address: String, key: String, values: Vec<String>) -> Answer<i64> {
        let removed = async |client: Client| client.srem(&key, &values).await;
        Ok(self.at_redis(&address, removed).await?.map(i64::from))
    }

    async fn execute(
        &mut self,
        address: String,
        command: String,
        arguments: Vec<RedisParameter>,
    ) -> Answer<Vec<RedisResult>> {
        let arguments = arguments.into_iter().map(Argument::from).collect();
        let executed = async |client: Client| client.execute(&command, arguments).await;
        let answers = self.at_redis(&address, executed).await?;
        Ok(answers.map(|answers| answers.into_iter().map(RedisResult::from).collect()))
    }
}

impl PlatformCtxView<'_> {
    /// Does something on a connection to `address`, if it may be gone to.
    async fn at_redis<R>(
        &mut self,
        address: &str,
        work: impl AsyncFnOnce(Client) -> Result<R, Failure> + Send,
    ) -> Answer<R> {
        let dialer = self.gate.dialer();
        match self.ctx.platform().redis().open(&dialer, address).await {
            Ok(client) => Ok(work(client).await.map_err(Error::from)),
            Err(why) => Ok(Err(why.into())),
        }
    }
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
    fn from(_: NotOpened) -> Self {
        Self::Error
    }
}

impl From<Failure> for Error {
    fn from(_: Failure) -> Self {
        Self::Error
    }
}
