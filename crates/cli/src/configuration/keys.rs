//! The options that may be given by `outport.toml` and by the environment: all that the commands have, but those that one
//! command line is about.
//!
//! | option | key | variable |
//! | --- | --- | --- |
//! | `--max-memory 64M` | `max-memory = "64M"` | `OUTPORT_MAX_MEMORY=64M` |
//! | `--allow-udp` | `allow-udp = true` | `OUTPORT_ALLOW_UDP=1` |
//! | `--dns-server A --dns-server B` | `dns-server = ["A", "B"]` | `OUTPORT_DNS_SERVER=A` |
//!
//! They are found in the commands as the command line's parser has them: an option that is added anywhere is a key and a
//! variable with nothing more to write. What is none stands in [`NO_KEYS`].

use std::any::TypeId;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{StyledStr, ValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction};
use outport_manifest::{ServerUrl, WrittenValue};
use outport_policy::text;

/// All keys, in the order in which the commands have their options.
pub(crate) struct Keys(Vec<Key>);

/// An option that is a key and a variable.
pub(crate) struct Key {
    /// As the first command has it.
    option: Arg,
    name: String,
    /// The commands that have it.
    commands: Vec<String>,
}

/// The treatment of a value, and of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It is given or not.
    Flag,
    /// It has one value.
    Value,
    /// It may be given several times.
    List,
}

impl Keys {
    /// Those of a program's commands.
    pub(crate) fn of(program: &clap::Command) -> Self {
        let mut keys = Self(Vec::new());
        let everywhere: Vec<&Arg> = options_of(program).collect();
        // That which shows them has them from all others, what is hidden is for making packages, and what makes apps or reads
        // logs is asked anew each time.
        let own = program.get_subcommands().filter(|command| {
            !["audit", "config", "init", "new"].contains(&command.get_name()) && !command.is_hide_set()
        });
        own.for_each(|command| keys.add_those_of(command, String::new(), &everywhere));
        keys
    }

    /// Those that are for all commands are for those which have others.
    fn add_those_of(&mut self, command: &clap::Command, above: String, everywhere: &[&Arg]) {
        let path = format!("{above}{}", command.get_name());
        let own = options_of(command);
        let for_all = everywhere.iter().copied().filter(|_| has_options(command));
        for option in own.chain(for_all) {
            let Some(name) = option.get_long().filter(|name| !is_none(name)) else {
                continue;
            };
            match self.0.iter_mut().find(|key| key.name == name) {
                Some(key) => key.commands.push(path.clone()),
                None => self.0.push(Key {
                    option: option.clone(),
                    name: name.to_owned(),
                    commands: vec![path.clone()],
                }),
            }
        }
        for below in command.get_subcommands() {
            self.add_those_of(below, format!("{path} "), everywhere);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.name == name)
    }

    /// Those that a command has.
    pub(crate) fn in_command<'k>(&'k self, command: &clap::Command) -> impl Iterator<Item = &'k Key> {
        let has_options = has_options(command);
        let has: BTreeSet<String> = options_of(command)
            .filter_map(|option| option.get_long().map(str::to_owned))
            .collect();
        self.0.iter().filter(move |key| {
            let is_for_all = key.option.is_global_set() && has_options;
            has.contains(&key.name) || is_for_all
        })
    }

    /// The key that somebody meant who wrote it as another program has its keys.
    pub(crate) fn meant(&self, written: &str) -> Option<&Key> {
        let plain = written.trim().trim_start_matches("--");
        let plain = plain
            .strip_prefix("OUTPORT_")
            .unwrap_or(plain)
            .replace('_', "-")
            .to_lowercase();
        self.get(&plain).or_else(|| {
            let names = self.0.iter().map(|key| key.name.as_str());
            self.get(outport_manifest::nearest(&plain, names)?)
        })
    }
}

/// What is hidden in a command means nothing there.
fn options_of(command: &clap::Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|option| !option.is_hide_set())
}

/// True of a command with options of its own that are keys.
fn has_options(command: &clap::Command) -> bool {
    options_of(command).any(|option| option.get_long().is_some_and(|name| !is_none(name)))
}

fn is_none(name: &str) -> bool {
    NO_KEYS.iter().any(|(none, _)| *none == name)
}

impl Key {
    /// The name of the option, without dashes: `max-memory`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the parser calls it.
    pub(super) fn id(&self) -> &str {
        self.option.get_id().as_str()
    }

    /// The variable of the environment: `OUTPORT_MAX_MEMORY`.
    pub(crate) fn variable(&self) -> String {
        format!("OUTPORT_{}", self.name.replace('-', "_").to_uppercase())
    }

    /// The variable of Spin's that stands for it too.
    pub(crate) fn spins_variable(&self) -> Option<&'static str> {
        let known = SPINS_VARIABLES.iter().find(|(name, _)| *name == self.name);
        known.map(|(_, variable)| *variable)
    }

    /// The commands that have it.
    pub(crate) fn commands(&self) -> &[String] {
        &self.commands
    }

    pub(crate) fn shape(&self) -> Shape {
        match self.option.get_action() {
            ArgAction::SetTrue | ArgAction::SetFalse => Shape::Flag,
            ArgAction::Append => Shape::List,
            _ => Shape::Value,
        }
    }

    /// The option whose absence leaves this one without effect.
    pub(crate) fn needs(&self) -> Option<&'static str> {
        let known = IN_VAIN_WITHOUT.iter().find(|(name, _)| *name == self.name);
        known.map(|(_, needed)| *needed)
    }

    /// The name of its value in the help, such as `SIZE`.
    pub(crate) fn value_name(&self) -> &str {
        let names = self.option.get_value_names().unwrap_or_default();
        names.first().map_or("", |name| name.as_str())
    }

    /// The values there are, if they can be listed.
    pub(crate) fn possible_values(&self) -> Vec<String> {
        if self.shape() == Shape::Flag {
            return Vec::new();
        }
        let values = self.option.get_possible_values().into_iter();
        values.map(|value| value.get_name().to_owned()).collect()
    }

    /// What it is for, without its default, and the default in the words of the help.
    pub(crate) fn help(&self) -> (String, Option<String>) {
        let help = self.option.get_help().map(StyledStr::to_string);
        let help = help.unwrap_or_default();
        match help.split_once(" [default: ") {
            Some((help, default)) => {
                let default = default.split(']').next().unwrap_or(default);
                (help.to_owned(), Some(default.to_owned()))
            }
            None => (help, self.parsers_default()),
        }
    }

    /// The default that the parser knows of.
    fn parsers_default(&self) -> Option<String> {
        let values = self.option.get_default_values().first()?;
        (self.shape() != Shape::Flag).then(|| values.to_string_lossy().into_owned())
    }

    /// The default, where it is a value that could be written.
    pub(crate) fn default_value(&self) -> Option<String> {
        let (_, default) = self.help();
        // What has words is no value, though the name of a file could be so.
        let is_whole = |text: &String| {
            let is_word = !text.contains(char::is_whitespace);
            is_word && self.shape() == Shape::Value && self.check(OsStr::new(text)).is_ok()
        };
        default.filter(is_whole)
    }

    /// True if a number may be written as one.
    pub(crate) fn takes_numbers(&self) -> bool {
        ["N", "SIZE", "TIME", "PORTS"].contains(&self.value_name())
    }

    /// True if nothing but a number may be written.
    pub(crate) fn takes_only_numbers(&self) -> bool {
        self.value_name() == "N"
    }

    /// The kind of value that stands in a file, with its article.
    pub(crate) fn expected(&self) -> &'static str {
        match (self.shape(), self.takes_only_numbers(), self.takes_numbers()) {
            (Shape::Flag, ..) => "`true` or `false`",
            (Shape::List, true, _) => "an array of whole numbers",
            (Shape::List, false, true) => "an array of strings and whole numbers",
            (Shape::List, false, false) => "an array of strings",
            (Shape::Value, true, _) => "a whole number",
            (Shape::Value, false, true) => "a string or a whole number",
            (Shape::Value, false, false) => "a string",
        }
    }

    /// A value of a file as it would be typed, if it has a type that is taken.
    pub(crate) fn typed(&self, value: &WrittenValue) -> Option<String> {
        match value {
            WrittenValue::Number(number) if self.takes_numbers() => Some(number.clone()),
            WrittenValue::Text(text) if !self.takes_only_numbers() => Some(text.clone()),
            _ => None,
        }
    }

    /// The bytes of a value that name a file or directory, if some do.
    pub(crate) fn path_in<'t>(&self, value: &'t str) -> Option<(&'t str, &'t str)> {
        let is_path = ["FILE", "DIR", "PATH"].contains(&self.value_name())
            || self.option.get_value_parser().type_id() == TypeId::of::<PathBuf>();
        // `-` is standard output or error; an empty name is none.
        if is_path && !value.is_empty() && value != "-" {
            return Some(("", value));
        }
        let is_named = self.value_name().contains("@FILE");
        value
            .strip_prefix('@')
            .filter(|path| is_named && !path.is_empty())
            .map(|path| ("@", path))
    }

    /// True if a value may hold what is not for everybody: pairs, and statements of SQL.
    pub(crate) fn is_secret(&self) -> bool {
        let name = self.value_name();
        name.contains("=VALUE") || name.contains("SQL")
    }

    /// True if a value may hold what is not for everybody, by its kind or by a mistake: what belongs in the file that the
    /// option names is sometimes written in its place.
    pub(crate) fn may_hold_secrets(&self) -> bool {
        self.is_secret() || IN_FILES.contains(&self.name())
    }

    /// A value as it may be shown.
    pub(crate) fn shown(&self, value: &str) -> String {
        if self.is_secret() {
            return match (value.split_once('='), self.path_in(value)) {
                (_, Some(_)) => value.to_owned(),
                (Some((key, _)), None) if self.value_name().contains("=VALUE") => format!("{key}={MASK}"),
                _ => MASK.to_owned(),
            };
        }
        if self.may_hold_secrets() && value.contains([':', '@', '\n']) {
            return MASK.to_owned();
        }
        let has_scheme = value.contains("://");
        let Some((_, host)) = value.rsplit_once('@') else {
            return match value.split_once('?').filter(|_| has_scheme) {
                Some((url, _)) => format!("{url}?{MASK}"),
                None => value.to_owned(),
            };
        };
        if !has_scheme {
            return format!("{MASK}@{host}");
        }
        let [user, behind] = ServerUrl::hidden_parts(value);
        let (before, rest) = (&value[..user.start], &value[user.end..behind.start]);
        let rest = rest.trim_start_matches('@');
        format!("{before}{MASK}@{rest}")
    }

    /// Refuses what the option would refuse.
    ///
    /// # Errors
    ///
    /// The reason.
    pub(crate) fn check(&self, value: &OsStr) -> Result<(), String> {
        let parser: ValueParser = self.option.get_value_parser().clone();
        let mut option = Arg::new("value").long("value").value_parser(parser);
        if let Some(delimiter) = self.option.get_value_delimiter() {
            option = option.value_delimiter(delimiter);
        }
        let mut word = std::ffi::OsString::from("--value=");
        word.push(value);
        let program = clap::Command::new("outport").arg(option.action(ArgAction::Append));
        match program.try_get_matches_from(["outport".into(), word]) {
            Ok(_) => Ok(()),
            Err(error) => Err(reason(&error)),
        }
    }
}

/// Why a value is none.
fn reason(error: &clap::Error) -> String {
    if let Some(why) = std::error::Error::source(error) {
        return why.to_string();
    }
    let known = error.get(ContextKind::ValidValue);
    let written = error.get(ContextKind::InvalidValue).map(ToString::to_string);
    match (error.kind(), known, written) {
        (ErrorKind::InvalidUtf8, ..) => "it is not UTF-8 text".to_owned(),
        (ErrorKind::InvalidValue, Some(ContextValue::Strings(known)), Some(written)) if !known.is_empty() => {
            format!("`{}` is none of {}", text::quote(&written), listed(known))
        }
        _ => "it is empty".to_owned(),
    }
}

/// `a`, `b` and `c`
fn listed(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        words => words.join(", "),
    }
}

/// Options that name a file with a secret, the name of which has no colon and no `@` as a rule.
const IN_FILES: [&str; 2] = ["egress-proxy-credentials", "tls-key"];

/// In place of what is not shown.
pub(crate) const MASK: &str = "****";

/// The variables of Spin's that stand for an option, where no variable of Outport's does. They are part of the environment,
/// and count before the file.
pub(crate) const SPINS_VARIABLES: [(&str, &str); 6] = [
    ("listen", "SPIN_HTTP_LISTEN_ADDR"),
    ("runtime-config-file", "RUNTIME_CONFIG_FILE"),
    ("state-dir", "SPIN_STATE_DIR"),
    ("max-memory", "SPIN_MAX_INSTANCE_MEMORY"),
    ("tls-cert", "SPIN_TLS_CERT"),
    ("tls-key", "SPIN_TLS_KEY"),
];

/// Options that say something of another one. Typed without it they are a mistake; a file or an environment that is there
/// for many processes has nothing to say with them to one that lacks the other.
const IN_VAIN_WITHOUT: [(&str, &str); 2] = [
    ("admin-host", "admin-listen"),
    ("access-log-format", "access-log"),
];

/// Options that are no keys, and where what they say belongs instead.
pub(crate) const NO_KEYS: [(&str, &str); 53] = [
    ("accept-defaults", OF_A_LINE),
    ("ai-model", OF_AN_AUTHOR),
    (
        "allow-any-host",
        "it opens every list, and is given anew each time that somebody means it",
    ),
    ("allowed-outbound-hosts", OF_AN_AUTHOR),
    ("app", OF_A_LINE),
    ("ask", OF_A_LINE),
    ("attach", OF_A_LINE),
    ("attribute", OF_A_LINE),
    ("body", OF_A_LINE),
    ("build", OF_A_LINE),
    ("clear", OF_A_LINE),
    ("code", OF_A_LINE),
    ("command", OF_A_LINE),
    ("component", OF_A_LINE),
    (
        "config",
        "one file names no other: give it on the command line, or as `OUTPORT_CONFIG`",
    ),
    ("debounce", OF_A_LINE),
    ("destination", OF_A_LINE),
    ("diff", OF_A_LINE),
    ("dir", OF_AN_AUTHOR),
    ("dns", OF_A_LINE),
    ("env", OF_AN_AUTHOR),
    ("example", OF_A_LINE),
    ("fix", OF_A_LINE),
    ("fold", OF_A_LINE),
    ("follow", OF_A_LINE),
    ("format", OF_A_LINE),
    ("from", OF_A_LINE),
    ("instance", OF_A_LINE),
    ("key-value-store", OF_AN_AUTHOR),
    ("list", OF_A_LINE),
    ("name", OF_A_LINE),
    ("output", OF_A_LINE),
    ("payload", OF_A_LINE),
    ("pod-label", OF_A_LINE),
    ("prune", OF_A_LINE),
    ("quiet", OF_A_LINE),
    ("result-on-stdout", OF_A_LINE),
    ("route", OF_A_LINE),
    ("schema", OF_A_LINE),
    ("since", OF_A_LINE),
    ("skip-build", OF_A_LINE),
    ("sqlite-database", OF_AN_AUTHOR),
    ("strict", OF_A_LINE),
    ("timestamp", OF_A_LINE),
    ("to", OF_A_LINE),
    ("top", OF_A_LINE),
    ("topic", OF_A_LINE),
    ("until", OF_A_LINE),
    (
        "variable",
        "values of an app's variables are given as `SPIN_VARIABLE_NAME`, or with `--variable`",
    ),
    ("verbose", OF_A_LINE),
    ("verdict", OF_A_LINE),
    ("why", OF_A_LINE),
    ("write", OF_A_LINE),
];

const OF_A_LINE: &str = "it is about one command line: give it there";

const OF_AN_AUTHOR: &str = "what a component gets is for its author to say: in `spin.toml`, or on the command line of \
    `outport run` and `outport serve`";

/// Where what an option says belongs that is no key.
pub(crate) fn elsewhere(name: &str) -> Option<&'static str> {
    let name = name.replace('_', "-").to_lowercase();
    let known = NO_KEYS.iter().find(|(none, _)| *none == name);
    known.map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests;
