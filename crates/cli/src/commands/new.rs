//! `outport new`: a new app, from a template inside the program.
//!
//! ```text
//! options ─► questions, on a terminal ─► Values ─► templates ─► a folder, as a whole or not at all
//! ```
//!
//! The template and the name have to be given, or answered to a question; the rest has defaults. What is wrong is told before
//! anything is written. There is no repository made of it, and nothing is fetched or built.

pub(super) mod answers;
mod questions;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use answers::{Answers, Asker};
use clap::Args;
use outport_check::Diagnostic;
use outport_policy::text;

use crate::failure::Failure;
use crate::templates::project_name::ProjectName;
use crate::templates::{self, Start, Template, placement};
use crate::terminal::Terminal;

/// Make a new app from a template.
///
/// The templates are inside the program: nothing is fetched, and nothing is run. On a terminal what is missing is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The template; `--list` shows them all
    #[arg(value_name = "TEMPLATE", value_parser = templates::parser(), hide_possible_values = true)]
    template: Option<&'static Template>,

    /// The name of the app and of its component: words in lower case with `-` between them
    #[arg(value_name = "NAME")]
    name: Option<ProjectName>,

    /// Show the templates, and make nothing
    #[arg(long, conflicts_with_all = ["template", "name", "output"])]
    list: bool,

    /// Make it in this directory, which is not there yet or empty, instead of one of its name
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,

    #[command(flatten)]
    answers: Answers,
}

pub(super) fn new(options: Options, terminal: Terminal) -> Result<i32, Failure> {
    if options.list {
        let lines: String = templates::lines().map(|line| line + "\n").collect();
        io::stdout().write_all(lines.as_bytes())?;
        return Ok(0);
    }
    let asker = Asker::new(&options.answers)?;
    let made = asker.unless_stopped(make(&options, &asker));
    let Some((folder, template)) = made? else {
        return Ok(STOPPED);
    };
    say_what_comes_next(terminal, template, &folder);
    Ok(0)
}

/// As a shell tells of Ctrl-C.
pub(super) const STOPPED: i32 = 130;

fn make(options: &Options, asker: &Asker) -> Result<(PathBuf, &'static Template), Failure> {
    let template = asker.template(options.template, "outport new TEMPLATE NAME")?;
    let named = options.output.as_deref().and_then(name_of_directory);
    let name = asker.name(options.name.as_ref(), named, template)?;
    let folder = options
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(name.as_str()));
    placement::check_free(&folder)?;
    let values = options
        .answers
        .values(template, name, templates::WHOLE_APP, asker)?;
    let files = template.render(&values);
    asker.begin_to_write();
    placement::write_folder(&folder, &files)?;
    Ok((folder, template))
}

/// The name that a directory has, if an app may have it.
pub(super) fn name_of_directory(folder: &Path) -> Option<ProjectName> {
    let folder = std::path::absolute(folder).ok()?;
    ProjectName::like(folder.file_name()?.to_str()?)
}

fn say_what_comes_next(terminal: Terminal, template: &Template, folder: &Path) {
    terminal.say(&format!(
        "Made {} in `{}`. Next:",
        template.summary,
        text::path(folder)
    ));
    if folder != Path::new(".") {
        terminal.say(&format!("  cd {}", in_a_shell(folder)));
    }
    say_how_to_run(terminal, template);
}

pub(super) fn say_how_to_run(terminal: Terminal, template: &Template) {
    terminal.say("  outport build");
    terminal.say("  outport up");
    if template.start == Start::Http {
        terminal.say("and ask it at the address that `up` shows.");
    }
}

/// The path as a shell reads it.
fn in_a_shell(path: &Path) -> String {
    let shown = text::path(path).to_string();
    let is_plain = shown
        .chars()
        .all(|c| c.is_alphanumeric() || "/-_.+,:@%".contains(c));
    match is_plain && !shown.starts_with('-') {
        true => shown,
        false if shown.starts_with('-') => format!("-- '{}'", shown.replace('\'', r"'\''")),
        false => format!("'{}'", shown.replace('\'', r"'\''")),
    }
}

/// The error of something that has to be given where nobody can be asked.
pub(super) fn missing(what: &str, usage: &str) -> Failure {
    let error = Diagnostic::error(format!(
        "{what} is missing, and there is no terminal to ask for it"
    ));
    Failure::unusable(error.helped_by(format!("write it: `{usage}`")))
}
