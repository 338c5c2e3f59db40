//! The account of what one instance uses up, and whether that is too much (Q-3, ISO-2, ISO-3).
//!
//! ```text
//! the instance's own task ─┐             ┌─ processor time: while somebody is at work for the instance
//! what the host does for it┼─▶ Account ──┼─ host memory:    taken from the allocator meanwhile
//! memory.grow, table.grow ─┘             └─ mapped memory:  linear memories and tables
//! ```
//!
//! Whoever turns to an instance does so [by its account](Account::charge). That is its own task, whatever the guest or
//! a call of the host is at, and each task that the gate runs for it: a look-up, a connection of outgoing HTTP, the
//! rest of what was written. Time and host memory are charged when the turn ends, and also in the middle of it, when a
//! guest that computes is interrupted by a [tick](crate::engine::TICK).
//!
//! Time is that of the clock, or less where the thread's processor time shows that another thread had the processor.
//!
//! Host memory is what the allocator gave to the turns of the instance and has not got back, [whoever gives it
//! back](crate::heap): a body that waits for its reader counts for whom it was written by.
//!
//! An account that has used up more than its [limits](GuestLimits) ends the guest: a guest that computes traps, one
//! that waits is woken and ended.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::metrics::Counter;
use futures::task::AtomicWaker;
use outport_egress::HostAccount;

use crate::engine::StackEstimate;
use crate::heap::{self, Owner};
use crate::limits::{ComputedTooLong, GuestLimits, HoldsTooMuch};
use crate::memory_ceiling::MemoryShare;

/// The account of what one instance uses up.
#[derive(Debug)]
pub(crate) struct Account {
    limits: GuestLimits,
    /// Nanoseconds, in all of its life.
    computed: AtomicU64,
    /// Of these, before the last request that it was given.
    computed_before: AtomicU64,
    /// Bytes of its stack, until the instance is gone.
    stack: AtomicUsize,
    /// Bytes that were taken for it and are not mapped yet.
    reserved: AtomicUsize,
    /// Bytes of linear memories and tables.
    mapped: AtomicUsize,
    owner: Owner,
    /// Bytes that it has from the allocator.
    host: AtomicIsize,
    /// Of the host's bytes, those that are taken from the share.
    taken: AtomicUsize,
    share: Arc<MemoryShare>,
    stacks: StackEstimate,
    waker: AtomicWaker,
    /// The count of all processor time of the component.
    cpu: Counter,
}

thread_local! {
    /// Since when this thread is at work for an account.
    static TURN: Cell<Option<Instant>> = const { Cell::new(None) };
    /// The processor time of this thread when it was last looked at, in nanoseconds.
    static PROCESSOR: Cell<u64> = const { Cell::new(0) };
}

impl Account {
    /// An account for a new instance of the component whose share this is, with `first_memory` bytes that it maps when
    /// it starts. None where there is no memory for one.
    pub(crate) fn open(limits: &GuestLimits, share: &Arc<MemoryShare>, first_memory: usize) -> Option<Self> {
        let taken = share.take(STACK.saturating_add(first_memory));
        taken.then(|| Self {
            limits: *limits,
            computed: AtomicU64::new(0),
            computed_before: AtomicU64::new(0),
            stack: AtomicUsize::new(STACK),
            reserved: AtomicUsize::new(first_memory),
            mapped: AtomicUsize::new(0),
            owner: Owner::new(),
            host: AtomicIsize::new(0),
            taken: AtomicUsize::new(0),
            share: Arc::clone(share),
            stacks: StackEstimate::default(),
            waker: AtomicWaker::new(),
            cpu: Counter::noop(),
        })
    }

    /// The same, whose processor time is also counted here, in nanoseconds.
    pub(crate) fn counted(mut self, cpu: Counter) -> Self {
        self.cpu = cpu;
        self
    }

    /// Does something for the instance, at its account. What is done within at another account counts for this one.
    pub(crate) fn charge<T>(&self, work: impl FnOnce() -> T) -> T {
        if TURN.get().is_some() {
            return work();
        }
        TURN.set(Some(Instant::now()));
        self.owner.begin();
        let end = EndOfTurn(self);
        let done = work();
        drop(end);
        done
    }

    /// Charges what this turn has used up so far, and answers how long it was since that was done last.
    pub(crate) fn charge_so_far(&self) -> Duration {
        match TURN.get() {
            Some(since) => {
                TURN.set(Some(Instant::now()));
                self.settle(since, self.owner.settle())
            }
            None => Duration::ZERO,
        }
    }

    /// True if the instance may go on.
    pub(crate) fn check(&self) -> wasmtime::Result<()> {
        if let Some(limit) = self.limits.cpu_time
            && self.computed() > limit
        {
            return Err(ComputedTooLong { limit }.into());
        }
        let held = self.held_by_host();
        let mapped = self.mapped.load(Ordering::Relaxed);
        let memory = mapped.saturating_add(held.saturating_sub(FREE));
        if memory > self.limits.memory || !self.take_for_host(held) {
            return Err(HoldsTooMuch { held }.into());
        }
        Ok(())
    }

    /// The result of polling a task of the instance: whatever it came to, or its end where the instance may not go on.
    /// From a wait it is woken when that changes.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        task: impl FnOnce(&mut Context<'_>) -> Poll<wasmtime::Result<T>>,
    ) -> Poll<wasmtime::Result<T>> {
        match self.charge(|| task(cx)) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => {
                // First, or a charge by another thread right after the check would wake nobody.
                self.waker.register(cx.waker());
                match self.check() {
                    Ok(()) => Poll::Pending,
                    Err(over) => Poll::Ready(Err(over)),
                }
            }
        }
    }

    /// The stacks that it seems to have.
    pub(crate) fn stacks(&self) -> &StackEstimate {
        &self.stacks
    }

    /// Gives all of the processor time once more, for a further request.
    pub(crate) fn renew(&self) {
        self.computed_before
            .store(self.computed.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// True if half of the memory, or of the processor time, is used up.
    pub(crate) fn is_half_used(&self) -> bool {
        let computed = Duration::from_nanos(self.computed.load(Ordering::Relaxed));
        let memory = self
            .mapped
            .load(Ordering::Relaxed)
            .saturating_add(self.held_by_host());
        memory > self.limits.memory / 2 || self.limits.cpu_time.is_some_and(|limit| computed > limit / 2)
    }

    /// Takes so many bytes more of linear memory or tables, or none.
    pub(crate) fn map(&self, bytes: usize) -> bool {
        let mapped = self.mapped.load(Ordering::Relaxed);
        // The own bound first: it takes nothing of what all have.
        let within = mapped
            .checked_add(bytes)
            .is_some_and(|then| then.saturating_add(self.held_by_host()) <= self.limits.memory);
        // Nobody else maps for the same instance at the same time.
        let reserved = self.reserved.load(Ordering::Relaxed).min(bytes);
        let fits = within && self.share.take(bytes - reserved);
        if fits {
            self.reserved.fetch_sub(reserved, Ordering::Relaxed);
            self.mapped.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// The instance is gone, and what was mapped for it. What it has written may still be on its way, and counts.
    pub(crate) fn close(&self) {
        let mapped = [&self.stack, &self.reserved, &self.mapped];
        self.share
            .give_back(mapped.map(|bytes| bytes.swap(0, Ordering::Relaxed)).iter().sum());
    }

    /// Processor time since the last request was given to it.
    fn computed(&self) -> Duration {
        let before = self.computed_before.load(Ordering::Relaxed);
        Duration::from_nanos(self.computed.load(Ordering::Relaxed).saturating_sub(before))
    }

    /// Bytes that the host holds for the instance.
    fn held_by_host(&self) -> usize {
        usize::try_from(self.host.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Takes what the host holds from the share, or gives back what it holds no more; roughly, since this happens
    /// often.
    fn take_for_host(&self, held: usize) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        if held.abs_diff(taken) < STEP {
            return true;
        }
        // Two threads that are at work for one instance: the later one looks again at its next turn.
        let exchange = self
            .taken
            .compare_exchange(taken, held, Ordering::Relaxed, Ordering::Relaxed);
        if exchange.is_err() {
            return true;
        }
        if held < taken {
            self.share.give_back(taken - held);
            return true;
        }
        let fits = self.share.take(held - taken);
        if !fits {
            self.taken.fetch_sub(held - taken, Ordering::Relaxed);
        }
        fits
    }

    fn settle(&self, since: Instant, taken: isize) -> Duration {
        let spent = spent_since(since);
        let nanoseconds = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.computed.fetch_add(nanoseconds, Ordering::Relaxed);
        self.cpu.increment(nanoseconds);
        self.host.fetch_add(taken, Ordering::Relaxed);
        spent
    }
}

impl HostAccount for Account {
    fn charge(&self, work: &mut dyn FnMut()) {
        Self::charge(self, work);
        if self.check().is_err() {
            self.waker.wake();
        }
    }

    fn aside(&self, work: &mut dyn FnMut()) {
        heap::for_nobody(work);
    }

    fn may_go_on(&self) -> bool {
        self.charge_so_far();
        let may = self.check().is_ok();
        if !may {
            self.waker.wake();
        }
        may
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.close();
        self.share.give_back(*self.taken.get_mut());
    }
}

/// Ends a turn, also where something panics.
struct EndOfTurn<'a>(&'a Account);

impl Drop for EndOfTurn<'_> {
    fn drop(&mut self) {
        let taken = self.0.owner.end();
        if let Some(since) = TURN.take() {
            self.0.settle(since, taken);
        }
    }
}

/// The length of a turn by now. One of some length is no longer than the thread had the processor meanwhile, which is a
/// system call to find out.
fn spent_since(since: Instant) -> Duration {
    let spent = since.elapsed();
    if spent < LONG {
        return spent;
    }
    match processor_time() {
        Some(now) => spent.min(Duration::from_nanos(now.saturating_sub(PROCESSOR.replace(now)))),
        None => spent,
    }
}

/// Nanoseconds that this thread has had the processor. None where the system does not say.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "the clock is read into memory that is given to the system"
)]
fn processor_time() -> Option<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a `timespec` of our own, which lives longer than the call.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanoseconds = u64::try_from(time.tv_nsec).ok()?;
    (read == 0).then(|| seconds * 1_000_000_000 + nanoseconds)
}

/// Nanoseconds that this thread has had the processor. None where the system does not say.
#[cfg(not(target_os = "linux"))]
fn processor_time() -> Option<u64> {
    None
}

/// Bytes that an instance's stack counts for: as much of it as WebAssembly may use (`max_wasm_stack`).
pub(crate) const STACK: usize = 512 * 1024;

/// Bytes of the host that are not worth a look at what all have.
const STEP: usize = 64 * 1024;

/// Bytes that the host may hold for an instance beside all that it may have, so that one whose memory is as large as it
/// may be can still be answered. They count for the component all the same.
const FREE: usize = 1024 * 1024;

/// From when on it matters whether a turn had the processor.
const LONG: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests;
