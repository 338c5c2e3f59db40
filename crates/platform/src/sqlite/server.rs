//! A database on a libSQL server of the operator's, by the protocol Hrana 3 over HTTP.
//!
//! ```text
//! execute ── POST URL/v3/pipeline {baton, [execute, get_autocommit]} ──▶ server
//!         ◀─ {baton, [columns, rows, …, whether no transaction is open]} ── read on another thread, bounded
//! drop ───── {baton, [close]} ──▶
//! ```
//!
//! A session has a *stream* at the server, which is a connection of SQLite's there: an open transaction lasts from one
//! request to the next by the baton that the last answer came with. What is lost of one is never begun anew behind the guest's
//! back: a transaction that is lost ends its session.
//!
//! What statements may do, and how large a database may be, is the server's affair.
//!
//! | | bound |
//! | --- | --- |
//! | an answer | 128 MiB as it is sent, and 128 MiB of rows ([`MOST_IN_A_RESULT`]) |
//! | a statement | 60 s to the end of its answer ([`MOST_TIME`]), waiting included |
//! | statements at work | of an instance 4, of a database 64; others wait |
//! | a stream outside of a transaction that nobody uses | 5 s; what comes later begins another one |

mod hrana;
mod session;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use outport_egress::Egress;
use outport_egress::trace::Trace;
use outport_policy::Location;
pub(super) use session::ServerSession;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::hrana::{Asked, Pipeline};
use super::{MOST_IN_A_RESULT, MOST_TIME, SqliteError};
use crate::operator_server::{Failure, OperatorServer, Repeat, ServerError};
use crate::trouble::Trouble;
use crate::work::{Account, NotDone, Workers};

/// A server, and the label that leads to it.
pub(crate) struct DatabaseServer {
    server: OperatorServer,
    label: String,
    path: String,
    /// Statements at work.
    statements: Arc<Semaphore>,
    /// Sessions that say that they end.
    farewells: Arc<Semaphore>,
    readers: Workers,
    trouble: Trouble,
    most_time: Duration,
}

impl DatabaseServer {
    pub(super) fn new(
        egress: &Egress,
        label: &str,
        address: (&str, &str),
        location: Location,
    ) -> Result<Self, ServerError> {
        let purpose = format!("sqlite_database.{label}");
        let server = OperatorServer::new(egress, &purpose, address, location, MOST_IN_A_RESULT)?;
        Ok(Self {
            path: format!("{}/v3/pipeline", server.path()),
            server,
            label: label.to_owned(),
            statements: Arc::new(Semaphore::new(MOST_STATEMENTS)),
            farewells: Arc::new(Semaphore::new(MOST_FAREWELLS)),
            readers: Workers::default(),
            trouble: Trouble::default(),
            most_time: MOST_TIME,
        })
    }

    #[cfg(test)]
    fn with_most_time(mut self, most_time: Duration) -> Self {
        self.most_time = most_time;
        self
    }

    /// Executes statements, one after the other, in the host's own name.
    pub(super) async fn execute_batch(&self, statements: &str) -> Result<(), SqliteError> {
        let asked = [Asked::Sequence(statements), Asked::Close];
        let nobodys = (OWN, &Trace::none());
        let asking = self.ask(nobodys, None, None, &asked);
        let answered = timeout(self.most_time, asking).await;
        let mut pipeline = answered.unwrap_or_else(|_| Err(self.too_slow()))?;
        pipeline.take_first().map(drop).map_err(|error| self.said(error))
    }

    /// What the server answers on the stream of `baton`, a new one without it.
    async fn ask(
        &self,
        (component, trace): (&str, &Trace),
        account: Account,
        baton: Option<&str>,
        asked: &[Asked<'_>],
    ) -> Result<Pipeline, SqliteError> {
        let body = hrana::request(baton, asked)?;
        let request = self.server.request(self.path.clone(), body, trace);
        // A statement that may have been executed is not executed again.
        let exchange = self.server.exchange(component, request, Repeat::Unsent);
        let answer = exchange.await.map_err(|failure| {
            if let Failure::Tls(why) = &failure {
                self.tell(&format_args!("TLS with it failed: {why}"));
            } else {
                self.tell(&failure);
            }
            self.failed(&failure)
        })?;
        if !answer.status.is_success() {
            let refusal = self.server.refusal(answer.status, &answer.said());
            self.tell(&refusal.for_operator);
            return Err(SqliteError::Other(format!(
                "the database server {}",
                refusal.for_guest
            )));
        }
        let many = asked.len();
        let reading = self.readers.run(account, move || hrana::read(&answer.body, many));
        let pipeline = match reading.await {
            Ok(Ok(pipeline)) => pipeline,
            Ok(Err(why)) => {
                if !why.is_too_large() {
                    self.tell(&why);
                }
                return Err(self.failed(&why));
            }
            Err(NotDone) => return Err(SqliteError::not_executed()),
        };
        // Where the rest of the stream would be is no address that the operator wrote (HI-1, HI-6).
        if let Some(elsewhere) = pipeline.base_url()
            && !self.server.is_at(elsewhere)
        {
            let why = "it wants to be asked elsewhere, which is not followed";
            self.tell(&why);
            return Err(self.failed(&why));
        }
        Ok(pipeline)
    }

    /// What the server says of a statement, without the token, which its guest does not know.
    fn said(&self, error: SqliteError) -> SqliteError {
        match error {
            SqliteError::Other(said) => {
                let said = self.server.hidden_in(&said);
                SqliteError::Other(said.chars().take(LONGEST_ERROR).collect())
            }
            error => error,
        }
    }

    fn failed(&self, why: &dyn fmt::Display) -> SqliteError {
        SqliteError::Other(format!("the database server failed: {why}"))
    }

    fn too_slow(&self) -> SqliteError {
        let seconds = self.most_time.as_secs();
        SqliteError::Other(format!("the statement took more than {seconds} s"))
    }

    fn tell(&self, why: &dyn fmt::Display) {
        let (label, at) = (&self.label, self.server.destination());
        self.trouble.warn(format!(
            "the server of the SQLite database `{label}` at {at} failed: {why}"
        ));
    }
}

/// Characters of what a server says of a statement.
const LONGEST_ERROR: usize = 4096;

/// Whose connections the host's own are.
const OWN: &str = "";

/// Statements at work at one server for one label.
const MOST_STATEMENTS: usize = 64;

/// Sessions that tell the server that they end, at a time. Of others the server finds out by itself.
const MOST_FAREWELLS: usize = 64;

#[cfg(test)]
mod tests;
