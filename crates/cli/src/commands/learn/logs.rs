//! Audit logs, read to learn from them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use outport_check::Diagnostic;
use outport_check::learn::{Collector, Event, FailedLookup, Refused, Seen};
use outport_policy::text;
use outport_records::why::ends_grants;
use outport_records::{Decision, Input, Outcome, Record, Runs, Stage, Tally, read as read_records};
use outport_runtime::descriptors;

use crate::failure::Failure;
use crate::files::Files;
use crate::learner::is_of_others;
use crate::terminal::Terminal;

/// All that logs tell, from the oldest on.
///
/// # Errors
///
/// One of them cannot be read.
pub(super) fn read(logs: &[PathBuf], terminal: Terminal) -> Result<Seen, Failure> {
    let inputs: Vec<Input> = logs.iter().cloned().map(Input::named).collect();
    let (mut collector, mut runs) = (Collector::default(), Runs::default());
    // All of them are open at once.
    descriptors::raise_limit();
    let tally = read_records(&inputs, |record, _| {
        // Two replicas may write to one log, or to files that are read as one.
        let process = runs.of(&record).map_or(0, |run| run.number());
        take(&mut collector, process, &record);
        ControlFlow::Continue(())
    });
    refuse_what_is_unreadable(&tally)?;
    if tally.damaged > 0 {
        collector.lost(tally.damaged);
        let first = tally.first_damaged.first();
        let place = first.map_or_else(String::new, |damaged| {
            format!(", the first at {}:{}", text::path(&damaged.path), damaged.line)
        });
        let warning = Diagnostic::warning(format!(
            "{} of {} lines are not records of an audit log{place}",
            tally.damaged, tally.lines
        ));
        terminal.show(&warning, &Files::default());
    }
    Ok(collector.finish())
}

fn refuse_what_is_unreadable(tally: &Tally) -> Result<(), Failure> {
    let problems = tally.unreadable.iter().map(|(path, problem)| {
        Diagnostic::error(format!(
            "cannot read the audit log `{}`: {problem}",
            text::path(path)
        ))
    });
    let problems: Vec<Diagnostic> = problems.collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::unusable_in(&Files::default(), problems))
    }
}

fn take(collector: &mut Collector, process: u64, record: &Record<'_>) {
    match record {
        Record::Decision(decision) => take_decision(collector, process, decision),
        Record::Outcome(outcome) => take_outcome(collector, process, outcome),
        Record::Lost { lost, .. } => collector.lost(*lost),
        _ => {}
    }
}

fn take_decision(collector: &mut Collector, process: u64, decision: &Decision<'_>) {
    let others = decision.also.iter().map(|other| &*other.reason);
    let also = others.into_iter().find(|reason| is_of_others(reason));
    let at = decision.ts.to_string();
    collector.decision(&Event {
        at: &at,
        process,
        component: &decision.component,
        instance: decision.instance,
        attempt: &decision.attempt,
        destination: &decision.destination,
        name: decision.name.as_deref(),
        lookup: decision.lookup,
        refused: decision.reason.as_deref().map(|reason| Refused {
            reason,
            detail: decision.detail.as_deref().unwrap_or_default(),
            remedy: decision.remedy.as_deref(),
            also,
        }),
    });
}

fn take_outcome(collector: &mut Collector, process: u64, outcome: &Outcome<'_>) {
    let has_ended = outcome.stage == Stage::Failed && outcome.error.as_deref().is_some_and(ends_grants);
    if has_ended && outcome.attempt == "dns.lookup" {
        collector.failed_lookup(&FailedLookup {
            process,
            component: &outcome.component,
            instance: outcome.instance,
            name: &outcome.destination,
            lookup: outcome.decision,
        });
    }
}
