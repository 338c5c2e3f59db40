//! `wasi:filesystem/types` of October 2023, which has permissions and locks that no host ever served.

use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Resource, flags};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, Host, HostDescriptor, OpenFlags, PathFlags,
};

use crate::guest::Guest;
use crate::{directory_entries, open_files};

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:filesystem/types@0.2.0-rc-2023-10-18")?;
    resources!(types, filesystem, { "descriptor": Descriptor => HostDescriptor::drop; });
    pass_on!(types, filesystem, {
        answer "filesystem-error-code"(error) => Host::filesystem_error_code;
        result "[method]descriptor.read-via-stream"(file, offset) => HostDescriptor::read_via_stream;
        result "[method]descriptor.write-via-stream"(file, offset) => HostDescriptor::write_via_stream;
        result "[method]descriptor.append-via-stream"(file) => HostDescriptor::append_via_stream;
        async_result "[method]descriptor.advise"(file, offset, length, advice) => HostDescriptor::advise;
        async_result "[method]descriptor.sync-data"(file) => HostDescriptor::sync_data;
        async_result "[method]descriptor.get-flags"(file) => HostDescriptor::get_flags;
        async_result "[method]descriptor.get-type"(file) => HostDescriptor::get_type;
        async_result "[method]descriptor.set-size"(file, size) => HostDescriptor::set_size;
        async_result "[method]descriptor.set-times"(file, read, written) => HostDescriptor::set_times;
        async_result "[method]descriptor.read"(file, length, offset) => HostDescriptor::read;
        async_result "[method]descriptor.write"(file, bytes, offset) => HostDescriptor::write;
        async_result "[method]descriptor.sync"(file) => HostDescriptor::sync;
        async_result "[method]descriptor.create-directory-at"(file, path) => HostDescriptor::create_directory_at;
        async_result "[method]descriptor.stat"(file) => HostDescriptor::stat;
        async_result "[method]descriptor.stat-at"(file, follow, path) => HostDescriptor::stat_at;
        async_result "[method]descriptor.set-times-at"(file, follow, path, read, written)
            => HostDescriptor::set_times_at;
        async_result "[method]descriptor.link-at"(file, follow, path, to, new_path) => HostDescriptor::link_at;
        async_result "[method]descriptor.readlink-at"(file, path) => HostDescriptor::readlink_at;
        async_result "[method]descriptor.remove-directory-at"(file, path) => HostDescriptor::remove_directory_at;
        async_result "[method]descriptor.rename-at"(file, path, to, new_path) => HostDescriptor::rename_at;
        async_result "[method]descriptor.symlink-at"(file, path, new_path) => HostDescriptor::symlink_at;
        async_result "[method]descriptor.unlink-file-at"(file, path) => HostDescriptor::unlink_file_at;
        async_answer "[method]descriptor.is-same-object"(file, other) => HostDescriptor::is_same_object;
        async_result "[method]descriptor.metadata-hash"(file) => HostDescriptor::metadata_hash;
        async_result "[method]descriptor.metadata-hash-at"(file, follow, path) => HostDescriptor::metadata_hash_at;
    });
    directory_entries::define(&mut types)?;
    define_with_modes(&mut types)?;
    define_locks(&mut types)
}

/// Those that know permissions. New files have those of the process, whatever is asked for.
fn define_with_modes(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    type Opening = (
        Resource<Descriptor>,
        PathFlags,
        String,
        OpenFlags,
        DescriptorFlags,
        Modes,
    );
    types.func_wrap_async(
        open_files::OPEN_AT,
        |mut store, (directory, follow, path, how, rights, _): Opening| {
            let arguments = (directory, follow, path, how, rights);
            Box::new(async move { Ok((open_files::open_at(store.data_mut(), arguments).await?,)) })
        },
    )?;
    type Looking = (Resource<Descriptor>, PathFlags, String, AccessType);
    types.func_wrap_async(
        "[method]descriptor.access-at",
        |mut store, (directory, follow, path, access): Looking| {
            Box::new(async move {
                let mut files = store.data_mut().filesystem();
                Ok((
                    match HostDescriptor::stat_at(&mut files, directory, follow, path).await {
                        Ok(_) if access == AccessType::Exists => Ok(()),
                        Ok(_) => Err(ErrorCode::Unsupported),
                        Err(error) => Err(error.downcast()?),
                    },
                ))
            })
        },
    )?;
    for function in [
        "[method]descriptor.change-file-permissions-at",
        "[method]descriptor.change-directory-permissions-at",
    ] {
        type Changing = (Resource<Descriptor>, PathFlags, String, Modes);
        types.func_wrap(function, |_, (_, _, _, _): Changing| {
            Ok((Err::<(), _>(ErrorCode::Unsupported),))
        })?;
    }
    Ok(())
}

fn define_locks(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    for function in [
        "[method]descriptor.lock-shared",
        "[method]descriptor.lock-exclusive",
        "[method]descriptor.try-lock-shared",
        "[method]descriptor.try-lock-exclusive",
        "[method]descriptor.unlock",
    ] {
        types.func_wrap(function, |_, (_,): (Resource<Descriptor>,)| {
            Ok((Err::<(), _>(ErrorCode::Unsupported),))
        })?;
    }
    Ok(())
}

flags! {
    Modes {
        #[component(name = "readable")]
        const READABLE;
        #[component(name = "writable")]
        const WRITABLE;
        #[component(name = "executable")]
        const EXECUTABLE;
    }
}

#[derive(ComponentType, Lift, PartialEq)]
#[component(variant)]
enum AccessType {
    #[component(name = "access")]
    Access(Modes),
    #[component(name = "exists")]
    Exists,
}
