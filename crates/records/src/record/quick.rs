//! The members of a line as nearly every line has them, read in one pass.
//!
//! A log has millions of lines, all written by the gate in one form: texts, whole numbers and `true`, without a space between.
//! That is read here, text by text to its quote. Whatever is otherwise (a list, a space, a member that is not known or is
//! there twice, a number that is too large, a text that JSON does not permit) is none of this module's business: it answers
//! none, and the line is read by `serde_json`, which knows all of JSON and has the words for what is wrong. So what is read
//! here is what would be read there, and a test holds the two together.

use std::borrow::Cow;

use super::{Line, Text};
use crate::{Stage, Timestamp, Verdict};

/// The members of the line, if it is of the usual form.
pub(super) fn members(line: &[u8]) -> Option<Line<'_>> {
    let end = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\r'))?;
    let text = str::from_utf8(&line[..=end]).ok()?;
    // Not in a text, nor elsewhere: the gate writes none.
    // All of it, without an end in the midst: so that many are compared at once.
    if text.bytes().fold(false, |any, byte| any | (byte < b' ')) {
        return None;
    }
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut line = Members::default();
    loop {
        let named = rest.strip_prefix('"')?;
        let end = named.bytes().position(|byte| byte == b'"')?;
        let (value, after) = Value::read(named[end + 1..].strip_prefix(':')?)?;
        line.set(&named.as_bytes()[..end], value)?;
        if after.is_empty() {
            return line.whole();
        }
        rest = after.strip_prefix(',')?;
    }
}

/// A value that members have.
enum Value<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    True,
}

impl<'a> Value<'a> {
    /// The value at the beginning of `text`, and what is behind it.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        if let Some(inside) = text.strip_prefix('"') {
            let end = memchr::memchr2(b'"', b'\\', inside.as_bytes())?;
            if inside.as_bytes()[end] == b'"' {
                return Some((Self::Text(Cow::Borrowed(&inside[..end])), &inside[end + 1..]));
            }
            let end = end_of_escaped(inside.as_bytes(), end)?;
            let quoted = &text[..end + 2];
            let read: String = serde_json::from_str(quoted).ok()?;
            return Some((Self::Text(Cow::Owned(read)), &inside[end + 1..]));
        }
        if let Some(after) = text.strip_prefix("true") {
            return Some((Self::True, after));
        }
        let end = text
            .bytes()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(text.len());
        let digits = &text[..end];
        // 007 is not a number of JSON.
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        Some((Self::Number(digits.parse().ok()?), &text[end..]))
    }
}

/// The quote that ends a text of which `at` is the first backslash.
fn end_of_escaped(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The members so far.
#[derive(Default)]
struct Members<'a> {
    ts: Option<Timestamp>,
    line: Line<'a>,
}

impl<'a> Members<'a> {
    fn set(&mut self, name: &[u8], value: Value<'a>) -> Option<()> {
        let line = &mut self.line;
        match (name, value) {
            (b"ts", Value::Text(text)) => once(&mut self.ts, text.parse().ok()?),
            (b"verdict", Value::Text(text)) => once(&mut line.verdict, verdict(&text)?),
            (b"outcome", Value::Text(text)) => once(&mut line.outcome, stage(&text)?),
            (b"component", Value::Text(text)) => once(&mut line.component, Text(text)),
            (b"attempt", Value::Text(text)) => once(&mut line.attempt, Text(text)),
            (b"destination", Value::Text(text)) => once(&mut line.destination, Text(text)),
            (b"name", Value::Text(text)) => once(&mut line.name, Text(text)),
            (b"reason", Value::Text(text)) => once(&mut line.reason, Text(text)),
            (b"detail", Value::Text(text)) => once(&mut line.detail, Text(text)),
            (b"rule", Value::Text(text)) => once(&mut line.rule, Text(text)),
            (b"closest", Value::Text(text)) => once(&mut line.closest, Text(text)),
            (b"remedy", Value::Text(text)) => once(&mut line.remedy, Text(text)),
            (b"error", Value::Text(text)) => once(&mut line.error, Text(text)),
            (b"via", Value::Text(text)) => once(&mut line.via, Text(text)),
            (b"evicted", Value::Text(text)) => once(&mut line.evicted, Text(text)),
            (b"ended_by", Value::Text(text)) => once(&mut line.ended_by, Text(text)),
            (b"id", Value::Number(number)) => once(&mut line.id, number),
            (b"decision", Value::Number(number)) => once(&mut line.decision, number),
            (b"process", Value::Number(number)) => once(&mut line.process, number),
            (b"instance", Value::Number(number)) => once(&mut line.instance, number),
            (b"lookup", Value::Number(number)) => once(&mut line.lookup, number),
            (b"status", Value::Number(number)) => once(&mut line.status, number.try_into().ok()?),
            (b"duration_ms", Value::Number(number)) => once(&mut line.duration_ms, number),
            (b"sent", Value::Number(number)) => once(&mut line.sent, number),
            (b"received", Value::Number(number)) => once(&mut line.received, number),
            (b"lost", Value::Number(number)) => once(&mut line.lost, number),
            (b"started", Value::True) => once(&mut line.started, true),
            _ => None,
        }
    }

    fn whole(self) -> Option<Line<'a>> {
        Some(Line {
            ts: self.ts?,
            ..self.line
        })
    }
}

/// Sets what is not set yet.
fn once<T>(member: &mut Option<T>, value: T) -> Option<()> {
    member.replace(value).is_none().then_some(())
}

fn verdict(text: &str) -> Option<Verdict> {
    match text {
        "allow" => Some(Verdict::Allow),
        "deny" => Some(Verdict::Deny),
        _ => None,
    }
}

fn stage(text: &str) -> Option<Stage> {
    match text {
        "succeeded" => Some(Stage::Succeeded),
        "failed" => Some(Stage::Failed),
        "ended" => Some(Stage::Ended),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_serde(line: &[u8]) -> Result<Line<'_>, serde_json::Error> {
        serde_json::from_slice(line)
    }

    #[test]
    fn what_the_gate_writes_is_read_here_and_what_is_otherwise_is_not() {
        let usual = [
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":12}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","started":true}   "#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","id":1,"component":"gr\u00f6\u00dfe \"a\\","remedy":"add \"*://a:1\" to it","status":200,"sent":0}"#,
        ];
        for line in usual {
            let read = members(line.as_bytes());
            assert_eq!(read.as_ref(), by_serde(line.as_bytes()).ok().as_ref(), "{line}");
            assert!(read.is_some(), "{line}");
        }
        let otherwise = [
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":12,"also":[]}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z", "lost":12}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":12,"lost":12}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":12,"later":1}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":012}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":1.5}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":-1}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":99999999999999999999}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":12,}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","lost":12"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","name":"a\x"}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","name":"a\"}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","name":"a\ud800"}"#,
            r#"{"ts":"2026-03-01T09:30:00.125Z","status":70000}"#,
            r#"{"lost":12}"#,
            "{\"ts\":\"2026-03-01T09:30:00.125Z\",\"name\":\"a\tb\"}",
            "{}",
            "",
            "{",
        ];
        for line in otherwise {
            assert_eq!(members(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_here_is_what_serde_reads(
            names in proptest::collection::vec("(ts|id|name|lost|verdict|outcome|started|status|x|n\\\\u0061me)", 0..5),
            values in proptest::collection::vec(
                "(\"[a-z\\\\\"nu0é\u{7f} ]{0,6}\"|[0-9]{1,3}|true|null|\\[\\]|\"allow\"|\"ended\"|\"1970-01-01T00:00:00.000Z\")", 5..6),
            end in "(|}|\\}  |\\}\r|\\}x)",
        ) {
            let members_of = names.iter().zip(&values).map(|(name, value)| format!("\"{name}\":{value}"));
            let mut line = format!("{{\"ts\":\"1970-01-01T00:00:00.000Z\",{}", members_of.collect::<Vec<_>>().join(","));
            line.push_str(&end);
            if let Some(read) = members(line.as_bytes()) {
                prop_assert_eq!(Some(read), by_serde(line.as_bytes()).ok(), "{}", line);
            }
        }
    }
}
