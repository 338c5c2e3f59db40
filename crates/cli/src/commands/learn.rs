//! `outport learn`: the least list of hosts that a program needs, from a run of it or from an audit log.
//!
//! ```text
//! --allow-any-host: up, run or serve, with lists open and a sink (learner.rs) ─┐
//! --from LOG…:      lines of logs (logs.rs) ───────────────────────────────────┴─► Seen
//!                       spin.toml as it was read before (lists.rs) ──► Comparison of each list
//!                                                                          │
//!                       people, JSON, a diff, or the manifest written ◄────┘
//! ```
//!
//! What it means for a list to be least, and what is never proposed, is in [`outport_check::learn`].
//!
//! A run is a run of the guests with their lists open, so somebody has to mean it: by `--allow-any-host`, which no file and no
//! variable of the environment can give, and not where `CI` is set. The process that runs guests cannot write the manifest
//! afterwards, since the kernel keeps it from that: another one does, which was started before.

mod answer;
mod human;
mod lists;
mod logs;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use outport_check::Diagnostic;
use outport_check::learn::{Comparison, Fold, Seen, learn_json};
use outport_manifest::ComponentId;
use outport_policy::text;
use outport_runtime::cache::CompiledCode;
use outport_runtime::component::Export;
use outport_runtime::inspection::Inspection;
use similar::TextDiff;

use self::answer::Answer;
use self::lists::Lists;
use super::single::FromOptions;
use super::up::component_id;
use super::{run, serve, up};
use crate::app_options::{AppOptions, is_webassembly};
use crate::appearance::Appearance;
use crate::author_options::AuthorOptions;
use crate::failure::Failure;
use crate::files::Files;
use crate::learner::Learner;
use crate::limit_options::LimitOptions;
use crate::manifest_writer::{self, Change, ManifestWriter};
use crate::operator_options::OperatorOptions;
use crate::service::ServiceOptions;
use crate::terminal::Terminal;

/// Propose the least list of hosts that a program needs.
///
/// With `--allow-any-host` it runs the app that a `spin.toml` describes, or one component with its arguments, while its lists
/// are open: until its commands have ended, or Ctrl-C. With `--from` it reads audit logs, and runs nothing. Then it says which
/// entries are needed, what needs them, and which entries were never used.
///
/// Hard limits, `--disallowed-outbound-hosts`, runtime limits and quotas hold while it learns; what they refuse is told, and
/// nothing is proposed for it. It does not run where `CI` is set in the environment.
#[derive(Debug, Args)]
#[command(
    override_usage = "outport learn --allow-any-host [-f DIR_OR_FILE] [OPTIONS]\n       \
                      outport learn --allow-any-host [OPTIONS] COMPONENT.wasm [ARG]...\n       \
                      outport learn --from AUDIT-LOG [-f DIR_OR_FILE] [OPTIONS]",
    mut_arg("from", |from| from.long("app"))
)]
pub(crate) struct Options {
    /// The same as `-f`; or a component without a manifest, with its arguments
    #[arg(value_names = ["COMPONENT.wasm", "ARG"], trailing_var_arg = true)]
    program: Vec<String>,

    /// Open the list of every component while it runs: any host is reached that nothing else refuses
    #[arg(long)]
    allow_any_host: bool,

    /// Learn from this audit log, which may be compressed, instead of running anything; `-` is standard input
    #[arg(long = "from", value_name = "AUDIT-LOG", conflicts_with_all = ["allow_any_host", "program"])]
    logs: Vec<PathBuf>,

    /// Show the change of `spin.toml` as a diff, and write nothing
    #[arg(long, conflicts_with_all = ["write", "format"])]
    diff: bool,

    /// Write what is missing to `spin.toml`; comments and order stay
    #[arg(long)]
    write: bool,

    /// Take out what was never used, and put the least entries in place of wider ones
    #[arg(long)]
    prune: bool,

    /// Put entries together that let in more than was used: three names or more below one parent to a wildcard, or addresses
    /// to a network
    #[arg(long, value_enum, value_name = "WHAT")]
    fold: Vec<FoldWhat>,

    /// Format of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(flatten)]
    app: AppOptions,

    /// Run only this component of the app; may be given several times
    #[arg(long, value_name = "ID", value_parser = component_id)]
    component: Vec<ComponentId>,

    /// Print the components' output as it is, without `[COMPONENT]` before each line
    #[arg(long)]
    no_output_prefix: bool,

    /// Build the app first, as `outport build` does
    #[arg(long)]
    build: bool,

    #[command(flatten)]
    service: ServiceOptions,

    #[command(flatten)]
    author: AuthorOptions,

    #[command(flatten)]
    operator: OperatorOptions,

    #[command(flatten)]
    limits: LimitOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FoldWhat {
    /// `a.example.com`, `b.example.com`, `c.example.com` to `*.example.com`
    Names,
    /// `10.0.0.4`, `10.0.0.7` to `10.0.0.4/30`, no wider than a /24, or a /64 of IPv6
    Networks,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// `docs/schema/learn.json`
    Json,
}

/// How the result is asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    fold: Fold,
    format: Format,
    prune: bool,
    then: Then,
}

/// What is done with the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Show,
    Diff,
    Write,
}

pub(super) fn learn(options: Options, terminal: Terminal) -> Result<i32, Failure> {
    let wanted = options.wanted();
    if !options.logs.is_empty() {
        return options.of_logs(wanted, terminal);
    }
    options.refuse_to_run()?;
    match options.program.split_first() {
        Some((path, _)) if is_webassembly(Path::new(path)) => options.component(wanted, terminal),
        Some((app, [argument, ..])) => Err(unexpected(app, argument)),
        _ => options.app(wanted, terminal),
    }
}

fn unexpected(app: &str, argument: &str) -> Failure {
    let error = Diagnostic::error(format!("unexpected argument `{}`", text::quote(argument)));
    Failure::unusable(if argument.starts_with('-') {
        error.helped_by(format!("write options before `{}`", text::quote(app)))
    } else {
        error.helped_by("only a component, a file of WebAssembly, has arguments")
    })
}

impl Options {
    fn wanted(&self) -> Wanted {
        Wanted {
            fold: Fold {
                names: self.fold.contains(&FoldWhat::Names),
                networks: self.fold.contains(&FoldWhat::Networks),
            },
            format: self.format,
            prune: self.prune,
            then: match (self.diff, self.write) {
                (true, _) => Then::Diff,
                (_, true) => Then::Write,
                _ => Then::Show,
            },
        }
    }

    /// Refuses to run anything that nobody has meant to run with its list open.
    fn refuse_to_run(&self) -> Result<(), Failure> {
        if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
            let error =
                Diagnostic::error("nothing is run to learn from where `CI` is set: its lists would be open");
            return Err(Failure::unusable(error.helped_by(
                "learn on a machine of your own, or from the audit log of a run: `outport learn --from FILE`",
            )));
        }
        if self.allow_any_host {
            return Ok(());
        }
        let error = Diagnostic::error(
            "to learn from a run the lists of hosts are opened for it, which has to be meant",
        );
        Err(Failure::unusable(error.helped_by(
            "give `--allow-any-host` for that, or `--from FILE` to learn from an audit log and run nothing",
        )))
    }

    /// Learns from logs.
    fn of_logs(self, wanted: Wanted, terminal: Terminal) -> Result<i32, Failure> {
        let seen = logs::read(&self.logs, terminal)?;
        let app = self.app.pulled(&self.operator.loading, terminal)?;
        let lists = if app.manifest_file().exists() || wanted.then != Then::Show {
            Lists::of_app(&app, &self.component, wanted.then)?
        } else {
            Lists::of_nothing()
        };
        let write = |change: &Change| manifest_writer::write(&app.manifest_file(), change);
        conclude(&lists, &seen, (wanted, Answer::alone()), write, terminal)?;
        Ok(0)
    }

    /// Learns from a run of an app.
    fn app(self, wanted: Wanted, terminal: Terminal) -> Result<i32, Failure> {
        if let Some(option) = self.author.instead_of_a_manifest() {
            let error = Diagnostic::error(format!("`{option}` is for a component without a manifest"));
            return Err(Failure::unusable(
                error.helped_by("write it to the app's `spin.toml`"),
            ));
        }
        let app = self.app.at(self.program.first().map(Path::new));
        let app = app.pulled(&self.operator.loading, terminal)?;
        let lists = Lists::of_app(&app, &self.component, wanted.then)?;
        let writer = match wanted.then {
            Then::Write => Some(ManifestWriter::start(&app.manifest_file())?),
            Then::Show | Then::Diff => None,
        };
        let learner = Arc::new(Learner::default());
        let operator = learning(self.operator, &learner);
        let mut up = up::Options::by_hand(
            app,
            (self.author.variables(), self.no_output_prefix),
            self.service,
            operator,
            self.limits,
        );
        (up.component, up.build) = (self.component, self.build);
        say_that_lists_are_open(terminal);
        let answer = Answer::kept_from_guests()?;
        let status = up::up(&up, terminal)?;
        let wanted = wanted.after(status, terminal);
        let write = |change: &Change| match writer {
            Some(writer) => writer.write(change),
            None => Ok(()),
        };
        conclude(&lists, &learner.finish(), (wanted, answer), write, terminal)?;
        Ok(status)
    }

    /// Learns from a run of a component that has no manifest.
    fn component(self, wanted: Wanted, terminal: Terminal) -> Result<i32, Failure> {
        let path = PathBuf::from(self.program.first().map(String::as_str).unwrap_or_default());
        if wanted.then != Then::Show {
            let error = Diagnostic::error("a component without a manifest has no `spin.toml` to change");
            return Err(Failure::unusable(error.helped_by(
                "leave `--write` and `--diff` out: the options that it needs are printed",
            )));
        }
        let lists = Lists::of_component(&path, self.author.entries()?);
        let learner = Arc::new(Learner::default());
        let operator = learning(self.operator, &learner);
        let from = FromOptions::like(&self.app);
        let rest = (operator, self.limits);
        say_that_lists_are_open(terminal);
        let answer = Answer::kept_from_guests()?;
        let status = if answers_http(&path) {
            let options = serve::Options::of(path, (from, self.service), self.author, rest);
            serve::serve(&options, terminal)?
        } else {
            run::run(run::Options::of(self.program, from, self.author, rest), terminal)?
        };
        let wanted = wanted.after(status, terminal);
        conclude(&lists, &learner.finish(), (wanted, answer), |_| Ok(()), terminal)?;
        Ok(status)
    }
}

/// The operator's options of a run that is learnt from.
fn learning(mut operator: OperatorOptions, learner: &Arc<Learner>) -> OperatorOptions {
    operator.learner = Some(Arc::clone(learner));
    operator
}

/// What cannot be read is for the command to tell that runs it.
fn answers_http(path: &Path) -> bool {
    let Ok(inspection) = Inspection::of_file(path, &CompiledCode::nowhere()) else {
        return false;
    };
    let Ok(description) = inspection.description else {
        return false;
    };
    let mut exports = description.exports.iter();
    let exports: Vec<Export> = exports
        .by_ref()
        .filter_map(|export| Export::of(export.mapped.as_ref().unwrap_or(&export.name)))
        .collect();
    !exports.iter().any(|export| export.runs_as_command())
        && exports.iter().any(|export| export.answers_http())
}

fn say_that_lists_are_open(terminal: Terminal) {
    let warning = Diagnostic::warning(
        "LEARNING: while this runs, every component may reach ANY HOST that nothing but its own list refuses",
    );
    let warning = warning.helped_by(
        "run so only what you would trust with all of your network; Ctrl-C ends a server, and then the list is proposed",
    );
    terminal.show(&warning, &Files::default());
    if terminal.is_quiet() {
        terminal.insist("warning: lists of hosts are open while this runs");
    }
}

impl Wanted {
    /// What is wanted of a run that ended so. One that failed has not shown what is never used.
    fn after(mut self, status: i32, terminal: Terminal) -> Self {
        if status == 0 {
            return self;
        }
        terminal.say(&format!(
            "The run ended with status {status}: what it would have done after that is not in the list"
        ));
        if self.prune {
            say_that_nothing_is_pruned("the run did not end well", terminal);
            self.prune = false;
        }
        self
    }
}

fn say_that_nothing_is_pruned(why: &str, terminal: Terminal) {
    let warning = Diagnostic::warning(format!("nothing is taken out of a list, since {why}"));
    terminal.show(&warning, &Files::default());
}

/// Why what was seen does not tell what is never used, if it does not.
fn why_not_pruned(seen: &Seen) -> Option<&'static str> {
    if !seen.is_complete() {
        return Some("not all is known of what was used");
    }
    let is_nothing = seen.lists().next().is_none();
    let says_nothing = is_nothing && seen.refusals().next().is_none();
    if !seen.has_permits() && !says_nothing {
        return Some("only refusals were seen: a log of `--audit-denials` does not say what is used");
    }
    // It may be another file than the one that was meant, or a server that nobody called.
    is_nothing.then_some("nothing was seen to use a host")
}

/// Says, shows or writes what comes of it.
fn conclude(
    lists: &Lists,
    seen: &Seen,
    (mut wanted, mut answer): (Wanted, Answer),
    write: impl FnOnce(&Change) -> Result<(), Failure>,
    terminal: Terminal,
) -> Result<(), Failure> {
    if wanted.prune
        && let Some(why) = why_not_pruned(seen)
    {
        say_that_nothing_is_pruned(why, terminal);
        wanted.prune = false;
    }
    let comparisons = lists.compare(seen, wanted.fold);
    match wanted.then {
        Then::Show => {
            answer.write(&shown(lists, &comparisons, seen, wanted))?;
            if lists.have_a_manifest() {
                terminal.say("Nothing was written: `--diff` shows what `--write` writes");
            }
        }
        Then::Diff => {
            let change = lists.change(&comparisons, wanted.prune, terminal)?;
            answer.write(&diff(lists, &change))?;
        }
        Then::Write => {
            let change = lists.change(&comparisons, wanted.prune, terminal)?;
            answer.write(&shown(lists, &comparisons, seen, wanted))?;
            let name = text::path(lists.path()).to_string();
            if change.before == change.after {
                terminal.say(&format!("`{name}` needs no change"));
            } else {
                write(&change)?;
                terminal.say(&format!("`{name}` was changed"));
            }
        }
    }
    lists.warn_of_strangers(seen, terminal);
    human::warn_of_gaps(seen, terminal);
    Ok(())
}

fn shown(lists: &Lists, comparisons: &[Comparison<'_>], seen: &Seen, wanted: Wanted) -> String {
    match wanted.format {
        Format::Json => learn_json(comparisons, seen),
        Format::Human => {
            let colours = Appearance::of_standard_output().colours;
            human::Report {
                lists,
                comparisons,
                seen,
                prune: wanted.prune,
                is_written: wanted.then == Then::Write,
                colours,
            }
            .to_string()
        }
    }
}

/// The change as `diff -u` has it.
fn diff(lists: &Lists, change: &Change) -> String {
    // Whoever made the folder chose its name.
    let name = text::path(lists.path());
    TextDiff::from_lines(&change.before, &change.after)
        .unified_diff()
        .header(&format!("a/{name}"), &format!("b/{name}"))
        .to_string()
}
