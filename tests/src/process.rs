//! Children that end with the test.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::until::until;

/// A running program that is stopped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    end: Signal,
}

impl Process {
    /// Starts `command`; `end` is the signal that tells this program to go.
    ///
    /// # Errors
    ///
    /// If there is no such program.
    pub fn start(command: &mut Command, end: Signal) -> io::Result<Self> {
        Ok(Self {
            child: command.spawn()?,
            end,
        })
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = kill_process(id.expect("a process id is a positive number"), signal);
    }

    /// Waits for the end of the program, and gives up after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(self.end);
        if self.wait(Duration::from_secs(5)).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A port that is free, for servers that cannot pick one themselves. It is none that the kernel gives away meanwhile to
/// whoever asks for any, and none that this program was given before.
///
/// # Panics
///
/// If there is none.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Programs that run beside each other begin at different ones.
    let first = std::process::id().wrapping_mul(97);
    let free = (0..PORTS.len() as u32).find_map(|_| {
        let number = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u32;
        let port = PORTS.start + number as u16;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    });
    free.expect("a free TCP port")
}

/// Below those that Linux takes for connections and for port 0 (`net.ipv4.ip_local_port_range`).
const PORTS: Range<u16> = 20_000..32_000;

/// Waits until somebody listens on `port` of 127.0.0.1.
///
/// # Panics
///
/// If nobody does within [`PATIENCE`](crate::until::PATIENCE); `what` is who should.
pub fn wait_until_listening(what: &str, port: u16) {
    until(format_args!("{what} listens on port {port}"), || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
}

/// Where Debian has a server, which is not where a user's own shell looks; the name alone if it is not there.
pub fn system_program(name: &str) -> PathBuf {
    let installed = Path::new("/usr/sbin").join(name);
    if installed.exists() {
        installed
    } else {
        PathBuf::from(name)
    }
}
