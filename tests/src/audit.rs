//! The audit log: one JSON object a line for each decision, and for each outcome of one.

use std::fmt::{self, Display};
use std::fs;
use std::path::Path;

use serde_json::Value;

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditLine(Value);

impl AuditLine {
    /// Reads a log. A file that does not exist (yet) has no lines.
    ///
    /// # Panics
    ///
    /// If a line is not a JSON object, or lacks what every line has.
    pub fn read(log: &Path) -> Vec<Self> {
        Self::of_lines(lines(log))
    }

    /// Reads a log that is being written, without a last line that is not whole yet.
    pub(crate) fn read_so_far(log: &Path) -> Vec<Self> {
        Self::of_lines(lines_so_far(log))
    }

    fn of_lines(lines: Vec<Value>) -> Vec<Self> {
        lines
            .into_iter()
            .filter(|line| {
                ["outcome", "lost", "started"]
                    .iter()
                    .all(|member| line.get(member).is_none())
            })
            .map(Self::of)
            .collect()
    }

    fn of(value: Value) -> Self {
        for field in ["ts", "id", "component", "instance", "attempt", "verdict"] {
            assert!(
                value.get(field).is_some_and(|value| !value.is_null()),
                "no `{field}` in `{value}`"
            );
        }
        Self(value)
    }

    /// A field as text; numbers too. The empty text if it is absent or `null`.
    pub fn field(&self, name: &str) -> String {
        match self.0.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// Whether the attempt was denied.
    pub fn denied(&self) -> bool {
        match self.field("verdict").as_str() {
            "deny" => true,
            "allow" => false,
            other => panic!("a verdict of `{other}`"),
        }
    }

    /// The reason code, such as `allow.no-match`.
    pub fn reason(&self) -> String {
        self.field("reason")
    }
}

/// Every line of a log. A file that does not exist (yet) has none.
///
/// # Panics
///
/// If a line is not JSON.
pub fn lines(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().map(parse).collect()
}

/// The whole lines of a log that is being written.
pub(crate) fn lines_so_far(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _rest)| whole);
    whole.lines().map(parse).collect()
}

/// The outcomes (RSN-6) among the lines of a log, in their order.
pub(crate) fn outcomes(lines: Vec<Value>) -> Vec<Value> {
    let mut outcomes = lines;
    outcomes.retain(|line| line.get("outcome").is_some());
    outcomes
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("`{line}`: {error}"))
}

/// As in the log.
impl Display for AuditLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The reason codes of the denials in a log, in their order.
pub fn reasons(log: &[AuditLine]) -> Vec<String> {
    log.iter()
        .filter(|line| line.denied())
        .map(AuditLine::reason)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_those_of_the_denials() {
        let line = |verdict: &str, reason: &str| {
            let head = r#""ts":"t","id":1,"component":"c","instance":1,"attempt":"connect""#;
            AuditLine::of(parse(&format!(
                r#"{{{head},"verdict":"{verdict}","reason":"{reason}"}}"#
            )))
        };
        let log = [
            line("allow", ""),
            line("deny", "hard.bind"),
            line("deny", "allow.none"),
        ];
        assert_eq!(reasons(&log), ["hard.bind", "allow.none"]);
        assert_eq!(
            (log[0].field("instance"), log[0].field("name")),
            ("1".into(), String::new())
        );
    }
}
