//! MQTT 3.1.1: `fermyon:spin/mqtt@2.0.0` and `spin:mqtt@3.0.0`.
//!
//! ```text
//! open(ADDRESS, USER, PASSWORD, KEEP-ALIVE) ── address: parsed, or refused ▶ invalid-address
//!   │ session: one connection at a time has a client identifier ───────────▶ too-many-connections
//!   │ gate: `mqtt.connect` judged by name ─────────────────────────────────▶ connection-failed
//!   └ pool: a connection that waits, or a new one: `mqtt.dial`, TLS, CONNECT, CONNACK
//! publish ── message: checked ── driver: PUBLISH, and what confirms it ────▶ the guest
//! drop ── back into the pool, if nothing is under way
//! ```
//!
//! The two versions say the same, so each is a thin adapter over [`Client`]. Nobody subscribes, so all that a broker has to
//! say is what it was asked for; anything else ends the connection.
//!
//! | | bound |
//! | --- | --- |
//! | a packet of the broker | 16 bytes behind its header |
//! | the time until a message is confirmed, and until a ping is answered | 60 s |
//! | connecting, and TLS with the broker's consent | 15 s and 10 s |
//! | waiting for a client identifier | 5 s |
//! | messages of a connection that are not confirmed | 64; more wait |
//! | connections of a component that are open by a guest | as many as sockets; [`max_connections`] |
//!
//! [`max_connections`]: crate::PlatformBuilder::mqtt_max_connections

mod address;
mod connection;
mod driver;
mod message;
mod pings;
mod session;
mod spin_v2;
mod spin_v3;
mod subscriber;
mod subscription;
mod topic;

use std::sync::OnceLock;

use address::MqttAddress;
pub use bindings::fermyon::spin::mqtt::Error as SpinV2Error;
pub use bindings::spin::mqtt::mqtt::Error as SpinV3Error;
#[doc(hidden)]
pub use connection::Client;
use connection::Server;
use outport_egress::{Dialer, GateCtx, HostInterface, Pool, ShutGate};
pub(crate) use session::OwnSessions;
use session::Sessions;
pub use subscriber::{QualityOfService, Subscriber};
pub use subscription::{Message, Subscription};
pub use topic::TopicFilter;
use wasmtime::component::{Linker, LinkerInstance};

use crate::address::BadAddress;
use crate::ctx::PlatformView;
use crate::not_opened::NotOpened;
use crate::part::PartView;
use crate::places::Places;

/// The connections of a process to MQTT brokers.
#[derive(Default)]
pub(crate) struct Mqtt {
    places: Places,
    pool: OnceLock<Pool<Server>>,
    sessions: Sessions,
}

/// What a guest opens a connection with.
struct Wanted {
    address: String,
    user: String,
    password: String,
    /// Seconds.
    keep_alive: u64,
}

impl Mqtt {
    /// With so many connections for each component.
    pub(crate) fn new(max_connections: Option<u32>) -> Self {
        Self {
            places: Places::new(max_connections),
            ..Self::default()
        }
    }

    /// A connection to where `wanted` leads, if it may be gone to, for the instance that has `own` open.
    async fn open(&self, dialer: &Dialer, own: &OwnSessions, wanted: Wanted) -> Result<Client, NotOpened> {
        let calls = dialer.calls(HostInterface::Mqtt);
        calls.call("open", None, self.opened(dialer, own, wanted)).await
    }

    async fn opened(&self, dialer: &Dialer, own: &OwnSessions, wanted: Wanted) -> Result<Client, NotOpened> {
        let address = MqttAddress::parse(wanted).map_err(|BadAddress(part)| {
            dialer.refuse_address(ATTEMPT, part);
            NotOpened::Address(part)
        })?;
        let Some(client_id) = &address.client_id else {
            return self.connect(dialer, &address, None).await;
        };
        // Whoever of this instance asks at the same time waits here, and gets the connection that the other one has made.
        let mut shared = own.lock(&address.key()).await;
        if let Some(client) = shared.client() {
            // It is used once more, so it is judged once more.
            let _authorized = dialer.ask_and_authorize(&address.destination).await?;
            return Ok(client);
        }
        let turn = self
            .sessions
            .turn(dialer.component(), &address.destination, client_id);
        let client = self.connect(dialer, &address, Some(turn.await?)).await?;
        shared.share(&client);
        Ok(client)
    }

    async fn connect(
        &self,
        dialer: &Dialer,
        address: &MqttAddress,
        turn: Option<session::Turn>,
    ) -> Result<Client, NotOpened> {
        let (authorized, place) = self
            .places
            .take(dialer.ask_and_authorize(&address.destination).await?)?;
        let pool = self.pool.get_or_init(|| dialer.pool());
        Client::open(dialer, authorized, pool, address, place, turn).await
    }
}

/// Tells that a dependency which inherits nothing wanted to go to `address`.
pub fn refuse(shut: &ShutGate, instance: &GateCtx, address: &str) {
    match MqttAddress::parse(Wanted::nobodys(address)) {
        Ok(address) => shut.refuse_connection(instance, &address.destination),
        Err(BadAddress(part)) => shut.refuse_address(instance, ATTEMPT, part),
    }
}

/// What a guest is told that may not connect.
pub fn not_permitted() -> String {
    NotOpened::Denied.to_string()
}

/// Adds the interfaces.
pub(crate) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    spin_v2::add_to_linker(linker)?;
    spin_v3::add_to_linker(linker)
}

impl Wanted {
    fn nobodys(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            user: String::new(),
            password: String::new(),
            keep_alive: 0,
        }
    }
}

/// Defines an interface for a part; says whether it is one of these.
pub(crate) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    interface: (&str, &str),
    view: PartView<T>,
) -> wasmtime::Result<bool> {
    match interface {
        ("fermyon:spin/mqtt", "2.0.0") => spin_v2::add_for_part(instance, view),
        ("spin:mqtt/mqtt", _) => spin_v3::add_for_part(instance, view),
        _ => return Ok(false),
    }
    .map(|()| true)
}

/// What opening a connection is called in the audit log.
const ATTEMPT: &str = "mqtt.connect";

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "outport:platform/mqtt",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/mqtt.connection": super::Client,
            "spin:mqtt/mqtt.connection": super::Client,
        },
    });
}

#[cfg(test)]
mod tests;
