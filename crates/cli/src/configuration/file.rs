//! `outport.toml`, read: what it says of each option, or all that is wrong with it.
//!
//! ```text
//! bytes ─ Files ─▶ text ─ OptionsFile ─▶ keys and values ─ Keys ─▶ settings, each as it would be typed
//! ```
//!
//! A file is for all commands: what it says is held against the options of all of them, whichever one runs. A path in it
//! starts at the folder of the file, unless the file is none, such as a pipe: then at the working directory.
//!
//! Nothing of it is quoted that may be a secret: what is in a URL beside scheme, host and port, and what is put into stores.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use outport_check::Diagnostic;
use outport_manifest::{
    Located, OptionsFile, ServerUrl, SourceFile, Span, WrittenOption, WrittenValue, nearest,
};
use outport_policy::{Location, text};

use super::keys::{Key, Keys, Shape, elsewhere};
use super::setting::{Setting, Word};
use crate::files::Files;
use crate::written_values::values_of_secrets;

/// A file that was read.
#[derive(Debug, Clone)]
pub(crate) struct ConfigurationFile {
    source: SourceFile,
    settings: Vec<Setting>,
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
        conceal_secrets(&source, keys, files);
        let folder = path.is_file().then(|| path.parent()).flatten();
        let reading = OptionsFile::parse(&source);
        let mut reader = Reader {
            source: &source,
            folder: folder.unwrap_or(Path::new("")),
            keys,
            settings: Vec::new(),
            wrong: reading.problems().iter().map(Diagnostic::from).collect(),
        };
        let options = &reading.tentative().options;
        options.iter().for_each(|option| reader.read(option));
        let Reader {
            settings, mut wrong, ..
        } = reader;
        if wrong.is_empty() {
            return Ok(Self { source, settings });
        }
        wrong.sort_by_key(|diagnostic| match &diagnostic.location {
            Some(Location::File { span, .. }) => span.start,
            _ => 0,
        });
        Err(wrong)
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

    /// Has messages quote it, but for its secrets.
    pub(crate) fn keep_in(&self, keys: &Keys, files: &mut Files) {
        files.add(self.source.clone());
        conceal_secrets(&self.source, keys, files);
    }
}

/// The name of the file for messages.
pub(crate) const WHAT: &str = "configuration file";

struct Reader<'r> {
    source: &'r SourceFile,
    folder: &'r Path,
    keys: &'r Keys,
    settings: Vec<Setting>,
    wrong: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn read(&mut self, option: &WrittenOption) {
        let Some(key) = self.keys.get(&option.key.value) else {
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
            Err(why) => {
                let name = key.name();
                let wrong = Diagnostic::error(format!("the value of `{name}` cannot be used: {why}"));
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

    fn report_type(&mut self, key: &Key, value: &Located<WrittenValue>, item: Option<usize>) {
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

    fn unknown(&self, option: &WrittenOption) -> Diagnostic {
        let written = option.key.value.as_str();
        let shown = text::quote(written);
        let at = self.source.location(&option.key.span);
        if let Some(instead) = elsewhere(written) {
            let error = format!("`{shown}` is no key of a configuration file");
            return Diagnostic::error(error).at(at).helped_by(instead);
        }
        let error = Diagnostic::error(format!("there is no option `{shown}`")).at(at);
        if let Some(meant) = self.keys.meant(written) {
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
const OF_THE_RUNTIME_CONFIG_FILE: [&str; 18] = [
    "block_networks",
    "client_tls",
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

/// Secrets are looked for in the text, since nobody knows what was read where there is a mistake.
fn conceal_secrets(source: &SourceFile, keys: &Keys, files: &mut Files) {
    let text = source.text();
    let mut secret: Vec<Span> = values_of_secrets(text).collect();
    secret.extend(urls(text).flat_map(|url| {
        let parts = ServerUrl::hidden_parts(&text[url.clone()]);
        parts.map(|part| url.start + part.start..url.start + part.end)
    }));
    let is_secret = |key: &&Key| key.is_secret();
    let mut start = None;
    for (line, name) in starts_of_lines(text) {
        let name = &text[name];
        let is_table = name.is_empty();
        let is_near = |keys: Vec<&str>| nearest(name, keys).is_some();
        let is_key = is_near(keys.iter().map(Key::name).collect());
        if let Some(start) = start.take_if(|_| is_table || is_key) {
            secret.push(start..line.start);
        }
        if is_near(keys.iter().filter(is_secret).map(Key::name).collect()) {
            start = start.or(text[line.clone()].find('=').map(|sign| line.start + sign + 1));
        }
    }
    secret.extend(start.map(|start| start..text.len()));
    secret
        .into_iter()
        .for_each(|span| files.conceal(source.path(), span));
}

/// The URLs with a user in a text: each from its scheme to the quote or line end behind it.
fn urls(text: &str) -> impl Iterator<Item = Span> {
    text.match_indices("://").filter_map(|(at, _)| {
        let ends = |c: char| matches!(c, '"' | '\'' | '\n');
        let start = text[..at].rfind(|c: char| !c.is_alphanumeric() && !matches!(c, '+' | '-' | '.'));
        let start = start.map_or(0, |before| text.ceil_char_boundary(before + 1));
        let end = text[at..].find(ends).map_or(text.len(), |length| at + length);
        text[at..end].contains('@').then_some(start..end)
    })
}

/// The lines that may start something, and where the key stands there; of a table that is nowhere.
fn starts_of_lines(text: &str) -> impl Iterator<Item = (Span, Span)> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = at;
        at += line.len();
        let span = start..at;
        if line.trim().starts_with('[') && line.trim().ends_with(']') {
            return Some((span, start..start));
        }
        let key = line
            .split_once('=')?
            .0
            .trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let bare = match key.chars().next()? {
            quote @ ('"' | '\'') => key[1..].strip_suffix(quote)?,
            _ => key,
        };
        let before = start + line.find(bare)?;
        (!bare.is_empty()).then(|| (span, before..before + bare.len()))
    })
}

#[cfg(test)]
mod tests;
