//! A process that writes the manifest once a run has ended, since the one that ran guests must not.
//!
//! ```text
//! outport learn --write ── Helper::start ──▶ the helper       before the kernel's sandbox closes
//!        │ runs guests                          │ waits; Ctrl-C does not end it
//!        │ before and after, as one line ──────▶│ locks, compares, replaces
//!        ◀──────── what went wrong, or nothing ─┘
//! ```
//!
//! It is told what the manifest held when the run began, and refuses where that is not what it holds now. Where the other
//! process ends without a word it ends too, and nothing is changed.

use std::io;
use std::path::{Path, PathBuf};

use outport_check::Diagnostic;
use outport_policy::text;
use outport_runtime::helper::Helper;
use serde::{Deserialize, Serialize};

use crate::commands::lock_manifest;
use crate::failure::Failure;
use crate::files::read_own_text;
use crate::replacement::replace;

/// A change of a manifest as a whole.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) before: String,
    pub(crate) after: String,
}

/// The process, waiting.
pub(crate) struct ManifestWriter {
    helper: Helper,
    manifest: PathBuf,
}

impl ManifestWriter {
    /// Starts it. To be called before anything is given up, while this process has one thread.
    pub(crate) fn start(manifest: &Path) -> io::Result<Self> {
        let path = manifest.to_owned();
        Ok(Self {
            helper: Helper::start(LONGEST, move |line| asked(&path, line).err().unwrap_or_default())?,
            manifest: manifest.to_owned(),
        })
    }

    /// Has it make the change.
    ///
    /// # Errors
    ///
    /// The manifest was changed meanwhile, or cannot be written: then nothing was changed.
    pub(crate) fn write(mut self, change: &Change) -> Result<(), Failure> {
        let line = serde_json::to_string(change).map_err(io::Error::from);
        let answer = line.and_then(|line| self.helper.ask(&line));
        match answer.unwrap_or_else(|error| format!("the process that writes it fails: {error}")) {
            done if done.is_empty() => Ok(()),
            why => Err(unwritten(&self.manifest, &why)),
        }
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

fn asked(manifest: &Path, line: &str) -> Result<(), String> {
    let change: Change = serde_json::from_str(line).map_err(|error| error.to_string())?;
    // Why is told nowhere: what this process says nobody reads.
    let _alone = lock_manifest(manifest).map_err(|_| "it cannot be locked".to_owned())?;
    make(manifest, &change)
}

/// Bytes of a change at most: a manifest twice, as JSON.
const LONGEST: usize = 16 << 20;

const CHANGED: &str = "it was changed meanwhile";
