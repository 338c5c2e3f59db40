//! A UDP socket of a guest, for WASI 0.2 and 0.3.
//!
//! ```text
//! unbound ─ bind, or the first connect or send ─▶ bound ─ connect ─▶ connected ─┐
//!                                                   ▲ ▲───── disconnect ─────┘ │
//!                                                   └── (connect again) ◀──────┘
//! ```
//!
//! What is sent and received is in [`datagrams`]. To connect sends nothing: it makes the socket speak to one peer
//! alone. It is judged as sending there would be, and each datagram is judged again. A socket that is bound stays so.
//!
//! An address that WASI calls an invalid argument is refused as one before it is judged; multicast and broadcast are
//! judged, so that the refusal is told (HL-5).
//!
//! The socket is shared by the guest's handle, the streams of WASI 0.2 and the calls of WASI 0.3 that are under way,
//! and is closed with the last of them.

mod budgeted;
mod datagrams;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outport_policy::{Attempt, Layer, Transport};
use rustix::io::Errno;
use wasmtime_wasi::sockets::ErrorCode;

use super::family::Family;
use super::options::Options;
use super::slot::SocketSlot;
use super::watched::Watched;
use super::{NotCreated, address, local_address, permitted, system};
use crate::byte_budget::{Flow, Way};
use crate::denied::Denied;
use crate::enforcer::Enforcer;
use crate::followed::Followed;

/// A UDP socket. Clones are the same one.
#[derive(Clone)]
pub(crate) struct UdpSocket(Arc<UdpInner>);

struct UdpInner {
    family: Family,
    socket: Watched,
    outgoing: Flow,
    incoming: Flow,
    state: Mutex<State>,
    /// Told of when the socket is closed.
    followed: Option<Arc<Followed>>,
    /// Counted for as long as there is the socket.
    slot: Arc<SocketSlot>,
}

/// The state that the system knows of the socket too, and would have to be asked for each datagram.
#[derive(Default)]
struct State {
    bound: bool,
    remote: Option<SocketAddr>,
    /// The error that the system gave for the peer to whoever looked or received others first. The next to receive is
    /// told.
    error: Option<ErrorCode>,
}

impl UdpSocket {
    /// A new socket, judged and counted.
    ///
    /// # Errors
    ///
    /// The refusal, before any system call, or what the system said.
    pub(crate) fn create(enforcer: &Arc<Enforcer>, family: Family) -> Result<Self, NotCreated> {
        // As for TCP, a guest that is refused costs the process no descriptor.
        let transport = Transport::Udp;
        let slot = SocketSlot::take(enforcer, transport).map_err(NotCreated::Denied)?;
        let socket = family
            .socket(transport)
            .map_err(|error| NotCreated::Failed(error.into()))?;
        let created = Attempt::CreateSocket { transport };
        let followed = Followed::begin(enforcer, slot.created(), &created);
        if let Some(followed) = &followed {
            followed.exists();
        }
        let budget = enforcer.component().bytes();
        Ok(Self(Arc::new(UdpInner {
            family,
            socket: Watched::new(socket),
            outgoing: Flow::of_datagrams(budget, Way::Out),
            incoming: Flow::of_datagrams(budget, Way::In),
            state: Mutex::default(),
            followed,
            slot,
        })))
    }

    /// Binds the socket to `local`, which can only be the unspecified address with port 0 (HL-3).
    pub(crate) fn bind(&self, local: SocketAddr) -> Result<(), ErrorCode> {
        let UdpInner { family, socket, .. } = &*self.0;
        let mut state = self.0.state();
        if self.0.is_bound(&mut state) {
            return Err(ErrorCode::InvalidState);
        }
        if !address::is_of(local.ip(), *family) {
            return Err(ErrorCode::InvalidArgument);
        }
        let (transport, enforcer) = (Transport::Udp, self.0.enforcer());
        permitted(enforcer.authorize(&Attempt::Bind { transport, local }, enforcer.usage()))?;
        rustix::net::bind(socket, &local).map_err(|errno| match errno {
            Errno::AFNOSUPPORT => ErrorCode::InvalidArgument,
            errno => errno.into(),
        })
    }

    /// Asks somebody whether the socket may speak to `remote`, if somebody is to be asked. The rest of the instance waits with
    /// it where the caller holds its store.
    pub(crate) async fn ask_to_connect(&self, remote: SocketAddr) {
        let (transport, remote) = (Transport::Udp, remote.into());
        let attempt = Attempt::Connect { transport, remote };
        // What is agreed to is on the list: there is no once for datagrams.
        let _ = self.0.enforcer().ask_first(&attempt).await;
    }

    /// Makes the socket speak to `remote` alone, whomever it spoke to before.
    pub(crate) fn connect(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        let UdpInner { family, socket, .. } = &*self.0;
        if !address::is_of(remote.ip(), *family) || !address::is_somebody(remote) {
            return Err(ErrorCode::InvalidArgument);
        }
        let mut state = self.0.state();
        permitted(self.0.authorize_implied_bind(&mut state))?;
        let permit = permitted(self.0.enforcer().authorize_connect(Transport::Udp, remote))?;
        let connected = system::connect_datagrams(socket, permit);
        self.0.note_remote(&mut state);
        state.error = None;
        Ok(connected?)
    }

    /// Makes the socket speak to anybody again.
    pub(crate) fn disconnect(&self) -> Result<(), ErrorCode> {
        let mut state = self.0.state();
        if state.remote.is_none() {
            return Err(ErrorCode::InvalidState);
        }
        // Asked before, since Linux may take the port back.
        let port = local_address(&self.0.socket).map_or(0, |local| local.port());
        state.bound = true;
        let disconnected = system::disconnect_datagrams(&self.0.socket);
        self.0.keep_port(port);
        self.0.note_remote(&mut state);
        state.error = None;
        Ok(disconnected?)
    }

    /// True if the socket has a local address.
    pub(crate) fn is_bound(&self) -> bool {
        self.0.is_bound(&mut self.0.state())
    }

    /// True if the socket speaks to one peer alone.
    pub(crate) fn is_connected(&self) -> bool {
        self.0.state().remote.is_some()
    }

    /// The address that the socket is bound to.
    pub(crate) fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        if self.is_bound() {
            local_address(&self.0.socket)
        } else {
            Err(ErrorCode::InvalidState)
        }
    }

    /// The address that the socket is connected to.
    pub(crate) fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.0.state().remote.ok_or(ErrorCode::InvalidState)
    }

    pub(crate) fn family(&self) -> Family {
        self.0.family
    }

    /// The options of the system's socket.
    pub(crate) fn options(&self) -> Options<'_> {
        Options::new(std::os::fd::AsFd::as_fd(&self.0.socket), self.0.family)
    }
}

impl UdpInner {
    fn enforcer(&self) -> &Arc<Enforcer> {
        self.slot.enforcer()
    }

    /// The state, which is right after a panic too: it decides nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_bound(&self, state: &mut State) -> bool {
        // Sending binds a socket, too, so the system is asked until it is; then it stays so.
        if !state.bound {
            let unspecified = self.family.unspecified();
            state.bound = local_address(&self.socket).is_ok_and(|local| local != unspecified);
        }
        state.bound
    }

    /// The system binds a socket that has no address yet when it is connected or sends, both of which are judged beside
    /// this: they say what the author's list has to say.
    fn authorize_implied_bind(&self, state: &mut State) -> Result<(), Denied> {
        if self.is_bound(state) {
            return Ok(());
        }
        let attempt = Attempt::Bind {
            transport: Transport::Udp,
            local: self.family.unspecified(),
        };
        self.enforcer().authorize_implied(&attempt, &[Layer::AllowList])
    }

    /// Binds the socket to the port that it had. Linux takes it back when a socket is disconnected that had not asked
    /// for this one. Somebody else may have it by now: then the socket gets another one when it sends.
    fn keep_port(&self, port: u16) {
        let has_none = local_address(&self.socket).is_ok_and(|local| local.port() == 0);
        if port != 0 && has_none {
            let local = SocketAddr::new(self.family.unspecified().ip(), port);
            let _ = rustix::net::bind(&self.socket, &local);
        }
    }

    /// Notes whom the system has connected the socket to.
    fn note_remote(&self, state: &mut State) {
        // Asked, not remembered: the system may leave the scope of an address out, and a connect that fails may have
        // ended the one before.
        let remote = rustix::net::getpeername(&self.socket).ok();
        let remote = remote.and_then(|remote| SocketAddr::try_from(remote?).ok());
        state.remote = remote.filter(|remote| *remote != self.family.unspecified());
    }
}

#[cfg(test)]
mod tests;
