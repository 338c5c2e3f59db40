//! Spin's table: what is read from it and written to it, in SQL.

use std::sync::Mutex;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::super::{Change, Changed, StoreError};
use super::SMALL;
use crate::embedded_sqlite::lock;

/// Why a change was not made.
pub(super) enum NotApplied {
    /// It cannot be made; others can.
    Guest(StoreError),
    /// Nothing can.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for NotApplied {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::TooBig) => Self::Guest(StoreError::too_large()),
            _ => Self::Database(error),
        }
    }
}

/// Makes a change, all of it or none if the savepoint around it is dropped.
pub(super) fn apply(
    connection: &Connection,
    label: &str,
    change: &mut Change,
) -> Result<Changed, NotApplied> {
    match change {
        Change::Set(pairs) => {
            for (key, value) in pairs {
                set(connection, label, key, value)?;
            }
            Ok(Changed::Done)
        }
        Change::Delete(keys) => {
            for key in keys {
                connection.prepare_cached(DELETE)?.execute((label, &*key))?;
            }
            Ok(Changed::Done)
        }
        Change::Add { key, delta } => {
            let number = match value(connection, label, key)? {
                None => 0,
                Some(bytes) => i64::from_le_bytes(bytes.try_into().map_err(|_| not_a_number())?),
            };
            let number = number.checked_add(*delta).ok_or_else(too_large_a_number)?;
            set(connection, label, key, &number.to_le_bytes())?;
            Ok(Changed::Number(number))
        }
        Change::Swap { key, from, to } => {
            if value(connection, label, key)? != *from {
                return Ok(Changed::Not);
            }
            set(connection, label, key, to)?;
            Ok(Changed::Done)
        }
    }
}

fn not_a_number() -> NotApplied {
    NotApplied::Guest(StoreError("the value is not a number of 8 bytes".to_owned()))
}

fn too_large_a_number() -> NotApplied {
    NotApplied::Guest(StoreError("the number would not fit into 64 bits".to_owned()))
}

pub(super) fn set(connection: &Connection, label: &str, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(SET)?
        .execute((label, key, value))
        .map(drop)
}

/// True if the key has a value.
pub(super) fn exists(connection: &Connection, label: &str, key: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached(EXISTS)?.exists((label, key))
}

/// The value of a key, where it is small: `Some(None)` if the key has none.
pub(super) fn small_value(
    connection: &Connection,
    label: &str,
    key: &str,
) -> rusqlite::Result<Option<Option<Vec<u8>>>> {
    let mut statement = connection.prepare_cached(GET_SMALL)?;
    let value = statement.query_row((label, key, SMALL), |row| match row.get_ref(0)? {
        ValueRef::Null => Ok(None),
        value => bytes(value).map(Some),
    });
    // What is there and not given out is large.
    match value.optional()? {
        None => Ok(Some(None)),
        Some(small) => Ok(small.map(Some)),
    }
}

/// The value of a key, where others may be read at the same time. Of large ones one is read at a time in the process: while
/// it is, it is in memory twice, for an instance that is not asked whether it may have it before it has.
pub(super) fn any_value(
    connection: &Connection,
    label: &str,
    key: &str,
) -> rusqlite::Result<Option<Vec<u8>>> {
    static ONE_LARGE: Mutex<()> = Mutex::new(());
    let mut length = connection.prepare_cached(LENGTH)?;
    let length: Option<i64> = length.query_row((label, key), |row| row.get(0)).optional()?;
    let _one = length
        .is_some_and(|length| length > LARGE)
        .then(|| lock(&ONE_LARGE));
    value(connection, label, key)
}

fn value(connection: &Connection, label: &str, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached(GET)?;
    statement
        .query_row((label, key), |row| bytes(row.get_ref(0)?))
        .optional()
}

/// The bytes of a value. Other programs may have written text.
fn bytes(value: ValueRef<'_>) -> rusqlite::Result<Vec<u8>> {
    match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes.to_owned()),
        other => Err(rusqlite::Error::InvalidColumnType(
            0,
            "value".to_owned(),
            other.data_type(),
        )),
    }
}

/// Keys in their order, behind `after`: as many as are read at a time.
pub(super) fn keys(
    connection: &Connection,
    label: &str,
    after: Option<&str>,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(match after {
        Some(_) => KEYS_AFTER,
        None => KEYS,
    })?;
    let mut rows = match after {
        Some(after) => statement.query((label, after))?,
        None => statement.query((label,))?,
    };
    let (mut keys, mut size) = (Vec::new(), 0);
    while size < KEYS_TOGETHER
        && let Some(row) = rows.next()?
    {
        let key: String = row.get(0)?;
        size += key.len();
        keys.push(key);
    }
    Ok(keys)
}

/// Spin's table.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS spin_key_value (\
     store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key))";

const GET: &str = "SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2";

/// SQLite tells the length of a value without reading all of it.
const GET_SMALL: &str = "SELECT CASE WHEN length(value) <= ?3 THEN value END \
     FROM spin_key_value WHERE store = ?1 AND key = ?2";

/// NULL has no length, and is no value either.
const LENGTH: &str =
    "SELECT coalesce(octet_length(value), 0) FROM spin_key_value WHERE store = ?1 AND key = ?2";

const EXISTS: &str = "SELECT 1 FROM spin_key_value WHERE store = ?1 AND key = ?2";

/// Other programs may have written keys that are no text, which come after all that are and cannot be gone on from.
const KEYS: &str =
    "SELECT key FROM spin_key_value WHERE store = ?1 AND typeof(key) = 'text' ORDER BY key LIMIT 1000";

const KEYS_AFTER: &str = "SELECT key FROM spin_key_value WHERE store = ?1 AND key > ?2 AND typeof(key) = 'text' \
     ORDER BY key LIMIT 1000";

const SET: &str = "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3) \
     ON CONFLICT (store, key) DO UPDATE SET value = excluded.value";

const DELETE: &str = "DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2";

/// Bytes of a value that takes its turn to be read: 1 MiB.
const LARGE: i64 = 1 << 20;

/// Bytes of keys that are read at a time.
const KEYS_TOGETHER: usize = 256 * 1024;
