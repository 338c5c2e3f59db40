//! Whole lines through a bounded queue to a thread that writes them.
//!
//! Whoever puts a line never waits. A line that finds the queue full, by number or by bytes, is counted, and the writer says how many were
//! lost as soon as it comes through again. The output is flushed whenever the queue is empty, so a line is out as
//! soon as the writer can keep up; but for a nap after the first one, in which others gather.
//!
//! An output that stands still (a pipe that nobody reads, a disk that does not answer) holds up the end by
//! [`FLUSH_TIME`] once, and no more; what it did not take by then is said.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use metrics::Counter;

/// The writer that takes the lines. Lives on the thread of its [`Lines`].
pub(crate) trait LineWriter: Send + 'static {
    /// Writes one line, without its line break.
    fn line(&mut self, line: &str);
    /// The text to write for `lost` lines that did not fit.
    fn lost(&mut self, lost: u64);
    /// Hands what was written on to the system.
    fn flush(&mut self);
    /// Makes sure that it still goes where it should.
    fn renew(&mut self) {}
    /// True if what was flushed is not out, so that it must be tried again before anything else is taken.
    fn is_stuck(&self) -> bool {
        false
    }
}

/// The end of the queue that lines are put into. Dropping it writes out what is left, for as long as a flush may take.
pub(crate) struct Lines {
    /// The name of the lines, for messages.
    what: String,
    room: Room,
    queue: Option<SyncSender<Message>>,
    counts: Arc<Counts>,
    /// Closed when the thread has ended.
    ended: Mutex<Receiver<()>>,
    /// The last flush was in vain.
    stands_still: AtomicBool,
}

/// As much as may wait.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

#[derive(Default)]
struct Counts {
    /// Lines that did not fit, since that was last said.
    lost: AtomicU64,
    /// Lines that were put and not flushed yet.
    under_way: AtomicU64,
    /// Lines in the queue.
    queued: AtomicUsize,
    /// Their bytes.
    queued_bytes: AtomicUsize,
    /// Counts lines that were written, and those that were lost, for others.
    counters: OnceLock<(Counter, Counter)>,
    /// The writer is to look where it writes to.
    renew: AtomicBool,
    /// Nobody puts lines any more.
    closed: AtomicBool,
    /// The output refuses what it has to take.
    stuck: AtomicBool,
}

enum Message {
    Line(String),
    Flush(SyncSender<()>),
    Wake,
}

impl Lines {
    /// Starts the thread `name` that writes lines of `what` to `writer`.
    pub(crate) fn start(
        name: &str,
        what: String,
        room: Room,
        writer: impl LineWriter,
    ) -> std::io::Result<Self> {
        let (queue, messages) = mpsc::sync_channel(room.lines);
        let (alive, ended) = mpsc::sync_channel(0);
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            write_all(writer, &messages, &counted);
            drop(alive);
        })?;
        Ok(Self {
            what,
            room,
            queue: Some(queue),
            counts,
            ended: Mutex::new(ended),
            stands_still: AtomicBool::new(false),
        })
    }

    /// Puts a line into the queue if fewer than `most` wait in it, or counts it as lost.
    pub(crate) fn put_below(&self, most: usize, line: String) {
        if self.waiting() < most {
            self.put(line)
        } else {
            self.counts.lose();
        }
    }

    /// Puts a line into the queue, or counts it as lost.
    pub(crate) fn put(&self, line: String) {
        let Some(queue) = &self.queue else { return };
        // Counted first, or the writer could take it off before it was put on.
        let (counts, bytes) = (&self.counts, line.len());
        counts.under_way.fetch_add(1, Ordering::Relaxed);
        counts.queued.fetch_add(1, Ordering::Relaxed);
        let others = counts.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = others + bytes <= self.room.bytes;
        if !fits || queue.try_send(Message::Line(line)).is_err() {
            counts.under_way.fetch_sub(1, Ordering::Relaxed);
            counts.taken_off(bytes);
            counts.lose();
        }
    }

    /// Counts lines that are written, and those that are lost, from now on. A second time it changes nothing.
    pub(crate) fn count(&self, written: Counter, lost: Counter) {
        let _ = self.counts.counters.set((written, lost));
    }

    /// The number of lines that wait to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.counts.queued.load(Ordering::Relaxed)
    }

    /// Makes the writer look where it writes to: as soon as it comes to it, or tries again what it could not write.
    pub(crate) fn renew(&self) {
        self.counts.renew.store(true, Ordering::Relaxed);
        if let Some(queue) = &self.queue {
            // A full queue needs no waking.
            let _ = queue.try_send(Message::Wake);
        }
    }

    /// Waits until everything that was put before is written, a second at most.
    pub(crate) fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let deadline = Instant::now() + self.flush_timeout();
        let (done, written) = mpsc::sync_channel(1);
        let mut message = Message::Flush(done);
        let sent = loop {
            message = match queue.try_send(message) {
                Ok(()) => break true,
                // Tried again and again, since a send that waits has no time limit.
                Err(TrySendError::Full(message)) if Instant::now() < deadline => message,
                Err(_) => break false,
            };
            std::thread::sleep(PAUSE);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let flushed = sent && written.recv_timeout(left).is_ok();
        self.stands_still.store(!flushed, Ordering::Relaxed);
    }

    fn flush_timeout(&self) -> Duration {
        if self.stands_still.load(Ordering::Relaxed) {
            PAUSE
        } else {
            FLUSH_TIME
        }
    }
}

impl Counts {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        if let Some((_, lost)) = self.counters.get() {
            lost.increment(1);
        }
    }

    fn taken_off(&self, bytes: usize) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn written(&self, lines: u64) {
        self.under_way.fetch_sub(lines, Ordering::Relaxed);
        if let Some((written, _)) = self.counters.get() {
            written.increment(lines);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.counts.closed.store(true, Ordering::Relaxed);
        self.queue = None;
        let flush_timeout = self.flush_timeout();
        let ended = self
            .ended
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let stands_still = ended.recv_timeout(flush_timeout) == Err(mpsc::RecvTimeoutError::Timeout);
        let counts = &self.counts;
        let lines = counts.under_way.load(Ordering::Relaxed) + counts.lost.load(Ordering::Relaxed);
        if lines == 0 {
            return;
        }
        let cause = match (counts.stuck.load(Ordering::Relaxed), stands_still) {
            (true, _) => ": it could not be written completely",
            (false, true) => ": its output has stalled",
            (false, false) => "",
        };
        tracing::warn!("{} not written{cause}", lost(lines, &self.what));
    }
}

fn lost(lines: u64, what: &str) -> String {
    match lines {
        1 => format!("1 line of {what} was"),
        _ => format!("{lines} lines of {what} were"),
    }
}

fn write_all(mut writer: impl LineWriter, messages: &Receiver<Message>, counts: &Counts) {
    let mut unflushed = 0;
    let mut nap = false;
    let flush = |writer: &mut dyn LineWriter, unflushed: &mut u64| {
        writer.flush();
        let stuck = writer.is_stuck();
        counts.stuck.store(stuck, Ordering::Relaxed);
        if !stuck {
            counts.written(std::mem::take(unflushed));
        }
    };
    loop {
        if counts.renew.swap(false, Ordering::Relaxed) {
            writer.renew();
        }
        if writer.is_stuck() {
            if counts.closed.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(AGAIN);
            flush(&mut writer, &mut unflushed);
            continue;
        }
        let message = match messages.try_recv() {
            Ok(message) => message,
            Err(_) => {
                flush(&mut writer, &mut unflushed);
                if writer.is_stuck() {
                    continue;
                }
                match messages.recv() {
                    Ok(message) => {
                        nap = matches!(message, Message::Line(_));
                        message
                    }
                    Err(_) => break,
                }
            }
        };
        match message {
            Message::Line(line) => {
                unflushed += 1;
                counts.taken_off(line.len());
                writer.line(&line);
            }
            Message::Flush(done) => {
                flush(&mut writer, &mut unflushed);
                let _ = done.try_send(());
            }
            Message::Wake => {}
        }
        // Behind a line that came through, which is about where they are missing.
        let missing = counts.lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            writer.lost(missing);
        }
        if std::mem::take(&mut nap) && !counts.closed.load(Ordering::Relaxed) {
            std::thread::sleep(NAP);
        }
    }
    flush(&mut writer, &mut unflushed);
}

/// The time that the first line after a while waits for others, so that whoever puts them need not wake the writer each
/// time.
const NAP: Duration = Duration::from_millis(2);

/// The time between two tries of a full queue.
const PAUSE: Duration = Duration::from_millis(5);

/// The time between two tries of an output that refuses.
const AGAIN: Duration = Duration::from_millis(100);

const FLUSH_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    struct Slow {
        /// Told when a line is begun with.
        begun: SyncSender<()>,
        gate: Receiver<()>,
        written: Arc<Mutex<Vec<String>>>,
    }

    impl LineWriter for Slow {
        fn line(&mut self, line: &str) {
            let _ = self.begun.try_send(());
            let _ = self.gate.recv();
            self.written.lock().unwrap().push(line.to_owned());
        }

        fn lost(&mut self, lost: u64) {
            self.written.lock().unwrap().push(format!("lost {lost}"));
        }

        fn flush(&mut self) {}
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_and_the_count_is_written() {
        let (open, gate) = mpsc::channel();
        let (begun, begins) = mpsc::sync_channel(1);
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::start(
            "test",
            "a test".into(),
            Room {
                lines: 2,
                bytes: 1000,
            },
            Slow {
                begun,
                gate,
                written: written.clone(),
            },
        )
        .unwrap();
        lines.put("1".into());
        // Once the writer has taken line 1, the queue has room for two more.
        begins.recv().unwrap();
        for line in ["2", "3", "4", "5"] {
            lines.put(line.into());
        }
        for _ in 0..3 {
            open.send(()).unwrap();
        }
        drop(open);
        drop(lines);
        assert_eq!(*written.lock().unwrap(), ["1", "lost 2", "2", "3"]);
    }

    // proves: ISO-6
    #[test]
    fn lines_that_wait_are_bounded_in_bytes_too() {
        let (open, gate) = mpsc::channel();
        let (begun, begins) = mpsc::sync_channel(1);
        let written = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow {
            begun,
            gate,
            written: written.clone(),
        };
        let room = Room {
            lines: 100,
            bytes: 10,
        };
        let lines = Lines::start("test", "a test".into(), room, slow).unwrap();
        lines.put("1".into());
        begins.recv().unwrap();
        for line in ["four", "seven 7", "six  6", "1"] {
            lines.put(line.into());
        }
        drop(open);
        drop(lines);
        assert_eq!(*written.lock().unwrap(), ["1", "lost 2", "four", "six  6"]);
    }

    // proves: ISO-6
    #[test]
    fn an_output_that_stands_still_holds_up_the_end_once_and_no_more() {
        let (_open, gate) = mpsc::channel();
        let slow = Slow {
            begun: mpsc::sync_channel(1).0,
            gate,
            written: Arc::default(),
        };
        let lines = Lines::start(
            "test",
            "a test".into(),
            Room {
                lines: 2,
                bytes: 1000,
            },
            slow,
        )
        .unwrap();
        for number in 0..10 {
            lines.put(number.to_string());
        }
        let start = Instant::now();
        lines.flush();
        lines.flush();
        drop(lines);
        let waited = start.elapsed();
        assert!(waited < 2 * FLUSH_TIME, "{waited:?}");
    }
}
