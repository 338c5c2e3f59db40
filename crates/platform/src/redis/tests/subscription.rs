//! Channels of servers that say what they like.

use super::*;
use crate::listening::NotListening;
use crate::redis::{Subscriber, Subscription};

fn published(text: &str) -> String {
    format!(
        "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n${}\r\n{text}\r\n",
        text.len()
    )
}

const SUBSCRIBED: &str = "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n";

async fn subscribe(gate: &Gate, address: &str) -> Result<Subscription, NotListening> {
    let subscriber = Subscriber::new(address, "news").unwrap();
    subscriber.subscribe(&gate.open().dialer()).await
}

/// The messages until the connection is lost, and why it is.
async fn heard(mut subscription: Subscription) -> (Vec<Vec<u8>>, String) {
    let mut messages = Vec::new();
    loop {
        match subscription.next().await {
            Ok(message) => messages.push(message.to_vec()),
            Err(why) => return (messages, why.to_string()),
        }
    }
}

// proves: HI-1
#[tokio::test]
async fn messages_come_in_order_from_a_server_that_has_let_its_client_in() {
    let server = Server::start(|command| {
        let answer = match command[0].as_str() {
            "SUBSCRIBE" => format!("{SUBSCRIBED}{}{}", published("one"), published("")),
            "PING" => String::new(),
            _ => "+OK\r\n".to_owned(),
        };
        Some(answer.into_bytes())
    })
    .await;
    let (gate, events) = gate(&["redis://*:*"]);
    let address = format!("redis://me:secret@{}/2", server.at);
    let mut subscription = subscribe(&gate, &address).await.unwrap();
    assert_eq!(&*subscription.next().await.unwrap(), b"one");
    assert_eq!(&*subscription.next().await.unwrap(), b"");
    assert_eq!(
        server.commands(),
        ["AUTH me secret", "SELECT 2", "SUBSCRIBE news"]
    );
    let at = server.at;
    assert_eq!(
        *events.0.lock().unwrap(),
        [
            format!("redis.connect redis://{at} allow"),
            format!("redis.dial {at} allow")
        ]
    );
}

// proves: HI-1, HI-8
#[tokio::test]
async fn a_channel_that_may_not_be_listened_to_is_not_connected_to() {
    let server = Server::start(|_| Some(SUBSCRIBED.as_bytes().to_vec())).await;
    let (gate, events) = gate(&["tcp://*:*", "mqtt://*:*"]);
    let refused = subscribe(&gate, &server.url()).await.err();
    assert_eq!(refused, Some(NotListening::Denied));
    assert_eq!(server.connections(), 0);
    let line = format!("redis.connect redis://{} allow.scheme", server.at);
    assert_eq!(*events.0.lock().unwrap(), [line]);
}

#[tokio::test]
async fn what_a_server_refuses_is_said_and_a_password_is_not() {
    let server = Server::start(|command| {
        let said = format!("-ERR unknown command, beginning with {}\r\n", command.join(" "));
        Some(said.into_bytes())
    })
    .await;
    let (gate, told) = Told::gate("redis://*:*");
    let address = format!("redis://:correct-horse@{}", server.at);
    let Err(NotListening::Failed(why)) = subscribe(&gate, &address).await else {
        panic!("it has let its client in")
    };
    assert!(why.contains("unknown command"), "{why}");
    assert!(!why.contains("correct"), "{why}");
    let told = told.take();
    assert!(told[0].contains("server-refused"), "{told:?}");
    assert!(!told[0].contains("correct"), "{told:?}");
}

// proves: HI-1, ISO-3
#[tokio::test]
async fn a_server_that_keeps_to_nothing_loses_its_client_and_costs_no_memory() {
    for (said, messages, why) in [
        (
            "HTTP/1.1 400 Bad Request\r\n".to_owned(),
            0,
            "the server sent what is not of the protocol",
        ),
        (
            published("one") + "*3\r\n$7\r\nmessage\r\n*2\r\n",
            1,
            "the server sent what is not of the protocol",
        ),
        (
            published("one") + "$1073741824\r\n",
            1,
            "the server sent what is not of the protocol",
        ),
        (
            "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$9223372036854775807\r\nabc".to_owned(),
            0,
            "the server sent what is not of the protocol",
        ),
        (
            published("one") + "*3\r\n$7\r\nmessage\r\n$5\r\nother\r\n$2\r\nhi\r\n",
            1,
            "the server sent a message of another channel",
        ),
        (
            published("one") + "-NOAUTH you were hunter2pass, hunter2p\r\n",
            1,
            "the server says: NOAUTH you were ***, ***",
        ),
        (
            published("one") + "-MOVED 1 127.0.0.1:1\r\n",
            1,
            "the server says: MOVED 1 127.0.0.1:1",
        ),
        (
            published("one") + &published("two") + "*3\r\n$7\r\nmess",
            2,
            "the connection was broken off",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let shown = said.clone();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 100]).await;
            let _ = stream.write_all(b"+OK\r\n").await;
            let _ = stream.read(&mut [0; 100]).await;
            let _ = stream.write_all((SUBSCRIBED.to_owned() + &said).as_bytes()).await;
        });
        let (gate, _) = gate(&["redis://*:*"]);
        let subscription = subscribe(&gate, &format!("redis://:hunter2pass@{at}"))
            .await
            .unwrap();
        let heard = heard(subscription).await;
        assert_eq!((heard.0.len(), &*heard.1), (messages, why), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_any_more_is_asked_and_then_left() {
    let server = Server::start(|command| match command[0].as_str() {
        "SUBSCRIBE" => Some(SUBSCRIBED.as_bytes().to_vec()),
        _ => None,
    })
    .await;
    let (gate, _) = gate(&["redis://*:*"]);
    let subscription = subscribe(&gate, &server.url()).await.unwrap();
    let (messages, why) = heard(subscription).await;
    assert_eq!((messages.len(), &*why), (0, "the server did not answer in time"));
}
