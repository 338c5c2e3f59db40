//! Audit logs, read to learn from them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use outport_check::Diagnostic;
use outport_check::learn::{Collector, Event, FailedLookup, Refused, Seen};
use outport_policy::text;
use outport_records::{Decision, Input, Outcome, Record, Stage, Tally, read as read_records};

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
    let mut collector = Collector::default();
    let tally = read_records(&inputs, |record, _| {
        take(&mut collector, &record);
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

fn take(collector: &mut Collector, record: &Record<'_>) {
    match record {
        Record::Decision(decision) => take_decision(collector, decision),
        Record::Outcome(outcome) => take_outcome(collector, outcome),
        Record::Lost { lost, .. } => collector.lost(*lost),
        Record::Started { .. } => collector.started(),
        _ => {}
    }
}

fn take_decision(collector: &mut Collector, decision: &Decision<'_>) {
    let others = decision.also.iter().map(|other| &*other.reason);
    let also = others.into_iter().find(|reason| is_of_others(reason));
    let at = decision.ts.to_string();
    collector.decision(&Event {
        at: &at,
        component: &decision.component,
        instance: decision.instance,
        attempt: &decision.attempt,
        destination: &decision.destination,
        name: decision.name.as_deref(),
        refused: decision.reason.as_deref().map(|reason| Refused {
            reason,
            detail: decision.detail.as_deref().unwrap_or_default(),
            remedy: decision.remedy.as_deref(),
            also,
        }),
    });
}

fn take_outcome(collector: &mut Collector, outcome: &Outcome<'_>) {
    if outcome.stage == Stage::Failed && outcome.attempt == "dns.lookup" {
        collector.failed_lookup(&FailedLookup {
            component: &outcome.component,
            instance: outcome.instance,
            name: &outcome.destination,
            error: outcome.error.as_deref().unwrap_or_default(),
        });
    }
}
