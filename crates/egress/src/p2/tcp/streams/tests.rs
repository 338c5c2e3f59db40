use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::*;
use crate::sockets::{Family, TcpSocket};
use crate::testing::{Script, World};

/// Both streams of a connection, and its peer. What is behind the streams is theirs alone.
async fn connection() -> (Input, Output, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let enforcer = World::new(Script::new()).instance(&["*://*:*"]);
    let mut socket = TcpSocket::create(&enforcer, Family::V4).unwrap();
    socket.options().unwrap().set_send_buffer_size(16 * 1024).unwrap();
    socket.start_connect(listener.local_addr().unwrap()).unwrap();
    poll_fn(|cx| socket.poll_connect(cx)).await.unwrap();
    let input = Input::new(socket.take_receiving().unwrap());
    let output = Output::new(socket.take_sending().unwrap());
    (input, output, listener.accept().unwrap().0)
}

/// Writes until the system takes no more, and says what was written.
fn fill(output: &mut Output) -> Vec<u8> {
    let mut written = Vec::new();
    while let budget @ 1.. = output.check_write().unwrap() {
        let number = u8::try_from(written.len() / MOST % 256).unwrap();
        let chunk = vec![number; budget];
        written.extend_from_slice(&chunk);
        output.write(chunk.into()).unwrap();
    }
    written
}

fn is_closed<T: std::fmt::Debug>(result: &StreamResult<T>) -> bool {
    matches!(result, Err(StreamError::Closed))
}

#[tokio::test]
async fn what_is_written_is_sent_whole_and_in_order_also_when_the_guest_drops_the_stream() {
    let (input, mut output, mut peer) = connection().await;
    let written = fill(&mut output);
    assert!(written.len() > MOST, "the peer has room for more than one write");
    assert!(output.flush().is_ok());
    let reading = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        let mut read = Vec::new();
        peer.read_to_end(&mut read).unwrap();
        read
    });
    // What dropping the stream does in the guest's name.
    output.cancel().await;
    drop((input, output));
    let read = tokio::task::spawn_blocking(|| reading.join().unwrap())
        .await
        .unwrap();
    assert!(read == written, "{} of {} bytes", read.len(), written.len());
}

#[tokio::test]
async fn a_full_stream_can_be_written_to_again_once_the_peer_has_read() {
    let (_input, mut output, mut peer) = connection().await;
    let mut written = fill(&mut output);
    let reading = thread::spawn(move || {
        let mut read = vec![0; 1 << 26];
        let mut length = 0;
        while let more @ 1.. = peer.read(&mut read[length..]).unwrap() {
            length += more;
        }
        read.truncate(length);
        read
    });
    for _ in 0..3 {
        output.ready().await;
        written.extend(fill(&mut output));
    }
    output.shut_down();
    output.ready().await;
    assert!(is_closed(&output.check_write()), "it was shut down");
    drop(output);
    let read = tokio::task::spawn_blocking(|| reading.join().unwrap())
        .await
        .unwrap();
    assert!(read == written, "{} of {} bytes", read.len(), written.len());
}

#[tokio::test]
async fn writing_more_than_was_permitted_traps() {
    let (_input, mut output, _peer) = connection().await;
    let write = |output: &mut Output, length| output.write(vec![0; length].into());
    assert!(
        matches!(write(&mut output, 1), Err(StreamError::Trap(_))),
        "nothing was asked"
    );
    assert_eq!(output.check_write().unwrap(), MOST);
    assert!(matches!(write(&mut output, MOST + 1), Err(StreamError::Trap(_))));
    write(&mut output, 1).unwrap();
    assert!(
        matches!(write(&mut output, 1), Err(StreamError::Trap(_))),
        "each budget is for one write"
    );
}

#[tokio::test]
async fn reading_gives_what_there_is_and_then_the_end() {
    let (mut input, _output, mut peer) = connection().await;
    assert_eq!(input.read(10).unwrap(), "");
    peer.write_all(b"hello").unwrap();
    input.ready().await;
    assert_eq!(input.read(2).unwrap(), "he");
    assert_eq!(input.blocking_read(10).await.unwrap(), "llo");
    let (read, ()) = tokio::join!(input.blocking_read(usize::MAX), async {
        peer.write_all(b"more").unwrap();
    });
    assert_eq!(read.unwrap(), "more");
    drop(peer);
    assert!(is_closed(&input.blocking_read(10).await));
    assert!(is_closed(&input.read(0)));
    input.ready().await;
}

#[tokio::test]
async fn a_peer_that_is_gone_fails_what_is_written() {
    let (_input, mut output, peer) = connection().await;
    peer.set_nonblocking(true).unwrap();
    // Whoever closes with something unread tells the other side so.
    output.check_write().unwrap();
    output.write(Bytes::from_static(b"unread")).unwrap();
    thread::sleep(Duration::from_millis(50));
    drop(peer);
    let failed = loop {
        match output.check_write() {
            Ok(0) => output.ready().await,
            Ok(_) => {
                if let Err(error) = output.write(Bytes::from_static(b"x")) {
                    break error;
                }
            }
            Err(error) => break error,
        }
    };
    assert!(!matches!(failed, StreamError::Trap(_)), "{failed:?}");
    assert!(output.check_write().is_err(), "it stays so");
}

/// The result of `ready` when it is polled once, with a runtime that has not looked since.
async fn is_ready(stream: &mut (impl Pollable + ?Sized)) -> bool {
    let mut ready = stream.ready();
    poll_fn(|cx| Poll::Ready(ready.as_mut().poll(cx).is_ready())).await
}

#[tokio::test]
async fn a_stream_is_ready_when_the_system_says_so_and_only_then() {
    let (mut input, mut output, mut peer) = connection().await;
    for round in 0..50 {
        assert_eq!(input.read(10).unwrap(), "", "{round}");
        assert!(!is_ready(&mut input).await, "{round}: nothing has come");
        assert!(is_ready(&mut output).await, "{round}: there is room");
        assert_eq!(output.check_write().unwrap(), MOST, "{round}");
        output.write(Bytes::from_static(b"ask")).unwrap();
        peer.read_exact(&mut [0; 3]).unwrap();
        peer.write_all(b"answer").unwrap();
        if round % 2 == 0 {
            input.ready().await;
        }
        assert!(is_ready(&mut input).await, "{round}: the answer has come");
        assert_eq!(input.read(10).unwrap(), "answer", "{round}");
        // Everything has been read, and no read has seen it.
        assert!(!is_ready(&mut input).await, "{round}: the answer was read");
    }
    drop(peer);
    assert!(is_ready(&mut input).await, "the end has come");
    fill_or_fail(&mut output);
    assert!(is_ready(&mut output).await, "the error is there to be told");
}

fn fill_or_fail(output: &mut Output) {
    while let Ok(1..) = output.check_write() {
        if output.write(Bytes::from_static(b"x")).is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_full_stream_is_ready_once_the_peer_has_made_room() {
    let (_input, mut output, mut peer) = connection().await;
    let written = fill(&mut output);
    assert!(!is_ready(&mut output).await, "the peer has read nothing");
    let reading = tokio::task::spawn_blocking(move || {
        peer.read_exact(&mut vec![0; written.len()]).unwrap();
        peer
    });
    output.ready().await;
    let _peer = reading.await.unwrap();
    assert!(is_ready(&mut output).await, "all was read");
    assert_eq!(output.check_write().unwrap(), MOST);
}

#[tokio::test]
async fn what_a_guest_asks_without_waiting_is_answered_however_often() {
    let (mut input, mut output, mut peer) = connection().await;
    // More often than the runtime lets a task go on without a pause.
    for asked in 0..1000 {
        output.check_write().unwrap();
        output.write(Bytes::from_static(b"?")).unwrap();
        peer.read_exact(&mut [0]).unwrap();
        peer.write_all(b"!").unwrap();
        assert!(is_ready(&mut input).await, "{asked}");
        assert_eq!(input.read(10).unwrap(), "!", "{asked}");
    }
}
