//! A command that runs: what it has written so far, and how it is asked to end.

use std::fmt::{self, Display};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::Finished;
use crate::audit::{self, AuditLine};
use crate::http::{self, Response};
use crate::process::Process;
use crate::transcript::Transcript;
use crate::until::until;

/// A started command. Stopped with SIGTERM when dropped.
#[derive(Debug)]
pub struct Running {
    pub(super) line: String,
    pub(super) process: Process,
    pub(super) stdout: Transcript,
    pub(super) stderr: Transcript,
    pub(super) audit_log: PathBuf,
    pub(super) limit: Duration,
    pub(super) folder: TempDir,
    pub(super) _unread: Option<ChildStdout>,
}

impl Running {
    /// Where it serves, once it does: what the line `Serving http://ADDR:PORT`, or `https://`, says.
    ///
    /// # Panics
    ///
    /// If the line does not come.
    pub fn address(&self) -> SocketAddr {
        let line = self.wait_for_error_line("Serving http");
        let (_, address) = line.split_once("://").unwrap_or_default();
        address
            .parse()
            .unwrap_or_else(|_| panic!("`{line}` has no address"))
    }

    /// `GET path` from what it serves.
    ///
    /// # Panics
    ///
    /// If there is no answer.
    pub fn get(&self, path: &str) -> Response {
        http::get(self.address(), path).unwrap_or_else(|error| panic!("GET {path}: {error}\n{self}"))
    }

    /// Waits for a line on standard output that starts so, and gives it.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub fn wait_for_line(&self, start: &str) -> String {
        let line = self.stdout.wait_for_line(start, self.limit);
        line.unwrap_or_else(|| panic!("no line `{start}…` on standard output\n{self}"))
    }

    /// Waits for a line on standard error that starts so, and gives it.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub fn wait_for_error_line(&self, start: &str) -> String {
        let line = self.stderr.wait_for_line(start, self.limit);
        line.unwrap_or_else(|| panic!("no line `{start}…` on standard error\n{self}"))
    }

    /// Waits until it has written `text` to standard error: what it says of a request comes by another way than the
    /// response, which may be there first.
    ///
    /// # Panics
    ///
    /// If it does not come.
    #[track_caller]
    pub fn wait_for_error_text(&self, text: &str) {
        until(format_args!("`{text}` on standard error\n{self}"), || {
            self.stderr().contains(text)
        });
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error so far, without the times that lines begin with.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The outcomes so far.
    pub fn outcomes(&self) -> Vec<serde_json::Value> {
        audit::outcomes(audit::lines_so_far(&self.audit_log))
    }

    /// The decisions so far.
    pub fn audit(&self) -> Vec<AuditLine> {
        AuditLine::read_so_far(&self.audit_log)
    }

    /// Waits until each of its threads waits for something, so that no guest computes.
    #[track_caller]
    pub fn until_idle(&mut self) {
        let id = self.id();
        let mut looks = 0;
        until("all threads wait", || {
            looks = if is_idle(id) { looks + 1 } else { 0 };
            looks == 4
        });
    }

    /// How many attempts it has denied so far.
    pub fn denials(&self) -> usize {
        self.audit().iter().filter(|line| line.denied()).count()
    }

    /// Its working directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into its working directory, in place.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), content).expect("a file in a folder of our own");
    }

    /// Its process id.
    pub fn id(&mut self) -> u32 {
        self.process.child().id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Stops it with SIGTERM and waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end, or if Outport panicked.
    pub fn stop(self) -> Finished {
        self.signal(Signal::TERM);
        self.finish()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If it takes too long, or if Outport panicked.
    pub fn finish(mut self) -> Finished {
        let Some(status) = self.process.wait(self.limit) else {
            panic!("not done after {:?}\n{self}", self.limit);
        };
        let finished = Finished {
            line: self.line.clone(),
            code: status.code(),
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
            audit: AuditLine::read(&self.audit_log),
            outcomes: audit::outcomes(audit::lines(&self.audit_log)),
        };
        assert!(!finished.panicked(), "Outport panicked\n{finished}");
        finished
    }
}

impl Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        write!(f, "$ {}\n--- stdout\n{stdout}--- stderr\n{stderr}---", self.line)
    }
}

/// Whether no thread of a process runs, or would if it had a processor.
fn is_idle(id: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{id}/task"));
    let mut threads = threads.into_iter().flatten().flatten();
    threads.all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        !stat
            .rsplit_once(") ")
            .is_some_and(|(_, state)| state.starts_with('R'))
    })
}
