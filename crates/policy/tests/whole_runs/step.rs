//! What an instance does, and what happens to it.

use super::model::MOperator;
use super::written::Place;

/// One step of a run.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    LookUp(&'static str),
    /// The look-up at that place of those in flight ends.
    Answer(usize, Said),
    Connect(Place, u16),
    Send(Place, u16),
    Receive(Place, u16),
    Request(&'static str, &'static str, u16),
    RequestTo(Place, &'static str, u16),
    Dial(&'static str, Vec<&'static str>, Place, &'static str, u16),
    /// Seconds pass.
    Wait(u64),
    Reload(MOperator),
}

/// How a look-up ends.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Addresses(Vec<&'static str>, Vec<Place>),
    NoSuchName,
    Failed,
    Abandoned,
}
