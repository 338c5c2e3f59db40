//! PostgreSQL: `fermyon:spin/postgres` without a version and `@2.0.0`, and `spin:postgres@3.0.0`, `4.0.0`, `4.1.0` and
//! `4.2.0`.
//!
//! ```text
//! open(ADDRESS) ── address: parsed, or refused ──▶ gate: `postgres.connect` judged by name ── refused ▶ connection-failed
//!                                                   │
//!                    pool: a connection that waits ─┴─ a new one: `postgres.dial`, TLS, authentication
//! query, execute ── parameters: as text ──▶ the server ── rows, one by one, bounded ──▶ values ──▶ in the terms of the version
//! drop ── everything of the session is set back ──▶ into the pool
//! ```
//!
//! The newest interface is the widest, so what is shared speaks in its terms, and the older ones are
//! adapters to it; the first does all of the above at each call. An import of 4.0.0 or 4.1.0 is served by 4.2.0, which has all of theirs.
//!
//! | | bound |
//! | --- | --- |
//! | a result | 128 MiB, in memory here and as sent |
//! | a message of the server that is no row | 16 MiB |
//! | its silence before the first row, and before each of the others | 60 s |
//! | connecting, and TLS with authentication | 15 s and 10 s |
//! | connections of a component that are open by a guest | as many as sockets; [`max_connections`] |
//!
//! [`max_connections`]: crate::PlatformBuilder::postgres_max_connections

mod address;
mod builder;
mod calendar;
mod connection;
mod failure;
mod known;
mod numeric;
mod parameters;
mod rows;
mod spin_v1;
mod spin_v2;
mod spin_v3;
mod spin_v4;
mod transport;
mod values;
mod watched;

use std::sync::{Arc, OnceLock};

use address::PostgresAddress;
pub use bindings::spin::postgres3_0_0::postgres::Error as SpinV3Error;
use bindings::spin::postgres4_2_0::postgres as types;
pub use bindings::spin::postgres4_2_0::postgres::Error as SpinV4Error;
pub use bindings_v1::fermyon::spin::postgres::PgError as SpinV1Error;
#[doc(hidden)]
pub use builder::Builder;
#[doc(hidden)]
pub use connection::Client;
use connection::Server;
use outport_egress::{Dialer, GateCtx, HostInterface, Pool, ShutGate};
use rustls::ClientConfig;
use wasmtime::component::{Linker, LinkerInstance};

use crate::address::BadAddress;
use crate::ctx::PlatformView;
use crate::not_opened::NotOpened;
use crate::part::PartView;
use crate::places::Places;
pub use crate::rdbms::types::Error as SpinV2Error;

/// The connections of a process to PostgreSQL servers.
#[derive(Default)]
pub(crate) struct Postgres {
    places: Places,
    pool: OnceLock<Pool<Server>>,
}

/// Whom a guest wants to trust, if it says so, and what tells that from others.
struct Trust {
    tls: Arc<ClientConfig>,
    pem: String,
}

impl Postgres {
    /// With so many connections for each component.
    pub(crate) fn new(max_connections: Option<u32>) -> Self {
        Self {
            places: Places::new(max_connections),
            pool: OnceLock::new(),
        }
    }

    /// A connection to where `address` leads, if it may be gone to.
    async fn open(&self, dialer: &Dialer, address: &str) -> Result<Client, NotOpened> {
        self.connect(dialer, PostgresAddress::parse(address).as_ref(), None)
            .await
    }

    async fn connect(
        &self,
        dialer: &Dialer,
        address: Result<&PostgresAddress, &BadAddress>,
        trust: Option<&Trust>,
    ) -> Result<Client, NotOpened> {
        let calls = dialer.calls(HostInterface::Postgres);
        let connecting = self.connected(dialer, address, trust);
        calls.call("open", None, connecting).await
    }

    async fn connected(
        &self,
        dialer: &Dialer,
        address: Result<&PostgresAddress, &BadAddress>,
        trust: Option<&Trust>,
    ) -> Result<Client, NotOpened> {
        let address = address.map_err(|BadAddress(part)| {
            dialer.refuse_address(ATTEMPT, part);
            NotOpened::Address(part)
        })?;
        let (authorized, place) = self
            .places
            .take(dialer.ask_and_authorize(&address.destination).await?)?;
        let pool = self.pool.get_or_init(|| dialer.pool());
        let mut key = address.key();
        if let Some(trust) = trust {
            key.push_str(&trust.pem);
        }
        let tls = match trust {
            Some(trust) => Arc::clone(&trust.tls),
            None => dialer.tls_config(address.destination.host()),
        };
        let calls = dialer.calls(HostInterface::Postgres);
        Client::open(authorized, pool, address, tls, key, (place, calls)).await
    }
}

/// Tells that a dependency which inherits nothing wanted to go to `address`.
pub fn refuse(shut: &ShutGate, instance: &GateCtx, address: &str) {
    match PostgresAddress::parse(address) {
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
    spin_v1::add_to_linker(linker)?;
    spin_v2::add_to_linker(linker)?;
    spin_v3::add_to_linker(linker)?;
    spin_v4::add_to_linker(linker)
}

/// Defines an interface for a part; says whether it is one of these.
pub(crate) fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    interface: (&str, &str),
    view: PartView<T>,
) -> wasmtime::Result<bool> {
    match interface {
        ("fermyon:spin/postgres", "") => spin_v1::add_for_part(instance, view),
        ("fermyon:spin/postgres", _) => spin_v2::add_for_part(instance, view),
        ("spin:postgres/postgres", version) if version.starts_with("3.") => {
            spin_v3::add_for_part(instance, view)
        }
        ("spin:postgres/postgres", _) => spin_v4::add_for_part(instance, view),
        _ => return Ok(false),
    }
    .map(|()| true)
}

/// What opening a connection is called in the audit log.
const ATTEMPT: &str = "postgres.connect";

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "outport:platform/postgres",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/rdbms-types": crate::rdbms::types,
            "fermyon:spin/postgres.connection": super::Client,
            "spin:postgres/postgres@3.0.0.connection": super::Client,
            "spin:postgres/postgres@4.2.0.connection": super::Client,
            "spin:postgres/postgres@4.2.0.connection-builder": super::Builder,
        },
    });
}

mod bindings_v1 {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit-v1",
        world: "fermyon:spin/first-postgres",
        imports: { default: async | trappable },
        with: { "fermyon:spin/rdbms-types": crate::rdbms::types },
    });
}

#[cfg(test)]
mod tests;
