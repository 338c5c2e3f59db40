//! Why a destination is allowed or refused, layer by layer, without running anything.
//!
//! The answers are those of [`Policy::ask`] and [`Policy::decide`], for the attempts that a guest would make on its
//! way to the destination:
//!
//! | question | attempts |
//! | --- | --- |
//! | `tcp://10.0.0.5:5432` | connect |
//! | `tcp://db.example.com:5432` | look up, take each assumed answer, connect to each that was granted |
//! | `https://api.example.com/` | request, connect to each assumed answer |
//! | `example.com` | look up, take each assumed answer |
//!
//! The names that the operator denies are assumed to have these answers too, so that their addresses are denied as they
//! would be (clause DL-5). Without assumed answers a socket to a name is judged with an address that no list names. `localhost` and the
//! names under it have their own two addresses, whatever is assumed.

mod assumption;
mod difference;
mod effective;
mod question;

pub use assumption::{Assumption, AssumptionError};
pub use difference::{Difference, DocumentError, Gained};
pub use effective::{
    EffectiveComponent, EffectiveEntry, EffectivePolicy, LeftOfEntry, Minus, OperatorSummary,
};
pub use question::{Question, QuestionError};

use crate::findings::DeniedNames;
use crate::human::{visible, wrap};
use outport_policy::{
    Address, AnswerSource, Attempt, Decision, Denial, Endpoint, Grants, Host, Layer, LayerAnswer, Name,
    Outcome, Peers, Policy, Remedy, RequestMethod, Scheme, Situation, Transport, Usage,
};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Instant;

/// The answer to a question.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Always 1.
    pub version: u32,
    /// The component that would try.
    pub component: String,
    /// What was asked, in its canonical spelling.
    pub destination: String,
    /// Whether the guest would get through.
    pub verdict: Verdict,
    /// Why not: the stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What would change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The attempts on the way, in order.
    pub attempts: Vec<Judged>,
}

/// Whether a guest gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It does.
    Allowed,
    /// It does not.
    Denied,
}

/// One attempt, with every layer's answer.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// What is attempted.
    pub attempt: String,
    /// What comes of it.
    pub verdict: Verdict,
    /// The layers, in order. Each is asked, also behind one that refuses.
    pub layers: Vec<LayerSays>,
    #[serde(skip)]
    refusal: Option<Refusal>,
}

/// What one layer says.
#[derive(Clone, Debug, Serialize)]
pub struct LayerSays {
    /// The layer.
    pub layer: String,
    /// `passes`, `permits` or `refuses`.
    pub answer: &'static str,
    /// The stable code of the reason, where it refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What that means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<&'static str>,
    /// The entry or network that decided, with its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The entry that came closest to permitting it, with its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closest: Option<String>,
}

#[derive(Clone, Debug)]
struct Refusal {
    code: &'static str,
    remedy: Option<String>,
}

/// Answers a question about one component.
pub fn explain(
    policy: &Policy,
    question: &Question,
    assumed: &[Assumption],
    denied_names: DeniedNames,
) -> Explanation {
    let policy = match denied_names {
        DeniedNames::Resolved => assumption::learned(policy, assumed),
        DeniedNames::LeftAlone => Cow::Borrowed(policy),
    };
    let mut inquiry = Inquiry {
        policy: &policy,
        grants: Grants::new(policy.operator().quotas.granted_names),
        peers: Peers::from(&policy.operator().quotas),
        assumed,
        socket: match question {
            Question::Socket { transport, port, .. } => Some((*transport, *port)),
            Question::LookUp { .. } | Question::Request { .. } => None,
        },
        attempts: Vec::new(),
    };
    let verdict = match question {
        Question::LookUp { name } => inquiry
            .look_up(name)
            .map_or(Verdict::Denied, |_| Verdict::Allowed),
        Question::Socket {
            transport,
            host,
            port,
        } => inquiry.socket(*transport, host, *port),
        Question::Request { scheme, host, port } => inquiry.request(scheme, host, *port),
    };
    let refusal = match verdict {
        Verdict::Allowed => None,
        Verdict::Denied => inquiry
            .attempts
            .iter()
            .rev()
            .find_map(|judged| judged.refusal.clone()),
    };
    Explanation {
        version: 1,
        component: policy.component().to_owned(),
        destination: question.to_string(),
        verdict,
        reason: refusal.as_ref().map(|refusal| refusal.code.to_owned()),
        remedy: refusal.and_then(|refusal| refusal.remedy),
        attempts: inquiry.attempts,
    }
}

/// One guest's way to its destination.
struct Inquiry<'a> {
    policy: &'a Policy,
    grants: Grants,
    peers: Peers,
    assumed: &'a [Assumption],
    /// What the look-up is for.
    socket: Option<(Transport, u16)>,
    attempts: Vec<Judged>,
}

impl Inquiry<'_> {
    fn socket(&mut self, transport: Transport, host: &Host, port: u16) -> Verdict {
        match host {
            Host::Address(address) => self.reach(transport, *address, port),
            Host::Name(name) => match self.look_up(name) {
                None => Verdict::Denied,
                Some(granted) => any(granted
                    .into_iter()
                    .map(|address| self.reach(transport, address, port))),
            },
        }
    }

    /// The addresses that are granted, or nothing if the guest gets none.
    fn look_up(&mut self, name: &Name) -> Option<Vec<Address>> {
        if self.judge(&Attempt::LookUp { name }) == Verdict::Denied {
            return None;
        }
        let (addresses, source) = self.addresses_of(name);
        let assumed_nothing = addresses.is_empty();
        let addresses = match assumed_nothing {
            true => vec![self.address_on_no_list()],
            false => addresses,
        };
        let granted: Vec<Address> = addresses
            .into_iter()
            .filter(|address| {
                let address = *address;
                assumed_nothing
                    || self.judge(&Attempt::Answer {
                        name,
                        chain: &[],
                        address,
                        source,
                    }) == Verdict::Allowed
            })
            .collect();
        let ticket = self.grants.begin(name.clone());
        let outcome = Outcome::Answered {
            chain: Vec::new(),
            addresses: granted.clone(),
        };
        self.grants.settle(ticket, outcome, Instant::now());
        (!granted.is_empty()).then_some(granted)
    }

    fn reach(&mut self, transport: Transport, address: Address, port: u16) -> Verdict {
        let remote = Endpoint { address, port };
        self.judge(&Attempt::Reach { transport, remote })
    }

    fn request(&mut self, scheme: &Scheme, host: &Host, port: u16) -> Verdict {
        let request = Attempt::Request {
            scheme,
            host,
            port,
            method: RequestMethod::Other,
        };
        let verdict = self.judge(&request);
        let Host::Name(name) = host else { return verdict };
        let (addresses, source) = self.addresses_of(name);
        if verdict == Verdict::Denied || addresses.is_empty() {
            return verdict;
        }
        any(addresses.into_iter().map(|address| {
            let remote = Endpoint { address, port };
            self.judge(&Attempt::Dial {
                scheme,
                host,
                chain: &[],
                remote,
                source,
            })
        }))
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

    /// An address that neither the deny list nor a limit refuses, from the networks for documentation and, where
    /// these are blocked, from the public ones.
    fn address_on_no_list(&self) -> Address {
        let firsts = [[203, 0, 113, 1], [198, 51, 100, 1], [192, 0, 2, 1]].map(Ipv4Addr::from);
        let public = (1..=223).map(|first| Ipv4Addr::new(first, 1, 1, 1));
        let mut candidates = firsts.into_iter().chain(public).map(Address::from);
        let first = Address::from(firsts[0]);
        candidates
            .find(|address| {
                let remote = Endpoint {
                    address: *address,
                    port: 65535,
                };
                let attempt = Attempt::Reach {
                    transport: Transport::Tcp,
                    remote,
                };
                let passes = |layer| matches!(self.ask(layer, &attempt), LayerAnswer::Passes);
                passes(Layer::DenyList) && passes(Layer::RuntimeLimits)
            })
            .unwrap_or(first)
    }

    fn ask(&self, layer: Layer, attempt: &Attempt<'_>) -> LayerAnswer<'_> {
        self.policy
            .ask(layer, attempt, &situation(&self.grants, &self.peers))
    }

    /// An entry for a name alone has to be for all ports. Here it is known which one the name is looked up for.
    fn narrowed(&self, remedy: Remedy, attempt: &Attempt<'_>) -> Remedy {
        match (remedy, attempt, self.socket) {
            (Remedy::AddEntry(_), Attempt::LookUp { name }, Some((Transport::Tcp, port))) => {
                Remedy::AddEntry(format!("*://{name}:{port}"))
            }
            (Remedy::AddEntry(_), Attempt::LookUp { name }, Some((Transport::Udp, port))) => {
                Remedy::AddEntry(format!("udp://{name}:{port}"))
            }
            (remedy, ..) => remedy,
        }
    }

    fn judge(&mut self, attempt: &Attempt<'_>) -> Verdict {
        let layers = Layer::ALL
            .map(|layer| LayerSays::of(layer, &self.ask(layer, attempt)))
            .to_vec();
        let decision = self.policy.decide(attempt, &situation(&self.grants, &self.peers));
        let (verdict, refusal) = match decision {
            Decision::Allow(_) => (Verdict::Allowed, None),
            Decision::Deny(denial) => {
                let remedy = denial
                    .remedy(attempt)
                    .map(|remedy| self.narrowed(remedy, attempt));
                let remedy = remedy.map(|remedy| remedy.to_string());
                let code = denial.reason().code();
                (Verdict::Denied, Some(Refusal { code, remedy }))
            }
        };
        self.attempts.push(Judged {
            attempt: attempt.to_string(),
            verdict,
            layers,
            refusal,
        });
        verdict
    }
}

fn situation<'a>(grants: &'a Grants, peers: &'a Peers) -> Situation<'a> {
    Situation {
        grants,
        peers,
        usage: Usage::default(),
        now: Instant::now(),
    }
}

/// One that gets through is enough; all are asked.
fn any(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let all: Vec<Verdict> = verdicts.collect();
    match all.contains(&Verdict::Allowed) {
        true => Verdict::Allowed,
        false => Verdict::Denied,
    }
}

impl LayerSays {
    fn of(layer: Layer, answer: &LayerAnswer<'_>) -> Self {
        let mut says = Self {
            layer: layer.to_string(),
            answer: "passes",
            reason: None,
            sentence: None,
            by: None,
            closest: None,
        };
        match answer {
            LayerAnswer::Passes => {}
            LayerAnswer::Permits(rule) => {
                says.answer = "permits";
                says.by = Some(rule.to_string());
            }
            LayerAnswer::Refuses(denial) => says.refuse(denial),
        }
        says
    }

    fn refuse(&mut self, denial: &Denial<'_>) {
        self.answer = "refuses";
        self.reason = Some(denial.reason().code());
        self.sentence = Some(denial.reason().sentence());
        let entry = denial.denied_by().map(|entry| entry.cited().to_string());
        self.by = entry.or_else(|| {
            let blocked = denial.blocked_by()?;
            Some(format!("{blocked} ({})", blocked.place()))
        });
        self.closest = denial.closest().map(|entry| entry.cited().to_string());
    }
}

impl Explanation {
    /// As one JSON document with its line end; `docs/schema/explain.json` says what it looks like.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("INVARIANT: strings are JSON") + "\n"
    }

    /// For people, to read at 80 columns.
    pub fn to_text(&self) -> String {
        let (component, destination) = (visible(&self.component), visible(&self.destination));
        let outcome = match &self.reason {
            None => "allowed".to_owned(),
            Some(reason) => format!("denied ({reason})"),
        };
        let mut text = format!("{destination} from `{component}`: {outcome}\n");
        for judged in &self.attempts {
            let _ = writeln!(text, "\n  {}", visible(&judged.attempt));
            for says in &judged.layers {
                let _ = writeln!(text, "{}", says.to_line());
                for (what, entry) in [("by", &says.by), ("closest is", &says.closest)] {
                    if let Some(entry) = entry {
                        let line = format!("{what} {}", visible(entry));
                        let _ = writeln!(text, "{}", wrap(&line, 26, 28));
                    }
                }
            }
        }
        if let Some(remedy) = &self.remedy {
            let _ = writeln!(text, "\n{}", wrap(&format!("help: {}", visible(remedy)), 0, 2));
        }
        text
    }
}

impl LayerSays {
    fn to_line(&self) -> String {
        let said = match (self.reason, self.sentence) {
            (Some(reason), Some(sentence)) => format!("{} {reason}: {sentence}", self.answer),
            _ => self.answer.to_owned(),
        };
        wrap(&format!("    {:<22}{said}", self.layer), 0, 28)
    }
}
