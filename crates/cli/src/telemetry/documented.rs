//! The page of metrics, and what is made of metrics in the examples, held against those that there are.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use outport_egress::meter::{MetricDescription, MetricKind};

use super::METRICS;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn all() -> impl Iterator<Item = &'static MetricDescription> {
    METRICS.iter().flat_map(|(_, metrics)| *metrics)
}

fn kind(metric: &MetricDescription) -> &'static str {
    match metric.kind {
        MetricKind::Counter | MetricKind::Time => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram(_) => "histogram",
    }
}

fn tables() -> String {
    let mut text = String::new();
    for (title, metrics) in METRICS {
        let _ = write!(
            text,
            "\n## {title}\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"
        );
        for metric in *metrics {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                metric.name,
                kind(metric),
                labels.join(", "),
                metric.help
            );
        }
    }
    text
}

#[test]
fn metrics_are_documented() {
    let path = workspace().join("docs/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let end_of_prose = page.rfind("-->\n").expect("the mark before the tables") + "-->\n".len();
    let current = format!("{}{}", &page[..end_of_prose], tables());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, current).unwrap();
    } else {
        assert!(
            page == current,
            "docs/metrics.md is not up to date: run this test with UPDATE_DOCS=1"
        );
    }
}

#[test]
fn names_labels_and_units_follow_the_conventions() {
    let mut names = BTreeSet::new();
    for metric in all() {
        let name = metric.name;
        assert!(names.insert(name), "{name} is there twice");
        assert!(
            name.starts_with("outport_") || name.starts_with("process_"),
            "{name}"
        );
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(
            is_word(name) && metric.labels.iter().copied().all(is_word),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), kind(metric) == "counter", "{name}");
        let base = name.strip_suffix("_total").unwrap_or(name);
        if let Some(unit) = metric.unit {
            assert!(
                base.ends_with(&format!("_{}", unit.as_str())),
                "{name} is in {}",
                unit.as_str()
            );
        }
        for (suffix, unit) in [("_seconds", "seconds"), ("_bytes", "bytes")] {
            let says = metric.unit.map(|unit| unit.as_str());
            assert!(
                !base.ends_with(suffix) || says == Some(unit),
                "{name} says nothing of its unit"
            );
        }
        let help = metric.help;
        assert!(
            !help.is_empty() && !help.ends_with('.') && !help.contains('\n') && !help.contains('|'),
            "{name}: {help}"
        );
    }
}

#[test]
fn no_two_metrics_are_one_family_or_share_a_series_in_open_metrics() {
    let mut taken = BTreeSet::new();
    for metric in all() {
        // A counter is called by its name without `_total` there.
        let (family, suffixes): (_, &[_]) = match metric.kind {
            MetricKind::Counter | MetricKind::Time => (
                metric.name.strip_suffix("_total").unwrap(),
                &["_total", "_created"],
            ),
            MetricKind::Gauge => (metric.name, &[]),
            MetricKind::Histogram(_) => (metric.name, &["_bucket", "_count", "_sum", "_created"]),
        };
        for suffix in [""].iter().chain(suffixes) {
            let name = format!("{family}{suffix}");
            assert!(taken.insert(name.clone()), "`{name}` is there twice");
        }
    }
}

/// Words in a file that look like names of metrics.
fn mentioned(text: &str) -> BTreeSet<&str> {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    words
        .filter(|word| word.starts_with("outport_") || word.starts_with("process_"))
        .collect()
}

#[test]
fn what_examples_ask_for_is_there() {
    let folder = workspace().join("examples/observability");
    let known: BTreeSet<String> = all()
        .flat_map(|metric| {
            let suffixes: &[&str] = match metric.kind {
                MetricKind::Histogram(_) => &["_bucket", "_count", "_sum"],
                _ => &[""],
            };
            suffixes.iter().map(|suffix| format!("{}{suffix}", metric.name))
        })
        .collect();
    let mut asked = 0;
    for name in ["dashboard.json", "rules.yml"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        for metric in mentioned(&text) {
            assert!(known.contains(metric), "{name} asks for `{metric}`");
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}

/// The labels that a file asks a metric for, by its name.
fn selectors(text: &str) -> Vec<(&str, Vec<&str>)> {
    let opened = text.match_indices('{').filter_map(|(at, _)| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let start = text[..at]
            .bytes()
            .rposition(|byte| !is_word(byte))
            .map_or(0, |before| before + 1);
        let (inside, _) = text[at + 1..].split_once('}')?;
        let labels = inside
            .split(',')
            .filter_map(|one| one.split(['=', '!']).next())
            .map(str::trim);
        Some((&text[start..at], labels.collect()))
    });
    opened.filter(|(name, _)| name.starts_with("outport_")).collect()
}

#[test]
fn examples_ask_for_labels_that_are_there() {
    let folder = workspace().join("examples/observability");
    let mut asked = 0;
    for name in ["dashboard.json", "rules.yml"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        for (of, labels) in selectors(&text) {
            let metric = all().find(|metric| {
                of.strip_prefix(metric.name)
                    .is_some_and(|suffix| ["", "_bucket", "_count", "_sum"].contains(&suffix))
            });
            let metric = metric.unwrap_or_else(|| panic!("{name}: `{of}`"));
            for label in labels {
                let known = metric.labels.contains(&label) || ["job", "instance", "le"].contains(&label);
                assert!(known, "{name} asks `{of}` for `{label}`");
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "{asked}");
}

#[test]
fn the_dashboard_is_whole() {
    let text = fs::read_to_string(workspace().join("examples/observability/dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = &panel["gridPos"];
        assert!(
            place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24,
            "{panel}"
        );
        if panel["type"] != "row" {
            let targets = panel["targets"].as_array().unwrap();
            assert!(targets.iter().all(|target| target["expr"].is_string()), "{panel}");
        }
    }
}
