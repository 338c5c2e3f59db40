//! Calls of the interfaces that the host has for guests beside the network: how they are counted and traced.
//!
//! Whatever an interface does for a guest it does inside [`HostCalls::call`]; nothing else is needed for it to be counted
//! by component, and to be a span with attributes by the semantic conventions of OpenTelemetry.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tracing::{Span, field, info_span};

use crate::enforcer::Enforcer;
use crate::spans::{fail, short};
use crate::trace::{SPANS, Trace};

/// An interface of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostInterface {
    /// Key-value stores.
    KeyValue,
    /// SQLite, in a file or on a server.
    Sqlite,
    /// Redis.
    Redis,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// MQTT.
    Mqtt,
    /// Models.
    Llm,
}

impl HostInterface {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::KeyValue,
        Self::Sqlite,
        Self::Redis,
        Self::Postgres,
        Self::Mysql,
        Self::Mqtt,
        Self::Llm,
    ];

    /// Its name, as metrics have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyValue => "key-value",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mqtt => "mqtt",
            Self::Llm => "llm",
        }
    }

    /// The database that it is one of, as OpenTelemetry calls it.
    const fn database(self) -> Option<&'static str> {
        match self {
            Self::KeyValue => Some("key-value"),
            Self::Sqlite => Some("sqlite"),
            Self::Redis => Some("redis"),
            Self::Postgres => Some("postgresql"),
            Self::Mysql => Some("mysql"),
            Self::Mqtt | Self::Llm => None,
        }
    }
}

/// The calls of one interface by one instance. Cheap to clone. From [`GateCtx::calls`](crate::GateCtx::calls) or
/// [`Dialer::calls`](crate::Dialer::calls).
#[derive(Clone)]
pub struct HostCalls {
    enforcer: Arc<Enforcer>,
    interface: HostInterface,
}

impl fmt::Debug for HostCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostCalls").field(&self.interface).finish()
    }
}

impl HostCalls {
    pub(crate) fn new(enforcer: &Arc<Enforcer>, interface: HostInterface) -> Self {
        Self {
            enforcer: enforcer.clone(),
            interface,
        }
    }

    /// Does `work`, which is the function `operation` of the interface: it is counted, and a span of the point at which
    /// the instance is. `target` is what it is about where that says something: a label, a topic, a model.
    pub async fn call<T, E>(
        &self,
        operation: &'static str,
        target: Option<&str>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let call = self.begin(operation, target);
        let result = work.await;
        call.ended(result.is_ok());
        result
    }

    /// Does the same with a `work` that gets the point of the trace for what it sends on.
    pub async fn call_within<T, E, F>(
        &self,
        operation: &'static str,
        target: Option<&str>,
        work: impl FnOnce(Trace) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let call = self.begin(operation, target);
        let trace = if call.trace.is_recorded() {
            call.trace.clone()
        } else {
            self.enforcer.trace().get().sent_on()
        };
        let result = work(trace).await;
        call.ended(result.is_ok());
        result
    }

    /// Notes the same of what needs no waiting.
    pub fn call_at_once<T, E>(
        &self,
        operation: &'static str,
        target: Option<&str>,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let call = self.begin(operation, target);
        let result = work();
        call.ended(result.is_ok());
        result
    }

    fn begin(&self, operation: &'static str, target: Option<&str>) -> Call<'_> {
        let trace = match self.enforcer.trace().recorded() {
            Some(point) => self
                .enforcer
                .aside(|| point.child(|parent| self.span(parent, operation, target))),
            None => Trace::none(),
        };
        let is_counted = self.enforcer.component().counts().is_some();
        Call {
            calls: self,
            trace,
            since: is_counted.then(Instant::now),
            outcome: ABANDONED,
        }
    }

    fn span(&self, parent: &Span, operation: &'static str, target: Option<&str>) -> Span {
        let (interface, database) = (self.interface, self.interface.database());
        let target = target.map(short);
        let of = |own: HostInterface| (interface == own).then_some(());
        let (mqtt, llm) = (of(HostInterface::Mqtt), of(HostInterface::Llm));
        info_span!(
            target: SPANS,
            parent: parent,
            "host.call",
            otel.name = format!("{} {operation}", interface.name()),
            otel.kind = "client",
            otel.status_code = field::Empty,
            db.system.name = database,
            db.operation.name = database.map(|_| operation),
            db.namespace = database.and(target),
            messaging.system = mqtt.map(|()| "mqtt"),
            messaging.operation.name = mqtt.map(|()| operation),
            messaging.destination.name = mqtt.and(target),
            gen_ai.operation.name = llm.map(|()| operation),
            gen_ai.request.model = llm.and(target),
            error.type = field::Empty,
            outport.component = &**self.enforcer.component().name(),
            outport.interface = interface.name(),
        )
    }
}

/// A call under way. It is told of when it is dropped, whether or not it came to an end.
struct Call<'a> {
    calls: &'a HostCalls,
    trace: Trace,
    since: Option<Instant>,
    outcome: &'static str,
}

impl Call<'_> {
    fn ended(mut self, is_ok: bool) {
        self.outcome = if is_ok { "succeeded" } else { FAILED };
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let HostCalls { enforcer, interface } = self.calls;
        if self.trace.is_recorded() {
            enforcer.aside(|| {
                if self.outcome != "succeeded" {
                    fail(self.trace.span(), self.outcome);
                }
                // Closed here, where what its subscriber does is not charged to the guest.
                self.trace = Trace::none();
            });
        }
        if let (Some(counts), Some(since)) = (enforcer.component().counts(), self.since) {
            let seconds = since.elapsed().as_secs_f64();
            enforcer.aside(|| counts.call(*interface, self.outcome, seconds));
        }
    }
}

const FAILED: &str = "failed";

/// What became of a call that nobody waited for to the end.
const ABANDONED: &str = "abandoned";
