//! The two streams of a connection as WASI 0.3 has them.
//!
//! Bytes go between the system's socket and the guest's memory without a stop. Each stream comes with a future, which
//! resolves when the direction is over: with nothing where either side has ended it, with the error where one has. What
//! holds a direction holds the slot of its socket, so that a socket counts for as long as a stream of it lives,
//! whether or not the guest has dropped the socket.

use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::sync::oneshot;
use wasmtime::component::{
    Destination, FutureReader, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::p3::bindings::sockets::types::ErrorCode;
use wasmtime_wasi::sockets;

use crate::sockets::{Receiving, Sending};

type Outcome = Result<(), ErrorCode>;

/// Sends what comes out of `data`, if the guest can have the direction.
pub(super) fn send<S: AsContextMut>(
    mut store: S,
    sending: Result<Sending, sockets::ErrorCode>,
    mut data: StreamReader<u8>,
) -> wasmtime::Result<FutureReader<Outcome>>
where
    S::Data: 'static,
{
    match sending {
        Ok(direction) => {
            let (open, outcome) = Open::new(direction);
            data.pipe(&mut store, open)?;
            FutureReader::new(&mut store, outcome)
        }
        Err(code) => {
            data.close(&mut store)?;
            failed(store, code)
        }
    }
}

/// Gives out what is received, if the guest can have the direction.
pub(super) fn receive<S: AsContextMut>(
    mut store: S,
    receiving: Result<Receiving, sockets::ErrorCode>,
) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Outcome>)>
where
    S::Data: 'static,
{
    match receiving {
        Ok(direction) => {
            let (open, outcome) = Open::new(direction);
            let stream = StreamReader::new(&mut store, open)?;
            Ok((stream, FutureReader::new(&mut store, outcome)?))
        }
        Err(code) => Ok((
            StreamReader::new(&mut store, iter::empty())?,
            failed(store, code)?,
        )),
    }
}

fn failed<S: AsContextMut>(store: S, code: sockets::ErrorCode) -> wasmtime::Result<FutureReader<Outcome>>
where
    S::Data: 'static,
{
    FutureReader::new(store, async move { wasmtime::error::Ok(Err(code.into())) })
}

/// A direction until it is over, and who wants to know what it came to.
struct Open<D>(Option<(D, oneshot::Sender<Outcome>)>);

impl<D> Open<D> {
    fn new(direction: D) -> (Self, oneshot::Receiver<Outcome>) {
        let (reply, outcome) = oneshot::channel();
        (Self(Some((direction, reply))), outcome)
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some((direction, reply)) = self.0.take() {
            // First, so that the peer is told by the time that the guest hears of it.
            drop(direction);
            // The guest may have dropped its future, and then does not want to know.
            let _ = reply.send(outcome);
        }
    }

    /// The state of the stream after `moved`.
    fn went(
        &mut self,
        moved: Poll<Result<Moved, sockets::ErrorCode>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        Poll::Ready(Ok(match moved {
            Poll::Ready(Ok(Moved::Some)) => StreamResult::Completed,
            Poll::Ready(Ok(Moved::End)) => {
                self.end(Ok(()));
                StreamResult::Dropped
            }
            Poll::Ready(Err(code)) => {
                self.end(Err(code.into()));
                StreamResult::Dropped
            }
            Poll::Pending if finish => StreamResult::Cancelled,
            Poll::Pending => return Poll::Pending,
        }))
    }
}

/// The result of a move of bytes.
enum Moved {
    Some,
    End,
}

impl<D> Drop for Open<D> {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl<T> StreamProducer<T> for Open<Receiving> {
    type Item = u8;
    type Buffer = BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, T>,
        destination: Destination<'a, u8, BytesMut>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((receiving, _)) = &self.0 else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        // A read of nothing asks whether there is something.
        let moved = if destination.remaining(store.as_context_mut()) == Some(0) {
            receiving.poll_ready(cx).map(|()| Ok(Moved::Some))
        } else {
            let mut destination = destination.as_direct(store, READ_AHEAD);
            // A guest that no longer waits gets what there is now.
            let received = if finish {
                receiving.try_receive_into(destination.remaining())
            } else {
                receiving.poll_receive_into(cx, destination.remaining())
            };
            received.map_ok(|length| {
                destination.mark_written(length);
                if length == 0 { Moved::End } else { Moved::Some }
            })
        };
        self.went(moved, finish)
    }
}

impl<T> StreamConsumer<T> for Open<Sending> {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, T>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((sending, _)) = &mut self.0 else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let mut source = source.as_direct(store);
        // A write of nothing asks whether something could be written.
        let moved = if source.remaining().is_empty() {
            sending.poll_ready(cx).map(|()| Ok(Moved::Some))
        } else {
            let sent = if finish {
                sending.try_send(source.remaining())
            } else {
                sending.poll_send(cx, source.remaining())
            };
            sent.map_ok(|length| {
                source.mark_read(length);
                Moved::Some
            })
        };
        self.went(moved, finish)
    }
}

/// Bytes that are received where there is no memory of the guest to receive them into: 8 KiB.
const READ_AHEAD: usize = 8 * 1024;
