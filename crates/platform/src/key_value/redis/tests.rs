//! Stores on a real server.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outport_egress::{AuditEvent, AuditSink};
use outport_policy::{DenyList, Entry, Operator};

use super::*;

/// A server of the test's own.
struct RealServer {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl RealServer {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--requirepass",
                "hunter2",
            ])
            .arg("--dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the package `redis-server` is installed");
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self {
            process,
            port,
            _folder: folder,
        }
    }

    fn url(&self, database: u8) -> String {
        format!("redis://:hunter2@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Default)]
struct Events(Mutex<Vec<String>>);

impl AuditSink for Events {
    fn record(&self, event: &AuditEvent) {
        let reason = event.reason.unwrap_or("allow");
        let line = format!(
            "{} {} {} {reason}",
            event.component, event.attempt, event.destination
        );
        self.0.lock().unwrap().push(line);
    }
}

/// A process whose guests may reach nothing.
fn egress() -> (Egress, Arc<Events>) {
    let events = Arc::new(Events::default());
    let everything = Entry::parse("*://*:*", Location::Code).unwrap();
    let operator = Operator {
        deny: DenyList::compile(vec![everything], Vec::new()),
        ..Operator::default()
    };
    let egress = Egress::builder()
        .operator(operator)
        .sink(events.clone())
        .build()
        .unwrap();
    (egress, events)
}

fn store(egress: &Egress, url: &str) -> RedisStore {
    RedisStore::new(egress, "cache", url, Location::Code).unwrap()
}

fn set(pairs: &[(&str, &[u8])]) -> Change {
    let pairs = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.to_vec()));
    Change::Set(pairs.collect())
}

async fn all_keys(store: &RedisStore) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let some = store.keys(all.last().cloned(), None).await.unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

// proves: HI-5, HI-6
#[tokio::test]
async fn a_store_has_what_was_set_in_it_wherever_guests_may_go() {
    let server = RealServer::start().await;
    let (egress, events) = egress();
    let (one, other) = (store(&egress, &server.url(1)), store(&egress, &server.url(2)));
    let large = vec![7; 1_000_000];
    let pairs = set(&[("a", b"1"), ("", b""), ("ключ\0", &large)]);
    assert_eq!(one.change(pairs, None).await, Ok(Changed::Done));
    assert_eq!(one.change(set(&[]), None).await, Ok(Changed::Done));
    assert_eq!(one.get("a", None).await, Ok(Some(b"1".to_vec())));
    assert_eq!(one.get("", None).await, Ok(Some(Vec::new())));
    assert_eq!(one.get("ключ\0", None).await, Ok(Some(large)));
    assert_eq!(one.exists("", None).await, Ok(true));
    assert_eq!(one.exists("b", None).await, Ok(false));
    assert_eq!(other.get("a", None).await, Ok(None), "another database");
    assert_eq!(all_keys(&one).await, ["", "a", "ключ\0"]);
    assert!(all_keys(&other).await.is_empty());
    let keys = vec!["a".to_owned(), "nothing".to_owned()];
    assert_eq!(one.change(Change::Delete(keys), None).await, Ok(Changed::Done));
    assert_eq!(one.exists("a", None).await, Ok(false));
    let told = events.0.lock().unwrap();
    let whose = "key_value_store.cache (operator)";
    let expected = [
        format!("{whose} redis.connect redis://127.0.0.1:{} allow", server.port),
        format!("{whose} redis.dial 127.0.0.1:{} allow", server.port),
    ];
    assert_eq!(told[..2], expected);
    assert!(told.iter().all(|line| expected.contains(line)), "{told:?}");
}

#[tokio::test]
async fn numbers_are_added_to_and_values_swapped_if_they_are_what_was_seen() {
    let server = RealServer::start().await;
    let store = store(&egress().0, &server.url(0));
    let add = |key: &str, delta| Change::Add {
        key: key.to_owned(),
        delta,
    };
    assert_eq!(store.change(add("n", 5), None).await, Ok(Changed::Number(5)));
    assert_eq!(store.change(add("n", -7), None).await, Ok(Changed::Number(-2)));
    store.change(set(&[("text", b"seven")]), None).await.unwrap();
    assert!(store.change(add("text", 1), None).await.is_err());
    assert_eq!(store.get("text", None).await, Ok(Some(b"seven".to_vec())));
    let swap = |from: Option<&[u8]>, to: &[u8]| Change::Swap {
        key: "k".to_owned(),
        from: from.map(<[u8]>::to_vec),
        to: to.to_vec(),
    };
    for (from, to, expected, then) in [
        (Some(&b"a"[..]), &b"x"[..], Changed::Not, None),
        (None, b"a", Changed::Done, Some(&b"a"[..])),
        (None, b"b", Changed::Not, Some(b"a")),
        (Some(b"b"), b"c", Changed::Not, Some(b"a")),
        (Some(b"a"), b"\x00\xff", Changed::Done, Some(b"\x00\xff")),
        (Some(b"\x00\xff"), b"", Changed::Done, Some(b"")),
    ] {
        assert_eq!(store.change(swap(from, to), None).await, Ok(expected), "{from:?}");
        assert_eq!(store.get("k", None).await.unwrap().as_deref(), then, "{from:?}");
    }
}

#[tokio::test]
async fn more_keys_than_are_given_at_once_are_all_listed_once_and_in_order() {
    let server = RealServer::start().await;
    let store = store(&egress().0, &server.url(0));
    let mut names: Vec<String> = (0..PIECE + 500).map(|number| format!("key-{number}")).collect();
    let pairs = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    store.change(Change::Set(pairs), None).await.unwrap();
    names.sort_unstable();
    assert_eq!(all_keys(&store).await, names);
}

// proves: HI-6
#[tokio::test]
async fn what_is_wrong_is_an_error_without_the_password_and_passes_when_it_is_mended() {
    let (egress, _) = egress();
    for (url, says) in [
        ("redis://:hunter2@a,b", "several hosts"),
        ("unix:///run/redis.sock", "the path of a socket"),
        ("redis://:hunter2@cache?x", "a parameter"),
    ] {
        let error = RedisStore::new(&egress, "cache", url, Location::Code)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    }
    let server = RealServer::start().await;
    let stranger = store(&egress, &format!("redis://:guess@127.0.0.1:{}", server.port));
    let error = stranger.get("a", None).await.unwrap_err().to_string();
    assert!(
        error.starts_with("the store cannot be used: ") && !error.contains("guess"),
        "{error}"
    );
    let store = store(&egress, &server.url(0));
    store.change(set(&[("a", b"1")]), None).await.unwrap();
    let mut command = Command::new("redis-cli");
    let port = server.port.to_string();
    command.args([
        "-p",
        &port,
        "-a",
        "hunter2",
        "--no-auth-warning",
        "client",
        "kill",
        "type",
        "normal",
    ]);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    assert_eq!(
        store.get("a", None).await,
        Ok(Some(b"1".to_vec())),
        "connections that were closed are replaced"
    );
    drop(server);
    let error = store.get("a", None).await.unwrap_err().to_string();
    assert_eq!(error, "the store cannot be used: nobody listens there");
}
