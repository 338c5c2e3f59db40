//! One run: each step is made on the real thing and asked of the model, and both must say the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outport_policy::{
    AllowList, Attempt, Decision, Endpoint, Grants, Host, LookupOutcome, Peers, Policy, Scheme, Situation,
    Ticket, Transport, Usage,
};

use super::model::{MInstance, MOST_NAMES, MOST_PEERS, MOperator, Model, PEER_IDLE, Reasons, Speaks};
use super::real::{a_name, address, entries, names, reach, real_operator, request, send, source};
use super::step::{Said, Step};
use super::written::{TARGETS, Written};

/// One instance, real and as the model has it.
pub(crate) struct Instance {
    grants: Grants,
    peers: Peers,
    in_flight: Vec<(&'static str, u64, Ticket)>,
    begun: u64,
    model: MInstance,
}

impl Instance {
    pub(crate) fn new() -> Self {
        Self {
            grants: Grants::new(MOST_NAMES),
            peers: Peers::new(MOST_PEERS, Duration::from_secs(PEER_IDLE)),
            in_flight: Vec::new(),
            begun: 0,
            model: MInstance::default(),
        }
    }
}

pub(crate) struct Run {
    policy: Policy,
    allow: Vec<Written>,
    operator: MOperator,
    start: Instant,
    now: u64,
}

impl Run {
    pub(crate) fn new(allow: Vec<Written>, operator: MOperator) -> Self {
        let list = Arc::new(AllowList::compile(entries(&allow)));
        let policy = Policy::new("it", list, Arc::new(real_operator(&operator)));
        Self {
            policy,
            allow,
            operator,
            start: Instant::now(),
            now: 0,
        }
    }

    fn model(&self) -> Model<'_> {
        Model {
            allow: &self.allow,
            operator: &self.operator,
        }
    }

    fn time(&self) -> Instant {
        self.start + Duration::from_secs(self.now)
    }

    /// Whether the attempt is allowed, as both must say.
    fn compare(
        &self,
        instance: &Instance,
        attempt: &Attempt<'_>,
        expected: &Reasons,
    ) -> Result<bool, String> {
        let situation = Situation {
            grants: &instance.grants,
            peers: &instance.peers,
            usage: Usage {
                lookups_of_instance: u32::try_from(instance.in_flight.len()).unwrap(),
                ..Usage::default()
            },
            now: self.time(),
        };
        let found = match self.policy.decide(attempt, &situation) {
            Decision::Allow(_) => None,
            Decision::Deny(denial) => Some(denial.reason()),
        };
        let agree = found.map_or(expected.is_empty(), |reason| expected.contains(&reason));
        if agree {
            Ok(found.is_none())
        } else {
            Err(format!("{attempt}: {found:?}, and the model says {expected:?}"))
        }
    }

    /// Makes a step, or says how the two disagree.
    pub(crate) fn step(&mut self, instance: &mut Instance, step: Step) -> Result<(), String> {
        self.now += 1;
        instance.model.in_flight = instance.in_flight.len();
        let model = self.model();
        match step {
            Step::Lookup(name) => {
                let expected = model.lookup(&instance.model, name);
                let text = a_name(name);
                if self.compare(instance, &Attempt::Lookup { name: &text }, &expected)? {
                    instance.begun += 1;
                    let ticket = instance.grants.begin(text);
                    instance.in_flight.push((name, instance.begun, ticket));
                }
            }
            Step::Answer(which, said) if which < instance.in_flight.len() => {
                let (name, number, ticket) = instance.in_flight.remove(which);
                self.answer(instance, name, number, ticket, said)?;
                self.look_around(instance)?;
            }
            Step::Answer(..) => {}
            Step::Connect(target, port) => {
                let expected = model.reach(&instance.model, target, Speaks::Tcp, port);
                self.compare(instance, &reach(Transport::Tcp, target, port), &expected)?;
            }
            Step::Send(target, port) => {
                let expected = model.reach(&instance.model, target, Speaks::Udp, port);
                if self.compare(instance, &send(target, port), &expected)? {
                    instance
                        .peers
                        .sent(Endpoint::new(address(target), port), self.time());
                    instance.model.sent(target.text, port, self.now);
                }
            }
            Step::Receive(target, port) => {
                let expected = model.receive(&instance.model, target, port, self.now);
                let peer = Endpoint::new(address(target), port);
                self.compare(instance, &Attempt::Receive { peer }, &expected)?;
            }
            Step::Request(name, scheme, port) => {
                let expected = model.request(name, scheme, port);
                let host = Host::Name(a_name(name));
                self.compare(
                    instance,
                    &request(&Scheme::parse(scheme).unwrap(), &host, port),
                    &expected,
                )?;
            }
            Step::RequestTo(target, scheme, port) => {
                let expected = model.request_to(target, scheme, port);
                let host = Host::Address(address(target));
                self.compare(
                    instance,
                    &request(&Scheme::parse(scheme).unwrap(), &host, port),
                    &expected,
                )?;
            }
            Step::Dial(name, chain, target, scheme, port) => {
                let expected = model.dial(name, &chain, target, scheme, port);
                let (host, scheme) = (Host::Name(a_name(name)), Scheme::parse(scheme).unwrap());
                let attempt = Attempt::Dial {
                    scheme: &scheme,
                    host: &host,
                    chain: &names(&chain),
                    remote: Endpoint::new(address(target), port),
                    source: source(name),
                };
                self.compare(instance, &attempt, &expected)?;
            }
            Step::Wait(seconds) => self.now += seconds,
            Step::Reload(operator) => {
                let allow = Arc::new(self.policy.allow().clone());
                self.policy = Policy::new("it", allow, Arc::new(real_operator(&operator)));
                self.operator = operator;
            }
        }
        Ok(())
    }

    /// Asks for every address what has become of its grants.
    fn look_around(&self, instance: &Instance) -> Result<(), String> {
        TARGETS.into_iter().try_for_each(|target| {
            let expected = self.model().reach(&instance.model, target, Speaks::Tcp, 1024);
            self.compare(instance, &reach(Transport::Tcp, target, 1024), &expected)?;
            Ok(())
        })
    }

    /// What a look-up does with its answer: each address is judged, and those that are left are granted.
    fn answer(
        &self,
        instance: &mut Instance,
        name: &'static str,
        number: u64,
        ticket: Ticket,
        said: Said,
    ) -> Result<(), String> {
        match said {
            Said::Abandoned => drop(ticket),
            Said::Failed => {
                instance.grants.settle(ticket, LookupOutcome::Failed, self.time());
            }
            Said::NoSuchName => {
                instance
                    .grants
                    .settle(ticket, LookupOutcome::Nothing, self.time());
                instance.model.settle(name, number, &[], &[], self.now);
            }
            Said::Addresses(chain, targets) => {
                let (text, through) = (a_name(name), names(&chain));
                let mut left = Vec::new();
                for target in targets {
                    let attempt = Attempt::Answer {
                        name: &text,
                        chain: &through,
                        address: address(target),
                        source: source(name),
                    };
                    let expected = self.model().answer(name, &chain, target);
                    if self.compare(instance, &attempt, &expected)? {
                        left.push(target);
                    }
                }
                let addresses = left.iter().map(|target| address(*target)).collect();
                let outcome = LookupOutcome::Answered {
                    chain: through,
                    addresses,
                };
                instance.grants.settle(ticket, outcome, self.time());
                instance.model.settle(name, number, &chain, &left, self.now);
            }
        }
        Ok(())
    }
}
