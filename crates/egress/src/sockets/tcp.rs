//! A TCP socket of a guest, for WASI 0.2 and 0.3.
//!
//! ```text
//! Fresh ─ start_connect ─ Connecting ─ poll_connect ─┬─ Connected
//!   │                                                └─ Closed, with the error
//!   └─ listen ─ Closed: judged, and always refused (HL-1)
//! ```
//!
//! What a socket does to the network is judged here, right before the system call, with the address that the system
//! call gets; nothing awaits in between. A connection is judged when it is first polled, which is when it begins. One
//! that a new deny list has overtaken is closed as soon as it is registered (DL-9). There is no way to accept: a socket that listens never comes into being (HL-2).
//!
//! An address that WASI calls an invalid argument is refused as one before it is judged; multicast and broadcast
//! addresses are judged first, so that the refusal is told (HL-5).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use outport_policy::{Attempt, Endpoint, Layer, Transport};
use rustix::io::Errno;
use rustix::net::sockopt;
use wasmtime_wasi::sockets::ErrorCode;

use super::connection::{Connection, Receiving, Sending};
use super::family::Family;
use super::options::Options;
use super::slot::SocketSlot;
use super::system::{Begun, UnderWay};
use super::{NotCreated, address, local_address, permitted, system};
use crate::audit::code_of;
use crate::denied::Denied;
use crate::enforcer::{ConnectPermit, Enforcer};
use crate::followed::{self, Followed};

/// A TCP socket.
pub(crate) struct TcpSocket {
    family: Family,
    state: State,
    /// Counted for as long as the guest has the socket, closed or not.
    slot: Arc<SocketSlot>,
}

enum State {
    /// Becomes `Connecting` or `Closed`.
    Fresh {
        socket: OwnedFd,
        bind: Bind,
    },
    /// Becomes `Connected` or `Closed`.
    Connecting(Connecting),
    Connected {
        connection: Arc<Connection>,
        remote: SocketAddr,
        receiving: Option<Receiving>,
        sending: Option<Sending>,
    },
    Closed(ErrorCode),
}

/// The party that chooses the local address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bind {
    /// The guest has bound the socket.
    Done,
    /// Connecting implies it.
    Implied,
}

struct Connecting {
    connection: Connection,
    bind: Bind,
    remote: SocketAddr,
    progress: Progress,
    followed: Option<Arc<Followed>>,
}

enum Progress {
    /// Neither judged nor begun.
    Waiting,
    /// Judged, and begun.
    Begun(UnderWay),
}

impl TcpSocket {
    /// A new socket, judged and counted.
    ///
    /// # Errors
    ///
    /// The refusal, before any system call, or what the system said.
    pub(crate) fn create(enforcer: &Arc<Enforcer>, family: Family) -> Result<Self, NotCreated> {
        // Judged and counted before there is a descriptor: a guest that is refused costs the process none.
        let slot = SocketSlot::take(enforcer, Transport::Tcp).map_err(NotCreated::Denied)?;
        let socket = family
            .socket(Transport::Tcp)
            .map_err(|error| NotCreated::Failed(error.into()))?;
        let bind = Bind::Implied;
        Ok(Self {
            family,
            state: State::Fresh { socket, bind },
            slot,
        })
    }

    /// Binds the socket to `local`, which can only be the unspecified address with port 0 (HL-3).
    pub(crate) fn bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        let State::Fresh { socket, bind } = &mut self.state else {
            return Err(ErrorCode::InvalidState);
        };
        if *bind == Bind::Done {
            return Err(ErrorCode::InvalidState);
        }
        if !address::is_unicast(local.ip()) || !address::is_of(local.ip(), self.family) {
            return Err(ErrorCode::InvalidArgument);
        }
        let transport = Transport::Tcp;
        permitted(
            self.slot
                .enforcer()
                .authorize(&Attempt::Bind { transport, local }, self.slot.enforcer().usage()),
        )?;
        // WASI wants an address to be free although a connection of it lingers.
        let _ = sockopt::set_socket_reuseaddr(&*socket, true);
        rustix::net::bind(&*socket, &local).map_err(|errno| match errno {
            Errno::AFNOSUPPORT => ErrorCode::InvalidArgument,
            errno => errno.into(),
        })?;
        *bind = Bind::Done;
        Ok(())
    }

    /// Takes note of where to connect to. The connection is judged, and begins, with the first
    /// [`poll_connect`](TcpSocket::poll_connect).
    pub(crate) fn start_connect(&mut self, remote: SocketAddr) -> Result<(), ErrorCode> {
        if !matches!(self.state, State::Fresh { .. }) {
            return Err(ErrorCode::InvalidState);
        }
        refuse_multicast(self.slot.enforcer(), remote)?;
        if !address::is_unicast(remote.ip())
            || !address::is_somebody(remote)
            || !address::is_of(remote.ip(), self.family)
        {
            return Err(ErrorCode::InvalidArgument);
        }
        self.state = match self.take_state() {
            State::Fresh { socket, bind } => State::Connecting(Connecting {
                connection: Connection::new(socket, self.slot.clone()),
                bind,
                remote,
                progress: Progress::Waiting,
                followed: None,
            }),
            other => other,
        };
        Ok(())
    }

    /// Waits until the connection is established or has failed. Later calls say the same again.
    pub(crate) fn poll_connect(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ErrorCode>> {
        let outcome = match &mut self.state {
            State::Connecting(connecting) => ready!(connecting.poll(cx, self.family)),
            State::Connected { .. } => return Poll::Ready(Ok(())),
            State::Closed(error) => return Poll::Ready(Err(*error)),
            State::Fresh { .. } => return Poll::Ready(Err(ErrorCode::InvalidState)),
        };
        self.state = match (self.take_state(), outcome) {
            (State::Connecting(connecting), Ok(())) => connecting.established(),
            (_, Err(error)) => State::Closed(error),
            (other, Ok(())) => other,
        };
        Poll::Ready(outcome)
    }

    /// Judges listening, which is refused whatever the socket is, and closes it.
    pub(crate) fn listen(&mut self) -> Result<Infallible, ErrorCode> {
        let State::Fresh { socket, bind } = &self.state else {
            return Err(ErrorCode::InvalidState);
        };
        let enforcer = self.slot.enforcer();
        let local = match bind {
            Bind::Done => local_address(socket),
            Bind::Implied => {
                permitted(authorize_implied_bind(enforcer, self.family)).map(|()| self.family.unspecified())
            }
        };
        let verdict = local
            .and_then(|local| permitted(enforcer.authorize(&Attempt::Listen { local }, enforcer.usage())));
        // INVARIANT: no policy permits it (HL-1). If one did, there would still be nothing here that listens.
        let error = verdict.err().unwrap_or(ErrorCode::NotSupported);
        self.state = State::Closed(error);
        Err(error)
    }

    /// True if WASI 0.2 calls the socket bound.
    pub(crate) fn is_bound(&self) -> bool {
        !matches!(
            self.state,
            State::Fresh {
                bind: Bind::Implied,
                ..
            }
        )
    }

    /// The direction from the peer, which can be had once.
    pub(crate) fn take_receiving(&mut self) -> Result<Receiving, ErrorCode> {
        match &mut self.state {
            State::Connected { receiving, .. } => receiving.take().ok_or(ErrorCode::InvalidState),
            State::Closed(error) => Err(*error),
            State::Fresh { .. } | State::Connecting(_) => Err(ErrorCode::InvalidState),
        }
    }

    /// The direction to the peer, which can be had once.
    pub(crate) fn take_sending(&mut self) -> Result<Sending, ErrorCode> {
        match &mut self.state {
            State::Connected { sending, .. } => sending.take().ok_or(ErrorCode::InvalidState),
            State::Closed(error) => Err(*error),
            State::Fresh { .. } | State::Connecting(_) => Err(ErrorCode::InvalidState),
        }
    }

    /// The address that the socket is bound to.
    pub(crate) fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        match &self.state {
            State::Fresh {
                socket,
                bind: Bind::Done,
            } => local_address(socket),
            State::Connected { connection, .. } => local_address(connection),
            State::Closed(error) => Err(*error),
            State::Fresh { .. } | State::Connecting(_) => Err(ErrorCode::InvalidState),
        }
    }

    /// The address that the socket is connected to. The system forgets it when the peer resets the connection; the
    /// guest, who is connected until it hears of that, is told all the same. (A C library that asks then takes any
    /// error for a mistake of its own, and aborts.)
    pub(crate) fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        match &self.state {
            State::Connected { remote, .. } => Ok(*remote),
            State::Closed(error) => Err(*error),
            State::Fresh { .. } | State::Connecting(_) => Err(ErrorCode::InvalidState),
        }
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// The options of the system's socket.
    pub(crate) fn options(&self) -> Result<Options<'_>, ErrorCode> {
        let socket = match &self.state {
            State::Fresh { socket, .. } => socket.as_fd(),
            State::Connected { connection, .. } => connection.as_fd(),
            State::Connecting(_) => return Err(ErrorCode::InvalidState),
            State::Closed(error) => return Err(*error),
        };
        Ok(Options::new(socket, self.family))
    }

    /// Takes note of how many connections may wait to be accepted, which none ever does.
    pub(crate) fn set_listen_backlog_size(&self, size: u64) -> Result<(), ErrorCode> {
        match &self.state {
            _ if size == 0 => Err(ErrorCode::InvalidArgument),
            State::Fresh { .. } => Ok(()),
            State::Closed(error) => Err(*error),
            State::Connecting(_) | State::Connected { .. } => Err(ErrorCode::InvalidState),
        }
    }

    fn take_state(&mut self) -> State {
        // Should anything panic before the next state is there, what is left is a socket that does nothing.
        std::mem::replace(&mut self.state, State::Closed(ErrorCode::Other))
    }
}

impl Connecting {
    fn poll(&mut self, cx: &mut Context<'_>, family: Family) -> Poll<Result<(), ErrorCode>> {
        let under_way = match &self.progress {
            Progress::Begun(under_way) => under_way,
            // Judged here and not in `start_connect`: a guest of 0.2 may let any time pass between the two.
            Progress::Waiting => {
                return match self.begin(family)? {
                    Ok(Begun::Established) => Poll::Ready(Ok(())),
                    Ok(Begun::UnderWay(under_way)) => {
                        self.progress = Progress::Begun(under_way);
                        self.poll(cx, family)
                    }
                    Err(errno) => Poll::Ready(Err(self.failed(errno.into()))),
                };
            }
        };
        // A connection on loopback is there by now.
        let ask = || match under_way.ask(&self.connection) {
            Ok(()) | Err(Errno::ISCONN) => Ok(()),
            Err(Errno::ALREADY | Errno::INPROGRESS | Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
            Err(errno) => Err(errno.into()),
        };
        let connected = self.connection.poll_connect(cx, ask).map_err(ErrorCode::from);
        connected.map_err(|error| self.failed(error))
    }

    /// Judges the connection and begins it. What the system says to that is inside; outside, that it is refused.
    fn begin(&mut self, family: Family) -> Result<rustix::io::Result<Begun>, ErrorCode> {
        let enforcer = self.connection.slot().enforcer();
        let permit = permitted(authorize(enforcer, self.remote, self.bind, family))?;
        // Before the call, so that a connection that fails at once has an outcome, too.
        let (attempt, point) = (attempt_to(self.remote), enforcer.trace().get());
        self.followed = Followed::begin_connection(enforcer, permit.decision(), &attempt, &point);
        Ok(system::begin(&self.connection, permit))
    }

    /// Tells that what was permitted has failed.
    fn failed(&self, error: ErrorCode) -> ErrorCode {
        let enforcer = self.connection.slot().enforcer();
        let attempt = attempt_to(self.remote);
        followed::failed(enforcer, self.followed.as_ref(), &attempt, &code_of(&error));
        error
    }

    fn established(self) -> State {
        let remote = self.remote;
        // It is registered before anybody can send on it: what a new deny list has forbidden since the decision is
        // closed by that (DL-9).
        let connection = Arc::new(self.connection);
        connection
            .slot()
            .connected(connection.socket(), remote, self.followed.as_ref());
        if let Some(followed) = self.followed {
            followed.succeeded(None);
            connection.follow(followed);
        }
        let (receiving, sending) = connection.directions();
        State::Connected {
            connection,
            remote,
            receiving: Some(receiving),
            sending: Some(sending),
        }
    }
}

fn authorize(
    enforcer: &Enforcer,
    remote: SocketAddr,
    bind: Bind,
    family: Family,
) -> Result<ConnectPermit, Denied> {
    // In the order of the system, which binds the socket before it connects it.
    if bind == Bind::Implied {
        authorize_implied_bind(enforcer, family)?;
    }
    enforcer.authorize_connect(Transport::Tcp, remote)
}

/// To connect to there, for the policy.
fn attempt_to(remote: SocketAddr) -> Attempt<'static> {
    Attempt::Connect {
        transport: Transport::Tcp,
        remote: Endpoint::from(remote),
    }
}

fn authorize_implied_bind(enforcer: &Enforcer, family: Family) -> Result<(), Denied> {
    let attempt = Attempt::Bind {
        transport: Transport::Tcp,
        local: family.unspecified(),
    };
    enforcer.authorize_implied(&attempt, &[Layer::AllowList])
}

fn refuse_multicast(enforcer: &Enforcer, remote: SocketAddr) -> Result<(), ErrorCode> {
    if !Endpoint::from(remote).address.reads_as_multicast() {
        return Ok(());
    }
    permitted(enforcer.authorize(&attempt_to(remote), enforcer.usage())).map(drop)
}

#[cfg(test)]
mod tests;
