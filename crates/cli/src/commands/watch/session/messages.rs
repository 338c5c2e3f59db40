//! What a session says: of what changed, and of what goes on while something did not come about.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use outport_check::Colours;
use outport_policy::text;
use outport_runtime::stdio;

use super::Session;
use crate::commands::watch::server::MOST_ENDING;

impl Session<'_> {
    /// Says that an app takes long to be ready.
    pub(super) fn say_slow(&mut self) {
        if let Some(starting) = &mut self.servers.starting
            && starting.told_when.take().is_some()
        {
            let goes_on = match self.servers.serving {
                Some(_) => "; the last good version goes on serving meanwhile",
                None => "",
            };
            self.terminal.insist(&format!(
                "The app that was started is not ready after {} s{goes_on}",
                SLOW.as_secs()
            ));
        }
    }

    /// Says which processes were not waited for any longer.
    pub(super) fn say_forced(&mut self) {
        if std::mem::take(&mut self.servers.has_forced) {
            self.terminal.insist(&format!(
                "More than {MOST_ENDING} earlier versions were still at their requests: the oldest was ended by force"
            ));
        }
    }

    /// Says what has come to nothing, and who serves all the same.
    pub(super) fn say_what_goes_on(&self, why: &str) {
        let goes_on = match self.servers.serving {
            Some(_) => "the last good version goes on serving",
            None => "waiting for a change",
        };
        self.terminal.insist(&format!("{why}; {goes_on}"));
    }

    pub(super) fn say_changed(&self, changed: &[PathBuf]) {
        if !changed.is_empty() {
            self.terminal.say(&format!("changed: {}", names(changed)));
        }
    }

    pub(super) fn clear(&self) {
        let is_wanted = self.options.clear && self.terminal.paint() != Colours::Plain;
        if is_wanted
            && io::stderr().is_terminal()
            && let Some(streams) = stdio::opened()
        {
            streams.say("\x1b[2J\x1b[3J\x1b[H");
        }
    }
}

/// The first of some files, and how many more there are: `src/lib.rs, +3`.
pub(super) fn names(paths: &[PathBuf]) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let Some(first) = paths.first() else {
        return String::new();
    };
    let shown: &Path = first.strip_prefix(&here).unwrap_or(first);
    match paths.len() - 1 {
        0 => text::path(shown).to_string(),
        more => format!("{}, +{more}", text::path(shown)),
    }
}

/// The time after which it is said that an app is not ready yet.
pub(super) const SLOW: Duration = Duration::from_secs(30);
