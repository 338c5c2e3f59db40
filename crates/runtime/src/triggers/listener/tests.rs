use std::sync::Mutex;

use async_trait::async_trait;
use outport_egress::Egress;
use outport_policy::Operator;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::connector::Again;
use super::*;

/// What a connector of the test's own is asked, and what it answers.
#[derive(Debug, PartialEq, Eq, Clone)]
enum Asked {
    Connect,
    Settle(u64, Outcome),
    Close,
}

struct Fake {
    asked: mpsc::UnboundedSender<Asked>,
    /// Whether each connect succeeds; all further ones do.
    connects: Vec<Again>,
    came: mpsc::UnboundedReceiver<Result<(u64, Option<&'static str>), Again>>,
    concurrency: usize,
    given: u64,
}

#[async_trait]
impl Connector for Fake {
    fn listens_to(&self) -> String {
        "a fake".to_owned()
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    async fn connect(&mut self) -> Result<(), ConnectorError> {
        self.asked.send(Asked::Connect).unwrap();
        match self.connects.pop() {
            None => Ok(()),
            Some(again) => Err(ConnectorError {
                message: "not there".to_owned(),
                again,
            }),
        }
    }

    async fn next(&mut self) -> Result<Delivery, ConnectorError> {
        match self.came.recv().await {
            Some(Ok((number, lane))) => {
                self.given += 1;
                Ok(Delivery {
                    event: Event::Cron { timestamp: number },
                    receipt: Receipt(number),
                    lane: lane.map(|lane| lane.as_bytes().to_vec()),
                })
            }
            Some(Err(again)) => Err(ConnectorError {
                message: "gone".to_owned(),
                again,
            }),
            None => std::future::pending().await,
        }
    }

    async fn settle(&mut self, receipt: Receipt, outcome: Outcome) -> Result<(), ConnectorError> {
        self.asked.send(Asked::Settle(receipt.0, outcome)).unwrap();
        Ok(())
    }

    async fn close(&mut self) {
        self.asked.send(Asked::Close).unwrap();
    }
}

fn egress() -> Egress {
    Egress::builder().build().expect("the system has a resolver")
}

/// A driver under way, in a world of the test's own.
struct Driven {
    asked: mpsc::UnboundedReceiver<Asked>,
    comes: mpsc::UnboundedSender<Result<(u64, Option<&'static str>), Again>>,
    /// The events that were begun, each with how to end it.
    begun: mpsc::UnboundedReceiver<(u64, oneshot::Sender<Outcome>)>,
    running: Vec<(u64, oneshot::Sender<Outcome>)>,
    stop: watch::Sender<Phase>,
    /// Whose policy the operator replaces.
    egress: Egress,
    task: JoinHandle<()>,
}

impl Driven {
    fn start(concurrency: usize, connects: &[Again]) -> Self {
        let (asked, is_asked) = mpsc::unbounded_channel();
        let (comes, came) = mpsc::unbounded_channel();
        let (begin, begun) = mpsc::unbounded_channel();
        let (stop, stopping) = watch::channel(Phase::Serving);
        let begin = Mutex::new(begin);
        let egress = egress();
        let driver = Driver {
            component: "job".to_owned(),
            connector: Box::new(Fake {
                asked,
                connects: connects.iter().rev().copied().collect(),
                came,
                concurrency,
                given: 0,
            }),
            hand_over: Box::new(move |event| {
                let Event::Cron { timestamp } = event else {
                    panic!("{event:?}")
                };
                let (end, ended) = oneshot::channel();
                begin.lock().unwrap().send((timestamp, end)).unwrap();
                Box::pin(async move { ended.await.unwrap_or(Outcome::Failed) })
            }),
            grace: Duration::from_secs(10),
            outage: None,
            replacements: egress.replacements(),
            asks: None,
        };
        Self {
            asked: is_asked,
            comes,
            begun,
            running: Vec::new(),
            stop,
            egress,
            task: tokio::spawn(driver.drive(stopping)),
        }
    }

    fn come(&self, number: u64, lane: Option<&'static str>) {
        self.comes.send(Ok((number, lane))).unwrap();
    }

    /// What it asks next.
    async fn asks(&mut self) -> Asked {
        self.asked.recv().await.expect("it goes on")
    }

    /// The events that are under way once nothing happens any more.
    async fn under_way(&mut self) -> Vec<u64> {
        // Nothing else is ready when this paused clock goes on.
        tokio::time::sleep(Duration::from_millis(1)).await;
        while let Ok(begun) = self.begun.try_recv() {
            self.running.push(begun);
        }
        self.running.iter().map(|(number, _)| *number).collect()
    }

    /// Ends an event, and waits until that is settled.
    async fn end(&mut self, number: u64, outcome: Outcome) {
        let index = self.running.iter().position(|(running, _)| *running == number);
        let (_, end) = self.running.remove(index.expect("it is under way"));
        end.send(outcome).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_a_lane_are_handled_one_at_a_time_as_they_came_and_others_beside_them() {
    let mut driven = Driven::start(10, &[]);
    assert_eq!(driven.asks().await, Asked::Connect);
    for (number, lane) in [
        (1, Some("a")),
        (2, Some("a")),
        (3, Some("b")),
        (4, None),
        (5, Some("a")),
        (6, None),
    ] {
        driven.come(number, lane);
    }
    assert_eq!(driven.under_way().await, [1, 3, 4, 6]);
    driven.end(1, Outcome::Failed).await;
    assert_eq!(driven.asks().await, Asked::Settle(1, Outcome::Failed));
    assert_eq!(driven.under_way().await, [3, 4, 6, 2]);
    driven.end(4, Outcome::Leave).await;
    assert_eq!(driven.asks().await, Asked::Settle(4, Outcome::Leave));
    assert_eq!(driven.under_way().await, [3, 6, 2]);
    driven.end(2, Outcome::Done).await;
    assert_eq!(driven.asks().await, Asked::Settle(2, Outcome::Done));
    assert_eq!(driven.under_way().await, [3, 6, 5]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_while_nothing_can_be_handed_over() {
    for (concurrency, under_way) in [(1, &[1][..]), (3, &[1, 3])] {
        let mut driven = Driven::start(concurrency, &[]);
        assert_eq!(driven.asks().await, Asked::Connect);
        // The second waits for the first, and counts.
        for (number, lane) in [(1, Some("a")), (2, Some("a")), (3, None), (4, None)] {
            driven.come(number, lane);
        }
        assert_eq!(driven.under_way().await, under_way, "{concurrency}");
        driven.end(1, Outcome::Done).await;
        let next = driven.under_way().await;
        assert_eq!(
            next.len(),
            if concurrency == 1 { 1 } else { 3 },
            "{concurrency}: {next:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_ends_before_a_lost_connection_is_made_again() {
    let mut driven = Driven::start(3, &[]);
    assert_eq!(driven.asks().await, Asked::Connect);
    driven.come(1, Some("a"));
    driven.come(2, Some("a"));
    assert_eq!(driven.under_way().await, [1]);
    driven.comes.send(Err(Again::Soon)).unwrap();
    assert_eq!(driven.under_way().await, [1]);
    assert!(
        timeout(Duration::from_secs(3600), driven.asked.recv())
            .await
            .is_err(),
        "it waits for what is under way"
    );
    driven.end(1, Outcome::Done).await;
    assert_eq!(driven.asks().await, Asked::Settle(1, Outcome::Done));
    assert_eq!(driven.asks().await, Asked::Settle(2, Outcome::NotBegun));
    let since = Instant::now();
    assert_eq!(driven.asks().await, Asked::Connect);
    assert!(
        since.elapsed() >= Duration::from_millis(250),
        "{:?}",
        since.elapsed()
    );
    driven.come(3, None);
    assert_eq!(driven.under_way().await, [3]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_tried_again_and_one_that_refuses_more_seldom() {
    for (again, tries, at_least, at_most) in [
        (Again::Soon, 4, 0.25 + 0.5 + 1.0, 0.5 + 1.0 + 2.0),
        (Again::Seldom, 2, 15.0, 30.0),
    ] {
        let failing = vec![again; tries - 1];
        let mut driven = Driven::start(1, &failing);
        let since = Instant::now();
        for _ in 0..tries {
            assert_eq!(driven.asks().await, Asked::Connect);
        }
        let took = since.elapsed().as_secs_f64();
        assert!((at_least..=at_most + 0.01).contains(&took), "{again:?}: {took}");
        driven.come(1, None);
        assert_eq!(driven.under_way().await, [1], "{again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_new_list_permits_is_tried_at_once_and_once() {
    let mut driven = Driven::start(1, &[Again::Seldom, Again::Seldom]);
    assert_eq!(driven.asks().await, Asked::Connect);
    for since in [Instant::now(), Instant::now()] {
        driven.egress.replace_operator(Operator::default());
        assert_eq!(driven.asks().await, Asked::Connect);
        assert_eq!(since.elapsed(), Duration::ZERO);
    }
    driven.come(1, None);
    assert_eq!(driven.under_way().await, [1]);
}

#[tokio::test(start_paused = true)]
async fn who_stops_asks_for_nothing_more_and_settles_what_runs() {
    let mut driven = Driven::start(4, &[]);
    assert_eq!(driven.asks().await, Asked::Connect);
    for (number, lane) in [(1, Some("a")), (2, Some("a")), (3, None)] {
        driven.come(number, lane);
    }
    assert_eq!(driven.under_way().await, [1, 3]);
    driven.stop.send_replace(Phase::Stopping);
    driven.under_way().await;
    driven.come(4, None);
    assert_eq!(driven.under_way().await, [1, 3]);
    driven.end(3, Outcome::Failed).await;
    assert_eq!(driven.asks().await, Asked::Settle(3, Outcome::Failed));
    assert!(!driven.task.is_finished());
    driven.end(1, Outcome::Done).await;
    assert_eq!(driven.asks().await, Asked::Settle(1, Outcome::Done));
    // What waited for the first was not begun.
    assert_eq!(driven.asks().await, Asked::Settle(2, Outcome::NotBegun));
    assert_eq!(driven.asks().await, Asked::Close);
    driven.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_stops_does_not_wait_for_a_server_that_is_not_there() {
    let mut driven = Driven::start(1, &[Again::Seldom]);
    assert_eq!(driven.asks().await, Asked::Connect);
    let since = Instant::now();
    driven.stop.send_replace(Phase::Stopping);
    assert_eq!(driven.asks().await, Asked::Close);
    driven.task.await.unwrap();
    assert_eq!(since.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_says_good_bye_all_the_same() {
    let mut driven = Driven::start(4, &[]);
    assert_eq!(driven.asks().await, Asked::Connect);
    for (number, lane) in [(1, Some("a")), (2, Some("a"))] {
        driven.come(number, lane);
    }
    assert_eq!(driven.under_way().await, [1]);
    let since = Instant::now();
    driven.stop.send_replace(Phase::Stopping);
    // The first one never ends.
    assert_eq!(driven.asks().await, Asked::Settle(2, Outcome::NotBegun));
    assert_eq!(driven.asks().await, Asked::Close);
    driven.task.await.unwrap();
    assert_eq!(since.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn each_reason_is_told_once_until_there_are_events_again() {
    let error = |message: &str| ConnectorError::lost(message);
    let mut driver = Driver {
        component: "job".to_owned(),
        connector: Box::new(Fake {
            asked: mpsc::unbounded_channel().0,
            connects: Vec::new(),
            came: mpsc::unbounded_channel().1,
            concurrency: 1,
            given: 0,
        }),
        hand_over: Box::new(|_| Box::pin(async { Outcome::Done })),
        grace: Duration::ZERO,
        outage: None,
        replacements: egress().replacements(),
        asks: None,
    };
    let told = |driver: &Driver| driver.outage.as_ref().map(Vec::len);
    for (message, number) in [("gone", 1), ("gone", 1), ("refused", 2), ("gone", 2)] {
        driver.say_lost(&error(message));
        assert_eq!(told(&driver), Some(number), "{message}");
    }
    for number in 0..100 {
        driver.say_lost(&error(&number.to_string()));
    }
    assert_eq!(
        told(&driver),
        Some(MOST_REASONS),
        "a server does not choose how many"
    );
    // Connecting alone is not enough: what follows may fail.
    let (_stop, mut stopping) = watch::channel(Phase::Serving);
    assert!(timeout(HOLDS / 2, driver.serve(&mut stopping)).await.is_err());
    assert!(told(&driver).is_some());
    assert!(timeout(HOLDS * 2, driver.serve(&mut stopping)).await.is_err());
    assert_eq!(told(&driver), None);
}
