//! What is said to a broker, and what comes of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod broker;
mod hostile;
mod subscription;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outport_egress::{AuditEvent, AuditSink, Egress, Gate};
use outport_policy::{AllowList, Entry, Location};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::broker::{Broker, usual};
use super::*;
use crate::told::Told;

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
            "mqtt.connect an address with several hosts address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            format!("mqtt://me:hunter2@{at}"),
            misunderstood,
            "mqtt.connect an address with a user, which is an argument of its own address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            format!("ws://{at}"),
            misunderstood,
            "mqtt.connect an address with a WebSocket address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            format!("mqtt://{at}?client_id=a&tls=off"),
            misunderstood,
            "mqtt.connect an address with a parameter that is not client_id address.invalid".to_owned(),
        ),
    ] {
        let (gate, events) = gate(&[allowed]);
        let found = not_opened(&mqtt, &gate, &address).await;
        assert!(found.starts_with(said), "{address}: {found}");
        assert_eq!(*events.0.lock().unwrap(), [logged], "{address}");
    }
    let (gate, events) = gate(&["*://*:*"]);
    let wanted = Wanted {
        password: "hunter2".to_owned(),
        ..to(&broker.url())
    };
    let found = Instance::of(&gate).opens(&mqtt, wanted).await.err();
    assert!(found.is_some_and(|found| found.starts_with(misunderstood)));
    assert_eq!(
        *events.0.lock().unwrap(),
        ["mqtt.connect an address with a password without a user address.invalid"]
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

// proves: RSN-6, HI-1
#[tokio::test]
async fn what_is_allowed_and_fails_is_told_to_the_operator() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        // CONNACK: not authorized.
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(&[0x20, 2, 0, 5]).await;
            tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
        }
    });
    let (gate, told) = Told::gate("mqtt://*:*");
    not_opened(&Mqtt::default(), &gate, &format!("mqtt://{at}")).await;
    let expected = "failed [server-refused] it is allowed, but the broker does not let this client in: perhaps it \
                    wants a user and a password";
    assert_eq!(told.take(), [expected]);
    not_opened(&Mqtt::default(), &gate, &format!("mqtts://{at}")).await;
    let lines = told.take();
    assert!(
        lines.len() == 1 && lines[0].starts_with("failed [tls-protocol-error] it is allowed, but TLS"),
        "{lines:?}"
    );
}
