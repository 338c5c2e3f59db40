//! `outport run`: one component that exports `wasi:cli/run`, without a manifest.
//!
//! Everything runs on one thread, which is what keeps a guest's network as quick as a native program's.

use std::path::Path;

use clap::Args;
use outport_check::Diagnostic;
use outport_policy::AllowList;
use outport_runtime::GuestLinker;
use outport_runtime::command::{Command, CommandError};
use outport_runtime::component::Component;
use outport_runtime::engine::{Allocation, Engine};
use outport_runtime::guest_env::{GuestEnv, Input};
use outport_runtime::guest_pre::GuestPre;
use outport_runtime::stdio::{self, WhenFull};
use tokio::runtime::Runtime;

use super::TRAPPED;
use super::single::{name, refused, review, unusable};
use crate::author_options::AuthorOptions;
use crate::failure::Failure;
use crate::files::Files;
use crate::limit_options::LimitOptions;
use crate::network::Network;
use crate::operator_options::OperatorOptions;
use crate::signals::{HangUps, StopSignals};
use crate::terminal::Terminal;

/// Run one component, without a manifest.
///
/// The exit status is the guest's own; 134 if it traps.
#[derive(Debug, Args)]
#[command(override_usage = "outport run [OPTIONS] COMPONENT.wasm [ARG]...")]
pub(crate) struct Options {
    /// The component, which exports `wasi:cli/run`, and its arguments
    #[arg(value_names = ["COMPONENT.wasm", "ARG"], required = true, trailing_var_arg = true)]
    component_and_arguments: Vec<String>,

    #[command(flatten)]
    author: AuthorOptions,

    #[command(flatten)]
    operator: OperatorOptions,

    #[command(flatten)]
    limits: LimitOptions,
}

pub(super) fn run(options: Options, terminal: Terminal) -> Result<i32, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let hang_ups = HangUps::note(&runtime)?;
    let (path, arguments) = options
        .component_and_arguments
        .split_first()
        .expect("the command line has a component");
    let path = Path::new(path);
    let mut files = Files::default();
    let settings = options.operator.read(&mut files)?;
    let entries = options.author.entries()?;
    let name = name(path);
    review(&name, &entries, &settings, &files, terminal)?;

    let directories = options.author.directories()?;
    let inside = options
        .operator
        .enter_sandbox(directories.list(), terminal, Terminal::mention)?;
    stdio::open(WhenFull::Wait)?;
    let engine = Engine::new(Allocation::Alone)?
        .under(options.limits.of_all())
        .with_code(inside.code);
    let component = Component::load(path, &engine).map_err(|error| unusable(path, error))?;
    engine.stop_compiling();
    let network = Network::open(&options.operator, &settings, &files, inside.audit, terminal)?;
    let gate = network.gate(&name, AllowList::compile(entries).into(), &settings);
    let mut guest_env = GuestEnv::default();
    guest_env.arguments.push(file_name(path));
    guest_env.arguments.extend_from_slice(arguments);
    guest_env.environment = options.author.environment();
    guest_env.directories = directories.clone();
    guest_env.input = Input::Inherited;
    let limits = options.limits.of_a_command()?;
    let guest =
        GuestPre::link(&GuestLinker::new(&engine), &component, gate, guest_env, limits).map_err(refused)?;
    let command = Command::new(guest).map_err(|error| {
        Failure::unusable(
            Diagnostic::error(error.to_string())
                .helped_by("a component that answers HTTP runs with `outport serve`"),
        )
    })?;
    engine.end_compiling();
    inside.held.seal(directories.list())?;
    run_to_the_end(&command, (runtime, hang_ups), &network, terminal)
}

fn run_to_the_end(
    command: &Command,
    (runtime, hang_ups): (Runtime, HangUps),
    network: &Network,
    terminal: Terminal,
) -> Result<i32, Failure> {
    let outcome = runtime.block_on(async {
        let mut signals = StopSignals::listen(hang_ups, network.reload())?;
        let ended = tokio::select! {
            biased;
            outcome = command.run() => Ok(outcome),
            status = signals.next() => Err(status),
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
    });
    // Whatever the guest left behind is not waited for.
    runtime.shutdown_background();
    outcome
}

fn status(outcome: Result<i32, CommandError>, terminal: Terminal) -> Result<i32, Failure> {
    match outcome {
        Ok(status) => Ok(status),
        Err(error @ CommandError::NoMemory { .. }) => Err(refused(error)),
        Err(error) => {
            let told = match terminal.is_verbose() {
                true => format!("{error:#}"),
                false => error.to_string(),
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
