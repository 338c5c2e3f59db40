//! Functions that take the place of SQLite's own.
//!
//! Nothing interrupts a function, and some of SQLite's take a time that grows with the product of the lengths of two
//! arguments: hours for what a guest may pass. Here it grows with their sum.
//!
//! | function | what it answers |
//! | --- | --- |
//! | `instr`, `replace`, and with two arguments `trim`, `ltrim`, `rtrim`, `unhex` | what SQLite's own do |
//! | `json_patch`, `jsonb_patch` | an error: they are not served |
//!
//! `LIKE` and `GLOB` take long too, and are interrupted ([`wildcards`](super::wildcards)). They use no index.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Error, ffi};

use super::interruption::must_end;
use super::rules::{LONGEST_PATTERN, LONGEST_VALUE};
use super::wildcards::{Interrupted, Wildcards};

/// Puts them in the place of SQLite's.
pub(super) fn define(connection: &Connection) -> rusqlite::Result<()> {
    let functions: [(&str, i32, Function); 11] = [
        ("like", 2, like),
        ("like", 3, like),
        ("glob", 2, glob),
        ("instr", 2, instr),
        ("replace", 3, replace),
        ("trim", 2, |context| trim(context, true, true)),
        ("ltrim", 2, |context| trim(context, true, false)),
        ("rtrim", 2, |context| trim(context, false, true)),
        ("unhex", 2, unhex),
        ("json_patch", 2, |_| not_served("json_patch")),
        ("jsonb_patch", 2, |_| not_served("jsonb_patch")),
    ];
    // As SQLite has its own, so that indexes and generated columns may go on using them.
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for (name, arguments, function) in functions {
        connection.create_scalar_function(name, arguments, flags, move |context| {
            if must_end() {
                return Err(interrupted());
            }
            function(context)
        })?;
    }
    Ok(())
}

type Function = fn(&mut Context<'_>) -> rusqlite::Result<Answer>;

/// What a function answers. Text is whatever bytes SQLite takes for text.
enum Answer {
    Null,
    Integer(i64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl ToSql for Answer {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// `pattern`, `text`, and what stands before a wildcard that is none.
fn like(context: &mut Context<'_>) -> rusqlite::Result<Answer> {
    let escape = match context.len() {
        3 => match text(context.get_raw(2)) {
            None => return Ok(Answer::Null),
            Some(escape) => Some(one_character(&escape)?),
        },
        _ => None,
    };
    compared(context, |pattern| Wildcards::like(pattern, escape))
}

fn glob(context: &mut Context<'_>) -> rusqlite::Result<Answer> {
    compared(context, Wildcards::glob)
}

fn compared(context: &Context<'_>, wildcards: impl FnOnce(&str) -> Wildcards) -> rusqlite::Result<Answer> {
    let (Some(pattern), Some(within)) = (text(context.get_raw(0)), text(context.get_raw(1))) else {
        return Ok(Answer::Null);
    };
    if pattern.len() > LONGEST_PATTERN {
        return Err(Error::UserFunctionError(
            "LIKE or GLOB pattern too complex".into(),
        ));
    }
    let wildcards = wildcards(&String::from_utf8_lossy(before_nul(&pattern)));
    let fits = wildcards.fit(&String::from_utf8_lossy(before_nul(&within)));
    let fits = fits.map_err(|Interrupted| interrupted())?;
    Ok(Answer::Integer(i64::from(fits)))
}

fn one_character(text: &[u8]) -> rusqlite::Result<char> {
    let text = String::from_utf8_lossy(before_nul(text));
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Error::UserFunctionError(
            "ESCAPE expression must be a single character".into(),
        )),
    }
}

fn interrupted() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None)
}

fn instr(context: &mut Context<'_>) -> rusqlite::Result<Answer> {
    let (within, wanted) = (context.get_raw(0), context.get_raw(1));
    let are_bytes = matches!((within, wanted), (ValueRef::Blob(_), ValueRef::Blob(_)));
    let (Some(within), Some(wanted)) = (text(within), text(wanted)) else {
        return Ok(Answer::Null);
    };
    let begins_a_character = |at: &usize| are_bytes || !within.get(*at).is_some_and(|byte| is_inner(*byte));
    let mut found = memmem::find_iter(&within, &*wanted);
    let position = found.find(begins_a_character).map_or(0, |at| {
        let before = &within[..at];
        1 + if are_bytes { at } else { characters(before).count() }
    });
    Ok(Answer::Integer(i64::try_from(position).unwrap_or(i64::MAX)))
}

fn replace(context: &mut Context<'_>) -> rusqlite::Result<Answer> {
    let (Some(text), Some(wanted)) = (text(context.get_raw(0)), text(context.get_raw(1))) else {
        return Ok(Answer::Null);
    };
    if matches!(wanted.first(), None | Some(0)) {
        return Ok(Answer::Text(text.into_owned()));
    }
    let Some(by) = self::text(context.get_raw(2)) else {
        return Ok(Answer::Null);
    };
    let wanted_at = memmem::Finder::new(&*wanted);
    let many = wanted_at.find_iter(&text).count();
    // Before it is made: it may be longer than its arguments together by far.
    if text.len() - many * wanted.len() + many * by.len() > LONGEST_VALUE {
        return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
    }
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = 0;
    for at in wanted_at.find_iter(&text) {
        replaced.extend_from_slice(&text[rest..at]);
        replaced.extend_from_slice(&by);
        rest = at + wanted.len();
    }
    replaced.extend_from_slice(&text[rest..]);
    Ok(Answer::Text(replaced))
}

fn trim(context: &mut Context<'_>, at_the_beginning: bool, at_the_end: bool) -> rusqlite::Result<Answer> {
    let (Some(text), Some(unwanted)) = (text(context.get_raw(0)), text(context.get_raw(1))) else {
        return Ok(Answer::Null);
    };
    let unwanted: HashSet<&[u8]> = characters(before_nul(&unwanted)).collect();
    let mut rest: &[u8] = &text;
    if at_the_beginning {
        while let Some(first) = characters(rest).next().filter(|first| unwanted.contains(first)) {
            rest = &rest[first.len()..];
        }
    }
    if at_the_end {
        while let Some(last) = last_character(rest).filter(|last| unwanted.contains(last)) {
            rest = &rest[..rest.len() - last.len()];
        }
    }
    Ok(Answer::Text(rest.to_vec()))
}

/// None where there is something that is neither a pair of digits nor to be ignored between pairs.
fn unhex(context: &mut Context<'_>) -> rusqlite::Result<Answer> {
    let (Some(text), Some(ignored)) = (text(context.get_raw(0)), text(context.get_raw(1))) else {
        return Ok(Answer::Null);
    };
    let ignored: HashSet<&[u8]> = characters(&ignored).collect();
    let digit = |text: &[u8]| match text {
        [byte] => char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok()),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut left = characters(before_nul(&text));
    while let Some(next) = left.next() {
        let Some(high) = digit(next) else {
            if ignored.contains(next) {
                continue;
            }
            return Ok(Answer::Null);
        };
        let Some(low) = left.next().and_then(digit) else {
            return Ok(Answer::Null);
        };
        bytes.push(high << 4 | low);
    }
    Ok(Answer::Blob(bytes))
}

fn not_served(name: &str) -> rusqlite::Result<Answer> {
    let text = format!("the function `{name}` is not served");
    Err(Error::UserFunctionError(text.into()))
}

/// A value as SQLite makes text of it. None for NULL.
fn text(value: ValueRef<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into_bytes().into()),
        ValueRef::Real(number) => Some(real(number).into()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.into()),
    }
}

/// A number as SQLite writes it. It is asked itself: it does not always find the shortest digits.
#[expect(
    unsafe_code,
    reason = "the library has no safe way to what SQLite itself uses for it"
)]
fn real(number: f64) -> Vec<u8> {
    let mut text = [0_u8; 64];
    // SAFETY: it writes at most so many bytes, the last of which is NUL, and the format takes one number.
    unsafe {
        ffi::sqlite3_snprintf(64, text.as_mut_ptr().cast(), c"%!.17g".as_ptr(), number);
    }
    before_nul(&text).to_vec()
}

/// What of a text counts where SQLite's own stops at the first NUL.
fn before_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

/// The characters of a text, each in its bytes. What is not UTF-8 comes in pieces of some length.
fn characters(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = *rest.first()?;
        let inner = rest[1..]
            .iter()
            .take_while(|byte| first >= 0xc0 && is_inner(**byte));
        let (character, others) = rest.split_at(1 + inner.count());
        rest = others;
        Some(character)
    })
}

fn last_character(text: &[u8]) -> Option<&[u8]> {
    let inner = text.iter().rev().take_while(|byte| is_inner(**byte)).count();
    let begin = text.len().checked_sub(inner + 1);
    Some(&text[begin.or_else(|| text.len().checked_sub(1))?..])
}

/// Whether a byte continues a character of UTF-8.
fn is_inner(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::embedded_sqlite::open_directly;

    fn answers(connection: &Connection, sql: &str) -> String {
        let sql = format!("SELECT typeof(x) || ' ' || quote(x) FROM (SELECT {sql} AS x)");
        connection
            .query_row(&sql, [], |row| row.get(0))
            .unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn the_answers_are_those_of_sqlite() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name| open_directly(&folder.path().join(name));
        let (own, theirs) = (open("own"), open("theirs"));
        define(&own).unwrap();
        let texts = [
            "NULL",
            "''",
            "'a'",
            "'aaa'",
            "'abcabc'",
            "'ä'",
            "'äöü'",
            "'aöa'",
            "'ö'",
            "'€'",
            "'x€x€'",
            "'12'",
            "12",
            "-7",
            "0",
            "1.5",
            "0.1",
            "100.0",
            "-0.0",
            "1e20",
            "1e16",
            "123456789012345680.0",
            "1e17",
            "1.25e-5",
            "0.0001",
            "1e-4",
            "0.30000000000000004",
            "9e999",
            "-9e999",
            "'.'",
            "'1'",
            "x'61'",
            "x'6162ff'",
            "x'ff'",
            "x'80'",
            "x''",
            "'a' || char(0) || 'b'",
            "char(0)",
            "'4142'",
            "'41 42'",
            "'4 1'",
            "'41-42 43'",
            "' -'",
            "'-'",
            "'4'",
            "'0g'",
            "'ÄA'",
        ];
        let mut tried = 0;
        for first in texts {
            for second in texts {
                let two = ["glob", "instr", "like", "trim", "ltrim", "rtrim", "unhex"]
                    .map(|name| format!("{name}({first}, {second})"));
                let three =
                    ["NULL", "''", "'ü€'", "1.5"].map(|third| format!("replace({first}, {second}, {third})"));
                for call in two.iter().chain(&three) {
                    // Where a text is not UTF-8 there is no right answer.
                    if call.contains("x'ff'") || call.contains("x'6162ff'") || call.contains("x'80'") {
                        answers(&own, call);
                        continue;
                    }
                    assert_eq!(answers(&own, call), answers(&theirs, call), "{call}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 15_000, "{tried}");
    }

    #[test]
    fn wildcards_are_those_of_sqlite() {
        let folder = tempfile::tempdir().unwrap();
        let (own, theirs) = (
            open_directly(&folder.path().join("own")),
            open_directly(&folder.path().join("theirs")),
        );
        define(&own).unwrap();
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut some = |of: &[char], most: u64| -> String {
            let mut next = |most: u64| {
                bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (bits >> 33) % most
            };
            let length = next(most);
            (0..length).map(|_| of[next(of.len() as u64) as usize]).collect()
        };
        let mut fitting = 0;
        for _ in 0..30_000 {
            let text = some(&['a', 'b', 'A', 'ä', '-', ']', '%'], 8);
            let (like, glob) = (
                some(&['a', 'B', 'ä', '%', '_', '!'], 7),
                some(&['a', 'b', 'ä', '*', '?', '[', ']', '^', '-'], 9),
            );
            for sql in [
                "SELECT quote(?1 LIKE ?2)",
                "SELECT quote(?1 LIKE ?2 ESCAPE '!')",
                "SELECT quote(?1 LIKE ?2 ESCAPE '%')",
                "SELECT quote(?1 GLOB ?2)",
            ] {
                let pattern = if sql.contains("GLOB") { &glob } else { &like };
                let said = |connection: &Connection| -> String {
                    let mut statement = connection.prepare_cached(sql).unwrap();
                    statement.query_row([&text, pattern], |row| row.get(0)).unwrap()
                };
                let answer = said(&own);
                assert_eq!(answer, said(&theirs), "{text} {pattern} {sql}");
                fitting += usize::from(answer == "1");
            }
        }
        assert!(fitting > 5_000, "{fitting}");
    }

    #[test]
    fn a_real_number_is_the_text_that_sqlite_makes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_directly(&folder.path().join("numbers"));
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut numbers = vec![
            0.0,
            -0.0,
            1.0,
            10.0,
            1e15,
            1e16,
            1e17,
            1e-4,
            1e-5,
            123.456,
            0.1 + 0.2,
        ];
        for n in 0..20_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // Of all digits there can be, and of those that people write.
            let any = f64::from_bits(bits >> 12 | 1023 << 52) * 10_f64.powi((n % 30) - 15);
            numbers.push(if n % 2 == 0 {
                any
            } else {
                (bits >> 40) as f64 / 1000.0
            });
        }
        for number in numbers {
            let theirs: String = connection
                .query_row("SELECT CAST(?1 AS TEXT)", [number], |row| row.get(0))
                .unwrap();
            assert_eq!(real(number), theirs.as_bytes(), "{number:e}");
        }
    }

    #[test]
    fn long_arguments_take_a_time_that_grows_with_their_sum() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_directly(&folder.path().join("long"));
        define(&connection).unwrap();
        let long = "a".repeat(2 << 20);
        let nearly = format!("{}b", "a".repeat(1 << 20));
        let others: String = ('\u{4e00}'..'\u{9fff}').cycle().take(500_000).collect::<String>() + "a";
        let begun = Instant::now();
        for (sql, second) in [
            ("SELECT instr(?1, ?2)", &nearly),
            ("SELECT length(replace(?1, ?2, ''))", &nearly),
            ("SELECT length(trim(?1, ?2))", &others),
            ("SELECT length(unhex(?1 || 'g', ?2))", &others),
        ] {
            let _: Option<i64> = connection
                .query_row(sql, [&long, second], |row| row.get(0))
                .unwrap();
        }
        // SQLite's own take a quarter of an hour and more for each.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn what_would_be_too_long_is_an_error_before_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_directly(&folder.path().join("too-long"));
        define(&connection).unwrap();
        let (many, long) = ("a".repeat(1 << 20), "b".repeat(1 << 20));
        let answer: rusqlite::Result<i64> =
            connection.query_row("SELECT length(replace(?1, 'a', ?2))", [&many, &long], |row| {
                row.get(0)
            });
        assert_eq!(
            answer
                .unwrap_err()
                .sqlite_error()
                .map(|error| error.extended_code),
            Some(ffi::SQLITE_TOOBIG)
        );
    }
}
