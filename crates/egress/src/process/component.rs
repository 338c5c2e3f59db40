//! The state that the instances of one component share.

use std::sync::Arc;

use outport_policy::{AllowList, Operator, Policy};

use super::{OpenInComponent, Process};

/// One component of the process: its author's allow list, and what its instances have open.
pub(crate) struct Component {
    process: Arc<Process>,
    name: Arc<str>,
    allow: Arc<AllowList>,
    open: Arc<OpenInComponent>,
}

impl Component {
    pub(crate) fn new(process: Arc<Process>, name: Arc<str>, allow: Arc<AllowList>) -> Self {
        let open = Arc::default();
        process.usage.note_component(&open);
        Self {
            process,
            name,
            allow,
            open,
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
        Policy::new(self.name.clone(), self.allow.clone(), operator)
    }

    /// The counters of what all its instances have open.
    pub(crate) fn open(&self) -> &Arc<OpenInComponent> {
        &self.open
    }
}
