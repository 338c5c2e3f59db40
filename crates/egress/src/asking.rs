//! Asking somebody about what only an author's list refuses, before it is judged.
//!
//! ```text
//! a way out ── Enforcer::question ── nobody to ask, permitted, or refused by another layer too ▶ none: judged at once
//!                │
//!                ▼ Wanted: the narrowest addition to a list (RSN-5)
//!          PendingQuestion ── Questioner::ask ─┬─ No   ▶ nothing changes
//!                │                             ├─ Once ▶ in the Pass of this attempt
//!                │                             └─ Run  ▶ on the list of the component, for all its instances
//!                ▼ as many as there are lists
//!              Pass ── in force while the way out goes on, and nowhere else ──▶ judged as ever
//! ```
//!
//! Nothing is permitted here: an answer changes a list, and then the one decider is asked. Where nobody is to be asked,
//! which is so unless an embedder [says who](crate::EgressBuilder::questioner), nothing of this is there: a way out looks at one
//! pointer. A question that is dropped, since its instance has ended, is withdrawn.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use outport_policy::{Addition, Host, ListOf, Location, Name, Policy, Reason, Transport, Wanted};
use outport_policy::{Attempt, Endpoint, RequestMethod, Scheme};

use crate::audit::{destination, escape};
use crate::enforcer::Enforcer;
use crate::process::Component;

/// Somebody who can be asked what else a component may reach, such as its author at a terminal.
///
/// It is asked about attempts that nothing refuses but the list of an author, and can add to that what the attempt needs and
/// nothing else: what the operator denies, and what the limits refuse, it is never asked about.
pub trait Questioner: Send + Sync + 'static {
    /// Asks, and waits for the answer. The future is dropped where nobody waits for the answer any more.
    ///
    /// As long as it waits the attempt does, and nothing else: it must bound that time, and the number of those who wait.
    fn ask(&self, question: Question) -> PendingReply;

    /// The place where an addition is written that it agreed to, as it is told of whatever is permitted by it.
    fn location(&self) -> Location;
}

/// A reply on its way.
pub type PendingReply = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// A reply to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It stays as it is, and the attempt is refused.
    No,
    /// This attempt alone is permitted. No answer to a question that [does not offer it](Question::offers_once): there it
    /// is a no.
    Once,
    /// The addition is on the list from now on, for all instances of the component, as long as there is its gate.
    Run,
}

/// What somebody is asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Question {
    /// The id of the component, or `COMPONENT/PART`.
    pub component: Arc<str>,
    /// The number of the instance.
    pub instance: u64,
    /// The kind of attempt, as the audit log has it: `tcp.connect`, `dns.lookup`, …
    pub attempt: &'static str,
    /// Address and port, name, or URL without its path; ASCII.
    pub destination: String,
    /// The name that the destination was looked up by, if any.
    pub name: Option<Name>,
    /// The reason why it would be refused.
    pub reason: Reason,
    /// The component or part whose list refuses.
    pub list: Arc<str>,
    /// The addition to that list that would permit it.
    pub addition: Addition,
    /// True if [`Reply::Once`] is an answer. It is none for datagrams: the answers to a datagram would not come in.
    pub offers_once: bool,
}

/// A question, which has to be awaited.
pub(crate) struct PendingQuestion(Pin<Box<dyn Future<Output = Pass> + Send>>);

impl Future for PendingQuestion {
    type Output = Pass;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Pass> {
        self.0.as_mut().poll(cx)
    }
}

/// The additions that are in force for one attempt, and for what is done because of it.
#[derive(Clone, Default)]
#[must_use = "an answer that holds once is in force where this says so"]
pub(crate) struct Pass(Option<Arc<Additions>>);

struct Additions {
    component: Arc<Component>,
    all: Vec<(ListOf, Addition)>,
}

tokio::task_local! {
    static IN_FORCE: Arc<Additions>;
}

impl Pass {
    /// True if nothing is added: nobody was asked, or has said no.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Does something with the additions in force.
    pub(crate) fn with<R>(&self, work: impl FnOnce() -> R) -> R {
        match &self.0 {
            None => work(),
            Some(additions) => IN_FORCE.sync_scope(additions.clone(), work),
        }
    }

    /// The same with what goes on for longer: they are in force whenever it does something.
    pub(crate) async fn during<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| self.with(|| work.as_mut().poll(cx))).await
    }

    fn and(self, component: &Arc<Component>, addition: (ListOf, Addition)) -> Self {
        let mut all = self.0.map_or_else(Vec::new, |additions| additions.all.clone());
        all.push(addition);
        let component = component.clone();
        Self(Some(Arc::new(Additions { component, all })))
    }
}

/// `policy`, which is that of `component`, with the additions that are in force for what is done right now, if there are any.
pub(crate) fn in_force(component: &Arc<Component>, policy: &Policy) -> Option<Policy> {
    let add = |additions: &Arc<Additions>| {
        let mut all = additions.all.iter();
        // Work of another component can be done in the middle of this one's, and is its own.
        Arc::ptr_eq(&additions.component, component)
            .then(|| {
                all.try_fold(policy.clone(), |policy, (list, addition)| {
                    Some(policy.with(*list, addition))
                })
            })
            .flatten()
    };
    IN_FORCE.try_with(add).ok().flatten()
}

/// An attempt that can be asked about, for as long as a question stands.
enum Asked {
    Connect {
        transport: Transport,
        remote: Endpoint,
    },
    Send {
        remote: Endpoint,
    },
    Lookup {
        name: Name,
    },
    Request {
        scheme: Scheme,
        host: Host,
        port: u16,
        method: RequestMethod,
    },
}

impl Asked {
    fn about(attempt: &Attempt<'_>) -> Option<Self> {
        Some(match *attempt {
            Attempt::Connect { transport, remote } => Self::Connect { transport, remote },
            Attempt::Send { remote } => Self::Send { remote },
            Attempt::Lookup { name } => Self::Lookup { name: name.clone() },
            Attempt::Request {
                scheme,
                host,
                port,
                method,
            } => Self::Request {
                scheme: scheme.clone(),
                host: host.clone(),
                port,
                method,
            },
            _ => return None,
        })
    }

    fn attempt(&self) -> Attempt<'_> {
        match self {
            Self::Connect { transport, remote } => Attempt::Connect {
                transport: *transport,
                remote: *remote,
            },
            Self::Send { remote } => Attempt::Send { remote: *remote },
            Self::Lookup { name } => Attempt::Lookup { name },
            Self::Request {
                scheme,
                host,
                port,
                method,
            } => Attempt::Request {
                scheme,
                host,
                port: *port,
                method: *method,
            },
        }
    }

    /// True if it is done with one attempt: of a socket for datagrams each datagram is one, and so is each answer.
    fn is_done_at_once(&self) -> bool {
        match self {
            Self::Connect { transport, .. } => *transport == Transport::Tcp,
            Self::Send { .. } => false,
            Self::Lookup { .. } | Self::Request { .. } => true,
        }
    }
}

impl Enforcer {
    /// The question whether something may be done that an author's list alone refuses. None where there is nothing to ask:
    /// then it can be judged at once.
    #[inline]
    pub(crate) fn question(self: &Arc<Self>, attempt: &Attempt<'_>) -> Option<PendingQuestion> {
        let questioner = self.process().questioner.as_ref()?;
        self.question_for(questioner, attempt)
    }

    /// The pass for an attempt, once somebody was asked about it, if somebody is to be.
    pub(crate) async fn ask_first(self: &Arc<Self>, attempt: &Attempt<'_>) -> Pass {
        match self.question(attempt) {
            None => Pass::default(),
            Some(question) => question.await,
        }
    }

    #[cold]
    fn question_for(
        self: &Arc<Self>,
        questioner: &Arc<dyn Questioner>,
        attempt: &Attempt<'_>,
    ) -> Option<PendingQuestion> {
        let first = self.wanted(attempt, &questioner.location())?;
        let asked = Asked::about(attempt)?;
        let (enforcer, questioner) = (self.clone(), questioner.clone());
        Some(PendingQuestion(Box::pin(async move {
            enforcer.ask(&questioner, &asked, first).await
        })))
    }

    async fn ask(self: Arc<Self>, questioner: &Arc<dyn Questioner>, asked: &Asked, first: Wanted) -> Pass {
        let mut pass = Pass::default();
        let mut wanted = Some(first);
        for _ in 0..LISTS {
            let Some(addition) = wanted.take() else { break };
            let question = self.question_of(asked, &addition);
            let offers_once = question.offers_once;
            let addition = (addition.list(), addition.addition().clone());
            match questioner.ask(question).await {
                Reply::Run => self.add(&addition),
                Reply::Once if offers_once => pass = pass.and(self.component(), addition),
                Reply::Once | Reply::No => return Pass::default(),
            }
            wanted = pass.with(|| self.wanted(&asked.attempt(), &questioner.location()));
        }
        pass
    }

    fn question_of(&self, asked: &Asked, wanted: &Wanted) -> Question {
        let attempt = asked.attempt();
        let own = self.component();
        let list = match wanted.list() {
            ListOf::Own => own,
            ListOf::Whole => own.whole().unwrap_or(own),
        };
        Question {
            component: own.name().clone(),
            instance: self.number(),
            attempt: attempt.operation(),
            destination: escape(&destination(&attempt)).into_owned(),
            name: wanted.name().cloned(),
            reason: wanted.reason(),
            list: list.name().clone(),
            addition: wanted.addition().clone(),
            offers_once: asked.is_done_at_once(),
        }
    }

    /// Puts an addition on the list that lacks it.
    fn add(&self, (list, addition): &(ListOf, Addition)) {
        let component = match list {
            ListOf::Own => Some(self.component()),
            ListOf::Whole => self.component().whole(),
        };
        if let Some(component) = component {
            component.add(addition);
        }
    }
}

impl fmt::Debug for PendingQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingQuestion").finish_non_exhaustive()
    }
}

/// A part has its own list, and that of its component around it.
const LISTS: usize = 2;

#[cfg(test)]
mod tests;
