//! The place of one exchange of outgoing HTTP among what its instance may have open.

use std::sync::Arc;

use outport_policy::Usage;

use crate::enforcer::Enforcer;

/// One exchange, from before it has a connection to the end of the answer's body. It counts like a socket of the
/// instance. Dropping it gives the place back.
pub(super) struct ExchangeSlot {
    enforcer: Arc<Enforcer>,
}

impl ExchangeSlot {
    /// Counts an exchange, whether or not there is room for it: that is judged with its connection.
    pub(super) fn count(enforcer: &Arc<Enforcer>) -> Self {
        enforcer.usage_counter().count_exchange();
        Self {
            enforcer: enforcer.clone(),
        }
    }

    /// The usage without this exchange.
    pub(super) fn usage(&self) -> Usage {
        self.without(self.enforcer.usage_counter().usage())
    }

    /// `usage` without this exchange.
    pub(super) fn without(&self, usage: Usage) -> Usage {
        Usage {
            sockets_of_instance: usage.sockets_of_instance.saturating_sub(1),
            ..usage
        }
    }

    /// The same of the instance alone, for a connection that is counted already.
    pub(super) fn usage_of_instance(&self) -> Usage {
        Usage {
            sockets_of_instance: self.usage().sockets_of_instance,
            ..Usage::default()
        }
    }
}

impl Drop for ExchangeSlot {
    fn drop(&mut self) {
        self.enforcer.usage_counter().uncount_exchange();
    }
}
