//! A statement, its values, and the rows that it gives.
//!
//! Rows are taken from the server one by one, and the server waits while nobody takes them. A result is at most
//! [`MOST_IN_A_RESULT`], and the server may be silent for [`ANSWER_TIME`] before each row.

#![allow(
    clippy::result_large_err,
    reason = "the error is the interface's, and a guest gets it once for a statement"
)]

use std::pin::Pin;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::timeout;
use tokio_postgres::RowStream;
use tokio_postgres::types::{FromSql, Type};

use super::connection::{Client, Statement};
use super::failure::{is_an_answer, query_failed, silent, too_large};
use super::known::is_outdated;
use super::parameters::Parameter;
use super::types::{Column, DbValue, Error, ParameterValue};
use super::values::{NoValue, data_type, value};
use crate::room::{MOST_IN_A_RESULT, Room};
use crate::row_stream::RowSource;

/// Rows that are still to come.
pub(super) struct Rows {
    columns: Vec<Column>,
    stream: Pin<Box<RowStream>>,
    statement: Statement,
    room: Room,
}

/// A statement that the server knows, with its values.
struct Prepared {
    library: tokio_postgres::Statement,
    values: Vec<Parameter>,
}

impl Client {
    /// Begins a statement of which the rows are wanted.
    pub(super) async fn rows(&self, statement: &str, values: Vec<ParameterValue>) -> Result<Rows, Error> {
        let begun = self.begin_rows(statement, values);
        self.calls().call("query", None, begun).await
    }

    async fn begin_rows(&self, statement: &str, values: Vec<ParameterValue>) -> Result<Rows, Error> {
        let mut begun = self.begin();
        let query = async |library: &tokio_postgres::Client, prepared: Prepared| {
            library.query_raw(&prepared.library, prepared.values).await
        };
        let (known, stream) = begun.execute(statement, values, query).await?;
        let columns = known.columns().iter().map(|column| Column {
            name: column.name().to_owned(),
            data_type: data_type(column.type_()),
        });
        Ok(Rows {
            columns: columns.collect(),
            stream: Box::pin(stream),
            statement: begun,
            room: Room::new(MOST_IN_A_RESULT),
        })
    }

    /// Runs a statement, and says how many rows it was about.
    pub(super) async fn execute(&self, statement: &str, values: Vec<ParameterValue>) -> Result<u64, Error> {
        let executed = self.execute_whole(statement, values);
        self.calls().call("execute", None, executed).await
    }

    async fn execute_whole(&self, statement: &str, values: Vec<ParameterValue>) -> Result<u64, Error> {
        let mut begun = self.begin();
        let execute = async |library: &tokio_postgres::Client, prepared: Prepared| {
            library.execute_raw(&prepared.library, prepared.values).await
        };
        let (_, rows) = begun.execute(statement, values, execute).await?;
        begun.answered();
        Ok(rows)
    }
}

impl Statement {
    /// Executes a statement, which is prepared before unless the connection knows it. The server's word for it, and what it
    /// answers.
    async fn execute<T>(
        &mut self,
        text: &str,
        values: Vec<ParameterValue>,
        execute: impl AsyncFn(&tokio_postgres::Client, Prepared) -> Result<T, tokio_postgres::Error>,
    ) -> Result<(tokio_postgres::Statement, T), Error> {
        let client = self.client().clone();
        let library = client.library().ok_or_else(closed)?;
        if let Some(known) = client.known().and_then(|known| known.get(text)) {
            let prepared = self.prepared(known.clone(), values.clone())?;
            let said = timeout(ANSWER_TIME, execute(library, prepared)).await;
            let refusal = said.as_ref().ok().and_then(|said| said.as_ref().err());
            if !refusal
                .and_then(|error| error.as_db_error())
                .is_some_and(is_outdated)
            {
                return Ok((known, self.answer(said)?));
            }
            if let Some(known) = client.known() {
                known.forget(text);
            }
        }
        let new = self.prepare(text).await?;
        if let Some(known) = client.known() {
            known.note(text, &new);
        }
        let prepared = self.prepared(new.clone(), values)?;
        let said = timeout(ANSWER_TIME, execute(library, prepared)).await;
        Ok((new, self.answer(said)?))
    }

    async fn prepare(&mut self, text: &str) -> Result<tokio_postgres::Statement, Error> {
        let client = self.client().clone();
        let library = client.library().ok_or_else(closed)?;
        if let Some(seen) = client.seen() {
            seen.prepares();
        }
        let prepared = timeout(ANSWER_TIME, library.prepare(text)).await;
        if let Some(seen) = client.seen() {
            seen.has_prepared();
        }
        self.answer(prepared)
    }

    /// With values for it.
    fn prepared(
        &mut self,
        library: tokio_postgres::Statement,
        values: Vec<ParameterValue>,
    ) -> Result<Prepared, Error> {
        match encoded(values, library.params()) {
            Ok(values) => Ok(Prepared { library, values }),
            Err(error) => {
                self.answered();
                Err(error)
            }
        }
    }

    /// What the server said, if it said it in time.
    fn answer<T>(
        &mut self,
        said: Result<Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, Error> {
        let said = said.map_err(|_| silent())?;
        said.map_err(|error| {
            if is_an_answer(&error) {
                self.answered();
            }
            query_failed(&error, self.client())
        })
    }
}

impl Rows {
    pub(super) fn take_columns(&mut self) -> Vec<Column> {
        std::mem::take(&mut self.columns)
    }

    /// The next row, or none if that was the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<DbValue>>, Error> {
        let row = timeout(ANSWER_TIME, self.stream.try_next()).await;
        let Some(row) = self.statement.answer(row)? else {
            self.statement.answered();
            return Ok(None);
        };
        let columns = row.columns().iter().enumerate();
        let values = columns.map(|(at, column)| {
            let bytes = row
                .try_get::<_, Option<Bytes<'_>>>(at)
                .map_err(|_| NoValue::Broken);
            let bytes = bytes.map(|bytes| bytes.map(|Bytes(bytes)| bytes));
            let value = bytes.and_then(|bytes| value(column.type_(), bytes, &mut self.room));
            value.map_err(|why| match why {
                NoValue::TooLarge => too_large(),
                why => Error::ValueConversionFailed(format!("the column `{}`: {why}", column.name())),
            })
        });
        values.collect::<Result<_, _>>().map(Some)
    }

    /// All that are still to come.
    pub(super) async fn all(&mut self) -> Result<Vec<Vec<DbValue>>, Error> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            self.room
                .take(size_of::<Vec<DbValue>>())
                .map_err(|_| too_large())?;
            rows.push(row);
        }
        Ok(rows)
    }
}

impl RowSource for Rows {
    type Row = Vec<DbValue>;
    type Error = Error;

    async fn next(&mut self) -> Result<Option<Vec<DbValue>>, Error> {
        Self::next(self).await
    }
}

fn encoded(values: Vec<ParameterValue>, wanted: &[Type]) -> Result<Vec<Parameter>, Error> {
    if values.len() != wanted.len() {
        let (given, wanted) = (values.len(), wanted.len());
        let why = format!("the statement has {wanted} parameters, and {given} were given");
        return Err(Error::BadParameter(why));
    }
    let values = values.into_iter().zip(wanted).enumerate();
    let values = values.map(|(at, (value, wanted))| {
        Parameter::new(value, wanted)
            .map_err(|why| Error::BadParameter(format!("the parameter ${}: {why}", at + 1)))
    });
    values.collect()
}

fn closed() -> Error {
    Error::Other("the connection is closed".to_owned())
}

/// A value as it was sent, of whatever type.
struct Bytes<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Bytes<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(bytes))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// How long the server may say nothing.
const ANSWER_TIME: Duration = Duration::from_secs(60);
