//! A process that writes the manifest once a run has ended, since the one that ran guests must not.
//!
//! ```text
//! outport learn --write ──starts──► outport-manifest-writer MANIFEST      before the kernel's sandbox closes
//!        │ runs guests                        │ waits, in a process group of its own, so that Ctrl-C does not end it
//!        │ before and after, as JSON ─────────►│ locks, compares, replaces
//!        ◄──────────── what went wrong, or nothing │
//! ```
//!
//! It is told what the manifest held when the run began, and refuses where that is not what it holds now. Where the other
//! process ends without a word it ends too, and nothing is changed.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use outport_check::Diagnostic;
use outport_policy::text;
use serde::{Deserialize, Serialize};

use crate::commands::lock_manifest;
use crate::failure::Failure;
use crate::files::read_own_text;
use crate::own_process::myself;
use crate::replacement::replace;
use crate::terminal::Terminal;

/// What the process is called, by which it knows what it is.
const NAME: &str = "outport-manifest-writer";

/// A change of a manifest as a whole.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) before: String,
    pub(crate) after: String,
}

/// The process, waiting.
pub(crate) struct ManifestWriter {
    child: Child,
    manifest: PathBuf,
}

impl ManifestWriter {
    /// Starts it. To be called before anything is given up.
    pub(crate) fn start(manifest: &Path) -> io::Result<Self> {
        let child = myself()
            .arg0(NAME)
            .arg(manifest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        Ok(Self {
            child,
            manifest: manifest.to_owned(),
        })
    }

    /// Has it make the change.
    ///
    /// # Errors
    ///
    /// The manifest was changed meanwhile, or cannot be written: then nothing was changed.
    pub(crate) fn write(mut self, change: &Change) -> Result<(), Failure> {
        let answer = self.ask(change).unwrap_or_else(|error| error.to_string());
        if answer == DONE {
            Ok(())
        } else {
            Err(unwritten(&self.manifest, &answer))
        }
    }

    fn ask(&mut self, change: &Change) -> io::Result<String> {
        let (Some(mut to), Some(mut from)) = (self.child.stdin.take(), self.child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        to.write_all(&serde_json::to_vec(change)?)?;
        drop(to);
        let mut answer = String::new();
        from.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// Makes a change at once, in a process that still may.
///
/// # Errors
///
/// As [`ManifestWriter::write`].
pub(crate) fn write(manifest: &Path, change: &Change) -> Result<(), Failure> {
    let _alone = lock_manifest(manifest)?;
    make(manifest, change).map_err(|why| unwritten(manifest, &why))
}

fn make(manifest: &Path, change: &Change) -> Result<(), String> {
    let now = read_own_text(manifest).map_err(|error| error.to_string())?;
    if now != change.before {
        return Err(CHANGED.to_owned());
    }
    replace(manifest, &change.after).map_err(|error| error.to_string())
}

fn unwritten(manifest: &Path, why: &str) -> Failure {
    let shown = text::path(manifest);
    let error = Diagnostic::error(format!(
        "`{shown}` was not written: {}",
        text::terminal(why.trim())
    ));
    Failure::unusable(error.helped_by("run it again; `--diff` shows what it would write"))
}

/// Where this process is the one that writes, does so and answers the exit status.
pub(crate) fn serve_if_asked(words: &[OsString]) -> Option<i32> {
    let [name, manifest] = words else { return None };
    (name == NAME).then(|| serve(Path::new(manifest)))
}

fn serve(manifest: &Path) -> i32 {
    let mut asked = Vec::new();
    if io::stdin().read_to_end(&mut asked).is_err() || asked.is_empty() {
        return 0;
    }
    let made = serde_json::from_slice(&asked)
        .map_err(|error| error.to_string())
        .and_then(|change: Change| match lock_manifest(manifest) {
            Ok(_alone) => make(manifest, &change),
            Err(failure) => {
                failure.show(Terminal::new(true, false));
                Err("it cannot be locked".to_owned())
            }
        });
    let answer = made.err().unwrap_or_else(|| DONE.to_owned());
    i32::from(io::stdout().write_all(answer.as_bytes()).is_err())
}

const DONE: &str = "written";

const CHANGED: &str = "it was changed meanwhile";
