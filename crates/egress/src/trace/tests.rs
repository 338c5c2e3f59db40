use http::HeaderValue;

use super::*;
use crate::testing::traced::Traced;

/// Says of no request that it is to have spans.
struct Nobody;

impl Tracer for Nobody {
    fn samples(&self, _: Option<&TraceContext>) -> bool {
        false
    }

    fn adopt(&self, _: &Span, _: &TraceContext) {
        panic!("there is no span");
    }

    fn context(&self, _: &Span) -> Option<TraceContext> {
        panic!("there is no span");
    }
}

fn context(parent_id: u64, sampled: bool) -> TraceContext {
    TraceContext {
        trace_id: 5,
        parent_id,
        sampled,
        state: Some(HeaderValue::from_static("a=b")),
    }
}

fn headers(context: &TraceContext) -> HeaderMap {
    let mut headers = HeaderMap::new();
    context.put_into(&mut headers);
    headers
}

fn span(parent: &Span) -> Span {
    tracing::info_span!(target: SPANS, parent: parent, "child", otel.name = "child")
}

fn no_span(_: &Span) -> Span {
    panic!("nothing is recorded")
}

#[test]
fn a_request_that_is_not_sampled_has_a_context_and_no_span() {
    let nobody: Arc<dyn Tracer> = Arc::new(Nobody);
    for brought in [None, Some(context(9, false)), Some(context(9, true))] {
        let trace = Trace::begin(Some(&nobody), brought.clone(), || panic!("nobody samples"));
        assert!(!trace.is_recorded());
        // A context that is made up is of one thing that is sent on: the instance may be at this point for others too.
        assert_eq!(trace.context(), brought.as_ref());
        let sent_on = trace.below(&HeaderMap::new(), no_span);
        let again = trace.sent_on();
        let (own, other) = (sent_on.context().unwrap(), again.context().unwrap());
        match &brought {
            Some(brought) => assert_eq!((own, other), (brought, brought)),
            None => {
                assert!(!own.sampled && own.trace_id != 0 && own.parent_id != 0);
                assert_ne!(own.trace_id, other.trace_id);
            }
        }
        assert_eq!(trace.child(no_span).context(), trace.context());
        let guests = context(77, true);
        let below = trace.below(&headers(&guests), no_span);
        assert_eq!(below.context(), Some(&guests), "{brought:?}");
        let below = trace.below(&HeaderMap::new(), no_span);
        match &brought {
            Some(brought) => assert_eq!(below.context(), Some(brought)),
            None => assert!(below.context().is_some_and(|own| !own.sampled)),
        }
    }
}

#[test]
fn without_anybody_who_listens_the_context_goes_on_and_nothing_is_recorded() {
    // Other tests listen on their own threads.
    let _deaf = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    let trace = Trace::begin(None, Some(context(9, true)), || span(&Span::none()));
    assert!(!trace.is_recorded());
    assert_eq!(trace.child(no_span).context(), Some(&context(9, true)));
    assert!(
        Trace::begin(None, None, || span(&Span::none()))
            .context()
            .is_none()
    );
    assert!(Trace::none().context().is_none() && !Trace::none().is_recorded());
    assert!(!TraceCell::default().get().is_recorded());
}

#[test]
fn a_span_is_below_what_its_guest_says_or_else_below_the_request() {
    let traced = Traced::default();
    let _listening = traced.listen();
    let tracer: Arc<dyn Tracer> = Arc::new(traced.clone());
    let brought = context(1009, true);
    let request = || tracing::info_span!(target: SPANS, "request", otel.name = "request");
    let trace = Trace::begin(Some(&tracer), Some(brought.clone()), request);
    let own = trace.context().unwrap().clone();
    let guests = context(1077, true);
    for (sent, parent) in [
        (HeaderMap::new(), own.parent_id),
        // Passed on as it was brought, or as it was given to the guest: nothing of its own.
        (headers(&brought), own.parent_id),
        (headers(&own), own.parent_id),
        (headers(&guests), guests.parent_id),
    ] {
        let below = trace.below(&sent, span);
        let all = traced.all();
        let noted = &all.last().unwrap().1;
        assert_eq!(noted.parent, Some(parent), "{sent:?}");
        let sent_on = below.context().unwrap().parent_id;
        assert_ne!(sent_on, parent, "what is called is below the span");
    }
    // A child that lasts does not keep the one above open.
    let child = trace.child(span);
    drop(trace);
    assert!(child.is_recorded());
    assert!(traced.is_request_closed());
}

#[test]
fn spans_that_no_tracer_knows_are_below_each_other() {
    let traced = Traced::default();
    let _listening = traced.listen();
    let trace = Trace::begin(
        None,
        Some(context(9, true)),
        || tracing::info_span!(target: SPANS, "request", otel.name = "request"),
    );
    let child = trace.child(span);
    assert_eq!(
        traced.only("child").parent,
        trace.span().id().map(|id| id.into_u64())
    );
    assert_eq!(child.context(), Some(&context(9, true)));
    let cell = TraceCell::default();
    cell.set(child);
    assert!(cell.recorded().is_some());
    cell.set(Trace::none());
    assert!(cell.recorded().is_none());
}
