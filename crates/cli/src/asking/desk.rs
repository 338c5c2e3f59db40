//! The questions that stand, and what was answered: who waits for which, in which order, for how long. No terminal, no clock.
//!
//! | a question | is answered |
//! | --- | --- |
//! | that was answered with run, write or no | at once, the same |
//! | that nobody answered within [`PATIENCE`] | no, and at once no for as long again: whoever tries in a loop is not held up each time |
//! | that stands already | with that one |
//! | beyond [`A_MINUTE`] new ones within a minute | no, at once; said once a minute, and forgotten |
//! | beyond [`OF_ONE`] of those for one component, where there are others | the same |
//! | any other | by whoever is asked: the components in turn, and of each the one that came first |
//!
//! A question that nobody waits for any more is withdrawn. Each waits for no longer than [`PATIENCE`] from when it was first
//! asked, whether or not it was shown: so long an attempt is held up at most.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use outport_egress::{Question, Reply};
use outport_policy::Addition;
use tokio::sync::watch;

/// The questions of a process.
pub(super) struct Desk<Q> {
    standing: VecDeque<Standing<Q>>,
    answered: HashMap<Key, Answered>,
    /// When the last new questions came, and for which component.
    came: VecDeque<(Instant, Arc<str>)>,
    /// New questions within a minute for one component.
    of_one: usize,
    /// The number of the last turn of each component.
    turns: HashMap<Arc<str>, u64>,
    turn: u64,
    /// Questions beyond what may come in a minute, that nobody was told of yet.
    beyond: u64,
    told_of_beyond: Option<Instant>,
    next: u64,
    closed: bool,
}

/// What is asked: the list, and the addition to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    list: Arc<str>,
    addition: String,
}

struct Answered {
    reply: Reply,
    at: Instant,
    /// Until when it holds, if not for the run.
    until: Option<Instant>,
}

struct Standing<Q> {
    number: u64,
    key: Key,
    question: Arc<Q>,
    since: Instant,
    reply: watch::Sender<Option<Reply>>,
}

/// A question as it is shown.
pub(super) struct Shown<Q> {
    pub(super) number: u64,
    pub(super) question: Arc<Q>,
    /// When it will be a no.
    pub(super) until: Instant,
}

/// What becomes of a question when it is asked.
pub(super) enum Asked {
    Answered(Reply),
    Waits(Waiting),
}

/// Who waits for the answer to a question.
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) reply: watch::Receiver<Option<Reply>>,
    /// When it will be a no.
    pub(super) until: Instant,
}

/// An answer of a person, or of nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    No,
    Once,
    /// For the run, whether or not it was written down.
    Run,
    /// Nobody said anything.
    Silence,
}

/// The state of a question that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Stands,
    /// Nobody waits for the answer any more.
    Withdrawn,
    /// It has waited for as long as a question may.
    OutOfTime,
}

impl<Q> Desk<Q> {
    /// A desk for one component, or for `several`.
    pub(super) fn new(several: bool) -> Self {
        Self {
            of_one: if several { OF_ONE } else { A_MINUTE },
            turns: HashMap::new(),
            turn: 0,
            standing: VecDeque::new(),
            answered: HashMap::new(),
            came: VecDeque::new(),
            beyond: 0,
            told_of_beyond: None,
            next: 0,
            closed: false,
        }
    }

    /// Takes a question.
    pub(super) fn ask(&mut self, key: Key, question: Q, now: Instant) -> Asked {
        if self.closed {
            return Asked::Answered(Reply::No);
        }
        if let Some(reply) = self.known(&key, now) {
            return Asked::Answered(reply);
        }
        if let Some(same) = self.standing.iter().find(|standing| standing.key == key)
            && now.duration_since(same.since) < PATIENCE
        {
            return Asked::Waits(same.waiting());
        }
        while self
            .came
            .front()
            .is_some_and(|(came, _)| now.duration_since(*came) >= MINUTE)
        {
            self.came.pop_front();
        }
        let component = key.component();
        let of_it = self.came.iter().filter(|(_, of)| **of == *component).count();
        if self.came.len() >= A_MINUTE || of_it >= self.of_one {
            self.beyond += 1;
            return Asked::Answered(Reply::No);
        }
        self.came.push_back((now, component.into()));
        self.next += 1;
        let standing = Standing {
            number: self.next,
            key,
            question: Arc::new(question),
            since: now,
            reply: watch::Sender::new(None),
        };
        let waiting = standing.waiting();
        self.standing.push_back(standing);
        Asked::Waits(waiting)
    }

    /// The question to show now: of the component whose last turn is longest ago, the first that came. Those that were
    /// withdrawn or have waited too long before they were shown are gone.
    pub(super) fn first(&mut self, now: Instant) -> Option<Shown<Q>> {
        let numbers: Vec<u64> = self.standing.iter().map(|standing| standing.number).collect();
        for number in numbers {
            match self.state(number, now) {
                State::Stands => {}
                State::Withdrawn => {
                    self.answer(number, Answer::No, now);
                }
                State::OutOfTime => {
                    self.answer(number, Answer::Silence, now);
                }
            }
        }
        let turn = |standing: &&Standing<Q>| {
            let last = self.turns.get(standing.key.component());
            (last.copied().unwrap_or(0), standing.number)
        };
        self.standing.iter().min_by_key(turn).map(Standing::shown)
    }

    /// The state of a question that was shown.
    pub(super) fn state(&self, number: u64, now: Instant) -> State {
        match self.standing.iter().find(|standing| standing.number == number) {
            None => State::Withdrawn,
            Some(standing) if standing.reply.receiver_count() == 0 => State::Withdrawn,
            Some(standing) if now.duration_since(standing.since) >= PATIENCE => State::OutOfTime,
            Some(_) => State::Stands,
        }
    }

    /// Answers all who wait for a question, and remembers it. False if nobody waits any more.
    pub(super) fn answer(&mut self, number: u64, answer: Answer, now: Instant) -> bool {
        let Some(place) = self
            .standing
            .iter()
            .position(|standing| standing.number == number)
        else {
            return false;
        };
        let Some(standing) = self.standing.remove(place) else {
            return false;
        };
        self.turn += 1;
        self.turns.insert(standing.key.component().into(), self.turn);
        let reply = answer.reply();
        let withdrawn = standing.reply.receiver_count() == 0;
        // What nobody waited for was not answered by anybody; and once is over.
        if answer != Answer::Once && !withdrawn {
            let until = (answer == Answer::Silence).then(|| now + PATIENCE);
            self.remember(
                standing.key,
                Answered {
                    reply,
                    at: now,
                    until,
                },
            );
        }
        standing.reply.send_replace(Some(reply));
        !withdrawn
    }

    /// No to all, from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for standing in self.standing.drain(..) {
            standing.reply.send_replace(Some(Reply::No));
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many questions nobody was asked, since there were too many, to be told now: at most once a minute.
    pub(super) fn take_beyond(&mut self, now: Instant) -> Option<u64> {
        let told = self.told_of_beyond;
        if self.beyond == 0 || told.is_some_and(|told| now.duration_since(told) < MINUTE) {
            return None;
        }
        self.told_of_beyond = Some(now);
        Some(std::mem::take(&mut self.beyond))
    }

    fn known(&mut self, key: &Key, now: Instant) -> Option<Reply> {
        let answered = self.answered.get(key)?;
        if answered.until.is_some_and(|until| now >= until) {
            self.answered.remove(key);
            return None;
        }
        Some(answered.reply)
    }

    fn remember(&mut self, key: Key, answered: Answered) {
        if self.answered.len() >= REMEMBERED {
            let oldest = self.answered.iter().min_by_key(|(_, answered)| answered.at);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| self.answered.remove(&key));
        }
        self.answered.insert(key, answered);
    }
}

impl<Q> Standing<Q> {
    fn waiting(&self) -> Waiting {
        Waiting {
            number: self.number,
            reply: self.reply.subscribe(),
            until: self.since + PATIENCE,
        }
    }

    fn shown(&self) -> Shown<Q> {
        Shown {
            number: self.number,
            question: self.question.clone(),
            until: self.since + PATIENCE,
        }
    }
}

impl Key {
    /// The component whose list it is, or that of a part of it.
    fn component(&self) -> &str {
        self.list
            .split_once('/')
            .map_or(&*self.list, |(component, _)| component)
    }

    #[cfg(test)]
    pub(super) fn new(list: &str, addition: &str) -> Self {
        Self {
            list: list.into(),
            addition: addition.to_owned(),
        }
    }

    pub(super) fn of(question: &Question) -> Self {
        let addition = match &question.addition {
            Addition::Entry(entry) => entry.text().to_owned(),
            // No entry looks like it.
            Addition::Lookup(lookup) => format!("look-up {}", lookup.name()),
        };
        Self {
            list: question.list.clone(),
            addition,
        }
    }
}

impl Answer {
    fn reply(self) -> Reply {
        match self {
            Self::No | Self::Silence => Reply::No,
            Self::Once => Reply::Once,
            Self::Run => Reply::Run,
        }
    }
}

/// The time that a question waits at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// New questions within a minute.
pub(super) const A_MINUTE: usize = 20;

/// Those for one component where there are others, so that each comes to its questions.
pub(super) const OF_ONE: usize = A_MINUTE / 2;

const MINUTE: Duration = Duration::from_secs(60);

/// Answers that are remembered: those of hours, at twenty a minute.
const REMEMBERED: usize = 4096;

#[cfg(test)]
mod tests;
