//! What an instance does, and what happens to it.

use super::model::MOperator;
use super::written::Target;

/// One step of a run.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Lookup(&'static str),
    /// The look-up at that place of those in flight ends.
    Answer(usize, Said),
    Connect(Target, u16),
    Send(Target, u16),
    Receive(Target, u16),
    Request(&'static str, &'static str, u16),
    RequestTo(Target, &'static str, u16),
    Dial(&'static str, Vec<&'static str>, Target, &'static str, u16),
    /// Seconds pass.
    Wait(u64),
    Reload(MOperator),
}

/// How a look-up ends.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Addresses(Vec<&'static str>, Vec<Target>),
    NoSuchName,
    Failed,
    Abandoned,
}
