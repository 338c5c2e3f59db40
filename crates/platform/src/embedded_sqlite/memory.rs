//! Whose memory it is that SQLite takes.
//!
//! SQLite sorts, groups and keeps temporary tables in memory here, as much of it as a guest's statement asks for, and its
//! one limit of its own is for the process: whoever reached it would have the statements of others fail. So what it takes
//! comes from here, and is one of two kinds.
//!
//! ```text
//! SQLite ─ take ─┬─ while a connection of a guest is at work ─▶ Rust's allocator: in the account of the guest,
//!                │                                              and no more than MOST for the connection
//!                └─ else, and what a database in memory holds ─▶ C's allocator, as without this
//! ```
//!
//! Beyond its bound a connection is told that there is no memory, which SQLite makes an error of the statement.

use std::alloc::{GlobalAlloc, Layout, System, alloc, dealloc, realloc};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Once;

use rusqlite::ffi;

/// Bytes that a guest's connection has at most: 256 MiB.
const MOST: isize = 256 << 20;

/// Bytes that a connection has. Guests of key-value stores write no SQL, and their connections have none of their own.
#[cfg(feature = "sqlite")]
#[derive(Debug, Default)]
pub(crate) struct Held(isize);

thread_local! {
    /// What the connection has that is at work on this thread.
    static AT_WORK: Cell<Option<isize>> = const { Cell::new(None) };
}

/// Bytes from which on it is asked whether the statement that takes them is to end: what takes long takes them.
const LARGE: isize = 1024;

#[cfg(feature = "sqlite")]
use crate::sqlite::must_end;

#[cfg(not(feature = "sqlite"))]
fn must_end() -> bool {
    false
}

/// Stands before each piece of memory.
#[repr(C, align(16))]
struct Note {
    size: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Guest,
    Host,
}

#[cfg(feature = "sqlite")]
impl Held {
    /// Does something with a guest's connection. What SQLite takes meanwhile is the connection's.
    pub(crate) fn at_work<R>(&mut self, work: impl FnOnce() -> R) -> R {
        AT_WORK.set(Some(self.0));
        let end = End(self);
        let done = work();
        drop(end);
        done
    }

    /// Bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> isize {
        self.0
    }
}

/// The end of a connection's work, also where something panics.
#[cfg(feature = "sqlite")]
struct End<'a>(&'a mut Held);

#[cfg(feature = "sqlite")]
impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.0 = AT_WORK.take().unwrap_or(self.0.0);
    }
}

/// Has SQLite take its memory here. It is too late where the embedder has used SQLite before: then the bound is one for the
/// process.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if !set_methods() {
            tracing::warn!(
                "SQLite was in use before: what its statements take of memory is in nobody's account"
            );
            limit_process();
        }
    });
}

#[expect(unsafe_code, reason = "SQLite takes its allocator as a table of functions")]
fn set_methods() -> bool {
    let methods = ffi::sqlite3_mem_methods {
        xMalloc: Some(take),
        xFree: Some(give_back),
        xRealloc: Some(resize),
        xSize: Some(size_of_piece),
        xRoundup: Some(round_up),
        xInit: Some(begin),
        xShutdown: Some(end),
        pAppData: ptr::null_mut(),
    };
    // SAFETY: the arguments are what SQLite's documentation says for each option. It copies the table, whose functions do
    // what it demands of an allocator. Its own count, under a lock for the process, is left out.
    unsafe {
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods) == ffi::SQLITE_OK
            && ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0_i32) == ffi::SQLITE_OK
    }
}

#[expect(unsafe_code, reason = "a function of SQLite's")]
fn limit_process() {
    // SAFETY: it takes a number.
    unsafe { ffi::sqlite3_hard_heap_limit64(4 * MOST as i64) };
}

/// What there is room for before a piece of this size.
fn layout(size: usize) -> Option<Layout> {
    let all = size.checked_add(size_of::<Note>())?;
    Layout::from_size_align(all, align_of::<Note>()).ok()
}

/// Takes or gives back bytes of the connection that is at work. Whether it may have them.
fn count(more: isize) -> bool {
    if more > LARGE && must_end() {
        return false;
    }
    AT_WORK
        .try_with(|at_work| match at_work.get() {
            Some(held) if more > 0 && held.saturating_add(more) > MOST => false,
            Some(held) => {
                at_work.set(Some(held.saturating_add(more)));
                true
            }
            None => true,
        })
        .unwrap_or(true)
}

#[expect(unsafe_code, reason = "an allocator for C; see SAFETY")]
unsafe extern "C" fn take(size: c_int) -> *mut c_void {
    let (Ok(size), Ok(Some(kind))) = (usize::try_from(size), AT_WORK.try_with(kind_of)) else {
        return ptr::null_mut();
    };
    let Some(layout) = layout(size) else {
        return ptr::null_mut();
    };
    if kind == Kind::Guest && !count(size as isize) {
        return ptr::null_mut();
    }
    // SAFETY: the layout has room for a note at least, which is written before anybody reads it, at the alignment of one.
    unsafe {
        let place = match kind {
            Kind::Guest => alloc(layout),
            Kind::Host => System.alloc(layout),
        }
        .cast::<Note>();
        if place.is_null() {
            if kind == Kind::Guest {
                count(-(size as isize));
            }
            return ptr::null_mut();
        }
        place.write(Note { size, kind });
        place.add(1).cast()
    }
}

fn kind_of(at_work: &Cell<Option<isize>>) -> Option<Kind> {
    Some(if at_work.get().is_some() {
        Kind::Guest
    } else {
        Kind::Host
    })
}

#[expect(unsafe_code, reason = "an allocator for C; see SAFETY")]
unsafe extern "C" fn give_back(piece: *mut c_void) {
    if piece.is_null() {
        return;
    }
    // SAFETY: SQLite gives back what it got from `take` or `resize`, so a note stands before it, of what was allocated in
    // this layout by the allocator of its kind.
    unsafe {
        let place = piece.cast::<Note>().sub(1);
        let (size, kind) = ((*place).size, (*place).kind);
        let Some(layout) = layout(size) else {
            return;
        };
        match kind {
            Kind::Guest => {
                dealloc(place.cast(), layout);
                count(-(size as isize));
            }
            Kind::Host => System.dealloc(place.cast(), layout),
        }
    }
}

/// The piece stays of its kind: what a database in memory holds is nobody's, whoever makes it grow.
#[expect(unsafe_code, reason = "an allocator for C; see SAFETY")]
unsafe extern "C" fn resize(piece: *mut c_void, size: c_int) -> *mut c_void {
    let Ok(size) = usize::try_from(size) else {
        return ptr::null_mut();
    };
    if piece.is_null() {
        // SAFETY: it takes any size.
        return unsafe { take(size as c_int) };
    }
    // SAFETY: as in `give_back`; the new layout is valid, and the note is moved with the piece and then made true.
    unsafe {
        let place = piece.cast::<Note>().sub(1);
        let (before, kind) = ((*place).size, (*place).kind);
        let (Some(old), Some(new)) = (layout(before), layout(size)) else {
            return ptr::null_mut();
        };
        let more = size as isize - before as isize;
        if kind == Kind::Guest && !count(more) {
            return ptr::null_mut();
        }
        let moved = match kind {
            Kind::Guest => realloc(place.cast(), old, new.size()),
            Kind::Host => System.realloc(place.cast(), old, new.size()),
        }
        .cast::<Note>();
        if moved.is_null() {
            if kind == Kind::Guest {
                count(-more);
            }
            return ptr::null_mut();
        }
        (*moved).size = size;
        moved.add(1).cast()
    }
}

#[expect(unsafe_code, reason = "an allocator for C; see SAFETY")]
unsafe extern "C" fn size_of_piece(piece: *mut c_void) -> c_int {
    if piece.is_null() {
        return 0;
    }
    // SAFETY: as in `give_back`. The size was a `c_int` when it was asked for.
    unsafe { (*piece.cast::<Note>().sub(1)).size as c_int }
}

#[expect(unsafe_code, reason = "C calls it")]
unsafe extern "C" fn round_up(size: c_int) -> c_int {
    size.saturating_add(7) & !7
}

#[expect(unsafe_code, reason = "C calls it")]
unsafe extern "C" fn begin(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

#[expect(unsafe_code, reason = "C calls it")]
unsafe extern "C" fn end(_: *mut c_void) {}
