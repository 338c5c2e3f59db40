//! Components of Spin's first HTTP interface, `fermyon:spin/inbound-http`: a request is given whole, and so is the response.
//!
//! | what | here |
//! | --- | --- |
//! | a method that the interface does not have | 405, before anything is read |
//! | a body that is larger than [it may be](most_in_a_body) | 413, at once where its length is told, and never given |
//! | a body that its client does not finish | 400 |
//! | a header that is not UTF-8 | 400: to change it could make one value of two |
//! | `host` | there, of HTTP/2 too; other headers of the connection are left out, as on WASI |
//! | `params` | empty, as in Spin |
//! | a status below 200 or above 599 | 500, and told |
//! | a header of the response that is none | 500, and told |
//! | headers of the connection in the response | left out: they are the host's |
//!
//! An instance answers one request. What it answers it does not get back, so the next one would have less memory.
//!
//! The body of the request is read before there is an instance, at its account; that of the response is kept at it until
//! it is sent.

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use outport_policy::text;
use wasmtime::Store;
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, WasiBody};

use self::bindings::fermyon::spin::http_types as types;
pub(super) use self::bindings::{FirstTrigger, FirstTriggerPre};
use super::authority::authority;
use super::http_component::RequestBody;
use super::router::LocalReply;
use crate::guest::Guest;

/// What became of a request.
pub(super) enum Outcome {
    /// The guest answered.
    Answer(Response<WasiBody>),
    /// The guest was not asked.
    Refused(Response<WasiBody>),
    /// The guest answered with what cannot be sent.
    NoAnswer(NotAResponse),
}

/// The reason why what a guest answered cannot be sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAResponse {
    #[error("the status {0}, which no response may have")]
    Status(u16),
    #[error("a header `{}`, which is none", text::excerpt(.0))]
    Header(String),
    #[error("headers of more than {} KiB", MOST_IN_HEADERS >> 10)]
    TooManyHeaders,
}

/// Has a new instance in `store` answer `request`. Its guest may have `memory` bytes.
pub(super) async fn answer<B: RequestBody>(
    handler: &FirstTriggerPre<Guest>,
    mut store: Store<Guest>,
    request: Request<B>,
    memory: usize,
) -> wasmtime::Result<Outcome> {
    let request = match written(request, most_in_a_body(memory)).await {
        Ok(request) => request,
        Err(reply) => return Ok(Outcome::Refused(refusal(reply))),
    };
    // What a guest answers with counts as what it passes to the host, and is larger than what it passes otherwise.
    store.set_hostcall_fuel(MOST_IN_A_BODY + MOST_BESIDE_A_BODY);
    let instance: FirstTrigger = handler.instantiate_async(&mut store).await?;
    let interface = instance.fermyon_spin_inbound_http();
    let response = interface.call_handle_request(&mut store, &request).await?;
    Ok(match read(response) {
        Ok(response) => Outcome::Answer(response),
        Err(none) => Outcome::NoAnswer(none),
    })
}

/// A request as the interface has it.
async fn written<B: RequestBody>(request: Request<B>, most: usize) -> Result<types::Request, LocalReply> {
    let method = method(request.method()).ok_or(LocalReply::NoSuchMethod)?;
    let host = authority(&request)?;
    let uri = request.uri().path_and_query();
    let uri = uri.map_or("/", |path| path.as_str()).to_owned();
    let headers = headers(request.headers(), host.as_str())?;
    let body = whole(request.into_body(), most).await?;
    Ok(types::Request {
        method,
        uri,
        headers,
        params: Vec::new(),
        body: Some(body.into()),
    })
}

fn method(method: &Method) -> Option<types::Method> {
    Some(match *method {
        Method::GET => types::Method::Get,
        Method::POST => types::Method::Post,
        Method::PUT => types::Method::Put,
        Method::DELETE => types::Method::Delete,
        Method::PATCH => types::Method::Patch,
        Method::HEAD => types::Method::Head,
        Method::OPTIONS => types::Method::Options,
        _ => return None,
    })
}

/// Those of the methods, for the header.
const METHODS: &str = "GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS";

fn headers(map: &HeaderMap, host: &str) -> Result<Vec<(String, String)>, LocalReply> {
    let mut headers = vec![(HOST.as_str().to_owned(), host.to_owned())];
    for (name, value) in map {
        if DEFAULT_FORBIDDEN_HEADERS.contains(name) {
            continue;
        }
        let value = str::from_utf8(value.as_bytes()).map_err(|_| LocalReply::BadHeader)?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    Ok(headers)
}

/// All bytes of a body.
async fn whole<B: RequestBody>(mut body: B, most: usize) -> Result<Bytes, LocalReply> {
    if body.size_hint().lower() > most as u64 {
        return Err(LocalReply::TooLarge);
    }
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|_| LocalReply::BrokenBody)?.into_data() else {
            continue;
        };
        if bytes.len() > most - all.len() {
            return Err(LocalReply::TooLarge);
        }
        all.extend_from_slice(&bytes);
    }
    Ok(all.freeze())
}

/// Bytes that the body of a request may have for a guest that may have `memory`: a quarter of it, since there it is
/// twice, in the host and in the guest, whose SDK copies it too; and [`MOST_IN_A_BODY`] at most.
fn most_in_a_body(memory: usize) -> usize {
    MOST_IN_A_BODY.min(memory / 4)
}

/// 16 MiB: a guest that passes so much in one call keeps its thread for some ten milliseconds.
const MOST_IN_A_BODY: usize = 16 << 20;

/// Bytes of the headers of a response: as many as wasmtime-wasi-http permits guests of WASI.
const MOST_IN_HEADERS: usize = 128 * 1024;

/// Bytes that a header counts for beside its name and value.
const BESIDE_A_HEADER: usize = 32;

/// Bytes of headers, and of what they are kept in, before they are looked at.
const MOST_BESIDE_A_BODY: usize = 1 << 20;

fn refusal(reply: LocalReply) -> Response<WasiBody> {
    let mut response = reply.into_response();
    if reply == LocalReply::NoSuchMethod {
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    response
}

/// A response of the interface as one.
fn read(response: types::Response) -> Result<Response<WasiBody>, NotAResponse> {
    let status = StatusCode::from_u16(response.status);
    let status = status.ok().filter(|status| (200..600).contains(&status.as_u16()));
    let body = Full::new(Bytes::from(response.body.unwrap_or_default()));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status.ok_or(NotAResponse::Status(response.status))?;
    let mut room = MOST_IN_HEADERS;
    for (name, value) in response.headers.into_iter().flatten() {
        let header = (HeaderName::try_from(&name), HeaderValue::try_from(value));
        let (Ok(known), Ok(value)) = header else {
            return Err(NotAResponse::Header(name));
        };
        // The body is here, so its length is the host's to say.
        if DEFAULT_FORBIDDEN_HEADERS.contains(&known) || known == CONTENT_LENGTH {
            continue;
        }
        room = room
            .checked_sub(known.as_str().len() + value.len() + BESIDE_A_HEADER)
            .ok_or(NotAResponse::TooManyHeaders)?;
        let added = answer.headers_mut().try_append(known, value);
        added.map_err(|_| NotAResponse::TooManyHeaders)?;
    }
    Ok(answer)
}

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit-v1",
        world: "fermyon:spin/first-trigger",
        exports: { default: async },
    });
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use wasmtime_wasi_http::Error;

    use super::*;

    fn response(status: u16, headers: &[(&str, &str)]) -> types::Response {
        let owned = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        types::Response {
            status,
            headers: Some(owned.collect()),
            body: None,
        }
    }

    #[test]
    fn what_cannot_be_sent_is_no_response() {
        for (status, expected) in [
            (99, false),
            (100, false),
            (199, false),
            (200, true),
            (599, true),
            (600, false),
        ] {
            let read = read(response(status, &[])).map(|answer| answer.status().as_u16());
            let expected = expected.then_some(status).ok_or(NotAResponse::Status(status));
            assert_eq!(read, expected, "{status}");
        }
        let sent = read(response(
            200,
            &[
                ("Set-Cookie", "a=b"),
                ("set-cookie", "c=d"),
                ("transfer-encoding", "chunked"),
                ("content-length", "5,999"),
            ],
        ));
        let sent = sent.expect("all of them are headers");
        let shown: Vec<_> = sent
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(shown, [("set-cookie", "a=b"), ("set-cookie", "c=d")]);
        let long = "x".repeat(100 * 1024);
        let pairs = [("a", &*long), ("b", &*long)];
        assert!(read(response(200, &pairs[..1])).is_ok());
        let many: Vec<_> = (0..5000).map(|_| ("a", "")).collect();
        for headers in [&pairs[..], &many] {
            let none = read(response(200, headers)).expect_err("too many");
            assert_eq!(none, NotAResponse::TooManyHeaders);
        }
        for (name, value) in [("", "x"), ("a b", "x"), ("a", "x\r\nb: y")] {
            let none = read(response(200, &[(name, value)])).expect_err(name);
            assert_eq!(none, NotAResponse::Header(name.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_body_is_read_whole_up_to_what_it_may_have() {
        let body = |pieces: &[&'static str]| {
            let frames: Vec<_> = pieces
                .iter()
                .map(|piece| match *piece {
                    "!" => Err(Error::ConnectionTerminated),
                    piece => Ok(Frame::data(Bytes::from_static(piece.as_bytes()))),
                })
                .collect();
            StreamBody::new(futures::stream::iter(frames))
        };
        for (pieces, expected) in [
            (&[][..], Ok(&b""[..])),
            (&["ab", "", "cd"], Ok(b"abcd")),
            (&["ab", "cd", "e"], Err(LocalReply::TooLarge)),
            (&["abcde"], Err(LocalReply::TooLarge)),
            (&["ab", "!"], Err(LocalReply::BrokenBody)),
        ] {
            let read = whole(body(pieces), 4).await;
            assert_eq!(read.as_deref().map_err(|reply| *reply), expected, "{pieces:?}");
        }
        let told =
            Full::new(Bytes::from_static(b"abcde")).map_err(|never: std::convert::Infallible| match never {});
        assert_eq!(
            whole(told.map_err(|error: Error| error), 4).await,
            Err(LocalReply::TooLarge)
        );
    }

    #[test]
    fn a_header_that_is_no_text_is_not_made_one() {
        let mut map = HeaderMap::new();
        map.insert("x", HeaderValue::from_bytes("ä".as_bytes()).unwrap());
        map.insert("connection", HeaderValue::from_static("close"));
        map.insert("host", HeaderValue::from_static("other.example"));
        let found = headers(&map, "one.example").unwrap();
        let expected =
            [("host", "one.example"), ("x", "ä")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, expected);
        map.insert("x", HeaderValue::from_bytes(b"\xe4").unwrap());
        assert_eq!(headers(&map, "one.example"), Err(LocalReply::BadHeader));
    }
}
