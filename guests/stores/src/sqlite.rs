//! SQLite: `sqlite2` is `fermyon:spin/sqlite@2.0.0`, `sqlite3` is `spin:sqlite@3.1.0`, which has 3.0.0 in it.
//!
//! | statement | result |
//! | --- | --- |
//! | `open LABEL` | `ok`: the connection of the statements that follow |
//! | `execute SQL` | the values of each row, or `none` |
//! | `open-async`, `execute-async` | the same, by the functions that only 3.1.0 has |
//! | `outcome SQL` | `ok`, without a look at the rows |

use crate::bindings::fermyon::spin::sqlite as v2;
use crate::bindings::spin::sqlite::sqlite as v3;
use crate::interpreter::Outcome;
use crate::kept::Kept;
use crate::text::{named, table, unescape_text};

#[derive(Default)]
pub(crate) struct Sqlite2(Kept<v2::Connection>);

impl Sqlite2 {
    pub(crate) fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        let answer = match (verb, self.0.connection()) {
            ("open", _) => v2::Connection::open(&text).map(|opened| self.0.keep(opened)),
            ("execute", Err(nothing)) => return Some(nothing),
            ("execute", Ok(open)) => {
                let answer = open.execute(&text, &[]);
                answer.map(|answer| table(answer.rows.into_iter().map(|row| row.values)))
            }
            _ => return None,
        };
        Some(answer.map_err(|error| named(&error)))
    }
}

#[derive(Default)]
pub(crate) struct Sqlite3(Kept<v3::Connection>);

impl Sqlite3 {
    pub(crate) async fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        let answer = match (verb, self.0.connection()) {
            ("open", _) => v3::Connection::open(&text).map(|opened| self.0.keep(opened)),
            ("open-async", _) => {
                let opened = v3::Connection::open_async(text).await;
                opened.map(|opened| self.0.keep(opened))
            }
            ("execute" | "execute-async" | "outcome", Err(nothing)) => return Some(nothing),
            ("execute", Ok(open)) => {
                let answer = open.execute(&text, &[]);
                answer.map(|answer| table(answer.rows.into_iter().map(|row| row.values)))
            }
            ("execute-async", Ok(open)) => as_it_comes(&open, text).await,
            ("outcome", Ok(open)) => outcome(&open, text).await,
            _ => return None,
        };
        Some(answer.map_err(|error| named(&error)))
    }
}

async fn as_it_comes(open: &v3::Connection, statement: String) -> Result<String, v3::Error> {
    let (_columns, rows, outcome) = open.execute_async(statement, Vec::new()).await?;
    let rows = rows.collect().await;
    outcome.await?;
    Ok(table(rows.into_iter().map(|row| row.values)))
}

async fn outcome(open: &v3::Connection, statement: String) -> Result<String, v3::Error> {
    let (_columns, _rows, outcome) = open.execute_async(statement, Vec::new()).await?;
    outcome.await?;
    Ok("ok".to_owned())
}
