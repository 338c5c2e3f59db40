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

use std::path::{Path, PathBuf};

use answers::{Answers, Asker};
use clap::Args;
use outport_check::Diagnostic;
use outport_policy::text;

use crate::failure::Failure;
use crate::templates::project_name::ProjectName;
use crate::templates::{self, Start, Template, placement};
use crate::terminal::{Terminal, print};

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
        print(&lines)?;
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
    let name = asker.name(options.name.as_ref(), named, template, "outport new")?;
    let folder = options
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(name.as_str()));
    placement::check_free(&folder)?;
    let values = options
        .answers
        .values(template, name, templates::WHOLE_APP, asker)?;
    let files = template.files(&values)?;
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
    if let Some(folder) = in_a_shell(folder).filter(|_| folder != Path::new(".")) {
        terminal.say(&format!("  cd {folder}"));
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

/// The path as a shell reads it. None, if it is not shown as it is typed: it has a control character, or is not UTF-8.
fn in_a_shell(path: &Path) -> Option<String> {
    let typed = path.to_str()?;
    if text::path(path).to_string() != typed {
        return None;
    }
    let is_plain = typed
        .chars()
        .all(|c| c.is_alphanumeric() || "/-_.+,:@%".contains(c));
    let quoted = if is_plain && !typed.is_empty() {
        typed.to_owned()
    } else {
        format!("'{}'", typed.replace('\'', r"'\''"))
    };
    // Otherwise `cd` takes it for an option, and `-` for where it was before.
    let is_option = typed.starts_with('-');
    Some(if is_option { format!("./{quoted}") } else { quoted })
}

/// The error of something that has to be given where nobody can be asked.
pub(super) fn missing(what: &str, usage: &str) -> Failure {
    let error = Diagnostic::error(format!(
        "{what} is missing, and there is no terminal to ask for it"
    ));
    Failure::unusable(error.helped_by(format!("write it: `{usage}`")))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_is_shown_for_a_shell_where_it_can_be_typed() {
        for (path, shown) in [
            ("shop", Some("shop")),
            ("a b", Some("'a b'")),
            ("it's", Some(r"'it'\''s'")),
            ("-a", Some("./-a")),
            ("-", Some("./-")),
            ("- a", Some("./'- a'")),
            ("~", Some("'~'")),
            ("ü", Some("ü")),
            ("a\nb", None),
            ("a\u{1b}[31mb", None),
            ("a\u{202e}b", None),
        ] {
            assert_eq!(in_a_shell(Path::new(path)).as_deref(), shown, "{path:?}");
        }
        assert_eq!(in_a_shell(Path::new(OsStr::from_bytes(b"a\xff"))), None);
    }
}
