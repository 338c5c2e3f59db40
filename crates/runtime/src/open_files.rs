//! The number of files that guests may have open.
//!
//! A guest that has a directory can open files in it, each of which takes one of the process's descriptors, as do
//! sockets and the connections of clients. Wasmtime counts none of them: a stream keeps its file open when the guest
//! has given the file back. The system always gives the lowest number that is free, so that number says how many
//! descriptors are in use. Files may be opened while it is below what clients, sockets and the process itself have, and
//! [an eighth](part_of_files) of all beyond that. What is beyond gets the error `quota`.
//!
//! Numbers that others gave back make the count too low for a while. As they are taken first, files never have more
//! than about twice their part.

use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource as Limit, getrlimit};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types as p2;
use wasmtime_wasi::p3::bindings::filesystem::types as p3;

use crate::descriptors;
use crate::guest::Guest;

/// The arguments of `open-at` of WASI 0.2.
pub(crate) type ArgumentsP2 = (
    Resource<Descriptor>,
    p2::PathFlags,
    String,
    p2::OpenFlags,
    p2::DescriptorFlags,
);
type ArgumentsP3 = (
    Resource<Descriptor>,
    p3::PathFlags,
    String,
    p3::OpenFlags,
    p3::DescriptorFlags,
);

/// Puts opening with a bound in the place of wasmtime's.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = add_shadowing(linker);
    linker.allow_shadowing(false);
    added
}

fn add_shadowing(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance("wasi:filesystem/types@0.2.12")?.func_wrap_async(
        OPEN_AT,
        |mut store, arguments: ArgumentsP2| {
            Box::new(async move { Ok((open_at(store.data_mut(), arguments).await?,)) })
        },
    )?;
    linker
        .instance("wasi:filesystem/types@0.3.0")?
        .func_wrap_concurrent(
            OPEN_AT,
            |store, (directory, follow, path, how, rights): ArgumentsP3| {
                Box::pin(async move {
                    let sockets = store.with(|mut store| store.data_mut().open_sockets());
                    if !may_open(sockets) {
                        return Ok((Err(p3::ErrorCode::Quota),));
                    }
                    let files = store.with_getter::<WasiFilesystem>(|guest| guest.filesystem());
                    let opened = <WasiFilesystem as p3::HostDescriptorWithStore<Guest>>::open_at(
                        &files, directory, follow, path, how, rights,
                    );
                    Ok((match opened.await {
                        Ok(file) => Ok(file),
                        Err(error) => Err(error.downcast()?),
                    },))
                })
            },
        )
}

/// Opens a file for a guest of WASI 0.2, if it may have one more.
pub(crate) async fn open_at(
    guest: &mut Guest,
    (directory, follow, path, how, rights): ArgumentsP2,
) -> wasmtime::Result<Result<Resource<Descriptor>, p2::ErrorCode>> {
    if !may_open(guest.open_sockets()) {
        return Ok(Err(p2::ErrorCode::Quota));
    }
    let mut files = guest.filesystem();
    match p2::HostDescriptor::open_at(&mut files, directory, follow, path, how, rights).await {
        Ok(file) => Ok(Ok(file)),
        Err(error) => Ok(Err(error.downcast()?)),
    }
}

/// True if a guest may open a file while guests have so many sockets.
fn may_open(sockets: u32) -> bool {
    // Without a descriptor for a look nothing can be opened either.
    let Ok(lowest_free) = eventfd(0, EventfdFlags::CLOEXEC) else {
        return false;
    };
    let in_use = u64::try_from(lowest_free.as_raw_fd()).unwrap_or(u64::MAX);
    let of_others = descriptors::KEPT_BACK
        .saturating_add(descriptors::client_connections())
        .saturating_add(u64::from(sockets));
    in_use < of_others.saturating_add(part_of_files())
}

/// The number of files that guests may have open: an eighth of the process's limit of descriptors, which does not
/// change once guests run.
fn part_of_files() -> u64 {
    static PART: OnceLock<u64> = OnceLock::new();
    *PART.get_or_init(|| getrlimit(Limit::Nofile).current.unwrap_or(u64::MAX) / 8)
}

pub(crate) const OPEN_AT: &str = "[method]descriptor.open-at";

#[cfg(test)]
mod tests {
    use super::*;

    // proves: Q-4
    #[test]
    fn files_are_opened_until_so_many_descriptors_are_in_use() {
        let most = part_of_files();
        // Whoever tests with a limit of more than that sees the first half.
        assert!(most > 0 && may_open(0));
        let mut held = Vec::new();
        while may_open(0) {
            held.push(eventfd(0, EventfdFlags::CLOEXEC).expect("a descriptor"));
            if held.len() > 100_000 {
                return;
            }
        }
        assert!(held.len() as u64 <= most + descriptors::KEPT_BACK);
        let others = u32::try_from(held.len()).unwrap();
        assert!(may_open(others), "as many as others have do not count");
        held.truncate(held.len() / 2);
        assert!(may_open(0));
    }
}
