//! The keeper: has components compiled, looks at how that goes, and files what comes of it.
//!
//! It has one thread, looks neither into components nor into code, and takes names of files from nobody but the process
//! that started it.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitStatus, kill_process};

use super::compilation::Work;
use super::confinement::Confinement;
use super::limits::CompileLimits;
use super::message::{self, Answer, OwnedRequest};
use super::{compilation, process, usage};
use crate::cache::{ContentHash, PrivateDirectory, keep_code, keep_note};

/// The keeper, in its own process.
pub(super) struct Keeper<'a> {
    stream: &'a UnixStream,
    directory: Option<&'a PrivateDirectory>,
    limits: CompileLimits,
    confinement: Confinement,
    /// The process that asks, as long as it lives.
    parent: Option<Pid>,
    /// Made when the first component comes: most starts have none to compile.
    engine: Option<wasmtime::Engine>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        stream: &'a UnixStream,
        directory: Option<&'a PrivateDirectory>,
        limits: CompileLimits,
        confinement: Confinement,
    ) -> Self {
        Keeper {
            stream,
            directory,
            limits,
            confinement,
            parent: rustix::process::getppid(),
            engine: None,
        }
    }

    /// Does what it is asked for until nobody asks any more.
    pub(super) fn serve(mut self) -> io::Result<()> {
        let mut held = false;
        while let Some(asked) = OwnedRequest::read(&mut &*self.stream)? {
            // Not before there is something to do: most starts have nothing.
            if !std::mem::replace(&mut held, true) {
                // Should the machine run out of memory meanwhile, it is a compiler that has to go.
                let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
                self.confinement.of_keeper(self.directory);
            }
            match asked {
                OwnedRequest::Adapt(bytes) => self.run(Work::Adapt, &bytes).write(&mut &*self.stream)?,
                OwnedRequest::Compile(bytes) => self.compile(&bytes).write(&mut &*self.stream)?,
                OwnedRequest::Note { name, text } => {
                    if let Some(directory) = self.directory {
                        let _ = keep_note(directory, &name, &text);
                    }
                }
                OwnedRequest::Used { name } => {
                    let file = self
                        .directory
                        .and_then(|directory| directory.open_file(&name).ok()?);
                    if let (Some(file), Some(directory)) = (file, self.directory) {
                        directory.mark_used(&file);
                    }
                }
            }
        }
        Ok(())
    }

    fn compile(&mut self, bytes: &[u8]) -> Answer {
        let engine = match self.engine() {
            Ok(engine) => engine,
            Err(error) => return Answer::Failed(error.to_string()),
        };
        let answer = self.run(Work::Compile(&engine), bytes);
        let (Answer::Code(code), Some(directory)) = (&answer, self.directory) else {
            return answer;
        };
        match keep_code(directory, &engine, &ContentHash::of(bytes), code) {
            Ok(()) => Answer::Kept,
            // A full disk keeps nobody from running.
            Err(_) => answer,
        }
    }

    fn engine(&mut self) -> Result<wasmtime::Engine, crate::engine::EngineError> {
        if let Some(engine) = &self.engine {
            return Ok(engine.clone());
        }
        let engine = crate::engine::compiling()?;
        Ok(self.engine.insert(engine).clone())
    }

    fn run(&self, work: Work<'_>, bytes: &[u8]) -> Answer {
        self.run_compiler(work, bytes)
            .unwrap_or_else(|error| Answer::Failed(error.to_string()))
    }

    /// Runs a compiler to its end, or to that of its limits.
    fn run_compiler(&self, work: Work<'_>, bytes: &[u8]) -> io::Result<Answer> {
        let (ours, theirs) = UnixStream::pair()?;
        let pid = process::fork(|| compilation::run(work, bytes, &theirs, self.limits, self.confinement))?;
        drop(theirs);
        let size = bytes.len() as u64;
        let mut watch = Watch {
            pid,
            time: self.limits.time_for(size),
            memory: self.limits.memory_for(size),
            started: Instant::now(),
            looked: Instant::now(),
        };
        let outcome = collect(&ours, &mut watch, self.parent);
        if !matches!(outcome, Ok(Outcome::Said(_))) {
            // Also where it cannot be read any more: it is waited for below.
            let _ = kill_process(pid, Signal::KILL);
        }
        let status = process::wait_for(pid);
        Ok(match outcome? {
            Outcome::Beyond(answer) => answer,
            Outcome::Said(said) => conclude(said, status),
        })
    }
}

/// The way in which a compiler ended.
enum Outcome {
    /// By itself, with these last words.
    Said(Vec<u8>),
    /// At a limit.
    Beyond(Answer),
}

/// The watch over what a compiler may still use up.
struct Watch {
    pid: Pid,
    time: Option<Duration>,
    memory: Option<u64>,
    started: Instant,
    looked: Instant,
}

impl Watch {
    /// The answer, if it is beyond a limit.
    fn look(&mut self) -> Option<Answer> {
        self.looked = Instant::now();
        if let Some(limit) = self.memory
            && usage::memory(self.pid).is_some_and(|memory| memory > limit)
        {
            return Some(Answer::TooLarge);
        }
        let limit = self.time?;
        let beyond = usage::processor_time(self.pid).is_some_and(|time| time > limit)
            || self.started.elapsed() > limit.saturating_mul(MOST_WAITING);
        beyond.then_some(Answer::TooLong)
    }
}

/// Reads all that a compiler says, and looks at it every [`GLANCE`], and whether there is still somebody who asks.
///
/// The kernel ends this process with its parent, but not where the parent is held by Landlock, which may signal nobody
/// outside of what it holds.
fn collect(mut from: &UnixStream, watch: &mut Watch, parent: Option<Pid>) -> io::Result<Outcome> {
    from.set_read_timeout(Some(GLANCE))?;
    let mut said = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(Outcome::Said(said)),
            Ok(read) => said.extend_from_slice(&piece[..read]),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                // It was killed with something unread.
                ErrorKind::ConnectionReset => return Ok(Outcome::Said(said)),
                _ => return Err(error),
            },
        }
        if watch.looked.elapsed() < GLANCE {
            continue;
        }
        if rustix::process::getppid() != parent {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if let Some(answer) = watch.look() {
            return Ok(Outcome::Beyond(answer));
        }
    }
}

/// The answer of a compiler that ended by itself.
fn conclude(mut said: Vec<u8>, status: Option<WaitStatus>) -> Answer {
    let Some(status) = status else {
        return Answer::Failed("how it ended is not known".into());
    };
    if let Some(signal) = status.terminating_signal() {
        return match signal {
            // The kernel holds a compiler to its time, too, and does it in whole seconds.
            libc::SIGXCPU => Answer::TooLong,
            libc::SIGKILL => Answer::Failed("the system ended it, as it does when memory runs out".into()),
            // That is how a program ends that gets no more memory.
            libc::SIGABRT => Answer::TooLarge,
            signal => Answer::Failed(format!("it was ended by signal {signal}")),
        };
    }
    match (status.exit_status(), said.first()) {
        (Some(0), Some(&message::CODE)) => {
            said.remove(0);
            Answer::Code(said)
        }
        (Some(0), Some(&message::INVALID)) => {
            Answer::Invalid(String::from_utf8_lossy(&said[1..said.len().min(LONGEST_REASON)]).into_owned())
        }
        _ => Answer::Failed("it ended without a word".into()),
    }
}

/// The time between two looks at a compiler.
const GLANCE: Duration = Duration::from_millis(20);

/// A compiler that waits for the processor, or for nothing, gets so many times its processor time.
const MOST_WAITING: u32 = 10;

/// Bytes that are read at a time.
const PIECE: usize = 256 * 1024;

/// Bytes of a reason that is passed on.
const LONGEST_REASON: usize = 64 * 1024;
