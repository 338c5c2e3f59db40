//! SQLite databases: `fermyon:spin/sqlite` without a version and `@2.0.0`, `spin:sqlite@3.0.0` and `@3.1.0`.
//!
//! ```text
//! guest ─ execute(sql, parameters) ─▶ adapter ─▶ Session ─▶ a thread: rules, bounds, SQLite ─ pieces of rows ─▶ guest
//! ```
//!
//! They are thin adapters over a [session], which has a connection of its own: an open transaction, temporary
//! tables and settings are nobody else's, and end with it.
//!
//! | | bound |
//! | --- | --- |
//! | a value, or a row of a table | 4 MiB |
//! | a result | 128 MiB together ([`MOST_IN_A_RESULT`]) |
//! | a statement | 1 MiB of text, 60 s ([`MOST_TIME`]), and the processor time of its instance |
//! | what SQLite holds for a connection | 256 MiB |
//! | a database | a file 10 GiB, in memory 128 MiB |
//! | connections | of an instance 256, as in Spin; to a database 512 |
//! | statements at work | of an instance 4, of a database 8; others wait |
//! | a lock that somebody else has | 5 s |
//!
//! What a statement may do is in [`rules`]: everything within its own database (HI-7). A database of the operator's on a
//! libSQL [server] has the same session over another backend, and bounds of its own.

mod conversions;
mod database;
mod functions;
mod interruption;
mod rules;
mod server;
mod session;
mod spin_v1;
mod spin_v2;
mod spin_v3_0;
mod spin_v3_1;
mod statement;
mod wildcards;

pub(crate) use interruption::must_end;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use bindings::fermyon::spin::sqlite::Error as SpinV2Error;
pub use bindings::spin::sqlite3_0_0::sqlite::Error as SpinV3Error;
pub use bindings::spin::sqlite3_1_0::sqlite::Error as SpinV31Error;
pub use bindings_v1::fermyon::spin::sqlite::Error as SpinV1Error;
use database::Database;
use outport_egress::Egress;
use outport_policy::Location;
use server::DatabaseServer;
use wasmtime::component::Linker;

use crate::ctx::PlatformView;
use crate::operator_server::ServerError;

/// What a label stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqliteDefinition {
    /// A file, made if it is not there; its directory has to be there. Labels with the same file share it.
    File(PathBuf),
    /// As long as the process lives.
    Memory,
}

/// A database. Cheap to clone; clones are the same one.
#[derive(Clone)]
pub struct SqliteDatabase(Backend);

/// What keeps it.
#[derive(Clone)]
pub(crate) enum Backend {
    /// This process.
    Embedded(Arc<Database>),
    /// A server of the operator's.
    Server(Arc<DatabaseServer>),
}

/// Why a statement was not executed, for the guest. The operator's log has more, where it is not the guest's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// The database is as large as it may be, or its disk is full.
    #[error("the database is full")]
    Full,
    /// All else, mostly in SQLite's own words.
    #[error("{0}")]
    Other(String),
}

/// A value of a row, or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    Null,
}

/// What columns have in a row.
pub(crate) type Row = Vec<Value>;

impl SqliteDatabase {
    /// One for each definition.
    pub(crate) fn all(definitions: BTreeMap<String, SqliteDefinition>) -> BTreeMap<String, Self> {
        let mut files: BTreeMap<PathBuf, Arc<Database>> = BTreeMap::new();
        let database = |(label, definition): (String, SqliteDefinition)| {
            let database = match definition {
                SqliteDefinition::File(path) => {
                    let database = files
                        .entry(path)
                        .or_insert_with_key(|path| Database::file(path.clone()).into());
                    Arc::clone(database)
                }
                SqliteDefinition::Memory => Arc::new(Database::memory()),
            };
            (label, Self(Backend::Embedded(database)))
        };
        definitions.into_iter().map(database).collect()
    }

    /// Executes statements, one after the other, in the host's own name: without the bounds and rules of guests, and not all
    /// or none of them, unless they say so.
    ///
    /// # Errors
    ///
    /// When the database cannot be opened, or a statement is wrong.
    pub async fn execute_batch(&self, statements: &str) -> Result<(), SqliteError> {
        let own = match &self.0 {
            Backend::Embedded(own) => own,
            Backend::Server(server) => return server.execute_batch(statements).await,
        };
        let (database, statements) = (Arc::clone(own), statements.to_owned());
        let execute = move || database.execute_batch(&statements);
        let done = own.workers().run(None, execute).await;
        done.unwrap_or_else(|crate::work::NotDone| Err(SqliteError::not_executed()))
    }

    /// The database that the label leads to at a libSQL server. `url` was written at `location`.
    pub(crate) fn on_server(
        egress: &Egress,
        label: &str,
        (url, token): (&str, &str),
        location: Location,
    ) -> Result<Self, ServerError> {
        let server = DatabaseServer::new(egress, label, (url, token), location)?;
        Ok(Self(Backend::Server(Arc::new(server))))
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.0
    }
}

impl SqliteError {
    /// Something of the host's kept it from being executed.
    fn not_executed() -> Self {
        Self::Other("the statement was not executed".to_owned())
    }
}

/// Adds the interfaces.
pub(crate) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    spin_v1::add_to_linker(linker)?;
    spin_v2::add_to_linker(linker)?;
    spin_v3_0::add_to_linker(linker)?;
    spin_v3_1::add_to_linker(linker)
}

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "outport:platform/sqlite",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/sqlite.connection": super::session::Session,
            "spin:sqlite/sqlite@3.0.0.connection": super::session::Session,
            "spin:sqlite/sqlite@3.1.0.connection": super::session::Session,
        },
    });
}

mod bindings_v1 {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit-v1",
        world: "fermyon:spin/first-sqlite",
        imports: { default: async | trappable },
    });
}

/// Bytes of a result: 128 MiB.
pub(crate) const MOST_IN_A_RESULT: usize = 128 << 20;

/// How long a statement may take, whatever the limits of its instance are.
pub(crate) const MOST_TIME: Duration = Duration::from_secs(60);
