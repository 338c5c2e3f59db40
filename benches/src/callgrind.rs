//! Counts the instructions that the whole program executes for one piece of work.
//!
//! ```text
//! few  pieces ─ valgrind ─ outport … ─► instructions of starting + few  × one
//! many pieces ─ valgrind ─ outport … ─► instructions of starting + many × one     the difference is (many − few) × one
//! ```
//!
//! Everything in the process counts: the guest's own code, wasmtime, the gate, the audit log; nothing that the kernel
//! does. The other ends of all connections are in other processes. What remains of chance, such as how often the
//! clock ticks, is below one in a hundred.
//!
//! The kernel's sandbox is off, under which the counter could not write down what it counted. The cache of compiled
//! code is filled before counting; the processor that valgrind imitates has code of its own there.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The program under valgrind.
pub(crate) struct Counter {
    program: PathBuf,
    /// Where compiled code is kept, this time and next.
    cache: PathBuf,
}

/// A program whose instructions are being counted.
pub(crate) struct Counted {
    child: Child,
    complaints: BufReader<ChildStderr>,
    output: tempfile::TempPath,
}

impl Counter {
    pub(crate) fn new(program: &Path, cache: &Path) -> Self {
        Self {
            program: program.to_owned(),
            cache: cache.to_owned(),
        }
    }

    /// Starts the program and counts until it ends.
    pub(crate) fn start(&self, arguments: &[String]) -> Counted {
        let output = tempfile::NamedTempFile::new()
            .expect("a temporary file")
            .into_temp_path();
        let options = format!("--callgrind-out-file={}", output.display());
        let mut child = self.valgrind(&["--tool=callgrind", &options], arguments);
        let complaints = BufReader::new(child.stderr.take().expect("a piped output"));
        Counted {
            child,
            complaints,
            output,
        }
    }

    /// Runs the program to its end, as the processor that valgrind imitates, without counting.
    pub(crate) fn rehearse(&self, arguments: &[String]) {
        let output = self.valgrind(&["--tool=none"], arguments).wait_with_output();
        let output = output.expect("a child of ours can be waited for");
        assert!(
            output.status.success(),
            "{arguments:?} fails under valgrind: {output:?}"
        );
    }

    fn valgrind(&self, options: &[&str], arguments: &[String]) -> Child {
        Command::new("valgrind")
            .arg("-q")
            .args(options)
            .arg(&self.program)
            .args(arguments)
            .env("XDG_CACHE_HOME", &self.cache)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("valgrind, which the Debian package of that name brings: {error}"))
    }
}

impl Counted {
    /// Where the server listens, once it does.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let mut said = String::new();
        loop {
            let line = said.lines().find_map(|line| line.strip_prefix("Serving http://"));
            if let Some(address) = line.and_then(|line| line.parse().ok()) {
                return address;
            }
            let more = self.complaints.read_line(&mut said);
            assert!(matches!(more, Ok(1..)), "{said}");
        }
    }

    /// Asks the program to end.
    pub(crate) fn stop(&self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = id.map(|id| kill_process(id, Signal::TERM));
    }

    /// Waits for the end of the program: instructions.
    pub(crate) fn total(mut self) -> u64 {
        let mut said = String::new();
        let _ = self.complaints.read_to_string(&mut said);
        let _ = self.child.wait();
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
        total
            .and_then(|total| total.trim().parse().ok())
            .unwrap_or_else(|| panic!("callgrind counted nothing: {said}"))
    }
}
