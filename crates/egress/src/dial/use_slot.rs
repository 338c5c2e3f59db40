//! The slot of one use of a connection among what its instance may have open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outport_policy::Usage;

use crate::enforcer::Enforcer;
use crate::trace::Trace;

/// One use of a connection by an instance, from before there is a connection: of outgoing HTTP an exchange, to the end of
/// the answer's body. It counts like a socket of the instance. Dropping it gives it back.
pub(crate) struct UseSlot {
    enforcer: Arc<Enforcer>,
    trace: Trace,
    said: Said,
}

/// The words for why there is no connection, where there are better ones than what its error says to everybody: those for
/// the address that failed last. Cheap to clone, and shared then.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    words: Option<String>,
    code: Option<&'static str>,
}

impl Said {
    /// The words, if there are any.
    pub(crate) fn take(&self) -> Option<String> {
        self.told().words.take()
    }

    /// The code that the log has for it, where the error that the guest gets says something else.
    pub(crate) fn code(&self) -> Option<&'static str> {
        self.told().code
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UseSlot {
    /// Counts a use, whether or not there is room for it: that is judged with its connection.
    pub(crate) fn count(enforcer: &Arc<Enforcer>) -> Self {
        Self::count_at(enforcer, enforcer.trace().get())
    }

    /// The same for a use that `trace` is the point of.
    pub(crate) fn count_at(enforcer: &Arc<Enforcer>, trace: Trace) -> Self {
        enforcer.usage_counter().count_use();
        Self {
            enforcer: enforcer.clone(),
            trace,
            said: Said::default(),
        }
    }

    /// The same for a use of which somebody else tells why there is no connection.
    pub(crate) fn saying(mut self, said: Said) -> Self {
        self.said = said;
        self
    }

    /// Notes the words for why an address was not connected to.
    pub(super) fn note_said(&self, said: Option<String>) {
        self.said.told().words = said;
    }

    /// Notes the code that the log has for why there is no connection.
    pub(super) fn note_code(&self, code: &'static str) {
        self.said.told().code = Some(code);
    }

    /// The point of a trace that the use is.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The usage without this use.
    pub(crate) fn usage(&self) -> Usage {
        self.without(self.enforcer.usage_counter().usage())
    }

    /// `usage` without this use.
    pub(crate) fn without(&self, usage: Usage) -> Usage {
        Usage {
            sockets_of_instance: usage.sockets_of_instance.saturating_sub(1),
            ..usage
        }
    }

    /// The same of the instance alone, for a connection that is counted already.
    pub(crate) fn usage_of_instance(&self) -> Usage {
        Usage {
            sockets_of_instance: self.usage().sockets_of_instance,
            ..Usage::default()
        }
    }
}

impl Drop for UseSlot {
    fn drop(&mut self) {
        self.enforcer.usage_counter().uncount_use();
    }
}
