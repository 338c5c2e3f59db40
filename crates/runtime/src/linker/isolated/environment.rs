//! What a component is started with, and its dependency is not: directories, environment, arguments and variables. There is
//! nothing in them, which is no attempt and is not told.

use wasmtime::component::{LinkerInstance, Resource};

use crate::guest::Guest;
use crate::variables::{spin_v2, spin_v3, store};

/// Defines a function that answers; says whether it is one of those.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, function): (&str, &str),
) -> wasmtime::Result<bool> {
    match (interface, function) {
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
