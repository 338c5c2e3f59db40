//! Why an address could be reached at some moment, or could not.
//!
//! ```text
//! dns.lookup allowed (id L, rule) ─▶ dns.answer … (lookup L) ─▶ outcome of L ─▶ what the name grants, from then on
//!                                                                 │ succeeded: the addresses that were allowed
//!                                                                 │ failed: none, if the name has none; else no change
//!                                                                 └ evicted N: N grants nothing any more
//! connect, send, request, dial ─▶ told with what was granted at that line
//! ```
//!
//! The rules are those of grants (DNS-3 to DNS-7): they belong to an instance, the newest look-up of a name counts whichever
//! answers first, one that failed or was given up changes nothing, and one that found out that there is no address ends
//! what there was. Lines of one instance are in the order in which it was so; those up to the end of the moment count.
//!
//! What is not in the log is not guessed: see [`Unknown`]. Memory has a bound whatever guests do: so many instances, those
//! that were heard of last, each with so many names and decisions.

mod answer;
mod grants;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

pub use self::answer::{Answer, Attempted, End, Grant, Lookup, SUBJECTS_TOLD, Subject, Unknown};
use self::grants::{Ended, Names};
use crate::peer::split_port;
use crate::recent::Recent;
use crate::runs::{Run, Runs};
use crate::{Decision, Outcome, Record, Stage, Timestamp, Verdict};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// An address, or a name.
    pub host: Host,
    /// The port, if it matters.
    pub port: Option<u16>,
    /// The first instant of the moment.
    pub from: Timestamp,
    /// The last one.
    pub until: Timestamp,
    /// Of this component only.
    pub components: Vec<String>,
    /// Of these instances only.
    pub instances: Vec<u64>,
}

/// Who is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name, in lower case and without a dot at its end.
    Name(String),
}

impl Host {
    /// The host and the port that somebody wrote: `10.0.0.5`, `10.0.0.5:5432`, `[::1]:80`, `db.example.com:5432`.
    pub fn written(text: &str) -> (Self, Option<u16>) {
        let (host, port) = split_port(text);
        match host.parse() {
            Ok(address) => (Self::Address(canonical(address)), port),
            Err(_) => (Self::Name(host.trim_end_matches('.').to_ascii_lowercase()), port),
        }
    }

    fn is(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => name == host,
            Self::Address(address) => host.parse().is_ok_and(|own: IpAddr| canonical(own) == *address),
        }
    }
}

/// The address as the policy has it: what is mapped into IPv6 is one of IPv4.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Whose grants they are: the process, the instance, the component.
type Whose = (Run, u64, Box<str>);

/// A look-up that was permitted and is not over.
#[derive(Debug)]
struct Begun {
    ts: Timestamp,
    rule: Option<Box<str>>,
}

/// The addresses of an answer that were judged so far.
#[derive(Debug)]
struct Judged {
    granted: Vec<IpAddr>,
    refused: Vec<(IpAddr, Box<str>)>,
}

/// Reads records for the answer to a question.
#[derive(Debug)]
pub struct Why {
    question: Question,
    runs: Runs,
    begun: Recent<(Run, u64), Begun>,
    judged: Recent<(Run, u64), Judged>,
    /// The newest look-up of a name that is over, by number. One that began before it changes nothing any more.
    settled: Recent<(Whose, Box<str>), u64>,
    subjects: Recent<Whose, Names>,
    span: Option<(Timestamp, Timestamp)>,
    lost: u64,
    has_permits: bool,
    has_looked_up_without_link: bool,
}

impl Why {
    /// Nothing read yet.
    pub fn new(question: Question) -> Self {
        Self {
            question,
            runs: Runs::default(),
            begun: Recent::new(IN_FLIGHT),
            judged: Recent::new(IN_FLIGHT),
            settled: Recent::new(SETTLED),
            subjects: Recent::new(SUBJECTS),
            span: None,
            lost: 0,
            has_permits: false,
            has_looked_up_without_link: false,
        }
    }

    /// Takes the next record.
    pub fn add(&mut self, record: &Record<'_>) {
        let run = self.runs.of(record);
        let ts = record.ts();
        let (first, last) = self.span.unwrap_or((ts, ts));
        self.span = Some((first.min(ts), last.max(ts)));
        let is_in_time = ts <= self.question.until;
        match record {
            Record::Lost { lost, .. } if is_in_time => self.lost = self.lost.saturating_add(*lost),
            Record::Decision(decision) => {
                self.has_permits |= decision.verdict == Verdict::Allow;
                if let Some(whose) = self.whose(run, &decision.component, decision.instance) {
                    if is_in_time {
                        self.decision(whose, decision);
                    } else {
                        self.heard_of(&whose, ts);
                    }
                }
            }
            Record::Outcome(outcome) => {
                if let Some(whose) = self.whose(run, &outcome.component, outcome.instance) {
                    if is_in_time && &*outcome.attempt == "dns.lookup" {
                        self.looked_up(whose, outcome);
                    } else {
                        self.heard_of(&whose, ts);
                    }
                }
            }
            _ => {}
        }
    }

    /// The answer, once all records were taken.
    pub fn answer(self) -> Answer {
        answer::of(self)
    }

    /// Whose record it is, if it is one that was asked about.
    fn whose(&self, run: Option<Run>, component: &str, instance: u64) -> Option<Whose> {
        let Question {
            components,
            instances,
            ..
        } = &self.question;
        let is_asked_about = (components.is_empty() || components.iter().any(|own| own == component))
            && (instances.is_empty() || instances.contains(&instance));
        is_asked_about.then_some((run?, instance, component.into()))
    }

    fn heard_of(&mut self, whose: &Whose, ts: Timestamp) {
        if let Some(names) = self.subjects.renewed(whose) {
            names.last = names.last.max(ts);
        }
    }

    fn decision(&mut self, whose: Whose, decision: &Decision<'_>) {
        self.heard_of(&whose, decision.ts);
        match &*decision.attempt {
            "dns.answer" => self.answered(whose.0, decision),
            "dns.lookup" if decision.verdict == Verdict::Allow => {
                let rule = decision.rule.as_deref().map(Into::into);
                self.begun.insert(
                    (whose.0, decision.id),
                    Begun {
                        ts: decision.ts,
                        rule,
                    },
                );
            }
            _ => {}
        }
        // That an answer has the address is told by its look-up.
        let is_told_otherwise = &*decision.attempt == "dns.answer" && decision.verdict == Verdict::Allow;
        if !is_told_otherwise && self.is_about(decision) {
            let moment = (self.question.from, self.question.until);
            self.subject(whose, decision.ts).attempted(decision, moment);
        }
    }

    /// True if the question is about what the decision is about.
    fn is_about(&self, decision: &Decision<'_>) -> bool {
        let peer = crate::Peer::of(&decision.attempt, &decision.destination, None);
        let host = &self.question.host;
        let is_host = host.is(peer.host) || decision.name.as_deref().is_some_and(|name| host.is(name));
        let is_port = self.question.port.is_none() || peer.port.is_none() || self.question.port == peer.port;
        is_host && is_port
    }

    /// One address of an answer was judged.
    fn answered(&mut self, run: Run, decision: &Decision<'_>) {
        let Some(lookup) = decision.lookup else {
            self.has_looked_up_without_link |= decision.verdict == Verdict::Allow;
            return;
        };
        let Ok(address) = decision.destination.parse().map(canonical) else {
            return;
        };
        let key = (run, lookup);
        if self.judged.get(&key).is_none() {
            let judged = Judged {
                granted: Vec::new(),
                refused: Vec::new(),
            };
            self.judged.insert(key, judged);
        }
        let Some(judged) = self.judged.get_mut(&key) else {
            return;
        };
        let is_full = judged.granted.len() + judged.refused.len() >= ADDRESSES;
        if is_full && self.question.host != Host::Address(address) {
            return;
        }
        if decision.verdict == Verdict::Allow {
            judged.granted.push(address);
        } else {
            judged
                .refused
                .push((address, decision.reason.as_deref().unwrap_or_default().into()));
        }
    }

    /// A look-up is over.
    fn looked_up(&mut self, whose: Whose, outcome: &Outcome<'_>) {
        self.heard_of(&whose, outcome.ts);
        let Some(number) = outcome.decision else {
            return;
        };
        let begun = self.begun.remove(&(whose.0, number));
        let judged = self.judged.remove(&(whose.0, number));
        let name = &*outcome.destination;
        let Some(end) = settles(outcome) else {
            return;
        };
        if let Some(evicted) = outcome.evicted.as_deref()
            && let Some(names) = self.subjects.get_mut(&whose)
        {
            names.end(evicted, &Ended::Evicted { by: name.into() }, outcome.ts);
        }
        let key = (whose.clone(), Box::from(name));
        if self.settled.get(&key).is_some_and(|newest| *newest > number) {
            return;
        }
        self.settled.insert(key, number);
        // So few look-ups have begun since that nothing was forgotten of those that could have overtaken it.
        let is_certain = begun.is_some();
        let lookup = Lookup {
            number,
            name: name.to_owned(),
            begun: begun.as_ref().map(|begun| begun.ts),
            rule: begun.and_then(|begun| begun.rule).map(String::from),
            answered: outcome.ts,
            granted: match end {
                Settled::Answered => judged
                    .as_ref()
                    .map(|judged| judged.granted.clone())
                    .unwrap_or_default(),
                Settled::Nothing => Vec::new(),
            },
            refused: judged
                .map(|judged| {
                    judged
                        .refused
                        .into_iter()
                        .map(|(own, code)| (own, String::from(code)))
                        .collect()
                })
                .unwrap_or_default(),
            error: outcome.error.as_deref().map(str::to_owned),
            is_certain,
        };
        self.settle(whose, lookup, outcome.ts);
    }

    /// Puts a look-up in force, where it is about the host or about a name that granted it.
    fn settle(&mut self, whose: Whose, lookup: Lookup, ts: Timestamp) {
        let grants_it = match &self.question.host {
            Host::Address(address) => lookup.granted.contains(address),
            Host::Name(name) => *name == lookup.name,
        };
        if grants_it {
            self.subject(whose, ts).grant(lookup);
        } else if let Some(names) = self.subjects.get_mut(&whose) {
            let name = lookup.name.clone();
            names.end(&name, &Ended::Replaced(Arc::new(lookup)), ts);
        }
    }

    fn subject(&mut self, whose: Whose, ts: Timestamp) -> &mut Names {
        if self.subjects.get(&whose).is_none() {
            self.subjects.insert(whose.clone(), Names::new(ts));
        }
        self.subjects
            .get_mut(&whose)
            .expect("INVARIANT: it was there or was inserted")
    }
}

/// The effect that a look-up has which is over.
enum Settled {
    Answered,
    Nothing,
}

/// None of one that changes nothing (DNS-4, DNS-5).
fn settles(outcome: &Outcome<'_>) -> Option<Settled> {
    match (outcome.stage, outcome.error.as_deref()) {
        (Stage::Succeeded, _) => Some(Settled::Answered),
        (Stage::Failed, Some(error)) if ends_grants(error) => Some(Settled::Nothing),
        _ => None,
    }
}

/// True if a look-up that failed with this error has ended what the name granted: the name does not exist or has no address, or
/// none that may be granted. Every other failure leaves it as it was (DNS-5).
pub fn ends_grants(error: &str) -> bool {
    matches!(error, "name-unresolvable" | "access-denied")
}

fn owned(text: &Option<Cow<'_, str>>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}

/// Look-ups whose beginnings and answers are remembered until they are over, and up to twice as many.
const IN_FLIGHT: usize = 1 << 14;

/// Names of instances whose newest look-up is remembered, and up to twice as many.
const SETTLED: usize = 1 << 17;

/// Instances that are told of, and up to twice as many.
const SUBJECTS: usize = 1 << 11;

/// Addresses of an answer that are kept: the gate takes no more (DNS-12), unless it was told to.
const ADDRESSES: usize = 64;
