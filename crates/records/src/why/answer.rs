//! The answer to why an address could be reached, or could not.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Question, Why};
use crate::runs::Run;
use crate::{Timestamp, Verdict};

/// What the log says about a moment.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked.
    pub question: Question,
    /// Who had something to do with the host by then: who attempted something in the moment first, then whoever could reach it
    /// by a look-up, and of these who was heard of last.
    pub subjects: Vec<Subject>,
    /// Instances beyond the [`SUBJECTS_TOLD`] that are told of.
    pub beyond: u64,
    /// What the log cannot tell.
    pub unknown: Vec<Unknown>,
}

/// Instances that are told of at most.
pub const SUBJECTS_TOLD: usize = 100;

/// One instance.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The process that it is of.
    pub run: Run,
    /// Its component.
    pub component: String,
    /// Its number.
    pub instance: u64,
    /// What it attempted in the moment.
    pub attempts: Vec<Attempted>,
    /// Attempts in the moment beyond these.
    pub more_attempts: u64,
    /// The last one before the moment.
    pub before: Option<Attempted>,
    /// The look-ups by which it could reach the host at the end of the moment.
    pub granted_by: Vec<Grant>,
    /// Grants that had ended by then, the last one last.
    pub ended: Vec<(Grant, End)>,
    /// The time of its last line in the log. If that is before the moment, the instance may have ended, and its grants with
    /// it: that an instance ends is not in the log.
    pub last: Timestamp,
}

/// An attempt to reach the host.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// When it was decided.
    pub ts: Timestamp,
    /// The number of the decision.
    pub id: u64,
    /// The kind of attempt.
    pub attempt: String,
    /// The destination.
    pub destination: String,
    /// The name that it was looked up or dialled by.
    pub name: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// The stable code of the reason, on denial.
    pub reason: Option<String>,
    /// The reason in words.
    pub detail: Option<String>,
    /// The entry or network that decided.
    pub rule: Option<String>,
    /// The entry that came closest.
    pub closest: Option<String>,
    /// What would permit it.
    pub remedy: Option<String>,
    /// The reasons of other layers, each with what would permit it.
    pub also: Vec<(String, Option<String>)>,
    /// The look-ups by which the instance could reach the host at that line.
    pub granted_by: Vec<Grant>,
    /// The last grant that had ended by then.
    pub ended: Option<(Grant, End)>,
}

/// That a name granted the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The newest look-up of the name.
    pub lookup: Arc<Lookup>,
    /// Since when its look-ups have granted it, each of them.
    pub since: Timestamp,
}

/// A look-up that was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The number of the decision about it.
    pub number: u64,
    /// The name.
    pub name: String,
    /// When it began; none where that is not in the log.
    pub begun: Option<Timestamp>,
    /// The entry that permitted it.
    pub rule: Option<String>,
    /// When its outcome was written.
    pub answered: Timestamp,
    /// The addresses that the instance could reach by it; the first 64, and the one that was asked about.
    pub granted: Vec<IpAddr>,
    /// Addresses of the answer that were refused, with the codes of the reasons.
    pub refused: Vec<(IpAddr, String)>,
    /// The error, if the name has no address that may be reached.
    pub error: Option<String>,
    /// False where its beginning is not known, so that a later look-up of the name may have been in force before it.
    pub is_certain: bool,
}

/// The way in which a grant ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The name was looked up again, and the answer does not have the address.
    Replaced(Arc<Lookup>),
    /// Too many other names were looked up since.
    Evicted {
        /// When.
        at: Timestamp,
        /// The name that took its place.
        by: String,
    },
}

/// Something that the log does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// Nothing was read.
    Empty,
    /// The log begins after the moment.
    BeginsLater(Timestamp),
    /// What was before this is not in the log, and something that is told of began before.
    BeginsAt(Timestamp),
    /// The log ends before the moment.
    EndsBefore(Timestamp),
    /// So many lines were lost by the end of the moment.
    Lost(u64),
    /// Nothing that was permitted is in it, as with `--audit-denials`.
    OnlyDenials,
    /// Its answers do not say which look-up they belong to: it was written by an older version.
    WithoutLookups,
    /// More instances had to do with the host than are remembered; those that were heard of last are told.
    Forgotten,
}

pub(super) fn of(why: Why) -> Answer {
    let mut unknown = unknown(&why);
    let has_forgotten = why.subjects.has_forgotten();
    let mut subjects: Vec<Subject> = why
        .subjects
        .into_all()
        .map(|((run, instance, component), names)| Subject {
            run,
            component: component.into(),
            instance,
            attempts: names.attempts,
            more_attempts: names.more_attempts,
            before: names.before,
            granted_by: names.current,
            ended: names.ended,
            last: names.last,
        })
        .collect();
    subjects.sort_by_key(|subject| std::cmp::Reverse(rank(subject)));
    if has_forgotten {
        unknown.push(Unknown::Forgotten);
    }
    if let Some((first, _)) = why.span
        && subjects.iter().any(has_a_gap)
    {
        unknown.push(Unknown::BeginsAt(first));
    }
    let beyond = subjects.len().saturating_sub(SUBJECTS_TOLD) as u64;
    subjects.truncate(SUBJECTS_TOLD);
    Answer {
        question: why.question,
        subjects,
        beyond,
        unknown,
    }
}

/// Who comes first has the highest.
fn rank(subject: &Subject) -> (bool, bool, Timestamp, Run, u64) {
    let (has_attempts, has_grants) = (!subject.attempts.is_empty(), !subject.granted_by.is_empty());
    (
        has_attempts,
        has_grants,
        subject.last,
        subject.run,
        subject.instance,
    )
}

/// True if something that is told of it began before the log does.
fn has_a_gap(subject: &Subject) -> bool {
    let by_look_up = |attempted: &&Attempted| {
        let rule = attempted.rule.as_deref().unwrap_or_default();
        attempted.verdict == Verdict::Allow && rule.contains(" by look-up of ")
    };
    let mut attempts = subject.attempts.iter().chain(&subject.before).filter(by_look_up);
    attempts.any(|attempted| attempted.granted_by.is_empty())
        || subject.granted_by.iter().any(|grant| !grant.lookup.is_certain)
}

fn unknown(why: &Why) -> Vec<Unknown> {
    let Some((first, last)) = why.span else {
        return vec![Unknown::Empty];
    };
    let rows = [
        (first > why.question.until, Unknown::BeginsLater(first)),
        (last < why.question.from, Unknown::EndsBefore(last)),
        (why.lost > 0, Unknown::Lost(why.lost)),
        (!why.has_permits, Unknown::OnlyDenials),
        (why.has_looked_up_without_link, Unknown::WithoutLookups),
    ];
    let holds = rows.into_iter().filter(|(holds, _)| *holds);
    holds.map(|(_, unknown)| unknown).collect()
}
