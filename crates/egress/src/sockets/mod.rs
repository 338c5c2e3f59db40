//! Sockets of WASI 0.2 and 0.3: what both have in common.
//!
//! A socket passes the gate at three points, and nowhere else:
//!
//! 1. **Creation** ([`admit`]): judged and counted before the system call. The [`SocketPermit`] that comes out of
//!    it is what keeps the count, and it lives exactly as long as the socket.
//! 2. **Every address** ([`check`]): the permit is inside the check that `wasmtime-wasi` asks before each bind,
//!    listen, accept, connect and datagram. The check decides at once and never awaits, so that it and the system
//!    call are one step: no change of policy or grants falls between them.
//! 3. **The call it belongs to** ([`Step`]): a bind that a connect implies is not one that the guest asked for, and
//!    a UDP connect is judged as sending and receiving without doing either. The adapters mark such calls.
//!
//! The check hangs on the socket, not on the store: the store's own context keeps every network switch off. A
//! linker that lacks [`add_to_linker`](crate::add_to_linker), or a path that this crate forgot, makes sockets that
//! cannot be opened at all.

mod check;
mod permit;
mod step;
mod table;

pub(crate) use check::{admit, closed_ctx, refuses_multicast};
pub(crate) use permit::SocketPermit;
pub(crate) use step::{Step, during};
pub(crate) use table::TcpSockets;
