//! One statement, executed on a thread that may block.

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, ErrorCode, ffi};

use super::database::Database;
use super::interruption::{Reason, Watch, must_end};
use super::rules::Rules;
use super::session::{Answer, Piece};
use super::{MOST_IN_A_RESULT, Row, SqliteError, Value};
use crate::work::Account;

/// A statement and its parameters, which are positional.
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) parameters: Vec<Value>,
}

/// Why a statement was not executed.
pub(super) enum NotExecuted {
    /// Somebody has locked the database, and nothing has happened yet.
    Busy(SqliteError),
    /// For good.
    Failed(SqliteError),
}

impl NotExecuted {
    pub(super) fn from_sqlite(database: &Database, error: &rusqlite::Error) -> Self {
        let told = database.failed(error);
        match error.sqlite_error() {
            // Of a transaction that has read what others have changed since, nothing can be written any more.
            Some(own) if own.extended_code == ffi::SQLITE_BUSY_SNAPSHOT => Self::Failed(told),
            Some(own) if own.code == ErrorCode::DatabaseBusy => Self::Busy(told),
            _ => Self::Failed(told),
        }
    }
}

impl Statement {
    /// Executes it, and sends what it answers, but for the end.
    pub(super) fn execute(
        &self,
        connection: &mut Connection,
        rules: &Rules,
        (database, account): (&Database, Account),
        answer: &Answer,
    ) -> Result<(), NotExecuted> {
        rules.begin(&self.sql);
        connection
            .progress_handler(STEPS, Some(must_end))
            .map_err(|error| NotExecuted::from_sqlite(database, &error))?;
        let mut sink = Sink::new(answer);
        let watch = Watch::new(answer.clone(), account, database.most_time());
        let (done, interrupted) = watch.over(|| self.run(connection, &mut sink));
        let failed = |error: rusqlite::Error| {
            if let Some(refused) = rules.refused() {
                return NotExecuted::Failed(SqliteError::Other(refused));
            }
            if interrupted == Some(Reason::TookTooLong) {
                let most = database.most_time();
                let text = format!("the statement took more than {} s", most.as_secs());
                return NotExecuted::Failed(SqliteError::Other(text));
            }
            NotExecuted::from_sqlite(database, &error)
        };
        match done {
            Ok(()) => Ok(()),
            Err(Ended::Sqlite(error)) => Err(match failed(error) {
                NotExecuted::Busy(error) if sink.has_begun => NotExecuted::Failed(error),
                not_executed => not_executed,
            }),
            Err(Ended::Other(error)) => Err(NotExecuted::Failed(error)),
        }
    }

    fn run(&self, connection: &Connection, sink: &mut Sink<'_>) -> Result<(), Ended> {
        if self.sql.contains('\0') {
            let text = "the statement has a NUL character".to_owned();
            return Err(Ended::Other(SqliteError::Other(text)));
        }
        // The library compiles what is behind a statement to see whether it is another one, by calling itself: whoever
        // sends many would have its stack overflow.
        let sql = self
            .sql
            .trim_end_matches(|c: char| c == ';' || c.is_ascii_whitespace());
        if !sql.contains(';') {
            return match connection.prepare_cached(sql) {
                Ok(mut statement) => self.rows(&mut statement, sink),
                Err(rusqlite::Error::Empty) => sink.begin(Vec::new()),
                Err(error) => Err(error.into()),
            };
        }
        let mut all = Batch::new(connection, sql);
        let Some(mut first) = all.next()? else {
            return sink.begin(Vec::new());
        };
        match all.next() {
            Ok(None) => self.rows(&mut first, sink),
            // What the second one says may need what the first one makes.
            _ => Err(rusqlite::Error::MultipleStatement.into()),
        }
    }

    fn rows(&self, statement: &mut rusqlite::Statement<'_>, sink: &mut Sink<'_>) -> Result<(), Ended> {
        let wanted = statement.parameter_count();
        if wanted != self.parameters.len() {
            return Err(rusqlite::Error::InvalidParameterCount(self.parameters.len(), wanted).into());
        }
        for (number, value) in self.parameters.iter().enumerate() {
            let number = number + 1;
            match value {
                Value::Integer(value) => statement.raw_bind_parameter(number, value),
                Value::Real(value) => statement.raw_bind_parameter(number, value),
                Value::Text(value) => statement.raw_bind_parameter(number, value),
                Value::Blob(value) => statement.raw_bind_parameter(number, value),
                Value::Null => statement.raw_bind_parameter(number, rusqlite::types::Null),
            }?;
        }
        let mut many = None;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let many = match many {
                Some(many) => many,
                None => {
                    // The names are those of the schema that it is executed with, which may be newer than the one that it
                    // was compiled with.
                    let names = columns(row.as_ref());
                    let many = *many.insert(names.len());
                    sink.begin(names)?;
                    many
                }
            };
            let mut values = Vec::with_capacity(many);
            for column in 0..many {
                values.push(value(row.get_ref(column)?, column, row)?);
            }
            sink.row(values)?;
        }
        drop(rows);
        if many.is_none() {
            return sink.begin(columns(statement));
        }
        sink.flush()
    }
}

fn columns(statement: &rusqlite::Statement<'_>) -> Vec<String> {
    statement.column_names().map(str::to_owned).collect()
}

fn value(value: ValueRef<'_>, column: usize, row: &rusqlite::Row<'_>) -> Result<Value, Ended> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
        // SQLite takes any bytes as text. A guest gets Unicode or, with `CAST(… AS BLOB)`, bytes.
        ValueRef::Text(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => {
                let name = row.as_ref().column_name(column).unwrap_or_default();
                let text = format!("a text of the column `{name}` is not UTF-8");
                return Err(Ended::Other(SqliteError::Other(text)));
            }
        },
    })
}

/// Where rows go.
struct Sink<'a> {
    answer: &'a Answer,
    /// The guest may have got something.
    has_begun: bool,
    waiting: Vec<Row>,
    /// Bytes of those that wait, and of all.
    waiting_size: usize,
    size: usize,
}

/// Why a statement ended before its end.
enum Ended {
    Sqlite(rusqlite::Error),
    Other(SqliteError),
}

impl From<rusqlite::Error> for Ended {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl<'a> Sink<'a> {
    fn new(answer: &'a Answer) -> Self {
        Self {
            answer,
            has_begun: false,
            waiting: Vec::new(),
            waiting_size: 0,
            size: 0,
        }
    }

    fn begin(&mut self, columns: Vec<String>) -> Result<(), Ended> {
        self.has_begun = true;
        self.send(Piece::Columns(columns))
    }

    fn row(&mut self, row: Row) -> Result<(), Ended> {
        let size = size_of_row(&row);
        self.size = self.size.saturating_add(size);
        if self.size > MOST_IN_A_RESULT {
            let text = format!("the result is larger than {} MiB", MOST_IN_A_RESULT >> 20);
            return Err(Ended::Other(SqliteError::Other(text)));
        }
        self.waiting_size += size;
        self.waiting.push(row);
        if self.waiting_size < TOGETHER {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Ended> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.waiting_size = 0;
        let rows = std::mem::take(&mut self.waiting);
        self.send(Piece::Rows(rows))
    }

    fn send(&mut self, piece: Piece) -> Result<(), Ended> {
        let sent = self.answer.send(piece);
        sent.map_err(|_| Ended::Other(SqliteError::not_executed()))
    }
}

/// Bytes that a row takes.
fn size_of_row(row: &Row) -> usize {
    let values = row.iter().map(|value| {
        size_of::<Value>()
            + match value {
                Value::Text(text) => text.len(),
                Value::Blob(bytes) => bytes.len(),
                _ => 0,
            }
    });
    size_of::<Row>() + values.sum::<usize>()
}

/// Steps of SQLite's machine between two looks: some microseconds.
const STEPS: i32 = 1_000;

/// Bytes of rows that go together.
pub(super) const TOGETHER: usize = 64 * 1024;
