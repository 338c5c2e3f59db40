//! Sockets of WASI 0.2 and 0.3: what both have in common.
//!
//! Those of TCP are ours from end to end ([`TcpSocket`]): judged, made, connected, read and written here, so that what
//! is judged is what the system call gets. Those of UDP are `wasmtime-wasi`'s. Either passes the gate at two points,
//! and nowhere else:
//!
//! 1. **Creation** ([`slot::SocketSlot`]): judged and counted before the system call. The slot is what keeps the count,
//!    and it lives exactly as long as the socket.
//! 2. **Every address**: a TCP socket asks the gate itself. A UDP socket brings a [`check`] along that
//!    `wasmtime-wasi` asks before each bind and datagram ([`admit`]); the adapters mark the calls whose checks mean
//!    something of their own ([`Step`]). Both decide at once and never await, so that the decision and the system call
//!    are one step: no change of policy or grants falls between them.
//!
//! The store's own context keeps every network switch off. A linker that lacks
//! [`add_to_linker`](crate::add_to_linker), or a path that this crate forgot, makes sockets that cannot be opened at
//! all.

mod check;
mod connection;
mod slot;
mod step;
mod system;
mod tcp;

pub(crate) use check::{admit, closed_ctx};
pub(crate) use connection::{Receiving, Sending};
#[cfg(test)]
pub(crate) use slot::SocketSlot;
pub(crate) use step::{Step, during};
pub(crate) use tcp::{Family, NotCreated, TcpSocket};
