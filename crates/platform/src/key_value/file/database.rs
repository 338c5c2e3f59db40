//! An SQLite database with Spin's table: connections that read, one that writes, and the changes that wait for it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::oneshot;

use super::super::{Change, Changed, MOST_IN_A_RESULT, StoreError};
use super::table::{NotApplied, TABLE, apply};
use crate::embedded_sqlite::{At, PATIENCE, fault, lock};
use crate::trouble::Trouble;
use crate::work::{Account, Workers, charge};

/// An SQLite database with Spin's table.
pub(in crate::key_value) struct Database {
    at: At,
    /// Connections that nobody reads by at the moment.
    readers: Mutex<Vec<Connection>>,
    /// Opened by whoever uses the database first.
    writer: Mutex<Option<Connection>>,
    /// There is a writer, and so the table.
    is_open: AtomicBool,
    queue: Mutex<Queue>,
    pub(super) workers: Workers,
    trouble: Trouble,
}

/// Changes that wait for the disk.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Somebody is about to write them.
    is_served: bool,
}

/// A change, and who waits for it.
pub(super) struct Waiting {
    pub(super) label: Arc<str>,
    pub(super) change: Change,
    pub(super) account: Account,
    pub(super) reply: oneshot::Sender<Result<Changed, StoreError>>,
}

impl Database {
    pub(in crate::key_value) fn file(path: PathBuf) -> Self {
        Self::new(At::File(path))
    }

    pub(in crate::key_value) fn memory() -> Self {
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
    pub(super) fn read_at_once<R>(
        &self,
        quick: impl FnOnce(&Connection) -> rusqlite::Result<Option<R>>,
    ) -> Option<R> {
        let connection = lock(&self.readers).pop()?;
        let answer = quick(&connection);
        self.put_back(connection);
        // Whatever is wrong is found again by the one who has time for it, and told there.
        answer.ok().flatten()
    }

    /// Reads, however long it takes. To be called where blocking is no harm.
    pub(super) fn read<R>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, StoreError> {
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
    pub(super) fn write(self: &Arc<Self>, waiting: Waiting) {
        let mut queue = lock(&self.queue);
        queue.waiting.push_back(waiting);
        if std::mem::replace(&mut queue.is_served, true) {
            return;
        }
        drop(queue);
        let service = Service::of(self);
        // On its own: who waits for a change may be ended while others wait for theirs.
        tokio::spawn(async move {
            let database = Arc::clone(&service.database);
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

/// Who writes what waits, one at a time for a database.
struct Service {
    database: Arc<Database>,
    /// It found nothing more to write, and has left the queue to the next one. That one may have come before this is
    /// dropped, so what waits then is not for this one to touch.
    has_left: bool,
}

impl Service {
    fn of(database: &Arc<Database>) -> Self {
        Self {
            database: Arc::clone(database),
            has_left: false,
        }
    }

    fn serve(mut self) {
        while let Some(together) = self.next() {
            self.database.commit(together);
        }
    }

    /// What is to be written together, or nothing: then the next change that comes is served by another.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut queue = lock(&self.database.queue);
        if queue.waiting.is_empty() {
            queue.is_served = false;
            self.has_left = true;
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
        if self.has_left {
            return;
        }
        let mut queue = lock(&self.database.queue);
        queue.is_served = false;
        queue.waiting.clear();
    }
}

/// Changes that are written at a time.
const MOST_TOGETHER: usize = 256;

/// Bytes after which no further change is written at the same time: 4 MiB. Whoever waits for a small one does not wait for
/// many large ones.
const LARGE_TOGETHER: usize = 4 << 20;

/// Connections that are kept for reading.
const MOST_READERS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// A change for which nobody has begun to serve, and who waits for it.
    fn change(database: &Database) -> oneshot::Receiver<Result<Changed, StoreError>> {
        let (reply, done) = oneshot::channel();
        let mut queue = lock(&database.queue);
        queue.is_served = true;
        queue.waiting.push_back(Waiting {
            label: "default".into(),
            change: Change::Set(vec![("key".to_owned(), b"value".to_vec())]),
            account: None,
            reply,
        });
        done
    }

    #[test]
    fn what_comes_as_a_service_goes_is_left_to_the_next_one() {
        let database = Arc::new(Database::memory());
        let mut first = Service::of(&database);
        assert!(first.next().is_none());
        let mut done = change(&database);
        drop(first);
        Service::of(&database).serve();
        assert!(matches!(done.try_recv(), Ok(Ok(Changed::Done))));
    }

    #[test]
    fn who_waits_for_a_service_that_panicked_is_told() {
        let database = Arc::new(Database::memory());
        let service = Service::of(&database);
        let mut done = change(&database);
        drop(service);
        assert_eq!(done.try_recv().err(), Some(oneshot::error::TryRecvError::Closed));
        assert!(!lock(&database.queue).is_served);
    }
}
