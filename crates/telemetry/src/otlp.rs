//! Traces, metrics and logs by OTLP, to the collector that the operator names.
//!
//! ```text
//! spans of tracing ── layer ──┐
//! lines of guests, denials, ──┼─▶ Queue, bounded ─▶ thread: Sender ─▶ collector
//! warnings                    │                        ▲
//! Registry ── every minute ───┴────────────────────────┘
//! ```
//!
//! [`Otlp`] is made before the process may have threads, so that its layer is part of the subscriber from the start; what comes
//! before [`Otlp::start`] waits. Nobody else ever waits: a collector that is slow or gone costs its data, which are counted.

mod exporter;
mod health;
mod logs;
mod metrics;
mod queue;
mod resource;
mod sampler;
mod sender;
mod settings;
mod signal;
mod tracer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;
use outport_egress::AuditSink;
use outport_egress::trace::Tracer;
use outport_runtime::stdio::OutputObserver;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

pub use self::exporter::Export;
use self::logs::{Line, Lines, bounded};
use self::queue::{Queue, Records};
use self::resource::attribute;
pub use self::sampler::{Root, Sampler};
pub use self::settings::{Batches, Compression, Endpoint, Settings, SettingsError};
pub use self::signal::Signal;
use self::tracer::Spans;
use crate::registry::Registry;

/// What is told to a collector, and waits for it.
#[derive(Debug)]
pub struct Otlp {
    settings: Settings,
    spans: Arc<Queue<SpanData>>,
    lines: Arc<Queue<Line>>,
    /// It only counts what was dropped: the registry is asked when it is sent.
    counts: Arc<Queue<()>>,
    tracer: Spans,
}

impl Otlp {
    /// Makes ready what is to be exported. It starts no thread.
    pub fn new(settings: Settings) -> Self {
        let spans = Arc::new(Queue::new(settings.spans));
        let nothing = Batches {
            queue: 0,
            size: 1,
            delay: Duration::MAX,
        };
        Self {
            tracer: Spans::into_queue(spans.clone(), settings.sampler),
            spans,
            lines: Arc::new(Queue::new(settings.logs)),
            counts: Arc::new(Queue::new(nothing)),
            settings,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What receives the spans and the warnings of the process; none if neither is exported.
    pub fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let spans = self.exports(Signal::Traces).then(|| self.tracer.layer());
        let lines = self.lines().map(|lines| lines.layer());
        let layers: Vec<_> = spans.into_iter().chain(lines).collect();
        (!layers.is_empty()).then(|| layers.boxed())
    }

    /// What chooses the requests that have spans; none if traces are not exported.
    pub fn tracer(&self) -> Option<Arc<dyn Tracer>> {
        self.exports(Signal::Traces)
            .then(|| Arc::new(self.tracer.clone()) as _)
    }

    /// Tells an error or warning (`level`) that is no event of `tracing`, of a component if it is about one. Nothing is done
    /// if logs are not exported.
    pub fn tell(&self, level: Level, text: &str, component: Option<&str>) {
        if let Some(lines) = self.lines() {
            let component = component.map(|component| attribute("outport.component", component));
            lines.own(level, bounded(text), component.into_iter().collect());
        }
    }

    /// What takes what was denied or failed; none if logs are not exported.
    pub fn denials(&self) -> Option<Arc<dyn AuditSink>> {
        self.lines().map(|lines| Arc::new(lines) as _)
    }

    /// What takes the lines that guests print; none if logs are not exported.
    pub fn output(&self) -> Option<Arc<dyn OutputObserver>> {
        self.lines().map(|lines| Arc::new(lines) as _)
    }

    /// Starts to send, for as long as what it answers is kept. `service` is the name of the service where the operator gave
    /// none. Must be called once.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn start(&self, registry: &Arc<Registry>, service: &str) -> io::Result<Export> {
        Export::start(self, registry, service)
    }

    /// True if this signal is exported.
    pub fn exports(&self, signal: Signal) -> bool {
        self.settings.endpoints.contains_key(&signal)
    }

    fn lines(&self) -> Option<Lines> {
        self.exports(Signal::Logs).then(|| Lines(self.lines.clone()))
    }

    /// What waits, by signal.
    fn queues(&self) -> Vec<(Signal, Arc<dyn Records>)> {
        let all: [(Signal, Arc<dyn Records>); 3] = [
            (Signal::Traces, self.spans.clone()),
            (Signal::Logs, self.lines.clone()),
            (Signal::Metrics, self.counts.clone()),
        ];
        all.into_iter()
            .filter(|(signal, _)| self.exports(*signal))
            .collect()
    }
}
