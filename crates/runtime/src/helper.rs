//! A process beside this one that may do what this one gives up in the kernel's sandbox.
//!
//! ```text
//! Helper::start ── fork, before the sandbox and before there is a second thread ──▶ the helper: none of our files
//! Helper::ask ──── a line ──────────────────────────────────────────────────────▶ work
//!              ◀── a line ─────────────────────────────────────────────────────── and the next one
//! ```
//!
//! It takes lines from nobody else, does one thing with each, and ends when this process does, whatever it is at then: a thread
//! of it notices that nobody reads its answers any more. The signal that it would get is held back by the kernel where this
//! process is in a sandbox from which no signal leaves. What it does has to be safe
//! whatever the line says: a guest that has taken this process over could write one.

use std::fmt;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;

use crate::compiler::process::{detach, end, fork, wait_for};

/// The helper, as this process has it. Dropping it ends it.
pub struct Helper {
    process: Pid,
    /// None once it is to end.
    to: Option<PipeWriter>,
    from: Option<BufReader<PipeReader>>,
    longest: usize,
}

impl Helper {
    /// Starts a process that answers each line by `work`. Lines and answers have fewer bytes than `longest`; what is left over
    /// of an answer is cut off.
    ///
    /// # Errors
    ///
    /// When there is a second thread, or the system gives no process or no pipe.
    pub fn start(longest: usize, work: impl FnMut(&str) -> String) -> io::Result<Self> {
        let (theirs, to) = io::pipe()?;
        let (from, back) = io::pipe()?;
        let process = fork(|| {
            detach(&[theirs.as_fd(), back.as_fd()])?;
            end_with_reader(&back)?;
            serve(&theirs, &back, longest, work)
        })?;
        Ok(Self {
            process,
            to: Some(to),
            from: Some(BufReader::new(from)),
            longest,
        })
    }

    /// The answer to `line`. Holds the thread until there is one, for ten seconds at most.
    ///
    /// # Errors
    ///
    /// The helper is gone, or the line is longer than it takes. Where there was no answer in time it is gone from then on.
    pub fn ask(&mut self, line: &str) -> io::Result<String> {
        if line.len() >= self.longest || line.contains('\n') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let to = self.to.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        to.write_all(format!("{line}\n").as_bytes())?;
        let from = self.from.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        if !is_readable(from.get_ref(), TIME)? {
            // Its answer would be taken for that to the next line.
            (self.to, self.from) = (None, None);
            return Err(io::ErrorKind::TimedOut.into());
        }
        read_line(from, self.longest)?.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends when there is nothing more to read, or nobody who reads.
        (self.to, self.from) = (None, None);
        wait_for(self.process);
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helper").finish_non_exhaustive()
    }
}

/// The time that an answer takes at most.
const TIME: Duration = Duration::from_secs(10);

/// True once there is something to read, or the end, within `time`.
fn is_readable(from: &PipeReader, time: Duration) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        let left = time.saturating_sub(begun.elapsed());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Has this process end once nobody reads what it answers.
fn end_with_reader(answers: &PipeWriter) -> io::Result<()> {
    let answers = answers.try_clone()?;
    let watch = move || {
        wait_for_no_reader(&answers);
        end(0)
    };
    thread::Builder::new().spawn(watch).map(drop)
}

/// Waits until nobody reads from a pipe any more.
fn wait_for_no_reader(pipe: &PipeWriter) {
    // Nothing is waited for but what is always told: that the other end is closed.
    while matches!(
        poll(&mut [PollFd::new(pipe, PollFlags::empty())], None),
        Err(rustix::io::Errno::INTR)
    ) {}
}

fn serve(
    from: &PipeReader,
    mut to: &PipeWriter,
    longest: usize,
    mut work: impl FnMut(&str) -> String,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    while let Some(line) = read_line(&mut from, longest)? {
        let mut answer = work(&line).replace('\n', " ");
        answer.truncate(answer.floor_char_boundary(longest.saturating_sub(1)));
        to.write_all(format!("{answer}\n").as_bytes())?;
    }
    Ok(())
}

/// The next line without its end; none at the end.
fn read_line(from: &mut impl BufRead, longest: usize) -> io::Result<Option<String>> {
    let mut line = String::new();
    from.take(longest as u64 + 1).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(whole) => Ok(Some(whole.to_owned())),
        None if line.is_empty() => Ok(None),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 16 * 1024;

    /// Both ends of a helper on a thread: a test has more than one, and cannot be copied.
    fn answers(lines: &[u8]) -> io::Result<Vec<u8>> {
        let (from, mut to) = io::pipe().unwrap();
        let (mut back, answers) = io::pipe().unwrap();
        to.write_all(lines).unwrap();
        drop(to);
        let served = serve(&from, &answers, LONGEST, |line| {
            format!("<{line}>\n{}", "x".repeat(LONGEST * 2))
        });
        drop(answers);
        let mut all = Vec::new();
        back.read_to_end(&mut all).unwrap();
        served.map(|()| all)
    }

    #[test]
    fn each_line_has_one_line_for_an_answer_however_long_it_is() {
        let all = String::from_utf8(answers(b"a\n\n").unwrap()).unwrap();
        let lines: Vec<&str> = all.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with("<a> xxx") && lines[1].starts_with("<> xxx"),
            "{lines:?}"
        );
        assert!(lines.iter().all(|line| line.len() < LONGEST));
    }

    #[test]
    fn a_line_that_is_too_long_or_has_no_end_is_not_worked_on() {
        answers(&vec![b'a'; LONGEST + 9]).unwrap_err();
        answers(b"half").unwrap_err();
        answers(b"\xff\n").unwrap_err();
        assert_eq!(answers(b"").unwrap(), b"");
    }

    #[test]
    fn it_is_noticed_when_nobody_reads_any_more() {
        let (reader, writer) = io::pipe().unwrap();
        let waits = thread::spawn(move || wait_for_no_reader(&writer));
        thread::sleep(Duration::from_millis(20));
        assert!(!waits.is_finished());
        drop(reader);
        waits.join().unwrap();
    }

    #[test]
    fn an_answer_is_waited_for_so_long() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert!(!is_readable(&reader, Duration::from_millis(10)).unwrap());
        writer.write_all(b"a").unwrap();
        assert!(is_readable(&reader, TIME).unwrap());
    }

    #[test]
    fn a_process_of_several_threads_starts_none() {
        let error = Helper::start(LONGEST, str::to_owned).unwrap_err();
        assert!(error.to_string().contains("threads"), "{error}");
    }
}
