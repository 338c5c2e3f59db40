//! Options of other programs, and what they are called here.
//!
//! The command line's parser suggests the option that is spelled alike, which for `--deny` is `--deny-warnings`: not
//! what was meant.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The error of the parser of `line`, with what was meant in place of an option that is spelled alike.
pub(crate) fn with_what_was_meant(mut error: clap::Error, mut line: clap::Command) -> clap::Error {
    let Some(foreign) = foreign(&error) else {
        return error;
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    let usage = usage.unwrap_or_default();
    let is_meant = |command: &&&str| usage.contains(&format!("outport {command}"));
    let command = EVERYWHERE.iter().find(is_meant);
    let is_here = command.is_some_and(|command| foreign.commands.contains(command));
    line.build();
    if let Some(command) = command.and_then(|command| line.find_subcommand_mut(command)) {
        // The parser's own has the option that is spelled alike.
        error.insert(
            ContextKind::Usage,
            ContextValue::StyledStr(command.render_usage()),
        );
    }
    error.remove(ContextKind::Suggested);
    error.remove(ContextKind::SuggestedArg);
    match is_here {
        true => error.insert(
            ContextKind::SuggestedArg,
            ContextValue::String(foreign.option.to_owned()),
        ),
        false => error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![foreign.elsewhere.into()]),
        ),
    };
    error
}

/// An option that other programs have.
struct Foreign {
    names: &'static [&'static str],
    /// What it is called here, in these commands.
    option: &'static str,
    commands: &'static [&'static str],
    /// What to do in the other commands.
    elsewhere: &'static str,
}

fn foreign(error: &clap::Error) -> Option<&'static Foreign> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(written)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let name = written.split('=').next()?;
    FOREIGN.iter().find(|foreign| foreign.names.contains(&name))
}

const EVERYWHERE: &[&str] = &["run", "serve", "up", "check", "explain"];

const FOREIGN: [Foreign; 6] = [
    Foreign {
        names: &[
            "--allow",
            "--allow-net",
            "--allow-host",
            "--allow-hosts",
            "--allowed-hosts",
            "--allow-outbound",
        ],
        option: "--allowed-outbound-hosts",
        commands: &["run", "serve"],
        elsewhere: "what a component may reach stands in the `allowed_outbound_hosts` of its `spin.toml`",
    },
    Foreign {
        names: &[
            "--deny",
            "--deny-net",
            "--deny-host",
            "--deny-hosts",
            "--denied-hosts",
            "--block",
            "--block-hosts",
        ],
        option: "--disallowed-outbound-hosts",
        commands: EVERYWHERE,
        elsewhere: "the commands that run guests have `--disallowed-outbound-hosts`",
    },
    Foreign {
        names: &["--addr", "--address", "--bind", "--host", "--port"],
        option: "--listen",
        commands: &["serve", "up"],
        elsewhere: "`outport serve` and `outport up` have `--listen ADDR:PORT`",
    },
    Foreign {
        names: &["--mapdir", "--mount", "--volume"],
        option: "--dir",
        commands: &["run", "serve"],
        elsewhere: "what files a component has stands in the `files` of its `spin.toml`",
    },
    Foreign {
        names: &["--cache", "--cache-directory"],
        option: "--cache-dir",
        commands: EVERYWHERE,
        elsewhere: "the commands that compile have `--cache-dir`",
    },
    Foreign {
        names: &["--dns", "--resolver", "--nameserver"],
        option: "--dns-server",
        commands: EVERYWHERE,
        elsewhere: "the commands that run guests have `--dns-server`",
    },
];
