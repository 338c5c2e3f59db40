//! What went wrong, as a sentence, in runc's own form.
//!
//! containerd has runc write a log (`--log FILE --log-format json`) and shows the message of its last line of the level
//! `error` as what a container failed by; from there it becomes the event of a pod, and what a person reads who knows
//! nothing of this program. So each failure is one line: what, where, what to do. Texts of an image are cut short and
//! escaped in it, since they are its author's.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use chrono::{SecondsFormat, Utc};
use outport_policy::text;
use thiserror::Error;

use crate::command_line::{Log, LogFormat};

/// Why a container was not made.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The node is not set up.
    #[error("outport-runc: {}: {problem}", text::path(file))]
    Settings { file: PathBuf, problem: String },
    #[error(
        "outport-runc: the program `{name}` was not found; install it on the node, or name it by `{name}` in /etc/outport/runc.toml"
    )]
    NoProgram { name: &'static str },
    #[error("outport-runc: the program {} cannot be used: {problem}", text::path(path))]
    Program { path: PathBuf, problem: String },
    /// The bundle is not what containerd makes.
    #[error("outport-runc: the bundle's {} {problem}", text::path(file))]
    Bundle { file: PathBuf, problem: String },
    /// The image is no app.
    #[error(
        "the image is no app for Outport: it has no manifest at {looked_at}, and no program `{}` either; add a spin.toml, or \
         take `runtimeClassName` away",
        text::quote(program)
    )]
    NoManifest { looked_at: String, program: String },
    #[error(
        "the container's program `{}` is not run: this node runs apps with a spin.toml only; take `runtimeClassName` away",
        text::quote(program)
    )]
    OrdinaryContainer { program: String },
    #[error(
        "a container that is restored from a checkpoint is not run: this node runs apps with a spin.toml only; start it anew"
    )]
    Checkpoint,
    #[error(
        "a program in a running container is not started: this node runs apps with a spin.toml only; for probes use `httpGet`"
    )]
    Exec,
    #[error(
        "the program `{}` of the image is for {machine}, and this node is {node}; take an image for the node's architecture",
        text::quote(program)
    )]
    ForeignProgram {
        program: String,
        machine: String,
        node: &'static str,
    },
    #[error(
        "the container's environment has `OUTPORT_CONFIG`, and this node gives apps a configuration of its own, which would \
         take its place; name a runtime config file by `RUNTIME_CONFIG_FILE` instead"
    )]
    TwoConfigurations,
    #[error(
        "the container has {what}, which its image may have set and must not decide; let the pod say it, by the annotation \
         `{annotation}`, or the node, in its runc.toml"
    )]
    NotOwn { what: String, annotation: String },
    #[error(
        "{by} gives {}, which is the image's and nothing that the pod mounts; mount it, or let the pod say \
         `outport.dev/options: --{option} …` as an annotation",
        text::quote(&path.to_string_lossy())
    )]
    FileOfImage {
        by: String,
        path: PathBuf,
        option: String,
    },
    /// The app is wrong.
    #[error("the manifest {} cannot be read: {problem}", text::path(path))]
    UnreadableManifest { path: PathBuf, problem: String },
    #[error("the manifest {} is refused: {}{}", text::path(path), text::begin(format_args!("{problem}")), And(*others))]
    RefusedManifest {
        path: PathBuf,
        problem: String,
        others: usize,
    },
    #[error(
        "component `{}`: its source `{}` {problem}",
        text::quote(component),
        text::quote(source_path)
    )]
    Component {
        component: String,
        source_path: String,
        problem: String,
    },
    #[error(
        "the image has {what} at {}, where Outport needs to mount something of its own; take it out of the image",
        text::path(path)
    )]
    MountPoint { path: PathBuf, what: String },
    #[error(
        "the image `{}` cannot be taken out of containerd: {problem}",
        text::quote(reference)
    )]
    Artifact { reference: String, problem: String },
    #[error(
        "the image `{}` has no files, and is no app in Spin's layout either, but has {}; push it with `spin registry push` or \
         `outport push`, or as a container image with a spin.toml",
        text::quote(reference),
        text::quote(types)
    )]
    NoAppArtifact { reference: String, types: String },
    #[error(
        "looking at the image took longer than {seconds} s; its manifest, its paths or its PATH are too many or too long"
    )]
    TooLong { seconds: u64 },
    #[error(
        "the image asks for a volume at {} (`VOLUME`), which is filled with what the image has, and where it lies decides the image; \
         take it out, let the pod mount one, or let it answer for its image by the annotation `outport.dev/trusted: \"true\"`",
        text::quote(&path.to_string_lossy())
    )]
    VolumeOfImage { path: PathBuf },
    #[error(
        "something is mounted at {}, and links of the image lead that to where Outport or the node has something of its own; take \
         them out of the image",
        text::quote(&path.to_string_lossy())
    )]
    CrookedMount { path: PathBuf },
    #[error(
        "the command `{}` of the image is a WebAssembly file, and what Outport runs is an app: add a spin.toml that names it",
        text::quote(program)
    )]
    WasmCommand { program: String },
    #[error("{} of the container cannot be looked at: {error}", text::quote(&path.to_string_lossy()))]
    Image { path: PathBuf, error: io::Error },
}

/// How many more mistakes there are.
struct And(usize);

impl fmt::Display for And {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (and 1 more; `outport check` shows both)"),
            more => write!(f, " (and {more} more; `outport check` shows all)"),
        }
    }
}

impl Failure {
    pub(crate) fn settings(file: &Path, problem: &dyn fmt::Display) -> Self {
        Self::Settings {
            file: file.to_owned(),
            problem: problem.to_string(),
        }
    }

    pub(crate) fn artifact(reference: &str, problem: impl fmt::Display) -> Self {
        Self::Artifact {
            reference: reference.to_owned(),
            problem: problem.to_string(),
        }
    }

    pub(crate) fn bundle(file: &Path, problem: impl fmt::Display) -> Self {
        Self::Bundle {
            file: file.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// Says it where runc would: on standard error, and in the log. A log that cannot be written to is no reason to say less.
pub(crate) fn report(failure: &Failure, log: &Log) {
    // As long as an event of Kubernetes, and in any case shorter than a pipe that nobody reads from.
    let mut message = failure.to_string();
    if let Some((end, _)) = message.char_indices().nth(LONGEST) {
        message.truncate(end);
        message.push('…');
    }
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let line = line(&message, &time, log.format);
    if let Some(file) = &log.file {
        let opened = OpenOptions::new().append(true).create(true).open(file);
        let _ = opened.and_then(|mut file| writeln!(file, "{line}"));
    }
    // runc writes to standard error what its log says, and the log itself there if it has no file.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Characters of a message; an event has 1,024.
const LONGEST: usize = 900;

fn line(message: &str, time: &str, format: LogFormat) -> String {
    match format {
        LogFormat::Json => serde_json::json!({ "level": "error", "msg": message, "time": time }).to_string(),
        LogFormat::Text => format!("time=\"{time}\" level=error msg={message:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_one_of_runcs() {
        let said = line("no `app`", "2026-01-02T03:04:05Z", LogFormat::Json);
        assert_eq!(
            said,
            r#"{"level":"error","msg":"no `app`","time":"2026-01-02T03:04:05Z"}"#
        );
        let said = line("no \"app\"", "2026-01-02T03:04:05Z", LogFormat::Text);
        assert_eq!(
            said,
            r#"time="2026-01-02T03:04:05Z" level=error msg="no \"app\"""#
        );
    }

    #[test]
    fn what_an_image_says_is_escaped_and_cut_short() {
        let failure = Failure::Component {
            component: "web\n{\"level\":\"error\"}".into(),
            source_path: "\u{1b}[31m".to_owned() + &"x".repeat(10_000),
            problem: "is missing".into(),
        };
        let said = failure.to_string();
        assert!(said.len() < 500 && !said.contains(['\n', '\u{1b}']), "{said}");
    }

    #[test]
    fn a_message_has_the_length_of_an_event() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("log.json");
        let log = Log {
            file: Some(file.clone()),
            format: LogFormat::Json,
        };
        let problem = "ü".repeat(200_000);
        report(&Failure::settings(Path::new("/etc/x"), &problem), &log);
        let line = std::fs::read_to_string(file).expect("the log");
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let said = line["msg"].as_str().expect("a message");
        assert_eq!(said.chars().count(), LONGEST + 1);
        assert!(said.ends_with('…'), "{said}");
    }

    #[test]
    fn a_failure_is_added_to_the_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("log.json");
        std::fs::write(&file, "{}\n").expect("written");
        let log = Log {
            file: Some(file.clone()),
            format: LogFormat::Json,
        };
        report(&Failure::NoProgram { name: "runc" }, &log);
        let written = std::fs::read_to_string(file).expect("the log");
        let last: serde_json::Value =
            serde_json::from_str(written.lines().nth(1).expect("a line")).expect("JSON");
        assert_eq!(last["level"], "error");
        assert!(
            last["msg"]
                .as_str()
                .is_some_and(|said| said.contains("`runc` was not found")),
            "{last}"
        );
    }
}
