//! `--ask`: at a terminal, somebody is asked about what only the author's list refuses.
//!
//! ```text
//! guests ── Questioner::ask ──▶ Desk: one question for all who wait for it, so many a minute, what was answered
//!                                 │ one at a time                    ▲
//!                                 ▼                                  │ once, run, write, no
//!                               Screen, a thread: the terminal is held, what was typed before is discarded
//!                                 │ write
//!                                 ▼
//!                               Writer, a process outside the kernel's sandbox: an entry into `spin.toml`
//! ```
//!
//! It is opened before the sandbox closes ([`Prepared`]), and runs once there may be threads. When the process is to stop, or
//! the terminal goes away, the answer is no, to whoever waits and to all who come.

mod desk;
mod screen;
mod tty;
mod wording;
mod writer;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use outport_check::Diagnostic;
use outport_egress::{PendingReply, Question, Questioner, Reply};
use outport_policy::Location;
use rustix::fs::{FileType, fstat, makedev};

use self::desk::{Answer, Asked, Desk, Key, Waiting};
use self::screen::Screen;
use self::tty::Tty;
use self::writer::Writer;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// The option of the commands that run guests.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AskOptions {
    /// Ask at the terminal about each attempt that only the author's list refuses: once, for this run, write it to
    /// `spin.toml`, no
    #[arg(long)]
    pub(crate) ask: bool,
}

/// What has to be opened before the process gives up opening.
pub(crate) struct Prepared {
    tty: Tty,
    writer: Option<Writer>,
    several: bool,
}

/// Somebody at a terminal, who is asked.
pub(crate) struct Asking {
    desk: Arc<Mutex<Desk<Question>>>,
    /// There is a question, or no more of them.
    changed: Condvar,
}

impl AskOptions {
    /// Opens the terminal, if somebody is to be asked. Entries are written to `manifest`, where there is one that can be.
    /// To be called while the process has one thread.
    ///
    /// # Errors
    ///
    /// There is nobody at a terminal, or a guest could write over a question there.
    pub(crate) fn prepare(&self, manifest: Option<&Path>) -> Result<Option<Prepared>, Failure> {
        if !self.ask {
            return Ok(None);
        }
        let nobody = |why: &str| {
            let error = Diagnostic::error(format!("`--ask` needs somebody at a terminal, and {why}"));
            Failure::unusable(error.helped_by(
                "leave `--ask` out: what the list does not have is refused then, with the line that would permit it",
            ))
        };
        if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
            return Err(nobody("`CI` is set"));
        }
        if !io::stderr().is_terminal() {
            return Err(nobody("standard error is none"));
        }
        let tty = Tty::open().map_err(|error| nobody(&format!("there is none: {error}")))?;
        if !tty.is_ours().unwrap_or(false) {
            return Err(nobody("this process is in the background"));
        }
        if let Some(what) = passed_on(io::stdout()) {
            let error = Diagnostic::error(format!(
                "with `--ask` nobody but Outport may write to the terminal, and standard output is {what}"
            ));
            return Err(Failure::unusable(error.helped_by(
                "write it to a file, as in `> out.txt`, or to the terminal itself: whoever reads it could print what a guest \
                 wrote over a question that stands, and a guest could make that look like another question",
            )));
        }
        let writer = manifest.map(Writer::start).transpose();
        let writer = writer.context("cannot start the process that writes to `spin.toml`")?;
        let several = false;
        Ok(Some(Prepared { tty, writer, several }))
    }
}

/// What a stream is, if somebody else may print what is written there: neither a terminal, which is held while a question
/// stands, nor a file.
fn passed_on(stream: impl AsFd + IsTerminal) -> Option<&'static str> {
    if stream.is_terminal() {
        return None;
    }
    let Ok(status) = fstat(stream) else {
        return Some("something that cannot be looked at");
    };
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => None,
        FileType::CharacterDevice if status.st_rdev == makedev(1, 3) => None,
        FileType::Fifo => Some("a pipe"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice => Some("a device"),
        _ => Some("no file"),
    }
}

impl Prepared {
    /// Has several components share the questions that may come.
    pub(crate) fn shared(&mut self) {
        self.several = true;
    }

    /// Begins to ask whoever is at the terminal.
    pub(crate) fn start(self, terminal: Terminal) -> io::Result<Arc<Asking>> {
        let asking = Arc::new(Asking {
            desk: Arc::new(Mutex::new(Desk::new(self.several))),
            changed: Condvar::new(),
        });
        Screen::start(self.tty, self.writer, asking.clone(), terminal)?;
        Ok(asking)
    }
}

impl Asking {
    /// No to all who wait, and to all who come. True if it was so already.
    pub(crate) fn close(&self) -> bool {
        let was_closed = {
            let mut desk = self.desk();
            let was_closed = desk.is_closed();
            desk.close();
            was_closed
        };
        self.changed.notify_all();
        was_closed
    }

    fn desk(&self) -> MutexGuard<'_, Desk<Question>> {
        locked(&self.desk)
    }
}

/// Nothing that is done while it is locked leaves half of something.
fn locked<Q>(desk: &Mutex<Desk<Q>>) -> MutexGuard<'_, Desk<Q>> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the answer, for as long as a question may stand and no longer, whatever the thread that asks is at: its terminal
/// can stand still.
async fn answer<Q>(desk: &Mutex<Desk<Q>>, mut waiting: Waiting) -> Reply {
    let answered = waiting.reply.wait_for(Option::is_some);
    match tokio::time::timeout_at(waiting.until.into(), answered).await {
        // Where nobody answers any more it is a no.
        Ok(answered) => answered.ok().and_then(|reply| *reply).unwrap_or(Reply::No),
        Err(_) => {
            locked(desk).answer(waiting.number, Answer::Silence, Instant::now());
            Reply::No
        }
    }
}

impl Questioner for Asking {
    fn ask(&self, question: Question) -> PendingReply {
        let asked = self.desk().ask(Key::of(&question), question, Instant::now());
        match asked {
            Asked::Answered(reply) => Box::pin(std::future::ready(reply)),
            Asked::Waits(waiting) => {
                self.changed.notify_all();
                let desk = self.desk.clone();
                Box::pin(async move { answer(&desk, waiting).await })
            }
        }
    }

    fn location(&self) -> Location {
        Location::Option { name: "--ask".into() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_somebody_else_may_print_is_told_from_a_file() {
        let (reader, writer) = io::pipe().unwrap();
        let (socket, _other) = UnixStream::pair().unwrap();
        let what = |file: &dyn AsFd| {
            let file = File::from(file.as_fd().try_clone_to_owned().unwrap());
            passed_on(file)
        };
        assert_eq!(what(&writer), Some("a pipe"));
        assert_eq!(what(&socket), Some("a socket"));
        assert_eq!(what(&File::open("/dev/zero").unwrap()), Some("a device"));
        assert_eq!(what(&File::open("/").unwrap()), Some("no file"));
        assert_eq!(what(&File::open("/dev/null").unwrap()), None);
        assert_eq!(what(&tempfile::tempfile().unwrap()), None);
        drop(reader);
    }

    #[test]
    fn nobody_waits_for_longer_than_a_question_may_stand() {
        let desk = Mutex::new(Desk::new(false));
        let key = || Key::new("web", "a");
        let Asked::Waits(waiting) = locked(&desk).ask(key(), (), Instant::now()) else {
            panic!("nobody asked before");
        };
        // As it would be at the end of its time. No thread asks anybody.
        let soon = Instant::now() + Duration::from_millis(10);
        let waiting = Waiting {
            until: soon,
            ..waiting
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        assert_eq!(runtime.block_on(answer(&desk, waiting)), Reply::No);
        assert!(Instant::now() >= soon);
        // It is forgotten, and what comes at once has the same answer.
        assert!(locked(&desk).first(Instant::now()).is_none());
        assert!(matches!(
            locked(&desk).ask(key(), (), Instant::now()),
            Asked::Answered(Reply::No)
        ));
    }
}
