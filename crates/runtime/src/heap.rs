//! How much memory the process has from its allocator, and how much of it each thread took.
//!
//! What a guest makes the host hold (handles, header fields, bodies under way, tasks of WASI 0.3) is made by code that is
//! not ours, in many places. They have one thing in common: the memory comes from the process's allocator, on the thread
//! that is at work for the guest. So the allocator counts, and whoever turns to a guest compares the count before and
//! after ([`Account`](crate::account::Account)).
//!
//! | count | of | exact |
//! | --- | --- | --- |
//! | [`taken_here`] | bytes taken less bytes given back by this thread since it began | yes |
//! | [`in_use`] | bytes of the process | but for [`BATCH`] bytes a thread |
//!
//! Memory that one thread takes and another gives back is counted with the first for good; what is passed on knowingly is
//! said to the accounts on both sides. Linear memories, tables of the pool and stacks are mapped, not allocated, and are
//! not in these counts.
//!
//! A program that does not install the [`CountingAllocator`] has counts of 0, and nothing is charged.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

/// An allocator that counts what another one does. To be installed with `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAllocator<A>(pub A);

#[derive(Clone, Copy)]
struct Counts {
    /// By this thread, since it began.
    here: isize,
    /// Of these, what the process does not know of yet.
    untold: isize,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { here: 0, untold: 0 }) };
}

static IN_USE: AtomicIsize = AtomicIsize::new(0);

/// Bytes that this thread has taken from the allocator, less those that it gave back.
pub(crate) fn taken_here() -> isize {
    COUNTS.get().here
}

/// Bytes that the process has from the allocator.
pub(crate) fn in_use() -> usize {
    usize::try_from(IN_USE.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Takes `bytes` out of the count of this thread: they were taken for somebody else than whom it is at work for.
pub(crate) fn hand_over(bytes: isize) {
    let mut counts = COUNTS.get();
    counts.here -= bytes;
    COUNTS.set(counts);
}

fn count(bytes: isize) {
    // While a thread ends, its counts may be gone already.
    let _ = COUNTS.try_with(|counts| {
        let mut now = counts.get();
        now.here += bytes;
        now.untold += bytes;
        if now.untold.abs() >= BATCH {
            IN_USE.fetch_add(now.untold, Ordering::Relaxed);
            now.untold = 0;
        }
        counts.set(now);
    });
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to implement; every call is passed on as it came"
)]
// SAFETY: all is done by the allocator within; counting neither allocates nor unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of this function.
        let place = unsafe { self.0.alloc(layout) };
        if !place.is_null() {
            count(layout.size() as isize);
        }
        place
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let place = unsafe { self.0.alloc_zeroed(layout) };
        if !place.is_null() {
            count(layout.size() as isize);
        }
        place
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let moved = unsafe { self.0.realloc(place, layout, size) };
        if !moved.is_null() {
            count(size as isize - layout.size() as isize);
        }
        moved
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(place, layout) };
        count(-(layout.size() as isize));
    }
}

/// Bytes that a thread counts by itself before it tells the process.
const BATCH: isize = 64 * 1024;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: CountingAllocator<std::alloc::System> = CountingAllocator(std::alloc::System);

#[cfg(test)]
mod tests {
    use super::*;

    // proves: ISO-3
    #[test]
    fn what_a_thread_takes_and_gives_back_is_counted_to_the_byte() {
        let before = taken_here();
        let mut bytes = vec![0_u8; 1000];
        assert_eq!(taken_here() - before, 1000);
        bytes.reserve_exact(2000);
        assert_eq!(taken_here() - before, 3000);
        bytes.truncate(10);
        bytes.shrink_to_fit();
        assert_eq!(taken_here() - before, 10);
        drop(bytes);
        assert_eq!(taken_here() - before, 0);
    }

    // proves: ISO-3
    #[test]
    fn what_is_given_back_elsewhere_stays_with_who_took_it_until_it_is_handed_over() {
        let before = taken_here();
        let bytes = vec![0_u8; 1 << 20];
        let process = in_use();
        assert!(process >= (1 << 20) - BATCH as usize, "{process}");
        std::thread::spawn(move || drop(bytes)).join().unwrap();
        assert!(taken_here() - before >= 1 << 20);
        hand_over(1 << 20);
        assert!(
            taken_here() - before < 4096,
            "what is left is of the thread itself"
        );
    }
}
