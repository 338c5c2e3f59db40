//! What a child has written to a pipe so far.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A pipe that is read by a thread of its own, so that the child never waits for its reader.
#[derive(Debug)]
pub(crate) struct Transcript {
    shared: Arc<TranscriptInner>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct TranscriptInner {
    bytes: Mutex<Vec<u8>>,
    grown: Condvar,
}

impl TranscriptInner {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().expect("no thread panics with a transcript")
    }
}

impl Transcript {
    /// Starts to read `pipe`.
    pub(crate) fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(TranscriptInner::default());
        let reader = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut buffer = [0; 8 * 1024];
                while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                    shared.lock().extend_from_slice(&buffer[..length]);
                    shared.grown.notify_all();
                }
            }
        });
        Self {
            shared,
            reader: Some(reader),
        }
    }

    /// What was written so far.
    pub(crate) fn text(&self) -> String {
        untimed(&String::from_utf8_lossy(&self.shared.lock()))
    }

    /// Everything, once the other end is closed.
    pub(crate) fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a reader does not panic");
        }
        self.text()
    }

    /// Waits until there is a whole line that starts so.
    pub(crate) fn wait_for_line(&self, start: &str, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        let mut bytes = self.shared.lock();
        loop {
            let text = untimed(&String::from_utf8_lossy(&bytes));
            let whole = text.rsplit_once('\n').map_or("", |(whole, _rest)| whole);
            if let Some(line) = whole.lines().find(|line| line.starts_with(start)) {
                return Some(line.to_owned());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            bytes = self
                .shared
                .grown
                .wait_timeout(bytes, left)
                .expect("no thread panics with a transcript")
                .0;
        }
    }
}

/// Text without the times that Outport's lines begin with where standard error is no terminal.
pub fn untimed(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| without_time(line).unwrap_or(line))
        .collect()
}

/// The rest of a line that begins as `2026-03-01T09:30:00.125Z denied: `.
pub fn without_time(line: &str) -> Option<&str> {
    let (time, rest) = line.split_at_checked("2026-03-01T09:30:00.125Z ".len())?;
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let is_time = time.chars().map(digits).eq("0000-00-00T00:00:00.000Z ".chars());
    let labels = ["denied", "failed", "error", "warning", "note", "debug"];
    let mut labels = labels.iter().filter_map(|label| rest.strip_prefix(label));
    let sentences = ["The operator's list ", "The runtime config file ", "Stopping; "];
    let is_ours = labels.any(|rest| rest.starts_with([':', '[']))
        || sentences.iter().any(|sentence| rest.starts_with(sentence));
    (is_time && is_ours).then_some(rest)
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};

    use super::*;

    #[test]
    fn a_line_counts_once_it_is_whole() {
        let (reader, mut writer) = pipe().unwrap();
        let transcript = Transcript::of(reader);
        writer.write_all(b"first\nSer").unwrap();
        assert_eq!(transcript.wait_for_line("Ser", Duration::from_millis(50)), None);
        writer.write_all(b"ving\n").unwrap();
        assert_eq!(
            transcript
                .wait_for_line("Ser", Duration::from_secs(60))
                .as_deref(),
            Some("Serving")
        );
    }

    #[test]
    fn times_are_left_out_of_lines_of_outport_alone() {
        let time = "2026-03-01T09:30:00.125Z";
        let text = format!("{time} denied: x\n{time} hello\ndenied: {time}\n{time} error[x]: y");
        let expected = format!("denied: x\n{time} hello\ndenied: {time}\nerror[x]: y");
        assert_eq!(untimed(&text), expected);
    }

    #[test]
    fn the_whole_is_there_when_the_writer_is_done() {
        let (reader, mut writer) = pipe().unwrap();
        let mut transcript = Transcript::of(reader);
        writer.write_all(b"all of it").unwrap();
        drop(writer);
        assert_eq!(transcript.whole(), "all of it");
    }
}
