//! The place of what is wrong, where a message knows the option alone: what was said by a file or a variable is not looked
//! for on the command line.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue};
use outport_check::Diagnostic;
use outport_policy::Location;

use super::given::Given;
use super::setting::Setting;
use crate::CommandLine;
use crate::failure::Failure;

/// Names the places of settings in an error of the parser of `line`, in which they stand from `at` on: those without which
/// there would be another error, or none.
pub(super) fn settings(error: &mut clap::Error, line: &[OsString], at: usize, settings: &[Setting]) {
    let shown = error.to_string();
    let arguments: Vec<&Setting> = settings
        .iter()
        .filter(|setting| setting.argument().is_some())
        .collect();
    let involved = arguments.iter().enumerate().filter(|(number, _)| {
        let mut without = line.to_vec();
        without.remove(at + number);
        let again = CommandLine::command().try_get_matches_from(without);
        again.map_or_else(|again| again.to_string() != shown, |_| true)
    });
    let told: Vec<_> = involved
        .map(|(_, setting)| {
            format!(
                "`--{}` is said by {}",
                setting.option(),
                place(setting.location())
            )
            .into()
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
    let text = error.to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or(&text);
    let words: Vec<&str> = text.trim_start_matches("error: ").split_whitespace().collect();
    words.join(" ")
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
    let Some(option) = named.filter(|option| !given.is_typed(option)) else {
        return diagnostic;
    };
    let settings = given
        .settings(&option)
        .filter(|setting| setting.argument().is_some());
    let places: Vec<&Location> = settings.map(Setting::location).collect();
    if let [place, others @ ..] = places.as_slice() {
        diagnostic.location = Some((*place).clone());
        let others = others
            .iter()
            .map(|other| ((*other).clone(), "or here".to_owned()));
        diagnostic.related.extend(others);
    }
    diagnostic
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
