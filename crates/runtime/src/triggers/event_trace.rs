//! The span of an event: that of a consumer, below its sender where a message says so.
//!
//! A message of SQS brings a trace as an attribute of its sender's, `traceparent`, where the trigger asks for that
//! (`message_attributes`). Messages of Redis have no headers, those of MQTT none that Spin's triggers know, and a time of
//! the clock has no sender.

use http::{HeaderMap, HeaderValue};
use outport_egress::trace::{SPANS, Trace, TraceContext};
use tracing::Span;
use tracing::field::Empty;

use super::event::{Event, SqsMessage, SqsValue};
use crate::guest_pre::GuestPre;

/// The place in a trace of what a component does with an event.
pub(super) fn begin_trace(guest: &GuestPre, event: &Event) -> Trace {
    let incoming = match event {
        Event::Sqs(message) => context_of(message),
        Event::Redis { .. } | Event::Mqtt { .. } | Event::Cron { .. } => None,
    };
    Trace::begin(guest.egress().tracer(), incoming, || span(guest.id(), event))
}

fn span(component: &str, event: &Event) -> Span {
    let (system, kind) = match event {
        Event::Redis { .. } => (Some("redis"), "consumer"),
        Event::Mqtt { .. } => (Some("mqtt"), "consumer"),
        Event::Sqs(_) => (Some("aws_sqs"), "consumer"),
        Event::Cron { .. } => (None, "internal"),
    };
    let span = tracing::info_span!(
        target: SPANS,
        "event",
        otel.name = Empty,
        otel.kind = kind,
        otel.status_code = Empty,
        outport.component = component,
        outport.trigger = event.kind().name(),
        messaging.system = system,
        "messaging.operation.type" = system.map(|_| "process"),
    );
    span.record("otel.name", format!("{} {component}", event.kind().name()));
    span
}

fn context_of(message: &SqsMessage) -> Option<TraceContext> {
    let mut headers = HeaderMap::new();
    for attribute in &message.attributes {
        let (Some(name), SqsValue::Text(value)) = (header(&attribute.name), &attribute.value) else {
            continue;
        };
        if let Ok(value) = HeaderValue::try_from(value.as_str()) {
            // Twice is none: nobody knows which.
            headers.append(name, value);
        }
    }
    TraceContext::from_headers(&headers)
}

fn header(attribute: &str) -> Option<&'static str> {
    ["traceparent", "tracestate"]
        .into_iter()
        .find(|name| *name == attribute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triggers::event::SqsAttribute;

    #[test]
    fn a_message_of_sqs_brings_the_trace_of_its_sender() {
        let attribute = |name: &str, value: SqsValue| SqsAttribute {
            name: name.to_owned(),
            data_type: None,
            value,
        };
        let parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
        let text = |value: &str| SqsValue::Text(value.to_owned());
        // (attributes, the trace and its state)
        for (attributes, expected) in [
            (vec![], None),
            (vec![("traceparent", text(parent))], Some((parent, None))),
            (vec![("other", text(parent))], None),
            (
                vec![("tracestate", text("a=b")), ("traceparent", text(parent))],
                Some((parent, Some("a=b"))),
            ),
            (vec![("traceparent", text("none\n"))], None),
            (vec![("traceparent", SqsValue::Binary(parent.into()))], None),
            (
                vec![("traceparent", text(parent)), ("traceparent", text(parent))],
                None,
            ),
        ] {
            let told = format!("{attributes:?}");
            let message = SqsMessage {
                attributes: attributes
                    .into_iter()
                    .map(|(name, value)| attribute(name, value))
                    .collect(),
                ..SqsMessage::default()
            };
            let found = context_of(&message).map(|context| (context.to_string(), context.state));
            let found = found.as_ref().map(|(parent, state)| {
                (
                    parent.as_str(),
                    state.as_ref().map(|state| state.to_str().unwrap()),
                )
            });
            assert_eq!(found, expected, "{told}");
        }
    }
}
