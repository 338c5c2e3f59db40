//! Which records count: all that are asked for at once.
//!
//! Lines that were lost, and starts, belong to no component and have no verdict; of them only the time is asked.

use crate::peer::Peer;
use crate::{Outcome, Record, Timestamp, Verdict};

/// The records that count. By default all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of these components; any if there are none.
    pub components: Vec<String>,
    /// One of these instances; any if there are none.
    pub instances: Vec<u64>,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Not after this.
    pub until: Option<Timestamp>,
    /// Decisions with this verdict. What came of something belongs to what was allowed.
    pub verdict: Option<Verdict>,
    /// One of these codes; any, and none, if there are none.
    pub codes: Vec<Code>,
    /// One of these destinations; any if there are none.
    pub destinations: Vec<Destination>,
}

/// A reason of a denial or an error of an outcome, or the beginning of one: `allow.port`, `allow.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// This one.
    Exactly(String),
    /// All that begin so.
    Below(String),
}

impl Code {
    /// The code that somebody wrote; `*` at the end stands for anything.
    pub fn written(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(beginning) => Self::Below(beginning.to_owned()),
            None => Self::Exactly(text.to_owned()),
        }
    }

    fn matches(&self, code: &str) -> bool {
        match self {
            Self::Exactly(own) => own == code,
            Self::Below(beginning) => code.starts_with(beginning.as_str()),
        }
    }
}

/// A host with or without its port: `db.example.com`, `*.example.com`, `10.0.0.5:5432`, `[::1]:80`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    host: String,
    port: Option<u16>,
}

impl Destination {
    /// The destination that somebody wrote; `*.` at its beginning stands for every name below.
    pub fn written(text: &str) -> Self {
        let (host, port) = crate::peer::split_port(text);
        Self {
            host: host.to_ascii_lowercase(),
            port,
        }
    }

    /// A destination of these parts: a name as the log has it, or one with `*.` before it, or an address without brackets.
    pub fn of(host: String, port: Option<u16>) -> Self {
        Self { host, port }
    }

    fn matches(&self, host: &str, port: Option<u16>) -> bool {
        if self.port.is_some() && self.port != port {
            return false;
        }
        match self.host.strip_prefix('*') {
            Some(end) if end.starts_with('.') => host.len() > end.len() && host.ends_with(end),
            _ => self.host == host,
        }
    }
}

impl Filter {
    /// True if the record counts. `name` is the name that its destination is known by, where the record does not say.
    pub fn passes(&self, record: &Record<'_>, name: Option<&str>) -> bool {
        if !self.is_in_time(record.ts()) {
            return false;
        }
        match record {
            Record::Lost { .. } | Record::Started { .. } => true,
            Record::Decision(decision) => {
                self.is_of(&decision.component, decision.instance)
                    && self.verdict.is_none_or(|verdict| verdict == decision.verdict)
                    && self.has_code(decision.reason.as_deref())
                    && self.goes_to(&decision.attempt, &decision.destination, decision.name.as_deref())
            }
            Record::Outcome(outcome) => {
                self.is_of(&outcome.component, outcome.instance)
                    && self.verdict != Some(Verdict::Deny)
                    && self.has_code(outcome.error.as_deref())
                    && self.goes_to(
                        &outcome.attempt,
                        &outcome.destination,
                        outcome_name(outcome, name),
                    )
            }
        }
    }

    /// True if the time counts.
    pub fn is_in_time(&self, ts: Timestamp) -> bool {
        self.since.is_none_or(|since| ts >= since) && self.until.is_none_or(|until| ts <= until)
    }

    fn is_of(&self, component: &str, instance: u64) -> bool {
        (self.components.is_empty() || self.components.iter().any(|own| own == component))
            && (self.instances.is_empty() || self.instances.contains(&instance))
    }

    fn has_code(&self, code: Option<&str>) -> bool {
        self.codes.is_empty() || code.is_some_and(|code| self.codes.iter().any(|own| own.matches(code)))
    }

    /// True for a destination by its address and by its name.
    fn goes_to(&self, attempt: &str, destination: &str, name: Option<&str>) -> bool {
        if self.destinations.is_empty() {
            return true;
        }
        let peer = Peer::of(attempt, destination, None);
        self.destinations.iter().any(|own| {
            own.matches(peer.host, peer.port) || name.is_some_and(|name| own.matches(name, peer.port))
        })
    }
}

fn outcome_name<'a>(outcome: &'a Outcome<'_>, known: Option<&'a str>) -> Option<&'a str> {
    outcome.name.as_deref().or(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(rest: &str) -> String {
        format!(
            r#"{{"ts":"2026-03-01T09:30:00.000Z","id":1,"component":"web","instance":3,"attempt":"tcp.connect","destination":"10.0.0.5:5432","name":"db.example.com"{rest}}}"#
        )
    }

    #[test]
    fn a_record_counts_if_all_that_is_asked_for_holds() {
        let deny = denial(r#","verdict":"deny","reason":"allow.port""#);
        let outcome =
            denial(r#","outcome":"failed","error":"timeout","decision":1"#).replace("\"id\":1,", "");
        let lost = r#"{"ts":"2026-03-01T09:30:00.000Z","lost":1}"#;
        let of = |change: &dyn Fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            filter
        };
        let time = |text: &str| Some(text.parse().unwrap());
        let rows: [(Filter, [bool; 3]); 17] = [
            (Filter::default(), [true, true, true]),
            (
                of(&|f| f.components = vec!["api".into(), "web".into()]),
                [true, true, true],
            ),
            (of(&|f| f.components = vec!["api".into()]), [false, false, true]),
            (of(&|f| f.instances = vec![3]), [true, true, true]),
            (of(&|f| f.instances = vec![4]), [false, false, true]),
            (
                of(&|f| f.since = time("2026-03-01T09:30:00Z")),
                [true, true, true],
            ),
            (
                of(&|f| f.since = time("2026-03-01T09:30:00.001Z")),
                [false, false, false],
            ),
            (
                of(&|f| f.until = time("2026-03-01T09:29:59.999Z")),
                [false, false, false],
            ),
            (of(&|f| f.verdict = Some(Verdict::Deny)), [true, false, true]),
            (of(&|f| f.verdict = Some(Verdict::Allow)), [false, true, true]),
            (
                of(&|f| f.codes = vec![Code::written("allow.*")]),
                [true, false, true],
            ),
            (
                of(&|f| f.codes = vec![Code::written("allow")]),
                [false, false, true],
            ),
            (
                of(&|f| f.codes = vec![Code::written("timeout")]),
                [false, true, true],
            ),
            (
                of(&|f| f.destinations = vec![Destination::written("10.0.0.5")]),
                [true, true, true],
            ),
            (
                of(&|f| f.destinations = vec![Destination::written("*.Example.com:5432")]),
                [true, true, true],
            ),
            (
                of(&|f| f.destinations = vec![Destination::written("db.example.com:5433")]),
                [false, false, true],
            ),
            (
                of(&|f| f.destinations = vec![Destination::written("*.db.example.com")]),
                [false, false, true],
            ),
        ];
        for (filter, expected) in rows {
            let passes = [deny.as_str(), &outcome, lost].map(|line| {
                let record = Record::parse(line.as_bytes()).unwrap();
                filter.passes(&record, None)
            });
            assert_eq!(passes, expected, "{filter:?}");
        }
    }
}
