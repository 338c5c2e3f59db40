//! The entries of directories that guests of WASI 0.2 list (ISO-3).
//!
//! Wasmtime reads all entries of a directory at once, on a thread for files, so what they take is nobody's. Here they
//! are copied in the guest's turn: from then on they are [the guest's](crate::heap). On WASI 0.3 entries are read as
//! they are taken, and there is nothing to copy.

use std::vec;

use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DirectoryEntry, DirectoryEntryStream, ErrorCode, HostDescriptor,
};

use crate::guest::Guest;

/// The rest of a directory's entries. The type that the bindings name cannot be made here, so the table holds this one,
/// and the guest gets a handle with its number.
struct Entries(vec::IntoIter<Result<DirectoryEntry, ErrorCode>>);

/// Puts these in the place of wasmtime's.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = linker
        .instance("wasi:filesystem/types@0.2.12")
        .and_then(|mut types| define(&mut types));
    linker.allow_shadowing(false);
    added
}

/// Defines what `wasi:filesystem/types` of WASI 0.2 has for listing.
pub(crate) fn define(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store, (directory,): (Resource<Descriptor>,)| {
            Box::new(async move { Ok((read_directory(store.data_mut(), directory).await?,)) })
        },
    )?;
    types.func_wrap(
        "[method]directory-entry-stream.read-directory-entry",
        |mut store, (stream,): (Resource<DirectoryEntryStream>,)| {
            let entries = store.data_mut().table().get_mut(&ours(&stream))?;
            Ok((entries.0.next().transpose(),))
        },
    )?;
    types.resource(
        "directory-entry-stream",
        ResourceType::host::<DirectoryEntryStream>(),
        |mut store, stream| {
            let entries = Resource::<Entries>::new_own(stream);
            store.data_mut().table().delete(entries)?;
            Ok(())
        },
    )
}

async fn read_directory(
    guest: &mut Guest,
    directory: Resource<Descriptor>,
) -> wasmtime::Result<Result<Resource<DirectoryEntryStream>, ErrorCode>> {
    let stream = match HostDescriptor::read_directory(&mut guest.filesystem(), directory).await {
        Ok(stream) => stream,
        Err(error) => return Ok(Err(error.downcast()?)),
    };
    let mut entries = Vec::new();
    for entry in guest.table().delete(stream)? {
        entries.push(match entry {
            Ok(DirectoryEntry { type_, name }) => Ok(DirectoryEntry {
                type_,
                // In memory of its own, which is taken now.
                name: name.as_str().to_owned(),
            }),
            Err(error) => Err(error.downcast()?),
        });
    }
    let entries = guest.table().push(Entries(entries.into_iter()))?;
    Ok(Ok(Resource::new_own(entries.rep())))
}

/// The listing in the table of resources that a handle stands for.
fn ours(stream: &Resource<DirectoryEntryStream>) -> Resource<Entries> {
    Resource::new_borrow(stream.rep())
}
