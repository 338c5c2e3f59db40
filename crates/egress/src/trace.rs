//! Traces: the context that requests bring and take along, and the spans of what was done for one.
//!
//! A context (W3C Trace Context) goes from a request to all that its guest sends on, whether or not anybody records spans.
//! Spans are those of the `tracing` crate, all with the target [`SPANS`]; a [`Tracer`], which an embedder has for a system
//! of traces such as OpenTelemetry, says which requests have any, and how spans and contexts belong together.

mod context;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use tracing::Span;

pub use self::context::TraceContext;

/// The target of all spans.
pub const SPANS: &str = "outport::span";

/// How spans and contexts belong together.
pub trait Tracer: Send + Sync + 'static {
    /// True if there are to be spans for a request that brought `incoming`.
    fn samples(&self, incoming: Option<&TraceContext>) -> bool;

    /// The context that goes with what is sent on for a request that brought none and has no spans: the root of a trace that
    /// nobody records. A tracer that chooses by the number of the trace gives one for which it says no again, and so does
    /// everybody who chooses as it does.
    fn unsampled(&self) -> TraceContext {
        TraceContext::unsampled()
    }

    /// Makes a span, which nobody has entered yet, the child of what `incoming` names.
    fn adopt(&self, span: &Span, incoming: &TraceContext);

    /// The same for the child of a span of this process.
    fn nest(&self, span: &Span, above: &TraceContext) {
        self.adopt(span, above);
    }

    /// The context that makes others children of the span; none if it is not recorded.
    fn context(&self, span: &Span) -> Option<TraceContext>;
}

/// How a span comes to its place below a context.
type Place = fn(&dyn Tracer, &Span, &TraceContext);

/// A point of a trace: the span of what is done, and the context that goes on from there. Cheap to clone.
///
/// A span that a [`Tracer`] knows is below another by the context alone: a subscriber keeps a span open for as long as one
/// below it is, and a connection that waits for the next request is no part of the one that it was made for.
#[derive(Clone)]
pub struct Trace {
    span: Span,
    context: Option<Arc<TraceContext>>,
    /// The context that the request came with.
    incoming: Option<Arc<TraceContext>>,
    tracer: Option<Arc<dyn Tracer>>,
}

impl Trace {
    /// No trace: nothing is recorded, and nothing goes on.
    pub fn none() -> Self {
        Self {
            span: Span::none(),
            context: None,
            incoming: None,
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
        let incoming = incoming.map(Arc::new);
        let Some(tracer) = tracer else {
            return Self {
                span: span(),
                context: incoming.clone(),
                incoming,
                tracer: None,
            };
        };
        if !tracer.samples(incoming.as_deref()) {
            return Self {
                span: Span::none(),
                context: incoming.clone(),
                incoming,
                tracer: Some(tracer.clone()),
            };
        }
        let span = span();
        if let Some(incoming) = &incoming {
            tracer.adopt(&span, incoming);
        }
        let context = tracer.context(&span).map(Arc::new);
        Self {
            span,
            context: context.or_else(|| incoming.clone()),
            incoming,
            tracer: Some(tracer.clone()),
        }
    }

    /// The point for a part of what is done here; `span` makes its span, the child of the one that it is given.
    #[must_use]
    pub fn child(&self, span: impl FnOnce(&Span) -> Span) -> Self {
        if self.is_recorded() {
            let nest: Place = |tracer, span, above| tracer.nest(span, above);
            self.under(self.context.as_ref(), nest, span)
        } else {
            self.clone()
        }
    }

    /// True if there is a span.
    pub fn is_recorded(&self) -> bool {
        !self.span.is_disabled()
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

    /// The point of something that is sent on from here without a span of its own. Where it was decided that nobody records,
    /// who is asked learns that, and does not begin a trace: by a context that is made up each time, since an instance may
    /// be at this point for several requests.
    #[must_use]
    pub fn sent_on(&self) -> Self {
        let decided = self.tracer.as_ref().filter(|_| !self.is_recorded());
        match decided {
            Some(tracer) if self.context.is_none() => Self {
                context: Some(Arc::new(tracer.unsampled())),
                ..self.clone()
            },
            _ => self.clone(),
        }
    }

    /// The point below a context that the guest gives itself in these headers, where it gives one. Its own spans are known
    /// to somebody else; what it sends is below them.
    #[must_use]
    pub fn below(&self, headers: &HeaderMap, span: impl FnOnce(&Span) -> Span) -> Self {
        let passed_on = [self.context.as_deref(), self.incoming.as_deref()];
        let own = TraceContext::from_headers(headers);
        // What was brought and is passed on as it was is nothing of its own.
        let Some(own) = own.filter(|own| !passed_on.contains(&Some(own))) else {
            return if self.is_recorded() {
                self.child(span)
            } else {
                self.sent_on()
            };
        };
        let own = Some(Arc::new(own));
        if self.is_recorded() {
            let adopt: Place = |tracer, span, above| tracer.adopt(span, above);
            self.under(own.as_ref(), adopt, span)
        } else {
            Self {
                context: own,
                ..self.clone()
            }
        }
    }

    /// The point of a span below `context`, where `place` puts it.
    fn under(
        &self,
        context: Option<&Arc<TraceContext>>,
        place: Place,
        span: impl FnOnce(&Span) -> Span,
    ) -> Self {
        let (span, context) = match (&self.tracer, context) {
            (Some(tracer), Some(context)) => {
                let span = span(&Span::none());
                place(&**tracer, &span, context);
                let own = tracer.context(&span).map(Arc::new);
                (span, own.or_else(|| Some(context.clone())))
            }
            (_, context) => (span(&self.span), context.cloned()),
        };
        Self {
            span,
            context,
            incoming: self.incoming.clone(),
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
        *self.lock() = Some(trace);
    }

    /// The point at which the instance is.
    pub fn get(&self) -> Trace {
        self.lock().clone().unwrap_or_else(Trace::none)
    }

    /// The same if there is a span, which is all that spans below it are made for.
    pub fn recorded(&self) -> Option<Trace> {
        self.lock().as_ref().filter(|trace| trace.is_recorded()).cloned()
    }

    /// The context that goes on from the point at which the instance is.
    pub fn context(&self) -> Option<TraceContext> {
        self.lock().as_ref()?.context().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
