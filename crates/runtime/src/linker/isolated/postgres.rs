//! The refusals of PostgreSQL servers, of which each version of the interface has an error of its own.

use outport_egress::{GateView, ShutGate};
use outport_platform::postgres;
use wasmtime::component::{LinkerInstance, Resource};

use super::Placeholder;
use crate::guest::Guest;

/// Defines a function that answers; says whether it is one of those.
pub(super) fn define(
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
