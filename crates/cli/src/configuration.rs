//! Where the values of options come from: the command line, the environment, and `outport.toml`.
//!
//! ```text
//! command line ─┬─ which options are typed? ─┐
//!               └─ --config, OUTPORT_CONFIG ─┼─▶ settings that count ─▶ the same command line, with them in it ─▶ parser
//! environment ───────────────────────────────┘    each with its place
//! ```
//!
//! | | first | then | then | else |
//! | --- | --- | --- | --- | --- |
//! | a value | command line | environment: Outport's variable, then Spin's | file | its default |
//! | a flag | given on the command line | the same | the same | not given |
//! | a list | all of them: those of the file, of the environment, of the command line ||||
//!
//! What counts is put between the command and what was typed behind it, as if somebody had typed it first. So the parser
//! holds it to all rules that it has for an option: what excludes another one, or needs one. Each value is held against its
//! option before, since the parser would call it by the option alone: a mistake is told with its place.
//!
//! No file is looked for: an app's directory would be the place to look, and who writes an app must not configure the
//! operator's side. A variable that is empty counts as one that is not there. Which options are keys and variables is in
//! [`keys`]; `outport config` shows what came of it.

pub(crate) mod blame;
mod environment;
mod example;
mod file;
mod given;
pub(crate) mod keys;
mod quoting;
mod schema;
mod setting;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use outport_check::Diagnostic;
use outport_policy::Location;

pub(crate) use self::environment::misspelled;
pub(crate) use self::example::example;
use self::file::ConfigurationFile;
pub(crate) use self::file::WHAT;
pub(crate) use self::given::Given;
use self::keys::{Key, Keys, Shape};
pub(crate) use self::schema::schema;
use self::setting::Setting;
pub(crate) use self::setting::Word;
use crate::CommandLine;
use crate::failure::Failure;
use crate::files::Files;
use crate::operator_options::OperatorOptions;
use crate::spin_environment::{location_of, variable};

/// Why there is no command to run.
pub(crate) enum Unread {
    /// The words of the command line are none.
    Line(clap::Error),
    /// Something else that was given cannot be used.
    Given(Failure),
}

/// What was read: the matches of the whole line, and what is in them that nobody typed.
struct Read {
    program: clap::Command,
    matches: ArgMatches,
    given: Given,
}

/// Reads the command line with all that counts beside it. From then on [`Given::of_the_process`] knows where it is from.
///
/// # Errors
///
/// Something of it cannot be used.
pub(crate) fn read(words: Vec<OsString>) -> Result<CommandLine, Unread> {
    let Read {
        mut program,
        matches,
        given,
    } = read_line(words, &mut Files::default())?;
    given.keep_for_the_process();
    let line = CommandLine::from_arg_matches(&matches);
    line.map_err(|error| Unread::Line(error.format(&mut program)))
}

/// Reads the file again, with the words and the environment as they were. It is kept in `files`.
///
/// # Errors
///
/// Something of it cannot be used now.
pub(crate) fn read_again(given: &Given, files: &mut Files) -> Result<OperatorOptions, Failure> {
    let as_failure = |error: clap::Error| Failure::unusable(Diagnostic::error(blame::in_one_line(&error)));
    let read = read_line(given.words().to_vec(), files).map_err(|unread| match unread {
        Unread::Line(error) => as_failure(error),
        Unread::Given(failure) => failure,
    })?;
    let mut options = OperatorOptions::from_arg_matches(deepest(&read.matches)).map_err(as_failure)?;
    options.given = read.given;
    Ok(options)
}

fn read_line(words: Vec<OsString>, files: &mut Files) -> Result<Read, Unread> {
    let program = CommandLine::command();
    let plain = match program.clone().try_get_matches_from(&words) {
        Ok(matches) => matches,
        // What is missing may be said elsewhere.
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => program
            .clone()
            .ignore_errors(true)
            .try_get_matches_from(&words)
            .map_err(Unread::Line)?,
        Err(error) => return Err(Unread::Line(error)),
    };
    let keys = Keys::of(&program);
    let (command, at) = place_behind_the_command(&program, &words);
    let matches = deepest(&plain);
    let known: Vec<&Key> = keys.in_command(command).collect();
    let typed = known.iter().filter_map(|key| typed(key, matches)).collect();
    if known.is_empty() {
        let given = Given::new(words, None, Vec::new(), typed);
        return Ok(Read {
            program,
            matches: plain,
            given,
        });
    }
    let file = read_file(matches, &keys, files).map_err(Unread::Given)?;
    let settings = settings(&known, &typed, file.as_ref())
        .map_err(|wrong| Unread::Given(Failure::unusable_in(files, wrong)))?;
    let (before, behind) = words.split_at(at);
    let arguments = settings.iter().filter_map(Setting::argument);
    let line = before
        .iter()
        .cloned()
        .chain(arguments)
        .chain(behind.iter().cloned());
    let line: Vec<OsString> = line.collect();
    let matches = program.clone().try_get_matches_from(&line).map_err(|mut error| {
        blame::settings(&mut error, &line, at, &settings);
        Unread::Line(error)
    })?;
    let given = Given::new(words, file, settings, typed);
    Ok(Read {
        program,
        matches,
        given,
    })
}

/// The words of this process without its own name and that of the command: those before the command, and those behind.
pub(crate) fn words_around_the_command() -> (Vec<OsString>, Vec<OsString>) {
    let given = Given::of_the_process();
    let (_, at) = place_behind_the_command(&CommandLine::command(), given.words());
    let (before, behind) = given.words().split_at(at);
    let before = before.iter().skip(1).take(at.saturating_sub(2));
    (before.cloned().collect(), behind.to_vec())
}

/// The values of an option that was typed, if it was.
fn typed(key: &Key, matches: &ArgMatches) -> Option<(String, Vec<OsString>)> {
    if matches.value_source(key.id())? != ValueSource::CommandLine {
        return None;
    }
    let values = matches.get_raw(key.id()).into_iter().flatten();
    Some((key.name().to_owned(), values.map(ToOwned::to_owned).collect()))
}

/// The command that is meant, and the place behind its name.
fn place_behind_the_command<'c>(
    program: &'c clap::Command,
    words: &[OsString],
) -> (&'c clap::Command, usize) {
    let (mut command, mut at) = (program, 0);
    // Before a command stand at most those options that are for all of them.
    let before: Vec<_> = program.get_arguments().cloned().collect();
    while command.has_subcommands() {
        let level = clap::Command::new("outport")
            .disable_help_flag(true)
            .disable_help_subcommand(true)
            .args(&before)
            .allow_external_subcommands(true)
            .ignore_errors(true);
        let rest = [OsString::new()]
            .into_iter()
            .chain(words.iter().skip(at.max(1)).cloned());
        let Ok(matches) = level.try_get_matches_from(rest) else {
            break;
        };
        let Some((name, behind)) = matches.subcommand() else {
            break;
        };
        let Some(below) = command.find_subcommand(name) else {
            break;
        };
        let behind = behind.get_raw("").map_or(0, Iterator::count);
        (command, at) = (below, words.len() - behind);
    }
    (command, at)
}

fn deepest(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, below)) => deepest(below),
        None => matches,
    }
}

/// The file that `--config` names, or its variable.
fn read_file(
    matches: &ArgMatches,
    keys: &Keys,
    files: &mut Files,
) -> Result<Option<ConfigurationFile>, Failure> {
    let typed = matches.get_one::<PathBuf>("config").cloned();
    let named = match (typed, variable(VARIABLE)) {
        (Some(path), _) => {
            let name = "--config".into();
            Some((path, Location::Option { name }))
        }
        (None, Some(path)) => Some((path.into(), location_of(VARIABLE))),
        (None, None) => None,
    };
    let Some((path, location)) = named else {
        return Ok(None);
    };
    let read = ConfigurationFile::read(&path, location, keys, files);
    read.map(Some).map_err(|wrong| Failure::unusable_in(files, wrong))
}

/// The variable that names the file.
const VARIABLE: &str = "OUTPORT_CONFIG";

/// What counts of all that is said beside the command line, in the order in which it could be typed.
///
/// # Errors
///
/// What of the environment counts and cannot be used.
fn settings(
    known: &[&Key],
    typed: &[(String, Vec<OsString>)],
    file: Option<&ConfigurationFile>,
) -> Result<Vec<Setting>, Vec<Diagnostic>> {
    let (mut settings, mut wrong) = (Vec::new(), Vec::new());
    for key in known {
        let is_typed = typed.iter().any(|(name, _)| name == key.name());
        if is_typed && key.shape() != Shape::List {
            continue;
        }
        let of_environment = environment::settings(key, is_typed).unwrap_or_else(|unusable| {
            wrong.push(unusable);
            Vec::new()
        });
        let counts_alone = key.shape() != Shape::List && !of_environment.is_empty();
        let of_file = file.filter(|_| !counts_alone);
        let of_file = of_file.into_iter().flat_map(|file| file.settings(key).cloned());
        settings.extend(of_file.chain(of_environment));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let is_there = |name: &str| {
        typed.iter().any(|(typed, _)| typed == name)
            || settings.iter().any(|setting| setting.option() == name)
    };
    let in_vain: Vec<&str> = known
        .iter()
        .filter(|key| key.needs().is_some_and(|needed| !is_there(needed)))
        .map(|key| key.name())
        .collect();
    settings.retain(|setting| !in_vain.contains(&setting.option()));
    Ok(settings)
}

#[cfg(test)]
mod tests;
