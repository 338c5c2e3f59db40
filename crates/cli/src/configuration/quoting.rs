//! What of an `outport.toml` messages may quote.
//!
//! Secrets are not looked for: there is no end of the ways to write one at a wrong place. What is quoted is what cannot be one,
//! and everything else is concealed:
//!
//! | | quoted |
//! | --- | --- |
//! | a key of an option, at the start of a line | the key, and the `=` behind it |
//! | in a file without a mistake of syntax: an option | the key; the value, unless it may hold a secret ([`Key::may_hold_secrets`]), or has a user, a query or several lines in it |
//! | … a key that no option has | the key alone |
//! | anything else: comments, what is in a table, all that is not a key in a file that is no TOML | nothing |

use outport_manifest::{Located, SourceFile, Span, WrittenOption, WrittenValue};

use super::keys::{Key, Keys};
use crate::files::Files;

/// What may be quoted of a file that is TOML and has these options.
pub(super) fn of_options(source: &SourceFile, options: &[WrittenOption], keys: &Keys) -> Vec<Span> {
    let mut quotable = of_names(source, keys);
    for option in options {
        match keys.get(&option.key.value) {
            Some(key) => of_option(source, key, option, &mut quotable),
            None => quotable.push(around_key(source, &option.key.span)),
        }
    }
    quotable
}

/// What may be quoted of any file: the names of options, which are no secrets.
pub(super) fn of_names(source: &SourceFile, keys: &Keys) -> Vec<Span> {
    let text = source.text();
    let mut start = 0;
    let names = text.split_inclusive('\n').filter_map(|line| {
        let at = start;
        start += line.len();
        let rest = line.trim_start_matches(is_blank);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-')?;
        let behind = rest[end..].trim_start_matches(is_blank).strip_prefix('=')?;
        keys.get(&rest[..end])?;
        let first = at + line.len() - rest.len();
        Some(first..at + line.len() - behind.len())
    });
    names.collect()
}

/// A key that messages are about, with what stands around it in a header of a table, or the `=` behind it.
pub(super) fn around_key(source: &SourceFile, key: &Span) -> Span {
    let text = source.text();
    let (Some(before), Some(behind)) = (text.get(..key.start), text.get(key.end..)) else {
        return 0..0;
    };
    let marks = ['[', ']', '"', '\''];
    let start = before.trim_end_matches(marks).len();
    let behind = behind.trim_start_matches(marks);
    let value = behind.trim_start_matches([' ', '\t']).strip_prefix('=');
    start..text.len() - value.unwrap_or(behind).len()
}

fn of_option(source: &SourceFile, key: &Key, option: &WrittenOption, quotable: &mut Vec<Span>) {
    let value = &option.value;
    let mut start = option.key.span.start;
    if key.may_hold_secrets() {
        return quotable.push(around_key(source, &option.key.span));
    }
    match &value.value {
        WrittenValue::List(items) => {
            for item in items.iter().filter(|item| !is_plain(source, item)) {
                quotable.push(start..item.span.start);
                start = item.span.end;
            }
            quotable.push(start..value.span.end);
        }
        _ if is_plain(source, value) => {
            let behind = &source.text()[value.span.end..];
            let quotes = behind.len() - behind.trim_start_matches(['"', '\'']).len();
            quotable.push(start..value.span.end + quotes);
        }
        _ => quotable.push(around_key(source, &option.key.span)),
    }
}

/// True if nobody can have put a secret there.
fn is_plain(source: &SourceFile, value: &Located<WrittenValue>) -> bool {
    match &value.value {
        WrittenValue::Flag(_) | WrittenValue::Number(_) => true,
        WrittenValue::Text(text) => {
            let has_query = text.contains("://") && text.contains('?');
            !text.contains('@') && !has_query && !text.contains('\n')
        }
        // A number with a fraction, or a date. A table has keys of its own.
        WrittenValue::Other(_) => {
            let written = source.slice(&value.span);
            written.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
                && written.len() <= LONGEST_NUMBER
        }
        WrittenValue::List(_) => false,
    }
}

/// Has messages quote nothing of a file but these parts.
pub(super) fn conceal_all_but(mut quotable: Vec<Span>, source: &SourceFile, files: &mut Files) {
    let text = source.text();
    quotable.sort_by_key(|part| part.start);
    let mut at = 0;
    for part in quotable
        .into_iter()
        .chain(std::iter::once(text.len()..text.len()))
    {
        let (start, end) = (
            text.floor_char_boundary(at),
            text.ceil_char_boundary(part.start.min(text.len())),
        );
        if let Some(between) = text.get(start..end) {
            // Blanks say nothing, and keep what is quoted where it stands.
            let first = end - between.trim_start_matches(is_blank).len();
            let last = start + between.trim_end_matches(is_blank).len();
            if first < last {
                files.conceal(source.path(), first..last);
            }
        }
        at = at.max(part.end);
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// Bytes of the longest number or date.
const LONGEST_NUMBER: usize = 40;
