//! Redis: `fermyon:spin/redis` without a version and `@2.0.0`, and `spin:redis@3.0.0`.
//!
//! ```text
//! open(ADDRESS) ── address: parsed, or refused ──▶ gate: `redis.connect` judged by name ── refused ▶ invalid-address
//!                                                   │
//!                    pool: a connection that waits ─┴─ a new one: `redis.dial`, TLS, AUTH, SELECT
//! get, set, execute, … ── one command, one answer, both bounded ──▶ in the terms of the version
//! drop ── back into the pool, if the connection is as a new one would be
//! ```
//!
//! The versions say the same, so each is a thin adapter over [`Client`]. The first does all three at each call.
//!
//! | | bound |
//! | --- | --- |
//! | an answer | 128 MiB, 1,048,576 values |
//! | the time for it | 60 s, of a command that blocks too |
//! | connecting, TLS and authentication | 15 s and 10 s |
//! | connections of a component that are open by a guest | as many as sockets; [`max_connections`] |
//!
//! [`max_connections`]: crate::PlatformBuilder::redis_max_connections

mod address;
mod commands;
mod connection;
mod pub_sub;
mod reply_bound;
mod spin_v1;
mod spin_v2;
mod spin_v3;
mod state;
mod subscription;

use std::sync::OnceLock;

pub(crate) use address::RedisAddress;
pub use bindings::fermyon::spin::redis::Error as SpinV2Error;
pub use bindings::spin::redis::redis::Error as SpinV3Error;
pub use bindings_v1::fermyon::spin::redis_types::{
    Error as SpinV1Error, RedisParameter as SpinV1Parameter, RedisResult as SpinV1Result,
};
#[cfg(feature = "key-value")]
pub(crate) use commands::{Answer, Argument};
#[doc(hidden)]
pub use connection::Client;
#[cfg(feature = "key-value")]
pub(crate) use connection::Failure;
pub(crate) use connection::Server;
use outport_egress::{Dialer, GateCtx, HostInterface, Pool, ShutGate};
pub use subscription::{Subscriber, Subscription};
use wasmtime::component::{Linker, LinkerInstance};

use crate::address::BadAddress;
use crate::ctx::PlatformView;
use crate::not_opened::NotOpened;
use crate::part::PartView;
use crate::places::Places;

/// The connections of a process to Redis servers.
#[derive(Default)]
pub(crate) struct Redis {
    places: Places,
    pool: OnceLock<Pool<Server>>,
}

impl Redis {
    /// With so many connections for each component.
    pub(crate) fn new(max_connections: Option<u32>) -> Self {
        Self {
            places: Places::new(max_connections),
            pool: OnceLock::new(),
        }
    }

    /// A connection to where `address` leads, if it may be gone to.
    async fn open(&self, dialer: &Dialer, address: &str) -> Result<Client, NotOpened> {
        let calls = dialer.calls(HostInterface::Redis);
        calls.call("open", None, self.connect(dialer, address)).await
    }

    async fn connect(&self, dialer: &Dialer, address: &str) -> Result<Client, NotOpened> {
        let address = RedisAddress::parse(address).map_err(|BadAddress(part)| {
            dialer.refuse_address(ATTEMPT, part);
            NotOpened::Address(part)
        })?;
        let (authorized, place) = self
            .places
            .take(dialer.ask_and_authorize(&address.destination).await?)?;
        let pool = self.pool.get_or_init(|| dialer.pool());
        Client::open(dialer, authorized, pool, &address, place).await
    }
}

/// Tells that a dependency which inherits nothing wanted to go to `address`.
pub fn refuse(shut: &ShutGate, instance: &GateCtx, address: &str) {
    match RedisAddress::parse(address) {
        Ok(address) => shut.refuse_connection(instance, &address.destination),
        Err(BadAddress(part)) => shut.refuse_address(instance, ATTEMPT, part),
    }
}

/// Adds the interfaces.
pub(crate) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    spin_v1::add_to_linker(linker)?;
    spin_v2::add_to_linker(linker)?;
    spin_v3::add_to_linker(linker)
}

/// Defines an interface for a part; says whether it is one of these.
pub(crate) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    interface: (&str, &str),
    view: PartView<T>,
) -> wasmtime::Result<bool> {
    match interface {
        ("fermyon:spin/redis", "") => spin_v1::add_for_part(instance, view),
        ("fermyon:spin/redis", _) => spin_v2::add_for_part(instance, view),
        ("spin:redis/redis", _) => spin_v3::add_for_part(instance, view),
        _ => return Ok(false),
    }
    .map(|()| true)
}

/// What opening a connection is called in the audit log.
const ATTEMPT: &str = "redis.connect";

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "outport:platform/redis",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/redis.connection": super::Client,
            "spin:redis/redis.connection": super::Client,
        },
    });
}

mod bindings_v1 {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit-v1",
        world: "fermyon:spin/first-redis",
        imports: { default: async | trappable },
    });
}

#[cfg(test)]
mod tests;
