//! One command of a build: a shell with a process group of its own, whose output is shown as it comes.
//!
//! Both streams are read until they end, or for [`LINGERING`] after the shell has: what it left running in the background may
//! hold them open for ever. Whoever asks to stop ends the whole group, politely first; so no compiler that the shell has
//! started goes on. The end of its output is kept, [`KEPT`] bytes at most, to find out what was missing.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outport_runtime::stdio::{self, Prefixed};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::time::{Instant, sleep, sleep_until};

use super::Asked;
use crate::own_process::end_with_parent;
use crate::terminal::Terminal;

/// A command that runs.
pub(super) struct Running {
    child: Child,
    group: Option<Pid>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    shown: [Prefixed; 2],
    said: Said,
}

/// The end of a command.
pub(super) enum Ended {
    Well,
    /// Somebody asked to stop: the exit status.
    Asked(i32),
    Badly {
        how: Failure,
        /// The end of what it wrote.
        said: String,
    },
}

/// How a command has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Code(i32),
    Signal(i32),
}

impl Running {
    /// Starts it, with the environment as it is.
    pub(super) fn start(
        command: &str,
        directory: &Path,
        component: &str,
        terminal: Terminal,
    ) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(command)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        // Of what somebody kills that cannot end its children at least the shell ends.
        end_with_parent(&mut shell, Signal::KILL);
        let mut child = tokio::process::Command::from(shell).spawn()?;
        let said = Said::new(terminal.is_quiet());
        let shown = [(), ()].map(|()| {
            let said = said.clone();
            stdio::of_a_tool(component, move |rest| said.show(rest))
        });
        Ok(Self {
            group: child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            shown,
            said,
        })
    }

    /// Shows what it writes, and waits for its end.
    pub(super) async fn end(mut self, asked: &mut Asked) -> io::Result<Ended> {
        let mut ended: Option<(ExitStatus, Instant)> = None;
        let (mut out, mut err) = (vec![0; PIECE], vec![0; PIECE]);
        loop {
            if let (Some((status, _)), None, None) = (ended, &self.stdout, &self.stderr) {
                return Ok(self.ended(status));
            }
            let lingering = ended.map_or_else(Instant::now, |(_, until)| until);
            tokio::select! {
                read = read(self.stdout.as_mut(), &mut out), if self.stdout.is_some() => {
                    match read {
                        0 => self.stdout = None,
                        length => self.said.show(&self.shown[0].lines(&out[..length])),
                    }
                }
                read = read(self.stderr.as_mut(), &mut err), if self.stderr.is_some() => {
                    match read {
                        0 => self.stderr = None,
                        length => self.said.show(&self.shown[1].lines(&err[..length])),
                    }
                }
                status = self.child.wait(), if ended.is_none() => {
                    ended = Some((status?, Instant::now() + LINGERING));
                }
                status = asked.next() => {
                    self.end_all().await;
                    return Ok(Ended::Asked(status));
                }
                () = sleep_until(lingering), if ended.is_some() => {
                    (self.stdout, self.stderr) = (None, None);
                }
            }
        }
    }

    fn ended(self, status: ExitStatus) -> Ended {
        let Self { shown, said, .. } = self;
        // A last line that has no end is shown now.
        drop(shown);
        let how = match (status.code(), status.signal()) {
            (Some(0), _) => return Ended::Well,
            (Some(code), _) => Failure::Code(code),
            (None, signal) => Failure::Signal(signal.unwrap_or_default()),
        };
        said.show_what_was_held_back();
        Ended::Badly {
            how,
            said: said.end(),
        }
    }

    /// Ends the shell and all that it has started.
    async fn end_all(&mut self) {
        let Some(group) = self.group else { return };
        let _ = kill_process_group(group, Signal::TERM);
        let until = Instant::now() + POLITE;
        loop {
            // So that a shell that has ended counts no more.
            let _ = self.child.try_wait();
            if test_kill_process_group(group).is_err() {
                return;
            }
            if Instant::now() >= until {
                break;
            }
            sleep(LOOK).await;
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait().await;
    }
}

/// The bytes that are there, at least one unless the stream has ended. What cannot be read has.
async fn read(stream: Option<&mut (impl AsyncRead + Unpin)>, piece: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(piece).await.unwrap_or(0),
        None => 0,
    }
}

/// What a command has said: shown, or held back until it fails. The end of it is kept.
#[derive(Clone)]
struct Said {
    held_back: bool,
    kept: Arc<Mutex<VecDeque<u8>>>,
}

impl Said {
    fn new(held_back: bool) -> Self {
        Self {
            held_back,
            kept: Arc::default(),
        }
    }

    fn show(&self, lines: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(lines);
        let too_many = kept.len().saturating_sub(KEPT);
        kept.drain(..too_many);
        if !self.held_back {
            write(lines);
        }
    }

    fn show_what_was_held_back(&self) {
        if self.held_back {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            write(kept.make_contiguous());
        }
    }

    fn end(&self) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }
}

/// No guest runs where something is built: whoever reads slowly holds nobody else up.
fn write(lines: &[u8]) {
    let _ = io::stderr().lock().write_all(lines);
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(number) => {
                let known = SIGNALS.iter().find(|(signal, _)| signal == number);
                match known {
                    Some((_, name)) => write!(f, "was ended by {name}"),
                    None => write!(f, "was ended by signal {number}"),
                }
            }
        }
    }
}

/// The signals that end a compiler.
const SIGNALS: [(i32, &str); 8] = [
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGTERM, "SIGTERM"),
];

/// The time for which the output of what was left running is waited for.
const LINGERING: Duration = Duration::from_millis(300);

/// The time that a command has to end by itself.
const POLITE: Duration = Duration::from_secs(2);

/// The time between two looks whether all have ended.
const LOOK: Duration = Duration::from_millis(10);

/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// Bytes of output that are kept.
const KEPT: usize = 64 * 1024;
