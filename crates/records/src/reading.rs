//! Several files as one log, the oldest first.
//!
//! ```text
//! inputs ─▶ opened ─▶ the time of the first record of each ─▶ sorted by it ─▶ line by line ─▶ records, for the caller
//!            │ the same file twice: read once            no record at the beginning: last, in the order given
//!            └ one that cannot be opened is a problem of its own
//! ```
//!
//! Files are opened before any is read, and stay open: when a log is rotated meanwhile, what was named is read all the same,
//! and once. Standard input and pipes have their place by their first record as files do.
//!
//! What cannot be read does not hide the rest. A line that is not a record is counted, and the first few are told with their
//! places; a file that fails half way is read as far as it goes, and told. The order of lines is not changed: threads of
//! one process write some of them a little later than others.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::file::{LogInput, OpenProblem, Text};
use crate::lines::{Lines, Piece};
use crate::{LineProblem, Record, Timestamp};

/// Something that a log is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    StandardInput,
}

impl Input {
    /// The input that a person has named: `-` is standard input.
    pub fn named(path: PathBuf) -> Self {
        if path == Path::new("-") {
            Self::StandardInput
        } else {
            Self::File(path)
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::StandardInput => Path::new("-"),
        }
    }

    fn open(&self) -> Result<LogInput, OpenProblem> {
        match self {
            Self::File(path) => LogInput::open(path),
            Self::StandardInput => LogInput::once(io::stdin()),
        }
    }
}

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file, as it was named; `-` is standard input.
    pub path: &'a Path,
    /// The number of the line in the file, from 1. Of a compressed file, in its text.
    pub line: u64,
}

/// A record with the line that it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Where the line is.
    pub place: Place<'a>,
    /// The line, without its line break.
    pub line: &'a [u8],
}

/// What was read, and what could not be.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Tally {
    /// Lines, damaged ones included.
    pub lines: u64,
    /// Bytes of the lines, decompressed.
    pub bytes: u64,
    /// Lines that are not records.
    pub damaged: u64,
    /// The first of them.
    pub first_damaged: Vec<Damaged>,
    /// Files that could not be opened, or not be read to their ends.
    pub unreadable: Vec<(PathBuf, OpenProblem)>,
    /// Files that were named twice, under this name too, and were read once.
    pub named_twice: Vec<PathBuf>,
}

/// A line that is not a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damaged {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: LineProblem,
}

/// Reads `inputs`, those with the oldest first records first, and hands each record to `each`, until that breaks off.
/// Standard input is read once, however often it is named.
pub fn read(inputs: &[Input], mut each: impl FnMut(Record<'_>, Reading<'_>) -> ControlFlow<()>) -> Tally {
    let mut tally = Tally::default();
    for file in in_order(inputs, &mut tally) {
        if file.read(&mut tally, &mut each).is_break() {
            break;
        }
    }
    tally
}

/// One of the files, with the time by which it has its place.
struct Opened<'i> {
    path: &'i Path,
    text: Beginning,
    first: Option<Timestamp>,
}

enum Beginning {
    /// It is read from its beginning.
    Again(LogInput),
    /// It can be read once, and a little of it was.
    Once(Box<OnceRead>),
}

struct OnceRead {
    lines: Lines<Text>,
    kept: Vec<Kept>,
}

/// A line that was read while the first record was looked for.
enum Kept {
    Line(Vec<u8>),
    TooLong,
}

fn in_order<'i>(inputs: &'i [Input], tally: &mut Tally) -> Vec<Opened<'i>> {
    let mut seen = HashSet::new();
    let mut opened: Vec<Opened<'i>> = Vec::new();
    for input in inputs {
        let path = input.path();
        if *input == Input::StandardInput && !seen.insert(None) {
            tally.named_twice.push(path.to_owned());
            continue;
        }
        let result = input.open().and_then(|own| {
            let is_new = match own.file() {
                Some(file) => seen.insert(Some(identity(file)?)),
                None => true,
            };
            if is_new {
                Opened::new(path, own).map(Some)
            } else {
                Ok(None)
            }
        });
        match result {
            Ok(Some(file)) => opened.push(file),
            Ok(None) => tally.named_twice.push(path.to_owned()),
            Err(problem) => tally.unreadable.push((path.to_owned(), problem)),
        }
    }
    // Stable: what has the same time, or none, stays in the order that was given.
    opened.sort_by_key(|file| (file.first.is_none(), file.first));
    opened
}

/// What tells one file from another, whatever its names are.
fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

impl<'i> Opened<'i> {
    fn new(path: &'i Path, mut input: LogInput) -> Result<Self, OpenProblem> {
        let Some(text) = input.text_again() else {
            let mut lines = Lines::new(input.text());
            let (kept, first) = look_for_first(&mut lines)?;
            return Ok(Self {
                path,
                text: Beginning::Once(Box::new(OnceRead { lines, kept })),
                first,
            });
        };
        // What is damaged is told when it is read.
        let first = look_for_first(&mut Lines::new(text?))
            .map(|(_, first)| first)
            .unwrap_or_default();
        input.rewind()?;
        Ok(Self {
            path,
            text: Beginning::Again(input),
            first,
        })
    }

    fn read(
        self,
        tally: &mut Tally,
        each: &mut dyn FnMut(Record<'_>, Reading<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let path = self.path;
        let mut file = InFile {
            path,
            line: 0,
            tally,
            each,
        };
        let mut lines = match self.text {
            Beginning::Again(input) => Lines::new(input.text()),
            Beginning::Once(once) => {
                for kept in &once.kept {
                    file.piece(match kept {
                        Kept::Line(line) => Piece::Line(line),
                        Kept::TooLong => Piece::TooLong,
                    })?;
                }
                once.lines
            }
        };
        loop {
            match lines.next_piece() {
                Ok(None) => return ControlFlow::Continue(()),
                Ok(Some(piece)) => file.piece(piece)?,
                Err(error) => {
                    file.tally.unreadable.push((path.to_owned(), error.into()));
                    return ControlFlow::Continue(());
                }
            }
        }
    }
}

/// The lines up to the first record, that one included, and its time. Not for ever: a file that begins with rubbish has no
/// place by time.
fn look_for_first(lines: &mut Lines<Text>) -> io::Result<(Vec<Kept>, Option<Timestamp>)> {
    let mut kept = Vec::new();
    while kept.len() < LINES_LOOKED_AT {
        match lines.next_piece()? {
            None => break,
            Some(Piece::TooLong) => kept.push(Kept::TooLong),
            Some(Piece::Line(line)) => {
                kept.push(Kept::Line(line.to_owned()));
                if let Ok(record) = Record::parse(line) {
                    return Ok((kept, Some(record.ts())));
                }
            }
        }
    }
    Ok((kept, None))
}

/// The file that is read.
struct InFile<'r> {
    path: &'r Path,
    line: u64,
    tally: &'r mut Tally,
    each: &'r mut dyn FnMut(Record<'_>, Reading<'_>) -> ControlFlow<()>,
}

impl InFile<'_> {
    fn piece(&mut self, piece: Piece<'_>) -> ControlFlow<()> {
        self.line += 1;
        self.tally.lines += 1;
        let line = match piece {
            Piece::TooLong => {
                self.damaged(LineProblem::TooLong);
                return ControlFlow::Continue(());
            }
            Piece::Line(line) => line,
        };
        self.tally.bytes += line.len() as u64 + 1;
        match Record::parse(line) {
            Ok(record) => {
                let place = Place {
                    path: self.path,
                    line: self.line,
                };
                (self.each)(record, Reading { place, line })
            }
            Err(problem) => {
                self.damaged(problem);
                ControlFlow::Continue(())
            }
        }
    }

    fn damaged(&mut self, problem: LineProblem) {
        self.tally.damaged += 1;
        if self.tally.first_damaged.len() < DAMAGED_TOLD {
            self.tally.first_damaged.push(Damaged {
                path: self.path.to_owned(),
                line: self.line,
                problem,
            });
        }
    }
}

/// As many lines as are looked at for the first record of a file.
const LINES_LOOKED_AT: usize = 16;

/// As many damaged lines as are told with their places.
const DAMAGED_TOLD: usize = 5;

#[cfg(test)]
mod tests;
