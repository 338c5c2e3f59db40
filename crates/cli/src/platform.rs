//! From what labels lead to, to stores that guests can open, with what was put into them before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use outport_check::Diagnostic;
use outport_egress::Egress;
use outport_manifest::{DEFAULT_LABEL, Database, KeyValueBackend, ModelApi, Models, SqliteBackend};
use outport_platform::Platform;
use outport_platform::key_value::KeyValueDefinition;
use outport_platform::llm::{self, ModelServer, ModelServerDefinition};
use outport_platform::sqlite::SqliteDefinition;
use outport_policy::{Location, text};

use crate::configuration::keys::MASK;
use crate::failure::Failure;
use crate::state_options::InitialState;

impl InitialState {
    /// The directories of the files that stores are in. Those that are not there are made: the kernel can be told only
    /// of what is.
    ///
    /// # Errors
    ///
    /// One of them cannot be made.
    pub(crate) fn directories(&self) -> Result<Vec<PathBuf>, Failure> {
        let stores = self
            .stores
            .key_value
            .iter()
            .filter_map(|store| match &store.backend {
                KeyValueBackend::Local(Database::File(path)) => Some(path),
                _ => None,
            });
        let databases = self
            .stores
            .sqlite
            .iter()
            .filter_map(|store| match &store.backend {
                SqliteBackend::Local(Database::File(path)) => Some(path),
                _ => None,
            });
        let files = stores.chain(databases);
        let directories: BTreeSet<PathBuf> = files.map(|file| directory_of(file)).collect();
        for directory in &directories {
            fs::create_dir_all(directory).map_err(|error| {
                let shown = text::path(directory);
                let what =
                    format!("the directory `{shown}` cannot be made, in which stores are kept: {error}");
                Failure::unusable(Diagnostic::error(what).helped_by(
                    "name one that you may write to with `--state-dir`, or none: `--state-dir ''`",
                ))
            })?;
        }
        Ok(directories.into_iter().collect())
    }

    /// What the labels stand for, for guests. What of it is on a server is connected to by `egress`.
    ///
    /// # Errors
    ///
    /// An address of a server that is not understood.
    pub(crate) fn platform(&self, egress: &Egress) -> Result<Platform, Failure> {
        let mut platform = Platform::builder();
        for store in &self.stores.key_value {
            let definition = match &store.backend {
                KeyValueBackend::Local(Database::File(path)) => KeyValueDefinition::File(path.clone()),
                KeyValueBackend::Local(Database::Memory) => KeyValueDefinition::Memory,
                KeyValueBackend::Redis(url) => {
                    let location = store.defined.clone().unwrap_or(Location::Code);
                    let added = platform.redis_key_value_store(&store.label, egress, url.expose(), location);
                    platform = added.map_err(|error| {
                        let label = text::message(&store.label);
                        let what =
                            format!("the key-value store `{label}` cannot be on a Redis server: {error}");
                        let error = Diagnostic::error(what).helped_by(
                            "write `redis://HOST`, `redis://:PASSWORD@HOST:PORT/DATABASE`, or `rediss`",
                        );
                        Failure::unusable(match &store.defined {
                            Some(location) => error.at(location.clone()),
                            None => error,
                        })
                    })?;
                    continue;
                }
            };
            platform = platform.key_value_store(&store.label, definition);
        }
        if let Some(most) = &self.connections.mqtt {
            platform = platform.mqtt_max_connections(most.value);
        }
        if let Some(most) = &self.connections.mysql {
            platform = platform.mysql_max_connections(most.value);
        }
        if let Some(most) = &self.connections.postgres {
            platform = platform.postgres_max_connections(most.value);
        }
        if let Some(most) = &self.connections.redis {
            platform = platform.redis_max_connections(most.value);
        }
        if let Some(models) = &self.stores.models {
            platform = platform.model_server(model_server(models, egress)?);
        }
        for store in &self.stores.sqlite {
            let definition = match &store.backend {
                SqliteBackend::Local(Database::File(path)) => SqliteDefinition::File(path.clone()),
                SqliteBackend::Local(Database::Memory) => SqliteDefinition::Memory,
                SqliteBackend::LibSql { url, token } => {
                    let location = store.defined.clone().unwrap_or(Location::Code);
                    let address = (url.expose(), token.expose());
                    let added = platform.libsql_database(&store.label, egress, address, location.clone());
                    platform = added.map_err(|error| {
                        let label = text::message(&store.label);
                        let what = format!("the server of the SQLite database `{label}` {error}");
                        Failure::unusable(Diagnostic::error(what).at(location))
                    })?;
                    continue;
                }
            };
            platform = platform.sqlite_database(&store.label, definition);
        }
        Ok(platform.build())
    }

    /// Puts into the stores what guests are to find there.
    ///
    /// # Errors
    ///
    /// A store cannot be opened or written.
    pub(crate) async fn fill(&self, platform: &Platform) -> Result<(), Failure> {
        if let Some(store) = platform.key_value_store(DEFAULT_LABEL) {
            for pair in &self.pairs {
                store
                    .set(&pair.key, pair.value.as_bytes())
                    .await
                    .map_err(|error| {
                        let key = text::excerpt(&pair.key);
                        let what = format!("the key `{key}` of `--key-value` was not set: {error}");
                        Failure::unusable(Diagnostic::error(what))
                    })?;
            }
        }
        for statements in &self.statements {
            let Some(database) = platform.sqlite_database(&statements.label) else {
                continue;
            };
            database.execute_batch(&statements.sql).await.map_err(|error| {
                let error = text::message(&error.to_string()).to_string();
                let what = match &statements.file {
                    Some(file) => format!("the SQL `{}` of `--sqlite` failed: {error}", text::path(file)),
                    None => format!("the SQL of `--sqlite` failed: {}", without_parts(&error)),
                };
                Failure::unusable(Diagnostic::error(what).at(statements.location.clone()))
            })?;
        }
        Ok(())
    }
}

/// The message of a database without what it quotes of a statement, which may be a secret.
fn without_parts(error: &str) -> String {
    let quoted = error
        .find('"')
        .zip(error.rfind('"'))
        .filter(|(start, end)| start < end);
    let error = match quoted {
        Some((start, end)) => format!("{}{MASK}{}", &error[..=start], &error[end..]),
        None => error.to_owned(),
    };
    match error.split_once(NO_COLUMN) {
        Some((before, _)) => format!("{before}{NO_COLUMN}{MASK}"),
        None => error,
    }
}

/// What SQLite says of a word that is no column, such as a text that nobody quoted.
const NO_COLUMN: &str = "no such column: ";

/// Who runs models for guests.
fn model_server(models: &Models, egress: &Egress) -> Result<ModelServer, Failure> {
    let server = &models.server;
    let api = match server.api {
        ModelApi::Spin => llm::ModelApi::Spin,
        ModelApi::OpenAi => llm::ModelApi::OpenAi,
    };
    let (url, token) = (server.url.expose(), server.auth_token.expose());
    let definition = ModelServerDefinition::new(url, token, api, models.defined.clone());
    ModelServer::new(egress, definition).map_err(|error| {
        let what = format!("the server of `[llm_compute]` {error}");
        Failure::unusable(Diagnostic::error(what).at(models.defined.clone()))
    })
}

/// A file in the working directory has it as its own.
fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_says_of_a_statement_quotes_nothing_of_it() {
        for (error, shown) in [
            (
                "near \"hunter2 \"x\" y\": syntax error",
                "near \"****\": syntax error",
            ),
            ("no such column: hunter2", "no such column: ****"),
            ("no such table: t", "no such table: t"),
            ("a \" b", "a \" b"),
        ] {
            assert_eq!(without_parts(error), shown);
        }
    }
}
