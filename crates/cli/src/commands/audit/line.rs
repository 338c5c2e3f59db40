//! One record as one line for people.

use outport_policy::text;
use outport_records::{Decision, Outcome, Record, Stage, Verdict};

use super::shown::{bytes, count, foreign, took};

pub(super) fn line(record: &Record<'_>) -> String {
    match record {
        Record::Decision(decision) => decided(decision),
        Record::Outcome(outcome) => came_of(outcome),
        Record::Lost { ts, lost } => format!("{ts} {} lines were lost", count(*lost)),
        Record::Started { ts } => format!("{ts} a process started"),
        _ => String::new(),
    }
}

fn decided(decision: &Decision<'_>) -> String {
    let verdict = match decision.verdict {
        Verdict::Allow => "allowed",
        Verdict::Deny => "denied",
    };
    let head = (&*decision.component, decision.instance, &*decision.attempt);
    let mut line = format!("{} {verdict}: {}", decision.ts, who(head, &decision.destination));
    named(&mut line, decision.name.as_deref());
    if let Some(reason) = &decision.reason {
        line.push_str(&format!(" [{}]", foreign(reason)));
    }
    for part in [&decision.detail, &decision.rule, &decision.remedy]
        .into_iter()
        .flatten()
    {
        line.push_str("; ");
        line.push_str(&foreign(part));
    }
    for also in &decision.also {
        let what = also.remedy.as_ref().unwrap_or(&also.detail);
        line.push_str(&format!("; and [{}] {}", foreign(&also.reason), foreign(what)));
    }
    line
}

fn came_of(outcome: &Outcome<'_>) -> String {
    let stage = match outcome.stage {
        Stage::Succeeded => "succeeded",
        Stage::Failed => "failed",
        Stage::Ended => "ended",
    };
    let head = (&*outcome.component, outcome.instance, &*outcome.attempt);
    let mut line = format!("{} {stage}: {}", outcome.ts, who(head, &outcome.destination));
    named(&mut line, outcome.name.as_deref());
    if let Some(error) = &outcome.error {
        line.push_str(&format!(" [{}]", foreign(error)));
    }
    if let Some(status) = outcome.status {
        line.push_str(&format!(" {status}"));
    }
    if let Some(millis) = outcome.duration_ms {
        line.push_str(&format!(" in {}", took(millis)));
    }
    if let (Some(sent), Some(received)) = (outcome.sent, outcome.received) {
        // Of a UDP socket they are datagrams.
        let amount = |number| {
            if &*outcome.attempt == "socket.create" {
                format!("{} datagrams", count(number))
            } else {
                bytes(number)
            }
        };
        line.push_str(&format!(", {} sent, {} received", amount(sent), amount(received)));
    }
    if let Some(ended_by) = &outcome.ended_by {
        line.push_str(&format!(", by {}", foreign(ended_by)));
    }
    line
}

fn who((component, instance, attempt): (&str, u64, &str), destination: &str) -> String {
    let (component, attempt) = (text::message(component), foreign(attempt));
    format!(
        "component `{component}` #{instance} {attempt} {}",
        foreign(destination)
    )
}

fn named(line: &mut String, name: Option<&str>) {
    if let Some(name) = name {
        line.push_str(&format!(" ({})", foreign(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_and_nothing_in_it_is_obeyed() {
        let rows = [
            (
                r#"{"ts":"2026-03-01T09:30:00.000Z","id":1,"component":"we\nb","instance":3,"attempt":"tcp.connect","destination":"10.0.0.5:80","name":"a.test","verdict":"deny","reason":"allow.none","detail":"no entry","remedy":"add \"x\u001b[2J\"","also":[{"reason":"deny.host","detail":"listed"}]}"#,
                "2026-03-01T09:30:00.000Z denied: component `we\\nb` #3 tcp.connect 10.0.0.5:80 (a.test) [allow.none]; no entry; add \"x\u{fffd}[2J\"; and [deny.host] listed",
            ),
            (
                r#"{"ts":"2026-03-01T09:30:00.000Z","decision":1,"component":"web","instance":3,"attempt":"http.request","destination":"https://a.test:443","outcome":"ended","duration_ms":12,"sent":1,"received":2048,"ended_by":"complete"}"#,
                "2026-03-01T09:30:00.000Z ended: component `web` #3 http.request https://a.test:443 in 12 ms, 1 B sent, 2.0 KiB received, by complete",
            ),
            (
                r#"{"ts":"2026-03-01T09:30:00.000Z","lost":1200}"#,
                "2026-03-01T09:30:00.000Z 1,200 lines were lost",
            ),
            (
                r#"{"ts":"2026-03-01T09:30:00.000Z","started":true}"#,
                "2026-03-01T09:30:00.000Z a process started",
            ),
        ];
        for (written, expected) in rows {
            assert_eq!(line(&Record::parse(written.as_bytes()).unwrap()), expected);
        }
    }
}
