//! One guest's way to its destination: the attempts that it makes, and what comes of each.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use outport_policy::{
    Address, AnswerSource, Attempt, Decision, Endpoint, Grants, Host, Layer, LayerAnswer, LookupOutcome,
    Name, Peers, Policy, Protocol, RequestMethod, Scheme, Situation, Transport, Usage,
};

use super::undecided::{self, Purpose};
use super::{Assumption, DenialSummary, ExplainedAttempt, LayerSays, Question, Undecided, Verdict};
use crate::findings::DeniedNames;

/// One guest's way to its destination.
pub(super) struct Inquiry<'a> {
    policy: &'a Policy,
    grants: Grants,
    peers: Peers,
    assumed: &'a [Assumption],
    denied_names: DeniedNames,
    /// The purpose of the look-up.
    socket: Option<(Transport, u16)>,
    pub(super) undecided: Undecided,
    pub(super) attempts: Vec<ExplainedAttempt>,
}

impl<'a> Inquiry<'a> {
    pub(super) fn new(policy: &'a Policy, assumed: &'a [Assumption], denied_names: DeniedNames) -> Self {
        let quotas = &policy.operator().quotas;
        Self {
            policy,
            grants: Grants::new(quotas.granted_names),
            peers: Peers::from(quotas),
            assumed,
            denied_names,
            socket: None,
            undecided: Undecided::default(),
            attempts: Vec::new(),
        }
    }

    /// Makes the attempts that a question is about, and says what comes of them in the end.
    pub(super) fn put(&mut self, question: &Question) -> Verdict {
        match question {
            Question::Lookup { name } => self.lookup_alone(name),
            Question::Socket {
                transport,
                host,
                port,
                ..
            } => {
                self.socket = Some((*transport, *port));
                self.socket(*transport, host, *port)
            }
            Question::Request { scheme, host, port } => self.request(scheme, host, *port),
            Question::Open { kind, label } => self.decide(&Attempt::Open { kind: *kind, label }),
        }
    }

    fn socket(&mut self, transport: Transport, host: &Host, port: u16) -> Verdict {
        let name = match host {
            Host::Address(address) => return self.reach(transport, *address, port),
            Host::Name(name) => name,
        };
        let (addresses, source) = self.addresses_of(name);
        if self.decide(&Attempt::Lookup { name }) == Verdict::Denied {
            let reaches = addresses.iter().map(|address| Attempt::Connect {
                transport,
                remote: Endpoint::new(*address, port),
            });
            self.foresee(reaches.collect());
            return Verdict::Denied;
        }
        if self.resolve(name) == Verdict::Denied {
            return Verdict::Denied;
        }
        if addresses.is_empty() {
            return self.reach_any_answer(transport, name, port);
        }
        let granted = self.take_answers(name, addresses, source);
        any(granted
            .into_iter()
            .map(|address| self.reach(transport, address, port)))
    }

    fn lookup_alone(&mut self, name: &Name) -> Verdict {
        if self.decide(&Attempt::Lookup { name }) == Verdict::Denied || self.resolve(name) == Verdict::Denied
        {
            return Verdict::Denied;
        }
        let (addresses, source) = self.addresses_of(name);
        if !addresses.is_empty() {
            return if self.take_answers(name, addresses, source).is_empty() {
                Verdict::Denied
            } else {
                Verdict::Allowed
            };
        }
        let answer = |address| Attempt::Answer {
            name,
            chain: &[],
            address,
            source,
        };
        let undecided = Undecided::refused(name, self.policy, Purpose::AnyPort, self.denied_names);
        self.decide_any_answer(undecided, &format!("an answer for {name}"), answer)
    }

    /// Judges resolving a name where a budget of names leaves nothing (BUD-1, BUD-2). How much of another one a run has
    /// used is not known here, so nothing is said of it.
    fn resolve(&mut self, name: &Name) -> Verdict {
        let attempt = Attempt::Resolve { name };
        let refuses = |answer| matches!(answer, LayerAnswer::Refuses(_));
        if name.is_localhost() || !refuses(self.ask(Layer::Quotas, &attempt)) {
            return Verdict::Allowed;
        }
        self.decide(&attempt)
    }

    /// What is used before the first attempt of a run.
    fn usage_before(&self, attempt: &Attempt<'_>) -> Usage {
        let Attempt::Resolve { name } = attempt else {
            return Usage::default();
        };
        Usage {
            lookups_of_last_minute: Some(0),
            names_below_wildcard: (!self.policy.wildcards_over(name).is_empty()).then_some(0),
            ..Usage::default()
        }
    }

    /// The addresses that are granted.
    fn take_answers(&mut self, name: &Name, addresses: Vec<Address>, source: AnswerSource) -> Vec<Address> {
        let taken = addresses.into_iter().filter(|address| {
            let answer = Attempt::Answer {
                name,
                chain: &[],
                address: *address,
                source,
            };
            self.decide(&answer) == Verdict::Allowed
        });
        let granted: Vec<Address> = taken.collect();
        self.grant(name, granted.clone());
        granted
    }

    fn grant(&mut self, name: &Name, addresses: Vec<Address>) {
        let ticket = self.grants.begin(name.clone());
        let outcome = LookupOutcome::Answered {
            chain: Vec::new(),
            addresses,
        };
        self.grants.settle(ticket, outcome, Instant::now());
    }

    fn reach(&mut self, transport: Transport, address: Address, port: u16) -> Verdict {
        let remote = Endpoint { address, port };
        let verdict = self.decide(&Attempt::Connect { transport, remote });
        self.with_socket(transport, verdict)
    }

    /// The verdict on the last attempt, which needs a socket. Where there is none, that is what a guest gets, whatever
    /// else refuses the connect.
    fn with_socket(&mut self, transport: Transport, verdict: Verdict) -> Verdict {
        let create = Attempt::CreateSocket { transport };
        let situation = situation(&self.grants, &self.peers, Usage::default());
        let denials = self.policy.denials(&create, &situation);
        if denials.is_empty() {
            return verdict;
        }
        let no_socket = denials
            .iter()
            .map(|denial| DenialSummary::of(denial, &create, self.socket))
            .collect();
        let layers = Layer::ALL.map(|layer| LayerSays::of(layer, &self.ask(layer, &create)));
        if let Some(last) = self.attempts.last_mut() {
            last.verdict = Verdict::Denied;
            let refusing = layers.into_iter().zip(&mut last.layers);
            for (refuses, says) in refusing.filter(|(own, _)| own.reason.is_some()) {
                *says = refuses;
            }
            let behind = std::mem::replace(&mut last.refusals, no_socket);
            self.add_to_last(behind);
        }
        Verdict::Denied
    }

    fn reach_any_answer(&mut self, transport: Transport, name: &Name, port: u16) -> Verdict {
        let reach = |address| Attempt::Connect {
            transport,
            remote: Endpoint { address, port },
        };
        let purpose = Purpose::Port(Protocol::Socket(transport), port);
        let refused = Undecided::refused(name, self.policy, purpose, self.denied_names);
        let shown = format!("{transport} to what {name} resolves to, port {port}");
        self.grant(name, vec![self.any_answer(reach)]);
        let verdict = self.decide_any_answer(refused, &shown, reach);
        if self.with_socket(transport, Verdict::Allowed) == Verdict::Denied {
            self.undecided = Undecided::default();
            return Verdict::Denied;
        }
        // What an entry says of addresses counts where it is the author's list alone that refuses the others.
        let refused_by_list = |attempt: &ExplainedAttempt| attempt.is_refused_by(Layer::AllowList);
        let permitted = Undecided::permitted(name, self.policy, transport, port);
        match self.attempts.last_mut() {
            Some(last) if verdict == Verdict::Denied && refused_by_list(last) && !permitted.is_empty() => {
                last.depends(Layer::AllowList);
                self.undecided = permitted;
                Verdict::Depends
            }
            _ => verdict,
        }
    }

    fn request(&mut self, scheme: &Scheme, host: &Host, port: u16) -> Verdict {
        let request = Attempt::Request {
            scheme,
            host,
            port,
            method: RequestMethod::Other,
        };
        let verdict = self.decide(&request);
        let Host::Name(name) = host else { return verdict };
        let (addresses, source) = self.addresses_of(name);
        let dial = |address| Attempt::Dial {
            scheme,
            host,
            chain: &[],
            remote: Endpoint { address, port },
            source,
        };
        if verdict == Verdict::Denied {
            self.foresee(addresses.into_iter().map(dial).collect());
            return verdict;
        }
        if stays_inside(name) {
            return verdict;
        }
        if self.resolve(name) == Verdict::Denied {
            return Verdict::Denied;
        }
        if addresses.is_empty() {
            let purpose = Purpose::Port(Protocol::Url(scheme), port);
            let refused = Undecided::refused(name, self.policy, purpose, self.denied_names);
            let shown = format!("{scheme}://{name}:{port} at what the name resolves to");
            return self.decide_any_answer(refused, &shown, dial);
        }
        any(addresses.into_iter().map(|address| self.decide(&dial(address))))
    }

    /// Judges an attempt at an answer that nobody has assumed. It is shown where there is something to say of it.
    fn decide_any_answer<'t>(
        &mut self,
        refused: Undecided,
        shown: &str,
        attempt: impl Fn(Address) -> Attempt<'t>,
    ) -> Verdict {
        let verdict = self.decide(&attempt(self.any_answer(&attempt)));
        let Some(last) = self.attempts.last_mut() else {
            return verdict;
        };
        last.attempt = shown.to_owned();
        if verdict == Verdict::Allowed && !refused.is_empty() {
            last.depends(Layer::DenyList);
            self.undecided = refused;
            return Verdict::Depends;
        }
        verdict
    }

    /// The verdict that stands for every answer of which no list speaks; where each one that is tried is denied, one of
    /// these.
    fn any_answer<'t>(&self, attempt: impl Fn(Address) -> Attempt<'t>) -> Address {
        undecided::any_answer(self.policy, |address| {
            matches!(self.ask(Layer::DenyList, &attempt(address)), LayerAnswer::Passes)
        })
    }

    /// Adds to a refusal of a name what would refuse all of its addresses, once the name is permitted.
    fn foresee(&mut self, attempts: Vec<Attempt<'_>>) {
        let situation = situation(&self.grants, &self.peers, Usage::default());
        let refusals = attempts.iter().map(|attempt| {
            let denials = self.policy.denials(attempt, &situation).into_iter();
            let others = denials.filter(|denial| denial.reason().layer() < Layer::AllowList);
            let refusals: Vec<DenialSummary> = others
                .map(|denial| DenialSummary::of(&denial, attempt, self.socket))
                .collect();
            refusals
        });
        let refusals: Vec<Vec<DenialSummary>> = refusals.collect();
        if refusals.iter().any(Vec::is_empty) {
            return;
        }
        self.add_to_last(refusals.into_iter().flatten());
    }

    fn add_to_last(&mut self, refusals: impl IntoIterator<Item = DenialSummary>) {
        let Some(last) = self.attempts.last_mut() else {
            return;
        };
        for refusal in refusals {
            if !last.refusals.contains(&refusal) {
                last.refusals.push(refusal);
            }
        }
    }

    fn addresses_of(&self, name: &Name) -> (Vec<Address>, AnswerSource) {
        if name.is_localhost() {
            let both = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return (both.map(Address::new).to_vec(), AnswerSource::Localhost);
        }
        let assumed = self.assumed.iter().filter(|assumed| assumed.name == *name);
        let addresses = assumed.flat_map(|assumed| assumed.addresses.iter().copied());
        (addresses.collect(), AnswerSource::Server)
    }

    fn ask(&self, layer: Layer, attempt: &Attempt<'_>) -> LayerAnswer<'_> {
        let situation = situation(&self.grants, &self.peers, self.usage_before(attempt));
        self.policy.ask(layer, attempt, &situation)
    }

    fn decide(&mut self, attempt: &Attempt<'_>) -> Verdict {
        let layers = Layer::ALL
            .map(|layer| LayerSays::of(layer, &self.ask(layer, attempt)))
            .to_vec();
        let situation = situation(&self.grants, &self.peers, self.usage_before(attempt));
        let verdict = match self.policy.decide(attempt, &situation) {
            Decision::Allow(_) => Verdict::Allowed,
            Decision::Deny(_) => Verdict::Denied,
        };
        let refusals = self.policy.denials(attempt, &situation);
        let refusals = refusals
            .iter()
            .map(|denial| DenialSummary::of(denial, attempt, self.socket));
        self.attempts.push(ExplainedAttempt {
            attempt: attempt.to_string(),
            verdict,
            layers,
            refusals: refusals.collect(),
        });
        verdict
    }
}

/// As the app itself or one of its components, which no resolver knows.
pub(super) fn stays_inside(name: &Name) -> bool {
    name.is_service_chaining() || name.is_the_app_itself()
}

fn situation<'a>(grants: &'a Grants, peers: &'a Peers, usage: Usage) -> Situation<'a> {
    Situation {
        grants,
        peers,
        usage,
        now: Instant::now(),
    }
}

/// One that gets through is enough; all are asked.
fn any(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let all: Vec<Verdict> = verdicts.collect();
    if all.contains(&Verdict::Allowed) {
        Verdict::Allowed
    } else {
        Verdict::Denied
    }
}
