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

mod database;
mod table;

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

pub(super) use self::database::Database;
use self::database::Waiting;
use self::table::{any_value, exists, keys, small_value};
use super::{Backend, Change, Changed, StoreError};
use crate::work::{Account, NotDone};

/// The store of one label in a database.
pub(super) struct FileStore {
    database: Arc<Database>,
    label: Arc<str>,
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

/// Bytes of a key, and of a value, that are read on a worker's thread: some pages.
const SMALL: u16 = 16 * 1024;

#[cfg(test)]
mod tests;
