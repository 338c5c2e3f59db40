//! `outport completions`: a script that completes commands and options in a shell.

use std::io::{self, Write};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::CommandLine;
use crate::failure::Failure;

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
    clap_complete::generate(options.shell, &mut CommandLine::command(), "outport", &mut script);
    io::stdout()
        .write_all(&script)
        .context("cannot write the script to standard output")?;
    Ok(0)
}
