//! Brokers that do not keep to the protocol.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::broker::{Behaviour, Says, consents, unasked};
use super::*;

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
            "the broker does not let this client in: perhaps the user or the password is wrong",
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
