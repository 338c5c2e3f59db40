//! SQLite as all that is kept in its files uses it: where a database is, how it is opened and bounded, and what is told of
//! its faults.

pub(crate) mod memory;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    File(PathBuf),
    /// The name under which all connections of the process find it, as long as there is one.
    Memory(String),
}

impl At {
    /// In memory, and found by nobody else.
    pub(crate) fn memory() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::Memory(format!("file:/outport-{number}?vfs=memdb"))
    }

    /// A connection on which a schema that somebody else made is not trusted, that writes through whatever it commits, and
    /// whose database is bounded. It waits for `patience` where somebody else has a lock.
    pub(crate) fn connect(&self, patience: Duration) -> rusqlite::Result<Connection> {
        memory::install();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self {
            Self::File(path) => Connection::open_with_flags(path, flags)?,
            Self::Memory(uri) => Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?,
        };
        connection.busy_timeout(patience)?;
        for (setting, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        ] {
            connection.set_db_config(setting, on)?;
        }
        // The kernel lets nobody write elsewhere.
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "synchronous", "full")?;
        let page: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let most = match self {
            Self::File(_) => MOST_IN_A_FILE,
            Self::Memory(_) => MOST_IN_MEMORY,
        };
        connection.query_row(
            &format!("PRAGMA max_page_count={}", most / page.max(512)),
            [],
            |_| Ok(()),
        )?;
        // What one large change took of the log is given back when it was written to the file.
        connection.query_row(&format!("PRAGMA journal_size_limit={LOG_KEPT}"), [], |_| Ok(()))?;
        Ok(connection)
    }

    /// Lets who reads and who writes not wait for each other, where that can be had: of a file that cannot be written, or
    /// that somebody else has open, the old way of writing is kept.
    pub(crate) fn write_ahead(&self, connection: &Connection) {
        if matches!(self, Self::File(_)) {
            let _ = connection.pragma_update(None, "journal_mode", "wal");
        }
    }
}

/// Fit for a message.
impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => outport_policy::text::path(path).fmt(f),
            Self::Memory(_) => f.write_str("in memory"),
        }
    }
}

/// What is wrong with a database, where it is not what was asked of it.
pub(crate) fn fault(error: &rusqlite::Error) -> Option<&'static str> {
    match error.sqlite_error_code()? {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some("another process has it locked"),
        ErrorCode::NotADatabase => Some("it is not a database"),
        ErrorCode::DatabaseCorrupt => Some("it is damaged"),
        ErrorCode::DiskFull => Some("it is full, or its disk is"),
        ErrorCode::ReadOnly => Some("it is read-only"),
        ErrorCode::CannotOpen => Some("it cannot be opened"),
        ErrorCode::SystemIoFailure => Some("its disk failed"),
        _ => None,
    }
}

/// Whoever panicked meanwhile has left a connection or a list whole: what it began is rolled back when it is dropped.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection as another program has one, for tests.
#[cfg(test)]
pub(crate) fn open_directly(path: &std::path::Path) -> Connection {
    memory::install();
    Connection::open(path).expect("a database can be made there")
}

/// Bytes of a file: 10 GiB.
const MOST_IN_A_FILE: i64 = 10 << 30;

/// Bytes of a database in memory: 128 MiB. They belong to no instance, since they outlive it.
pub(crate) const MOST_IN_MEMORY: i64 = 128 << 20;

/// Bytes that the file of the write-ahead log keeps: 16 MiB.
const LOG_KEPT: i64 = 16 << 20;

/// How long somebody else may keep a database locked.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
