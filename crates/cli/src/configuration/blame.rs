//! The place of what is wrong, where a message knows the option alone: what was said by a file or a variable is not looked
//! for on the command line.

use std::ffi::OsString;
use std::path::Path;

use anyhow::anyhow;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue};
use outport_check::Diagnostic;
use outport_policy::{Location, text};

use super::given::Given;
use super::setting::{Setting, Word};
use crate::CommandLine;
use crate::failure::Failure;

/// Names the places of settings in an error of the parser of `line`, in which they stand from `at` on: those without which
/// there would be another error, or none.
///
/// The parser is asked once for each option, not for each item of a list.
pub(super) fn settings(error: &mut clap::Error, line: &[OsString], at: usize, settings: &[Setting]) {
    let told = in_one_line(error);
    let arguments: Vec<&Setting> = settings
        .iter()
        .filter(|setting| setting.argument().is_some())
        .collect();
    let mut options: Vec<&str> = arguments.iter().map(|setting| setting.option()).collect();
    options.dedup();
    let first_of = |option: &str| arguments.iter().find(|setting| setting.option() == option);
    // Of each list one item, which is as good as many for what excludes or needs an option.
    let without = |left_out: Option<&str>| {
        let (before, behind) = (&line[..at], line.get(at + arguments.len()..).unwrap_or_default());
        let kept = options.iter().filter(|option| Some(**option) != left_out);
        let kept = kept.filter_map(|option| first_of(option)?.argument());
        let line = before.iter().cloned().chain(kept).chain(behind.iter().cloned());
        let again = CommandLine::command().try_get_matches_from(line);
        again.map_or_else(|again| Some(in_one_line(&again)), |_| None)
    };
    if without(None).as_ref() != Some(&told) {
        return;
    }
    let involved = options
        .iter()
        .filter(|option| without(Some(option)).as_ref() != Some(&told));
    let told: Vec<_> = involved
        .filter_map(|option| {
            let place = place(first_of(option)?.location());
            Some(format!("`--{option}` is said by {place}").into())
        })
        .collect();
    if !told.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(told));
    }
}

fn place(location: &Location) -> String {
    match location {
        Location::Environment { variable } => format!("the variable `{variable}`"),
        location => location.to_string(),
    }
}

/// The error of a parser as a sentence.
pub(super) fn in_one_line(error: &clap::Error) -> String {
    let shown = error.to_string();
    let sentence = shown.split("\n\nUsage:").next().unwrap_or(&shown);
    let words: Vec<&str> = sentence
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect();
    words.join(" ")
}

/// The error of listening at the address of an option, without dashes, with the place of that where nobody typed it: the
/// machine does not play along, and a file may be right all the same.
pub(crate) fn not_listened_at(option: &str, error: &str) -> anyhow::Error {
    match Given::of_the_process().location(option) {
        Location::Environment { variable } => anyhow!("{error} (the address is said by `{variable}`)"),
        place @ Location::File { .. } => anyhow!("{error} (the address is said by {place})"),
        Location::Option { .. } | Location::Code => anyhow!("{error}"),
    }
}

/// The failure with the places of what it tells of options.
pub(crate) fn failure(failure: Failure, given: &Given) -> Failure {
    match failure {
        Failure::Unusable {
            diagnostics,
            mut files,
        } => {
            given.keep_file_in(&mut files);
            let diagnostics = diagnostics.into_iter();
            Failure::Unusable {
                diagnostics: diagnostics
                    .map(|diagnostic| with_its_place(diagnostic, given))
                    .collect(),
                files,
            }
        }
        broken @ Failure::Broken(_) => broken,
    }
}

fn with_its_place(mut diagnostic: Diagnostic, given: &Given) -> Diagnostic {
    let named = match &diagnostic.location {
        Some(Location::Option { name }) => name.strip_prefix("--").map(str::to_owned),
        Some(_) => return diagnostic,
        None => option_in(&diagnostic.message),
    };
    let places: Vec<&Location> = match named {
        Some(option) if given.is_typed(&option) => return diagnostic,
        Some(option) => given
            .all()
            .filter(|setting| setting.option() == option)
            .map(Setting::location)
            .collect(),
        None => given
            .all()
            .find(|setting| quotes(&diagnostic.message, setting))
            .map(Setting::location)
            .into_iter()
            .collect(),
    };
    if let [place, others @ ..] = places.as_slice() {
        diagnostic.location = Some((*place).clone());
        let others = others
            .iter()
            .take(MOST_PLACES)
            .map(|other| ((*other).clone(), "or here".to_owned()));
        diagnostic.related.extend(others);
    }
    diagnostic
}

/// Further places of a list that a message names.
const MOST_PLACES: usize = 4;

/// True if a message shows the value of a setting: a file that cannot be opened, an address that nobody may have.
fn quotes(message: &str, setting: &Setting) -> bool {
    match setting.word() {
        Word::Text(value) => message.contains(&format!("`{}`", text::path(Path::new(value)))),
        Word::On | Word::Off => false,
    }
}

/// The first option that a message names: `audit-required` of "`--audit-required` needs …".
fn option_in(message: &str) -> Option<String> {
    let (_, behind) = message.split_once("`--")?;
    let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '-')?;
    Some(behind[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_shows_a_value_is_about_where_it_stands() {
        let place = Location::Environment {
            variable: "OUTPORT_AUDIT_LOG".into(),
        };
        let setting = Setting::new("audit-log", Word::Text("/none/a.jsonl".into()), place.clone());
        let given = Given::new(Vec::new(), None, vec![setting], Vec::new());
        for (message, expected) in [
            (
                "cannot open the audit log `/none/a.jsonl`: no such directory",
                Some(&place),
            ),
            ("`--audit-log` is no file", Some(&place)),
            ("cannot open `/none/a.jsonl.1`", None),
            ("`--sqlite` failed", None),
        ] {
            let placed = with_its_place(Diagnostic::error(message), &given);
            assert_eq!(placed.location.as_ref(), expected, "{message}");
        }
    }

    #[test]
    fn the_option_of_a_message_is_the_first_that_it_names() {
        for (message, option) in [
            ("`--audit-required` needs `--audit-log`", Some("audit-required")),
            ("the file `a` of `--sqlite`", Some("sqlite")),
            ("`--access-log FILE`", Some("access-log")),
            ("there is no file `a`", None),
            ("`--", None),
        ] {
            assert_eq!(option_in(message).as_deref(), option, "{message}");
        }
    }
}
