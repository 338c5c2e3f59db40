//! Terminals that nobody writes to but whoever holds them, so that a person can be asked something.
//!
//! What guests and Outport write meanwhile waits in the [queues](super::queue), which are bounded: it is treated as ever when
//! they are full. A stream that is no terminal is not held, since nobody is asked there.

use std::time::{Duration, Instant};

use super::{StandardStreams, Stream};

/// The terminals, held. They are released when this is dropped.
#[derive(Debug)]
pub struct Held<'s> {
    streams: &'s StandardStreams,
    held: Vec<Stream>,
    in_a_line: bool,
}

impl StandardStreams {
    /// Holds the terminals among the streams, and waits until what is being written to them is written, for `limit` at most.
    /// Holds the thread that calls. Only one may do it at a time.
    ///
    /// None if it took too long: a terminal stands still.
    pub fn hold(&self, limit: Duration) -> Option<Held<'_>> {
        let begun = Instant::now();
        let mut held = Held {
            streams: self,
            held: Vec::new(),
            in_a_line: false,
        };
        for stream in &self.terminals {
            let left = limit.saturating_sub(begun.elapsed());
            held.in_a_line |= self.queue(*stream).hold(left)?;
            held.held.push(*stream);
        }
        Some(held)
    }
}

impl Held<'_> {
    /// True if a guest has begun a line that has no end yet.
    pub fn is_in_a_line(&self) -> bool {
        self.in_a_line
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for stream in &self.held {
            self.streams.queue(*stream).release();
        }
    }
}
