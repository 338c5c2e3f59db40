//! A TCP socket of a guest, for WASI 0.2 and 0.3.
//!
//! ```text
//! Fresh ─ start_connect ─ Connecting ─ poll_connect ─┬─ Connected
//!   │                                                └─ Closed, with the error
//!   └─ listen ─ Closed: judged, and always refused (HL-1)
//! ```
//!
//! Where [somebody is asked](crate::asking) first, that is a part of connecting: it is waited for, and then judged.
//!
//! What a socket does to the network is judged here, right before the system call, with the address that the system
//! call gets; nothing awaits in between. A connection is judged when it is first polled, which is when it begins. One
//! that a new deny list has overtaken is closed as soon as it is registered (DL-9). There is no way to accept: a socket that listens never comes into being (HL-2).
//!
//! Where the permit leads through the operator's [proxy](crate::proxy) that is asked for the connection, and the socket to it
//! takes the place of the guest's.
//!
//! An address that WASI calls an invalid argument is refused as one before it is judged; multicast and broadcast
//! addresses are judged first, so that the refusal is told (HL-5).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use outport_policy::{Attempt, Endpoint, Layer, Transport};
use rustix::io::Errno;
use rustix::net::sockopt;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use wasmtime_wasi::sockets::ErrorCode;

use super::connection::{Connection, Receiving, Sending};
use super::family::Family;
use super::first_flight::FirstFlight;
use super::options::{Carried, Options};
use super::slot::SocketSlot;
use super::system::{Begun, UnderWay};
use super::{NotCreated, address, local_address, permitted, system};
use crate::asking::{Pass, PendingQuestion};
use crate::audit::code_of;
use crate::denied::Denied;
use crate::enforcer::{ConnectPermit, Enforcer};
use crate::followed::{self, Followed};
use crate::proxy::{Trouble, Tunnel};

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
    Connecting(Box<Connecting>),
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
    slot: Arc<SocketSlot>,
    bind: Bind,
    remote: SocketAddr,
    progress: Progress,
    followed: Option<Arc<Followed>>,
    /// What was permitted for this connection alone.
    pass: Pass,
}

enum Progress {
    /// Neither judged nor begun, nor was anybody asked.
    Waiting(OwnedFd),
    /// Somebody is asked whether it may be.
    Questioned(OwnedFd, PendingQuestion),
    /// Judged, and begun.
    Begun(Connection, UnderWay),
    /// Judged, and the operator's proxy is asked for it.
    Asked(Asking),
    /// There.
    Established(Connection),
    /// Neither, any more.
    Failed,
}

/// A connection that a proxy is asked for. That goes on whether or not the guest looks, as a connection does that the
/// system makes; and it ends with the socket.
struct Asking(JoinHandle<Result<Arc<OwnedFd>, Trouble>>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
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
        let (transport, enforcer) = (Transport::Tcp, self.slot.enforcer());
        permitted(enforcer.authorize(&Attempt::Bind { transport, local }, enforcer.usage()))?;
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
            State::Fresh { socket, bind } => State::Connecting(Box::new(Connecting {
                slot: self.slot.clone(),
                bind,
                remote,
                progress: Progress::Waiting(socket),
                followed: None,
                pass: Pass::default(),
            })),
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
            State::Connected { connection, .. } => {
                let local = local_address(connection)?;
                // A proxy may be reached by the other family. The port is the socket's; an address of this family it has
                // none, and WASI knows sockets of one family alone.
                Ok(if Family::of(local) == self.family {
                    local
                } else {
                    SocketAddr::new(self.family.unspecified().ip(), local.port())
                })
            }
            State::Closed(error) => Err(*error),
            State::Fresh { .. } | State::Connecting(_) => Err(ErrorCode::InvalidState),
        }
    }

    /// The address that the socket is connected to: the one that was judged, also where the way there leads through a proxy. The system forgets it when the peer resets the connection; the
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
        let (socket, family) = match &self.state {
            State::Fresh { socket, .. } => (socket.as_fd(), self.family),
            // To a proxy it may be one of the other family.
            State::Connected { connection, .. } => {
                let family = local_address(connection).map_or(self.family, Family::of);
                (connection.as_fd(), family)
            }
            State::Connecting(_) => return Err(ErrorCode::InvalidState),
            State::Closed(error) => return Err(*error),
        };
        Ok(Options::new(socket, family))
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
        // Judged here and not in `start_connect`: a guest of 0.2 may let any time pass between the two.
        if let Progress::Waiting(_) = self.progress {
            self.question(family)?;
        }
        if let Progress::Questioned(_, question) = &mut self.progress {
            let pass = ready!(Pin::new(question).poll(cx));
            pass.with(|| self.begin(family))?;
            self.pass = pass;
        }
        let connection = match &mut self.progress {
            Progress::Begun(connection, under_way) => {
                let connected = ready!(poll_under_way(cx, connection, under_way));
                match std::mem::replace(&mut self.progress, Progress::Failed) {
                    Progress::Begun(connection, _) => {
                        connected.map_err(|error| self.failed(error, None))?;
                        connection
                    }
                    _ => return Poll::Ready(Err(ErrorCode::Other)),
                }
            }
            Progress::Asked(asking) => {
                let opened = ready!(Pin::new(&mut asking.0).poll(cx));
                self.progress = Progress::Failed;
                // One that was given up has nobody who asks.
                let opened = opened.unwrap_or(Err(Trouble::Closed));
                let opened =
                    opened.map_err(|trouble| self.failed(trouble.errno().into(), Some(trouble.said())));
                Connection::new(opened?, self.slot.clone())
            }
            Progress::Established(_) => return Poll::Ready(Ok(())),
            Progress::Waiting(_) | Progress::Questioned(..) | Progress::Failed => {
                return Poll::Ready(Err(ErrorCode::Other));
            }
        };
        self.progress = Progress::Established(connection);
        Poll::Ready(Ok(()))
    }

    /// Asks whether there may be the connection, if somebody is to be asked, and begins it otherwise.
    fn question(&mut self, family: Family) -> Result<(), ErrorCode> {
        let Some(question) = self.slot.enforcer().question(&attempt_to(self.remote)) else {
            return self.begin(family);
        };
        self.progress = match std::mem::replace(&mut self.progress, Progress::Failed) {
            Progress::Waiting(socket) => Progress::Questioned(socket, question),
            other => other,
        };
        Ok(())
    }

    /// Judges the connection and begins it.
    fn begin(&mut self, family: Family) -> Result<(), ErrorCode> {
        let (Progress::Waiting(socket) | Progress::Questioned(socket, _)) =
            std::mem::replace(&mut self.progress, Progress::Failed)
        else {
            return Err(ErrorCode::InvalidState);
        };
        let enforcer = self.slot.enforcer();
        let permit = permitted(authorize(enforcer, self.remote, self.bind, family))?;
        // Before the call, so that a connection that fails at once has an outcome, too.
        let (attempt, point) = (attempt_to(self.remote), enforcer.trace().get());
        self.followed = Followed::begin_connection(enforcer, permit.decision(), &attempt, &point);
        if permit.proxy().is_some() {
            return self.ask(&socket, permit);
        }
        let begun = system::begin(&socket, permit).map_err(|errno| self.failed(errno.into(), None))?;
        let connection = Connection::new(socket, self.slot.clone());
        self.progress = match begun {
            Begun::Established => Progress::Established(connection),
            Begun::UnderWay(under_way) => Progress::Begun(connection, under_way),
        };
        Ok(())
    }

    /// Asks the proxy that `permit` leads through. Its socket takes the place of the guest's: that may be of another family,
    /// and there are never two.
    fn ask(&mut self, socket: &OwnedFd, permit: ConnectPermit) -> Result<(), ErrorCode> {
        followed::note_proxy(self.followed.as_ref(), &permit);
        let component = self.slot.enforcer().component();
        let tunnel = Tunnel::new(component, permit, Carried::of(socket.as_fd()))
            .map_err(|trouble| self.failed(trouble.errno().into(), Some(trouble.said())))?;
        let Ok(runtime) = Handle::try_current() else {
            return Err(self.failed(ErrorCode::Other, Some("guests run on a tokio runtime".to_owned())));
        };
        self.progress = Progress::Asked(Asking(runtime.spawn(tunnel.open())));
        Ok(())
    }

    /// Tells that what was permitted has failed.
    fn failed(&self, error: ErrorCode, said: Option<String>) -> ErrorCode {
        let (attempt, code) = (attempt_to(self.remote), code_of(&error));
        let (enforcer, followed) = (self.slot.enforcer(), self.followed.as_ref());
        followed::failed_saying(enforcer, followed, &attempt, (&code, said));
        error
    }

    fn established(self) -> State {
        let remote = self.remote;
        let Progress::Established(connection) = self.progress else {
            return State::Closed(ErrorCode::Other);
        };
        // It is registered before anybody can send on it: what a new deny list has forbidden since the decision is
        // closed by that (DL-9).
        let connection = Arc::new(connection);
        connection
            .slot()
            .connected(connection.socket(), remote, self.followed.as_ref());
        if let Some(followed) = self.followed {
            followed.succeeded(None);
            connection.follow(followed);
        }
        let first = FirstFlight::begin(connection.slot().enforcer(), remote, self.pass);
        let (receiving, sending) = connection.directions(first);
        State::Connected {
            connection,
            remote,
            receiving: Some(receiving),
            sending: Some(sending),
        }
    }
}

fn poll_under_way(
    cx: &mut Context<'_>,
    connection: &Connection,
    under_way: &UnderWay,
) -> Poll<Result<(), ErrorCode>> {
    // A connection on loopback is there by now.
    let ask = || match under_way.ask(connection) {
        Ok(()) | Err(Errno::ISCONN) => Ok(()),
        Err(Errno::ALREADY | Errno::INPROGRESS | Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
        Err(errno) => Err(errno.into()),
    };
    connection.poll_connect(cx, ask).map_err(ErrorCode::from)
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
