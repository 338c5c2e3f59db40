//! The process's standard output and standard error, which many write to and nobody waits for (ISO-6).
//!
//! Guests print, Outport logs, and whoever reads may be slow, or stand still: a pipe that is full, a terminal that is
//! paused. A thread for each stream does the writing; everybody else hands it bytes and goes on ([`queue`]). Where
//! both streams lead to the same file there is one thread, so that what is written stays in order. What does not fit
//! is treated as [`WhenFull`] says. Nothing else may write to these streams once they are [`open`].

mod guest;
mod held;
mod lines;
mod observer;
mod prefixed;
mod queue;

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use outport_egress::GateCtx;

pub(crate) use self::guest::GuestOutput;
pub use self::held::Held;
pub use self::observer::{GuestLine, OutputObserver, Stream, observe};
pub use self::prefixed::Prefixed;
use self::prefixed::{Reader, prefix_of};
use self::queue::{Output, OutputQueue};

/// The treatment of a guest's output when a mebibyte of it waits for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The output is dropped, each write as a whole, and the log says how much: a service goes on.
    Drop,
    /// The guest waits, within its limits: a command loses nothing.
    Wait,
}

/// Both streams.
#[derive(Debug)]
pub struct StandardStreams {
    output: OutputQueue,
    /// None where it is the same file.
    error: Option<OutputQueue>,
    when_full: WhenFull,
    /// Those that a person looks at.
    terminals: Vec<Stream>,
}

static STREAMS: OnceLock<io::Result<StandardStreams>> = OnceLock::new();

/// Starts the threads that write from now on. A second time it changes nothing. Where it is never called, the first
/// guest that prints does it, with [`WhenFull::Drop`].
///
/// # Errors
///
/// The system gives no thread or no descriptor.
pub fn open(when_full: WhenFull) -> io::Result<&'static StandardStreams> {
    let opened = STREAMS.get_or_init(|| StandardStreams::start(when_full));
    opened.as_ref().map_err(|error| error.kind().into())
}

/// What a program writes that works on a component, on its way to standard error: with the name before each line, as the
/// output of a guest has it, and no more done by it to a terminal. A last line without an end is handed to `rest`.
pub fn of_a_tool(component: &str, rest: impl Fn(&[u8]) + Send + Sync + 'static) -> Prefixed {
    let reader = if io::stderr().is_terminal() {
        Reader::Terminal
    } else {
        Reader::Other
    };
    Prefixed::new(prefix_of(component), reader, rest)
}

/// The streams, if they are open already.
pub fn opened() -> Option<&'static StandardStreams> {
    STREAMS.get()?.as_ref().ok()
}

fn streams() -> io::Result<&'static StandardStreams> {
    open(WhenFull::Drop)
}

/// The outputs that an instance with this gate prints to, its lines behind the name of a component if there is one.
pub(crate) fn of_guests(component: Option<&str>, gate: &GateCtx) -> (GuestOutput, GuestOutput) {
    let prefix = component.map(prefixed::prefix_of);
    let of = |stream| GuestOutput::new(stream, prefix.clone(), gate);
    (of(Stream::Output), of(Stream::Error))
}

impl StandardStreams {
    fn start(when_full: WhenFull) -> io::Result<Self> {
        let (output, error) = (io::stdout(), io::stderr());
        let seen = [
            (Stream::Output, output.is_terminal()),
            (Stream::Error, error.is_terminal()),
        ];
        let terminals = seen
            .into_iter()
            .filter_map(|(stream, is)| is.then_some(stream))
            .collect();
        let _ = (output.lock().flush(), error.lock().flush());
        let output = output.as_fd().try_clone_to_owned()?;
        let error = error.as_fd().try_clone_to_owned()?;
        let one = is_same_file(&output, &error);
        let logs_errors = when_full == WhenFull::Drop;
        let queue_of = |name, thread, warns_at_once| Output {
            name,
            thread,
            warns_at_once,
            logs_errors,
        };
        if one {
            let both = queue_of("standard output and standard error", "outport-output", false);
            return Ok(Self {
                output: OutputQueue::start(both, File::from(output))?,
                error: None,
                when_full,
                terminals,
            });
        }
        let first = queue_of("standard output", "outport-stdout", true);
        let second = queue_of("standard error", "outport-stderr", false);
        Ok(Self {
            output: OutputQueue::start(first, File::from(output))?,
            error: Some(OutputQueue::start(second, File::from(error))?),
            when_full,
            terminals,
        })
    }

    fn queue(&self, stream: Stream) -> &OutputQueue {
        match (stream, &self.error) {
            (Stream::Error, Some(error)) => error,
            _ => &self.output,
        }
    }

    /// Writes text of Outport's own to standard error: all of it, or nothing of it if there is no room. Guests leave
    /// room for 64 KiB of it.
    pub fn say(&self, text: &str) {
        self.queue(Stream::Error).offer_line(text.as_bytes());
    }

    /// Standard output for a thread that may wait: until what it writes is written, or could not be.
    pub fn output_in_turn(&'static self) -> impl Write + Send + 'static {
        InTurn(self.queue(Stream::Output))
    }

    /// Standard error for a thread that may wait, in the same way.
    pub fn error_in_turn(&'static self) -> impl Write + Send + 'static {
        InTurn(self.queue(Stream::Error))
    }

    /// Waits until everything is written that was handed over so far, however long it takes.
    pub async fn written(&self) {
        for queue in [Stream::Output, Stream::Error].map(|stream| self.queue(stream)) {
            poll_fn(|context| queue.poll_written(context)).await;
        }
    }

    /// Waits until everything is written, for `limit` at most, and says what will be lost. An error by which output
    /// of a guest was lost that waits for its output is answered, unless its reader just had enough of it.
    pub fn finish(&self, limit: Duration) -> Option<io::Error> {
        let start = std::time::Instant::now();
        let left = || limit.saturating_sub(start.elapsed());
        self.output.finish(left());
        if let Some(error) = &self.error {
            error.finish(left());
        }
        // What was said just now.
        let last = self.queue(Stream::Error);
        last.wait_until_written(left().max(LAST_WORDS));
        let error = self.output.take_error();
        error.filter(|error| self.when_full == WhenFull::Wait && error.kind() != io::ErrorKind::BrokenPipe)
    }
}

/// True if what is written to one is written behind what was written to the other.
fn is_same_file(one: &OwnedFd, other: &OwnedFd) -> bool {
    let place = |file| rustix::fs::fstat(file).map(|status| (status.st_dev, status.st_ino));
    matches!((place(one), place(other)), (Ok(one), Ok(other)) if one == other)
}

struct InTurn(&'static OutputQueue);

impl Write for InTurn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_in_turn(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Time for the line that says what was lost.
const LAST_WORDS: Duration = Duration::from_millis(100);
