//! How the watcher learns that an app is ready: as a service manager does, by a socket (sd_notify(3)).
//!
//! The socket has a name of the abstract kind that nobody can guess, and what comes by it counts only if it is about the very
//! process that was started.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as Bound};
use std::process::Command;

use tokio::net::UnixDatagram;

/// The socket by which apps say that they are ready.
pub(super) struct ReadySocket {
    socket: UnixDatagram,
    name: String,
}

impl ReadySocket {
    /// Opens it, in the runtime.
    pub(super) fn open() -> io::Result<Self> {
        let chance = [(), ()].map(|()| RandomState::new().hash_one(std::process::id()));
        let name = format!("outport-watch-{:016x}{:016x}", chance[0], chance[1]);
        let socket = Bound::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UnixDatagram::from_std(socket)?,
            name,
        })
    }

    /// Has a process tell by it.
    pub(super) fn named_in(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", format!("@{}", self.name));
    }

    /// The number of the next process that says it is ready.
    pub(super) async fn next(&self) -> u32 {
        let mut message = [0; 1024];
        loop {
            match self.socket.recv(&mut message).await {
                Ok(length) => {
                    if let Some(id) = ready(&String::from_utf8_lossy(&message[..length])) {
                        return id;
                    }
                }
                Err(_) => std::future::pending().await,
            }
        }
    }
}

/// The process that says it is ready, if that is what a message says.
fn ready(message: &str) -> Option<u32> {
    message.lines().find(|line| *line == "READY=1")?;
    message
        .lines()
        .find_map(|line| line.strip_prefix("MAINPID=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_says_so_of_itself() {
        for (message, expected) in [
            (
                "READY=1\nMAINPID=7\nSTATUS=Serving http://127.0.0.1:3000\n",
                Some(7),
            ),
            // Settings were read again.
            ("READY=1\n", None),
            ("MAINPID=7\n", None),
            ("RELOADING=1\nMAINPID=7\n", None),
            ("READY=10\nMAINPID=7\n", None),
            ("READY=1\nMAINPID=x\n", None),
            ("", None),
        ] {
            assert_eq!(ready(message), expected, "{message:?}");
        }
    }
}
