//! Spans of `tracing` as spans of OpenTelemetry.
//!
//! ```text
//! Trace::begin ─ samples? ── no ──▶ no span is made
//!                   │ yes
//!                   ▼
//!                 Span (target outport::span) ─▶ layer ─ ended ─▶ Queue ─▶ the exporter's thread
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler as SdkSampler, SdkTracerProvider, Span as SdkSpan, SpanData, SpanLimits, SpanProcessor,
};
use outport_egress::trace::{SPANS, TraceContext, Tracer};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::queue::Queue;
use super::sampler::{SampledIds, Sampler};

/// What makes spans.
#[derive(Clone, Debug)]
pub(super) struct Spans {
    sampler: Sampler,
    provider: SdkTracerProvider,
}

impl Spans {
    /// Those that `sampler` chooses; when they have ended they are put into `queue`.
    pub(super) fn into_queue(queue: Arc<Queue<SpanData>>, sampler: Sampler) -> Self {
        // All that the SDK would read from the environment is given.
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Ended(queue))
            // Whatever gets here was chosen.
            .with_sampler(SdkSampler::AlwaysOn)
            .with_id_generator(SampledIds(sampler))
            .with_span_limits(SpanLimits::default())
            .with_resource(Resource::builder_empty().build())
            .build();
        Self { sampler, provider }
    }

    /// What receives the spans of the process, and nothing else.
    pub(super) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let scope = InstrumentationScope::builder("outport")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let spans = filter_fn(|metadata| metadata.is_span() && metadata.target() == SPANS);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer_with_scope(scope))
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // Nobody asks OpenTelemetry what goes on: a trace is handed on by hand.
            .with_context_activation(false)
            .with_filter(spans.with_max_level_hint(LevelFilter::INFO))
            .boxed()
    }
}

impl Tracer for Spans {
    fn samples(&self, incoming: Option<&TraceContext>) -> bool {
        self.sampler.samples(incoming)
    }

    fn unsampled(&self) -> TraceContext {
        self.sampler.unsampled()
    }

    fn adopt(&self, span: &Span, incoming: &TraceContext) {
        place(span, incoming, Origin::Elsewhere);
    }

    fn nest(&self, span: &Span, above: &TraceContext) {
        place(span, above, Origin::Here);
    }

    fn context(&self, span: &Span) -> Option<TraceContext> {
        let context = span.context();
        let span = context.span();
        let own = span.span_context();
        own.is_valid().then(|| TraceContext {
            trace_id: u128::from_be_bytes(own.trace_id().to_bytes()),
            parent_id: u64::from_be_bytes(own.span_id().to_bytes()),
            sampled: own.is_sampled(),
            state: match own.trace_state().header() {
                state if state.is_empty() => None,
                state => state.try_into().ok(),
            },
        })
    }
}

/// Where a span above is from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Here,
    Elsewhere,
}

/// Puts a span below another one.
fn place(span: &Span, above: &TraceContext, origin: Origin) {
    let state = above.state.as_ref().and_then(|state| state.to_str().ok());
    // What cannot be read goes no further (W3C Trace Context, section 3.3.1).
    let state = state.and_then(|state| state.parse::<TraceState>().ok());
    let flags = if above.sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::default()
    };
    let parent = SpanContext::new(
        TraceId::from(above.trace_id),
        SpanId::from(above.parent_id),
        flags,
        origin == Origin::Elsewhere,
        state.unwrap_or_default(),
    );
    // It fails for a span that is under way, which has its parent then.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// Puts what has ended into the queue.
struct Ended(Arc<Queue<SpanData>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _span: &mut SdkSpan, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut component = None;
        let mut bytes = 0;
        for attribute in &span.attributes {
            if let Value::String(text) = &attribute.value {
                bytes += text.as_str().len();
                if attribute.key.as_str() == "outport.component" {
                    component = Some(Arc::from(text.as_str()));
                }
            }
        }
        match component {
            Some(component) => self.0.put_of(&component, span, bytes),
            None => self.0.put(span),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ended")
    }
}

#[cfg(test)]
mod tests {
    use outport_egress::trace::Trace;
    use tracing::info_span;
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::settings::Batches;
    use super::*;

    fn spans(sampler: Sampler) -> (Spans, Arc<Queue<SpanData>>) {
        let queue = Arc::new(Queue::new(Batches {
            queue: 16,
            size: 16,
            delay: Duration::from_secs(1),
        }));
        (Spans::into_queue(queue.clone(), sampler), queue)
    }

    fn incoming() -> TraceContext {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        TraceContext {
            state: Some("a=1,b=2".parse().unwrap()),
            ..TraceContext::parse(parent).unwrap()
        }
    }

    #[test]
    fn a_span_below_another_one_has_its_trace_and_its_place() {
        let (spans, queue) = spans(Sampler::default());
        let subscriber = tracing_subscriber::registry().with(spans.layer());
        let tracer: Arc<dyn Tracer> = Arc::new(spans);
        tracing::subscriber::with_default(subscriber, || {
            let request = Trace::begin(
                Some(&tracer),
                Some(incoming()),
                || info_span!(target: SPANS, parent: None, "request", otel.name = "GET /", otel.kind = "server"),
            );
            let call = request.child(|above| {
                info_span!(target: SPANS, parent: above, "call", answer = 42, otel.status_code = "error")
            });
            assert!(request.is_recorded());
            let below = call.context().cloned().unwrap();
            assert_eq!(below.trace_id, incoming().trace_id);
            assert_eq!(below.state, incoming().state);
            assert!(below.sampled);
            drop((call, request));
            // What is no span of a trace is none here.
            drop(info_span!("another"));
            let ended = queue.take(16);
            let [call, request] = &ended[..] else {
                panic!("{ended:?}");
            };
            assert_eq!(
                u64::from_be_bytes(call.span_context.span_id().to_bytes()),
                below.parent_id
            );
            assert_eq!(call.parent_span_id, request.span_context.span_id());
            assert_eq!(request.parent_span_id, SpanId::from(incoming().parent_id));
            assert!(request.parent_span_is_remote && !call.parent_span_is_remote);
            assert_eq!(request.name, "GET /");
            assert_eq!(call.attributes.len(), 1, "{:?}", call.attributes);
            assert_eq!(call.status, opentelemetry::trace::Status::error(""));
        });
    }

    #[test]
    fn a_component_with_many_spans_leaves_room_for_others() {
        let (spans, queue) = spans(Sampler::default());
        let subscriber = tracing_subscriber::registry().with(spans.layer());
        tracing::subscriber::with_default(subscriber, || {
            for component in std::iter::repeat_n("noisy", 50).chain(["quiet"]) {
                drop(info_span!(target: SPANS, parent: None, "request", outport.component = component));
            }
        });
        let ended = queue.take(16);
        let of = |span: &SpanData| span.attributes[0].value.to_string();
        assert!(ended.len() < 16, "{ended:?}");
        assert_eq!(ended.last().map(of).as_deref(), Some("quiet"));
    }

    #[test]
    fn a_request_that_is_not_chosen_makes_no_span_and_hands_its_context_on() {
        let (spans, queue) = spans(Sampler::default());
        let subscriber = tracing_subscriber::registry().with(spans.layer());
        let tracer: Arc<dyn Tracer> = Arc::new(spans);
        tracing::subscriber::with_default(subscriber, || {
            let dark = TraceContext {
                sampled: false,
                ..incoming()
            };
            let trace = Trace::begin(Some(&tracer), Some(dark.clone()), || panic!("a span"));
            assert_eq!(trace.child(|_| panic!("a span")).context(), Some(&dark));
        });
        assert!(queue.take(1).is_empty());
    }
}
