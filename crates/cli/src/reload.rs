//! The operator's settings, read again while guests run (DL-9).
//!
//! ```text
//! SIGHUP ────────────────────────────────┐
//! outport.toml has changed ──────────────┼─ configuration::read_again, OperatorOptions::read ─┬ fine ──▶ Egress::replace_operator
//! the runtime config file has changed ───┘                                                    └ wrong ─▶ reported; nothing changes
//! ```
//!
//! A thread looks at both files every [`LOOK`], and compares what it says with what it said: file times are too coarse
//! to rely on, and a file that is swapped for another one (a symbolic link, a rename) is just a file that says
//! something else. Whoever rewrites a file in place empties it first, and an empty file denies nothing; so a change
//! counts once two looks in a row have found the same. A signal is somebody's word that the file is done: it is read
//! at once, changed or not.
//!
//! What the command line and the environment say is merged with the files each time, as at start. Settings that are
//! used once, at start, do not change; where a file has others now, that is said. Certificates (`[[client_tls]]`) are
//! of this kind, and are not compared.

mod debounce;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use std::{fs, io, thread};

use metrics::Counter;
use outport_check::Diagnostic;
use outport_egress::meter::Meter;
use outport_egress::{Egress, WeakEgress};
use outport_manifest::{Definition, KeyValueBackend, ModelApi, Secret, ServerUrl, SqliteBackend, StateDir};
use outport_policy::Location;
use outport_telemetry::access_log::AccessLog;
use outport_telemetry::process::RELOADS;

use self::debounce::{Debounce, Seen};
use crate::client_tls::ClientTlsProfiles;
use crate::configuration::{self, blame};
use crate::failure::Failure;
use crate::files::{Files, unreadable};
use crate::network::within_descriptors;
use crate::operator_options::{OperatorOptions, OperatorSettings, READ_AGAIN};
use crate::service_manager::ServiceManager;
use crate::surely::surely;
use crate::telemetry::Telemetry;
use crate::terminal::Terminal;

/// Makes the operator's settings be read again. The thread that does it ends when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct Reload {
    /// None where there is no file that could say something else.
    thread: Option<Sender<Asked>>,
    /// Why nothing is read again, where there is no thread.
    kept: &'static str,
    /// Whoever waits for signals to the last does not keep the log from ending.
    egress: WeakEgress,
    access_log: Weak<AccessLog>,
    manager: ServiceManager,
    terminal: Terminal,
    /// Those who load something else again.
    others: Arc<Mutex<Vec<Sender<Asked>>>>,
}

/// Somebody has asked for all to be read again. Whoever reads something drops it when that is done: with the last of them the
/// service manager is told, whatever came of it.
#[derive(Clone)]
pub(crate) struct Asked {
    _told: Arc<ToldInTheEnd>,
}

struct ToldInTheEnd(ServiceManager);

impl Drop for ToldInTheEnd {
    fn drop(&mut self) {
        self.0.reloaded();
    }
}

impl Reload {
    /// Starts to watch those of the files that can be read twice. `settings` are what was read at
    /// start, with `files`, and are in force on `egress`.
    pub(crate) fn start(
        options: &OperatorOptions,
        settings: &OperatorSettings,
        files: &Files,
        (egress, telemetry): (&Egress, &Telemetry),
        terminal: Terminal,
    ) -> io::Result<Self> {
        let terminal = terminal.dated();
        let named: Vec<_> = options.files_to_watch().collect();
        // A pipe says what it says once: read again, it would say nothing, and deny nothing.
        let can_be_read_again = named.iter().all(|(path, _)| path.is_file());
        if named.is_empty() || !can_be_read_again {
            return Ok(Self {
                thread: None,
                kept: if named.is_empty() { NO_FILE } else { HANDED_OVER },
                egress: egress.downgrade(),
                access_log: telemetry.access_log(),
                manager: telemetry.manager().clone(),
                terminal,
                others: Arc::default(),
            });
        }
        let watched = named.into_iter().map(|(path, what)| Watched {
            debounce: Debounce::new(files.content(&path)),
            path,
            what,
        });
        let (thread, wanted) = mpsc::channel();
        let watch = Watch {
            watched: watched.collect(),
            options: options.clone(),
            fixed: Fixed::of(settings),
            egress: egress.clone(),
            counts: Counts::new(&telemetry.meter()),
            terminal,
        };
        thread::Builder::new()
            .name("outport-reload".into())
            .spawn(move || watch.run(&wanted))?;
        Ok(Self {
            thread: Some(thread),
            kept: NO_FILE,
            egress: egress.downgrade(),
            access_log: telemetry.access_log(),
            manager: telemetry.manager().clone(),
            terminal,
            others: Arc::default(),
        })
    }

    /// Tells others, too, when things are to be read again.
    pub(crate) fn tell(&self, other: Sender<Asked>) {
        self.others().push(other);
    }

    fn others(&self) -> MutexGuard<'_, Vec<Sender<Asked>>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads them now, on the other thread, and opens the logs again.
    pub(crate) fn now(&self) {
        if let Some(egress) = self.egress.upgrade() {
            egress.reopen();
        }
        if let Some(log) = self.access_log.upgrade() {
            log.reopen();
        }
        let others = self.others();
        if self.thread.is_none() && others.is_empty() {
            self.terminal.say(self.kept);
        }
        let asked = Asked {
            _told: Arc::new(ToldInTheEnd(self.manager.clone())),
        };
        for reader in self.thread.iter().chain(&*others) {
            // The threads only end after this.
            let _ = reader.send(asked.clone());
        }
    }
}

struct Watch {
    watched: Vec<Watched>,
    /// As they were at start.
    options: OperatorOptions,
    fixed: Fixed,
    egress: Egress,
    counts: Counts,
    terminal: Terminal,
}

/// A file, with its name for messages.
struct Watched {
    path: PathBuf,
    what: &'static str,
    debounce: Debounce,
}

impl Watch {
    fn run(mut self, wanted: &Receiver<Asked>) {
        loop {
            match wanted.recv_timeout(LOOK) {
                Ok(asked) => {
                    self.load_surely();
                    drop(asked);
                }
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn look(&mut self) {
        let mut has_changed = false;
        for watched in &mut self.watched {
            match watched.debounce.look(read_plain(&watched.path)) {
                Seen::Nothing => {}
                Seen::Change => has_changed = true,
                Seen::Gone(error) => report_gone(watched, &error, self.terminal),
                Seen::Back => self.terminal.say(&format!("The {} {BACK}", watched.what)),
            }
        }
        if has_changed {
            self.load_surely();
        }
    }

    /// The same as [`load`](Self::load), after which this thread goes on whatever happened.
    fn load_surely(&mut self) {
        let seen = self.watched.iter();
        let seen: Vec<_> = seen.map(|watched| read_plain(&watched.path).ok()).collect();
        let (terminal, refused) = (self.terminal, self.counts.refused.clone());
        if surely(STAYS, terminal, || self.load()).is_none() {
            refused.increment(1);
            // Not at each look again, but when they say something else.
            for (watched, text) in self.watched.iter_mut().zip(seen) {
                watched.debounce.loaded(text);
            }
        }
    }

    /// Puts what the options, the environment and the files say now in force; all of it, or nothing.
    fn load(&mut self) {
        let mut files = Files::default();
        let read = self.read(&mut files);
        // Also of files that are wrong: their mistakes are told once. What is behind a mistake in the other one was not read.
        for watched in &mut self.watched {
            let text = files.content(&watched.path);
            watched
                .debounce
                .loaded(text.or_else(|| read_plain(&watched.path).ok()));
        }
        let (options, settings) = match read {
            Ok(read) => read,
            Err(failure) => {
                self.counts.refused.increment(1);
                blame::failure(failure, &self.options.given).show(self.terminal);
                let kept = Diagnostic::warning(format!("{STAYS}, because of the above"));
                return self.terminal.show(&kept, &Files::default());
            }
        };
        for option in self.options.given.differences(&options.given) {
            if !READ_AGAIN.contains(&option) {
                self.tell_of_a_restart(option);
            }
        }
        // What the environment says has been told at start, and stays as it is.
        let is_new = |remark: &&Diagnostic| !matches!(remark.location, Some(Location::Environment { .. }));
        let remarks = settings.remarks.iter().filter(is_new);
        remarks.for_each(|remark| self.terminal.show(remark, &files));
        for setting in self.fixed.differences(&Fixed::of(&settings)) {
            self.tell_of_a_restart(setting);
        }
        self.egress
            .replace_operator(within_descriptors(settings.operator));
        self.counts.loaded.increment(1);
        self.terminal
            .say("The operator's list was loaded again, and is in force");
    }

    /// What the options come to now, of which only the operator's policy is taken, and the settings.
    fn read(&self, files: &mut Files) -> Result<(OperatorOptions, OperatorSettings), Failure> {
        let options = match self.options.given.file() {
            Some(_) => {
                let now = configuration::read_again(&self.options.given, files)?;
                self.options.with_policy_of(now)
            }
            None => self.options.clone(),
        };
        let settings = options.read(files)?;
        Ok((options, settings))
    }

    fn tell_of_a_restart(&self, setting: &str) {
        let fixed = format!("`{setting}` has changed, which takes a restart");
        self.terminal.show(&Diagnostic::warning(fixed), &Files::default());
    }
}

fn report_gone(watched: &Watched, error: &io::Error, terminal: Terminal) {
    let gone = unreadable(&watched.path, watched.what, error)
        .helped_by("the operator's list stays as it was; it is loaded again when the file is back");
    terminal.show(&gone, &Files::default());
}

/// How often the settings were read again, and what came of it.
struct Counts {
    loaded: Counter,
    refused: Counter,
}

impl Counts {
    fn new(meter: &Meter) -> Self {
        Self {
            loaded: meter.counter(&RELOADS, ["loaded".into()]),
            refused: meter.counter(&RELOADS, ["refused".into()]),
        }
    }
}

/// Settings that are used once, at start.
struct Fixed {
    dns_servers: Vec<SocketAddr>,
    resolve_disallowed: bool,
    connection_pooling: Option<bool>,
    max_connections: Option<u32>,
    client_tls: ClientTlsProfiles,
    key_value_stores: Vec<(String, KeyValueBackend)>,
    sqlite_databases: Vec<(String, SqliteBackend)>,
    model_server: Option<(ServerUrl, Secret, ModelApi)>,
    client_connections: [Option<u32>; 4],
    state_dir: Option<StateDir>,
}

impl Fixed {
    fn of(settings: &OperatorSettings) -> Self {
        let config = settings.config.as_ref();
        let model_server = config.and_then(|config| config.model_server.as_ref());
        let state_dir = config.and_then(|config| config.state_dir.as_ref());
        Self {
            dns_servers: settings.dns_servers.clone(),
            resolve_disallowed: settings.resolve_disallowed,
            connection_pooling: settings
                .http
                .connection_pooling
                .as_ref()
                .map(|pooling| pooling.value),
            max_connections: settings.http.max_connections.as_ref().map(|limit| limit.value),
            client_tls: settings.client_tls.clone(),
            key_value_stores: config.map_or_else(Vec::new, |config| labelled(&config.key_value_stores)),
            sqlite_databases: config.map_or_else(Vec::new, |config| labelled(&config.sqlite_databases)),
            model_server: model_server
                .map(|server| (server.url.clone(), server.auth_token.clone(), server.api)),
            client_connections: config.map_or([None; 4], |config| {
                let limits = &config.client_connections;
                let limits = [&limits.redis, &limits.postgres, &limits.mysql, &limits.mqtt];
                limits.map(|limit| limit.as_ref().map(|limit| limit.value))
            }),
            state_dir: state_dir.map(|written| written.value.clone()),
        }
    }

    /// The keys of those that are not the same.
    fn differences(&self, now: &Self) -> impl Iterator<Item = &'static str> {
        let [redis, postgres, mysql, mqtt] =
            std::array::from_fn(|at| self.client_connections[at] != now.client_connections[at]);
        let all = [
            ("dns_servers", self.dns_servers != now.dns_servers),
            (
                "resolve_disallowed",
                self.resolve_disallowed != now.resolve_disallowed,
            ),
            (
                "connection_pooling",
                self.connection_pooling != now.connection_pooling,
            ),
            (
                "[outbound_http] max_connections",
                self.max_connections != now.max_connections,
            ),
            ("client_tls", self.client_tls != now.client_tls),
            ("key_value_store", self.key_value_stores != now.key_value_stores),
            ("sqlite_database", self.sqlite_databases != now.sqlite_databases),
            ("llm_compute", self.model_server != now.model_server),
            ("[outbound_redis] max_connections", redis),
            ("[outbound_pg] max_connections", postgres),
            ("[outbound_mysql] max_connections", mysql),
            ("[outbound_mqtt] max_connections", mqtt),
            ("state_dir", self.state_dir != now.state_dir),
        ];
        all.into_iter()
            .filter_map(|(setting, differs)| differs.then_some(setting))
    }
}

/// What each label stands for, wherever that is written.
fn labelled<B: Clone>(definitions: &[Definition<B>]) -> Vec<(String, B)> {
    let labelled = definitions.iter();
    labelled
        .map(|own| (own.label.value.clone(), own.backend.clone()))
        .collect()
}

/// The text of a plain file. A pipe (`<(…)` in a shell) says what it has to say once, and would block the second time.
fn read_plain(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.is_file() {
        fs::read_to_string(path)
    } else {
        Err(io::Error::other("it is not a plain file any more"))
    }
}

const STAYS: &str = "the operator's list stays as it was";

const NO_FILE: &str = "The operator's list stays as it was at start: no file to load again was named with \
    `--config` or `--runtime-config-file`";

const HANDED_OVER: &str = "The operator's list stays as it was at start: what was named with `--config` or \
    `--runtime-config-file` is no file that can be read again";

const BACK: &str = "is back, and has not changed; the operator's list stays in force";

/// The time between two looks at the file. A change is in force after two looks.
const LOOK: Duration = Duration::from_millis(250);
