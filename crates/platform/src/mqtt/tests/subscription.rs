//! Topics of brokers that say what they like.

use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, PubAck, PubComp, PubRec, PubRel, Publish, SubAck, SubscribeReasonCode,
    UnsubAck,
};

use super::broker::{Behaviour, Says, bytes_of};
use super::*;
use crate::listening::{MOST_MESSAGE, NotListening};

fn subscriber(broker: &Broker, qos: QualityOfService) -> Subscriber {
    let filter = TopicFilter::parse("a/+").unwrap();
    let who = (&*broker.url(), "me", "secret");
    Subscriber::new(who, 30, (filter, qos), ("shop-1".to_owned(), false)).unwrap()
}

async fn subscribe(gate: &Gate, subscriber: &Subscriber) -> Result<Subscription, NotListening> {
    subscriber.subscribe(&gate.open().dialer()).await
}

fn consented(qos: QoS) -> Packet {
    Packet::SubAck(SubAck::new(1, vec![SubscribeReasonCode::Success(qos)]))
}

fn message(number: u16, qos: QoS, text: &str) -> Packet {
    let mut message = Publish::new("a/b", qos, text);
    message.pkid = number;
    Packet::Publish(message)
}

/// A broker that has those packets for whoever subscribes, or takes up a session that it has not.
async fn broker(says: Behaviour) -> Broker {
    Broker::start(says).await
}

async fn until_comes(broker: &Broker, wanted: &Packet) -> Vec<Packet> {
    let mut all = Vec::new();
    loop {
        all.extend(broker.packets());
        if all.contains(wanted) {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn text(subscription: &mut Subscription) -> String {
    let message = subscription.next().await.unwrap();
    String::from_utf8(message.payload.to_vec()).unwrap()
}

// proves: HI-1
#[tokio::test]
async fn a_message_is_acknowledged_once_it_was_handed_over() {
    let broker = broker(|packet| match packet {
        Packet::Subscribe(_) => Says::Packets(vec![
            consented(QoS::AtLeastOnce),
            message(7, QoS::AtLeastOnce, "one"),
            message(0, QoS::AtMostOnce, "two"),
            message(8, QoS::ExactlyOnce, "three"),
        ]),
        Packet::PubRec(received) => Says::Packets(vec![Packet::PubRel(PubRel::new(received.pkid))]),
        packet => usual(packet),
    })
    .await;
    let (gate, events) = gate(&["mqtt://*:*"]);
    let subscriber = subscriber(&broker, QualityOfService::AtLeastOnce);
    let mut subscription = subscribe(&gate, &subscriber).await.unwrap();
    assert_eq!(text(&mut subscription).await, "one");
    let early = broker.packets();
    let [Packet::Connect(connect), Packet::Subscribe(subscribe)] = &*early else {
        panic!("{early:?}")
    };
    assert_eq!((&*connect.client_id, connect.clean_session), ("shop-1", false));
    assert_eq!(
        (&*subscribe.filters[0].path, subscribe.filters[0].qos),
        ("a/+", QoS::AtLeastOnce)
    );
    subscription.settle().await.unwrap();
    until_comes(&broker, &Packet::PubAck(PubAck::new(7))).await;
    assert_eq!(text(&mut subscription).await, "two");
    subscription.settle().await.unwrap();
    assert_eq!(text(&mut subscription).await, "three");
    subscription.settle().await.unwrap();
    until_comes(&broker, &Packet::PubRec(PubRec::new(8))).await;
    let (completed, nothing) = (Packet::PubComp(PubComp::new(8)), subscription.next());
    tokio::select! {
        message = nothing => panic!("{message:?}"),
        _ = until_comes(&broker, &completed) => {}
    }
    let at = broker.at;
    assert_eq!(
        *events.0.lock().unwrap(),
        [
            format!("mqtt.connect mqtt://{at} allow"),
            format!("mqtt.dial {at} allow")
        ]
    );
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_exactly_once_is_kept() {
    // It has the session from the second connection on, and sends all that it has once more.
    fn says(packet: &Packet) -> Says {
        let again = |number, text| {
            let Packet::Publish(mut message) = message(number, QoS::ExactlyOnce, text) else {
                unreachable!("it is one")
            };
            message.dup = true;
            Packet::Publish(message)
        };
        match packet {
            Packet::Connect(connect) if connect.keep_alive == 30 => {
                static CONNECTIONS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
                let is_first = CONNECTIONS.fetch_add(1, Ordering::SeqCst) == 0;
                let consent = Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, !is_first));
                if is_first {
                    Says::Packets(vec![consent])
                } else {
                    Says::Packets(vec![
                        consent,
                        again(7, "one"),
                        again(8, "two"),
                        Packet::PubRel(PubRel::new(7)),
                        message(7, QoS::ExactlyOnce, "three"),
                    ])
                }
            }
            Packet::Subscribe(_) => Says::Packets(vec![
                consented(QoS::ExactlyOnce),
                message(7, QoS::ExactlyOnce, "one"),
                message(8, QoS::ExactlyOnce, "two"),
            ]),
            Packet::PubRec(_) => Says::Packets(Vec::new()),
            packet => usual(packet),
        }
    }
    let broker = broker(says).await;
    let (gate, _) = gate(&["mqtt://*:*"]);
    let subscriber = subscriber(&broker, QualityOfService::ExactlyOnce);
    let mut subscription = subscribe(&gate, &subscriber).await.unwrap();
    assert_eq!(text(&mut subscription).await, "one");
    subscription.settle().await.unwrap();
    assert_eq!(text(&mut subscription).await, "two");
    drop(subscription);
    broker.packets();
    let mut subscription = subscribe(&gate, &subscriber).await.unwrap();
    let message = subscription.next().await.unwrap();
    assert_eq!((&*message.payload, message.is_repeated), (&b"two"[..], true));
    subscription.settle().await.unwrap();
    assert_eq!(text(&mut subscription).await, "three");
    let packets = until_comes(&broker, &Packet::PubRec(PubRec::new(7))).await;
    let subscribes = packets
        .iter()
        .any(|packet| matches!(packet, Packet::Subscribe(_)));
    assert!(!subscribes, "the session has its subscription: {packets:?}");
}

// proves: HI-1, HI-8
#[tokio::test]
async fn a_topic_that_may_not_be_listened_to_is_not_connected_to() {
    let broker = broker(usual).await;
    let (gate, events) = gate(&["tcp://*:*", "redis://*:*"]);
    let refused = subscribe(&gate, &subscriber(&broker, QualityOfService::AtMostOnce)).await;
    assert_eq!(refused.err(), Some(NotListening::Denied));
    assert_eq!(broker.connections(), 0);
    let line = format!("mqtt.connect mqtt://{} allow.scheme", broker.at);
    assert_eq!(*events.0.lock().unwrap(), [line]);
}

// proves: HI-1, ISO-3
#[tokio::test]
async fn a_broker_that_keeps_to_nothing_loses_its_client() {
    let malformed = "the broker does not speak MQTT 3.1.1";
    let unasked = "the broker sent what nobody asked for";
    let consent = || bytes_of(&consented(QoS::AtLeastOnce)).to_vec();
    let failure = SubAck::new(1, vec![SubscribeReasonCode::Failure]);
    for (says, why) in [
        (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), unasked),
        (vec![0x32, 4, 0, 1, b'a', 0, 0], malformed),
        (vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x7f], malformed),
        (vec![0x36, 5, 0, 1, b'a', 0, 1], malformed),
        (vec![0x90, 0xff, 0xff, 0x7f], malformed),
        (bytes_of(&Packet::PingResp).to_vec(), unasked),
        ([consent(), consent()].concat(), unasked),
        (bytes_of(&Packet::UnsubAck(UnsubAck::new(1))).to_vec(), unasked),
        (
            bytes_of(&Packet::SubAck(failure)).to_vec(),
            "the broker does not let this client listen to the topic",
        ),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broker = listener.local_addr().unwrap();
        let said = says.clone();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1000];
            let _ = stream.read(&mut buffer).await;
            let consent = Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false));
            let _ = stream.write_all(&bytes_of(&consent)).await;
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(&said).await;
            let _ = stream.read(&mut buffer).await;
        });
        let topics = (TopicFilter::parse("a/+").unwrap(), QualityOfService::AtLeastOnce);
        let address = format!("mqtt://{broker}");
        let subscriber = Subscriber::new((&address, "", ""), 30, topics, ("shop".to_owned(), true)).unwrap();
        let (gate, _) = gate(&["mqtt://*:*"]);
        let refused = subscribe(&gate, &subscriber).await.err();
        assert_eq!(refused, Some(NotListening::Failed(why.to_owned())), "{says:x?}");
    }
}

// proves: ISO-3
#[tokio::test]
async fn a_message_that_is_too_long_or_of_another_topic_is_dropped_and_acknowledged() {
    let broker = broker(|packet| match packet {
        Packet::Subscribe(_) => {
            let mut long = Publish::new("a/b", QoS::AtLeastOnce, vec![0; MOST_MESSAGE + 65_536]);
            long.pkid = 5;
            let mut other = Publish::new("b/b", QoS::AtLeastOnce, "other");
            other.pkid = 6;
            let packets = [
                consented(QoS::AtLeastOnce),
                Packet::Publish(long),
                Packet::Publish(other),
                message(7, QoS::AtLeastOnce, "one"),
            ];
            Says::Bytes(
                packets
                    .iter()
                    .flat_map(|packet| bytes_of(packet).to_vec())
                    .collect(),
            )
        }
        packet => usual(packet),
    })
    .await;
    let (gate, _) = gate(&["mqtt://*:*"]);
    let subscriber = subscriber(&broker, QualityOfService::AtLeastOnce);
    let mut subscription = subscribe(&gate, &subscriber).await.unwrap();
    assert_eq!(text(&mut subscription).await, "one");
    let most = MOST_MESSAGE / 4;
    assert!(
        subscription.held() < most,
        "{} bytes are kept",
        subscription.held()
    );
    subscription.settle().await.unwrap();
    let packets = until_comes(&broker, &Packet::PubAck(PubAck::new(7))).await;
    let acks: Vec<u16> = packets
        .iter()
        .filter_map(|packet| match packet {
            Packet::PubAck(ack) => Some(ack.pkid),
            _ => None,
        })
        .collect();
    assert_eq!(acks, [5, 6, 7]);
}

// proves: ISO-3
#[tokio::test]
async fn a_flood_waits_with_the_broker() {
    let broker = broker(|packet| match packet {
        Packet::Subscribe(_) => Says::Flood(message(0, QoS::AtMostOnce, &"x".repeat(10_000))),
        packet => usual(packet),
    })
    .await;
    let (gate, _) = gate(&["mqtt://*:*"]);
    let subscriber = subscriber(&broker, QualityOfService::AtMostOnce);
    let mut subscription = subscribe(&gate, &subscriber).await.unwrap();
    for _ in 0..1000 {
        subscription.next().await.unwrap();
        subscription.settle().await.unwrap();
        assert!(
            subscription.held() < 100_000,
            "{} bytes are kept",
            subscription.held()
        );
    }
}

// proves: ISO-3
#[tokio::test]
async fn a_broker_that_wants_answers_and_takes_none_costs_no_memory() {
    let broker = broker(|packet| match packet {
        Packet::Subscribe(_) => Says::Flood(Packet::PubRel(PubRel::new(9))),
        packet => usual(packet),
    })
    .await;
    let (gate, _) = gate(&["mqtt://*:*"]);
    let subscriber = subscriber(&broker, QualityOfService::AtMostOnce);
    let dialer = gate.open().dialer();
    // It never consents, and never reads: after a while nothing moves any more.
    let waiting = tokio::time::timeout(Duration::from_millis(300), subscriber.subscribe(&dialer));
    assert!(waiting.await.is_err(), "it is still waited for");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_alive_while_a_message_is_worked_on() {
    let broker = broker(|packet| match packet {
        Packet::Subscribe(_) => Says::Packets(vec![
            consented(QoS::AtLeastOnce),
            message(7, QoS::AtLeastOnce, "one"),
        ]),
        packet => usual(packet),
    })
    .await;
    let (gate, _) = gate(&["mqtt://*:*"]);
    let subscriber = subscriber(&broker, QualityOfService::AtLeastOnce);
    let mut subscription = subscribe(&gate, &subscriber).await.unwrap();
    assert_eq!(text(&mut subscription).await, "one");
    let worked = tokio::time::timeout(Duration::from_secs(300), subscription.attend());
    assert!(worked.await.is_err(), "it is not lost");
    subscription.settle().await.unwrap();
    let idle = tokio::time::timeout(Duration::from_millis(100), subscription.next());
    assert!(idle.await.is_err(), "nor is it lost then");
    let pings = broker
        .packets()
        .iter()
        .filter(|packet| **packet == Packet::PingReq)
        .count();
    assert!((12..=15).contains(&pings), "each 22.5 s of 300 s: {pings}");
}

#[tokio::test]
async fn whoever_will_not_come_back_unsubscribes() {
    for (is_kept, unsubscribes) in [(false, true), (true, false)] {
        let broker = broker(|packet| match packet {
            Packet::Subscribe(_) => Says::Packets(vec![consented(QoS::AtLeastOnce)]),
            Packet::Unsubscribe(_) => Says::Packets(vec![
                message(3, QoS::AtLeastOnce, "late"),
                Packet::UnsubAck(UnsubAck::new(1)),
            ]),
            packet => usual(packet),
        })
        .await;
        let (gate, _) = gate(&["mqtt://*:*"]);
        let topics = (TopicFilter::parse("a/+").unwrap(), QualityOfService::AtLeastOnce);
        let own = ("shop".to_owned(), is_kept);
        let subscriber = Subscriber::new((&broker.url(), "", ""), 30, topics, own).unwrap();
        let subscription = subscribe(&gate, &subscriber).await.unwrap();
        subscription.leave().await;
        let packets = until_comes(&broker, &Packet::Disconnect).await;
        let found = packets
            .iter()
            .any(|packet| matches!(packet, Packet::Unsubscribe(_)));
        assert_eq!(found, unsubscribes);
        assert!(
            !packets.contains(&Packet::PubAck(PubAck::new(3))),
            "it was nobody's"
        );
    }
}
