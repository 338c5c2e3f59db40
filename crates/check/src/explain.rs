//! The reasons for which a destination is allowed or refused, layer by layer, without running anything.
//!
//! The answers are those of [`Policy::ask`] and [`Policy::decide`], for the attempts that a guest would make on its
//! way to the destination:
//!
//! | question | attempts |
//! | --- | --- |
//! | `tcp://10.0.0.5:5432` | connect |
//! | `tcp://db.example.com:5432` | look up, take each assumed answer, connect to each that was granted |
//! | `https://api.example.com/` | request, connect to each assumed answer |
//! | `redis://cache.example.com`, where the host has an interface for it | the same as a request |
//! | `key-value:default`, `sqlite:default`, `llm:MODEL` | open |
//! | `example.com` | look up, take each assumed answer |
//!
//! The names that the operator denies are assumed to have these answers too, so that their addresses are denied as they
//! would be (DL-5). `localhost` and the names under it have their own two addresses, whatever is assumed.
//!
//! Where none were assumed and a list speaks of addresses, the answer decides: the verdict is [`Verdict::Depends`], and
//! [`Undecided`] says on what. Of an address a note says which denied names may have it, if nothing is assumed of them. The same where the destination may be an egress proxy of whose name nothing is assumed. What refuses is told by every layer that does, each with its remedy (RSN-5).

mod assumption;
mod difference;
mod effective;
mod inquiry;
mod question;
mod tls_names;
mod undecided;

use std::borrow::Cow;
use std::fmt::Write;

use outport_manifest::{RuntimeConfig, StateDir, Stores};
use outport_policy::{
    Attempt, Denial, Label, Layer, LayerAnswer, Location, Name, Policy, Remedy, Transport, text,
};
use serde::Serialize;

pub use self::assumption::{Assumption, AssumptionError};
pub use self::difference::{Difference, DocumentError, Gained};
pub use self::effective::{
    EffectiveComponent, EffectiveEntry, EffectivePolicy, LeftOfEntry, Minus, OperatorSummary,
};
use self::inquiry::Inquiry;
pub(crate) use self::question::is_spoken;
pub use self::question::{Question, QuestionError, permits_nothing};
pub use self::undecided::Undecided;
use crate::findings::DeniedNames;
use crate::renderer::wrap;
use crate::words::CommandWords;

/// The answer to a question.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Always 1.
    pub version: u32,
    /// The component that would try.
    pub component: String,
    /// The question, in its canonical spelling.
    pub destination: String,
    /// The verdict: does the guest get through?
    pub verdict: Verdict,
    /// The facts that the verdict depends on, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecided: Option<Undecided>,
    /// A note, without which the verdict would be misread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The way that the connection takes where there is an egress proxy: that proxy, or `directly`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The stable code of the reason for a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The change that would turn a denial around.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Every layer that refuses, the one of `reason` first: all have to be mended. Where the verdict depends on an
    /// answer those that refuse the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<DenialSummary>,
    /// The attempts on the way, in order.
    pub attempts: Vec<ExplainedAttempt>,
}

/// The answer to the question whether a guest gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The guest gets through.
    Allowed,
    /// The guest does not get through.
    Denied,
    /// The guest gets through or not by what its name resolves to.
    Depends,
}

/// One attempt, with every layer's answer.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedAttempt {
    /// The attempt.
    pub attempt: String,
    /// The verdict on it.
    pub verdict: Verdict,
    /// The layers, in order. Each is asked, also behind one that refuses.
    pub layers: Vec<LayerSays>,
    #[serde(skip)]
    refusals: Vec<DenialSummary>,
}

/// The answer of one layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerSays {
    /// The layer.
    pub layer: String,
    /// `passes`, `permits`, `refuses` or `depends`.
    pub answer: &'static str,
    /// The stable code of the reason, where it refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The meaning of that code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<&'static str>,
    /// The entry or network that decided, with its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The entry that came closest to permitting it, with its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closest: Option<String>,
}

/// One layer that refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DenialSummary {
    /// The stable code: of a reason, or of the finding that keeps the app from starting.
    pub reason: Cow<'static, str>,
    /// The change that would lift the refusal, if one would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
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
    let mut inquiry = Inquiry::new(&policy, assumed, denied_names);
    let verdict = inquiry.put(question);
    let refusals = match verdict {
        Verdict::Allowed => Vec::new(),
        Verdict::Depends | Verdict::Denied => {
            let mut refused = inquiry.attempts.iter().map(|attempt| &attempt.refusals);
            refused
                .rfind(|refusals| !refusals.is_empty())
                .cloned()
                .unwrap_or_default()
        }
    };
    let first = refusals.first();
    let unknown = match (verdict, denied_names) {
        (Verdict::Allowed, DeniedNames::Resolved) => {
            undecided::unknown_names(question, policy.operator(), assumed)
        }
        _ => None,
    };
    let (of_tls, budget) = match verdict {
        Verdict::Denied => (None, None),
        Verdict::Allowed | Verdict::Depends => (tls_names::note(&policy, question), question.budget(&policy)),
    };
    Explanation {
        version: 1,
        component: policy.component().to_owned(),
        destination: question.to_string(),
        verdict,
        undecided: (verdict == Verdict::Depends).then_some(inquiry.undecided),
        note: joined(joined(joined(question.note(), unknown), of_tls), budget),
        via: None,
        reason: first
            .filter(|_| verdict == Verdict::Denied)
            .map(|refusal| refusal.reason.clone().into_owned()),
        remedy: first.and_then(|refusal| refusal.remedy.clone()),
        refusals,
        attempts: inquiry.attempts,
    }
}

impl Explanation {
    /// Notes the way that the connection takes, where it may come about.
    pub fn through(mut self, via: Option<String>) -> Self {
        self.via = via.filter(|_| self.verdict != Verdict::Denied);
        self
    }

    /// Notes that the destination may be the egress proxy `shown`, of whose name nothing is assumed.
    pub fn unless_at_proxy(mut self, proxy: Option<(&Name, String)>) -> Self {
        let Some((name, shown)) = proxy.filter(|_| self.verdict == Verdict::Allowed) else {
            return self;
        };
        self.verdict = Verdict::Depends;
        self.undecided = Some(Undecided {
            name: name.to_string(),
            ..Undecided::default()
        });
        let may_be = format!("no guest reaches the egress proxy {shown}, and this may be it");
        self.note = joined(self.note, Some(may_be));
        self
    }

    /// Holds a label against what the operator defines. What the component lists and nothing defines is denied by no
    /// layer, and still opened by nobody: the app does not start (HI-5).
    pub fn where_defined(mut self, question: &Question, config: Option<&RuntimeConfig>) -> Self {
        let Question::Open { kind, label } = question else {
            return self;
        };
        let label = Label::new(*kind, label, Location::Code);
        // Where the state is kept makes nothing defined.
        let stores = Stores::resolve(&[label], config, &StateDir::None);
        let Some(problem) = stores.problems().first() else {
            return self;
        };
        let undefined = DenialSummary {
            reason: problem.code().to_string().into(),
            remedy: problem.help(),
        };
        match self.verdict {
            Verdict::Allowed => {
                self.verdict = Verdict::Denied;
                self.reason = Some(undefined.reason.clone().into_owned());
                self.remedy.clone_from(&undefined.remedy);
                self.note = Some(format!("{}, so the app does not start", problem.mistake));
            }
            // Nobody can list some labels, and what follows from listing them is not worth saying.
            _ if self.remedy.is_none() => return self,
            _ => {}
        }
        self.refusals.push(undefined);
        self
    }
}

/// Both notes.
fn joined(first: Option<String>, second: Option<String>) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) => Some(format!("{first}; {second}")),
        (first, second) => first.or(second),
    }
}

impl DenialSummary {
    /// `socket` is what a name is looked up for, where that is known: the entry to add is one for it.
    fn of(denial: &Denial<'_>, attempt: &Attempt<'_>, socket: Option<(Transport, u16)>) -> Self {
        let remedy = denial.remedy(attempt);
        let remedy = remedy.map(|remedy| match (remedy, attempt, socket) {
            (
                Remedy::AddEntry(_) | Remedy::AddEntryWithPort(_),
                Attempt::Lookup { name },
                Some((transport, port)),
            ) => Remedy::AddEntry(match transport {
                Transport::Tcp => format!("*://{name}:{port}"),
                Transport::Udp => format!("udp://{name}:{port}"),
            }),
            // An answer is permitted by its address, and that on the port that it is asked for.
            (Remedy::AddEntryWithPort(host), Attempt::Answer { .. }, Some((transport, port))) => {
                Remedy::AddEntry(match transport {
                    Transport::Tcp => format!("*://{host}:{port}"),
                    Transport::Udp => format!("udp://{host}:{port}"),
                })
            }
            (remedy, ..) => remedy,
        });
        Self {
            reason: denial.reason().code().into(),
            remedy: remedy.map(|remedy| remedy.in_words_of(&CommandWords).to_string()),
        }
    }
}

impl ExplainedAttempt {
    /// True if this layer alone refuses it.
    fn is_refused_by(&self, layer: Layer) -> bool {
        let refuse = |says: &LayerSays| says.answer == REFUSES;
        let said = Layer::ALL.iter().zip(&self.layers);
        said.filter(|(_, says)| refuse(says))
            .map(|(layer, _)| *layer)
            .eq([layer])
    }

    /// Says that the layer's answer depends on what a name resolves to.
    fn depends(&mut self, layer: Layer) {
        self.verdict = Verdict::Depends;
        for (_, says) in Layer::ALL
            .iter()
            .zip(&mut self.layers)
            .filter(|(own, _)| **own == layer)
        {
            *says = LayerSays::new(layer, DEPENDS);
        }
    }
}

const REFUSES: &str = "refuses";
const DEPENDS: &str = "depends";

impl LayerSays {
    fn new(layer: Layer, answer: &'static str) -> Self {
        Self {
            layer: layer.to_string(),
            answer,
            reason: None,
            sentence: None,
            by: None,
            closest: None,
        }
    }

    fn of(layer: Layer, answer: &LayerAnswer<'_>) -> Self {
        let mut says = Self::new(layer, "passes");
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
        self.answer = REFUSES;
        self.reason = Some(denial.reason().code());
        self.sentence = Some(denial.reason().sentence());
        self.by = denial.cited();
        self.closest = denial.closest().map(|entry| entry.cited().to_string());
    }
}

impl Explanation {
    /// As one JSON document with its line end; `docs/schema/explain.json` says what it looks like.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("INVARIANT: strings are JSON") + "\n"
    }

    /// For people, broken at so many columns.
    pub fn to_text(&self, columns: usize) -> String {
        let (component, destination) = (text::terminal(&self.component), text::terminal(&self.destination));
        let outcome = match (self.verdict, &self.reason) {
            (Verdict::Allowed, _) => "allowed".to_owned(),
            (Verdict::Depends, _) => "depends on what the name resolves to".to_owned(),
            (Verdict::Denied, reason) => format!("denied ({})", reason.as_deref().unwrap_or_default()),
        };
        let mut text = wrap(
            &format!("{destination} from `{component}`: {outcome}"),
            (0, 2),
            columns,
        ) + "\n";
        if let Some(note) = &self.note {
            let _ = writeln!(
                text,
                "{}",
                wrap(&format!("note: {}", text::terminal(note)), (0, 2), columns)
            );
        }
        if let Some(via) = &self.via {
            let _ = writeln!(
                text,
                "{}",
                wrap(&format!("via: {}", text::terminal(via)), (0, 2), columns)
            );
        }
        for attempt in &self.attempts {
            let _ = writeln!(text, "\n  {}", text::terminal(&attempt.attempt));
            for says in &attempt.layers {
                let _ = writeln!(text, "{}", says.to_line(columns));
                for (what, entry) in [("by", &says.by), ("closest is", &says.closest)] {
                    if let Some(entry) = entry {
                        let line = format!("{what} {}", text::terminal(entry));
                        let _ = writeln!(text, "{}", wrap(&line, (26, 28), columns));
                    }
                }
            }
        }
        if let Some(undecided) = &self.undecided {
            text.push_str(&undecided.to_text(columns));
        }
        let say = self.undecided.as_ref().map(|undecided| {
            let name = &undecided.name;
            format!("say what the name resolves to with `--dns {name}=ADDRESS`")
        });
        let remedies = self
            .refusals
            .iter()
            .filter_map(|refusal| refusal.remedy.as_deref());
        for (number, remedy) in say.as_deref().into_iter().chain(remedies).enumerate() {
            let (gap, word) = match number {
                0 => ("\n", "help"),
                _ if self.undecided.is_some() => ("", "or"),
                _ => ("", "and"),
            };
            let line = wrap(&format!("{word}: {}", text::terminal(remedy)), (0, 2), columns);
            let _ = writeln!(text, "{gap}{line}");
        }
        text
    }
}

impl LayerSays {
    fn to_line(&self, columns: usize) -> String {
        let said = match (self.reason, self.sentence) {
            (Some(reason), Some(sentence)) => format!("{} {reason}: {sentence}", self.answer),
            _ => self.answer.to_owned(),
        };
        wrap(&format!("    {:<22}{said}", self.layer), (0, 28), columns)
    }
}
