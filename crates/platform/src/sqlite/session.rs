//! A connection that an instance has open.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use outport_egress::trace::Trace;
use outport_egress::{HostCalls, HostInterface};
use outport_policy::LabelKind;
use tokio::sync::{Mutex, Semaphore, mpsc};

use super::database::{Connected, Database};
use super::server::ServerSession;
use super::statement::{NotExecuted, Statement};
use super::{Backend, Row, SqliteError, Value};
use crate::ctx::{Place, PlatformCtxView};
use crate::embedded_sqlite::PATIENCE;
use crate::work::{Account, NotDone};

/// A handle to a connection.
#[derive(Clone)]
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Session {
    kind: Kind,
    calls: HostCalls,
}

#[derive(Clone)]
enum Kind {
    Embedded(Arc<SessionInner>),
    Server(Arc<ServerSession>),
}

struct SessionInner {
    database: Arc<Database>,
    account: Account,
    /// The statements that the instance may have at work.
    own: Arc<Semaphore>,
    /// Made by the first statement. Statements come one after the other.
    connected: Arc<Mutex<Option<Connected>>>,
    last_insert_rowid: AtomicI64,
    changes: AtomicU64,
    _place: Place,
}

/// Why a guest gets no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotOpened {
    /// The gate refuses, and has told why.
    Denied,
    /// Nobody defines the label.
    Undefined,
    /// The instance has too many.
    TooMany,
}

/// A part of what a statement answers.
pub(super) enum Piece {
    /// Before all others.
    Columns(Vec<String>),
    Rows(Vec<Row>),
    /// After all others.
    End(Result<(), SqliteError>),
}

/// Who waits for the pieces. When it goes, the statement ends.
pub(super) type Answer = mpsc::UnboundedSender<Piece>;

/// Rows, as they are found.
pub(super) struct Rows(mpsc::UnboundedReceiver<Piece>);

/// Opens what `label` stands for, if it is granted.
pub(super) fn open(view: &PlatformCtxView<'_>, label: &str) -> Result<Session, NotOpened> {
    let calls = view.gate.calls(HostInterface::Sqlite);
    let opened = calls.clone();
    opened.call_at_once("open", Some(label), || granted(view, label, calls))
}

fn granted(view: &PlatformCtxView<'_>, label: &str, calls: HostCalls) -> Result<Session, NotOpened> {
    view.gate
        .authorize_open(LabelKind::SqliteDatabase, label)
        .map_err(|_| NotOpened::Denied)?;
    let platform = view.ctx.platform();
    let database = platform.sqlite_database(label).ok_or(NotOpened::Undefined)?;
    let place = Place::take(view.ctx.open_databases()).ok_or(NotOpened::TooMany)?;
    let (own, account) = (Arc::clone(view.ctx.statements()), view.gate.account());
    Ok(match database.backend() {
        Backend::Embedded(database) => Session::new(Arc::clone(database), account, own, (place, calls)),
        Backend::Server(server) => {
            let dialer = view.gate.dialer();
            let server = Arc::clone(server);
            let session = ServerSession::new(server, dialer.component(), account, own, place);
            let kind = Kind::Server(Arc::new(session));
            Session { kind, calls }
        }
    })
}

impl Session {
    pub(super) fn new(
        database: Arc<Database>,
        account: Account,
        own: Arc<Semaphore>,
        (place, calls): (Place, HostCalls),
    ) -> Self {
        let kind = Kind::Embedded(Arc::new(SessionInner {
            database,
            account,
            own,
            connected: Arc::default(),
            last_insert_rowid: AtomicI64::new(0),
            changes: AtomicU64::new(0),
            _place: place,
        }));
        Self { kind, calls }
    }

    /// Executes one statement: its columns, and its rows as they are found. Whoever drops either ends it.
    pub(super) async fn execute(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> Result<(Vec<String>, Rows), SqliteError> {
        let execute = |trace| self.execute_at(trace, sql, parameters);
        self.calls.call_within("execute", None, execute).await
    }

    async fn execute_at(
        &self,
        trace: Trace,
        sql: String,
        parameters: Vec<Value>,
    ) -> Result<(Vec<String>, Rows), SqliteError> {
        let own = match &self.kind {
            Kind::Embedded(own) => own,
            Kind::Server(session) => {
                let (columns, rows) = session.execute(&trace, &sql, &parameters).await?;
                return Ok((columns, Rows::of(rows)));
            }
        };
        let (answer, mut pieces) = mpsc::unbounded_channel();
        let (session, statement) = (Arc::clone(own), Arc::new(Statement { sql, parameters }));
        // On its own: the rows go on being found while the guest is at those before.
        tokio::spawn(async move {
            tokio::select! {
                end = session.execute(statement, &answer) => {
                    // Who has gone does not want to know.
                    let _ = answer.send(Piece::End(end));
                }
                () = answer.closed() => {}
            }
        });
        match pieces.recv().await {
            Some(Piece::Columns(columns)) => Ok((columns, Rows(pieces))),
            Some(Piece::End(Err(error))) => Err(error),
            _ => Err(SqliteError::not_executed()),
        }
    }

    /// The same, with all rows.
    pub(super) async fn execute_whole(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> Result<(Vec<String>, Vec<Row>), SqliteError> {
        let (columns, mut rows) = self.execute(sql, parameters).await?;
        let mut all = Vec::new();
        while let Some(some) = rows.next().await? {
            if all.is_empty() {
                all = some;
            } else {
                all.extend(some);
            }
        }
        Ok((columns, all))
    }

    /// The number of the row that was inserted last, or 0.
    pub(super) fn last_insert_rowid(&self) -> i64 {
        match &self.kind {
            Kind::Embedded(session) => session.last_insert_rowid.load(Ordering::Relaxed),
            Kind::Server(session) => session.last_insert_rowid(),
        }
    }

    /// How many rows the last statement changed that changes rows.
    pub(super) fn changes(&self) -> u64 {
        match &self.kind {
            Kind::Embedded(session) => session.changes.load(Ordering::Relaxed),
            Kind::Server(session) => session.changes(),
        }
    }
}

impl SessionInner {
    /// Until it is done, whoever has the database locked meanwhile.
    async fn execute(
        self: &Arc<Self>,
        statement: Arc<Statement>,
        answer: &Answer,
    ) -> Result<(), SqliteError> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt(Arc::clone(&statement), answer.clone()).await {
                Ok(()) => return Ok(()),
                // Nobody waits for a lock on a thread: those that hold it may need one to let go.
                Err(NotExecuted::Busy(_)) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(NotExecuted::Busy(error)) => {
                    self.database.stayed_locked();
                    return Err(error);
                }
                Err(NotExecuted::Failed(error)) => return Err(error),
            }
        }
    }

    async fn attempt(self: &Arc<Self>, statement: Arc<Statement>, answer: Answer) -> Result<(), NotExecuted> {
        let not_executed = || NotExecuted::Failed(SqliteError::not_executed());
        let mut connected = Arc::clone(&self.connected).lock_owned().await;
        let own = Arc::clone(&self.own).acquire_owned().await;
        let own = own.map_err(|_| not_executed())?;
        let place = match &*connected {
            Some(_) => None,
            None => Some(self.database.place().await.map_err(NotExecuted::Failed)?),
        };
        let session = Arc::clone(self);
        let work = move || {
            let done = session.work(&mut connected, place, &statement, &answer);
            drop((connected, own));
            done
        };
        let done = self.database.workers().run(self.account.clone(), work).await;
        done.unwrap_or_else(|NotDone| Err(not_executed()))
    }

    /// On a thread that may block.
    fn work(
        &self,
        connected: &mut Option<Connected>,
        place: Option<tokio::sync::OwnedSemaphorePermit>,
        statement: &Statement,
        answer: &Answer,
    ) -> Result<(), NotExecuted> {
        if let Some(place) = place {
            let new = self.database.connect(place);
            *connected = Some(new.map_err(|error| NotExecuted::from_sqlite(&self.database, &error))?);
        }
        let Some(connected) = connected else {
            return Err(NotExecuted::Failed(SqliteError::not_executed()));
        };
        let rules = Arc::clone(&connected.rules);
        let Some((connection, held)) = connected.parts() else {
            return Err(NotExecuted::Failed(SqliteError::not_executed()));
        };
        let (account, database) = (self.account.clone(), &self.database);
        held.at_work(|| {
            let done = statement.execute(connection, &rules, (database, account), answer);
            self.last_insert_rowid
                .store(connection.last_insert_rowid(), Ordering::Relaxed);
            self.changes.store(connection.changes(), Ordering::Relaxed);
            done
        })
    }
}

impl Rows {
    /// Those that are all there already, some together.
    fn of(rows: Vec<Vec<Row>>) -> Self {
        let (sender, pieces) = mpsc::unbounded_channel();
        let rows = rows.into_iter().map(Piece::Rows);
        for piece in rows.chain([Piece::End(Ok(()))]) {
            // Whoever receives them is here.
            let _ = sender.send(piece);
        }
        Self(pieces)
    }

    /// The next ones; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Row>>, SqliteError> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<Row>>, SqliteError>> {
        self.0.poll_recv(cx).map(|piece| match piece {
            Some(Piece::Rows(rows)) => Ok(Some(rows)),
            Some(Piece::End(Ok(()))) => Ok(None),
            Some(Piece::End(Err(error))) => Err(error),
            _ => Err(SqliteError::not_executed()),
        })
    }
}

/// How long a lock is left alone at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
