//! Whole runs of two instances through their gates, against the model that `outport-policy` is tested with: what is
//! between a guest's call and the decider counts here, and that is where look-ups overtake each other, time out and
//! are given up, grants and peers are kept, and the operator's list is replaced under a running guest.
//!
//! ```text
//! random run ──step──► Lookup, Enforcer ──► answer, refusal, event, metrics ─┐
//!                └───► the naive model ──────────────────────────────────────┴─► must agree
//! ```
//!
//! The resolver answers when the run says so, and the clock stands still in between.

#[path = "../../../policy/tests/whole_runs/cases.rs"]
mod cases;
#[path = "../../../policy/tests/whole_runs/model.rs"]
mod model;
#[path = "../../../policy/tests/whole_runs/real.rs"]
mod real;
#[path = "../../../policy/tests/whole_runs/step.rs"]
mod step;
#[path = "../../../policy/tests/whole_runs/written.rs"]
mod written;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use outport_policy::{Address, AllowList, AnswerSource, Host, Name, Scheme};
use tokio::sync::oneshot;

use self::model::{MInstance, MOperator, Model, Reasons, Speaks};
use self::real::{a_name, address, entries, learned, names, reach, real_operator, request, send, source};
use self::step::{Said, Step};
use self::written::{TARGETS, Target, Written};
use super::*;
use crate::dns::{Answer, Extent, ResolveError};
use crate::egress::Egress;
use crate::lookup::{Lookup, LookupError};
use crate::testing::{self, Remember};

/// A resolver whose questions wait until the run answers them.
#[derive(Default)]
struct Waiting(Mutex<VecDeque<oneshot::Sender<testing::Result>>>);

impl Resolve for Waiting {
    fn resolve(&self, _: &Name) -> BoxFuture<'static, testing::Result> {
        let (reply, answer) = oneshot::channel();
        self.0.lock().unwrap().push_back(reply);
        async move { answer.await.unwrap_or(Err(ResolveError::TimedOut)) }.boxed()
    }
}

/// One look-up of an instance.
struct InFlight {
    name: &'static str,
    number: u64,
    begun: u64,
    reply: oneshot::Sender<testing::Result>,
    result: BoxFuture<'static, Result<Vec<Address>, LookupError>>,
}

/// One instance, real and as the model has it.
struct Instance {
    enforcer: Arc<Enforcer>,
    in_flight: Vec<InFlight>,
    begun: u64,
    model: MInstance,
}

struct Run {
    egress: Egress,
    resolver: Arc<Waiting>,
    events: Arc<Remember>,
    allow: Vec<Written>,
    operator: MOperator,
    now: u64,
    allowed: u64,
    denied: BTreeMap<&'static str, u64>,
}

/// Whole seconds pass in a run, so a look-up is over with the thirtieth.
const LOOKUP_TIME: Duration = Duration::from_millis(29_500);
const LOOKUP_SECONDS: u64 = 30;

fn with_time(operator: &MOperator) -> Operator {
    let mut operator = real_operator(operator);
    operator.quotas.lookup_time = LOOKUP_TIME;
    operator
}

/// The result of a future that is ready at once.
fn poll<T>(future: &mut BoxFuture<'static, T>) -> Option<T> {
    future.now_or_never()
}

fn equal<T: std::fmt::Debug + PartialEq>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: {found:?}, and the model says {expected:?}"))
    }
}

impl Run {
    fn new(allow: Vec<Written>, operator: MOperator) -> (Self, [Instance; 2]) {
        let (resolver, events) = (Arc::<Waiting>::default(), Arc::<Remember>::default());
        let egress = Egress::builder()
            .operator(with_time(&operator))
            .resolver(resolver.clone())
            .sink(events.clone())
            .build()
            .unwrap();
        egress.process().learn(learned(&operator));
        let gate = egress.gate("it", Arc::new(AllowList::compile(entries(&allow))));
        let instances = [(); 2].map(|()| Instance {
            enforcer: gate.open().enforcer.clone(),
            in_flight: Vec::new(),
            begun: 0,
            model: MInstance::default(),
        });
        let run = Self {
            egress,
            resolver,
            events,
            allow,
            operator,
            now: 0,
            allowed: 0,
            denied: BTreeMap::new(),
        };
        (run, instances)
    }

    fn model(&self) -> Model<'_> {
        Model {
            allow: &self.allow,
            operator: &self.operator,
        }
    }

    /// True if it is allowed, as both must say; counted as the metrics must have it.
    fn compare(&mut self, what: &str, found: Option<&str>, expected: &Reasons) -> Result<bool, String> {
        let agree = match found {
            None => expected.is_empty(),
            Some(found) => expected.iter().any(|reason| reason.code() == found),
        };
        if !agree {
            return Err(format!("{what}: {found:?}, and the model says {expected:?}"));
        }
        match expected.iter().find(|reason| Some(reason.code()) == found) {
            Some(reason) => *self.denied.entry(reason.code()).or_default() += 1,
            None => self.allowed += 1,
        }
        Ok(found.is_none())
    }

    fn compare_decision(
        &mut self,
        what: &dyn std::fmt::Display,
        found: Result<(), Denied>,
        expected: &Reasons,
    ) -> Result<bool, String> {
        let reason = found.err().map(|denied| denied.reason().code());
        self.compare(&what.to_string(), reason, expected)
    }

    /// The events since the last time that are about look-ups.
    fn told(&self) -> VecDeque<(&'static str, String, Option<&'static str>)> {
        let told = |event: &AuditEvent| (event.attempt, event.destination.clone(), event.reason);
        let lookups = |(attempt, ..): &(&'static str, _, _)| attempt.starts_with("dns.");
        self.events.drain().iter().map(told).filter(lookups).collect()
    }

    /// One second passes, and what is over by then ends.
    async fn pass(&mut self, instances: &mut [Instance; 2], seconds: u64) -> Result<(), String> {
        self.now += seconds;
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for in_flight in instances.iter_mut().map(|instance| &mut instance.in_flight) {
            for lookup in in_flight.iter_mut() {
                let over = self.now - lookup.begun >= LOOKUP_SECONDS;
                let expected = over.then_some(Err(LookupError::TemporaryFailure));
                equal(lookup.name, poll(&mut lookup.result), expected)?;
            }
            in_flight.retain(|lookup| self.now - lookup.begun < LOOKUP_SECONDS);
        }
        Ok(())
    }

    async fn step(&mut self, instances: &mut [Instance; 2], which: bool, step: Step) -> Result<(), String> {
        let seconds = match step {
            Step::Wait(seconds) => 1 + seconds,
            _ => 1,
        };
        self.pass(instances, seconds).await?;
        let instance = &mut instances[usize::from(which)];
        instance.model.in_flight = instance.in_flight.len();
        match step {
            Step::Lookup(name) => self.lookup(instance, name)?,
            Step::Answer(which, said) if which < instance.in_flight.len() => {
                let lookup = instance.in_flight.remove(which);
                self.answer(instance, lookup, said)?;
                self.look_around(instance)?;
            }
            Step::Answer(..) | Step::Wait(_) => {}
            Step::Connect(target, port) => {
                let expected = self.model().reach(&instance.model, target, Speaks::Tcp, port);
                let remote = Endpoint::new(address(target), port);
                let found = instance.enforcer.authorize_connect(Transport::Tcp, remote.into());
                let attempt = reach(Transport::Tcp, target, port);
                self.compare_decision(&attempt, found.map(drop), &expected)?;
            }
            Step::Send(target, port) => {
                let expected = self.model().reach(&instance.model, target, Speaks::Udp, port);
                let remote = Endpoint::new(address(target), port);
                let found = instance
                    .enforcer
                    .send(remote.into(), 1, |_| Ok::<_, ()>(()))
                    .map(drop);
                if self.compare_decision(&send(target, port), found, &expected)? {
                    instance.model.sent(target.text, port, self.now);
                }
            }
            Step::Receive(target, port) => {
                let expected = self.model().receive(&instance.model, target, port, self.now);
                let peer = Endpoint::new(address(target), port);
                let found = instance.enforcer.authorize_receive(peer.into());
                self.compare_decision(&Attempt::Receive { peer }, found, &expected)?;
            }
            Step::Request(name, scheme, port) => {
                let expected = self.model().request(name, scheme, port);
                let (host, scheme) = (Host::Name(a_name(name)), Scheme::parse(scheme).unwrap());
                let attempt = request(&scheme, &host, port);
                let found = instance.enforcer.authorize(&attempt, instance.enforcer.usage());
                self.compare_decision(&attempt, found.map(drop), &expected)?;
            }
            Step::RequestTo(target, scheme, port) => {
                let expected = self.model().request_to(target, scheme, port);
                let (host, scheme) = (Host::Address(address(target)), Scheme::parse(scheme).unwrap());
                let attempt = request(&scheme, &host, port);
                let found = instance.enforcer.authorize(&attempt, instance.enforcer.usage());
                self.compare_decision(&attempt, found.map(drop), &expected)?;
            }
            Step::Dial(name, chain, target, scheme, port) => {
                let expected = self.model().dial(name, &chain, target, scheme, port);
                let (host, scheme) = (Host::Name(a_name(name)), Scheme::parse(scheme).unwrap());
                let remote = Endpoint::new(address(target), port);
                let attempt = Attempt::Dial {
                    scheme: &scheme,
                    host: &host,
                    chain: &names(&chain),
                    remote,
                    source: source(name),
                };
                let usage = instance.enforcer.usage();
                let found = instance.enforcer.authorize_dial(&attempt, remote.into(), usage);
                self.compare_decision(&attempt, found.map(drop), &expected)?;
            }
            Step::Reload(operator) => {
                self.egress.replace_operator(with_time(&operator));
                self.egress.process().learn(learned(&operator));
                self.operator = operator;
            }
        }
        let metrics = self.egress.metrics();
        equal("allowed", metrics.allowed, self.allowed)?;
        equal("denied", &metrics.denied, &self.denied)
    }

    /// Asks for every address what has become of its grants. Nobody is told, and nothing is counted.
    fn look_around(&self, instance: &Instance) -> Result<(), String> {
        TARGETS.into_iter().try_for_each(|target| {
            let expected = self.model().reach(&instance.model, target, Speaks::Tcp, 1024);
            let attempt = reach(Transport::Tcp, target, 1024);
            let found = instance
                .enforcer
                .recheck(&attempt, instance.enforcer.usage())
                .err()
                .map(Denied::reason);
            if found.map_or(expected.is_empty(), |reason| expected.contains(&reason)) {
                Ok(())
            } else {
                Err(format!("{attempt}: {found:?}, and the model says {expected:?}"))
            }
        })
    }

    fn lookup(&mut self, instance: &mut Instance, name: &'static str) -> Result<(), String> {
        let expected = self.model().lookup(&instance.model, name);
        self.told();
        let started = Lookup::start(&instance.enforcer, name);
        let told = self.told();
        let (.., reason) = told.front().ok_or("a look-up was not told")?;
        if !self.compare(name, *reason, &expected)? {
            let error = match reason {
                Some("quota.lookups") => LookupError::TooMany,
                _ => LookupError::Denied,
            };
            return equal(name, started.err(), Some(error));
        }
        let Ok(Lookup::Pending(asked)) = started else {
            return Err(format!("{name}: no look-up, and the model says that one starts"));
        };
        instance.begun += 1;
        let number = instance.begun;
        let mut result = asked.answer().boxed();
        if source(name) == AnswerSource::Localhost {
            let here = TARGETS
                .into_iter()
                .filter(|target| ["127.0.0.1", "::1"].contains(&target.text));
            let here: Vec<Target> = here.collect();
            return self.answered(instance, (name, number), poll(&mut result), &[], &here);
        }
        equal(name, poll(&mut result), None)?;
        let reply = self.resolver.0.lock().unwrap().pop_front();
        instance.in_flight.push(InFlight {
            name,
            number,
            begun: self.now,
            reply: reply.ok_or("nobody was asked")?,
            result,
        });
        Ok(())
    }

    fn answer(&mut self, instance: &mut Instance, lookup: InFlight, said: Said) -> Result<(), String> {
        let InFlight {
            name,
            number,
            reply,
            mut result,
            ..
        } = lookup;
        self.told();
        let (reply_with, error) = match said {
            Said::Abandoned => {
                drop(result);
                return equal(name, reply.is_closed(), true);
            }
            Said::Failed => {
                let detail = "SERVFAIL".to_owned();
                (
                    Err(ResolveError::Failed { detail }),
                    LookupError::TemporaryFailure,
                )
            }
            Said::NoSuchName => {
                instance.model.settle(name, number, &[], &[], self.now);
                (Err(ResolveError::NoSuchName), LookupError::Unresolvable)
            }
            Said::Addresses(chain, targets) => {
                let answer = Answer {
                    chain: names(&chain),
                    addresses: targets.iter().map(|target| address(*target)).collect(),
                    source: source(name),
                    ttl: Duration::ZERO,
                    extent: Extent::Whole,
                };
                reply
                    .send(Ok(answer))
                    .map_err(|_| "nobody waits for the answer")?;
                return self.answered(instance, (name, number), poll(&mut result), &chain, &targets);
            }
        };
        reply
            .send(reply_with)
            .map_err(|_| "nobody waits for the answer")?;
        equal(name, poll(&mut result), Some(Err(error)))
    }

    /// A look-up has answered: each address was judged, and those that are left are the guest's.
    fn answered(
        &mut self,
        instance: &mut Instance,
        (name, number): (&'static str, u64),
        found: Option<Result<Vec<Address>, LookupError>>,
        chain: &[&'static str],
        targets: &[Target],
    ) -> Result<(), String> {
        let mut told = self.told();
        let mut left = Vec::new();
        for target in targets {
            let (attempt, destination, reason) = told.pop_front().ok_or("an address was not told")?;
            equal(
                "the event",
                (attempt, &destination),
                ("dns.answer", &address(*target).to_string()),
            )?;
            let expected = self.model().answer(name, chain, *target);
            if self.compare(&format!("{name} {destination}"), reason, &expected)? {
                left.push(*target);
            }
        }
        instance.model.settle(name, number, chain, &left, self.now);
        let expected = if left.is_empty() {
            Err(LookupError::Denied)
        } else {
            Ok(left.iter().map(|target| address(*target)).collect())
        };
        equal(name, found, Some(expected))
    }
}

// proves: ORD-1, ORD-3, HL-4, HL-5, HL-6, HL-7, RL-1, RL-2, RL-3, RL-4, DL-1, DL-2, DL-3, DL-4, DL-5, DL-9
// proves: DNS-1, DNS-3, DNS-4, DNS-5, DNS-7, DNS-9, DNS-10, DNS-12
#[test]
fn a_whole_run_through_the_gate_ends_every_step_as_the_naive_model_says() {
    cases::run_all(2048, |(allow, operator, steps)| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut run, mut instances) = Run::new(allow, operator);
            for (which, step) in steps {
                let what = format!("{step:?}");
                let agreed = run.step(&mut instances, which, step).await;
                agreed.map_err(|error| format!("{what}: {error}"))?;
            }
            Ok(())
        })
    });
}
