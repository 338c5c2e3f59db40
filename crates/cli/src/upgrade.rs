//! Upgrades: a process that starts takes the listeners over from one that runs, and no client notices
//! ([ADR 26](../../../docs/adr/0026-a-new-process-takes-the-listeners-over.md)).
//!
//! ```text
//! the one that starts (Predecessor)                 the one that runs (Offer)
//!  ── outport-upgrade 1 ──────────────────────────▶ of the same user?
//!  ◀───────────────────────────── http, admin, upgrade: sockets
//!  enters the sandbox, compiles, links: this one serves meanwhile
//!  serves the same listeners, too
//!  ── ready ──────────────────────────────────────▶ accepts nobody, asks for no more events
//!  ◀───────────────────────────────────────── stopped
//!  waits for events, shows its admin pages          finishes what runs, ends
//! ```
//!
//! Whoever of the two ends before `ready` was said changes nothing for the other. The Unix socket by which they meet
//! (`--upgrade-socket`) is handed over too, so that its path belongs to whichever process runs. Both ends are opened before
//! the kernel's sandbox closes.
//!
//! | what is at the path | |
//! | --- | --- |
//! | nothing, or the socket of a process that is gone | this one listens itself, and is there for the next one |
//! | the socket of an Outport of the same user | its listeners are taken over |
//! | a process of another user, or something else | it does not start |

mod message;
mod offer;
mod predecessor;
mod socket;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

pub(crate) use self::offer::Offer;
use self::predecessor::Predecessor;
pub(crate) use self::socket::UpgradeError;
use self::socket::UpgradeSocket;
use crate::inherited::is_at;
use crate::terminal::Terminal;

/// The way in which a process takes over, and is taken over from; both, one or none of it.
#[derive(Default)]
pub(crate) struct Upgrade {
    predecessor: Option<Predecessor>,
    socket: Option<UpgradeSocket>,
}

/// The same with what is to be handed over.
pub(crate) struct Prepared {
    upgrade: Upgrade,
    http: Vec<TcpListener>,
    admin: Option<TcpListener>,
}

impl Upgrade {
    /// Meets whoever runs at `path`. Without one, [`Upgrade::listen`] is there for the next.
    pub(crate) fn meet(path: &Path) -> Result<Self, UpgradeError> {
        let predecessor = Predecessor::at(path)?;
        Ok(Self {
            predecessor,
            socket: None,
        })
    }

    /// Is there for the next one at `path`, by the socket of the one that runs where there is one.
    pub(crate) fn listen(&mut self, path: &Path) -> Result<(), UpgradeError> {
        let handed = self.predecessor.as_mut().and_then(Predecessor::upgrade_socket);
        self.socket = Some(match handed {
            Some(socket) => socket,
            None => UpgradeSocket::open(path)?,
        });
        Ok(())
    }

    /// The sockets for clients of the one that runs, if they are where this one should listen.
    pub(crate) fn http(&mut self, wanted: SocketAddr) -> Option<Vec<TcpListener>> {
        let sockets = &mut self.predecessor.as_mut()?.http;
        let fits = !sockets.is_empty() && sockets.iter().all(|socket| listens_at(socket, wanted));
        fits.then(|| std::mem::take(sockets))
    }

    /// The same of its admin listener.
    pub(crate) fn admin(&mut self, wanted: SocketAddr) -> Option<TcpListener> {
        let socket = &mut self.predecessor.as_mut()?.admin;
        socket.take_if(|socket| listens_at(socket, wanted))
    }

    /// Adds what the next one will be offered.
    pub(crate) fn prepare(self, http: Vec<TcpListener>, admin: Option<TcpListener>) -> Prepared {
        Prepared {
            upgrade: self,
            http,
            admin,
        }
    }

    /// True if there will be somebody to hand over to.
    pub(crate) fn is_offered(&self) -> bool {
        self.socket.is_some()
    }
}

impl Prepared {
    /// Now that this process serves, has the one before stop, and offers the same to the next. Answers the process that
    /// this one took over from.
    pub(crate) fn take_over(self, terminal: Terminal) -> io::Result<(Offer, Option<u32>)> {
        let before = self.upgrade.predecessor.map(|before| before.replace(terminal));
        let offer = match self.upgrade.socket {
            Some(socket) => Offer::start(socket, (self.http, self.admin), terminal)?,
            None => Offer::none(),
        };
        Ok((offer, before))
    }
}

fn listens_at(socket: &TcpListener, wanted: SocketAddr) -> bool {
    socket.local_addr().is_ok_and(|address| is_at(address, wanted))
}

#[cfg(test)]
mod tests;
