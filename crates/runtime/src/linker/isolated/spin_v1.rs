//! The refusals of Spin's first interfaces, which have no version. Each call of most of them has the address, so each is an
//! attempt.

#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
use outport_egress::GateCtx;
use outport_egress::{GateView, ShutGate, spin_v1 as http};
#[cfg(feature = "key-value")]
use outport_platform::key_value;
#[cfg(feature = "mysql")]
use outport_platform::mysql;
#[cfg(feature = "postgres")]
use outport_platform::postgres;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use outport_platform::rdbms::{ParameterValue, RowSet};
#[cfg(feature = "redis")]
use outport_platform::redis;
#[cfg(feature = "sqlite")]
use outport_platform::sqlite;
#[cfg(any(feature = "key-value", feature = "sqlite"))]
use outport_policy::LabelKind;
use wasmtime::component::LinkerInstance;

use crate::guest::Guest;
use crate::variables::spin_v1 as config;

/// Defines a function that answers; says whether it is one of those.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, function): (&str, &str),
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    match (interface, function) {
        ("fermyon:spin/config", "get-config") => {
            instance.func_wrap(function, |_, (key,): (String,)| {
                Ok((Err::<String, _>(config::Error::Provider(key)),))
            })?;
        }
        ("fermyon:spin/http", "send-request") => {
            instance.func_wrap(function, move |mut store, (request,): (http::Request,)| {
                http::refuse(&shut, store.data_mut().gate().ctx, &request);
                let denied = http::HttpError::DestinationNotAllowed;
                Ok((Err::<http::Response, _>(denied),))
            })?;
        }
        #[cfg(feature = "key-value")]
        ("fermyon:spin/key-value", "open") => {
            instance.func_wrap(function, move |mut store, (label,): (String,)| {
                shut.refuse_label(store.data_mut().gate().ctx, LabelKind::KeyValueStore, &label);
                Ok((Err::<u32, _>(key_value::SpinV1Error::AccessDenied),))
            })?;
        }
        #[cfg(feature = "mysql")]
        ("fermyon:spin/mysql", _) => return define_mysql(instance, function, shut),
        #[cfg(feature = "postgres")]
        ("fermyon:spin/postgres", _) => return define_postgres(instance, function, shut),
        #[cfg(feature = "redis")]
        ("fermyon:spin/redis", _) => return define_redis(instance, function, shut),
        #[cfg(feature = "sqlite")]
        ("fermyon:spin/sqlite", "open") => {
            instance.func_wrap(function, move |mut store, (label,): (String,)| {
                shut.refuse_label(store.data_mut().gate().ctx, LabelKind::SqliteDatabase, &label);
                Ok((Err::<u32, _>(sqlite::SpinV1Error::AccessDenied),))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// What tells of an address that was to be gone to.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
type Tell = fn(&ShutGate, &GateCtx, &str);

/// Defines a function of an address and more, which answers as where it may not be gone to.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
macro_rules! refuse {
    ($instance:expr, $function:expr, $shut:expr, $tell:expr, $denied:expr, ($($given:ty),*) -> $answer:ty) => {{
        let (shut, tell, denied) = ($shut, $tell as Tell, $denied);
        $instance.func_wrap($function, move |mut store, given: (String, $($given),*)| {
            tell(&shut, store.data_mut().gate().ctx, &given.0);
            Ok((Err::<$answer, _>(denied()),))
        })?;
    }};
}

#[cfg(feature = "mysql")]
fn define_mysql(
    instance: &mut LinkerInstance<'_, Guest>,
    function: &str,
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    let denied = || mysql::SpinV1Error::ConnectionFailed(mysql::not_permitted());
    type Values = Vec<ParameterValue>;
    match function {
        "query" => refuse!(instance, function, shut, mysql::refuse, denied, (String, Values) -> RowSet),
        "execute" => refuse!(instance, function, shut, mysql::refuse, denied, (String, Values) -> ()),
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(feature = "postgres")]
fn define_postgres(
    instance: &mut LinkerInstance<'_, Guest>,
    function: &str,
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    let denied = || postgres::SpinV1Error::ConnectionFailed(postgres::not_permitted());
    type Values = Vec<ParameterValue>;
    match function {
        "query" => refuse!(instance, function, shut, postgres::refuse, denied, (String, Values) -> RowSet),
        "execute" => refuse!(instance, function, shut, postgres::refuse, denied, (String, Values) -> u64),
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(feature = "redis")]
fn define_redis(
    instance: &mut LinkerInstance<'_, Guest>,
    function: &str,
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    let denied = || redis::SpinV1Error::Error;
    type Texts = Vec<String>;
    type Bytes = Vec<u8>;
    type Parameters = Vec<redis::SpinV1Parameter>;
    type Results = Vec<redis::SpinV1Result>;
    match function {
        "publish" | "set" => refuse!(instance, function, shut, redis::refuse, denied, (String, Bytes) -> ()),
        "get" => refuse!(instance, function, shut, redis::refuse, denied, (String) -> Bytes),
        "incr" => refuse!(instance, function, shut, redis::refuse, denied, (String) -> i64),
        "del" => refuse!(instance, function, shut, redis::refuse, denied, (Texts) -> i64),
        "sadd" | "srem" => refuse!(instance, function, shut, redis::refuse, denied, (String, Texts) -> i64),
        "smembers" => refuse!(instance, function, shut, redis::refuse, denied, (String) -> Texts),
        "execute" => {
            refuse!(instance, function, shut, redis::refuse, denied, (String, Parameters) -> Results)
        }
        _ => return Ok(false),
    }
    Ok(true)
}
