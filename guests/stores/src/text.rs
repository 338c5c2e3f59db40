//! Bytes as one line of text, and back.

use std::fmt::Debug;

/// As many bytes of a value are shown; of a longer one the length.
const SHOWN: usize = 200;

/// As many items of a list are shown; of a longer one the number.
const LISTED: usize = 20;

/// The bytes that a word stands for: `\xNN` is one byte, everything else itself.
pub(crate) fn unescape(word: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let byte = after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.extend_from_slice(b"\\x");
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The same for a word that stands for a text.
pub(crate) fn unescape_text(word: &str) -> String {
    String::from_utf8_lossy(&unescape(word)).into_owned()
}

/// A value as one line of printable ASCII, or its length.
pub(crate) fn shown(value: &[u8]) -> String {
    if value.len() > SHOWN {
        return format!("{} bytes", value.len());
    }
    value.escape_ascii().to_string()
}

/// Keys separated by commas, or their number. No key is `none`.
pub(crate) fn listed(keys: &[String]) -> String {
    match keys.len() {
        0 => "none".to_owned(),
        number if number > LISTED => format!("{number} keys"),
        _ => keys
            .iter()
            .map(|key| shown(key.as_bytes()))
            .collect::<Vec<_>>()
            .join(","),
    }
}

/// An error or a value as WIT calls it: `access-denied`, `connection-failed("it is not permitted")`, `int32(1)`. It has a
/// name of its own in each version of an interface, and the same words in all.
pub(crate) fn named(of: &impl Debug) -> String {
    let text = format!("{of:?}");
    let end = text.find(['(', ' ']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.rsplit("::").next().unwrap_or_default();
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab + rest
}

/// The values of a row, or `none`.
pub(crate) fn row<V: Debug>(values: &[V]) -> String {
    match values {
        [] => "none".to_owned(),
        values => values.iter().map(named).collect::<Vec<_>>().join(", "),
    }
}

/// Rows with `|` between them, or their number if they are many. No row is `none`.
pub(crate) fn table<V: Debug>(rows: impl IntoIterator<Item = Vec<V>>) -> String {
    let rows: Vec<Vec<V>> = rows.into_iter().collect();
    match rows.len() {
        0 => "none".to_owned(),
        number if number > LISTED => format!("{number} rows"),
        _ => rows
            .iter()
            .map(|values| row(values))
            .collect::<Vec<_>>()
            .join(" | "),
    }
}

/// Results and how often each came.
#[derive(Default)]
pub(crate) struct Counts(Vec<(String, usize)>);

impl Counts {
    pub(crate) fn add(&mut self, result: String) {
        match self.0.iter_mut().find(|(other, _)| *other == result) {
            Some((_, count)) => *count += 1,
            None => self.0.push((result, 1)),
        }
    }

    /// The most frequent first: `ok x30, access-denied x2`.
    pub(crate) fn shown(mut self) -> String {
        self.0.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let counts: Vec<_> = self
            .0
            .iter()
            .map(|(result, count)| format!("{result} x{count}"))
            .collect();
        counts.join(", ")
    }
}
