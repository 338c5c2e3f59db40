//! The shared part of this crate's tests: gates without a network.

pub(crate) mod counted;
pub(crate) mod traced;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use outport_policy::{
    Address, AllowList, AnswerSource, BlockedNetwork, DenyList, Entry, Limit, Location, Name, Operator,
};
use tokio::sync::oneshot;

use self::counted::Counted;
use crate::audit::{AuditEvent, AuditSink};
use crate::dns::{Answer, Extent, Resolve, ResolveError};
use crate::egress::Egress;
use crate::enforcer::Enforcer;
use crate::meter::Meter;

pub(crate) type Result = std::result::Result<Answer, ResolveError>;

/// A resolver that answers by script. Every question is noted. A name with several results gives them in turn, the
/// last one for ever.
#[derive(Default)]
pub(crate) struct Script {
    results: Mutex<HashMap<Name, Vec<Result>>>,
    search: Vec<Name>,
    questions: Mutex<Vec<String>>,
    held: Mutex<HashMap<Name, Vec<oneshot::Receiver<()>>>>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Gives `name` a further result.
    pub(crate) fn then(self, text: &str, result: Result) -> Self {
        self.results
            .lock()
            .unwrap()
            .entry(name(text))
            .or_default()
            .push(result);
        self
    }

    /// Lets the resolver try `domain` for names without a dot.
    pub(crate) fn search(mut self, domain: &str) -> Self {
        self.search.push(name(domain));
        self
    }

    /// Holds the next question for `name` back until what is returned is used.
    pub(crate) fn hold(&self, text: &str) -> oneshot::Sender<()> {
        let (release, held) = oneshot::channel();
        self.held
            .lock()
            .unwrap()
            .entry(name(text))
            .or_default()
            .push(held);
        release
    }

    /// The questions that were asked so far.
    pub(crate) fn questions(&self) -> Vec<String> {
        self.questions.lock().unwrap().clone()
    }
}

impl Resolve for Script {
    fn expand(&self, name: &Name) -> Vec<Name> {
        let expanded = |domain: &Name| Name::parse(&format!("{name}.{domain}")).unwrap();
        let search = self.search.iter().filter(|_| !name.has_dot()).map(expanded);
        search.chain([name.clone()]).collect()
    }

    fn resolve(&self, name: &Name) -> BoxFuture<'static, Result> {
        self.questions.lock().unwrap().push(name.to_string());
        let held = self
            .held
            .lock()
            .unwrap()
            .get_mut(name)
            .and_then(|held| (!held.is_empty()).then(|| held.remove(0)));
        let mut results = self.results.lock().unwrap();
        let result = match results.get_mut(name) {
            Some(results) if results.len() > 1 => results.remove(0),
            Some(results) => results[0].clone(),
            None => Err(ResolveError::NoSuchName),
        };
        async move {
            if let Some(held) = held {
                held.await.ok();
            }
            result
        }
        .boxed()
    }
}

/// A sink that remembers every event.
#[derive(Default)]
pub(crate) struct Remember(Mutex<Vec<AuditEvent>>);

impl Remember {
    pub(crate) fn events(&self) -> Vec<AuditEvent> {
        self.0.lock().unwrap().clone()
    }

    /// Every event so far, which are then forgotten.
    pub(crate) fn drain(&self) -> Vec<AuditEvent> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// `attempt destination [reason]` of every event so far, which are then forgotten.
    pub(crate) fn take(&self) -> Vec<String> {
        self.drain()
            .iter()
            .map(|event| match event.reason {
                Some(reason) => format!("{} {} [{reason}]", event.attempt, event.destination),
                None => format!("{} {}", event.attempt, event.destination),
            })
            .collect()
    }
}

impl AuditSink for Remember {
    fn record(&self, event: &AuditEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// The parts of a test's world: change what matters, then build.
pub(crate) struct World {
    pub(crate) operator: Operator,
    pub(crate) script: Arc<Script>,
    pub(crate) events: Arc<Remember>,
    pub(crate) counted: Counted,
}

impl World {
    /// UDP lifted, since most tests want to see what comes after.
    pub(crate) fn new(script: Script) -> Self {
        let mut operator = Operator::default();
        operator.limits.udp = Limit::Lifted;
        Self {
            operator,
            script: Arc::new(script),
            events: Arc::default(),
            counted: Counted::default(),
        }
    }

    pub(crate) fn deny(mut self, denied: &[&str]) -> Self {
        self.operator.deny = deny(denied);
        self
    }

    pub(crate) fn egress(&self) -> Egress {
        let egress = Egress::builder()
            .operator(self.operator.clone())
            .meter(Meter::new(Arc::new(self.counted.clone())))
            .resolver(self.script.clone());
        egress.sink(self.events.clone()).build().unwrap()
    }

    /// A new instance of a component that may reach `allowed`, under an egress of its own.
    pub(crate) fn instance(&self, allowed: &[&str]) -> Arc<Enforcer> {
        instance(&self.egress(), allowed)
    }
}

pub(crate) fn instance(egress: &Egress, allowed: &[&str]) -> Arc<Enforcer> {
    egress.gate("web", allow(allowed)).open().enforcer.clone()
}

pub(crate) fn allow(allowed: &[&str]) -> Arc<AllowList> {
    Arc::new(AllowList::compile(entries(allowed)))
}

pub(crate) fn deny(denied: &[&str]) -> DenyList {
    DenyList::compile(entries(denied), Vec::<BlockedNetwork>::new())
}

fn entries(texts: &[&str]) -> Vec<Entry> {
    texts
        .iter()
        .map(|text| Entry::parse(text, Location::Code).unwrap())
        .collect()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn addresses(texts: &[&str]) -> Vec<Address> {
    texts
        .iter()
        .map(|text| Address::new(text.parse().unwrap()))
        .collect()
}

/// An answer of a server, good for a minute.
pub(crate) fn answer(texts: &[&str]) -> Result {
    answer_through(&[], texts)
}

/// An answer of a server that led through CNAME records.
pub(crate) fn answer_through(chain: &[&str], texts: &[&str]) -> Result {
    Ok(Answer {
        chain: chain.iter().map(|text| name(text)).collect(),
        addresses: addresses(texts),
        source: AnswerSource::Server,
        ttl: Duration::from_secs(60),
        extent: Extent::Whole,
    })
}
