use http::Uri;
use http_body_util::{BodyExt, Empty};
use outport_policy::{AnswerSource, Endpoint, Host};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend(payload);
    frame
}

/// Reads until HEADERS of a request have come.
async fn read_request(server: &mut DuplexStream) {
    loop {
        let mut head = [0; 9];
        server.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        server.read_exact(&mut payload).await.unwrap();
        if head[3] == HEADERS {
            return;
        }
    }
}

fn request() -> Request<WasiBody> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut request = Request::new(body);
    *request.uri_mut() = Uri::from_static("https://192.0.2.1/");
    request
}

const HEADERS: u8 = 1;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
/// A literal field without a name in a table (RFC 7541, section 6.2.2): `:status: 103`.
const EARLY_HINTS: &[u8] = b"\x00\x07:status\x03103";
/// `:status: 200`, as it is in the static table.
const OK: &[u8] = b"\x88";

// proves: DNS-13
#[tokio::test]
async fn a_server_of_http_2_that_said_anything_may_have_acted() {
    let hints = |stream| frame(HEADERS, END_HEADERS, stream, EARLY_HINTS);
    let ping = frame(6, 0, 0, &[0; 8]);
    // (what the server says to the second request, whether another one is sent before it hangs up, what it comes to)
    let rows = [
        (Vec::new(), false, Delivery::Unheard),
        (Vec::new(), true, Delivery::Unheard),
        (hints(3), false, Delivery::Perhaps),
        (hints(3), true, Delivery::Perhaps),
        (ping, false, Delivery::Perhaps),
    ];
    for (says, another, reached) in rows {
        let (ours, mut server) = duplex(1 << 16);
        let destination = Destination::of(&request()).unwrap();
        let Host::Address(address) = destination.host else {
            panic!("it is an address");
        };
        let to = DialTarget {
            scheme: destination.scheme.clone(),
            host: destination.host.clone(),
            chain: Vec::new(),
            remote: Endpoint::new(address, destination.port),
            source: AnswerSource::Server,
        };
        let mut connection = Connection::over(ours, None, Version::HTTP_2, to).await.unwrap();
        // Settings, and that the client's were read.
        let mut preface = [0; 24];
        server.read_exact(&mut preface).await.unwrap();
        server.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        server.write_all(&frame(4, 1, 0, &[])).await.unwrap();
        let answered = async {
            read_request(&mut server).await;
            let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, OK);
            server.write_all(&head).await.unwrap();
        };
        let (first, ()) = tokio::join!(connection.send(&destination, request(), None), answered);
        assert!(first.is_ok());
        connection.mark_used();
        let mut other = connection.share().unwrap();

        let (all_said, said) = tokio::sync::oneshot::channel::<()>();
        let served = async {
            read_request(&mut server).await;
            server.write_all(&says).await.unwrap();
            // For the client to read it.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            drop(all_said);
            if another {
                read_request(&mut server).await;
            }
            drop(server);
        };
        let sent_later = async {
            let _ = said.await;
            if another {
                assert!(other.send(&destination, request(), None).await.is_err());
            }
        };
        let (failed, (), ()) =
            tokio::join!(connection.send(&destination, request(), None), served, sent_later);
        let failure = failed.expect_err("it was not answered");
        assert_eq!(failure.delivery, reached, "{says:?} {another}");
    }
}

#[test]
fn a_server_says_whether_an_answer_is_the_last() {
    let rows = [
        (Version::HTTP_10, "", true),
        (Version::HTTP_10, "Keep-Alive", false),
        (Version::HTTP_11, "", false),
        (Version::HTTP_11, "upgrade, Close", true),
        (Version::HTTP_11, "closed", false),
        (Version::HTTP_2, "", false),
    ];
    for (version, options, expected) in rows {
        let answer = Response::builder().version(version).header(CONNECTION, options);
        assert_eq!(
            is_last(&answer.body(()).unwrap()),
            expected,
            "{version:?} {options}"
        );
    }
}
