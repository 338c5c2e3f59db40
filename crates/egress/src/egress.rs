//! What all gates of a process share: the operator's side.
//!
//! ```text
//! Egress ── operator's policy (swapped as a whole), resolver, sinks, counts of the process
//!  ├─ Gate `web` ── the author's allow list
//!  │   ├─ GateCtx 1 ── grants, peers, counts of the instance
//!  │   └─ GateCtx 2
//!  └─ Gate `api`
//! ```
//!
//! The operator's policy is what was configured, plus the addresses that the denied names were last seen at
//! ([`Refresher`](crate::Refresher)). Either may change while guests run; every attempt after that is judged by
//! the new whole.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use arc_swap::ArcSwap;
use outport_policy::{AllowList, LearnedAddresses, Operator};
use tokio::sync::{Notify, Semaphore};

use crate::audit::{AuditEvent, AuditOutcome, AuditSink, Outcomes, Stage, Verdict};
use crate::connections::Connections;
use crate::dns::{Resolve, Resolver, ResolverError};
use crate::followed::AllFollowed;
use crate::gate::Gate;
use crate::http::Pool;
use crate::metrics::{Counters, Metrics};
use crate::usage_counter::OpenInComponent;

/// The operator's side of the network: policy, resolver, audit. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<EgressInner>,
}

struct EgressInner {
    operator: ArcSwap<Operator>,
    configured: Mutex<Configured>,
    changed: Arc<Notify>,
    freed: Notify,
    open: Arc<Connections>,
    pools: Mutex<Vec<Weak<Pool>>>,
    resolver: Arc<dyn Resolve>,
    sinks: Vec<Arc<dyn AuditSink>>,
    /// Those without which nothing is permitted; they are among the sinks.
    required: Vec<Arc<dyn AuditSink>>,
    /// What the sinks together want.
    outcomes: Outcomes,
    followed: AllFollowed,
    decisions: AtomicU64,
    counters: Counters,
    instances: AtomicU64,
    /// Sockets, and connections of outgoing HTTP.
    open_in_process: AtomicU32,
    /// Those of each component.
    components: Mutex<Vec<Weak<OpenInComponent>>>,
    pooling: Pooling,
    /// How many requests wait for a place right now.
    waiting: Arc<AtomicU32>,
    /// A permit for each connection of outgoing HTTP; none where there is no bound.
    http_connections: Option<Arc<Semaphore>>,
}

/// Whether connections of outgoing HTTP are kept for further requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    On,
    Off,
}

/// What the operator's policy in force is made of.
struct Configured {
    operator: Operator,
    learned: LearnedAddresses,
}

impl Egress {
    /// An egress with the policy that holds when the operator says nothing, the system's resolver and no sink.
    pub fn builder() -> EgressBuilder {
        EgressBuilder {
            operator: Operator::default(),
            resolver: None,
            sinks: Vec::new(),
            required: Vec::new(),
            pooling: Pooling::On,
            http_connections: None,
        }
    }

    /// The gate of a component, which lets through what `allow` says as far as the operator permits it.
    pub fn gate(&self, component: impl Into<Arc<str>>, allow: Arc<AllowList>) -> Gate {
        Gate::new(self.clone(), component.into(), allow)
    }

    /// The operator's policy in force, learned addresses included.
    pub fn operator(&self) -> Arc<Operator> {
        self.shared.operator.load_full()
    }

    /// Puts another operator's policy in force, for every gate and at once (DL-9). Addresses that were learned
    /// stay denied until the next refresh. Open connections that the new deny list forbids are closed.
    pub fn replace_operator(&self, operator: Operator) {
        self.change(|configured| configured.operator = operator);
        self.shared.changed.notify_one();
    }

    /// The counters of the process.
    pub fn metrics(&self) -> Metrics {
        let components: Vec<_> = self.components().iter().filter_map(Weak::upgrade).collect();
        Metrics {
            sockets: components.iter().map(|open| open.sockets()).sum(),
            connections: components.iter().map(|open| open.connections()).sum(),
            ..self.shared.counters.snapshot()
        }
    }

    /// Makes every sink write out what it holds.
    pub fn flush(&self) {
        self.shared.sinks.iter().for_each(|sink| sink.flush());
    }

    /// Tells the sinks of what is still open that the process stops. What ends later is not told again.
    pub fn stop(&self) {
        self.shared.followed.stop();
    }

    /// Makes every sink open again what it writes to, where that is a file: somebody has moved it away.
    pub fn reopen(&self) {
        self.shared.sinks.iter().for_each(|sink| sink.reopen());
    }

    /// Denies `learned` as the addresses of the denied names (DL-5).
    pub(crate) fn learn(&self, learned: LearnedAddresses) {
        self.change(|configured| configured.learned = learned);
    }

    /// The policy as it was configured, without learned addresses.
    pub(crate) fn configured<R>(&self, read: impl FnOnce(&Operator) -> R) -> R {
        read(
            &self
                .shared
                .configured
                .lock()
                .expect("nothing panics while the policy is locked")
                .operator,
        )
    }

    /// Is notified after each [`replace_operator`](Egress::replace_operator).
    pub(crate) fn replaced(&self) -> Arc<Notify> {
        self.shared.changed.clone()
    }

    /// The operator's policy in force, without counting a reference to it.
    pub(crate) fn operator_in_force(&self) -> arc_swap::Guard<Arc<Operator>> {
        self.shared.operator.load()
    }

    pub(crate) fn resolver(&self) -> &Arc<dyn Resolve> {
        &self.shared.resolver
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    pub(crate) fn next_instance(&self) -> u64 {
        self.shared.instances.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The sockets, and the connections of outgoing HTTP, of all guests.
    pub(crate) fn open_in_process(&self) -> &AtomicU32 {
        &self.shared.open_in_process
    }

    /// Notes what a component has open, for [`kept_for_others`](Egress::kept_for_others).
    pub(crate) fn note_component(&self, open: &Arc<OpenInComponent>) {
        let mut components = self.components();
        components.retain(|open| open.strong_count() > 0);
        components.push(Arc::downgrade(open));
    }

    /// How many of the sockets that the process may have are kept for other components than that of `gate`, while
    /// `open` are open in all. One half is for whoever comes first, the other half is kept in equal parts, so that no
    /// component takes what others need (clause ISO-1).
    pub(crate) fn kept_for_others(&self, gate: &Gate, open: u32) -> u32 {
        let most = self.operator_in_force().quotas.sockets_per_process;
        if open < most / 2 {
            return 0;
        }
        let components = self.components();
        let alive: Vec<_> = components.iter().filter_map(Weak::upgrade).collect();
        let part = most / 2 / u32::try_from(alive.len()).unwrap_or(u32::MAX).max(1);
        let others = alive
            .iter()
            .filter(|open| !Arc::ptr_eq(open, gate.open_in_component()));
        others.map(|open| part.saturating_sub(open.all())).sum()
    }

    fn components(&self) -> MutexGuard<'_, Vec<Weak<OpenInComponent>>> {
        self.shared
            .components
            .lock()
            .expect("nothing panics while the components are locked")
    }

    pub(crate) fn pooling(&self) -> Pooling {
        self.shared.pooling
    }

    /// How many requests wait for a place right now. As long as any does, no connection stays idle.
    pub(crate) fn waiting(&self) -> &Arc<AtomicU32> {
        &self.shared.waiting
    }

    pub(crate) fn http_connections(&self) -> Option<&Arc<Semaphore>> {
        self.shared.http_connections.as_ref()
    }

    /// The connections that are open now.
    pub(crate) fn open_connections(&self) -> &Arc<Connections> {
        &self.shared.open
    }

    /// Notes the pool of a gate, for [`close_idle`](Egress::close_idle).
    pub(crate) fn note_pool(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// Closes the idle connections of every component: who waits for a place needs it more.
    pub(crate) fn close_idle(&self) {
        let pools: Vec<Arc<Pool>> = self.pools().iter().filter_map(Weak::upgrade).collect();
        pools.iter().for_each(|pool| pool.close_idle());
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Weak<Pool>>> {
        self.shared
            .pools
            .lock()
            .expect("nothing panics while the pools are locked")
    }

    /// Is notified whenever a socket or a connection is given back.
    pub(crate) fn freed(&self) -> &Notify {
        &self.shared.freed
    }

    /// Whether any sink wants events with this verdict.
    pub(crate) fn wants(&self, verdict: Verdict) -> bool {
        self.shared.sinks.iter().any(|sink| sink.wants(verdict))
    }

    /// The number of the next decision that is told.
    pub(crate) fn next_decision(&self) -> NonZeroU64 {
        let number = self.shared.decisions.fetch_add(1, Ordering::Relaxed) + 1;
        NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN)
    }

    /// Whether all that must be recorded can be.
    pub(crate) fn can_record(&self) -> bool {
        self.shared.required.iter().all(|sink| sink.is_available())
    }

    /// Whether what is permitted is followed to its end.
    pub(crate) fn follows_all(&self) -> bool {
        self.shared.outcomes == Outcomes::All
    }

    /// All that is followed.
    pub(crate) fn followed(&self) -> &AllFollowed {
        &self.shared.followed
    }

    /// Whether any sink wants outcomes of this stage.
    pub(crate) fn wants_outcome(&self, stage: Stage) -> bool {
        self.shared.outcomes >= needed(stage)
    }

    /// Tells the sinks that want it of an outcome.
    pub(crate) fn record_outcome(&self, outcome: &AuditOutcome) {
        let needed = needed(outcome.outcome);
        let sinks = self.shared.sinks.iter();
        sinks
            .filter(|sink| sink.outcomes() >= needed)
            .for_each(|sink| sink.record_outcome(outcome));
    }

    /// Tells the sinks that want it of an event, which is made only then.
    pub(crate) fn record(&self, verdict: Verdict, event: impl FnOnce() -> AuditEvent) {
        let mut listeners = self
            .shared
            .sinks
            .iter()
            .filter(|sink| sink.wants(verdict))
            .peekable();
        if listeners.peek().is_some() {
            let event = event();
            listeners.for_each(|sink| sink.record(&event));
        }
    }

    /// The same egress, for what runs beside the guests and does not keep it.
    pub fn downgrade(&self) -> WeakEgress {
        WeakEgress {
            shared: Arc::downgrade(&self.shared),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Configured)) {
        let mut configured = self
            .shared
            .configured
            .lock()
            .expect("nothing panics while the policy is locked");
        change(&mut configured);
        self.shared.operator.store(Arc::new(configured.in_force()));
        drop(configured);
        self.shared.open.close_forbidden();
    }
}

/// What a sink must want to be told of this stage.
fn needed(stage: Stage) -> Outcomes {
    match stage {
        Stage::Failed => Outcomes::Failures,
        Stage::Succeeded | Stage::Ended => Outcomes::All,
    }
}

impl Configured {
    fn in_force(&self) -> Operator {
        let deny = self.operator.deny.with_learned(self.learned.clone());
        Operator {
            deny,
            ..self.operator.clone()
        }
    }
}

/// An [`Egress`] that is gone once nobody else has it: for what runs beside the guests.
#[derive(Clone)]
pub struct WeakEgress {
    shared: Weak<EgressInner>,
}

impl WeakEgress {
    /// The egress, while there is one.
    pub fn upgrade(&self) -> Option<Egress> {
        self.shared.upgrade().map(|shared| Egress { shared })
    }
}

/// Collects the parts of a [`Egress`].
pub struct EgressBuilder {
    operator: Operator,
    resolver: Option<Arc<dyn Resolve>>,
    sinks: Vec<Arc<dyn AuditSink>>,
    required: Vec<Arc<dyn AuditSink>>,
    pooling: Pooling,
    http_connections: Option<u32>,
}

impl EgressBuilder {
    /// The operator's policy. Default: [`Operator::default`], no deny list and every limit in force.
    pub fn operator(mut self, operator: Operator) -> Self {
        self.operator = operator;
        self
    }

    /// Where names are resolved. Default: [`Resolver::system`].
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Adds a sink for events. Default: none.
    pub fn sink(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.sinks.push(sink);
        self
    }

    /// Adds a sink without which nothing is permitted: while it is not [available](AuditSink::is_available), every new
    /// attempt of every guest is refused (`audit.unavailable`). Default: none.
    pub fn required_sink(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.required.push(sink.clone());
        self.sink(sink)
    }

    /// Gives every request of outgoing HTTP a connection of its own. Default: connections are used again.
    pub fn without_pooling(mut self) -> Self {
        self.pooling = Pooling::Off;
        self
    }

    /// How many connections of outgoing HTTP all guests together may have; a request waits up to five seconds for
    /// one. Default: as many as the quotas of the policy permit.
    pub fn http_connections(mut self, number: u32) -> Self {
        self.http_connections = Some(number);
        self
    }

    /// The egress.
    ///
    /// # Errors
    ///
    /// No resolver was given, and that of the system cannot be started.
    pub fn build(self) -> Result<Egress, EgressError> {
        let resolver = match self.resolver {
            Some(resolver) => resolver,
            None => Arc::new(Resolver::system()?),
        };
        let configured = Configured {
            operator: self.operator,
            learned: LearnedAddresses::default(),
        };
        let wanted = self.sinks.iter().map(|sink| sink.outcomes());
        let shared = EgressInner {
            outcomes: wanted.max().unwrap_or(Outcomes::None),
            required: self.required,
            followed: AllFollowed::default(),
            decisions: AtomicU64::new(0),
            operator: ArcSwap::from_pointee(configured.in_force()),
            configured: Mutex::new(configured),
            changed: Arc::default(),
            freed: Notify::new(),
            open: Arc::default(),
            pools: Mutex::default(),
            resolver,
            sinks: self.sinks,
            counters: Counters::default(),
            instances: AtomicU64::new(0),
            open_in_process: AtomicU32::new(0),
            components: Mutex::default(),
            pooling: self.pooling,
            waiting: Arc::default(),
            http_connections: self
                .http_connections
                .map(|number| Arc::new(Semaphore::new(number as usize))),
        };
        Ok(Egress {
            shared: Arc::new(shared),
        })
    }
}

/// Why a [`Egress`] cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The system's resolver cannot be started.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
}
