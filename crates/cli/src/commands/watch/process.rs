//! A process that the watcher has started, and news of it.
//!
//! Signals go to it by a descriptor of its own, so that none reaches another process that has its number by then. It has a
//! process group of its own: what is typed at the terminal reaches the watcher alone, which passes it on once.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::UnboundedSender;

/// A process has ended.
pub(super) struct End {
    pub(super) id: u32,
    pub(super) status: ExitStatus,
    /// What it wrote to a standard output that is a pipe, cut off where it is long.
    pub(super) said: String,
}

/// A process that was started. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Process {
    id: u32,
    descriptor: Arc<OwnedFd>,
}

impl Process {
    /// Starts it, and has its end told to `ends`. To be called on the main thread, in its runtime.
    pub(super) fn start(mut command: Command, ends: &UnboundedSender<End>) -> io::Result<Self> {
        command.process_group(0);
        let mut child = tokio::process::Command::from(command).spawn()?;
        let id = child.id().unwrap_or_default();
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the process has no number"))?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        let ends = ends.clone();
        tokio::spawn(async move {
            let mut said = Vec::new();
            if let Some(output) = child.stdout.take() {
                let _ = output.take(LONGEST).read_to_end(&mut said).await;
            }
            if let Ok(status) = child.wait().await {
                let said = String::from_utf8_lossy(&said).into_owned();
                // Nobody asks any more when the watcher ends.
                let _ = ends.send(End { id, status, said });
            }
        });
        Ok(Self {
            id,
            descriptor: Arc::new(descriptor),
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Sends it a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&*self.descriptor, signal);
    }

    /// Asks it to end, and sees to it after a while.
    pub(super) fn end_within(&self, time: Duration) {
        self.signal(Signal::TERM);
        let process = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            process.signal(Signal::KILL);
        });
    }
}

/// Bytes that a process has to say.
const LONGEST: u64 = 4096;
