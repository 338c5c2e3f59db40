//! Lines as Apache writes them: `common` and `combined` of `mod_log_config`.
//!
//! `common` is `%h %l %u %t "%r" %>s %b`, and `combined` has `"%{Referer}i" "%{User-agent}i"` behind it; nothing follows,
//! for there are readers that want the line to end there. Nobody is asked who he is, so `%l` and `%u` are `-`. What is
//! missing is `-`, no bytes of a body too. In the values of a client `"` and `\` have a backslash before them, and
//! characters that control something, or are no ASCII, are `\b`, `\n`, `\r`, `\t`, `\v` or `\xhh` (`ap_escape_logitem`).
//!
//! A line has less than 4,096 bytes: GoAccess and others read no more of one at a time. So the values of a client are bounded
//! as they are written, where a byte may take four.

use std::fmt::Write;

use outport_egress::Timestamp;

use super::entry::Entry;

/// As what follows the client begins.
pub(super) const AFTER_CLIENT: &str = " - - [";

/// A line of `common`.
pub(super) fn common(entry: &Entry<'_>) -> String {
    let mut line = String::with_capacity(192);
    put_common(&mut line, entry);
    line
}

/// A line of `combined`.
pub(super) fn combined(entry: &Entry<'_>) -> String {
    let mut line = String::with_capacity(384);
    put_common(&mut line, entry);
    for (value, most) in [
        (&entry.referer, MOST_OF_REFERER),
        (&entry.user_agent, MOST_OF_USER_AGENT),
    ] {
        line.push_str(" \"");
        put_escaped(&mut line, value.as_deref().unwrap_or(b"-"), most);
        line.push('"');
    }
    line
}

fn put_common(line: &mut String, entry: &Entry<'_>) {
    put(line, format_args!("{}{AFTER_CLIENT}", entry.client.ip()));
    put_time(line, Timestamp::from(entry.began));
    line.push_str("] \"");
    put_escaped(line, &entry.method, MOST_OF_METHOD);
    line.push(' ');
    put_escaped(line, &entry.target, MOST_OF_TARGET);
    put(line, format_args!(" {}\" {} ", entry.protocol, entry.status));
    match entry.sent {
        0 => line.push('-'),
        sent => put(line, format_args!("{sent}")),
    }
}

/// `01/Mar/2026:09:30:00 +0000`.
fn put_time(line: &mut String, time: Timestamp) {
    // `2026-03-01T09:30:00.125Z`
    let time = time.to_string();
    let [year, month, day, of_day] =
        [0..4, 5..7, 8..10, 11..19].map(|range| time.get(range).unwrap_or_default());
    let month = month
        .parse()
        .ok()
        .and_then(|month: usize| MONTHS.get(month.wrapping_sub(1)));
    let month = month.copied().unwrap_or_default();
    put(line, format_args!("{day}/{month}/{year}:{of_day} +0000"));
}

/// Writes a value in so many bytes at most, and three dots where it has more. No escape is written in part.
fn put_escaped(line: &mut String, value: &[u8], most: usize) {
    let end = line.len() + most;
    for byte in value {
        let before = line.len();
        match byte {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b' '..=b'~' => line.push(char::from(*byte)),
            0x08 => line.push_str("\\b"),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x0b => line.push_str("\\v"),
            _ => put(line, format_args!("\\x{byte:02x}")),
        }
        if line.len() > end {
            line.truncate(before);
            line.push_str("...");
            return;
        }
    }
}

/// Writes what a text always takes.
fn put(line: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = line.write_fmt(what);
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Bytes of a method as it is written.
const MOST_OF_METHOD: usize = 64;

/// Bytes of a target as it is written.
const MOST_OF_TARGET: usize = 2048;

/// Bytes of the URL that somebody came from, as it is written.
const MOST_OF_REFERER: usize = 1024;

/// Bytes of a client's name as it is written.
const MOST_OF_USER_AGENT: usize = 512;

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::entry::tests::entry;
    use super::*;

    #[test]
    fn lines_are_as_apache_writes_them() {
        let whole = entry();
        let mut bare = entry();
        bare.client = "[2001:db8::1]:40000".parse().unwrap();
        bare.method = Cow::Borrowed(b"HEAD");
        bare.target = Cow::Borrowed(b"/");
        (bare.protocol, bare.status, bare.sent) = ("HTTP/2.0", 404, 0);
        bare.referer = None;
        bare.user_agent = Some(Cow::Borrowed(b""));
        // (entry, common, what combined has behind it)
        let rows = [
            (
                &whole,
                "127.0.0.1 - - [01/Mar/2026:09:30:00 +0000] \"GET /a/b?c=d HTTP/1.1\" 200 1234",
                " \"http://example.com/\" \"curl/8.5.0\"",
            ),
            (
                &bare,
                "2001:db8::1 - - [01/Mar/2026:09:30:00 +0000] \"HEAD / HTTP/2.0\" 404 -",
                " \"-\" \"\"",
            ),
        ];
        for (entry, expected, behind) in rows {
            assert_eq!(common(entry), expected);
            assert_eq!(combined(entry), format!("{expected}{behind}"));
        }
    }

    #[test]
    fn the_time_is_the_day_the_month_by_name_and_the_year() {
        // The seconds are those of `date -u -d TIME +%s`.
        let rows = [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (951_782_399, "28/Feb/2000:23:59:59 +0000"),
            (1_767_225_599, "31/Dec/2025:23:59:59 +0000"),
        ];
        for (seconds, expected) in rows {
            let mut line = String::new();
            put_time(&mut line, (UNIX_EPOCH + Duration::from_secs(seconds)).into());
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn a_value_is_cut_between_what_is_written_for_its_bytes() {
        let rows: [(&[u8], usize, &str); 7] = [
            (b"", 0, ""),
            (b"abcd", 4, "abcd"),
            (b"abcde", 4, "abcd..."),
            (b"ab\"", 4, "ab\\\""),
            (b"abc\"", 4, "abc..."),
            (b"a\xffb", 5, "a\\xff..."),
            (b"\xff\xff", 7, "\\xff..."),
        ];
        for (value, most, expected) in rows {
            let mut line = "before".to_owned();
            put_escaped(&mut line, value, most);
            assert_eq!(line, format!("before{expected}"), "{value:?}");
        }
    }

    #[test]
    fn no_line_is_as_long_as_readers_take_at_a_time() {
        for byte in [b'x', b'"', b'\n', 0xff] {
            let long = vec![byte; 100_000];
            let mut longest = entry();
            longest.client = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1".parse().unwrap();
            (longest.method, longest.target) = (Cow::Borrowed(&*long), Cow::Borrowed(&*long));
            longest.referer = Some(Cow::Borrowed(&long));
            longest.user_agent = Some(Cow::Borrowed(&long));
            (longest.status, longest.sent) = (u16::MAX, u64::MAX);
            for line in [common(&longest), combined(&longest)] {
                // With its line break, and with what the reader has behind it.
                assert!(line.len() + 2 <= 4096, "{}: {line}", line.len());
            }
            let line = combined(&longest);
            assert_eq!(line.matches("...").count(), 4, "{line}");
        }
    }

    // proves: RSN-4
    #[test]
    fn whatever_a_client_wrote_forges_no_line_and_no_field() {
        let rows: [(&[u8], &str); 8] = [
            (b"plain /?&%20~", "plain /?&%20~"),
            (b"a\" \"b", "a\\\" \\\"b"),
            (b"a\\\"b", "a\\\\\\\"b"),
            (b"x\r\n127.0.0.1 - - [", "x\\r\\n127.0.0.1 - - ["),
            (b"\x08\t\x0b\x0c\0\x7f", "\\b\\t\\v\\x0c\\x00\\x7f"),
            (b"\x1b[2J\x9b", "\\x1b[2J\\x9b"),
            ("größe".as_bytes(), "gr\\xc3\\xb6\\xc3\\x9fe"),
            (b"\xff", "\\xff"),
        ];
        for (value, expected) in rows {
            let mut hostile = entry();
            hostile.target = Cow::Borrowed(value);
            hostile.referer = Some(Cow::Borrowed(value));
            hostile.user_agent = Some(Cow::Borrowed(value));
            let line = combined(&hostile);
            let begins = "127.0.0.1 - - [01/Mar/2026:09:30:00 +0000]";
            assert_eq!(
                line,
                format!("{begins} \"GET {expected} HTTP/1.1\" 200 1234 \"{expected}\" \"{expected}\"")
            );
            assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        }
    }
}
