//! The side of the thread: writes what is queued, lets others go on, and logs what was lost.

use std::fs::File;
use std::io::{self, Write};
use std::sync::MutexGuard;
use std::thread;
use std::time::{Duration, Instant};

use super::{CAPACITY, QueueInner, State};

impl QueueInner {
    pub(super) fn write_all(&self, mut file: File) {
        let mut batch = Vec::new();
        while self.take(&mut batch) {
            let mut rest = batch.as_slice();
            while !rest.is_empty() {
                match file.write(&rest[..rest.len().min(PIECE)]) {
                    Ok(0) => {
                        self.failed(io::ErrorKind::WriteZero.into(), rest.len());
                        break;
                    }
                    Ok(written) => {
                        rest = &rest[written..];
                        self.written(written);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // Somebody who has the file too made it so that writing does not wait.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                    Err(error) => {
                        self.failed(error, rest.len());
                        break;
                    }
                }
            }
            batch.clear();
        }
    }

    /// Waits for something to write; answers that there is nothing to come.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        while state.pending.is_empty() || (state.held && !state.closed) {
            if state.closed {
                return false;
            }
            // Memory is given back in a pause, not between two pieces.
            batch.shrink_to(PIECE);
            state.pending.shrink_to(PIECE);
            state.idle = true;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        state.idle = false;
        std::mem::swap(&mut state.pending, batch);
        state.in_hand = batch.len();
        true
    }

    fn written(&self, bytes: usize) {
        let mut state = self.lock();
        state.in_hand -= bytes;
        state.done += bytes as u64;
        self.go_on(state);
    }

    fn failed(&self, error: io::Error, lost: usize) {
        let mut state = self.lock();
        state.in_hand -= lost;
        let begin = state.done;
        state.done += lost as u64;
        state.lost = Some((state.done, error.kind()));
        if self.output.logs_errors {
            let known = state.waited_for.iter();
            let known = known.map(|place| place.end.min(state.done).saturating_sub(place.start.max(begin)));
            let unknown = (lost as u64).saturating_sub(known.sum());
            if unknown > 0 {
                state.dropped += unknown;
                state.logged_error = Some(error);
            }
        } else {
            state.error = Some(error);
        }
        self.go_on(state);
    }

    /// Wakes those who waited for what is now, and logs what was dropped before.
    fn go_on(&self, mut state: MutexGuard<'_, State>) {
        let queued = state.queued();
        if queued <= CAPACITY / 2 {
            state.full = false;
        }
        if !state.waiting.is_empty() {
            let failed = state.error.is_some();
            let ready = state.waiting.extract_if(.., |(at, _)| queued <= *at || failed);
            ready.for_each(|(_, waker)| waker.wake());
        }
        if state.watched_by > 0 {
            self.progress.notify_all();
        }
        if !state.full && state.dropped > 0 {
            self.log_dropped(state);
        }
    }

    /// Logs what was dropped, if that was not done a moment ago. Not while locked: the log may lead here.
    pub(super) fn log_dropped(&self, mut state: MutexGuard<'_, State>) {
        let now = Instant::now();
        if state
            .logged
            .is_some_and(|logged| now.duration_since(logged) < INTERVAL)
        {
            return;
        }
        state.logged = Some(now);
        let dropped = std::mem::take(&mut state.dropped);
        let error = state.logged_error.take();
        drop(state);
        let name = self.output.name;
        match error {
            None => tracing::warn!("{dropped} bytes for {name} were dropped, since nobody reads it"),
            Some(error) => tracing::warn!("{dropped} bytes for {name} were lost: {error}"),
        }
    }
}

/// Bytes that are written at once, as many as a pipe holds.
const PIECE: usize = 64 << 10;

/// The time to wait for a file that does not let one wait.
const PAUSE: Duration = Duration::from_millis(2);

/// The least time between two reports of losses.
const INTERVAL: Duration = Duration::from_secs(10);
