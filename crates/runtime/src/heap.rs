//! The owners of the memory that the process has from its allocator.
//!
//! What a guest makes the host hold (handles, header fields, bodies under way, tasks of WASI 0.3) is made by code that
//! is not ours, in many places. They have one thing in common: the memory comes from the process's allocator while
//! somebody is at work for the guest. So the allocator notes behind each piece of memory [whose turn](Owner::begin) it
//! was taken in, and counts it for that owner until it is given back, by whoever and on whatever thread.
//!
//! ```text
//! turn of an owner ─ take ─▶ ┌───────────────┬───────┐ ─ give back ─┬─ in a turn of the owner: counted at its end
//!                            │ size bytes    │ owner │              ├─ elsewhere:             counted with the owner
//!                            └───────────────┴───────┘              └─ nobody's, or of one who is gone: not counted
//! ```
//!
//! Linear memories, tables of the pool and stacks are mapped, not allocated, and are not in these counts. A program
//! that does not install the [`CountingAllocator`] has counts of 0, and nothing is charged.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicIsize, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// An allocator that notes whose memory it is that another one gives. To be installed with `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAllocator<A>(pub A);

/// The note behind a piece of memory: the slot of its owner, and which owner of this slot; 0 is nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tag(u64);

/// Somebody whose memory is counted.
#[derive(Debug)]
pub(crate) struct Owner {
    slot: u32,
    generation: u32,
}

struct Slot {
    generation: AtomicU32,
    /// Bytes that were given back outside of a turn of the owner.
    elsewhere: AtomicIsize,
}

/// The owner that this thread takes memory for in a turn.
#[derive(Clone, Copy)]
struct Charging {
    tag: Tag,
    /// Bytes that the owner took in this turn, less those that it gave back.
    taken: isize,
}

thread_local! {
    static CHARGING: Cell<Charging> = const { Cell::new(Charging { tag: NOBODY, taken: 0 }) };
}

static SLOTS: [Slot; OWNERS] = [const {
    Slot {
        generation: AtomicU32::new(0),
        elsewhere: AtomicIsize::new(0),
    }
}; OWNERS];

/// Slots that were used before and are free, and how many were never used.
static FREE: Mutex<(Vec<u32>, u32)> = Mutex::new((Vec::new(), 0));

const NOBODY: Tag = Tag(0);

/// Owners at a time. Beyond, nobody counts what an owner has.
const OWNERS: usize = 32 * 1024;

impl Owner {
    /// A new owner, who has nothing yet.
    pub(crate) fn new() -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = free.0.pop().unwrap_or_else(|| {
            let next = free.1;
            free.1 = next.saturating_add(1);
            next
        });
        drop(free);
        match SLOTS.get(slot as usize) {
            Some(found) => {
                found.elsewhere.store(0, Ordering::Relaxed);
                // Nobody's tag is never that of an owner.
                let generation = found.generation.load(Ordering::Relaxed).wrapping_add(1).max(1);
                found.generation.store(generation, Ordering::Relaxed);
                Self { slot, generation }
            }
            None => Self { slot, generation: 0 },
        }
    }

    /// Begins a turn for the owner on this thread, which is at work for nobody.
    pub(crate) fn begin(&self) {
        CHARGING.set(Charging {
            tag: self.tag(),
            taken: 0,
        });
    }

    /// Bytes that the owner took since it was last asked, less those that it gave back; in the middle of a turn of it.
    pub(crate) fn settle(&self) -> isize {
        let charging = CHARGING.get();
        CHARGING.set(Charging { taken: 0, ..charging });
        charging.taken - self.elsewhere()
    }

    /// The same at the end of a turn.
    pub(crate) fn end(&self) -> isize {
        let charging = CHARGING.replace(Charging {
            tag: NOBODY,
            taken: 0,
        });
        charging.taken - self.elsewhere()
    }

    fn elsewhere(&self) -> isize {
        match SLOTS.get(self.slot as usize) {
            // Most of the time there is nothing, and a look is cheaper than an exchange.
            Some(slot) if slot.elsewhere.load(Ordering::Relaxed) != 0 => {
                slot.elsewhere.swap(0, Ordering::Relaxed)
            }
            _ => 0,
        }
    }

    fn tag(&self) -> Tag {
        match self.generation {
            0 => NOBODY,
            generation => Tag(u64::from(generation) << 32 | u64::from(self.slot)),
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(slot) = SLOTS.get(self.slot as usize) {
            // What is given back from now on is nobody's business.
            slot.generation
                .store(self.generation.wrapping_add(1).max(1), Ordering::Relaxed);
            FREE.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .0
                .push(self.slot);
        }
    }
}

/// Does something in the middle of a turn whose memory is nobody's.
pub(crate) fn for_nobody(work: impl FnOnce()) {
    let charging = CHARGING.replace(Charging {
        tag: NOBODY,
        taken: 0,
    });
    work();
    CHARGING.set(charging);
}

/// Takes memory for whoever's turn it is, and answers the note.
fn took(bytes: usize) -> Tag {
    // While a thread ends, its turn may be gone already.
    CHARGING
        .try_with(|charging| {
            let mut now = charging.get();
            if now.tag != NOBODY {
                now.taken += bytes as isize;
                charging.set(now);
            }
            now.tag
        })
        .unwrap_or(NOBODY)
}

/// Gives memory back with this note.
fn gave_back(tag: Tag, bytes: isize) {
    if tag == NOBODY {
        return;
    }
    let own = CHARGING.try_with(|charging| {
        let mut now = charging.get();
        let own = now.tag == tag;
        if own {
            now.taken -= bytes;
            charging.set(now);
        }
        own
    });
    if own == Ok(true) {
        return;
    }
    let (slot, generation) = (tag.0 as u32, (tag.0 >> 32) as u32);
    if let Some(slot) = SLOTS.get(slot as usize)
        && slot.generation.load(Ordering::Relaxed) == generation
    {
        slot.elsewhere.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// With room for a note behind it.
fn noted(layout: Layout) -> Option<Layout> {
    let size = layout.size().checked_add(size_of::<Tag>())?;
    Layout::from_size_align(size, layout.align()).ok()
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to implement; the one within does all the work"
)]
// SAFETY: every piece of memory is one of the allocator within, larger by a note that is written here behind what the
// caller may use. Nothing here allocates or unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(noted) = noted(layout) else {
            return ptr::null_mut();
        };
        // SAFETY: the size is not zero, and what is written lies behind the caller's bytes within the allocated ones.
        unsafe {
            let place = self.0.alloc(noted);
            if !place.is_null() {
                write_note(place, layout.size(), took(layout.size()));
            }
            place
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(noted) = noted(layout) else {
            return ptr::null_mut();
        };
        // SAFETY: as above.
        unsafe {
            let place = self.0.alloc_zeroed(noted);
            if !place.is_null() {
                write_note(place, layout.size(), took(layout.size()));
            }
            place
        }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (Some(before), true) = (noted(layout), size <= isize::MAX as usize - 64) else {
            return ptr::null_mut();
        };
        // SAFETY: the memory was allocated above with a note behind it; `size` leaves room for one. Whose it is does
        // not change.
        unsafe {
            let tag = read_note(place, layout.size());
            let moved = self.0.realloc(place, before, size + size_of::<Tag>());
            if !moved.is_null() {
                write_note(moved, size, tag);
                gave_back(tag, layout.size() as isize - size as isize);
            }
            moved
        }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        let Some(noted) = noted(layout) else {
            // Nothing was ever allocated with such a layout.
            return;
        };
        // SAFETY: the memory was allocated above with a note behind it.
        unsafe {
            let tag = read_note(place, layout.size());
            self.0.dealloc(place, noted);
            gave_back(tag, layout.size() as isize);
        }
    }
}

#[expect(unsafe_code, reason = "the note lies behind the caller's memory")]
unsafe fn write_note(place: *mut u8, size: usize, tag: Tag) {
    // SAFETY: the caller has allocated so many bytes and a note behind them.
    unsafe { place.add(size).cast::<Tag>().write_unaligned(tag) };
}

#[expect(unsafe_code, reason = "the note lies behind the caller's memory")]
unsafe fn read_note(place: *mut u8, size: usize) -> Tag {
    // SAFETY: the caller has allocated so many bytes and a note behind them, which was written then.
    unsafe { place.add(size).cast::<Tag>().read_unaligned() }
}

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: CountingAllocator<std::alloc::System> = CountingAllocator(std::alloc::System);

#[cfg(test)]
mod tests {
    use super::*;

    /// The amount that an owner holds, by what its turns say.
    fn charging(owner: &Owner, work: impl FnOnce()) -> isize {
        owner.begin();
        work();
        owner.end()
    }

    // proves: ISO-3
    #[test]
    fn what_an_owner_takes_and_gives_back_is_counted_to_the_byte() {
        let owner = Owner::new();
        let mut bytes = Vec::new();
        assert_eq!(charging(&owner, || bytes = vec![1_u8; 1000]), 1000);
        assert_eq!(charging(&owner, || bytes.reserve_exact(2000)), 2000);
        assert_eq!(bytes[..], [1; 1000]);
        assert_eq!(charging(&owner, || bytes.truncate(10)), 0);
        assert_eq!(charging(&owner, || bytes.shrink_to_fit()), -2990);
        assert_eq!(charging(&owner, || drop(std::mem::take(&mut bytes))), -10);
        assert_eq!(
            charging(&owner, || assert!(
                vec![0_u8; 1 << 20].iter().all(|byte| *byte == 0)
            )),
            0
        );
    }

    // proves: ISO-3
    #[test]
    fn what_is_given_back_elsewhere_is_the_owners_and_what_others_took_is_not() {
        let [owner, other] = [(); 2].map(|()| Owner::new());
        let mut bytes = Vec::new();
        assert_eq!(charging(&owner, || bytes = vec![0_u8; 1 << 20]), 1 << 20);
        // On another thread, in nobody's turn.
        let moved = std::mem::take(&mut bytes);
        std::thread::spawn(move || drop(moved)).join().unwrap();
        assert_eq!(charging(&owner, || ()), -(1 << 20));
        // In the turn of another one, and grown there: whose it is does not change.
        assert_eq!(charging(&owner, || bytes = vec![0_u8; 1000]), 1000);
        assert_eq!(charging(&other, || bytes.reserve_exact(3000)), 0);
        assert_eq!(charging(&owner, || ()), bytes.capacity() as isize - 1000);
        let all = bytes.capacity() as isize;
        assert_eq!(charging(&other, || bytes = Vec::new()), 0);
        assert_eq!(charging(&owner, || ()), -all);
        // Nobody saves up by giving back what others have taken.
        let of_nobody = vec![0_u8; 1 << 20];
        assert_eq!(charging(&owner, move || drop(of_nobody)), 0);
    }

    // proves: ISO-3
    #[test]
    fn an_owner_has_nothing_of_who_had_its_slot_before() {
        let mut bytes = Vec::new();
        let first = Owner::new();
        assert_eq!(charging(&first, || bytes = vec![0_u8; 5000]), 5000);
        drop(first);
        let second = Owner::new();
        drop(bytes);
        assert_eq!(charging(&second, || ()), 0);
    }

    #[test]
    fn what_is_done_for_nobody_in_a_turn_is_nobodys() {
        let owner = Owner::new();
        let (mut log, mut own) = (Vec::new(), Vec::new());
        let taken = charging(&owner, || {
            for_nobody(|| log = vec![0_u8; 9000]);
            own = vec![0_u8; 100];
        });
        assert_eq!(taken, 100);
        assert_eq!(charging(&owner, || drop((log, own))), -100);
    }

    #[test]
    fn memory_is_aligned_and_zeroed_as_it_was_asked_for() {
        for align in [1_usize, 2, 8, 16, 64, 4096] {
            for size in [1_usize, 7, 8, 63, 4096, 70_000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                #[expect(unsafe_code, reason = "an allocator is tried as its callers use it")]
                // SAFETY: what is allocated is used within its bounds and given back with the same layout.
                unsafe {
                    let place = ALLOCATOR.alloc_zeroed(layout);
                    assert_eq!(place as usize % align, 0);
                    assert!((0..size).all(|at| *place.add(at) == 0));
                    place.write_bytes(7, size);
                    let grown = ALLOCATOR.realloc(place, layout, size * 2);
                    assert_eq!(grown as usize % align, 0);
                    assert!((0..size).all(|at| *grown.add(at) == 7));
                    ALLOCATOR.dealloc(grown, Layout::from_size_align(size * 2, align).unwrap());
                }
            }
        }
    }
}
