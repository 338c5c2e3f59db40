//! The head of a response as a program of CGI writes it (RFC 3875, section 6): headers, and an empty line.
//!
//! As with Spin one of `content-type`, `status` and `location` has to be there. `Status: 404 Not Found` is the status,
//! and one that is none is 502; `Location` without a status is 302. Lines end in LF, or in CR and LF. A line without a
//! colon and a header whose name cannot be one are left out, and told. A value that cannot be one is no response, since
//! nobody knows what was meant.
//!
//! A header stands for one line of the response, whatever is in it. Headers that say how a response is sent are for the
//! server to say, and left out.

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{Response, StatusCode};
use outport_policy::text;

/// The head of a response, as far as it is written.
#[derive(Debug, Default)]
pub(super) struct HeadWriter {
    written: Vec<u8>,
    /// The last byte that was no CR.
    last: u8,
}

/// The reason why something is no head of a response.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadError {
    #[error("its headers have no end within {} KiB", MAX_HEAD >> 10)]
    TooLong,
    #[error("its headers have none of `content-type`, `status` and `location`")]
    Insufficient,
    #[error("the value of its header `{0}` is not valid")]
    Value(String),
    #[error("it has more headers than a response can have")]
    TooMany,
    #[error("it wrote nothing to standard output; a response begins with headers and an empty line")]
    Nothing,
    #[error("its headers do not end with an empty line")]
    NoEnd,
}

/// A head that is complete.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    /// What was left out of it, as messages show it.
    pub(super) left_out: Vec<String>,
}

impl HeadWriter {
    /// Takes what was written: all of it while the head is not complete, and then as many bytes as belong to it.
    ///
    /// # Errors
    ///
    /// The reason why this is no head.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, HeadError> {
        for (number, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' && self.last == b'\n' {
                if self.written.len() + number > MAX_HEAD {
                    return Err(HeadError::TooLong);
                }
                self.written.extend(&bytes[..number]);
                let head = parse(&self.written)?;
                return Ok(Some((head, number + 1)));
            }
            if *byte != b'\r' {
                self.last = *byte;
            }
        }
        if self.written.len() + bytes.len() > MAX_HEAD {
            return Err(HeadError::TooLong);
        }
        self.written.extend(bytes);
        Ok(None)
    }

    /// The reason why there is none, where nothing more comes.
    pub(super) fn missing(&self) -> HeadError {
        if self.written.is_empty() {
            HeadError::Nothing
        } else {
            HeadError::NoEnd
        }
    }
}

fn parse(written: &[u8]) -> Result<Head, HeadError> {
    let mut response = Response::new(());
    let mut left_out = Vec::new();
    let mut is_sufficient = false;
    let mut status = None;
    for line in written.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if line.is_empty() {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            leave_out(&mut left_out, line, "is not a header");
            continue;
        };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"status") {
            is_sufficient = true;
            status = Some(read_status(value));
            continue;
        }
        let Ok(name) = HeaderName::from_bytes(name) else {
            leave_out(&mut left_out, line, "is not a header");
            continue;
        };
        if OF_THE_CONNECTION.contains(&name) {
            leave_out(&mut left_out, line, "is for the server to say");
            continue;
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| HeadError::Value(name.to_string()))?;
        if name == CONTENT_LENGTH && !is_length(value.as_bytes()) {
            return Err(HeadError::Value(name.to_string()));
        }
        is_sufficient |= name == CONTENT_TYPE || name == LOCATION;
        let headers = response.headers_mut();
        // Of these there can be one; others may come again, as `set-cookie` does.
        let added = if [CONTENT_TYPE, LOCATION, CONTENT_LENGTH].contains(&name) {
            headers.try_insert(name, value).map(drop)
        } else {
            headers.try_append(name, value).map(drop)
        };
        added.map_err(|_| HeadError::TooMany)?;
    }
    if !is_sufficient {
        return Err(HeadError::Insufficient);
    }
    let implied = if response.headers().contains_key(LOCATION) {
        StatusCode::FOUND
    } else {
        StatusCode::OK
    };
    *response.status_mut() = status.unwrap_or(implied);
    Ok(Head { response, left_out })
}

/// `404 Not Found`, or `404`. What ends no exchange is no status of a response either.
fn read_status(value: &[u8]) -> StatusCode {
    let code = value.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    StatusCode::from_bytes(code)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .unwrap_or(StatusCode::BAD_GATEWAY)
}

/// True if a client reads it as the length that it is (RFC 9110, section 8.6).
fn is_length(value: &[u8]) -> bool {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_number && str::from_utf8(value).is_ok_and(|value| value.parse::<u64>().is_ok())
}

fn leave_out(left_out: &mut Vec<String>, line: &[u8], why: &str) {
    if left_out.len() < MOST_TOLD {
        let line = String::from_utf8_lossy(line);
        left_out.push(format!("`{}` {why}", text::excerpt(&line)));
    }
}

/// Headers that say how a response is sent.
const OF_THE_CONNECTION: [HeaderName; 6] = [
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Bytes of a head: as many as wasmtime-wasi-http permits guests for the headers of a response.
const MAX_HEAD: usize = 128 * 1024;

/// Lines of one head of which it is told that they were left out.
const MOST_TOLD: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    /// The status, the headers, and what was behind the head.
    type Read = (u16, Vec<(String, String)>, Vec<u8>);

    fn read(text: &[u8], piece: usize) -> Result<Read, HeadError> {
        let mut writer = HeadWriter::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (bytes, further) = rest.split_at(piece.min(rest.len()));
            if let Some((head, taken)) = writer.write(bytes)? {
                let headers = head.response.headers().iter();
                let headers = headers
                    .map(|(name, value)| {
                        (
                            name.to_string(),
                            String::from_utf8_lossy(value.as_bytes()).into_owned(),
                        )
                    })
                    .collect();
                let status = head.response.status().as_u16();
                return Ok((status, headers, [&bytes[taken..], further].concat()));
            }
            rest = further;
        }
        Err(writer.missing())
    }

    #[test]
    fn a_length_that_a_client_may_read_otherwise_is_no_length() {
        for length in ["", "x", "-1", "+5", "5, 5", "0x5", "18446744073709551616"] {
            let head = format!("Status: 200\nContent-Length: {length}\n\n");
            let error = read(head.as_bytes(), usize::MAX).expect_err(length);
            assert!(error.to_string().contains("content-length"), "{length}: {error}");
        }
    }

    #[test]
    fn a_head_is_headers_and_an_empty_line() {
        let html: Headers<'_> = &[("content-type", "text/html")];
        let to_x: Headers<'_> = &[("location", "/x")];
        let rows: &[(&str, u16, Headers<'_>, &str)] = &[
            (
                "Content-Type: text/html\n\nbody\n\nmore",
                200,
                html,
                "body\n\nmore",
            ),
            ("Content-Type: text/html\r\n\r\n\r\nbody", 200, html, "\r\nbody"),
            ("content-type:text/html\n\r\n", 200, html, ""),
            ("\nContent-Type : text/html \n\n", 200, html, ""),
            ("Status: 404 Not Found\n\n", 404, &[], ""),
            ("status:201\n\n", 201, &[], ""),
            ("Status: many\n\n", 502, &[], ""),
            ("Status:\n\n", 502, &[], ""),
            ("Status: 101 Switching\n\n", 502, &[], ""),
            ("Status: 600\n\n", 502, &[], ""),
            (
                "Status: 200\nContent-Length: 5\n\n",
                200,
                &[("content-length", "5")],
                "",
            ),
            ("Location: /x\n\n", 302, to_x, ""),
            ("Location: /x\nStatus: 303\n\n", 303, to_x, ""),
            ("Status: 303\nLocation: /x\n\n", 303, to_x, ""),
            (
                "Content-Type: a\nContent-Type: b\nSet-Cookie: a\nset-cookie: b\nX: c: d\n\n",
                200,
                &[
                    ("content-type", "b"),
                    ("set-cookie", "a"),
                    ("set-cookie", "b"),
                    ("x", "c: d"),
                ],
                "",
            ),
            // What is left out.
            ("Location: /x\nno header\na b: c\n: d\nü: e\n\n", 302, to_x, ""),
            (
                "Location: /x\nTransfer-Encoding: chunked\nConnection: close\nUpgrade: x\nKeep-Alive: 5\n\n",
                302,
                to_x,
                "",
            ),
        ];
        for (text, status, headers, rest) in rows {
            for piece in [1, 2, 7, usize::MAX] {
                let (told, written, behind) = read(text.as_bytes(), piece).unwrap();
                let written: Vec<_> = written
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                assert_eq!(
                    (told, written.as_slice(), behind.as_slice()),
                    (*status, *headers, rest.as_bytes()),
                    "{text:?} in pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_head_is_no_response() {
        let long = format!("x: {}\n\n", "y".repeat(MAX_HEAD));
        let many: String = (0..35_000).map(|number| format!("{number:x}:\n")).collect();
        let rows = [
            (String::new(), HeadError::Nothing),
            ("Content-Type: text/html\nbody".to_owned(), HeadError::NoEnd),
            ("Content-Type: text/html\n".to_owned(), HeadError::NoEnd),
            ("X: y\n\n".to_owned(), HeadError::Insufficient),
            ("\n\n".to_owned(), HeadError::Insufficient),
            ("Content-Length: 5\n\nhello".to_owned(), HeadError::Insufficient),
            (
                "Location: /\rSet-Cookie: a\n\n".to_owned(),
                HeadError::Value("location".to_owned()),
            ),
            (
                "Location: /\nx: a\0b\n\n".to_owned(),
                HeadError::Value("x".to_owned()),
            ),
            (long, HeadError::TooLong),
            (many, HeadError::TooLong),
        ];
        for (text, expected) in rows {
            for piece in [1, 4096] {
                let told = read(text.as_bytes(), piece).unwrap_err();
                let begin: String = text.chars().take(40).collect();
                assert_eq!(told, expected, "{begin:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn as_many_headers_as_fit_are_no_panic() {
        let short: String = (0..32_000).map(|number| format!("{number:x}:\n")).collect();
        let names = (b'a'..=b'z').flat_map(|a| (b'a'..=b'z').map(move |b| [a, b]));
        let mut many: Vec<u8> = names
            .flat_map(|name| [&name[..], b":\n"].concat())
            .cycle()
            .take(MAX_HEAD - 2)
            .collect();
        many.extend(b"\n\n");
        for text in [short.as_bytes(), &many] {
            assert!(read(text, usize::MAX).is_err());
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_the_same_in_any_pieces(
            text in r"((Status|Location|Content-Type|X|\PC|: |[ -~\r\x00])*\r?\n){0,6}\r?\n?.*",
            piece in 1_usize..20,
        ) {
            prop_assert_eq!(read(text.as_bytes(), piece), read(text.as_bytes(), usize::MAX));
        }
    }
}
