//! `wasi:io` of October 2023: errors are a part of `streams`, and what copies a stream takes it for good.

use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::io::error::HostError;
use wasmtime_wasi::p2::bindings::io::poll::{Host as HostPoll, HostPollable};
use wasmtime_wasi::p2::bindings::io::streams::{
    Host as HostStreams, HostInputStream, HostOutputStream, StreamError as Told,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, IoError, StreamError};

use crate::guest::Guest;

/// Defines functions like [`pass_on`], whose errors are those of streams.
macro_rules! pass_on_streams {
    ($interface:expr, {
        $($how:ident $name:literal ($($argument:ident),*) => $function:path;)*
    }) => {
        $(pass_on_streams!(@$how, $interface, $name, ($($argument),*), $function);)*
    };
    (@now, $interface:expr, $name:literal, ($($argument:ident),*), $function:path) => {
        $interface.func_wrap($name, |mut store, ($($argument,)*)| {
            let guest = store.data_mut();
            let result = $function(guest.table(), $($argument),*);
            Ok((told(guest, result)?,))
        })?;
    };
    (@blocking, $interface:expr, $name:literal, ($($argument:ident),*), $function:path) => {
        $interface.func_wrap_async($name, |mut store, ($($argument,)*)| Box::new(async move {
            let guest = store.data_mut();
            let result = $function(guest.table(), $($argument),*).await;
            Ok((told(guest, result)?,))
        }))?;
    };
}

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut poll = linker.instance("wasi:io/poll@0.2.0-rc-2023-10-18")?;
    resources!(poll, table, { "pollable": DynPollable => HostPollable::drop; });
    pass_on!(poll, table, { async_answer "poll-list"(list) => HostPoll::poll; });
    poll.func_wrap_async("poll-one", |mut store, (pollable,)| {
        Box::new(async move { HostPollable::block(store.data_mut().table(), pollable).await })
    })?;

    let mut streams = linker.instance("wasi:io/streams@0.2.0-rc-2023-10-18")?;
    resources!(streams, table, { "error": IoError => HostError::drop; });
    pass_on!(streams, table, {
        answer "[method]error.to-debug-string"(error) => HostError::to_debug_string;
        answer "[method]input-stream.subscribe"(stream) => HostInputStream::subscribe;
        answer "[method]output-stream.subscribe"(stream) => HostOutputStream::subscribe;
    });
    streams.resource_async(
        "input-stream",
        ResourceType::host::<DynInputStream>(),
        |mut store, number| {
            let stream = Resource::new_own(number);
            Box::new(async move { HostInputStream::drop(store.data_mut().table(), stream).await })
        },
    )?;
    streams.resource_async(
        "output-stream",
        ResourceType::host::<DynOutputStream>(),
        |mut store, number| {
            let stream = Resource::new_own(number);
            Box::new(async move { HostOutputStream::drop(store.data_mut().table(), stream).await })
        },
    )?;
    pass_on_streams!(streams, {
        now "[method]input-stream.read"(stream, length) => HostInputStream::read;
        blocking "[method]input-stream.blocking-read"(stream, length) => HostInputStream::blocking_read;
        now "[method]input-stream.skip"(stream, length) => HostInputStream::skip;
        blocking "[method]input-stream.blocking-skip"(stream, length) => HostInputStream::blocking_skip;
        now "[method]output-stream.check-write"(stream) => HostOutputStream::check_write;
        now "[method]output-stream.write"(stream, bytes) => HostOutputStream::write;
        blocking "[method]output-stream.blocking-write-and-flush"(stream, bytes)
            => HostOutputStream::blocking_write_and_flush;
        now "[method]output-stream.flush"(stream) => HostOutputStream::flush;
        blocking "[method]output-stream.blocking-flush"(stream) => HostOutputStream::blocking_flush;
        now "[method]output-stream.write-zeroes"(stream, length) => HostOutputStream::write_zeroes;
        blocking "[method]output-stream.blocking-write-zeroes-and-flush"(stream, length)
            => HostOutputStream::blocking_write_zeroes_and_flush;
    });
    define_copying(&mut streams)
}

/// The three that take the stream which they read.
fn define_copying(streams: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    type Part = (Resource<DynOutputStream>, Resource<DynInputStream>, u64);
    streams.func_wrap_async(
        "[method]output-stream.splice",
        |mut store, (to, from, length): Part| {
            Box::new(async move {
                let guest = store.data_mut();
                let result = HostOutputStream::splice(guest.table(), to, same(&from), length);
                HostInputStream::drop(guest.table(), from).await?;
                Ok((told(guest, result)?,))
            })
        },
    )?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-splice",
        |mut store, (to, from, length): Part| {
            Box::new(async move {
                let guest = store.data_mut();
                let result = HostOutputStream::blocking_splice(guest.table(), to, same(&from), length).await;
                HostInputStream::drop(guest.table(), from).await?;
                Ok((told(guest, result)?,))
            })
        },
    )?;
    streams.func_wrap_async(
        "[method]output-stream.forward",
        |mut store, (to, from): (Resource<DynOutputStream>, Resource<DynInputStream>)| {
            Box::new(async move {
                let guest = store.data_mut();
                let result = forward(guest, &to, &from).await;
                HostInputStream::drop(guest.table(), from).await?;
                Ok((told(guest, result)?,))
            })
        },
    )
}

/// Copies all of a stream in pieces, with room for others in between. Answers the number of bytes.
async fn forward(
    guest: &mut Guest,
    to: &Resource<DynOutputStream>,
    from: &Resource<DynInputStream>,
) -> Result<u64, StreamError> {
    let mut copied: u64 = 0;
    loop {
        match HostOutputStream::blocking_splice(guest.table(), same(to), same(from), PIECE).await {
            Ok(length) => copied = copied.saturating_add(length),
            // Which of the two is closed?
            Err(StreamError::Closed) => {
                HostOutputStream::check_write(guest.table(), same(to))?;
                return Ok(copied);
            }
            Err(error) => return Err(error),
        }
        tokio::task::yield_now().await;
    }
}

/// Bytes that are copied at once.
const PIECE: u64 = 64 * 1024;

/// Another handle of the same resource.
fn same<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

/// The error as the guest is told it.
fn told<T>(guest: &mut Guest, result: Result<T, StreamError>) -> wasmtime::Result<Result<T, Told>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => Ok(Err(HostStreams::convert_stream_error(guest.table(), error)?)),
    }
}
