//! The state that the instances of one component share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use outport_policy::{Addition, AllowList, NameBudgets, Operator, Policy};

use super::{OpenInComponent, Process};
use crate::byte_budget::ByteBudget;
use crate::counts::Counts;

/// One component of the process: its author's allow list, and what its instances have open.
pub(crate) struct Component {
    process: Arc<Process>,
    name: Arc<str>,
    /// Grows where somebody is asked what else is to be on it.
    allow: ArcSwap<AllowList>,
    /// The component that it is a part of.
    whole: Option<Arc<Self>>,
    open: Arc<OpenInComponent>,
    names: Arc<Mutex<NameBudgets>>,
    bytes: Arc<ByteBudget>,
    counts: Option<Box<Counts>>,
}

impl Component {
    pub(crate) fn new(process: Arc<Process>, name: Arc<str>, allow: Arc<AllowList>) -> Self {
        // What the operator configured for himself is no component's (HI-6).
        let bytes = if allow.is_the_operators() {
            ByteBudget::none(&process.connections)
        } else {
            process.byte_budget_of(&name)
        };
        Self::with(process, name, allow, bytes)
    }

    fn with(process: Arc<Process>, name: Arc<str>, allow: Arc<AllowList>, bytes: Arc<ByteBudget>) -> Self {
        let open = Arc::default();
        process.usage.note_component(&open);
        Self {
            bytes,
            counts: Counts::new(&process.meter, &name),
            allow: ArcSwap::new(process.as_it_may_grow(allow)),
            names: process.names.of(&name),
            process,
            name,
            whole: None,
            open,
        }
    }

    /// A part of the component, whose list narrows what the component may reach. What it has open is the component's, and so are
    /// the names that it asks for.
    pub(crate) fn part(self: &Arc<Self>, name: Arc<str>, allow: Arc<AllowList>) -> Self {
        Self {
            counts: Counts::new(&self.process.meter, &name),
            allow: ArcSwap::new(self.process.as_it_may_grow(allow)),
            process: self.process.clone(),
            name,
            whole: Some(self.clone()),
            open: self.open.clone(),
            names: self.names.clone(),
            bytes: self.bytes.clone(),
        }
    }

    /// The same component anew, with nothing open. What it has sent it has sent.
    pub(crate) fn again(&self) -> Self {
        let (process, bytes) = (self.process.clone(), self.bytes.clone());
        Self::with(process, self.name.clone(), self.allow.load_full(), bytes)
    }

    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The id of the component.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its policy under `operator`.
    pub(crate) fn policy(&self, operator: Arc<Operator>) -> Policy {
        let allow = self.allow.load_full();
        match &self.whole {
            None => Policy::new(self.name.clone(), allow, operator),
            Some(whole) => whole.policy(operator).for_part(self.name.clone(), allow),
        }
    }

    /// Puts an addition on its list, which is in force for all its instances with their next decision.
    pub(crate) fn add(&self, addition: &Addition) {
        // Of two at a time none is lost.
        self.allow.rcu(|allow| allow.with(addition));
        self.process.policy.have_policies_made_anew();
    }

    /// The component that it is a part of.
    pub(crate) fn whole(&self) -> Option<&Arc<Self>> {
        self.whole.as_ref()
    }

    /// True if its list is of addresses that the operator configured.
    pub(crate) fn is_the_operators(&self) -> bool {
        self.allow.load().is_the_operators()
    }

    /// The counters of what all its instances have open.
    pub(crate) fn open(&self) -> &Arc<OpenInComponent> {
        &self.open
    }

    /// What the component has asked for of late, in all its instances and parts. Held for a moment, and nothing is called
    /// meanwhile.
    pub(crate) fn name_budgets(&self) -> MutexGuard<'_, NameBudgets> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes that all its instances may send and receive.
    pub(crate) fn bytes(&self) -> &Arc<ByteBudget> {
        &self.bytes
    }

    /// What is counted for it, if anything is. Components of one name count as one.
    pub(crate) fn counts(&self) -> Option<&Counts> {
        self.counts.as_deref()
    }
}
