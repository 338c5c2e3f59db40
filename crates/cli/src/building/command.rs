//! One command of a build: a shell with a process group of its own, whose output is shown as it comes.
//!
//! Both streams are read until they end, or for [`LINGERING`] after the shell has: what it left running in the background may
//! hold them open for ever. Whoever asks to stop ends the whole group, politely first; so no compiler that the shell has
//! started goes on. The end of its output is kept, [`KEPT`] bytes at most, to find out what was missing.
//!
//! What was read is written by another thread, a piece at a time, and nothing more is read meanwhile: where nobody reads
//! standard error the command waits, as if it wrote there itself. Signals are answered all the same, and what was not
//! written by then is given up.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outport_runtime::stdio::{self, Prefixed};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::task::{JoinHandle, spawn_blocking};
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
    /// A piece on its way to standard error.
    writing: Option<JoinHandle<()>>,
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
            writing: None,
        })
    }

    /// Shows what it writes, and waits for its end.
    pub(super) async fn end(mut self, asked: &mut Asked) -> io::Result<Ended> {
        let mut ended: Option<(ExitStatus, Instant)> = None;
        let (mut out, mut err) = (vec![0; PIECE], vec![0; PIECE]);
        loop {
            self.write_on();
            let is_free = self.writing.is_none();
            if let (Some((status, _)), None, None) = (ended, &self.stdout, &self.stderr) {
                return self.ended(status, asked).await;
            }
            let lingering = ended.map_or_else(Instant::now, |(_, until)| until);
            tokio::select! {
                read = read(self.stdout.as_mut(), &mut out), if is_free && self.stdout.is_some() => {
                    match read {
                        0 => self.stdout = None,
                        length => self.said.show(&self.shown[0].lines(&out[..length])),
                    }
                }
                read = read(self.stderr.as_mut(), &mut err), if is_free && self.stderr.is_some() => {
                    match read {
                        0 => self.stderr = None,
                        length => self.said.show(&self.shown[1].lines(&err[..length])),
                    }
                }
                () = written(&mut self.writing), if !is_free => {
                    // The time that it took is not what the rest is waited for.
                    ended = ended.map(|(status, _)| (status, Instant::now() + LINGERING));
                }
                status = self.child.wait(), if ended.is_none() => {
                    ended = Some((status?, Instant::now() + LINGERING));
                }
                status = asked.next() => {
                    self.end_all().await;
                    return Ok(Ended::Asked(status));
                }
                () = sleep_until(lingering), if is_free && ended.is_some() => {
                    (self.stdout, self.stderr) = (None, None);
                }
            }
        }
    }

    /// Begins to write what is to be shown, unless something is being written.
    fn write_on(&mut self) {
        if self.writing.is_none() {
            let lines = self.said.take_what_is_to_be_shown();
            self.writing = (!lines.is_empty()).then(|| spawn_blocking(move || write(&lines)));
        }
    }

    async fn ended(self, status: ExitStatus, asked: &mut Asked) -> io::Result<Ended> {
        let Self {
            shown,
            said,
            mut writing,
            ..
        } = self;
        // A last line that has no end is shown now.
        drop(shown);
        let how = match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(Failure::Code(code)),
            (None, signal) => Some(Failure::Signal(signal.unwrap_or_default())),
        };
        if how.is_some() {
            said.show_what_was_held_back();
        }
        let all_is_written = async {
            written(&mut writing).await;
            let lines = said.take_what_is_to_be_shown();
            written(&mut Some(spawn_blocking(move || write(&lines)))).await;
        };
        tokio::select! {
            () = all_is_written => {}
            status = asked.next() => return Ok(Ended::Asked(status)),
        }
        Ok(match how {
            None => Ended::Well,
            Some(how) => Ended::Badly {
                how,
                said: said.end(),
            },
        })
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

/// Waits until a piece is written, or could not be.
async fn written(writing: &mut Option<JoinHandle<()>>) {
    if let Some(piece) = writing {
        let _ = piece.await;
    }
    *writing = None;
}

/// What a command has said: to be shown, or held back until it fails. The end of it is kept.
#[derive(Clone)]
struct Said {
    held_back: bool,
    kept: Arc<Mutex<VecDeque<u8>>>,
    /// What was read last, and not handed to who writes it.
    to_show: Arc<Mutex<Vec<u8>>>,
}

impl Said {
    fn new(held_back: bool) -> Self {
        Self {
            held_back,
            kept: Arc::default(),
            to_show: Arc::default(),
        }
    }

    fn show(&self, lines: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(lines);
        let too_many = kept.len().saturating_sub(KEPT);
        kept.drain(..too_many);
        if !self.held_back {
            self.to_show().extend_from_slice(lines);
        }
    }

    fn to_show(&self) -> MutexGuard<'_, Vec<u8>> {
        self.to_show.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_what_is_to_be_shown(&self) -> Vec<u8> {
        mem::take(&mut *self.to_show())
    }

    fn show_what_was_held_back(&self) {
        if self.held_back {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            self.to_show().extend_from_slice(kept.make_contiguous());
        }
    }

    fn end(&self) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }
}

/// Writes a piece, behind what was said before. Whoever reads slowly holds up the thread that calls.
fn write(lines: &[u8]) {
    let _ = match stdio::opened() {
        Some(streams) => streams.error_in_turn().write_all(lines),
        None => io::stderr().lock().write_all(lines),
    };
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
