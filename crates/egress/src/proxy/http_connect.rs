//! Asking a proxy of HTTP for a connection: the method CONNECT (RFC 9110, section 9.3.6).
//!
//! ```text
//! CONNECT [2001:db8::7]:5432 HTTP/1.1        the judged address, never a name
//! Host: [2001:db8::7]:5432
//! Proxy-Authorization: Basic …                where there are credentials
//!
//! ◀ HTTP/1.1 100 …     passed over
//! ◀ HTTP/1.1 2xx …     a tunnel, from the byte behind the empty line on
//! ◀ anything else      none: what it says besides is not read, no redirect is followed
//! ```
//!
//! All heads together have [`MAX_HEAD`] bytes at most, so a proxy cannot go on for ever.

use std::net::SocketAddr;

use httparse::{EMPTY_HEADER, Response, Status};

use super::credentials::Credentials;
use super::trouble::Trouble;
use super::wire::{Looked, Wire};

/// Asks for a connection to `target`.
pub(super) async fn ask(
    wire: &Wire,
    target: SocketAddr,
    credentials: Option<&Credentials>,
) -> Result<(), Trouble> {
    wire.send(request(target, credentials).as_bytes()).await?;
    let mut left = MAX_HEAD;
    loop {
        let status = head(wire, &mut left).await?;
        match status {
            // It switches to another protocol than the one that was asked for.
            101 => return Err(Trouble::Garbled("it switches protocols")),
            100..=199 => {}
            200..=299 => return Ok(()),
            407 if credentials.is_none() => return Err(Trouble::WantsCredentials),
            407 => return Err(Trouble::RefusesCredentials),
            status => return Err(Trouble::Status(status)),
        }
    }
}

fn request(target: SocketAddr, credentials: Option<&Credentials>) -> String {
    let authorization = credentials.map(|own| format!("Proxy-Authorization: {}\r\n", own.basic()));
    let authorization = authorization.unwrap_or_default();
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n")
}

/// The status of one head, which is read to its end and no further. `left` bytes may still come.
async fn head(wire: &Wire, left: &mut usize) -> Result<u16, Trouble> {
    let mut seen = Vec::new();
    let mut buffer = vec![0; *left];
    loop {
        if *left == 0 {
            return Err(Trouble::Garbled("the head of its answer is too long"));
        }
        let look = |more: &[u8]| {
            let before = seen.len();
            seen.extend_from_slice(more);
            // Where no line has ended the head has not, and what is read byte by byte is not looked at anew each time.
            if before > 0 && !more.contains(&b'\n') {
                return Ok(Looked::All);
            }
            Ok(match parse(&seen)? {
                Some((length, status)) => Looked::Whole(length.saturating_sub(before), status),
                None => Looked::All,
            })
        };
        let (taken, status) = wire.look(&mut buffer[..*left], look).await?;
        *left -= taken;
        if let Some(status) = status {
            return Ok(status);
        }
    }
}

/// Length and status of the head that `bytes` begin with; nothing while it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(usize, u16)>, Trouble> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut response = Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(Status::Complete(length)) => match response.code {
            Some(status @ 100..=599) => Ok(Some((length, status))),
            _ => Err(Trouble::Garbled("its status is none of HTTP's")),
        },
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(Trouble::Garbled("this is not HTTP/1")),
    }
}

/// Bytes of all heads of an answer.
const MAX_HEAD: usize = 8 * 1024;

/// Fields of one head.
const MOST_HEADERS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // proves: PX-1
    #[test]
    fn an_address_is_asked_for_and_who_asks_is_said_where_it_is_known() {
        let credentials = Credentials::new("Aladdin", "open sesame").unwrap();
        assert_eq!(
            request("10.0.0.5:5432".parse().unwrap(), None),
            "CONNECT 10.0.0.5:5432 HTTP/1.1\r\nHost: 10.0.0.5:5432\r\n\r\n"
        );
        assert_eq!(
            request("[2001:db8::7]:443".parse().unwrap(), Some(&credentials)),
            "CONNECT [2001:db8::7]:443 HTTP/1.1\r\nHost: [2001:db8::7]:443\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
    }

    #[test]
    fn a_head_ends_where_its_empty_line_does() {
        let head = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
        let answer = [&head[..], b"HTTP/1.1 403 said by the peer\r\n\r\n"].concat();
        assert_eq!(parse(&answer).unwrap(), Some((head.len(), 200)));
        for end in 0..head.len() {
            assert!(parse(&head[..end]).unwrap().is_none(), "{end}");
        }
        for status in [
            "HTTP/1.0 200\r\n\r\n",
            "HTTP/1.1 200 \r\n\r\n",
            "HTTP/1.1 200 OK\n\n",
        ] {
            assert_eq!(
                parse(status.as_bytes()).unwrap(),
                Some((status.len(), 200)),
                "{status:?}"
            );
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
        for garbage in [
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            b"\x05\x00",
            b"\x15\x03\x01\x00\x02\x02\x16",
            b"PRI * HTTP/2.0\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 999 odd\r\n\r\n",
            b"HTTP/1.1 2xx\r\n\r\n",
            many.as_bytes(),
        ] {
            assert!(parse(garbage).is_err(), "{}", garbage.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_taken_for_more_than_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            for start in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 "] {
                let answer = [start, &bytes].concat();
                if let Ok(Some((length, status))) = parse(&answer) {
                    prop_assert!(length <= answer.len());
                    prop_assert!((100..=599).contains(&status));
                    // It is the same head, however much is behind it.
                    prop_assert_eq!(parse(&answer[..length]).unwrap(), Some((length, status)));
                }
            }
        }
    }
}
