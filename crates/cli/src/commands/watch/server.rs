//! The processes that run the app: the one that serves, the one that gets ready to take its place, and those that finish what
//! they are at.
//!
//! | | the new one begins | |
//! | --- | --- | --- |
//! | an app of HTTP triggers | while the one before serves | which is told to stop when the new one is ready |
//! | with events or commands | when the one before has ended | clients wait in the queue of the socket meanwhile |
//!
//! An event that two processes hear of would be handled twice, and a command would run beside itself.

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::contents::Contents;
use super::process::Process;

/// A process that runs the app, and what the app was made of.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) inputs: Contents,
    /// When it is said that it is not ready yet. None where it was.
    pub(super) told_when: Option<Instant>,
}

/// The processes of an app.
#[derive(Default)]
pub(super) struct Servers {
    pub(super) serving: Option<Server>,
    pub(super) starting: Option<Server>,
    ending: Vec<Process>,
    /// One was ended by force since that was said last.
    pub(super) has_forced: bool,
}

/// Which of them has ended.
pub(super) enum Which {
    Serving(Server),
    Starting(Server),
    /// One that was told to.
    Ending,
    Unknown,
}

impl Servers {
    /// What the newest of them is made of.
    pub(super) fn inputs(&self) -> Option<&Contents> {
        let newest = self.starting.as_ref().or(self.serving.as_ref());
        newest.map(|server| &server.inputs)
    }

    /// True if one serves, or is about to.
    pub(super) fn is_newest_there(&self) -> bool {
        self.starting.is_some() || self.serving.is_some()
    }

    /// When it is to be said that the one that starts is not ready.
    pub(super) fn told_when(&self) -> Option<Instant> {
        self.starting.as_ref()?.told_when
    }

    pub(super) fn is_any_left(&self) -> bool {
        self.serving.is_some() || self.starting.is_some() || !self.ending.is_empty()
    }

    /// The one that was starting is ready, and the one before stops. False if another one says so.
    pub(super) fn is_ready(&mut self, id: u32) -> bool {
        let Some(new) = self.starting.take_if(|starting| starting.process.id() == id) else {
            return false;
        };
        if let Some(old) = self.serving.replace(new) {
            self.stop(old.process);
        }
        true
    }

    /// Has the one that is not ready yet end: another one is to take its place.
    pub(super) fn give_up_starting(&mut self) {
        if let Some(starting) = self.starting.take() {
            starting.process.end_within(IMPATIENT);
            self.ending.push(starting.process);
        }
    }

    /// Has all of them stop.
    pub(super) fn stop_all(&mut self) {
        self.give_up_starting();
        if let Some(serving) = self.serving.take() {
            self.stop(serving.process);
        }
    }

    /// Sends a signal to all that were not told to end yet.
    pub(super) fn signal(&self, signal: Signal) {
        let servers = self.serving.iter().chain(&self.starting);
        servers.for_each(|server| server.process.signal(signal));
    }

    /// Sends a signal to all.
    pub(super) fn signal_all(&self, signal: Signal) {
        self.signal(signal);
        self.ending.iter().for_each(|process| process.signal(signal));
    }

    /// A process has ended.
    pub(super) fn ended(&mut self, id: u32) -> Which {
        let is_it = |server: &mut Server| server.process.id() == id;
        if let Some(server) = self.serving.take_if(is_it) {
            return Which::Serving(server);
        }
        if let Some(server) = self.starting.take_if(is_it) {
            return Which::Starting(server);
        }
        let before = self.ending.len();
        self.ending.retain(|process| process.id() != id);
        if self.ending.len() < before {
            Which::Ending
        } else {
            Which::Unknown
        }
    }

    fn stop(&mut self, process: Process) {
        process.signal(Signal::TERM);
        self.ending.push(process);
        // Whoever saves all the time does not make them pile up.
        if self.ending.len() > MOST_ENDING {
            self.ending[0].signal(Signal::KILL);
            self.has_forced = true;
        }
    }
}

/// How a process has ended, for a sentence.
pub(super) fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".to_owned(),
    }
}

/// The time that a process has to end that nobody has been served by.
const IMPATIENT: Duration = Duration::from_secs(2);

/// Processes that finish what they are at, each with the memory of its requests.
pub(super) const MOST_ENDING: usize = 8;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn more_than_so_many_that_finish_are_not_waited_for_and_that_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (ends, mut ended) = unbounded_channel();
            let mut servers = Servers::default();
            let start = || {
                let mut command = Command::new("sh");
                // It does not listen.
                command.args(["-c", "trap '' TERM; while :; do sleep 0.1; done"]);
                Process::start(command, &ends).unwrap()
            };
            for _ in 0..MOST_ENDING {
                servers.stop(start());
            }
            assert!(!servers.has_forced);
            servers.stop(start());
            assert!(servers.has_forced);
            servers.signal_all(Signal::KILL);
            while servers.is_any_left() {
                let end = ended.recv().await.unwrap();
                assert!(matches!(servers.ended(end.id), Which::Ending));
            }
        });
    }
}
