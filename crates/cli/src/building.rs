//! Building an app: the commands that its components name, as Spin runs them.
//!
//! ```text
//! manifest ─▶ Plan ─▶ for each component, in the order of the file: sh -c COMMAND, one after the other ─▶ its file
//!              │       in `workdir`; what they write goes to standard error, with the component's name
//!              └ a directory that is not there, or is not the app's: nothing is begun
//! ```
//!
//! The first command that fails ends it: components that come later are not built. Signals that ask this process to stop
//! are passed on to what the command has started, all of it ([`command`]).
//!
//! The commands are the author's, run on the author's machine, as he would run them: with the environment as it is, and in no
//! sandbox. So nothing is built unless somebody asks for it, and never what was pulled from elsewhere. They have an empty
//! standard input, and a process group of their own.

mod command;
mod tools;

use std::fs;
use std::path::{Component as Step, Path, PathBuf};
use std::time::{Duration, Instant};

use outport_check::Diagnostic;
use outport_manifest::{Component, ComponentId, Located, Manifest, Source};
use outport_policy::text;
use outport_runtime::stdio::{self, WhenFull};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::command::{Ended, Running};
use crate::failure::Failure;
use crate::files::Files;
use crate::terminal::{Terminal, print};

/// The components that are to be built.
pub(crate) struct Plan<'m> {
    manifest: &'m Manifest,
    steps: Vec<ToBuild<'m>>,
    /// Those that have nothing to run.
    without: Vec<&'m ComponentId>,
}

/// Where it is said what was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Where everything else is said.
    Terminal,
    /// On standard output, for a process that passes it on.
    Output,
}

/// One component that has commands.
struct ToBuild<'m> {
    component: &'m Component,
    commands: &'m [Located<String>],
    directory: PathBuf,
}

impl<'m> Plan<'m> {
    /// Looks at where the commands of the components that somebody `wants` are to run.
    ///
    /// # Errors
    ///
    /// Each directory that is not there, or leads out of the manifest's.
    pub(crate) fn of(
        manifest: &'m Manifest,
        wants: impl Fn(&ComponentId) -> bool,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut plan = Self {
            manifest,
            steps: Vec::new(),
            without: Vec::new(),
        };
        let mut wrong = Vec::new();
        for component in manifest
            .components
            .iter()
            .filter(|component| wants(&component.id.value))
        {
            let build = component
                .build
                .as_ref()
                .filter(|build| !build.commands.is_empty());
            let Some(build) = build else {
                plan.without.push(&component.id.value);
                continue;
            };
            match directory(manifest, build.workdir.as_ref()) {
                Ok(directory) => plan.steps.push(ToBuild {
                    component,
                    commands: &build.commands,
                    directory,
                }),
                Err(error) => wrong.push(error.of(component.id.value.as_str())),
            }
        }
        if wrong.is_empty() { Ok(plan) } else { Err(wrong) }
    }

    /// Runs the commands, and answers the exit status. What came of them is said.
    ///
    /// # Errors
    ///
    /// The system does not let them be run.
    pub(crate) fn run(&self, files: &Files, told: Told, terminal: Terminal) -> Result<i32, Failure> {
        // From here on nobody waits for who reads, but for what the commands write.
        stdio::open(WhenFull::Wait)?;
        self.say_what_is_left_out(terminal);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let status = runtime.block_on(async {
            let mut asked = Asked::listen()?;
            for step in &self.steps {
                match self.build(step, &mut asked, terminal).await? {
                    Built::Done(line) if told == Told::Terminal => terminal.say(&line),
                    Built::Done(line) => print(&line)?,
                    Built::Stopped(status) => return Ok(status),
                    Built::Failed(error) => {
                        terminal.show(&error, files);
                        return Ok(1);
                    }
                }
            }
            Ok(0)
        });
        // A piece that nobody reads may be in the midst of being written.
        runtime.shutdown_background();
        status
    }

    fn say_what_is_left_out(&self, terminal: Terminal) {
        if self.steps.is_empty() {
            terminal.say("Nothing to build: no component has a `build.command`");
            return;
        }
        for id in &self.without {
            terminal.say(&format!("{id} has no `build.command`"));
        }
    }

    async fn build(
        &self,
        step: &ToBuild<'_>,
        asked: &mut Asked,
        terminal: Terminal,
    ) -> Result<Built, Failure> {
        let begun = Instant::now();
        let id = &step.component.id.value;
        let number = step.commands.len();
        for (index, command) in step.commands.iter().enumerate() {
            let count = match number {
                1 => String::new(),
                _ => format!(" ({} of {number})", index + 1),
            };
            terminal.say(&format!(
                "Building {id}{count}: {}{}",
                text::message(&command.value),
                self.place(step)
            ));
            let running = Running::start(&command.value, &step.directory, id.as_str(), terminal);
            let running = running.map_err(|error| {
                Failure::unusable(
                    Diagnostic::error(format!("`{id}` cannot be built: `sh` cannot be run: {error}"))
                        .of(id.as_str()),
                )
            })?;
            match running.end(asked).await? {
                Ended::Well => {}
                Ended::Asked(status) => return Ok(Built::Stopped(status)),
                Ended::Badly { how, said } => {
                    let error = self.failed(step, command, (&how, &said));
                    return Ok(Built::Failed(Box::new(error)));
                }
            }
        }
        match self.made(step) {
            Ok(made) => {
                let line = format!("Built {id}{made} in {}", seconds(begun.elapsed()));
                Ok(Built::Done(line))
            }
            Err(error) => Ok(Built::Failed(Box::new(error))),
        }
    }

    /// Where a command runs, unless that is beside the manifest.
    fn place(&self, step: &ToBuild<'_>) -> String {
        match &step
            .component
            .build
            .as_ref()
            .and_then(|build| build.workdir.as_ref())
            .filter(|workdir| !workdir.value.is_empty())
        {
            Some(workdir) => format!(" (in {})", text::message(&workdir.value)),
            None => String::new(),
        }
    }

    fn failed(
        &self,
        step: &ToBuild<'_>,
        command: &Located<String>,
        (how, said): (&command::Failure, &str),
    ) -> Diagnostic {
        let id = &step.component.id.value;
        let error = format!(
            "the build of `{id}` failed: `{}` {how}",
            text::quote(&command.value)
        );
        let error = Diagnostic::error(error)
            .at(self.manifest.source.location(&command.span))
            .of(id.as_str());
        match tools::advice(how, &command.value, said) {
            Some(advice) => error.helped_by(advice),
            None => error,
        }
    }

    /// The file that the component is made of, and its size. Nothing where it is not from a file.
    fn made(&self, step: &ToBuild<'_>) -> Result<String, Diagnostic> {
        let component = step.component;
        let Source::Path(path) = &component.source.value else {
            return Ok(String::new());
        };
        let shown = text::message(path).to_string();
        let wrong = |why: &str| {
            let id = &component.id.value;
            Diagnostic::error(format!("`{id}` was built, and `{shown}` {why}"))
                .at(self.manifest.source.location(&component.source.span))
                .of(id.as_str())
                .helped_by("correct `source`, or have the command write the component there")
        };
        match fs::metadata(beside(self.manifest, path)) {
            Ok(file) if file.is_file() => Ok(format!(": {shown}, {}", size(file.len()))),
            Ok(_) => Err(wrong("is not a file")),
            Err(error) if outport_files::regular_file::is_missing(&error) => Err(wrong("is not there")),
            Err(error) => Err(wrong(&format!("cannot be looked at: {error}"))),
        }
    }
}

/// What came of a component.
enum Built {
    /// With the line that says so.
    Done(String),
    /// Somebody asked to stop: the exit status.
    Stopped(i32),
    Failed(Box<Diagnostic>),
}

/// Waits for somebody to ask that the build ends.
struct Asked {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Asked {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The status of a process that the signal ends: 128 and its number.
    async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hang_up.recv() => SignalKind::hangup(),
        };
        128 + kind.as_raw_value()
    }
}

/// What stands beside the manifest.
pub(crate) fn beside(manifest: &Manifest, path: &str) -> PathBuf {
    manifest.source.path().with_file_name(path)
}

/// The directory that commands run in.
fn directory(manifest: &Manifest, workdir: Option<&Located<String>>) -> Result<PathBuf, Diagnostic> {
    let Some(workdir) = workdir.filter(|workdir| !workdir.value.is_empty()) else {
        let own = manifest.source.path().parent();
        let own = own.filter(|own| !own.as_os_str().is_empty());
        return Ok(own.unwrap_or(Path::new(".")).to_owned());
    };
    let shown = text::quote(&workdir.value).to_string();
    let wrong = |what: String, help: &str| {
        Err(Diagnostic::error(what)
            .at(manifest.source.location(&workdir.span))
            .helped_by(help))
    };
    if leads_out(&workdir.value) {
        return wrong(
            format!("the `workdir` `{shown}` leads out of the directory of the manifest"),
            "write a path relative to the manifest that stays beside it, such as `web`",
        );
    }
    let directory = beside(manifest, &workdir.value);
    match fs::metadata(&directory) {
        Ok(found) if found.is_dir() => Ok(directory),
        Ok(_) => wrong(
            format!("the `workdir` `{shown}` is not a directory"),
            "name the directory that the sources are in",
        ),
        Err(error) => wrong(
            format!("the `workdir` `{shown}` cannot be entered: {error}"),
            "it is relative to the manifest",
        ),
    }
}

/// True of a path that is absolute, or has more steps up than down at some place.
pub(crate) fn leads_out(path: &str) -> bool {
    let mut depth = 0i32;
    Path::new(path).components().any(|step| {
        match step {
            Step::Normal(_) => depth += 1,
            Step::ParentDir => depth -= 1,
            Step::CurDir => {}
            Step::RootDir | Step::Prefix(_) => depth = i32::MIN / 2,
        }
        depth < 0
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20),
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_beside_the_manifest_does_not_lead_out() {
        let rows = [
            ("web", false),
            ("./web/../api", false),
            ("", false),
            (".", false),
            ("web/..", false),
            ("..", true),
            ("web/../..", true),
            ("../app/web", true),
            ("/tmp", true),
            ("/", true),
            ("a/b/../../../c", true),
        ];
        for (path, expected) in rows {
            assert_eq!(leads_out(path), expected, "{path}");
        }
    }

    #[test]
    fn sizes_and_times_are_short() {
        let sizes = [0, 10_239, 10_240, 1_048_575, 1_048_576, 18 * 1_048_576 + 524_288].map(size);
        assert_eq!(
            sizes,
            [
                "0 bytes",
                "10239 bytes",
                "10 KiB",
                "1023 KiB",
                "1.0 MiB",
                "18.5 MiB"
            ]
        );
        let times = [0, 1_250, 59_999, 60_000, 125_000].map(|ms| seconds(Duration::from_millis(ms)));
        assert_eq!(times, ["0.0 s", "1.2 s", "59.9 s", "1 min 0 s", "2 min 5 s"]);
    }
}
