//! Which process a record is of, so that numbers of one are not taken for those of another.
//!
//! A line names its process. Lines of older logs do not: there a line `{"ts":…,"started":true}`, which not every start has,
//! tells one from the next.

use crate::Record;

/// A process that wrote to a log: when it opened it, in milliseconds since 1970; of an older log, a number of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run(u64);

impl Run {
    /// When it opened its log, in milliseconds since 1970, if its lines say so.
    pub fn process(self) -> Option<u64> {
        Some(self.0).filter(|run| *run >= FIRST_PROCESS)
    }

    /// A number that no other run of the same log has.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Tells runs apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runs {
    started: u64,
}

impl Runs {
    /// The run of a record; none of lines that are about no run.
    pub fn of(&mut self, record: &Record<'_>) -> Option<Run> {
        let process = match record {
            Record::Decision(decision) => decision.process,
            Record::Outcome(outcome) => outcome.process,
            Record::Lost { .. } => return None,
            Record::Started { .. } => {
                self.started = (self.started + 1).min(FIRST_PROCESS - 1);
                return None;
            }
        };
        Some(Run(process.unwrap_or(self.started)))
    }
}

/// Below it are numbers of ours: no process was there in 1970.
const FIRST_PROCESS: u64 = 1_000_000_000;
