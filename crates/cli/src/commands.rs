//! The commands, one file each.

mod audit;
mod build;
mod check;
mod completions;
mod config;
mod explain;
mod export;
mod init;
mod inspect;
mod learn;
mod man;
mod new;
mod pull;
mod push;
mod run;
mod serve;
mod single;
mod trigger;
mod up;
mod update;
mod watch;

use clap::Subcommand;

pub(crate) use self::init::lock as lock_manifest;
use crate::failure::Failure;
use crate::terminal::Terminal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    New(new::Options),
    Init(init::Options),
    Up(up::Options),
    Run(run::Options),
    Serve(serve::Options),
    Build(build::Options),
    Watch(watch::Options),
    Trigger(trigger::Options),
    Check(check::Options),
    Explain(explain::Options),
    Export(export::Options),
    Audit(audit::Options),
    Inspect(inspect::Options),
    Learn(learn::Options),
    Pull(pull::Options),
    Push(push::Options),
    Update(update::Options),
    Config(config::Options),
    Completions(completions::Options),
    Man(man::Options),
}

impl Command {
    /// Does what the command is for, and answers the status to exit with.
    pub(crate) fn run(self, terminal: Terminal) -> Result<i32, Failure> {
        match self {
            Self::New(options) => new::new(options, terminal),
            Self::Init(options) => init::init(options, terminal),
            Self::Up(options) => up::up(&options, terminal),
            Self::Run(options) => run::run(options, terminal),
            Self::Serve(options) => serve::serve(&options, terminal),
            Self::Build(options) => build::build(&options, terminal),
            Self::Watch(options) => watch::watch(&options, terminal),
            Self::Trigger(options) => trigger::trigger(options, terminal),
            Self::Check(options) => check::check(&options, terminal),
            Self::Explain(options) => explain::explain(&options, terminal),
            Self::Export(options) => export::export(&options, terminal),
            Self::Audit(options) => audit::audit(&options, terminal),
            Self::Inspect(options) => inspect::inspect(&options, terminal),
            Self::Learn(options) => learn::learn(options, terminal),
            Self::Pull(options) => pull::pull(&options, terminal),
            Self::Push(options) => push::push(&options, terminal),
            Self::Update(options) => update::update(&options, terminal),
            Self::Config(options) => config::config(&options),
            Self::Completions(options) => completions::completions(&options),
            Self::Man(options) => man::man(&options),
        }
    }
}

/// A guest that traps ends like a native program that aborts: 128 and SIGABRT, as with the wasmtime CLI.
const TRAPPED: i32 = 134;
