//! MySQL and MariaDB: `fermyon:spin/mysql` without a version and `@2.0.0`, and `spin:mysql@3.0.0`.
//!
//! ```text
//! open(ADDRESS) ── address: parsed, or refused ──▶ gate: `mysql.connect` judged by name ── refused ▶ connection-failed
//!                                                   │
//!                    pool: a connection that waits ─┴─ a new one: `mysql.dial`, TLS, authentication
//! query, execute ── prepared, with its values ──▶ the server ── rows, one by one, bounded ──▶ values ──▶ the guest
//! drop ── the server makes a new session of it ──▶ into the pool
//! ```
//!
//! The drivers of the protocol dial by themselves, so what is spoken is spoken here: packets, authentication and statements,
//! by the codec of `mysql_common`. What a server sends is read by functions that cannot panic; of the codec's own ones some
//! can. The versions of the interface say the same, so each is a thin adapter over [`Client`]. The first
//! does all of the above at each call.
//!
//! | | bound |
//! | --- | --- |
//! | the answer to a statement | 128 MiB, in memory here and as sent; 4,096 columns |
//! | a packet that is no row | 1 MiB, and 64 KiB before the server has let the client in |
//! | its silence, before each packet | 60 s |
//! | connecting, and TLS with authentication | 15 s and 10 s |
//! | connections of a component that are open by a guest | as many as sockets; [`max_connections`] |
//!
//! A server never gets a file: it is told that there are none, and one that asks for one ends the connection.
//!
//! [`max_connections`]: crate::PlatformBuilder::mysql_max_connections

mod address;
mod authentication;
mod columns;
mod connection;
mod failure;
mod greeting;
mod packets;
mod public_key;
mod rows;
mod server;
mod spin_v1;
mod spin_v2;
mod spin_v3;
mod statement;
mod values;

use std::sync::OnceLock;

use address::MysqlAddress;
pub use bindings::spin::mysql::mysql::Error as SpinV3Error;
pub use bindings_v1::fermyon::spin::mysql::MysqlError as SpinV1Error;
#[doc(hidden)]
pub use connection::Client;
use outport_egress::{Dialer, GateCtx, HostInterface, Pool, ShutGate};
use server::Server;
use wasmtime::component::{Linker, LinkerInstance};

use crate::address::BadAddress;
use crate::ctx::PlatformView;
use crate::not_opened::NotOpened;
use crate::part::PartView;
use crate::places::Places;
pub use crate::rdbms::types::Error as SpinV2Error;

/// The connections of a process to MySQL servers.
#[derive(Default)]
pub(crate) struct Mysql {
    places: Places,
    pool: OnceLock<Pool<Server>>,
}

impl Mysql {
    /// With so many connections for each component.
    pub(crate) fn new(max_connections: Option<u32>) -> Self {
        Self {
            places: Places::new(max_connections),
            pool: OnceLock::new(),
        }
    }

    /// A connection to where `address` leads, if it may be gone to.
    async fn open(&self, dialer: &Dialer, address: &str) -> Result<Client, NotOpened> {
        let calls = dialer.calls(HostInterface::Mysql);
        calls.call("open", None, self.connect(dialer, address)).await
    }

    async fn connect(&self, dialer: &Dialer, address: &str) -> Result<Client, NotOpened> {
        let address = MysqlAddress::parse(address).map_err(|BadAddress(part)| {
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
    match MysqlAddress::parse(address) {
        Ok(address) => shut.refuse_connection(instance, &address.destination),
        Err(BadAddress(part)) => shut.refuse_address(instance, ATTEMPT, part),
    }
}

/// What a guest is told that may not connect.
pub fn not_permitted() -> String {
    NotOpened::Denied.to_string()
}

/// Adds the interfaces, but for the types that version 2 shares with others.
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
        ("fermyon:spin/mysql", "") => spin_v1::add_for_part(instance, view),
        ("fermyon:spin/mysql", _) => spin_v2::add_for_part(instance, view),
        ("spin:mysql/mysql", _) => spin_v3::add_for_part(instance, view),
        _ => return Ok(false),
    }
    .map(|()| true)
}

/// What opening a connection is called in the audit log.
const ATTEMPT: &str = "mysql.connect";

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "outport:platform/mysql",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/rdbms-types": crate::rdbms::types,
            "fermyon:spin/mysql.connection": super::Client,
            "spin:mysql/mysql.connection": super::Client,
        },
    });
}

mod bindings_v1 {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit-v1",
        world: "fermyon:spin/first-mysql",
        imports: { default: async | trappable },
        with: { "fermyon:spin/rdbms-types": crate::rdbms::types },
    });
}

#[cfg(test)]
mod tests;
