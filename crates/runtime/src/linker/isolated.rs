//! The stand-ins that a dependency finds in place of the rights that it does not inherit.
//!
//! A composed component imports such an interface under a name of its own ([`Isolated`]). Behind that name nothing of
//! the host is reached. What makes or finds something outside of the instance answers as it does where nothing is
//! permitted, or where there is nothing to find:
//!
//! | function | answer |
//! | --- | --- |
//! | creating a socket, looking a name up | `access-denied` |
//! | sending a request | `HTTP-request-denied`; of `fermyon:spin/http`: `destination-not-allowed` |
//! | preopened directories, environment variables, arguments, working directory | none |
//! | opening a key-value store or a database | `access-denied` |
//! | connecting to a Redis server | `invalid-address`; by the first interface: `error` |
//! | a model | `model-not-supported` |
//! | connecting to a MySQL or PostgreSQL server or an MQTT broker | `connection-failed` |
//! | TLS with a server | an error of `wasi:tls`, with words |
//! | a variable | `undefined`; of `fermyon:spin/config`: `provider`, of `wasi:config/store`: no value |
//!
//! Everything else traps: it needs a socket or the like, which such a dependency cannot make. The refusals of the
//! network are judged, told and counted like any other ([`ShutGate`]), in the name of the component and its dependency.

mod environment;
mod http;
#[cfg(any(
    feature = "key-value",
    feature = "llm",
    feature = "mqtt",
    feature = "mysql",
    feature = "redis"
))]
mod platform;
#[cfg(feature = "postgres")]
mod postgres;
mod sockets;
mod spin_v1;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "tls")]
mod tls;

use outport_egress::{Gate, ShutGate};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{LinkerInstance, ResourceType};

use super::unknown::{Placeholder, define_resource, define_trap};
use crate::app::Isolated;
use crate::guest::Guest;

/// A guest called a function that its code does not inherit. The guest ends with it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("called `{function}` of `{interface}`, which the dependency `{dependency}` does not inherit")]
#[non_exhaustive]
pub struct NotInherited {
    /// The dependency, as the manifest calls it.
    pub dependency: String,
    /// The interface, with its version.
    pub interface: String,
    /// The function in it.
    pub function: String,
}

/// Defines everything that an isolated import has, for the dependency that `name` says, of a component behind `gate`.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Guest>,
    isolated: Isolated<'_>,
    items: &[(&str, ComponentItem)],
    resources: &mut Vec<ResourceType>,
    (gate, dependency): (&Gate, &str),
) -> wasmtime::Result<()> {
    let interface = isolated.import;
    let (path, version) = interface.split_once('@').unwrap_or((interface, ""));
    let shut = gate.shut(dependency);
    for (name, item) in items {
        match item {
            ComponentItem::ComponentFunc(function) => {
                // Answered where WASI has an error for it, so that the guest goes on.
                if define_answer(instance, (path, version, name), shut.clone())? {
                    continue;
                }
                let trap = NotInherited {
                    dependency: dependency.to_owned(),
                    interface: interface.to_owned(),
                    function: (*name).to_owned(),
                };
                define_trap(instance, name, function, trap)?;
            }
            ComponentItem::Resource(resource) => define_resource(instance, name, *resource, resources)?,
            _ => {}
        }
    }
    Ok(())
}

/// Defines a function that answers; says whether it is one of those.
fn define_answer(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, version, function): (&str, &str, &str),
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    let (package, name) = interface.split_once('/').unwrap_or((interface, ""));
    let of_version = (interface, version, function);
    match (package, name) {
        ("wasi:sockets", _) => sockets::define(instance, of_version, shut),
        _ if version.is_empty() => spin_v1::define(instance, (interface, function), shut),
        ("wasi:http", _) => http::define(instance, of_version, shut),
        ("wasi:filesystem" | "wasi:cli" | "wasi:config" | "spin:variables", _)
        | ("fermyon:spin", "variables") => environment::define(instance, (interface, function)),
        #[cfg(feature = "tls")]
        ("wasi:tls", _) => tls::define(instance, (interface, function), shut),
        #[cfg(feature = "postgres")]
        ("fermyon:spin" | "spin:postgres", "postgres") => postgres::define(instance, of_version, shut),
        #[cfg(feature = "sqlite")]
        ("fermyon:spin" | "spin:sqlite", "sqlite") => sqlite::define(instance, of_version, shut),
        #[cfg(any(
            feature = "key-value",
            feature = "llm",
            feature = "mqtt",
            feature = "mysql",
            feature = "redis"
        ))]
        (
            "fermyon:spin" | "spin:key-value" | "spin:mqtt" | "spin:mysql" | "spin:redis" | "wasi:keyvalue",
            _,
        ) => platform::define(instance, (interface, function), shut),
        _ => Ok(false),
    }
}
