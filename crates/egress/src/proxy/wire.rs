//! A connection to a proxy while it is asked for another one.
//!
//! Nothing is ever read from the socket that is not the proxy's own: what it sends is looked at first (`MSG_PEEK`), and only
//! taken off as far as its answer goes. So what the peer behind it says right away, perhaps in the same segment, is still in
//! the socket when the guest has it, and nobody has to hand it on.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use outport_policy::Transport;
use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags, sockopt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::trouble::Trouble;
use super::tunnel::Hop;
use crate::sockets::{Begun, Carried, Family, begin_to_proxy, register};

/// A socket that is connected to a proxy.
pub(super) struct Wire(AsyncFd<Arc<OwnedFd>>);

/// How much of what was looked at belongs to the answer.
pub(super) enum Looked<R> {
    /// So many bytes, and the answer is this.
    Whole(usize, R),
    /// All of it, and there is more to come.
    All,
}

impl Wire {
    /// Connects to a proxy, with the options that the guest gave its socket.
    pub(super) async fn connect(hop: Hop, options: &Carried) -> Result<Self, Trouble> {
        let address: SocketAddr = hop.address();
        let connecting = async {
            let socket = Arc::new(Family::of(address).socket(Transport::Tcp)?);
            options.give(&socket);
            // Connected before it is registered, as the event of a socket that is not connected yet would be taken for its
            // readiness.
            let begun = begin_to_proxy(&socket, hop);
            let wire = Self(register(socket)?);
            if let Begun::UnderWay(_) = begun? {
                let _ = wire.0.writable().await?;
                sockopt::socket_error(wire.0.get_ref())??;
            }
            Ok(wire)
        };
        connecting.await.map_err(Trouble::Unreachable)
    }

    /// The socket, which the runtime forgets.
    pub(super) fn into_socket(self) -> Arc<OwnedFd> {
        self.0.into_inner()
    }

    /// Sends all of `bytes`.
    pub(super) async fn send(&self, mut bytes: &[u8]) -> Result<(), Trouble> {
        while !bytes.is_empty() {
            let sent = self
                .0
                .async_io(Interest::WRITABLE, |socket| Ok(send(socket, bytes)?));
            let sent = sent.await.map_err(Trouble::Broken)?;
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Receives exactly so many bytes.
    pub(super) async fn receive<const LENGTH: usize>(&self) -> Result<[u8; LENGTH], Trouble> {
        let mut bytes = [0; LENGTH];
        self.receive_into(&mut bytes).await?;
        Ok(bytes)
    }

    /// Fills `bytes`.
    pub(super) async fn receive_into(&self, mut bytes: &mut [u8]) -> Result<(), Trouble> {
        while !bytes.is_empty() {
            let length = self.read(bytes, RecvFlags::empty()).await?;
            bytes = &mut bytes[length..];
        }
        Ok(())
    }

    /// Looks at what is there, at most `buffer.len()` bytes, and takes off as much of it as `look` says.
    pub(super) async fn look<R>(
        &self,
        buffer: &mut [u8],
        look: impl FnOnce(&[u8]) -> Result<Looked<R>, Trouble>,
    ) -> Result<(usize, Option<R>), Trouble> {
        let length = self.read(buffer, RecvFlags::PEEK).await?;
        let (taken, answer) = match look(&buffer[..length])? {
            Looked::Whole(taken, answer) => (taken.min(length), Some(answer)),
            Looked::All => (length, None),
        };
        // What was looked at is there, so none of this waits.
        self.receive_into(&mut buffer[..taken]).await?;
        Ok((taken, answer))
    }

    async fn read(&self, bytes: &mut [u8], flags: RecvFlags) -> Result<usize, Trouble> {
        let received = self.0.async_io(Interest::READABLE, |socket| {
            let received = retry_on_intr(|| rustix::net::recv(socket, &mut *bytes, flags));
            Ok(received.map(|(length, _)| length)?)
        });
        let received = received.await;
        match received.map_err(Trouble::Broken)? {
            0 => Err(Trouble::Closed),
            length => Ok(length),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "to the proxy, which a permit led to, for the proxy alone"
)]
fn send(socket: &Arc<OwnedFd>, bytes: &[u8]) -> rustix::io::Result<usize> {
    retry_on_intr(|| rustix::net::send(socket, bytes, SendFlags::NOSIGNAL))
}
