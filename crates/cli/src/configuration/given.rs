//! What was said of the options of this process, and where.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use outport_policy::Location;

use super::file::ConfigurationFile;
use super::keys::Key;
use super::setting::Setting;
use crate::files::Files;

/// What was said of options, and where. Cheap to clone. By default nothing was said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The words of the command line.
    words: Vec<OsString>,
    file: Option<ConfigurationFile>,
    /// What counts of the file and of the environment, in the order in which the parser had it, before what was typed.
    settings: Vec<Setting>,
    /// The options that were typed, with their values.
    typed: Vec<(String, Vec<OsString>)>,
}

static OF_THE_PROCESS: OnceLock<Given> = OnceLock::new();

impl Given {
    pub(super) fn new(
        words: Vec<OsString>,
        file: Option<ConfigurationFile>,
        settings: Vec<Setting>,
        typed: Vec<(String, Vec<OsString>)>,
    ) -> Self {
        Self(Arc::new(Inner {
            words,
            file,
            settings,
            typed,
        }))
    }

    /// What was said at the start of this process.
    pub(crate) fn of_the_process() -> Self {
        OF_THE_PROCESS.get().cloned().unwrap_or_default()
    }

    pub(super) fn keep_for_the_process(&self) {
        // There is one start.
        let _ = OF_THE_PROCESS.set(self.clone());
    }

    pub(super) fn words(&self) -> &[OsString] {
        &self.0.words
    }

    /// The configuration file, if there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.0.file.as_ref().map(ConfigurationFile::path)
    }

    /// Has messages quote the configuration file.
    pub(crate) fn keep_file_in(&self, files: &mut Files) {
        if let Some(file) = self
            .0
            .file
            .as_ref()
            .filter(|file| files.content(file.path()).is_none())
        {
            file.keep_in(files);
        }
    }

    /// True if the option, without dashes, was typed.
    pub(crate) fn is_typed(&self, option: &str) -> bool {
        self.0.typed.iter().any(|(typed, _)| typed == option)
    }

    /// The values of an option that were typed.
    pub(crate) fn typed(&self, key: &Key) -> &[OsString] {
        let typed = self.0.typed.iter().find(|(typed, _)| typed == key.name());
        typed.map_or(&[], |(_, values)| values)
    }

    /// Everything that would be an argument, had it been typed.
    pub(super) fn all(&self) -> impl Iterator<Item = &Setting> {
        self.0
            .settings
            .iter()
            .filter(|setting| setting.argument().is_some())
    }

    /// What counts of an option that was not typed, in the order in which it counts.
    pub(crate) fn settings<'g>(&'g self, option: &'g str) -> impl Iterator<Item = &'g Setting> {
        let settings = self.0.settings.iter();
        settings.filter(move |setting| setting.option() == option)
    }

    /// The place of the value that an option has.
    pub(crate) fn location(&self, option: &str) -> Location {
        self.locations(option).next().unwrap_or(Location::Code)
    }

    /// The places of the values that an option has, in the order in which it has them. Never ends.
    pub(crate) fn locations<'g>(&'g self, option: &'g str) -> impl Iterator<Item = Location> + 'g {
        let typed = Location::Option {
            name: format!("--{option}").into(),
        };
        self.settings(option)
            .filter(|setting| setting.argument().is_some())
            .map(|setting| setting.location().clone())
            .chain(std::iter::repeat(typed))
    }

    /// The options of which something else is said now.
    pub(crate) fn differences<'g>(&'g self, now: &'g Self) -> Vec<&'g str> {
        let said = |given: &'g Self| given.0.settings.iter().map(Setting::option);
        let mut names: Vec<&str> = said(self).chain(said(now)).collect();
        names.sort_unstable();
        names.dedup();
        let words = |given: &'g Self, name: &'g str| -> Vec<_> {
            given
                .settings(name)
                .map(|setting| setting.word().clone())
                .collect()
        };
        names.retain(|name| words(self, name) != words(now, name));
        names
    }
}
