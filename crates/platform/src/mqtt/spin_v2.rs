//! `fermyon:spin/mqtt@2.0.0`.

use rumqttc::mqttbytes::QoS;
use wasmtime::component::{Linker, LinkerInstance, Resource};

use super::Wanted;
use super::bindings::fermyon::spin::mqtt::{self, Error, Host, HostConnection, Qos};
use super::connection::Client;
use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::not_opened::NotOpened;
use crate::part::PartView;

type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub(super) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    mqtt::add_to_linker::<T, Hosted>(linker, T::platform)
}

pub(super) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: PartView<T>,
) -> wasmtime::Result<()> {
    mqtt::add_to_linker_instance::<T, Hosted>(instance, view)
}

impl Host for PlatformCtxView<'_> {}

impl HostConnection for PlatformCtxView<'_> {
    async fn open(
        &mut self,
        address: String,
        user: String,
        password: String,
        keep_alive: u64,
    ) -> Answer<Resource<Client>> {
        let dialer = self.gate.dialer();
        let wanted = Wanted {
            address,
            user,
            password,
            keep_alive,
        };
        let own = self.ctx.mqtt_sessions();
        match self.ctx.platform().mqtt().open(&dialer, own, wanted).await {
            Ok(client) => Ok(Ok(self.table.push(client)?)),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn publish(
        &mut self,
        own: Resource<Client>,
        topic: String,
        payload: Vec<u8>,
        qos: Qos,
    ) -> Answer<()> {
        let client = self.mqtt(&own)?;
        Ok(client
            .publish(topic, payload, qos.into())
            .await
            .map_err(Error::Other))
    }

    async fn drop(&mut self, own: Resource<Client>) -> wasmtime::Result<()> {
        self.table.delete(own)?;
        Ok(())
    }
}

impl PlatformCtxView<'_> {
    pub(super) fn mqtt(&self, own: &Resource<Client>) -> wasmtime::Result<Client> {
        Ok(self.table.get(own)?.clone())
    }
}

impl From<Qos> for QoS {
    fn from(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => Self::AtMostOnce,
            Qos::AtLeastOnce => Self::AtLeastOnce,
            Qos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

impl From<NotOpened> for Error {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::Address(_) => Self::InvalidAddress,
            NotOpened::TooMany => Self::TooManyConnections,
            NotOpened::Denied | NotOpened::Failed(_) | NotOpened::NotIntroduced(_) => {
                Self::ConnectionFailed(why.to_string())
            }
        }
    }
}
