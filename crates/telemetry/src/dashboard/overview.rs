//! What there is now: limits in use, components with what they hold, and grants that are alive.
//!
//! It is read from the registry and the egress when somebody looks, once a [`PERIOD`] at most however many look, on the thread
//! of the dashboard. Nobody who is counted waits for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use outport_egress::{Egress, LivingGrants, WeakEgress};
use serde::Serialize;

use super::activity::{Activity, now};
use super::text::Text;
use crate::registry::{Registry, Series, Snapshot, Value};

/// The time for which a look holds.
const PERIOD: Duration = Duration::from_secs(1);

/// Names with grants that are shown.
const GRANTS: usize = 200;

/// Components that are shown.
const COMPONENTS: usize = 200;

/// Addresses of a name, and names that its answer led through.
const OF_A_NAME: usize = 50;

/// The bounds that are no metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// Instances that are at work at a time.
    pub instances: Option<u64>,
    /// Bytes of all instances together.
    pub memory: Option<u64>,
}

/// The place where it is read.
pub(super) struct Overview {
    registry: Arc<Registry>,
    app: Option<String>,
    bounds: Bounds,
    /// 0 where it is not known.
    clients: AtomicU64,
    egress: OnceLock<WeakEgress>,
    last: Mutex<Option<Look>>,
}

/// A look, as it is sent.
#[derive(Clone)]
pub(super) struct Look {
    at: Instant,
    pub(super) json: Arc<str>,
    /// It grows with each.
    pub(super) number: u64,
}

#[derive(Serialize)]
struct Now<'a> {
    now: u64,
    app: Option<&'a str>,
    version: &'static str,
    /// Milliseconds since 1970.
    since: u64,
    limits: Vec<LimitInUse>,
    components: Vec<Component>,
    more_components: usize,
    grants: Vec<Grant>,
    more_grants: u64,
}

#[derive(Serialize)]
struct LimitInUse {
    what: &'static str,
    /// The option that sets it.
    option: Option<&'static str>,
    used: f64,
    /// None where there is none.
    limit: Option<f64>,
    is_bytes: bool,
}

#[derive(Default, Serialize)]
struct Component {
    name: String,
    instances: f64,
    memory: f64,
    requests: f64,
    connections: f64,
}

#[derive(Serialize)]
struct Grant {
    component: Text,
    instance: u64,
    name: Text,
    chain: Vec<Text>,
    addresses: Vec<String>,
    more_addresses: usize,
    /// Milliseconds since 1970.
    at: u64,
}

impl Overview {
    pub(super) fn new(registry: Arc<Registry>, app: Option<&str>, bounds: Bounds) -> Self {
        Self {
            registry,
            app: app.map(str::to_owned),
            bounds,
            clients: AtomicU64::new(0),
            egress: OnceLock::new(),
            last: Mutex::default(),
        }
    }

    pub(super) fn watch(&self, egress: WeakEgress) {
        let _ = self.egress.set(egress);
    }

    pub(super) fn bound_clients(&self, connections: usize) {
        self.clients.store(connections as u64, Ordering::Relaxed);
    }

    /// What there is now, or was a moment ago. Has `activity` note what open connections have carried, too.
    pub(super) fn look(&self, activity: &Activity) -> Look {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = last.as_ref().filter(|look| look.at.elapsed() < PERIOD) {
            return look.clone();
        }
        let egress = self.egress.get().and_then(WeakEgress::upgrade);
        if let Some(egress) = &egress {
            activity.carry(&egress.carried());
        }
        let look = Look {
            at: Instant::now(),
            json: self.json(egress.as_ref()).into(),
            number: last.as_ref().map_or(0, |look| look.number) + 1,
        };
        *last = Some(look.clone());
        look
    }

    fn json(&self, egress: Option<&Egress>) -> String {
        let counts = self.registry.collect();
        let since = counts.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let alive = egress
            .map(|egress| egress.living_grants(GRANTS))
            .unwrap_or_default();
        let mut components = components(&counts);
        let more_components = components.len().saturating_sub(COMPONENTS);
        components.truncate(COMPONENTS);
        let now = Now {
            now: now(),
            app: self.app.as_deref(),
            version: env!("CARGO_PKG_VERSION"),
            since: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            limits: self.limits(&counts),
            components,
            more_components,
            more_grants: alive.more,
            grants: grants(alive),
        };
        serde_json::to_string(&now).unwrap_or_else(|_| "{}".to_owned())
    }

    fn limits(&self, counts: &Snapshot) -> Vec<LimitInUse> {
        let clients = self.clients.load(Ordering::Relaxed);
        let mut limits = Vec::new();
        let quota = |name: &str| {
            let of = |metric| labelled(counts, metric, "quota", name);
            Some((of("outport_quota_used")?, of("outport_quota_limit")))
        };
        let mut add = |what, option, used: Option<(f64, Option<f64>)>, is_bytes| {
            if let Some((used, limit)) = used {
                limits.push(LimitInUse {
                    what,
                    option,
                    used,
                    limit: limit.filter(|limit| limit.is_finite()),
                    is_bytes,
                });
            }
        };
        add(
            "Sockets and connections of components",
            Some("--max-sockets"),
            quota("sockets_per_process"),
            false,
        );
        add(
            "Connections of outgoing HTTP",
            None,
            quota("http_connections"),
            false,
        );
        for (what, option, budget) in [
            (
                "Look-ups in a minute, of the component with most",
                "--max-lookups-per-minute",
                "lookups_per_minute",
            ),
            (
                "Names below a wildcard in an hour, of the component with most",
                "--max-names-per-wildcard",
                "names_per_wildcard",
            ),
        ] {
            add(what, Some(option), most_used(counts, budget), false);
        }
        let instances = self.bounds.instances.map(|bound| bound as f64);
        add(
            "Instances",
            Some("--max-requests"),
            Some((sum(counts, "outport_instances"), instances)),
            false,
        );
        add(
            "Memory of components",
            Some("--max-memory-total"),
            Some((
                sum(counts, "outport_guest_memory_bytes"),
                self.bounds.memory.map(|bound| bound as f64),
            )),
            true,
        );
        if clients > 0 {
            add(
                "Connections of clients",
                Some("--max-connections"),
                Some((
                    sum(counts, "outport_client_connections_open"),
                    Some(clients as f64),
                )),
                false,
            );
        }
        let files = sum(counts, "process_max_fds");
        add(
            "Open files of the process",
            None,
            Some((sum(counts, "process_open_fds"), (files > 0.0).then_some(files))),
            false,
        );
        limits
    }
}

fn grants(alive: LivingGrants) -> Vec<Grant> {
    let now = now();
    let shown = alive.grants.into_iter().map(|grant| Grant {
        component: Text::from(&grant.component),
        instance: grant.instance,
        name: Text::bounded(&grant.name),
        chain: grant
            .chain
            .iter()
            .take(OF_A_NAME)
            .map(|name| Text::bounded(name))
            .collect(),
        more_addresses: grant.addresses.len().saturating_sub(OF_A_NAME),
        addresses: grant
            .addresses
            .iter()
            .take(OF_A_NAME)
            .map(ToString::to_string)
            .collect(),
        at: now.saturating_sub(u64::try_from(grant.age.as_millis()).unwrap_or(u64::MAX)),
    });
    shown.collect()
}

/// The member that a metric is shown in.
type Member = fn(&mut Component) -> &mut f64;

/// What each component holds.
fn components(counts: &Snapshot) -> Vec<Component> {
    let mut components: BTreeMap<&str, Component> = BTreeMap::new();
    let kept: [(&str, Member); 4] = [
        ("outport_instances", |of| &mut of.instances),
        ("outport_guest_memory_bytes", |of| &mut of.memory),
        ("outport_http_requests_active", |of| &mut of.requests),
        ("outport_connections_open", |of| &mut of.connections),
    ];
    for (metric, place) in kept {
        for series in series(counts, metric) {
            let Some(name) = label(series, "component").filter(|name| !name.is_empty()) else {
                continue;
            };
            let component = components.entry(name).or_default();
            *place(component) += amount(&series.value);
        }
    }
    let named = components.into_iter().map(|(name, component)| Component {
        name: name.to_owned(),
        ..component
    });
    named.collect()
}

fn series<'s>(counts: &'s Snapshot, metric: &str) -> &'s [Series] {
    let family = counts.families.iter().find(|family| family.name == metric);
    family.map_or(&[], |family| &family.series)
}

fn sum(counts: &Snapshot, metric: &str) -> f64 {
    series(counts, metric).iter().map(|one| amount(&one.value)).sum()
}

fn labelled(counts: &Snapshot, metric: &str, key: &str, value: &str) -> Option<f64> {
    let mut all = series(counts, metric).iter();
    let found = all.find(|series| label(series, key) == Some(value))?;
    Some(amount(&found.value))
}

/// What is used of a budget by the component that uses the greatest part of its own, and its bound.
fn most_used(counts: &Snapshot, budget: &str) -> Option<(f64, Option<f64>)> {
    let of_budget = |metric| {
        let all = series(counts, metric).iter();
        all.filter(|series| label(series, "budget") == Some(budget))
    };
    let used = of_budget("outport_budget_used").filter_map(|used| {
        let component = label(used, "component");
        let mut limits = of_budget("outport_budget_limit");
        let limit = limits.find(|limit| label(limit, "component") == component)?;
        Some((amount(&used.value), amount(&limit.value)))
    });
    let part = |(used, limit): &(f64, f64)| used / limit.max(1.0);
    let most = used.max_by(|one, other| part(one).total_cmp(&part(other)));
    most.map(|(used, limit)| (used, Some(limit)))
}

fn label<'s>(series: &'s Series, key: &str) -> Option<&'s str> {
    let found = series.labels.iter().find(|label| label.key() == key)?;
    Some(found.value())
}

fn amount(value: &Value) -> f64 {
    match value {
        Value::Count(count) => *count as f64,
        Value::Amount(amount) => *amount,
        Value::Distribution { .. } => 0.0,
    }
}
