//! Lines on their way to the output, of which whoever kills the process finds no half one.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::Instant;

use super::LogKind;
use super::error::LogError;
use super::file::{Found, LogFile};
use super::health::Health;
use super::queue::LineWriter;
use super::trouble::Trouble;

/// Lines that wait to be written.
///
/// Whoever kills the process must not find half a line. What is written at once is whole lines, and a system call that
/// has begun to write a page of a file writes all that it has for this page, killed or not; but perhaps no more. So
/// where lines come fast, the last one that fits a page is padded to its end with spaces, which JSON does not mind. Only a
/// line that comes alone, or is longer than a page, goes across; and each, where lines can have no such end.
///
/// What cannot be written waits, and is tried again. Of a line that was written in part the whole waits: where the rest
/// would come into another file than the beginning, it is written there from its beginning.
pub(super) struct PendingLines<W: Output> {
    kind: &'static LogKind,
    output: W,
    /// Bytes in the file so far, if it is one.
    length: Option<u64>,
    pending: Vec<u8>,
    /// Bytes of the first line that waits which are written.
    begun: usize,
    health: Arc<Health>,
    trouble: Trouble,
    /// Lines that were lost, which was not said yet.
    unsaid: u64,
    /// That lines are lost, as it was said last.
    losses: Trouble,
}

/// An output that lines are written to.
pub(super) trait Output: Write + Send + 'static {
    /// Makes sure that what is written is found, and answers the bytes that are there, if it is a file.
    fn renew(&mut self) -> Result<Option<u64>, LogError>;

    /// The same, as somebody asks for it, who is told what came of it.
    fn reopen(&mut self) -> Result<Option<u64>, LogError> {
        self.renew()
    }
}

impl Output for LogFile {
    fn renew(&mut self) -> Result<Option<u64>, LogError> {
        Self::renew(self).map(|(length, _)| length)
    }

    fn reopen(&mut self) -> Result<Option<u64>, LogError> {
        self.forget_trouble();
        let log = self.kind().name;
        let (length, found) = Self::renew(self)?;
        match found {
            Found::Anew => tracing::info!("the {log} was opened again"),
            Found::Here if length.is_some() => tracing::info!("the {log} goes on in the same file"),
            // The one is nothing to open again, the other was said.
            Found::Here | Found::Elsewhere => {}
        }
        Ok(length)
    }
}

/// An output that is there for good.
pub(super) struct Fixed<W>(pub(super) W);

impl<W: Write> Write for Fixed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send + 'static> Output for Fixed<W> {
    fn renew(&mut self) -> Result<Option<u64>, LogError> {
        Ok(None)
    }
}

impl<W: Output> PendingLines<W> {
    pub(super) fn to(kind: &'static LogKind, mut output: W, health: Arc<Health>) -> Self {
        Self {
            kind,
            length: output.renew().ok().flatten(),
            output,
            pending: Vec::with_capacity(PAGE),
            begun: 0,
            health,
            trouble: Trouble::default(),
            unsaid: 0,
            losses: Trouble::default(),
        }
    }

    fn push(&mut self, line: &str) {
        if line.len() >= self.room() {
            self.pad();
            self.write_out();
        }
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
    }

    /// Bytes that still fit the page.
    fn room(&self) -> usize {
        let begun = self.length.map_or(0, |length| (length % PAGE as u64) as usize);
        PAGE - (begun + self.pending.len() - self.begun) % PAGE
    }

    /// Lets the last line that waits end where the page ends.
    fn pad(&mut self) {
        let room = self.room();
        if let Some(filler) = self.kind.filler
            && self.length.is_some()
            && room < PAGE
            && self.pending.pop().is_some()
        {
            self.pending.resize(self.pending.len() + room, filler);
            self.pending.push(b'\n');
        }
    }

    fn write_out(&mut self) {
        if self.pending.is_empty() && !self.is_stuck() {
            return;
        }
        // The page was filled for the file as it was known. One that is new now, or was cut, has its pages elsewhere,
        // for this one write.
        let (health, log) = (self.health.clone(), self.kind.name);
        let written = health.during(|| {
            let length = self.output.renew()?;
            self.goes_on_at(length);
            self.write_pending()
                .map_err(|source| LogError::Write { log, source })
        });
        self.note(written);
    }

    /// The file has `length` bytes now. Where it is not as it was left, it is another one or was cut.
    fn goes_on_at(&mut self, length: Option<u64>) {
        if length != self.length {
            // The beginning of the line is in the file that was: it is written whole here.
            self.begun = 0;
        }
        self.length = length;
    }

    /// Tells trouble, and its end.
    fn note(&mut self, written: Result<(), LogError>) {
        self.health.note(&written);
        let LogKind {
            name, consequence, ..
        } = self.kind;
        match written {
            Ok(()) => {
                if self.trouble.over() {
                    tracing::warn!("the {name} is written again");
                }
            }
            Err(error) => {
                let error = error.to_string();
                if self.trouble.is_due(&error, Instant::now()) {
                    tracing::error!("{error}; it is tried again, and {consequence}");
                }
            }
        }
    }

    /// Says that lines were lost, where no line of the log can.
    fn say_lost(&mut self, lost: u64) {
        self.unsaid += lost;
        if self.losses.is_due("lost", Instant::now()) {
            let LogKind { name, most_lines, .. } = self.kind;
            let lost = std::mem::take(&mut self.unsaid);
            tracing::warn!(
                "lines of the {name} were lost, {lost} until now: more than {most_lines} of them, or too many bytes, \
                 waited to be written"
            );
        }
    }

    /// Writes what waits; what could not be written waits on.
    fn write_pending(&mut self) -> std::io::Result<()> {
        while !self.pending.is_empty() {
            match self.output.write(&self.pending[self.begun..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.length = self.length.map(|length| length + written as u64);
                    let reached = self.begun + written;
                    let last = self.pending[..reached].iter().rposition(|byte| *byte == b'\n');
                    let whole = last.map_or(0, |at| at + 1);
                    self.pending.drain(..whole);
                    self.begun = reached - whole;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.flush()
    }
}

impl<W: Output> LineWriter for PendingLines<W> {
    fn line(&mut self, line: &str) {
        self.push(line);
    }

    fn lost(&mut self, lost: u64) {
        match (self.kind.lost)(lost) {
            Some(line) => self.push(&line),
            None => self.say_lost(lost),
        }
    }

    fn flush(&mut self) {
        self.write_out();
    }

    fn renew(&mut self) {
        match self.output.reopen() {
            Ok(length) => self.goes_on_at(length),
            Err(error) => {
                self.trouble.over();
                self.note(Err(error));
            }
        }
    }

    fn is_stuck(&self) -> bool {
        self.health.is_broken()
    }
}

/// Bytes of a page of a file, as small as any system has it.
const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::Likeness;
    use super::*;

    static JSON: LogKind = kind(Some(b' '));
    static TEXT: LogKind = kind(None);

    const fn kind(filler: Option<u8>) -> LogKind {
        LogKind {
            name: "test log",
            thread: "test-log",
            recognise: |text| Likeness::to(b"{", text),
            recognised_by: "",
            filler,
            lost: |_| None,
            consequence: "",
            most_lines: 10,
            most_bytes: 1000,
        }
    }

    /// Notes what is written at once.
    #[derive(Clone, Default)]
    struct Pieces(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Pieces {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push(piece.to_vec());
            Ok(piece.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A file of so many bytes at first, if it is one.
    struct Pages(Pieces, Option<u64>);

    impl Write for Pages {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            self.1 = self.1.map(|length| length + piece.len() as u64);
            self.0.write(piece)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Output for Pages {
        fn renew(&mut self) -> Result<Option<u64>, LogError> {
            Ok(self.1)
        }
    }

    /// A file that is exchanged for another after so many bytes, in the middle of a line.
    struct Rotated {
        files: Arc<Mutex<Vec<Vec<u8>>>>,
        room: usize,
    }

    impl Write for Rotated {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            let taken = self.room.min(piece.len());
            if taken == 0 {
                self.room = usize::MAX;
                self.files.lock().unwrap().push(Vec::new());
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.files
                .lock()
                .unwrap()
                .last_mut()
                .unwrap()
                .extend(&piece[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Output for Rotated {
        fn renew(&mut self) -> Result<Option<u64>, LogError> {
            Ok(self.files.lock().unwrap().last().map(|file| file.len() as u64))
        }
    }

    #[test]
    fn a_line_that_was_cut_by_a_rotation_is_whole_in_the_new_file() {
        for room in 1..40 {
            let files = Arc::new(Mutex::new(vec![Vec::new()]));
            let output = Rotated {
                files: files.clone(),
                room,
            };
            let mut writer = PendingLines::to(&JSON, output, Health::new());
            for number in 10..14 {
                writer.line(&format!("{{\"ts\":{number}}}"));
            }
            writer.flush();
            assert!(writer.is_stuck(), "{room}");
            writer.flush();
            let files = files.lock().unwrap();
            let whole = room / 10;
            let second = String::from_utf8(files[1].clone()).unwrap();
            let expected: Vec<String> = (10 + whole..14)
                .map(|number| format!("{{\"ts\":{number}}}"))
                .collect();
            assert_eq!(second.lines().collect::<Vec<_>>(), expected, "{room}");
            assert_eq!(files[0].len(), room);
        }
    }

    #[test]
    fn whole_lines_are_written_at_once_and_where_they_come_fast_none_crosses_a_page() {
        for length in [None, Some(0), Some(1), Some(4095), Some(4096), Some(10_000)] {
            let pieces = Pieces::default();
            let mut writer = PendingLines::to(&JSON, Pages(pieces.clone(), length), Health::new());
            for number in 0..500 {
                writer.line(&format!("{{{}}}", "x".repeat(number)));
            }
            writer.flush();
            let pieces = pieces.0.lock().unwrap();
            let mut at = length.unwrap_or_default() as usize;
            for (number, piece) in pieces.iter().enumerate() {
                assert!(piece.starts_with(b"{") && piece.ends_with(b"\n"), "{length:?}");
                let crosses = at % PAGE + piece.len() > PAGE;
                assert!(
                    length.is_none() || number == 0 || !crosses,
                    "{length:?}: piece {number} at {at}"
                );
                at += piece.len();
            }
            let text = pieces.concat();
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let lengths: Vec<usize> = lines.map(|line| line.trim_ascii_end().len()).collect();
            assert_eq!(lengths, (2..502).collect::<Vec<_>>(), "{length:?}");
            assert!(pieces.len() < 60, "lines are written together: {}", pieces.len());
        }
    }

    #[test]
    fn lines_that_must_not_end_otherwise_are_left_as_they_are() {
        let pieces = Pieces::default();
        let mut writer = PendingLines::to(&TEXT, Pages(pieces.clone(), Some(100)), Health::new());
        let lines: Vec<String> = (1..300).map(|number| "x".repeat(number)).collect();
        lines.iter().for_each(|line| writer.line(line));
        writer.flush();
        let pieces = pieces.0.lock().unwrap();
        assert!(pieces.iter().all(|piece| piece.ends_with(b"\n")));
        assert!(pieces.len() < 30, "lines are written together: {}", pieces.len());
        let text = String::from_utf8(pieces.concat()).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }
}
