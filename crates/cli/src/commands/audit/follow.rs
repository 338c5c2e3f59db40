//! A log as it is written, like `tail -F`: through rotation, removal and cutting off.
//!
//! ```text
//! the last records, or those since `--since` ─▶ what is appended ─▶ … ─┬─ another file under the name: from its beginning
//!                                                                        ├─ shorter than what was read: from its beginning
//!                                                                        └─ nothing under the name: wait for one
//! ```
//!
//! The file is looked at five times a second. An old file is read to its end before the new one is begun. Standard input is
//! read until it ends. A line has a bound; what is longer, and what is no record, is passed over and counted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use outport_check::Diagnostic;
use outport_policy::text;
use outport_records::{Filter, Input, LONGEST_LINE, Names, Record, Runs, Tally, read};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Format, Options, line, tell_of};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn follow(options: &Options, filter: &Filter, terminal: Terminal) -> Result<i32, Failure> {
    let [path] = options.files.as_slice() else {
        let error = Diagnostic::error("`--follow` reads one file: the one that is being written");
        return Err(Failure::unusable(error));
    };
    let mut printer = Printer {
        format: options.format,
        filter,
        runs: Runs::default(),
        names: Names::default(),
    };
    match Input::named(path.clone()) {
        Input::StandardInput => printer.standard_input(terminal),
        Input::File(path) => Followed::open(&path, filter.since.is_some())?.run(&mut printer),
    }
}

/// Prints the records that pass.
struct Printer<'f> {
    format: Format,
    filter: &'f Filter,
    runs: Runs,
    /// Outcomes seldom say the name that their decisions have.
    names: Names,
}

impl Printer<'_> {
    /// The line as it is printed, if it is to be.
    fn shown(&mut self, line: &[u8]) -> Option<String> {
        let record = Record::parse(line).ok()?;
        self.passes(&record).then(|| self.of(&record, line))
    }

    fn passes(&mut self, record: &Record<'_>) -> bool {
        let name = self.names.of(self.runs.of(record), record);
        self.filter.passes(record, name.as_deref())
    }

    fn of(&self, record: &Record<'_>, line: &[u8]) -> String {
        match self.format {
            // A log has nothing that a terminal obeys, but a file may have been changed.
            Format::Json => text::terminal(String::from_utf8_lossy(line.trim_ascii_end()).as_ref()),
            Format::Human | Format::Csv => line::line(record),
        }
    }

    fn print(&self, shown: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{shown}")
    }

    fn standard_input(&mut self, terminal: Terminal) -> Result<i32, Failure> {
        let mut printed = Ok(());
        let inputs = [Input::StandardInput];
        let tally: Tally = read(&inputs, |record, reading| {
            if self.passes(&record) {
                printed = self.print(&self.of(&record, reading.line));
            }
            if printed.is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        printed?;
        Ok(tell_of(&tally, &inputs, terminal))
    }
}

/// A file that is followed by its name.
struct Followed<'p> {
    path: &'p Path,
    file: File,
    /// As much of it as was read.
    position: u64,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
    /// The rest of a line that is too long is passed over.
    is_skipping: bool,
    /// The first lines that are read are the end of what was there: of them only the last are printed.
    is_tail: bool,
}

impl<'p> Followed<'p> {
    fn open(path: &'p Path, from_the_beginning: bool) -> Result<Self, Failure> {
        let cannot = |problem: &dyn std::fmt::Display| {
            let error = format!("`{}` cannot be read: {problem}", text::path(path));
            Failure::unusable(Diagnostic::error(error))
        };
        let mut file = File::open(path).map_err(|error| cannot(&error))?;
        let metadata = file.metadata().map_err(|error| cannot(&error))?;
        if !metadata.is_file() {
            return Err(cannot(
                &"it is not a file that grows; write `outport audit --follow - <` before it",
            ));
        }
        let mut magic = [0; 4];
        let known = file.read(&mut magic).map_err(|error| cannot(&error))?;
        if magic[..known].starts_with(b"\x1f\x8b") || magic == *b"\x28\xb5\x2f\xfd" {
            return Err(cannot(
                &"it is compressed, so nobody writes to it; leave `--follow` out",
            ));
        }
        let position = if from_the_beginning {
            0
        } else {
            metadata.len().saturating_sub(TAIL)
        };
        file.seek(SeekFrom::Start(position))
            .map_err(|error| cannot(&error))?;
        Ok(Self {
            path,
            file,
            position,
            begun: Vec::new(),
            // It stands in the midst of a line.
            is_skipping: position > 0,
            is_tail: !from_the_beginning,
        })
    }

    fn run(mut self, printer: &mut Printer<'_>) -> Result<i32, Failure> {
        let mut buffer = vec![0; 64 << 10];
        let mut last = VecDeque::new();
        loop {
            let read = match self.file.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read > 0 {
                self.position += read as u64;
                let is_tail = self.is_tail;
                self.lines(&buffer[..read], &mut |line| {
                    let Some(shown) = printer.shown(line) else {
                        return Ok(());
                    };
                    if !is_tail {
                        return printer.print(&shown);
                    }
                    last.push_back(shown);
                    last.drain(..last.len().saturating_sub(LAST));
                    Ok(())
                })?;
                continue;
            }
            self.is_tail = false;
            for shown in last.drain(..) {
                printer.print(&shown)?;
            }
            io::stdout().flush()?;
            if !self.go_on()? && wait_for_a_reader()? {
                return Ok(0);
            }
        }
    }

    /// Goes on in what is under the name now, if that is another file or was cut off. False if there is nothing new.
    fn go_on(&mut self) -> io::Result<bool> {
        let Ok(there) = std::fs::metadata(self.path) else {
            return Ok(false);
        };
        let own = self.file.metadata()?;
        if (there.dev(), there.ino()) == (own.dev(), own.ino()) {
            if own.len() >= self.position {
                return Ok(false);
            }
            self.file.seek(SeekFrom::Start(0))?;
        } else if own.len() > self.position {
            // Written since it was read to its end, before it was renamed.
            return Ok(true);
        } else if there.is_file() {
            self.file = File::open(self.path)?;
        } else {
            return Ok(false);
        }
        self.position = 0;
        self.begun.clear();
        self.is_skipping = false;
        Ok(true)
    }

    /// Hands on the lines that are whole with `piece`.
    fn lines(&mut self, piece: &[u8], each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if std::mem::take(&mut self.is_skipping) {
                self.begun.clear();
            } else if self.begun.is_empty() {
                each(line)?;
            } else {
                self.begun.extend_from_slice(line);
                each(&std::mem::take(&mut self.begun))?;
            }
        }
        if !self.is_skipping {
            self.begun.extend_from_slice(rest);
        }
        if self.begun.len() > LONGEST_LINE {
            self.begun.clear();
            self.is_skipping = true;
        }
        Ok(())
    }
}

/// Waits a little, and says whether nobody reads standard output any more.
fn wait_for_a_reader() -> io::Result<bool> {
    let stdout = io::stdout();
    // An end of the other side is told whatever is asked for.
    let mut output = [PollFd::new(&stdout, PollFlags::empty())];
    match poll(&mut output, Some(&INTERVAL)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(false),
        Ok(_) if output[0].revents().intersects(PollFlags::ERR | PollFlags::NVAL) => Ok(true),
        // Something that has no such end, and would be told of at once for ever.
        Ok(_) => {
            std::thread::sleep(Duration::from_millis(200));
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

const INTERVAL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// Records that are shown of what was there before, as `tail` does.
const LAST: usize = 10;

/// Bytes at the end of the file in which they are looked for.
const TAIL: u64 = 64 << 10;

#[cfg(test)]
mod tests;
