//! That every way out takes from the one budget of its component, and ends with it.

use std::future::poll_fn;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, UdpSocket as UdpPeer};
use std::num::NonZeroU64;
use std::task::Poll;

use outport_policy::{AllowList, ByteBudget as Configured, Entry, Location, Operator, Scheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wasmtime_wasi::sockets::ErrorCode;

use super::*;
use crate::dial::{Destination, DialError, Dialer, HostConnection};
use crate::egress::Egress;
use crate::enforcer::Enforcer;
use crate::sockets::{Family, NotCreated, Receiving, Sending, TcpSocket, UdpSocket};
use crate::testing::{Script, World, allow, instance};

fn sent(bytes: u64, seconds: u64) -> Configured {
    Configured {
        sent: Some(SentBound {
            bytes: NonZeroU64::new(bytes).unwrap(),
            time: Duration::from_secs(seconds),
        }),
        ..Configured::default()
    }
}

fn rate(bytes: u64) -> Configured {
    Configured {
        send_rate: NonZeroU64::new(bytes),
        receive_rate: NonZeroU64::new(bytes),
        sent: None,
    }
}

fn world(budget: Configured) -> World {
    let mut world = World::new(Script::new());
    world.operator.quotas.bytes = ByteBudgets::new(budget, []);
    world
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

async fn connected(enforcer: &Arc<Enforcer>, at: SocketAddr) -> (TcpSocket, Receiving, Sending) {
    let mut socket = TcpSocket::create(enforcer, Family::V4).unwrap();
    socket.start_connect(at).unwrap();
    poll_fn(|cx| socket.poll_connect(cx)).await.unwrap();
    let (receiving, sending) = (socket.take_receiving().unwrap(), socket.take_sending().unwrap());
    (socket, receiving, sending)
}

async fn dialed(enforcer: &Arc<Enforcer>, at: SocketAddr) -> Result<HostConnection, DialError> {
    let scheme = Scheme::parse("redis").unwrap();
    let destination = Destination::new(scheme, &at.ip().to_string(), at.port()).unwrap();
    Dialer::new(enforcer.clone(), Arc::default())
        .connect(&destination)
        .await
}

/// All that comes to an end.
fn all(mut peer: std::net::TcpStream) -> usize {
    let mut read = Vec::new();
    let _ = peer.read_to_end(&mut read);
    read.len()
}

// proves: BUD-3, HI-1
#[tokio::test]
async fn sockets_and_connections_of_the_host_end_together_with_the_last_byte() {
    let world = world(sent(1000, 3600));
    let egress = world.egress();
    let gate = egress.gate("web", allow(&["*://*:*"]));
    let [one, other] = [gate.open(), gate.open()].map(|ctx| ctx.enforcer.clone());
    let neighbour = egress.gate("api", allow(&["*://*:*"])).open().enforcer.clone();
    let (listener, at) = listener();
    let (_socket, receiving, mut sending) = connected(&one, at).await;
    let (first, _) = listener.accept().unwrap();
    let mut redis = dialed(&other, at).await.unwrap();
    let (second, _) = listener.accept().unwrap();
    let (_their_socket, their_receiving, mut their_sending) = connected(&neighbour, at).await;
    let (_third, _) = listener.accept().unwrap();

    assert_eq!(poll_fn(|cx| sending.poll_send(cx, &[1; 600])).await.unwrap(), 600);
    assert_eq!(one.component().bytes().sent(), [600, 0]);
    assert_eq!(redis.write(&[2; 600]).await.unwrap(), 400, "what is left");
    let error = redis.write(&[2; 1]).await.unwrap_err();
    assert!(
        Spent::is_cause_of(&error) && error.kind() == io::ErrorKind::ConnectionReset,
        "{error:?}"
    );
    let error = redis.read(&mut [0; 1]).await.unwrap_err();
    assert!(Spent::is_cause_of(&error), "{error:?}");
    let error = poll_fn(|cx| sending.poll_send(cx, &[1; 1])).await.unwrap_err();
    assert!(matches!(error, ErrorCode::ConnectionReset), "{error:?}");
    let error = poll_fn(|cx| receiving.poll_receive(cx, 1)).await.unwrap_err();
    assert!(
        matches!(error, ErrorCode::ConnectionReset),
        "no end that could be taken for the whole"
    );
    assert_eq!((all(first), all(second)), (600, 400), "all of it arrives");

    world.events.take();
    let Err(NotCreated::Denied(denied)) = TcpSocket::create(&other, Family::V4) else {
        panic!("a socket");
    };
    assert_eq!(denied.reason().code(), "quota.bytes");
    // At once: nobody gives back what was sent.
    let begun = std::time::Instant::now();
    assert!(matches!(dialed(&one, at).await, Err(DialError::Quota)));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let told = world.events.take();
    assert!(
        told.contains(&format!("redis.dial {at} [quota.bytes]")),
        "{told:?}"
    );

    assert_eq!(
        poll_fn(|cx| their_sending.poll_send(cx, &[3; 900]))
            .await
            .unwrap(),
        900
    );
    assert!(
        matches!(their_receiving.try_receive(1), Poll::Pending),
        "the neighbour's is open"
    );
}

// proves: BUD-3
#[tokio::test]
async fn a_part_has_the_budget_of_its_component_and_the_operator_has_none() {
    let world = world(sent(1000, 3600));
    let egress = world.egress();
    let gate = egress.gate("web", allow(&["*://*:*"]));
    let ctx = gate.open();
    let part = Arc::new(
        ctx.enforcer
            .component()
            .part("web/part".into(), allow(&["*://*:*"])),
    );
    let part = Arc::new(ctx.enforcer.part(part));
    let (listener, at) = listener();
    let (_socket, _receiving, mut sending) = connected(&part, at).await;
    let _peer = listener.accept().unwrap();
    assert_eq!(
        poll_fn(|cx| sending.poll_send(cx, &[1; 2000])).await.unwrap(),
        1000
    );
    assert_eq!(ctx.enforcer.component().bytes().sent(), [1000, 0]);
    for enforcer in [&part, &ctx.enforcer] {
        assert!(matches!(
            TcpSocket::create(enforcer, Family::V4),
            Err(NotCreated::Denied(_))
        ));
    }
    let scheme = Scheme::parse("redis").unwrap();
    let destination = Destination::new(scheme, &at.ip().to_string(), at.port()).unwrap();
    let dialer = egress
        .operator_dialer("cache", &destination, Location::Code)
        .unwrap();
    let mut own = dialer.connect(&destination).await.unwrap();
    own.write_all(&[1; 5000]).await.unwrap();
    let entries = vec![Entry::parse("*://*:*", Location::Code).unwrap()];
    assert!(AllowList::of_operator(entries).is_the_operators());
}

// proves: BUD-3
#[tokio::test]
async fn datagrams_take_from_the_same_budget_and_one_that_does_not_fit_is_refused() {
    for asynchronous in [false, true] {
        let world = world(sent(1000, 3600));
        let enforcer = world.instance(&["*://*:*"]);
        let peer = UdpPeer::bind("127.0.0.1:0").unwrap();
        let at = peer.local_addr().unwrap();
        let socket = UdpSocket::create(&enforcer, Family::V4).unwrap();
        let send = async |length: usize| {
            if asynchronous {
                socket.send(vec![7; length], Some(at)).await
            } else {
                match socket.try_send(&vec![7; length], Some(at)) {
                    Poll::Ready(sent) => sent,
                    Poll::Pending => panic!("nothing has to wait"),
                }
            }
        };
        send(600).await.unwrap();
        world.events.take();
        let error = send(401).await.unwrap_err();
        assert!(matches!(error, ErrorCode::AccessDenied), "{error:?}");
        assert_eq!(world.events.take(), [format!("udp.send {at} [quota.bytes]")]);
        send(400).await.unwrap();
        assert!(send(0).await.is_err(), "nothing more");
        let mut buffer = [0; 1000];
        assert_eq!(
            [peer.recv(&mut buffer).unwrap(), peer.recv(&mut buffer).unwrap()],
            [600, 400]
        );
    }
}

// proves: BUD-3
#[tokio::test]
async fn a_datagram_waits_and_is_not_dropped_and_what_comes_waits_as_well() {
    let world = world(rate(10_000));
    let enforcer = world.instance(&["*://*:*"]);
    let peer = UdpPeer::bind("127.0.0.1:0").unwrap();
    let at = peer.local_addr().unwrap();
    let socket = UdpSocket::create(&enforcer, Family::V4).unwrap();
    let begun = std::time::Instant::now();
    assert!(matches!(
        socket.try_send(&[7; 1500], Some(at)),
        Poll::Ready(Ok(()))
    ));
    assert!(socket.try_send(&[7; 500], Some(at)).is_pending());
    assert!(!socket.is_sendable());
    // Who was told that there is room has room for the datagram that there was none for.
    poll_fn(|cx| socket.poll_sendable(cx)).await;
    assert!(
        begun.elapsed() >= Duration::from_millis(49),
        "{:?}",
        begun.elapsed()
    );
    assert!(matches!(
        socket.try_send(&[7; 500], Some(at)),
        Poll::Ready(Ok(()))
    ));
    // Several of one socket at a time.
    let all = [300, 400, 500].map(|length| socket.send(vec![7; length], Some(at)));
    assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
    assert!(
        begun.elapsed() >= Duration::from_millis(165),
        "{:?}",
        begun.elapsed()
    );
    let mut lengths: Vec<_> = (0..5).map(|_| peer.recv(&mut [0; 2000]).unwrap()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [300, 400, 500, 500, 1500]);

    let home = SocketAddr::from(([127, 0, 0, 1], socket.local_address().unwrap().port()));
    let begun = std::time::Instant::now();
    for _ in 0..4 {
        peer.send_to(&[8; 1500], home).unwrap();
    }
    for number in 0..4 {
        let (data, from) = if number % 2 == 0 {
            socket.receive().await.unwrap()
        } else {
            poll_fn(|cx| socket.poll_receivable(cx)).await;
            match socket.try_receive() {
                Poll::Ready(received) => received.unwrap(),
                Poll::Pending => panic!("it said that one is there"),
            }
        };
        assert_eq!((data.len(), from), (1500, at));
    }
    // The burst, a debt, and twice until that was gone.
    assert!(
        begun.elapsed() >= Duration::from_millis(290),
        "{:?}",
        begun.elapsed()
    );
}

// proves: BUD-3, DL-9
#[tokio::test]
async fn a_budget_that_is_loaded_holds_for_what_is_open_and_what_was_counted_stays() {
    let world = world(sent(1000, 3600));
    let egress = world.egress();
    let enforcer = instance(&egress, &["*://*:*"]);
    let (listener, at) = listener();
    let (_socket, _receiving, mut sending) = connected(&enforcer, at).await;
    let _peer = listener.accept().unwrap();
    assert_eq!(poll_fn(|cx| sending.poll_send(cx, &[1; 900])).await.unwrap(), 900);
    load(&egress, Configured::default());
    assert_eq!(
        poll_fn(|cx| sending.poll_send(cx, &[1; 900])).await.unwrap(),
        900,
        "no bound"
    );
    load(&egress, sent(2000, 3600));
    assert_eq!(enforcer.component().bytes().sent(), [1800, 0]);
    assert_eq!(
        poll_fn(|cx| sending.poll_send(cx, &[1; 900])).await.unwrap(),
        200,
        "what was counted stays, and what left meanwhile is"
    );
    assert!(poll_fn(|cx| sending.poll_send(cx, &[1; 1])).await.is_err());
    // Moved to the component's own, by way of a file that was empty for a moment.
    load(&egress, Configured::default());
    load_of_component(&egress, sent(2100, 3600));
    assert_eq!(enforcer.component().bytes().sent(), [0, 2000]);
    let (_socket, _receiving, mut sending) = connected(&enforcer, at).await;
    assert_eq!(poll_fn(|cx| sending.poll_send(cx, &[1; 900])).await.unwrap(), 100);
}

// proves: BUD-3, DL-9
#[tokio::test]
async fn a_bound_that_is_used_up_when_it_is_loaded_ends_what_is_open() {
    let world = world(sent(1000, 3600));
    let egress = world.egress();
    let enforcer = instance(&egress, &["*://*:*"]);
    let (listener, at) = listener();
    let (_socket, receiving, mut sending) = connected(&enforcer, at).await;
    let (peer, _) = listener.accept().unwrap();
    assert_eq!(poll_fn(|cx| sending.poll_send(cx, &[1; 900])).await.unwrap(), 900);
    load(&egress, sent(950, 3600));
    assert!(matches!(receiving.try_receive(1), Poll::Pending));
    load(&egress, sent(500, 3600));
    // One that only receives ends as well.
    let received = poll_fn(|cx| receiving.poll_receive(cx, 1)).await;
    assert!(
        matches!(received, Err(ErrorCode::ConnectionReset)),
        "{received:?}"
    );
    assert_eq!(all(peer), 900);
    let refused = TcpSocket::create(&enforcer, Family::V4);
    assert!(matches!(refused, Err(NotCreated::Denied(_))));
}

// proves: BUD-3
#[tokio::test]
async fn a_component_that_begins_anew_has_the_budget_that_it_had() {
    let world = world(sent(1000, 3600));
    let egress = world.egress();
    let (listener, at) = listener();
    let send = async |gate: &crate::Gate| {
        let enforcer = gate.open().enforcer.clone();
        let (_socket, _receiving, mut sending) = connected(&enforcer, at).await;
        let _peer = listener.accept().unwrap();
        poll_fn(|cx| sending.poll_send(cx, &[1; 400])).await.unwrap()
    };
    let gate = || egress.gate("web", allow(&["*://*:*"]));
    let (one, other) = (gate(), gate());
    assert_eq!((send(&one).await, send(&other).await), (400, 400));
    drop((one, other));
    assert_eq!(send(&gate()).await, 200);
}

// proves: BUD-3, TLS-2
#[tokio::test]
async fn what_was_told_to_be_sent_of_a_first_flight_is_sent_however_slowly() {
    let world = world(rate(10_000));
    let enforcer = world.instance(&["*://*:*"]);
    let (listener, at) = listener();
    let (_other_socket, _, mut other) = connected(&enforcer, at).await;
    let _other_peer = listener.accept().unwrap();
    let (socket, receiving, mut sending) = connected(&enforcer, at).await;
    let (peer, _) = listener.accept().unwrap();
    // All that may be sent at once, so that the rest has to wait.
    let sent = poll_fn(|cx| other.poll_send(cx, &[1; 1500])).await.unwrap();
    assert_eq!(sent, 1500);
    // What a ClientHello may begin with is kept until it is known whether it is one.
    let sent = poll_fn(|cx| sending.poll_send(cx, &[0x16, 3])).await.unwrap();
    assert_eq!(sent, 2);
    drop((sending, receiving, socket));
    let arrived = tokio::task::spawn_blocking(|| all(peer)).await.unwrap();
    assert_eq!(arrived, 2);
}

fn load_of_component(egress: &Egress, budget: Configured) {
    let mut operator = Operator::clone(&egress.operator());
    let named = [("web".into(), budget)];
    operator.quotas.bytes = ByteBudgets::new(Configured::default(), named);
    egress.replace_operator(operator);
}

fn load(egress: &Egress, budget: Configured) {
    let mut operator = Operator::clone(&egress.operator());
    operator.quotas.bytes = ByteBudgets::new(budget, []);
    egress.replace_operator(operator);
}

// proves: BUD-3
#[tokio::test]
async fn what_is_received_is_read_no_faster_than_it_may_be_and_the_end_is_told() {
    let world = world(rate(100_000));
    let enforcer = world.instance(&["*://*:*"]);
    let (listener, at) = listener();
    let (_socket, receiving, _sending) = connected(&enforcer, at).await;
    let (mut peer, _) = listener.accept().unwrap();
    std::thread::spawn(move || {
        use std::io::Write;
        let _ = peer.write_all(&[5; 40_000]);
    });
    let begun = std::time::Instant::now();
    let (mut sum, mut buffer) = (0, [0; 5000]);
    loop {
        let length = poll_fn(|cx| receiving.poll_receive_into(cx, &mut buffer))
            .await
            .unwrap();
        sum += length;
        let most = 10_000.0 + 100_000.0 * begun.elapsed().as_secs_f64() + 1.0;
        assert!(sum as f64 <= most, "{sum} of {most}");
        if length == 0 {
            break;
        }
    }
    assert_eq!(sum, 40_000);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
