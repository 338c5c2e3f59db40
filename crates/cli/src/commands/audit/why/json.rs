//! The answer to `--why` for programs: `docs/schema/audit.json`.

use outport_records::Timestamp;
use outport_records::Verdict;
use outport_records::why::{Answer, Attempted, End, Grant, Host, Lookup, Subject, Unknown};
use serde::Serialize;
use serde_json::{Value, json as value};

use crate::commands::audit::json::document;
use crate::failure::Failure;

#[derive(Serialize)]
struct JsonAnswer<'a> {
    version: u32,
    why: JsonWhy<'a>,
}

#[derive(Serialize)]
struct JsonWhy<'a> {
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    from: Timestamp,
    until: Timestamp,
    instances: Vec<JsonInstance<'a>>,
    beyond: u64,
    unknown: Vec<Value>,
}

#[derive(Serialize)]
struct JsonInstance<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<u64>,
    component: &'a str,
    instance: u64,
    attempts: Vec<JsonAttempt<'a>>,
    more_attempts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<JsonAttempt<'a>>,
    granted_by: Vec<JsonGrant<'a>>,
    ended: Vec<JsonEnded<'a>>,
    last: Timestamp,
}

#[derive(Serialize)]
struct JsonAttempt<'a> {
    ts: Timestamp,
    id: u64,
    attempt: &'a str,
    destination: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
    also: Vec<JsonAlso<'a>>,
    granted_by: Vec<JsonGrant<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<JsonEnded<'a>>,
}

#[derive(Serialize)]
struct JsonAlso<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonGrant<'a> {
    name: &'a str,
    since: Timestamp,
    lookup: JsonLookup<'a>,
}

#[derive(Serialize)]
struct JsonEnded<'a> {
    name: &'a str,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<JsonLookup<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evicted_by: Option<&'a str>,
    at: Timestamp,
}

#[derive(Serialize)]
struct JsonLookup<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    begun: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    answered: Timestamp,
    granted: Vec<String>,
    refused: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

pub(in super::super) fn json(answer: &Answer) -> Result<String, Failure> {
    let question = &answer.question;
    document(&JsonAnswer {
        version: 1,
        why: JsonWhy {
            host: match &question.host {
                Host::Address(address) => address.to_string(),
                Host::Name(name) => name.clone(),
            },
            port: question.port,
            from: question.from,
            until: question.until,
            instances: answer.subjects.iter().map(instance).collect(),
            beyond: answer.beyond,
            unknown: answer.unknown.iter().map(unknown).collect(),
        },
    })
}

fn instance(subject: &Subject) -> JsonInstance<'_> {
    JsonInstance {
        process: subject.run.process(),
        component: &subject.component,
        instance: subject.instance,
        attempts: subject.attempts.iter().map(attempt).collect(),
        more_attempts: subject.more_attempts,
        before: subject.before.as_ref().map(attempt),
        granted_by: subject.granted_by.iter().map(grant).collect(),
        ended: subject.ended.iter().map(ended).collect(),
        last: subject.last,
    }
}

fn attempt(own: &Attempted) -> JsonAttempt<'_> {
    JsonAttempt {
        ts: own.ts,
        id: own.id,
        attempt: &own.attempt,
        destination: &own.destination,
        name: own.name.as_deref(),
        verdict: own.verdict,
        reason: own.reason.as_deref(),
        detail: own.detail.as_deref(),
        rule: own.rule.as_deref(),
        closest: own.closest.as_deref(),
        remedy: own.remedy.as_deref(),
        also: own
            .also
            .iter()
            .map(|(reason, remedy)| JsonAlso {
                reason,
                remedy: remedy.as_deref(),
            })
            .collect(),
        granted_by: own.granted_by.iter().map(grant).collect(),
        ended: own.ended.as_ref().map(ended),
    }
}

fn grant(own: &Grant) -> JsonGrant<'_> {
    JsonGrant {
        name: &own.lookup.name,
        since: own.since,
        lookup: lookup(&own.lookup),
    }
}

fn ended((own, end): &(Grant, End)) -> JsonEnded<'_> {
    let (replaced_by, evicted_by, at) = match end {
        End::Replaced(by) => (Some(lookup(by)), None, by.answered),
        End::Evicted { at, by } => (None, Some(by.as_str()), *at),
    };
    JsonEnded {
        name: &own.lookup.name,
        since: own.since,
        replaced_by,
        evicted_by,
        at,
    }
}

fn lookup(own: &Lookup) -> JsonLookup<'_> {
    let refused = own
        .refused
        .iter()
        .map(|(address, reason)| value!({ "address": address, "reason": reason }));
    JsonLookup {
        id: own.number,
        begun: own.begun,
        rule: own.rule.as_deref(),
        answered: own.answered,
        granted: own.granted.iter().map(ToString::to_string).collect(),
        refused: refused.collect(),
        error: own.error.as_deref(),
    }
}

fn unknown(own: &Unknown) -> Value {
    match own {
        Unknown::Empty => value!({ "code": "empty" }),
        Unknown::BeginsLater(first) => value!({ "code": "begins-later", "first": first }),
        Unknown::BeginsAt(first) => value!({ "code": "begins-at", "first": first }),
        Unknown::EndsBefore(last) => value!({ "code": "ends-before", "last": last }),
        Unknown::Lost(lines) => value!({ "code": "lost", "lines": lines }),
        Unknown::OnlyDenials => value!({ "code": "only-denials" }),
        Unknown::WithoutLookups => value!({ "code": "without-lookups" }),
        Unknown::Forgotten => value!({ "code": "forgotten" }),
        _ => value!({ "code": "other" }),
    }
}
