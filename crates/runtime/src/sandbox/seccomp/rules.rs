//! The rules that refuse: lists of system calls, and of arguments.

use libc::c_long;
use seccompiler::{BackendError, SeccompRule};

use super::super::FileTimes;
use super::{Rules, is, isnt, masked, rule};

/// Sockets other than TCP and UDP, and listening.
pub(super) fn network() -> Result<Rules, BackendError> {
    let kinds_but = |kept: &'static [i32]| {
        let kinds = (0..=KIND_BITS).filter(move |kind| !kept.contains(&kind.cast_signed()));
        kinds.map(|kind| rule([masked(KIND, KIND_BITS, kind)]))
    };
    let mut sockets = vec![
        rule([
            isnt(DOMAIN, number(libc::AF_INET)),
            isnt(DOMAIN, number(libc::AF_INET6)),
        ])?,
        rule([
            isnt(PROTOCOL, 0),
            isnt(PROTOCOL, number(libc::IPPROTO_TCP)),
            isnt(PROTOCOL, number(libc::IPPROTO_UDP)),
        ])?,
    ];
    for kind in kinds_but(&[libc::SOCK_STREAM, libc::SOCK_DGRAM]) {
        sockets.push(kind?);
    }
    // The pair that tokio learns of signals by. One of datagrams could send to any Unix socket, one of streams is
    // connected for good.
    let mut pairs = vec![rule([isnt(DOMAIN, number(libc::AF_UNIX))])?];
    for kind in kinds_but(&[libc::SOCK_STREAM]) {
        pairs.push(kind?);
    }
    Ok(vec![
        (libc::SYS_listen, Vec::new()),
        (libc::SYS_socket, sockets),
        (libc::SYS_socketpair, pairs),
    ])
}

/// Other programs, other processes, files beyond what Landlock knows, and the system itself.
pub(super) fn system() -> Result<Rules, BackendError> {
    let mut rules: Rules = NEVER.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    rules.extend(NEVER_ON_X86.iter().map(|call| (*call, Vec::new())));
    // A thread, in the namespaces of the others.
    let mut clones = vec![rule([masked(0, number(libc::CLONE_THREAD), 0)])?];
    for namespace in NAMESPACES {
        clones.push(rule([masked(0, number(*namespace), number(*namespace))])?);
    }
    rules.push((libc::SYS_clone, clones));
    let own = std::process::id();
    for call in FOR_OWN_PROCESS {
        rules.push((*call, vec![rule([isnt(0, own)])?]));
    }
    rules.push((libc::SYS_prlimit64, vec![rule([isnt(0, own), isnt(0, 0)])?]));
    rules.push((libc::SYS_fcntl, each_of(1, NEVER_BY_FCNTL)?));
    rules.push((libc::SYS_prctl, each_of(0, NEVER_BY_PRCTL)?));
    // Devices, terminals, file systems and interfaces each have their own of these, of which any may change something.
    let others = IOCTLS.iter().map(|request| isnt(1, *request));
    rules.push((libc::SYS_ioctl, vec![rule(others)?]));
    Ok(rules)
}

/// The calls that a start needs and no guest does: pairs of sockets for tokio, further filters, and noting that
/// compiled code was used.
pub(super) fn start(times: FileTimes) -> Result<Rules, BackendError> {
    let mut rules: Rules = vec![
        (libc::SYS_seccomp, Vec::new()),
        (libc::SYS_socketpair, Vec::new()),
        (libc::SYS_prctl, each_of(0, &[PR_SET_SECCOMP])?),
    ];
    if times == FileTimes::Keep {
        rules.push((libc::SYS_utimensat, Vec::new()));
    }
    Ok(rules)
}

fn each_of(argument: u8, values: &[u32]) -> Result<Vec<SeccompRule>, BackendError> {
    values.iter().map(|value| rule([is(argument, *value)])).collect()
}

/// A constant of the C library, of which the kernel sees the bits.
const fn number(constant: i32) -> u32 {
    constant.cast_unsigned()
}

/// The newest call that was looked at: Linux 6.18. A later one is taken in here when it is known what it does.
pub(super) const NEWEST: u32 = 470;

/// Arguments of `socket` and `socketpair`, by their places. Flags are or-ed to the kind.
const DOMAIN: u8 = 0;
const KIND: u8 = 1;
const PROTOCOL: u8 = 2;
const KIND_BITS: u32 = 0xf;

/// Calls whose first argument is a process.
const FOR_OWN_PROCESS: &[c_long] = &[
    libc::SYS_kill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_tgkill,
];

/// See clone(2).
const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Those that let signals go to somebody else; see F_SETOWN, F_SETSIG, F_SETOWN_EX and F_NOTIFY in fcntl(2).
const NEVER_BY_FCNTL: &[u32] = &[8, 10, 15, 1026];

/// See prctl(2).
const NEVER_BY_PRCTL: &[u32] = &[
    number(libc::PR_SET_DUMPABLE),
    number(libc::PR_SET_KEEPCAPS),
    number(libc::PR_SET_SECUREBITS),
    number(libc::PR_SET_MM),
    number(libc::PR_SET_PTRACER),
    number(libc::PR_CAP_AMBIENT),
    number(libc::PR_SCHED_CORE),
];
const PR_SET_SECCOMP: u32 = number(libc::PR_SET_SECCOMP);

/// The remaining uses of ioctl(2): whether something is a terminal and how large, what was typed there too early, how a descriptor behaves, how much
/// there is to read or still to be sent, the numbers and names of network interfaces, and which pages of its memory the
/// process has written.
const IOCTLS: &[u32] = &[
    0xc060_6610, // PAGEMAP_SCAN, for each memory that is used again
    0x5401,      // TCGETS
    0x802c_542a, // TCGETS2
    0x5413,      // TIOCGWINSZ
    0x540b,      // TCFLSH, to discard what was typed before a question
    0x540f,      // TIOCGPGRP, whether another process is in front of this one there
    0x5421,      // FIONBIO
    0x5450,      // FIONCLEX
    0x5451,      // FIOCLEX
    0x541b,      // FIONREAD
    0x5411,      // TIOCOUTQ
    0x8910,      // SIOCGIFNAME
    0x8933,      // SIOCGIFINDEX
];

/// Newer than the C library's list; new calls have the same number everywhere.
const FCHMODAT2: c_long = 452;
const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;
const LSM_SET_SELF_ATTR: c_long = 460;
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
const FILE_SETATTR: c_long = 469;
const LISTNS: c_long = 470;

const NEVER: &[c_long] = &[
    // What belongs to files besides their content, which Landlock does not know.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
    FILE_SETATTR,
    // Programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_personality,
    // Other processes: their memory, descriptors, signals, and when they run.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_setpgid,
    libc::SYS_setsid,
    // What processes share beside files.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgctl,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // Another user.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    LSM_SET_SELF_ATTR,
    // Around a filter, or into the kernel.
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_memfd_secret,
    libc::SYS_lookup_dcookie,
    libc::SYS_syslog,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    // What the machine looks like.
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_pivot_root,
    libc::SYS_umount2,
    STATMOUNT,
    LISTMOUNT,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_setns,
    libc::SYS_unshare,
    LISTNS,
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
];

/// The old spellings of some of these, and what only this processor has.
#[cfg(target_arch = "x86_64")]
const NEVER_ON_X86: &[c_long] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_inotify_init,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS__sysctl,
];
