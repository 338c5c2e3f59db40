//! The result for programs: one JSON object, described by `docs/schema/learn.json`.

use outport_policy::{Entry, Host, text};
use serde::Serialize;

use super::comparison::{Comparison, Present};
use super::seen::Seen;
use super::uses::{Target, Times, Use};

/// The result as JSON, with a line end.
pub fn learn_json(lists: &[Comparison<'_>], seen: &Seen) -> String {
    let report = Report {
        version: 1,
        lists: lists.iter().map(List::of).collect(),
        refused: seen.refusals().map(Refused::of).collect(),
        unanswered: seen
            .unanswered()
            .map(|one| Unanswered {
                component: shown(&one.component),
                name: one.name.as_str(),
                times: TimesShown::of(&one.times),
            })
            .collect(),
        complete: seen.is_complete(),
        left_out: seen.left_out(),
        lost: seen.lost(),
        forgotten: seen.forgotten(),
    };
    let mut text = serde_json::to_string_pretty(&report).expect("INVARIANT: keys are texts");
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    lists: Vec<List<'a>>,
    refused: Vec<Refused<'a>>,
    unanswered: Vec<Unanswered<'a>>,
    complete: bool,
    left_out: u64,
    lost: u64,
    forgotten: u64,
}

#[derive(Serialize)]
struct List<'a> {
    component: String,
    entries: Vec<Proposed<'a>>,
    wider: Vec<Standing<'a>>,
    never_used: Vec<Standing<'a>>,
}

#[derive(Serialize)]
struct Proposed<'a> {
    entry: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    covered_by: Vec<Standing<'a>>,
    for_lookup_alone: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lets_in_besides: Option<&'a str>,
    uses: Vec<UseShown<'a>>,
}

/// An entry that is there.
#[derive(Serialize)]
struct Standing<'a> {
    entry: &'a str,
    location: String,
}

#[derive(Serialize)]
struct UseShown<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'a str>,
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    by: Vec<String>,
    #[serde(flatten)]
    times: TimesShown<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_named: Vec<&'a str>,
}

#[derive(Serialize)]
struct TimesShown<'a> {
    count: u64,
    first: &'a str,
    last: &'a str,
}

#[derive(Serialize)]
struct Refused<'a> {
    component: String,
    attempt: &'a str,
    destination: &'a str,
    reason: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
    #[serde(flatten)]
    times: TimesShown<'a>,
}

#[derive(Serialize)]
struct Unanswered<'a> {
    component: String,
    name: &'a str,
    #[serde(flatten)]
    times: TimesShown<'a>,
}

impl<'a> List<'a> {
    fn of(list: &'a Comparison<'a>) -> Self {
        let needed = list.present.iter().filter_map(|one| match one {
            Present::Needed { entry, uses } | Present::AskedFor { entry, uses } => Some(Proposed {
                entry: entry.text().to_owned(),
                status: "present",
                location: Some(entry.location().to_string()),
                covered_by: Vec::new(),
                for_lookup_alone: false,
                lets_in_besides: None,
                uses: uses.iter().map(|used| UseShown::of(used)).collect(),
            }),
            _ => None,
        });
        let missing = list.missing.iter().map(|one| Proposed {
            entry: one.least.entry.to_string(),
            status: if one.covered { "covered" } else { "missing" },
            location: None,
            covered_by: one.covered_by.iter().map(|entry| Standing::of(entry)).collect(),
            for_lookup_alone: one.least.for_lookup,
            lets_in_besides: one.least.folded.as_ref().map(|folded| folded.lets_in.as_str()),
            uses: one.least.uses.iter().map(|used| UseShown::of(used)).collect(),
        });
        let wider = list.present.iter().filter_map(|one| match one {
            Present::Wider { entry, .. } => Some(Standing::of(entry)),
            _ => None,
        });
        let never_used = list.present.iter().filter_map(|one| match one {
            Present::NeverUsed(entry) => Some(Standing::of(entry)),
            _ => None,
        });
        Self {
            component: shown(&list.list),
            entries: needed.chain(missing).collect(),
            wider: wider.collect(),
            never_used: never_used.collect(),
        }
    }
}

impl<'a> Standing<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            entry: entry.text(),
            location: entry.location().to_string(),
        }
    }
}

impl<'a> UseShown<'a> {
    fn of(used: &'a Use) -> Self {
        let (scheme, port) = match &used.target {
            Target::Socket { port, .. } => (None, Some(*port)),
            Target::Request { scheme, port, .. } => (Some(scheme.as_str()), Some(*port)),
            Target::Lookup { .. } => (None, None),
        };
        let by_name = matches!(used.target.host(), Host::Name(_));
        let addresses = used.addresses.iter().filter(|_| by_name);
        Self {
            kind: used.target.what(),
            scheme,
            host: used.target.host().to_string(),
            port,
            by: used.by.iter().map(|component| shown(component)).collect(),
            times: TimesShown::of(&used.times),
            addresses: addresses.map(ToString::to_string).collect(),
            also_named: used.also_named.iter().map(outport_policy::Name::as_str).collect(),
        }
    }
}

impl<'a> TimesShown<'a> {
    fn of(times: &'a Times) -> Self {
        Self {
            count: times.count,
            first: &times.first,
            last: &times.last,
        }
    }
}

impl<'a> Refused<'a> {
    fn of(refusal: &'a super::seen::Refusal) -> Self {
        Self {
            component: shown(&refusal.component),
            attempt: &refusal.attempt,
            destination: &refusal.destination,
            reason: &refusal.reason,
            detail: &refusal.detail,
            remedy: refusal.remedy.as_deref(),
            times: TimesShown::of(&refusal.times),
        }
    }
}

fn shown(component: &str) -> String {
    text::message(component).to_string()
}
