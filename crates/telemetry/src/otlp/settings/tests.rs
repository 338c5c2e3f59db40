use std::collections::HashMap;

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Settings::read(&|name| variables.get(name).map(OsString::from))
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let read = read(variables);
    read.unwrap_or_else(|error| panic!("{variables:?}: {error}"))
        .unwrap_or_else(|| panic!("{variables:?}: nothing is exported"))
}

fn places(variables: &[(&str, &str)]) -> Vec<String> {
    let settings = read(variables).unwrap_or_else(|error| panic!("{variables:?}: {error}"));
    let endpoints = settings.map(|settings| settings.endpoints).unwrap_or_default();
    let places = endpoints
        .into_iter()
        .map(|(signal, endpoint)| format!("{} {}", signal.name(), endpoint.url));
    places.collect()
}

/// The environment of a process, as far as it matters here.
type Variables<'a> = &'a [(&'a str, &'a str)];

const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.test:4318");

#[test]
fn where_signals_go() {
    let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let rows: [(Variables<'_>, &[&str]); 12] = [
        (&[], &[]),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], &[]),
        // Without an endpoint nothing is on, and nothing is read.
        (
            &[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_TRACES_SAMPLER", "x")],
            &[],
        ),
        (
            &[ALL],
            &[
                "traces http://c.test:4318/v1/traces",
                "metrics http://c.test:4318/v1/metrics",
                "logs http://c.test:4318/v1/logs",
            ],
        ),
        (&[ALL, ("OTEL_SDK_DISABLED", "TRUE")], &[]),
        (&[(traces, "https://c.test")], &["traces https://c.test/"]),
        (&[(traces, "https://c.test/x")], &["traces https://c.test/x"]),
        (
            &[
                ALL,
                (traces, "https://t.test/x/"),
                ("OTEL_METRICS_EXPORTER", "none"),
            ],
            &["traces https://t.test/x/", "logs http://c.test:4318/v1/logs"],
        ),
        (
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.test/a/"),
                ("OTEL_METRICS_EXPORTER", "none"),
                ("OTEL_LOGS_EXPORTER", "none"),
            ],
            &["traces http://c.test/a/v1/traces"],
        ),
        (
            &[(traces, "http://[::1]:4318/"), (ALL.0, "")],
            &["traces http://[::1]:4318/"],
        ),
        (&[(traces, "http://a/"), ("OTEL_TRACES_EXPORTER", "none")], &[]),
        // What is for no signal that is exported is not looked at.
        (
            &[
                (traces, "http://a/"),
                ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
            ],
            &["traces http://a/"],
        ),
    ];
    for (variables, expected) in rows {
        assert_eq!(places(variables), expected, "{variables:?}");
    }
}

#[test]
fn what_a_signal_says_of_itself_counts_for_it() {
    let settings = settings(&[
        ALL,
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b, x-other = c=d"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-key=own"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "100"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ]);
    let [traces, metrics, logs] =
        [Signal::Traces, Signal::Metrics, Signal::Logs].map(|signal| &settings.endpoints[&signal]);
    assert_eq!(traces.headers["x-key"], "a b");
    assert_eq!(traces.headers["x-other"], "c=d");
    assert_eq!(logs.headers["x-key"], "own");
    assert!(!logs.headers.contains_key("x-other"));
    assert_eq!(traces.timeout, Duration::from_secs(5));
    assert_eq!(metrics.timeout, Duration::from_millis(100));
    assert_eq!(traces.compression, Compression::None);
    assert_eq!(logs.compression, Compression::Gzip);
    let shown = format!("{settings:?}");
    assert!(!shown.contains("a b") && !shown.contains("own"), "{shown}");
}

#[test]
fn who_sends() {
    let named = ("OTEL_SERVICE_NAME", "shop");
    let attributes = (
        "OTEL_RESOURCE_ATTRIBUTES",
        "service.name=other,deployment.environment.name=c,deployment.environment.name=a%2Cb",
    );
    let rows: [(Variables<'_>, Option<&str>); 4] = [
        (&[ALL], None),
        (&[ALL, named], Some("shop")),
        (&[ALL, attributes], Some("other")),
        (&[ALL, named, attributes], Some("shop")),
    ];
    for (variables, expected) in rows {
        assert_eq!(
            settings(variables).service_name.as_deref(),
            expected,
            "{variables:?}"
        );
    }
    let resource = settings(&[ALL, attributes]).resource;
    assert_eq!(
        resource,
        [("deployment.environment.name".to_owned(), "a,b".to_owned())]
    );
}

#[test]
fn who_has_spans() {
    let name = "OTEL_TRACES_SAMPLER";
    let argument = |ratio| ("OTEL_TRACES_SAMPLER_ARG", ratio);
    let rows: [(Variables<'_>, Root, bool); 9] = [
        (&[ALL], Root::Always, true),
        (&[ALL, argument("0.5")], Root::Always, true),
        (&[ALL, (name, "always_on")], Root::Always, false),
        (&[ALL, (name, "always_off")], Root::Never, false),
        (&[ALL, (name, "traceidratio")], Root::Ratio(1.0), false),
        (
            &[ALL, (name, "traceidratio"), argument("0.01")],
            Root::Ratio(0.01),
            false,
        ),
        (&[ALL, (name, "parentbased_always_on")], Root::Always, true),
        (&[ALL, (name, "parentbased_always_off")], Root::Never, true),
        (
            &[ALL, (name, "parentbased_traceidratio"), argument("0")],
            Root::Ratio(0.0),
            true,
        ),
    ];
    for (variables, root, heeds_parent) in rows {
        let expected = Sampler { root, heeds_parent };
        assert_eq!(settings(variables).sampler, expected, "{variables:?}");
    }
}

#[test]
fn how_much_waits_and_how_long() {
    let settings = settings(&[
        ALL,
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
    ]);
    let spans = Batches {
        queue: 100,
        size: 100,
        delay: Duration::from_millis(20),
    };
    let logs = Batches {
        queue: 2048,
        size: 512,
        delay: Duration::from_secs(1),
    };
    assert_eq!((settings.spans, settings.logs), (spans, logs));
    assert_eq!(settings.metric_interval, Duration::from_secs(1));
}

#[test]
fn a_wrong_variable_is_named_and_no_secret_is_shown() {
    let rows = [
        (
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "localhost:4317",
            "such as `http://localhost:4317`",
        ),
        (
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "127.0.0.1:4318",
            "such as `http://127.0.0.1:4318`",
        ),
        (
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "c.test/hush",
            "does not begin with",
        ),
        (
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "me:hush@c.test",
            "does not begin with",
        ),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://", "no URL"),
        (
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "http://me:hush@c.test",
            "plain http",
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "gRPC is not spoken"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "JSON"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "x", "no protocol"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hush", "item 1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,=hush", "item 2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hush%0A", "item 1"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer hush",
            "plain http",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,Content-Length=5", "item 2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "host=hush", "writes itself"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%zzhush", "`%25`"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hush%4", "`%25`"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,c=50%", "item 2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "write milliseconds"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "`10s`"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s", "write milliseconds"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "60s", "write milliseconds"),
        (
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            "4096",
            "larger `OTEL_BSP_MAX_QUEUE_SIZE`",
        ),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "`many`"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "whole number"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "no compression `zstd`"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/a.pem", "not supported"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "item 1"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "no sampler"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "no exporter"),
        ("OTEL_METRICS_EXPORTER", "prometheus", "but asks"),
        ("OTEL_SDK_DISABLED", "1", "`true` or `false`"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1000000", "65536 is the most"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "4096", "2048 records"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "86400000", "86400000 is too much"),
    ];
    for (name, value, why) in rows {
        let error = read(&[ALL, (name, value)]).err();
        let error = error.unwrap_or_else(|| panic!("{name}={value} is taken"));
        let shown = format!("{error} {}", error.help.as_deref().unwrap_or_default());
        assert_eq!(error.variable, name, "{value}");
        assert!(shown.contains(why), "{name}={value}: {shown}");
        assert!(!shown.contains("hush"), "{name}={value}: {shown}");
    }
    for argument in ["2", "-1", "NaN", "1%"] {
        let variables = [
            ALL,
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        assert_eq!(
            read(&variables).err().map(|error| error.variable).as_deref(),
            Some("OTEL_TRACES_SAMPLER_ARG")
        );
    }
}

#[test]
fn credentials_go_to_this_machine_in_the_clear_and_elsewhere_by_https() {
    for url in [
        "http://127.0.0.1:4318",
        "http://[::1]:1",
        "http://localhost",
        "https://c.test",
    ] {
        let header = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer a");
        assert!(
            read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url), header]).is_ok(),
            "{url}"
        );
    }
}

#[test]
fn a_share_that_has_no_effect_is_remarked_on() {
    let (sampler, share) = ("OTEL_TRACES_SAMPLER", ("OTEL_TRACES_SAMPLER_ARG", "0.1"));
    let rows: [(Variables<'_>, usize); 4] = [
        (&[ALL], 0),
        (&[ALL, share], 1),
        (&[ALL, share, (sampler, "parentbased_always_on")], 1),
        (&[ALL, share, (sampler, "parentbased_traceidratio")], 0),
    ];
    for (variables, remarks) in rows {
        let found = settings(variables).remarks;
        assert_eq!(found.len(), remarks, "{variables:?}: {found:?}");
    }
}

#[test]
fn what_is_said_of_where_signals_go_has_no_paths() {
    let settings = settings(&[
        ALL,
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://u:p@t.test/hush?a"),
    ]);
    let expected = BTreeMap::from([
        (
            "http://c.test:4318".to_owned(),
            vec![Signal::Metrics, Signal::Logs],
        ),
        ("https://t.test".to_owned(), vec![Signal::Traces]),
    ]);
    assert_eq!(settings.destinations(), expected);
}

#[test]
fn contexts_of_another_kind_are_remarked_on() {
    for (list, remarks) in [("tracecontext,baggage", 0), ("b3, tracecontext", 1), ("none", 1)] {
        let settings = settings(&[ALL, ("OTEL_PROPAGATORS", list)]);
        assert_eq!(settings.remarks.len(), remarks, "{list}");
    }
}
