//! The terminal: shows a question at a time, and reads what a person types.
//!
//! ```text
//! a question ─▶ the streams are held ─▶ whatever a guest left the terminal in is ended ─▶ what was typed is discarded ─▶ shown
//!   ▲                                                                                                                   │
//!   └────────────── the streams are released ◀── an answer, withdrawn, out of time, to stop, the terminal is gone ◀─────┘
//! ```
//!
//! It is read from and written to by a descriptor of its own, `/dev/tty`, whose lines the kernel edits: nothing is changed
//! about the terminal that would have to be put right. What a guest prints gives it nothing: only what is typed while a
//! question of Outport's stands is an answer, and guests do not write then.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use outport_egress::Question;
use outport_policy::{Addition, text};
use outport_runtime::stdio;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};

use super::Asking;
use super::desk::{A_MINUTE, Answer, Shown, State};
use super::wording::{self, Choice, Offer};
use super::writer::Writer;
use crate::terminal::Terminal;

/// The terminal of the process, whatever its standard streams lead to.
pub(super) struct Tty(File);

impl Tty {
    pub(super) fn open() -> io::Result<Self> {
        File::options().read(true).write(true).open("/dev/tty").map(Self)
    }

    /// True if what is typed is for this process, and not for another one that is in front of it.
    pub(super) fn is_ours(&self) -> bool {
        tcgetpgrp(&self.0).is_ok_and(|front| front == getpgrp())
    }

    /// Discards what was typed until now.
    fn discard_input(&self) -> io::Result<()> {
        Ok(tcflush(&self.0, QueueSelector::IFlush)?)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        (&self.0).write_all(text.as_bytes())
    }

    /// A line that was typed, within `time`. None if there is none yet.
    ///
    /// # Errors
    ///
    /// The terminal is gone, or whoever sits there has ended the input.
    fn line(&self, time: Duration) -> io::Result<Option<String>> {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&time)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut line = [0; LONGEST_LINE];
        match (&self.0).read(&mut line)? {
            // Control-D answers nothing, and the next question is one again.
            0 if fds[0].revents().contains(PollFlags::HUP) => Err(io::ErrorKind::BrokenPipe.into()),
            read => Ok(Some(String::from_utf8_lossy(&line[..read]).into_owned())),
        }
    }
}

/// The thread that asks.
pub(super) struct Screen {
    tty: Tty,
    writer: Option<Writer>,
    asking: Arc<Asking>,
    terminal: Terminal,
}

/// The way in which a question ended.
enum End {
    Answered(Choice),
    Withdrawn,
    OutOfTime,
    /// The process stops.
    Closed,
}

impl Screen {
    pub(super) fn start(
        tty: Tty,
        writer: Option<Writer>,
        asking: Arc<Asking>,
        terminal: Terminal,
    ) -> io::Result<()> {
        let screen = Self {
            tty,
            writer,
            asking,
            terminal,
        };
        thread::Builder::new()
            .name("outport-ask".into())
            .spawn(move || screen.run())
            .map(drop)
    }

    fn run(mut self) {
        while let Some(shown) = self.next() {
            if self.handle(&shown).is_err() {
                // There is nobody any more.
                self.asking.close();
            }
        }
    }

    /// Waits for a question; none when there will be no more.
    fn next(&self) -> Option<Shown<Question>> {
        let mut desk = self.asking.desk();
        loop {
            let now = Instant::now();
            if desk.is_closed() {
                return None;
            }
            if let Some(beyond) = desk.take_beyond(now) {
                // Not while it is locked: whoever asks would wait for who reads.
                drop(desk);
                self.terminal.insist(&format!(
                    "outport asks no more than {A_MINUTE} questions a minute: the answer to {beyond} more was no"
                ));
                desk = self.asking.desk();
                continue;
            }
            if let Some(first) = desk.first(now) {
                return Some(first);
            }
            let waited = self.asking.changed.wait_timeout(desk, IDLE);
            desk = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn handle(&mut self, shown: &Shown<Question>) -> io::Result<()> {
        let offer = Offer::of(&shown.question, self.writer.is_some());
        let streams = stdio::opened();
        let held = match streams.map(|streams| streams.hold(HOLD_TIME)) {
            // It stands still: nobody would see a question, and it stays until it is out of time.
            Some(None) => return Ok(()),
            Some(Some(held)) => Some(held),
            None => None,
        };
        let begun = held.as_ref().is_some_and(stdio::Held::is_in_a_line);
        let end = self.ask(shown, offer, begun)?;
        let said = self.settle(shown, end);
        if let Some(said) = said {
            self.tty.write(&format!("  {}\n", text::terminal(&said)))?;
        }
        drop(held);
        Ok(())
    }

    fn ask(&self, shown: &Shown<Question>, offer: Offer, in_a_line: bool) -> io::Result<End> {
        let begin = if in_a_line { "\n" } else { "" };
        self.tty.write(&format!("{PUT_RIGHT}{begin}"))?;
        // What a terminal answers to something that a guest wrote is no answer to a question either.
        thread::sleep(SETTLE);
        self.tty.discard_input()?;
        let manifest = self.writer.as_ref().map(Writer::manifest);
        let lines = wording::lines(&shown.question, manifest).join("\n");
        self.tty
            .write(&format!("{lines}\n{}", offer.prompt(left(shown))))?;
        loop {
            let line = self.tty.line(GLANCE)?;
            let state = {
                let desk = self.asking.desk();
                if desk.is_closed() {
                    return self.ended("", End::Closed);
                }
                desk.state(shown.number, Instant::now())
            };
            match (state, line.map(|line| offer.read(&line))) {
                (State::Withdrawn, _) => {
                    return self.ended(
                        "  withdrawn: nobody waits for the answer any more",
                        End::Withdrawn,
                    );
                }
                (State::OutOfTime, _) => return self.ended("  nobody answered: no", End::OutOfTime),
                (State::Stands, None) => {}
                (State::Stands, Some(Some(choice))) => return Ok(End::Answered(choice)),
                (State::Stands, Some(None)) => {
                    self.tty.write(&format!(
                        "  that is none of the answers\n{}",
                        offer.prompt(left(shown))
                    ))?;
                }
            }
        }
    }

    /// Ends the line of the prompt, which nobody has.
    fn ended(&self, said: &str, end: End) -> io::Result<End> {
        self.tty
            .write(&format!("\n{said}{}", if said.is_empty() { "" } else { "\n" }))?;
        Ok(end)
    }

    /// Puts an answer in force, and answers what there is to say.
    fn settle(&mut self, shown: &Shown<Question>, end: End) -> Option<String> {
        let mut said = None;
        let answer = match end {
            End::Closed => return None,
            End::Withdrawn | End::Answered(Choice::No) => Answer::No,
            End::OutOfTime => Answer::Silence,
            End::Answered(Choice::Once) => Answer::Once,
            End::Answered(Choice::Run) => Answer::Run,
            End::Answered(Choice::Write) => {
                said = self.write(shown);
                Answer::Run
            }
        };
        self.asking.desk().answer(shown.number, answer, Instant::now());
        said
    }

    fn write(&mut self, shown: &Shown<Question>) -> Option<String> {
        let (Some(writer), Addition::Entry(entry)) = (&mut self.writer, &shown.question.addition) else {
            return None;
        };
        Some(match writer.write(&shown.question.list, entry.text()) {
            Ok(()) => format!("written to {}", writer.manifest()),
            Err(why) => format!(
                "not written to {}, and permitted for this run: {why}",
                writer.manifest()
            ),
        })
    }
}

fn left(shown: &Shown<Question>) -> Duration {
    shown.until.saturating_duration_since(Instant::now())
}

/// Ends what the output of a guest can have begun: a sequence or a string that has no end yet, a link, another character set,
/// colours, a hidden cursor, the alternate screen, a part of the screen that alone scrolls, reports of the mouse and of what
/// is pasted. The cursor stays where it is.
const PUT_RIGHT: &str = concat!(
    // Cancels what has no end yet: a sequence, a string, a link.
    "\x18\x1b\\\x1b]8;;\x1b\\",
    // To leave the alternate screen restores a cursor, which is to be that of now if it was not there.
    "\x0f\x1b(B\x1b[0m\x1b7\x1b[?1049l\x1b[?6l\x1b7\x1b[r\x1b8",
    // Reports, and what changes how text is written.
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[4l\x1b[20l",
    "\x0f\x1b(B\x1b[0m\x1b[?25h\x1b[?7h\r"
);

/// The time between two looks whether there is something to tell, where there is no question.
const IDLE: Duration = Duration::from_millis(500);

/// The time between two looks whether a question still stands.
const GLANCE: Duration = Duration::from_millis(50);

/// The time that a terminal has for what it answers by itself.
const SETTLE: Duration = Duration::from_millis(50);

/// The time that output has to be written before a question.
const HOLD_TIME: Duration = Duration::from_secs(2);

/// Bytes of a line, as the kernel has it (N_TTY_BUF_SIZE).
const LONGEST_LINE: usize = 4096;
