//! Options and commands of other programs, and what to do in their place here.
//!
//! The command line's parser suggests the option that is spelled alike, which for `--deny` is `--deny-warnings`, and
//! for `--disable-pooling` even `--disallowed-outbound-hosts`: not what was meant. Its line of usage repeats the
//! options that were given, also by the environment and the configuration file: not what anybody typed.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use outport_manifest::nearest;

/// The error of the parser of `line`, with what was meant in place of an option that is spelled alike.
pub(crate) fn with_what_was_meant(mut error: clap::Error, mut line: clap::Command) -> clap::Error {
    line.build();
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    let usage = usage.unwrap_or_default();
    let Some(command) = meant(&mut line, &usage) else {
        if let Some(instead) = another_programs_command(&error) {
            suggest(&mut error, instead);
        }
        return error;
    };
    error.insert(
        ContextKind::Usage,
        ContextValue::StyledStr(command.render_usage()),
    );
    suggest_commands(&mut error, command);
    let Some(written) = unknown_option(&error) else {
        return error;
    };
    match FOREIGN
        .iter()
        .find(|foreign| foreign.names.contains(&written.as_str()))
    {
        Some(foreign) => {
            error.remove(ContextKind::Suggested);
            error.remove(ContextKind::SuggestedArg);
            match foreign.option.filter(|option| has(command, option)) {
                Some(option) => {
                    let option = ContextValue::String(option.to_owned());
                    error.insert(ContextKind::SuggestedArg, option);
                }
                None => suggest(&mut error, foreign.elsewhere),
            }
        }
        None => keep_what_is_likely(&mut error, &written, command),
    }
    error
}

/// The command that a line of usage is for, as deep as it goes: `trigger mqtt`.
fn meant<'c>(line: &'c mut clap::Command, usage: &str) -> Option<&'c mut clap::Command> {
    let (mut command, mut path) = (line, "outport".to_owned());
    let mut is_below = false;
    loop {
        let named = command.get_subcommands().find_map(|below| {
            let longer = format!("{path} {}", below.get_name());
            let is_meant = usage.split_once(&longer).is_some_and(|(_, rest)| {
                // `push` is no `pushed`.
                rest.is_empty() || rest.starts_with(' ')
            });
            is_meant.then(|| (below.get_name().to_owned(), longer))
        });
        let Some((name, longer)) = named else {
            return is_below.then_some(command);
        };
        command = command.find_subcommand_mut(&name)?;
        (path, is_below) = (longer, true);
    }
}

/// Says which commands there are below this one, where another was written.
fn suggest_commands(error: &mut clap::Error, command: &clap::Command) {
    let is_unknown = error.get(ContextKind::InvalidSubcommand).is_some();
    if is_unknown && error.get(ContextKind::SuggestedSubcommand).is_none() {
        let names = command.get_subcommands().map(clap::Command::get_name);
        let names: Vec<_> = names.filter(|name| *name != "help").collect();
        suggest(error, format!("there are: {}", names.join(", ")));
    }
}

fn suggest(error: &mut clap::Error, instead: impl Into<StyledStr>) {
    let tip = ContextValue::StyledStrs(vec![instead.into()]);
    error.insert(ContextKind::Suggested, tip);
}

/// No suggestion is better than one of an option that does something else, which may be to open or to shut the gate.
fn keep_what_is_likely(error: &mut clap::Error, written: &str, command: &clap::Command) {
    if let Some(ContextValue::String(suggested)) = error.get(ContextKind::SuggestedArg) {
        let bare = |option: &str| option.trim_start_matches('-').to_owned();
        let (suggested, written) = (bare(suggested), bare(written));
        let begun = suggested.starts_with(&written) && written.len() * 2 >= suggested.len();
        if !begun && nearest(&written, [suggested.as_str()]).is_none() {
            error.remove(ContextKind::SuggestedArg);
        }
    }
    // Only there an option can be meant for the guest.
    if command.get_name() != "run" {
        error.remove(ContextKind::Suggested);
    }
}

fn has(command: &clap::Command, option: &str) -> bool {
    command.get_arguments().any(|own| {
        own.get_long()
            .is_some_and(|long| option.strip_prefix("--") == Some(long))
    })
}

fn unknown_option(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(written)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    written.split('=').next().map(str::to_owned)
}

fn another_programs_command(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(written)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let known = FOREIGN_COMMANDS.iter().find(|(name, _)| name == written);
    known.map(|(_, instead)| *instead)
}

const FOREIGN_COMMANDS: [(&str, &str); 6] = [
    (
        "add",
        "`outport init TEMPLATE NAME` adds a component to the app in this directory",
    ),
    (
        "templates",
        "`outport new --list` shows the templates, which are inside the program",
    ),
    (
        "registry",
        "`outport push REFERENCE` and `outport pull REFERENCE` do, with the credentials of `docker login`",
    ),
    (
        "login",
        "`docker login` and `podman login` keep credentials where they are looked for",
    ),
    ("doctor", "`outport check` says what is wrong with an app"),
    (
        "test",
        "`outport check` runs the tests of a policy in `outport.test.toml`",
    ),
];

/// An option that other programs have.
struct Foreign {
    names: &'static [&'static str],
    /// The option of the same purpose here, in the commands that have it.
    option: Option<&'static str>,
    /// The advice in the other commands.
    elsewhere: &'static str,
}

const fn renamed(names: &'static [&'static str], option: &'static str, elsewhere: &'static str) -> Foreign {
    Foreign {
        names,
        option: Some(option),
        elsewhere,
    }
}

const fn missing(names: &'static [&'static str], elsewhere: &'static str) -> Foreign {
    Foreign {
        names,
        option: None,
        elsewhere,
    }
}

const FOREIGN: [Foreign; 26] = [
    missing(
        &["--template", "-t", "--name", "--init"],
        "`outport new TEMPLATE NAME` and `outport init TEMPLATE NAME` take both without an option",
    ),
    renamed(
        &["--insecure", "-k"],
        "--insecure-registry",
        "only registries may be asked over plain HTTP, with `--insecure-registry` of the commands that take a reference",
    ),
    renamed(
        &[
            "--allow",
            "--allow-net",
            "--allow-host",
            "--allow-hosts",
            "--allowed-hosts",
            "--allow-outbound",
            "--allow-outbound-hosts",
            "--allowed-http-hosts",
            "--allowed-outbound-hosts",
        ],
        "--allowed-outbound-hosts",
        "what a component may reach stands in the `allowed_outbound_hosts` of its `spin.toml`",
    ),
    renamed(
        &[
            "--deny",
            "--deny-net",
            "--deny-host",
            "--deny-hosts",
            "--denied-hosts",
            "--block",
            "--block-hosts",
        ],
        "--disallowed-outbound-hosts",
        "the commands that run guests have `--disallowed-outbound-hosts`",
    ),
    missing(
        &["--block-networks", "--block-network"],
        "networks that no guest may reach stand in `block_networks`, below `[outbound_networking]` in the file of \
         `--runtime-config-file`",
    ),
    missing(
        &["--net", "--network"],
        "there are no networks to choose from: what a component may reach stands in the `allowed_outbound_hosts` of \
         its `spin.toml`, and `outport run` and `outport serve` have `--allowed-outbound-hosts`",
    ),
    renamed(
        &[
            "--addr",
            "--address",
            "--bind",
            "--host",
            "--port",
            "--publish",
            "-p",
        ],
        "--listen",
        "`outport serve` and `outport up` have `--listen ADDR:PORT`",
    ),
    missing(
        &["--find-free-port"],
        "`--listen 127.0.0.1:0` of `outport serve` and `outport up` takes a free port",
    ),
    renamed(
        &[
            "--cert",
            "--certificate",
            "--ssl-cert",
            "--tls-certificate",
            "--https-cert",
        ],
        "--tls-cert",
        "`outport serve` and `outport up` have `--tls-cert FILE` and `--tls-key FILE`",
    ),
    renamed(
        &["--key", "--ssl-key", "--private-key", "--https-key"],
        "--tls-key",
        "`outport serve` and `outport up` have `--tls-cert FILE` and `--tls-key FILE`",
    ),
    renamed(
        &["--mapdir", "--mount", "--volume"],
        "--dir",
        "what files a component has stands in the `files` of its `spin.toml`",
    ),
    missing(
        &["--direct-mounts", "--allow-transient-write"],
        "guests read copies of the files in `files`, and cannot write",
    ),
    renamed(
        &["--cache", "--cache-directory"],
        "--cache-dir",
        "the commands that compile have `--cache-dir`",
    ),
    missing(
        &["--disable-cache"],
        "compiled code is always kept, in the directory of `--cache-dir`",
    ),
    renamed(
        &["--dns", "--resolver", "--nameserver"],
        "--dns-server",
        "the commands that run guests have `--dns-server`",
    ),
    renamed(
        &["--max-instance-memory", "--memory", "-m"],
        "--max-memory",
        "the commands that run guests have `--max-memory`",
    ),
    missing(
        &["--disable-pooling"],
        "how instances are allocated cannot be chosen; `--max-memory` and `--max-memory-total` bound their memory",
    ),
    renamed(
        &["-e"],
        "--env",
        "the environment of a component stands in the `environment` of its `spin.toml`",
    ),
    renamed(
        &["-c", "--component-id"],
        "--component",
        "`outport up` has `--component ID`",
    ),
    renamed(
        &["--file", "--from-file", "--app"],
        "--from",
        "`outport up` has `--from DIR_OR_FILE`",
    ),
    missing(
        &["--from-registry"],
        "give the reference where a path would stand: `outport up ghcr.io/me/app:1.0`",
    ),
    missing(
        &["--build"],
        "`outport up --build` builds an app and runs it, and `outport build` only builds it",
    ),
    renamed(
        &["--key-value-store", "--key-value-stores"],
        "--key-value-store",
        "what stores a component may open stands in the `key_value_stores` of its `spin.toml`",
    ),
    renamed(
        &["--sqlite-database", "--sqlite-databases"],
        "--sqlite-database",
        "what databases a component may open stands in the `sqlite_databases` of its `spin.toml`",
    ),
    missing(
        &["--log-dir", "-L"],
        "what guests write goes to the terminal; `--audit-log FILE` keeps what they connect to",
    ),
    missing(
        &["--silence-component-logs", "--follow", "--follow-all"],
        "what guests write goes to the terminal, and can be redirected from there",
    ),
];
