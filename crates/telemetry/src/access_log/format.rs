//! The formats of an access log, and how its lines are told from other text.

use std::net::IpAddr;
use std::str;

use outport_egress::line_log::{Likeness, LogKind};

use super::entry::Entry;
use super::{apache, json};

/// The format of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// Apache's `common`: `%h %l %u %t "%r" %>s %b`.
    Common,
    /// Apache's `combined`: as `common`, and referer and user agent. The default.
    #[default]
    Combined,
    /// A JSON object, which has all that is known.
    Json,
}

impl AccessLogFormat {
    /// The kind of log that has such lines.
    pub fn kind(self) -> &'static LogKind {
        match self {
            Self::Common | Self::Combined => &TEXT,
            Self::Json => &JSON,
        }
    }

    /// The line, without its line break.
    pub(super) fn line(self, entry: &Entry<'_>) -> Option<String> {
        match self {
            Self::Common => Some(apache::common(entry)),
            Self::Combined => Some(apache::combined(entry)),
            Self::Json => json::line(entry),
        }
    }
}

static TEXT: LogKind = kind(None);

static JSON: LogKind = kind(Some(b' '));

const fn kind(filler: Option<u8>) -> LogKind {
    LogKind {
        name: "access log",
        thread: "outport-access",
        recognise,
        recognised_by: "is one of the formats common, combined and json",
        filler,
        // Whoever reads them knows requests alone.
        lost: |_| None,
        consequence: "lines beyond 16384, or beyond 8 MiB, are lost until then",
        most_lines: 16_384,
        most_bytes: 8 << 20,
    }
}

/// All formats are lines of one log: an operator may have changed his mind.
fn recognise(text: &[u8]) -> Likeness {
    match Likeness::to(json::BEGINS, text) {
        Likeness::Other => recognise_common(text),
        json => json,
    }
}

fn recognise_common(text: &[u8]) -> Likeness {
    let of_address = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'.' | b':');
    let end = text.iter().position(|byte| !of_address(byte));
    let (client, rest) = text.split_at(end.unwrap_or(text.len()));
    let is_address = str::from_utf8(client).is_ok_and(|client| client.parse::<IpAddr>().is_ok());
    match rest {
        [] if client.iter().any(|byte| matches!(byte, b'.' | b':')) => Likeness::Beginning,
        [] => Likeness::Other,
        rest if is_address => Likeness::to(apache::AFTER_CLIENT.as_bytes(), rest),
        _ => Likeness::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_formats_are_told_from_other_text() {
        let rows: [(&str, Likeness); 16] = [
            ("{\"time\":\"2026-03-01T09:30:00.125Z\"", Likeness::Line),
            ("{\"ti", Likeness::Beginning),
            ("{\"ts\":\"2026-03-01T09:30:00.125Z\"", Likeness::Other),
            (
                "127.0.0.1 - - [01/Mar/2026:09:30:00 +0000] \"GET / ",
                Likeness::Line,
            ),
            ("2001:db8::1 - - [01/Mar", Likeness::Line),
            ("::1 - - [", Likeness::Line),
            ("127.0.0.1 - -", Likeness::Beginning),
            ("127.0.", Likeness::Beginning),
            ("2001:db8:", Likeness::Beginning),
            ("127.0.0 - - [", Likeness::Other),
            ("127.0.0.1 localhost", Likeness::Other),
            ("fe", Likeness::Other),
            ("cafe - - [", Likeness::Other),
            ("[application]", Likeness::Other),
            (" - - [", Likeness::Other),
            ("\u{7f}ELF", Likeness::Other),
        ];
        for (text, expected) in rows {
            assert_eq!(recognise(text.as_bytes()), expected, "{text}");
        }
    }
}
