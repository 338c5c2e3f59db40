//! The process that runs, as the one that starts sees it.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use outport_check::Diagnostic;
use rustix::net::sockopt::socket_acceptconn;

use super::message::{self, ADMIN, HELLO, HTTP, READY, REFUSED, STOPPED, UPGRADE};
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
        let Some((conversation, process)) = connect_to(path)? else {
            return Ok(None);
        };
        let mut predecessor = Self {
            conversation,
            process,
            http: Vec::new(),
            admin: None,
            upgrade: None,
        };
        predecessor.ask(path)?;
        Ok(Some(predecessor))
    }

    fn ask(&mut self, path: &Path) -> Result<(), UpgradeError> {
        let broken = |error| UpgradeError::broken(path, error);
        message::wait_at_most(&self.conversation, ANSWER).map_err(broken)?;
        message::send(&self.conversation, HELLO, &[]).map_err(broken)?;
        for _ in 0..MOST_MESSAGES {
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

    /// Refuses what does not listen.
    fn look(&self) -> std::io::Result<()> {
        let sockets = self.http.iter().chain(&self.admin);
        for socket in sockets {
            socket.local_addr()?;
            if !socket_acceptconn(socket)? {
                return Err(std::io::Error::other("one of its sockets does not listen"));
            }
        }
        Ok(())
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
            Ok(word) if word == STOPPED => return self.process,
            Ok(_) => "it says something else".to_owned(),
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

/// The time for it to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The time for it to stop asking for events.
const STOP: Duration = Duration::from_secs(10);

/// Messages with sockets: far more than there are workers.
const MOST_MESSAGES: usize = 256;
