//! Rows of a summary, and the room that they have.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Flow;
use crate::durations::Durations;
use crate::peer::Peer;
use crate::{Decision, Timestamp};

/// Rows of one kind of a component: as many as a component may have, whatever it does.
pub const ROWS: usize = 1000;

/// Rows that are found by a key, in the order in which they came.
#[derive(Debug)]
pub struct Rows<R> {
    rows: Vec<R>,
    by_key: HashMap<Box<str>, usize, RandomState>,
    beyond: u64,
}

impl<R> Default for Rows<R> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            by_key: HashMap::default(),
            beyond: 0,
        }
    }
}

impl<R> Rows<R> {
    /// The rows.
    pub fn iter(&self) -> std::slice::Iter<'_, R> {
        self.rows.iter()
    }

    /// True if there is no row and nothing beyond.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.beyond == 0
    }

    /// Records that would have made further rows, or belong to them.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}

impl<R: Row> Rows<R> {
    /// The row with this key, or a new one; none where there is no room for one.
    pub(super) fn row(&mut self, key: &str, room: &mut Room, new: impl FnOnce() -> R) -> Option<&mut R> {
        if let Some(index) = self.by_key.get(key) {
            return self.rows.get_mut(*index);
        }
        if self.rows.len() < ROWS {
            let row = new();
            if room.take(key.len() + row.bytes()) {
                self.by_key.insert(key.into(), self.rows.len());
                self.rows.push(row);
                return self.rows.last_mut();
            }
        }
        self.beyond += 1;
        None
    }
}

/// Bytes of texts that may still be kept.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Takes so much, if it is there.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// A row that knows how large its texts are. Named by nobody outside.
pub trait Row {
    /// Bytes of its texts, with what they may become.
    fn bytes(&self) -> usize;
}

/// When something was first, and when it was last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The earliest time.
    pub first: Timestamp,
    /// The latest time.
    pub last: Timestamp,
}

impl Span {
    fn at(ts: Timestamp) -> Self {
        Self { first: ts, last: ts }
    }

    pub(super) fn add(&mut self, ts: Timestamp) {
        self.first = self.first.min(ts);
        self.last = self.last.max(ts);
    }
}

/// What a component talked to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Talk {
    /// `tcp`, `https`, `redis`, `dns`, …
    pub protocol: String,
    /// The name where one is known, or the address, or a label.
    pub host: String,
    /// The port, where there is one.
    pub port: Option<u16>,
    /// How often it was permitted.
    pub allowed: u64,
    /// How often it came about.
    pub succeeded: u64,
    /// How often it did not.
    pub failed: u64,
    /// How many that had come about are over.
    pub ended: u64,
    /// Bytes; of a request those of its bodies. What is not over yet has none.
    pub flow: Flow,
    /// Milliseconds: of a connection or request until it was over, of all else until it came about or failed.
    pub durations: Durations,
    /// The rule that permitted it last; at most 400 bytes of it.
    pub rule: Option<Box<str>>,
    /// When it was first and last told of.
    pub span: Span,
}

impl Talk {
    pub(super) fn new(peer: &Peer<'_>, ts: Timestamp) -> Self {
        Self {
            protocol: peer.protocol.to_owned(),
            host: peer.host.to_owned(),
            port: peer.port,
            allowed: 0,
            succeeded: 0,
            failed: 0,
            ended: 0,
            flow: Flow::default(),
            durations: Durations::default(),
            rule: None,
            span: Span::at(ts),
        }
    }

    /// Notes the rule, in place of the one before.
    pub(super) fn decided_by(&mut self, rule: &str) {
        let end = (0..=MOST_RULE.min(rule.len())).rfind(|end| rule.is_char_boundary(*end));
        let rule = &rule[..end.unwrap_or_default()];
        if self.rule.as_deref() != Some(rule) {
            self.rule = Some(rule.into());
        }
    }
}

impl Row for Talk {
    fn bytes(&self) -> usize {
        self.protocol.len() + self.host.len() + MOST_RULE
    }
}

/// What a component was refused.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The kind of attempt: `tcp.connect`, …
    pub attempt: String,
    /// The destination as the log has it.
    pub destination: String,
    /// The name that it was looked up by.
    pub name: Option<String>,
    /// The stable code of the reason.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// The operator's entry or network that refuses.
    pub rule: Option<String>,
    /// The entry that came closest to permitting it.
    pub closest: Option<String>,
    /// What would permit it.
    pub remedy: Option<String>,
    /// The other layers that refuse it.
    pub also: Vec<OtherLayer>,
    /// How often.
    pub count: u64,
    /// When it was refused first and last.
    pub span: Span,
}

/// Another layer that refuses something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtherLayer {
    /// The stable code of its reason.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// What would permit it as far as this layer goes.
    pub remedy: Option<String>,
}

impl Refusal {
    pub(super) fn new(decision: &Decision<'_>) -> Self {
        let optional = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
        let also = decision.also.iter().map(|also| OtherLayer {
            reason: also.reason.to_string(),
            detail: also.detail.to_string(),
            remedy: optional(&also.remedy),
        });
        Self {
            attempt: decision.attempt.to_string(),
            destination: decision.destination.to_string(),
            name: optional(&decision.name),
            reason: optional(&decision.reason).unwrap_or_default(),
            detail: optional(&decision.detail).unwrap_or_default(),
            rule: optional(&decision.rule),
            closest: optional(&decision.closest),
            remedy: optional(&decision.remedy),
            also: also.collect(),
            count: 0,
            span: Span::at(decision.ts),
        }
    }
}

impl Row for Refusal {
    fn bytes(&self) -> usize {
        let texts = [&self.attempt, &self.destination, &self.reason, &self.detail];
        let optional = [&self.name, &self.rule, &self.closest, &self.remedy];
        let also = |also: &OtherLayer| {
            size_of::<OtherLayer>()
                + also.reason.len()
                + also.detail.len()
                + also.remedy.as_ref().map_or(0, String::len)
        };
        let texts = texts.iter().map(|text| text.len()).sum::<usize>();
        let optional = optional.iter().filter_map(|text| text.as_ref()).map(String::len);
        texts + optional.sum::<usize>() + self.also.iter().map(also).sum::<usize>()
    }
}

/// What was permitted, and did not come about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// `tcp`, `https`, `redis`, `dns`, …
    pub protocol: String,
    /// The name where one is known, or the address.
    pub host: String,
    /// The port, where there is one.
    pub port: Option<u16>,
    /// The error: `connection-refused`; `abandoned` if the guest gave it up.
    pub error: String,
    /// How often.
    pub count: u64,
    /// When it failed first and last.
    pub span: Span,
}

impl Failure {
    pub(super) fn new(peer: &Peer<'_>, error: &str, ts: Timestamp) -> Self {
        Self {
            protocol: peer.protocol.to_owned(),
            host: peer.host.to_owned(),
            port: peer.port,
            error: error.to_owned(),
            count: 0,
            span: Span::at(ts),
        }
    }
}

impl Row for Failure {
    fn bytes(&self) -> usize {
        self.protocol.len() + self.host.len() + self.error.len()
    }
}

/// Bytes of a rule that are kept: an entry is quoted with 120 characters, and has its place behind it.
const MOST_RULE: usize = 400;
