//! No sockets and no programs, by seccomp, for a process that talks to others by what is open already.
//!
//! Pairs of connected sockets of the Unix domain stay, by which it talks to the processes that it starts.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter};

use super::SandboxError;

/// Holds this process, and every process that it starts.
pub(super) fn enter() -> Result<(), SandboxError> {
    let refused = |reason: String| SandboxError::Seccomp { reason };
    let program = program().map_err(|error| refused(error.to_string()))?;
    seccompiler::apply_filter(&program).map_err(|error| refused(error.to_string()))
}

fn program() -> Result<BpfProgram, BackendError> {
    let rules: BTreeMap<i64, _> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EACCES.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}

const REFUSED: &[c_long] = &[
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_io_uring_setup,
    libc::SYS_listen,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_socket,
];
