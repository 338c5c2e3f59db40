//! A subscriber that remembers spans, and a tracer that knows which of them belong together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Span, Subscriber};

use crate::trace::{SPANS, Trace, TraceContext, Tracer};

/// The spans so far. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Traced {
    spans: Arc<Mutex<BTreeMap<u64, Noted>>>,
    next: Arc<AtomicU64>,
}

/// A span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    pub(crate) fields: BTreeMap<&'static str, String>,
    /// The number of the span, or of the context, that it is below.
    pub(crate) parent: Option<u64>,
    handles: usize,
}

impl Noted {
    /// The value of a field; empty if it has none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.handles == 0
    }
}

impl Traced {
    /// Notes what this thread does until the guard is dropped.
    pub(crate) fn listen(&self) -> DefaultGuard {
        tracing::subscriber::set_default(self.clone())
    }

    /// The point of a request that is recorded.
    pub(crate) fn request(&self) -> Trace {
        let tracer: Arc<dyn Tracer> = Arc::new(self.clone());
        Trace::begin(
            Some(&tracer),
            None,
            || tracing::info_span!(target: SPANS, "request", otel.name = "request"),
        )
    }

    /// All spans but requests, by the names that people see.
    pub(crate) fn all(&self) -> Vec<(String, Noted)> {
        let spans = self.spans.lock().unwrap();
        let named = spans
            .values()
            .map(|span| (span.field("otel.name").to_owned(), span.clone()));
        named.filter(|(name, _)| name != "request").collect()
    }

    /// The names of all spans but requests.
    pub(crate) fn names(&self) -> Vec<String> {
        self.all().into_iter().map(|(name, _)| name).collect()
    }

    /// True if the span of the first request has ended.
    pub(crate) fn is_request_closed(&self) -> bool {
        self.spans.lock().unwrap().values().next().unwrap().is_closed()
    }

    /// The only span of this name.
    pub(crate) fn only(&self, name: &str) -> Noted {
        let mut all = self.all();
        all.retain(|(own, _)| own == name);
        assert_eq!(all.len(), 1, "{name}: {:?}", self.names());
        all.remove(0).1
    }
}

impl Tracer for Traced {
    fn samples(&self, _: Option<&TraceContext>) -> bool {
        true
    }

    fn adopt(&self, span: &Span, incoming: &TraceContext) {
        let id = span.id().unwrap().into_u64();
        self.spans.lock().unwrap().get_mut(&id).unwrap().parent = Some(incoming.parent_id);
    }

    fn context(&self, span: &Span) -> Option<TraceContext> {
        Some(TraceContext {
            trace_id: 7,
            parent_id: span.id()?.into_u64(),
            sampled: true,
            state: None,
        })
    }
}

impl Subscriber for Traced {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == SPANS
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut noted = Noted {
            parent: span.parent().map(Id::into_u64),
            handles: 1,
            ..Noted::default()
        };
        span.record(&mut Fields(&mut noted.fields));
        self.spans.lock().unwrap().insert(id, noted);
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut spans = self.spans.lock().unwrap();
        let noted = spans.get_mut(&span.into_u64()).unwrap();
        values.record(&mut Fields(&mut noted.fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn clone_span(&self, id: &Id) -> Id {
        self.spans
            .lock()
            .unwrap()
            .get_mut(&id.into_u64())
            .unwrap()
            .handles += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut spans = self.spans.lock().unwrap();
        let noted = spans.get_mut(&id.into_u64()).unwrap();
        noted.handles -= 1;
        noted.is_closed()
    }
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
