//! System calls, by seccomp (<https://docs.kernel.org/userspace-api/seccomp_filter.html>).
//!
//! A filter sees the number of a system call and its arguments as numbers, not what they point to. What is not listed
//! here is permitted: an allow list would be tied to what the C library, wasmtime and tokio happen to use this year.
//! The kernel remembers which calls are permitted whatever their arguments are, so reading, writing and waiting cost
//! nothing more.
//!
//! There is a filter for each error code, and one for numbers that only x86-64 has: the same calls once more, for a
//! 32-bit ABI ("x32"), which a list of numbers would miss. Calls of a foreign processor mode (`int 0x80`) end the
//! process.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

use super::SandboxError;

/// Holds all threads of the process.
pub(super) fn enter() -> Result<(), SandboxError> {
    let refused = |reason: String| SandboxError::Seccomp { reason };
    for program in programs().map_err(|error| refused(error.to_string()))? {
        seccompiler::apply_filter_all_threads(&program).map_err(|error| refused(error.to_string()))?;
    }
    Ok(())
}

fn programs() -> Result<Vec<BpfProgram>, BackendError> {
    Ok(vec![
        program(network()?, libc::EACCES)?,
        program(system()?, libc::EPERM)?,
        // The C library falls back to `clone` for a thread, whose flags a filter can see.
        program(vec![(libc::SYS_clone3, Vec::new())], libc::ENOSYS)?,
        foreign_numbers(),
    ])
}

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

/// Sockets other than TCP and UDP, and listening.
fn network() -> Result<Rules, BackendError> {
    let mut sockets = vec![
        rule([isnt(DOMAIN, libc::AF_INET)?, isnt(DOMAIN, libc::AF_INET6)?])?,
        rule([
            isnt(PROTOCOL, 0)?,
            isnt(PROTOCOL, libc::IPPROTO_TCP)?,
            isnt(PROTOCOL, libc::IPPROTO_UDP)?,
        ])?,
    ];
    for kind in (0..=KIND_BITS).filter(|kind| ![libc::SOCK_STREAM, libc::SOCK_DGRAM].contains(kind)) {
        sockets.push(rule([masked(KIND, KIND_BITS, kind)?])?);
    }
    // The pair that tokio wakes itself with.
    let pairs = vec![rule([isnt(DOMAIN, libc::AF_UNIX)?])?];
    Ok(vec![
        (libc::SYS_listen, Vec::new()),
        (libc::SYS_socket, sockets),
        (libc::SYS_socketpair, pairs),
    ])
}

/// Arguments of `socket`, by their places. Flags are or-ed to the kind.
const DOMAIN: u8 = 0;
const KIND: u8 = 1;
const PROTOCOL: u8 = 2;
const KIND_BITS: i32 = 0xf;

/// Other programs, other processes, and the system itself.
fn system() -> Result<Rules, BackendError> {
    let mut rules: Rules = NEVER.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    rules.extend(NEVER_ON_X86.iter().map(|call| (*call, Vec::new())));
    rules.push((libc::SYS_clone, vec![rule([masked(0, libc::CLONE_THREAD, 0)?])?]));
    let own = std::process::id().cast_signed();
    for call in FOR_OWN_PROCESS {
        rules.push((*call, vec![rule([isnt(0, own)?])?]));
    }
    rules.push((libc::SYS_prlimit64, vec![rule([isnt(0, own)?, isnt(0, 0)?])?]));
    // Typing into the terminal that the operator works at.
    let keystrokes = [TIOCSTI, TIOCLINUX].map(|request| rule([is(1, request)?]));
    rules.push((libc::SYS_ioctl, keystrokes.into_iter().collect::<Result<_, _>>()?));
    Ok(rules)
}

/// Calls whose first argument is a process.
const FOR_OWN_PROCESS: &[c_long] = &[
    libc::SYS_kill,
    libc::SYS_pidfd_open,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_tgkill,
];

const NEVER: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const NEVER_ON_X86: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_vfork,
];

/// See ioctl_tty(2) and ioctl_console(2).
const TIOCSTI: i32 = 0x5412;
const TIOCLINUX: i32 = 0x541c;

/// Refuses every number from 0x40000000 on, as a kernel without that ABI would. Elsewhere no call has such a number.
fn foreign_numbers() -> BpfProgram {
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
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, FOREIGN),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, refuse),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// Numbers of the x32 ABI begin here.
const FOREIGN: u32 = 0x4000_0000;

fn rule<const N: usize>(all: [SeccompCondition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(all.into())
}

fn is(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Eq, u64::from(value.cast_unsigned()))
}

fn isnt(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Ne, u64::from(value.cast_unsigned()))
}

fn masked(argument: u8, mask: i32, value: i32) -> Result<SeccompCondition, BackendError> {
    let mask = u64::from(mask.cast_unsigned());
    condition(
        argument,
        SeccompCmpOp::MaskedEq(mask),
        u64::from(value.cast_unsigned()),
    )
}

/// The kernel takes all of these arguments for 32 bits.
fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}
