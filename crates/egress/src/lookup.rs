//! One look-up, from the guest's text to the addresses it may have. WASI 0.2 and 0.3 share it.
//!
//! ```text
//! text ── a literal address ─────────────▶ that address; no query, no grant (DNS-8)
//!  │
//!  ├─ not a name ────────────────────────▶ NotAName
//!  ├─ judge Lookup, quota of those in flight ▶ Denied, TooMany; no query leaves
//!  ▼
//! place in the order of look-ups (ticket)           start(), at once
//! ─────────────────────────────────────────────────────────────────
//! candidates: the name, and before it those under   answer(), when awaited
//!  │  search domains if it has no dot at all
//!  │  judge each expanded name ── none left has an address, one was refused ▶ Denied: grants end
//!  │  count it (BUD-1, BUD-2) ── too many ──────────▶ OverBudget: grants stay; no query leaves
//!  ▼
//! resolver, all in the time of a look-up ──────────▶ Unresolvable: grants end
//!  │                                       ────────▶ TemporaryFailure, PermanentFailure: grants stay
//!  ├─ cut to the bound of DNS-12
//!  ├─ judge each address with its chain ── none left ▶ Denied: grants end
//!  ▼
//! grants replaced, then the addresses are the guest's
//! ```
//!
//! A look-up that is dropped before it has answered grants nothing and gives its place back.

mod observed;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use outport_policy::{
    Address, AnswerSource, Attempt, Host, Layer, LookupOutcome, Name, Resolution, Spelling, Ticket,
};

pub(crate) use self::observed::ObservedLookup;
use crate::asking::PendingQuestion;
use crate::denied::{Denied, DeniedKind};
use crate::dns::{Answer, Extent, ResolveError};
use crate::enforcer::{DecisionId, Enforcer};
use crate::followed::{self, Followed};

/// A look-up that has started.
pub(crate) enum Lookup {
    /// The text was an address.
    Known(Vec<Address>),
    /// The name may be looked up.
    Pending(PendingLookup),
}

/// The reason why a look-up has no addresses, as the guest gets to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// The text is not a name.
    NotAName,
    /// The policy refuses the name, or all its addresses.
    Denied,
    /// As many look-ups as are permitted are in flight.
    TooMany,
    /// The component has asked for as many names, or as often, as it may in this time (BUD-1, BUD-2). The guest is told
    /// that the name servers failed for now.
    OverBudget,
    /// The name does not exist or has no address.
    Unresolvable,
    /// The servers failed or were silent.
    TemporaryFailure,
    /// The servers refuse.
    PermanentFailure,
}

impl LookupError {
    /// The guest's error, as the log has it; of a budget that is used up, that it was refused.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NotAName => "invalid-argument",
            Self::Denied => "access-denied",
            Self::TooMany => "new-socket-limit",
            Self::OverBudget => "lookup-quota",
            Self::Unresolvable => "name-unresolvable",
            Self::TemporaryFailure => "temporary-resolver-failure",
            Self::PermanentFailure => "permanent-resolver-failure",
        }
    }
}

impl Lookup {
    /// The question whether the name may be looked up, if there is one to ask.
    #[inline]
    pub(crate) fn question(enforcer: &Arc<Enforcer>, text: &str) -> Option<PendingQuestion> {
        // Nothing is parsed twice where nobody is asked.
        enforcer.process().questioner.as_ref()?;
        match Host::parse(text).ok()? {
            Host::Name(name) => enforcer.question(&Attempt::Lookup { name: &name }),
            Host::Address(_) => None,
        }
    }

    /// The addresses for a name that is asked about first.
    pub(crate) async fn once_asked(
        enforcer: Arc<Enforcer>,
        text: String,
        question: PendingQuestion,
    ) -> Result<Vec<Address>, LookupError> {
        let pass = question.await;
        let answered = pass.during(async {
            match Self::start(&enforcer, &text)? {
                Self::Known(addresses) => Ok(addresses),
                Self::Pending(asked) => asked.answer().await,
            }
        });
        answered.await
    }

    /// Judges the name and takes its place among the look-ups of the instance. No query leaves before
    /// [`PendingLookup::answer`] is awaited.
    pub(crate) fn start(enforcer: &Arc<Enforcer>, text: &str) -> Result<Self, LookupError> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Known(vec![Address::new(ip)]));
        }
        let name = match Host::parse(text).map_err(|_| LookupError::NotAName)? {
            Host::Address(address) => return Ok(Self::Known(vec![address])),
            Host::Name(name) => name,
        };
        let spelling = Spelling::of(text);
        let (ticket, decision) = enforcer
            .begin_lookup(&name)
            .map_err(|denied| match denied.kind() {
                DeniedKind::Quota => LookupError::TooMany,
                DeniedKind::Policy => LookupError::Denied,
            })?;
        let followed = Followed::begin(enforcer, decision, &Attempt::Lookup { name: &name });
        Ok(Self::Pending(PendingLookup {
            enforcer: enforcer.clone(),
            observed: Some(ObservedLookup::begin(enforcer, &name, &enforcer.trace().get())),
            name,
            spelling,
            ticket: Some(ticket),
            decision,
            followed,
        }))
    }
}

/// A look-up in flight.
pub(crate) struct PendingLookup {
    enforcer: Arc<Enforcer>,
    name: Name,
    spelling: Spelling,
    ticket: Option<Ticket>,
    decision: DecisionId,
    followed: Option<Arc<Followed>>,
    /// From the moment of the permit, whether or not anybody waits for the answer. Taken when the answer is.
    observed: Option<ObservedLookup>,
}

impl PendingLookup {
    /// The addresses that the guest may have; they are granted by then.
    pub(crate) async fn answer(mut self) -> Result<Vec<Address>, LookupError> {
        let observed = self.observed.take();
        let (outcome, result) = match self.judged(observed).await {
            Ok((_, addresses)) if addresses.is_empty() => (LookupOutcome::Nothing, Err(LookupError::Denied)),
            Ok((chain, addresses)) => (
                LookupOutcome::Answered {
                    chain,
                    addresses: addresses.clone(),
                },
                Ok(addresses),
            ),
            Err(error) => (outcome_of(error), Err(error)),
        };
        if let Some(ticket) = self.ticket.take() {
            // Before the guest sees the answer: it may connect in the next moment (DNS-3).
            let evicted = self.enforcer.settle_lookup(ticket, outcome);
            if let (Some(followed), Some(evicted)) = (&self.followed, evicted) {
                followed.note_evicted(evicted);
            }
        }
        match (&result, &self.followed) {
            (Ok(_), Some(followed)) => followed.done(),
            (Ok(_), None) => {}
            (Err(error), followed) => {
                let attempt = Attempt::Lookup { name: &self.name };
                followed::failed(&self.enforcer, followed.as_ref(), &attempt, error.code());
            }
        }
        result
    }

    /// The part that is left of the answer, after each address was judged: the chain and the addresses.
    async fn judged(
        &self,
        observed: Option<ObservedLookup>,
    ) -> Result<(Vec<Name>, Vec<Address>), LookupError> {
        let Answer {
            chain,
            mut addresses,
            source,
            ..
        } = resolve(&self.enforcer, &self.name, self.spelling, observed).await?;
        addresses.retain(|address| {
            let attempt = Attempt::Answer {
                name: &self.name,
                chain: &chain,
                address: *address,
                source,
            };
            self.enforcer.authorize_answer(&attempt, self.decision).is_ok()
        });
        Ok((chain, addresses))
    }
}

impl Drop for PendingLookup {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.enforcer.abandon_lookup(ticket);
        }
    }
}

/// Judges a name that a search domain made of the one that the guest may look up: the operator may deny it, but the
/// author need not have listed it, and it is no look-up more (DNS-2).
fn authorize_expanded(enforcer: &Enforcer, name: &Name) -> Result<(), Denied> {
    enforcer.authorize_implied(&Attempt::Lookup { name }, &[Layer::AllowList, Layer::Quotas])
}

/// The answer for `name` as the resolver gives it, in the time and with the number of addresses that are
/// permitted. Nothing in it has been judged. `observed` learns of it.
pub(crate) async fn resolve(
    enforcer: &Enforcer,
    name: &Name,
    spelling: Spelling,
    observed: Option<ObservedLookup>,
) -> Result<Answer, LookupError> {
    let answer = resolve_in_time(enforcer, name, spelling).await;
    if let Some(observed) = observed {
        observed.ended(&answer);
    }
    answer
}

async fn resolve_in_time(
    enforcer: &Enforcer,
    name: &Name,
    spelling: Spelling,
) -> Result<Answer, LookupError> {
    if name.is_localhost() {
        return Ok(localhost());
    }
    let quotas = enforcer.quotas();
    let asked = tokio::time::timeout(quotas.lookup_time, ask(enforcer, name, spelling)).await;
    let mut answer = asked.unwrap_or(Err(LookupError::TemporaryFailure))?;
    // Cut before anything is judged: each address costs a decision, and the answer is as long as its server likes.
    if answer.addresses.len() > quotas.lookup_addresses {
        enforcer.note_cut_answer(name, answer.addresses.len());
        answer.addresses.truncate(quotas.lookup_addresses);
    }
    Ok(answer)
}

/// Asks for each candidate of `name` in turn, until one exists. A candidate that a search domain made of it comes
/// first in the chain of its answer. Where none exists that was asked for, a candidate that was refused is what the
/// guest is told of, as the log is.
async fn ask(enforcer: &Enforcer, name: &Name, spelling: Spelling) -> Result<Answer, LookupError> {
    let resolver = enforcer.resolver();
    let candidates = match spelling {
        Spelling::Absolute => vec![name.clone()],
        Spelling::Relative => resolver.expand(name),
    };
    let mut without = LookupError::Unresolvable;
    let mut counted = None;
    for candidate in candidates {
        if candidate != *name && authorize_expanded(enforcer, &candidate).is_err() {
            without = LookupError::Denied;
            continue;
        }
        let known = resolver.known(&candidate);
        let resolution = if known.is_some() {
            Resolution::Known
        } else {
            Resolution::Servers
        };
        // However many candidates servers are asked for, it is one look-up.
        if counted.is_none() || (counted, resolution) == (Some(Resolution::Known), Resolution::Servers) {
            count(enforcer, name, resolution)?;
            counted = Some(resolution);
        }
        let answer = match known {
            Some(answer) => Ok(answer),
            None => resolver.resolve(&candidate).await,
        };
        match answer {
            Ok(mut answer) => {
                if candidate != *name {
                    answer.chain.insert(0, candidate);
                }
                return Ok(answer);
            }
            Err(error) => {
                tracing::debug!(name = %candidate, %error, "a look-up has no answer");
                match error_of(&error) {
                    LookupError::Unresolvable => {}
                    error => return Err(error),
                }
            }
        }
    }
    Err(without)
}

/// Counts the look-up of `name`, unless that would be too many (BUD-1, BUD-2): nobody knows its addresses then, which says
/// nothing about what they were.
fn count(enforcer: &Enforcer, name: &Name, resolution: Resolution) -> Result<(), LookupError> {
    let counted = enforcer.authorize_resolution(name, resolution);
    counted.map_err(|denied| match denied.kind() {
        DeniedKind::Quota => LookupError::OverBudget,
        DeniedKind::Policy => LookupError::Denied,
    })
}

/// RFC 6761, section 6.3: never a server's business (DNS-10).
fn localhost() -> Answer {
    let addresses = vec![
        Address::new(Ipv4Addr::LOCALHOST.into()),
        Address::new(Ipv6Addr::LOCALHOST.into()),
    ];
    Answer {
        chain: Vec::new(),
        addresses,
        source: AnswerSource::Localhost,
        ttl: Duration::ZERO,
        extent: Extent::Whole,
    }
}

fn error_of(error: &ResolveError) -> LookupError {
    match error {
        ResolveError::NoSuchName | ResolveError::NoAddress => LookupError::Unresolvable,
        ResolveError::Refused { .. } => LookupError::PermanentFailure,
        ResolveError::TimedOut | ResolveError::Failed { .. } => LookupError::TemporaryFailure,
    }
}

/// Grants end when the name is known to have no address, or none that is permitted; they stay when nobody knows
/// (DNS-5).
fn outcome_of(error: LookupError) -> LookupOutcome {
    match error {
        LookupError::Unresolvable | LookupError::Denied => LookupOutcome::Nothing,
        LookupError::NotAName
        | LookupError::TooMany
        | LookupError::OverBudget
        | LookupError::TemporaryFailure
        | LookupError::PermanentFailure => LookupOutcome::Failed,
    }
}

#[cfg(test)]
mod tests;
