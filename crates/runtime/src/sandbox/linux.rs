//! Entering on Linux: first Landlock, which needs system calls of its own, then seccomp.

use std::path::PathBuf;

use super::{Demand, Enforced, SandboxError, landlock, seccomp};

pub(super) fn enter(writable: &[PathBuf], demand: Demand) -> Result<Enforced, SandboxError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(SandboxError::Threads { threads });
    }
    let mut enforced = landlock::enter(writable, demand)?;
    seccomp::enter()?;
    enforced.system_calls = true;
    Ok(enforced)
}
