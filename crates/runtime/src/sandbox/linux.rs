//! Entering on Linux: first Landlock, which needs system calls of its own, then seccomp.

use super::{Demand, Enforced, FileTimes, Gap, Sandbox, SandboxError, landlock, no_network, seccomp};

pub(super) fn enter(sandbox: &Sandbox, demand: Demand) -> Result<Enforced, SandboxError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(SandboxError::Threads { threads });
    }
    let mut enforced = landlock::enter(sandbox, demand)?;
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

pub(super) fn hold_files(sandbox: &Sandbox) -> Result<(), SandboxError> {
    landlock::enter(sandbox, Demand::WhatThereIs).map(drop)
}

pub(super) fn without_network() -> Result<(), SandboxError> {
    no_network::enter()
}
