//! The refusals of key-value stores, brokers, models, and servers of Redis and MySQL, each as an attempt of the label or the
//! address that a call has.

use outport_egress::{GateView, ShutGate};
#[cfg(feature = "key-value")]
use outport_platform::key_value;
#[cfg(feature = "llm")]
use outport_platform::llm;
#[cfg(feature = "mqtt")]
use outport_platform::mqtt;
#[cfg(feature = "mysql")]
use outport_platform::mysql;
#[cfg(feature = "redis")]
use outport_platform::redis;
#[cfg(any(feature = "key-value", feature = "llm"))]
use outport_policy::LabelKind;
use wasmtime::component::LinkerInstance;
#[cfg(any(feature = "key-value", feature = "mqtt", feature = "mysql", feature = "redis"))]
use wasmtime::component::Resource;

#[cfg(any(feature = "key-value", feature = "mqtt", feature = "mysql", feature = "redis"))]
use super::Placeholder;
use crate::guest::Guest;

/// Defines a function that answers; says whether it is one of those.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, function): (&str, &str),
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    match (interface, function) {
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
        _ => return Ok(false),
    }
    Ok(true)
}
