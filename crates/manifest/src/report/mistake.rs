//! Every mistake that a manifest, a runtime config file or the values of variables can have.
//!
//! A mistake knows its message, the second half of its stable code ([`Mistake::name`]) and what to do about it
//! ([`Mistake::help`]). All three are written side by side here, and every one has a test and a page in the docs.

use outport_policy::{BlockedNetworkError, EntryError, LabelKind, PortsError, text};

use crate::reading::trigger::SERVED;
use crate::report::spelling::MOST_LISTED;
use crate::template::TemplateError;
use crate::values::dependency_error::DependencyError;
use crate::values::dns_server::DnsServerError;
use crate::values::filled_in::FilledIn;
use crate::values::identifier::{ComponentId, IdentifierError};
use crate::values::route::RouteError;
use crate::values::service::Service;
use crate::values::source_error::SourceError;
use crate::values::template_error::TemplateSyntaxError;
use crate::values::variable::{VariableName, VariableNameError};

/// One mistake. Its `Display` says what is wrong, without the place.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// The text is not TOML.
    #[error("{message}")]
    Syntax {
        /// The parser's message.
        message: String,
    },
    /// A key or table stands there twice; the first one was read.
    #[error("`{}` is given twice", text::quote(key))]
    DuplicateKey {
        /// The key as it is written.
        key: String,
    },
    /// A key that means nothing.
    #[error("{} has no key `{}`", text::quote(table), text::quote(key))]
    UnknownKey {
        /// The key as it is written.
        key: String,
        /// The table it is in.
        table: String,
        /// The key that was probably meant.
        meant: Option<String>,
        /// All keys that would mean something.
        known: Vec<&'static str>,
    },
    /// A key that has to be there.
    #[error("{} needs the key `{key}`", text::quote(table))]
    MissingKey {
        /// The key.
        key: &'static str,
        /// The table it belongs to.
        table: String,
    },
    /// A number where a string belongs, and the like.
    #[error("{}`{}` must be {expected}, not {found}", item_of(*item), text::quote(key))]
    WrongType {
        /// The key as it is written.
        key: String,
        /// The item's number in its list, from 1, if it is one.
        item: Option<usize>,
        /// The kind of value that belongs there, with its article.
        expected: &'static str,
        /// The kind of value that is there, with its article.
        found: &'static str,
    },
    /// A value of the right type that is not one of those allowed.
    #[error("`{}` {}", text::quote(key), text::message(wrong))]
    Value {
        /// The key as it is written.
        key: String,
        /// The mistake, to be read behind the key.
        wrong: String,
        /// Advice on what to write.
        help: Option<String>,
    },
    /// A setting that Spin knows and Outport does not do, where leaving it out would run something else than was meant.
    #[error("`{}` is not supported{consequence}", text::quote(key))]
    Unsupported {
        /// The key as it is written.
        key: String,
        /// The consequence of leaving it out, to be read behind "is not supported"; or nothing.
        consequence: &'static str,
        /// Advice on what to write instead.
        help: &'static str,
    },
    /// A type of trigger that is a slip of the pen.
    #[error("there are no triggers of type `{}`", text::quote(kind))]
    TriggerType {
        /// The type as it is written.
        kind: String,
        /// The type that was probably meant.
        meant: String,
    },
    /// A type of trigger that Outport does not serve.
    #[error("triggers of type `{}` are not served", text::quote(kind))]
    UnknownTrigger {
        /// The type as it is written.
        kind: String,
    },
    /// No trigger at all.
    #[error("the app has nothing to start: no trigger starts a component")]
    NothingToStart,
    /// Another `spin_manifest_version` than 2.
    #[error("manifest version `{}` is not supported", text::quote(found))]
    Version {
        /// The version as it is written.
        found: String,
    },
    /// A manifest of version 1, whose keys are others throughout.
    #[error("this is a manifest of version 1, a format that is not supported")]
    FirstVersion,
    /// A route that is none.
    #[error("not a route: {0}")]
    Route(RouteError),
    /// A component id that is none.
    #[error("`{}` cannot be the id of a component: {error}", text::quote(text))]
    ComponentId {
        /// The id as it is written.
        text: String,
        /// The reason.
        error: IdentifierError,
    },
    /// A component that is not in the manifest.
    #[error("there is no component `{}`", text::quote(&id.to_string()))]
    ComponentReference {
        /// The id that was written.
        id: ComponentId,
        /// The component that was probably meant.
        meant: Option<String>,
        /// The components there are; of very many the first.
        known: Vec<String>,
    },
    /// A source that no component can come from.
    #[error("{0}")]
    Source(SourceError),
    /// An item of `files` that cannot be mounted.
    #[error("{wrong}")]
    Files {
        /// The mistake.
        wrong: &'static str,
        /// Advice on what to write.
        help: &'static str,
    },
    /// The name of a key-value store or database that is none.
    #[error("`{}` cannot be a name in `{key}`: {error}", text::quote(text))]
    Label {
        /// The key it is in.
        key: String,
        /// The name as it is written.
        text: String,
        /// The reason.
        error: IdentifierError,
    },
    /// A label of a store or database that nothing defines (HI-5).
    #[error("nothing defines `{}` of `{}`", text::quote(label), kind.list())]
    UndefinedLabel {
        /// The label.
        label: String,
        /// The kind that it would be a label of.
        kind: LabelKind,
        /// The label that was probably meant.
        meant: Option<String>,
        /// The labels that are defined; of very many the first.
        known: Vec<String>,
    },
    /// A dependency that cannot be.
    #[error("{0}")]
    Dependency(DependencyError),
    /// A variable's name that is none.
    #[error("`{}` cannot be the name of a variable: {error}", text::quote(text))]
    VariableName {
        /// The name as it is written.
        text: String,
        /// The reason.
        error: VariableNameError,
    },
    /// A variable without a value.
    #[error("the variable `{}` is not required and has no default", text::quote(&name.to_string()))]
    VariableWithoutValue {
        /// The variable.
        name: VariableName,
    },
    /// A variable with `required = true` and a default.
    #[error("the variable `{}` is required and has a default", text::quote(&name.to_string()))]
    VariableWithBoth {
        /// The variable.
        name: VariableName,
    },
    /// A template that is none.
    #[error("not a template: {0}")]
    Template(TemplateSyntaxError),
    /// A template that uses a variable which is not declared.
    #[error("there is no variable `{}`", text::quote(&name.to_string()))]
    VariableReference {
        /// The name in the template.
        name: VariableName,
        /// The variable that was probably meant.
        meant: Option<String>,
        /// The variables there are; of very many the first.
        known: Vec<String>,
    },
    /// An entry of `allowed_outbound_hosts` or `disallowed_outbound_hosts` that is none (AL-2).
    #[error("`{}` is not a valid entry: {}", text::quote(&.0.shown()), .0.problem())]
    Entry(EntryError),
    /// An entry that is none once its variables are filled in (AL-8).
    #[error("{0}")]
    FilledEntry(FilledIn),
    /// An entry that is too long once its variables are filled in.
    #[error("`{}` is not an entry: {error}", text::quote(template))]
    LongEntry {
        /// The entry as it is written.
        template: String,
        /// The bound.
        error: TemplateError,
    },
    /// An item of `block_networks` that is none.
    #[error("{}", text::message(&.0.to_string()))]
    Network(BlockedNetworkError),
    /// An item of `allow_loopback_ports` that is none.
    #[error("{}", text::message(&.0.to_string()))]
    Ports(PortsError),
    /// An item of `dns_servers` that is none.
    #[error("`{}` is not a DNS server: {error}", text::quote(text))]
    DnsServer {
        /// As it is written.
        text: String,
        /// The reason.
        error: DnsServerError,
    },
    /// A required variable that nobody sets.
    #[error("the variable `{}` is required and nothing sets it", text::quote(&name.to_string()))]
    VariableNotSet {
        /// The variable.
        name: VariableName,
        /// True if its value is secret.
        secret: bool,
    },
    /// A value for a variable that the manifest does not declare.
    #[error("the app has no variable `{}`", text::quote(name))]
    UnknownVariable {
        /// The name as it was given.
        name: String,
        /// The variable that was probably meant.
        meant: Option<String>,
        /// The variables there are; of very many the first.
        known: Vec<String>,
    },
    /// A value from the environment that is not text.
    #[error("the value of `{variable}` is not UTF-8 text")]
    EnvironmentNotText {
        /// The environment variable.
        variable: String,
    },
}

impl Mistake {
    /// The second half of the stable code.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "syntax",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::UnknownKey { .. } => "unknown-key",
            Self::MissingKey { .. } => "missing-key",
            Self::WrongType { .. } => "wrong-type",
            Self::Value { .. } => "value",
            Self::Unsupported { .. } => "unsupported",
            Self::TriggerType { .. } => "trigger-type",
            Self::UnknownTrigger { .. } => "unknown-trigger",
            Self::NothingToStart => "nothing-to-start",
            Self::Version { .. } | Self::FirstVersion => "version",
            Self::Route(_) => "route",
            Self::ComponentId { .. } => "component-id",
            Self::ComponentReference { .. } => "component-reference",
            Self::Source(_) => "source",
            Self::Files { .. } => "files",
            Self::Label { .. } => "label",
            Self::UndefinedLabel { .. } => "undefined-label",
            Self::Dependency(_) => "dependency",
            Self::VariableName { .. } => "variable-name",
            Self::VariableWithoutValue { .. } | Self::VariableWithBoth { .. } => "variable-declaration",
            Self::Template(_) => "template",
            Self::VariableReference { .. } => "variable-reference",
            Self::Entry(_) | Self::FilledEntry(_) | Self::LongEntry { .. } => "entry",
            Self::Network(_) => "network",
            Self::Ports(_) => "ports",
            Self::DnsServer { .. } => "dns-server",
            Self::VariableNotSet { .. } => "not-set",
            Self::UnknownVariable { .. } => "unknown",
            Self::EnvironmentNotText { .. } => "not-text",
        }
    }

    /// Advice on what to do about it, if that can be said in a line.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownKey {
                key, meant, known, ..
            } => Some(
                where_it_belongs(key).unwrap_or_else(|| meant_or_known(meant, known, "the keys here are")),
            ),
            Self::ComponentReference { meant, known, .. } => {
                Some(meant_or_known(meant, known, "the components are"))
            }
            Self::VariableReference { meant, known, .. } | Self::UnknownVariable { meant, known, .. } => {
                Some(meant_or_known(meant, known, "the variables are"))
            }
            Self::WrongType {
                key, expected, found, ..
            } => wrong_type_help(key, expected, found),
            Self::Value { help, .. } => help.clone(),
            Self::Unsupported { help, .. } => Some((*help).into()),
            Self::TriggerType { meant, .. } => Some(format!("did you mean `{}`?", text::quote(meant))),
            Self::NothingToStart => Some("write a trigger, such as `[[trigger.http]]`".into()),
            Self::UnknownTrigger { .. } => Some(meant_or_known(&None, &SERVED, "served are")),
            Self::FirstVersion => Some(
                "write it as version 2, with `spin_manifest_version = 2`; `spin doctor` does that".into(),
            ),
            Self::Version { .. } => Some("write `spin_manifest_version = 2`".into()),
            Self::MissingKey {
                key: "spin_manifest_version",
                ..
            } => Some("write `spin_manifest_version = 2` on the first line".into()),
            Self::MissingKey {
                key: key @ ("token" | "auth_token"),
                ..
            } => Some(format!("write `{key} = \"\"` if the server needs none")),
            Self::MissingKey { key: "address", table } if table == "`[[trigger.redis]]`" => Some(
                "write it here, or in `[application.trigger.redis]` for all triggers that have none".into(),
            ),
            Self::ComponentId { .. } => {
                Some("an id is made of lower-case words with `-` between them, such as `my-app`".into())
            }
            Self::Source(error) => error.help(),
            Self::Files { help, .. } => Some((*help).into()),
            Self::UndefinedLabel {
                kind: LabelKind::AiModel,
                ..
            } => Some(
                "write `[llm_compute]` with `type = \"remote_http\"`, `url` and `auth_token` of the server that runs models into \
                 the runtime config file"
                    .into(),
            ),
            Self::UndefinedLabel {
                label,
                kind,
                meant,
                known,
            } => {
                let there_are = match known.as_slice() {
                    [only] => format!("`{}` is the only label: write it", text::quote(only)),
                    several => meant_or_known(&None, several, "the labels are") + ": write one of them",
                };
                let table = Service::of_label(*kind).table().unwrap_or_default();
                Some(match meant {
                    Some(meant) => format!("did you mean `{}`?", text::quote(meant)),
                    None => format!(
                        "{there_are}, or `[{table}.{}]` with its `type` into the runtime config file",
                        text::quote(label)
                    ),
                })
            }
            Self::Dependency(error) => error.help(),
            Self::VariableName { .. } => {
                Some("a name is made of lower-case words with `_` between them, such as `api_host`".into())
            }
            Self::VariableWithoutValue { .. } => Some("write `required = true` or `default = \"…\"`".into()),
            Self::VariableWithBoth { .. } => Some("remove one of the two".into()),
            Self::Entry(error) => error
                .instead()
                .map(|instead| format!("write `{}`", text::message(instead))),
            Self::FilledEntry(filled) if filled.error.is_none() => Some(
                "an entry has a scheme, a host and ports, such as `https://api.example.com:443`: no user, \
                 password or path"
                    .into(),
            ),
            Self::DnsServer { .. } => {
                Some("write an IP address, with or without a port, such as `9.9.9.9:53`".into())
            }
            Self::VariableNotSet { name, secret } => {
                let [option, variable] = [name.to_string(), name.environment_variable()];
                let (option, variable) = (text::quote(&option), text::quote(&variable));
                Some(if *secret {
                    // Others on the machine see the arguments of a process.
                    format!("set `{variable}`, or pass `--variable {option}=@FILE`")
                } else {
                    format!("pass `--variable {option}=…` or set `{variable}`")
                })
            }
            _ => None,
        }
    }
}

fn meant_or_known(meant: &Option<String>, known: &[impl AsRef<str>], introduction: &str) -> String {
    match meant {
        Some(meant) => format!("did you mean `{}`?", text::quote(meant)),
        None if known.is_empty() => format!("{introduction}: none"),
        None => {
            let listed = known.iter().take(MOST_LISTED);
            let list: Vec<String> = listed
                .map(|word| format!("`{}`", text::quote(word.as_ref())))
                .collect();
            let others = if known.len() > MOST_LISTED {
                " and others"
            } else {
                ""
            };
            format!("{introduction} {}{others}", list.join(", "))
        }
    }
}

/// For a key that means something in another table: below a header everything belongs to its table, which is easily
/// overlooked.
fn where_it_belongs(key: &str) -> Option<String> {
    let table = match key {
        _ if OF_A_COMPONENT.contains(&key) => "the component's own table, `[component.ID]`",
        "variables" => "the component's, `[component.ID.variables]`, or the app's, `[variables]`",
        "name" | "version" | "authors" => "the app's table, `[application]`",
        "route" => "the trigger's table, `[[trigger.http]]`",
        "disallowed_outbound_hosts" | "block_networks" => {
            "the operator's runtime config file, in `[outbound_networking]`"
        }
        _ => return None,
    };
    Some(format!("it belongs in {table}"))
}

/// Keys that mean something in a component's table alone.
const OF_A_COMPONENT: [&str; 11] = [
    "source",
    "allowed_outbound_hosts",
    "allowed_http_hosts",
    "files",
    "exclude_files",
    "environment",
    "key_value_stores",
    "sqlite_databases",
    "ai_models",
    "build",
    "dependencies_inherit_configuration",
];

/// How middleware is written.
const MIDDLEWARE: &str = "write `middleware = [{ component = \"…\" }]`, or `{ path = \"…\" }` for a file";

fn item_of(item: Option<usize>) -> String {
    item.map_or_else(String::new, |number| format!("item {number} of "))
}

fn wrong_type_help(key: &str, expected: &str, found: &str) -> Option<String> {
    match (expected, found) {
        // No header of its own, unlike other tables of which there are several.
        ("an array of tables" | "a table", _) if key == "middleware" => Some(MIDDLEWARE.into()),
        // In a table whose keys are the author's own names.
        ("a table", "an array") if key == "component" => {
            Some("write `[component.ID]` for each instead of `[[component]]`".into())
        }
        ("a string" | "a table", "an array") | ("a table", "a string") => where_it_belongs(key),
        ("an array of tables", "a table") => Some(format!("write `[[{key}]]` instead of `[{key}]`")),
        (_, "a string") if expected.starts_with("an array") => {
            Some("put brackets around it: `[\"…\"]`".into())
        }
        ("a string", "a whole number" | "a number" | "`true` or `false`" | "a date") => {
            Some("put quotes around it: `\"…\"`".into())
        }
        ("`true` or `false`", "a string") => Some("write `true` or `false`, without quotes".into()),
        ("a whole number", "a string") => Some("write a number, without quotes".into()),
        _ => None,
    }
}
