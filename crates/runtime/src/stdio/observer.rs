//! What guests print, line by line, for somebody beside the readers of the streams.

use std::fmt;
use std::sync::{Arc, OnceLock};

use outport_egress::GateCtx;
use outport_egress::trace::{Trace, TraceCell};

use super::lines::LineSplitter;

/// Somebody who is told of the lines of guests.
pub trait OutputObserver: Send + Sync + 'static {
    /// Takes one. Called on the thread of the guest: must neither block nor panic.
    fn printed(&self, line: &GuestLine<'_>);
}

/// A line that a guest has printed.
#[derive(Clone)]
#[non_exhaustive]
pub struct GuestLine<'a> {
    /// The id of the component.
    pub component: &'a Arc<str>,
    /// The number of the instance, as the audit has it.
    pub instance: u64,
    /// The stream that it was written to.
    pub stream: Stream,
    /// The line without its line break, as the guest wrote it: 8 KiB at most, what is longer comes as several.
    pub bytes: &'a [u8],
    /// The point of a trace at which the instance is.
    pub trace: Trace,
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

static OBSERVER: OnceLock<Arc<dyn OutputObserver>> = OnceLock::new();

/// Has `observer` told of the lines of all guests that start from now on, beside the streams of the process. There can be
/// one: a second call changes nothing.
pub fn observe(observer: Arc<dyn OutputObserver>) {
    let _ = OBSERVER.set(observer);
}

/// What an instance prints to one stream, told to the observer.
pub(super) struct ObservedLines {
    observer: &'static Arc<dyn OutputObserver>,
    component: Arc<str>,
    instance: u64,
    stream: Stream,
    trace: TraceCell,
    lines: LineSplitter,
}

impl ObservedLines {
    /// Those of an instance with this gate, if there is an observer.
    pub(super) fn of(gate: &GateCtx, stream: Stream) -> Option<Self> {
        Some(Self {
            observer: OBSERVER.get()?,
            component: gate.component().clone(),
            instance: gate.instance(),
            stream,
            trace: gate.trace().clone(),
            lines: LineSplitter::default(),
        })
    }

    pub(super) fn wrote(&self, bytes: &[u8]) {
        self.lines.split(bytes, |line| self.tell(line));
    }

    fn tell(&self, bytes: &[u8]) {
        self.observer.printed(&GuestLine {
            component: &self.component,
            instance: self.instance,
            stream: self.stream,
            bytes,
            trace: self.trace.get(),
        });
    }
}

impl Drop for ObservedLines {
    fn drop(&mut self) {
        let begun = self.lines.take_begun();
        if !begun.is_empty() {
            self.tell(&begun);
        }
    }
}

impl fmt::Debug for ObservedLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedLines")
            .field("component", &self.component)
            .finish_non_exhaustive()
    }
}
