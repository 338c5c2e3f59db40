//! The `outport` command as its users have it: arguments and environment in; output, exit code and audit log out.
//!
//! ```no_run
//! use outport_e2e::{guest, outport::Outport};
//!
//! let run = Outport::run(guest::path("script-guest")).allow("tcp://127.0.0.1:7001").args(["connect", "127.0.0.1:7001"]);
//! assert_eq!(run.finish().code, Some(0));
//! ```
//!
//! Every run gets an environment without Outport's own variables, an audit log, and a folder for compiled code
//! that all tests share. Whatever a test is about, Outport itself must never panic: a Rust panic in the output
//! fails it.

mod finished;
mod running;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

pub use self::finished::Finished;
pub use self::running::Running;
use crate::dns::DnsServer;
use crate::process::Process;
use crate::transcript::Transcript;

/// A command line in the making.
#[derive(Debug)]
pub struct Outport {
    command: &'static str,
    options: Vec<OsString>,
    component: Option<PathBuf>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: TempDir,
    limit: Duration,
    descriptors: Option<u32>,
    mounts: Option<String>,
    /// What a shell does before.
    steps: Vec<String>,
    stdout_is_read: bool,
    input: Option<OwnedFd>,
}

impl Outport {
    /// `outport COMMAND`, with the folder of the test's own as working directory.
    pub fn command(command: &'static str) -> Self {
        Self {
            command,
            options: Vec::new(),
            component: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            limit: Duration::from_secs(180),
            descriptors: None,
            mounts: None,
            steps: Vec::new(),
            stdout_is_read: true,
            input: None,
        }
    }

    /// What the process reads from its standard input, which is empty otherwise.
    #[must_use]
    pub fn reading(mut self, input: io::PipeReader) -> Self {
        self.input = Some(input.into());
        self
    }

    /// What a shell does before the process starts: it becomes the process then.
    #[must_use]
    pub fn after(mut self, step: impl Into<String>) -> Self {
        self.steps.push(step.into());
        self
    }

    /// The process runs in a terminal of so many columns, which can show colours: what it writes to either stream is its
    /// standard output, with the line ends of a terminal. What it [reads](Self::reading) is typed there.
    #[must_use]
    pub fn in_terminal(self, columns: u16) -> Self {
        let columns = columns.to_string();
        let script = IN_TERMINAL.replace("COLUMNS", &columns);
        self.variable("NO_COLOR", "")
            .variable("TERM", "xterm-256color")
            .after(format!("exec python3 -c '{script}' \"$0\" \"$@\""))
    }

    /// A socket that the process inherits, as a service manager passes it: descriptor 3. The test keeps it, too.
    ///
    /// # Panics
    ///
    /// If there are no descriptors left.
    #[must_use]
    pub fn inheriting(mut self, socket: impl AsFd) -> Self {
        let socket = socket.as_fd().try_clone_to_owned();
        self.input = Some(socket.expect("a descriptor"));
        self.after("exec 3<&0 0</dev/null && export LISTEN_FDS=1 LISTEN_PID=$$")
    }

    /// The process tells this socket what becomes of it, as it tells a service manager. The shell is in between, so the
    /// process may send by itself only.
    #[must_use]
    pub fn notifying(self, socket: &Path) -> Self {
        self.variable("NOTIFY_SOCKET", socket)
    }

    /// `outport run COMPONENT`.
    pub fn run(component: impl Into<PathBuf>) -> Self {
        Self {
            component: Some(component.into()),
            ..Self::audited("run")
        }
    }

    /// `outport run` of the script guest ([`guest::script_guest`](crate::guest::script_guest)), whose arguments are
    /// statements.
    pub fn script_guest() -> Self {
        Self::run(crate::guest::script_guest())
    }

    /// `outport serve COMPONENT` on a free port.
    pub fn serve(component: impl Into<PathBuf>) -> Self {
        Self {
            component: Some(component.into()),
            ..Self::audited("serve")
        }
        .option("--listen=127.0.0.1:0")
    }

    /// `outport up` on a free port, with the components' output as it is, in a folder whose `spin.toml` is `manifest`. In that, `GUESTS` stands for the
    /// folder of the committed guests.
    pub fn up(manifest: &str) -> Self {
        Self::audited("up")
            .options(["--listen=127.0.0.1:0", "--no-output-prefix"])
            .manifest(manifest)
    }

    fn audited(command: &'static str) -> Self {
        let outport = Self::command(command);
        let log = outport.audit_log();
        outport.option("--audit-log").option(log)
    }

    /// Writes `spin.toml` into the working directory.
    pub fn manifest(self, manifest: &str) -> Self {
        let guests = crate::guest::workspace().join("guests/wasm");
        self.file(
            "spin.toml",
            manifest.replace("GUESTS", &guests.display().to_string()),
        )
    }

    /// Writes a file into the working directory.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder.path().join(name), content).expect("a file in a folder of our own");
        self
    }

    /// An option before the component.
    pub fn option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Options before the component.
    pub fn options<O: Into<OsString>>(mut self, options: impl IntoIterator<Item = O>) -> Self {
        self.options.extend(options.into_iter().map(Into::into));
        self
    }

    /// One entry of the author's.
    pub fn allow(self, entry: impl Display) -> Self {
        self.option(format!("--allowed-outbound-hosts={entry}"))
    }

    /// One entry of the operator's.
    pub fn deny(self, entry: impl Display) -> Self {
        self.option(format!("--disallowed-outbound-hosts={entry}"))
    }

    /// Look-ups go to this server.
    pub fn dns(self, server: &DnsServer) -> Self {
        self.option(format!("--dns-server={}", server.address()))
    }

    /// Arguments after the component: the guest's.
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// A variable in Outport's environment.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// How long the command may take, instead of 180 s, which bounds what hangs and is long enough to compile on a busy machine.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// How many descriptors the process may have, and cannot raise itself.
    pub fn descriptors(self, number: u32) -> Self {
        Self {
            descriptors: Some(number),
            ..self
        }
    }

    /// What a shell does in the working directory before the process starts, in a mount namespace of their own: what it
    /// mounts nobody else sees.
    pub fn mounts(self, script: &str) -> Self {
        Self {
            mounts: Some(script.to_owned()),
            ..self
        }
    }

    /// Its standard output is a pipe that stays open and that nobody reads.
    pub fn unread_stdout(self) -> Self {
        Self {
            stdout_is_read: false,
            ..self
        }
    }

    /// The working directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the command to its end.
    ///
    /// # Panics
    ///
    /// If it takes too long, or if Outport panics.
    pub fn finish(self) -> Finished {
        self.start().finish()
    }

    /// Starts the command.
    pub fn start(mut self) -> Running {
        let input = self.input.take();
        let mut command = match self.preparation() {
            None => Command::new(binary()),
            Some(mut shell) => {
                shell.arg(binary());
                shell
            }
        };
        command
            .arg(self.command)
            .args(&self.options)
            .args(&self.component)
            .args(&self.arguments);
        command.current_dir(self.folder.path());
        for (name, _) in env::vars_os().filter(|(name, _)| belongs_to_outport(name)) {
            command.env_remove(name);
        }
        command
            .env("XDG_CACHE_HOME", shared_folder())
            .env("NO_COLOR", "1")
            .env_remove("RUST_BACKTRACE");
        // Whatever the tests run in has no say in how text looks.
        for name in ["CI", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_HYPERLINK"] {
            command.env_remove(name);
        }
        // Servers of tests are on this machine, which a proxy would not reach.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_ascii_lowercase());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(input.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let line = format!("{command:?}");
        let mut process = Process::start(&mut command, Signal::TERM).expect("the binary was found");
        let stdout = process.child().stdout.take().expect("a piped output");
        let (stdout, unread) = if self.stdout_is_read {
            (Transcript::of(stdout), None)
        } else {
            (Transcript::of(io::empty()), Some(stdout))
        };
        let stderr = Transcript::of(process.child().stderr.take().expect("a piped output"));
        Running {
            line,
            process,
            stdout,
            stderr,
            audit_log: self.audit_log(),
            limit: self.limit,
            folder: self.folder,
            _unread: unread,
        }
    }

    /// A shell that does what is to be done before, and then becomes the command that is given to it.
    fn preparation(&self) -> Option<Command> {
        let limit = self.descriptors.map(|number| format!("ulimit -n {number}"));
        let steps = limit.into_iter().chain(self.mounts.clone());
        let steps: Vec<String> = steps.chain(self.steps.iter().cloned()).collect();
        if steps.is_empty() {
            return None;
        }
        let mut shell = if self.mounts.is_some() {
            let mut unshare = Command::new("unshare");
            unshare.args(["-rm", "sh"]);
            unshare
        } else {
            Command::new("sh")
        };
        let script = format!("{} && exec \"$0\" \"$@\"", steps.join(" && "));
        shell.args(["-c", &script]);
        Some(shell)
    }

    fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }
}

/// A program in Python that runs another one in a terminal, and passes on what that writes, and to it what it reads itself.
const IN_TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
watched = [terminal, 0]
while True:
    ready = select.select(watched, [], [])[0]
    if 0 in ready:
        typed = os.read(0, 65536)
        if typed:
            os.write(terminal, typed)
        else:
            watched.remove(0)
    if terminal not in ready:
        continue
    try:
        written = os.read(terminal, 65536)
    except OSError:
        break
    if not written:
        break
    os.write(1, written)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

fn belongs_to_outport(variable: &OsStr) -> bool {
    let variable = variable.to_string_lossy();
    ["OUTPORT_", "SPIN_", "OTEL_", "LISTEN_", "NOTIFY_", "WATCHDOG_"]
        .iter()
        .any(|start| variable.starts_with(start))
}

/// The binary: `OUTPORT_BIN`, or the one in the target folder that this test was built into.
///
/// # Panics
///
/// If it is not there.
pub fn binary() -> PathBuf {
    let binary = env::var_os("OUTPORT_BIN").map_or_else(|| profile_folder().join("outport"), PathBuf::from);
    let missing = "no binary: run `cargo build -p outport` with the same profile, or set `OUTPORT_BIN`";
    assert!(binary.exists(), "{}: {missing}", binary.display());
    binary
}

/// Another program of this workspace, which lies beside.
///
/// # Panics
///
/// If it was not built.
pub fn sibling(name: &str) -> PathBuf {
    let program = profile_folder().join(name);
    assert!(
        program.exists(),
        "no {}: run `cargo build --workspace --bins` with the same profile",
        program.display()
    );
    program
}

/// A folder in the target folder that outlives the run, for what is slow to make.
pub(crate) fn shared_folder() -> PathBuf {
    let folder = profile_folder().join("outport-e2e");
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}

/// `target/debug`, from `target/debug/deps/run-0123456789abcdef`.
pub(crate) fn profile_folder() -> PathBuf {
    let program = env::current_exe().expect("a program knows its own file");
    let folder = program.parent().expect("a file lies in a folder");
    // Tests lie in the folder `deps` of a profile, other programs in that of the profile.
    let profile = if folder.ends_with("deps") {
        folder.parent()
    } else {
        Some(folder)
    };
    profile.expect("`deps` lies in a profile").to_owned()
}
