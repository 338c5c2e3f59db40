//! The bytes that a component may send and receive (BUD-3): rates, which slow it down, and bounds, which end its connections.
//!
//! ```text
//! ByteBudget, one for each component and shared by its parts
//!  ├─ Lane of what it sends ──── Bucket (rate), Windows (bounds), the queue of those that wait
//!  └─ Lane of what it receives ─ Bucket (rate), the queue
//! Flow, one for each connection and direction: its place in the queue
//! ```
//!
//! Whoever moves bytes of a guest over the network has a [`Flow`] and asks it first whether anything is
//! [limited](Flow::is_limited), which is a look at a flag: all else is out of the way of a component without a budget. Where
//! it is, bytes are [reserved](Reserved) before the system gets them, and what it does not take is given back. So never
//! more leaves in the time of a bound than that, whatever happens.
//!
//! With the last byte of a bound the component's connections are shut down in both directions, as a new deny list does it
//! (DL-9), and whoever has one is told that it was reset; so are they when a bound comes into force that is used up already. Until the time is over the policy refuses what would send more:
//! what is sent comes into its [`Usage`](outport_policy::Usage).
//!
//! The arithmetic is in [`bucket`] and [`window`], without a clock and without threads.

mod bucket;
mod flow;
mod lane;
mod window;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outport_policy::{ByteBudgets, SentBound};

pub(crate) use self::flow::{Flow, Reserved};
use self::lane::{Lane, Settled, UsedUp, Wish};
use crate::audit::escape;
use crate::process::connections::Connections;

/// The budget of one component, which all its instances and parts share.
pub(crate) struct ByteBudget {
    /// None where it is no component's: what the host does for its operator has no budget.
    component: Option<Arc<str>>,
    limits_sending: AtomicBool,
    limits_receiving: AtomicBool,
    /// How often a bound was reached. A connection that was there before has ended.
    cuts: AtomicU64,
    sending: Arc<Lane>,
    receiving: Arc<Lane>,
    connections: Arc<Connections>,
}

/// The direction of a [`Flow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the guest to its peer.
    Out,
    /// From the peer.
    In,
}

impl ByteBudget {
    fn new(component: Option<Arc<str>>, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            component,
            limits_sending: AtomicBool::new(false),
            limits_receiving: AtomicBool::new(false),
            cuts: AtomicU64::new(0),
            sending: Lane::new(),
            receiving: Lane::new(),
            connections,
        })
    }

    /// A budget that bounds nothing, ever.
    pub(crate) fn none(connections: &Arc<Connections>) -> Arc<Self> {
        Self::new(None, connections.clone())
    }

    /// The bytes that are sent in the time that runs, of each bound.
    pub(crate) fn sent(&self) -> [u64; 2] {
        if self.limits(Way::Out) {
            self.sending.sent()
        } else {
            [0; 2]
        }
    }

    /// True if nothing more may be sent until a time is over.
    pub(crate) fn is_used_up(&self) -> bool {
        self.limits(Way::Out) && self.sending.is_used_up()
    }

    /// Puts what is configured in force. It says if a bound is used up by that.
    fn follow(&self, budgets: &ByteBudgets) -> Settled {
        let Some(component) = &self.component else {
            return Settled::Open;
        };
        let budget = budgets.of(component);
        let settled = self.sending.follow(budget.send_rate, budget.sent);
        self.receiving.follow(budget.receive_rate, [None, None]);
        let bounds_sent = budget.sent.iter().any(Option::is_some);
        // What leaves while a bound is missing counts when it is back.
        let counts = self.sending.is_counting();
        self.limits_sending.store(
            counts || budget.send_rate.is_some() || bounds_sent,
            Ordering::Release,
        );
        // Who receives has to be told of connections that have ended.
        self.limits_receiving
            .store(budget.receive_rate.is_some() || bounds_sent, Ordering::Release);
        settled
    }

    fn limits(&self, way: Way) -> bool {
        let limits = match way {
            Way::Out => &self.limits_sending,
            Way::In => &self.limits_receiving,
        };
        limits.load(Ordering::Relaxed)
    }

    fn lane(&self, way: Way) -> &Arc<Lane> {
        match way {
            Way::Out => &self.sending,
            Way::In => &self.receiving,
        }
    }

    /// The last byte of a bound has left, or had left before it came into force.
    #[cold]
    fn cut(&self, bound: SentBound, left: Duration) {
        self.cuts.fetch_add(1, Ordering::AcqRel);
        let component = self.component.as_deref().unwrap_or_default();
        tracing::warn!(
            "component `{}` has sent {bound}, as much as it may: its connections are closed, and new ones refused for {} s",
            escape(component),
            left.as_secs_f64().ceil()
        );
        self.connections.close_of(self);
    }
}

/// The budgets of the components that there are, one for each name, so that those of a new policy come into force for all.
/// One that nobody has any more stays while it counts: a component that comes back has not forgotten what it has sent.
#[derive(Default)]
pub(crate) struct LivingBudgets(Mutex<Vec<Arc<ByteBudget>>>);

impl LivingBudgets {
    /// The budget of a component, under the policy that `configured` reads.
    pub(crate) fn begin(
        &self,
        component: Arc<str>,
        connections: &Arc<Connections>,
        configured: impl FnOnce() -> ByteBudgets,
    ) -> Arc<ByteBudget> {
        let mut living = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        living.retain(|budget| Arc::strong_count(budget) > 1 || budget.sending.is_counting());
        let of_it = |budget: &&Arc<ByteBudget>| budget.component.as_ref() == Some(&component);
        if let Some(budget) = living.iter().find(of_it) {
            return budget.clone();
        }
        let budget = ByteBudget::new(Some(component), connections.clone());
        // Read while nobody else puts a policy in force, so that a budget never keeps an older one. Nothing is sent yet that
        // could use up a bound.
        budget.follow(&configured());
        living.push(budget.clone());
        budget
    }

    /// Puts what is configured now in force for all.
    pub(crate) fn follow(&self, configured: impl FnOnce() -> ByteBudgets) {
        let living = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let budgets = configured();
        let followed = living
            .iter()
            .map(|budget| (budget.clone(), budget.follow(&budgets)));
        let followed: Vec<_> = followed.collect();
        drop(living);
        for (budget, settled) in followed {
            if let Settled::Last(bound, left) = settled {
                budget.cut(bound, left);
            }
        }
    }
}

/// A connection has ended since its component has sent all that it may.
#[derive(Debug, thiserror::Error)]
#[error("the component has sent as many bytes as it may in this time")]
pub(crate) struct Spent;

impl From<Spent> for io::Error {
    fn from(spent: Spent) -> Self {
        Self::new(io::ErrorKind::ConnectionReset, spent)
    }
}

impl Spent {
    /// True if it is what the error says.
    pub(crate) fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

#[cfg(test)]
mod tests;
