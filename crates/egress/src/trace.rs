//! Traces: the context that requests bring and take along, and the spans of what was done for one.
//!
//! A context (W3C Trace Context) goes from a request to all that its guest sends on, whether or not anybody records spans.
//! Spans are those of the `tracing` crate, all with the target [`SPANS`]; a [`Tracer`], which an embedder has for a system
//! of traces such as OpenTelemetry, says which requests have any, and how spans and contexts belong together.

mod context;

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use tracing::Span;

pub use self::context::TraceContext;

/// The target of all spans.
pub const SPANS: &str = "outport::span";

/// How spans and contexts belong together.
pub trait Tracer: Send + Sync + 'static {
    /// True if there are to be spans for a request that brought `incoming`.
    fn samples(&self, incoming: Option<&TraceContext>) -> bool;

    /// Makes a span, which nobody has entered yet, the child of what `incoming` names.
    fn adopt(&self, span: &Span, incoming: &TraceContext);

    /// The context that makes others children of the span; none if it is not recorded.
    fn context(&self, span: &Span) -> Option<TraceContext>;
}

/// A point of a trace: the span of what is done, and the context that goes on from there. Cheap to clone.
#[derive(Clone)]
pub struct Trace {
    span: Span,
    context: Option<Arc<TraceContext>>,
    tracer: Option<Arc<dyn Tracer>>,
}

impl Trace {
    /// No trace: nothing is recorded, and nothing goes on.
    pub fn none() -> Self {
        Self {
            span: Span::none(),
            context: None,
            tracer: None,
        }
    }

    /// The point at which a request came with the context `incoming`. The span is made if the tracer wants it; without a
    /// tracer it is, and who subscribed to spans decides.
    pub fn begin(
        tracer: Option<&Arc<dyn Tracer>>,
        incoming: Option<TraceContext>,
        span: impl FnOnce() -> Span,
    ) -> Self {
        let Some(tracer) = tracer else {
            return Self {
                span: span(),
                context: incoming.map(Arc::new),
                tracer: None,
            };
        };
        if !tracer.samples(incoming.as_ref()) {
            // Who is called learns that somebody decided, and does not begin a trace of its own.
            let context = incoming.unwrap_or_else(TraceContext::unsampled);
            return Self {
                span: Span::none(),
                context: Some(Arc::new(context)),
                tracer: Some(tracer.clone()),
            };
        }
        let span = span();
        if let Some(incoming) = &incoming {
            tracer.adopt(&span, incoming);
        }
        let context = tracer.context(&span).or(incoming).map(Arc::new);
        Self {
            span,
            context,
            tracer: Some(tracer.clone()),
        }
    }

    /// The point for a part of what is done here; `span` makes its span below the one that it is given.
    #[must_use]
    pub fn child(&self, span: impl FnOnce(&Span) -> Span) -> Self {
        if self.span.is_none() {
            return self.clone();
        }
        let span = span(&self.span);
        let context = self.tracer.as_ref().and_then(|tracer| tracer.context(&span));
        Self {
            span,
            context: context.map(Arc::new).or_else(|| self.context.clone()),
            tracer: self.tracer.clone(),
        }
    }

    /// True if there is a span.
    pub fn is_recorded(&self) -> bool {
        !self.span.is_none()
    }

    /// The span of what is done.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// The point that is left when what is done here has ended: the context goes on, and nothing more is recorded.
    #[must_use]
    pub fn ended(&self) -> Self {
        Self {
            span: Span::none(),
            ..self.clone()
        }
    }

    /// The context that goes on from here.
    pub fn context(&self) -> Option<&TraceContext> {
        self.context.as_deref()
    }

    /// The point below a context that the guest gives itself in these headers, where it gives one. Its own spans are known
    /// to somebody else; what it sends is below them.
    #[must_use]
    pub fn below(&self, headers: &HeaderMap, span: impl FnOnce(&Span) -> Span) -> Self {
        let own = TraceContext::from_headers(headers);
        let own = own.filter(|own| self.context.as_deref() != Some(own));
        let Some(own) = own else {
            return self.child(span);
        };
        if self.span.is_none() {
            return Self {
                context: Some(Arc::new(own)),
                ..self.clone()
            };
        }
        let span = span(&self.span);
        let context = self.tracer.as_ref().and_then(|tracer| {
            tracer.adopt(&span, &own);
            tracer.context(&span)
        });
        Self {
            span,
            context: Some(Arc::new(context.unwrap_or(own))),
            tracer: self.tracer.clone(),
        }
    }
}

impl TraceCell {
    /// What was done at this point has ended, and so its span may. What the instance goes on with has its context.
    pub fn end(&self) {
        let mut trace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = trace.as_ref().map(Trace::ended);
        let last = std::mem::replace(&mut *trace, ended);
        drop(trace);
        // Out of the lock: whoever subscribed to spans is told.
        drop(last);
    }
}

/// The point of a trace at which an instance is. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub struct TraceCell(Arc<Mutex<Option<Trace>>>);

impl TraceCell {
    /// Moves the instance to this point.
    pub fn set(&self, trace: Trace) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trace);
    }

    /// The point at which the instance is.
    pub fn get(&self) -> Trace {
        let trace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trace.clone().unwrap_or_else(Trace::none)
    }
}
