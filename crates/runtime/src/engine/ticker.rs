//! The thread that moves the engine's epoch, so that a guest that computes without pause is interrupted.
//!
//! It sleeps for good while no guest computes (one that waits for the network does not): an idle process wakes up
//! for nothing. To spare the common case, a guest that goes on soon after the last one paused, the cost of waking a
//! thread, it keeps ticking for [`IDLE_TICKS`] before it sleeps. A guest that is interrupted and has held the processor
//! for a long tick before makes the next [`HURRIED_TICKS`] short, for its neighbours' sake. Short ticks alone do not
//! prolong themselves: an instance that answers many requests in one turn is interrupted by several of them.
//!
//! A guest looks at the epoch when it goes on after a pause, too, and sees what went by meanwhile. To tell whether it
//! holds its neighbours up, ticks are numbered, and each thread notes the number when it turns to a guest.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use super::TICK;

/// Ticks without a computing guest after which the thread goes to sleep.
const IDLE_TICKS: u32 = 500;

/// Short ticks after the last interruption of a guest that had held the processor for long.
const HURRIED_TICKS: u32 = 100;

/// The handle of the thread; dropping it ends the thread.
pub(super) struct Ticker {
    shared: Arc<TickerInner>,
    thread: Thread,
}

struct TickerInner {
    /// The length of a short tick.
    short: Duration,
    /// Guests that compute.
    running: AtomicUsize,
    /// True if the thread sleeps, or is about to. Whoever clears it wakes the thread.
    asleep: AtomicBool,
    /// Short ticks that are left.
    hurried: AtomicU32,
    /// Ticks that went by.
    ticks: AtomicU64,
    ended: AtomicBool,
}

thread_local! {
    /// The number of the tick when this thread turned to the guest that it is at.
    static TURNED_TO_GUEST: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// One guest that is counted as computing.
struct Running<'a>(&'a TickerInner);

impl Ticker {
    /// Starts the thread for `engine`, asleep. Its short ticks last for `short`.
    pub(super) fn start(engine: &wasmtime::Engine, short: Duration) -> Self {
        let shared = Arc::new(TickerInner {
            short,
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            hurried: AtomicU32::new(0),
            ticks: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let engine = engine.clone();
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("outport-ticker".into())
            .stack_size(64 * 1024)
            .spawn(move || of_thread.tick(&engine))
            .expect("a thread can be started while the process starts")
            .thread()
            .clone();
        Self { shared, thread }
    }

    /// A guest saw the epoch move that had held the processor for `held` before. Answers how long a tick is.
    pub(super) fn interrupted(&self, held: Duration) -> Duration {
        let left = if held < TICK {
            self.shared.hurried.load(Ordering::Relaxed)
        } else {
            self.shared.hurried.swap(HURRIED_TICKS, Ordering::Relaxed)
        };
        self.shared.tick_length(left)
    }

    /// True if a tick went by since this thread turned to the guest that it is at.
    pub(super) fn went_by(&self) -> bool {
        TURNED_TO_GUEST.get() != self.shared.ticks.load(Ordering::Acquire)
    }

    /// Counts the guest that `future` runs, whenever it does.
    pub(super) async fn count<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let _running = self.count_running();
            TURNED_TO_GUEST.set(self.shared.ticks.load(Ordering::Acquire));
            future.as_mut().poll(cx)
        })
        .await
    }

    fn count_running(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) && self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl TickerInner {
    fn tick(&self, engine: &wasmtime::Engine) {
        let mut idle = IDLE_TICKS;
        while !self.ended.load(Ordering::SeqCst) {
            if self.running.load(Ordering::SeqCst) > 0 {
                idle = 0;
            } else if idle < IDLE_TICKS {
                idle += 1;
            } else {
                self.sleep();
                idle = 0;
            }
            let hurried = self.hurried.load(Ordering::Relaxed);
            self.hurried.store(hurried.saturating_sub(1), Ordering::Relaxed);
            thread::park_timeout(self.tick_length(hurried));
            self.ticks.fetch_add(1, Ordering::Release);
            engine.increment_epoch();
        }
    }

    fn tick_length(&self, hurried: u32) -> Duration {
        match hurried {
            0 => TICK,
            _ => self.short,
        }
    }

    /// Sleeps until a guest is counted. The flag is set before the count is read, and [`Ticker::count_running`] does
    /// the reverse, so that one of the two always sees the other.
    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) > 0 {
            self.asleep.store(false, Ordering::SeqCst);
        }
        while self.asleep.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst) {
            thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use crate::engine::{Allocation, Engine, SHORT_TICK, TICK};

    /// Waits until the epoch moves. How often it moved cannot be read, but whether a loop that never ends is
    /// interrupted can.
    fn loops_until_the_epoch_moves(engine: &Engine) {
        let module = wasmtime::Module::new(engine.wasmtime(), ENDLESS).expect("the module is valid");
        let mut store = wasmtime::Store::new(engine.wasmtime(), ());
        store.set_epoch_deadline(1);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("it has no imports");
        let run = instance
            .get_typed_func::<(), ()>(&mut store, "run")
            .expect("it exports `run`");
        run.call(&mut store, ()).expect_err("the loop has no other end");
    }

    /// `(module (func (export "run") (loop br 0)))`
    const ENDLESS: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x07\x01\x03run\0\0\
        \x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";

    #[test]
    fn a_guest_that_computes_without_pause_is_interrupted() {
        let engine = Engine::new(Allocation::Single).expect("this machine can run wasm");
        let _running = engine.ticker.count_running();
        loops_until_the_epoch_moves(&engine);
    }

    #[tokio::test]
    async fn a_tick_during_a_pause_holds_nobody_up() {
        let engine = Engine::new(Allocation::Single).expect("this machine can run wasm");
        let pause = || std::thread::sleep(TICK * 20);
        assert!(engine.ticker.went_by(), "nobody turned to a guest");
        let mut turns = 0;
        engine
            .ticker
            .count(std::future::poll_fn(|cx| {
                assert!(!engine.ticker.went_by(), "turn {turns} began right now");
                pause();
                assert!(engine.ticker.went_by(), "turn {turns} lasts");
                turns += 1;
                cx.waker().wake_by_ref();
                match turns {
                    3 => std::task::Poll::Ready(()),
                    _ => std::task::Poll::Pending,
                }
            }))
            .await;
    }

    #[test]
    fn a_guest_that_is_interrupted_again_hurries_the_ticks_where_somebody_may_wait_for_it() {
        for (allocation, then) in [
            (Allocation::Alone, TICK),
            (Allocation::Single, SHORT_TICK),
            (Allocation::Pool { instances: 1 }, SHORT_TICK),
        ] {
            let engine = Engine::new(allocation).expect("this machine can run wasm");
            // Without a guest that is counted the ticker sleeps, and no tick goes by.
            let ticks: Vec<Duration> = (0..4).map(|before| engine.interrupted(TICK * before)).collect();
            assert_eq!(ticks, [TICK, TICK, then, then], "{allocation:?}");
        }
    }

    #[test]
    fn short_ticks_alone_bring_no_further_ones() {
        let engine = Engine::new(Allocation::Single).expect("this machine can run wasm");
        assert_eq!(engine.interrupted(TICK - SHORT_TICK), TICK);
        assert_eq!(engine.interrupted(TICK), TICK);
        assert_eq!(engine.interrupted(SHORT_TICK), SHORT_TICK);
    }

    #[test]
    fn the_ticker_wakes_up_again_after_it_went_to_sleep() {
        let engine = Engine::new(Allocation::Single).expect("this machine can run wasm");
        let asleep = |engine: &Engine| engine.ticker.shared.asleep.load(super::Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !asleep(&engine) {
            assert!(Instant::now() < deadline, "the ticker never slept");
            std::thread::sleep(Duration::from_millis(5));
        }
        let _running = engine.ticker.count_running();
        loops_until_the_epoch_moves(&engine);
    }
}
