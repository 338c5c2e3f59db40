//! `outport man`: the manual as pages for man(1), made of the same options that the command line is read by.
//!
//! ```text
//! CommandLine ─┬─ outport.1           with the environment and the files of all commands
//!              ├─ outport-up.1        NAME, SYNOPSIS, DESCRIPTION, OPTIONS, from what `--help` says …
//!              ├─ outport-trigger.1   … and EXIT STATUS, SEE ALSO, from man/sections.rs
//!              └─ outport-trigger-cron.1, …
//! ```
//!
//! Who makes a package runs it, and who installed by cargo may; it is not a command of every day, and neither `--help` nor
//! a completion script names it.

mod sections;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::Roff;

use crate::CommandLine;
use crate::failure::Failure;

/// Write the manual, a page for each command, into a directory.
///
/// To read it with man(1): `outport man ~/.local/share/man/man1`
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct Options {
    /// The directory, which is made if it is not there.
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// The day that the pages are of, as in 2026-03-01; none, unless it is given.
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true, value_parser = date)]
    date: String,
}

/// A day, as far as it can do no harm in a page.
fn date(text: &str) -> Result<String, &'static str> {
    let is_date = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_date
        .then(|| text.to_owned())
        .ok_or("it is not a date such as 2026-03-01")
}

pub(super) fn man(options: &Options) -> Result<i32, Failure> {
    let directory = &options.directory;
    fs::create_dir_all(directory)
        .with_context(|| format!("the directory `{}` cannot be made", directory.display()))?;
    for Page { name, text } in pages(&options.date) {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    Ok(0)
}

/// A page of the manual.
struct Page {
    /// Its file: `outport-up.1`.
    name: String,
    /// What troff(1) makes the page of.
    text: String,
}

/// The manual, in the order of the commands.
fn pages(date: &str) -> Vec<Page> {
    let mut line = CommandLine::command().disable_help_subcommand(true);
    line.build();
    let mut all = Vec::new();
    collect(&line, &mut all);
    let names: Vec<_> = all.iter().map(title).collect();
    all.iter().map(|command| page(command, date, &names)).collect()
}

/// A command and those below it, but for what is hidden.
fn collect(command: &clap::Command, all: &mut Vec<clap::Command>) {
    all.push(command.clone());
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        collect(below, all);
    }
}

/// The name of a command's page: `outport-trigger-cron`.
fn title(command: &clap::Command) -> String {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned()
}

fn page(command: &clap::Command, date: &str, all: &[String]) -> Page {
    let title = title(command);
    let version = command.get_version().unwrap_or_default();
    // Not the list of all options, which the page has anyhow.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let man = Man::new(command.clone().override_usage(usage));
    let mut text = Vec::new();
    let written = man.render_name_section(&mut text).and_then(|()| {
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut text)?;
        }
        man.render_options_section(&mut text)
    });
    written.expect("memory can be written to");
    let text = String::from_utf8(text).expect("what clap has is text");
    let mut roff = Roff::default();
    sections::after_the_options(&mut roff, &title, all);
    // Not by `render_title`, which leaves out what is empty, so that the rest moves up.
    let heading = format!(
        ".TH {} 1 \"{date}\" \"Outport {version}\" \"Outport Manual\"\n",
        title.to_uppercase()
    );
    Page {
        name: format!("{title}.1"),
        text: with_code_in_bold(&format!("{heading}{text}{}", roff.to_roff())),
    }
}

/// What stands between backticks is set in bold: troff makes quotation marks of them.
fn with_code_in_bold(page: &str) -> String {
    let lines = page.lines().map(|line| {
        let parts: Vec<_> = line.split('`').collect();
        let is_paired = parts.len() % 2 == 1;
        if !is_paired {
            return line.replace('`', r"\(ga");
        }
        let parts = parts.iter().enumerate();
        parts
            .map(|(index, part)| match index % 2 {
                0 => (*part).to_owned(),
                _ => format!(r"\fB{part}\fR"),
            })
            .collect()
    });
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests;
