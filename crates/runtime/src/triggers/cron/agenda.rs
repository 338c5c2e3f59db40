//! When a component is started by the clock: arithmetic over what time it is, which may jump.
//!
//! | what time it is | |
//! | --- | --- |
//! | before the next time | wait, but never so long that a clock that was set is noticed late |
//! | one or several times have passed | one run |
//! | earlier than at the last look | times that were reached already do not come again |
//! | a day earlier, or more | the clock was wrong before: all begins anew |

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use outport_manifest::CronSchedule;

/// The times of a schedule, and how far they were worked off.
#[derive(Debug)]
pub(super) struct Agenda {
    schedule: CronSchedule,
    /// Times up to this one, and this one, are over.
    after: DateTime<Utc>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet: look again after this time.
    Wait(Duration),
    /// Start the component.
    Run {
        /// Further times that have passed, [`MOST_COUNTED`] at most.
        missed: usize,
    },
}

impl Agenda {
    /// All times after `now`.
    pub(super) fn new(schedule: &CronSchedule, now: DateTime<Utc>) -> Self {
        Self {
            schedule: schedule.clone(),
            after: now,
        }
    }

    /// What to do `now`, while nothing runs.
    pub(super) fn look(&mut self, now: DateTime<Utc>) -> Step {
        if self.after - now >= SET_RIGHT {
            self.after = now;
        }
        let wait = match self.next_after(self.after) {
            // No time is left before the year 5000.
            None => LONGEST_WAIT,
            Some(next) if next > now => {
                let until = (next - now).to_std().unwrap_or(LONGEST_WAIT);
                // A timer may be a little early; then the rest is waited for, not nothing in a circle.
                until.max(SHORTEST_WAIT).min(LONGEST_WAIT)
            }
            Some(first) => {
                let missed = self.passed(first, now);
                self.after = now;
                return Step::Run { missed };
            }
        };
        Step::Wait(wait)
    }

    /// A run ended `now`. Answers how many times came meanwhile, [`MOST_COUNTED`] at most: they are over.
    pub(super) fn ended(&mut self, now: DateTime<Utc>) -> usize {
        if now <= self.after {
            return 0;
        }
        let missed = self.passed(self.after, now);
        self.after = now;
        missed
    }

    /// The number of times after `from` up to `now`.
    fn passed(&self, from: DateTime<Utc>, now: DateTime<Utc>) -> usize {
        let times = std::iter::successors(self.next_after(from), |time| self.next_after(*time));
        times.take_while(|time| *time <= now).take(MOST_COUNTED).count()
    }

    fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let CronSchedule {
            expression,
            time_zone,
        } = &self.schedule;
        expression.value.next_after(time, *time_zone)
    }
}

/// The longest time for which the clock is not looked at: it may be set meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Missed times that are counted.
pub(super) const MOST_COUNTED: usize = 1000;

/// A clock that was ahead by so much had not been set yet.
const SET_RIGHT: TimeDelta = TimeDelta::days(1);

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use outport_manifest::{CronExpression, Located};
    use proptest::prelude::*;

    use super::*;

    fn schedule(text: &str, time_zone: Tz) -> CronSchedule {
        let expression = CronExpression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        CronSchedule {
            expression: Located::new(expression, 0..0),
            time_zone,
        }
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn each_look_says_what_is_to_be_done() {
        let minute = schedule("0 * * * * *", Tz::UTC);
        let mut agenda = Agenda::new(&minute, utc("2026-11-30T10:00:00Z"));
        let wait = |seconds| Step::Wait(Duration::from_secs(seconds));
        let run = |missed| Step::Run { missed };
        // (what time it is, what is to be done)
        for (now, step) in [
            ("10:00:00", wait(10)),
            ("10:00:57", wait(3)),
            ("10:01:00", run(0)),
            ("10:01:00", wait(10)),
            // It was late.
            ("10:02:07", run(0)),
            // It slept.
            ("10:10:30", run(7)),
            ("10:10:31", wait(10)),
            // The clock was set back: what was reached is over.
            ("10:05:00", wait(10)),
            ("10:10:00", wait(10)),
            ("10:11:00", run(0)),
        ] {
            assert_eq!(agenda.look(utc(&format!("2026-11-30T{now}Z"))), step, "{now}");
        }
        // It had been wrong by years.
        assert_eq!(agenda.look(utc("2020-01-01T00:00:30Z")), wait(10));
        assert_eq!(agenda.look(utc("2020-01-01T00:01:00Z")), run(0));
    }

    #[test]
    fn what_comes_while_a_run_is_under_way_is_left_out_and_counted() {
        let minute = schedule("0 * * * * *", Tz::UTC);
        let mut agenda = Agenda::new(&minute, utc("2026-11-30T10:00:30Z"));
        assert_eq!(agenda.look(utc("2026-11-30T10:01:00Z")), Step::Run { missed: 0 });
        assert_eq!(agenda.ended(utc("2026-11-30T10:01:59Z")), 0);
        assert_eq!(agenda.look(utc("2026-11-30T10:02:00Z")), Step::Run { missed: 0 });
        assert_eq!(agenda.ended(utc("2026-11-30T10:05:00Z")), 3);
        assert_eq!(
            agenda.look(utc("2026-11-30T10:05:59Z")),
            Step::Wait(Duration::from_secs(1))
        );
        // The clock was set back while it ran.
        assert_eq!(agenda.look(utc("2026-11-30T10:06:00Z")), Step::Run { missed: 0 });
        assert_eq!(agenda.ended(utc("2026-11-30T09:00:00Z")), 0);
        assert_eq!(
            agenda.look(utc("2026-11-30T10:06:00Z")),
            Step::Wait(Duration::from_secs(10))
        );
        // Ages later.
        assert_eq!(agenda.look(utc("2026-11-30T10:07:00Z")), Step::Run { missed: 0 });
        assert_eq!(agenda.ended(utc("2030-01-01T00:00:00Z")), MOST_COUNTED);
    }

    /// What happens: time passes, or the clock is set; a run is started wherever one is due, and takes some time.
    fn histories() -> impl Strategy<Value = Vec<(i64, i64)>> {
        let passes = 0..400i64;
        let takes = prop_oneof![3 => Just(0i64), 1 => 1..400i64];
        proptest::collection::vec((passes, takes), 1..60)
    }

    fn schedules() -> impl Strategy<Value = CronSchedule> {
        let texts = prop::sample::select(vec![
            "*/7 * * * * *",
            "0 * * * * *",
            "30 */2 * * * *",
            "0 30 2 * * *",
            "0 */20 1-3 * * *",
        ]);
        let zones = prop::sample::select(vec![Tz::UTC, Tz::Europe__Berlin, Tz::America__New_York]);
        (texts, zones).prop_map(|(text, zone)| schedule(text, zone))
    }

    /// A naive model: every second is looked at for itself.
    fn times(schedule: &CronSchedule, from: DateTime<Utc>, to: DateTime<Utc>) -> usize {
        let mut count = 0;
        let mut second = from;
        while second < to {
            second += TimeDelta::seconds(1);
            let before = second - TimeDelta::seconds(1);
            count +=
                usize::from(schedule.expression.value.next_after(before, schedule.time_zone) == Some(second));
        }
        count
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn every_time_is_a_run_or_was_missed_while_the_clock_goes_on(
            schedule in schedules(),
            history in histories(),
            night in prop::sample::select(vec!["2026-10-25T00:20:00Z", "2027-03-28T00:20:00Z", "2026-12-31T23:50:00Z"]),
        ) {
            let begin = utc(night);
            let mut now = begin;
            let mut agenda = Agenda::new(&schedule, now);
            let (mut runs, mut missed) = (0, 0);
            for (passes, takes) in history {
                now += TimeDelta::seconds(passes);
                if let Step::Run { missed: more } = agenda.look(now) {
                    runs += 1;
                    missed += more;
                    now += TimeDelta::seconds(takes);
                    missed += agenda.ended(now);
                }
            }
            // What came since the last look is still to come.
            let open = match agenda.look(now) {
                Step::Run { missed } => missed + 1,
                Step::Wait(_) => 0,
            };
            prop_assert_eq!(runs + missed + open, times(&schedule, begin, now));
        }

        #[test]
        fn no_time_is_started_twice_however_the_clock_is_set(
            schedule in schedules(),
            history in proptest::collection::vec(-3000..3000i64, 1..80),
        ) {
            let mut now = utc("2026-11-30T10:00:00Z");
            let mut agenda = Agenda::new(&schedule, now);
            let mut reached = now;
            for jump in history {
                now += TimeDelta::seconds(jump);
                let due = schedule.expression.value.next_after(reached, schedule.time_zone).is_some_and(|next| next <= now);
                let run = matches!(agenda.look(now), Step::Run { .. });
                prop_assert_eq!(run, due, "at {}", now);
                reached = reached.max(if run { now } else { reached });
            }
        }
    }
}
