//! runc's command line, as far as it has to be understood: the command, its bundle, and where errors are written to.
//!
//! ```text
//! runc --root /run/runc --log /…/log.json --log-format json create --bundle /…/shop --pid-file /…/init.pid shop
//!      ╰─────────────── options of all commands ──────────╯        ╰──────── of the command ───────────╯
//! ```
//!
//! It is handed on to runc as it is, so that options of a newer runc work as well. An option may have one dash or two, and
//! its value behind `=` or as the next argument, as runc has it. What is not known is taken for an option without a value.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What counts of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// The bundle of a container that is made: that of `--bundle`, else the working directory. None for the other commands.
    pub(crate) bundle: Option<PathBuf>,
    /// What is started without being looked at.
    pub(crate) unseen: Option<Unseen>,
    /// Where errors are written to, beside standard error.
    pub(crate) log: Log,
}

/// Programs that no bundle is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// Those of a checkpoint, by `restore`.
    Checkpoint,
    /// One beside a container's own, by `exec`: a probe, a hook, somebody's shell.
    Exec,
}

/// The file of `--log`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) file: Option<PathBuf>,
    pub(crate) format: LogFormat,
}

/// The form of a line in the log.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Options of all commands that have a value.
const GLOBAL: [&str; 5] = ["log", "log-format", "root", "criu", "rootless"];

/// Options of `create` and `run` that have a value.
const OF_CREATE: [&str; 6] = [
    "bundle",
    "b",
    "console-socket",
    "pid-file",
    "preserve-fds",
    "pidfd-socket",
];

impl CommandLine {
    /// Reads the arguments behind the program's name.
    pub(crate) fn read(arguments: &[OsString]) -> Self {
        let mut line = Self::default();
        let mut rest = arguments.iter();
        let command = options(&mut rest, &GLOBAL, |name, value| match name {
            "log" => line.log.file = Some(value.into()),
            "log-format" if value == "json" => line.log.format = LogFormat::Json,
            "log-format" => line.log.format = LogFormat::Text,
            _ => {}
        });
        line.unseen = match command.and_then(OsStr::to_str) {
            Some("restore") => Some(Unseen::Checkpoint),
            Some("exec") => Some(Unseen::Exec),
            _ => None,
        };
        if command.is_some_and(|command| command == "create" || command == "run") {
            let mut bundle = PathBuf::from(".");
            let mut option = |name: &str, value: &OsStr| {
                if matches!(name, "bundle" | "b") {
                    bundle = Path::new(value).to_owned();
                }
            };
            // They count behind the container's name as well.
            while options(&mut rest, &OF_CREATE, &mut option).is_some() {}
            line.bundle = Some(bundle);
        }
        line
    }
}

/// Goes through options up to the first argument that is none, and answers that one.
fn options<'a>(
    arguments: &mut impl Iterator<Item = &'a OsString>,
    with_value: &[&str],
    mut option: impl FnMut(&str, &OsStr),
) -> Option<&'a OsStr> {
    while let Some(argument) = arguments.next() {
        let bytes = argument.as_bytes();
        let Some(option_text) = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-")) else {
            return Some(argument);
        };
        if option_text.is_empty() {
            // `--` ends the options; the next one is no option whatever it looks like.
            return arguments.next().map(OsString::as_os_str);
        }
        let (name, given) = match option_text.iter().position(|byte| *byte == b'=') {
            Some(at) => (
                &option_text[..at],
                Some(OsStr::from_bytes(&option_text[at + 1..])),
            ),
            None => (option_text, None),
        };
        let Some(name) = str::from_utf8(name).ok().filter(|name| with_value.contains(name)) else {
            continue;
        };
        if let Some(value) = given.or_else(|| arguments.next().map(OsString::as_os_str)) {
            option(name, value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> CommandLine {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        CommandLine::read(&arguments)
    }

    #[test]
    fn the_bundle_is_that_of_create_and_run_alone() {
        let rows = [
            (
                "--root /r --log /l --log-format json create --bundle /b --pid-file /p shop",
                Some("/b"),
            ),
            ("--root /r create -b /b shop", Some("/b")),
            ("create --bundle=/b shop", Some("/b")),
            ("-root /r create -bundle /b shop", Some("/b")),
            ("run --detach --bundle /b shop", Some("/b")),
            ("--debug --systemd-cgroup run --no-pivot shop", Some(".")),
            ("create --pid-file --bundle shop", Some(".")),
            ("create shop --bundle /b", Some("/b")),
            ("run shop --pid-file /p -b /b", Some("/b")),
            ("create --of-tomorrow --bundle /b shop", Some("/b")),
            ("--root create start shop", None),
            ("start shop", None),
            ("exec --process /p shop", None),
            ("delete --force shop", None),
            ("--version", None),
            ("", None),
        ];
        for (line, bundle) in rows {
            assert_eq!(read(line).bundle.as_deref(), bundle.map(Path::new), "{line}");
        }
    }

    #[test]
    fn what_is_started_unseen_is_noticed() {
        let rows = [
            ("--root /r restore --bundle /b shop", Some(Unseen::Checkpoint)),
            ("--root restore create --bundle /b restore", None),
            (
                "--root /r --log /l exec --process /p --detach shop",
                Some(Unseen::Exec),
            ),
            ("--root exec state exec", None),
            ("-- exec --process /p shop", Some(Unseen::Exec)),
        ];
        for (line, expected) in rows {
            assert_eq!(read(line).unseen, expected, "{line}");
        }
    }

    #[test]
    fn the_log_has_its_file_and_its_form() {
        let rows = [
            ("--log /l --log-format json create", Some("/l"), LogFormat::Json),
            ("--log=/l --log-format=json state x", Some("/l"), LogFormat::Json),
            ("--log /l create", Some("/l"), LogFormat::Text),
            ("create --log /l", None, LogFormat::Text),
        ];
        for (line, file, format) in rows {
            let log = read(line).log;
            assert_eq!(
                (log.file.as_deref(), log.format),
                (file.map(Path::new), format),
                "{line}"
            );
        }
    }
}
