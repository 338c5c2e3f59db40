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
mod wording;
mod writer;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use outport_check::Diagnostic;
use outport_egress::{PendingReply, Question, Questioner, Reply};
use outport_policy::Location;

use self::desk::{Asked, Desk, Key};
use self::screen::{Screen, Tty};
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
}

/// Somebody at a terminal, who is asked.
pub(crate) struct Asking {
    desk: Mutex<Desk<Question>>,
    /// There is a question, or no more of them.
    changed: Condvar,
}

impl AskOptions {
    /// Opens the terminal, if somebody is to be asked. Entries are written to `manifest`, where there is one that can be.
    /// To be called while the process has one thread.
    ///
    /// # Errors
    ///
    /// There is nobody at a terminal.
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
        if !tty.is_ours() {
            return Err(nobody("this process is in the background"));
        }
        let writer = manifest.map(Writer::start).transpose();
        let writer = writer.context("cannot start the process that writes to `spin.toml`")?;
        Ok(Some(Prepared { tty, writer }))
    }
}

impl Prepared {
    /// Begins to ask whoever is at the terminal.
    pub(crate) fn start(self, terminal: Terminal) -> io::Result<Arc<Asking>> {
        let asking = Arc::new(Asking {
            desk: Mutex::new(Desk::new()),
            changed: Condvar::new(),
        });
        Screen::start(self.tty, self.writer, asking.clone(), terminal)?;
        Ok(asking)
    }
}

impl Asking {
    /// No to all who wait, and to all who come.
    pub(crate) fn close(&self) {
        self.desk().close();
        self.changed.notify_all();
    }

    /// Nothing that is done while it is locked leaves half of something.
    fn desk(&self) -> MutexGuard<'_, Desk<Question>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Questioner for Asking {
    fn ask(&self, question: Question) -> PendingReply {
        let asked = self.desk().ask(Key::of(&question), question, Instant::now());
        match asked {
            Asked::Answered(reply) => Box::pin(std::future::ready(reply)),
            Asked::Waits(mut waiter) => {
                self.changed.notify_all();
                Box::pin(async move {
                    // Where nobody answers any more it is a no.
                    let answered = waiter.wait_for(Option::is_some).await;
                    answered.ok().and_then(|reply| *reply).unwrap_or(Reply::No)
                })
            }
        }
    }

    fn location(&self) -> Location {
        Location::Option { name: "--ask".into() }
    }
}
