//! MySQL: `mysql2` is `fermyon:spin/mysql@2.0.0`, `mysql3` is `spin:mysql@3.0.0`.
//!
//! | statement | result |
//! | --- | --- |
//! | `open ADDRESS` | `ok`: the connection of the statements that follow |
//! | `query SQL` | the values of each row, or `none` |
//! | `execute SQL` | `ok` |

use crate::bindings::fermyon::spin::mysql as v2;
use crate::bindings::spin::mysql::mysql as v3;
use crate::interpreter::Outcome;
use crate::kept::Kept;
use crate::text::{named, table, unescape_text};

#[derive(Default)]
pub(crate) struct Mysql2(Kept<v2::Connection>);

impl Mysql2 {
    pub(crate) fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        let answer = match (verb, self.0.connection()) {
            ("open", _) => v2::Connection::open(&text).map(|opened| self.0.keep(opened)),
            ("query" | "execute", Err(nothing)) => return Some(nothing),
            ("query", Ok(open)) => open.query(&text, &[]).map(|answer| table(answer.rows)),
            ("execute", Ok(open)) => open.execute(&text, &[]).map(|()| "ok".to_owned()),
            _ => return None,
        };
        Some(answer.map_err(|error| named(&error)))
    }
}

#[derive(Default)]
pub(crate) struct Mysql3(Kept<v3::Connection>);

impl Mysql3 {
    pub(crate) async fn perform(&self, verb: &str, words: &[&str]) -> Option<Outcome> {
        let text = unescape_text(&words.join(" "));
        let answer = match (verb, self.0.connection()) {
            ("open", _) => {
                let opened = v3::Connection::open(text).await;
                opened.map(|opened| self.0.keep(opened))
            }
            ("query" | "execute", Err(nothing)) => return Some(nothing),
            ("query", Ok(open)) => as_it_comes(&open, text).await,
            ("execute", Ok(open)) => {
                let done = open.execute(text, Vec::new()).await;
                done.map(|()| "ok".to_owned())
            }
            _ => return None,
        };
        Some(answer.map_err(|error| named(&error)))
    }
}

async fn as_it_comes(open: &v3::Connection, statement: String) -> Result<String, v3::Error> {
    let (_columns, rows, outcome) = open.query(statement, Vec::new()).await?;
    let rows = rows.collect().await;
    outcome.await?;
    Ok(table(rows))
}
