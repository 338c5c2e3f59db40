//! Egress for tests: scripted names, and events that are remembered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use outport_egress::{Answer, AuditEvent, AuditSink, Egress, EgressBuilder, Extent, Resolve, ResolveError};
use outport_policy::{Address, AnswerSource, DenyList, Entry, Limit, Location, Name, Operator};

/// | name | answer |
/// | --- | --- |
/// | `db.example` | 127.0.0.1 and 10.6.6.6, from a server |
/// | `host.example` | 127.0.0.1, from the hosts file |
/// | `flip.example` | 127.0.0.1, at first from the hosts file, then from a server |
/// | `alias.example` | 127.0.0.1 from the hosts file, by way of `evil.example` |
/// | `slow.example` | never |
/// | all others | do not exist |
#[derive(Default)]
struct Names {
    flipped: AtomicBool,
}

impl Resolve for Names {
    fn resolve(&self, name: &Name) -> BoxFuture<'static, Result<Answer, ResolveError>> {
        let answer = |source, chain: &[&str], addresses: &[&str]| {
            let chain = chain.iter().map(|name| Name::parse(name).unwrap()).collect();
            let addresses = addresses
                .iter()
                .map(|text| Address::new(text.parse().unwrap()))
                .collect();
            Ok(Answer {
                chain,
                addresses,
                source,
                ttl: Duration::ZERO,
                extent: Extent::Whole,
            })
        };
        let flipped = || {
            if self.flipped.swap(true, Ordering::Relaxed) {
                AnswerSource::Server
            } else {
                AnswerSource::HostsFile
            }
        };
        let result = match name.as_str() {
            "db.example" => answer(AnswerSource::Server, &[], &["127.0.0.1", "10.6.6.6"]),
            "host.example" => answer(AnswerSource::HostsFile, &[], &["127.0.0.1"]),
            "flip.example" => answer(flipped(), &[], &["127.0.0.1"]),
            "alias.example" => answer(AnswerSource::HostsFile, &["evil.example"], &["127.0.0.1"]),
            "slow.example" => return std::future::pending().boxed(),
            _ => Err(ResolveError::NoSuchName),
        };
        std::future::ready(result).boxed()
    }
}

#[derive(Default)]
pub(crate) struct Events(Mutex<Vec<AuditEvent>>);

impl AuditSink for Events {
    fn record(&self, event: &AuditEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Events {
    pub(crate) fn denials(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        events
            .iter()
            .filter_map(|event| Some(format!("{} {}", event.attempt, event.reason?)))
            .collect()
    }
}

pub(crate) fn default_egress() -> (Egress, Arc<Events>) {
    egress(|_| {})
}

/// An egress in which UDP is lifted and names under test may be this machine.
pub(crate) fn lifted_egress() -> (Egress, Arc<Events>) {
    egress(|operator| {
        operator.limits.udp = Limit::Lifted;
        operator.limits.loopback_answers = Limit::Lifted;
    })
}

pub(crate) fn egress(set: impl FnOnce(&mut Operator)) -> (Egress, Arc<Events>) {
    let mut operator = Operator::default();
    set(&mut operator);
    let events = Arc::new(Events::default());
    let egress = builder().operator(operator).sink(events.clone()).build().unwrap();
    (egress, events)
}

/// An egress with the scripted names.
pub(crate) fn builder() -> EgressBuilder {
    Egress::builder().resolver(Arc::new(Names::default()))
}

/// An operator who denies these entries and says nothing else.
pub(crate) fn denying(denied: &[&str]) -> Operator {
    let entries = denied
        .iter()
        .map(|text| Entry::parse(text, Location::Code).unwrap())
        .collect();
    Operator {
        deny: DenyList::compile(entries, Vec::new()),
        ..Operator::default()
    }
}
