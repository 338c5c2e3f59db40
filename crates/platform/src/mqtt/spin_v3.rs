//! `spin:mqtt@3.0.0`, which is asynchronous.

use rumqttc::mqttbytes::QoS;
use wasmtime::component::{Accessor, Linker, LinkerInstance, Resource};

use super::Wanted;
use super::bindings::spin::mqtt::mqtt::{self, Error, Host, HostConnection, HostConnectionWithStore, Qos};
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
    async fn drop(&mut self, own: Resource<Client>) -> wasmtime::Result<()> {
        self.table.delete(own)?;
        Ok(())
    }
}

impl<T: PlatformView + 'static> HostConnectionWithStore<T> for Hosted {
    async fn open(
        store: &Accessor<T, Self>,
        address: String,
        user: String,
        password: String,
        keep_alive: u64,
    ) -> Answer<Resource<Client>> {
        let (dialer, platform, own) = store.with(|mut store| {
            let view = store.get();
            let own = view.ctx.mqtt_sessions().clone();
            (view.gate.dialer(), view.ctx.platform().clone(), own)
        });
        let wanted = Wanted {
            address,
            user,
            password,
            keep_alive,
        };
        match platform.mqtt().open(&dialer, &own, wanted).await {
            Ok(client) => store.with(|mut store| Ok(Ok(store.get().table.push(client)?))),
            Err(why) => Ok(Err(why.into())),
        }
    }

    async fn publish(
        store: &Accessor<T, Self>,
        own: Resource<Client>,
        topic: String,
        payload: Vec<u8>,
        qos: Qos,
    ) -> Answer<()> {
        let client = store.with(|mut store| store.get().mqtt(&own))?;
        Ok(client
            .publish(topic, payload, qos.into())
            .await
            .map_err(Error::Other))
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
