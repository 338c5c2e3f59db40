//! Certificates, loaded again while they are served.
//!
//! A thread looks at the files every [`LOOK`] and compares what they say with what is in force, so that it does not matter how
//! they were replaced: rewritten, renamed, or behind a link that leads elsewhere now (as in a volume of Kubernetes).
//!
//! ```text
//! other than in force, in two looks in a row ─┬ fits ─────────────────────▶ in force for new connections
//!                                             └ does not, for PATIENCE ───▶ told once; what was in force stays
//! ```
//!
//! Whoever renews a certificate writes two files, one after the other: between the two they do not fit, which is nothing to
//! report for a while. A signal is somebody's word that they are done: they are read at once. Connections that are open keep
//! what they agreed on.
//!
//! A certificate that comes near its end while it is served is told of, once then and once when it has expired: the renewal
//! has failed, or has not reached this machine.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use metrics::Counter;
use outport_check::Diagnostic;
use outport_egress::meter::Meter;
use outport_runtime::http::ServerTls;
use outport_telemetry::process::RELOADS;

use super::files::{Contents, Settings, Standing, TlsFiles};
use crate::files::Files;
use crate::surely::surely;
use crate::terminal::Terminal;

/// Watches the files of a server.
pub(super) struct CertificateWatch {
    files: TlsFiles,
    tls: ServerTls,
    settings: Settings,
    standings: Vec<Standing>,
    steadiness: Steadiness,
    loaded: Counter,
    refused: Counter,
    terminal: Terminal,
}

impl CertificateWatch {
    /// For what was read at start, and is in force on `tls`.
    pub(super) fn new(
        files: TlsFiles,
        contents: Contents,
        settings: Settings,
        tls: ServerTls,
        meter: &Meter,
        terminal: Terminal,
    ) -> Self {
        let standings = files.standings(&settings, SystemTime::now());
        Self {
            standings: standings.into_iter().map(|(standing, _)| standing).collect(),
            files,
            tls,
            settings,
            steadiness: Steadiness::new(contents),
            loaded: meter.counter(&RELOADS, ["loaded".into()]),
            refused: meter.counter(&RELOADS, ["refused".into()]),
            terminal,
        }
    }

    /// Starts to watch, until the sender is gone, by which it is told to look now.
    pub(super) fn start(mut self) -> io::Result<Sender<()>> {
        let (now, wanted) = mpsc::channel();
        thread::Builder::new()
            .name("outport-tls".into())
            .spawn(move || self.run(&wanted))?;
        Ok(now)
    }

    fn run(&mut self, wanted: &Receiver<()>) {
        loop {
            match wanted.recv_timeout(LOOK) {
                Ok(()) => self.surely(Self::load_now),
                Err(RecvTimeoutError::Timeout) => self.surely(Self::look),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Does it, after which this thread goes on whatever happened: what is served can still be replaced.
    fn surely(&mut self, load: fn(&mut Self)) {
        let terminal = self.terminal;
        if surely(STAY, terminal, || load(self)).is_none() {
            self.refused.increment(1);
            self.steadiness.was_told();
        }
    }

    fn look(&mut self) {
        let seen = self.steadiness.look(self.files.read());
        match seen {
            Seen::Nothing => {}
            Seen::Steady(contents) => {
                if let Ok(settings) = self.files.parse(&contents) {
                    self.put_in_force(contents, settings);
                }
            }
            // They have had time to become right.
            Seen::StillOther(contents) => match self.files.parse(&contents) {
                Ok(settings) => self.put_in_force(contents, settings),
                Err(wrong) => self.refuse(&wrong),
            },
            Seen::Unreadable(wrong) => self.refuse(&wrong),
            Seen::Back => self.terminal.say(BACK),
        }
        self.tell_of_time(SystemTime::now());
    }

    fn load_now(&mut self) {
        let read = self.files.read();
        let parsed = read.and_then(|contents| {
            let settings = self.files.parse(&contents)?;
            Ok((contents, settings))
        });
        match parsed {
            Ok((contents, settings)) => self.put_in_force(contents, settings),
            Err(wrong) => {
                self.steadiness.was_told();
                self.refuse(&wrong);
            }
        }
    }

    fn put_in_force(&mut self, contents: Contents, settings: Settings) {
        if let Err(error) = self
            .tls
            .replace(&settings.certificates, settings.authorities.as_ref())
        {
            return self.refuse(&[Diagnostic::error(error.to_string())]);
        }
        self.loaded.increment(1);
        self.terminal.show_all(&settings.remarks, &Files::default());
        let standings = self.files.standings(&settings, SystemTime::now());
        self.standings = standings.into_iter().map(|(standing, _)| standing).collect();
        self.steadiness = Steadiness::new(contents);
        self.settings = settings;
        self.terminal.say(LOADED);
    }

    fn refuse(&self, wrong: &[Diagnostic]) {
        self.refused.increment(1);
        self.terminal.show_all(wrong, &Files::default());
        let kept = Diagnostic::warning(KEPT);
        self.terminal.show(&kept, &Files::default());
    }

    /// Tells of certificates whose time stands otherwise than it did.
    fn tell_of_time(&mut self, now: SystemTime) {
        let standings = self.files.standings(&self.settings, now);
        for (before, (standing, told)) in self.standings.iter_mut().zip(standings) {
            if *before != standing {
                *before = standing;
                if let Some(told) = told {
                    self.terminal.show(&told, &Files::default());
                }
            }
        }
    }
}

/// For how long the files have said the same.
struct Steadiness {
    in_force: Contents,
    /// What they say instead, and in how many looks in a row.
    other: Option<(Contents, u32)>,
    /// Looks in a row in which one could not be read.
    unreadable: u32,
    /// That something is wrong was said.
    told: bool,
}

/// The result of a look.
enum Seen {
    Nothing,
    /// Two looks found the same, which is not in force.
    Steady(Contents),
    /// So did many.
    StillOther(Contents),
    Unreadable(Vec<Diagnostic>),
    /// After something was wrong they say what is in force.
    Back,
}

impl Steadiness {
    fn new(in_force: Contents) -> Self {
        Self {
            in_force,
            other: None,
            unreadable: 0,
            told: false,
        }
    }

    /// What is wrong now has been told.
    fn was_told(&mut self) {
        self.told = true;
    }

    fn look(&mut self, found: Result<Contents, Vec<Diagnostic>>) -> Seen {
        let contents = match found {
            Ok(contents) => contents,
            Err(wrong) => {
                self.other = None;
                self.unreadable = self.unreadable.saturating_add(1);
                if self.unreadable == PATIENCE && !self.told {
                    self.told = true;
                    return Seen::Unreadable(wrong);
                }
                return Seen::Nothing;
            }
        };
        self.unreadable = 0;
        if contents == self.in_force {
            self.other = None;
            return if std::mem::take(&mut self.told) {
                Seen::Back
            } else {
                Seen::Nothing
            };
        }
        let looks = match self.other.take() {
            Some((other, looks)) if other == contents => looks.saturating_add(1),
            other => {
                // Another mistake than the one that was told.
                self.told &= other.is_none();
                1
            }
        };
        let seen = match looks {
            2 => Seen::Steady(contents.clone()),
            PATIENCE if !self.told => {
                self.told = true;
                Seen::StillOther(contents.clone())
            }
            _ => Seen::Nothing,
        };
        self.other = Some((contents, looks));
        seen
    }
}

const LOADED: &str = "The TLS certificates were loaded again, and are in force for new connections";

const STAY: &str = "the TLS certificates stay as they were";

const KEPT: &str = "the TLS certificates stay as they were, because of the above";

const BACK: &str = "The files of the TLS certificates say again what is in force";

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Looks for which files that do not fit, or are not there, may be about to be written: two seconds.
const PATIENCE: u32 = 8;
