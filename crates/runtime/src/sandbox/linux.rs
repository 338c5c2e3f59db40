//! Entering on Linux: first Landlock, which needs system calls of its own, then seccomp.

use std::path::PathBuf;

use super::{Demand, Enforced, FileTimes, Gap, SandboxError, landlock, no_network, seccomp};

pub(super) fn enter(writable: &[PathBuf], demand: Demand) -> Result<Enforced, SandboxError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(SandboxError::Threads { threads });
    }
    let mut enforced = landlock::enter(writable, demand)?;
    match (seccomp::enter(), demand) {
        (Ok(()), _) => enforced.system_calls = true,
        (Err(error), Demand::Everything) => return Err(error),
        (Err(error), Demand::WhatThereIs) => enforced.gaps.push(Gap {
            why: error.to_string(),
            advice: "a kernel with seccomp filters (`CONFIG_SECCOMP_FILTER`) holds them",
        }),
    }
    Ok(enforced)
}

pub(super) fn seal(times: FileTimes) -> Result<(), SandboxError> {
    seccomp::seal(times)
}

pub(super) fn hold_files(writable: &[PathBuf]) -> Result<(), SandboxError> {
    landlock::enter(writable, Demand::WhatThereIs).map(drop)
}

pub(super) fn without_network() -> Result<(), SandboxError> {
    no_network::enter()
}
