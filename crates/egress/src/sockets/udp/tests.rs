//! Tests of what a socket does, on both versions of WASI.

use std::future::poll_fn;
use std::net::UdpSocket as Peer;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;
use crate::testing::{Script, World, deny, instance};

fn peer() -> (Peer, SocketAddr) {
    let peer = Peer::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let address = peer.local_addr().unwrap();
    (peer, address)
}

fn fresh(enforcer: &Arc<Enforcer>) -> UdpSocket {
    UdpSocket::create(enforcer, Family::V4).unwrap()
}

/// A socket that is bound, and where a peer on this machine finds it.
fn bound(enforcer: &Arc<Enforcer>) -> (UdpSocket, SocketAddr) {
    let socket = fresh(enforcer);
    socket.bind(UNSPECIFIED).unwrap();
    let port = socket.local_address().unwrap().port();
    (socket, SocketAddr::from(([127, 0, 0, 1], port)))
}

const UNSPECIFIED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

fn is(code: ErrorCode, expected: &str) -> bool {
    format!("{code:?}") == expected
}

fn send(socket: &UdpSocket, data: &[u8], remote: Option<SocketAddr>) -> Result<(), ErrorCode> {
    match socket.try_send(data, remote) {
        Poll::Ready(sent) => sent,
        Poll::Pending => panic!("the system has no room"),
    }
}

/// The datagram that can be had without waiting: the text, or none.
fn there(socket: &UdpSocket) -> Option<String> {
    match socket.try_receive() {
        Poll::Ready(received) => Some(String::from_utf8(received.unwrap().0).unwrap()),
        Poll::Pending => None,
    }
}

fn is_receivable(socket: &UdpSocket) -> bool {
    socket
        .poll_receivable(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

fn nothing_came(peer: &Peer) -> bool {
    peer.recv(&mut [0; 8]).is_err()
}

// proves: ORD-3, AL-4
#[tokio::test]
async fn nothing_leaves_before_a_datagram_is_judged_and_nothing_after_a_refusal() {
    let world = World::new(Script::new());
    let ((listed, to_listed), (other, to_other)) = (peer(), peer());
    let enforcer = world.instance(&[&format!("udp://{to_listed}")]);
    let socket = fresh(&enforcer);
    let sending = socket.send(b"x".to_vec(), Some(to_other));
    assert_eq!(world.events.take(), ["socket.create udp"], "not judged yet");
    assert!(nothing_came(&other));
    assert!(is(sending.await.unwrap_err(), "AccessDenied"));
    assert!(is(
        send(&socket, b"x", Some(to_other)).unwrap_err(),
        "AccessDenied"
    ));
    assert!(is(socket.connect(to_other).unwrap_err(), "AccessDenied"));
    assert!(nothing_came(&other), "a datagram left");
    assert!(!socket.is_bound(), "the system was asked for nothing");
    assert_eq!(
        world.events.take(),
        [
            format!("udp.send {to_other} [allow.port]"),
            format!("udp.send {to_other} [allow.port]"),
            format!("udp.connect {to_other} [allow.port]"),
        ]
    );
    send(&socket, b"x", Some(to_listed)).unwrap();
    assert_eq!(listed.recv(&mut [0; 8]).unwrap(), 1);
    assert!(socket.is_bound());
}

// proves: AL-4, DL-9
#[tokio::test]
async fn each_datagram_of_a_connected_socket_is_judged() {
    let world = World::new(Script::new());
    let egress = world.egress();
    let enforcer = instance(&egress, &["udp://*:*"]);
    let (peer, address) = peer();
    let socket = fresh(&enforcer);
    socket.connect(address).unwrap();
    assert_eq!(socket.remote_address().unwrap(), address);
    send(&socket, b"first", None).unwrap();
    let (_, from) = peer.recv_from(&mut [0; 8]).unwrap();
    peer.send_to(b"answer", from).unwrap();
    assert!(is_receivable(&socket));

    let mut operator = (*egress.operator()).clone();
    operator.deny = deny(&[&format!("*://{address}")]);
    egress.replace_operator(operator);
    for remote in [None, Some(address)] {
        assert!(is(send(&socket, b"x", remote).unwrap_err(), "AccessDenied"));
    }
    assert!(nothing_came(&peer));
    assert_eq!(there(&socket), None, "what is there already is judged as well");
}

// proves: HL-4
#[tokio::test]
async fn a_datagram_that_is_there_is_had_at_once_and_those_of_strangers_never() {
    let world = World::new(Script::new());
    let egress = world.egress();
    let enforcer = instance(&egress, &["udp://*:*"]);
    let ((known, to_known), (stranger, _)) = (peer(), peer());
    let (socket, here) = bound(&enforcer);
    assert!(!is_receivable(&socket));
    stranger.send_to(b"unasked", here).unwrap();
    assert!(!is_receivable(&socket), "a stranger wakes nobody");
    assert_eq!(there(&socket), None);
    assert_eq!(egress.metrics().denied.get("hard.unsolicited"), Some(&1));

    send(&socket, b"ask", Some(to_known)).unwrap();
    stranger.send_to(b"unasked", here).unwrap();
    known.send_to(b"one", here).unwrap();
    stranger.send_to(b"unasked", here).unwrap();
    known.send_to(b"", here).unwrap();
    assert!(is_receivable(&socket));
    assert!(is_receivable(&socket), "it stays until it is received");
    assert_eq!(there(&socket).as_deref(), Some("one"));
    assert_eq!(there(&socket).as_deref(), Some(""));
    assert_eq!(there(&socket), None);
    assert_eq!(egress.metrics().denied.get("hard.unsolicited"), Some(&3));
    let told = world.events.take();
    let unsolicited = told.iter().filter(|event| event.ends_with("[hard.unsolicited]"));
    assert_eq!(unsolicited.count(), 1, "one is told in a second: {told:?}");
}

// proves: HL-4
#[tokio::test]
async fn strangers_cannot_hold_a_guest_that_looks_or_waits() {
    let enforcer = World::new(Script::new()).instance(&["udp://*:*"]);
    let ((known, to_known), (stranger, _)) = (peer(), peer());
    for waits in [false, true] {
        let (socket, here) = bound(&enforcer);
        send(&socket, b"ask", Some(to_known)).unwrap();
        for _ in 0..150 {
            stranger.send_to(b"unasked", here).unwrap();
        }
        known.send_to(b"answer", here).unwrap();
        let mut looks = 0;
        let received = loop {
            looks += 1;
            assert!(looks < 100, "the answer never comes");
            if waits {
                poll_fn(|cx| socket.poll_receivable(cx)).await;
            }
            if let Some(received) = there(&socket) {
                break received;
            }
        };
        assert_eq!(received, "answer");
        assert_eq!(looks, if waits { 1 } else { 3 }, "64 at a time are dropped");
    }
}

#[tokio::test]
async fn whoever_waits_gets_a_datagram_each_in_whatever_order() {
    let enforcer = World::new(Script::new()).instance(&["udp://*:*"]);
    let (peer, address) = peer();
    let (socket, here) = bound(&enforcer);
    send(&socket, b"ask", Some(address)).unwrap();
    let waiting = [socket.receive(), socket.receive()].map(tokio::spawn);
    let polled = socket.clone();
    let polling = tokio::spawn(async move { poll_fn(|cx| polled.poll_receivable(cx)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    for text in ["a", "b", "c"] {
        peer.send_to(text.as_bytes(), here).unwrap();
    }
    let mut received = Vec::new();
    for one in waiting {
        let (data, from) = tokio::time::timeout(Duration::from_secs(20), one)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(from, address);
        received.push(String::from_utf8(data).unwrap());
    }
    tokio::time::timeout(Duration::from_secs(20), polling)
        .await
        .unwrap()
        .unwrap();
    received.extend(there(&socket));
    received.sort();
    assert_eq!(received, ["a", "b", "c"]);
}

#[tokio::test]
async fn that_nobody_is_there_is_told_once_to_whoever_receives() {
    let enforcer = World::new(Script::new()).instance(&["udp://*:*"]);
    let (peer, address) = peer();
    drop(peer);
    for looks_first in [false, true] {
        let socket = fresh(&enforcer);
        socket.connect(address).unwrap();
        send(&socket, b"x", None).unwrap();
        if looks_first {
            poll_fn(|cx| socket.poll_receivable(cx)).await;
        }
        let error = socket.receive().await.unwrap_err();
        assert!(is(error, "ConnectionRefused"), "{error}");
        assert_eq!(there(&socket), None);
    }
}

#[tokio::test]
async fn a_socket_goes_from_state_to_state_as_wasi_has_it() {
    let enforcer = World::new(Script::new()).instance(&["udp://*:*"]);
    let ((one, to_one), (_other, to_other)) = (peer(), peer());
    let socket = fresh(&enforcer);
    assert!(is(socket.local_address().unwrap_err(), "InvalidState"));
    assert!(is(socket.remote_address().unwrap_err(), "InvalidState"));
    assert!(is(socket.disconnect().unwrap_err(), "InvalidState"));
    assert!(is(socket.receive().await.unwrap_err(), "InvalidState"));
    assert!(matches!(socket.try_receive(), Poll::Ready(Err(error)) if is(error, "InvalidState")));
    assert!(is(send(&socket, b"x", None).unwrap_err(), "InvalidArgument"));

    socket.connect(to_one).unwrap();
    assert!(socket.is_bound() && socket.is_connected());
    assert!(is(socket.bind(UNSPECIFIED).unwrap_err(), "InvalidState"));
    assert!(is(
        send(&socket, b"x", Some(to_other)).unwrap_err(),
        "InvalidArgument"
    ));
    send(&socket, b"x", Some(to_one)).unwrap();
    assert_eq!(one.recv(&mut [0; 8]).unwrap(), 1);
    socket.connect(to_other).unwrap();
    assert_eq!(socket.remote_address().unwrap(), to_other);

    let port = socket.local_address().unwrap().port();
    socket.disconnect().unwrap();
    assert!(socket.is_bound() && !socket.is_connected());
    assert_eq!(
        socket.local_address().unwrap().port(),
        port,
        "who answers finds it"
    );
    assert!(is(send(&socket, b"x", None).unwrap_err(), "InvalidArgument"));
    send(&socket, b"x", Some(to_one)).unwrap();
    assert_eq!(one.recv(&mut [0; 8]).unwrap(), 1);
}

#[test]
fn the_address_that_a_socket_was_connected_to_is_its_peer_whatever_the_system_made_of_it() {
    let at = |text: &str| text.parse::<std::net::SocketAddr>().unwrap();
    for (remote, connected, same) in [
        ("127.0.0.1:1", "127.0.0.1:1", true),
        ("127.0.0.1:1", "127.0.0.1:2", false),
        ("[::1%1]:1", "[::1]:1", true),
        ("[fe80::1%2]:1", "[fe80::1%2]:1", true),
        ("[fe80::1%2]:1", "[fe80::1%3]:1", false),
        ("[fe80::1%2]:1", "[fe80::2%2]:1", false),
    ] {
        assert_eq!(
            super::datagrams::is_the_same(at(remote), at(connected)),
            same,
            "{remote} {connected}"
        );
    }
}

// proves: HL-4
#[tokio::test]
async fn what_another_peer_sent_before_the_socket_was_connected_is_not_received() {
    let enforcer = World::new(Script::new()).instance(&["udp://*:*"]);
    let ((one, to_one), (other, to_other)) = (peer(), peer());
    let (socket, here) = bound(&enforcer);
    send(&socket, b"ask", Some(to_one)).unwrap();
    send(&socket, b"ask", Some(to_other)).unwrap();
    other.send_to(b"other", here).unwrap();
    one.send_to(b"one", here).unwrap();
    socket.connect(to_one).unwrap();
    assert!(is_receivable(&socket));
    assert_eq!(there(&socket).as_deref(), Some("one"));
    assert_eq!(there(&socket), None);
}

#[tokio::test]
async fn a_datagram_is_as_large_as_the_system_takes_it() {
    let enforcer = World::new(Script::new()).instance(&["udp://*:*"]);
    let (peer, address) = peer();
    let (socket, here) = bound(&enforcer);
    for (length, fits) in [(0, true), (65_507, true), (65_508, false), (65_536, false)] {
        let sent = send(&socket, &vec![7; length], Some(address));
        match sent {
            Ok(()) => assert!(fits, "{length}"),
            Err(error) => assert!(!fits && is(error, "DatagramTooLarge"), "{length}: {error}"),
        }
    }
    peer.send_to(&vec![7; 65_507], here).unwrap();
    let (data, from) = socket.receive().await.unwrap();
    assert_eq!((data.len(), from), (65_507, address));
    peer.send_to(b"small", here).unwrap();
    let (data, _) = socket.receive().await.unwrap();
    assert!(data.capacity() < 64, "there is no more room than it needs");
}

// proves: HL-3
#[tokio::test]
async fn a_socket_is_bound_to_no_address_of_the_guests_choice() {
    let enforcer = World::new(Script::new()).instance(&["udp://*:*"]);
    for (local, expected) in [
        ("127.0.0.1:0", "AccessDenied"),
        ("0.0.0.0:5353", "AccessDenied"),
        ("224.0.0.1:0", "AccessDenied"),
        ("[::]:0", "InvalidArgument"),
    ] {
        let socket = fresh(&enforcer);
        let error = socket.bind(local.parse().unwrap()).unwrap_err();
        assert!(is(error, expected), "{local}: {error}");
        assert!(!socket.is_bound(), "{local}");
    }
    let (socket, _) = bound(&enforcer);
    assert!(is(socket.bind(UNSPECIFIED).unwrap_err(), "InvalidState"));
}

// proves: HL-5, HL-6
#[tokio::test]
async fn an_address_that_is_nobodys_is_no_place_to_send_to() {
    let enforcer = World::new(Script::new()).instance(&["udp://*:*"]);
    for (remote, expected) in [
        ("224.0.0.1:53", "AccessDenied"),
        ("255.255.255.255:53", "AccessDenied"),
        ("0.0.0.0:53", "InvalidArgument"),
        ("127.0.0.1:0", "InvalidArgument"),
        ("[::1]:53", "InvalidArgument"),
        ("[::ffff:127.0.0.1]:53", "InvalidArgument"),
    ] {
        let (socket, remote) = (fresh(&enforcer), remote.parse().unwrap());
        for error in [socket.connect(remote), send(&socket, b"x", Some(remote))] {
            let error = error.unwrap_err();
            assert!(is(error, expected), "{remote}: {error}");
        }
    }
}

// proves: Q-1
#[tokio::test]
async fn a_socket_counts_until_its_last_share_is_gone() {
    let world = World::new(Script::new());
    let egress = world.egress();
    let enforcer = instance(&egress, &["udp://*:*"]);
    let (socket, _) = bound(&enforcer);
    let receiving = socket.receive();
    drop(socket);
    assert_eq!(egress.metrics().sockets, 1);
    drop(receiving);
    assert_eq!(egress.metrics().sockets, 0);
}

/// The system knows nobody at a link-local address without a link, and says that the address is no good; with the link
/// it says that there is no way, since nobody has such an address on the loopback interface.
// proves: RL-3
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_link_of_a_link_local_address_reaches_the_system() {
    let mut world = World::new(Script::new());
    world.operator.limits.link_local = outport_policy::Limit::Lifted;
    let enforcer = world.instance(&["*://[fe80::1]:5432"]);
    let to = |link| {
        let address = "fe80::1".parse().unwrap();
        SocketAddr::V6(std::net::SocketAddrV6::new(address, 5432, 0, link))
    };
    for (link, expected) in [(0, "InvalidArgument"), (1, "RemoteUnreachable")] {
        let udp = UdpSocket::create(&enforcer, Family::V6).unwrap();
        let error = udp.connect(to(link)).unwrap_err();
        assert!(is(error, expected), "{link}: {error}");
    }
    // Without a link the system would take any that it has.
    let udp = UdpSocket::create(&enforcer, Family::V6).unwrap();
    let error = send(&udp, b"x", Some(to(1))).unwrap_err();
    assert!(is(error, "RemoteUnreachable"), "{error}");
}

#[tokio::test]
async fn options_are_set_in_wasis_units() {
    let enforcer = World::new(Script::new()).instance(&["udp://*:*"]);
    for family in [Family::V4, Family::V6] {
        let socket = UdpSocket::create(&enforcer, family).unwrap();
        assert_eq!(socket.family(), family);
        let options = socket.options();
        for zero in [
            options.set_hop_limit(0),
            options.set_receive_buffer_size(0),
            options.set_send_buffer_size(0),
        ] {
            assert!(is(zero.unwrap_err(), "InvalidArgument"));
        }
        options.set_hop_limit(7).unwrap();
        assert_eq!(options.hop_limit().unwrap(), 7);
        options.set_receive_buffer_size(100_000).unwrap();
        options.set_send_buffer_size(100_000).unwrap();
        assert_eq!(options.receive_buffer_size().unwrap(), 100_000);
        assert_eq!(options.send_buffer_size().unwrap(), 100_000);
    }
}

// proves: HL-4
#[tokio::test]
async fn a_peer_to_whom_the_system_sent_nothing_may_not_answer() {
    let enforcer = World::new(Script::new()).instance(&["udp://127.0.0.1:*"]);
    let (peer, to_peer) = peer();
    let (socket, at) = bound(&enforcer);
    // More than fits into a datagram with its headers, which only the system says.
    let error = send(&socket, &[0; u16::MAX as usize], Some(to_peer)).unwrap_err();
    assert!(is(error, "DatagramTooLarge"), "{error:?}");
    peer.send_to(b"answer", at).unwrap();
    assert_eq!(there(&socket), None);
    send(&socket, b"question", Some(to_peer)).unwrap();
    peer.send_to(b"answer", at).unwrap();
    assert_eq!(there(&socket).as_deref(), Some("answer"));
}
