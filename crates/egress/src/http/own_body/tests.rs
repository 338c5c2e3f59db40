use std::time::Duration;

use futures::FutureExt;
use http_body_util::{Full, StreamBody};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

/// A body, and the end that its guest has: it fails to write once nobody reads.
fn written(writer: &Writer, length: Option<u64>) -> (mpsc::Sender<&'static str>, OwnBody) {
    let (guest, mut received) = mpsc::channel::<&str>(1);
    let frames = futures::stream::poll_fn(move |cx| received.poll_recv(cx));
    let frames = futures::StreamExt::map(frames, |text| {
        Ok(Frame::data(Bytes::from_static(text.as_bytes())))
    });
    (
        guest,
        writer.body(StreamBody::new(frames).boxed_unsync(), length, None),
    )
}

// proves: ISO-8
#[test]
fn a_body_of_an_instance_that_was_stopped_is_not_whole() {
    for (stopped, whole) in [(false, true), (true, false)] {
        let writer = Writer::new();
        let body = Full::new(Bytes::from_static(b"begun")).map_err(|never| match never {});
        let body = writer.body(body.boxed_unsync(), None, None);
        if stopped {
            writer.ending().stopped();
        }
        let end = body.lend().collect().now_or_never().expect("it is there");
        assert_eq!(end.is_ok(), whole);
    }
}

// proves: ISO-3
#[tokio::test]
async fn what_nobody_reads_is_read_on_until_the_guest_ends_it_or_is_gone() {
    let soon = Duration::from_secs(10);
    let writer = Writer::new();
    let (guest, body) = written(&writer, None);
    let mut lent = body.lend();
    guest.send("a").await.unwrap();
    assert!(lent.frame().await.unwrap().is_ok());
    drop(body);
    drop(lent);
    for _ in 0..1000 {
        timeout(soon, guest.send("more"))
            .await
            .expect("somebody reads")
            .unwrap();
    }
    assert!(!guest.is_closed());
    drop(writer);
    timeout(soon, guest.closed()).await.expect("its writer is gone");
}

#[tokio::test]
async fn a_body_is_lent_again_while_nothing_was_taken() {
    let writer = Writer::new();
    let (guest, body) = written(&writer, None);
    let mut first = body.lend();
    assert!(first.frame().now_or_never().is_none(), "nothing is there");
    assert!(body.is_untouched() && body.is_awaited());
    let mut second = body.lend();
    guest.send("a").await.unwrap();
    assert!(first.frame().await.unwrap().is_err(), "it was lent to another");
    assert!(body.is_untouched());
    assert!(second.frame().await.unwrap().is_ok());
    assert!(!body.is_untouched() && !body.is_awaited());
}

#[tokio::test]
async fn an_end_without_anything_before_it_can_be_lent_again() {
    let writer = Writer::new();
    let (guest, body) = written(&writer, None);
    drop(guest);
    assert!(body.lend().frame().await.is_none());
    assert!(body.is_untouched() && !body.is_awaited());
    assert!(body.lend().is_end_stream());
    assert!(body.lend().frame().await.is_none());
}

#[tokio::test]
async fn a_body_is_as_long_as_it_says_or_fails() {
    // (its length, what is written, whether it is whole, the length that it is said to have instead)
    type Row = (Option<u64>, &'static [&'static str], bool, Option<u64>);
    let rows: [Row; 7] = [
        (None, &["ab", "c"], true, None),
        (Some(3), &["ab", "c"], true, None),
        (Some(3), &["abcd"], false, Some(4)),
        (Some(3), &["ab", "cd"], false, Some(4)),
        (Some(0), &["a"], false, Some(1)),
        (Some(3), &["ab"], false, Some(2)),
        (Some(3), &[], false, Some(0)),
    ];
    for (length, pieces, whole, said) in rows {
        let writer = Writer::new();
        let (guest, body) = written(&writer, length);
        let lent = tokio::spawn(body.lend().collect());
        for piece in pieces {
            guest.send(piece).await.unwrap();
        }
        drop(guest);
        assert_eq!(lent.await.unwrap().is_ok(), whole, "{length:?} {pieces:?}");
        let failure = match body.false_length().error() {
            Some(Error::HttpRequestBodySize(written)) => written,
            _ => None,
        };
        assert_eq!(failure, said, "{length:?} {pieces:?}");
    }
}

// Hyper would send its length and nothing after it, and the server take the next request on the connection for the
// body.
#[tokio::test]
async fn a_body_that_is_missing_is_not_at_its_end() {
    for (length, at_end) in [(None, true), (Some(0), true), (Some(4), false)] {
        let body = Writer::new().body(nothing(), length, None);
        assert_eq!(body.lend().is_end_stream(), at_end, "{length:?}");
        let whole = body.lend().frame().await.is_none();
        assert_eq!(whole, at_end, "{length:?}");
    }
}
