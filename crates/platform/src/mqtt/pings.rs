//! What keeps a connection to a broker alive, and notices that the broker is gone.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::driver::Ended;

/// What keeps a connection alive on which nothing is sent.
pub(super) struct Pings {
    interval: Option<Duration>,
    last_sent: Instant,
    unanswered: u32,
    /// Since when the broker owes an answer.
    owed_since: Instant,
}

impl Pings {
    /// A little earlier than the broker has to be sent something.
    pub(super) fn new(keep_alive: u16) -> Self {
        let now = Instant::now();
        Self {
            interval: (keep_alive > 0).then(|| Duration::from_secs(keep_alive.into()) * 3 / 4),
            last_sent: now,
            unanswered: 0,
            owed_since: now,
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let due = self.last_sent + self.interval?;
        Some(match self.unanswered {
            0 => due,
            _ => due.min(self.owed_since + ANSWER_TIME),
        })
    }

    pub(super) fn sent(&mut self) {
        self.last_sent = Instant::now();
    }

    pub(super) fn asked(&mut self) {
        if self.unanswered == 0 {
            self.owed_since = Instant::now();
        }
        self.unanswered += 1;
    }

    pub(super) fn answered(&mut self) -> Result<(), Ended> {
        self.unanswered = self.unanswered.checked_sub(1).ok_or(Ended::Unasked)?;
        self.owed_since = Instant::now();
        Ok(())
    }

    /// Who could not hear an answer has not waited for it: the time that it may take begins now.
    pub(super) fn wait_anew(&mut self) {
        self.owed_since = Instant::now();
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.unanswered > 0 && self.owed_since.elapsed() >= ANSWER_TIME
    }
}

pub(super) async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// How long an answer may take.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(60);
