//! A second layer, in the kernel: what this process cannot do, whatever happens inside it (Linux).
//!
//! The gate judges what guests ask for. Should a guest ever get to run code outside of its own memory, that code is
//! this process, and no gate stands in its way. So the process gives up what it has no use for, for good and before
//! the first guest runs:
//!
//! | given up | by | refused with |
//! | --- | --- | --- |
//! | listening, on whatever address; the operator's listeners are open by then, and accepting goes on | seccomp | `EACCES` |
//! | sockets that are not TCP or UDP over IPv4 or IPv6: raw, packet, Unix, netlink, multipath TCP, … | seccomp | `EACCES` |
//! | binding a TCP socket to a chosen port | Landlock | `EACCES` |
//! | creating, changing and removing files outside of the directories that are named as writable | Landlock | `EACCES` |
//! | running programs, and new processes | seccomp (and Landlock) | `EPERM` |
//! | reaching into other processes: tracing, their memory and descriptors, signals | seccomp (and Landlock) | `EPERM` |
//! | system calls that lead around a filter or into the system: `io_uring`, mounts, namespaces, modules, … | seccomp | `EPERM` |
//!
//! Reading files stays free, as do connections: the kernel cannot tell which guest is behind one, so where they lead
//! is for the gate alone. What was open before stays open, such as the audit log.
//!
//! Landlock before its ABI 8 holds only the thread that asks for it, and all threads which that one starts. Hence
//! [`Sandbox::enter`] refuses once there is a second thread.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "sandbox/linux.rs"]
mod kernel;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "sandbox/elsewhere.rs"]
mod kernel;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod landlock;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod seccomp;

use std::fmt;
use std::io;
use std::path::PathBuf;

use outport_policy::printable_path;

/// What the process keeps when it enters the kernel's sandbox.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    writable: Vec<PathBuf>,
}

/// What to do where the kernel does not have all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Take what there is.
    WhatThereIs,
    /// Take all of the table above, or fail. Needs Linux 6.7 (Landlock ABI 4) on x86-64 or AArch64.
    Everything,
}

/// What the kernel enforces from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enforced {
    /// The filter of system calls.
    pub system_calls: bool,
    /// Files are written only where it was permitted.
    pub files: bool,
    /// TCP sockets are not bound to a chosen port.
    pub ports: bool,
}

/// Why the process could not enter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The kernel lacks a part that was demanded.
    #[error("this kernel does not have {missing}")]
    Missing {
        /// What it lacks, in words.
        missing: &'static str,
    },
    /// Only part of the process would be held.
    #[error("the process has {threads} threads already, of which only one would be held")]
    Threads {
        /// How many there are.
        threads: usize,
    },
    /// A writable directory cannot be opened.
    #[error("the directory `{}` cannot be opened: {source}", printable_path(.path))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel refuses the rules for files and ports.
    #[error("the kernel refuses the rules for files and ports: {reason}")]
    Landlock {
        /// What it said.
        reason: String,
    },
    /// The kernel refuses the filter of system calls.
    #[error("the kernel refuses the filter of system calls: {reason}")]
    Seccomp {
        /// What it said.
        reason: String,
    },
}

impl Sandbox {
    /// A process that writes to no file which it has not opened yet.
    pub fn new() -> Sandbox {
        Sandbox::default()
    }

    /// Files beneath `directory` may be written, made and removed. One that is not there gives no right.
    #[must_use]
    pub fn writable(mut self, directory: impl Into<PathBuf>) -> Sandbox {
        self.writable.push(directory.into());
        self
    }

    /// Enters, for good. Sockets that listen must listen by now, and there must be no second thread yet.
    ///
    /// # Errors
    ///
    /// When something that was demanded is missing, there are several threads, or the kernel refuses. Part of the
    /// sandbox may be in force then.
    pub fn enter(&self, demand: Demand) -> Result<Enforced, SandboxError> {
        kernel::enter(&self.writable, demand)
    }
}

/// In words: `system calls, files and ports`.
impl fmt::Display for Enforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.system_calls, "system calls"),
            (self.files, "files"),
            (self.ports, "ports"),
        ];
        let parts: Vec<&str> = parts
            .into_iter()
            .filter_map(|(enforced, part)| enforced.then_some(part))
            .collect();
        match parts.split_last() {
            None => f.write_str("nothing"),
            Some((last, [])) => f.write_str(last),
            Some((last, rest)) => write!(f, "{} and {last}", rest.join(", ")),
        }
    }
}

impl Enforced {
    /// Whether nothing of the table is missing.
    pub fn is_everything(self) -> bool {
        self.system_calls && self.files && self.ports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enforced_is_told_in_words() {
        let rows = [
            ((true, true, true), "system calls, files and ports"),
            ((true, true, false), "system calls and files"),
            ((true, false, false), "system calls"),
            ((false, false, false), "nothing"),
        ];
        for ((system_calls, files, ports), words) in rows {
            let enforced = Enforced {
                system_calls,
                files,
                ports,
            };
            assert_eq!(enforced.to_string(), words);
            assert_eq!(enforced.is_everything(), words.len() > 25, "{words}");
        }
    }
}
