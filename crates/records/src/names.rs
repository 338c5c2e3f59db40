//! The names of connections, for the lines that do not say them.
//!
//! An outcome has the address that its decision had, and seldom the name. So the names of decisions are remembered until their
//! connection is over, those of the newest: memory has a bound, however many are opened and never closed.

use std::borrow::Cow;

use crate::recent::Recent;
use crate::runs::Run;
use crate::{Decision, Record, Stage, Verdict};

/// Remembers the names that outcomes do not say.
#[derive(Debug)]
pub struct Names(Recent<(Run, u64), Box<str>>);

impl Default for Names {
    fn default() -> Self {
        Self(Recent::new(NAMES))
    }
}

impl Names {
    /// Remembers the name of a decision for its outcomes, and answers that of an outcome. `run` is the run of the record.
    pub fn of<'r>(&mut self, run: Option<Run>, record: &'r Record<'_>) -> Option<Cow<'r, str>> {
        let run = run?;
        match record {
            Record::Decision(Decision {
                verdict: Verdict::Allow,
                name: Some(name),
                attempt,
                id,
                ..
            }) if is_linked(attempt) => {
                // No name is longer than 253 bytes, but a file may have been changed.
                if name.len() <= MOST_NAME {
                    self.0.insert((run, *id), (&**name).into());
                }
                None
            }
            Record::Outcome(outcome) if is_linked(&outcome.attempt) => {
                if let Some(name) = &outcome.name {
                    return Some(Cow::Borrowed(name));
                }
                let decision = (run, outcome.decision?);
                if outcome.stage == Stage::Succeeded {
                    self.0.get(&decision).map(|name| Cow::Owned(name.to_string()))
                } else {
                    self.0
                        .remove(&decision)
                        .map(|name| Cow::Owned(name.into_string()))
                }
            }
            _ => None,
        }
    }
}

/// True of attempts whose outcomes do not say the name that their decisions have.
fn is_linked(attempt: &str) -> bool {
    attempt == "tcp.connect" || (attempt.ends_with(".dial") && attempt != "http.dial")
}

/// As many permitted connections as their names are remembered of, and up to twice as many: those that are open at once.
const NAMES: usize = 1 << 16;

/// Bytes of a name.
const MOST_NAME: usize = 256;
