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

mod spin_v1;
#[cfg(feature = "tls")]
mod tls;

use outport_egress::{Gate, GateView, ShutGate};
#[cfg(feature = "key-value")]
use outport_platform::key_value;
#[cfg(feature = "llm")]
use outport_platform::llm;
#[cfg(feature = "mqtt")]
use outport_platform::mqtt;
#[cfg(feature = "mysql")]
use outport_platform::mysql;
#[cfg(feature = "postgres")]
use outport_platform::postgres;
#[cfg(feature = "redis")]
use outport_platform::redis;
#[cfg(feature = "sqlite")]
use outport_platform::sqlite;
#[cfg(any(feature = "key-value", feature = "llm", feature = "sqlite"))]
use outport_policy::LabelKind;
use outport_policy::Transport;
#[cfg(feature = "sqlite")]
use wasmtime::component::Lower;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network as p2_network;
use wasmtime_wasi::p2::{Network, TcpSocket, UdpSocket};
use wasmtime_wasi::p3::bindings::sockets as p3_sockets;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::p2::bindings::http::types as p2_http;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::p3 as p3_http;
use wasmtime_wasi_http::p3::bindings::http::types as p3_http_types;

use super::unknown::{Placeholder, define_resource, define_trap};
use crate::app::Isolated;
use crate::guest::Guest;
use crate::variables::{spin_v2, spin_v3, store};
use crate::wasi_2023::{HttpErrorOfOctober, HttpOptionsOfOctober, OCTOBER};

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
    match (interface, function) {
        ("wasi:sockets/tcp-create-socket", "create-tcp-socket") => {
            instance.func_wrap(
                function,
                move |mut store, (_,): (p2_network::IpAddressFamily,)| {
                    shut.refuse_socket(store.data_mut().gate().ctx, Transport::Tcp);
                    Ok((Err::<Resource<TcpSocket>, _>(p2_network::ErrorCode::AccessDenied),))
                },
            )?;
        }
        ("wasi:sockets/udp-create-socket", "create-udp-socket") => {
            instance.func_wrap(
                function,
                move |mut store, (_,): (p2_network::IpAddressFamily,)| {
                    shut.refuse_socket(store.data_mut().gate().ctx, Transport::Udp);
                    Ok((Err::<Resource<UdpSocket>, _>(p2_network::ErrorCode::AccessDenied),))
                },
            )?;
        }
        ("wasi:sockets/types", "[static]tcp-socket.create" | "[static]udp-socket.create") => {
            let transport = if function.contains("tcp") {
                Transport::Tcp
            } else {
                Transport::Udp
            };
            instance.func_wrap(
                function,
                move |mut store, (_,): (p3_sockets::types::IpAddressFamily,)| {
                    shut.refuse_socket(store.data_mut().gate().ctx, transport);
                    let denied = p3_sockets::types::ErrorCode::AccessDenied;
                    Ok((Err::<Resource<Placeholder>, _>(denied),))
                },
            )?;
        }
        ("wasi:sockets/ip-name-lookup", "resolve-addresses") if version == OCTOBER => {
            type Asked = (
                Resource<Network>,
                String,
                Option<p2_network::IpAddressFamily>,
                bool,
            );
            instance.func_wrap(function, move |mut store, (_, name, _, _): Asked| {
                shut.refuse_lookup(store.data_mut().gate().ctx, &name);
                Ok((Err::<Resource<Placeholder>, _>(
                    p2_network::ErrorCode::AccessDenied,
                ),))
            })?;
        }
        ("wasi:sockets/ip-name-lookup", "resolve-addresses") if version.starts_with("0.2.") => {
            instance.func_wrap(
                function,
                move |mut store, (_, name): (Resource<Network>, String)| {
                    shut.refuse_lookup(store.data_mut().gate().ctx, &name);
                    Ok((Err::<Resource<Placeholder>, _>(
                        p2_network::ErrorCode::AccessDenied,
                    ),))
                },
            )?;
        }
        ("wasi:sockets/ip-name-lookup", "resolve-addresses") => {
            instance.func_wrap_concurrent(function, move |store, (name,): (String,)| {
                store.with(|mut store| shut.refuse_lookup(store.get().gate().ctx, &name));
                let denied = p3_sockets::ip_name_lookup::ErrorCode::AccessDenied;
                let answer = (Err::<Vec<p3_sockets::types::IpAddress>, _>(denied),);
                Box::pin(std::future::ready(Ok(answer)))
            })?;
        }
        _ if version.is_empty() => return spin_v1::define(instance, (interface, function), shut),
        #[cfg(feature = "postgres")]
        ("fermyon:spin/postgres" | "spin:postgres/postgres", _) => {
            return define_postgres(instance, (interface, version, function), shut);
        }
        #[cfg(feature = "tls")]
        ("wasi:tls/types" | "wasi:tls/client", _) => {
            return tls::define(instance, (interface, function), shut);
        }
        _ => return define_other_answer(instance, (interface, version, function), shut),
    }
    Ok(true)
}

/// Of those that answer, the ones that are not about sockets.
fn define_other_answer(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, version, function): (&str, &str, &str),
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    match (interface, function) {
        ("wasi:http/outgoing-handler", "handle") if version == OCTOBER => {
            type Given = (Resource<HostOutgoingRequest>, Option<HttpOptionsOfOctober>);
            instance.func_wrap(function, move |mut store, (request, _): Given| {
                let denied = HttpErrorOfOctober::from(refuse_request(store.data_mut(), &shut, request)?);
                Ok((Err::<Resource<HostFutureIncomingResponse>, _>(denied),))
            })?;
        }
        ("wasi:http/outgoing-handler", "handle") => {
            type Given = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
            instance.func_wrap(function, move |mut store, (request, options): Given| {
                let guest = store.data_mut();
                if let Some(options) = options {
                    guest.table().delete(options)?;
                }
                let denied = refuse_request(guest, &shut, request)?;
                Ok((Err::<Resource<HostFutureIncomingResponse>, _>(denied),))
            })?;
        }
        ("wasi:http/client", "send") => {
            type Given = (Resource<p3_http::Request>,);
            instance.func_wrap_concurrent(function, move |store, (request,): Given| {
                let shut = shut.clone();
                Box::pin(async move {
                    store.with(|mut store| {
                        let guest = store.get();
                        let request = guest.table().delete(request)?;
                        let scheme = request.scheme.as_ref().map(|scheme| scheme.as_str());
                        let authority = request
                            .authority
                            .as_ref()
                            .map_or("", |authority| authority.as_str());
                        shut.refuse_request(guest.gate().ctx, request.method.as_str(), scheme, authority);
                        wasmtime::error::Ok(())
                    })?;
                    let denied = p3_http_types::ErrorCode::HttpRequestDenied;
                    Ok((Err::<Resource<p3_http::Response>, _>(denied),))
                })
            })?;
        }
        ("wasi:filesystem/preopens", "get-directories") => {
            instance.func_wrap(function, |_, (): ()| {
                Ok((Vec::<(Resource<wasmtime_wasi::filesystem::Descriptor>, String)>::new(),))
            })?;
        }
        ("wasi:cli/environment", "get-environment") => {
            instance.func_wrap(function, |_, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
        }
        ("wasi:cli/environment", "get-arguments") => {
            instance.func_wrap(function, |_, (): ()| Ok((Vec::<String>::new(),)))?;
        }
        ("wasi:cli/environment", "initial-cwd" | "get-initial-cwd") => {
            instance.func_wrap(function, |_, (): ()| Ok((None::<String>,)))?;
        }
        ("fermyon:spin/variables", "get") => {
            instance.func_wrap(function, |_, (name,): (String,)| {
                Ok((Err::<String, _>(spin_v2::Error::Undefined(name)),))
            })?;
        }
        ("spin:variables/variables", "get") => {
            instance.func_wrap_concurrent(function, |_, (name,): (String,)| {
                let answer = (Err::<String, _>(spin_v3::Error::Undefined(name)),);
                Box::pin(std::future::ready(Ok(answer)))
            })?;
        }
        #[cfg(feature = "key-value")]
        ("fermyon:spin/key-value", "[static]store.open") => {
            instance.func_wrap(function, move |mut store, (label,): (String,)| {
                shut.refuse_label(store.data_mut().gate().ctx, LabelKind::KeyValueStore, &label);
                Ok((Err::<Resource<Placeholder>, _>(
                    key_value::SpinV2Error::AccessDenied,
                ),))
            })?;
        }
        #[cfg(feature = "key-value")]
        ("spin:key-value/key-value", "[static]store.open") => {
            instance.func_wrap_concurrent(function, move |store, (label,): (String,)| {
                let kind = LabelKind::KeyValueStore;
                store.with(|mut store| shut.refuse_label(store.get().gate().ctx, kind, &label));
                let denied = key_value::SpinV3Error::AccessDenied;
                Box::pin(std::future::ready(Ok((Err::<Resource<Placeholder>, _>(denied),))))
            })?;
        }
        #[cfg(feature = "key-value")]
        ("wasi:keyvalue/store", "open") => {
            instance.func_wrap(function, move |mut store, (label,): (String,)| {
                shut.refuse_label(store.data_mut().gate().ctx, LabelKind::KeyValueStore, &label);
                Ok((Err::<Resource<Placeholder>, _>(
                    key_value::WasiError::AccessDenied,
                ),))
            })?;
        }
        #[cfg(feature = "mqtt")]
        ("fermyon:spin/mqtt", "[static]connection.open") => {
            type Given = (String, String, String, u64);
            instance.func_wrap(function, move |mut store, (address, _, _, _): Given| {
                mqtt::refuse(&shut, store.data_mut().gate().ctx, &address);
                let denied = mqtt::SpinV2Error::ConnectionFailed(mqtt::not_permitted());
                Ok((Err::<Resource<Placeholder>, _>(denied),))
            })?;
        }
        #[cfg(feature = "mqtt")]
        ("spin:mqtt/mqtt", "[static]connection.open") => {
            type Given = (String, String, String, u64);
            instance.func_wrap_concurrent(function, move |store, (address, _, _, _): Given| {
                store.with(|mut store| mqtt::refuse(&shut, store.get().gate().ctx, &address));
                let denied = mqtt::SpinV3Error::ConnectionFailed(mqtt::not_permitted());
                Box::pin(std::future::ready(Ok((Err::<Resource<Placeholder>, _>(denied),))))
            })?;
        }
        #[cfg(feature = "redis")]
        ("fermyon:spin/redis", "[static]connection.open") => {
            instance.func_wrap(function, move |mut store, (address,): (String,)| {
                redis::refuse(&shut, store.data_mut().gate().ctx, &address);
                let denied = redis::SpinV2Error::InvalidAddress;
                Ok((Err::<Resource<Placeholder>, _>(denied),))
            })?;
        }
        #[cfg(feature = "redis")]
        ("spin:redis/redis", "[static]connection.open") => {
            instance.func_wrap_concurrent(function, move |store, (address,): (String,)| {
                store.with(|mut store| redis::refuse(&shut, store.get().gate().ctx, &address));
                let denied = redis::SpinV3Error::InvalidAddress;
                Box::pin(std::future::ready(Ok((Err::<Resource<Placeholder>, _>(denied),))))
            })?;
        }
        #[cfg(feature = "mysql")]
        ("fermyon:spin/mysql", "[static]connection.open") => {
            instance.func_wrap(function, move |mut store, (address,): (String,)| {
                mysql::refuse(&shut, store.data_mut().gate().ctx, &address);
                let denied = mysql::SpinV2Error::ConnectionFailed(mysql::not_permitted());
                Ok((Err::<Resource<Placeholder>, _>(denied),))
            })?;
        }
        #[cfg(feature = "mysql")]
        ("spin:mysql/mysql", "[static]connection.open") => {
            instance.func_wrap_concurrent(function, move |store, (address,): (String,)| {
                store.with(|mut store| mysql::refuse(&shut, store.get().gate().ctx, &address));
                let denied = mysql::SpinV3Error::ConnectionFailed(mysql::not_permitted());
                Box::pin(std::future::ready(Ok((Err::<Resource<Placeholder>, _>(denied),))))
            })?;
        }
        #[cfg(feature = "llm")]
        ("fermyon:spin/llm", "infer") => {
            type Given = (String, String, Option<llm::InferencingParams>);
            instance.func_wrap(function, move |mut store, (model, _, _): Given| {
                shut.refuse_label(store.data_mut().gate().ctx, LabelKind::AiModel, &model);
                Ok((Err::<llm::InferencingResult, _>(
                    llm::SpinV2Error::ModelNotSupported,
                ),))
            })?;
        }
        #[cfg(feature = "llm")]
        ("fermyon:spin/llm", "generate-embeddings") => {
            instance.func_wrap(function, move |mut store, (model, _): (String, Vec<String>)| {
                shut.refuse_label(store.data_mut().gate().ctx, LabelKind::AiModel, &model);
                Ok((Err::<llm::EmbeddingsResult, _>(
                    llm::SpinV2Error::ModelNotSupported,
                ),))
            })?;
        }
        #[cfg(feature = "sqlite")]
        ("fermyon:spin/sqlite", "[static]connection.open") => {
            refuse_database(instance, function, shut, || sqlite::SpinV2Error::AccessDenied)?;
        }
        #[cfg(feature = "sqlite")]
        ("spin:sqlite/sqlite", "[static]connection.open") if version == "3.0.0" => {
            refuse_database(instance, function, shut, || sqlite::SpinV3Error::AccessDenied)?;
        }
        #[cfg(feature = "sqlite")]
        ("spin:sqlite/sqlite", "[static]connection.open") => {
            refuse_database(instance, function, shut, || sqlite::SpinV31Error::AccessDenied)?;
        }
        #[cfg(feature = "sqlite")]
        ("spin:sqlite/sqlite", "[static]connection.open-async") => {
            instance.func_wrap_concurrent(function, move |store, (label,): (String,)| {
                let kind = LabelKind::SqliteDatabase;
                store.with(|mut store| shut.refuse_label(store.get().gate().ctx, kind, &label));
                let denied = sqlite::SpinV31Error::AccessDenied;
                Box::pin(std::future::ready(Ok((Err::<Resource<Placeholder>, _>(denied),))))
            })?;
        }
        ("wasi:config/store", "get") => {
            instance.func_wrap(function, |_, (_,): (String,)| {
                Ok((Ok::<Option<String>, store::Error>(None),))
            })?;
        }
        ("wasi:config/store", "get-all") => {
            instance.func_wrap(function, |_, (): ()| {
                Ok((Ok::<Vec<(String, String)>, store::Error>(Vec::new()),))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Refuses a request of WASI 0.2.
fn refuse_request(
    guest: &mut Guest,
    shut: &ShutGate,
    request: Resource<HostOutgoingRequest>,
) -> wasmtime::Result<p2_http::ErrorCode> {
    let request = guest.table().delete(request)?;
    let scheme = request.scheme.as_ref().map(scheme_of);
    let authority = request.authority.as_deref().unwrap_or_default();
    shut.refuse_request(guest.gate().ctx, method_of(&request.method), scheme, authority);
    Ok(p2_http::ErrorCode::HttpRequestDenied)
}

/// Refuses databases with the error of a version.
#[cfg(feature = "sqlite")]
fn refuse_database<E: Lower + Send + Sync + 'static>(
    instance: &mut LinkerInstance<'_, Guest>,
    function: &str,
    shut: ShutGate,
    denied: fn() -> E,
) -> wasmtime::Result<()>
where
    Result<Resource<Placeholder>, E>: Lower,
{
    instance.func_wrap(function, move |mut store, (label,): (String,)| {
        shut.refuse_label(store.data_mut().gate().ctx, LabelKind::SqliteDatabase, &label);
        Ok((Err::<Resource<Placeholder>, _>(denied()),))
    })
}

/// The same for PostgreSQL, of which each version has an error of its own.
#[cfg(feature = "postgres")]
fn define_postgres(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, version, function): (&str, &str, &str),
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    type Refused<E> = (Result<Resource<Placeholder>, E>,);
    match (interface, function) {
        ("fermyon:spin/postgres", "[static]connection.open") => {
            instance.func_wrap(function, move |mut store, (address,): (String,)| {
                postgres::refuse(&shut, store.data_mut().gate().ctx, &address);
                let denied = postgres::SpinV2Error::ConnectionFailed(postgres::not_permitted());
                Ok::<Refused<_>, _>((Err(denied),))
            })?;
        }
        ("spin:postgres/postgres", "[static]connection.open") if version.starts_with("3.") => {
            instance.func_wrap(function, move |mut store, (address,): (String,)| {
                postgres::refuse(&shut, store.data_mut().gate().ctx, &address);
                let denied = postgres::SpinV3Error::ConnectionFailed(postgres::not_permitted());
                Ok::<Refused<_>, _>((Err(denied),))
            })?;
        }
        ("spin:postgres/postgres", "[static]connection.open") => {
            instance.func_wrap(function, move |mut store, (address,): (String,)| {
                postgres::refuse(&shut, store.data_mut().gate().ctx, &address);
                let denied = postgres::SpinV4Error::ConnectionFailed(postgres::not_permitted());
                Ok::<Refused<_>, _>((Err(denied),))
            })?;
        }
        ("spin:postgres/postgres", "[static]connection.open-async") => {
            instance.func_wrap_concurrent(function, move |store, (address,): (String,)| {
                store.with(|mut store| postgres::refuse(&shut, store.get().gate().ctx, &address));
                let denied = postgres::SpinV4Error::ConnectionFailed(postgres::not_permitted());
                let answer: Refused<_> = (Err(denied),);
                Box::pin(std::future::ready(Ok(answer)))
            })?;
        }
        // The address is here, so this is where it is told.
        ("spin:postgres/postgres", "[constructor]connection-builder") => {
            instance.func_wrap(function, move |mut store, (address,): (String,)| {
                postgres::refuse(&shut, store.data_mut().gate().ctx, &address);
                Ok((Resource::<Placeholder>::new_own(0),))
            })?;
        }
        ("spin:postgres/postgres", "[method]connection-builder.set-ca-root") => {
            instance.func_wrap(function, |_, (_, _): (Resource<Placeholder>, String)| {
                Ok((Ok::<(), postgres::SpinV4Error>(()),))
            })?;
        }
        ("spin:postgres/postgres", "[method]connection-builder.build") => {
            instance.func_wrap(function, |_, (_,): (Resource<Placeholder>,)| {
                let denied = postgres::SpinV4Error::ConnectionFailed(postgres::not_permitted());
                Ok::<Refused<_>, _>((Err(denied),))
            })?;
        }
        ("spin:postgres/postgres", "[method]connection-builder.build-async") => {
            instance.func_wrap_concurrent(function, |_, (_,): (Resource<Placeholder>,)| {
                let denied = postgres::SpinV4Error::ConnectionFailed(postgres::not_permitted());
                let answer: Refused<_> = (Err(denied),);
                Box::pin(std::future::ready(Ok(answer)))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Of methods only CONNECT differs to the policy.
fn method_of(method: &p2_http::Method) -> &str {
    match method {
        p2_http::Method::Connect => "CONNECT",
        p2_http::Method::Other(other) => other,
        _ => "GET",
    }
}

fn scheme_of(scheme: &p2_http::Scheme) -> &str {
    match scheme {
        p2_http::Scheme::Http => "http",
        p2_http::Scheme::Https => "https",
        p2_http::Scheme::Other(other) => other,
    }
}
