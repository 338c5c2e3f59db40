//! Tests of what a guest can ask of WASI 0.2 alone, in steps that WASI 0.3 does in one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket as StdUdpSocket};
use std::time::Duration;

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::instance_network;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use wasmtime_wasi::p2::bindings::sockets::udp::{
    HostOutgoingDatagramStream, HostUdpSocket, OutgoingDatagram,
};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::p2::{SocketError, SocketResult};
use wasmtime_wasi::sockets::{WasiSocketsCtx, WasiSocketsCtxView};

use crate::ctx::{GateCtx, GateCtxView};
use crate::lookup::Lookup;
use crate::testing::{Script, World, allow, answer};

const UNSPECIFIED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn any_network(view: &mut GateCtxView<'_>) -> Resource<Network> {
    let mut wasi = WasiSocketsCtxView {
        ctx: &mut WasiSocketsCtx::default(),
        table: view.table,
    };
    instance_network::Host::instance_network(&mut wasi).unwrap()
}

fn code(result: SocketResult<()>) -> Option<ErrorCode> {
    result.err().and_then(|error: SocketError| error.downcast().ok())
}

async fn lookup(ctx: &GateCtx, name: &str) {
    let Ok(Lookup::Pending(asked)) = Lookup::start(&ctx.enforcer, name) else {
        panic!("`{name}` may be looked up");
    };
    asked.answer().await.unwrap();
}

// proves: AL-4, HL-4
#[tokio::test]
async fn of_several_datagrams_those_before_a_refused_one_are_sent_and_none_behind_it() {
    let peers = [(); 2].map(|()| {
        let peer = StdUdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        peer.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        peer
    });
    let [listed, other] = [&peers[0], &peers[1]].map(|peer| peer.local_addr().unwrap());
    let egress = World::new(Script::new()).egress();
    let mut ctx = egress
        .gate("web", allow(&[&format!("udp://127.0.0.1:{}", listed.port())]))
        .open();
    let mut table = ResourceTable::new();
    let mut view = GateCtxView {
        ctx: &mut ctx,
        table: &mut table,
    };
    let network = any_network(&mut view);
    let socket = view.create_udp_socket(IpAddressFamily::Ipv4).await.unwrap();
    let number = socket.rep();
    let same = || Resource::new_borrow(number);
    HostUdpSocket::start_bind(&mut view, same(), network, UNSPECIFIED.into())
        .await
        .unwrap();
    HostUdpSocket::finish_bind(&mut view, same()).unwrap();
    let (_, outgoing) = HostUdpSocket::stream(&mut view, same(), None).await.unwrap();
    let datagram = |to: SocketAddr| OutgoingDatagram {
        data: b"x".to_vec(),
        remote_address: Some(IpSocketAddress::from(to)),
    };
    let stream = || Resource::new_borrow(outgoing.rep());
    HostOutgoingDatagramStream::check_send(&mut view, stream()).unwrap();
    let sent = vec![datagram(listed), datagram(other), datagram(listed)];
    let sent = HostOutgoingDatagramStream::send(&mut view, stream(), sent);
    assert_eq!(sent.ok(), Some(1));
    let received = |peer: &StdUdpSocket| (0..3).filter(|_| peer.recv(&mut [0; 8]).is_ok()).count();
    assert_eq!((received(&peers[0]), received(&peers[1])), (1, 0));
}

// proves: DNS-4
#[tokio::test]
async fn a_grant_that_ends_before_a_connection_has_begun_refuses_it() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let there = listener.local_addr().unwrap();
    let script = Script::new()
        .then("db.example", answer(&["127.0.0.1"]))
        .then("db.example", answer(&["192.0.2.1"]));
    let mut world = World::new(script);
    world.operator.limits.loopback_answers = outport_policy::Limit::Lifted;
    let entry = format!("*://db.example:{}", there.port());
    let mut ctx = world.egress().gate("web", allow(&[&entry])).open();
    let mut table = ResourceTable::new();
    lookup(&ctx, "db.example").await;

    let mut view = GateCtxView {
        ctx: &mut ctx,
        table: &mut table,
    };
    let network = any_network(&mut view);
    let socket = view.create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    let number = socket.rep();
    let same = || Resource::new_borrow(number);
    HostTcpSocket::start_connect(&mut view, same(), network, there.into()).unwrap();
    lookup(view.ctx, "db.example").await;
    let finished = HostTcpSocket::finish_connect(&mut view, same());
    assert_eq!(code(finished.map(|_| ())), Some(ErrorCode::AccessDenied));
    assert!(listener.accept().is_err(), "a packet left");
}
