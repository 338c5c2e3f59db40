//! A database, and the connections to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rules::Rules;
use super::{MOST_TIME, SqliteError};
use crate::embedded_sqlite::{At, PATIENCE, fault, lock, memory};
use crate::trouble::Trouble;
use crate::work::Workers;

/// An SQLite database.
pub(crate) struct Database {
    at: At,
    /// Never written by: what is in memory lasts as long as it, and no guest's connection is the last one of a file, which
    /// would have to write it all back when it closes.
    anchor: Mutex<Option<Connection>>,
    connections: Arc<Semaphore>,
    workers: Workers,
    trouble: Trouble,
    most_time: Duration,
}

/// A connection of one session.
pub(super) struct Connected {
    /// Until it is closed.
    connection: Option<Connection>,
    pub(super) held: memory::Held,
    pub(super) rules: Arc<Rules>,
    _place: OwnedSemaphorePermit,
}

impl Database {
    pub(super) fn file(path: PathBuf) -> Self {
        Self::new(At::File(path))
    }

    pub(super) fn memory() -> Self {
        Self::new(At::memory())
    }

    fn new(at: At) -> Self {
        Self {
            at,
            anchor: Mutex::default(),
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            workers: Workers::default(),
            trouble: Trouble::default(),
            most_time: MOST_TIME,
        }
    }

    #[cfg(test)]
    pub(super) fn with_most_time(mut self, most_time: Duration) -> Self {
        self.most_time = most_time;
        self
    }

    /// How long a statement may take.
    pub(super) fn most_time(&self) -> Duration {
        self.most_time
    }

    pub(super) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// A place for one more connection, waited for a while.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, SqliteError> {
        let place = Arc::clone(&self.connections).acquire_owned();
        match tokio::time::timeout(PATIENCE, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(SqliteError::Other(
                "too many connections to the database are open".to_owned(),
            )),
        }
    }

    /// A connection for a session. To be called where blocking is no harm.
    pub(super) fn connect(&self, place: OwnedSemaphorePermit) -> rusqlite::Result<Connected> {
        self.open()?;
        let rules = Arc::new(Rules::default());
        let mut held = memory::Held::default();
        let connection = held.at_work(|| -> rusqlite::Result<Connection> {
            // Locks are waited for where no thread is kept busy by it.
            let mut connection = self.at.connect(Duration::ZERO)?;
            rules.apply_to(&mut connection)?;
            Ok(connection)
        })?;
        Ok(Connected {
            connection: Some(connection),
            held,
            rules,
            _place: place,
        })
    }

    /// Opens the database, if that has not been done yet.
    fn open(&self) -> rusqlite::Result<()> {
        let mut anchor = lock(&self.anchor);
        if anchor.is_none() {
            let connection = self.at.connect(PATIENCE)?;
            self.at.write_ahead(&connection);
            if matches!(self.at, At::Memory(_)) {
                // Its first bytes, which grow into all that it ever holds, are the host's.
                connection.execute_batch("BEGIN IMMEDIATE; PRAGMA user_version = 0; COMMIT")?;
            }
            *anchor = Some(connection);
        }
        Ok(())
    }

    pub(super) fn execute_batch(&self, statements: &str) -> Result<(), SqliteError> {
        let executed = self.open().and_then(|()| {
            let connection = self.at.connect(PATIENCE)?;
            connection.execute_batch(statements)
        });
        executed.map_err(|error| self.failed(&error))
    }

    /// Tells the operator what is wrong, if that is the database, and answers what the guest gets to know.
    pub(super) fn failed(&self, error: &rusqlite::Error) -> SqliteError {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly};
        let code = error.sqlite_error_code();
        let is_own = match code {
            // Guests lock each other out, for moments. Who waited in vain tells it.
            Some(DatabaseBusy | DatabaseLocked) => true,
            Some(ReadOnly) => !self.is_read_only(error),
            _ => false,
        };
        let fault = fault(error);
        if let Some(fault) = fault.filter(|_| !is_own) {
            self.trouble
                .warn(format!("SQLite database `{}`: {fault}", self.at));
        }
        match (code, fault) {
            (Some(DiskFull), _) => SqliteError::Full,
            // SQLite's own words may have the path.
            (Some(CannotOpen), Some(fault)) => {
                SqliteError::Other(format!("the database was not opened: {fault}"))
            }
            _ => SqliteError::Other(own_words(error)),
        }
    }

    /// Tells the operator that a lock was waited for in vain, if nobody has it here.
    pub(super) fn stayed_locked(&self) {
        let is_alone = self.connections.available_permits() + 1 >= MOST_CONNECTIONS;
        if is_alone && matches!(self.at, At::File(_)) {
            self.trouble.warn(format!(
                "SQLite database `{}`: another process has it locked",
                self.at
            ));
        }
    }

    /// Whether the file cannot be written to. A guest may also have forbidden itself to.
    fn is_read_only(&self, error: &rusqlite::Error) -> bool {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        let anchor = lock(&self.anchor);
        let anchor = anchor.as_ref().map(|anchor| anchor.is_readonly(c"main"));
        extended != Some(rusqlite::ffi::SQLITE_READONLY) || matches!(anchor, Some(Ok(true)))
    }
}

/// What SQLite says, which is what its users look for.
fn own_words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::MultipleStatement => {
            "more than one statement: they are executed one by one".to_owned()
        }
        rusqlite::Error::InvalidParameterCount(given, wanted) => {
            format!("{given} parameters for a statement that has {wanted}")
        }
        error => error.to_string(),
    }
}

impl Connected {
    /// The connection, and what it holds.
    pub(super) fn parts(&mut self) -> Option<(&mut Connection, &mut memory::Held)> {
        Some((self.connection.as_mut()?, &mut self.held))
    }
}

/// Closes it where blocking is no harm: what it has begun is rolled back.
impl Drop for Connected {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(connection));
        }
    }
}

/// Connections to one database.
const MOST_CONNECTIONS: usize = 512;
