//! The process that runs, as the one that starts sees it.

use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use outport_check::Diagnostic;
use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};

use super::message::{self, ADMIN, Deadline, HELLO, HTTP, READY, REFUSED, STOPPED, UPGRADE};
use super::socket::{UpgradeError, UpgradeSocket, connect_to};
use crate::files::Files;
use crate::terminal::Terminal;

/// A process that goes on until it is replaced, and whose sockets this one has.
#[derive(Debug)]
pub(super) struct Predecessor {
    conversation: OwnedFd,
    process: u32,
    pub(super) http: Vec<TcpListener>,
    pub(super) admin: Option<TcpListener>,
    upgrade: Option<UpgradeSocket>,
}

impl Predecessor {
    /// The one at `path`, if there is one.
    pub(super) fn at(path: &Path) -> Result<Option<Self>, UpgradeError> {
        Self::at_within(path, ANSWER)
    }

    /// The same of one that has so long to connect and to hand everything over.
    pub(super) fn at_within(path: &Path, time: Duration) -> Result<Option<Self>, UpgradeError> {
        let deadline = Deadline::after(time);
        let Some((conversation, process)) = connect_to(path, deadline)? else {
            return Ok(None);
        };
        let mut predecessor = Self {
            conversation,
            process,
            http: Vec::new(),
            admin: None,
            upgrade: None,
        };
        predecessor.ask(path, deadline)?;
        Ok(Some(predecessor))
    }

    fn ask(&mut self, path: &Path, deadline: Deadline) -> Result<(), UpgradeError> {
        let broken = |error| UpgradeError::broken(path, error);
        deadline.bound(&self.conversation).map_err(broken)?;
        message::send(&self.conversation, HELLO, &[]).map_err(broken)?;
        for _ in 0..MOST_MESSAGES {
            deadline.bound(&self.conversation).map_err(broken)?;
            let (word, descriptors) = message::receive(&self.conversation).map_err(broken)?;
            match word.as_str() {
                HTTP => self.http.extend(descriptors.into_iter().map(TcpListener::from)),
                ADMIN => self.admin = descriptors.into_iter().next().map(TcpListener::from),
                UPGRADE => {
                    self.upgrade = descriptors.into_iter().next().map(UpgradeSocket);
                    return self.look().map_err(broken);
                }
                _ => {
                    let reason = word.strip_prefix(REFUSED).unwrap_or("it says something else");
                    return Err(UpgradeError::Refused {
                        path: path.to_owned(),
                        reason: reason.escape_debug().to_string(),
                    });
                }
            }
        }
        Err(broken(std::io::Error::other("there is no end of its sockets")))
    }

    /// Refuses what does not listen, and what the next process could not come by.
    fn look(&self) -> std::io::Result<()> {
        let sockets = self.http.iter().chain(&self.admin);
        for socket in sockets {
            socket.local_addr()?;
            if !socket_acceptconn(socket)? {
                return Err(std::io::Error::other("one of its sockets does not listen"));
            }
        }
        match &self.upgrade {
            Some(UpgradeSocket(socket)) if is_for_processes(socket)? => Ok(()),
            _ => Err(std::io::Error::other(
                "the socket for the process after this one is none that listens for processes",
            )),
        }
    }

    /// The socket by which this process came.
    pub(super) fn upgrade_socket(&mut self) -> Option<UpgradeSocket> {
        self.upgrade.take()
    }

    /// Has it stop, now that this one serves, and waits until it asks for no more events. One that has ended meanwhile has
    /// stopped, too. Answers its number.
    pub(super) fn replace(self, terminal: Terminal) -> u32 {
        let told = message::wait_at_most(&self.conversation, STOP)
            .and_then(|()| message::send(&self.conversation, READY, &[]))
            .and_then(|()| message::receive_word(&self.conversation));
        let wrong = match told {
            Ok(word) => {
                let number = word.strip_prefix(STOPPED);
                match number.and_then(|number| number.parse().ok()) {
                    Some(process) => return process,
                    None => "it says something else".to_owned(),
                }
            }
            Err(error) => error.to_string(),
        };
        let warning = format!(
            "process {} does not say that it has stopped: {wrong}",
            self.process
        );
        terminal.show(&Diagnostic::warning(warning), &Files::default());
        self.process
    }
}

/// True if it is a Unix socket of this protocol's kind that listens.
fn is_for_processes(socket: impl AsFd) -> std::io::Result<bool> {
    Ok(socket_domain(&socket)? == AddressFamily::UNIX
        && socket_type(&socket)? == SocketType::SEQPACKET
        && socket_acceptconn(&socket)?)
}

/// The time for it to answer, all of it.
const ANSWER: Duration = Duration::from_secs(5);

/// The time for it to stop asking for events.
const STOP: Duration = Duration::from_secs(10);

/// Messages with sockets: far more than there are workers.
const MOST_MESSAGES: usize = 256;
