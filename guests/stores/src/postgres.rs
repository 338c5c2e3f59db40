//! PostgreSQL: `pg2` is `fermyon:spin/postgres@2.0.0`, `pg3` is `spin:postgres@3.0.0`, and `pg4` is `4.2.0`, which has 4.0.0
//! and 4.1.0 in it.
//!
//! | statement | result |
//! | --- | --- |
//! | `open ADDRESS` | `ok`: the connection of the statements that follow |
//! | `query SQL` | the values of each row, or `none` |
//! | `execute SQL` | how many rows it was about |
//! | `open-async`, `query-async` | the same, by the functions that only 4.2.0 has |
//! | `outcome SQL` | `ok`, without a look at the rows |
//! | `build ADDRESS`, `build-async ADDRESS` | the same as `open`, by the builder that 4.1.0 and 4.2.0 have |

use crate::bindings::fermyon::spin::postgres as v2;
use crate::bindings::spin::postgres3_0_0::postgres as v3;
use crate::bindings::spin::postgres4_2_0::postgres as v4;
use crate::interpreter::Outcome;
use crate::kept::Kept;
use crate::text::{named, table, unescape_text};

/// What the versions have in common: functions that answer with all rows at once.
macro_rules! in_one_call {
    ($version:ident, $kept:expr, $verb:expr, $text:expr) => {
        match ($verb, $kept.connection()) {
            ("open", _) => $version::Connection::open($text).map(|opened| $kept.keep(opened)),
            ("query" | "execute", Err(nothing)) => return Some(nothing),
            ("query", Ok(open)) => open.query($text, &[]).map(|answer| table(answer.rows)),
            ("execute", Ok(open)) => open.execute($text, &[]).map(|rows| rows.to_string()),
            _ => return None,
        }
    };
}

#[derive(Default)]
pub(crate) struct Postgres2(Kept<v2::Connection>);

impl Postgres2 {
    pub(crate) fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        let answer = in_one_call!(v2, self.0, verb, &text);
        Some(answer.map_err(|error| named(&error)))
    }
}

#[derive(Default)]
pub(crate) struct Postgres3(Kept<v3::Connection>);

impl Postgres3 {
    pub(crate) fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        let answer = in_one_call!(v3, self.0, verb, &text);
        Some(answer.map_err(|error| named(&error)))
    }
}

#[derive(Default)]
pub(crate) struct Postgres4(Kept<v4::Connection>);

impl Postgres4 {
    pub(crate) async fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        let answer = match (verb, self.0.connection()) {
            ("open-async", _) => {
                let opened = v4::Connection::open_async(text).await;
                opened.map(|opened| self.0.keep(opened))
            }
            ("build", _) => {
                let built = v4::ConnectionBuilder::new(&text).build();
                built.map(|opened| self.0.keep(opened))
            }
            ("build-async", _) => {
                let built = v4::ConnectionBuilder::new(&text).build_async().await;
                built.map(|opened| self.0.keep(opened))
            }
            ("query-async" | "outcome", Err(nothing)) => return Some(nothing),
            ("query-async", Ok(open)) => as_it_comes(&open, text).await,
            ("outcome", Ok(open)) => outcome(&open, text).await,
            _ => in_one_call!(v4, self.0, verb, &text),
        };
        Some(answer.map_err(|error| named(&error)))
    }
}

async fn as_it_comes(open: &v4::Connection, statement: String) -> Result<String, v4::Error> {
    let (_columns, rows, outcome) = open.query_async(statement, Vec::new()).await?;
    let rows = rows.collect().await;
    outcome.await?;
    Ok(table(rows))
}

async fn outcome(open: &v4::Connection, statement: String) -> Result<String, v4::Error> {
    let (_columns, _rows, outcome) = open.query_async(statement, Vec::new()).await?;
    outcome.await?;
    Ok("ok".to_owned())
}
