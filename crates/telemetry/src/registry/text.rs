//! A snapshot as text: Prometheus' exposition format 0.0.4, and OpenMetrics 1.0.
//!
//! They differ in little. OpenMetrics calls a counter by its name without `_total`, has a line for the unit where the name
//! ends with it, writes bounds with a point, and ends with `# EOF`.

use std::fmt::Write;

use metrics::Label;

use super::accept::TextForm;
use super::snapshot::{Family, FamilyKind, Snapshot, Value};

impl Snapshot {
    /// The text that tools read.
    pub fn to_text(&self, form: TextForm) -> String {
        let mut text = String::new();
        for family in &self.families {
            write_family(&mut text, family, form);
        }
        if form == TextForm::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

fn write_family(text: &mut String, family: &Family, form: TextForm) {
    let (kind, is_counter) = match family.kind {
        FamilyKind::Counter => ("counter", true),
        FamilyKind::Gauge => ("gauge", false),
        FamilyKind::Histogram => ("histogram", false),
    };
    let base = family.name.strip_suffix("_total").unwrap_or(&family.name);
    let (name, of_series) = match form {
        TextForm::OpenMetrics if is_counter => (base, format!("{base}_total")),
        _ => (family.name.as_str(), family.name.clone()),
    };
    if !family.help.is_empty() {
        let _ = write!(text, "# HELP {name} ");
        match form {
            TextForm::Prometheus => escape(text, &family.help, Quotes::Plain),
            TextForm::OpenMetrics => escape(text, &family.help, Quotes::Escaped),
        }
        text.push('\n');
    }
    let _ = writeln!(text, "# TYPE {name} {kind}");
    if let (TextForm::OpenMetrics, Some(unit)) = (form, family.unit) {
        let unit = unit.as_str();
        if name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')) {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
    }
    for series in &family.series {
        let labels = &series.labels;
        match &series.value {
            Value::Count(count) => {
                write_labels(text, &of_series, labels, None);
                let _ = writeln!(text, " {count}");
            }
            Value::Amount(amount) => {
                write_labels(text, &of_series, labels, None);
                let _ = writeln!(text, " {}", number(*amount));
            }
            Value::Distribution { bounds, buckets, sum } => {
                let mut all = 0;
                let bounds = bounds.iter().copied().chain([f64::INFINITY]);
                let bucket_name = format!("{name}_bucket");
                for (bound, count) in bounds.zip(buckets) {
                    all += count;
                    write_labels(text, &bucket_name, labels, Some(&bound_text(bound, form)));
                    let _ = writeln!(text, " {all}");
                }
                write_labels(text, &format!("{name}_sum"), labels, None);
                let _ = writeln!(text, " {}", number(*sum));
                write_labels(text, &format!("{name}_count"), labels, None);
                let _ = writeln!(text, " {all}");
            }
        }
    }
}

fn write_labels(text: &mut String, name: &str, labels: &[Label], bound: Option<&str>) {
    text.push_str(name);
    let labels = labels.iter().map(|label| (label.key(), label.value()));
    let mut opening = '{';
    for (key, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        text.push(opening);
        opening = ',';
        text.push_str(key);
        text.push_str("=\"");
        escape(text, value, Quotes::Escaped);
        text.push('"');
    }
    if opening == ',' {
        text.push('}');
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    Plain,
    Escaped,
}

fn escape(text: &mut String, value: &str, quotes: Quotes) {
    if !value.contains(['\\', '\n', '"']) {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes == Quotes::Escaped => text.push_str("\\\""),
            character => text.push(character),
        }
    }
}

fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

fn bound_text(bound: f64, form: TextForm) -> String {
    match form {
        TextForm::OpenMetrics if bound.is_finite() => format!("{bound:?}"),
        _ => number(bound),
    }
}
