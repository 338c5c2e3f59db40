//! The watcher at work: after each thing that happens it compares what is with what should be, and does the next step.
//!
//! | what is | what is done |
//! | --- | --- |
//! | the manifest has a mistake | it is shown, and nothing changes |
//! | a component's sources say something else than when it was built | it is built: the first such one, in the order of the manifest |
//! | they change while it is built | the build is ended, and begins anew |
//! | its build has failed, and nothing of it has changed | nothing: what serves goes on serving |
//! | all is built, and the app that runs is made of something else | a new process is started |
//! | it ends before it is ready, or later by itself | it is said, and nothing is tried before something changes |
//!
//! So there is no order of events that leads to a state of its own: a change that comes at the wrong moment is still there when
//! it is looked at the next time.

mod builds;
mod messages;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outport_manifest::{Manifest, ResolvedApp};
use rustix::process::Signal;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use self::builds::{Building, POLITE};
use self::messages::SLOW;
use super::contents::{Contents, Looker, Seen};
use super::notifier::Notifier;
use super::places::{Owner, Places};
use super::process::{End, Process};
use super::ready::ReadySocket;
use super::records::Records;
use super::server::{Server, Servers, Which, how};
use super::sockets::Sockets;
use super::{Options, words_of_up};
use crate::failure::Failure;
use crate::own_process;
use crate::service_manager::ServiceManager;
use crate::terminal::Terminal;

/// The watcher.
pub(super) struct Session<'o> {
    options: &'o Options,
    terminal: Terminal,
    sockets: Sockets,
    ready: ReadySocket,
    notifier: Notifier,
    looker: Looker,
    places: Places,
    seen: Seen,
    said: Vec<String>,
    app: App,
    records: Records,
    building: Option<Building>,
    servers: Servers,
    /// What the app was made of that has ended by itself, or did not start.
    in_vain: Option<Contents>,
    ends: UnboundedSender<End>,
    /// Since when something has changed, and when it did last.
    changing: Option<(Instant, Instant)>,
    stopping: Option<Stopping>,
}

/// The app, as it was read last.
#[derive(Default)]
struct App {
    /// The last one without mistakes.
    sound: Option<ResolvedApp>,
    /// What it was read from.
    read_from: Option<Contents>,
    /// True if what was read last has a mistake.
    is_wrong: bool,
}

/// Somebody has asked to stop.
struct Stopping {
    /// The status of what served, or else of the signal.
    status: i32,
    /// The process whose status counts.
    serving: Option<u32>,
}

impl<'o> Session<'o> {
    /// To be called in the runtime.
    pub(super) fn begin(
        options: &'o Options,
        sockets: Sockets,
        terminal: Terminal,
    ) -> Result<SessionWithNews<'o>, Failure> {
        let (ends, ended) = unbounded_channel();
        let session = Self {
            options,
            terminal,
            sockets,
            ready: ReadySocket::open()?,
            notifier: Notifier::new(),
            looker: Looker::of_this_process(),
            places: Places::default(),
            seen: Seen::default(),
            said: Vec::new(),
            app: App::default(),
            records: Records::default(),
            building: None,
            servers: Servers::default(),
            in_vain: None,
            ends,
            changing: None,
            stopping: None,
        };
        Ok(SessionWithNews { session, ended })
    }

    /// The files that the app is read from.
    fn files_read(&self) -> Places {
        let manifest = self.options.app().manifest_file();
        Places::of_files(&manifest, &self.options.other_files(), &self.options.logs())
    }

    /// Looks at all files. Answers what has changed.
    fn look(&mut self) -> Vec<PathBuf> {
        let mut places = self.files_read();
        if let Some(app) = &self.app.sound {
            let builds = !self.options.skip_build;
            places.add(&app.manifest, |id| self.options.up.wants(id), builds);
        }
        let seen = self.look_at(places);
        if self.looker.is_hurried() {
            // It was not looked at everything, and nothing is done about it any more.
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.seen, seen);
        self.seen.changed_since(&before)
    }

    /// Reads the app if what it is read from says something else, and looks at what it names now.
    fn read_what_changed(&mut self) {
        let read_from = self.seen.of(&Owner::Start);
        if self.app.read_from.as_ref() != Some(&read_from) {
            self.app.read_from = Some(read_from);
            self.read();
            self.look();
        }
    }

    /// All that the app that runs is made of.
    fn inputs(&self) -> Contents {
        let mut inputs = self.seen.of(&Owner::Start);
        inputs.extend(self.seen.of(&Owner::App));
        inputs
    }

    fn look_at(&mut self, places: Places) -> Seen {
        let mut remarks = Vec::new();
        let seen = self.looker.look(&places, &mut self.notifier, &mut remarks);
        remarks.extend(places.remarks.iter().cloned());
        self.places = places;
        for remark in remarks {
            if !self.said.contains(&remark) {
                self.terminal.say(&remark);
                self.said.push(remark);
            }
        }
        seen
    }

    fn read(&mut self) {
        match self.options.read() {
            Ok(app) => {
                self.app.sound = Some(app);
                self.app.is_wrong = false;
                self.records.forget_whose();
            }
            Err(failure) => {
                failure.show(self.terminal);
                self.app.is_wrong = true;
                self.say_what_goes_on("the app cannot be read");
            }
        }
    }

    /// Something has happened, and nothing for a while now.
    fn settled(&mut self) -> Result<(), Failure> {
        self.changing = None;
        let mut changed = self.look();
        let mut touched = std::mem::take(&mut self.looker.touched);
        // What a build makes is no news.
        changed.retain(|path| self.options.skip_build || !self.places.is_made(path));
        self.records.release(Instant::now());
        if self.building.is_none() && !changed.is_empty() {
            self.hold_what_a_build_left_running();
        }
        changed.retain(|path| !self.records.holds(path));
        touched.retain(|path| !self.records.holds(path));
        if !self.servers.is_newest_there()
            && self.building.is_none()
            && !(changed.is_empty() && touched.is_empty())
        {
            // Whoever saves a file while nothing serves wants to see it run.
            self.in_vain = None;
        }
        match self.building.take() {
            Some(mut building) => {
                self.look_at_build(&mut building, &mut changed);
                self.building = Some(building);
            }
            None if changed.is_empty() => {}
            None => {
                self.records.changed_in_peace();
                self.clear();
                self.say_changed(&changed);
            }
        }
        self.read_what_changed();
        self.step()
    }

    /// Does what is to be done next, if nothing is done already.
    fn step(&mut self) -> Result<(), Failure> {
        let stops = self.stopping.is_some() || self.looker.is_hurried();
        if stops || self.building.is_some() || self.app.is_wrong {
            return Ok(());
        }
        let Some(app) = self.app.sound.take() else {
            return Ok(());
        };
        let done = match self.next_build(&app.manifest) {
            Some((id, recipe)) => self.build(id, recipe),
            None if self.waits_for_a_mended_build(&app.manifest) => Ok(()),
            None => self.start_what_changed(&app.manifest),
        };
        self.app.sound = Some(app);
        done
    }

    /// Starts the app anew, if it is made of something else than the one that runs.
    fn start_what_changed(&mut self, manifest: &Manifest) -> Result<(), Failure> {
        let inputs = self.inputs();
        if self.servers.inputs() == Some(&inputs) || self.in_vain.as_ref() == Some(&inputs) {
            return Ok(());
        }
        let up = &self.options.up;
        if up.waits_for_events(manifest) || up.runs_commands(manifest) {
            let was_running = self.servers.serving.is_some();
            self.servers.stop_all();
            if was_running {
                self.terminal
                    .say("The app has events or commands: the one that runs ends before the new one begins");
            }
            if self.servers.is_any_left() {
                return Ok(());
            }
        }
        self.servers.give_up_starting();
        self.start(manifest, inputs)
    }

    fn start(&mut self, manifest: &Manifest, inputs: Contents) -> Result<(), Failure> {
        let mut command = own_process::myself();
        command.args(words_of_up());
        if io::stdin().is_terminal() {
            // It is not the one that the terminal belongs to.
            command.stdin(Stdio::null());
        }
        self.ready.named_in(&mut command);
        own_process::end_with_parent(&mut command, Signal::TERM);
        let handed = self.sockets.hand_to(&mut command, manifest, &self.options.up)?;
        let process = Process::start(command, &self.ends)?;
        drop(handed);
        self.in_vain = None;
        self.servers.starting = Some(Server {
            process,
            inputs,
            told_when: Some(Instant::now() + SLOW),
        });
        Ok(())
    }

    fn ended(&mut self, end: &End) -> Result<(), Failure> {
        let (id, status) = (end.id, end.status);
        if let Some(stopping) = &mut self.stopping
            && stopping.serving == Some(id)
        {
            stopping.status = own_process::status(status);
        }
        if let Some(building) = self.building.take_if(|building| building.process.id() == id) {
            if self.stopping.is_some() {
                return Ok(());
            }
            return self.built(building, end);
        }
        match self.servers.ended(id) {
            _ if self.stopping.is_some() => {}
            Which::Serving(server) => {
                self.pass_over_what_was_touched();
                self.in_vain = Some(server.inputs);
                let how = how(status);
                self.terminal
                    .insist(&format!("The app has ended ({how}); waiting for a change"));
            }
            Which::Starting(server) => {
                self.pass_over_what_was_touched();
                self.in_vain = Some(server.inputs);
                self.say_what_goes_on(&format!("the new version did not start ({})", how(status)));
            }
            Which::Ending | Which::Unknown => {}
        }
        self.step()
    }

    /// What an app has touched that has ended is no reason to start it anew.
    fn pass_over_what_was_touched(&mut self) {
        self.look();
        self.looker.touched.clear();
    }

    /// Asks all that runs to stop. A second time they are to stop at once.
    fn stop(&mut self, kind: SignalKind, manager: &ServiceManager) {
        let signal = if kind == SignalKind::interrupt() {
            Signal::INT
        } else {
            Signal::TERM
        };
        if self.stopping.is_some() {
            self.servers.signal_all(signal);
        } else {
            self.servers.signal(signal);
            manager.stopping();
            let serving = self.servers.serving.as_ref();
            self.stopping = Some(Stopping {
                status: 128 + kind.as_raw_value(),
                serving: serving.map(|server| server.process.id()),
            });
        }
        if let Some(building) = &self.building {
            building.process.end_within(POLITE);
        }
    }

    /// The exit status, once nothing is left.
    fn status(&self) -> Option<i32> {
        let stopping = self.stopping.as_ref()?;
        let is_over = self.building.is_none() && !self.servers.is_any_left();
        is_over.then_some(stopping.status)
    }
}

/// The watcher, and where it hears of the ends of processes.
pub(super) struct SessionWithNews<'o> {
    session: Session<'o>,
    ended: UnboundedReceiver<End>,
}

impl SessionWithNews<'_> {
    /// Watches until somebody asks to stop, and answers the exit status.
    pub(super) async fn run(mut self, manager: ServiceManager) -> Result<i32, Failure> {
        let watcher = &mut self.session;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let in_terminal = io::stderr().is_terminal();
        hurry_when_asked_to_stop(&watcher.looker.hurry, in_terminal)?;
        let mut watchdog = pin!(manager.keep_watch(async || {}));
        watcher.look();
        watcher.read_what_changed();
        if !watcher.looker.is_hurried() {
            let files = watcher.seen.files();
            let plural = if files == 1 { "" } else { "s" };
            watcher
                .terminal
                .say(&format!("Watching {files} file{plural}; Ctrl-C ends"));
        }
        watcher.step()?;
        let mut was_ready = false;
        loop {
            if let Some(status) = watcher.status() {
                return Ok(status);
            }
            let settles = watcher.settles();
            let is_stopping = watcher.stopping.is_some();
            watcher.say_forced();
            let slow = watcher.servers.told_when();
            tokio::select! {
                // Who was ready and has ended since was ready first.
                biased;
                () = next(&mut interrupt) => watcher.stop(SignalKind::interrupt(), &manager),
                () = next(&mut terminate) => watcher.stop(SignalKind::terminate(), &manager),
                () = next(&mut hang_up) => {
                    if in_terminal && !io::stderr().is_terminal() {
                        watcher.stop(SignalKind::hangup(), &manager);
                    } else if let Some(serving) = &watcher.servers.serving {
                        serving.process.signal(Signal::HUP);
                    }
                }
                id = watcher.ready.next() => {
                    if watcher.servers.is_ready(id) && !std::mem::replace(&mut was_ready, true) {
                        manager.ready("Watching, and serving");
                    }
                }
                Some(end) = self.ended.recv() => watcher.ended(&end)?,
                () = watcher.notifier.happened(), if !is_stopping => {
                    let now = Instant::now();
                    let since = watcher.changing.map_or(now, |(since, _)| since);
                    watcher.changing = Some((since, now));
                }
                () = sleep_until(settles.unwrap_or_else(Instant::now)), if settles.is_some() && !is_stopping => {
                    watcher.settled()?;
                }
                () = sleep_until(slow.unwrap_or_else(Instant::now)), if slow.is_some() && !is_stopping => {
                    watcher.say_slow();
                }
                never = &mut watchdog => match never {},
            }
        }
    }
}

impl Session<'_> {
    /// The moment of the next look: when what changes has settled, or when a suspicious build should have ended.
    fn settles(&self) -> Option<Instant> {
        let suspicion = self
            .building
            .as_ref()
            .filter(|building| !building.is_outdated)
            .and_then(|building| building.suspicion.as_ref())
            .map(|suspicion| suspicion.until);
        let settled = self.changing.map(|(since, last)| {
            let debounce = self.options.debounce();
            // What changes all the time is looked at all the same.
            let longest = (debounce * 20).max(Duration::from_secs(1));
            (last + debounce).min(since + longest)
        });
        let held = self.records.held_until();
        suspicion.into_iter().chain(settled).chain(held).min()
    }
}

/// Has a look end that is under way when somebody asks the watcher to stop: what hears of signals runs on another thread.
fn hurry_when_asked_to_stop(hurry: &Arc<AtomicBool>, in_terminal: bool) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let hurry = Arc::clone(hurry);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = next(&mut interrupt) => break,
                () = next(&mut terminate) => break,
                () = next(&mut hang_up) => {
                    if in_terminal && !io::stderr().is_terminal() {
                        break;
                    }
                }
            }
        }
        hurry.store(true, Ordering::Relaxed);
    });
    Ok(())
}

async fn next(signals: &mut Signals) {
    if signals.recv().await.is_none() {
        std::future::pending().await
    }
}
