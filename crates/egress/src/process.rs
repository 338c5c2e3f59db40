//! The parts that all guests of a process share. [`Egress`](crate::Egress) is the handle to it.
//!
//! ```text
//! Process ─┬─ policy       the operator's, swapped as a whole
//!          ├─ resolver     from names to addresses
//!          ├─ proxies      what connections go through
//!          ├─ recorder     sinks, numbers of decisions, counters, what is not over yet
//!          ├─ usage        what is open, who waits, whose connections are idle
//!          ├─ names        how many names each component asked for
//!          ├─ grants       who has looked names up, where somebody wants a list
//!          ├─ byte_budgets the bytes that each component may send and receive
//!          └─ connections  what a new deny list closes, as soon as the thread decides nothing (decision_scope)
//! ```
//!
//! The parts know neither each other nor the instances that use them.

mod asked_names;
mod component;
pub(crate) mod connections;
mod decision_scope;
mod living_grants;
mod policy_in_force;
mod recorder;
mod unfinished;
mod usage;

use std::sync::Arc;

use outport_policy::{AllowList, LearnedAddresses, Operator, RemedyWords};

pub(crate) use self::asked_names::{AskedNames, NamesUsed};
pub(crate) use self::component::Component;
use self::connections::Connections;
pub(crate) use self::decision_scope::DecisionScope;
pub(crate) use self::living_grants::{GrantHolders, HoldsGrants, Listed};
pub use self::living_grants::{LivingGrant, LivingGrants};
pub(crate) use self::policy_in_force::PolicyInForce;
pub use self::policy_in_force::Replacements;
pub(crate) use self::recorder::Recorder;
pub use self::unfinished::Carried;
pub(crate) use self::unfinished::UntilStopped;
pub(crate) use self::usage::{IdleConnections, OpenInComponent, Pooling, ProcessUsage};
use crate::asking::Questioner;
use crate::byte_budget::{ByteBudget, LivingBudgets};
use crate::counts::QuotaGauges;
use crate::dns::Resolve;
use crate::meter::Meter;
use crate::proxy::ProxiesInForce;
use crate::trace::Tracer;

/// The state that all guests share.
pub(crate) struct Process {
    pub(crate) policy: PolicyInForce,
    pub(crate) resolver: Arc<dyn Resolve>,
    /// The proxies that connections of guests go through, if they do.
    pub(crate) proxies: Option<ProxiesInForce>,
    pub(crate) recorder: Recorder,
    /// Who is asked about what only an author's list refuses, if anybody is.
    pub(crate) questioner: Option<Arc<dyn Questioner>>,
    /// What the host calls the settings that remedies speak of.
    pub(crate) words: Box<dyn RemedyWords>,
    pub(crate) meter: Meter,
    pub(crate) quotas: QuotaGauges,
    pub(crate) tracer: Option<Arc<dyn Tracer>>,
    pub(crate) usage: ProcessUsage,
    pub(crate) names: AskedNames,
    pub(crate) connections: Arc<Connections>,
    pub(crate) byte_budgets: LivingBudgets,
    /// Those with grants, if they are to be listed.
    pub(crate) grants: Option<Arc<GrantHolders>>,
}

impl Process {
    /// Puts another operator's policy in force, and closes what it forbids (DL-9).
    pub(crate) fn replace_operator(&self, operator: Operator) {
        self.policy.replace(operator);
        self.byte_budgets
            .follow(|| self.policy.load().quotas.bytes.clone());
        self.close_forbidden();
        self.policy.notify();
    }

    /// The budget of a new component.
    fn byte_budget_of(&self, name: &Arc<str>) -> Arc<ByteBudget> {
        let configured = || self.policy.load().quotas.bytes.clone();
        self.byte_budgets
            .begin(name.clone(), &self.connections, configured)
    }

    /// The list of a component, which grows if somebody is there to be asked.
    fn as_it_may_grow(&self, allow: Arc<AllowList>) -> Arc<AllowList> {
        if self.questioner.is_none() || allow.is_the_operators() {
            return allow;
        }
        Arc::new(AllowList::clone(&allow).that_may_grow())
    }

    /// Denies `learned` as the addresses of the denied names (DL-5), and closes what that forbids.
    pub(crate) fn learn(&self, learned: LearnedAddresses) {
        self.policy.learn(learned);
        self.close_forbidden();
    }

    fn close_forbidden(&self) {
        if !decision_scope::put_off(&self.connections) {
            self.connections.close_forbidden();
        }
    }
}
