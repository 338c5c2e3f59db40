//! Being asked to stop, by Ctrl-C (SIGINT) or SIGTERM, and being asked to read the operator's settings again (SIGHUP).
//!
//! SIGHUP has two meanings. A terminal that is closed sends it to what runs in it, which is to end then; whoever runs
//! a service sends it after a change. Where there was a terminal at start and it is gone now, it was the first.
//!
//! A start takes a while, most of all where code is compiled. Whoever asks to stop meanwhile ends the process at once,
//! as the system does it; SIGHUP is [noted](HangUps) from the first moment, and answered when everything is ready.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use outport_runtime::stdio;
use outport_telemetry::admin::Readiness;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::asking::Asking;
use crate::reload::Reload;
use crate::service_manager::ServiceManager;
use crate::telemetry::Telemetry;

/// Notes SIGHUP until somebody answers it.
pub(crate) struct HangUps {
    signal: Signal,
    in_terminal: bool,
}

impl HangUps {
    /// From now on SIGHUP ends the process no more by itself. To be answered on `runtime`.
    pub(crate) fn note(runtime: &Runtime) -> io::Result<Self> {
        let _inside = runtime.enter();
        Ok(Self {
            signal: signal(SignalKind::hangup())?,
            in_terminal: io::stderr().is_terminal(),
        })
    }
}

/// Waits for somebody to ask.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hang_ups: HangUps,
    reload: Reload,
    readiness: Readiness,
    /// None once another process tells it.
    manager: Option<ServiceManager>,
    /// Whoever is asked at the terminal.
    asking: Option<Arc<Asking>>,
}

impl StopSignals {
    /// From now on the signals end the process no more by themselves. Must be called on the runtime of `hang_ups`.
    pub(crate) fn listen(hang_ups: HangUps, reload: Reload, telemetry: &Telemetry) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_ups,
            reload,
            readiness: telemetry.readiness().clone(),
            manager: Some(telemetry.manager().clone()),
            asking: None,
        })
    }

    /// The same, after the first of which nobody is asked anything any more: what waits for an answer is refused.
    pub(crate) fn ending_questions(self, asking: Option<Arc<Asking>>) -> Self {
        Self { asking, ..self }
    }

    fn end_questions(&self) {
        if let Some(asking) = &self.asking {
            asking.close();
        }
    }

    /// Waits for the next signal to stop, from which on the process is not ready any more, and answers the status of a process that it ends: 128 and its number.
    pub(crate) async fn next(&mut self) -> i32 {
        loop {
            let kind = tokio::select! {
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = self.hang_ups.signal.recv() => SignalKind::hangup(),
            };
            if kind != SignalKind::hangup() || self.is_abandoned() {
                self.stopping();
                return 128 + kind.as_raw_value();
            }
            if let Some(manager) = &self.manager {
                manager.reloading();
            }
            self.reload.now();
        }
    }

    /// The process stops by itself: it is not ready any more.
    pub(crate) fn stopping(&self) {
        self.end_questions();
        self.readiness.stopping();
        if let Some(manager) = &self.manager {
            manager.stopping();
        }
    }

    /// The process ends within this time.
    pub(crate) fn ends_within(&self, time: Duration) {
        if let Some(manager) = &self.manager {
            manager.ends_within(time);
        }
    }

    /// Another process does what this one was there for, and tells the service manager.
    pub(crate) fn passed_on(&mut self) {
        self.end_questions();
        self.readiness.stopping();
        self.manager = None;
    }

    /// Waits until what guests and Outport wrote is read, however long that takes: what a command printed is for
    /// whoever reads it in his own time. A signal to stop ends it, whose status is answered then.
    pub(crate) async fn unless_written(&mut self) -> Option<i32> {
        let streams = stdio::opened()?;
        tokio::select! {
            biased;
            () = streams.written() => None,
            status = self.next() => Some(status),
        }
    }

    /// For the last moments of the process, in which it writes out what there is: whoever asks to stop now ends it at
    /// once. Where the system gives no thread for it, the moments are few.
    pub(crate) fn end_at_once(mut self) {
        let wait = move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                std::process::exit(runtime.block_on(self.next()));
            }
        };
        let _ = thread::Builder::new().name("outport-stop".into()).spawn(wait);
    }

    fn is_abandoned(&self) -> bool {
        self.hang_ups.in_terminal && !io::stderr().is_terminal()
    }
}
