//! A summary for programs: `docs/schema/audit.json`.

use outport_records::summary::{Component, Failure, Refusal, Summary, Talk};
use outport_records::{Tally, Timestamp};
use serde::Serialize;

use crate::failure::Failure as CommandFailure;

#[derive(Serialize)]
struct JsonSummary<'s> {
    version: u32,
    records: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Timestamp>,
    processes: usize,
    allowed: u64,
    denied: u64,
    lost: u64,
    damaged: u64,
    unreadable: Vec<String>,
    components: Vec<JsonComponent<'s>>,
    beyond: u64,
}

#[derive(Serialize)]
struct JsonComponent<'s> {
    component: &'s str,
    talked: Vec<JsonTalk<'s>>,
    refused: Vec<JsonRefusal<'s>>,
    failed: Vec<JsonFailure<'s>>,
    datagrams: JsonFlow,
    beyond: JsonBeyond,
}

#[derive(Serialize)]
struct JsonTalk<'s> {
    protocol: &'s str,
    host: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    allowed: u64,
    succeeded: u64,
    failed: u64,
    ended: u64,
    sent: u64,
    received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<JsonDurations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'s str>,
    first: Timestamp,
    last: Timestamp,
}

#[derive(Serialize)]
struct JsonDurations {
    count: u64,
    median: u64,
    max: u64,
    total: u64,
}

#[derive(Serialize)]
struct JsonRefusal<'s> {
    attempt: &'s str,
    destination: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'s str>,
    reason: &'s str,
    detail: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closest: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'s str>,
    also: Vec<JsonAlso<'s>>,
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

#[derive(Serialize)]
struct JsonAlso<'s> {
    reason: &'s str,
    detail: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'s str>,
}

#[derive(Serialize)]
struct JsonFailure<'s> {
    protocol: &'s str,
    host: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    error: &'s str,
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

#[derive(Serialize)]
struct JsonFlow {
    sent: u64,
    received: u64,
}

#[derive(Serialize)]
struct JsonBeyond {
    talked: u64,
    refused: u64,
    failed: u64,
}

pub(super) fn json(summary: &Summary, tally: &Tally) -> Result<String, CommandFailure> {
    let unreadable = tally
        .unreadable
        .iter()
        .map(|(path, _)| path.to_string_lossy().into_owned());
    let told = JsonSummary {
        version: 1,
        records: summary.records,
        first: summary.span.map(|(first, _)| first),
        last: summary.span.map(|(_, last)| last),
        processes: summary.processes(),
        allowed: summary.allowed,
        denied: summary.denied,
        lost: summary.lost,
        damaged: tally.damaged,
        unreadable: unreadable.collect(),
        components: summary.components().into_iter().map(component).collect(),
        beyond: summary.beyond(),
    };
    document(&told)
}

/// A document, in characters that no terminal obeys.
pub(super) fn document(told: &impl Serialize) -> Result<String, CommandFailure> {
    let text = serde_json::to_string_pretty(told).map_err(anyhow::Error::from)?;
    let mut document = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c == '\n' || outport_policy::text::mask(c) == c {
            document.push(c);
        } else {
            // Outside of texts there is none.
            c.encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| document.push_str(&format!("\\u{unit:04x}")));
        }
    }
    document.push('\n');
    Ok(document)
}

fn component<'s>((name, own): (&'s str, &'s Component)) -> JsonComponent<'s> {
    JsonComponent {
        component: name,
        talked: own.talks.iter().map(talk).collect(),
        refused: own.refusals.iter().map(refusal).collect(),
        failed: own.failures.iter().map(failure).collect(),
        datagrams: JsonFlow {
            sent: own.datagrams.sent,
            received: own.datagrams.received,
        },
        beyond: JsonBeyond {
            talked: own.talks.beyond(),
            refused: own.refusals.beyond(),
            failed: own.failures.beyond(),
        },
    }
}

fn talk(own: &Talk) -> JsonTalk<'_> {
    JsonTalk {
        protocol: &own.protocol,
        host: &own.host,
        port: own.port,
        allowed: own.allowed,
        succeeded: own.succeeded,
        failed: own.failed,
        ended: own.ended,
        sent: own.flow.sent,
        received: own.flow.received,
        duration_ms: own.durations.median().map(|median| JsonDurations {
            count: own.durations.count(),
            median,
            max: own.durations.max(),
            total: own.durations.total(),
        }),
        rule: own.rule.as_deref(),
        first: own.span.first,
        last: own.span.last,
    }
}

fn refusal(own: &Refusal) -> JsonRefusal<'_> {
    let also = own.also.iter().map(|also| JsonAlso {
        reason: &also.reason,
        detail: &also.detail,
        remedy: also.remedy.as_deref(),
    });
    JsonRefusal {
        attempt: &own.attempt,
        destination: &own.destination,
        name: own.name.as_deref(),
        reason: &own.reason,
        detail: &own.detail,
        rule: own.rule.as_deref(),
        closest: own.closest.as_deref(),
        remedy: own.remedy.as_deref(),
        also: also.collect(),
        count: own.count,
        first: own.span.first,
        last: own.span.last,
    }
}

fn failure(own: &Failure) -> JsonFailure<'_> {
    JsonFailure {
        protocol: &own.protocol,
        host: &own.host,
        port: own.port,
        error: &own.error,
        count: own.count,
        first: own.span.first,
        last: own.span.last,
    }
}
