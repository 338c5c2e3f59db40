//! Who talked to what: records, counted by component and destination.
//!
//! ```text
//! record ─▶ the name of its decision, by number ─▶ filter ─▶ component ─┬─ talks      protocol, host, port
//!                                                                        ├─ refusals   attempt, destination, name, reason
//!                                                                        └─ failures   protocol, host, port, error
//! ```
//!
//! An outcome has the address that its decision had, and seldom the name. So the names of decisions are remembered until
//! what was permitted is over, as far as there is room; an end without a beginning counts for the address.
//!
//! Of what the host connects to for a guest the attempt that the guest made counts (`redis.connect`, `http.request`), and of
//! the connections to single addresses (`redis.dial`) only what they carried; those of HTTP may serve several requests, whose
//! bodies were counted.
//!
//! A guest chooses destinations, so rows are bounded: [`ROWS`] for each component and kind, and all texts together. What is
//! beyond is counted, and not told apart: see [`Rows::beyond`]. So memory does not grow with the log.

mod rows;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use foldhash::fast::RandomState;

use self::rows::Room;
pub use self::rows::Span;
pub use self::rows::{Failure, OtherLayer, ROWS, Refusal, Rows, Talk};
use crate::filter::Filter;
use crate::names::Names;
use crate::peer::Peer;
use crate::runs::{Run, Runs};
use crate::{Decision, Outcome, Record, Stage, Timestamp, Verdict};

/// What records say, added up.
#[derive(Debug)]
pub struct Summary {
    /// The records that counted.
    pub records: u64,
    /// The earliest time of a record that counted, and the latest.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Decisions that permitted something.
    pub allowed: u64,
    /// Decisions that refused something.
    pub denied: u64,
    /// Lines that the log says were lost, in the time that counts.
    pub lost: u64,
    components: Components,
    processes: HashSet<Run, RandomState>,
    names: Names,
    runs: Runs,
    key: String,
}

/// What records say of one component.
#[derive(Debug, Default)]
pub struct Component {
    /// What it talked to, in the order in which that came up.
    pub talks: Rows<Talk>,
    /// What it was refused.
    pub refusals: Rows<Refusal>,
    /// What was permitted, and did not come about.
    pub failures: Rows<Failure>,
    /// Datagrams that its UDP sockets sent and received, which are counted for a socket and not for a peer.
    pub datagrams: Flow,
}

/// So much went to peers, and so much came from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// To peers.
    pub sent: u64,
    /// From peers.
    pub received: u64,
}

impl Flow {
    fn add(&mut self, outcome: &Outcome<'_>) {
        self.sent = self.sent.saturating_add(outcome.sent.unwrap_or_default());
        self.received = self.received.saturating_add(outcome.received.unwrap_or_default());
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            records: 0,
            span: None,
            allowed: 0,
            denied: 0,
            lost: 0,
            components: Components::new(),
            processes: HashSet::default(),
            names: Names::default(),
            runs: Runs::default(),
            key: String::new(),
        }
    }
}

impl Summary {
    /// Counts a record if it passes the filter. Records that do not may still tell what others are about.
    pub fn add(&mut self, record: &Record<'_>, filter: &Filter) {
        let run = self.runs.of(record);
        let name = self.names.of(run, record);
        if !filter.passes(record, name.as_deref()) {
            return;
        }
        self.records += 1;
        let ts = record.ts();
        let (first, last) = self.span.unwrap_or((ts, ts));
        self.span = Some((first.min(ts), last.max(ts)));
        if let Some(run) = run
            && self.processes.len() < PROCESSES
        {
            self.processes.insert(run);
        }
        match record {
            Record::Decision(decision) => self.decision(decision),
            Record::Outcome(outcome) => self.outcome(outcome, name.as_deref()),
            Record::Lost { lost, .. } => self.lost = self.lost.saturating_add(*lost),
            Record::Started { .. } => {}
        }
    }

    /// The components, by name.
    pub fn components(&self) -> Vec<(&str, &Component)> {
        let by_name = self.components.by_name.iter();
        let mut components: Vec<_> = by_name.map(|(name, own)| (&**name, own)).collect();
        components.sort_unstable_by_key(|(name, _)| *name);
        components
    }

    /// Records of components beyond the 1,000 that are told apart.
    pub fn beyond(&self) -> u64 {
        self.components.beyond
    }

    /// The number of processes that wrote what counted; at most 1,000.
    pub fn processes(&self) -> usize {
        self.processes.len()
    }

    fn decision(&mut self, decision: &Decision<'_>) {
        if decision.verdict == Verdict::Deny {
            self.denied += 1;
            return self.refusal(decision);
        }
        self.allowed += 1;
        if !is_counted(&decision.attempt) {
            return;
        }
        let peer = Peer::of(&decision.attempt, &decision.destination, decision.name.as_deref());
        if let Some(talk) = self.talk(&decision.component, &peer, decision.ts) {
            talk.allowed += 1;
            if let Some(rule) = &decision.rule {
                talk.decided_by(rule);
            }
        }
    }

    fn outcome(&mut self, outcome: &Outcome<'_>, name: Option<&str>) {
        if &*outcome.attempt == "socket.create" {
            if let Some(component) = self.components.get(&outcome.component) {
                component.datagrams.add(outcome);
            }
            return;
        }
        if &*outcome.attempt == "http.dial" {
            return;
        }
        let peer = Peer::of(&outcome.attempt, &outcome.destination, name);
        let is_dial = is_dial(&outcome.attempt);
        if outcome.stage == Stage::Failed && !is_dial {
            self.failure(outcome, &peer);
        }
        if is_dial && outcome.stage != Stage::Ended {
            return;
        }
        let Some(talk) = self.talk(&outcome.component, &peer, outcome.ts) else {
            return;
        };
        match outcome.stage {
            Stage::Succeeded => talk.succeeded += 1,
            // What was refused is counted as that.
            Stage::Failed if outcome.error.as_deref() == Some("lookup-quota") => {}
            Stage::Failed => talk.failed += 1,
            Stage::Ended => talk.ended += 1,
        }
        talk.flow.add(outcome);
        // What has an end took as long as that; of the rest, what it took to come about is all that there is.
        if (outcome.stage == Stage::Ended || !has_an_end(&outcome.attempt))
            && let Some(millis) = outcome.duration_ms
        {
            talk.durations.add(millis);
        }
    }

    fn talk(&mut self, component: &str, peer: &Peer<'_>, ts: Timestamp) -> Option<&mut Talk> {
        write_key(&mut self.key, &[peer.protocol, peer.host], peer.port);
        let new = || Talk::new(peer, ts);
        let talk = self
            .components
            .row(component, |own| &mut own.talks, &self.key, new)?;
        talk.span.add(ts);
        Some(talk)
    }

    fn failure(&mut self, outcome: &Outcome<'_>, peer: &Peer<'_>) {
        let error = outcome.error.as_deref().unwrap_or_default();
        if REFUSALS.contains(&error) {
            return;
        }
        write_key(&mut self.key, &[peer.protocol, peer.host, error], peer.port);
        let new = || Failure::new(peer, error, outcome.ts);
        let row = self
            .components
            .row(&outcome.component, |own| &mut own.failures, &self.key, new);
        if let Some(failure) = row {
            failure.count += 1;
            failure.span.add(outcome.ts);
        }
    }

    fn refusal(&mut self, decision: &Decision<'_>) {
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
        let (name, reason) = (text(&decision.name), text(&decision.reason));
        write_key(
            &mut self.key,
            &[&decision.attempt, &decision.destination, &name, &reason],
            None,
        );
        let new = || Refusal::new(decision);
        let row = self
            .components
            .row(&decision.component, |own| &mut own.refusals, &self.key, new);
        if let Some(refusal) = row {
            refusal.count += 1;
            refusal.span.add(decision.ts);
        }
    }
}

/// The components by their names, with the room that their texts take.
#[derive(Debug)]
struct Components {
    by_name: HashMap<Box<str>, Component, RandomState>,
    room: Room,
    /// Records of components that there was no room for.
    beyond: u64,
}

impl Components {
    fn new() -> Self {
        Self {
            by_name: HashMap::default(),
            room: Room::new(TEXTS),
            beyond: 0,
        }
    }

    fn get(&mut self, name: &str) -> Option<&mut Component> {
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= COMPONENTS || !self.room.take(name.len()) {
                self.beyond += 1;
                return None;
            }
            self.by_name.insert(name.into(), Component::default());
        }
        self.by_name.get_mut(name)
    }

    /// The row of a component with this key, or a new one; none where there is no room for it.
    fn row<R: rows::Row>(
        &mut self,
        component: &str,
        rows: impl FnOnce(&mut Component) -> &mut Rows<R>,
        key: &str,
        new: impl FnOnce() -> R,
    ) -> Option<&mut R> {
        self.get(component)?;
        let component = self.by_name.get_mut(component)?;
        rows(component).row(key, &mut self.room, new)
    }
}

fn write_key(key: &mut String, parts: &[&str], port: Option<u16>) {
    key.clear();
    for part in parts {
        key.push_str(part);
        key.push('\0');
    }
    if let Some(port) = port {
        let _ = write!(key, "{port}");
    }
}

/// True of a connection of the host's to one address.
fn is_dial(attempt: &str) -> bool {
    attempt.ends_with(".dial")
}

/// True of permitted attempts that reach somebody, and are not a part of another one.
fn is_counted(attempt: &str) -> bool {
    !is_dial(attempt)
        && !matches!(
            attempt,
            "socket.create" | "tcp.bind" | "udp.bind" | "dns.answer" | "udp.receive"
        )
}

/// True of what is told of again when it is over.
fn has_an_end(attempt: &str) -> bool {
    is_dial(attempt) || matches!(attempt, "tcp.connect" | "http.request")
}

/// Errors of what was refused after it had been permitted in part: the refusal is a record of its own.
const REFUSALS: [&str; 7] = [
    "access-denied",
    "http-request-denied",
    "destination-ip-prohibited",
    "connection-limit-reached",
    "http-request-uri-invalid",
    "new-socket-limit",
    "lookup-quota",
];

/// As many components as are told apart.
const COMPONENTS: usize = 1000;

/// As many processes as are counted.
const PROCESSES: usize = 1000;

/// Bytes of all texts that are kept.
const TEXTS: usize = 64 << 20;
