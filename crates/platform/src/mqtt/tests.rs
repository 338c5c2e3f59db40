//! What is said to a broker, and what comes of those that are hostile.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use outport_egress::{AuditEvent, AuditSink, Egress, Gate};
use outport_policy::{AllowList, Entry, Location};
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, PubAck, PubComp, PubRec, Publish};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What a broker says.
enum Says {
    Packets(Vec<Packet>),
    Bytes(Vec<u8>),
    /// This, without end.
    Flood(Packet),
    Closes,
}

/// A broker, and what came to it.
#[derive(Clone)]
struct Broker {
    at: SocketAddr,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    packets: Arc<Mutex<Vec<Packet>>>,
    says: Behaviour,
}

/// What a broker says to each packet.
type Behaviour = fn(&Packet) -> Says;

impl Broker {
    async fn start(says: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broker = Self {
            at: listener.local_addr().unwrap(),
            connections: Arc::default(),
            ended: Arc::default(),
            packets: Arc::default(),
            says,
        };
        let own = broker.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.connections.fetch_add(1, Ordering::SeqCst);
                let own = own.clone();
                tokio::spawn(async move {
                    own.serve(stream).await;
                    own.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        broker
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut incoming = BytesMut::new();
        loop {
            let packet = match Packet::read(&mut incoming, usize::MAX) {
                Ok(packet) => packet,
                Err(Error::InsufficientBytes(_)) => match stream.read_buf(&mut incoming).await {
                    Ok(1..) => continue,
                    _ => return None,
                },
                Err(error) => panic!("{error}"),
            };
            self.packets.lock().unwrap().push(packet.clone());
            match (self.says)(&packet) {
                Says::Packets(packets) => {
                    for packet in packets {
                        stream.write_all(&bytes_of(&packet)).await.ok()?;
                    }
                }
                Says::Bytes(bytes) => stream.write_all(&bytes).await.ok()?,
                Says::Flood(packet) => loop {
                    stream.write_all(&bytes_of(&packet)).await.ok()?;
                },
                Says::Closes => return None,
            }
        }
    }

    fn url(&self) -> String {
        format!("mqtt://{}", self.at)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// What came since this was asked last.
    fn packets(&self) -> Vec<Packet> {
        self.packets.lock().unwrap().drain(..).collect()
    }

    fn client_ids(&self) -> Vec<String> {
        let packets = self.packets();
        let connects = packets.into_iter().filter_map(|packet| match packet {
            Packet::Connect(connect) => Some(connect.client_id),
            _ => None,
        });
        connects.collect()
    }

    async fn until_ended(&self, number: usize) {
        while self.ended.load(Ordering::SeqCst) < number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn bytes_of(packet: &Packet) -> BytesMut {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, usize::MAX).unwrap();
    bytes
}

fn consents() -> Says {
    Says::Packets(vec![Packet::ConnAck(ConnAck::new(
        ConnectReturnCode::Success,
        false,
    ))])
}

fn unasked() -> Packet {
    Packet::Publish(Publish::new("nobody/asked", QoS::AtMostOnce, vec![0; 1000]))
}

/// As a broker is that keeps to the protocol; topics of messages say how one does not.
fn usual(packet: &Packet) -> Says {
    Says::Packets(match packet {
        Packet::Connect(_) => return consents(),
        Packet::Publish(message) => {
            let number = message.pkid;
            match (message.topic.as_str(), message.qos) {
                ("silent", _) => Vec::new(),
                ("close", _) => return Says::Closes,
                ("half", _) => return Says::Bytes(vec![0x40, 2, 0]),
                ("large", _) => return Says::Bytes(vec![0x40, 0xff, 0xff, 0xff, 0x7f]),
                ("longer", _) => return Says::Bytes(vec![0x40, 0xff, 0xff, 0xff, 0xff, 0x7f]),
                ("large/message", _) => return Says::Bytes(vec![0x30, 0xff, 0xff, 0xff, 0x7f]),
                ("garbage", _) => return Says::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
                ("empty", _) => return Says::Bytes(vec![0x40, 0]),
                ("flood", _) => return Says::Flood(unasked()),
                ("pings", _) => return Says::Flood(Packet::PingResp),
                ("acks", _) => return Says::Flood(Packet::PubAck(PubAck::new(number))),
                ("other", _) => vec![Packet::PubAck(PubAck::new(number.wrapping_add(1)))],
                ("step", _) => vec![Packet::PubComp(PubComp::new(number))],
                ("consent", _) => return consents(),
                (_, QoS::AtMostOnce) => Vec::new(),
                (_, QoS::AtLeastOnce) => vec![Packet::PubAck(PubAck::new(number))],
                (_, QoS::ExactlyOnce) => vec![Packet::PubRec(PubRec::new(number))],
            }
        }
        Packet::PubRel(release) => vec![Packet::PubComp(PubComp::new(release.pkid))],
        Packet::PingReq => vec![Packet::PingResp],
        _ => Vec::new(),
    })
}

#[derive(Default)]
struct Events(Mutex<Vec<String>>);

impl AuditSink for Events {
    fn record(&self, event: &AuditEvent) {
        let reason = event.reason.unwrap_or("allow");
        let line = format!("{} {} {reason}", event.attempt, event.destination);
        self.0.lock().unwrap().push(line);
    }
}

/// A gate that lets through what `allowed` says, and who hears of it.
fn gate(allowed: &[&str]) -> (Gate, Arc<Events>) {
    let events = Arc::new(Events::default());
    let egress = Egress::builder().sink(events.clone()).build().unwrap();
    let entries = allowed
        .iter()
        .map(|text| Entry::parse(text, Location::Code).unwrap());
    let allow = Arc::new(AllowList::compile(entries.collect()));
    (egress.gate("web", allow), events)
}

/// One instance.
struct Instance {
    dialer: Dialer,
    own: OwnSessions,
}

impl Instance {
    fn of(gate: &Gate) -> Self {
        Self {
            dialer: gate.open().dialer(),
            own: OwnSessions::default(),
        }
    }

    async fn opens(&self, mqtt: &Mqtt, wanted: Wanted) -> Result<Client, String> {
        let opened = mqtt.open(&self.dialer, &self.own, wanted).await;
        opened.map_err(|why| why.to_string())
    }
}

fn to(address: &str) -> Wanted {
    Wanted::nobodys(address)
}

/// A connection that a new instance has opened.
async fn open(mqtt: &Mqtt, gate: &Gate, address: &str) -> Client {
    match Instance::of(gate).opens(mqtt, to(address)).await {
        Ok(client) => client,
        Err(why) => panic!("{address}: {why}"),
    }
}

async fn not_opened(mqtt: &Mqtt, gate: &Gate, address: &str) -> String {
    let opened = Instance::of(gate).opens(mqtt, to(address)).await;
    opened.err().unwrap_or_else(|| "opened".to_owned())
}

async fn publish(client: &Client, topic: &str, qos: QoS) -> Result<(), String> {
    client.publish(topic.to_owned(), b"payload".to_vec(), qos).await
}

fn refused(why: &str) -> Result<(), String> {
    Err(why.to_owned())
}

#[tokio::test]
async fn a_message_of_each_quality_is_confirmed_as_it_says() {
    let broker = Broker::start(usual).await;
    let (mqtt, (gate, _)) = (Mqtt::default(), gate(&["mqtt://*:*"]));
    let wanted = Wanted {
        address: format!("{}?client_id=shop%2F1", broker.url()),
        user: "me".to_owned(),
        password: "secret".to_owned(),
        keep_alive: 30,
    };
    let client = Instance::of(&gate).opens(&mqtt, wanted).await.unwrap();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        assert_eq!(publish(&client, "a/b", qos).await, Ok(()), "{qos:?}");
    }
    let large = vec![7; 2_000_000];
    assert_eq!(
        client
            .publish("large/one".to_owned(), large.clone(), QoS::AtLeastOnce)
            .await,
        Ok(())
    );
    let packets = broker.packets();
    let Packet::Connect(connect) = &packets[0] else {
        panic!("{packets:?}")
    };
    assert_eq!(connect.client_id, "shop/1");
    assert_eq!((connect.keep_alive, connect.clean_session), (30, true));
    let login = connect.login.as_ref().unwrap();
    assert_eq!((&*login.username, &*login.password), ("me", "secret"));
    let shown: Vec<String> = packets[1..]
        .iter()
        .map(|packet| match packet {
            Packet::Publish(message) => format!(
                "{} {:?} {} {} {}",
                message.topic,
                message.qos,
                message.pkid,
                message.retain || message.dup,
                message.payload.len()
            ),
            packet => format!("{packet:?}"),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "a/b AtMostOnce 0 false 7",
            "a/b AtLeastOnce 1 false 7",
            "a/b ExactlyOnce 2 false 7",
            "PubRel(PubRel { pkid: 2 })",
            "large/one AtLeastOnce 3 false 2000000",
        ]
    );
    assert_eq!(
        publish(&client, "a/#", QoS::AtLeastOnce).await,
        refused("the topic has a wildcard, `+` or `#`")
    );
    assert_eq!(
        publish(&client, "a", QoS::AtLeastOnce).await,
        Ok(()),
        "it goes on"
    );
}

#[tokio::test]
async fn many_messages_at_the_same_time_are_confirmed_each_for_itself() {
    let broker = Broker::start(usual).await;
    let (mqtt, (gate, _)) = (Mqtt::default(), gate(&["mqtt://*:*"]));
    let client = open(&mqtt, &gate, &broker.url()).await;
    let all: Vec<_> = (0..500)
        .map(|number| {
            let client = client.clone();
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3];
            tokio::spawn(async move {
                let payload = vec![1; 10_000];
                client.publish(format!("topic/{number}"), payload, qos).await
            })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), Ok(()));
    }
    assert_eq!(broker.connections(), 1);
    drop(client);
    let client = open(&mqtt, &gate, &broker.url()).await;
    assert_eq!(publish(&client, "a", QoS::ExactlyOnce).await, Ok(()));
    assert_eq!(broker.connections(), 1, "it was kept");
}

// proves: HI-1, HI-8
#[tokio::test]
async fn what_is_refused_or_not_understood_is_not_dialled_and_the_log_says_why() {
    let broker = Broker::start(usual).await;
    let at = broker.at;
    let mqtt = Mqtt::default();
    let (denied, misunderstood) = ("it is not permitted", "the address is not understood");
    for (allowed, address, said, logged) in [
        (
            "tcp://*:*",
            format!("mqtt://{at}"),
            denied,
            format!("mqtt.connect mqtt://{at} allow.scheme"),
        ),
        (
            "redis://*:*",
            format!("mqtts://{at}"),
            denied,
            format!("mqtt.connect mqtts://{at} allow.scheme"),
        ),
        (
            "mqtt://*:*",
            "mqtt://169.254.169.254?client_id=a".to_owned(),
            denied,
            "mqtt.connect mqtt://169.254.169.254:1883 runtime.link-local".to_owned(),
        ),
        (
            "*://*:*",
            format!("mqtt://{at},{at}"),
            misunderstood,
            "mqtt.connect several hosts address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            format!("mqtt://me:hunter2@{at}"),
            misunderstood,
            "mqtt.connect a user, which is an argument of its own address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            format!("ws://{at}"),
            misunderstood,
            "mqtt.connect a WebSocket address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            format!("mqtt://{at}?client_id=a&tls=off"),
            misunderstood,
            "mqtt.connect a parameter that is not client_id address.invalid".to_owned(),
        ),
    ] {
        let (gate, events) = gate(&[allowed]);
        assert_eq!(not_opened(&mqtt, &gate, &address).await, said, "{address}");
        assert_eq!(*events.0.lock().unwrap(), [logged], "{address}");
    }
    let (gate, events) = gate(&["*://*:*"]);
    let wanted = Wanted {
        password: "hunter2".to_owned(),
        ..to(&broker.url())
    };
    let found = Instance::of(&gate).opens(&mqtt, wanted).await.err();
    assert_eq!(found.as_deref(), Some(misunderstood));
    assert_eq!(
        *events.0.lock().unwrap(),
        ["mqtt.connect a password without a user address.invalid"]
    );
    assert_eq!(broker.connections(), 0);
}

// proves: HI-4
#[tokio::test]
async fn a_connection_is_used_again_by_the_next_instance_if_nothing_is_under_way() {
    let broker = Broker::start(usual).await;
    let (mqtt, (gate, events)) = (Mqtt::default(), gate(&["mqtt://*:*"]));
    for _ in 0..3 {
        let client = open(&mqtt, &gate, &broker.url()).await;
        assert_eq!(publish(&client, "a", QoS::AtLeastOnce).await, Ok(()));
        assert!(publish(&client, "", QoS::AtLeastOnce).await.is_err());
    }
    assert_eq!(broker.connections(), 1);
    let judged = events.0.lock().unwrap().len();
    assert_eq!(judged, 6, "each use by its name and by its address");
    // One that was given up in the middle of a message is not used again, and the broker hears that it is left.
    let client = open(&mqtt, &gate, &broker.url()).await;
    let given_up = tokio::time::timeout(
        Duration::from_millis(50),
        publish(&client, "silent", QoS::AtLeastOnce),
    );
    assert!(given_up.await.is_err());
    drop(client);
    broker.until_ended(1).await;
    assert_eq!(broker.packets().last(), Some(&Packet::Disconnect));
    let client = open(&mqtt, &gate, &broker.url()).await;
    assert_eq!(publish(&client, "a", QoS::AtLeastOnce).await, Ok(()));
    assert_eq!(broker.connections(), 2);
    drop(client);
    let others = [
        Wanted {
            user: "me".to_owned(),
            ..to(&broker.url())
        },
        Wanted {
            keep_alive: 30,
            ..to(&broker.url())
        },
        to(&format!("{}?client_id=a", broker.url())),
    ];
    for (number, wanted) in others.into_iter().enumerate() {
        Instance::of(&gate).opens(&mqtt, wanted).await.unwrap();
        assert_eq!(
            broker.connections(),
            3 + number,
            "nobody gets somebody else's rights"
        );
    }
}

// proves: HI-4
#[tokio::test]
async fn a_connection_that_the_broker_closed_is_replaced_without_an_error() {
    let broker = Broker::start(usual).await;
    let (mqtt, (gate, _)) = (Mqtt::default(), gate(&["mqtt://*:*"]));
    for address in [broker.url(), format!("{}?client_id=a", broker.url())] {
        let client = open(&mqtt, &gate, &address).await;
        assert_eq!(
            publish(&client, "close", QoS::AtLeastOnce).await,
            refused("the connection was broken off")
        );
        assert!(publish(&client, "a", QoS::AtLeastOnce).await.is_err());
        drop(client);
        let client = open(&mqtt, &gate, &address).await;
        assert_eq!(publish(&client, "a", QoS::AtLeastOnce).await, Ok(()));
        // One that waits in the pool when the broker ends it.
        let ended = broker.ended.load(Ordering::SeqCst);
        assert_eq!(publish(&client, "close", QoS::AtMostOnce).await, Ok(()));
        drop(client);
        broker.until_ended(ended + 1).await;
        let client = open(&mqtt, &gate, &address).await;
        assert_eq!(publish(&client, "a", QoS::AtLeastOnce).await, Ok(()));
    }
}

// proves: HI-1
#[tokio::test]
async fn a_broker_that_says_more_than_it_was_asked_is_left_at_once() {
    let broker = Broker::start(usual).await;
    let (mqtt, (gate, _)) = (Mqtt::default(), gate(&["mqtt://*:*"]));
    let (unasked, malformed) = (
        "the broker sent what nobody asked for",
        "the broker does not speak MQTT 3.1.1",
    );
    for (topic, qos, why) in [
        ("large", QoS::AtLeastOnce, malformed),
        ("longer", QoS::AtLeastOnce, malformed),
        ("empty", QoS::AtLeastOnce, malformed),
        ("garbage", QoS::AtLeastOnce, malformed),
        ("large/message", QoS::AtLeastOnce, unasked),
        ("flood", QoS::AtLeastOnce, unasked),
        ("flood", QoS::ExactlyOnce, unasked),
        ("pings", QoS::AtLeastOnce, unasked),
        ("acks", QoS::ExactlyOnce, unasked),
        ("other", QoS::AtLeastOnce, unasked),
        ("step", QoS::AtLeastOnce, unasked),
        ("step", QoS::ExactlyOnce, unasked),
        ("consent", QoS::AtLeastOnce, unasked),
    ] {
        let ended = broker.ended.load(Ordering::SeqCst);
        let client = open(&mqtt, &gate, &broker.url()).await;
        assert_eq!(
            publish(&client, topic, qos).await,
            refused(why),
            "{topic} {qos:?}"
        );
        broker.until_ended(ended + 1).await;
    }
    // Of the second of two answers nobody is waiting any more, and the connection ends after the first.
    let client = open(&mqtt, &gate, &broker.url()).await;
    let found = publish(&client, "acks", QoS::AtLeastOnce).await;
    assert!(found.is_ok(), "{found:?}");
    assert_eq!(publish(&client, "a", QoS::AtLeastOnce).await, refused(unasked));
}

// proves: HI-1
#[tokio::test]
async fn a_broker_that_does_not_introduce_itself_is_an_error() {
    let (mqtt, (gate, _)) = (Mqtt::default(), gate(&["*://*:*"]));
    let says: [(Behaviour, &str); 9] = [
        (|_| Says::Closes, "the connection was broken off"),
        (
            |_| Says::Flood(unasked()),
            "the broker sent what nobody asked for",
        ),
        (
            |_| Says::Packets(vec![Packet::PingResp]),
            "the broker sent what nobody asked for",
        ),
        (
            |_| Says::Bytes(vec![0x20, 0xff, 0xff, 0xff, 0x7f]),
            "the broker does not speak MQTT 3.1.1",
        ),
        (
            |_| Says::Bytes(vec![0x20, 2, 0, 77]),
            "the broker does not speak MQTT 3.1.1",
        ),
        (
            |_| Says::Bytes(b"SSH-2.0-x\r\n".to_vec()),
            "the broker does not speak MQTT 3.1.1",
        ),
        (
            |_| Says::Bytes(vec![0x20, 2, 0, 2]),
            "the broker refuses the client identifier",
        ),
        (
            |_| Says::Bytes(vec![0x20, 2, 0, 4]),
            "the broker refuses the user or the password",
        ),
        (
            |_| Says::Bytes(vec![0x20, 2, 0, 5]),
            "the broker does not let this client in",
        ),
    ];
    for (says, why) in says {
        let broker = Broker::start(says).await;
        let wanted = Wanted {
            user: "me".to_owned(),
            password: "hunter2".to_owned(),
            ..to(&broker.url())
        };
        let found = Instance::of(&gate).opens(&mqtt, wanted).await.err().unwrap();
        assert_eq!(found, why);
    }
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    assert_eq!(
        not_opened(&mqtt, &gate, &format!("mqtt://{closed}")).await,
        "nobody listens there"
    );
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(&[0x20, 2, 0, 0]).await;
        }
    });
    let said = not_opened(&mqtt, &gate, &format!("mqtts://{at}")).await;
    assert!(said.starts_with("TLS cannot be agreed on"), "{said}");
}

// proves: HI-1
#[tokio::test(start_paused = true)]
async fn a_broker_that_says_nothing_or_half_of_it_is_given_up() {
    let broker = Broker::start(usual).await;
    let (mqtt, (gate, _)) = (Mqtt::default(), gate(&["mqtt://*:*"]));
    let silent = "the broker did not answer in time";
    for topic in ["silent", "half"] {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let client = open(&mqtt, &gate, &broker.url()).await;
            let begun = tokio::time::Instant::now();
            assert_eq!(publish(&client, topic, qos).await, refused(silent), "{topic}");
            assert_eq!(begun.elapsed().as_secs(), 60, "{topic}");
        }
    }
    for says in [
        |_: &Packet| Says::Packets(Vec::new()),
        |_: &Packet| Says::Bytes(vec![0x20, 2, 0]),
    ] {
        let broker = Broker::start(says).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(not_opened(&mqtt, &gate, &broker.url()).await, silent);
        assert_eq!(begun.elapsed().as_secs(), 10);
    }
}

// proves: HI-1
#[tokio::test(start_paused = true)]
async fn a_broker_that_takes_nothing_holds_a_bounded_number_of_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut connect = [0; 14];
        stream.read_exact(&mut connect).await.unwrap();
        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        std::future::pending::<()>().await;
    });
    let (mqtt, (gate, _)) = (Mqtt::default(), gate(&["mqtt://*:*"]));
    let client = open(&mqtt, &gate, &format!("mqtt://{at}")).await;
    let all: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                client
                    .publish("a".to_owned(), vec![0; 1_000_000], QoS::AtMostOnce)
                    .await
            })
        })
        .collect();
    let mut given_up = 0;
    for one in all {
        given_up += u32::from(one.await.unwrap() == refused("the broker did not answer in time"));
    }
    assert!(given_up > 80, "{given_up}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_is_sent_is_kept_alive() {
    let (gate, _) = gate(&["mqtt://*:*"]);
    for (keep_alive, pings) in [(0, 0), (10, 8), (65_536, 0)] {
        let (broker, mqtt) = (Broker::start(usual).await, Mqtt::default());
        let wanted = Wanted {
            keep_alive,
            ..to(&broker.url())
        };
        let client = Instance::of(&gate).opens(&mqtt, wanted).await.unwrap();
        broker.packets();
        tokio::time::sleep(Duration::from_secs(64)).await;
        assert_eq!(broker.packets(), vec![Packet::PingReq; pings], "{keep_alive}");
        assert_eq!(publish(&client, "a", QoS::AtLeastOnce).await, Ok(()));
    }
    let (broker, mqtt) = (Broker::start(usual).await, Mqtt::default());
    // Whoever sends need not ask.
    let wanted = || Wanted {
        keep_alive: 10,
        ..to(&broker.url())
    };
    let client = Instance::of(&gate).opens(&mqtt, wanted()).await.unwrap();
    broker.packets();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(publish(&client, "a", QoS::AtLeastOnce).await, Ok(()));
    }
    assert!(!broker.packets().contains(&Packet::PingReq));
    // Nor does one that waits in the pool end by the broker's patience.
    drop(client);
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert!(broker.packets().contains(&Packet::PingReq));
    let connections = broker.connections();
    Instance::of(&gate).opens(&mqtt, wanted()).await.unwrap();
    assert_eq!(broker.connections(), connections);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_pings_is_given_up() {
    let broker = Broker::start(|packet| match packet {
        Packet::Connect(_) => consents(),
        _ => Says::Packets(Vec::new()),
    })
    .await;
    let (mqtt, (gate, _)) = (Mqtt::default(), gate(&["mqtt://*:*"]));
    for keep_alive in [1, 10, 300] {
        let wanted = Wanted {
            keep_alive,
            ..to(&broker.url())
        };
        let ended = broker.ended.load(Ordering::SeqCst);
        let begun = tokio::time::Instant::now();
        let client = Instance::of(&gate).opens(&mqtt, wanted).await.unwrap();
        broker.until_ended(ended + 1).await;
        let expected = keep_alive * 3 / 4 + 60;
        let found = begun.elapsed().as_secs();
        assert!(
            (expected..=expected + 2).contains(&found),
            "{keep_alive}: {found}"
        );
        assert_eq!(
            publish(&client, "a", QoS::AtLeastOnce).await,
            refused("the broker did not answer in time")
        );
    }
}

#[tokio::test]
async fn a_component_has_as_many_connections_as_it_may() {
    let broker = Broker::start(usual).await;
    let mqtt = Mqtt::new(Some(2));
    let (gate, _) = gate(&["mqtt://*:*"]);
    let first = open(&mqtt, &gate, &broker.url()).await;
    let _second = open(&mqtt, &gate, &broker.url()).await;
    let said = "too many connections are open";
    assert_eq!(not_opened(&mqtt, &gate, &broker.url()).await, said);
    drop(first);
    let _third = open(&mqtt, &gate, &broker.url()).await;
    let ids = broker.client_ids();
    assert_eq!(ids.len(), 2, "one was used again");
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        let is_safe = id.len() <= 23 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        assert!(is_safe, "every broker takes it: {id}");
    }
}

#[tokio::test]
async fn one_connection_at_a_time_has_a_client_identifier() {
    let broker = Broker::start(usual).await;
    let (mqtt, (gate, _)) = (Arc::new(Mqtt::new(Some(2))), gate(&["mqtt://*:*"]));
    let address = format!("{}?client_id=a", broker.url());
    // Those of one instance share it, also when they ask at the same time.
    let instance = Instance::of(&gate);
    let (one, two) = tokio::join!(
        instance.opens(&mqtt, to(&address)),
        instance.opens(&mqtt, to(&address))
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    let three = instance.opens(&mqtt, to(&address)).await.unwrap();
    assert_eq!(broker.connections(), 1);
    // Another instance waits until it is free.
    let other = {
        let (mqtt, gate, address) = (Arc::clone(&mqtt), gate.clone(), address.clone());
        tokio::spawn(async move { open(&mqtt, &gate, &address).await })
    };
    drop((one, two));
    assert_eq!(publish(&three, "a", QoS::AtLeastOnce).await, Ok(()));
    assert!(!other.is_finished());
    drop(three);
    let client = other.await.unwrap();
    assert_eq!(publish(&client, "a", QoS::AtLeastOnce).await, Ok(()));
    assert_eq!(broker.connections(), 1, "it is the same one");
    // Another identifier has another connection.
    let b = open(&mqtt, &gate, &format!("{}?client_id=b", broker.url())).await;
    assert_eq!(broker.client_ids(), ["a", "b"]);
    drop(b);
    // One that is broken off is in nobody's way.
    assert!(publish(&client, "close", QoS::AtLeastOnce).await.is_err());
    let next = open(&mqtt, &gate, &address).await;
    assert_eq!(publish(&next, "a", QoS::AtLeastOnce).await, Ok(()));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_client_identifier_is_waited_for_for_a_while() {
    let broker = Broker::start(usual).await;
    let (mqtt, (gate, events)) = (Mqtt::default(), gate(&["mqtt://*:*"]));
    let address = format!("{}?client_id=a", broker.url());
    let _held = open(&mqtt, &gate, &address).await;
    let begun = tokio::time::Instant::now();
    let said = not_opened(&mqtt, &gate, &address).await;
    assert_eq!(said, "too many connections are open");
    assert_eq!(begun.elapsed().as_secs(), 5);
    // Nobody is judged for what he does not get.
    assert_eq!(events.0.lock().unwrap().len(), 2);
}
