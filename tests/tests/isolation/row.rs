//! One row of the table: something hostile beside the neighbour, and what is asked of the server meanwhile.
//!
//! Asked of every row: each request to hello succeeds, its median stays near the calm one, resident memory stays within
//! `--max-memory-total` and 150 MiB more, the process ends by itself after SIGTERM and its grace. A row may ask for more.

use std::any::Any;
use std::fs;
use std::thread;
use std::time::Duration;

use outport_e2e::guest;

use crate::component::Hostile;
use crate::neighbour::Requests;
use crate::scene::Scene;

type Attack = Box<dyn Fn(&Scene<'_>) + Sync>;
type Check = Box<dyn Fn(&Seen) -> Option<Complaint>>;

/// Something that does not hold.
pub(crate) enum Complaint {
    /// Something took too long, which may be because of what else the machine does. A row for which that is so again and
    /// again is broken.
    Late(String),
    /// Something that must not be, however long anything takes.
    Wrong(String),
}

impl Complaint {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Late(text) | Self::Wrong(text) => text,
        }
    }
}

/// Something hostile, and what is asked of the server meanwhile.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) clause: &'static str,
    pub(crate) hostile: Option<Vec<u8>>,
    /// Lines of `spin.toml` for the hostile component.
    pub(crate) lines: &'static str,
    pub(crate) options: Vec<String>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// The line of `spin.toml` that gives them to the hostile component.
    pub(crate) files_line: &'static str,
    pub(crate) manifest: String,
    pub(crate) total: u64,
    pub(crate) descriptors: Option<u32>,
    pub(crate) stdout_is_read: bool,
    pub(crate) lasts: Duration,
    pub(crate) settles: bool,
    /// How many hostile requests must have ended; they are waited for.
    pub(crate) least: usize,
    /// What standard error must say; it is waited for.
    pub(crate) says: Option<&'static str>,
    pub(crate) attack: Attack,
    pub(crate) checks: Vec<Check>,
    pub(crate) refusal: Option<&'static [&'static str]>,
    /// Kept for as long as the row.
    _kept: Vec<Box<dyn Any>>,
}

/// What was seen of a row.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) calm: Requests,
    pub(crate) under: Requests,
    pub(crate) peak: u64,
    pub(crate) descriptors: usize,
    /// Processor time of the process during the attack.
    pub(crate) processor: Duration,
    /// How often the hostile component answered, with whatever, or hung up.
    pub(crate) answers: usize,
    pub(crate) stderr: String,
    /// What the attack itself found.
    pub(crate) complaints: Vec<Complaint>,
    /// The server did not start, and said why.
    pub(crate) refused: bool,
    pub(crate) ended: bool,
    /// Others had a quarter of a processor or more during the attack.
    pub(crate) is_crowded: bool,
}

impl Row {
    /// A row whose attack is one client that asks `/hostile` again and again.
    pub(crate) fn new(name: &'static str, clause: &'static str) -> Self {
        Self {
            name,
            clause,
            hostile: None,
            lines: "",
            options: Vec::new(),
            files: Vec::new(),
            files_line: "",
            manifest: String::new(),
            total: 128 << 20,
            descriptors: None,
            stdout_is_read: true,
            lasts: Duration::from_millis(800),
            settles: false,
            least: 0,
            says: None,
            attack: Box::new(|scene| scene.ask_again_and_again()),
            checks: Vec::new(),
            refusal: None,
            _kept: Vec::new(),
        }
    }

    /// The component at `/hostile`.
    pub(crate) fn hostile(self, hostile: Hostile) -> Self {
        Self {
            hostile: Some(hostile.build()),
            ..self
        }
    }

    /// A module, of which Outport makes the component at `/hostile`.
    pub(crate) fn module(self, text: &str) -> Self {
        Self {
            hostile: Some(wat::parse_str(text).expect("the test's own module")),
            ..self
        }
    }

    /// A committed guest as the component at `/hostile`, with these lines of `spin.toml`.
    pub(crate) fn guest(self, name: &str, lines: &'static str) -> Self {
        Self {
            hostile: Some(fs::read(guest::path(name)).expect("a committed guest")),
            lines,
            ..self
        }
    }

    /// A further option.
    pub(crate) fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// A file in the server's working directory.
    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// The hostile component has a directory, with the file `a` of one byte and the file `big` of 20 MB.
    pub(crate) fn with_files(mut self) -> Self {
        self.files_line = "files = [\"a\", \"big\"]\n";
        self.file("a", "a").file("big", vec![b'a'; 20_000_000])
    }

    /// Further lines of `spin.toml`.
    pub(crate) fn manifest(mut self, lines: &str) -> Self {
        self.manifest += lines;
        self
    }

    /// How many descriptors the server may have.
    pub(crate) fn descriptors(self, number: u32) -> Self {
        Self {
            descriptors: Some(number),
            ..self
        }
    }

    /// Nobody reads the server's standard output.
    pub(crate) fn unread_stdout(self) -> Self {
        Self {
            stdout_is_read: false,
            ..self
        }
    }

    /// How long the neighbour is looked at under attack, instead of 0.8 s.
    pub(crate) fn lasts(self, lasts: Duration) -> Self {
        Self { lasts, ..self }
    }

    /// Looks on until the process takes no more memory, for four seconds more at most.
    pub(crate) fn until_it_is_full(self) -> Self {
        Self {
            settles: true,
            ..self
        }
    }

    /// So many clients ask `/hostile` at a time.
    pub(crate) fn clients(self, number: usize) -> Self {
        self.attack(move |scene| {
            thread::scope(|scope| {
                for _ in 0..number {
                    scope.spawn(|| scene.ask_again_and_again());
                }
            });
        })
    }

    /// One client asks `/hostile` once.
    pub(crate) fn once(self) -> Self {
        self.attack(|scene| {
            scene.ask();
            scene.wait();
        })
    }

    /// What attacks, until the scene [is over](Scene::is_over).
    pub(crate) fn attack(self, attack: impl Fn(&Scene<'_>) + Sync + 'static) -> Self {
        Self {
            attack: Box::new(attack),
            ..self
        }
    }

    /// Keeps a peer for as long as the row.
    pub(crate) fn keep(mut self, peer: impl Any) -> Self {
        self._kept.push(Box::new(peer));
        self
    }

    /// The server may refuse to start instead, if it says one of these words.
    pub(crate) fn or_is_refused(self, words: &'static [&'static str]) -> Self {
        Self {
            refusal: Some(words),
            ..self
        }
    }

    /// A further demand: `None` if it is met.
    pub(crate) fn asks(mut self, check: impl Fn(&Seen) -> Option<Complaint> + 'static) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// Requests to the hostile component come to an end: so many during the attack, or within half a minute more.
    pub(crate) fn ends(self, answers: usize) -> Self {
        Self {
            least: answers,
            ..self
        }
    }

    /// The process uses no more processor time than that during the attack.
    pub(crate) fn within_processor(self, limit: Duration) -> Self {
        self.asks(move |seen| {
            (seen.processor > limit)
                .then(|| Complaint::Late(format!("{:.1?} of processor time, not {limit:?}", seen.processor)))
        })
    }

    /// Standard error has no more lines than that.
    pub(crate) fn within_lines(self, limit: usize) -> Self {
        self.asks(move |seen| {
            let lines = seen.stderr.lines().count();
            (lines > limit).then(|| Complaint::Wrong(format!("{lines} lines on standard error, not {limit}")))
        })
    }

    /// Standard error says this, during the attack or within half a minute more.
    pub(crate) fn says(self, text: &'static str) -> Self {
        Self {
            says: Some(text),
            ..self
        }
    }
}
