//! `outport completions`: a script that completes commands and options in a shell.

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use outport_check::CodePage;

use crate::CommandLine;
use crate::failure::Failure;
use crate::terminal::print;

/// Print a script that completes commands and options in a shell.
///
/// For bash: `outport completions bash > ~/.local/share/bash-completion/completions/outport`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn completions(options: &Options) -> Result<i32, Failure> {
    // Written in one go afterwards: `generate` itself panics where standard output is closed.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut shown(), "outport", &mut script);
    if options.shell == Shell::Fish {
        script.extend(codes_for_fish().into_bytes());
    }
    let script = String::from_utf8(script).context("the script is not text")?;
    print(&script).context("cannot write the script to standard output")?;
    Ok(0)
}

/// The codes that `outport explain` takes: of arguments that are no options the script for fish has nothing.
fn codes_for_fish() -> String {
    let codes = CodePage::all().iter().map(|page| page.code.as_str());
    let codes = codes.collect::<Vec<_>>().join(" ");
    format!("complete -c outport -n \"__fish_outport_using_subcommand explain\" -a \"{codes}\"\n")
}

/// The command line without the commands that nobody should be offered: `generate` asks of values only whether they are
/// hidden.
fn shown() -> clap::Command {
    let line = CommandLine::command();
    clap::Command::new("outport")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args(line.get_arguments().cloned())
        .subcommands(
            line.get_subcommands()
                .filter(|command| !command.is_hide_set())
                .cloned(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_completes_the_commands_that_are_shown() {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut shown(), "outport", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("disallowed-outbound-hosts"), "{shell}");
            assert!(script.contains("serve"), "{shell}");
            assert!(
                !script.contains("outport__man") && !script.contains("a page for each command"),
                "{shell}"
            );
        }
    }
}
