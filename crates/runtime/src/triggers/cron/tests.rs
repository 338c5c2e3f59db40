use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;
use outport_manifest::{CronExpression, Located};
use tokio::time::{Instant, timeout};

use super::*;

/// A clock that goes with tokio's, and can be set.
fn clock(begin: &str) -> (WallClock, Arc<AtomicI64>) {
    let begin: DateTime<Utc> = begin.parse().unwrap();
    let (since, set) = (Instant::now(), Arc::new(AtomicI64::new(0)));
    let by = Arc::clone(&set);
    let now = move || {
        let passed = TimeDelta::from_std(since.elapsed()).unwrap();
        begin + passed + TimeDelta::seconds(by.load(Ordering::Relaxed))
    };
    (Box::new(now), set)
}

fn connector(text: &str, clock: WallClock) -> CronConnector {
    let schedule = CronSchedule {
        expression: Located::new(CronExpression::parse(text).unwrap(), 0..0),
        time_zone: Tz::UTC,
    };
    CronConnector::with_clock(&schedule, &Arc::new(FailureLog::of("job")), clock)
}

async fn timestamp(connector: &mut CronConnector) -> String {
    let delivery = connector.next().await.expect("a clock is never lost");
    let Event::Cron { timestamp } = delivery.event else {
        panic!("{:?}", delivery.event)
    };
    connector.settle(delivery.receipt, Outcome::Done).await.unwrap();
    DateTime::from_timestamp(timestamp as i64, 0)
        .unwrap()
        .to_rfc3339()
}

#[tokio::test(start_paused = true)]
async fn a_time_far_away_comes_and_no_earlier() {
    let (clock, _) = clock("2028-02-27T00:00:00Z");
    let began = Instant::now();
    let mut connector = connector("0 0 0 29 2 *", clock);
    connector.connect().await.unwrap();
    assert_eq!(timestamp(&mut connector).await, "2028-02-29T00:00:00+00:00");
    assert_eq!(began.elapsed().as_secs(), 2 * 86400, "it waited");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_is_noticed_soon() {
    let (clock, set) = clock("2026-11-30T10:00:30Z");
    let mut connector = connector("0 0 * * * *", clock);
    connector.connect().await.unwrap();
    // Half an hour before the time it is set to an hour after it.
    assert!(timeout(Duration::from_secs(60), connector.next()).await.is_err());
    set.store(3600 * 2, Ordering::Relaxed);
    let began = Instant::now();
    assert_eq!(&timestamp(&mut connector).await[..13], "2026-11-30T12");
    assert!(
        began.elapsed() <= Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    // And back: what was reached does not come again.
    set.store(0, Ordering::Relaxed);
    assert_eq!(timestamp(&mut connector).await, "2026-11-30T13:00:00+00:00");
}

#[test]
fn a_clock_that_was_never_set_is_one() {
    let seconds = |seconds| Duration::from_secs(seconds);
    for (time, expected) in [
        (
            SystemTime::UNIX_EPOCH - seconds(86_400),
            "1970-01-01T00:00:00+00:00",
        ),
        (SystemTime::UNIX_EPOCH + seconds(61), "1970-01-01T00:01:01+00:00"),
        (
            SystemTime::UNIX_EPOCH + seconds(u64::MAX / 4),
            "9999-12-31T23:59:59+00:00",
        ),
    ] {
        let now = utc(time);
        assert_eq!(now.to_rfc3339(), expected);
        Agenda::new(&connector("* * * * * *", Box::new(Utc::now)).schedule, now).look(now);
    }
}
