//! Tests of what a socket does, on both versions of WASI.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::task::Waker;
use std::time::Duration;

use super::*;
use crate::testing::{Script, World, deny, instance};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn gate(world: &World) -> Arc<Enforcer> {
    world.instance(&["*://*:*"])
}

fn fresh(enforcer: &Arc<Enforcer>) -> TcpSocket {
    TcpSocket::create(enforcer, Family::V4).unwrap()
}

async fn connect(enforcer: &Arc<Enforcer>, remote: SocketAddr) -> Result<TcpSocket, ErrorCode> {
    let mut socket = fresh(enforcer);
    socket.start_connect(remote)?;
    poll_fn(|cx| socket.poll_connect(cx)).await?;
    Ok(socket)
}

fn poll(socket: &mut TcpSocket) -> Poll<Result<(), ErrorCode>> {
    socket.poll_connect(&mut Context::from_waker(Waker::noop()))
}

fn is(code: ErrorCode, expected: &str) -> bool {
    format!("{code:?}") == expected
}

#[tokio::test]
async fn whom_a_socket_is_connected_to_is_told_when_the_peer_has_reset_the_connection() {
    let world = World::new(Script::new());
    let enforcer = gate(&world);
    let (listener, address) = listener();
    let mut socket = connect(&enforcer, address).await.unwrap();
    let (peer, from) = listener.accept().unwrap();
    let (receiving, mut sending) = (socket.take_receiving().unwrap(), socket.take_sending().unwrap());
    assert_eq!(poll_fn(|cx| sending.poll_send(cx, b"unread")).await.unwrap(), 6);
    // What was sent has not been read, so closing resets.
    drop(peer);
    let error = poll_fn(|cx| receiving.poll_receive(cx, 100)).await.unwrap_err();
    assert!(is(error, "ConnectionReset"), "{error:?}");
    assert_eq!(socket.remote_address().unwrap(), address);
    assert_eq!(socket.local_address().unwrap(), from);
}

#[tokio::test]
async fn a_connection_carries_bytes_both_ways_and_ends_on_both_sides() {
    let world = World::new(Script::new());
    let enforcer = gate(&world);
    let (listener, address) = listener();
    let mut socket = connect(&enforcer, address).await.unwrap();
    let (mut peer, from) = listener.accept().unwrap();
    assert_eq!(
        (socket.local_address().ok(), socket.remote_address().ok()),
        (Some(from), Some(address))
    );
    let (receiving, mut sending) = (socket.take_receiving().unwrap(), socket.take_sending().unwrap());
    assert!(
        socket.take_receiving().is_err() && socket.take_sending().is_err(),
        "each is there once"
    );

    assert_eq!(poll_fn(|cx| sending.poll_send(cx, b"ping")).await.unwrap(), 4);
    let mut read = [0; 4];
    peer.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"ping");
    // Waiting for it before it is sent registers the socket.
    let (received, ()) = tokio::join!(poll_fn(|cx| receiving.poll_receive(cx, 100)), async {
        tokio::task::yield_now().await;
        peer.write_all(b"pong").unwrap();
    });
    assert_eq!(received.unwrap(), b"pong");

    drop(receiving);
    peer.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(
        peer.read(&mut read).is_err(),
        "that nobody receives is nothing that a peer sees"
    );
    drop(sending);
    assert_eq!(
        peer.read(&mut read).unwrap(),
        0,
        "the end is seen while the guest has the socket"
    );
}

#[tokio::test]
async fn the_permit_lasts_as_long_as_a_direction_or_the_socket() {
    let world = World::new(Script::new());
    let egress = world.egress();
    let enforcer = instance(&egress, &["*://*:*"]);
    let (_listener, address) = listener();
    let mut socket = connect(&enforcer, address).await.unwrap();
    let receiving = socket.take_receiving().unwrap();
    drop(socket);
    assert_eq!(egress.metrics().sockets, 1);
    drop(receiving);
    assert_eq!(egress.metrics().sockets, 0);

    let refused = connect(&enforcer, SocketAddr::from(([127, 0, 0, 1], 1))).await;
    assert!(refused.is_err());
    assert_eq!(egress.metrics().sockets, 0);
}

#[tokio::test]
async fn a_connection_that_fails_says_why_and_says_it_again() {
    let world = World::new(Script::new());
    let enforcer = gate(&world);
    let (listener, address) = listener();
    drop(listener);
    let mut socket = fresh(&enforcer);
    socket.start_connect(address).unwrap();
    for _ in 0..2 {
        let error = poll_fn(|cx| socket.poll_connect(cx)).await.unwrap_err();
        assert!(is(error, "ConnectionRefused"), "{error}");
    }
    assert!(is(socket.start_connect(address).unwrap_err(), "InvalidState"));
    assert!(is(socket.remote_address().unwrap_err(), "ConnectionRefused"));
    assert!(is(socket.take_sending().err().unwrap(), "ConnectionRefused"));
}

#[tokio::test]
async fn a_connection_that_takes_time_is_waited_for() {
    let world = World::new(Script::new());
    let enforcer = gate(&world);
    // Room for one connection that nobody has accepted; a further one has to wait until there is room again.
    let listening = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    rustix::net::bind(&listening, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&listening, 0).unwrap();
    let listener = TcpListener::from(listening);
    let address = listener.local_addr().unwrap();
    let _first = connect(&enforcer, address).await.unwrap();

    let mut second = fresh(&enforcer);
    second.start_connect(address).unwrap();
    assert!(poll(&mut second).is_pending());
    assert!(poll(&mut second).is_pending());
    assert!(is(second.local_address().unwrap_err(), "InvalidState"));
    let accepting = std::thread::spawn(move || [listener.accept().unwrap(), listener.accept().unwrap()]);
    let connected = poll_fn(|cx| second.poll_connect(cx));
    tokio::time::timeout(Duration::from_secs(20), connected)
        .await
        .unwrap()
        .unwrap();
    let [_, (_, from)] = accepting.join().unwrap();
    assert_eq!(second.local_address().ok(), Some(from));
}

// proves: ORD-3
#[tokio::test]
async fn nothing_leaves_before_the_connection_is_judged_and_nothing_after_a_refusal() {
    let world = World::new(Script::new());
    let (listener, address) = listener();
    listener.set_nonblocking(true).unwrap();
    let enforcer = world.instance(&["*://127.0.0.1:1025"]);
    let mut socket = fresh(&enforcer);
    socket.start_connect(address).unwrap();
    assert_eq!(world.events.take(), ["socket.create tcp"], "not judged yet");
    for _ in 0..2 {
        let Poll::Ready(Err(error)) = poll(&mut socket) else {
            panic!("it is refused");
        };
        assert!(is(error, "AccessDenied"), "{error}");
    }
    assert_eq!(
        world.events.take(),
        [format!("tcp.connect {address} [allow.port]")]
    );
    assert!(listener.accept().is_err(), "a packet left");
}

// proves: HL-3
#[tokio::test]
async fn a_socket_is_bound_to_no_address_of_the_guests_choice() {
    let world = World::new(Script::new());
    let enforcer = gate(&world);
    for (local, expected) in [
        ("127.0.0.1:0", "AccessDenied"),
        ("0.0.0.0:8080", "AccessDenied"),
        ("[::]:0", "InvalidArgument"),
        ("224.0.0.1:0", "InvalidArgument"),
    ] {
        let mut socket = fresh(&enforcer);
        let error = socket.bind(local.parse().unwrap()).unwrap_err();
        assert!(is(error, expected), "{local}: {error}");
        assert!(!socket.is_bound(), "{local}");
    }
    let mut socket = fresh(&enforcer);
    let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
    socket.bind(unspecified).unwrap();
    assert!(socket.is_bound());
    assert_ne!(socket.local_address().unwrap().port(), 0);
    assert!(is(socket.bind(unspecified).unwrap_err(), "InvalidState"));
}

// proves: HL-1
#[tokio::test]
async fn listening_is_refused_and_closes_the_socket() {
    let world = World::new(Script::new());
    let enforcer = gate(&world);
    let mut bound = fresh(&enforcer);
    bound.bind(SocketAddr::from(([0, 0, 0, 0], 0))).unwrap();
    for mut socket in [fresh(&enforcer), bound] {
        assert!(is(socket.listen().unwrap_err(), "AccessDenied"));
        let (_listener, address) = listener();
        assert!(is(socket.start_connect(address).unwrap_err(), "InvalidState"));
    }
}

// proves: HL-5, HL-6
#[tokio::test]
async fn an_address_that_is_nobodys_is_no_place_to_connect_to() {
    let world = World::new(Script::new());
    let enforcer = gate(&world);
    for (remote, expected) in [
        ("224.0.0.1:80", "AccessDenied"),
        ("255.255.255.255:80", "AccessDenied"),
        ("0.0.0.0:80", "InvalidArgument"),
        ("127.0.0.1:0", "InvalidArgument"),
        ("[::1]:80", "InvalidArgument"),
        ("[::ffff:127.0.0.1]:80", "InvalidArgument"),
    ] {
        let error = fresh(&enforcer)
            .start_connect(remote.parse().unwrap())
            .unwrap_err();
        assert!(is(error, expected), "{remote}: {error}");
    }
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
    for (link, expected) in [(0, "InvalidArgument"), (1, "RemoteUnreachable")] {
        let remote = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 5432, 0, link);
        let mut socket = TcpSocket::create(&enforcer, Family::V6).unwrap();
        socket.start_connect(remote.into()).unwrap();
        let error = poll_fn(|cx| socket.poll_connect(cx)).await.unwrap_err();
        assert!(is(error, expected), "{link}: {error}");
    }
}

// proves: DL-9
#[tokio::test]
async fn a_new_deny_list_ends_the_connection_and_no_other() {
    let world = World::new(Script::new());
    let egress = world.egress();
    let enforcer = instance(&egress, &["*://*:*"]);
    let ((one, denied), (other, permitted)) = (listener(), listener());
    let mut ended = connect(&enforcer, denied).await.unwrap();
    let mut left = connect(&enforcer, permitted).await.unwrap();
    let mut peers: Vec<TcpStream> = [one, other].map(|listener| listener.accept().unwrap().0).into();
    let mut operator = (*egress.operator()).clone();
    operator.deny = deny(&[&format!("*://{denied}")]);
    egress.replace_operator(operator);

    let receiving = ended.take_receiving().unwrap();
    assert_eq!(poll_fn(|cx| receiving.poll_receive(cx, 10)).await.unwrap(), b"");
    peers[0].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(peers[0].read(&mut [0]).unwrap(), 0);
    peers[1].write_all(b"x").unwrap();
    let receiving = left.take_receiving().unwrap();
    assert_eq!(poll_fn(|cx| receiving.poll_receive(cx, 10)).await.unwrap(), b"x");
}

#[tokio::test]
async fn options_are_set_in_wasis_units() {
    let world = World::new(Script::new());
    let enforcer = gate(&world);
    for family in [Family::V4, Family::V6] {
        let socket = TcpSocket::create(&enforcer, family).unwrap();
        let options = socket.options().unwrap();
        let zeroes = [
            options.set_keep_alive_idle_time(0),
            options.set_keep_alive_interval(0),
            options.set_keep_alive_count(0),
            options.set_hop_limit(0),
            options.set_receive_buffer_size(0),
            options.set_send_buffer_size(0),
            socket.set_listen_backlog_size(0),
        ];
        for (number, zero) in zeroes.into_iter().enumerate() {
            assert!(is(zero.unwrap_err(), "InvalidArgument"), "{number}");
        }
        const SECOND: u64 = 1_000_000_000;
        for (set, then) in [(1, SECOND), (5 * SECOND, 5 * SECOND), (u64::MAX, 32_767 * SECOND)] {
            options.set_keep_alive_idle_time(set).unwrap();
            options.set_keep_alive_interval(set).unwrap();
            assert_eq!(options.keep_alive_idle_time().unwrap(), then);
            assert_eq!(options.keep_alive_interval().unwrap(), then);
        }
        for (set, then) in [(1, 1), (127, 127), (u32::MAX, 127)] {
            options.set_keep_alive_count(set).unwrap();
            assert_eq!(options.keep_alive_count().unwrap(), then);
        }
        options.set_hop_limit(7).unwrap();
        assert_eq!(options.hop_limit().unwrap(), 7);
        options.set_keep_alive_enabled(true).unwrap();
        assert!(options.keep_alive_enabled().unwrap());
        options.set_receive_buffer_size(100_000).unwrap();
        options.set_send_buffer_size(100_000).unwrap();
        assert_eq!(options.receive_buffer_size().unwrap(), 100_000);
        assert_eq!(options.send_buffer_size().unwrap(), 100_000);
        options.set_receive_buffer_size(u64::MAX).unwrap();
        options.set_send_buffer_size(u64::MAX).unwrap();
    }
}
