//! Processes that are copies of this one, go on elsewhere in its code, and never come back.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

/// Starts a process that does `work` and ends: with status 0, or 1 when it fails.
///
/// # Errors
///
/// When there is a second thread, or the system starts no process.
#[expect(unsafe_code, reason = "the standard library has no fork; see SAFETY")]
pub(crate) fn fork(work: impl FnOnce() -> io::Result<()>) -> io::Result<Pid> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(io::Error::other(format!(
            "a process of {threads} threads cannot be copied"
        )));
    }
    // SAFETY: with one thread no lock is held by another, so the copy may do whatever this process may. It never
    // returns from here, by a panic neither, so nothing that the callers own is used or dropped twice.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => end(match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => 0,
            Ok(Err(_)) | Err(_) => 1,
        }),
        pid => Ok(Pid::from_raw(pid).expect("a process has a number above 0")),
    }
}

/// Ends this process, a copy of another one: without what was registered to run at the end of that.
#[expect(unsafe_code, reason = "the standard library always runs that; see SAFETY")]
pub(crate) fn end(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// Cuts a new process off from the one that it is a copy of: it ends with it, and has none of its open files but
/// `keep`; its standard streams lead nowhere. What a terminal sends to all is none of its business.
pub(crate) fn detach(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    ignore_signals();
    lead_streams_nowhere()?;
    detach_again(keep)
}

/// The same for a copy of one that is cut off already.
pub(super) fn detach_again(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    end_with_parent()?;
    close_all_but(keep);
    Ok(())
}

/// Has this process end when the one that started it ends.
fn end_with_parent() -> io::Result<()> {
    let parent = rustix::process::getppid();
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before.
    if rustix::process::getppid() == parent {
        Ok(())
    } else {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

/// Waits until a process has ended.
pub(crate) fn wait_for(pid: Pid) -> Option<WaitStatus> {
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Ok(ended) => return ended.map(|(_, status)| status),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

#[expect(unsafe_code, reason = "dispositions of signals; see SAFETY")]
fn ignore_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: no handler is set. One that was set, which would write into a pipe of the other process, is gone.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // SAFETY: as above; how processes end is waited for.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

#[expect(unsafe_code, reason = "standard streams have fixed descriptors; see SAFETY")]
fn lead_streams_nowhere() -> io::Result<()> {
    let nowhere = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    for stream in 0..=2 {
        // SAFETY: standard streams stay open, they only lead elsewhere.
        if unsafe { libc::dup2(nowhere.as_raw_fd(), stream) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Nothing that is open stays so but `keep` and the standard streams.
#[expect(
    unsafe_code,
    reason = "descriptors that nobody in this process uses; see SAFETY"
)]
fn close_all_but(keep: &[BorrowedFd<'_>]) {
    let mut keep: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd().unsigned_abs()).collect();
    keep.sort_unstable();
    let mut first = 3;
    for last in keep.into_iter().map(Some).chain([None]) {
        let before = last.map_or(u32::MAX, |kept| kept.saturating_sub(1));
        if first <= before {
            // SAFETY: whatever has these descriptors is of the process that this one is a copy of. It is never used
            // here, and never dropped, since this process never returns to it.
            unsafe { close_range(first, before) };
        }
        first = last.map_or(u32::MAX, |kept| kept + 1);
    }
}

#[expect(unsafe_code, reason = "closes descriptors; see SAFETY at the caller")]
unsafe fn close_range(first: u32, last: u32) {
    // SAFETY: as the caller promises.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if closed != 0 {
        // Before Linux 5.9.
        for fd in first..=last.min(MOST_DESCRIPTORS) {
            // SAFETY: as the caller promises.
            unsafe { libc::close(fd.cast_signed()) };
        }
    }
}

/// Nobody has opened as many by the time that processes are started.
const MOST_DESCRIPTORS: u32 = 65_536;
