//! Bytes through a bounded queue to a thread that writes them.
//!
//! ```text
//! offer  ──▶ taken whole, or dropped whole and counted ─┐
//! accept ──▶ taken as far as there is room ─────────────┴─▶ queue ──▶ thread ──▶ write(2), as long as it takes
//! ```
//!
//! Only the thread ever waits for the file. A queue that was full takes nothing more until half of it is written, so
//! that there are few gaps, and each has a count. The counts are logged: by the thread when it comes through again, by
//! whoever drops if the log goes elsewhere, and at the end; at most every 10 s, so that a slow reader gets few
//! lines.
//!
//! An error of the file loses what was being written, and the next write is tried again, as if everybody wrote in
//! place: a pipe may get a new reader, a disk new room.

mod writer;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// A file that nobody waits for. Dropping it ends the thread, once what is queued is written.
#[derive(Debug)]
pub(super) struct OutputQueue {
    shared: Arc<QueueInner>,
}

/// The file that a queue leads to, and what is made of a loss.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// The name in the log.
    pub(super) name: &'static str,
    /// The name of its thread.
    pub(super) thread: &'static str,
    /// True if whoever drops says so at once: not if the log leads to the same file.
    pub(super) warns_at_once: bool,
    /// True if the thread logs what is lost to errors of the file. Else the writer gets to know.
    pub(super) logs_errors: bool,
}

#[derive(Debug)]
struct QueueInner {
    output: Output,
    state: Mutex<State>,
    /// There is something to write.
    work: Condvar,
    /// Something was written.
    progress: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<u8>,
    /// Bytes that the thread has taken and not written yet.
    in_hand: usize,
    /// The thread waits for work.
    idle: bool,
    /// Threads that wait for progress.
    watched_by: usize,
    /// True if it was full, and not half of it is written yet.
    full: bool,
    closed: bool,
    /// What is queued stays where it is.
    held: bool,
    /// Bytes that were written or lost so far.
    done: u64,
    /// The place behind the last byte that was lost to an error of the file, counted as `done` is, and the error.
    lost: Option<(u64, io::ErrorKind)>,
    /// The places of bytes whose writers wait, and get to know what becomes of them.
    waited_for: Vec<Range<u64>>,
    /// The last byte that was taken is a guest's, and no line break.
    guest_in_a_line: bool,
    /// By what a writer's bytes were lost, until one gets to know.
    error: Option<io::Error>,
    /// By what bytes were lost, until that is logged.
    logged_error: Option<io::Error>,
    /// Bytes that were dropped since that was last logged.
    dropped: u64,
    logged: Option<Instant>,
    /// Those to wake once there is no more than so much in the queue.
    waiting: Vec<(usize, Waker)>,
}

impl OutputQueue {
    /// Starts the thread that writes to `file`.
    pub(super) fn start(output: Output, file: File) -> io::Result<Self> {
        let shared = Arc::new(QueueInner {
            output,
            state: Mutex::default(),
            work: Condvar::new(),
            progress: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name(output.thread.to_owned())
            .spawn(move || writer.write_all(file))?;
        Ok(Self { shared })
    }

    /// Takes all of `bytes`, or drops and counts all of them. Never waits.
    pub(super) fn offer(&self, bytes: &[u8]) {
        let mut state = self.shared.lock();
        if state.has_room_for(bytes.len(), CAPACITY) {
            return self.shared.push(state, bytes);
        }
        state.full = true;
        state.dropped += bytes.len() as u64;
        if self.shared.output.warns_at_once {
            self.shared.log_dropped(state);
        }
    }

    /// As [`offer`](OutputQueue::offer), for lines of Outport's own: they have room that guests cannot take, and begin
    /// a line whatever a guest wrote before.
    pub(super) fn offer_line(&self, bytes: &[u8]) {
        let mut state = self.shared.lock();
        if state.queued() + bytes.len() <= CAPACITY + FOR_LINES {
            return self.shared.push_own(state, bytes);
        }
        state.dropped += bytes.len() as u64;
    }

    /// Takes the beginning of `bytes`, and answers how much; wakes the task when it may go on, if that is nothing.
    ///
    /// # Errors
    ///
    /// The file could not be written to since this was last asked.
    pub(super) fn accept(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.poll_room(context) {
            Poll::Ready(()) => {}
            Poll::Pending => return Poll::Pending,
        }
        let mut state = self.shared.lock();
        if let Some(error) = state.error.take() {
            return Poll::Ready(Err(error));
        }
        // Another stream may have taken the room since: one byte goes beyond, so that something is always taken.
        let taken = bytes.len().min(state.room().max(1));
        self.shared.push(state, &bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    /// Takes all of `bytes`, of which the room was asked for.
    ///
    /// # Errors
    ///
    /// As for [`accept`](OutputQueue::accept); or it is more than there was ever room for.
    pub(super) fn push(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.shared.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        // Several streams may have asked for the same room.
        if state.queued() + bytes.len() > 2 * CAPACITY {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.shared.push(state, bytes);
        Ok(())
    }

    /// The number of bytes that [`push`](OutputQueue::push) takes: none while it is full.
    ///
    /// # Errors
    ///
    /// As for [`accept`](OutputQueue::accept).
    pub(super) fn room(&self) -> io::Result<usize> {
        let mut state = self.shared.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        Ok(state.room())
    }

    /// Waits for room, or an error.
    pub(super) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        if state.error.is_some() || state.room() > 0 {
            return Poll::Ready(());
        }
        state.wake(CAPACITY / 2, context.waker());
        Poll::Pending
    }

    /// Waits until everything is written, or an error.
    pub(super) fn poll_written(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        if state.queued() == 0 || state.error.is_some() {
            return Poll::Ready(());
        }
        state.wake(0, context.waker());
        Poll::Pending
    }

    /// Writes all of `bytes`, whole lines of Outport's own as in [`offer_line`](OutputQueue::offer_line), and holds the
    /// thread that calls until they are written.
    ///
    /// # Errors
    ///
    /// The file could not be written to: some of them are lost.
    pub(super) fn write_in_turn(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut state = self.shared.lock();
        state.watched_by += 1;
        // For more than that there might never be room: a full queue opens again at one half.
        let wait = |state: &mut State| !state.has_room_for(bytes.len().min(CAPACITY / 2), CAPACITY);
        let mut state = self
            .shared
            .progress
            .wait_while(state, wait)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let begin = state.done + state.queued() as u64;
        // With the end of a guest's line.
        let end = begin + u64::from(state.guest_in_a_line) + bytes.len() as u64;
        state.waited_for.push(begin..end);
        self.shared.push_own(state, bytes);
        let state = self.shared.lock();
        let written = self.shared.progress.wait_while(state, |state| state.done < end);
        let mut state = written.unwrap_or_else(|poisoned| poisoned.into_inner());
        state.watched_by -= 1;
        state.waited_for.retain(|place| *place != (begin..end));
        match state.lost {
            Some((lost, error)) if lost > begin => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Has what is queued from now on wait until it is [released](Self::release), and waits for what is being written, no
    /// longer than `limit`. Answers whether a guest may be in the middle of a line; nothing if it took too long, and then
    /// nothing is held.
    pub(super) fn hold(&self, limit: Duration) -> Option<bool> {
        let mut state = self.shared.lock();
        state.held = true;
        state.watched_by += 1;
        let waited = self
            .shared
            .progress
            .wait_timeout_while(state, limit, |state| state.in_hand > 0);
        let (mut state, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        state.watched_by -= 1;
        if state.in_hand > 0 {
            state.held = false;
            return None;
        }
        // Of what waits by now it is not known where what was written ended.
        Some(state.guest_in_a_line || !state.pending.is_empty())
    }

    /// Lets what was held be written.
    pub(super) fn release(&self) {
        self.shared.lock().held = false;
        self.shared.work.notify_one();
    }

    /// Waits until everything is written, no longer than `limit`. What is lost by then is logged.
    pub(super) fn finish(&self, limit: Duration) {
        // Whoever holds it has nobody any more who would see a question.
        self.release();
        self.wait_until_written(limit);
        let mut state = self.shared.lock();
        state.dropped += state.queued() as u64;
        if state.dropped > 0 {
            // Whenever it was logged last: there is no later.
            state.logged = None;
            self.shared.log_dropped(state);
        }
    }

    /// Waits until everything is written, no longer than `limit`.
    pub(super) fn wait_until_written(&self, limit: Duration) {
        let mut state = self.shared.lock();
        state.watched_by += 1;
        let wait = |state: &mut State| state.queued() > 0 && state.error.is_none();
        let waited = self.shared.progress.wait_timeout_while(state, limit, wait);
        let (mut state, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        state.watched_by -= 1;
    }

    /// The last error that nobody has got to know.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.shared.lock().error.take()
    }
}

impl Drop for OutputQueue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
    }
}

impl State {
    fn queued(&self) -> usize {
        self.pending.len() + self.in_hand
    }

    fn room(&self) -> usize {
        if self.full {
            0
        } else {
            CAPACITY.saturating_sub(self.queued())
        }
    }

    fn has_room_for(&self, bytes: usize, capacity: usize) -> bool {
        !self.full && self.queued() + bytes <= capacity
    }

    fn wake(&mut self, at: usize, waker: &Waker) {
        if self
            .waiting
            .iter()
            .any(|(known_at, known)| *known_at == at && known.will_wake(waker))
        {
            return;
        }
        // Those whose task has gone on long ago are never taken out one by one.
        if self.waiting.len() >= WAITING {
            self.waiting.drain(..).for_each(|(_, waker)| waker.wake());
        }
        self.waiting.push((at, waker.clone()));
    }
}

impl QueueInner {
    /// Nothing panics while it is locked; and output goes on whatever does.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes what a guest wrote.
    fn push(&self, mut state: MutexGuard<'_, State>, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            state.guest_in_a_line = *last != b'\n';
        }
        self.push_as_it_is(state, bytes);
    }

    /// Takes lines of Outport's own. A line that a guest has begun is ended first, or it would swallow the first of
    /// them.
    fn push_own(&self, mut state: MutexGuard<'_, State>, bytes: &[u8]) {
        if !bytes.is_empty() && std::mem::take(&mut state.guest_in_a_line) {
            state.pending.push(b'\n');
        }
        self.push_as_it_is(state, bytes);
    }

    fn push_as_it_is(&self, mut state: MutexGuard<'_, State>, bytes: &[u8]) {
        state.pending.extend_from_slice(bytes);
        if state.queued() >= CAPACITY {
            state.full = true;
        }
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        if idle {
            self.work.notify_one();
        }
    }
}

/// Bytes that wait for the file at most.
pub(super) const CAPACITY: usize = 1 << 20;

/// Bytes of lines of the log that wait for it beside those.
const FOR_LINES: usize = 64 << 10;

/// Tasks that are remembered to be woken.
const WAITING: usize = 64;

#[cfg(test)]
mod tests;
