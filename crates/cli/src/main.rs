//! The `outport` command.
//!
//! ```text
//! main ─ command line ─ commands/{run,up,serve,completions}
//!                         │ operator_options   flags, environment, runtime config file ─► one operator's policy
//!                         │ app_options        the app: manifest, variables, entries
//!                         │ author_options     what a component without a manifest may reach
//!                         │ limit_options      how much a guest may use up
//!                         ▼
//!                       outport_runtime
//! ```
//!
//! A command answers an exit status, or a [`Failure`](failure::Failure), which is shown here. Standard output
//! belongs to the guest; whatever Outport has to say goes through [`Terminal`](terminal::Terminal) to standard
//! error.

mod app_options;
mod audit_output;
mod author_options;
mod client_tls;
mod commands;
mod defaults;
mod diagnostic;
mod engine_room;
mod failure;
mod files;
mod interfaces;
mod kernel_sandbox;
mod limit_options;
mod list;
mod load_options;
mod network;
mod operator_options;
mod paint;
mod reload;
mod replacement;
mod service;
mod signals;
mod terminal;

use clap::Parser;
use outport_runtime::heap::CountingAllocator;

use commands::Command;
use terminal::Terminal;

#[global_allocator]
static ALLOCATOR: CountingAllocator<mimalloc::MiMalloc> = CountingAllocator(mimalloc::MiMalloc);

/// Runs WebAssembly components that reach only what their manifest and their operator say.
#[derive(Debug, Parser)]
#[command(
    name = "outport",
    version,
    propagate_version = true,
    subcommand_required = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// Say only what went wrong.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more.
    #[arg(long, short, global = true)]
    verbose: bool,
}

fn main() {
    let line = CommandLine::parse();
    let terminal = Terminal::new(line.quiet, line.verbose);
    let status = terminal
        .receive_log()
        .and_then(|()| line.command.run(terminal))
        .unwrap_or_else(|failure| failure.show(terminal));
    let status = terminal.finish(status);
    // Not by returning: a thread may be waiting for standard input, and nothing would wake it.
    std::process::exit(status);
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_free_of_contradictions() {
        super::CommandLine::command().debug_assert();
    }
}
