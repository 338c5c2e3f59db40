//! Lines: what guests print, what was denied or failed, and Outport's own warnings.
//!
//! | record | from | attributes |
//! | --- | --- | --- |
//! | a line of a guest | standard output and error, `INFO` | `outport.component`, `outport.instance`, `log.iostream` |
//! | a denial | the audit, `WARN`, as the terminal has it | `outport.component`, `outport.instance`, `outport.attempt`, `outport.destination`, `outport.reason` |
//! | what was permitted and failed | the same | the same, with `error.type` instead of a reason |
//! | Outport's own | events of `tracing` from `WARN` on, and what is said to the operator otherwise | the fields of the event, `outport.component` if it is about one |
//!
//! The first three have the place in a trace at which their instance was.
//!
//! A line of a guest is what it wrote, as UTF-8 and with a bound. A component that says more than is sent loses what is its
//! own: no component has all the room for lines.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use outport_egress::trace::TraceContext;
use outport_egress::{AuditEvent, AuditOutcome, AuditSink, Outcomes, Verdict};
use outport_runtime::stdio::{GuestLine, OutputObserver, Stream};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::metrics::nanoseconds;
use super::queue::Queue;
use super::resource::{attribute, attribute_of};

/// A line that waits.
pub(super) type Line = LogRecord;

/// What receives lines.
#[derive(Clone, Debug)]
pub(super) struct Lines(pub(super) Arc<Queue<Line>>);

impl Lines {
    /// What receives the warnings of the process.
    pub(super) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let own = filter_fn(|metadata| {
            metadata.is_event()
                && *metadata.level() <= Level::WARN
                && metadata.target().starts_with("outport")
        });
        self.clone()
            .with_filter(own.with_max_level_hint(LevelFilter::WARN))
            .boxed()
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.own(*event.metadata().level(), fields.message, fields.others);
    }
}

impl Lines {
    /// Takes an error or warning of Outport's own.
    pub(super) fn own(&self, level: Level, text: String, attributes: Vec<KeyValue>) {
        let severity = match level {
            Level::ERROR => (SeverityNumber::Error, "ERROR"),
            _ => (SeverityNumber::Warn, "WARN"),
        };
        self.0.put(record(severity, text, attributes));
    }
}

impl OutputObserver for Lines {
    fn printed(&self, line: &GuestLine<'_>) {
        let stream = match line.stream {
            Stream::Output => "stdout",
            Stream::Error => "stderr",
        };
        let mut attributes = whose(line.component, line.instance);
        attributes.push(attribute("log.iostream", stream));
        let text = String::from_utf8_lossy(line.bytes).into_owned();
        let bytes = text.len();
        // Many write to standard error what is no error.
        let record = record((SeverityNumber::Info, "INFO"), text, attributes);
        self.0
            .put_of(line.component, placed(record, line.trace.context()), bytes);
    }
}

/// What was denied or failed.
impl AuditSink for Lines {
    fn wants(&self, verdict: Verdict) -> bool {
        verdict == Verdict::Deny
    }

    fn record(&self, event: &AuditEvent) {
        let mut attributes = whose(&event.component, event.instance);
        attributes.push(attribute("outport.attempt", event.attempt));
        attributes.push(attribute("outport.destination", bounded(&event.destination)));
        attributes.extend(event.reason.map(|reason| attribute("outport.reason", reason)));
        let body = bounded(&event.to_string());
        let bytes = body.len();
        let line = LogRecord {
            event_name: "outport.denied".to_owned(),
            ..record((SeverityNumber::Warn, "WARN"), body, attributes)
        };
        self.0
            .put_of(&event.component, placed(line, event.trace.as_ref()), bytes);
    }

    fn outcomes(&self) -> Outcomes {
        Outcomes::Failures
    }

    fn record_outcome(&self, outcome: &AuditOutcome) {
        if !outcome.is_a_failure() {
            return;
        }
        let mut attributes = whose(&outcome.component, outcome.instance);
        attributes.push(attribute("outport.attempt", outcome.attempt));
        attributes.push(attribute("outport.destination", bounded(&outcome.destination)));
        let error = outcome.error.as_deref();
        attributes.extend(error.map(|error| attribute("error.type", bounded(error))));
        let body = bounded(&outcome.to_string());
        let bytes = body.len();
        let line = LogRecord {
            event_name: "outport.failed".to_owned(),
            ..record((SeverityNumber::Warn, "WARN"), body, attributes)
        };
        self.0
            .put_of(&outcome.component, placed(line, outcome.trace.as_ref()), bytes);
    }
}

/// The record at a place in a trace, if there is one.
fn placed(record: LogRecord, context: Option<&TraceContext>) -> LogRecord {
    let Some(context) = context else {
        return record;
    };
    LogRecord {
        trace_id: context.trace_id.to_be_bytes().into(),
        span_id: context.parent_id.to_be_bytes().into(),
        flags: u32::from(context.sampled),
        ..record
    }
}

fn whose(component: &str, instance: u64) -> Vec<KeyValue> {
    let instance = Value::IntValue(i64::try_from(instance).unwrap_or(i64::MAX));
    vec![
        attribute("outport.component", component),
        attribute_of("outport.instance", instance),
    ]
}

fn record((number, name): (SeverityNumber, &str), body: String, attributes: Vec<KeyValue>) -> LogRecord {
    let now = nanoseconds(SystemTime::now());
    LogRecord {
        time_unix_nano: now,
        observed_time_unix_nano: now,
        severity_number: number.into(),
        severity_text: name.to_owned(),
        body: Some(AnyValue {
            value: Some(Value::StringValue(body)),
        }),
        attributes,
        ..LogRecord::default()
    }
}

/// The text, as much of it as is sent.
pub(super) fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MOST_OF_A_TEXT)].to_owned()
}

/// The message of an event, and its other fields.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<KeyValue>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = bounded(&format!("{value:?}"));
        if field.name() == "message" {
            self.message = value;
        } else {
            let name = match field.name() {
                "component" => "outport.component",
                name => name,
            };
            self.others.push(attribute(name, value));
        }
    }
}

/// Bytes of a text.
const MOST_OF_A_TEXT: usize = 8 << 10;
