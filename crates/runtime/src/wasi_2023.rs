//! The two snapshots of WASI 0.2 that came before it, of October and November 2023, over the host's 0.2.
//!
//! An interface that equals that of 0.2 has another name and nothing else to it; `outport-components` renames those
//! before they come here. These differ:
//!
//! | interface | of 2023-10-18 | of 2023-11-10 |
//! | --- | --- | --- |
//! | `wasi:io` | [`io`]: `poll`, `streams` | – |
//! | `wasi:clocks` | [`clocks`]: `monotonic-clock` | – |
//! | `wasi:filesystem` | [`filesystem`]: `types` | – |
//! | `wasi:http` | [`http`]: `types`, `outgoing-handler` | [`http`]: `types` |
//! | `wasi:sockets` | [`sockets`]: all that makes or uses one, and refuses | two functions of `tcp` and `udp` |
//!
//! All of it converts and passes on: what opens a file, lists a directory or sends a request are the very functions
//! that guests of 0.2 get, with their bounds and behind the same gate, and a resource is the same in every version. What
//! these snapshots have no error for ends the guest, as in Spin.

/// Defines functions of an interface that are those of 0.2: for each, how it answers, its name and arguments, and what
/// it is passed on to, which works on a view of the guest. An `answer` is any value, a `result` one whose error may be a
/// trap; both may be `async`.
macro_rules! pass_on {
    ($interface:expr, $view:ident, {
        $($how:ident $name:literal ($($argument:ident),*) => $function:path;)*
    }) => {
        $(pass_on!(@$how, $interface, $view, $name, ($($argument),*), $function);)*
    };
    (@answer, $interface:expr, $view:ident, $name:literal, ($($argument:ident),*), $function:path) => {
        $interface.func_wrap($name, |mut store, ($($argument,)*)| {
            Ok(($function(&mut store.data_mut().$view(), $($argument),*)?,))
        })?;
    };
    (@result, $interface:expr, $view:ident, $name:literal, ($($argument:ident),*), $function:path) => {
        $interface.func_wrap($name, |mut store, ($($argument,)*)| {
            Ok((match $function(&mut store.data_mut().$view(), $($argument),*) {
                Ok(value) => Ok(value),
                Err(error) => Err(error.downcast()?),
            },))
        })?;
    };
    (@async_answer, $interface:expr, $view:ident, $name:literal, ($($argument:ident),*), $function:path) => {
        $interface.func_wrap_async($name, |mut store, ($($argument,)*)| Box::new(async move {
            Ok(($function(&mut store.data_mut().$view(), $($argument),*).await?,))
        }))?;
    };
    (@async_result, $interface:expr, $view:ident, $name:literal, ($($argument:ident),*), $function:path) => {
        $interface.func_wrap_async($name, |mut store, ($($argument,)*)| Box::new(async move {
            Ok((match $function(&mut store.data_mut().$view(), $($argument),*).await {
                Ok(value) => Ok(value),
                Err(error) => Err(error.downcast()?),
            },))
        }))?;
    };
}

/// Defines resources of an interface that are those of 0.2: for each its name, its type, and what drops it.
macro_rules! resources {
    ($interface:expr, $view:ident, {
        $($name:literal: $resource:ty => $drop:path;)*
    }) => {
        $($interface.resource($name, wasmtime::component::ResourceType::host::<$resource>(), |mut store, number| {
            $drop(&mut store.data_mut().$view(), wasmtime::component::Resource::new_own(number))
        })?;)*
    };
}

mod clocks;
mod filesystem;
mod http;
mod io;
mod sockets;

use wasmtime::component::Linker;

pub(crate) use self::http::{Error as HttpErrorOfOctober, RequestOptions as HttpOptionsOfOctober};
pub(crate) use self::sockets::refuses;
use crate::guest::Guest;

/// The version of October.
pub(crate) const OCTOBER: &str = "0.2.0-rc-2023-10-18";

/// Adds the interfaces, to a linker that has those of 0.2.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    io::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    filesystem::add_to_linker(linker)?;
    http::add_to_linker(linker)?;
    sockets::add_to_linker(linker)
}

#[cfg(test)]
mod tests;
