//! Processes that this one starts: Outport itself once more, and the commands that build a component.
//!
//! | | |
//! | --- | --- |
//! | [`myself`] | the binary that runs, also where another one took its place on the disk meanwhile |
//! | [`end_with_parent`] | the process is sent a signal when this one ends, however it ends: nobody is left behind |
//! | [`HandedOver`] | sockets that listen, from descriptor 3 on: socket activation (sd_listen_fds(3)) |
//!
//! `LISTEN_PID` is not set: the number of the process is not known before it is there. What [`Inherited`] does with the sockets
//! it does without that variable too.
//!
//! [`Inherited`]: crate::inherited::Inherited

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use outport_manifest::ComponentId;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::Signal;

use crate::terminal::Terminal;

/// This program, with no arguments yet.
pub(crate) fn myself() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("outport");
    command
}

/// `outport build`, which ends with this process.
pub(crate) fn build(manifest: &Path, components: &[ComponentId], terminal: Terminal) -> Command {
    let mut command = myself();
    if terminal.is_quiet() {
        command.arg("--quiet");
    }
    command.args(["build", "-f"]).arg(manifest);
    for id in components {
        command.args(["--component", id.as_str()]);
    }
    // A service manager is told by the process that it has started.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    end_with_parent(&mut command, Signal::TERM);
    command
}

/// The status that a shell has for the end of a process: 128 and the number of a signal.
pub(crate) fn status(status: ExitStatus) -> i32 {
    let by_signal = || status.signal().map_or(1, |signal| 128 + signal);
    status.code().unwrap_or_else(by_signal)
}

/// Has the system send `signal` to the process when the thread that starts it has ended: to be called where the main
/// thread starts it.
#[expect(unsafe_code, reason = "something is done between fork and exec; see SAFETY")]
pub(crate) fn end_with_parent(command: &mut Command, signal: Signal) {
    let parent = std::process::id();
    let ask = move || {
        // SAFETY: two system calls, which allocate nothing and lock nothing.
        unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal.as_raw()) != 0 {
                return Err(io::Error::last_os_error());
            }
            // It may have ended before it was asked.
            if libc::getppid().cast_unsigned() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        Ok(())
    };
    // SAFETY: what is done in the new process is what is said above.
    unsafe { command.pre_exec(ask) };
}

/// Sockets on their way to a process. To be kept until it was started.
pub(crate) struct HandedOver {
    _sockets: Vec<OwnedFd>,
    _occupied: Vec<OwnedFd>,
}

impl HandedOver {
    /// Has `command` find the sockets, each with its name.
    ///
    /// # Errors
    ///
    /// There are no descriptors left.
    #[expect(unsafe_code, reason = "something is done between fork and exec; see SAFETY")]
    pub(crate) fn to(command: &mut Command, sockets: &[(&TcpListener, &str)]) -> io::Result<Self> {
        let number = RawFd::try_from(sockets.len()).unwrap_or(RawFd::MAX - FIRST);
        let behind = FIRST + number;
        let (mut copies, mut occupied) = (Vec::new(), Vec::new());
        for (socket, _) in sockets {
            copies.push(fcntl_dupfd_cloexec(socket.as_fd(), behind)?);
            // What the standard library opens itself to start a process must not lie where the sockets will.
            loop {
                let copy = fcntl_dupfd_cloexec(socket.as_fd(), FIRST)?;
                if copy.as_raw_fd() >= behind {
                    break;
                }
                occupied.push(copy);
            }
        }
        let moves: Vec<(RawFd, RawFd)> = copies.iter().map(AsRawFd::as_raw_fd).zip(FIRST..).collect();
        let move_all = move || {
            for (from, to) in &moves {
                // SAFETY: a system call. What was at `to` belongs to a program that is replaced in the next step.
                if unsafe { libc::dup2(*from, *to) } < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        };
        // SAFETY: what is done in the new process allocates nothing and locks nothing.
        unsafe { command.pre_exec(move_all) };
        let names: Vec<&str> = sockets.iter().map(|(_, name)| *name).collect();
        if !names.is_empty() {
            command
                .env("LISTEN_FDS", names.len().to_string())
                .env("LISTEN_FDNAMES", names.join(":"));
        }
        Ok(Self {
            _sockets: copies,
            _occupied: occupied,
        })
    }
}

/// The descriptor of the first socket.
const FIRST: RawFd = 3;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_process_finds_the_sockets_from_descriptor_three_on() {
        let sockets: Vec<TcpListener> = (0..40)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .collect();
        let named: Vec<_> = sockets.iter().map(|socket| (socket, "http")).collect();
        let mut command = Command::new("sh");
        command.args(["-c", "ls -l /proc/$$/fd; echo $LISTEN_FDS $LISTEN_FDNAMES"]);
        let handed = HandedOver::to(&mut command, &named).unwrap();
        let output = command.output().unwrap();
        drop(handed);
        let said = String::from_utf8(output.stdout).unwrap();
        for descriptor in 3..43 {
            assert!(
                said.contains(&format!(" {descriptor} -> socket:")),
                "{descriptor}: {said}"
            );
        }
        assert!(!said.contains(" 43 -> socket:"), "{said}");
        assert!(said.contains("\n40 http:http:"), "{said}");
    }

    #[test]
    fn without_sockets_nothing_is_said_of_them() {
        let mut command = Command::new("env");
        let _handed = HandedOver::to(&mut command, &[]).unwrap();
        let output = command.output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stdout).contains("LISTEN_"));
    }
}
