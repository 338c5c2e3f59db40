//! System calls, by seccomp (<https://docs.kernel.org/userspace-api/seccomp_filter.html>).
//!
//! A filter sees the number of a system call and its arguments as numbers, not what they point to. What is not listed
//! in [`rules`] is permitted, up to the newest call that was looked at when the list was made: an allow list would be
//! tied to what the C library, wasmtime and tokio happen to use this year, and calls that nobody has looked at yet are
//! as if this kernel did not have them. The kernel remembers which calls are permitted whatever their arguments are, so
//! reading, writing and waiting cost nothing more.
//!
//! There is a filter for each error code, and one for numbers: of calls that are newer than the list, and those that
//! only x86-64 has, the same calls once more for a 32-bit ABI ("x32"). Calls of a foreign processor mode (`int 0x80`)
//! end the process.
//!
//! What only a start needs is taken away by a last filter ([`seal`]), before the first guest runs.

mod rules;

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

use super::{FileTimes, SandboxError};

/// Holds all threads of the process.
pub(super) fn enter() -> Result<(), SandboxError> {
    apply(programs())
}

/// Takes away from all threads what a start alone needs.
pub(super) fn seal(times: FileTimes) -> Result<(), SandboxError> {
    apply(rules::start(times).and_then(|rules| Ok(vec![program(rules, libc::EPERM)?])))
}

fn apply(programs: Result<Vec<BpfProgram>, BackendError>) -> Result<(), SandboxError> {
    let refused = |reason: String| SandboxError::Seccomp { reason };
    for program in programs.map_err(|error| refused(error.to_string()))? {
        seccompiler::apply_filter_all_threads(&program).map_err(|error| refused(error.to_string()))?;
    }
    Ok(())
}

fn programs() -> Result<Vec<BpfProgram>, BackendError> {
    Ok(vec![
        program(rules::network()?, libc::EACCES)?,
        program(rules::system()?, libc::EPERM)?,
        // The C library falls back to `clone` for a thread, whose flags a filter can see.
        program(vec![(libc::SYS_clone3, Vec::new())], libc::ENOSYS)?,
        unknown_numbers(),
    ])
}

/// System calls that are refused: always, or if one of the rules holds for the arguments.
type Rules = Vec<(c_long, Vec<SeccompRule>)>;

fn program(rules: Rules, error: i32) -> Result<BpfProgram, BackendError> {
    let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.into_iter().collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(error.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}

/// Refuses every number beyond those that were looked at, as a kernel without such a call would. The x32 ABI of x86-64
/// begins at 0x40000000.
fn unknown_numbers() -> BpfProgram {
    let instruction = |code: u32, jt, jf, k| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    vec![
        // The number is the first word of what a filter is given.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 0, 1, rules::NEWEST),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, refuse),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

fn rule(
    all: impl IntoIterator<Item = Result<SeccompCondition, BackendError>>,
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(all.into_iter().collect::<Result<_, _>>()?)
}

fn is(argument: u8, value: u32) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn isnt(argument: u8, value: u32) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Ne, value)
}

fn masked(argument: u8, mask: u32, value: u32) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::MaskedEq(mask.into()), value)
}

/// The kernel takes all of these arguments for 32 bits.
fn condition(argument: u8, operator: SeccompCmpOp, value: u32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.into())
}
