//! Bytes as one line of text, and back: `\r`, `\n`, `\t`, `\\` and `\xNN` stand for bytes that a line cannot
//! hold. What a peer sent is printed so that it cannot be taken for the script guest's own lines.

/// The bytes that `text` stands for. A backslash that begins no escape stands for itself.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, length) = first_byte(escape).unwrap_or((b'\\', 0));
        bytes.push(byte);
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The bytes as one line of printable ASCII.
pub(crate) fn escape(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            b'"' | b'\'' => char::from(*byte).to_string(),
            other => other.escape_ascii().to_string(),
        })
        .collect()
}

/// The byte that an escape stands for, and how many bytes of text after the backslash it takes.
fn first_byte(escape: &str) -> Option<(u8, usize)> {
    match escape.as_bytes().first()? {
        b'r' => Some((b'\r', 1)),
        b'n' => Some((b'\n', 1)),
        b't' => Some((b'\t', 1)),
        b'\\' => Some((b'\\', 1)),
        b'x' => u8::from_str_radix(escape.get(1..3)?, 16)
            .ok()
            .map(|byte| (byte, 3)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_bytes() {
        let cases: [(&str, &[u8]); 6] = [
            (r"PING\r\n", b"PING\r\n"),
            (r"a\tb\\c", b"a\tb\\c"),
            (r"\x00\xff\x3b", b"\0\xff;"),
            (r"\q \x9", br"\q \x9"),
            ("\\", b"\\"),
            ("", b""),
        ];
        for (text, bytes) in cases {
            assert_eq!(unescape(text), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_escaped_reads_back_as_it_was() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let line = escape(&every_byte);
        assert!(line.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{line}");
        assert_eq!(unescape(&line), every_byte);
    }
}
