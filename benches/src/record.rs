//! What was measured, number by number, in `docs/performance/NAME.tsv` beside the page: for who wants to look closer, and
//! for the targets, which take their numbers from several runs.
//!
//! ```text
//! connect <tab> µs <tab> Outport <tab> 41.2 40.9 43.3
//! ```
//!
//! A line for each contestant in each row of the table; the numbers stand in the order of the repetitions, so that the
//! first of each contestant belong together.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::samples::{Samples, Unit};

/// The measurements of one workload.
#[derive(Debug, Default)]
pub(crate) struct Record(Vec<Line>);

#[derive(Debug)]
struct Line {
    row: String,
    unit: String,
    contestant: String,
    samples: Samples,
}

impl Record {
    pub(crate) fn add(&mut self, row: &str, unit: Unit, contestant: &str, samples: Samples) {
        self.0.push(Line {
            row: row.to_owned(),
            unit: unit.to_string(),
            contestant: contestant.to_owned(),
            samples,
        });
    }

    pub(crate) fn get(&self, row: &str, contestant: &str) -> Option<&Samples> {
        let mut lines = self.0.iter();
        let line = lines.find(|line| line.row == row && line.contestant == contestant)?;
        Some(&line.samples)
    }

    /// Reads what an earlier run measured of the workload `name`; nothing where there was none.
    pub(crate) fn read(folder: &Path, name: &str) -> Self {
        let text = fs::read_to_string(file(folder, name)).unwrap_or_default();
        Self(text.lines().filter_map(parse).collect())
    }

    pub(crate) fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        let lines = self.0.iter().map(|line| {
            let Line {
                row,
                unit,
                contestant,
                samples,
            } = line;
            format!("{row}\t{unit}\t{contestant}\t{samples}\n")
        });
        fs::write(file(folder, name), lines.collect::<String>())
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).with_extension("tsv")
}

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.split('\t');
    Some(Line {
        row: fields.next()?.to_owned(),
        unit: fields.next()?.to_owned(),
        contestant: fields.next()?.to_owned(),
        samples: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::default();
        record.add("connect", Unit::Microseconds, "native", "1.5 2".parse().unwrap());
        record.add(
            "connect",
            Unit::Microseconds,
            "Outport",
            "3 4.25".parse().unwrap(),
        );
        record.write(folder.path(), "tcp").unwrap();
        let read = Record::read(folder.path(), "tcp");
        assert_eq!(read.get("connect", "Outport").unwrap().to_string(), "3 4.25");
        assert!(read.get("connect", "wasmtime").is_none());
        assert!(
            Record::read(folder.path(), "http")
                .get("connect", "native")
                .is_none()
        );
    }
}
