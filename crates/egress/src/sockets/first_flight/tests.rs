//! Tests of what is looked at of a first flight, and of what a server and its guest see of it.

mod unread;

use std::future::poll_fn;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use outport_policy::{Limit, LookupOutcome};
use wasmtime_wasi::sockets::ErrorCode;

use super::opening::{MOST_HELLO, MOST_RECORDS};
use super::*;
use crate::egress::Egress;
use crate::sockets::tcp::TcpSocket;
use crate::sockets::{Family, Sending};
use crate::testing::{Script, World, deny, instance, name};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];
const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x30];
const WARNING: [u8; 7] = [21, 3, 1, 0, 2, 1, 90];
const CHANGE: [u8; 6] = [20, 3, 3, 0, 1, 1];

/// A value with its length before it, in so many bytes.
fn sized(width: usize, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    [&length[4 - width..], value].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(2, data)].concat()
}

fn host_name(name: &[u8]) -> Vec<u8> {
    [&[0][..], &sized(2, name)].concat()
}

/// The extension with one name.
fn server_name(name: &[u8]) -> Vec<u8> {
    extension(0, &sized(2, &host_name(name)))
}

/// The message with these extensions.
fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend(sized(1, &[9; 32]));
    body.extend(sized(2, &[0x13, 1, 0x13, 2]));
    body.extend(sized(1, &[0]));
    body.extend(sized(2, &extensions.concat()));
    [&[1][..], &sized(3, &body)].concat()
}

fn record(content: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &sized(2, content)].concat()
}

/// A ClientHello for this name, as most clients write it: others around, and one of GREASE (RFC 8701).
fn hello(name: &str) -> Vec<u8> {
    let around = [
        extension(0x1a1a, &[]),
        server_name(name.as_bytes()),
        extension(43, &[2, 3, 4]),
    ];
    record(&message(&around))
}

fn hello_without_name() -> Vec<u8> {
    record(&message(&[extension(43, &[2, 3, 4])]))
}

/// What comes of `bytes` that are written in pieces of these sizes, the last one again and again.
#[derive(Debug, PartialEq, Eq)]
struct Looked {
    passed: usize,
    kept: usize,
    seen: Seen,
}

fn look(nameless: Nameless, bytes: &[u8], pieces: &[usize]) -> Looked {
    let mut opening = Opening::new(nameless);
    let mut looked = Looked {
        passed: 0,
        kept: 0,
        seen: Seen::Kept,
    };
    let mut at = 0;
    let mut pieces = pieces.iter().chain(pieces.last().into_iter().cycle());
    let mut piece = 0;
    while at < bytes.len() {
        if piece == 0 {
            piece = *pieces.next().unwrap();
        }
        let end = bytes.len().min(at + piece);
        let (length, seen) = opening.look(&bytes[at..end]);
        at += length;
        piece -= length.min(piece);
        looked.seen = seen;
        match seen {
            Seen::Passing => looked.passed += length,
            Seen::Over => break,
            Seen::Kept => looked.kept += length,
            Seen::Whole | Seen::Malformed | Seen::TooLong => {
                looked.kept += length;
                break;
            }
        }
    }
    looked
}

// proves: TLS-2
#[test]
fn a_client_hello_is_found_however_it_is_written() {
    let whole = hello("a.example");
    let content = message(&[server_name(b"a.example")]);
    let (first, rest) = content.split_at(3);
    let two = [record(first), record(rest)].concat();
    let single: Vec<u8> = content.iter().flat_map(|byte| record(&[*byte])).collect();
    let empty = [record(&[]), record(first), record(&[]), record(rest)].concat();
    let between = [record(first), WARNING.to_vec(), CHANGE.to_vec(), record(rest)].concat();
    let odd: Vec<Vec<u8>> = [[3, 0], [3, 4], [3, 0xff], [0, 0], [0x10, 0], [0xff, 0xff]]
        .iter()
        .map(|version| [&[22][..], version, &whole[3..]].concat())
        .collect();
    let mut rows: Vec<(&str, usize, Vec<u8>)> = vec![
        ("one record", 0, whole.clone()),
        ("two records", 0, two),
        ("records of a byte", 0, single),
        ("empty records", 0, empty),
        ("notices between", 0, between),
        ("behind a request", 8, [&SSL_REQUEST[..], &whole].concat()),
        (
            "behind two requests",
            16,
            [&GSSENC_REQUEST[..], &SSL_REQUEST, &whole].concat(),
        ),
        ("behind a warning", 7, [&WARNING[..], &whole].concat()),
        ("behind a change", 6, [&CHANGE[..], &whole].concat()),
        (
            "behind an empty change",
            5,
            [&[20, 3, 1, 0, 0][..], &whole].concat(),
        ),
        (
            "behind an alert of any length and version",
            305,
            [&[21, 0x10, 0, 1, 0x2c][..], &[1; 300], &whole].concat(),
        ),
        (
            "behind many warnings",
            7 * 40,
            [&WARNING.repeat(40)[..], &whole].concat(),
        ),
        (
            "behind a request with more in it",
            9,
            [&[0, 0, 0, 9, 4, 0xd2, 0x16, 0x2f, 0][..], &whole].concat(),
        ),
        (
            "behind the longest request",
            10_000,
            [&[0, 0, 0x27, 0x10, 4, 0xd2, 0x16, 0x30][..], &[7; 9992], &whole].concat(),
        ),
        ("without a name", 0, hello_without_name()),
    ];
    rows.extend(odd.into_iter().map(|row| ("odd version", 0, row)));
    for (what, passed, bytes) in rows {
        let expected = Looked {
            passed,
            kept: bytes.len() - passed,
            seen: Seen::Whole,
        };
        // What follows it is not looked at.
        let followed = [&bytes[..], &[22, 3, 1, 0, 0, 1, 2, 3]].concat();
        for pieces in [&[1][..], &[2], &[3], &[5, 1], &[8], &[7, 100], &[usize::MAX]] {
            let looked = look(Nameless::Passes, &followed, pieces);
            assert_eq!(looked, expected, "{what}, in pieces of {pieces:?}");
        }
    }
}

// proves: TLS-2
#[test]
fn what_cannot_be_a_client_hello_is_not_kept_from_the_first_byte_that_tells() {
    for (bytes, passed) in [
        (&b"GET / HTTP/1.1\r\n"[..], 0),
        (b"\x13\x03\x03\x00\x10", 0),
        (b"\x19\x03\x03\x00\x10", 0),
        (b"\x80\x2e\x01\x03\x01\x00", 0),
        // A message to start of PostgreSQL, whose version tells, one of another request, and lengths that none has.
        (b"\x00\x00\x00\x29\x00\x03\x00\x00user", 4),
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2e", 7),
        (b"\x00\x00\x00\x07", 3),
        (b"\x00\x00\x27\x11", 3),
        // What follows a request need not be TLS.
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x29\x00", 12),
    ] {
        let looked = look(Nameless::Passes, bytes, &[1]);
        let expected = Looked {
            passed,
            kept: 0,
            seen: Seen::Over,
        };
        assert_eq!(looked, expected, "{bytes:02x?}");
        // At once nothing of it is kept.
        let looked = look(Nameless::Passes, bytes, &[usize::MAX]);
        assert_eq!((looked.seen, looked.kept), (Seen::Over, 0), "{bytes:02x?}");
    }
}

// proves: TLS-1, TLS-2
#[test]
fn the_hello_of_ssl_2_is_kept_where_it_must_have_a_name() {
    for (bytes, seen, kept) in [
        (&[0x80, 0x2e, 1, 3, 1][..], Seen::Whole, 5),
        (&[0x80, 0x2e, 1, 0, 2], Seen::Whole, 5),
        (&[0x90, 0x2e, 1, 3, 1], Seen::Whole, 5),
        (&[0xff, 0xff, 1, 3, 1], Seen::Whole, 5),
        (&[0x80, 0x2e, 1, 0, 3], Seen::Malformed, 5),
        (&[0x80, 0x2e, 2, 3, 1], Seen::Over, 2),
        (&[0x7f, 0x2e, 1, 3, 1], Seen::Over, 0),
    ] {
        let looked = look(Nameless::Kept, bytes, &[1]);
        assert_eq!((looked.seen, looked.kept), (seen, kept), "{bytes:02x?}");
    }
    let expected = ClientHello::default();
    assert_eq!(ClientHello::read(&[0x80, 0x2e, 1, 3, 1]), expected);
}

// proves: TLS-2
#[test]
fn what_is_kept_is_bounded() {
    let padded = |length: usize| {
        let empty = message(&[server_name(b"a.example"), extension(21, &[])]).len();
        message(&[server_name(b"a.example"), extension(21, &vec![0; length - empty])])
    };
    let in_records =
        |content: &[u8], size: usize| -> Vec<u8> { content.chunks(size).flat_map(record).collect() };
    let longest = padded(4 + MOST_HELLO);
    let looked = look(Nameless::Passes, &in_records(&longest, 1 << 14), &[usize::MAX]);
    assert_eq!(looked.seen, Seen::Whole);
    // A longer one says so at its beginning.
    let longer = padded(4 + MOST_HELLO + 1);
    let looked = look(Nameless::Passes, &in_records(&longer, 1 << 14), &[1]);
    assert_eq!((looked.seen, looked.kept), (Seen::TooLong, 9));
    // So many records are more than what is in them.
    for written in [in_records(&longest, 1), record(&[]).repeat(10_000)] {
        let looked = look(Nameless::Passes, &written, &[4096]);
        assert_eq!((looked.seen, looked.kept), (Seen::TooLong, MOST_RECORDS));
    }
    // What stands between the records of one.
    let broken = [record(&longest[..5]), vec![23, 3, 3]].concat();
    let looked = look(Nameless::Passes, &broken, &[1]);
    assert_eq!((looked.seen, looked.kept), (Seen::Malformed, 11));
}

// proves: TLS-1, TLS-2
#[test]
fn every_name_is_found_that_a_server_could_find() {
    let two_names = extension(
        0,
        &sized(2, &[host_name(b"a.example"), host_name(b"b.example")].concat()),
    );
    let other_kind = extension(0, &sized(2, &[&[7][..], &sized(2, b"a.example")].concat()));
    let behind = extension(0, &[&sized(2, &host_name(b"a.example"))[..], b"x"].concat());
    let list_is_short = extension(0, &[&[0, 99][..], &host_name(b"a.example")].concat());
    let name_is_short = extension(0, &sized(2, &[&[0, 0, 99][..], b"a.example"].concat()));
    let cut = |by: usize| {
        let whole = message(&[server_name(b"a.example"), extension(43, &[2, 3, 4])]);
        whole[..whole.len() - by].to_vec()
    };
    let encrypted = message(&[extension(0xfe0d, &[0; 200]), server_name(b"outer.example")]);
    for (what, message, names, is_malformed) in [
        (
            "one",
            message(&[server_name(b"a.example")]),
            &["a.example"][..],
            false,
        ),
        ("encrypted", encrypted, &["outer.example"], false),
        ("none", message(&[extension(43, &[2, 3, 4])]), &[], false),
        ("no list", message(&[extension(0, &[])]), &[], true),
        (
            "an empty list",
            message(&[extension(0, &sized(2, &[]))]),
            &[],
            true,
        ),
        ("an empty name", message(&[server_name(b"")]), &[], true),
        (
            "two names",
            message(&[two_names]),
            &["a.example", "b.example"],
            true,
        ),
        (
            "two extensions",
            message(&[server_name(b"a.example"), server_name(b"b.example")]),
            &["a.example", "b.example"],
            true,
        ),
        ("another kind", message(&[other_kind]), &["a.example"], true),
        ("something behind", message(&[behind]), &["a.example"], true),
        (
            "a list that is short",
            message(&[list_is_short]),
            &["a.example"],
            true,
        ),
        (
            "a name that is short",
            message(&[name_is_short]),
            &["a.example"],
            true,
        ),
        ("cut behind", cut(3), &["a.example"], true),
        ("cut within", cut(10), &["a.exam"], true),
    ] {
        let hello = ClientHello::read(&record(&message));
        let found: Vec<&str> = hello
            .names
            .iter()
            .map(|name| std::str::from_utf8(name).unwrap())
            .collect();
        assert_eq!((&found[..], hello.is_malformed), (names, is_malformed), "{what}");
    }
    let many: Vec<u8> = (0..40).flat_map(|_| host_name(b"a.example")).collect();
    let hello = ClientHello::read(&record(&message(&[extension(0, &sized(2, &many))])));
    assert!(hello.has_more && hello.names.len() == MOST_NAMES);
}

// proves: TLS-1
#[test]
fn a_name_is_judged_by_what_a_lenient_server_reads() {
    for (name, hosts, is_malformed) in [
        (&b"a.example"[..], &["a.example"][..], false),
        (b"A.Example.", &["a.example"], false),
        (
            "b\u{fc}cher.example".as_bytes(),
            &["xn--bcher-kva.example"],
            false,
        ),
        (b"10.0.0.1", &["10.0.0.1"], false),
        (b"[2001:db8::1]", &["[2001:db8::1]"], false),
        (b"_a.example", &["_a.example"], false),
        (b"a.example:443", &["a.example"], true),
        (b"a.example\0.b.example", &["a.example", "b.example"], true),
        (b" a.example\t", &["a.example"], true),
        (b"a.example..", &["a.example"], true),
        (b".a.example", &["a.example"], true),
        (b"x@a.example/y", &["x", "a.example", "y"], true),
        (b"*.a.example", &["a.example"], true),
        (b"\xff", &[], true),
        (b"", &[], true),
    ] {
        let hello = ClientHello::read(&record(&message(&[server_name(name)])));
        let servers = Servers::of(&hello);
        let found: Vec<String> = servers.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(found, hosts, "{name:?}");
        assert_eq!(servers.is_malformed, is_malformed, "{name:?}");
    }
    let many = b"a b ".repeat(100);
    let hello = ClientHello::read(&record(&message(&[server_name(&many)])));
    assert!(Servers::of(&hello).has_more);
}

/// A guest that is connected to a server, by a look-up of `shop.example` or by an entry.
struct Scene {
    world: World,
    egress: Egress,
    enforcer: Arc<Enforcer>,
    listener: TcpListener,
}

impl Scene {
    fn new(mode: TlsNames, allowed: &[&str], denied: &[&str]) -> Self {
        let mut world = World::new(Script::new()).deny(denied);
        world.operator.tls_names = mode;
        world.operator.limits.loopback_answers = Limit::Lifted;
        let egress = world.egress();
        let enforcer = instance(&egress, allowed);
        let (ticket, _) = enforcer.begin_lookup(&name("shop.example")).unwrap();
        let addresses = crate::testing::addresses(&["127.0.0.1"]);
        let chain = Vec::new();
        enforcer.settle_lookup(ticket, LookupOutcome::Answered { chain, addresses });
        Self {
            egress,
            enforcer,
            world,
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    async fn connect(&self) -> (TcpSocket, Sending, TcpStream) {
        let mut socket = TcpSocket::create(&self.enforcer, Family::V4).unwrap();
        socket.options().unwrap().set_send_buffer_size(4096).unwrap();
        socket.start_connect(self.listener.local_addr().unwrap()).unwrap();
        poll_fn(|cx| socket.poll_connect(cx)).await.unwrap();
        let sending = socket.take_sending().unwrap();
        let peer = self.listener.accept().unwrap().0;
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (socket, sending, peer)
    }

    fn denials(&self) -> Vec<String> {
        let events = self.world.events.drain();
        let denied = events.iter().filter(|event| event.attempt == "tls.hello");
        denied
            .map(|event| {
                let name = event.name.as_deref().unwrap_or("-");
                format!("{name} {}", event.reason.unwrap_or("allow"))
            })
            .collect()
    }
}

async fn write(sending: &mut Sending, bytes: &[u8], piece: usize) -> Result<(), ErrorCode> {
    for piece in bytes.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() {
            let sent = poll_fn(|cx| sending.poll_send(cx, rest)).await?;
            rest = &rest[sent..];
        }
    }
    Ok(())
}

const SHOP: &[&str] = &["*://shop.example:*"];

// proves: TLS-2
#[tokio::test]
async fn what_is_permitted_arrives_as_it_was_written() {
    let scene = Scene::new(TlsNames::Required, SHOP, &["*://bad.example:*"]);
    let long = record(&message(&[
        server_name(b"shop.example"),
        extension(21, &[0; 12_000]),
    ]));
    for opening in [
        hello("shop.example"),
        [&SSL_REQUEST[..], &hello("SHOP.example.")].concat(),
        [&GSSENC_REQUEST[..], b"no"].concat(),
        b"\x80\x01\x02".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        long,
    ] {
        for piece in [1, 7, 300, usize::MAX] {
            let (_socket, mut sending, mut peer) = scene.connect().await;
            let written = [&opening[..], &b"and what follows".repeat(4000)].concat();
            let length = written.len();
            let reading = std::thread::spawn(move || {
                let mut read = vec![0; length];
                peer.read_exact(&mut read).map(|()| (read, peer))
            });
            write(&mut sending, &written, piece).await.unwrap();
            assert!(sending.first.is_none(), "it is over");
            let (read, mut peer) = reading.join().unwrap().unwrap();
            assert!(read == written, "in pieces of {piece}");
            drop(sending);
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        }
    }
    assert_eq!(scene.denials(), [""; 0]);
}

// proves: TLS-1, TLS-3
#[tokio::test]
async fn nothing_of_what_is_refused_arrives_and_both_see_a_reset() {
    let long = [&[22, 3, 1, 0x40, 0, 1, 0, 0x50, 0][..], &[0; 100]].concat();
    let broken = [&hello("shop.example")[..60], &[0; 500]].concat();
    let cut = hello("shop.example")[..60].to_vec();
    for (mode, opening, passes, denial) in [
        (
            TlsNames::Denied,
            hello("bad.example"),
            0,
            "bad.example deny.tls-name",
        ),
        (
            TlsNames::Denied,
            [&SSL_REQUEST[..], &hello("bad.example")].concat(),
            8,
            "bad.example deny.tls-name",
        ),
        (
            TlsNames::Denied,
            record(&message(&[
                server_name(b"good.example"),
                server_name(b"BAD.example"),
            ])),
            0,
            "bad.example deny.tls-name",
        ),
        (
            TlsNames::Denied,
            hello("bad.example:443"),
            0,
            "bad.example deny.tls-name",
        ),
        (TlsNames::Denied, long.clone(), 0, "- deny.tls-name"),
        (
            TlsNames::Allowed,
            hello("other.example"),
            0,
            "other.example allow.tls-name",
        ),
        (TlsNames::Allowed, broken, 0, "- deny.tls-name"),
        (TlsNames::Allowed, long, 0, "- deny.tls-name"),
        (TlsNames::Required, hello_without_name(), 0, "- allow.tls-name"),
        (
            TlsNames::Required,
            vec![0x80, 0x2e, 1, 3, 1, 0],
            0,
            "- allow.tls-name",
        ),
    ] {
        for piece in [1, usize::MAX] {
            let scene = Scene::new(mode, SHOP, &["*://bad.example:*"]);
            let (mut socket, mut sending, mut peer) = scene.connect().await;
            let receiving = socket.take_receiving().unwrap();
            let refused = write(&mut sending, &opening, piece).await;
            assert!(
                matches!(refused, Err(ErrorCode::ConnectionReset)),
                "{denial}: {refused:?}"
            );
            let again = poll_fn(|cx| sending.poll_send(cx, b"x")).await;
            assert!(
                matches!(again, Err(ErrorCode::ConnectionReset)),
                "{denial}: {again:?}"
            );
            for _ in 0..2 {
                let received = poll_fn(|cx| receiving.poll_receive(cx, 10)).await;
                assert!(
                    matches!(received, Err(ErrorCode::ConnectionReset)),
                    "{denial}: {received:?}"
                );
            }
            let mut read = Vec::new();
            let end = peer.read_to_end(&mut read).unwrap_err();
            assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset, "{denial}");
            assert!(read.len() <= passes, "{denial}: {read:02x?}");
            assert_eq!(scene.denials(), [denial]);
        }
    }
    // The end of what the guest writes ends it.
    for mode in [TlsNames::Denied, TlsNames::Allowed] {
        let scene = Scene::new(mode, SHOP, &["*://bad.example:*"]);
        let (_socket, mut sending, mut peer) = scene.connect().await;
        write(&mut sending, &cut, 9).await.unwrap();
        drop(sending);
        let mut read = Vec::new();
        let end = peer.read_to_end(&mut read);
        assert!(end.is_err() && read.is_empty(), "{mode}");
        assert_eq!(scene.denials(), ["- deny.tls-name"], "{mode}");
    }
}

// proves: TLS-1
#[tokio::test]
async fn a_connection_that_an_entry_for_the_address_permits_is_held_to_no_list() {
    for (mode, allowed, opening, denials) in [
        (TlsNames::Off, SHOP, hello("bad.example"), 0),
        (
            TlsNames::Required,
            &["*://shop.example:*", "*://127.0.0.1:*"],
            hello("other.example"),
            0,
        ),
        (
            TlsNames::Required,
            &["*://shop.example:*", "*://*:*"],
            hello_without_name(),
            0,
        ),
        (TlsNames::Allowed, SHOP, hello_without_name(), 0),
        (TlsNames::Denied, SHOP, hello("other.example"), 0),
        (
            TlsNames::Required,
            &["*://shop.example:*", "*://127.0.0.1:*"],
            hello("bad.example"),
            1,
        ),
    ] {
        let scene = Scene::new(mode, allowed, &["*://bad.example:*"]);
        let (_socket, mut sending, _peer) = scene.connect().await;
        let written = write(&mut sending, &opening, usize::MAX).await;
        assert_eq!(written.is_err(), denials > 0, "{mode} {allowed:?}");
        assert_eq!(scene.denials().len(), denials, "{mode} {allowed:?}");
    }
}

// proves: DL-9, TLS-1
#[tokio::test]
async fn a_reloaded_deny_list_closes_the_tls_that_it_forbids() {
    let scene = Scene::new(TlsNames::Denied, SHOP, &[]);
    let (_socket, mut sending, mut peer) = scene.connect().await;
    let (_other, mut plain, mut plain_peer) = scene.connect().await;
    let opening = hello("later.example");
    write(&mut sending, &opening, usize::MAX).await.unwrap();
    write(&mut plain, b"PING\r\n", usize::MAX).await.unwrap();
    let mut operator = (*scene.egress.operator()).clone();
    operator.deny = deny(&["*://later.example:*"]);
    scene.egress.replace_operator(operator);
    let mut read = Vec::new();
    peer.read_to_end(&mut read).unwrap();
    assert_eq!(read, opening);
    let error = poll_fn(|cx| sending.poll_send(cx, b"x")).await.unwrap_err();
    assert!(matches!(error, ErrorCode::ConnectionBroken), "{error:?}");
    write(&mut plain, b"PING\r\n", usize::MAX).await.unwrap();
    plain_peer.read_exact(&mut [0; 12]).unwrap();
}

// proves: TLS-2
#[tokio::test]
async fn what_was_judged_is_sent_whatever_the_guest_offers_afterwards() {
    let scene = Scene::new(TlsNames::Denied, SHOP, &["*://bad.example:*"]);
    let (_socket, mut sending, mut peer) = scene.connect().await;
    let padding = |name: &str| {
        record(&message(&[
            extension(21, &[0; 15_000]),
            server_name(name.as_bytes()),
        ]))
    };
    let (good, bad) = (padding("fad.example"), padding("bad.example"));
    // The system takes a part of it, since its buffer is small and nobody reads.
    let mut cx = Context::from_waker(Waker::noop());
    let mut told = 0;
    while let Poll::Ready(sent) = sending.poll_send(&mut cx, &good[told..]) {
        told += sent.unwrap();
        if told == good.len() {
            break;
        }
    }
    let reading = std::thread::spawn(move || {
        let mut read = Vec::new();
        peer.read_to_end(&mut read).map(|_| read)
    });
    write(&mut sending, &bad[told..], usize::MAX).await.unwrap();
    drop(sending);
    assert!(
        reading.join().unwrap().unwrap() == good,
        "it was changed behind the judge"
    );
}
