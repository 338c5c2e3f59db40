//! Questions on the terminal, on standard error. Whoever answers Ctrl-C or Esc wants nothing of it.

use dialoguer::console::Term;
use dialoguer::{Input, Select};

use super::answers::check_reserved;
use crate::failure::Failure;
use crate::templates::project_name::ProjectName;
use crate::templates::{ALL, Template, lines};

/// There is no answer.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped;

pub(super) fn template() -> Result<&'static Template, Failure> {
    let lines: Vec<String> = lines().collect();
    let menu = Select::new().with_prompt("Template").items(&lines).default(0);
    let chosen = answered(menu.interact_opt())?;
    chosen
        .and_then(|index| ALL.get(index))
        .ok_or_else(|| Failure::Broken(Stopped.into()))
}

pub(super) fn name(likely: Option<ProjectName>, template: &Template) -> Result<ProjectName, Failure> {
    let likely = likely.map(|name| name.to_string());
    let text = ask("Name", likely.as_deref(), |text| {
        let name = text.parse::<ProjectName>().map_err(|error| error.to_string())?;
        match check_reserved(&name, template) {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("`{name}` is reserved in the language")),
        }
    })?;
    // It was read a moment ago.
    text.parse().map_err(|_| Failure::Broken(Stopped.into()))
}

pub(super) fn text(
    prompt: &str,
    default: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    ask(prompt, Some(default), check)
}

fn ask(
    prompt: &str,
    default: Option<&str>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    let mut input = Input::<String>::new()
        .with_prompt(prompt)
        .validate_with(|text: &String| check(text.trim()));
    if let Some(default) = default {
        input = input.default(default.to_owned()).allow_empty(default.is_empty());
        // An empty one would be shown as brackets around nothing.
        input = input.show_default(!default.is_empty());
    }
    answered(input.interact_text()).map(|text| text.trim().to_owned())
}

/// A menu hides the cursor.
pub(super) fn leave_the_terminal() {
    let terminal = Term::stderr();
    if terminal.is_term() {
        let _ = terminal.show_cursor();
    }
}

/// The answer. Without one the terminal is left as it was.
fn answered<T>(answer: dialoguer::Result<T>) -> Result<T, Failure> {
    answer.map_err(|dialoguer::Error::IO(error)| {
        leave_the_terminal();
        match error.kind() {
            std::io::ErrorKind::Interrupted | std::io::ErrorKind::UnexpectedEof => {
                Failure::Broken(Stopped.into())
            }
            _ => Failure::Broken(anyhow::Error::new(error).context("the terminal cannot be read")),
        }
    })
}
