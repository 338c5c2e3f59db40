//! The thread that moves the engine's epoch, so that a guest that computes without pause is interrupted.
//!
//! It sleeps for good while no guest runs: an idle process wakes up for nothing. To spare the common case, a
//! guest that starts soon after the last one ended, the cost of waking a thread, it keeps ticking for
//! [`IDLE_TICKS`] before it sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};

use super::TICK;

/// Ticks without a running guest after which the thread goes to sleep.
const IDLE_TICKS: u32 = 200;

/// The handle of the thread; dropping it ends the thread.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    /// Guests that are running.
    running: AtomicUsize,
    /// Whether the thread sleeps, or is about to.
    asleep: AtomicBool,
    ended: AtomicBool,
}

/// One guest that is counted as running.
pub(crate) struct Running {
    ticker: Arc<Ticker>,
}

impl Ticker {
    /// Starts the thread for `engine`, asleep.
    pub(super) fn start(engine: &wasmtime::Engine) -> Ticker {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
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
        Ticker { shared, thread }
    }

    /// Counts a guest, and wakes the thread if it sleeps.
    pub(super) fn count(ticker: &Arc<Ticker>) -> Running {
        ticker.shared.running.fetch_add(1, Ordering::SeqCst);
        if ticker.shared.asleep.load(Ordering::SeqCst) {
            ticker.thread.unpark();
        }
        Running {
            ticker: Arc::clone(ticker),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ticker.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn tick(&self, engine: &wasmtime::Engine) {
        let mut idle = IDLE_TICKS;
        while !self.ended.load(Ordering::SeqCst) {
            if self.running.load(Ordering::SeqCst) > 0 {
                idle = 0;
            } else if idle < IDLE_TICKS {
                idle += 1;
            } else {
                self.sleep();
                continue;
            }
            thread::park_timeout(TICK);
            engine.increment_epoch();
        }
    }

    /// Sleeps until a guest is counted. The flag is set before the count is read, and `count` does the reverse,
    /// so that one of the two always sees the other.
    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.ended.load(Ordering::SeqCst) {
            thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use crate::engine::{Allocation, Engine};

    /// How often the epoch moved cannot be read, but whether a loop that never ends is interrupted can.
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
        let _running = engine.running();
        loops_until_the_epoch_moves(&engine);
    }

    #[test]
    fn the_ticker_wakes_up_again_after_it_went_to_sleep() {
        let engine = Engine::new(Allocation::Single).expect("this machine can run wasm");
        let asleep = |engine: &Engine| engine.ticker.shared.asleep.load(super::Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !asleep(&engine) {
            assert!(Instant::now() < deadline, "the ticker never slept");
            std::thread::sleep(Duration::from_millis(5));
        }
        let _running = engine.running();
        loops_until_the_epoch_moves(&engine);
    }
}
