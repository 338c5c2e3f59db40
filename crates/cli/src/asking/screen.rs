//! The terminal: shows a question at a time, and reads what a person types.
//!
//! ```text
//! a question ─▶ the streams are held ─▶ whatever a guest left the terminal in is ended ─▶ shown
//!   ▲                                                                                       ▼
//!   │                                           time to read it, what is typed is discarded, the prompt
//!   │                                                                                       ▼
//!   └── the streams are released ◀── an answer, withdrawn, out of time, to stop, another process in front, no terminal
//! ```
//!
//! It is read from and written to by a descriptor of its own, `/dev/tty`, whose lines the kernel edits: nothing is changed
//! about the terminal that would have to be put right. What a guest prints gives it nothing: only what is typed behind the
//! prompt of a question of Outport's is an answer, and guests do not write then. Nor does the moment, which a guest can choose by
//! withdrawing one question and raising another: what somebody types for the one is not taken for the other.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use outport_egress::Question;
use outport_policy::{Addition, text};
use outport_runtime::stdio;

use super::Asking;
use super::desk::{Answer, Shown, State};
use super::tty::{self, Away, Tty};
use super::wording::{self, Choice, Offer};
use super::writer::Writer;
use crate::terminal::Terminal;

/// The thread that asks.
pub(super) struct Screen {
    tty: Tty,
    writer: Option<Writer>,
    asking: Arc<Asking>,
    terminal: Terminal,
    /// When the last question went away from under whoever was about to answer it.
    went_away: Option<Instant>,
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
            went_away: None,
        };
        thread::Builder::new()
            .name("outport-ask".into())
            .spawn(move || screen.run())
            .map(drop)
    }

    fn run(mut self) {
        if let Err(error) = tty::never_stopped() {
            return self.gone(&error);
        }
        while let Some(shown) = self.next() {
            match self.handle(&shown) {
                Ok(()) => {}
                Err(Away::Behind) => self.went_away = Some(Instant::now()),
                Err(Away::Gone(error)) => self.gone(&error),
            }
        }
    }

    /// There is nobody any more.
    fn gone(&self, error: &io::Error) {
        if !self.asking.close() {
            tracing::warn!(
                %error,
                "nobody can be asked any more, since the terminal is gone: what the lists do not permit is refused"
            );
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
                self.terminal.insist(&wording::beyond(beyond));
                desk = self.asking.desk();
                continue;
            }
            // What is out of time is answered, whoever is in front.
            let first = desk.first(now);
            match self.tty.is_ours() {
                Ok(true) if first.is_some() => return first,
                Ok(_) => {}
                Err(error) => {
                    drop(desk);
                    self.gone(&error);
                    return None;
                }
            }
            let waited = self.asking.changed.wait_timeout(desk, IDLE);
            desk = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn handle(&mut self, shown: &Shown<Question>) -> Result<(), Away> {
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
        if matches!(end, End::Withdrawn | End::OutOfTime) {
            self.went_away = Some(Instant::now());
        }
        let said = self.settle(shown, end);
        if let Some(said) = said {
            self.tty.write(&format!("  {}\n", text::terminal(&said)))?;
        }
        drop(held);
        Ok(())
    }

    fn ask(&self, shown: &Shown<Question>, offer: Offer, in_a_line: bool) -> Result<End, Away> {
        let begin = if in_a_line { "\n" } else { "" };
        self.tty.write(&format!("{PUT_RIGHT}{begin}"))?;
        // What a terminal answers to something that a guest wrote is no answer to a question either.
        thread::sleep(SETTLE);
        self.tty.discard_input()?;
        let manifest = self.writer.as_ref().map(Writer::manifest);
        let lines = wording::lines(&shown.question, manifest).join("\n");
        self.tty.write(&format!("{lines}\n"))?;
        if let Some(end) = self.let_it_be_read(shown)? {
            return Ok(end);
        }
        self.tty.write(&offer.prompt(left(shown)))?;
        let prompted = Instant::now();
        loop {
            let line = self.tty.line(GLANCE)?;
            if let Some(end) = self.over(shown)? {
                return Ok(end);
            }
            let Some(line) = line else { continue };
            let remark = match offer.read(&line) {
                // It can be the end of a `no` whose beginning was discarded.
                Some(Choice::Once) if wording::ends_no(&line) && prompted.elapsed() < REACTION => TOO_SOON,
                Some(choice) => return Ok(End::Answered(choice)),
                None => "that is none of the answers",
            };
            self.tty
                .write(&format!("  {remark}\n{}", offer.prompt(left(shown))))?;
        }
    }

    /// Waits until a person can have read the question. What is typed meanwhile was meant for something else.
    fn let_it_be_read(&self, shown: &Shown<Question>) -> Result<Option<End>, Away> {
        let begun = Instant::now();
        let just_now = self.went_away.is_some_and(|at| at.elapsed() < JUST_NOW);
        let time = if just_now { READ_ANOTHER } else { READ };
        while begun.elapsed() < time {
            thread::sleep(GLANCE);
            if let Some(end) = self.over(shown)? {
                return Ok(Some(end));
            }
        }
        let remark = if self.tty.discard_input()? {
            format!("  {TOO_SOON}\n")
        } else {
            String::new()
        };
        // Over what is shown of a line that was discarded before its end.
        self.tty.write(&format!("\r\x1b[K{remark}"))?;
        Ok(None)
    }

    /// The end of a question that nobody can answer any more, and says so.
    fn over(&self, shown: &Shown<Question>) -> Result<Option<End>, Away> {
        let state = {
            let desk = self.asking.desk();
            if desk.is_closed() {
                None
            } else {
                Some(desk.state(shown.number, Instant::now()))
            }
        };
        Ok(Some(match state {
            Some(State::Stands) => {
                // It is read anew when this process is in front again.
                return match self.tty.is_ours() {
                    Ok(true) => Ok(None),
                    Ok(false) => Err(Away::Behind),
                    Err(error) => Err(Away::Gone(error)),
                };
            }
            None => self.ended("", End::Closed)?,
            // Whoever waited noticed first that its time was over.
            Some(State::Withdrawn) if !left(shown).is_zero() => self.ended(
                "  withdrawn: nobody waits for the answer any more",
                End::Withdrawn,
            )?,
            Some(State::Withdrawn | State::OutOfTime) => {
                self.ended("  nobody answered: no", End::OutOfTime)?
            }
        }))
    }

    /// Ends the line of the prompt, which nobody has.
    fn ended(&self, said: &str, end: End) -> Result<End, Away> {
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
        let is_answered = self.asking.desk().answer(shown.number, answer, Instant::now());
        match said {
            Some(said) if !is_answered => Some(format!("{said}; too late for what asked, which was refused")),
            said => said,
        }
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

/// The time that a person has to read a question before what is typed is an answer to it.
const READ: Duration = Duration::from_secs(1);

/// The same where another question went away [just now](JUST_NOW), which somebody may be about to answer.
const READ_ANOTHER: Duration = Duration::from_secs(2);

const JUST_NOW: Duration = Duration::from_secs(10);

/// Nobody has read the prompt and typed an answer in less.
const REACTION: Duration = Duration::from_millis(400);

const TOO_SOON: &str = "typed too soon: once more";

/// The time that output has to be written before a question.
const HOLD_TIME: Duration = Duration::from_secs(2);
