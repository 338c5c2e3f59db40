//! Traces, metrics and logs by OTLP, as a collector gets them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use outport_e2e::collector::{Answer, Collector, text, text_of};
use outport_e2e::http::{self, Origin, Response};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::until::until;

const APP: &str = r#"
spin_manifest_version = 2
application.name = "shop"

[[trigger.http]]
route = "/front/..."
component = "front"

[[trigger.http]]
route = { private = true }
component = "back"

[[trigger.http]]
route = "/echo"
component = "printer"

[component.printer]
source = "GUESTS/spin-rust-5.wasm"

[component.front]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["http://back.spin.internal"]

[component.back]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["http://127.0.0.1:ORIGIN"]
"#;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "b7ad6b7169203331";

/// The app, of which `back` may ask the origin.
fn app(origin: &Origin) -> Outport {
    let port = origin.address().port().to_string();
    Outport::up(&APP.replace("ORIGIN", &port))
}

/// The app, and all that it tells goes to the collector, at once.
fn app_with(collector: &Collector, origin: &Origin) -> Outport {
    app(origin)
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .variable("OTEL_BSP_SCHEDULE_DELAY", "20")
        .variable("OTEL_BLRP_SCHEDULE_DELAY", "20")
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "100")
}

fn in_query(statement: &str) -> String {
    statement.replace('%', "%25").replace(' ', "%20")
}

/// The way through both components to the origin.
fn through(origin: &Origin) -> String {
    let inner = in_query(&format!("http GET http://{}/end", origin.address()));
    let outer = in_query(&format!("http GET http://back.spin.internal/script?{inner}"));
    format!("/front/script?{outer}")
}

/// `GET path` with a `traceparent`.
fn get_traced(app: &Running, path: &str, parent: &str) -> Response {
    let server = app.address();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\ntraceparent: {parent}\r\ntracestate: \
         us=1,them=2\r\n\r\n"
    );
    http::send(server, &request).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The number that an attribute is; none if it is not there, or no number.
fn number_of(span: &Span, name: &str) -> Option<i64> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        AnyValue::IntValue(number) => Some(*number),
        _ => None,
    }
}

/// The header of the last request that the origin got.
fn header(origin: &Origin, name: &str) -> Option<String> {
    let last = origin.requests().pop()?;
    let found = last.headers.into_iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value)
}

#[test]
fn a_trace_goes_from_the_client_through_components_to_a_peer() {
    let (collector, origin) = (Collector::start(Answer::Taken), Origin::start("end"));
    let app = app_with(&collector, &origin).start();
    let response = get_traced(&app, &through(&origin), &format!("00-{TRACE}-{CLIENT}-01"));
    assert_eq!(response.status, 200, "{app}");
    let parent = header(&origin, "traceparent").unwrap();
    let [version, trace, last, flags] = parent.split('-').collect::<Vec<_>>()[..] else {
        panic!("{parent}");
    };
    assert_eq!((version, trace, flags), ("00", TRACE, "01"));
    assert_eq!(header(&origin, "tracestate").as_deref(), Some("us=1,them=2"));

    // Every span up to the client's has come.
    let by_id = || -> HashMap<String, Span> {
        let spans = collector.spans().into_iter();
        spans.map(|span| (hex(&span.span_id), span)).collect()
    };
    let way_up = |spans: &HashMap<String, Span>| -> Option<Vec<Span>> {
        let (mut way, mut id) = (Vec::new(), last.to_owned());
        while id != CLIENT {
            let span = spans.get(&id)?.clone();
            id = hex(&span.parent_span_id);
            way.push(span);
        }
        Some(way)
    };
    until(format!("all spans\n{app}"), || way_up(&by_id()).is_some());
    let way = way_up(&by_id()).unwrap();
    assert!(way.iter().all(|span| hex(&span.trace_id) == TRACE));
    let kinds: Vec<_> = way.iter().map(|span| span.kind()).collect();
    assert_eq!(kinds.first(), Some(&SpanKind::Client), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&SpanKind::Server), "{kinds:?}");
    let components: Vec<_> = way
        .iter()
        .filter_map(|span| text_of(&span.attributes, "outport.component"))
        .collect();
    assert_eq!(
        (components.first(), components.last()),
        (Some(&"back"), Some(&"front")),
        "{way:#?}"
    );
    let request = way.last().unwrap();
    assert_eq!(
        text_of(&request.attributes, "http.request.method"),
        Some("GET"),
        "{request:#?}"
    );
    assert_eq!(
        text_of(&request.attributes, "http.route"),
        Some("/front/..."),
        "{request:#?}"
    );
    assert!(
        way.iter()
            .all(|span| span.start_time_unix_nano <= span.end_time_unix_nano)
    );
    assert_eq!(
        number_of(request, "http.response.status_code"),
        Some(200),
        "{request:#?}"
    );
    assert_eq!(
        number_of(&way[0], "server.port"),
        Some(i64::from(origin.address().port())),
        "{way:#?}"
    );
    // The span above is another process's for the first one alone.
    let remote = |span: &Span| span.flags & 0x200 != 0;
    assert!(remote(request) && !remote(&way[0]), "{way:#?}");
    app.stop();
}

#[test]
fn a_request_that_is_not_chosen_has_no_spans_and_keeps_its_context() {
    // Of the lower 63 bits of a number, 1 % of all are below this.
    let (chosen, other) = (
        "0af7651916cd43dd0000eb211c80319c",
        "0af7651916cd43ddf448eb211c80319c",
    );
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let rows: [(Variables<'_>, &str, &str, bool); 5] = [
        (&[], TRACE, "00", false),
        (&[("OTEL_TRACES_SAMPLER", "always_on")], TRACE, "00", true),
        (&[("OTEL_TRACES_SAMPLER", "always_off")], TRACE, "01", false),
        (
            &[
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
            ],
            chosen,
            "00",
            true,
        ),
        (
            &[
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
            ],
            other,
            "01",
            false,
        ),
    ];
    for (variables, trace, flags, has_spans) in rows {
        let (collector, origin) = (Collector::start(Answer::Taken), Origin::start("end"));
        let app = app_with(&collector, &origin);
        let app = variables
            .iter()
            .fold(app, |app, (name, value)| app.variable(*name, *value));
        let app = app.start();
        let parent = format!("00-{trace}-{CLIENT}-{flags}");
        assert_eq!(get_traced(&app, &through(&origin), &parent).status, 200);
        let passed_on = header(&origin, "traceparent").unwrap();
        if has_spans {
            assert!(
                passed_on.starts_with(&format!("00-{trace}-")) && passed_on.ends_with("-01"),
                "{passed_on}"
            );
        } else {
            assert_eq!(passed_on, parent, "{variables:?}");
        }
        // At the end everything has come.
        app.stop();
        let spans = collector.spans();
        assert_eq!(!spans.is_empty(), has_spans, "{variables:?}: {spans:#?}");
    }
}

// Each component asks the tracer again, by what the one before it sends.
#[test]
fn a_trace_that_begins_here_is_chosen_as_a_whole() {
    for sampler in ["traceidratio", "parentbased_traceidratio"] {
        let (collector, origin) = (Collector::start(Answer::Taken), Origin::start("end"));
        let app = app_with(&collector, &origin)
            .variable("OTEL_TRACES_SAMPLER", sampler)
            .variable("OTEL_TRACES_SAMPLER_ARG", "0.5")
            .start();
        for _ in 0..40 {
            assert_eq!(app.get(&through(&origin)).status, 200, "{app}");
        }
        app.stop();
        let mut traces = HashMap::<_, Vec<_>>::new();
        let spans = collector.spans().into_iter();
        for span in spans.filter(|span| span.kind() == SpanKind::Server) {
            let component = text_of(&span.attributes, "outport.component").map(str::to_owned);
            traces.entry(hex(&span.trace_id)).or_default().push(component);
        }
        // All or none is as likely as 40 heads.
        assert!((1..40).contains(&traces.len()), "{sampler}: {traces:?}");
        for (trace, mut components) in traces {
            components.sort();
            let found: Vec<_> = components.iter().flatten().map(String::as_str).collect();
            assert_eq!(found, ["back", "front"], "{sampler}: {trace}");
        }
    }
}

#[test]
fn metrics_denials_and_what_guests_print_come_with_the_name_of_the_app() {
    let (collector, origin) = (Collector::start(Answer::Taken), Origin::start("end"));
    let app = app_with(&collector, &origin)
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20key")
        .variable("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .variable("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .start();
    app.get(&format!(
        "/front/script?{}",
        in_query("http GET http://192.0.2.7/secret")
    ));
    assert_eq!(app.get("/echo?hello").status, 201);
    let requests = || {
        let (metrics, resource) = collector.metrics()?;
        let Some(Data::Sum(sum)) = &metrics.get("outport_http_requests_total")?.data else {
            return None;
        };
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
        let front = sum
            .data_points
            .iter()
            .find(|point| text_of(&point.attributes, "component") == Some("front"))?;
        Some((front.value?, resource))
    };
    until(format!("the request is counted\n{app}"), || requests().is_some());
    let (number, resource) = requests().unwrap();
    assert_eq!(number, Value::AsInt(1));
    assert_eq!(text_of(&resource.attributes, "service.name"), Some("shop"));
    assert_eq!(
        text_of(&resource.attributes, "deployment.environment.name"),
        Some("test")
    );
    assert!(text_of(&resource.attributes, "service.instance.id").is_some());

    // Others come before: what is warned of at the start.
    let has = |part: &str| {
        let lines = collector.lines();
        lines
            .iter()
            .any(|line| text(line.body.as_ref()).is_some_and(|body| body.contains(part)))
    };
    until(format!("both lines\n{app}"), || {
        has("/echo?hello") && has("192.0.2.7")
    });
    let lines = collector.lines();
    let line = |part: &str| {
        let mut found = lines
            .iter()
            .filter(|line| text(line.body.as_ref()).is_some_and(|body| body.contains(part)));
        found
            .next()
            .unwrap_or_else(|| panic!("{part}: {lines:#?}"))
            .clone()
    };
    let printed = line("/echo?hello");
    assert_eq!(text_of(&printed.attributes, "outport.component"), Some("printer"));
    assert_eq!(text_of(&printed.attributes, "log.iostream"), Some("stdout"));
    until(format!("the span of the request that printed\n{app}"), || {
        let spans = collector.spans();
        spans.iter().any(|span| span.trace_id == printed.trace_id)
    });
    let denied = line("192.0.2.7");
    assert_eq!(
        text_of(&denied.attributes, "outport.reason"),
        Some("allow.no-match")
    );
    let messages = collector.messages();
    assert!(
        messages
            .iter()
            .all(|message| message.was_compressed && message.key.as_deref() == Some("a key"))
    );
    assert!(!app.stop().stderr.contains("a key"));
}

#[test]
fn what_goes_wrong_comes_with_its_component_and_what_was_asked_with_its_trace() {
    let (collector, origin) = (Collector::start(Answer::Taken), Origin::start("end"));
    let way = through(&origin);
    let app = app_with(&collector, &origin)
        .file("config.toml", "")
        .option("--runtime-config-file=config.toml")
        .start();
    // Nobody is there any more.
    drop(origin);
    let parent = format!("00-{TRACE}-{CLIENT}-01");
    get_traced(&app, &way, &parent);
    let denied = format!("/front/script?{}", in_query("http GET http://192.0.2.7/"));
    get_traced(&app, &denied, &parent);
    app.get("/front/script?trap");
    app.write("config.toml", "a");
    // (part of the text, its component, the name of its kind, whether it is part of the trace)
    let rows = [
        ("failed: component `back`", Some("back"), "outport.failed", true),
        ("denied: component `front`", Some("front"), "outport.denied", true),
        ("component `front` trapped", Some("front"), "", false),
        ("stays as it was", None, "", false),
    ];
    for (part, component, kind, is_traced) in rows {
        let found = || {
            let mut lines = collector.lines().into_iter();
            lines.find(|line| text(line.body.as_ref()).is_some_and(|body| body.contains(part)))
        };
        until(format!("{part}\n{app}\n{:#?}", collector.lines()), || {
            found().is_some()
        });
        let line = found().unwrap();
        assert_eq!(
            text_of(&line.attributes, "outport.component"),
            component,
            "{line:#?}"
        );
        assert_eq!(line.event_name, kind, "{line:#?}");
        assert_eq!(hex(&line.trace_id) == TRACE, is_traced, "{line:#?}");
        assert!(line.severity_number >= 13, "{line:#?}");
    }
    // What programs are told is not said twice to people.
    let finished = app.stop();
    assert!(!finished.stderr.contains("outport.component"), "{finished}");
    let line = "Telemetry: traces, metrics, logs to http://127.0.0.1:";
    assert!(finished.stderr.contains(line), "{finished}");
}

// A collector is in nobody's way, and at the end it is waited for a moment only.
#[test]
fn a_collector_that_is_gone_slow_or_wrong_costs_its_data_alone() {
    let gone = Collector::start(Answer::Taken).endpoint();
    let rows = [
        (None, "cannot connect"),
        (Some(Answer::Nothing), ""),
        (Some(Answer::status(500, "")), "500"),
        (Some(Answer::status(429, "Retry-After: 3600\r\n")), "429"),
        (
            Some(Answer::status(429, "Retry-After: 18446744073709551615\r\n")),
            "429",
        ),
        (
            Some(Answer::status(307, "Location: http://127.0.0.1:1/\r\n")),
            "307",
        ),
        (
            Some(Answer::Text("220 mail.test ESMTP\r\n".to_owned())),
            "transfer broke off",
        ),
    ];
    for (answer, why) in rows {
        let collector = answer.clone().map(Collector::start);
        let endpoint = collector.as_ref().map_or(gone.clone(), Collector::endpoint);
        let origin = Origin::start("end");
        let app = app(&origin)
            .variable("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .variable("OTEL_BSP_SCHEDULE_DELAY", "20")
            .variable("OTEL_BSP_MAX_QUEUE_SIZE", "1")
            // Only the end of the process ends what waits.
            .variable("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000")
            .option("--admin-listen=127.0.0.1:0")
            .within(Duration::from_secs(60))
            .start();
        let admin = app.wait_for_error_line("Admin listener: http://");
        let admin = admin
            .trim_start_matches("Admin listener: http://")
            .parse()
            .unwrap();
        let dropped = || {
            assert_eq!(app.get(&through(&origin)).status, 200);
            let metrics = http::get(admin, "/metrics").unwrap().body;
            let line = metrics
                .lines()
                .find_map(|line| line.strip_prefix("outport_telemetry_dropped_total{signal=\"traces\"} "));
            line.is_some_and(|number| number != "0")
        };
        until(format!("what is dropped is counted: {answer:?}\n{app}"), dropped);
        let finished = app.stop();
        assert_eq!(finished.code, Some(0), "{answer:?}: {finished}");
        let said = finished.stderr.matches("takes no").count();
        assert!(said <= 3, "{answer:?}: {finished}");
        assert!(finished.stderr.contains(why), "{answer:?}: {finished}");
        assert!(
            finished.stderr.contains("no collector got"),
            "{answer:?}: {finished}"
        );
    }
}

#[test]
fn a_collector_that_works_again_is_told_of_and_gets_what_comes_then() {
    let (collector, origin) = (Collector::start(Answer::status(400, "")), Origin::start("end"));
    let app = app_with(&collector, &origin)
        .variable("OTEL_METRICS_EXPORTER", "none")
        .variable("OTEL_LOGS_EXPORTER", "none")
        .start();
    let request = |what: &str| {
        until(format!("{what}\n{app}"), || {
            app.get("/front/hello");
            app.stderr().contains(what)
        });
    };
    request("takes no traces: it answers 400");
    collector.answer(Answer::Taken);
    request("takes traces again");
    app.stop();
}

#[test]
fn a_wrong_variable_ends_the_start_and_no_other_command() {
    let origin = Origin::start("end");
    let wrong = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let app = app(&origin)
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .variable(wrong.0, wrong.1);
    let finished = app.finish();
    assert_ne!(finished.code, Some(0), "{finished}");
    assert!(
        finished.stderr.contains(wrong.0) && finished.stderr.contains("http/protobuf"),
        "{finished}"
    );
    let check = Outport::command("check")
        .manifest(&APP.replace("ORIGIN", "1"))
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .variable(wrong.0, wrong.1)
        .finish();
    assert!(!check.stderr.contains(wrong.0), "{check}");
}
