//! A session with a libSQL server.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use outport_egress::trace::Trace;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};

use super::super::{Row, SqliteError, Value};
use super::DatabaseServer;
use super::hrana::Asked;
use crate::ctx::Place;
use crate::work::Account;

/// What a guest has open.
pub(crate) struct ServerSession {
    server: Arc<DatabaseServer>,
    component: String,
    account: Account,
    /// The statements that the instance may have at work.
    own: Arc<Semaphore>,
    /// Statements come one after the other.
    stream: Mutex<Stream>,
    last_insert_rowid: AtomicI64,
    changes: AtomicU64,
    _place: Place,
}

/// What the server keeps of a session.
enum Stream {
    /// Nothing.
    None,
    /// A connection of SQLite's.
    Open {
        baton: String,
        since: Instant,
        is_in_transaction: bool,
    },
    /// A transaction was lost. What would come next believes to be in it.
    Lost,
}

impl ServerSession {
    pub(crate) fn new(
        server: Arc<DatabaseServer>,
        component: &str,
        account: Account,
        own: Arc<Semaphore>,
        place: Place,
    ) -> Self {
        Self {
            server,
            component: component.to_owned(),
            account,
            own,
            stream: Mutex::new(Stream::None),
            last_insert_rowid: AtomicI64::new(0),
            changes: AtomicU64::new(0),
            _place: place,
        }
    }

    /// Executes one statement: its columns, and its rows, some together.
    pub(crate) async fn execute(
        &self,
        trace: &Trace,
        sql: &str,
        parameters: &[Value],
    ) -> Result<(Vec<String>, Vec<Vec<Row>>), SqliteError> {
        let executed = timeout(self.server.most_time, self.attempt(trace, sql, parameters));
        executed.await.unwrap_or_else(|_| Err(self.server.too_slow()))
    }

    async fn attempt(
        &self,
        trace: &Trace,
        sql: &str,
        parameters: &[Value],
    ) -> Result<(Vec<String>, Vec<Vec<Row>>), SqliteError> {
        let mut stream = self.stream.lock().await;
        let not_executed = |_| SqliteError::not_executed();
        let _own = self.own.acquire().await.map_err(not_executed)?;
        let _all = self.server.statements.acquire().await.map_err(not_executed)?;
        // Who gives up in the middle leaves this behind.
        let after_failure = stream.after_failure();
        let baton = match std::mem::replace(&mut *stream, after_failure) {
            Stream::Lost => return Err(lost()),
            Stream::Open {
                baton,
                since,
                is_in_transaction,
            } if is_in_transaction || since.elapsed() < LONGEST_IDLE => Some(baton),
            Stream::None | Stream::Open { .. } => None,
        };
        let asked = [Asked::Execute(sql, parameters), Asked::GetAutocommit];
        let asking = self.server.ask(
            (&self.component, trace),
            self.account.clone(),
            baton.as_deref(),
            &asked,
        );
        let mut pipeline = asking.await?;
        let executed = pipeline.take_first();
        let is_in_transaction = !pipeline.is_autocommit().ok_or_else(|| {
            let why = "it does not say whether a transaction is open";
            self.server.tell(&why);
            self.server.failed(&why)
        })?;
        *stream = match (pipeline.into_baton(), is_in_transaction) {
            (Some(baton), is_in_transaction) => Stream::Open {
                baton,
                since: Instant::now(),
                is_in_transaction,
            },
            (None, false) => Stream::None,
            (None, true) => Stream::Lost,
        };
        let executed = executed.map_err(|error| self.server.said(error))?;
        if let Some(rowid) = executed.last_insert_rowid {
            self.last_insert_rowid.store(rowid, Ordering::Relaxed);
        }
        // What only reads has changed nothing, and leaves the number of what did.
        if executed.columns.is_empty() || executed.changes > 0 {
            self.changes.store(executed.changes, Ordering::Relaxed);
        }
        Ok((executed.columns, executed.rows))
    }

    pub(crate) fn last_insert_rowid(&self) -> i64 {
        self.last_insert_rowid.load(Ordering::Relaxed)
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

impl Stream {
    fn after_failure(&self) -> Self {
        match self {
            Self::Lost
            | Self::Open {
                is_in_transaction: true,
                ..
            } => Self::Lost,
            Self::None | Self::Open { .. } => Self::None,
        }
    }
}

/// The server need not wait until it finds out.
impl Drop for ServerSession {
    fn drop(&mut self) {
        let Stream::Open { baton, .. } = std::mem::replace(self.stream.get_mut(), Stream::None) else {
            return;
        };
        let (Ok(runtime), Ok(farewell)) = (
            Handle::try_current(),
            Arc::clone(&self.server.farewells).try_acquire_owned(),
        ) else {
            return;
        };
        let (server, component) = (Arc::clone(&self.server), std::mem::take(&mut self.component));
        runtime.spawn(async move {
            let asked = [Asked::Close];
            let untraced = (&*component, &Trace::none());
            let closing = server.ask(untraced, None, Some(&baton), &asked);
            // What comes of it changes nothing any more, and the operator is told.
            let _ = timeout(FAREWELL_TIME, closing).await;
            drop(farewell);
        });
    }
}

fn lost() -> SqliteError {
    SqliteError::Other("the transaction was lost: the connection is not one any more".to_owned())
}

/// How long a stream is used again on which no transaction is open. Servers close those that wait for 10 s.
const LONGEST_IDLE: Duration = Duration::from_secs(5);

/// How long saying farewell may take.
const FAREWELL_TIME: Duration = Duration::from_secs(5);
