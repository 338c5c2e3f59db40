use std::future::poll_fn;
use std::sync::atomic::AtomicUsize;

use futures::FutureExt;
use tokio::time::{sleep, timeout};

use super::*;

fn lane(rate: u64, bounds: &[(u64, u64)]) -> Arc<Lane> {
    let lane = Lane::new();
    let mut all = [None, None];
    for (bound, (bytes, seconds)) in all.iter_mut().zip(bounds) {
        *bound = Some(SentBound {
            bytes: NonZeroU64::new(*bytes).unwrap(),
            time: Duration::from_secs(*seconds),
        });
    }
    lane.follow(NonZeroU64::new(rate), all);
    lane
}

/// One who waits in the lane.
#[derive(Default)]
struct One(AtomicU64);

impl One {
    async fn reserve(&self, lane: &Arc<Lane>, wish: Wish) -> Result<u64, UsedUp> {
        poll_fn(|cx| lane.poll_reserve(Some(cx), &self.0, wish)).await
    }

    fn try_reserve(&self, lane: &Arc<Lane>, wish: Wish) -> Poll<Result<u64, UsedUp>> {
        lane.poll_reserve(None, &self.0, wish)
    }

    /// Moves bytes until `end`, and says how many.
    async fn flood(&self, lane: &Arc<Lane>, end: Instant) -> u64 {
        let mut moved = 0;
        while Instant::now() < end {
            let Ok(bytes) = self.reserve(lane, Wish::Some(1 << 20)).await else {
                return moved;
            };
            lane.settle(bytes, bytes);
            moved += bytes;
        }
        moved
    }
}

// proves: BUD-3
#[tokio::test(start_paused = true)]
async fn one_gets_the_rate_and_a_burst() {
    let lane = lane(1_000_000, &[]);
    let begun = Instant::now();
    let moved = One::default().flood(&lane, begun + Duration::from_secs(10)).await;
    assert!((9_900_000..=10_150_000).contains(&moved), "{moved}");
}

// proves: BUD-3
#[tokio::test(start_paused = true)]
async fn many_share_the_rate_in_equal_parts() {
    let lane = lane(1_000_000, &[]);
    let end = Instant::now() + Duration::from_secs(10);
    let all = (0..50).map(|_| {
        let lane = lane.clone();
        tokio::spawn(async move { One::default().flood(&lane, end).await })
    });
    let moved: Vec<u64> = futures::future::join_all(all)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let sum: u64 = moved.iter().sum();
    // The burst, and what each of them was at when the time was over.
    assert!((9_900_000..=11_200_000).contains(&sum), "{sum}");
    let (least, most) = (moved.iter().min().unwrap(), moved.iter().max().unwrap());
    assert!(most - least <= 60_000 + 100_000, "{moved:?}");
    assert!(*least >= 120_000, "{moved:?}");
}

// proves: BUD-3
#[tokio::test(start_paused = true)]
async fn nobody_who_comes_later_takes_what_another_one_waits_for() {
    let lane = lane(1000, &[]);
    let (first, second) = (One::default(), One::default());
    assert_eq!(first.try_reserve(&lane, Wish::Some(1500)), Poll::Ready(Ok(1500)));
    let waiting = first.reserve(&lane, Wish::All(100));
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    sleep(Duration::from_millis(60)).await;
    assert!(
        second.try_reserve(&lane, Wish::Some(1)).is_pending(),
        "there would be room for one byte"
    );
    assert_eq!(waiting.await, Ok(100));
    assert!(second.try_reserve(&lane, Wish::Some(1)).is_pending());
    assert_eq!(second.reserve(&lane, Wish::Some(1)).await, Ok(1));
}

// proves: BUD-3
#[tokio::test(start_paused = true)]
async fn one_that_is_called_and_does_not_come_is_passed_over_and_keeps_its_place() {
    let lane = lane(1000, &[]);
    let (idle, other) = (One::default(), One::default());
    assert!(idle.try_reserve(&lane, Wish::Some(1500)).is_ready());
    assert!(idle.reserve(&lane, Wish::All(100)).now_or_never().is_none());
    // It would be called at 100 ms, and be passed over at 120 ms.
    let begun = Instant::now();
    assert_eq!(other.reserve(&lane, Wish::All(50)).await, Ok(50));
    let waited = begun.elapsed();
    assert!((100..200).contains(&waited.as_millis()), "{waited:?}");
    // Now the other one waits before it comes back, and is behind it.
    let late = other.reserve(&lane, Wish::All(1));
    tokio::pin!(late);
    assert!(late.as_mut().now_or_never().is_some_and(|late| late == Ok(1)));
    let late = other.reserve(&lane, Wish::All(500));
    tokio::pin!(late);
    assert!(late.as_mut().now_or_never().is_none());
    assert_eq!(idle.reserve(&lane, Wish::All(100)).await, Ok(100));
    assert_eq!(late.await, Ok(500));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_lets_the_next_one_go_on() {
    let lane = lane(1000, &[]);
    let (leaving, staying) = (One::default(), One::default());
    assert!(leaving.try_reserve(&lane, Wish::Some(1500)).is_ready());
    assert!(leaving.reserve(&lane, Wish::All(1500)).now_or_never().is_none());
    let staying = staying.reserve(&lane, Wish::All(10));
    tokio::pin!(staying);
    assert!(staying.as_mut().now_or_never().is_none());
    lane.leave(leaving.0.load(Ordering::Relaxed));
    let begun = Instant::now();
    assert_eq!(staying.await, Ok(10));
    assert!(
        begun.elapsed() < Duration::from_millis(50),
        "{:?}",
        begun.elapsed()
    );
}

// proves: BUD-3
#[tokio::test(start_paused = true)]
async fn a_turn_that_is_announced_is_kept_for_a_while() {
    let lane = lane(1000, &[]);
    let (reader, other) = (One::default(), One::default());
    assert!(reader.try_reserve(&lane, Wish::Some(1500)).is_ready());
    let room = poll_fn(|cx| lane.poll_room(Some(cx), &reader.0, Wish::All(20)));
    let other_waits = other.reserve(&lane, Wish::Some(20));
    tokio::pin!(other_waits);
    let (room, ()) = tokio::join!(room, async {
        assert!(other_waits.as_mut().now_or_never().is_none());
    });
    assert_eq!(room, Ok(()));
    assert!(matches!(
        reader.try_reserve(&lane, Wish::Some(20)),
        Poll::Ready(Ok(20))
    ));
    assert_eq!(other_waits.await, Ok(20));
}

// proves: BUD-3
#[tokio::test(start_paused = true)]
async fn a_bound_lets_exactly_its_bytes_through_and_wakes_all_who_wait() {
    let lane = lane(1000, &[(2000, 60), (1800, 600)]);
    let (one, other) = (One::default(), One::default());
    assert_eq!(one.reserve(&lane, Wish::Some(1500)).await, Ok(1500));
    assert_eq!(lane.settle(1500, 1500), Settled::Open);
    assert_eq!(lane.sent(), [1500, 1500]);
    let waiting = other.reserve(&lane, Wish::All(300));
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(
        one.try_reserve(&lane, Wish::All(301)),
        Poll::Ready(Err(UsedUp)),
        "never so many"
    );
    assert!(!lane.is_used_up());
    // What the system does not take comes back.
    assert_eq!(waiting.await, Ok(300));
    assert_eq!(lane.settle(300, 100), Settled::Open);
    assert_eq!(lane.sent(), [1600, 1600]);
    let all =
        [&one, &other].map(async |one| one.flood(&lane, Instant::now() + Duration::from_secs(60)).await);
    let moved = timeout(Duration::from_secs(10), futures::future::join_all(all)).await;
    assert_eq!(moved.expect("both hear of it").iter().sum::<u64>(), 200);
    assert!(lane.is_used_up());
    assert_eq!(one.try_reserve(&lane, Wish::Some(1)), Poll::Ready(Err(UsedUp)));
    sleep(Duration::from_secs(600)).await;
    assert!(!lane.is_used_up());
    assert_eq!(lane.sent(), [0, 0]);
    assert!(matches!(
        one.try_reserve(&lane, Wish::Some(1)),
        Poll::Ready(Ok(1))
    ));
}

// proves: BUD-3
#[tokio::test(start_paused = true)]
async fn the_last_byte_says_what_is_reached_and_for_how_long_once() {
    let lane = lane(0, &[(100, 60)]);
    let one = One::default();
    assert_eq!(one.try_reserve(&lane, Wish::Some(1000)), Poll::Ready(Ok(100)));
    // Another one waits until it is known whether all of it left.
    let other = One::default();
    let waiting = other.reserve(&lane, Wish::Some(1));
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    sleep(Duration::from_secs(10)).await;
    assert_eq!(lane.settle(100, 99), Settled::Open);
    assert_eq!(waiting.await, Ok(1));
    let last = lane.settle(1, 1);
    assert!(
        matches!(last, Settled::Last(bound, left) if bound.bytes.get() == 100 && left == Duration::from_secs(50)),
        "{last:?}"
    );
    assert_eq!(lane.settle(0, 0), Settled::Open);
}

#[tokio::test(start_paused = true)]
async fn another_rate_is_in_force_for_who_waits() {
    let lane = lane(1, &[]);
    let one = One::default();
    assert!(one.try_reserve(&lane, Wish::Some(1500)).is_ready());
    let waiting = one.reserve(&lane, Wish::All(1000));
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    let begun = Instant::now();
    lane.follow(NonZeroU64::new(1_000_000), [None, None]);
    assert_eq!(waiting.await, Ok(1000));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    lane.follow(None, [None, None]);
    assert_eq!(
        one.try_reserve(&lane, Wish::Some(1 << 30)),
        Poll::Ready(Ok(1 << 30))
    );
}

// proves: BUD-3
#[test]
fn one_waits_on_when_the_runtime_that_had_the_timer_ends() {
    let lane = lane(1000, &[]);
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (here, there) = (runtime(), runtime());
    let (one, other) = (Arc::new(One::default()), One::default());
    assert!(one.try_reserve(&lane, Wish::Some(1500)).is_ready());
    let begins = {
        let (one, lane) = (one.clone(), lane.clone());
        async move { assert!(one.reserve(&lane, Wish::All(100)).now_or_never().is_none()) }
    };
    there.block_on(begins);
    let waits = {
        let lane = lane.clone();
        here.spawn(async move { other.reserve(&lane, Wish::All(10)).await })
    };
    here.block_on(async { tokio::task::yield_now().await });
    drop(there);
    let waited = here.block_on(async { timeout(Duration::from_secs(20), waits).await });
    assert_eq!(waited.expect("it is woken").unwrap(), Ok(10));
}

// proves: BUD-3
#[test]
fn threads_together_never_pass_more_than_the_rate_and_a_burst() {
    let lane = lane(10_000_000, &[(4_000_000, 3600)]);
    let (moved, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (lane, moved) = (lane.clone(), moved.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let ones: Vec<One> = (0..8).map(|_| One::default()).collect();
                    let all = ones.iter().map(async |one| {
                        while let Ok(bytes) = one.reserve(&lane, Wish::Some(5000)).await {
                            // The system takes a part of it.
                            let taken = bytes.div_ceil(2);
                            let sum = moved.fetch_add(taken as usize, Ordering::SeqCst) as u64 + taken;
                            let most = begun.elapsed().as_secs_f64() * 10_000_000.0 + 1_000_000.0;
                            assert!(sum as f64 <= most, "{sum} of {most}");
                            lane.settle(bytes, taken);
                        }
                    });
                    futures::future::join_all(all).await;
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(moved.load(Ordering::SeqCst), 4_000_000, "exactly the bound");
}
