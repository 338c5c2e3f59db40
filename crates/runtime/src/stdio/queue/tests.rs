use std::fs::File;
use std::io::{ErrorKind, PipeReader, Read, pipe};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

use super::super::WhenFull;
use super::super::guest::GuestStream;
use super::{CAPACITY, FOR_LINES, Output, OutputQueue};

fn output(logs_errors: bool) -> Output {
    Output {
        name: "a test",
        thread: "test",
        warns_at_once: false,
        logs_errors,
    }
}

/// A queue to a pipe, and the end that nobody reads yet.
fn queue(logs_errors: bool) -> (&'static OutputQueue, PipeReader) {
    let (reader, writer) = pipe().unwrap();
    let queue = OutputQueue::start(output(logs_errors), File::from(OwnedFd::from(writer))).unwrap();
    (Box::leak(Box::new(queue)), reader)
}

fn read_exactly(reader: &mut PipeReader, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    reader.read_exact(&mut read).unwrap();
    read
}

/// Numbered lines of 16 bytes.
fn line(number: usize) -> String {
    format!("{number:015}\n")
}

// proves: ISO-6
#[test]
fn what_nobody_reads_is_dropped_in_whole_writes_and_counted() {
    let (queue, mut reader) = queue(true);
    let mut guest = GuestStream::of(queue, WhenFull::Drop);
    let start = Instant::now();
    let lines = 4 * CAPACITY / 16;
    for number in 0..lines {
        assert!(guest.check_write().unwrap() > 0);
        guest.write(Bytes::from(line(number))).unwrap();
        guest.flush().unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    let (queued, dropped) = {
        let state = queue.shared.lock();
        assert!(
            state.pending.capacity() <= 2 * CAPACITY,
            "{}",
            state.pending.capacity()
        );
        (state.queued(), state.dropped)
    };
    assert!(queued <= CAPACITY, "{queued}");
    queue.offer_line(b"a line of the log finds room all the same\n");
    queue.offer_line(&[b'x'; FOR_LINES]);

    // What is in the pipe already is a part of what arrives.
    let arrives = 16 * lines - dropped as usize;
    let read = String::from_utf8(read_exactly(&mut reader, arrives)).unwrap();
    for (number, got) in read.split_inclusive('\n').enumerate() {
        assert_eq!(got, line(number));
    }
    let rest = read_exactly(&mut reader, 42);
    assert!(rest.starts_with(b"a line of the log"), "{rest:?}");
    queue.wait_until_written(Duration::from_secs(60));
    guest.write(Bytes::from_static(b"read again\n")).unwrap();
    assert_eq!(read_exactly(&mut reader, 11), b"read again\n");
}

// proves: ISO-6
#[test]
fn a_guest_that_waits_loses_nothing_and_holds_no_thread() {
    let (queue, mut reader) = queue(false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let lines = 4 * CAPACITY / 16;
    let (told, begin) = std::sync::mpsc::channel();
    let reading = thread::spawn(move || {
        // With the thread held nobody says so.
        let _ = begin.recv_timeout(Duration::from_secs(20));
        let read = String::from_utf8(read_exactly(&mut reader, 16 * lines)).unwrap();
        for (number, got) in read.split_inclusive('\n').enumerate() {
            assert_eq!(got, line(number));
        }
        reader
    });
    runtime.block_on(async {
        let mut guest = GuestStream::of(queue, WhenFull::Wait);
        let mut ticks = 0;
        let writing = async {
            for number in 0..lines {
                guest
                    .blocking_write_and_flush(Bytes::from(line(number)))
                    .await
                    .unwrap();
            }
            std::future::poll_fn(|context| queue.poll_written(context)).await;
        };
        let ticking = async {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                ticks += 1;
                if ticks == 5 {
                    told.send(()).unwrap();
                }
            }
        };
        tokio::select! {
            () = writing => {}
            () = ticking => {}
        }
        assert!(ticks >= 5, "the thread was held: {ticks}");
    });
    drop(reading.join().unwrap());
}

#[test]
fn both_kinds_of_streams_are_not_ready_while_it_is_full() {
    let (queue, mut reader) = queue(false);
    let mut context = Context::from_waker(Waker::noop());
    let mut third = GuestStream::of(queue, WhenFull::Wait);
    let mut written = 0;
    while let Poll::Ready(taken) = Pin::new(&mut third).poll_write(&mut context, &[b'x'; 100_000]) {
        written += taken.unwrap();
        assert!(written <= 2 * CAPACITY, "{written}");
    }
    let mut second = GuestStream::of(queue, WhenFull::Wait);
    assert_eq!(second.check_write().unwrap(), 0);
    assert!(Pin::new(&mut second.ready()).poll(&mut context).is_pending());
    read_exactly(&mut reader, written - CAPACITY / 4);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(second.ready());
    assert!(second.check_write().unwrap() > 0);
    // More than there was ever room for is no way to memory.
    let refused = (0..64).find_map(|_| second.write(vec![b'x'; 64 << 10].into()).err());
    assert!(matches!(refused, Some(StreamError::Trap(_))), "{refused:?}");
}

#[test]
fn an_error_of_the_file_reaches_the_guest_that_waits_and_no_other() {
    for (when_full, logs_errors) in [(WhenFull::Wait, false), (WhenFull::Drop, true)] {
        let (queue, reader) = queue(logs_errors);
        drop(reader);
        let mut guest = GuestStream::of(queue, when_full);
        guest.write(Bytes::from_static(b"lost")).unwrap();
        queue.wait_until_written(Duration::from_secs(60));
        let next = guest.check_write();
        match when_full {
            WhenFull::Wait => assert!(matches!(next, Err(StreamError::Closed)), "{next:?}"),
            WhenFull::Drop => assert!(next.is_ok_and(|room| room > 0)),
        }
        // The next write is tried again.
        guest.write(Bytes::from_static(b"lost")).unwrap();
    }
}

// proves: ISO-6
#[test]
fn a_full_pipe_delays_the_end_by_no_more_than_the_time_given() {
    let (queue, _reader) = queue(true);
    for _ in 0..10 {
        queue.offer(&[b'x'; 32 << 10]);
    }
    let start = Instant::now();
    queue.finish(Duration::from_millis(200));
    let waited = start.elapsed();
    assert!((200..20_000).contains(&waited.as_millis()), "{waited:?}");
}

#[test]
fn a_file_that_does_not_let_wait_is_waited_for() {
    let (mut reader, writer) = pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let queue = OutputQueue::start(output(true), File::from(OwnedFd::from(writer))).unwrap();
    let text = vec![b'x'; CAPACITY / 2];
    queue.offer(&text);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(read_exactly(&mut reader, text.len()), text);
    drop(queue);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "the thread ends with the queue");
}

// proves: RSN-4
#[test]
fn a_line_that_a_guest_leaves_open_swallows_none_of_ours() {
    let rows: [(&[&[u8]], &[u8]); 5] = [
        (&[], b"own\nturn\n"),
        (&[b"whole\n"], b"whole\nown\nturn\n"),
        (&[b"{\"ts\":"], b"{\"ts\":\nown\nturn\n"),
        (&[b"open", b""], b"open\nown\nturn\n"),
        (&[b"a\nb\r"], b"a\nb\r\nown\nturn\n"),
    ];
    for (written, expected) in rows {
        for when_full in [WhenFull::Drop, WhenFull::Wait] {
            let (queue, mut reader) = queue(true);
            let mut guest = GuestStream::of(queue, when_full);
            for bytes in written {
                guest.check_write().unwrap();
                guest.write(Bytes::copy_from_slice(bytes)).unwrap();
            }
            queue.offer_line(b"own\n");
            queue.write_in_turn(b"turn\n").unwrap();
            let read = read_exactly(&mut reader, expected.len());
            assert_eq!(
                read.escape_ascii().to_string(),
                expected.escape_ascii().to_string()
            );
        }
    }
}

// proves: ISO-6
#[test]
fn whoever_writes_in_turn_gets_to_know_whether_it_is_written() {
    let (queue, mut reader) = queue(true);
    queue.write_in_turn(b"read\n").unwrap();
    assert_eq!(read_exactly(&mut reader, 5), b"read\n");
    // More than a pipe holds: it is not written before somebody reads.
    let long = vec![b'x'; 200_000];
    thread::scope(|scope| {
        let writer = scope.spawn(|| queue.write_in_turn(&long));
        read_exactly(&mut reader, 100_000);
        assert!(!writer.is_finished());
        read_exactly(&mut reader, 100_000);
        writer.join().unwrap().unwrap();
    });
    drop(reader);
    for _ in 0..2 {
        let error = queue.write_in_turn(b"own\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
    let state = queue.shared.lock();
    assert_eq!(state.dropped, 0, "whoever wrote it knows");
    assert!(state.waited_for.is_empty());
}

// proves: ISO-6
#[test]
fn what_is_held_waits_within_its_bound_and_comes_when_it_is_released() {
    let (queue, mut reader) = queue(true);
    queue.offer(b"begun");
    assert_eq!(read_exactly(&mut reader, 5), b"begun");
    assert_eq!(queue.hold(Duration::from_secs(60)), Some(true));
    let mut guest = GuestStream::of(queue, WhenFull::Drop);
    for number in 0..2 * CAPACITY / 16 {
        guest.write(Bytes::from(line(number))).unwrap();
    }
    let dropped = {
        let state = queue.shared.lock();
        assert!(state.queued() <= CAPACITY && state.in_hand == 0);
        state.dropped as usize
    };
    assert!(dropped >= CAPACITY, "{dropped}");
    queue.release();
    let read = String::from_utf8(read_exactly(&mut reader, 2 * CAPACITY - dropped)).unwrap();
    for (number, got) in read.split_inclusive('\n').enumerate() {
        assert_eq!(got, line(number));
    }
}

#[test]
fn a_file_that_stands_still_is_not_held_and_an_end_holds_nothing() {
    let (queue, mut reader) = queue(true);
    queue.offer(&[b'x'; CAPACITY]);
    until_stuck(queue);
    assert_eq!(queue.hold(Duration::from_millis(10)), None);
    assert!(!queue.shared.lock().held);
    read_exactly(&mut reader, CAPACITY);
    assert_eq!(queue.hold(Duration::from_secs(60)), Some(true));
    queue.offer(b"last words\n");
    queue.finish(Duration::from_secs(60));
    assert_eq!(read_exactly(&mut reader, 11), b"last words\n");
}

/// Waits until the thread has something in hand: the file takes no more than a part of it.
fn until_stuck(queue: &OutputQueue) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while queue.shared.lock().in_hand == 0 {
        assert!(Instant::now() < deadline, "nothing is written");
        thread::yield_now();
    }
}
