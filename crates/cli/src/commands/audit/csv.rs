//! A summary as one table, for spreadsheets: RFC 4180, with a line of names first.
//!
//! A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, also in full width, a tab or a carriage return as a formula,
//! and guests choose what is in cells. So such a cell gets a `'` in front, which is how spreadsheets mark text. No number begins
//! with one. Where `;` parts cells, as it does for half of Europe, a cell ends at one, whatever is quoted: so a `'` stands in
//! front of a formula behind `;`, a line break or a tab too.

use outport_policy::text;
use outport_records::summary::Summary;

const NAMES: [&str; 20] = [
    "component",
    "kind",
    "protocol",
    "host",
    "port",
    "name",
    "code",
    "allowed",
    "succeeded",
    "failed",
    "ended",
    "refused",
    "sent",
    "received",
    "median_ms",
    "max_ms",
    "first",
    "last",
    "rule",
    "remedy",
];

pub(super) fn csv(summary: &Summary) -> String {
    let mut table = String::new();
    line(&mut table, NAMES.map(str::to_owned));
    let none = String::new;
    let port = |port: Option<u16>| port.map(|port| port.to_string()).unwrap_or_default();
    for (name, component) in summary.components() {
        for own in component.talks.iter() {
            let median = own.durations.median();
            let (first, last) = (own.span.first.to_string(), own.span.last.to_string());
            let cells = [
                name.to_owned(),
                "talked".into(),
                own.protocol.clone(),
                own.host.clone(),
                port(own.port),
                none(),
                none(),
                own.allowed.to_string(),
                own.succeeded.to_string(),
                own.failed.to_string(),
                own.ended.to_string(),
                none(),
                own.flow.sent.to_string(),
                own.flow.received.to_string(),
                median.map(|millis| millis.to_string()).unwrap_or_default(),
                median
                    .map(|_| own.durations.max().to_string())
                    .unwrap_or_default(),
                first,
                last,
                own.rule.as_deref().unwrap_or_default().to_owned(),
                none(),
            ];
            line(&mut table, cells);
        }
        for own in component.refusals.iter() {
            let (first, last) = (own.span.first.to_string(), own.span.last.to_string());
            let optional = |text: &Option<String>| text.clone().unwrap_or_default();
            let cells = [
                name.to_owned(),
                "refused".into(),
                own.attempt.clone(),
                own.destination.clone(),
                none(),
                optional(&own.name),
                own.reason.clone(),
                none(),
                none(),
                none(),
                none(),
                own.count.to_string(),
                none(),
                none(),
                none(),
                none(),
                first,
                last,
                optional(&own.rule),
                optional(&own.remedy),
            ];
            line(&mut table, cells);
        }
        for own in component.failures.iter() {
            let (first, last) = (own.span.first.to_string(), own.span.last.to_string());
            let cells = [
                name.to_owned(),
                "failed".into(),
                own.protocol.clone(),
                own.host.clone(),
                port(own.port),
                none(),
                own.error.clone(),
                none(),
                none(),
                own.count.to_string(),
                none(),
                none(),
                none(),
                none(),
                none(),
                none(),
                first,
                last,
                none(),
                none(),
            ];
            line(&mut table, cells);
        }
    }
    table
}

fn line(table: &mut String, cells: [String; NAMES.len()]) {
    for (index, content) in cells.iter().enumerate() {
        if index > 0 {
            table.push(',');
        }
        table.push_str(&cell(content));
    }
    table.push_str("\r\n");
}

fn cell(content: &str) -> String {
    let content = without_formulas(&text::terminal(content), content.starts_with(['\t', '\r', '\n']));
    if content.contains(['"', ',', ';', '\'', '\n', '\r', '\t']) {
        format!("\"{}\"", content.replace('"', "\"\""))
    } else {
        content
    }
}

/// The content with a `'` in front of whatever a spreadsheet may take for a formula.
fn without_formulas(content: &str, begins_with_a_break: bool) -> String {
    let mut marked = String::with_capacity(content.len() + 1);
    if begins_with_a_break {
        marked.push('\'');
    }
    let mut may_begin = !begins_with_a_break;
    for own in content.chars() {
        if may_begin && FORMULAS.contains(&own) {
            marked.push('\'');
        }
        // Quotes and spaces may stand before it.
        may_begin = BREAKS.contains(&own) || (may_begin && [' ', '"'].contains(&own));
        marked.push(own);
    }
    marked
}

const FORMULAS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// What may part cells, also as it is shown.
const BREAKS: [char; 5] = [';', '\n', '\r', '\t', '\u{fffd}'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_and_never_a_formula() {
        let rows = [
            ("db.example.com", "db.example.com"),
            ("10.0.0.5:80", "10.0.0.5:80"),
            ("", ""),
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            ("\t=1", "\"' =1\""),
            ("\r=1", "\"'\u{fffd}'=1\""),
            ("a;=1+1;", "\"a;'=1+1;\""),
            ("a;\"=1+1", "\"a;\"\"'=1+1\""),
            ("\u{ff1d}1", "\"'\u{ff1d}1\""),
            ("\u{ff0b}1", "\"'\u{ff0b}1\""),
            ("\u{ff0d}1", "\"'\u{ff0d}1\""),
            ("\u{ff20}a", "\"'\u{ff20}a\""),
            ("a\n=1", "\"a\u{fffd}'=1\""),
            ("a;b", "\"a;b\""),
            ("a,b", "\"a,b\""),
            ("add \"*://a\"", "\"add \"\"*://a\"\"\""),
            ("a\nb\u{1b}[2J", "a\u{fffd}b\u{fffd}[2J"),
        ];
        for (content, expected) in rows {
            assert_eq!(cell(content), expected, "{content:?}");
        }
    }
}
