//! Bounds of what looking at an image may cost the node: it is done as root, outside of the control groups of any pod.
//!
//! Files are read to a limit, each by itself ([`image`](crate::image)). What many of them, or long ways to them, add up to is bounded
//! here: in time by a thread that ends the program, which is safe until it is runc, and in memory by `RLIMIT_AS`.

use std::process;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::command_line::Log;
use crate::report::{self, Failure};

/// How long an image is looked at. Of an app as they are it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of addresses. What a manifest of 1 MiB takes is some tens of MiB.
const MEMORY: u64 = 1 << 30;

/// The bounds of this process, for as long as this is there.
pub(crate) struct Bounds {
    _end: SyncSender<()>,
    /// The limit of memory as it was: runc, and whatever else is started, has it as the node has it.
    memory: Rlimit,
}

impl Bounds {
    /// Puts them in force. What takes too long is reported to `log`; what takes too much memory is ended by the system.
    pub(crate) fn start(log: Log) -> Self {
        let (end, ended) = sync_channel(0);
        thread::spawn(move || {
            // Nothing is ever sent: it is over when the other end is gone.
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let seconds = PATIENCE.as_secs();
                report::report(&Failure::TooLong { seconds }, &log);
                process::exit(1);
            }
        });
        let memory = getrlimit(Resource::As);
        let current = memory.current.map_or(MEMORY, |current| current.min(MEMORY));
        let bound = Rlimit {
            current: Some(current),
            maximum: memory.maximum,
        };
        // Less than there was is never refused.
        let _ = setrlimit(Resource::As, bound);
        Self { _end: end, memory }
    }
}

impl Drop for Bounds {
    fn drop(&mut self) {
        let _ = setrlimit(Resource::As, self.memory);
    }
}
