//! Counting sockets of WASI 0.3 that are gone while their streams live on.
//!
//! In 0.3 the guest may drop a TCP socket and keep the stream of what it receives, and the system's socket stays
//! open for that. So the streams keep the [`SocketPermit`] too. They are `wasmtime-wasi`'s and cannot hold
//! anything of ours; but each comes with a future that resolves when the stream is closed, from whichever side.
//! That future is read here, with the permit in hand, and its result handed on to the guest.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::component::{FutureConsumer, FutureReader, Source};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::p3::bindings::sockets::types::ErrorCode;

use crate::sockets::SocketPermit;

type Closed = Result<(), ErrorCode>;

/// A future that resolves as `closed` does; until then the socket of `permit` counts.
pub(super) fn hold<S: AsContextMut>(
    mut store: S,
    closed: FutureReader<Closed>,
    permit: Option<Arc<SocketPermit>>,
) -> wasmtime::Result<FutureReader<Closed>>
where
    S::Data: 'static,
{
    let (reply, result) = oneshot::channel();
    closed.pipe(
        &mut store,
        Hold {
            _permit: permit,
            reply: Some(reply),
        },
    )?;
    FutureReader::new(&mut store, result)
}

struct Hold {
    _permit: Option<Arc<SocketPermit>>,
    reply: Option<oneshot::Sender<Closed>>,
}

impl<D: 'static> FutureConsumer<D> for Hold {
    type Item = Closed;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, Closed>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut result = None;
        source.read(store, &mut result)?;
        if let (Some(result), Some(reply)) = (result, self.reply.take()) {
            // The guest may have dropped its future, and then does not want to know.
            let _ = reply.send(result);
        }
        Poll::Ready(Ok(()))
    }
}
