//! The state that the instances of one component share.

use std::sync::Arc;

use outport_policy::{AllowList, Operator, Policy};

use super::{OpenInComponent, Process};
use crate::counts::Counts;

/// One component of the process: its author's allow list, and what its instances have open.
pub(crate) struct Component {
    process: Arc<Process>,
    name: Arc<str>,
    allow: Arc<AllowList>,
    /// The component that it is a part of.
    whole: Option<Arc<Self>>,
    open: Arc<OpenInComponent>,
    counts: Option<Box<Counts>>,
}

impl Component {
    pub(crate) fn new(process: Arc<Process>, name: Arc<str>, allow: Arc<AllowList>) -> Self {
        let open = Arc::default();
        process.usage.note_component(&open);
        Self {
            counts: Counts::new(&process.meter, &name),
            process,
            name,
            allow,
            whole: None,
            open,
        }
    }

    /// A part of the component, whose list narrows what the component may reach. What it has open is the component's.
    pub(crate) fn part(self: &Arc<Self>, name: Arc<str>, allow: Arc<AllowList>) -> Self {
        Self {
            counts: Counts::new(&self.process.meter, &name),
            process: self.process.clone(),
            name,
            allow,
            whole: Some(self.clone()),
            open: self.open.clone(),
        }
    }

    /// The same component anew, with nothing open.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.process.clone(), self.name.clone(), self.allow.clone())
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
        match &self.whole {
            None => Policy::new(self.name.clone(), self.allow.clone(), operator),
            Some(whole) => whole
                .policy(operator)
                .for_part(self.name.clone(), self.allow.clone()),
        }
    }

    /// True if its list is of addresses that the operator configured.
    pub(crate) fn is_the_operators(&self) -> bool {
        self.allow.is_the_operators()
    }

    /// The counters of what all its instances have open.
    pub(crate) fn open(&self) -> &Arc<OpenInComponent> {
        &self.open
    }

    /// What is counted for it, if anything is. Components of one name count as one.
    pub(crate) fn counts(&self) -> Option<&Counts> {
        self.counts.as_deref()
    }
}
