//! Definitions of the operator for components: `[key_value_store.LABEL]`, `[sqlite_database.LABEL]`, `[llm_compute]` and
//! the settings of clients, as Spin has them in the runtime config file.
//!
//! | table | `type` | keys beside it |
//! | --- | --- | --- |
//! | `[key_value_store.LABEL]` | `spin` | `path`, relative to this file; without one in memory |
//! | | `redis` | `url` |
//! | `[sqlite_database.LABEL]` | `spin` | `path`, relative to the working directory; without one in memory; `allow_attach_file` |
//! | | `libsql` | `url`, `token` |
//! | `[llm_compute]` | `remote_http` | `url`, `auth_token`, `api_type` (`default` or `open_ai`) |
//!
//! Spin's other types are mistakes that say what is served.

use std::path::{Path, PathBuf};

use outport_policy::text;

use crate::reading::fields::{Fields, Node};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::remark::Remark;
use crate::report::spelling::nearest;
use crate::source::{Located, Span};
use crate::values::identifier::check_label;
use crate::values::secret::Secret;
use crate::values::server_url::{ServerUrl, ServerUrlError};

/// The definition of a label, and its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition<B> {
    /// The label, at the key.
    pub label: Located<String>,
    /// The backend that keeps what it names.
    pub backend: B,
    /// The location of the definition: its header or its braces.
    pub span: Span,
}

/// The backend that has the pairs of a key-value store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValueBackend {
    /// On this machine (`type = "spin"`).
    Local(Database),
    /// On a Redis server (`type = "redis"`): `redis://` or `rediss://`.
    Redis(ServerUrl),
}

/// The backend that has the tables of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqliteBackend {
    /// On this machine (`type = "spin"`).
    Local(Database),
    /// On a libSQL server (`type = "libsql"`): `http://` or `https://`.
    LibSql {
        /// The server.
        url: ServerUrl,
        /// The token that it knows its client by.
        token: Secret,
    },
}

/// An embedded database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Database {
    /// Nothing of it outlives the process.
    Memory,
    /// This file, made when it is first needed. A relative path starts at the working directory.
    File(PathBuf),
}

/// A server that runs models for components: `[llm_compute]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelServer {
    /// Its URL: `http://` or `https://`.
    pub url: ServerUrl,
    /// The token that it knows its client by.
    pub auth_token: Secret,
    /// The dialect that it is spoken to in.
    pub api: ModelApi,
    /// The location of it: its header or its braces.
    pub span: Span,
}

/// The dialect of a model server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ModelApi {
    /// Spin's own (`default`).
    #[default]
    Spin,
    /// That of OpenAI, which many servers have (`open_ai`).
    OpenAi,
}

/// The definitions of one kind, and the labels of those that have mistakes.
pub(crate) struct Definitions<B> {
    pub(crate) read: Vec<Definition<B>>,
    pub(crate) unclear: Vec<String>,
}

impl<B> Default for Definitions<B> {
    fn default() -> Self {
        Self {
            read: Vec::new(),
            unclear: Vec::new(),
        }
    }
}

/// Reads `key_value_store`.
pub(crate) fn read_key_value_stores(found: &mut Findings, node: Node<'_>) -> Definitions<KeyValueBackend> {
    let types = &["spin", "redis"];
    read_definitions(found, node, types, |found, fields, kind| match kind {
        "spin" => {
            let source = found.source().clone();
            let beside = source.path().parent().unwrap_or(Path::new(""));
            let database = read_database(found, fields, beside)?;
            Some(KeyValueBackend::Local(database))
        }
        _ => read_url(found, fields, &REDIS, Ok).map(KeyValueBackend::Redis),
    })
}

/// Reads `sqlite_database`.
pub(crate) fn read_sqlite_databases(found: &mut Findings, node: Node<'_>) -> Definitions<SqliteBackend> {
    let types = &["spin", "libsql"];
    read_definitions(found, node, types, |found, fields, kind| match kind {
        "spin" => {
            let database = read_database(found, fields, Path::new(""));
            let attach = fields.get("allow_attach_file");
            if let Some(node) = attach
                && node.boolean(found).is_some_and(|attach| attach.value)
            {
                let (key, why) = (
                    node.key().to_owned(),
                    "a guest never opens another file by `ATTACH`",
                );
                found.remark(&node.span(), Remark::Missed { key, why });
            }
            database.map(SqliteBackend::Local)
        }
        _ => {
            let url = read_url(found, fields, &HTTP, Ok);
            let token = read_secret(found, fields, "token");
            Some(SqliteBackend::LibSql {
                url: url?,
                token: token?,
            })
        }
    })
}

/// Reads `llm_compute`.
pub(crate) fn read_model_server(found: &mut Findings, node: Node<'_>) -> Option<ModelServer> {
    let mut fields = node.table(found, "`[llm_compute]`")?;
    read_type(found, &mut fields, &["remote_http"])?;
    let url = read_url(found, &mut fields, &HTTP, ServerUrl::with_path_alone);
    let auth_token = read_header_token(found, &mut fields, "auth_token");
    let api = fields
        .get("api_type")
        .map(|node| read_word(found, node, &["default", "open_ai"]));
    fields.finish(found);
    Some(ModelServer {
        url: url?,
        auth_token: auth_token?,
        api: match api {
            None => ModelApi::default(),
            Some(api) if api? == "open_ai" => ModelApi::OpenAi,
            Some(_) => ModelApi::Spin,
        },
        span: node.span(),
    })
}

/// Reads the settings of one of the clients of servers: how many connections a component may have.
pub(crate) fn read_client(found: &mut Findings, node: Node<'_>) -> Option<Located<u32>> {
    let mut fields = node.table(found, format!("`[{}]`", node.key()))?;
    let limit = fields.get("max_connections").and_then(|node| node.count(found));
    fields.finish(found);
    limit
}

fn read_definitions<B>(
    found: &mut Findings,
    node: Node<'_>,
    types: &'static [&'static str],
    read_backend: impl Fn(&mut Findings, &mut Fields<'_>, &'static str) -> Option<B>,
) -> Definitions<B> {
    let mut definitions = Definitions::default();
    for (label, own) in node.named(found) {
        if let Err(error) = check_label(&label.value) {
            let (key, text) = (node.key().to_owned(), label.value.clone());
            found.report(&label.span, Mistake::Label { key, text, error });
        }
        let title = format!("`[{}.{}]`", node.key(), label.value);
        let backend = own.table(found, title).and_then(|mut fields| {
            // Of another type the keys would be others.
            let kind = read_type(found, &mut fields, types)?;
            let backend = read_backend(found, &mut fields, kind);
            fields.finish(found);
            backend
        });
        let span = own.span();
        match backend {
            Some(backend) => definitions.read.push(Definition { label, backend, span }),
            None => definitions.unclear.push(label.value),
        }
    }
    definitions
}

/// The value of `type`, if it is one that is served.
fn read_type(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    types: &'static [&'static str],
) -> Option<&'static str> {
    let node = fields.require(found, "type")?;
    read_word(found, node, types)
}

/// A string that is one of `words`.
pub(crate) fn read_word(
    found: &mut Findings,
    node: Node<'_>,
    words: &'static [&'static str],
) -> Option<&'static str> {
    let written = node.string(found)?;
    let known = words.iter().find(|word| **word == written.value);
    if known.is_none() {
        let help = match nearest(&written.value, words.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => {
                let all: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                format!("write {}", all.join(" or "))
            }
        };
        let mistake = Mistake::Value {
            key: node.key().to_owned(),
            wrong: format!("cannot be `{}` here", text::quote(&written.value)),
            help: Some(help),
        };
        found.report(&written.span, mistake);
    }
    known.copied()
}

/// In memory, unless a path is written, which may start at `folder`; nothing where that is none.
fn read_database(found: &mut Findings, fields: &mut Fields<'_>, folder: &Path) -> Option<Database> {
    match fields.get("path").map(|node| node.filled_string(found)) {
        None => Some(Database::Memory),
        Some(path) => Some(Database::File(folder.join(path?.value))),
    }
}

/// The URL of a server that is spoken to by one of `schemes`, as `narrow` accepts it.
fn read_url(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    schemes: &[(&str, u16)],
    narrow: fn(ServerUrl) -> Result<ServerUrl, ServerUrlError>,
) -> Option<ServerUrl> {
    let written = fields
        .require(found, "url")
        .and_then(|node| node.filled_string(found))?;
    match ServerUrl::parse(&written.value, schemes).and_then(narrow) {
        Ok(url) => Some(url),
        Err(error) => {
            let scheme = schemes[0].0;
            let help = Some(format!("write `{scheme}://HOST` or `{scheme}://HOST:PORT`"));
            let (key, wrong) = ("url".to_owned(), error.to_string());
            found.report(&written.span, Mistake::Value { key, wrong, help });
            None
        }
    }
}

/// A token that is sent in a header.
fn read_header_token(found: &mut Findings, fields: &mut Fields<'_>, key: &'static str) -> Option<Secret> {
    let text = fields.require(found, key).and_then(|node| node.string(found))?;
    if text.value.contains(|c: char| !c.is_ascii_graphic() && c != ' ') {
        let (key, wrong) = (
            key.to_owned(),
            "holds what a header cannot: it has to be printable ASCII".to_owned(),
        );
        found.report(
            &text.span,
            Mistake::Value {
                key,
                wrong,
                help: None,
            },
        );
        return None;
    }
    Some(Secret::new(text.value))
}

fn read_secret(found: &mut Findings, fields: &mut Fields<'_>, key: &'static str) -> Option<Secret> {
    let text = fields.require(found, key).and_then(|node| node.string(found))?;
    Some(Secret::new(text.value))
}

const REDIS: [(&str, u16); 2] = [("redis", 6379), ("rediss", 6379)];

const HTTP: [(&str, u16); 2] = [("https", 443), ("http", 80)];
