//! The `outport` command.
//!
//! ```text
//! main ─ configuration ─ commands/{run,up,serve,…}
//!        │ command line, environment, outport.toml ─► options, each with its place
//!                         │ operator_options   options, runtime config file ─► one operator's policy
//!                         │ app_options        the app: manifest, variables, entries
//!                         │ fetching           code from elsewhere, into the cache
//!                         │ reference_options  apps and components in registries
//!                         │ author_options     what a component without a manifest may reach
//!                         │ limit_options      how much a guest may use up
//!                         │ state_options      where stores and databases are, and what is put into them
//!                         │ telemetry, otlp    what the operator's tools see
//!                         │ inherited, upgrade, service_manager   how the process is started, replaced and watched
//!                         │ building, own_process   the commands that make components, and other processes
//!                         │ startup            from these to guests that may run: engine, sandbox, network, signals
//!                         ▼
//!                       outport_runtime
//! ```
//!
//! A command answers an exit status, or a [`Failure`], which is shown here. Standard output
//! belongs to the guest; whatever Outport has to say goes through [`Terminal`] to standard
//! error.

mod access_log;
mod app_options;
mod app_problem;
mod appearance;
mod asking;
mod audit_output;
mod author_options;
mod brokers;
mod building;
mod built;
mod byte_options;
mod client_tls;
mod commands;
mod compiled_code;
mod configuration;
mod dashboard;
mod egress_proxy;
mod failure;
mod fetching;
mod files;
mod inherited;
mod interfaces;
mod kernel_sandbox;
mod learner;
mod limit_options;
mod list;
mod load_options;
mod manifest_writer;
mod name_options;
mod network;
mod numbers;
mod operator_options;
mod otlp;
mod own_process;
mod platform;
mod progress;
mod reach;
mod reference_options;
mod reload;
mod replacement;
mod server_tls;
mod service;
mod service_manager;
mod signals;
mod spin_environment;
mod startup;
mod state_options;
mod surely;
mod telemetry;
mod templates;
mod terminal;
mod tls_names;
mod unknown_argument;
mod unmatched;
mod upgrade;
mod written_values;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory, Parser};
use commands::Command;
use configuration::{Given, Unread, blame};
use failure::Failure;
use outport_runtime::heap::CountingAllocator;
use terminal::Terminal;
use unknown_argument::with_what_was_meant;

#[global_allocator]
static ALLOCATOR: CountingAllocator<mimalloc::MiMalloc> = CountingAllocator(mimalloc::MiMalloc);

/// Runs WebAssembly components that reach only what their manifest and their operator say.
#[derive(Debug, Parser)]
#[command(
    name = "outport",
    version,
    propagate_version = true,
    subcommand_required = true,
    after_help = AFTER_HELP
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// Say only what went wrong.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more; with `--version`, also what was built in.
    #[arg(long, short, global = true)]
    verbose: bool,
    /// Read options from this file, `outport.toml`; `OUTPORT_CONFIG` names one too. None is read by itself.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Colour what Outport says: where a terminal is that can, always, or never
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

const AFTER_HELP: &str = "Every operator option may also be given in the file of `--config` by its own name \
    (`max-memory = \"64M\"`), and by the environment (`OUTPORT_MAX_MEMORY=64M`). `outport config` shows what counts, and where \
    it is from.";

fn main() {
    let words: Vec<_> = std::env::args_os().collect();
    // Until all is read that counts, and for what the parser says of it.
    appearance::choose(appearance::written(&words));
    let is_all_asked = built::is_all_asked(&words);
    let line = match configuration::read(words) {
        Err(Unread::Line(error)) if error.kind() == ErrorKind::DisplayVersion && is_all_asked => {
            let written = terminal::print(&built::description());
            std::process::exit(i32::from(written.is_err()));
        }
        Ok(line) => line,
        Err(Unread::Line(error)) => with_what_was_meant(error, CommandLine::command()).exit(),
        Err(Unread::Given(failure)) => std::process::exit(failure.show(Terminal::new(false, false))),
    };
    appearance::choose(line.color);
    let terminal = Terminal::new(line.quiet, line.verbose);
    let blamed = |failure: Failure| blame::failure(failure, &Given::of_the_process());
    let status = terminal
        .receive_log()
        .and_then(|()| line.command.run(terminal))
        .unwrap_or_else(|failure| blamed(failure).show(terminal));
    let status = terminal.finish(status);
    // Not by returning: a thread may be waiting for standard input, and nothing would wake it.
    std::process::exit(status);
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_free_of_contradictions() {
        super::CommandLine::command().debug_assert();
    }

    #[test]
    fn an_option_of_another_program_is_called_what_it_is_here() {
        let rows = [
            (["run", "--allow-net=a.test"], "'--allowed-outbound-hosts'"),
            (
                ["up", "--allow-net"],
                "`allowed_outbound_hosts` of its `spin.toml`",
            ),
            (["run", "--deny=a.test"], "'--disallowed-outbound-hosts'"),
            (["up", "--deny"], "'--disallowed-outbound-hosts'"),
            (["serve", "--port"], "'--listen'"),
            (["run", "--port"], "`--listen ADDR:PORT`"),
            (["run", "--max-memry"], "'--max-memory'"),
            (["run", "--max-cpu"], "'--max-cpu-time'"),
            (
                ["up", "--allowed-outbound-hosts=https://a.test"],
                "`allowed_outbound_hosts` of its `spin.toml`",
            ),
            (
                ["check", "--block-networks=private"],
                "`block_networks`, below `[outbound_networking]`",
            ),
            (["up", "--max-instance-memory=1"], "'--max-memory'"),
            (["up", "-c"], "'--component'"),
            (["serve", "-e"], "'--env'"),
            (["serve", "--build"], "`outport up --build`"),
            (
                ["up", "--key-value-store=x"],
                "`key_value_stores` of its `spin.toml`",
            ),
            (["serve", "--sqlite-databases=x"], "'--sqlite-database'"),
            (["up", "--net"], "`allowed_outbound_hosts`"),
        ];
        for (line, meant) in rows {
            let error = super::CommandLine::try_parse_from(["outport"].into_iter().chain(line)).unwrap_err();
            let told = super::with_what_was_meant(error, super::CommandLine::command()).to_string();
            assert!(told.contains(meant), "{line:?}: {told}");
            assert!(!told.contains("--deny-warnings"), "{line:?}: {told}");
            assert!(
                line[0] == "run" || !told.contains("as a value"),
                "{line:?}: {told}"
            );
        }
    }

    #[test]
    fn what_is_spelled_alike_by_chance_is_not_suggested() {
        for line in [
            ["up", "--disable-this"],
            ["up", "--disallow-everything"],
            ["check", "--component-ids-of"],
        ] {
            let error = super::CommandLine::try_parse_from(["outport"].into_iter().chain(line)).unwrap_err();
            let told = super::with_what_was_meant(error, super::CommandLine::command()).to_string();
            assert!(!told.contains("tip"), "{line:?}: {told}");
            assert!(told.contains("[OPTIONS]"), "{line:?}: {told}");
        }
        let below: [(&[&str], _); 4] = [
            (
                &["trigger", "http", "web"],
                "there are: cron, redis, mqtt, sqs, command",
            ),
            (&["trigger", "crn", "web"], "'cron'"),
            (
                &["trigger", "mqtt", "web", "--topik=a"],
                "Usage: outport trigger mqtt [OPTIONS]",
            ),
            (
                &["trigger", "mqtt", "web"],
                "Usage: outport trigger mqtt [OPTIONS]",
            ),
        ];
        for (line, told) in below {
            let line = ["outport"].into_iter().chain(line.iter().copied());
            let error = super::CommandLine::try_parse_from(line.clone()).unwrap_err();
            let shown = super::with_what_was_meant(error, super::CommandLine::command()).to_string();
            assert!(shown.contains(told), "{:?}: {shown}", line.collect::<Vec<_>>());
        }
        let error = super::CommandLine::try_parse_from(["outport", "add"]).unwrap_err();
        let told = super::with_what_was_meant(error, super::CommandLine::command()).to_string();
        assert!(told.contains("`outport init TEMPLATE NAME`"), "{told}");
    }
}
