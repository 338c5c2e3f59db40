//! The stand-in for `wasi:tls`: whatever server a dependency names that inherits no way out, it hears that this is not
//! permitted. It is told when the name is given. What it wrote is dropped, and there is nothing to read.

use outport_egress::{GateView, ShutGate};
use outport_platform::tls::NOT_PERMITTED;
use wasmtime::component::{FutureReader, LinkerInstance, Resource, StreamReader};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, IoError, Pollable, subscribe};

use super::Placeholder;
use crate::guest::Guest;

/// Defines a function of it; says whether it is one of those.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, function): (&str, &str),
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    match (interface, function) {
        ("wasi:tls/types", "[constructor]client-handshake") => {
            type Given = (String, Resource<DynInputStream>, Resource<DynOutputStream>);
            instance.func_wrap(function, move |mut store, (server, input, output): Given| {
                let guest = store.data_mut();
                guest.table().delete(input)?;
                guest.table().delete(output)?;
                shut.refuse_tls(guest.gate().ctx, &server);
                Ok((Resource::<Placeholder>::new_own(0),))
            })?;
        }
        ("wasi:tls/types", "[static]client-handshake.finish") => {
            instance.func_wrap(function, |_, (_,): (Resource<Placeholder>,)| {
                Ok((Resource::<Placeholder>::new_own(0),))
            })?;
        }
        ("wasi:tls/types", "[method]future-client-streams.subscribe") => {
            instance.func_wrap(function, |mut store, (_,): (Resource<Placeholder>,)| {
                let table = store.data_mut().table();
                let refused = table.push(Refused)?;
                let pollable: Resource<DynPollable> = subscribe(table, refused)?;
                Ok((pollable,))
            })?;
        }
        ("wasi:tls/types", "[method]future-client-streams.get") => {
            type Streams = (
                Resource<Placeholder>,
                Resource<DynInputStream>,
                Resource<DynOutputStream>,
            );
            type Answer = Option<Result<Result<Streams, Resource<IoError>>, ()>>;
            instance.func_wrap(function, |mut store, (_,): (Resource<Placeholder>,)| {
                let error = store.data_mut().table().push(IoError::msg(NOT_PERMITTED))?;
                let answer: Answer = Some(Ok(Err(error)));
                Ok((answer,))
            })?;
        }
        ("wasi:tls/client", "[constructor]connector") => {
            instance.func_wrap(function, |_, (): ()| Ok((Resource::<Placeholder>::new_own(0),)))?;
        }
        ("wasi:tls/client", "[method]connector.send" | "[method]connector.receive") => {
            type Given = (Resource<Placeholder>, StreamReader<u8>);
            instance.func_wrap(function, |mut store, (_, mut given): Given| {
                given.close(&mut store)?;
                let nothing = StreamReader::new(&mut store, Vec::<u8>::new())?;
                let refused: Result<(), Resource<Placeholder>> = Err(Resource::new_own(0));
                let end = FutureReader::new(&mut store, async move { wasmtime::error::Ok(refused) })?;
                Ok(((nothing, end),))
            })?;
        }
        ("wasi:tls/client", "[static]connector.connect") => {
            type Given = (Resource<Placeholder>, String);
            instance.func_wrap_concurrent(function, move |store, (_, server): Given| {
                store.with(|mut store| shut.refuse_tls(store.get().gate().ctx, &server));
                let refused: Result<(), Resource<Placeholder>> = Err(Resource::new_own(0));
                Box::pin(std::future::ready(Ok((refused,))))
            })?;
        }
        ("wasi:tls/types", "[method]error.to-debug-string") => {
            instance.func_wrap(function, |_, (_,): (Resource<Placeholder>,)| {
                Ok((NOT_PERMITTED.to_owned(),))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// The handshake is over before it begins.
struct Refused;

#[async_trait]
impl Pollable for Refused {
    async fn ready(&mut self) {}
}
