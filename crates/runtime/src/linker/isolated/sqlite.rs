//! The refusals of SQLite databases, of which each version of the interface has an error of its own.

use outport_egress::{GateView, ShutGate};
use outport_platform::sqlite;
use outport_policy::LabelKind;
use wasmtime::component::{LinkerInstance, Lower, Resource};

use super::Placeholder;
use crate::guest::Guest;

/// Defines a function that answers; says whether it is one of those.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, version, function): (&str, &str, &str),
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    match (interface, function) {
        ("fermyon:spin/sqlite", "[static]connection.open") => {
            refuse_database(instance, function, shut, || sqlite::SpinV2Error::AccessDenied)?;
        }
        ("spin:sqlite/sqlite", "[static]connection.open") if version == "3.0.0" => {
            refuse_database(instance, function, shut, || sqlite::SpinV3Error::AccessDenied)?;
        }
        ("spin:sqlite/sqlite", "[static]connection.open") => {
            refuse_database(instance, function, shut, || sqlite::SpinV31Error::AccessDenied)?;
        }
        ("spin:sqlite/sqlite", "[static]connection.open-async") => {
            instance.func_wrap_concurrent(function, move |store, (label,): (String,)| {
                let kind = LabelKind::SqliteDatabase;
                store.with(|mut store| shut.refuse_label(store.get().gate().ctx, kind, &label));
                let denied = sqlite::SpinV31Error::AccessDenied;
                Box::pin(std::future::ready(Ok((Err::<Resource<Placeholder>, _>(denied),))))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Refuses databases with the error of a version.
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
