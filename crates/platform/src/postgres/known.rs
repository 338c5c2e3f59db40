//! Statements that a connection has prepared and may execute again, so that one that comes often is asked about once.
//!
//! What a statement means may have changed since: a table has another column now. The server then refuses it before anything
//! is done, and it is prepared anew. Within a transaction that refusal would end it, so there every statement is prepared.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_postgres::Statement;
use tokio_postgres::error::{DbError, SqlState};

/// Those of one connection, the last used ones behind.
#[derive(Default)]
pub(super) struct Known(Mutex<VecDeque<(String, Statement)>>);

impl Known {
    /// The statement of this text, if it is known.
    pub(super) fn get(&self, text: &str) -> Option<Statement> {
        let mut known = self.lock();
        let at = known.iter().position(|(own, _)| own == text)?;
        let found = known.remove(at)?;
        let statement = found.1.clone();
        known.push_back(found);
        Some(statement)
    }

    /// Notes a statement, if it is a small one. The one that was not used for longest makes room for it.
    pub(super) fn note(&self, text: &str, statement: &Statement) {
        let parts = statement.columns().len() + statement.params().len();
        if text.len() > LONGEST || parts > MOST_PARTS {
            return;
        }
        let mut known = self.lock();
        if known.len() >= MOST {
            known.pop_front();
        }
        known.push_back((text.to_owned(), statement.clone()));
    }

    /// Forgets a statement.
    pub(super) fn forget(&self, text: &str) {
        self.lock().retain(|(own, _)| own != text);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, Statement)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server says that a statement it knows does not mean any more what it meant.
pub(super) fn is_outdated(said: &DbError) -> bool {
    *said.code() == SqlState::FEATURE_NOT_SUPPORTED && said.routine() == Some("RevalidateCachedQuery")
}

/// Statements of one connection.
const MOST: usize = 32;

/// Bytes of one, and its columns and parameters.
const LONGEST: usize = 4096;
const MOST_PARTS: usize = 128;
