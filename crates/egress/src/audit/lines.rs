//! Whole lines through a bounded queue to a thread that writes them.
//!
//! Whoever puts a line never waits. A line that finds the queue full is counted, and the writer says how many were
//! lost as soon as it comes through again. The output is flushed whenever the queue is empty, so a line is out as
//! soon as the writer can keep up.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

/// Where the lines go. Lives on the thread of its [`Lines`].
pub(super) trait LineWriter: Send + 'static {
    /// Writes one line, without its line break.
    fn line(&mut self, line: &str);
    /// What to write for `lost` lines that did not fit.
    fn lost(&mut self, lost: u64);
    /// Hands what was written on to the system.
    fn flush(&mut self);
}

/// The end of the queue that lines are put into. Dropping it writes out what is left.
pub(super) struct Lines {
    queue: Option<SyncSender<Message>>,
    lost: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Line(String),
    Flush(SyncSender<()>),
}

impl Lines {
    /// Starts the thread `name` that writes to `writer`, with room for `capacity` lines.
    pub(super) fn start(name: &str, capacity: usize, writer: impl LineWriter) -> std::io::Result<Lines> {
        let (queue, messages) = mpsc::sync_channel(capacity);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || write_all(writer, &messages, &counted))?;
        Ok(Lines {
            queue: Some(queue),
            lost,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Puts a line into the queue, or counts it as lost.
    pub(super) fn put(&self, line: String) {
        let Some(queue) = &self.queue else { return };
        if queue.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything that was put before is written, a second at most.
    pub(super) fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, written) = mpsc::sync_channel(1);
        if queue.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_TIME);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.get_mut().ok().and_then(Option::take);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

fn write_all(mut writer: impl LineWriter, messages: &Receiver<Message>, lost: &AtomicU64) {
    loop {
        let message = match messages.try_recv() {
            Ok(message) => message,
            Err(_) => {
                writer.flush();
                match messages.recv() {
                    Ok(message) => message,
                    Err(_) => break,
                }
            }
        };
        match message {
            Message::Line(line) => writer.line(&line),
            Message::Flush(done) => {
                writer.flush();
                let _ = done.try_send(());
            }
        }
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            writer.lost(missing);
        }
    }
    writer.flush();
}

const FLUSH_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    struct Slow {
        gate: Receiver<()>,
        written: Arc<Mutex<Vec<String>>>,
    }

    impl LineWriter for Slow {
        fn line(&mut self, line: &str) {
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
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::start(
            "test",
            2,
            Slow {
                gate,
                written: written.clone(),
            },
        )
        .unwrap();
        lines.put("1".into());
        // The writer has taken line 1 once the queue has room for two more.
        while lines
            .queue
            .as_ref()
            .unwrap()
            .try_send(Message::Line("2".into()))
            .is_err()
        {}
        std::thread::sleep(Duration::from_millis(50));
        for line in ["3", "4", "5"] {
            lines.put(line.into());
        }
        for _ in 0..3 {
            open.send(()).unwrap();
        }
        drop(open);
        drop(lines);
        assert_eq!(*written.lock().unwrap(), ["1", "lost 2", "2", "3"]);
    }
}
