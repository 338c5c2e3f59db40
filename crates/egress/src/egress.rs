//! The operator's side: the parts that all gates of a process share.
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

use std::sync::{Arc, Weak};

use outport_policy::{AllowList, Entry, EntryError, Location, NeutralWords, Operator, RemedyWords};

use crate::asking::Questioner;
use crate::audit::AuditSink;
use crate::byte_budget::LivingBudgets;
use crate::counts::{METRICS, QuotaGauges, budgets};
use crate::dial::{Destination, Dialer};
use crate::dns::{Resolve, Resolver, ResolverError};
use crate::enforcer::{self, Enforcer};
use crate::gate::Gate;
use crate::meter::Meter;
use crate::metrics::Metrics;
use crate::process::{
    AskedNames, Carried, Component, LivingGrants, PolicyInForce, Pooling, Process, ProcessUsage, Recorder,
    Replacements,
};
use crate::proxy::{EgressProxies, ProxiesInForce};
use crate::trace::Tracer;

/// The operator's side of the network: policy, resolver, audit. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    process: Arc<Process>,
}

impl Egress {
    /// An egress with the policy that holds when the operator says nothing, the system's resolver and no sink.
    pub fn builder() -> EgressBuilder {
        EgressBuilder {
            operator: Operator::default(),
            resolver: None,
            proxies: None,
            sinks: Vec::new(),
            required: Vec::new(),
            questioner: None,
            words: Box::new(NeutralWords),
            pooling: Pooling::On,
            http_connections: None,
            meter: Meter::default(),
            tracer: None,
            lists_grants: false,
        }
    }

    /// The gate of a component, which lets through what `allow` says as far as the operator permits it.
    pub fn gate(&self, component: impl Into<Arc<str>>, allow: Arc<AllowList>) -> Gate {
        Gate::new(self.clone(), component.into(), allow)
    }

    /// The dialer to `destination` for the host itself, since its operator configured that address: a server behind a
    /// store, say (HI-6). The one decider is asked, under a list that is the operator's and has that address alone, and
    /// neither the deny list nor the runtime limits are held against it. Quotas are, and the audit log has what is done, of
    /// the component `LABEL (operator)`. `location` is where the address was configured.
    ///
    /// # Errors
    ///
    /// The destination cannot be an entry, since its port is 0 or its name is for the app alone.
    pub fn operator_dialer(
        &self,
        label: &str,
        destination: &Destination,
        location: Location,
    ) -> Result<Dialer, EntryError> {
        let entry = Entry::parse(&destination.to_string(), location)?;
        let component = Component::new(
            self.process.clone(),
            format!("{label} (operator)").into(),
            AllowList::of_operator(vec![entry]).into(),
        );
        let enforcer = Arc::new(Enforcer::new(Arc::new(component)));
        Ok(Dialer::new(enforcer, Arc::default()))
    }

    /// The operator's policy in force, learned addresses included.
    pub fn operator(&self) -> Arc<Operator> {
        self.process.policy.operator()
    }

    /// Puts another operator's policy in force, for every gate and at once (DL-9). Addresses that were learned
    /// stay denied until the next refresh. Open connections that the new deny list forbids are closed when this returns; called
    /// by an [`AuditSink`], or by other code of the host's that a decision calls, as soon as that decision is over.
    pub fn replace_operator(&self, operator: Operator) {
        self.process.replace_operator(operator);
    }

    /// The times that another operator's policy is put in force, from now on.
    pub fn replacements(&self) -> Replacements {
        self.process.policy.replacements()
    }

    /// The counters of the process.
    pub fn metrics(&self) -> Metrics {
        let (sockets, connections) = self.process.usage.by_kind();
        Metrics {
            sockets,
            connections,
            ..self.process.recorder.counters.snapshot()
        }
    }

    /// The meter by which is counted.
    pub fn meter(&self) -> &Meter {
        &self.process.meter
    }

    /// Sets those gauges whose values are known elsewhere: what is used of quotas, and the quotas. To be called when somebody
    /// collects.
    pub fn collect(&self) {
        let usage = &self.process.usage;
        let operator = self.process.policy.load();
        self.process.quotas.set(&operator.quotas, usage);
        if self.process.meter.is_on() {
            let used = self.process.names.used(enforcer::now());
            budgets::set(&self.process.meter, &operator.quotas, used);
        }
    }

    /// The tracer, if there is one.
    pub fn tracer(&self) -> Option<&Arc<dyn Tracer>> {
        self.process.tracer.as_ref()
    }

    /// The grants that are alive, of which `most` are told. None where they are not [listed](EgressBuilder::list_grants).
    ///
    /// Waits for the decisions that instances are at, one after the other; not to be called by what a decision calls.
    pub fn living_grants(&self, most: usize) -> LivingGrants {
        let holders = self.process.grants.as_ref();
        holders.map(|holders| holders.alive(most)).unwrap_or_default()
    }

    /// What the connections and exchanges that are open have carried so far. There are as many as quotas permit; none where
    /// no sink is told of [all outcomes](crate::Outcomes::All).
    pub fn carried(&self) -> Vec<Carried> {
        self.process.recorder.unfinished.carried()
    }

    /// Makes every sink write out what it holds.
    pub fn flush(&self) {
        self.process.recorder.flush();
    }

    /// Tells the sinks of what is still open that the process stops. What ends later is not told again.
    pub fn stop(&self) {
        self.process.recorder.unfinished.stop();
    }

    /// Makes every sink open again what it writes to, where that is a file: somebody has moved it away.
    pub fn reopen(&self) {
        self.process.recorder.reopen();
    }

    /// The same egress, for what runs beside the guests and does not keep it.
    pub fn downgrade(&self) -> WeakEgress {
        WeakEgress {
            process: Arc::downgrade(&self.process),
        }
    }

    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }
}

/// An [`Egress`] that is gone once nobody else has it: for what runs beside the guests.
#[derive(Clone)]
pub struct WeakEgress {
    process: Weak<Process>,
}

impl WeakEgress {
    /// The egress, while there is one.
    pub fn upgrade(&self) -> Option<Egress> {
        self.process.upgrade().map(|process| Egress { process })
    }
}

/// Collects the parts of a [`Egress`].
pub struct EgressBuilder {
    operator: Operator,
    resolver: Option<Arc<dyn Resolve>>,
    proxies: Option<EgressProxies>,
    sinks: Vec<Arc<dyn AuditSink>>,
    required: Vec<Arc<dyn AuditSink>>,
    questioner: Option<Arc<dyn Questioner>>,
    words: Box<dyn RemedyWords>,
    pooling: Pooling,
    http_connections: Option<u32>,
    meter: Meter,
    tracer: Option<Arc<dyn Tracer>>,
    lists_grants: bool,
}

impl EgressBuilder {
    /// The operator's policy. Default: [`Operator::default`], no deny list and every limit in force.
    pub fn operator(mut self, operator: Operator) -> Self {
        self.operator = operator;
        self
    }

    /// Sets the resolver of names. Default: [`Resolver::system`].
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Sends the connections of guests through these proxies, for as long as there is the egress; `egress_proxy` of the
    /// operator's policy is what is known of these, whatever it was set to. Default: every address that is permitted is
    /// connected to directly. See [`ProxyWatch`](crate::ProxyWatch), too.
    pub fn egress_proxies(mut self, proxies: EgressProxies) -> Self {
        self.proxies = Some(proxies);
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
        // It is told like any other, and asked as well.
        self.required.push(sink.clone());
        self.sink(sink)
    }

    /// Has `questioner` asked about every attempt that only an author's list refuses, before it is judged. What it agrees to
    /// is added to that list; the limits and the deny list hold as ever. Default: nobody is asked.
    pub fn questioner(mut self, questioner: Arc<dyn Questioner>) -> Self {
        self.questioner = Some(questioner);
        self
    }

    /// Sets what the host calls the settings that would permit what was denied, as events tell it. Default:
    /// [`NeutralWords`], which name what the crates call them.
    pub fn remedies(mut self, words: impl RemedyWords + 'static) -> Self {
        self.words = Box::new(words);
        self
    }

    /// Gives every request of outgoing HTTP a connection of its own. Default: connections are used again.
    pub fn without_pooling(mut self) -> Self {
        self.pooling = Pooling::Off;
        self
    }

    /// Sets the number of connections of outgoing HTTP that all guests together may have; a request waits up to five
    /// seconds for one. Default: as many as the quotas of the policy permit.
    pub fn http_connections(mut self, number: u32) -> Self {
        self.http_connections = Some(number);
        self
    }

    /// Sets the meter by which all is counted, here and in what is built on it. Default: nothing is.
    pub fn meter(mut self, meter: Meter) -> Self {
        self.meter = meter;
        self
    }

    /// Sets the tracer that says which requests have spans. Default: whoever subscribed to spans decides.
    pub fn tracer(mut self, tracer: Arc<dyn Tracer>) -> Self {
        self.tracer = Some(tracer);
        self
    }

    /// Has [`Egress::living_grants`] list the grants that are alive. Default: nobody keeps a list.
    pub fn list_grants(mut self) -> Self {
        self.lists_grants = true;
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
        self.meter.describe(METRICS);
        self.sinks.iter().for_each(|sink| sink.count_by(&self.meter));
        let process = Process {
            quotas: QuotaGauges::new(&self.meter, self.http_connections),
            policy: PolicyInForce::new(self.operator, self.proxies.as_ref().map(EgressProxies::rule)),
            resolver,
            proxies: self.proxies.map(ProxiesInForce::new),
            recorder: Recorder::new(self.sinks, self.required),
            questioner: self.questioner,
            words: self.words,
            usage: ProcessUsage::new(self.pooling, self.http_connections),
            names: AskedNames::default(),
            connections: Arc::default(),
            byte_budgets: LivingBudgets::default(),
            meter: self.meter,
            tracer: self.tracer,
            grants: self.lists_grants.then(Arc::default),
        };
        Ok(Egress {
            process: Arc::new(process),
        })
    }
}

/// The reason why an [`Egress`] cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The system's resolver cannot be started.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
}
