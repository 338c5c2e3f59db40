//! Stores in an SQLite file, whose table is Spin's: `spin_key_value(store, key, value)`. Either reads what the other wrote.
//!
//! ```text
//! get, exists ─▶ a reader, on the worker's thread ─┬─ a small value ─────────────────────────────▶ guest
//!                                                  └─ large, locked, not open yet ─▶ a thread ───▶ guest
//! set, delete, … ─▶ queue ─▶ a thread: all that wait, in one transaction, written through ──▶ guests
//! ```
//!
//! A small value is in memory more often than not, and is read before another thread would have been woken for it. Changes
//! wait for the disk, so those that come meanwhile are written together: many guests that set something share what it costs
//! to have it written through. What is confirmed is on the disk (`synchronous=FULL`, write-ahead log).
//!
//! Guests write keys and values and no SQL. Triggers and views of a file that somebody else made do nothing here.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};
use tokio::sync::{Semaphore, oneshot};

use super::{Backend, Change, Changed, MOST_IN_A_RESULT, StoreError};
use crate::embedded_sqlite::{At, PATIENCE, fault, lock};
use crate::trouble::Trouble;
use crate::work::{Account, NotDone, Workers, charge};

/// The store of one label in a database.
pub(super) struct FileStore {
    database: Arc<Database>,
    label: Arc<str>,
}

/// An SQLite database with Spin's table.
pub(super) struct Database {
    at: At,
    /// Connections that nobody reads by at the moment.
    readers: Mutex<Vec<Connection>>,
    /// Opened by whoever uses the database first.
    writer: Mutex<Option<Connection>>,
    /// There is a writer, and so the table.
    is_open: AtomicBool,
    queue: Mutex<Queue>,
    workers: Workers,
    trouble: Trouble,
}

/// Changes that wait for the disk.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Somebody is about to write them.
    is_served: bool,
}

struct Waiting {
    label: Arc<str>,
    change: Change,
    account: Account,
    reply: oneshot::Sender<Result<Changed, StoreError>>,
}

impl FileStore {
    pub(super) fn new(database: Arc<Database>, label: &str) -> Self {
        Self {
            database,
            label: label.into(),
        }
    }

    /// Reads at once if that takes no time to speak of, and else on another thread.
    async fn read<R: Send + 'static>(
        &self,
        key: &str,
        account: Account,
        quick: impl FnOnce(&Connection) -> rusqlite::Result<Option<R>>,
        slow: impl FnOnce(&Connection, &str) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        if key.len() <= usize::from(SMALL)
            && let Some(answer) = self.database.read_at_once(quick)
        {
            return Ok(answer);
        }
        let (database, label) = (Arc::clone(&self.database), Arc::clone(&self.label));
        let read = move || database.read(|connection| slow(connection, &label));
        let read = self.database.workers.run(account, read).await;
        read.unwrap_or_else(|NotDone| Err(StoreError("the store was not read".to_owned())))
    }
}

#[async_trait]
impl Backend for FileStore {
    fn turns<'t>(&self, of_instance: &'t Semaphore) -> Option<&'t Semaphore> {
        Some(of_instance)
    }

    fn get_at_once(&self, key: &str) -> Option<Option<Vec<u8>>> {
        let is_short = key.len() <= usize::from(SMALL);
        let quick = |connection: &Connection| small_value(connection, &self.label, key);
        is_short.then(|| self.database.read_at_once(quick)).flatten()
    }

    async fn get(&self, key: &str, account: Account) -> Result<Option<Vec<u8>>, StoreError> {
        let own = key.to_owned();
        self.read(
            key,
            account,
            |connection| small_value(connection, &self.label, key),
            move |connection, label| any_value(connection, label, &own),
        )
        .await
    }

    async fn exists(&self, key: &str, account: Account) -> Result<bool, StoreError> {
        let own = key.to_owned();
        self.read(
            key,
            account,
            |connection| exists(connection, &self.label, key).map(Some),
            move |connection, label| exists(connection, label, &own),
        )
        .await
    }

    async fn keys(&self, after: Option<String>, account: Account) -> Result<Vec<String>, StoreError> {
        let slow = move |connection: &Connection, label: &str| keys(connection, label, after.as_deref());
        self.read("", account, |_| Ok(None), slow).await
    }

    async fn change(&self, change: Change, account: Account) -> Result<Changed, StoreError> {
        let (reply, done) = oneshot::channel();
        let waiting = Waiting {
            label: Arc::clone(&self.label),
            change,
            account,
            reply,
        };
        self.database.write(waiting);
        let not_written = StoreError("the store was not written".to_owned());
        done.await.unwrap_or(Err(not_written))
    }
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
            readers: Mutex::default(),
            writer: Mutex::default(),
            is_open: AtomicBool::new(false),
            queue: Mutex::default(),
            workers: Workers::default(),
            trouble: Trouble::default(),
        }
    }

    /// What `quick` answers, if the database is open, nobody is in the way and it answers at all.
    fn read_at_once<R>(&self, quick: impl FnOnce(&Connection) -> rusqlite::Result<Option<R>>) -> Option<R> {
        let connection = lock(&self.readers).pop()?;
        let answer = quick(&connection);
        self.put_back(connection);
        // Whatever is wrong is found again by the one who has time for it, and told there.
        answer.ok().flatten()
    }

    /// Reads, however long it takes. To be called where blocking is no harm.
    fn read<R>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<R>) -> Result<R, StoreError> {
        let answer = self.reader().and_then(|connection| {
            connection.busy_timeout(PATIENCE)?;
            let answer = read(&connection);
            connection.busy_timeout(Duration::ZERO)?;
            self.put_back(connection);
            answer
        });
        answer.map_err(|error| self.failed("read", &error))
    }

    fn reader(&self) -> rusqlite::Result<Connection> {
        // Whoever reads first makes the table, and what is in memory lasts as long as its writer. Whoever comes later does
        // not wait until it has written.
        if !self.is_open.load(Ordering::Acquire) {
            drop(self.writer()?);
        }
        if let Some(connection) = lock(&self.readers).pop() {
            return Ok(connection);
        }
        let connection = self.connect()?;
        connection.pragma_update(None, "query_only", true)?;
        connection.busy_timeout(Duration::ZERO)?;
        Ok(connection)
    }

    fn put_back(&self, connection: Connection) {
        let mut readers = lock(&self.readers);
        if readers.len() < MOST_READERS {
            readers.push(connection);
        }
    }

    /// The connection that writes, with the table in place.
    fn writer(&self) -> rusqlite::Result<MutexGuard<'_, Option<Connection>>> {
        let mut writer = lock(&self.writer);
        if writer.is_none() {
            let connection = self.connect()?;
            self.at.write_ahead(&connection);
            connection.execute_batch(TABLE)?;
            *writer = Some(connection);
            self.is_open.store(true, Ordering::Release);
        }
        Ok(writer)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = self.at.connect(PATIENCE)?;
        for setting in [
            DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
            DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
        ] {
            connection.set_db_config(setting, false)?;
        }
        let most = i32::try_from(MOST_IN_A_RESULT).unwrap_or(i32::MAX);
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, most)?;
        Ok(connection)
    }

    /// Has a change made with the next ones that are.
    fn write(self: &Arc<Self>, waiting: Waiting) {
        let mut queue = lock(&self.queue);
        queue.waiting.push_back(waiting);
        if std::mem::replace(&mut queue.is_served, true) {
            return;
        }
        drop(queue);
        let service = Service(Arc::clone(self));
        // On its own: who waits for a change may be ended while others wait for theirs.
        tokio::spawn(async move {
            let database = Arc::clone(&service.0);
            // Where it is not done, nobody is served any more, and those who wait are told.
            let _ = database.workers.run(None, move || service.serve()).await;
        });
    }

    /// Makes changes, all or none of each, and all of them outlive the process or none.
    fn commit(&self, mut together: Vec<Waiting>) {
        let done = self.try_commit(&mut together);
        // For one that does not fit the others are not refused.
        let alone = together.len() > 1 && done.as_ref().is_err_and(|error| !is_locked(error));
        if alone {
            for waiting in together {
                self.commit(vec![waiting]);
            }
            return;
        }
        let answers = match done {
            Ok(answers) => answers,
            Err(error) => vec![Err(self.failed("written", &error)); together.len()],
        };
        for (waiting, answer) in together.into_iter().zip(answers) {
            // Who has gone meanwhile does not want to know.
            let _ = waiting.reply.send(answer);
        }
    }

    fn try_commit(&self, together: &mut [Waiting]) -> rusqlite::Result<Vec<Result<Changed, StoreError>>> {
        let mut writer = self.writer()?;
        let Some(connection) = &mut *writer else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let payer = together.first().and_then(|waiting| waiting.account.clone());
        let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut answers = Vec::with_capacity(together.len());
        for waiting in together {
            let step = transaction.savepoint()?;
            let (label, change) = (&waiting.label, &mut waiting.change);
            let answer = charge(&waiting.account, || apply(&step, label, change));
            match answer {
                Ok(answer) => {
                    step.commit()?;
                    answers.push(Ok(answer));
                }
                Err(NotApplied::Guest(error)) => {
                    drop(step);
                    answers.push(Err(error));
                }
                Err(NotApplied::Database(error)) => return Err(error),
            }
        }
        charge(&payer, || transaction.commit())?;
        Ok(answers)
    }

    /// Tells the operator what is wrong and where, and answers what the guest gets to know.
    fn failed(&self, done: &str, error: &rusqlite::Error) -> StoreError {
        if error.sqlite_error_code() == Some(ErrorCode::TooBig) {
            return StoreError::too_large();
        }
        let what = fault(error).map_or_else(|| error.to_string(), str::to_owned);
        self.trouble
            .warn(format!("key-value store `{}` was not {done}: {what}", self.at));
        StoreError(format!("the store was not {done}: {what}"))
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Who writes what waits. When it goes, the next one who comes is served by another.
struct Service(Arc<Database>);

impl Service {
    fn serve(self) {
        while let Some(together) = self.next() {
            self.0.commit(together);
        }
    }

    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queue = lock(&self.0.queue);
        if queue.waiting.is_empty() {
            queue.is_served = false;
            return None;
        }
        let (mut many, mut size) = (0, 0);
        while let Some(waiting) = queue.waiting.get(many)
            && many < MOST_TOGETHER
            && size < LARGE_TOGETHER
        {
            size += waiting.change.size();
            many += 1;
        }
        Some(queue.waiting.drain(..many).collect())
    }
}

impl Drop for Service {
    /// After a panic those who still wait are told that nothing was written, since nobody else will serve them.
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        if std::mem::take(&mut queue.is_served) {
            queue.waiting.clear();
        }
    }
}

/// Why a change was not made.
enum NotApplied {
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

fn apply(connection: &Connection, label: &str, change: &mut Change) -> Result<Changed, NotApplied> {
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

fn set(connection: &Connection, label: &str, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(SET)?
        .execute((label, key, value))
        .map(drop)
}

fn exists(connection: &Connection, label: &str, key: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached(EXISTS)?.exists((label, key))
}

/// The value of a key, where it is small: `Some(None)` if the key has none.
fn small_value(connection: &Connection, label: &str, key: &str) -> rusqlite::Result<Option<Option<Vec<u8>>>> {
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
fn any_value(connection: &Connection, label: &str, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
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

fn keys(connection: &Connection, label: &str, after: Option<&str>) -> rusqlite::Result<Vec<String>> {
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
const TABLE: &str = "CREATE TABLE IF NOT EXISTS spin_key_value (\
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

/// Bytes of a key, and of a value, that are read on a worker's thread: some pages.
const SMALL: u16 = 16 * 1024;

/// Bytes of a value that takes its turn to be read: 1 MiB.
const LARGE: i64 = 1 << 20;

/// Bytes of keys that are read at a time.
const KEYS_TOGETHER: usize = 256 * 1024;

/// Changes that are written at a time.
const MOST_TOGETHER: usize = 256;

/// Bytes after which no further change is written at the same time: 4 MiB. Whoever waits for a small one does not wait for
/// many large ones.
const LARGE_TOGETHER: usize = 4 << 20;

/// Connections that are kept for reading.
const MOST_READERS: usize = 8;

#[cfg(test)]
mod tests;
