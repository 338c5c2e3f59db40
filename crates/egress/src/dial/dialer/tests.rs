//! Going somewhere by a dialer: what is judged, in which order, and what is told.

use std::net::{SocketAddr, TcpListener};

use futures::FutureExt;
use outport_policy::{Limit, Location};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::dns::ResolveError;
use crate::egress::Egress;
use crate::testing::{Script, World, allow, answer, answer_through, deny, instance};

fn dialer(egress: &Egress, allowed: &[&str]) -> Dialer {
    Dialer::new(instance(egress, allowed), Arc::default())
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

fn redis(host: &str, port: u16) -> Destination {
    Destination::new(Scheme::parse("redis").unwrap(), host, port).unwrap()
}

fn nobody_came(listener: &TcpListener) {
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
}

fn lenient(script: Script) -> World {
    let mut world = World::new(script);
    world.operator.limits.loopback_answers = Limit::Lifted;
    world
}

// proves: HI-1, DNS-13
#[tokio::test]
async fn a_host_is_judged_resolved_once_and_connected_to_at_an_address_that_was_judged() {
    let (listener, at) = listener();
    let denied = format!("*://127.0.0.9:{}", at.port());
    let script = Script::new().then("cache.example", answer(&["127.0.0.9", "127.0.0.1"]));
    let world = lenient(script.then("cache.example", answer(&["127.0.0.2"]))).deny(&[&denied]);
    let dialer = dialer(&world.egress(), &["redis://*:*"]);
    let mut connection = dialer.connect(&redis("Cache.Example", at.port())).await.unwrap();
    assert_eq!(connection.peer(), at);
    assert_eq!(world.script.questions(), ["cache.example"]);
    assert_eq!(
        world.events.take(),
        [
            format!("redis.connect redis://cache.example:{}", at.port()),
            format!("redis.dial 127.0.0.9:{} [deny.host]", at.port()),
            format!("redis.dial {at}"),
        ]
    );
    let (peer, _) = listener.accept().unwrap();
    peer.set_nonblocking(true).unwrap();
    let mut peer = tokio::net::TcpStream::from_std(peer).unwrap();
    connection.write_all(b"ping").await.unwrap();
    let mut said = [0; 4];
    peer.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"ping");
    drop(connection);
    assert_eq!(
        peer.read(&mut said).await.unwrap(),
        0,
        "it is closed with what speaks over it"
    );
}

// proves: HI-1, HI-2
#[tokio::test]
async fn what_is_refused_by_its_name_is_not_resolved_and_by_its_address_not_connected_to() {
    let (listener, at) = listener();
    let port = at.port();
    let any = format!("redis://*:{port}");
    let socket_only = format!("tcp://*:{port}");
    let other_scheme = format!("mysql://*:{port}");
    let denied_name = format!("redis://cache.example:{port}");
    let denied_alias = format!("redis://real.example:{port}");
    let denied_address = format!("*://127.0.0.0/8:{port}");
    let rows = [
        (
            "cache.example",
            &*socket_only,
            "",
            "redis.connect",
            "allow.scheme",
        ),
        (
            "cache.example",
            &other_scheme,
            "",
            "redis.connect",
            "allow.scheme",
        ),
        ("127.0.0.1", &socket_only, "", "redis.connect", "allow.scheme"),
        (
            "cache.example",
            "redis://cache.example:1",
            "",
            "redis.connect",
            "allow.port",
        ),
        ("cache.example", &any, &*denied_name, "redis.connect", "deny.host"),
        ("127.1", &any, &denied_address, "redis.connect", "deny.network"),
        (
            "cache.example",
            &any,
            &denied_address,
            "redis.dial",
            "deny.network",
        ),
        ("cache.example", &any, &denied_alias, "redis.dial", "deny.cname"),
        ("cache.example", &any, "", "redis.dial", "dns.rebinding"),
        (
            "api.spin.internal",
            &any,
            "",
            "redis.connect",
            "dns.name-not-allowed",
        ),
    ];
    for (host, allowed, denied, attempt, reason) in rows {
        let script = Script::new().then("cache.example", answer_through(&["real.example"], &["127.0.0.1"]));
        let mut world = World::new(script);
        world.operator.deny = if denied.is_empty() {
            deny(&[])
        } else {
            deny(&[denied])
        };
        let dialer = dialer(&world.egress(), &[allowed]);
        let error = dialer.connect(&redis(host, port)).await.err().unwrap();
        assert!(error.is_refused(), "{host} {allowed} {denied}: {error}");
        let by_name = attempt == "redis.connect";
        assert_eq!(
            matches!(error, DialError::HostRefused),
            by_name,
            "{host} {allowed} {denied}"
        );
        assert_eq!(
            world.script.questions().is_empty(),
            by_name,
            "{host} {allowed} {denied}"
        );
        let told = world.events.take().pop().unwrap();
        assert!(
            told.starts_with(attempt) && told.ends_with(&format!("[{reason}]")),
            "{host} {allowed} {denied}: {told}"
        );
    }
    nobody_came(&listener);
}

#[tokio::test]
async fn what_fails_after_it_was_permitted_says_where() {
    let closed = listener().1.port();
    let script = Script::new()
        .then("servers.silent", Err(ResolveError::TimedOut))
        .then("here.example", answer(&["127.0.0.1"]));
    let world = lenient(script);
    let egress = world.egress();
    let dialer = dialer(&egress, &["*://*:*"]);
    for (host, code, message) in [
        (
            "no.such.name",
            "dns-error",
            "the name does not exist, or has no address",
        ),
        (
            "servers.silent",
            "dns-timeout",
            "the name servers failed or were silent",
        ),
        ("here.example", "connection-refused", "nobody listens there"),
    ] {
        let error = dialer.connect(&redis(host, closed)).await.err().unwrap();
        assert_eq!((error.code(), &*error.to_string()), (code, message), "{host}");
        assert!(!error.is_refused(), "{host}");
    }
    for inside in ["self", "self.alt", "api.spin.internal"] {
        let destination = Destination::new(Scheme::HTTP, inside, 80).unwrap();
        let error = dialer.connect(&destination).await.err().unwrap();
        assert_eq!(error.code(), "dns-error", "{inside}");
    }
    assert_eq!(
        world.script.questions().len(),
        3,
        "nothing inside the app is asked for"
    );
    assert_eq!(egress.metrics().connections, 0);
}

// proves: BUD-1, RSN-6
#[tokio::test]
async fn what_a_budget_refuses_is_no_failure_of_a_name_server() {
    let mut world = World::new(Script::new());
    world.operator.quotas.lookups_per_minute = 1;
    let dialer = dialer(&world.egress(), &["*://*:*"]);
    for code in ["dns-error", "lookup-quota"] {
        let error = dialer.connect(&redis("no.such.name", 1)).await.err().unwrap();
        assert_eq!(error.code(), code);
    }
}

// proves: DL-9
#[tokio::test]
async fn a_new_deny_list_closes_a_connection_that_it_forbids() {
    let (_listener, at) = listener();
    let (_other, elsewhere) = listener();
    let world = World::new(Script::new());
    let egress = world.egress();
    let dialer = dialer(&egress, &["*://*:*"]);
    let mut forbidden = dialer.connect(&redis("127.0.0.1", at.port())).await.unwrap();
    let permitted = dialer
        .connect(&redis("127.0.0.1", elsewhere.port()))
        .await
        .unwrap();
    let mut operator = (*egress.operator()).clone();
    operator.deny = deny(&[&format!("redis://{at}")]);
    egress.replace_operator(operator);
    assert_eq!(forbidden.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(!forbidden.handle().is_open());
    assert!(permitted.handle().is_open());
}

// proves: Q-4
#[tokio::test(start_paused = true)]
async fn a_connection_counts_like_a_socket_of_its_instance_and_a_place_is_waited_for() {
    let (_listener, at) = listener();
    let mut world = World::new(Script::new());
    world.operator.quotas.sockets_per_instance = 2;
    let egress = world.egress();
    let dialer = dialer(&egress, &["*://*:*"]);
    let destination = redis("127.0.0.1", at.port());
    let connect = || dialer.connect(&destination).map(Result::ok);
    let (first, second) = (connect().await.unwrap(), connect().await.unwrap());
    assert_eq!(egress.metrics().connections, 2);
    let begun = tokio::time::Instant::now();
    let third = dialer.connect(&destination).await;
    assert!(matches!(third, Err(DialError::Quota)));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert!(
        world
            .events
            .take()
            .pop()
            .unwrap()
            .ends_with("[quota.connections]")
    );
    drop(first);
    assert!(connect().await.is_some());
    drop(second);
}

// proves: HI-6
#[tokio::test]
async fn what_the_operator_configured_is_reached_whatever_guests_may_not_and_told_of_as_the_operators() {
    let (_listener, at) = listener();
    let script = Script::new().then("cache.internal", answer(&["127.0.0.1"]));
    let world = World::new(script).deny(&["*://*:*"]);
    let egress = world.egress();
    let destination = redis("cache.internal", at.port());
    let own = egress
        .operator_dialer("key_value_store.default", &destination, Location::Code)
        .unwrap();
    let connection = own.connect(&destination).await.unwrap();
    assert_eq!(connection.peer(), at);
    let events = world.events.drain();
    let told = ["redis.connect", "redis.dial"];
    assert_eq!(events.iter().map(|event| event.attempt).collect::<Vec<_>>(), told);
    for event in &events {
        assert_eq!(&*event.component, "key_value_store.default (operator)");
        let rule = format!("redis://cache.internal:{} (the embedder)", at.port());
        assert_eq!(event.rule.as_deref(), Some(&*rule));
    }
    egress.replace_operator((*egress.operator()).clone());
    assert!(connection.handle().is_open(), "no deny list is held against it");
    let elsewhere = own.connect(&redis("127.0.0.1", at.port())).await;
    assert!(matches!(elsewhere, Err(DialError::HostRefused)));
    let guest = dialer(&egress, &["*://*:*"]).connect(&destination).await;
    assert!(matches!(guest, Err(DialError::HostRefused)));
    assert!(
        egress
            .operator_dialer("x", &redis("a", 0), Location::Code)
            .is_err()
    );
}

// proves: ORD-2
#[test]
fn a_dependency_that_inherits_nothing_connects_nowhere() {
    let world = World::new(Script::new());
    let gate = world.egress().gate("main", allow(&["*://*:*"]));
    gate.shut("a:b/c")
        .refuse_connection(&gate.open(), &redis("cache.example", 6379));
    let told = ["redis.connect redis://cache.example:6379 [allow.not-inherited]"];
    assert_eq!(world.events.take(), told);
    assert_eq!(world.script.questions(), [""; 0]);
}
