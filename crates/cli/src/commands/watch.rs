//! `outport watch`: builds an app, runs it, and does both again when something changes
//! ([ADR 30](../../../../docs/adr/0030-the-watcher-is-a-process-beside-the-server.md)).
//!
//! ```text
//! places ── notifier ─▶ look at all files ─▶ session ─┬─▶ outport build --component ID    what changed, one after the other
//!  manifest   when       contents: what      compares │
//!  patterns              they say            and acts └─▶ outport up …    a new one, which says that it is ready;
//!                                                │                         only then the one before is told to stop
//!                                                └ holds the listening sockets, and hands them to each
//! ```
//!
//! The watcher runs no guest and answers no client. It is an ordinary process, and so is each that it starts: what `up` does to
//! keep guests in, a process that has to run compilers could not do.

mod contents;
mod notifier;
mod places;
mod process;
mod ready;
mod records;
mod server;
mod session;
mod sockets;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use outport_check::Diagnostic;
use outport_manifest::ResolvedApp;
use outport_runtime::stdio::{self, WhenFull};

use self::session::Session;
use self::sockets::Sockets;
use super::up;
use crate::app_options::AppOptions;
use crate::configuration::words_around_the_command;
use crate::failure::Failure;
use crate::files::Files;
use crate::inherited::Inherited;
use crate::numbers::Time;
use crate::service_manager::ServiceManager;
use crate::terminal::Terminal;

/// Build an app and run it, and do both again when something changes.
///
/// What changed is built; then a new process takes the place of the one that runs, at the same address, once it is ready. Until
/// then, and where a build or the manifest has a mistake, the one before goes on serving. All options of `outport up` count.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    mut_arg("ask", |ask| ask.hide(true)),
    mut_arg("build", |build| build.hide(true)),
    mut_arg("upgrade_socket", |socket| socket.hide(true))
)]
pub(crate) struct Options {
    /// Clear the terminal before what changed is built and run
    #[arg(long)]
    clear: bool,

    /// Wait until nothing has changed for so long; a number alone is milliseconds, as with Spin [default: 100ms]
    #[arg(long, value_name = "TIME", value_parser = debounce)]
    debounce: Option<Duration>,

    /// Build nothing: only run the app anew when its components or files change
    #[arg(long)]
    skip_build: bool,

    #[command(flatten)]
    up: up::Options,
}

pub(super) fn watch(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    let inherited = Inherited::take()?;
    let manager = ServiceManager::connect(terminal);
    options.refuse_what_cannot_be_watched()?;
    // What is not there at all will hardly come about.
    options
        .app()
        .read_manifest(&mut Files::default())
        .map_err(Failure::unusable)?;
    let sockets = Sockets::new(inherited);
    // Nobody waits for who reads what is said here.
    stdio::open(WhenFull::Drop)?;
    // Another thread hears of signals while this one reads files; everything is started by this one.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let session = Session::begin(options, sockets, terminal)?;
        session.run(manager).await
    })
}

impl Options {
    fn refuse_what_cannot_be_watched(&self) -> Result<(), Failure> {
        if let Some(reference) = self.app().named_reference() {
            let error = format!("`{reference}` is an app in a registry, where nothing changes");
            return Err(Failure::unusable(
                Diagnostic::error(error).helped_by("`outport up` runs it"),
            ));
        }
        if self.up.ask.ask {
            let error =
                "`--ask` is of no use here: whatever is written to `spin.toml` would start the app anew";
            return Err(Failure::unusable(
                Diagnostic::error(error).helped_by("`outport up --ask` asks"),
            ));
        }
        if self.up.service.has_an_upgrade_socket() {
            let error = "`--upgrade-socket` is of no use here: `outport watch` holds the sockets from one process to the next";
            return Err(Failure::unusable(
                Diagnostic::error(error).helped_by("leave it out"),
            ));
        }
        Ok(())
    }

    fn app(&self) -> AppOptions {
        self.up.app_at()
    }

    /// Reads the app as `up` does.
    fn read(&self) -> Result<ResolvedApp, Failure> {
        let app = self.app().read(&mut Files::default(), &mut Vec::new())?;
        self.up.check_components(&app.manifest)?;
        Ok(app)
    }

    /// Files that `up` reads beside the manifest.
    fn other_files(&self) -> Vec<PathBuf> {
        let operators = self.up.operator().files_to_watch().map(|(path, _)| path);
        let manifest = self.app().manifest_file();
        let lock = manifest.with_file_name("outport.lock");
        let variables = self.app().files_of_variables();
        variables.into_iter().chain(operators).chain([lock]).collect()
    }

    /// Files that it writes while it runs.
    fn logs(&self) -> Vec<PathBuf> {
        let operator = self.up.operator();
        let decisions = operator.audit.file().map(ToOwned::to_owned);
        let requests = operator.telemetry.access_log.file(true);
        decisions.into_iter().chain(requests).collect()
    }

    fn debounce(&self) -> Duration {
        self.debounce.unwrap_or(DEBOUNCE)
    }
}

/// The words of `outport up` with all that was said of it here.
fn words_of_up() -> Vec<OsString> {
    let (mut words, behind) = words_around_the_command();
    words.push("up".into());
    words.extend(without_own(behind));
    words
}

/// What was typed behind `watch`, without the options that only it has.
fn without_own(words: Vec<OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--") => {
                kept.push(word);
                kept.extend(words.by_ref());
            }
            Some("--clear" | "--skip-build" | "--build") => {}
            Some("--debounce") => drop(words.next()),
            Some(word) if word.starts_with("--debounce=") => {}
            _ => kept.push(word),
        }
    }
    kept
}

/// A time; a number without a unit is milliseconds.
fn debounce(text: &str) -> Result<Duration, String> {
    if let Ok(number) = text.parse::<u32>() {
        return Ok(Duration::from_millis(number.into()));
    }
    let Time(time) = text.parse()?;
    time.ok_or_else(|| "write a time, such as `100ms`: without any nothing would ever be done".into())
}

/// The time without a change after which something is done.
const DEBOUNCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_only_the_watcher_has_are_not_passed_on() {
        let rows: [(&[&str], &[&str]); 5] = [
            (
                &["--clear", "app", "--listen", "127.0.0.1:0"],
                &["app", "--listen", "127.0.0.1:0"],
            ),
            (&["--debounce", "1s", "-q"], &["-q"]),
            (
                &["--debounce=1s", "--skip-build", "--build", "-f", "x"],
                &["-f", "x"],
            ),
            (&["--", "--clear"], &["--", "--clear"]),
            (&["--env", "A=--clear"], &["--env", "A=--clear"]),
        ];
        for (words, expected) in rows {
            let kept = without_own(words.iter().map(OsString::from).collect());
            assert_eq!(kept, expected, "{words:?}");
        }
    }

    #[test]
    fn a_number_alone_is_milliseconds() {
        for (text, expected) in [
            ("100", Some(100)),
            ("0", Some(0)),
            ("250ms", Some(250)),
            ("2s", Some(2000)),
            ("none", None),
            ("soon", None),
        ] {
            let read = debounce(text).ok().map(|time| time.as_millis());
            assert_eq!(read, expected, "{text}");
        }
    }
}
