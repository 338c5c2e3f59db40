//! `wrk`, a program that puts a server under load: requests one after the other on many connections that stay open.
//!
//! Who has a request fail that a client was not told to repeat is found by it: a connection that is reset or closed while a
//! request is under way is a socket error.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::process::Process;

/// A load that runs.
#[derive(Debug)]
pub struct Wrk(Process);

/// What came of it.
#[derive(Debug)]
pub struct Load {
    /// Requests that were answered.
    pub requests: u64,
    /// The lines that tell of errors: of sockets, and of statuses.
    pub errors: Vec<String>,
}

impl Wrk {
    /// Puts a load on what is at `url`, by so many connections, until it is stopped. Certificates are not looked at.
    ///
    /// # Panics
    ///
    /// If the program is not there.
    pub fn start(url: &str, connections: usize) -> Self {
        let mut command = Command::new("wrk");
        command
            .args(["--threads=2", "--duration=300s", "--timeout=60s"])
            .arg(format!("--connections={connections}"))
            .arg(url)
            .stdout(Stdio::piped());
        Self(Process::start(&mut command, Signal::INT).expect("wrk is installed (package wrk)"))
    }

    /// Stops it.
    ///
    /// # Panics
    ///
    /// If it does not say what came of it.
    pub fn stop(mut self) -> Load {
        self.0.signal(Signal::INT);
        let mut said = String::new();
        let mut output = self.0.child().stdout.take().expect("a piped output");
        output.read_to_string(&mut said).expect("wrk says text");
        assert!(self.0.wait(Duration::from_secs(60)).is_some(), "wrk ends\n{said}");
        let requests = said.lines().find_map(|line| {
            let (number, _) = line.trim().split_once(" requests in ")?;
            number.parse().ok()
        });
        let is_error = |line: &&str| line.contains("Socket errors") || line.contains("Non-2xx");
        Load {
            requests: requests.unwrap_or_else(|| panic!("wrk counts requests\n{said}")),
            errors: said.lines().filter(is_error).map(str::to_owned).collect(),
        }
    }
}
