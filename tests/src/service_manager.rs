//! A service manager as far as processes tell it something: what they send to `NOTIFY_SOCKET`, in its order.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::until::until;

/// Who is told.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    path: PathBuf,
    told: Mutex<Vec<String>>,
    _folder: TempDir,
}

impl Default for ServiceManager {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket in a folder of our own");
        socket.set_nonblocking(true).expect("a socket");
        Self {
            socket,
            path,
            told: Mutex::default(),
            _folder: folder,
        }
    }
}

impl ServiceManager {
    /// Where it is told.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it was told so far.
    ///
    /// # Panics
    ///
    /// If a message is not text.
    pub fn told(&self) -> Vec<String> {
        let mut told = self.told.lock().expect("no test panics with it");
        let mut message = [0; 4096];
        loop {
            match self.socket.recv(&mut message) {
                Ok(length) => {
                    told.push(String::from_utf8(message[..length].to_vec()).expect("a message is text"));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return told.clone(),
                Err(error) => panic!("the socket broke: {error}"),
            }
        }
    }

    /// How many messages have had that line so far.
    pub fn count(&self, line: &str) -> usize {
        let told = self.told();
        told.iter()
            .filter(|message| message.lines().any(|own| own == line))
            .count()
    }

    /// Waits until so many messages have had that line.
    ///
    /// # Panics
    ///
    /// If they do not come.
    #[track_caller]
    pub fn wait_for(&self, line: &str, times: usize) {
        until(format_args!("{times} times `{line}`"), || {
            self.count(line) >= times
        });
    }
}
