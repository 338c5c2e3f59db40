//! Connections that wait: who gets them, when they are judged, and when they end.

use std::net::{SocketAddr, TcpListener, TcpStream};

use futures::FutureExt;
use outport_policy::Scheme;

use super::*;
use crate::dial::{Destination, Dialer, HostConnection};
use crate::egress::Egress;
use crate::testing::{Script, World, deny, instance};

/// A protocol of no words.
struct Silent {
    _stream: HostConnection,
    handle: ConnectionHandle,
}

impl Pooled for Silent {
    fn connection(&self) -> &ConnectionHandle {
        &self.handle
    }
}

/// A server, and who connects to it.
struct Stage {
    world: World,
    egress: Egress,
    pool: Pool<Silent>,
    listener: TcpListener,
    at: SocketAddr,
}

impl Stage {
    fn new(change: impl FnOnce(&mut World)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut world = World::new(Script::new());
        change(&mut world);
        let egress = world.egress();
        Self {
            pool: Pool::new(&egress.process().usage),
            at: listener.local_addr().unwrap(),
            world,
            egress,
            listener,
        }
    }

    /// Instances of one component.
    fn dialers<const N: usize>(&self) -> [Dialer; N] {
        let gate = self.egress.gate("web", crate::testing::allow(&["*://*:*"]));
        [(); N].map(|()| gate.open().dialer())
    }

    fn destination(&self) -> Destination {
        let redis = Scheme::parse("redis").unwrap();
        Destination::new(redis, "127.0.0.1", self.at.port()).unwrap()
    }

    async fn connect(&self, dialer: &Dialer) -> (Silent, TcpStream) {
        let stream = dialer.connect(&self.destination()).await.unwrap();
        let handle = stream.handle();
        let (peer, _) = self.listener.accept().unwrap();
        let _stream = stream;
        (Silent { _stream, handle }, peer)
    }

    fn take(&self, address: &str, dialer: &Dialer) -> Option<Silent> {
        self.take_to(&self.destination(), address, dialer)
    }

    fn take_to(&self, destination: &Destination, address: &str, dialer: &Dialer) -> Option<Silent> {
        let authorized = dialer.authorize(destination).unwrap();
        self.pool.take(address, authorized).ok()
    }

    fn forbid(&self) {
        let mut operator = (*self.egress.operator()).clone();
        operator.deny = deny(&[&format!("redis://{}", self.at)]);
        self.egress.replace_operator(operator);
    }
}

// proves: HI-4
#[tokio::test]
async fn a_connection_is_used_again_by_its_component_for_its_address_string_alone_and_judged_again() {
    let stage = Stage::new(|_| {});
    let [one, other] = stage.dialers();
    let (connection, _peer) = stage.connect(&one).await;
    let from = connection.handle.clone();
    stage.pool.put("redis://a", connection);
    stage.world.events.take();

    let stranger = Dialer::new(instance(&stage.egress, &["*://*:*"]), Arc::default());
    assert!(
        stage.take("redis://a", &stranger).is_none(),
        "a component of the same name"
    );
    assert!(
        stage.take("redis://user@a", &other).is_none(),
        "another address string"
    );
    let elsewhere = Destination::new(Scheme::parse("redis").unwrap(), "127.0.0.2", stage.at.port()).unwrap();
    assert!(
        stage.take_to(&elsewhere, "redis://a", &other).is_none(),
        "another destination"
    );
    stage.world.events.take();
    let again = stage.take("redis://a", &other).unwrap();
    assert_eq!(again.handle.peer(), from.peer());
    let told = [
        format!("redis.connect redis://{}", stage.at),
        format!("redis.dial {}", stage.at),
    ];
    assert_eq!(stage.world.events.take(), told);
    assert!(stage.take("redis://a", &one).is_none(), "one uses it at a time");
    stage.listener.set_nonblocking(true).unwrap();
    assert!(stage.listener.accept().is_err(), "there was one connection");
}

// proves: HI-4
#[tokio::test]
async fn a_connection_that_is_forbidden_by_now_is_closed_and_not_given_out() {
    let stage = Stage::new(|_| {});
    let [dialer] = stage.dialers();
    let (connection, _peer) = stage.connect(&dialer).await;
    let handle = connection.handle.clone();
    let destination = stage.destination();
    let authorized = dialer.authorize(&destination).unwrap();
    stage.pool.put("redis://a", connection);
    stage.forbid();
    assert!(!handle.is_open(), "a reload closes what waits");
    assert!(stage.pool.take("redis://a", authorized).is_err());
    assert!(dialer.authorize(&destination).is_err());
    assert_eq!(stage.egress.metrics().connections, 0);
}

// proves: HI-4
#[tokio::test]
async fn a_connection_that_its_server_closed_while_it_waited_is_not_given_out() {
    let stage = Stage::new(|_| {});
    let [dialer] = stage.dialers();
    for _ in 0..3 {
        let (connection, peer) = stage.connect(&dialer).await;
        stage.pool.put("redis://a", connection);
        drop(peer);
        assert!(stage.take("redis://a", &dialer).is_none());
    }
    let (connection, peer) = stage.connect(&dialer).await;
    drop(peer);
    stage.pool.put("redis://a", connection);
    assert_eq!(
        stage.egress.metrics().connections,
        0,
        "nor kept, if it is closed already"
    );
}

// proves: Q-4
#[tokio::test]
async fn a_connection_that_waits_is_its_components_and_goes_when_somebody_needs_its_place() {
    let stage = Stage::new(|world| {
        world.operator.quotas.sockets_per_instance = 1;
        world.operator.quotas.total_connections = Some(1);
    });
    let [one, other] = stage.dialers();
    let (connection, _peer) = stage.connect(&one).await;
    assert!(
        stage.connect(&one).now_or_never().is_none(),
        "the instance has its one socket"
    );
    stage.pool.put("redis://a", connection);
    assert_eq!(stage.egress.metrics().connections, 1);
    // The same instance has room again, and takes it.
    let connection = stage.take("redis://a", &one).unwrap();
    stage.pool.put("redis://a", connection);
    // It is in the way of one that goes elsewhere.
    let (_connection, _peer) = stage.connect(&other).await;
    assert!(stage.take("redis://a", &one).is_none());
}

// proves
#[tokio::test]
async fn an_instance_without_room_leaves_a_connection_to_others_and_that_is_no_denial_yet() {
    let stage = Stage::new(|world| world.operator.quotas.sockets_per_instance = 1);
    let [one, other] = stage.dialers();
    let (connection, _peer) = stage.connect(&one).await;
    stage.pool.put("redis://a", connection);
    let (_held, _peer) = stage.connect(&one).await;
    stage.world.events.take();
    assert!(stage.take("redis://a", &one).is_none(), "it has its one socket");
    assert_eq!(
        stage.world.events.take(),
        [format!("redis.connect redis://{}", stage.at)]
    );
    assert!(
        stage
            .egress
            .metrics()
            .denied
            .values()
            .all(|denials| *denials == 0)
    );
    assert!(stage.take("redis://a", &other).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_waits_thirty_seconds() {
    let stage = Stage::new(|_| {});
    let [dialer] = stage.dialers();
    for (waited, expected) in [(29, true), (31, false)] {
        let (connection, _peer) = stage.connect(&dialer).await;
        stage.pool.put("redis://a", connection);
        tokio::time::advance(Duration::from_secs(waited)).await;
        assert_eq!(stage.take("redis://a", &dialer).is_some(), expected, "{waited} s");
    }
    let (connection, _peer) = stage.connect(&dialer).await;
    stage.pool.put("redis://a", connection);
    tokio::time::sleep(Duration::from_secs(41)).await;
    assert_eq!(stage.egress.metrics().connections, 0, "nobody has to ask");
}

#[tokio::test]
async fn as_many_wait_as_is_bounded() {
    let stage = Stage::new(|world| world.operator.quotas.sockets_per_instance = 1000);
    let [dialer] = stage.dialers();
    let mut all = Vec::new();
    for _ in 0..=IDLE_CONNECTIONS {
        all.push(stage.connect(&dialer).await);
    }
    let (connections, _peers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    connections
        .into_iter()
        .for_each(|connection| stage.pool.put("redis://a", connection));
    assert_eq!(stage.egress.metrics().connections as usize, IDLE_CONNECTIONS);
}
