//! The author's side of a component that has no manifest: what it may reach, and what it finds around it.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use clap::Args;
use outport_check::Diagnostic;
use outport_manifest::{IdentifierError, parse_label};
use outport_policy::{Entry, Label, LabelKind, Location};
use outport_runtime::guest_env::{Access, Directory, OpenDirectories, replaced};

use crate::failure::Failure;
use crate::files::Files;
use crate::operator_options::{ListOf, parse_entries};

/// The place where the entries stand.
pub(crate) static ENTRIES_OPTION: LazyLock<Location> = LazyLock::new(|| Location::Option {
    name: "--allowed-outbound-hosts".into(),
});

/// The options for what a manifest would say.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guest options")]
pub(crate) struct AuthorOptions {
    /// Let the guest reach these hosts, such as `*://db.example.com:5432`; by default it reaches nothing
    #[arg(long, value_name = "HOST[,HOST…]")]
    allowed_outbound_hosts: Vec<String>,

    /// Set an environment variable of the guest; without `=VALUE` the host's own value is passed on
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<Variable>,

    /// Show the guest a directory of the host, for reading and writing
    #[arg(long, value_name = "HOST[::GUEST]")]
    dir: Vec<DirArgument>,

    /// Let the guest open key-value stores of these labels; `default` needs no definition
    #[arg(long, value_name = "LABEL[,LABEL…]", value_delimiter = ',', value_parser = key_value_label)]
    key_value_store: Vec<Label>,

    /// Let the guest open databases of these labels; `default` needs no definition
    #[arg(long, value_name = "LABEL[,LABEL…]", value_delimiter = ',', value_parser = sqlite_label)]
    sqlite_database: Vec<Label>,

    /// Let the guest ask these models of the server in the runtime config file
    #[arg(long, value_name = "NAME[,NAME…]", value_delimiter = ',', value_parser = model)]
    ai_model: Vec<Label>,
}

impl AuthorOptions {
    /// The entries that say what the guest may reach.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        let entries = parse_entries(
            &self.allowed_outbound_hosts,
            ListOf::Allowed,
            &ENTRIES_OPTION,
            &mut diagnostics,
        );
        if diagnostics.is_empty() {
            Ok(entries)
        } else {
            Err(Failure::Unusable {
                diagnostics,
                files: Files::default(),
            })
        }
    }

    /// The stores and databases that it may open, and the models that it may ask.
    pub(crate) fn labels(&self) -> Vec<Label> {
        [
            self.key_value_store.as_slice(),
            &self.sqlite_database,
            &self.ai_model,
        ]
        .concat()
    }

    /// The options of it that only a component without a manifest has, as far as they are given.
    pub(crate) fn instead_of_a_manifest(&self) -> Option<&'static str> {
        let given = [
            (
                !self.allowed_outbound_hosts.is_empty(),
                "--allowed-outbound-hosts",
            ),
            (!self.dir.is_empty(), "--dir"),
            (!self.key_value_store.is_empty(), "--key-value-store"),
            (!self.sqlite_database.is_empty(), "--sqlite-database"),
            (!self.ai_model.is_empty(), "--ai-model"),
        ];
        given.iter().find(|(given, _)| *given).map(|(_, name)| *name)
    }

    /// The variables of the environment, as they were given.
    pub(crate) fn variables(&self) -> Vec<Variable> {
        self.env.clone()
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        environment(&self.env)
    }

    /// The directories that the guest sees, open.
    pub(crate) fn directories(&self) -> Result<OpenDirectories, Failure> {
        let shared = self.dir.iter().map(|shared| shared.0.clone()).collect();
        OpenDirectories::open(shared).map_err(|error| Failure::unusable(Diagnostic::error(error.to_string())))
    }
}

/// Names and values of variables of the guest.
pub(crate) fn environment(variables: &[Variable]) -> Vec<(String, String)> {
    replaced(variables.iter().map(|variable| variable.0.clone()))
}

fn key_value_label(text: &str) -> Result<Label, IdentifierError> {
    let name = "--key-value-store".into();
    parse_label(LabelKind::KeyValueStore, text, Location::Option { name })
}

fn sqlite_label(text: &str) -> Result<Label, IdentifierError> {
    let name = "--sqlite-database".into();
    parse_label(LabelKind::SqliteDatabase, text, Location::Option { name })
}

/// A model is called as its server calls it.
fn model(name: &str) -> Result<Label, &'static str> {
    if name.is_empty() {
        return Err("a model has a name");
    }
    let option = Location::Option {
        name: "--ai-model".into(),
    };
    Ok(Label::new(LabelKind::AiModel, name, option))
}

/// `NAME=VALUE`, or `NAME` for the host's own value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable((String, String));

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => match std::env::var(text) {
                Ok(value) => (text, value),
                Err(_) => {
                    return Err(format!(
                        "write `{text}=VALUE`: this process has no variable `{text}` itself"
                    ));
                }
            },
        };
        match name {
            "" => Err("a variable needs a name before the `=`".into()),
            _ => Ok(Self((name.to_owned(), value))),
        }
    }
}

/// `HOST::GUEST`, or `HOST` for a directory that the guest calls the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DirArgument(Directory);

impl FromStr for DirArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, guest) = text.split_once("::").unwrap_or((text, text));
        if host.is_empty() || guest.is_empty() {
            return Err("write `HOST::GUEST`, such as `./data::/data`".into());
        }
        Ok(Self(Directory {
            host: PathBuf::from(host),
            guest: guest.to_owned(),
            access: Access::Write,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_directories_are_read() {
        let variable = |text: &str| text.parse::<Variable>().map(|variable| variable.0);
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("A="), Ok(("A".into(), String::new())));
        variable("=b").expect_err("it has no name");
        variable("NO_SUCH_VARIABLE_ANYWHERE").expect_err("the host has no such variable");

        let directory = |text: &str| {
            text.parse::<DirArgument>()
                .map(|shared| (shared.0.host, shared.0.guest))
        };
        assert_eq!(directory("a::/b"), Ok(("a".into(), "/b".into())));
        assert_eq!(directory("a"), Ok(("a".into(), "a".into())));
        directory("::/b").expect_err("it has no host");
        directory("a::").expect_err("it has no guest");
    }
}
