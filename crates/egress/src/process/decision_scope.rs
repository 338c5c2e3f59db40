//! What a thread must not do in the midst of a decision, and what it puts off until that is over.
//!
//! A decision is taken under the lock of its instance, and calls what the host has written: sinks, words of remedies,
//! recorders of counts, subscribers to spans, accounts. Should that ask for another decision, or judge every open
//! connection again, it would wait for the lock that its own thread has, or for that of another instance whose thread waits
//! for this one. So a thread takes one decision at a time ([`begin`](DecisionScope::begin)), and what judges connections
//! again is done as soon as no lock is held ([`put_off`]).

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::connections::Connections;

/// A decision that this thread takes, for as long as it is kept. Dropped behind the lock of the instance.
pub(crate) struct DecisionScope(());

impl DecisionScope {
    /// Begins one; none if the thread is in the midst of another one.
    pub(crate) fn begin() -> Option<Self> {
        let is_first = DECIDING.with(|deciding| !deciding.replace(true));
        // Made only where it is handed out: one that is dropped ends the decision.
        is_first.then(|| Self(()))
    }
}

/// Does what was put off.
impl Drop for DecisionScope {
    fn drop(&mut self) {
        DECIDING.with(|deciding| deciding.set(false));
        // None is left where the thread has begun to end, of which it takes its decisions then.
        let put_off = PUT_OFF.try_with(RefCell::take).unwrap_or_default();
        put_off
            .iter()
            .for_each(|connections| connections.close_forbidden());
    }
}

/// True if the thread is in the midst of a decision: `connections` are judged again when that is over.
pub(super) fn put_off(connections: &Arc<Connections>) -> bool {
    let deciding = DECIDING.with(Cell::get);
    if deciding {
        PUT_OFF.with_borrow_mut(|all| {
            if !all.iter().any(|own| Arc::ptr_eq(own, connections)) {
                all.push(connections.clone());
            }
        });
    }
    deciding
}

thread_local! {
    static DECIDING: Cell<bool> = const { Cell::new(false) };
    /// Those of each process once.
    static PUT_OFF: RefCell<Vec<Arc<Connections>>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests;
