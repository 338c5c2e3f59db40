//! One line of the log as a value.
//!
//! A line is one JSON object. What it is, is told by the member that no other kind has:
//!
//! | member | record |
//! | --- | --- |
//! | `verdict` | [`Decision`] |
//! | `outcome` | [`Outcome`] |
//! | `lost` | [`Record::Lost`] |
//! | `started` | [`Record::Started`] |
//!
//! Texts stay in the line that they were read from, but for those with an escape in them. Members that are not known are
//! passed over: a later version may have more. A kind of attempt, a reason and an error are texts for the same reason.

mod quick;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A decision about an attempt.
    Decision(Decision<'a>),
    /// What came of a permitted attempt.
    Outcome(Outcome<'a>),
    /// So many lines that did not fit stood here.
    Lost {
        /// The time at which it was written.
        ts: Timestamp,
        /// Their number.
        lost: u64,
    },
    /// A process started that writes to this log.
    Started {
        /// The time at which it was written.
        ts: Timestamp,
    },
}

/// A decision about an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Decision<'a> {
    /// The time of the decision.
    pub ts: Timestamp,
    /// The number of the decision, unique in its `process`.
    pub id: u64,
    /// The process that wrote it: when that opened its log, in milliseconds since 1970. Older logs do not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<u64>,
    /// The component whose code asked. Its true name, in which nothing is escaped.
    pub component: Cow<'a, str>,
    /// The number of the instance, unique in its `process`.
    pub instance: u64,
    /// The kind of attempt: `tcp.connect`, `dns.lookup`, …
    pub attempt: Cow<'a, str>,
    /// Address and port, name, or URL without its path.
    pub destination: Cow<'a, str>,
    /// The name that the destination was looked up by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// The `id` of the decision about the look-up that this is an answer to, of a `dns.answer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
    /// The stable code of the reason, on denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// The reason in words, on denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'a, str>>,
    /// The rule that decided: the entry and its place, or the operator's entry or network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Cow<'a, str>>,
    /// The entry that came closest to permitting it, on denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closest: Option<Cow<'a, str>>,
    /// What would permit it, on denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Cow<'a, str>>,
    /// The other layers that refuse it, on denial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<AlsoRefused<'a>>,
}

/// Another layer that refuses what one has refused already.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct AlsoRefused<'a> {
    /// The stable code of its reason.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    /// The reason in words.
    #[serde(borrow)]
    pub detail: Cow<'a, str>,
    /// The operator's entry or network that refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Cow<'a, str>>,
    /// What would permit it as far as this layer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Cow<'a, str>>,
}

/// What came of a permitted attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outcome<'a> {
    /// The time of the outcome.
    pub ts: Timestamp,
    /// The `id` of the decision that permitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
    /// The process that wrote it, as in the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<u64>,
    /// The component whose code asked. Its true name, in which nothing is escaped.
    pub component: Cow<'a, str>,
    /// The number of the instance.
    pub instance: u64,
    /// The kind of attempt, as in the decision.
    pub attempt: Cow<'a, str>,
    /// The destination, as in the decision.
    pub destination: Cow<'a, str>,
    /// The name that the destination was looked up by, on failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// The stage that it came to.
    #[serde(rename = "outcome")]
    pub stage: Stage,
    /// The status of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The error, as the guest was told it: `connection-refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, str>>,
    /// The proxy that the connection goes through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<Cow<'a, str>>,
    /// Of a look-up, the name whose grants made room for those of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evicted: Option<Cow<'a, str>>,
    /// Milliseconds since the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Bytes to the peer, of a request those of its body; of a UDP socket datagrams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// The same from the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// The reason why it is over: `complete`, `guest`, `peer`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<Cow<'a, str>>,
}

/// The verdict on an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The attempt could go ahead.
    Allow,
    /// The attempt was refused.
    Deny,
}

/// The stage that a permitted attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It came about.
    Succeeded,
    /// It did not come about.
    Failed,
    /// It had come about, and is over.
    Ended,
}

/// The reason why a line is not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// It is not an object of JSON, or a member is not what it should be.
    #[error("{0}")]
    NotRead(String),
    /// A member is missing that every record of its kind has.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// It is not one of the records that there are.
    #[error("it has neither `verdict`, `outcome`, `lost` nor `started`, so it is not a line of an audit log")]
    NotARecord,
    /// It is longer than [`LONGEST_LINE`](crate::LONGEST_LINE).
    #[error("it is longer than {} KiB", crate::LONGEST_LINE >> 10)]
    TooLong,
}

impl<'a> Record<'a> {
    /// The record of a line. A line break and spaces at its end are not looked at.
    ///
    /// # Errors
    ///
    /// The line is not a record.
    pub fn parse(line: &'a [u8]) -> Result<Self, LineProblem> {
        let line: Line<'a> = match quick::members(line) {
            Some(line) => line,
            None => serde_json::from_slice(line).map_err(|error| LineProblem::NotRead(error.to_string()))?,
        };
        line.try_into()
    }

    /// The time of the record.
    pub fn ts(&self) -> Timestamp {
        match self {
            Self::Decision(decision) => decision.ts,
            Self::Outcome(outcome) => outcome.ts,
            Self::Lost { ts, .. } | Self::Started { ts } => *ts,
        }
    }

    /// The component that it is of, if it is of one.
    pub fn component(&self) -> Option<&str> {
        match self {
            Self::Decision(decision) => Some(&decision.component),
            Self::Outcome(outcome) => Some(&outcome.component),
            Self::Lost { .. } | Self::Started { .. } => None,
        }
    }
}

/// All members that a line can have. One struct, since an enum without a tag would have each line read twice.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Line<'a> {
    ts: Timestamp,
    id: Option<u64>,
    decision: Option<u64>,
    process: Option<u64>,
    #[serde(borrow)]
    component: Option<Text<'a>>,
    instance: Option<u64>,
    #[serde(borrow)]
    attempt: Option<Text<'a>>,
    #[serde(borrow)]
    destination: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    lookup: Option<u64>,
    verdict: Option<Verdict>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    detail: Option<Text<'a>>,
    #[serde(borrow)]
    rule: Option<Text<'a>>,
    #[serde(borrow)]
    closest: Option<Text<'a>>,
    #[serde(borrow)]
    remedy: Option<Text<'a>>,
    #[serde(borrow, default)]
    also: Vec<AlsoRefused<'a>>,
    outcome: Option<Stage>,
    status: Option<u16>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
    #[serde(borrow)]
    via: Option<Text<'a>>,
    #[serde(borrow)]
    evicted: Option<Text<'a>>,
    duration_ms: Option<u64>,
    sent: Option<u64>,
    received: Option<u64>,
    #[serde(borrow)]
    ended_by: Option<Text<'a>>,
    lost: Option<u64>,
    started: Option<bool>,
}

/// A text that stays in its line: serde borrows a `Cow` only where it is not in an `Option`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|Text(text)| text)
}

fn member<T>(member: Option<T>, name: &'static str) -> Result<T, LineProblem> {
    member.ok_or(LineProblem::Missing(name))
}

impl<'a> TryFrom<Line<'a>> for Record<'a> {
    type Error = LineProblem;

    fn try_from(line: Line<'a>) -> Result<Self, LineProblem> {
        let ts = line.ts;
        match line {
            Line {
                verdict: Some(verdict),
                ..
            } => line.decision(verdict).map(Self::Decision),
            Line {
                outcome: Some(stage), ..
            } => line.outcome(stage).map(Self::Outcome),
            Line { lost: Some(lost), .. } => Ok(Self::Lost { ts, lost }),
            Line {
                started: Some(true), ..
            } => Ok(Self::Started { ts }),
            _ => Err(LineProblem::NotARecord),
        }
    }
}

impl<'a> Line<'a> {
    fn decision(self, verdict: Verdict) -> Result<Decision<'a>, LineProblem> {
        Ok(Decision {
            ts: self.ts,
            id: member(self.id, "id")?,
            process: self.process,
            component: member(text(self.component), "component")?,
            instance: member(self.instance, "instance")?,
            attempt: member(text(self.attempt), "attempt")?,
            destination: member(text(self.destination), "destination")?,
            name: text(self.name),
            lookup: self.lookup,
            verdict,
            reason: text(self.reason),
            detail: text(self.detail),
            rule: text(self.rule),
            closest: text(self.closest),
            remedy: text(self.remedy),
            also: self.also,
        })
    }

    fn outcome(self, stage: Stage) -> Result<Outcome<'a>, LineProblem> {
        Ok(Outcome {
            ts: self.ts,
            decision: self.decision,
            process: self.process,
            component: member(text(self.component), "component")?,
            instance: member(self.instance, "instance")?,
            attempt: member(text(self.attempt), "attempt")?,
            destination: member(text(self.destination), "destination")?,
            name: text(self.name),
            stage,
            status: self.status,
            error: text(self.error),
            via: text(self.via),
            evicted: text(self.evicted),
            duration_ms: self.duration_ms,
            sent: self.sent,
            received: self.received,
            ended_by: text(self.ended_by),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_and_an_outcome_are_read_with_their_texts_in_the_line() {
        let line = br#"{"ts":"2026-03-01T09:30:00.125Z","id":7,"component":"web","instance":3,"attempt":"tcp.connect","destination":"10.0.0.5:5432","name":"db.example.com","verdict":"deny","reason":"allow.port","detail":"words","closest":"a \"b\"","remedy":"add it","also":[{"reason":"deny.host","detail":"more","remedy":"lift it"}],"later":{"x":[1]}}   "#;
        let Ok(Record::Decision(decision)) = Record::parse(line) else {
            panic!("{:?}", Record::parse(line));
        };
        assert_eq!(decision.ts.to_string(), "2026-03-01T09:30:00.125Z");
        assert_eq!(
            (decision.id, decision.instance, decision.verdict),
            (7, 3, Verdict::Deny)
        );
        for borrowed in [
            &decision.component,
            &decision.attempt,
            &decision.destination,
            decision.name.as_ref().unwrap(),
            decision.remedy.as_ref().unwrap(),
            &decision.also[0].reason,
        ] {
            assert!(matches!(borrowed, Cow::Borrowed(_)), "{borrowed}");
        }
        assert_eq!(
            decision.closest.as_deref(),
            Some("a \"b\""),
            "an escape makes a text of its own"
        );
        assert_eq!(decision.also[0].remedy.as_deref(), Some("lift it"));

        let line = br#"{"ts":"2026-03-01T09:30:01.000Z","decision":7,"component":"web","instance":3,"attempt":"http.request","destination":"https://example.com:443","outcome":"ended","duration_ms":12,"sent":1,"received":2,"ended_by":"complete"}"#;
        let Ok(Record::Outcome(outcome)) = Record::parse(line) else {
            panic!("{:?}", Record::parse(line));
        };
        assert_eq!((outcome.decision, outcome.stage), (Some(7), Stage::Ended));
        assert_eq!(
            (outcome.duration_ms, outcome.sent, outcome.received),
            (Some(12), Some(1), Some(2))
        );
    }

    #[test]
    fn lost_lines_and_starts_are_records_and_all_else_is_a_problem() {
        let ts = Timestamp::FIRST;
        let rows: [(&str, Result<Record<'_>, LineProblem>); 7] = [
            (
                r#"{"ts":"1970-01-01T00:00:00.000Z","lost":12}"#,
                Ok(Record::Lost { ts, lost: 12 }),
            ),
            (
                r#"{"ts":"1970-01-01T00:00:00.000Z","started":true}"#,
                Ok(Record::Started { ts }),
            ),
            (
                r#"{"ts":"1970-01-01T00:00:00.000Z","started":false}"#,
                Err(LineProblem::NotARecord),
            ),
            (
                r#"{"ts":"1970-01-01T00:00:00.000Z"}"#,
                Err(LineProblem::NotARecord),
            ),
            (
                r#"{"ts":"1970-01-01T00:00:00.000Z","verdict":"allow"}"#,
                Err(LineProblem::Missing("id")),
            ),
            (
                r#"{"ts":"1970-01-01T00:00:00.000Z","outcome":"ended","component":"a"}"#,
                Err(LineProblem::Missing("instance")),
            ),
            (
                r#"{"ts":"1970-01-01T00:00:00.000Z","id":1,"verdict":"allow","component":"a","instance":1,"attempt":"x"}"#,
                Err(LineProblem::Missing("destination")),
            ),
        ];
        for (line, expected) in rows {
            assert_eq!(Record::parse(line.as_bytes()), expected, "{line}");
        }
        for line in [
            &b"{"[..],
            b"",
            b"[]",
            b"{\"ts\":1}",
            b"{\"ts\":\"yesterday\",\"lost\":1}",
            b"{\"ts\":\"1970-01-01T00:00:00.000Z\",\"lost\":-1}",
            b"{\"ts\":\"1970-01-01T00:00:00.000Z\",\"verdict\":\"perhaps\"}",
            b"{\"ts\":\"1970-01-01T00:00:00.000Z\",\"lost\":1} {}",
            b"{\"ts\":\"1970-01-01T00:00:00.000Z\",\"component\":\"\xff\"}",
        ] {
            let problem = Record::parse(line);
            assert!(matches!(problem, Err(LineProblem::NotRead(_))), "{problem:?}");
        }
    }
}
