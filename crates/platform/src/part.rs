//! Interfaces for a part of a component that reaches less than the component: the same ones, under a name that the
//! embedder chooses, behind a gate of the part's own.

use wasmtime::component::LinkerInstance;

use crate::ctx::{PlatformCtxView, PlatformView};

/// The platform as a part of the component in the store has it, with the part's gate.
pub type PartView<T> = fn(&mut T) -> PlatformCtxView<'_>;

/// Defines in `instance` the interface `name` in that version, of those that reach the network; answers whether it is one
/// of them. What it connects to is judged by the gate of `view`.
///
/// # Errors
///
/// What the linker reports.
#[allow(unused_variables, reason = "without features there is no such interface")]
pub fn add_for_part<T: PlatformView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    (name, version): (&str, &str),
    view: PartView<T>,
) -> wasmtime::Result<bool> {
    #[cfg(feature = "mqtt")]
    if crate::mqtt::add_for_part(instance, (name, version), view)? {
        return Ok(true);
    }
    #[cfg(feature = "mysql")]
    if crate::mysql::add_for_part(instance, (name, version), view)? {
        return Ok(true);
    }
    #[cfg(feature = "postgres")]
    if crate::postgres::add_for_part(instance, (name, version), view)? {
        return Ok(true);
    }
    #[cfg(feature = "redis")]
    if crate::redis::add_for_part(instance, (name, version), view)? {
        return Ok(true);
    }
    Ok(false)
}
