//! What the gate tells, summed up: the sink of the dashboard.
//!
//! Each decision and each outcome is counted where it is told, under one lock that is held for a few look-ups in tables. Whatever
//! changes gets the next number, and a reader asks for what has a greater one than it has seen ([`Activity::since`]): so no
//! reader is waited for, and what changed a thousand times between two looks is sent once.
//!
//! Of what is permitted these count for no edge, since nothing goes anywhere by them, or another decision says the same: that a
//! socket is made or bound, that an answer's address is granted, and that the host dials an address for what was permitted by
//! its name. Refusals are told of all.
//!
//! What was permitted and [has an outcome](has_an_outcome) is remembered until it is over, by the number of its decision, so
//! that what comes of it counts for the edge with the name; [`OPEN`] of them, which is more than quotas let be open. Of UDP
//! the gate tells what a socket carried and not with whom, so its edges have no bytes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use outport_egress::{AuditEvent, AuditOutcome, AuditSink, Carried, Outcomes, Stage, Verdict};
use serde::Serialize;

use super::edges::{Edge, Edges, Ends};
use super::refusals::{Refusal, Refusals};
use super::text::Text;

/// What is permitted and not over, at most.
const OPEN: usize = 65_536;

/// Components that are shown, at most.
const COMPONENTS: usize = 1_000;

/// All that was told.
#[derive(Default)]
pub(super) struct Activity(Mutex<Told>);

#[derive(Default)]
struct Told {
    changes: u64,
    components: Vec<Text>,
    edges: Edges,
    refusals: Refusals,
    open: BTreeMap<u64, Open>,
}

/// Something that was permitted and is not over.
struct Open {
    edge: usize,
    came_about: bool,
    /// As it counts in its edge already.
    sent: u64,
    received: u64,
}

/// The difference between two looks.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    pub(super) edges: Vec<Edge>,
    pub(super) refusals: Vec<Refusal>,
    /// Attempts that are in an edge to all others.
    pub(super) folded: u64,
    /// The number of the last change that is in it.
    #[serde(skip)]
    pub(super) until: u64,
}

impl Activity {
    /// Shows these components, whether or not they do anything.
    pub(super) fn show_components<'c>(&self, components: impl IntoIterator<Item = &'c str>) {
        let mut told = self.lock();
        told.components = components
            .into_iter()
            .take(COMPONENTS)
            .map(Text::bounded)
            .collect();
    }

    /// The components that are there from the start.
    pub(super) fn components(&self) -> Vec<Text> {
        self.lock().components.clone()
    }

    /// The number of the last change; 0 before everything.
    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// What has changed since `change`, `most` edges and `most` refusals at most; 0 is before everything.
    pub(super) fn since(&self, change: u64, most: usize) -> Difference {
        let told = self.lock();
        let edges = told.edges.changed_since(change, most);
        let refusals = told.refusals.changed_since(change, most);
        // Where not all fits the next look goes on behind what did, at the risk of telling a few twice.
        let cut = |length: usize, last: Option<u64>| {
            if length < most {
                told.changes
            } else {
                last.unwrap_or(change)
            }
        };
        let until = cut(edges.len(), edges.last().map(|edge| edge.changed)).min(cut(
            refusals.len(),
            refusals.last().map(|refusal| refusal.changed),
        ));
        Difference {
            edges,
            refusals,
            folded: told.edges.folded,
            until,
        }
    }

    /// Notes what those that are open have carried so far.
    pub(super) fn carry(&self, carried: &[Carried]) {
        let mut told = self.lock();
        let told = &mut *told;
        for one in carried {
            let Some(open) = told.open.get_mut(&one.decision) else {
                continue;
            };
            if let Some(edge) = told.edges.numbered(open.edge)
                && open.carries(edge, one.sent, one.received)
            {
                told.changes += 1;
                edge.changed = told.changes;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuditSink for Activity {
    fn record(&self, event: &AuditEvent) {
        let is_permitted = event.verdict == Verdict::Allow;
        if is_permitted && says_nothing_new(event.attempt) {
            return;
        }
        let destination = destination(&event.destination, event.name.as_deref(), event.attempt);
        self.lock().decided(event, &destination, is_permitted);
    }

    fn outcomes(&self) -> Outcomes {
        Outcomes::All
    }

    fn record_outcome(&self, outcome: &AuditOutcome) {
        if let Some(decision) = outcome.decision {
            self.lock().came_to(decision, outcome);
        }
    }
}

impl Told {
    fn decided(&mut self, event: &AuditEvent, destination: &Shown<'_>, is_permitted: bool) {
        let at = now();
        self.changes += 1;
        let ends = Ends {
            component: &event.component,
            kind: destination.kind,
            to: &destination.to,
        };
        let edge = self.edges.of(ends, is_permitted);
        edge.changed = self.changes;
        edge.last = at;
        if is_permitted {
            edge.leads_to(destination.address);
            if !is_dial(event.attempt) {
                edge.allowed += 1;
                edge.permitted_by(event.rule.as_deref());
            }
            let id = edge.id;
            if has_an_outcome(event.attempt) {
                self.follow(event.id, id);
            }
        } else {
            edge.refused += 1;
            edge.reason = event.reason;
            self.refusals.note(event, at, self.changes);
        }
    }

    fn follow(&mut self, decision: u64, edge: usize) {
        self.open.insert(decision, Open::new(edge));
        if self.open.len() > OPEN
            && let Some((_, oldest)) = self.open.pop_first()
            && oldest.came_about
            && let Some(edge) = self.edges.numbered(oldest.edge)
        {
            edge.open = edge.open.saturating_sub(1);
        }
    }

    fn came_to(&mut self, decision: u64, outcome: &AuditOutcome) {
        let Some(open) = self.open.get_mut(&decision) else {
            return;
        };
        let Some(edge) = self.edges.numbered(open.edge) else {
            return;
        };
        self.changes += 1;
        edge.changed = self.changes;
        edge.last = now();
        let is_over = match outcome.outcome {
            // A look-up and a handshake are over when they succeed.
            Stage::Succeeded if !has_an_end(outcome.attempt) => true,
            Stage::Succeeded => {
                open.came_about = true;
                edge.open += 1;
                false
            }
            Stage::Failed => {
                edge.failed += 1;
                edge.error = outcome.error.as_deref().map(Text::bounded);
                true
            }
            Stage::Ended => {
                let (sent, received) = (outcome.sent.unwrap_or(0), outcome.received.unwrap_or(0));
                open.carries(edge, sent, received);
                true
            }
        };
        if is_over {
            if open.came_about {
                edge.open = edge.open.saturating_sub(1);
            }
            self.open.remove(&decision);
        }
    }
}

impl Open {
    fn new(edge: usize) -> Self {
        Self {
            edge,
            came_about: false,
            sent: 0,
            received: 0,
        }
    }

    /// Counts what it has carried by now in its edge. False where that is no news.
    fn carries(&mut self, edge: &mut Edge, sent: u64, received: u64) -> bool {
        // What is told late may be less than what is known.
        let (more_sent, more_received) = (
            sent.saturating_sub(self.sent),
            received.saturating_sub(self.received),
        );
        edge.sent += more_sent;
        edge.received += more_received;
        self.sent += more_sent;
        self.received += more_received;
        more_sent + more_received > 0
    }
}

/// Where something goes, as it is shown.
struct Shown<'e> {
    kind: &'e str,
    to: String,
    address: &'e str,
}

/// The name stands for its addresses, however many it has.
fn destination<'e>(written: &'e str, name: Option<&str>, attempt: &'e str) -> Shown<'e> {
    let kind = attempt.split('.').next().unwrap_or(attempt);
    if let Some((scheme, authority)) = written.split_once("://") {
        // Redis is Redis with TLS and without, and what is dialled for it says no more.
        let kind = if ["http", "url"].contains(&kind) {
            scheme
        } else {
            kind
        };
        let (to, address) = (authority.to_owned(), authority);
        return Shown { kind, to, address };
    }
    let to = match (name, port(written)) {
        (Some(name), Some(port)) => format!("{name}:{port}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => written.to_owned(),
    };
    Shown {
        kind,
        to,
        address: written,
    }
}

/// The port behind an address: `10.0.0.5:5432`, `[::1]:5432`.
fn port(written: &str) -> Option<&str> {
    let (before, port) = written.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && (before.ends_with(']') || !before.contains(':'))).then_some(port)
}

/// True of what leads nowhere, and of what another decision has told.
fn says_nothing_new(attempt: &str) -> bool {
    let nowhere = [
        "socket.create",
        "tcp.bind",
        "udp.bind",
        "dns.answer",
        "udp.receive",
    ];
    // A request is followed by itself, whatever connection it goes by.
    nowhere.contains(&attempt) || ["http.dial", "url.dial"].contains(&attempt)
}

/// True of an address that the host connects to for what was permitted before, and of which the outcome is that one's.
fn is_dial(attempt: &str) -> bool {
    attempt.ends_with(".dial")
}

/// True of what the gate follows from its decision on.
fn has_an_outcome(attempt: &str) -> bool {
    let (kind, what) = attempt.split_once('.').unwrap_or((attempt, ""));
    ["lookup", "request", "dial", "connect"].contains(&what) && kind != "udp"
}

/// True of what is there for a while when it has come about: connections and exchanges. A look-up is over then, as is a
/// handshake; of what the host connects to by a name the connection itself is followed.
fn has_an_end(attempt: &str) -> bool {
    ["tcp.connect", "http.request"].contains(&attempt) || is_dial(attempt)
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
