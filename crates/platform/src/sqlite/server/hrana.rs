//! Hrana 3 in JSON: what a server is asked, and what it answers.
//!
//! | value | in JSON |
//! | --- | --- |
//! | integer | `{"type": "integer", "value": "-5"}`: a text, since numbers of JSON have 53 bits for many |
//! | real | `{"type": "float", "value": 0.5}`; one that is infinite has no form |
//! | text | `{"type": "text", "value": "…"}` |
//! | blob | `{"type": "blob", "base64": "…"}`, with padding or without |
//! | null | `{"type": "null"}` |

mod rows;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use self::rows::{Integer, Rows, TOO_LARGE};
use super::super::{MOST_IN_A_RESULT, Row, SqliteError, Value};
use crate::operator_server::BoundedList;

/// What is asked of a stream.
pub(super) enum Asked<'a> {
    /// One statement, with positional parameters.
    Execute(&'a str, &'a [Value]),
    /// Whether no transaction is open.
    GetAutocommit,
    /// Statements without parameters.
    Sequence(&'a str),
    /// That it ends.
    Close,
}

/// What was answered to all that was asked.
#[derive(Deserialize)]
pub(super) struct Pipeline {
    baton: Option<String>,
    base_url: Option<String>,
    results: BoundedList<Outcome>,
    #[serde(skip)]
    outcomes: Vec<Outcome>,
}

/// What came of a statement.
#[derive(Debug, PartialEq)]
pub(super) struct Executed {
    pub(super) columns: Vec<String>,
    /// In the pieces that guests get them in.
    pub(super) rows: Vec<Vec<Row>>,
    pub(super) changes: u64,
    pub(super) last_insert_rowid: Option<i64>,
}

/// Why an answer is none, without a word of what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("what it answered is not what a database answers, at line {line}, column {column}")]
    Unreadable { line: usize, column: usize },
    #[error("it answered rows that do not fit their columns")]
    Unfit,
    #[error("it answered {got} questions of {asked}")]
    Other { got: usize, asked: usize },
    #[error("the result is larger than {} MiB", MOST_IN_A_RESULT >> 20)]
    TooLarge,
}

impl NoAnswer {
    /// Whether that is the guest's affair.
    pub(super) fn is_too_large(&self) -> bool {
        *self == Self::TooLarge
    }
}

#[derive(Serialize)]
struct Request<'a> {
    baton: Option<&'a str>,
    requests: Vec<Question<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Question<'a> {
    Execute { stmt: Statement<'a> },
    GetAutocommit,
    Sequence { sql: &'a str },
    Close,
}

#[derive(Serialize)]
struct Statement<'a> {
    sql: &'a str,
    args: Vec<Argument<'a>>,
    want_rows: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Argument<'a> {
    Integer { value: String },
    Float { value: f64 },
    Text { value: &'a str },
    Blob { base64: String },
    Null,
}

/// An answer to one question. It is not an enum of serde's, which would keep all of it twice until it knows the type.
#[derive(Deserialize)]
struct Outcome {
    response: Option<Response>,
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct Response {
    result: Option<StatementResult>,
    is_autocommit: Option<bool>,
}

#[derive(Deserialize)]
struct StatementResult {
    #[serde(default)]
    cols: Option<BoundedList<Column>>,
    #[serde(default)]
    rows: Rows,
    #[serde(default)]
    affected_row_count: u64,
    last_insert_rowid: Option<Integer>,
}

#[derive(Deserialize)]
struct Column {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    message: String,
    code: Option<String>,
}

/// The body of a request.
pub(super) fn request(baton: Option<&str>, asked: &[Asked<'_>]) -> Result<Vec<u8>, SqliteError> {
    let questions = asked.iter().map(|asked| {
        Ok(match asked {
            Asked::Execute(sql, parameters) => Question::Execute {
                stmt: Statement {
                    sql,
                    args: parameters.iter().map(argument).collect::<Result<_, _>>()?,
                    want_rows: true,
                },
            },
            Asked::GetAutocommit => Question::GetAutocommit,
            Asked::Sequence(sql) => Question::Sequence { sql },
            Asked::Close => Question::Close,
        })
    });
    let requests = questions.collect::<Result<_, SqliteError>>()?;
    serde_json::to_vec(&Request { baton, requests }).map_err(|_| SqliteError::not_executed())
}

fn argument(value: &Value) -> Result<Argument<'_>, SqliteError> {
    Ok(match value {
        Value::Integer(number) => Argument::Integer {
            value: number.to_string(),
        },
        // SQLite takes what is not a number for NULL.
        Value::Real(number) if number.is_nan() => Argument::Null,
        Value::Real(number) if number.is_infinite() => {
            let text = "a parameter is infinite, which the database server cannot be told";
            return Err(SqliteError::Other(text.to_owned()));
        }
        Value::Real(number) => Argument::Float { value: *number },
        Value::Text(text) => Argument::Text { value: text },
        Value::Blob(bytes) => Argument::Blob {
            base64: STANDARD.encode(bytes),
        },
        Value::Null => Argument::Null,
    })
}

/// What is answered to so many questions.
pub(super) fn read(answer: &[u8], asked: usize) -> Result<Pipeline, NoAnswer> {
    let mut pipeline: Pipeline = serde_json::from_slice(answer).map_err(|error| {
        // Errors of one's own come back as text, with the place behind it.
        if error.to_string().starts_with(TOO_LARGE) {
            return NoAnswer::TooLarge;
        }
        NoAnswer::Unreadable {
            line: error.line(),
            column: error.column(),
        }
    })?;
    let results = std::mem::take(&mut pipeline.results);
    pipeline.outcomes = results.into();
    let got = pipeline.outcomes.len();
    if got != asked {
        return Err(NoAnswer::Other { got, asked });
    }
    let results = pipeline
        .outcomes
        .iter()
        .filter_map(|outcome| outcome.response.as_ref()?.result.as_ref());
    for result in results {
        let columns = result.cols.as_ref().map_or(0, BoundedList::len);
        let mut rows = result.rows.0.iter().flatten();
        if rows.any(|row| row.len() != columns) {
            return Err(NoAnswer::Unfit);
        }
    }
    Ok(pipeline)
}

impl Pipeline {
    pub(super) fn base_url(&self) -> Option<&str> {
        self.base_url.as_deref()
    }

    /// By which the stream goes on; none if the server has ended it.
    pub(super) fn into_baton(self) -> Option<String> {
        self.baton
    }

    /// What came of the first question.
    pub(super) fn take_first(&mut self) -> Result<Executed, SqliteError> {
        let first = self.outcomes.first_mut();
        let first = first.ok_or_else(SqliteError::not_executed)?;
        if let Some(refused) = first.error.take() {
            return Err(refused.into());
        }
        let response = first.response.take().ok_or_else(SqliteError::not_executed)?;
        let Some(result) = response.result else {
            return Ok(Executed::nothing());
        };
        let columns: Vec<Column> = result.cols.map(Into::into).unwrap_or_default();
        let columns: Vec<String> = columns
            .into_iter()
            .map(|column| column.name.unwrap_or_default())
            .collect();
        Ok(Executed {
            columns,
            rows: result.rows.0,
            changes: result.affected_row_count,
            last_insert_rowid: result.last_insert_rowid.map(|Integer(number)| number),
        })
    }

    /// Whether no transaction is open, where that was the last question.
    pub(super) fn is_autocommit(&self) -> Option<bool> {
        self.outcomes.last()?.response.as_ref()?.is_autocommit
    }
}

impl Executed {
    fn nothing() -> Self {
        Self {
            columns: Vec::new(),
            rows: Vec::new(),
            changes: 0,
            last_insert_rowid: None,
        }
    }
}

impl From<Refused> for SqliteError {
    fn from(refused: Refused) -> Self {
        match refused.code.as_deref() {
            Some("SQLITE_FULL") => Self::Full,
            _ => Self::Other(refused.message),
        }
    }
}

#[cfg(test)]
mod tests;
