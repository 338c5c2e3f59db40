//! `outport config`: what every option comes to, and where that is from.
//!
//! Nothing runs. Standard output gets the answer. What the options name that every start reads (the runtime config file,
//! certificates, the credentials of the egress proxy) is read too, and held against the rules that a start has: exit status 2
//! says that something that was given cannot be used.

use std::ffi::OsStr;

use clap::{Args, CommandFactory, ValueEnum};
use outport_check::Diagnostic;
use outport_policy::{Location, text};
use serde::Serialize;
use serde_json::Value;

use crate::CommandLine;
use crate::configuration::keys::{Key, Keys, Shape};
use crate::configuration::{Given, Word, example, schema};
use crate::failure::Failure;
use crate::fetching::FetchArguments;
use crate::files::Files;
use crate::limit_options::LimitOptions;
use crate::operator_options::OperatorOptions;
use crate::reference_options::ReferenceOptions;
use crate::service::ServiceOptions;
use crate::terminal::print;

/// Say what every operator option comes to, and where that is from: the command line, the environment, the file of
/// `--config`, or its default.
///
/// Takes the options of all commands. Standard output gets lines as they could stand in the file, or with `--format json`
/// what `docs/schema/config.json` says. What may be secret is shown as `****`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only the options of this command, such as `up` or `trigger cron`
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,

    /// Format of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Print the JSON schema of the file instead, for editors
    #[arg(long, conflicts_with_all = ["command", "format", "example"])]
    schema: bool,

    /// Print a file to begin with instead: every option with what it is for, and none in effect
    #[arg(long, conflicts_with_all = ["command", "format"])]
    example: bool,

    #[command(flatten)]
    others: Others,

    #[arg(skip = Given::of_the_process())]
    given: Given,
}

/// What the other commands have. Only where their values are from is looked at.
#[derive(Debug, Args)]
struct Others {
    /// Print the components' output as it is, without `[COMPONENT]` before each line
    #[arg(long)]
    no_output_prefix: bool,

    #[command(flatten)]
    fetching: FetchArguments,

    #[command(flatten)]
    references: ReferenceOptions,

    #[command(flatten)]
    service: ServiceOptions,

    #[command(flatten)]
    operator: OperatorOptions,

    #[command(flatten)]
    limits: LimitOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: lines as they could stand in the file
    #[default]
    Human,
    /// `docs/schema/config.json`
    Json,
}

pub(super) fn config(options: &Options) -> Result<i32, Failure> {
    let text = if options.schema {
        schema()
    } else if options.example {
        example()
    } else {
        let keys = Keys::of(&CommandLine::command());
        let shown: Vec<Shown> = options.keys(&keys)?.map(|key| options.shown(key)).collect();
        match options.format {
            Format::Human => human(&shown),
            Format::Json => json(&shown, &options.given)?,
        }
    };
    print(&text)?;
    if !options.schema && !options.example {
        options.validate()?;
    }
    Ok(0)
}

/// An option with its values.
#[derive(Serialize)]
struct Shown {
    name: String,
    variable: String,
    commands: Vec<String>,
    #[serde(skip)]
    shape: Shape,
    /// One, or as many as there are of a list; none where nothing is said and the default is no value.
    values: Vec<ShownValue>,
    /// The default in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    otherwise: Option<String>,
}

#[derive(Serialize)]
struct ShownValue {
    value: Value,
    from: Origin,
}

/// Where a value is from.
#[derive(Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
enum Origin {
    Default,
    CommandLine,
    Environment { variable: String },
    File { path: String, line: u32, column: u32 },
}

impl Options {
    fn keys<'k>(&'k self, keys: &'k Keys) -> Result<impl Iterator<Item = &'k Key>, Failure> {
        if let Some(command) = &self.command {
            let mut all = keys.iter().flat_map(Key::commands);
            if !all.any(|known| known == command) {
                let shown = text::quote(command);
                let mut known: Vec<String> = keys
                    .iter()
                    .flat_map(Key::commands)
                    .map(|known| format!("`{known}`"))
                    .collect();
                known.sort_unstable();
                known.dedup();
                let error = Diagnostic::error(format!("there are no options of a command `{shown}`"));
                return Err(Failure::unusable(
                    error.helped_by(format!("those with options are {}", known.join(", "))),
                ));
            }
        }
        let is_wanted = |key: &&Key| match &self.command {
            Some(command) => key.commands().contains(command),
            None => true,
        };
        Ok(keys.iter().filter(is_wanted))
    }

    /// Refuses what a start would refuse of these options, whatever app it is of.
    fn validate(&self) -> Result<(), Failure> {
        let keys = Keys::of(&CommandLine::command());
        let has = |option: &str| match &self.command {
            Some(command) => keys
                .get(option)
                .is_some_and(|key| key.commands().contains(command)),
            None => true,
        };
        let mut wrong = Vec::new();
        let mut files = Files::default();
        if has("disallowed-outbound-hosts") {
            self.others.operator.read_tentatively(&mut files, &mut wrong);
        }
        if has("tls-cert") {
            match self.others.service.check_tls() {
                Err(Failure::Unusable { diagnostics, .. }) => wrong.extend(diagnostics),
                other => other?,
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Failure::unusable_in(&files, wrong))
    }

    fn shown(&self, key: &Key) -> Shown {
        let mut values: Vec<ShownValue> = self
            .given
            .settings(key.name())
            .map(|setting| ShownValue {
                value: match setting.word() {
                    Word::On => true.into(),
                    Word::Off => false.into(),
                    Word::Text(text) => value(key, text),
                },
                from: Origin::of(setting.location()),
            })
            .collect();
        if self.given.is_typed(key.name()) {
            let typed = match key.shape() {
                Shape::Flag => vec![true.into()],
                _ => self
                    .given
                    .typed(key)
                    .iter()
                    .map(|text| value(key, text))
                    .collect(),
            };
            values.extend(typed.into_iter().map(|value| ShownValue {
                value,
                from: Origin::CommandLine,
            }));
        }
        let (default, otherwise) = match (key.shape(), key.default_value()) {
            (Shape::Flag, _) => (Some(false.into()), None),
            (_, Some(default)) => (Some(value(key, OsStr::new(&default))), None),
            (_, None) => (None, key.help().1),
        };
        let is_said = !values.is_empty();
        if let Some(value) = default.filter(|_| !is_said) {
            let from = Origin::Default;
            values.push(ShownValue { value, from });
        }
        Shown {
            name: key.name().to_owned(),
            variable: key.variable(),
            commands: key.commands().to_vec(),
            shape: key.shape(),
            values,
            otherwise: otherwise.filter(|_| !is_said),
        }
    }
}

/// A value as it could stand in the file, without what is secret in it.
fn value(key: &Key, text: &OsStr) -> Value {
    let text = text.to_string_lossy();
    match text.parse::<u64>() {
        Ok(number) if key.takes_only_numbers() => number.into(),
        _ => key.shown(&text).into(),
    }
}

impl Origin {
    fn of(location: &Location) -> Self {
        match location {
            Location::File {
                path, line, column, ..
            } => Self::File {
                path: path.to_string(),
                line: *line,
                column: *column,
            },
            Location::Environment { variable } => Self::Environment {
                variable: variable.to_string(),
            },
            Location::Option { .. } | Location::Code => Self::CommandLine,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::CommandLine => "command line".to_owned(),
            Self::Environment { variable } => variable.clone(),
            Self::File { path, line, column } => format!("{}:{line}:{column}", text::message(path)),
        }
    }
}

fn human(all: &[Shown]) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for Shown {
        name,
        shape,
        values,
        otherwise,
        ..
    } in all
    {
        match (shape, values.as_slice()) {
            (Shape::List, [_, ..]) => {
                lines.push((format!("{name} = ["), String::new()));
                let items = values.iter();
                lines.extend(items.map(|one| (format!("    {},", toml(&one.value)), one.from.words())));
                lines.push(("]".to_owned(), String::new()));
            }
            (Shape::List, []) if otherwise.is_none() => {
                lines.push((format!("{name} = []"), "default".to_owned()));
            }
            (_, [one, ..]) => lines.push((format!("{name} = {}", toml(&one.value)), one.from.words())),
            (_, []) => {
                let words = otherwise.as_deref().unwrap_or("none");
                lines.push((format!("# {name}"), format!("default: {words}")));
            }
        }
    }
    let width = lines
        .iter()
        .map(|(line, _)| line.chars().count())
        .filter(|width| *width <= WIDE);
    let width = width.max().unwrap_or(0);
    let lines = lines.into_iter().map(|(line, from)| match from.as_str() {
        "" => format!("{line}\n"),
        from => format!("{line:<width$}  # {from}\n"),
    });
    lines.collect()
}

/// Columns of values that comments stand behind.
const WIDE: usize = 60;

/// A value of TOML. Strings of JSON are also strings of TOML, but for what a terminal would obey.
fn toml(value: &Value) -> String {
    let text = value.to_string();
    let escaped = text.chars().map(|c| match outport_policy::text::mask(c) {
        same if same == c => c.to_string(),
        _ => format!("\\U{:08X}", u32::from(c)),
    });
    escaped.collect()
}

fn json(all: &[Shown], given: &Given) -> Result<String, Failure> {
    let file = given.file().map(|path| path.to_string_lossy());
    let document = serde_json::json!({ "version": 1, "file": file, "options": all });
    let mut told = serde_json::to_string_pretty(&document)?;
    told.push('\n');
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_one_of_toml_that_no_terminal_obeys() {
        for (text, shown) in [
            ("a\"b\\", r#""a\"b\\""#),
            ("a\u{1b}[0m\n", r#""a\u001b[0m\n""#),
            (
                "a\u{9b}\u{7f}\u{202e}ü",
                "\"a\\U0000009B\\U0000007F\\U0000202Eü\"",
            ),
        ] {
            assert_eq!(toml(&text.into()), shown);
        }
    }
}
