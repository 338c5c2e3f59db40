//! A second layer, in the kernel: what this process cannot do, whatever happens inside it (Linux).
//!
//! The gate judges what guests ask for. Should a guest ever get to run code outside of its own memory, that code is
//! this process, and no gate stands in its way. So the process gives up what it has no use for, for good and before
//! the first guest runs:
//!
//! | given up | by | needs | refused with |
//! | --- | --- | --- | --- |
//! | listening, on whatever address; the operator's listeners are open by then, and accepting goes on | seccomp | | `EACCES` |
//! | sockets that are not TCP or UDP over IPv4 or IPv6: raw, packet, Unix (abstract names too), netlink, … | seccomp | | `EACCES` |
//! | binding a TCP socket to a chosen port | Landlock | Linux 6.7 (ABI 4) | `EACCES` |
//! | creating, changing, cutting off and removing files outside of the directories that are named as writable | Landlock | Linux 6.2 (ABI 3) | `EACCES` |
//! | changing whose files are, who may use them, and their attributes, everywhere | seccomp | | `EPERM` |
//! | changing the times of files, everywhere, unless guests may ([`FileTimes`]) | seccomp | | `EPERM` |
//! | running programs, and new processes | seccomp (and Landlock) | | `EPERM` |
//! | reaching into other processes: tracing, memory, descriptors, signals of every kind, priorities, limits | seccomp (and Landlock) | | `EPERM` |
//! | memory, semaphores, queues and keys that processes share by name; being told of others' changes to files | seccomp | | `EPERM` |
//! | becoming another user | seccomp | | `EPERM` |
//! | requests to devices, terminals and file systems (`ioctl`), but for a few that only ask | seccomp | | `EPERM` |
//! | system calls that lead around a filter or into the system: `io_uring`, mounts, namespaces, modules, … | seccomp | | `EPERM` |
//! | system calls that are newer than this list | seccomp | | `ENOSYS` |
//!
//! Seccomp is in every kernel that Outport runs on (Linux 4.14), unless it was built without. [`Demand::Everything`]
//! refuses exactly where a row would not hold.
//!
//! What is **not** given up, since the kernel cannot tell, or Outport needs it: reading files; connections, since the
//! kernel cannot tell which guest is behind one, so where they lead is for the gate alone; UDP sockets bound to a
//! chosen port, as resolving names takes UDP and a filter does not see ports (Landlock does from Linux 7.2 on, ABI 10,
//! which was not there to be tried); and where a guest has a writable directory, the times of all files of the user.
//! What was open before stays open, such as the audit log, and the Unix sockets by which a service manager is told of the
//! process and by which the next process comes to take over. In the directory of that files can be made and written to,
//! so that it can be rotated; not removed, renamed or cut off.
//!
//! Where the kernel has it, Landlock holds some rows a second time: requests to devices (Linux 6.10), signals and
//! abstract Unix sockets (6.12).
//!
//! Landlock before its ABI 8 holds only the thread that asks for it, and all threads which that one starts. Hence
//! [`Sandbox::enter`] refuses once there is a second thread.
//!
//! A start takes more than guests do, such as further filters. [`Enforced::seal`] gives that up too, before the first
//! guest runs.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "sandbox/linux.rs"]
mod kernel;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "sandbox/elsewhere.rs"]
mod kernel;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod landlock;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod no_network;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod seccomp;

use std::fmt;
use std::io;
use std::path::PathBuf;

use outport_policy::text;

/// The rights that the process keeps when it enters the kernel's sandbox.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    writable: Vec<PathBuf>,
    /// The directories where logs are made anew.
    logs: Vec<PathBuf>,
}

/// The demand: what to do where the kernel does not have all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Take what there is.
    WhatThereIs,
    /// Take all of the table above, or fail. Needs Linux 6.7 (Landlock ABI 4) on x86-64 or AArch64, with Landlock
    /// enabled.
    Everything,
}

/// The rules that the kernel enforces from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enforced {
    /// The filter of system calls.
    pub system_calls: bool,
    /// Files are written only where it was permitted.
    pub files: bool,
    /// TCP sockets are not bound to a chosen port.
    pub ports: bool,
    /// The reasons why it does not enforce the rest, and what would let it.
    pub gaps: Vec<Gap>,
}

/// Something that the kernel does not enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The reason, in words.
    pub why: String,
    /// Advice on what to do so that it does.
    pub advice: &'static str,
}

/// The right to set the times of files, which is for all files or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileTimes {
    /// The process may: a guest has a writable directory.
    Set,
    /// The process may not.
    Keep,
}

/// The reason why the process could not enter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The kernel lacks a part that was demanded.
    #[error("this kernel does not have {missing}")]
    Missing {
        /// The missing part, in words.
        missing: &'static str,
    },
    /// Only part of the process would be held.
    #[error("the process has {threads} threads already, of which only one would be held")]
    Threads {
        /// The number of threads.
        threads: usize,
    },
    /// A writable directory cannot be opened.
    #[error("the directory `{}` cannot be opened: {source}", text::path(.path))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The kernel refuses the rules for files and ports.
    #[error("the kernel refuses the rules for files and ports: {reason}")]
    Landlock {
        /// The kernel's message.
        reason: String,
    },
    /// The kernel refuses the filter of system calls.
    #[error("the kernel refuses the filter of system calls: {reason}")]
    Seccomp {
        /// The kernel's message.
        reason: String,
    },
}

impl Sandbox {
    /// A process that writes to no file which it has not opened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Files beneath `directory` may be written, made and removed. One that is not there gives no right.
    #[must_use]
    pub fn writable(mut self, directory: impl Into<PathBuf>) -> Self {
        self.writable.push(directory.into());
        self
    }

    /// Files in `directory` may be made and written to, such as a log that somebody moves away; none may be removed,
    /// renamed or cut off.
    #[must_use]
    pub fn with_logs_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.logs.push(directory.into());
        self
    }

    /// Enters, for good. Sockets that listen must listen by now, and there must be no second thread yet.
    ///
    /// # Errors
    ///
    /// When something that was demanded is missing, there are several threads, or a directory cannot be opened. Part of
    /// the sandbox may be in force then.
    pub fn enter(&self, demand: Demand) -> Result<Enforced, SandboxError> {
        kernel::enter(self, demand)
    }

    /// Only files: of the table above nothing else is given up. As far as the kernel can.
    pub(crate) fn hold_files(&self) -> Result<(), SandboxError> {
        kernel::hold_files(self)
    }

    /// Gives up sockets and running programs, and keeps new processes: for one that has compilers run.
    pub(crate) fn without_network() -> Result<(), SandboxError> {
        kernel::without_network()
    }
}

/// In words: `system calls, files and ports`.
impl fmt::Display for Enforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts(true))
    }
}

impl Enforced {
    /// True if nothing of the table is missing.
    pub fn is_everything(&self) -> bool {
        self.system_calls && self.files && self.ports
    }

    /// The missing parts, in words: `files and ports`.
    pub fn missing(&self) -> String {
        self.parts(false)
    }

    /// Gives up what only a start needs; to be called before the first guest runs. There may be other threads, which
    /// are held too.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the filter.
    pub fn seal(&self, times: FileTimes) -> Result<(), SandboxError> {
        if self.system_calls {
            kernel::seal(times)
        } else {
            Ok(())
        }
    }

    fn parts(&self, enforced: bool) -> String {
        let parts = [
            (self.system_calls, "system calls"),
            (self.files, "files"),
            (self.ports, "ports"),
        ];
        let parts: Vec<&str> = parts
            .into_iter()
            .filter_map(|(is, part)| (is == enforced).then_some(part))
            .collect();
        match parts.split_last() {
            None => "nothing".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enforced_is_told_in_words() {
        let rows = [
            ((true, true, true), "system calls, files and ports", "nothing"),
            ((true, true, false), "system calls and files", "ports"),
            ((true, false, false), "system calls", "files and ports"),
            ((false, false, false), "nothing", "system calls, files and ports"),
        ];
        for ((system_calls, files, ports), words, missing) in rows {
            let enforced = Enforced {
                system_calls,
                files,
                ports,
                gaps: Vec::new(),
            };
            assert_eq!(enforced.to_string(), words);
            assert_eq!(enforced.missing(), missing);
            assert_eq!(enforced.is_everything(), words.len() > 25, "{words}");
        }
    }
}
