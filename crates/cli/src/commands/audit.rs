//! `outport audit`: what is in audit logs, for people: who talked to what, what was refused, and why.
//!
//! ```text
//! files ─▶ outport_records: lines, records ─┬─ summary ─▶ human, json, csv
//!                                            ├─ --why ────▶ human, json
//! file ──▶ follow: as it is written ─────────┴─ line by line
//! ```
//!
//! Nothing runs and no option of an operator counts. What is in a file is foreign text: all of it goes through
//! `outport_policy::text`. What cannot be read is told on standard error and makes exit status 2; the rest is told all the same.

mod csv;
mod follow;
mod human;
mod json;
mod line;
mod moment;
mod shown;
mod why;

use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use outport_check::{CodePage, Diagnostic};
use outport_policy::text;
use outport_records::summary::Summary;
use outport_records::why::{Question, Why};
use outport_records::{Code, Destination, Filter, Input, Tally, Verdict as RecordedVerdict, read};
use outport_runtime::descriptors;

use self::moment::{About, Moment};
use self::shown::count;
use crate::appearance::Appearance;
use crate::failure::Failure;
use crate::files::Files;
use crate::terminal::Terminal;

/// Say what audit logs hold: who talked to what, what was refused with the line that would permit it, and what failed.
///
/// Files are those of `--audit-log`, also rotated ones, plain or compressed with gzip or zstd, in any order; `-` is standard
/// input. Destinations are told by name where the log has one.
///
/// Exit status 2 says that a file cannot be read; what can be is told all the same.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Audit logs, plain or compressed; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Only this component; may be given several times
    #[arg(long, value_name = "ID")]
    component: Vec<String>,

    /// Only the instance with this number; may be given several times
    #[arg(long, value_name = "N")]
    instance: Vec<u64>,

    /// Only from this time on: `2026-03-01T09:30:00Z`, the day `2026-03-01`, or `10m`, `2h` or `7d` ago
    #[arg(long, value_name = "TIME", conflicts_with = "why")]
    since: Option<Moment>,

    /// Only up to this time
    #[arg(long, value_name = "TIME", conflicts_with_all = ["why", "follow"])]
    until: Option<Moment>,

    /// Only what was decided so
    #[arg(long, value_name = "VERDICT", value_enum, conflicts_with = "why")]
    verdict: Option<Verdict>,

    /// Only with this reason or error, such as `allow.port`, or `allow.*`; may be given several times
    #[arg(long, value_name = "CODE", conflicts_with = "why")]
    code: Vec<String>,

    /// Only this destination, by name or address: `db.example.com`, `10.0.0.5:5432`, `*.example.com`; may be given several times
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "why", value_parser = moment::destination)]
    destination: Vec<Destination>,

    /// Format of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// As many rows of each kind and component as are shown to people; the others are counted
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,

    /// Say by which look-up, entry and grant an address or name could be reached at a time, or why not:
    /// `10.0.0.5:5432@2026-03-01T09:30:00.125Z`
    #[arg(long, value_name = "ADDRESS@TIME", conflicts_with = "follow")]
    why: Option<About>,

    /// Show each record as it is written, also through rotation, until interrupted
    #[arg(long, short = 'F')]
    follow: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// `docs/schema/audit.json`; with `--follow` the lines of the log
    Json,
    /// A table for spreadsheets
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verdict {
    /// Permitted, and what came of it
    Allow,
    /// Refused
    Deny,
}

pub(super) fn audit(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    let told = options.tell(terminal);
    match told {
        // Whoever read it has seen enough.
        Err(Failure::Broken(error)) if is_closed_pipe(&error) => Ok(0),
        told => told,
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

impl Options {
    fn tell(&self, terminal: Terminal) -> Result<i32, Failure> {
        if self.format == Format::Csv && (self.why.is_some() || self.follow) {
            let error = Diagnostic::error("`--format csv` is a table of all that is in the log");
            return Err(Failure::unusable(error.helped_by(
                "with `--why` and `--follow` there are `--format human` and `--format json`",
            )));
        }
        if self.follow {
            return follow::follow(self, &self.filter(), terminal);
        }
        let inputs: Vec<Input> = self.files.iter().cloned().map(Input::named).collect();
        // All of them are open at once.
        descriptors::raise_limit();
        match &self.why {
            Some(about) => self.tell_why(about, &inputs, terminal),
            None => self.sum_up(&inputs, terminal),
        }
    }

    fn filter(&self) -> Filter {
        Filter {
            components: self.component.clone(),
            instances: self.instance.clone(),
            since: self.since.map(|since| since.from),
            until: self.until.map(|until| until.until),
            verdict: self.verdict.map(|verdict| match verdict {
                Verdict::Allow => RecordedVerdict::Allow,
                Verdict::Deny => RecordedVerdict::Deny,
            }),
            codes: self.code.iter().map(|code| Code::written(code)).collect(),
            destinations: self.destination.clone(),
        }
    }

    fn sum_up(&self, inputs: &[Input], terminal: Terminal) -> Result<i32, Failure> {
        let (mut summary, filter) = (Summary::default(), self.filter());
        let mut unseen = filter.components.clone();
        let tally = read(inputs, |record, _| {
            if let (false, Some(component)) = (unseen.is_empty(), record.component()) {
                unseen.retain(|own| own != component);
            }
            summary.add(&record, &filter);
            ControlFlow::Continue(())
        });
        let status = tell_of(&tally, inputs, terminal);
        if is_something(&tally) {
            self.tell_of_no_match(&unseen, terminal);
        }
        tell_of_lost(summary.lost, terminal);
        let told = match self.format {
            Format::Human => human::human(&summary, self.top as usize, terminal.is_verbose(), colours()),
            Format::Json => json::json(&summary, &tally)?,
            Format::Csv => csv::csv(&summary),
        };
        if is_something(&tally) {
            io::stdout().write_all(told.as_bytes())?;
        }
        Ok(status)
    }

    /// Tells which filters let nothing pass since there is no such thing: an empty answer would be taken for good news.
    fn tell_of_no_match(&self, unseen: &[String], terminal: Terminal) {
        let components = unseen.iter().map(|component| {
            Diagnostic::warning(format!(
                "no record is of a component `{}`",
                text::quote(component)
            ))
        });
        let codes = self.code.iter().filter_map(|code| {
            let meant = CodePage::meant(code).filter(|_| CodePage::of(code).is_none())?;
            let warning = Diagnostic::warning(format!("there is no code `{}`", text::quote(code)));
            Some(warning.helped_by(format!(
                "did you mean `{meant}`? `outport explain --list` lists all"
            )))
        });
        terminal.show_all(&components.chain(codes).collect::<Vec<_>>(), &Files::default());
    }

    fn tell_why(&self, about: &About, inputs: &[Input], terminal: Terminal) -> Result<i32, Failure> {
        let mut why = Why::new(Question {
            host: about.host.clone(),
            port: about.port,
            from: about.moment.from,
            until: about.moment.until,
            components: self.component.clone(),
            instances: self.instance.clone(),
        });
        let tally = read(inputs, |record, _| {
            why.add(&record);
            ControlFlow::Continue(())
        });
        let status = tell_of(&tally, inputs, terminal);
        let answer = why.answer();
        let told = match self.format {
            Format::Human | Format::Csv => why::human(&answer, self.top as usize, colours()),
            Format::Json => why::json(&answer)?,
        };
        if is_something(&tally) {
            io::stdout().write_all(told.as_bytes())?;
        }
        Ok(status)
    }
}

fn colours() -> outport_check::Colours {
    Appearance::of_standard_output().colours
}

/// True unless nothing could be opened at all.
fn is_something(tally: &Tally) -> bool {
    tally.lines > 0 || tally.unreadable.is_empty()
}

/// Tells what could not be read, and answers the exit status.
fn tell_of(tally: &Tally, inputs: &[Input], terminal: Terminal) -> i32 {
    let files = Files::default();
    for (path, problem) in &tally.unreadable {
        let error = Diagnostic::error(format!("`{}` cannot be read: {problem}", text::path(path)));
        terminal.show(&error, &files);
    }
    for path in &tally.named_twice {
        let note = format!(
            "`{}` is a file that was named before; it is read once",
            text::path(path)
        );
        terminal.show(&Diagnostic::note(note), &files);
    }
    for damaged in &tally.first_damaged {
        let (path, problem) = (text::path(&damaged.path), damaged.problem.to_string());
        let warning = format!("{path}:{}: {}", damaged.line, text::terminal(&problem));
        terminal.show(&Diagnostic::warning(warning), &files);
    }
    if tally.damaged > 0 {
        let (damaged, lines) = (count(tally.damaged), count(tally.lines));
        let warning = Diagnostic::warning(format!(
            "{damaged} of {lines} lines are not records of an audit log"
        ));
        let all = tally.damaged == tally.lines;
        let help = if all && inputs.len() == 1 {
            "is it the file of `--audit-log`?"
        } else {
            "they are left out; what they said is missing in what is told"
        };
        terminal.show(&warning.helped_by(help), &files);
    }
    if tally.unreadable.is_empty() { 0 } else { 2 }
}

fn tell_of_lost(lost: u64, terminal: Terminal) {
    if lost > 0 {
        let (were, lines) = if lost == 1 {
            ("was", "line")
        } else {
            ("were", "lines")
        };
        let warning = Diagnostic::warning(format!(
            "{} {lines} {were} lost before they were written: what is told is not all",
            count(lost)
        ));
        let help = "the disk was slower than the guests; with `--audit-required` nothing is done that is not recorded";
        terminal.show(&warning.helped_by(help), &Files::default());
    }
}
