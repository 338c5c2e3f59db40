//! Connections to servers that answer as they like, behind a real gate.

mod subscription;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use outport_egress::{AuditEvent, AuditSink, Egress, Gate};
use outport_policy::{AllowList, Entry, Location};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::commands::{Answer, Argument};
use super::connection::Failure;
use super::*;
use crate::told::Told;

/// What a server says to a command; nothing, and it says no more.
type Says = fn(&[String]) -> Option<Vec<u8>>;

/// A server, and what came to it.
#[derive(Clone)]
struct Server {
    at: SocketAddr,
    connections: Arc<AtomicUsize>,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            at: listener.local_addr().unwrap(),
            connections: Arc::default(),
            commands: Arc::default(),
        };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.connections.fetch_add(1, Ordering::Relaxed);
                let own = own.clone();
                tokio::spawn(async move { own.serve(BufReader::new(stream), says).await });
            }
        });
        server
    }

    async fn serve(&self, mut stream: BufReader<tokio::net::TcpStream>, says: Says) -> Option<()> {
        loop {
            let number: usize = line(&mut stream).await?.strip_prefix('*')?.parse().ok()?;
            let mut command = Vec::new();
            for _ in 0..number {
                let length: usize = line(&mut stream).await?.strip_prefix('$')?.parse().ok()?;
                let mut word = vec![0; length + 2];
                stream.read_exact(&mut word).await.ok()?;
                command.push(String::from_utf8_lossy(&word[..length]).into_owned());
            }
            self.commands.lock().unwrap().push(command.join(" "));
            match says(&command) {
                Some(answer) if answer.is_empty() => return None,
                Some(answer) => stream.write_all(&answer).await.ok()?,
                None => std::future::pending().await,
            }
        }
    }

    fn url(&self) -> String {
        format!("redis://{}", self.at)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().drain(..).collect()
    }
}

async fn line(stream: &mut BufReader<tokio::net::TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    Some(line.trim_end().to_owned())
}

fn usual(command: &[String]) -> Option<Vec<u8>> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let answer: &[u8] = match &*words {
        ["GET", "nothing"] => b"$-1\r\n",
        ["GET", "bytes"] => b"$4\r\n\x00\r\n\xff\r\n",
        ["GET", "set"] => b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        ["GET", "elsewhere"] => b"-MOVED 3999 127.0.0.1:1\r\n",
        ["GET", "close"] => b"",
        ["GET", "large"] => b"$1073741824\r\n",
        ["GET", "many"] => b"*2147483647\r\n",
        ["GET", "silent"] => return None,
        ["GET", "half"] => b"$100\r\nabc",
        ["GET", _] => b"$5\r\nvalue\r\n",
        ["SET", ..] | ["AUTH", ..] | ["SELECT" | "select", _] => b"+OK\r\n",
        ["INCR", "text"] => b"-ERR value is not an integer or out of range\r\n",
        ["INCR", _] => b":7\r\n",
        ["DEL", keys @ ..] => return Some(format!(":{}\r\n", keys.len()).into_bytes()),
        ["SADD" | "SREM", _, values @ ..] => return Some(format!(":{}\r\n", values.len()).into_bytes()),
        ["SMEMBERS", "bytes"] => b"*1\r\n$1\r\n\xff\r\n",
        ["SMEMBERS", _] => b"*2\r\n$1\r\na\r\n$0\r\n\r\n",
        ["PUBLISH", ..] => b":0\r\n",
        ["ECHO", ..] => b"*4\r\n+one\r\n:2\r\n*1\r\n$5\r\nthree\r\n$-1\r\n",
        _ => b"-ERR unknown command\r\n",
    };
    Some(answer.to_vec())
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

async fn open(redis: &Redis, gate: &Gate, address: &str) -> Client {
    let dialer = gate.open().dialer();
    match redis.open(&dialer, address).await {
        Ok(client) => client,
        Err(why) => panic!("{address}: {}", shown(&why)),
    }
}

fn shown(why: &NotOpened) -> String {
    match why {
        NotOpened::Denied | NotOpened::Address(_) => "denied".to_owned(),
        NotOpened::TooMany => "too many".to_owned(),
        NotOpened::Failed(_) | NotOpened::NotIntroduced(_) => why.to_string(),
    }
}

async fn not_opened(redis: &Redis, gate: &Gate, address: &str) -> String {
    let dialer = gate.open().dialer();
    redis
        .open(&dialer, address)
        .await
        .err()
        .map_or("opened".to_owned(), |why| shown(&why))
}

fn other<T>(why: &str) -> Result<T, Failure> {
    Err(Failure::Other(why.to_owned()))
}

#[tokio::test]
async fn each_command_says_what_the_server_answers_in_its_own_type() {
    let server = Server::start(usual).await;
    let (redis, (gate, _)) = (Redis::default(), gate(&["redis://*:*"]));
    let client = open(&redis, &gate, &server.url()).await;
    assert_eq!(client.get("a").await, Ok(Some(b"value".to_vec())));
    assert_eq!(client.get("nothing").await, Ok(None));
    assert_eq!(client.get("bytes").await, Ok(Some(b"\x00\r\n\xff".to_vec())));
    assert_eq!(client.get("set").await, Err(Failure::Type));
    assert_eq!(client.set("a", b"\xff").await, Ok(()));
    assert_eq!(client.incr("a").await, Ok(7));
    assert_eq!(client.incr("text").await, Err(Failure::Type));
    let words = ["a".to_owned(), "b c".to_owned()];
    assert_eq!(client.del(&words).await, Ok(2));
    assert_eq!(client.sadd("s", &words).await, Ok(2));
    assert_eq!(client.srem("s", &words).await, Ok(2));
    assert_eq!(
        client.smembers("s").await,
        Ok(vec!["a".to_owned(), String::new()])
    );
    assert_eq!(client.smembers("bytes").await, Err(Failure::Type));
    assert_eq!(client.publish("c", b"m").await, Ok(()));
    let arguments = vec![Argument::Number(-1), Argument::Bytes(b"x\r\ny".to_vec())];
    let answers = [
        Answer::Status("one".to_owned()),
        Answer::Number(2),
        Answer::Bytes(b"three".to_vec()),
        Answer::Nil,
    ];
    assert_eq!(
        client.execute("ECHO", arguments).await.as_deref(),
        Ok(&answers[..])
    );
    assert_eq!(
        client.execute("NO", Vec::new()).await,
        other("ERR unknown command")
    );
    let sent = server.commands();
    assert_eq!(sent[0], "GET a", "there is nothing to introduce oneself with");
    assert!(sent.contains(&"ECHO -1 x\r\ny".to_owned()), "{sent:?}");
    let (one, two) = tokio::join!(client.get("a"), client.incr("a"));
    assert_eq!(
        (one, two),
        (Ok(Some(b"value".to_vec())), Ok(7)),
        "at the same time"
    );
    assert_eq!(server.connections(), 1);
}

// proves: HI-1, HI-8
#[tokio::test]
async fn what_is_refused_or_not_understood_is_not_dialled_and_the_log_says_why() {
    let server = Server::start(usual).await;
    let at = server.at;
    let redis = Redis::default();
    for (allowed, address, told) in [
        (
            "tcp://*:*",
            format!("redis://{at}"),
            format!("redis.connect redis://{at} allow.scheme"),
        ),
        (
            "mysql://*:*",
            format!("redis://{at}"),
            format!("redis.connect redis://{at} allow.scheme"),
        ),
        (
            "mysql://*:*",
            format!("rediss://{at}"),
            format!("redis.connect rediss://{at} allow.scheme"),
        ),
        (
            "redis://*:*",
            "redis://169.254.169.254".to_owned(),
            "redis.connect redis://169.254.169.254:6379 runtime.link-local".to_owned(),
        ),
        (
            "*://*:*",
            format!("redis://:hunter2@{at},{at}"),
            "redis.connect an address with several hosts address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            format!("redis://hunter2:x@{at}?x=1"),
            "redis.connect an address with a parameter address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            "unix:///run/redis.sock".to_owned(),
            "redis.connect an address with the path of a socket address.invalid".to_owned(),
        ),
    ] {
        let (gate, events) = gate(&[allowed]);
        assert_eq!(not_opened(&redis, &gate, &address).await, "denied", "{address}");
        assert_eq!(*events.0.lock().unwrap(), [told], "{address}");
    }
    assert_eq!(server.connections(), 0);
}

// proves: HI-1
#[tokio::test]
async fn a_redirect_is_an_error_and_nobody_follows_it() {
    let server = Server::start(usual).await;
    let (redis, (gate, events)) = (Redis::default(), gate(&["redis://*:*"]));
    let client = open(&redis, &gate, &server.url()).await;
    assert_eq!(client.get("elsewhere").await, other("MOVED 3999 127.0.0.1:1"));
    assert_eq!(
        client.get("a").await,
        Ok(Some(b"value".to_vec())),
        "the connection goes on"
    );
    assert_eq!(events.0.lock().unwrap().len(), 2, "one was connected to");
}

// proves: HI-4
#[tokio::test]
async fn a_connection_is_used_again_by_the_next_instance_if_it_is_as_a_new_one_would_be() {
    let server = Server::start(usual).await;
    let (redis, (gate, _)) = (Redis::default(), gate(&["redis://*:*"]));
    for _ in 0..3 {
        let client = open(&redis, &gate, &server.url()).await;
        assert_eq!(client.get("a").await, Ok(Some(b"value".to_vec())));
        assert_eq!(client.get("set").await, Err(Failure::Type));
    }
    assert_eq!(server.connections(), 1);
    let client = open(&redis, &gate, &server.url()).await;
    let database = vec![Argument::Number(5)];
    assert!(client.execute("select", database).await.is_ok());
    drop(client);
    let client = open(&redis, &gate, &server.url()).await;
    assert!(client.get("a").await.is_ok());
    assert_eq!(server.connections(), 2, "nobody gets the other's database");
    drop(client);
    drop(open(&redis, &gate, &format!("redis://me:p%40ss@{}/3", server.at)).await);
    assert_eq!(server.connections(), 3, "nor somebody else's rights");
    let sent = server.commands();
    assert_eq!(sent[sent.len() - 2..], ["AUTH me p@ss", "SELECT 3"]);
    // One that was given up in the middle of an answer is not used again.
    let client = open(&redis, &gate, &server.url()).await;
    let given_up = tokio::time::timeout(Duration::from_millis(50), client.get("silent")).await;
    assert!(given_up.is_err());
    drop(client);
    let client = open(&redis, &gate, &server.url()).await;
    assert_eq!(client.get("a").await, Ok(Some(b"value".to_vec())));
    assert_eq!(server.connections(), 4);
}

// proves: HI-4
#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced_without_an_error() {
    let server = Server::start(usual).await;
    let (redis, (gate, _)) = (Redis::default(), gate(&["redis://*:*"]));
    let client = open(&redis, &gate, &server.url()).await;
    assert_eq!(client.get("close").await, other("the connection was broken off"));
    assert!(client.get("a").await.is_err());
    drop(client);
    let client = open(&redis, &gate, &server.url()).await;
    assert_eq!(client.get("a").await, Ok(Some(b"value".to_vec())));
}

// proves: HI-1
#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_before_it_comes() {
    let server = Server::start(usual).await;
    let (redis, (gate, _)) = (Redis::default(), gate(&["redis://*:*"]));
    let begun = Instant::now();
    for key in ["large", "many"] {
        let client = open(&redis, &gate, &server.url()).await;
        assert_eq!(
            client.get(key).await,
            other("the answer is larger than any may be"),
            "{key}"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

// proves: HI-1
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_or_half_of_it_is_given_up_after_a_minute() {
    let server = Server::start(usual).await;
    let (redis, (gate, _)) = (Redis::default(), gate(&["redis://*:*"]));
    for key in ["silent", "half"] {
        let client = open(&redis, &gate, &server.url()).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(
            client.get(key).await,
            other("the server did not answer in time"),
            "{key}"
        );
        assert_eq!(begun.elapsed().as_secs(), 60, "{key}");
    }
    let silent = Server::start(|_| None).await;
    let address = format!("redis://:secret@{}", silent.at);
    assert_eq!(
        not_opened(&redis, &gate, &address).await,
        "the server did not answer in time"
    );
}

#[tokio::test]
async fn who_is_not_let_in_or_finds_nobody_is_told_so() {
    let server = Server::start(|_| Some(b"-WRONGPASS invalid username-password pair\r\n".to_vec())).await;
    let (redis, (gate, _)) = (Redis::default(), gate(&["*://*:*"]));
    let address = format!("redis://:secret@{}", server.at);
    let said = not_opened(&redis, &gate, &address).await;
    assert_eq!(said, "the server refuses the user or the password");
    assert!(!said.contains("secret"), "{said}");
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let said = not_opened(&redis, &gate, &format!("redis://{closed}")).await;
    assert_eq!(said, "nobody listens there");
    let said = not_opened(&redis, &gate, &format!("rediss://{}", server.at)).await;
    assert!(said.starts_with("TLS cannot be agreed on"), "{said}");
}

#[tokio::test]
async fn a_component_has_as_many_connections_as_it_may() {
    let server = Server::start(usual).await;
    let redis = Redis::new(Some(2));
    let ((one, _), (other, _)) = (gate(&["redis://*:*"]), gate(&["redis://*:*"]));
    let first = open(&redis, &one, &server.url()).await;
    let _second = open(&redis, &one, &server.url()).await;
    assert_eq!(not_opened(&redis, &one, &server.url()).await, "too many");
    assert_eq!(
        not_opened(&redis, &other, &server.url()).await,
        "too many",
        "it has the same name"
    );
    drop(first);
    let _third = open(&redis, &one, &server.url()).await;
}

// proves: RSN-6, HI-1
#[tokio::test]
async fn what_is_allowed_and_fails_is_told_to_the_operator_without_the_password() {
    let wrong: Says = |_| Some(b"-WRONGPASS invalid username-password pair\r\n".to_vec());
    let repeats: Says =
        |command| Some(format!("-ERR unknown command with args '{}'\r\n", command.concat()).into_bytes());
    let ends: Says = |_| Some(Vec::new());
    let refused = "failed [server-refused] it is allowed, but the server refuses the user or the password";
    for (says, address, expected) in [
        (wrong, "redis://:secret@", refused.to_owned()),
        (repeats, "redis://:secret@", refused.to_owned()),
        (
            repeats,
            "redis://",
            "failed [server-refused] it is allowed, but the server says: ERR unknown".to_owned(),
        ),
        (
            ends,
            "redis://:secret@",
            "failed [connection-terminated] it is allowed, but the connection was broken off".to_owned(),
        ),
        (
            ends,
            "rediss://",
            "failed [tls-protocol-error] it is allowed, but TLS cannot be agreed on".to_owned(),
        ),
    ] {
        let server = Server::start(says).await;
        let (gate, told) = Told::gate("redis://*:*");
        let address = format!("{address}{}/1", server.at);
        not_opened(&Redis::default(), &gate, &address).await;
        let lines = told.take();
        assert!(
            lines.len() == 1 && lines[0].starts_with(&expected),
            "{expected}: {lines:?}"
        );
        assert!(!lines[0].contains("secret"), "{lines:?}");
    }
}

// proves: Q-1
#[tokio::test]
async fn that_there_are_too_many_connections_is_told_and_what_is_not_permitted_is_that_first() {
    let server = Server::start(usual).await;
    let redis = Redis::new(Some(0));
    let (gate, told) = Told::gate("redis://127.0.0.1:*");
    assert_eq!(not_opened(&redis, &gate, &server.url()).await, "too many");
    assert_eq!(
        told.take(),
        [
            "denied [quota.connections] too many connections are open",
            "failed [connection-limit-reached] it is allowed, but it failed"
        ]
    );
    assert_eq!(not_opened(&redis, &gate, "redis://10.0.0.1").await, "denied");
    let lines = told.take();
    assert!(
        lines.len() == 1 && lines[0].starts_with("denied [allow."),
        "{lines:?}"
    );
}
