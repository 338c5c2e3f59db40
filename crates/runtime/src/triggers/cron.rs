//! The clock as a connector: an event at each time of a cron expression.
//!
//! One run at a time: what comes while one is under way is left out, and said. What came while the machine slept, or when
//! its clock was set forward, is one run. What time it is, is looked at again and again, since it can be set; the
//! [`Agenda`] says what to do then.

mod agenda;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use outport_manifest::CronSchedule;
use tokio::time::sleep;
use tracing::Level;

use self::agenda::{Agenda, Step};
use super::connector::{Connector, ConnectorError, Delivery, Outcome, Receipt};
use super::event::Event;
use crate::failure_log::FailureLog;

/// What time it is.
type WallClock = Box<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A clock that starts a component at times.
pub(super) struct CronConnector {
    schedule: CronSchedule,
    clock: WallClock,
    agenda: Option<Agenda>,
    failures: Arc<FailureLog>,
}

impl CronConnector {
    /// The clock of the machine.
    pub(super) fn new(schedule: &CronSchedule, failures: &Arc<FailureLog>) -> Self {
        Self::with_clock(schedule, failures, Box::new(|| utc(SystemTime::now())))
    }

    fn with_clock(schedule: &CronSchedule, failures: &Arc<FailureLog>, clock: WallClock) -> Self {
        Self {
            schedule: schedule.clone(),
            clock,
            agenda: None,
            failures: Arc::clone(failures),
        }
    }

    /// Tells that runs were left out, once for each: those of one reason are counted.
    fn tell_missed(&self, missed: usize, why: &str) {
        let (component, expression) = (self.failures.component(), &self.schedule.expression.value);
        for _ in 0..missed {
            let what = format!("component `{component}` was not started at a time of `{expression}`: {why}");
            self.failures.add(Level::WARN, what);
        }
    }
}

#[async_trait]
impl Connector for CronConnector {
    fn listens_to(&self) -> String {
        let CronSchedule {
            expression,
            time_zone,
        } = &self.schedule;
        format!("the clock, `{}` {time_zone}", expression.value)
    }

    async fn connect(&mut self) -> Result<(), ConnectorError> {
        self.agenda = Some(Agenda::new(&self.schedule, (self.clock)()));
        Ok(())
    }

    async fn next(&mut self) -> Result<Delivery, ConnectorError> {
        loop {
            let now = (self.clock)();
            let agenda = self
                .agenda
                .get_or_insert_with(|| Agenda::new(&self.schedule, now));
            match agenda.look(now) {
                Step::Wait(time) => sleep(time).await,
                Step::Run { missed } => {
                    self.tell_missed(
                        missed,
                        "that had passed when the clock was looked at, so that there is one run for several",
                    );
                    return Ok(Delivery {
                        event: Event::Cron {
                            timestamp: u64::try_from(now.timestamp()).unwrap_or(0),
                        },
                        receipt: Receipt(0),
                        lane: None,
                    });
                }
            }
        }
    }

    async fn settle(&mut self, _receipt: Receipt, _outcome: Outcome) -> Result<(), ConnectorError> {
        let now = (self.clock)();
        let missed = self.agenda.as_mut().map_or(0, |agenda| agenda.ended(now));
        self.tell_missed(missed, "the run before had not ended");
        Ok(())
    }
}

/// That time. One before 1970 is taken for its begin, and one after 9999 for its end: a clock may never have been set.
fn utc(time: SystemTime) -> DateTime<Utc> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).map_or(LATEST, |seconds| seconds.min(LATEST));
    DateTime::from_timestamp(seconds, since.subsec_nanos()).unwrap_or_default()
}

/// The last second of the year 9999.
const LATEST: i64 = 253_402_300_799;

#[cfg(test)]
mod tests;
