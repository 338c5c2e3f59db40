//! `outport.toml`, read: what it says of each option, or all that is wrong with it.
//!
//! ```text
//! bytes ─ Files ─▶ text ─ OptionsFile ─▶ keys and values ─ Keys ─▶ settings, each as it would be typed
//! ```
//!
//! A file is for all commands: what it says is held against the options of all of them, whichever one runs. A path in it
//! starts at the folder of the file, unless the file is none, such as a pipe: then at the working directory.
//!
//! Nothing of it is quoted that may be a secret ([`quoting`]), and of many mistakes only the first are told.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use outport_check::Diagnostic;
use outport_manifest::{Located, OptionsFile, SourceFile, Span, WrittenOption, WrittenValue};
use outport_policy::{Location, text};

use super::keys::{Key, Keys, Shape, elsewhere};
use super::quoting;
use super::setting::{Setting, Word};
use crate::failure::MOST_MISTAKES;
use crate::files::Files;

/// A file that was read.
#[derive(Debug, Clone)]
pub(crate) struct ConfigurationFile {
    source: SourceFile,
    settings: Vec<Setting>,
    /// What messages may show of it.
    quotable: Vec<Span>,
}

impl ConfigurationFile {
    /// Reads the file that `named_by` names. It is kept in `files`, to be quoted.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub(crate) fn read(
        path: &Path,
        named_by: Location,
        keys: &Keys,
        files: &mut Files,
    ) -> Result<Self, Vec<Diagnostic>> {
        let source = files
            .read_settings(path, WHAT)
            .map_err(|unreadable| vec![unreadable.at(named_by)])?;
        let reading = OptionsFile::parse(&source);
        let options = &reading.tentative().options;
        let is_torn = !reading.problems().is_empty();
        let folder = path.is_file().then(|| path.parent()).flatten();
        let mut reader = Reader {
            source: &source,
            folder: folder.unwrap_or(Path::new("")),
            keys,
            is_torn,
            settings: Vec::new(),
            quotable: if is_torn {
                quoting::of_names(&source, keys)
            } else {
                quoting::of_options(&source, options, keys)
            },
            wrong: Vec::new(),
            untold: 0,
        };
        options.iter().for_each(|option| reader.read(option));
        let Reader {
            settings,
            quotable,
            mut wrong,
            untold,
            ..
        } = reader;
        quoting::conceal_all_but(quotable.clone(), &source, files);
        wrong.extend(reading.problems().iter().map(Diagnostic::from));
        if wrong.is_empty() {
            return Ok(Self {
                source,
                settings,
                quotable,
            });
        }
        Err(the_first(wrong, untold))
    }

    /// The file as it was named.
    pub(crate) fn path(&self) -> &Path {
        self.source.path()
    }

    /// What it says of an option, in the order of the file.
    pub(crate) fn settings(&self, key: &Key) -> impl Iterator<Item = &Setting> {
        self.settings
            .iter()
            .filter(|setting| setting.option() == key.name())
    }

    /// Has messages quote it, but for what may be a secret.
    pub(crate) fn keep_in(&self, files: &mut Files) {
        files.add(self.source.clone());
        quoting::conceal_all_but(self.quotable.clone(), &self.source, files);
    }
}

/// The name of the file for messages.
pub(crate) const WHAT: &str = "configuration file";

/// The first mistakes of a file, and how many there are besides, of which `untold` are not here.
fn the_first(mut wrong: Vec<Diagnostic>, untold: usize) -> Vec<Diagnostic> {
    wrong.sort_by_key(|diagnostic| match &diagnostic.location {
        Some(Location::File { span, .. }) => span.start,
        _ => 0,
    });
    let untold = untold + wrong.len().saturating_sub(MOST_MISTAKES);
    wrong.truncate(MOST_MISTAKES);
    if untold > 0 {
        wrong.push(Diagnostic::note(format!(
            "the file has more mistakes than these: {untold}"
        )));
    }
    wrong
}

struct Reader<'r> {
    source: &'r SourceFile,
    folder: &'r Path,
    keys: &'r Keys,
    /// Something of the file is no TOML: what was read besides may be what it looks like, or a part of a secret.
    is_torn: bool,
    settings: Vec<Setting>,
    quotable: Vec<Span>,
    wrong: Vec<Diagnostic>,
    /// How many mistakes are not told.
    untold: usize,
}

impl Reader<'_> {
    fn read(&mut self, option: &WrittenOption) {
        let Some(key) = self.keys.get(&option.key.value) else {
            if self.has_told_enough() {
                return;
            }
            let unknown = self.unknown(option);
            return self.wrong.push(unknown);
        };
        match (key.shape(), &option.value.value) {
            (Shape::Flag, WrittenValue::Flag(is_on)) => {
                let word = if *is_on { Word::On } else { Word::Off };
                self.set(key, word, &option.value.span);
            }
            (Shape::List, WrittenValue::List(items)) => {
                for (number, item) in (1..).zip(items) {
                    self.read_value(key, item, Some(number));
                }
            }
            (Shape::Value, _) => self.read_value(key, &option.value, None),
            (Shape::Flag | Shape::List, _) => self.report_type(key, &option.value, None),
        }
    }

    fn read_value(&mut self, key: &Key, value: &Located<WrittenValue>, item: Option<usize>) {
        let Some(typed) = key.typed(&value.value) else {
            return self.report_type(key, value, item);
        };
        match key.check(OsStr::new(&typed)) {
            Ok(()) => {
                let word = Word::Text(self.placed(key, &typed));
                self.set(key, word, &value.span);
            }
            Err(_) if self.has_told_enough() => {}
            Err(why) => {
                let message = format!("the value of `{}` cannot be used", key.name());
                let wrong = if self.is_torn {
                    // The reason may quote it.
                    Diagnostic::error(message).helped_by("mend what is no TOML first, and the reason is told")
                } else {
                    Diagnostic::error(format!("{message}: {why}"))
                };
                self.wrong.push(wrong.at(self.source.location(&value.span)));
            }
        }
    }

    fn set(&mut self, key: &Key, word: Word, span: &Span) {
        let location = self.source.location(span);
        self.settings.push(Setting::new(key.name(), word, location));
    }

    fn placed(&self, key: &Key, value: &str) -> OsString {
        let Some((before, path)) = key.path_in(value) else {
            return value.into();
        };
        let path: PathBuf = self.folder.join(path);
        let mut whole = OsString::from(before);
        whole.push(path);
        whole
    }

    /// True if a further mistake is only counted, and counts it.
    fn has_told_enough(&mut self) -> bool {
        let is_enough = self.wrong.len() >= MOST_MISTAKES;
        self.untold += usize::from(is_enough);
        is_enough
    }

    fn report_type(&mut self, key: &Key, value: &Located<WrittenValue>, item: Option<usize>) {
        if self.has_told_enough() {
            return;
        }
        let (name, found) = (key.name(), value.value.type_name());
        let message = match item {
            Some(number) => format!(
                "item {number} of `{name}` must be {}, not {found}",
                match (key.takes_only_numbers(), key.takes_numbers()) {
                    (true, _) => "a whole number",
                    (false, true) => "a string or a whole number",
                    (false, false) => "a string",
                }
            ),
            None => format!("`{name}` must be {}, not {found}", key.expected()),
        };
        let wrong = Diagnostic::error(message).at(self.source.location(&value.span));
        let is_one_of_a_list =
            key.shape() == Shape::List && item.is_none() && key.typed(&value.value).is_some();
        self.wrong.push(if is_one_of_a_list {
            wrong.helped_by(format!("write brackets around it: `{name} = [ … ]`"))
        } else {
            wrong
        });
    }

    fn unknown(&mut self, option: &WrittenOption) -> Diagnostic {
        let written = option.key.value.as_str();
        let shown = text::quote(written);
        let at = self.source.location(&option.key.span);
        let meant = self.keys.meant(written);
        if self.is_torn {
            let Some(meant) = meant else {
                let error = Diagnostic::error("there is no option that is called so").at(at);
                return error.helped_by("mend what is no TOML first: this may be a part of something else");
            };
            let key = quoting::around_key(self.source, &option.key.span);
            self.quotable.push(key);
            let error = Diagnostic::error(format!("there is no option `{shown}`")).at(at);
            return error.helped_by(format!("did you mean `{}`?", meant.name()));
        }
        if let Some(instead) = elsewhere(written) {
            let error = format!("`{shown}` is no key of a configuration file");
            return Diagnostic::error(error).at(at).helped_by(instead);
        }
        let error = Diagnostic::error(format!("there is no option `{shown}`")).at(at);
        if let Some(meant) = meant {
            return error.helped_by(format!("did you mean `{}`?", meant.name()));
        }
        if OF_THE_RUNTIME_CONFIG_FILE.contains(&written) {
            return error.helped_by("it belongs in the file that `runtime-config-file` names");
        }
        let is_table = matches!(option.value.value, WrittenValue::Other(_));
        error.helped_by(if is_table {
            "options stand side by side in this file, without tables; `outport config` lists them"
        } else {
            "`outport config` lists the options"
        })
    }
}

/// Keys and tables of Spin's file.
const OF_THE_RUNTIME_CONFIG_FILE: [&str; 19] = [
    "block_networks",
    "client_tls",
    "component",
    "config_provider",
    "key_value_store",
    "llm_compute",
    "log_dir",
    "max_socket_connections",
    "max_total_connections",
    "outbound_http",
    "outbound_mqtt",
    "outbound_mysql",
    "outbound_networking",
    "outbound_pg",
    "outbound_redis",
    "sqlite_database",
    "telemetry",
    "trigger",
    "variables_provider",
];

#[cfg(test)]
mod tests;
