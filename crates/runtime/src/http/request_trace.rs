//! The place of a request in a trace: where its client put it, or below a span of the request's own.
//!
//! | | the guest finds in its headers | what it sends on |
//! | --- | --- | --- |
//! | the request has a span | the context of that | below the span |
//! | it has none, and brought a context | what its client wrote | below what the client wrote |
//! | it has none, and brought none or one that is not valid | what its client wrote | nothing; with a tracer that records others, that this is not recorded |
//!
//! An instance that answers several requests has one place of its own, at which all it does happens. So a request whose
//! place matters to somebody is alone in its instance ([`is_alone`](RequestTrace::is_alone)).

use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use outport_egress::GateCtx;
use outport_egress::trace::{Trace, TraceCell, TraceContext, Tracer};
use tracing::Span;

/// The place of a request in a trace.
#[derive(Clone)]
pub(super) struct RequestTrace {
    trace: Trace,
    is_alone: bool,
}

impl RequestTrace {
    /// The place of a request with these headers, whose span is made if somebody records it.
    pub(super) fn begin(
        tracer: Option<&Arc<dyn Tracer>>,
        headers: &HeaderMap,
        span: impl FnOnce() -> Span,
    ) -> Self {
        let incoming = TraceContext::from_headers(headers);
        let was_traced = incoming.is_some();
        let trace = Trace::begin(tracer, incoming, span);
        Self {
            is_alone: was_traced || trace.is_recorded(),
            trace,
        }
    }

    /// True if no other request may be under way in its instance.
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// The span of the request.
    pub(super) fn span(&self) -> &Span {
        self.trace.span()
    }

    /// The number of the trace, if it is part of one.
    pub(super) fn trace_id(&self) -> Option<u128> {
        self.trace.context().map(|context| context.trace_id)
    }

    /// True if somebody records spans of that trace.
    pub(super) fn is_sampled(&self) -> bool {
        self.trace.is_recorded() || self.trace.context().is_some_and(|context| context.sampled)
    }

    /// Writes into a request what its guest is to know.
    pub(super) fn put_into(&self, headers: &mut HeaderMap) {
        if self.trace.is_recorded()
            && let Some(context) = self.trace.context()
        {
            context.put_into(headers);
        }
    }

    /// Moves an instance here, which has it as its place until the [stay](TraceStay) ends.
    pub(super) fn enter(self, gate: &GateCtx, stay: &TraceStay) {
        let cell = gate.trace();
        if self.trace.is_recorded() {
            // Nobody else enters an instance by the same stay.
            let _ = stay.0.set(cell.clone());
        }
        cell.set(self.trace);
    }
}

/// The time for which an instance is at the place of a request. When this is ended the span may end, whatever the
/// instance goes on with.
#[derive(Default)]
pub(super) struct TraceStay(OnceLock<TraceCell>);

impl TraceStay {
    /// The response of the request has ended.
    pub(super) fn end(&self) {
        if let Some(cell) = self.0.get() {
            cell.end();
        }
    }
}
