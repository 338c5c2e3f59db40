//! The terminal of the process, whatever its standard streams lead to: nothing is done with it but in front of it.
//!
//! A process behind another one in its terminal (after Control-Z and `bg`) that reads what is typed, or sets anything, is stopped
//! by the kernel as a whole. So the thread that asks takes no such signal ([`never_stopped`]), and looks who is in front before
//! each thing that it does: what is typed for another process is not read or discarded, and nothing is written over it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, getpgrp};
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};

/// The terminal, which the kernel edits the lines of.
pub(super) struct Tty {
    file: File,
    group: Pid,
}

/// Why nobody can be asked.
#[derive(Debug)]
pub(super) enum Away {
    /// Another process is in front.
    Behind,
    /// There is no terminal any more.
    Gone(io::Error),
}

impl Tty {
    pub(super) fn open() -> io::Result<Self> {
        let file = File::options().read(true).write(true).open("/dev/tty")?;
        let group = getpgrp();
        Ok(Self { file, group })
    }

    /// True if what is typed is for this process, and not for another one that is in front of it.
    ///
    /// # Errors
    ///
    /// It is no longer the terminal of this process: it was closed, or whoever began its session has ended.
    pub(super) fn is_ours(&self) -> io::Result<bool> {
        match tcgetpgrp(&self.file) {
            Ok(front) => Ok(front == self.group),
            // Nobody of this process's namespace is.
            Err(Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Discards what was typed until now. True if there was a whole line.
    pub(super) fn discard_input(&self) -> Result<bool, Away> {
        self.in_front()?;
        let had_line = self.is_readable(Duration::ZERO)?.is_some();
        tcflush(&self.file, QueueSelector::IFlush).map_err(|errno| self.failed(errno.into()))?;
        Ok(had_line)
    }

    pub(super) fn write(&self, text: &str) -> Result<(), Away> {
        self.in_front()?;
        let written = (&self.file).write_all(text.as_bytes());
        written.map_err(|error| self.failed(error))
    }

    /// A line that was typed, within `time`. None if there is none yet.
    ///
    /// # Errors
    ///
    /// The terminal is gone, or another process is in front.
    pub(super) fn line(&self, time: Duration) -> Result<Option<String>, Away> {
        let readable = self.is_readable(time)?;
        // A line that is there now may be another one's.
        self.in_front()?;
        let Some(flags) = readable else {
            return Ok(None);
        };
        let mut line = [0; LONGEST_LINE];
        let read = (&self.file).read(&mut line).map_err(|error| self.failed(error))?;
        match read {
            // Control-D answers nothing, and the next question is one again.
            0 if flags.contains(PollFlags::HUP) => Err(Away::Gone(io::ErrorKind::BrokenPipe.into())),
            read => Ok(Some(String::from_utf8_lossy(&line[..read]).into_owned())),
        }
    }

    fn is_readable(&self, time: Duration) -> Result<Option<PollFlags>, Away> {
        let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
        let time = Timespec::try_from(time).map_err(|error| Away::Gone(io::Error::other(error)))?;
        match poll(&mut fds, Some(&time)) {
            Ok(0) | Err(Errno::INTR) => Ok(None),
            Ok(_) => Ok(Some(fds[0].revents())),
            Err(errno) => Err(Away::Gone(errno.into())),
        }
    }

    fn in_front(&self) -> Result<(), Away> {
        match self.is_ours() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Away::Behind),
            Err(error) => Err(Away::Gone(error)),
        }
    }

    /// The kernel refuses what is done from behind with the error of a terminal that broke.
    fn failed(&self, error: io::Error) -> Away {
        match self.in_front() {
            Err(away) => away,
            Ok(()) => Away::Gone(error),
        }
    }
}

/// Has the thread that calls fail, where it would otherwise have the whole process stopped for what it does with a terminal
/// that another process is in front of. Other threads are as before.
#[expect(unsafe_code, reason = "the standard library blocks no signals; see SAFETY")]
pub(super) fn never_stopped() -> io::Result<()> {
    // SAFETY: the set is initialised by `sigemptyset` before anything reads it, and no handler is set or run by this.
    let failed = unsafe {
        let mut signals = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGTTIN);
        libc::sigaddset(&raw mut signals, libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut())
    };
    match failed {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Bytes of a line, as the kernel has it (N_TTY_BUF_SIZE).
const LONGEST_LINE: usize = 4096;
