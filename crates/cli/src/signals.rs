//! Being asked to stop, by Ctrl-C (SIGINT) or SIGTERM, and being asked to read the operator's side again (SIGHUP).
//!
//! SIGHUP has two meanings. A terminal that is closed sends it to what runs in it, which is to end then; whoever runs
//! a service sends it after a change. Where there was a terminal at start and it is gone now, it was the first.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::reload::Reload;

/// Waits for somebody to ask.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    reload: Reload,
    in_terminal: bool,
}

impl StopSignals {
    /// From now on the signals end the process no more by themselves.
    pub(crate) fn listen(reload: Reload) -> io::Result<StopSignals> {
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            reload,
            in_terminal: io::stderr().is_terminal(),
        })
    }

    /// Waits for the next signal to stop, and answers the status of a process that it ends: 128 and its number.
    pub(crate) async fn next(&mut self) -> i32 {
        loop {
            let kind = tokio::select! {
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = self.hang_up.recv() => SignalKind::hangup(),
            };
            if kind != SignalKind::hangup() || self.is_abandoned() {
                return 128 + kind.as_raw_value();
            }
            self.reload.now();
        }
    }

    fn is_abandoned(&self) -> bool {
        self.in_terminal && !io::stderr().is_terminal()
    }
}
