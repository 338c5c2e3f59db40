//! The line ends of a changed text, as they were before.
//!
//! | the text before | every line of the changed one ends |
//! | --- | --- |
//! | has LF alone, or no line end | with LF |
//! | has CRLF alone | with CRLF |
//! | has both | as the same line did; a new one as the line before it does |
//!
//! An editor of TOML writes LF behind what it writes, and keeps whatever is in comments and empty lines. So nothing can be
//! read out of the changed text itself.

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// `changed` with the line ends of `before`.
pub(super) fn as_they_were(changed: &str, before: &str) -> String {
    let (mut bare, mut ends): (Vec<&str>, Vec<&str>) = before.split_inclusive('\n').map(apart).unzip();
    // A byte order mark is no part of the changed text.
    if let Some(first) = bare.first_mut() {
        *first = first.trim_start_matches(super::BYTE_ORDER_MARK);
    }
    if !before.ends_with('\n') {
        ends.pop();
    }
    if !ends.contains(&CRLF) {
        return changed.to_owned();
    }
    let (lines, written): (Vec<&str>, Vec<&str>) = changed.split_inclusive('\n').map(apart).unzip();
    let mut own: Vec<Option<&str>> = vec![None; lines.len()];
    if ends.contains(&LF) {
        for same in capture_diff_slices(Algorithm::Myers, &bare, &lines) {
            if let DiffOp::Equal {
                old_index,
                new_index,
                len,
            } = same
            {
                for number in 0..len {
                    own[new_index + number] = ends.get(old_index + number).copied();
                }
            }
        }
    }
    let mut last = ends.first().copied().unwrap_or(CRLF);
    let mut text = String::with_capacity(changed.len() + lines.len());
    for ((line, written), own) in lines.into_iter().zip(written).zip(own) {
        last = own.unwrap_or(last);
        text.push_str(line);
        // The last one may have none.
        if !written.is_empty() {
            text.push_str(last);
        }
    }
    text
}

/// A line and its end.
fn apart(line: &str) -> (&str, &str) {
    let bare = line.strip_suffix(CRLF).or_else(|| line.strip_suffix(LF));
    let bare = bare.unwrap_or(line);
    (bare, &line[bare.len()..])
}

const CRLF: &str = "\r\n";
const LF: &str = "\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_they_did() {
        let rows = [
            // (before, changed, as it is written)
            ("a\nb\n", "a\nc\nb\n", "a\nc\nb\n"),
            ("a\r\nb\r\n", "a\nc\nb\n", "a\r\nc\r\nb\r\n"),
            ("a\r\nb\r\n", "a\r\nb\r\nc\n", "a\r\nb\r\nc\r\n"),
            // Each its own, and a new one that of the line before.
            ("a\r\nb\nd\r\n", "a\nb\nc\nd\n", "a\r\nb\nc\nd\r\n"),
            ("a\nb\r\nd\n", "a\nb\nc\nd\n", "a\nb\r\nc\r\nd\n"),
            ("a\r\nb\n", "x\nb\n", "x\r\nb\n"),
            ("a\r\nb\nc", "a\nc", "a\r\nc"),
            ("", "a\n", "a\n"),
            ("\u{feff}a\r\nb\n", "a\nb\n", "a\r\nb\n"),
        ];
        for (before, changed, expected) in rows {
            assert_eq!(as_they_were(changed, before), expected, "{before:?} {changed:?}");
        }
    }
}
