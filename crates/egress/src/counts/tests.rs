//! Tests of what is counted and traced, without guests.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use outport_policy::Transport;

use super::METRICS;
use crate::audit::AuditLog;
use crate::dial::Destination;
use crate::egress::Egress;
use crate::enforcer::Enforcer;
use crate::host_calls::{HostCalls, HostInterface};
use crate::lookup::Lookup;
use crate::meter::Meter;
use crate::sockets::{Family, SocketSlot, TcpSocket, UdpSocket};
use crate::testing::counted::Counted;
use crate::testing::traced::Traced;
use crate::testing::{Script, World, allow, answer};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn connect(enforcer: &Arc<Enforcer>, remote: SocketAddr) -> Option<TcpSocket> {
    let mut socket = TcpSocket::create(enforcer, Family::V4).ok()?;
    socket.start_connect(remote).ok()?;
    poll_fn(|cx| socket.poll_connect(cx)).await.ok()?;
    Some(socket)
}

async fn look_up(enforcer: &Arc<Enforcer>, name: &str) -> bool {
    match Lookup::start(enforcer, name) {
        Ok(Lookup::Pending(pending)) => pending.answer().await.is_ok(),
        Ok(Lookup::Known(_)) => true,
        Err(_) => false,
    }
}

#[test]
fn each_metric_is_named_and_described_as_the_conventions_want_it() {
    let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), METRICS.len());
    for metric in METRICS {
        let is_counter = metric.kind == crate::meter::MetricKind::Counter;
        assert_eq!(metric.name.ends_with("_total"), is_counter, "{}", metric.name);
        assert!(metric.name.starts_with("outport_"), "{}", metric.name);
        assert!(
            !metric.help.is_empty() && !metric.help.ends_with('.'),
            "{}",
            metric.name
        );
        let unit = metric.unit.map(|unit| unit.as_str());
        assert!(
            unit.is_none_or(|unit| metric.name.contains(unit)),
            "{}",
            metric.name
        );
    }
}

#[tokio::test]
async fn what_is_counted_of_connections_is_what_the_peer_saw() {
    let world = World::new(Script::new());
    let enforcer = world.instance(&["*://*:*"]);
    let value = |series: &str| world.counted.value(series);
    let (listener, address) = listener();
    let mut socket = connect(&enforcer, address).await.unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(value("outport_connections_open{web,tcp.connect}"), Some(1.0));
    let (receiving, mut sending) = (socket.take_receiving().unwrap(), socket.take_sending().unwrap());
    assert_eq!(poll_fn(|cx| sending.poll_send(cx, b"ping!")).await.unwrap(), 5);
    peer.read_exact(&mut [0; 5]).unwrap();
    peer.write_all(b"pong").unwrap();
    let received = poll_fn(|cx| receiving.poll_receive(cx, 100)).await.unwrap();
    assert_eq!(received, b"pong");
    assert_eq!(
        value("outport_connection_sent_bytes_total{web,tcp.connect}"),
        Some(5.0)
    );
    assert_eq!(
        value("outport_connection_received_bytes_total{web,tcp.connect}"),
        Some(4.0)
    );
    assert_eq!(
        value("outport_connection_duration_seconds{web,tcp.connect}"),
        Some(0.0)
    );
    drop((socket, receiving, sending));
    assert_eq!(value("outport_connections_open{web,tcp.connect}"), Some(0.0));
    assert_eq!(
        value("outport_connection_duration_seconds{web,tcp.connect}"),
        Some(1.0)
    );

    drop((listener, peer));
    assert!(connect(&enforcer, address).await.is_none());
    let made = |outcome| value(&format!("outport_connections_total{{web,tcp.connect,{outcome}}}"));
    assert_eq!((made("succeeded"), made("failed")), (Some(1.0), Some(1.0)));
    assert_eq!(
        value("outport_attempts_total{web,tcp.connect,allow,none}"),
        Some(2.0)
    );
    assert_eq!(value("outport_connections_open{web,tcp.connect}"), Some(0.0));
}

#[tokio::test]
async fn datagrams_are_counted_with_what_they_carry_and_so_are_those_of_strangers() {
    let world = World::new(Script::new());
    let enforcer = world.instance(&["*://*:*"]);
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::create(&enforcer, Family::V4).unwrap();
    for data in [&b"one"[..], b"three"] {
        socket
            .send(data.to_vec(), Some(peer.local_addr().unwrap()))
            .await
            .unwrap();
    }
    let own = socket.local_address().unwrap();
    stranger.send_to(b"unasked", ("127.0.0.1", own.port())).unwrap();
    peer.send_to(b"answer", ("127.0.0.1", own.port())).unwrap();
    assert_eq!(socket.receive().await.unwrap().0, b"answer");
    for (series, value) in [
        ("outport_connection_sent_bytes_total{web,udp.send}", 8.0),
        ("outport_connection_received_bytes_total{web,udp.receive}", 6.0),
        ("outport_attempts_total{web,udp.send,allow,none}", 2.0),
        ("outport_attempts_total{web,udp.receive,allow,none}", 1.0),
        (
            "outport_attempts_total{web,udp.receive,deny,hard.unsolicited}",
            1.0,
        ),
    ] {
        assert_eq!(world.counted.value(series), Some(value), "{series}");
    }
}

#[tokio::test]
async fn lookups_are_counted_by_their_outcome_and_grants_while_they_are_there() {
    let script = Script::new().then("a.example", answer(&["10.0.0.1"]));
    let world = World::new(script.then("b.example", answer(&["10.0.0.2"])));
    let enforcer = world.instance(&["*://*:*"]);
    let value = |series: &str| world.counted.value(series);
    assert!(look_up(&enforcer, "a.example").await && look_up(&enforcer, "b.example").await);
    assert!(look_up(&enforcer, "a.example").await);
    assert!(!look_up(&enforcer, "no.example").await);
    let names = value("outport_grants{web}");
    assert_eq!(names, Some(3.0), "the one without an address is remembered too");
    let held = world.script.hold("a.example");
    let pending = look_up(&enforcer, "a.example");
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(1), pending)
            .await
            .is_err()
    );
    drop(held);
    // Given up before anybody waited for it.
    drop(Lookup::start(&enforcer, "a.example"));
    for (outcome, number) in [("answered", 3.0), ("name-unresolvable", 1.0), ("abandoned", 2.0)] {
        let series = format!("outport_dns_lookups_total{{web,{outcome}}}");
        assert_eq!(value(&series), Some(number), "{outcome}");
    }
    assert_eq!(value("outport_dns_lookup_duration_seconds{web}"), Some(6.0));
    drop(enforcer);
    assert_eq!(value("outport_grants{web}"), Some(0.0));
}

#[tokio::test]
async fn ten_thousand_names_and_addresses_are_no_series_more() {
    let mut world = World::new(Script::new()).deny(&["*://10.0.0.0/8:*"]);
    world.operator.quotas.lookups_per_minute = 10_000;
    let egress = world.egress();
    let enforcer = crate::testing::instance(&egress, &["*://*:*"]);
    let attempt = async |number: u32| {
        assert!(!look_up(&enforcer, &format!("n{number}.example")).await);
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + number);
        let connected = connect(&enforcer, (address, 1 + number as u16).into()).await;
        assert!(connected.is_none(), "{address}");
    };
    attempt(0).await;
    let before = world.counted.series();
    for number in 1..10_000 {
        attempt(number).await;
    }
    assert_eq!(world.counted.series(), before);
    assert_eq!(
        world
            .counted
            .value("outport_attempts_total{web,tcp.connect,deny,deny.network}"),
        Some(10_000.0),
        "{before:?}"
    );
}

#[tokio::test]
async fn quotas_are_known_when_somebody_collects() {
    let mut world = World::new(Script::new());
    world.operator.quotas.sockets_per_process = 10;
    let egress = world.egress();
    let enforcer = crate::testing::instance(&egress, &["*://*:*"]);
    let _slots = [(); 3].map(|()| SocketSlot::take(&enforcer, Transport::Tcp).ok().unwrap());
    egress.collect();
    for (series, value) in [
        ("outport_quota_used{sockets_per_process}", 3.0),
        ("outport_quota_limit{sockets_per_process}", 10.0),
        ("outport_quota_used{total_connections}", 3.0),
        ("outport_quota_limit{total_connections}", f64::INFINITY),
    ] {
        assert_eq!(world.counted.value(series), Some(value), "{series}");
    }
    let http = "outport_quota_limit{http_connections}";
    assert_eq!(world.counted.value(http), None);

    // A bound that permits nothing is not one that is not there.
    for (bound, limit) in [(Some(0), 0.0), (Some(7), 7.0), (None, f64::INFINITY)] {
        world.operator.quotas.total_connections = bound;
        egress.replace_operator(world.operator.clone());
        egress.collect();
        let series = "outport_quota_limit{total_connections}";
        assert_eq!(world.counted.value(series), Some(limit), "{bound:?}");
    }
}

#[test]
fn lines_of_the_audit_log_are_counted_when_they_are_written() {
    let counted = Counted::default();
    let log = Arc::new(AuditLog::to(std::io::sink()).unwrap());
    let egress = Egress::builder()
        .resolver(Arc::new(Script::new()))
        .meter(Meter::new(Arc::new(counted.clone())))
        .sink(log)
        .build()
        .unwrap();
    let enforcer = crate::testing::instance(&egress, &[]);
    for _ in 0..5 {
        assert!(SocketSlot::take(&enforcer, Transport::Udp).is_err());
    }
    egress.flush();
    let lines = |outcome| counted.value(&format!("outport_audit_lines_total{{{outcome}}}"));
    assert_eq!((lines("written"), lines("lost")), (Some(5.0), Some(0.0)));
}

#[tokio::test]
async fn what_an_instance_does_for_a_request_has_spans_below_that() {
    let world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
    let world = world.deny(&["*://10.9.9.9:*"]);
    let instance = world.egress().gate("web", allow(&["*://*:*"])).open();
    let enforcer = &instance.enforcer;
    let traced = Traced::default();
    let _listening = traced.listen();
    let (listener, address) = listener();

    // Before there is a request there is none.
    drop(connect(enforcer, address).await);
    assert_eq!(traced.names(), [""; 0]);

    enforcer.trace().set(traced.request());
    assert!(look_up(enforcer, "db.example").await);
    let lookup = traced.only("dns.lookup");
    assert_eq!(lookup.field("dns.question.name"), "db.example");
    assert_eq!(lookup.field("outport.component"), "web");
    assert_eq!(lookup.field("outport.addresses"), "1");
    assert!(lookup.field("outport.rule").contains("*://*:*"), "{lookup:?}");
    assert_eq!((lookup.parent, lookup.is_closed()), (Some(1), true));

    let mut socket = connect(enforcer, address).await.unwrap();
    assert!(!traced.only("tcp.connect").is_closed());
    let (receiving, mut sending) = (socket.take_receiving().unwrap(), socket.take_sending().unwrap());
    assert_eq!(poll_fn(|cx| sending.poll_send(cx, b"ping!")).await.unwrap(), 5);
    drop((socket, receiving, sending));
    let connection = traced.only("tcp.connect");
    assert_eq!(connection.field("network.peer.port"), address.port().to_string());
    assert!(
        connection.field("outport.rule").contains("*://*:*"),
        "{connection:?}"
    );
    assert_eq!(connection.field("outport.sent_bytes"), "5");
    assert_eq!(connection.field("outport.ended_by"), "guest");
    assert_eq!((connection.parent, connection.is_closed()), (Some(1), true));

    assert!(connect(enforcer, "10.9.9.9:80".parse().unwrap()).await.is_none());
    let denied = &traced.all()[2].1;
    assert_eq!(denied.field("outport.reason"), "deny.host", "{denied:?}");
    assert_eq!(denied.field("outport.destination"), "10.9.9.9:80");
    assert_eq!(denied.field("otel.status_code"), "ERROR");

    drop(listener);
    assert!(connect(enforcer, address).await.is_none());
    let failed = &traced.all()[3].1;
    assert_eq!(
        (failed.field("error.type"), failed.is_closed()),
        ("connection-refused", true)
    );

    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::create(enforcer, Family::V4).unwrap();
    for _ in 0..3 {
        let to = Some(peer.local_addr().unwrap());
        socket.send(b"datagram".to_vec(), to).await.unwrap();
    }
    let datagram = traced.only("udp.send");
    assert_eq!((datagram.parent, datagram.is_closed()), (Some(1), true));
    assert_eq!(traced.all().len(), 5, "{:?}", traced.names());
}

#[tokio::test]
async fn a_connection_of_the_host_is_below_the_point_where_it_is_made() {
    let world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
    let enforcer = world.instance(&["redis://*:*"]);
    let traced = Traced::default();
    let _listening = traced.listen();
    enforcer.trace().set(traced.request());
    let (listener, address) = listener();
    let tls = Arc::default();
    let dialer = crate::dial::Dialer::new(enforcer.clone(), tls);
    let redis = outport_policy::Scheme::parse("redis").unwrap();
    let destination = Destination::new(redis, "127.0.0.1", address.port()).unwrap();
    let connection = dialer.connect(&destination).await.unwrap();
    assert_eq!(
        world.counted.value("outport_connections_open{web,redis.dial}"),
        Some(1.0)
    );
    drop((connection, listener));
    let span = traced.only("redis.dial");
    assert_eq!(span.field("server.address"), "127.0.0.1");
    assert_eq!((span.parent, span.is_closed()), (Some(1), true));
    assert_eq!(
        world.counted.value("outport_connections_open{web,redis.dial}"),
        Some(0.0)
    );
}

#[tokio::test]
async fn calls_of_the_hosts_interfaces_are_counted_and_spans_whatever_becomes_of_them() {
    let world = World::new(Script::new());
    let enforcer = world.instance(&[]);
    let traced = Traced::default();
    let _listening = traced.listen();
    let redis = HostCalls::new(&enforcer, HostInterface::Redis);
    let done = redis.call("get", None, async { Ok::<_, ()>(1) }).await;
    assert_eq!((done, traced.names()), (Ok(1), vec![]));

    enforcer.trace().set(traced.request());
    assert_eq!(
        redis.call("get", None, async { Err::<(), _>("no") }).await,
        Err("no")
    );
    let never = redis.call("set", None, std::future::pending::<Result<(), ()>>());
    let within = tokio::time::timeout(std::time::Duration::from_millis(1), never).await;
    assert!(within.is_err());
    let topic = "t".repeat(1000);
    let mqtt = HostCalls::new(&enforcer, HostInterface::Mqtt);
    mqtt.call_at_once("publish", Some(&topic), || Ok::<_, ()>(()))
        .unwrap();

    let get = traced.only("redis get");
    assert_eq!(
        (get.field("db.system.name"), get.field("db.operation.name")),
        ("redis", "get")
    );
    assert_eq!(
        (get.field("error.type"), get.field("otel.status_code")),
        ("failed", "ERROR")
    );
    assert_eq!(traced.only("redis set").field("error.type"), "abandoned");
    let publish = traced.only("mqtt publish");
    assert_eq!(publish.field("messaging.destination.name").len(), 255);
    assert_eq!(
        (publish.field("db.system.name"), publish.field("error.type")),
        ("", "")
    );
    assert!(
        traced
            .all()
            .iter()
            .all(|(_, span)| span.is_closed() && span.parent == Some(1))
    );
    for (series, value) in [
        ("outport_host_calls_total{web,redis,succeeded}", 1.0),
        ("outport_host_calls_total{web,redis,failed}", 1.0),
        ("outport_host_calls_total{web,redis,abandoned}", 1.0),
        ("outport_host_calls_total{web,mqtt,succeeded}", 1.0),
        ("outport_host_call_duration_seconds{web,redis}", 3.0),
    ] {
        assert_eq!(world.counted.value(series), Some(value), "{series}");
    }
}
