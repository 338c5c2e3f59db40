use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use wasmtime_wasi_http::WasiBody;

use super::super::own_body::Writer;
use super::*;

/// A frame of HTTP/2 (RFC 9113, section 4.1) with numbers for a payload.
fn frame(kind: u8, stream: u32, payload: &[u32]) -> Vec<u8> {
    let length = u8::try_from(payload.len() * 4).unwrap();
    let mut frame = vec![0, 0, length, kind, 0];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload.iter().flat_map(|number| number.to_be_bytes()));
    frame
}

/// The failure of a request whose server sends these frames when it has it, and hangs up.
async fn failure(frames: Vec<u8>, unheard: bool) -> Failure {
    let (ours, mut theirs) = duplex(1 << 16);
    let server = tokio::spawn(async move {
        theirs.write_all(&frame(4, 0, &[])).await.unwrap();
        // The preface, two frames of the connection, and the request.
        let mut read = vec![0; 1 << 16];
        while let Ok(Ok(1..)) = tokio::time::timeout(Duration::from_millis(100), theirs.read(&mut read)).await
        {
        }
        theirs.write_all(&frames).await.unwrap();
    });
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(ours))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://server.example/")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let mut error = sender.try_send_request(request).await.unwrap_err();
    server.await.unwrap();
    assert!(error.take_message().is_none(), "it was sent");
    Failure::of(error.error(), unheard)
}

// proves: DNS-13
#[tokio::test(start_paused = true)]
async fn a_server_of_http_2_says_what_it_has_not_looked_at() {
    let (reset, go_away) = (3, 7);
    // (frames, what they come to, whether the guest is told that the connection ended, not that the server spoke
    // nonsense)
    let rows = [
        (frame(reset, 1, &[7]), Delivery::Refused, true),
        (frame(reset, 1, &[2]), Delivery::Perhaps, true),
        (frame(reset, 1, &[8]), Delivery::Perhaps, true),
        (frame(go_away, 0, &[0, 0]), Delivery::Refused, true),
        (frame(go_away, 0, &[0, 11]), Delivery::Perhaps, true),
        (frame(go_away, 0, &[1, 0]), Delivery::Unheard, true),
        (Vec::new(), Delivery::Unheard, true),
        (frame(reset, 0, &[2]), Delivery::Perhaps, false),
    ];
    for (frames, delivery, ended) in rows {
        let failure = failure(frames.clone(), true).await;
        assert_eq!(failure.delivery, delivery, "{frames:?}");
        let told = matches!(failure.error, Error::ConnectionTerminated);
        assert_eq!(told, ended, "{frames:?}: {:?}", failure.error);
    }
    assert_eq!(failure(Vec::new(), false).await.delivery, Delivery::Perhaps);
}

#[tokio::test]
async fn a_request_is_repeated_only_where_nobody_can_have_acted_on_it() {
    let writer = Writer::new();
    let empty = || Empty::new().map_err(|never| match never {}).boxed_unsync();
    let full = || Full::from("text").map_err(|never| match never {}).boxed_unsync();
    type Made = (&'static str, fn() -> WasiBody, bool);
    let bodies: [Made; 3] = [
        ("none", empty, false),
        ("awaited", full, false),
        ("begun", full, true),
    ];
    // (how far it came; of GET and of POST, whether it is repeated: without a body, with one to come, with one begun)
    let rows = [
        (Delivery::Unsent, [true, true, true], [true, true, true]),
        (Delivery::Refused, [true, true, false], [true, true, false]),
        (Delivery::Unheard, [true, true, false], [false, true, false]),
        (Delivery::Perhaps, [false; 3], [false; 3]),
    ];
    for (delivery, get, post) in rows {
        for (method, repeated) in [(Method::GET, get), (Method::POST, post)] {
            for ((name, body, begun), repeated) in bodies.iter().zip(repeated) {
                let body = writer.body(body(), None, None);
                if *begun {
                    assert!(body.lend().frame().await.is_some());
                }
                let failure = Failure {
                    error: Error::ConnectionTerminated,
                    delivery,
                };
                let found = failure.may_repeat(&method, &body);
                assert_eq!(found, repeated, "{delivery:?} {method} {name}");
            }
        }
    }
}
