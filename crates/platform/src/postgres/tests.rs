#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outport_egress::{AuditEvent, AuditSink, Egress, Gate};
use outport_policy::{AllowList, Entry, Location};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::types::{DbDataType, DbValue, Error, QueryError};
use super::*;
use crate::told::Told;

/// A server that speaks a little of PostgreSQL: every statement has one column, and what is answered is in the
/// statement. It counts its connections.
#[derive(Clone)]
struct Server {
    at: SocketAddr,
    connections: Arc<AtomicUsize>,
    statements: Arc<Mutex<Vec<String>>>,
    about_tls: &'static [u8],
}

impl Server {
    async fn start() -> Self {
        Self::start_as(b"N").await
    }

    /// With that answer to who wants TLS.
    async fn start_as(about_tls: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            at: listener.local_addr().unwrap(),
            connections: Arc::default(),
            statements: Arc::default(),
            about_tls,
        };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.connections.fetch_add(1, Ordering::Relaxed);
                let own = own.clone();
                tokio::spawn(async move { own.serve(stream).await });
            }
        });
        server
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut first = startup(&mut stream).await?;
        if first == [0x04, 0xd2, 0x16, 0x2f] {
            stream.write_all(self.about_tls).await.ok()?;
            first = startup(&mut stream).await?;
        }
        if first.windows(6).any(|part| part == b"silent") {
            std::future::pending::<()>().await;
        }
        let welcome = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
        stream.write_all(&welcome).await.ok()?;
        let (mut statement, mut state) = (String::new(), b'I');
        let mut prepared = HashMap::new();
        loop {
            let kind = stream.read_u8().await.ok()?;
            let length = stream.read_u32().await.ok()? as usize - 4;
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.ok()?;
            let text = |body: &[u8]| String::from_utf8_lossy(body).trim_end_matches('\0').to_owned();
            let answer = match kind {
                // The name is before the statement, and the number of types behind it.
                b'P' => {
                    let mut parts = body.split(|byte| *byte == 0);
                    let name = text(parts.next()?);
                    statement = text(parts.next()?);
                    prepared.insert(name, statement.clone());
                    self.statements.lock().unwrap().push(statement.clone());
                    message(b'1', b"")
                }
                b'D' => {
                    let of = if statement == "many" { 17 } else { 23 };
                    [message(b't', &[0, 0]), message(b'T', &column("n", of))].concat()
                }
                // The name of the statement is behind that of the portal.
                b'B' => {
                    let name = text(body.split(|byte| *byte == 0).nth(1)?);
                    statement.clone_from(prepared.get(&name)?);
                    message(b'2', b"")
                }
                b'C' => message(b'3', b""),
                b'E' => self.executed(&mut stream, &statement, &mut state).await?,
                b'S' => message(b'Z', &[state]),
                b'Q' => {
                    self.statements.lock().unwrap().push("reset".to_owned());
                    let by_sql = if statement == "prepare" { b"1" } else { b"0" };
                    let counted = [
                        message(b'T', &column("count", 25)),
                        row(by_sql),
                        message(b'C', b"SELECT 1\0"),
                    ];
                    [counted.concat(), message(b'Z', &[state])].concat()
                }
                _ => return None,
            };
            stream.write_all(&answer).await.ok()?;
        }
    }

    /// The answer to a statement.
    async fn executed(&self, stream: &mut TcpStream, statement: &str, state: &mut u8) -> Option<Vec<u8>> {
        let done = message(b'C', b"SELECT 7\0");
        Some(match statement {
            "none" => done,
            "half" => {
                stream.write_all(&row(&[0, 0, 0, 1])).await.ok()?;
                std::future::pending().await
            }
            "nothing" => std::future::pending().await,
            "large" => [b"D".as_slice(), &(1_u32 << 30).to_be_bytes()].concat(),
            "copy" => message(b'G', &[0, 0, 0]),
            "broken" => row(b"\0"),
            "many" => {
                let row = row(&vec![0; 1 << 20]);
                for _ in 0..200 {
                    stream.write_all(&row).await.ok()?;
                }
                done
            }
            "error" => message(
                b'E',
                b"SERROR\0VERROR\0C42P01\0Mno such table\0Dsome detail\0Hlook elsewhere\0\0",
            ),
            "begin" => {
                *state = b'T';
                done
            }
            "close" => return None,
            _ => [row(&[0, 0, 0, 1]), row(&[0xff; 4]), done].concat(),
        })
    }

    fn address(&self) -> String {
        format!("postgres://me@{}/db", self.at)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Until what was dropped has gone back to the pool, or has not.
    async fn resets(&self, number: usize) {
        for _ in 0..200 {
            let statements = self.statements.lock().unwrap().clone();
            if statements
                .iter()
                .filter(|statement| *statement == "reset")
                .count()
                >= number
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn startup(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()? as usize - 4;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

fn column(name: &str, of: u32) -> Vec<u8> {
    let mut body = vec![0, 1];
    body.extend(name.bytes());
    body.extend([0; 7]);
    body.extend(of.to_be_bytes());
    body.extend([0; 8]);
    body
}

fn row(value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap();
    message(b'D', &[&[0, 1], &length.to_be_bytes()[..], value].concat())
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

async fn open(postgres: &Postgres, gate: &Gate, address: &str) -> Client {
    let dialer = gate.open().dialer();
    match postgres.open(&dialer, address).await {
        Ok(client) => client,
        Err(why) => panic!("{address}: {why}"),
    }
}

async fn not_opened(postgres: &Postgres, gate: &Gate, address: &str) -> String {
    let dialer = gate.open().dialer();
    let opened = postgres.open(&dialer, address).await;
    opened.err().map_or("opened".to_owned(), |why| why.to_string())
}

async fn said(client: &Client, statement: &str) -> String {
    match spin_v4::row_set(client.clone(), statement, Vec::new()).await {
        Ok(set) => format!("{} rows", set.rows.len()),
        Err(Error::QueryFailed(QueryError::Text(text))) => text,
        Err(error) => format!("{error:?}"),
    }
}

#[tokio::test]
async fn rows_come_with_their_columns_also_where_there_are_none() {
    let server = Server::start().await;
    let (postgres, (gate, _)) = (Postgres::default(), gate(&["postgres://*:*"]));
    let client = open(&postgres, &gate, &server.address()).await;
    for (statement, values) in [("two", vec![1, -1]), ("none", vec![])] {
        let set = spin_v4::row_set(client.clone(), statement, Vec::new())
            .await
            .unwrap();
        let values = values.into_iter().map(|value| vec![DbValue::Int32(value)]);
        assert_eq!(
            format!("{:?}", set.rows),
            format!("{:?}", values.collect::<Vec<_>>())
        );
        assert_eq!(set.columns.len(), 1, "{statement}");
        assert_eq!(set.columns[0].name, "n");
        assert!(matches!(set.columns[0].data_type, DbDataType::Int32));
    }
    assert_eq!(client.execute("two", Vec::new()).await.unwrap(), 7);
    let Err(Error::BadParameter(why)) = client.execute("two", vec![types::ParameterValue::DbNull]).await
    else {
        panic!("it takes none");
    };
    assert_eq!(why, "the statement has 0 parameters, and 1 were given");
    let Err(Error::QueryFailed(QueryError::DbError(error))) = client.execute("error", Vec::new()).await
    else {
        panic!("it is one");
    };
    assert_eq!(error.code, "42P01");
    assert_eq!(error.as_text, "ERROR: no such table (SQLSTATE 42P01)");
    assert_eq!(error.detail.as_deref(), Some("some detail"));
    assert_eq!(error.extras, [("hint".to_owned(), "look elsewhere".to_owned())]);
}

// proves: HI-1, HI-8
#[tokio::test]
async fn what_is_refused_or_not_understood_is_not_dialled_and_the_log_says_why() {
    let server = Server::start().await;
    let at = server.at;
    let postgres = Postgres::default();
    let denied = "it is not permitted";
    for (allowed, address, said, told) in [
        (
            "tcp://*:*",
            format!("postgres://me@{at}"),
            denied,
            format!("postgres.connect postgres://{at} allow.scheme"),
        ),
        (
            "mysql://*:*",
            format!("host=127.0.0.1 port={} user=me", at.port()),
            denied,
            format!("postgres.connect postgres://{at} allow.scheme"),
        ),
        (
            "postgres://*:*",
            "postgresql://me@169.254.169.254".to_owned(),
            denied,
            "postgres.connect postgres://169.254.169.254:5432 runtime.link-local".to_owned(),
        ),
        (
            "*://*:*",
            format!("postgres://me:hunter2@{at},{at}"),
            "the address is not understood: several hosts",
            "postgres.connect an address with several hosts address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            format!("postgres://hunter2:x@{at}?hostaddr={}", at.ip()),
            "the address is not understood: `hostaddr`",
            "postgres.connect an address with `hostaddr` address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            "host=/run/postgresql user=hunter2".to_owned(),
            "the address is not understood: the path of a socket",
            "postgres.connect an address with the path of a socket address.invalid".to_owned(),
        ),
    ] {
        let (gate, events) = gate(&[allowed]);
        assert_eq!(not_opened(&postgres, &gate, &address).await, said, "{address}");
        assert_eq!(*events.0.lock().unwrap(), [told], "{address}");
    }
    // A builder goes by the same judge.
    let (gate, events) = gate(&["tcp://*:*"]);
    let dialer = gate.open().dialer();
    let ctx = crate::PlatformCtx::new(crate::Platform::default());
    let mut builder = Builder::new(&ctx, &server.address()).unwrap();
    assert!(builder.trust(&dialer, "no certificate".to_owned()).is_err());
    let refused = builder.build(&postgres, &dialer).await.err().unwrap();
    assert_eq!(refused.to_string(), denied);
    assert_eq!(events.0.lock().unwrap().len(), 1);
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_instance_has_as_many_builders_as_it_may() {
    let ctx = crate::PlatformCtx::new(crate::Platform::default());
    let built: Vec<Builder> = std::iter::from_fn(|| Builder::new(&ctx, "")).take(1000).collect();
    assert_eq!(built.len(), 64);
    drop(built);
    assert!(Builder::new(&ctx, "").is_some());
}

// proves: HI-1
#[tokio::test]
async fn tls_is_done_without_only_where_the_server_says_that_it_has_none() {
    for (about_tls, mode, expected) in [
        (&b"N"[..], "disable", "opened"),
        (b"N", "prefer", "opened"),
        (b"N", "require", "the server has no TLS, which `sslmode` demands"),
        (
            b"N",
            "verify-full",
            "the server has no TLS, which `sslmode` demands",
        ),
        (b"E", "prefer", "the server does not say whether it has TLS"),
        (b"\x00", "prefer", "the server does not say whether it has TLS"),
        (b"SZZZZZZZ", "prefer", "TLS cannot be agreed on"),
    ] {
        let server = Server::start_as(about_tls).await;
        let (postgres, (gate, _)) = (Postgres::default(), gate(&["*://*:*"]));
        let address = format!("{}?sslmode={mode}", server.address());
        let said = not_opened(&postgres, &gate, &address).await;
        assert!(said.starts_with(expected), "{about_tls:?} {mode}: {said}");
    }
}

// proves: HI-4
#[tokio::test]
async fn a_connection_is_used_again_by_the_next_instance_if_it_is_as_a_new_one_would_be() {
    let server = Server::start().await;
    let (postgres, (gate, _)) = (Postgres::default(), gate(&["postgres://*:*"]));
    for round in 1..4 {
        let client = open(&postgres, &gate, &server.address()).await;
        assert_eq!(said(&client, "two").await, "2 rows");
        assert!(said(&client, "error").await.contains("42P01"));
        drop(client);
        server.resets(round).await;
    }
    assert_eq!(server.connections(), 1);
    // What cannot be set back, or is under way, ends the connection.
    for (number, statement) in ["begin", "prepare", "copy", "broken", "close"]
        .into_iter()
        .enumerate()
    {
        let client = open(&postgres, &gate, &server.address()).await;
        let _ = said(&client, statement).await;
        drop(client);
        server.resets(usize::MAX).await;
        let client = open(&postgres, &gate, &server.address()).await;
        assert_eq!(said(&client, "two").await, "2 rows", "after {statement}");
        assert_eq!(server.connections(), 2 + number, "after {statement}");
        drop(client);
        server.resets(usize::MAX).await;
    }
    let before = server.connections();
    let client = open(&postgres, &gate, &server.address()).await;
    let given_up = tokio::time::timeout(Duration::from_millis(50), client.rows("nothing", Vec::new()));
    drop(given_up.await);
    drop(client);
    drop(open(&postgres, &gate, &server.address()).await);
    assert_eq!(
        server.connections(),
        before + 1,
        "it was given up in the middle of an answer"
    );
    drop(open(&postgres, &gate, &format!("postgres://you@{}/db", server.at)).await);
    assert_eq!(
        server.connections(),
        before + 2,
        "somebody else's rights are not used"
    );
}

// proves: HI-1
#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_before_it_comes() {
    let server = Server::start().await;
    let (postgres, (gate, _)) = (Postgres::default(), gate(&["postgres://*:*"]));
    for statement in ["large", "many"] {
        let client = open(&postgres, &gate, &server.address()).await;
        let found = said(&client, statement).await;
        assert_eq!(found, "the answer is larger than any may be", "{statement}");
    }
    // Who takes them one by one takes no more either, and each as it comes.
    let client = open(&postgres, &gate, &server.address()).await;
    let mut rows = client.rows("half", Vec::new()).await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(5), rows.next()).await;
    assert!(matches!(first, Ok(Ok(Some(_)))), "the others have not come yet");
}

// proves: HI-1
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_or_half_of_it_is_given_up_after_a_minute() {
    let server = Server::start().await;
    let (postgres, (gate, _)) = (Postgres::default(), gate(&["postgres://*:*"]));
    for statement in ["nothing", "half"] {
        let client = open(&postgres, &gate, &server.address()).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(
            said(&client, statement).await,
            "the server did not answer in time"
        );
        assert_eq!(begun.elapsed().as_secs(), 60, "{statement}");
    }
    for (parameter, seconds) in [("", 10), ("?connect_timeout=3", 3), ("?connect_timeout=99", 10)] {
        let begun = tokio::time::Instant::now();
        let address = format!("postgres://silent@{}/db{parameter}", server.at);
        let said = not_opened(&postgres, &gate, &address).await;
        assert_eq!(said, "the server did not answer in time");
        assert_eq!(begun.elapsed().as_secs(), seconds, "{parameter}");
    }
}

#[tokio::test]
async fn a_component_has_as_many_connections_as_it_may() {
    let server = Server::start().await;
    let (postgres, (gate, _)) = (Postgres::new(Some(2)), gate(&["postgres://*:*"]));
    let first = open(&postgres, &gate, &server.address()).await;
    let _second = open(&postgres, &gate, &server.address()).await;
    let said = not_opened(&postgres, &gate, &server.address()).await;
    assert_eq!(said, "too many connections are open");
    drop(first);
    let _third = open(&postgres, &gate, &server.address()).await;
}

// proves: RSN-6, HI-1
#[tokio::test]
async fn what_is_allowed_and_fails_is_told_to_the_operator() {
    for (about_tls, parameters, expected) in [
        (
            &b"N"[..],
            "sslmode=require",
            "failed [tls-not-offered] it is allowed, but the server has no TLS, which `sslmode` demands",
        ),
        (
            b"E",
            "sslmode=prefer",
            "failed [protocol-error] it is allowed, but the server does not say whether it has TLS",
        ),
        (
            b"SZZZZZZZ",
            "sslmode=prefer",
            "failed [tls-protocol-error] it is allowed, but TLS cannot be agreed on",
        ),
        (
            b"N",
            "sslmode=disable&application_name=silent&connect_timeout=1",
            "failed [connection-read-timeout] it is allowed, but the server did not answer in time",
        ),
    ] {
        let server = Server::start_as(about_tls).await;
        let (gate, told) = Told::gate("postgres://*:*");
        not_opened(
            &Postgres::default(),
            &gate,
            &format!("{}?{parameters}", server.address()),
        )
        .await;
        let lines = told.take();
        assert!(
            lines.len() == 1 && lines[0].starts_with(expected),
            "{expected}: {lines:?}"
        );
    }
}
