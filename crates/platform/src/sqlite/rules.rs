//! What a guest's statement may do: everything within its own database, and nothing to other files, to the host's bounds or
//! to what others do with the database (HI-7).
//!
//! SQLite asks about each part of a statement while it compiles it. A refusal is an error of the statement that says what.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ffi};

use super::functions;
use crate::embedded_sqlite::lock;

/// The rules of one connection, and what they refused.
#[derive(Debug, Default)]
pub(super) struct Rules {
    refused: Mutex<Option<String>>,
    /// The statement at work begins with `VACUUM`.
    is_vacuum: AtomicBool,
}

impl Rules {
    /// Bounds a connection, and has it ask.
    pub(super) fn apply_to(self: &Arc<Self>, connection: &mut Connection) -> rusqlite::Result<()> {
        for (limit, most) in LIMITS {
            connection.set_limit(limit, most)?;
        }
        functions::define(connection)?;
        let rules = Arc::clone(self);
        connection.authorizer(Some(move |asked: AuthContext<'_>| rules.answer(asked.action)))
    }

    /// To be called before a statement is compiled or executed: SQLite may do the one again in the middle of the other.
    pub(super) fn begin(&self, sql: &str) {
        *lock(&self.refused) = None;
        let is_vacuum = first_word(sql).is_some_and(|word| word.eq_ignore_ascii_case("vacuum"));
        self.is_vacuum.store(is_vacuum, Ordering::Relaxed);
    }

    /// What was refused since.
    pub(super) fn refused(&self) -> Option<String> {
        lock(&self.refused).take()
    }

    fn answer(&self, asked: AuthAction<'_>) -> Authorization {
        let refused = match asked {
            // VACUUM attaches a file of its own, which has no name and is in memory.
            AuthAction::Attach { filename: "" } if self.is_vacuum() => return Authorization::Allow,
            AuthAction::Attach { .. } if self.is_vacuum() => "`VACUUM INTO`".to_owned(),
            AuthAction::Attach { .. } => "`ATTACH`".to_owned(),
            AuthAction::Unknown {
                code: ffi::SQLITE_ATTACH,
                ..
            } => "`ATTACH`".to_owned(),
            AuthAction::Detach { .. } if self.is_vacuum() => return Authorization::Allow,
            AuthAction::Detach { .. } => "`DETACH`".to_owned(),
            AuthAction::Function { function_name } if is_refused_function(function_name) => {
                format!("the function `{}`", function_name.to_ascii_lowercase())
            }
            AuthAction::Pragma {
                pragma_name,
                pragma_value,
            } => match pragma(&pragma_name.to_ascii_lowercase(), pragma_value) {
                Answer::Allowed => return Authorization::Allow,
                Answer::Ignored => return Authorization::Ignore,
                Answer::Refused if pragma_value.is_some() => {
                    format!("`PRAGMA {}` with a value", pragma_name.to_ascii_lowercase())
                }
                Answer::Refused => format!("`PRAGMA {}`", pragma_name.to_ascii_lowercase()),
            },
            AuthAction::Unknown { code, .. } if !KNOWN.contains(&code) => "it".to_owned(),
            _ => return Authorization::Allow,
        };
        *lock(&self.refused) = Some(format!("{refused} is not served"));
        Authorization::Deny
    }

    fn is_vacuum(&self) -> bool {
        self.is_vacuum.load(Ordering::Relaxed)
    }
}

enum Answer {
    Allowed,
    /// The statement does nothing.
    Ignored,
    Refused,
}

/// What a pragma may do, by its name in lower case.
fn pragma(name: &str, value: Option<&str>) -> Answer {
    if READ_AND_SET.contains(&name) {
        return Answer::Allowed;
    }
    match value {
        None if READ.contains(&name) || TUNING.contains(&name) => Answer::Allowed,
        Some(_) if TUNING.contains(&name) => Answer::Ignored,
        // It is so already, and whoever wants it wants nothing else.
        Some(mode) if name == "journal_mode" && mode.eq_ignore_ascii_case("wal") => Answer::Ignored,
        _ => Answer::Refused,
    }
}

/// Functions that load code, or take addresses of it; and those of FTS whose time grows with the square of how many words of
/// a row match, which is hours, and which nothing can interrupt.
fn is_refused_function(name: &str) -> bool {
    [
        "load_extension",
        "fts3_tokenizer",
        "matchinfo",
        "offsets",
        "snippet",
    ]
    .iter()
    .any(|refused| name.eq_ignore_ascii_case(refused))
}

/// The first word of a statement, behind comments.
fn first_word(sql: &str) -> Option<&str> {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';' || c == '\u{feff}');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n')?.1;
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/")?.1;
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphabetic());
            return Some(&rest[..end.unwrap_or(rest.len())]);
        }
    }
}

/// Pragmas that are about the database's own content, the schema or the one connection.
const READ_AND_SET: &[&str] = &[
    "analysis_limit",
    "application_id",
    "auto_vacuum",
    "automatic_index",
    "cell_size_check",
    "collation_list",
    "compile_options",
    "data_version",
    "defer_foreign_keys",
    "encoding",
    "foreign_key_check",
    "foreign_key_list",
    "foreign_keys",
    "freelist_count",
    "function_list",
    "ignore_check_constraints",
    "incremental_vacuum",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "legacy_alter_table",
    "module_list",
    "optimize",
    "page_count",
    "pragma_list",
    "query_only",
    "quick_check",
    "read_uncommitted",
    "recursive_triggers",
    "reverse_unordered_selects",
    "secure_delete",
    "shrink_memory",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
    "wal_checkpoint",
];

/// Those that may be looked at alone. `database_list` is not among them: it has the path.
const READ: &[&str] = &[
    "journal_mode",
    "max_page_count",
    "page_size",
    "schema_version",
    "trusted_schema",
];

/// Those that make something faster or slower and that apps set as they start, which the host has chosen: they do nothing.
const TUNING: &[&str] = &[
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "journal_size_limit",
    "mmap_size",
    "synchronous",
    "temp_store",
    "threads",
    "wal_autocheckpoint",
];

/// What SQLite asks about and the library has no name for in some of its forms.
const KNOWN: &[i32] = &[
    ffi::SQLITE_DELETE,
    ffi::SQLITE_SELECT,
    ffi::SQLITE_READ,
    ffi::SQLITE_UPDATE,
];

/// Bytes of a value, and of a row of a table: 4 MiB.
pub(super) const LONGEST_VALUE: usize = 4 << 20;

/// Bytes of a pattern of `LIKE` or `GLOB`.
pub(super) const LONGEST_PATTERN: usize = 1_000;

/// Bounds of what statements are made of. Those of SQLite's own that are left out are bounded by these.
const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE as i32),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
    (Limit::SQLITE_LIMIT_COLUMN, 2_000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 500),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 500),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LONGEST_PATTERN as i32),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 32_766),
    // For VACUUM alone.
    (Limit::SQLITE_LIMIT_ATTACHED, 1),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_found_behind_what_does_nothing() {
        for (sql, word) in [
            ("VACUUM", Some("VACUUM")),
            (" ;\n\tvacuum;", Some("vacuum")),
            ("-- a\n/* b */VACUUM INTO 'x'", Some("VACUUM")),
            ("--VACUUM", None),
            ("/* VACUUM", None),
            ("vacuumed", Some("vacuumed")),
            ("", Some("")),
        ] {
            assert_eq!(first_word(sql), word, "{sql}");
        }
    }
}
