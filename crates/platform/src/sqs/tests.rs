//! A queue of the test's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outport_egress::{Dialer, Egress};
use outport_policy::Location;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::listening::NotListening;

/// Messages, each in a group, and what was asked of the queue.
#[derive(Default)]
struct Fake {
    /// `BODY` or `BODY@GROUP`; given out in order, once.
    messages: Vec<String>,
    deleted: Vec<String>,
    asked: Vec<(String, Value)>,
    connections: usize,
    /// What it answers instead, and then closes.
    instead: Option<String>,
    closes: bool,
}

type Shared = Arc<Mutex<Fake>>;

async fn serve(messages: &[&str]) -> (SocketAddr, Shared) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let fake = Arc::new(Mutex::new(Fake {
        messages: messages.iter().map(|&text| text.to_owned()).collect(),
        ..Fake::default()
    }));
    let shared = Arc::clone(&fake);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.lock().unwrap().connections += 1;
            tokio::spawn(answer(stream, Arc::clone(&shared)));
        }
    });
    (at, fake)
}

async fn answer(mut stream: TcpStream, fake: Shared) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        let whole = text.split_once("\r\n\r\n").filter(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            body.len() == length.unwrap().parse::<usize>().unwrap()
        });
        let Some((head, body)) = whole else {
            if stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
            continue;
        };
        let action = head
            .lines()
            .find_map(|line| line.strip_prefix("x-amz-target: AmazonSQS."));
        assert!(
            head.contains("authorization: AWS4-HMAC-SHA256 Credential=AKID/"),
            "{head}"
        );
        let answer = deed(
            &mut fake.lock().unwrap(),
            action.unwrap(),
            serde_json::from_str(body).unwrap(),
        );
        read.clear();
        let Some(said) = answer else {
            // As a queue does in which there is nothing.
            std::future::pending::<()>().await;
            return None;
        };
        stream.write_all(said.as_bytes()).await.ok()?;
        if fake.lock().unwrap().closes {
            return None;
        }
    }
}

fn deed(fake: &mut Fake, action: &str, wanted: Value) -> Option<String> {
    fake.asked.push((action.to_owned(), wanted.clone()));
    if let Some(instead) = &fake.instead {
        return Some(instead.clone());
    }
    let body = match action {
        "GetQueueAttributes" => json!({"Attributes": {"VisibilityTimeout": "60"}}),
        "ReceiveMessage" => {
            let most = usize::try_from(wanted["MaxNumberOfMessages"].as_u64().unwrap()).unwrap();
            let number = most.min(fake.messages.len());
            if number == 0 {
                return None;
            }
            let messages = fake.messages.drain(..number).map(|text| {
                let (body, group) = text.split_once('@').unwrap_or((&text, ""));
                json!({"Body": body, "ReceiptHandle": text, "Attributes": {"MessageGroupId": group}})
            });
            json!({"Messages": messages.collect::<Vec<_>>()})
        }
        "DeleteMessage" => {
            fake.deleted
                .push(wanted["ReceiptHandle"].as_str().unwrap().to_owned());
            return Some("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned());
        }
        _ => json!({}),
    };
    Some(ok(&body.to_string()))
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn queue(at: SocketAddr, name: &str) -> (Arc<Queue>, Dialer) {
    let endpoint = Endpoint::new(&format!("http://{at}"), Location::Code).unwrap();
    let egress = Egress::builder().build().unwrap();
    let dialer = endpoint.dialer(&egress, "trigger.sqs").unwrap();
    let access = Access {
        credentials: Some(Credentials::new("AKID", "hunter2-secret", Some("hunter2-token"))),
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint),
    };
    let url = format!("https://queues.example.com/1/{name}");
    let queue = Queue::new(&url, QueueOptions::default(), &access).unwrap();
    (Arc::new(queue), dialer)
}

async fn subscribe(at: SocketAddr, name: &str) -> Subscription {
    let (queue, dialer) = queue(at, name);
    queue.subscribe(&dialer).await.unwrap()
}

async fn next(subscription: &mut Subscription) -> (u64, String) {
    let (number, message) = subscription.next().await.unwrap();
    (number, message.body.unwrap())
}

async fn has_none(subscription: &mut Subscription) {
    let next = timeout(Duration::from_millis(50), subscription.next()).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test]
async fn a_message_is_deleted_when_its_component_says_so() {
    let (at, fake) = serve(&["one", "two", "three"]).await;
    let mut subscription = subscribe(at, "orders").await;
    let (one, text) = next(&mut subscription).await;
    assert_eq!(text, "one");
    let (two, text) = next(&mut subscription).await;
    assert_eq!(text, "two");
    let (three, text) = next(&mut subscription).await;
    assert_eq!(text, "three");
    // Whoever waits for the next one is dropped, and what is asked meanwhile goes on.
    has_none(&mut subscription).await;
    subscription.settle(two, Settled::Delete).await.unwrap();
    subscription.settle(one, Settled::Leave).await.unwrap();
    subscription.settle(three, Settled::GiveBack).await.unwrap();
    has_none(&mut subscription).await;
    let fake = fake.lock().unwrap();
    assert_eq!(fake.deleted, ["two"]);
    let asked: Vec<&str> = fake.asked.iter().map(|(action, _)| &**action).collect();
    assert_eq!(
        asked,
        [
            "GetQueueAttributes",
            "ReceiveMessage",
            "ReceiveMessage",
            "DeleteMessage",
            "ChangeMessageVisibility"
        ]
    );
    let first = &fake.asked[1].1;
    assert_eq!(first["QueueUrl"], "https://queues.example.com/1/orders");
    assert_eq!(
        (&first["MaxNumberOfMessages"], &first["WaitTimeSeconds"]),
        (&json!(10), &json!(2))
    );
    assert_eq!(fake.connections, 2, "one waits, one tells");
}

#[tokio::test]
async fn messages_of_a_group_come_one_after_the_other() {
    let (at, fake) = serve(&["a1@a", "a2@a", "b1@b", "b2@b", "a3@a"]).await;
    let mut subscription = subscribe(at, "orders.fifo").await;
    let (a1, text) = next(&mut subscription).await;
    assert_eq!(text, "a1");
    let (b1, text) = next(&mut subscription).await;
    assert_eq!(text, "b1", "what is of another group does not wait");
    has_none(&mut subscription).await;
    subscription.settle(a1, Settled::Delete).await.unwrap();
    let (a2, text) = next(&mut subscription).await;
    assert_eq!(text, "a2");
    has_none(&mut subscription).await;
    subscription.settle(b1, Settled::Leave).await.unwrap();
    has_none(&mut subscription).await;
    subscription.settle(a2, Settled::Delete).await.unwrap();
    let (_, text) = next(&mut subscription).await;
    assert_eq!(text, "a3", "b2 comes again behind b1");
    let wanted = fake.lock().unwrap().asked[1].1["MessageSystemAttributeNames"].clone();
    assert_eq!(wanted, json!(["MessageGroupId"]));
}

#[tokio::test(start_paused = true)]
async fn what_is_worked_on_is_held_for_longer_and_what_is_not_is_given_back() {
    let (at, fake) = serve(&["one", "two"]).await;
    let mut subscription = subscribe(at, "orders").await;
    let (number, _) = next(&mut subscription).await;
    let worked = timeout(Duration::from_secs(50), subscription.attend());
    assert!(worked.await.is_err(), "it does not end");
    subscription.settle(number, Settled::Delete).await.unwrap();
    subscription.leave().await;
    let fake = fake.lock().unwrap();
    let held: Vec<HashSet<String>> = fake
        .asked
        .iter()
        .filter(|(action, _)| action == "ChangeMessageVisibilityBatch")
        .map(|(_, wanted)| {
            let entries = wanted["Entries"].as_array().unwrap().iter();
            entries
                .map(|own| format!("{} {}", own["ReceiptHandle"], own["VisibilityTimeout"]))
                .collect()
        })
        .collect();
    let set = |texts: &[&str]| -> HashSet<String> { texts.iter().map(|&text| text.to_owned()).collect() };
    let both = set(&["\"one\" 60", "\"two\" 60"]);
    assert_eq!(held, [both.clone(), both, set(&["\"two\" 0"])]);
}

#[tokio::test]
async fn a_message_that_is_not_deleted_takes_no_other_with_it() {
    let (at, fake) = serve(&["one", "two"]).await;
    let mut subscription = subscribe(at, "orders").await;
    let (one, _) = next(&mut subscription).await;
    let refused = r#"{"__type":"ReceiptHandleIsInvalid"}"#;
    let length = refused.len();
    fake.lock().unwrap().instead = Some(format!(
        "HTTP/1.1 400 No\r\nContent-Length: {length}\r\n\r\n{refused}"
    ));
    let settled = subscription.settle(one, Settled::Delete).await;
    let why = "the server refuses: ReceiptHandleIsInvalid".to_owned();
    assert_eq!(settled, Err(NotSettled::Refused(why)));
    fake.lock().unwrap().instead = None;
    let (two, text) = next(&mut subscription).await;
    assert_eq!(text, "two");
    subscription.settle(two, Settled::Delete).await.unwrap();
    assert_eq!(fake.lock().unwrap().deleted, ["two"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_wait_for_messages_is_asked_no_more_often() {
    let (at, fake) = serve(&[]).await;
    let mut subscription = subscribe(at, "orders").await;
    fake.lock().unwrap().instead = Some(ok("{}"));
    let next = timeout(Duration::from_secs(9), subscription.next()).await;
    assert!(next.is_err(), "{next:?}");
    let asked = fake.lock().unwrap().asked.len() - 1;
    assert!((4..=5).contains(&asked), "each 2 s, and not {asked} times");
}

#[tokio::test]
async fn a_server_that_keeps_to_nothing_is_given_up_and_secrets_are_not_said() {
    let many = format!("{{\"Messages\":[{}]}}", ["{}"; 11].join(","));
    let refused = r#"{"__type":"com.amazonaws.sqs#Invalid.hunter2-token","message":"no: hunter2-token and hunter2-secret of AKID/x"}"#;
    for (said, why) in [
        (ok("[1]"), "the server answers what is not of the protocol"),
        (ok(&many), "the server answers what is not of the protocol"),
        (
            "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
            "the server cannot be asked: it answered something that is not HTTP",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n".to_owned(),
            "the server cannot be asked: its answer is longer than 16 MiB",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{".to_owned(),
            "the server cannot be asked: its answer broke off",
        ),
        (
            format!(
                "HTTP/1.1 403 No\r\nContent-Length: {}\r\n\r\n{refused}",
                refused.len()
            ),
            "the server refuses: Invalid.***: no: *** and *** of ***/x",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "the server refuses: 302 Found",
        ),
    ] {
        let (at, fake) = serve(&[]).await;
        let mut subscription = subscribe(at, "orders").await;
        {
            let mut fake = fake.lock().unwrap();
            fake.instead = Some(said.clone());
            fake.closes = true;
        }
        let failed = subscription.next().await.err();
        assert_eq!(failed, Some(NotListening::Failed(why.to_owned())), "{said}");
    }
}
