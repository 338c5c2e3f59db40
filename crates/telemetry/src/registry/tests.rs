use std::thread;

use super::*;

const REQUESTS: MetricDescription = MetricDescription {
    name: "test_requests_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["component", "route"],
    help: "Requests of \"clients\", one\\line\nand another.",
};
const WORK: MetricDescription = MetricDescription {
    name: "test_work_seconds_total",
    kind: MetricKind::Time,
    unit: Some(Unit::Seconds),
    labels: &[],
    help: "Work.",
};
const OPEN: MetricDescription = MetricDescription {
    name: "test_open",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["kind"],
    help: "Open.",
};
const TIMES: MetricDescription = MetricDescription {
    name: "test_time_seconds",
    kind: MetricKind::Histogram(Buckets::Durations),
    unit: Some(Unit::Seconds),
    labels: &["component"],
    help: "Times.",
};

fn counted() -> Arc<Registry> {
    let registry = Registry::new(&[REQUESTS, WORK, OPEN, TIMES]);
    let meter = registry.meter();
    meter
        .counter(&REQUESTS, ["b".into(), "/\"q\"\\\n".into()])
        .increment(2);
    meter
        .counter(&REQUESTS, ["a".into(), "/...".into()])
        .increment(40);
    meter.counter(&WORK, []).increment(1_500_000);
    meter.gauge(&OPEN, ["tcp".into()]).set(2.5);
    let times = meter.histogram(&TIMES, ["a".into()]);
    for time in [0.0005, 0.0004, 0.2, 60.0, 61.0, f64::NAN] {
        times.record(time);
    }
    registry
}

#[test]
fn prometheus_reads_what_was_counted() {
    let text = counted().collect().to_text(TextForm::Prometheus);
    for part in [
        "# HELP test_requests_total Requests of \"clients\", one\\\\line\\nand another.\n# TYPE test_requests_total counter\n\
         test_requests_total{component=\"a\",route=\"/...\"} 40\n\
         test_requests_total{component=\"b\",route=\"/\\\"q\\\"\\\\\\n\"} 2\n",
        "# TYPE test_work_seconds_total counter\ntest_work_seconds_total 0.0015\n",
        "# TYPE test_open gauge\ntest_open{kind=\"tcp\"} 2.5\n",
        "# TYPE test_time_seconds histogram\ntest_time_seconds_bucket{component=\"a\",le=\"0.0005\"} 2\n",
        "test_time_seconds_bucket{component=\"a\",le=\"0.1\"} 2\ntest_time_seconds_bucket{component=\"a\",le=\"0.25\"} 3\n",
        "test_time_seconds_bucket{component=\"a\",le=\"1\"} 3\n",
        "test_time_seconds_bucket{component=\"a\",le=\"60\"} 4\ntest_time_seconds_bucket{component=\"a\",le=\"+Inf\"} 5\n\
         test_time_seconds_sum{component=\"a\"} 121.2",
        "\ntest_time_seconds_count{component=\"a\"} 5\n",
    ] {
        assert!(text.contains(part), "{part}\n\n{text}");
    }
    assert!(!text.contains("EOF") && !text.contains("UNIT"), "{text}");
}

#[test]
fn open_metrics_has_names_units_bounds_and_an_end_of_its_own() {
    let text = counted().collect().to_text(TextForm::OpenMetrics);
    for part in [
        "# HELP test_requests Requests of \\\"clients\\\", one\\\\line\\nand another.\n# TYPE test_requests counter\n\
         test_requests_total{component=\"a\",route=\"/...\"} 40\n",
        "# TYPE test_work_seconds counter\n# UNIT test_work_seconds seconds\ntest_work_seconds_total 0.0015\n",
        "# TYPE test_time_seconds histogram\n# UNIT test_time_seconds seconds\n",
        "test_time_seconds_bucket{component=\"a\",le=\"1.0\"} 3\n",
        "test_time_seconds_bucket{component=\"a\",le=\"+Inf\"} 5\n",
    ] {
        assert!(text.contains(part), "{part}\n\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"), "{text}");
}

#[test]
fn threads_count_together() {
    let registry = Registry::new(&[REQUESTS, TIMES]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let counter = registry.meter().counter(&REQUESTS, ["a".into(), "/".into()]);
                let times = registry.meter().histogram(&TIMES, ["a".into()]);
                for _ in 0..10_000 {
                    counter.increment(1);
                    times.record(0.5);
                }
            });
        }
    });
    let families = registry.collect().families;
    let value = |name: &str| {
        let family = families.iter().find(|family| family.name == name).unwrap();
        family.series[0].value.clone()
    };
    assert_eq!(value(REQUESTS.name), Value::Count(40_000));
    let Value::Distribution { buckets, sum, .. } = value(TIMES.name) else {
        panic!("it is a histogram")
    };
    assert_eq!((buckets.iter().sum::<u64>(), sum), (40_000, 20_000.0));
}

#[test]
fn a_metric_has_so_many_series_and_no_more_and_the_others_go_on() {
    let registry = Registry::new(&[REQUESTS, OPEN]);
    let meter = registry.meter();
    for number in 0..SERIES_OF_A_METRIC + 5 {
        let route = number.to_string();
        meter.counter(&REQUESTS, ["a".into(), route.into()]).increment(1);
    }
    meter.counter(&REQUESTS, ["a".into(), "0".into()]).increment(1);
    meter.gauge(&OPEN, ["tcp".into()]).set(1.0);
    let snapshot = registry.collect();
    let family = |name: &str| {
        snapshot
            .families
            .iter()
            .find(|family| family.name == name)
            .unwrap()
    };
    assert_eq!(family(REQUESTS.name).series.len(), SERIES_OF_A_METRIC);
    assert_eq!(family(REQUESTS.name).series[0].value, Value::Count(2));
    assert_eq!(family(OPEN.name).series.len(), 1);
    assert_eq!(family(process::DROPPED.name).series[0].value, Value::Count(5));
}

#[test]
fn collectors_are_asked_at_each_collection_and_may_count_themselves() {
    let registry = Registry::new(&[OPEN]);
    let (gauge, meter) = (registry.meter().gauge(&OPEN, ["tcp".into()]), registry.meter());
    registry.on_collect(move || {
        gauge.increment(1.0);
        meter.gauge(&OPEN, ["udp".into()]).set(7.0);
    });
    registry.collect();
    let snapshot = registry.collect();
    let open = snapshot
        .families
        .iter()
        .find(|family| family.name == OPEN.name)
        .unwrap();
    let values: Vec<_> = open.series.iter().map(|series| series.value.clone()).collect();
    assert_eq!(values, [Value::Amount(2.0), Value::Amount(7.0)]);
}

#[test]
fn a_name_stays_of_one_kind() {
    let registry = Registry::new(&[OPEN]);
    let key = Key::from_name(OPEN.name);
    let metadata = Metadata::new("test", metrics::Level::INFO, None);
    registry.register_counter(&key, &metadata).increment(1);
    registry.register_histogram(&key, &metadata).record(1.0);
    assert!(
        registry
            .collect()
            .families
            .iter()
            .all(|family| family.name != OPEN.name)
    );
}

/// A measure for people: `--ignored --nocapture`.
#[test]
#[ignore = "it measures"]
fn a_scrape_of_200_components_takes_so_long() {
    let registry = Registry::new(&[REQUESTS, TIMES]);
    let meter = registry.meter();
    for component in 0..200 {
        let component = SharedString::from(format!("component-{component}"));
        for route in 0..40 {
            let labels = [component.clone(), format!("/route-{route}/...").into()];
            meter.counter(&REQUESTS, labels).increment(1);
        }
        meter.histogram(&TIMES, [component]).record(0.1);
    }
    let began = std::time::Instant::now();
    let snapshot = registry.collect();
    let collected = began.elapsed();
    let text = snapshot.to_text(TextForm::OpenMetrics);
    println!(
        "{collected:?} to collect, {:?} in all, {} bytes",
        began.elapsed(),
        text.len()
    );
}
