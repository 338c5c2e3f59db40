//! `outport run`: one component that exports `wasi:cli/run`, without a manifest.
//!
//! Everything runs on one thread, which is what keeps a guest's network as quick as a native program's.

use std::io::{self, IsTerminal};
use std::path::Path;

use clap::Args;
use outport_check::Diagnostic;
use outport_policy::text;
use outport_runtime::command::{Command, CommandError};
use outport_runtime::component::Export;
use outport_runtime::engine::Allocation;
use outport_runtime::guest_env::{GuestEnv, Input};
use outport_runtime::stdio::WhenFull;

use super::TRAPPED;
use super::single::{FromOptions, HANDLES_EVENTS, link, load, name, refused, review, state};
use crate::asking::AskOptions;
use crate::author_options::AuthorOptions;
use crate::failure::Failure;
use crate::files::Files;
use crate::limit_options::LimitOptions;
use crate::operator_options::OperatorOptions;
use crate::reference_options::names_an_artifact;
use crate::startup::{Needs, Startup};
use crate::terminal::Terminal;

/// Run one component, without a manifest.
///
/// The exit status is the guest's own; 134 if it traps.
#[derive(Debug, Args)]
#[command(override_usage = "outport run [OPTIONS] COMPONENT.wasm [ARG]...")]
pub(crate) struct Options {
    /// The component, a file or a reference such as `ghcr.io/me/tool:1.0`, which exports `wasi:cli/run`, or a module with
    /// `_start`, and its arguments
    #[arg(value_names = ["COMPONENT.wasm", "ARG"], required = true, trailing_var_arg = true)]
    component_and_arguments: Vec<String>,

    #[command(flatten)]
    from: FromOptions,

    #[command(flatten)]
    author: AuthorOptions,

    #[command(flatten)]
    ask: AskOptions,

    #[command(flatten)]
    operator: OperatorOptions,

    #[command(flatten)]
    limits: LimitOptions,
}

impl Options {
    /// Those of a component that another command runs.
    pub(super) fn of(
        component_and_arguments: Vec<String>,
        from: FromOptions,
        author: AuthorOptions,
        (operator, limits): (OperatorOptions, LimitOptions),
    ) -> Self {
        Self {
            component_and_arguments,
            from,
            author,
            // Its lists are open: there is nothing to ask about.
            ask: AskOptions::default(),
            operator,
            limits,
        }
    }
}

/// An option of the operator's behind the component is the guest's argument, and does nothing here. Nobody should take code
/// for verified because of one.
fn warn_of_own_options(path: &str, arguments: &[String], terminal: Terminal) -> Result<(), Failure> {
    for option in own_options_in(arguments) {
        let said =
            format!("`{option}` behind the component is an argument of the guest, and does nothing here");
        let help = format!("to have it count write it before `{}`", text::quote(path));
        let decides_about_code = ["--verify-key", "--require-digest"].contains(&option.as_str());
        if decides_about_code && names_an_artifact(Path::new(path))? {
            let help = format!("{help}; for the guest it stands behind `--`");
            return Err(Failure::unusable(Diagnostic::error(said).helped_by(help)));
        }
        terminal.show_all(&[Diagnostic::warning(said).helped_by(help)], &Files::default());
    }
    Ok(())
}

/// The operator's options among the arguments of a guest, up to a `--`.
fn own_options_in(arguments: &[String]) -> Vec<String> {
    let command = FromOptions::augment_args(OperatorOptions::augment_args(clap::Command::new("run")));
    let own: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let names = arguments.iter().take_while(|argument| *argument != "--");
    let names = names.filter_map(|argument| argument.split('=').next()?.strip_prefix("--"));
    let mut found: Vec<String> = Vec::new();
    for name in names.filter(|name| own.contains(name)) {
        let option = format!("--{name}");
        if !found.contains(&option) {
            found.push(option);
        }
    }
    found
}

pub(super) fn run(options: Options, terminal: Terminal) -> Result<i32, Failure> {
    let mut startup = Startup::begin(&options.operator, terminal)?;
    startup.ask(&options.ask, None)?;
    let (path, arguments) = options
        .component_and_arguments
        .split_first()
        .expect("the command line has a component");
    warn_of_own_options(path, arguments, terminal)?;
    let loading = &options.operator.loading;
    let file = options.from.file(Path::new(path), loading, terminal)?;
    let entries = options.author.entries()?;
    let name = name(&file.named);
    review(&name, &entries, &startup)?;
    let state = state(&options.operator.state, &options.author, &startup)?;
    state
        .lines()
        .for_each(|(label, leads_to)| terminal.mention(&format!("{label}: {leads_to}")));
    if let Some(proxies) = &startup.settings.egress_proxies {
        terminal.mention(&format!("Egress proxy: {proxies}"));
    }

    let stores = state.directories()?;
    let directories = options.author.directories()?;
    let inside = startup.enter_sandbox(Needs {
        directories: directories.list(),
        stores: &stores,
        serves: false,
        admin: None,
        dashboard: None,
        app: None,
        allocation: Allocation::Alone,
        memory: options.limits.of_all(),
        when_full: WhenFull::Wait,
        tell: Terminal::mention,
    })?;
    let component = load(&file.path, &inside.engine)?;
    let ready = inside.open_network()?;
    let platform = state.platform(ready.network.egress())?;
    let mut guest_env = GuestEnv::default();
    guest_env.arguments.push(file_name(&file.named));
    guest_env.arguments.extend_from_slice(arguments);
    guest_env.environment = options.author.environment();
    guest_env.directories = directories.clone();
    guest_env.platform = platform.clone();
    guest_env.input = if options.ask.ask && io::stdin().is_terminal() {
        // What is typed is for whoever asks.
        Input::Empty
    } else {
        Input::Inherited
    };
    let limits = options.limits.of_a_command();
    let guest = link(
        &component,
        (&name, entries, options.author.labels()),
        guest_env,
        limits,
        &ready,
    )?;
    let command = Command::new(guest).map_err(|error| {
        let told = Diagnostic::error(error.to_string());
        let exports: Vec<_> = error
            .exports
            .iter()
            .filter_map(|export| Export::of(export))
            .collect();
        Failure::unusable(if exports.iter().any(|export| export.answers_http()) {
            told.helped_by("a component that answers HTTP runs with `outport serve`")
        } else if exports.iter().any(|export| export.handles_events()) {
            told.helped_by(HANDLES_EVENTS)
        } else {
            told
        })
    })?;
    ready.run(directories.list(), async |mut signals, network| {
        state.fill(&platform).await?;
        let telemetry = network.telemetry();
        telemetry.ready("Running");
        let ended = tokio::select! {
            biased;
            outcome = command.run() => Ok(outcome),
            status = signals.next() => Err(status),
            never = telemetry.manager().keep_watch(async || {}) => match never {},
        };
        let status = match ended {
            Ok(outcome) => {
                let status = status(outcome, terminal)?;
                network.egress().flush();
                signals.unless_written().await.unwrap_or(status)
            }
            Err(stopped) => stopped,
        };
        signals.end_at_once();
        Ok(status)
    })
}

fn status(outcome: Result<i32, CommandError>, terminal: Terminal) -> Result<i32, Failure> {
    match outcome {
        Ok(status) => Ok(status),
        Err(error @ CommandError::NoMemory { .. }) => Err(refused(error)),
        Err(error) => {
            let told = if terminal.is_verbose() {
                format!("{error:#}")
            } else {
                error.to_string()
            };
            terminal.show(&Diagnostic::error(told), &Files::default());
            Ok(TRAPPED)
        }
    }
}

/// A program's argument 0.
fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_operators_behind_the_component_are_found() {
        let rows: [(&[&str], &[&str]); 6] = [
            (&["--verify-key", "key.pub"], &["--verify-key"]),
            (&["x", "--require-digest"], &["--require-digest"]),
            (
                &["--disallowed-outbound-hosts=*://*:*"],
                &["--disallowed-outbound-hosts"],
            ),
            (&["--", "--verify-key", "key.pub"], &[]),
            (&["verify-key", "-v", "--other", "--"], &[]),
            (&[], &[]),
        ];
        for (arguments, expected) in rows {
            let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
            assert_eq!(own_options_in(&arguments), expected, "{arguments:?}");
        }
    }
}
