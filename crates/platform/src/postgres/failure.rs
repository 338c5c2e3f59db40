//! What a guest is told when something fails, in the terms of the newest interface.

use std::error::Error as _;

use tokio_postgres::error::{DbError, SqlState};

use super::connection::Client;
use super::types::{DbError as Said, Error, QueryError};
use crate::not_opened::NotOpened;

/// A statement has no answer that the guest could use.
pub(super) fn query_failed(error: &tokio_postgres::Error, client: &Client) -> Error {
    Error::QueryFailed(match error.as_db_error() {
        Some(said) => QueryError::DbError(in_parts(said)),
        None if client.was_too_much() => text("the answer is larger than any may be"),
        None if error.is_closed() => text("the connection was broken off"),
        None => QueryError::Text(chain(error)),
    })
}

/// The server said nothing for too long.
pub(super) fn silent() -> Error {
    Error::QueryFailed(text("the server did not answer in time"))
}

/// The result is larger than any may be.
pub(super) fn too_large() -> Error {
    Error::QueryFailed(text("the answer is larger than any may be"))
}

/// Whether the server has said it, so that the connection is as good as before.
pub(super) fn is_an_answer(error: &tokio_postgres::Error) -> bool {
    let said = error.as_db_error();
    // A statement that is not there any more is one of the library's own.
    said.is_some_and(|said| *said.code() != SqlState::INVALID_SQL_STATEMENT_NAME)
}

/// An error and its causes, in one line.
pub(super) fn chain(error: &tokio_postgres::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

fn text(what: &str) -> QueryError {
    QueryError::Text(what.to_owned())
}

fn in_parts(said: &DbError) -> Said {
    let line = said.line().map(|line| line.to_string());
    let extras = [
        ("hint", said.hint()),
        ("where", said.where_()),
        ("schema", said.schema()),
        ("table", said.table()),
        ("column", said.column()),
        ("datatype", said.datatype()),
        ("constraint", said.constraint()),
        ("file", said.file()),
        ("line", line.as_deref()),
        ("routine", said.routine()),
    ];
    let extras = extras
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    Said {
        as_text: format!(
            "{}: {} (SQLSTATE {})",
            said.severity(),
            said.message(),
            said.code().code()
        ),
        severity: said.severity().to_owned(),
        code: said.code().code().to_owned(),
        message: said.message().to_owned(),
        detail: said.detail().map(str::to_owned),
        extras: extras.collect(),
    }
}

impl From<NotOpened> for Error {
    fn from(why: NotOpened) -> Self {
        Self::ConnectionFailed(why.to_string())
    }
}

/// What the older interfaces have of it.
pub(super) fn as_text(error: QueryError) -> String {
    match error {
        QueryError::Text(text) => text,
        QueryError::DbError(said) => said.as_text,
    }
}
