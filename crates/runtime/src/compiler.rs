//! Compiling, in a process of its own that is bounded and can do little else.
//!
//! A compiler's time and memory do not follow from the size of what it compiles, and what it makes is machine code that
//! this process jumps into. So neither is done where guests run:
//!
//! ```text
//!  outport                        keeper                          compiler (one for each component)
//!  (starts before the sandbox)    (forked at start)               (forked from the keeper)
//!  ── a file's bytes ───────────▶ hash ── memory as it is ───────▶ make a component, validate, compile
//!                                 looks at its time and memory,    processor time, memory: bounded
//!                                 kills it beyond its bounds       writes no file, opens no socket
//!  map the file, or take ◀─────── writes the file, or sends ◀───── code, or what is wrong
//!  the code                       the code where none is kept
//!  ── no more ──────────────────▶ ends
//!  runs guests
//! ```
//!
//! The process that runs guests has no right to write to the directory of compiled code, so nothing that happens in it
//! later becomes code of the next start. Nor has a compiler: what a component makes it write is filed by the keeper
//! under the hash of that component, and so never runs as another one. The keeper never looks into either.
//!
//! What is written besides code goes the same way: [notes](crate::cache) of what files hold, and when code was last
//! used.
//!
//! Components are compiled one after the other, each on all processors: so the bound of one is the bound of all.
//! Keeper and compilers end with the process that started them, however that ends.
//!
//! How long a component may take and how much memory it may have [grows with its size](CompileLimits).

mod compilation;
mod confinement;
mod keeper;
mod limits;
mod message;
pub(crate) mod process;
mod usage;

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outport_policy::text;
use rustix::process::Pid;

pub use self::confinement::Confinement;
use self::keeper::Keeper;
pub use self::limits::{CompileLimit, CompileLimits};
use self::message::{Answer, Request};
use crate::cache::PrivateDirectory;

/// The other side of the keeper.
pub(crate) struct CompilerProcess {
    conversation: Mutex<Conversation>,
    keeper: Pid,
    limits: CompileLimits,
    keeps: bool,
    watch: Option<CompileWatch>,
}

/// Whoever is told again and again of what is compiled, for as long as it takes.
pub type CompileWatch = Box<dyn Fn(&Compiling<'_>) + Send + Sync>;

/// Something that is compiled, which takes longer than a moment.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Compiling<'c> {
    /// The file and its size: "`web.wasm` (18 MiB)".
    pub what: &'c str,
    /// The time since it began.
    pub elapsed: Duration,
    /// True the last time.
    pub is_over: bool,
}

/// The conversation with the keeper, and for how long it has been waited for.
struct Conversation {
    stream: UnixStream,
    waited: Duration,
    told: bool,
}

/// The result of compiling.
pub(crate) enum Compiled {
    /// The code is in the directory of compiled code.
    Kept,
    /// The code is here, since it could not be kept.
    Here(Vec<u8>),
}

/// The reason why there is no compiled code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The file is not a component that the engine can run.
    #[error("{reason}")]
    Invalid {
        /// The compiler's message.
        reason: String,
    },
    /// Compiling took too long.
    #[error(
        "compiling it took more than {} of processor time, the limit for a component of {}",
        Seconds(*.limit),
        Bytes(*.size)
    )]
    Time {
        /// The limit.
        limit: Duration,
        /// Bytes of the component.
        size: u64,
    },
    /// Compiling took too much memory.
    #[error("compiling it took more than {} of memory, the limit for a component of {}", Bytes(*.limit), Bytes(*.size))]
    Memory {
        /// The limit, in bytes.
        limit: u64,
        /// Bytes of the component.
        size: u64,
    },
    /// The compiler came to an end that nobody asked for, or could not be started.
    #[error("the compiler failed: {reason}")]
    Failed {
        /// The reason.
        reason: String,
    },
}

impl CompileError {
    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Time { .. } => {
                Some("if the component is to be trusted, give it more with `--max-compile-time TIME`")
            }
            Self::Memory { .. } => {
                Some("if the component is to be trusted, give it more with `--max-compile-memory SIZE`")
            }
            Self::Invalid { .. } | Self::Failed { .. } => None,
        }
    }

    fn failed(error: &io::Error) -> Self {
        Self::Failed {
            reason: error.to_string(),
        }
    }
}

impl CompilerProcess {
    /// Starts the keeper, which writes to `directory`.
    ///
    /// # Errors
    ///
    /// When there is a second thread, of which a forked process would have nothing but its locks, or the system starts
    /// no process.
    pub(crate) fn start(
        directory: Option<&PrivateDirectory>,
        limits: CompileLimits,
        confinement: Confinement,
    ) -> io::Result<Self> {
        let (stream, theirs) = UnixStream::pair()?;
        let mut keep = vec![theirs.as_fd()];
        keep.extend(directory.map(AsFd::as_fd));
        let keeper = process::fork(|| {
            process::detach(&keep)?;
            Keeper::new(&theirs, directory, limits, confinement).serve()
        })?;
        Ok(Self {
            conversation: Mutex::new(Conversation {
                stream,
                waited: Duration::ZERO,
                told: false,
            }),
            keeper,
            limits,
            keeps: directory.is_some(),
            watch: None,
        })
    }

    /// The same, which tells `watch` of what takes longer than a moment, in place of a line of the log.
    pub(crate) fn watched(mut self, watch: CompileWatch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Compiles `bytes`, which are from `path`.
    pub(crate) fn compile(&self, bytes: &[u8], path: &Path) -> Result<Compiled, CompileError> {
        self.ask(Request::Compile(bytes), bytes.len() as u64, path)
    }

    /// Makes a component of `bytes`, which are from `path`.
    pub(crate) fn adapt(&self, bytes: &[u8], path: &Path) -> Result<Vec<u8>, CompileError> {
        match self.ask(Request::Adapt(bytes), bytes.len() as u64, path)? {
            Compiled::Here(component) => Ok(component),
            Compiled::Kept => Err(CompileError::Failed {
                reason: "the component was kept, and nobody asked for that".into(),
            }),
        }
    }

    fn ask(&self, request: Request<'_>, size: u64, path: &Path) -> Result<Compiled, CompileError> {
        let answer = self
            .wait_for(request, size, path)
            .map_err(|error| CompileError::failed(&error))?;
        match answer {
            Answer::Kept => Ok(Compiled::Kept),
            Answer::Code(code) => Ok(Compiled::Here(code)),
            Answer::Invalid(reason) => Err(CompileError::Invalid { reason }),
            Answer::TooLong => Err(CompileError::Time {
                limit: self.limits.time_for(size).unwrap_or(Duration::MAX),
                size,
            }),
            Answer::TooLarge => Err(CompileError::Memory {
                limit: self.limits.memory_for(size).unwrap_or(u64::MAX),
                size,
            }),
            Answer::Failed(reason) => Err(CompileError::Failed { reason }),
        }
    }

    fn wait_for(&self, request: Request<'_>, size: u64, path: &Path) -> io::Result<Answer> {
        // Locked until it is answered: questions have no numbers, so there is one at a time.
        let mut conversation = self.conversation();
        let Conversation { stream, waited, told } = &mut *conversation;
        request.write(stream)?;
        let begun = Instant::now();
        let what = format!("`{}` ({})", text::path(path), Bytes(size));
        tracing::debug!("compiling {what}");
        let timeout = match self.watch {
            Some(_) => MOMENT,
            // Many small ones take as long as a large one: the first word of all is said after the time of all. A timeout of
            // zero is an error.
            None if !*told => QUIET.saturating_sub(*waited).max(Duration::from_millis(1)),
            None => QUIET,
        };
        stream.set_read_timeout(Some(timeout))?;
        let mut told_of_this = false;
        let kind = loop {
            match message::read_kind(stream) {
                Err(error) if is_waiting(&error) => {
                    *told = true;
                    let is_first = !std::mem::replace(&mut told_of_this, true);
                    self.tell(&what, begun.elapsed(), is_first);
                }
                kind => break kind,
            }
        };
        *waited += begun.elapsed();
        if let Some(watch) = self.watch.as_ref().filter(|_| told_of_this) {
            watch(&Compiling {
                what: &what,
                elapsed: begun.elapsed(),
                is_over: true,
            });
        }
        stream.set_read_timeout(None)?;
        Answer::read(kind?, stream)
    }

    /// Tells that something is still compiled: a watch each time, the log once.
    fn tell(&self, what: &str, elapsed: Duration, is_first: bool) {
        match &self.watch {
            Some(watch) => watch(&Compiling {
                what,
                elapsed,
                is_over: false,
            }),
            None if !is_first => {}
            None if self.keeps => tracing::info!("compiling {what}, which is done once"),
            None => {
                tracing::info!("compiling {what}, at every start since compiled code is not kept");
            }
        }
    }

    fn conversation(&self) -> MutexGuard<'_, Conversation> {
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a file holds.
    pub(crate) fn note(&self, name: &str, text: &str) -> io::Result<()> {
        self.send(Request::Note { name, text })
    }

    /// Notes that a file of the directory was used now.
    pub(crate) fn mark_used(&self, name: &str) -> io::Result<()> {
        self.send(Request::Used { name })
    }

    fn send(&self, request: Request<'_>) -> io::Result<()> {
        request.write(&mut self.conversation().stream)
    }

    /// There will be no more to do: the keeper ends meanwhile.
    pub(crate) fn close(&self) {
        let _ = self.conversation().stream.shutdown(Shutdown::Both);
    }
}

/// Nobody runs a guest while there is a keeper.
impl Drop for CompilerProcess {
    fn drop(&mut self) {
        self.close();
        process::wait_for(self.keeper);
    }
}

impl fmt::Debug for CompilerProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompilerProcess")
            .field("keeper", &self.keeper)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// `30.5 s`
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", (self.0.as_secs_f64() * 10.0).round() / 10.0)
    }
}

/// `80 KiB`, `512 MiB`
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 10 << 10 => write!(f, "{bytes} bytes"),
            bytes if bytes < 10 << 20 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{} MiB", bytes >> 20),
        }
    }
}

/// True of an error that says nothing but that there is no answer yet.
fn is_waiting(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// The time for which nothing is said: of all that is compiled at a start, and then of each component.
const QUIET: Duration = Duration::from_secs(1);

/// The time between two words to a watch, and before the first.
const MOMENT: Duration = Duration::from_millis(200);
