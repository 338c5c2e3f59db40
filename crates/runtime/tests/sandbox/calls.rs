//! The table of system calls: what is tried, what comes of it without the sandbox, and within.
//!
//! First what would have an effect, which is shown by its success without. Then each call that is refused whatever its
//! arguments are, with arguments that are never any good.

use std::ffi::CString;
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::linux::{Attempt, INSIDE_ONLY, OK, call, errno, own, parent, row, socket};

/// Refused unless a guest has a writable directory.
pub(super) const TIMES: Attempt = row("times of a file elsewhere", OK, libc::EPERM, |world| {
    let path = path(&world.outside.join("file"));
    let times = [1i64, 0, 1, 0];
    call(
        libc::SYS_utimensat,
        [HERE, path.as_ptr() as i64, times.as_ptr() as i64, 0],
    )
});

macro_rules! refused {
    ($($call:ident)*) => {
        [$(row(stringify!($call), INSIDE_ONLY, libc::EPERM, |_| call(libc::$call, [-1; 4]))),*]
    };
}

pub(super) const ATTEMPTS: &[Attempt] = &[
    row("a pair of sockets for datagrams", OK, libc::EPERM, |_| {
        pair(libc::SOCK_DGRAM)
    }),
    row("a pair of sockets for packets", OK, libc::EPERM, |_| {
        pair(libc::SOCK_SEQPACKET)
    }),
    row("UDP at a chosen port, which nothing here holds", OK, 0, |_| {
        let port = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        errno(UdpSocket::bind(("127.0.0.1", port)))
    }),
    #[cfg(target_arch = "x86_64")]
    row("mode of a file elsewhere", OK, libc::EPERM, |world| {
        call(
            libc::SYS_chmod,
            [path(&world.outside.join("file")).as_ptr() as i64, 0o644, 0, 0],
        )
    }),
    #[cfg(not(target_arch = "x86_64"))]
    row("mode of a file elsewhere", OK, libc::EPERM, |world| {
        let path = path(&world.outside.join("file"));
        call(libc::SYS_fchmodat, [HERE, path.as_ptr() as i64, 0o644, 0])
    }),
    row("mode of an open file elsewhere", OK, libc::EPERM, |world| {
        call(libc::SYS_fchmod, [open(&world.outside.join("file")), 0o644, 0, 0])
    }),
    row(
        "mode of a file elsewhere, by its directory",
        OK,
        libc::EPERM,
        |world| {
            let directory = open(&world.outside);
            call(libc::SYS_fchmodat, [directory, c"file".as_ptr() as i64, 0o644, 0])
        },
    ),
    row(
        "mode of a file elsewhere, by the newer call",
        INSIDE_ONLY,
        libc::EPERM,
        |world| {
            let directory = open(&world.outside);
            call(452, [directory, c"file".as_ptr() as i64, 0o644, 0])
        },
    ),
    row("owner of an open file elsewhere", OK, libc::EPERM, |world| {
        call(libc::SYS_fchown, [open(&world.outside.join("file")), -1, -1, 0])
    }),
    row(
        "owner of a file elsewhere, by its directory",
        OK,
        libc::EPERM,
        |world| {
            let directory = open(&world.outside);
            call(libc::SYS_fchownat, [directory, c"file".as_ptr() as i64, -1, -1])
        },
    ),
    row(
        "attribute of an open file elsewhere",
        INSIDE_ONLY,
        libc::EPERM,
        |world| {
            let file = open(&world.outside.join("file"));
            call(
                libc::SYS_fsetxattr,
                [file, c"user.x".as_ptr() as i64, c"y".as_ptr() as i64, 1],
            )
        },
    ),
    row(
        "flags of an open file elsewhere",
        INSIDE_ONLY,
        libc::EPERM,
        |world| {
            let flags = 0u64;
            call(
                libc::SYS_ioctl,
                [
                    open(&world.outside.join("file")),
                    0x4008_6602,
                    &raw const flags as i64,
                    0,
                ],
            )
        },
    ),
    row("setxattrat", INSIDE_ONLY, libc::EPERM, |_| call(463, [-1; 4])),
    row("removexattrat", INSIDE_ONLY, libc::EPERM, |_| call(466, [-1; 4])),
    row("open_tree_attr", INSIDE_ONLY, libc::EPERM, |_| call(467, [-1; 4])),
    row("file_setattr", INSIDE_ONLY, libc::EPERM, |_| call(469, [-1; 4])),
    row("times of an open file elsewhere", OK, libc::EPERM, |world| {
        call(libc::SYS_utimensat, [open(&world.outside.join("file")), 0, 0, 0])
    }),
    row("a signal to the process group", OK, libc::EPERM, |_| {
        call(libc::SYS_kill, [0; 4])
    }),
    row("a signal to another thread's number", OK, libc::EPERM, |_| {
        call(libc::SYS_tkill, [parent(), 0, 0, 0])
    }),
    row("a signal to a thread of another process", OK, libc::EPERM, |_| {
        call(libc::SYS_tgkill, [parent(), parent(), 0, 0])
    }),
    row("a signal to a thread of its own", OK, 0, |_| {
        call(libc::SYS_tgkill, [own(), own(), 0, 0])
    }),
    row("a signal by /proc", OK, libc::EPERM, |_| {
        let process = open(Path::new(&format!("/proc/{}", parent())));
        call(libc::SYS_pidfd_send_signal, [process, 0, 0, 0])
    }),
    row("a descriptor of its own, by a handle", OK, libc::EPERM, |_| {
        let handle = number_of(libc::SYS_pidfd_open, [own(), 0]);
        call(libc::SYS_pidfd_getfd, [handle, 0, 0, 0])
    }),
    row(
        "a descriptor by what is no handle",
        OK_IF_NO_HANDLE,
        libc::EPERM,
        |_| {
            let process = open(Path::new(&format!("/proc/{}", parent())));
            call(libc::SYS_pidfd_getfd, [process, 0, 0, 0])
        },
    ),
    row(
        "a queued signal to another process",
        INSIDE_ONLY,
        libc::EPERM,
        |_| call(libc::SYS_rt_sigqueueinfo, [parent(), -1, -1, 0]),
    ),
    row(
        "a queued signal to another thread",
        INSIDE_ONLY,
        libc::EPERM,
        |_| call(libc::SYS_rt_tgsigqueueinfo, [parent(), parent(), -1, -1]),
    ),
    row("priority of another process", INSIDE_ONLY, libc::EPERM, |_| {
        call(libc::SYS_setpriority, [0, parent(), 5, 0])
    }),
    row("processors of another process", INSIDE_ONLY, libc::EPERM, |_| {
        let processors = u64::MAX;
        call(
            libc::SYS_sched_setaffinity,
            [parent(), 8, &raw const processors as i64, 0],
        )
    }),
    row("signals for another process, by fcntl", OK, libc::EPERM, |_| {
        let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        call(
            libc::SYS_fcntl,
            [socket.into(), libc::F_SETOWN.into(), parent(), 0],
        )
    }),
    row("signals for another thread, by fcntl", OK, libc::EPERM, |_| {
        let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        let owner = [1, parent() as i32];
        call(libc::SYS_fcntl, [socket.into(), 15, owner.as_ptr() as i64, 0])
    }),
    row("another signal, by fcntl", OK, libc::EPERM, |_| {
        let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        call(libc::SYS_fcntl, [socket.into(), 10, libc::SIGUSR1.into(), 0])
    }),
    row(
        "signals for another process, by FIOSETOWN",
        OK,
        libc::EPERM,
        |_| {
            let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
            let owner = parent() as i32;
            call(
                libc::SYS_ioctl,
                [socket.into(), 0x8901, &raw const owner as i64, 0],
            )
        },
    ),
    row(
        "signals for another process, by SIOCSPGRP",
        OK,
        libc::EPERM,
        |_| {
            let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
            let owner = parent() as i32;
            call(
                libc::SYS_ioctl,
                [socket.into(), 0x8902, &raw const owner as i64, 0],
            )
        },
    ),
    row("a descriptor that does not wait", OK, 0, |_| {
        let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        let on = 1i32;
        call(libc::SYS_ioctl, [socket.into(), 0x5421, &raw const on as i64, 0])
    }),
    row(
        "the memory of another process, by /proc",
        INSIDE_ONLY,
        libc::EACCES,
        |_| errno(File::open(format!("/proc/{}/mem", parent()))),
    ),
    row("being traced", OK, libc::EPERM, |_| {
        call(libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), 1, 0, 0])
    }),
    row("being traced by whoever likes", INSIDE_ONLY, libc::EPERM, |_| {
        call(libc::SYS_prctl, [libc::PR_SET_PTRACER.into(), -1, 0, 0])
    }),
    row(
        "a thread in a network of its own",
        INSIDE_ONLY,
        libc::EPERM,
        |_| {
            let thread = libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_VM;
            call(libc::SYS_clone, [(thread | libc::CLONE_NEWNET).into(), 0, 0, 0])
        },
    ),
    row("a further filter", INSIDE_ONLY, libc::EPERM, |_| {
        call(libc::SYS_seccomp, [1, 0, 0, 0])
    }),
    row("a further filter, by prctl", INSIDE_ONLY, libc::EPERM, |_| {
        call(libc::SYS_prctl, [libc::PR_SET_SECCOMP.into(), 2, 0, 0])
    }),
    row("a new file in memory, which cannot run", OK, libc::EPERM, |_| {
        let path = c"".as_ptr() as i64;
        match call(libc::SYS_memfd_create, [c"x".as_ptr() as i64, 0, 0, 0]) {
            // Without the sandbox it is no program, and would end this one if it were.
            0 if call(libc::SYS_seccomp, [2, 0, 0, 0]) == libc::EPERM => {
                call(libc::SYS_execveat, [3, path, 0, 0])
            }
            made => made,
        }
    }),
    row(
        "a call that nobody has looked at",
        INSIDE_ONLY,
        libc::ENOSYS,
        |_| call(471, [-1; 4]),
    ),
    row("a call of the far future", OK_IF_UNKNOWN, libc::ENOSYS, |_| {
        call(1023, [-1; 4])
    }),
];

/// Each is refused whatever its arguments are.
pub(super) static REFUSED: std::sync::LazyLock<Vec<Attempt>> = std::sync::LazyLock::new(|| {
    let mut all = Vec::from(refused![
        SYS_lsetxattr SYS_setxattr SYS_removexattr SYS_lremovexattr SYS_fremovexattr
        SYS_execve SYS_execveat SYS_personality SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev
        SYS_process_madvise SYS_process_mrelease SYS_kcmp SYS_ioprio_set SYS_sched_setattr
        SYS_sched_setparam SYS_sched_setscheduler SYS_migrate_pages SYS_move_pages SYS_setpgid SYS_setsid
        SYS_shmget SYS_shmat SYS_shmctl SYS_semget SYS_semctl SYS_semop SYS_semtimedop SYS_msgget SYS_msgctl
        SYS_msgrcv SYS_msgsnd SYS_mq_open SYS_mq_unlink SYS_add_key SYS_keyctl SYS_request_key
        SYS_inotify_init1 SYS_inotify_add_watch SYS_fanotify_init SYS_fanotify_mark
        SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_setresuid SYS_setresgid SYS_setfsuid SYS_setfsgid
        SYS_setgroups SYS_capset SYS_io_uring_enter SYS_io_uring_register SYS_io_uring_setup SYS_bpf
        SYS_perf_event_open SYS_userfaultfd SYS_memfd_secret SYS_lookup_dcookie SYS_syslog SYS_delete_module
        SYS_finit_module SYS_init_module SYS_kexec_file_load SYS_kexec_load SYS_chroot SYS_fsconfig SYS_fsmount
        SYS_fsopen SYS_fspick SYS_mount SYS_mount_setattr SYS_move_mount SYS_open_tree SYS_pivot_root SYS_umount2
        SYS_name_to_handle_at SYS_open_by_handle_at SYS_setns SYS_unshare SYS_acct SYS_adjtimex SYS_clock_adjtime
        SYS_clock_settime SYS_settimeofday SYS_quotactl SYS_quotactl_fd SYS_reboot SYS_setdomainname
        SYS_sethostname SYS_swapoff SYS_swapon SYS_vhangup SYS_nfsservctl
    ]);
    #[cfg(target_arch = "x86_64")]
    all.extend(refused![
        SYS_chown SYS_lchown SYS_utime SYS_utimes SYS_futimesat SYS_fork SYS_vfork SYS_inotify_init SYS_ioperm
        SYS_iopl SYS_modify_ldt SYS_uselib SYS__sysctl
    ]);
    all
});

/// Only a handle counts.
const OK_IF_NO_HANDLE: Option<i32> = Some(libc::EBADF);

/// No kernel has it.
const OK_IF_UNKNOWN: Option<i32> = Some(libc::ENOSYS);

/// The working directory, `AT_FDCWD`.
const HERE: i64 = -100;

fn path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// A descriptor that stays open, for reading.
fn open(path: &Path) -> i64 {
    let file = File::open(path).unwrap();
    let descriptor = file.as_raw_fd().into();
    std::mem::forget(file);
    descriptor
}

/// What a call answers.
#[allow(unsafe_code, reason = "a hole is what this program is about")]
fn number_of(number: libc::c_long, [a, b]: [i64; 2]) -> i64 {
    // SAFETY: the arguments are numbers.
    unsafe { libc::syscall(number, a, b, 0, 0) }
}

/// Whether a pair of Unix sockets of that kind can be made.
pub(super) fn pair(kind: i32) -> i32 {
    let mut pair = [0i32; 2];
    call(
        libc::SYS_socketpair,
        [libc::AF_UNIX.into(), kind.into(), 0, pair.as_mut_ptr() as i64],
    )
}
