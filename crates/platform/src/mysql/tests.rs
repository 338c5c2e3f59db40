#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod key;
mod little;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use little::{Little, Manner};
use outport_egress::{AuditEvent, AuditSink, Egress, Gate};
use outport_policy::{AllowList, Entry, Location};

use super::*;
use crate::rdbms::types::{DbDataType, DbValue, ParameterValue};
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

/// A server of that manner, and what is needed to go there.
async fn world(manner: Manner) -> (Little, Mysql, Gate) {
    let (gate, _) = gate(&["mysql://*:*"]);
    (Little::start(manner).await, Mysql::default(), gate)
}

async fn open(mysql: &Mysql, gate: &Gate, address: &str) -> Client {
    let dialer = gate.open().dialer();
    match mysql.open(&dialer, address).await {
        Ok(client) => client,
        Err(why) => panic!("{address}: {why}"),
    }
}

async fn not_opened(mysql: &Mysql, gate: &Gate, address: &str) -> String {
    let dialer = gate.open().dialer();
    let opened = mysql.open(&dialer, address).await;
    opened.err().map_or("opened".to_owned(), |why| why.to_string())
}

async fn said(client: &Client, statement: &str) -> String {
    match client.row_set(statement, Vec::new()).await {
        Ok(set) => format!("{} rows", set.rows.len()),
        Err(why) => why.to_string(),
    }
}

#[tokio::test]
async fn rows_come_with_their_columns_also_where_there_are_none() {
    let (server, mysql, gate) = world(Manner::Native).await;
    let client = open(&mysql, &gate, &server.address()).await;
    for (statement, values) in [("two", vec![1, -1]), ("none", vec![]), ("procedure", vec![1])] {
        let set = client.row_set(statement, Vec::new()).await.unwrap();
        let values = values.into_iter().map(|value| vec![DbValue::Int32(value)]);
        let values = format!("{:?}", values.collect::<Vec<_>>());
        assert_eq!(format!("{:?}", set.rows), values, "{statement}");
        assert_eq!(set.columns.len(), 1, "{statement}");
        assert_eq!(set.columns[0].name, "n");
        assert_eq!(set.columns[0].data_type, DbDataType::Int32);
    }
    // What cannot be prepared is asked as it is.
    let set = client.row_set("unprepared", Vec::new()).await.unwrap();
    assert_eq!(
        format!("{:?}", set.rows),
        "[[DbValue::Int32(42)], [DbValue::DbNull]]"
    );
    let null = || vec![ParameterValue::DbNull];
    let why = client.row_set("unprepared", null()).await.unwrap_err();
    assert_eq!(why.to_string(), "ERROR 1295 (HY000): not yet");
    assert_eq!(said(&client, "done").await, "0 rows");
    client.execute("done", Vec::new()).await.unwrap();
    client.execute("two", Vec::new()).await.unwrap();
    client.execute("two ?", null()).await.unwrap();
    let why = client.execute("two", null()).await.unwrap_err();
    assert_eq!(
        why.to_string(),
        "the statement has 0 parameters, and 1 were given"
    );
    for (statement, expected) in [
        ("error", "ERROR 1146 (42S02): Table 'x' doesn't exist"),
        ("fails", "ERROR 1146 (HY000): it fails"),
        ("fails later", "ERROR 1146 (HY000): it fails later"),
    ] {
        let why = client.execute(statement, Vec::new()).await.unwrap_err();
        assert_eq!(why.to_string(), expected);
        assert_eq!(said(&client, "two").await, "2 rows", "after {statement}");
    }
}

// proves: HI-1, HI-8
#[tokio::test]
async fn what_is_refused_or_not_understood_is_not_dialled_and_the_log_says_why() {
    let server = Little::start(Manner::Native).await;
    let at = server.at;
    let mysql = Mysql::default();
    let denied = "it is not permitted";
    for (allowed, address, said, told) in [
        (
            "tcp://*:*",
            format!("mysql://me@{at}"),
            denied,
            format!("mysql.connect mysql://{at} allow.scheme"),
        ),
        (
            "postgres://*:*",
            format!("mariadb://me@{at}"),
            denied,
            format!("mysql.connect mysql://{at} allow.scheme"),
        ),
        (
            "mysql://*:*",
            "mysql://me@169.254.169.254".to_owned(),
            denied,
            "mysql.connect mysql://169.254.169.254:3306 runtime.link-local".to_owned(),
        ),
        (
            "*://*:*",
            format!("mysql://me:hunter2@{at},{at}"),
            "the address is not understood: several hosts",
            "mysql.connect an address with several hosts address.invalid".to_owned(),
        ),
        (
            "*://*:*",
            format!("mysql://hunter2:x@{at}?socket=/run/mysqld.sock"),
            "the address is not understood: the path of a socket",
            "mysql.connect an address with the path of a socket address.invalid".to_owned(),
        ),
    ] {
        let (gate, events) = gate(&[allowed]);
        assert_eq!(not_opened(&mysql, &gate, &address).await, said, "{address}");
        assert_eq!(*events.0.lock().unwrap(), [told], "{address}");
    }
    assert_eq!(server.connections(), 0);
    // An entry for either scheme permits both.
    let (gate, _) = gate(&["mariadb://*:*"]);
    drop(open(&mysql, &gate, &server.address()).await);
}

#[tokio::test]
async fn a_server_lets_in_by_the_ways_that_are_known_and_by_no_other() {
    let denied = "ERROR 1045 (28000): Access denied for user 'me'";
    let unsupported = "the server wants a way to authenticate that is not supported: ";
    let foreign = "the server does not speak the protocol of MySQL";
    for (manner, password, expected) in [
        (Manner::Native, "secret", "opened"),
        (Manner::Native, "other", denied),
        (Manner::Native, "", denied),
        (Manner::Sha2, "secret", "opened"),
        (Manner::Sha2, "other", denied),
        (Manner::Sha2Full, "secret", "opened"),
        (Manner::Sha2Full, "other", denied),
        (
            Manner::Sha2NoKey,
            "secret",
            "the server has no public key that the password could be encrypted with",
        ),
        (Manner::Switch(b"mysql_native_password"), "secret", "opened"),
        (Manner::Switch(b"caching_sha2_password"), "secret", "opened"),
        (
            Manner::Switch(b"mysql_clear_password"),
            "secret",
            "`mysql_clear_password`",
        ),
        (Manner::Switch(b"dialog\xff\n"), "secret", "`dialog??`"),
        (Manner::Switch(b""), "secret", "`mysql_old_password`"),
        (
            Manner::First(b"\x17\0\0\0\xff\x10\x04Too many connections"),
            "secret",
            "ERROR 1040 (HY000): Too many connections",
        ),
        (Manner::First(b"\x04\0\0\0\x09abc"), "secret", foreign),
        (
            Manner::First(b"\0\0\x80\0"),
            "secret",
            "the answer is larger than any may be",
        ),
        (
            Manner::First(b"SSH-2.0-OpenSSH_9.2\r\n"),
            "secret",
            "the answer is larger than any may be",
        ),
        (Manner::Endless, "secret", foreign),
        // What comes before TLS is not taken for what comes through it.
        (Manner::Hasty, "secret", foreign),
    ] {
        let (server, mysql, gate) = world(manner).await;
        let address = format!("mysql://me:{password}@{}/db", server.at);
        let address = match manner {
            Manner::Hasty => format!("{address}?ssl-mode=preferred"),
            _ => address,
        };
        let expected = match expected.strip_prefix('`') {
            Some(_) => format!("{unsupported}{expected}"),
            None => expected.to_owned(),
        };
        assert_eq!(
            not_opened(&mysql, &gate, &address).await,
            expected,
            "{manner:?} {password}"
        );
        // Nothing was answered to what is not known.
        if expected.starts_with(unsupported) {
            assert_eq!(server.asked(), Vec::<String>::new(), "{manner:?}");
        }
    }
}

// proves: HI-1
#[tokio::test]
async fn tls_is_spoken_if_it_is_asked_for_and_never_given_up_silently() {
    let demanded = "the server has no TLS, which `ssl-mode` demands";
    let broken = "TLS cannot be agreed on";
    for (manner, parameter, expected) in [
        (Manner::Native, "", "opened"),
        (Manner::Native, "?ssl-mode=disabled", "opened"),
        (Manner::Native, "?ssl-mode=preferred", "opened"),
        (Manner::Native, "?ssl-mode=required", demanded),
        (Manner::Native, "?ssl-mode=VERIFY_IDENTITY", demanded),
        (Manner::Native, "?require_ssl=true", demanded),
        (Manner::Tls(b"no"), "?ssl-mode=preferred", broken),
        (
            Manner::Tls(b"\x07\0\0\x02\0\0\0\x02\0\0\0"),
            "?ssl-mode=required",
            broken,
        ),
    ] {
        let (server, mysql, gate) = world(manner).await;
        let address = format!("{}{parameter}", server.address());
        let said = not_opened(&mysql, &gate, &address).await;
        assert!(said.starts_with(expected), "{manner:?} {parameter}: {said}");
    }
}

// proves: HI-4
#[tokio::test]
async fn a_connection_is_used_again_by_the_next_instance_if_it_is_as_a_new_one_would_be() {
    let (server, mysql, gate) = world(Manner::Native).await;
    for round in 1..4 {
        let client = open(&mysql, &gate, &server.address()).await;
        assert_eq!(said(&client, "two").await, "2 rows");
        assert!(said(&client, "error").await.contains("42S02"));
        drop(client);
        server.until_asked("renewed", round).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.connections(), 1);
    // One that nobody has used is as it was.
    drop(open(&mysql, &gate, &server.address()).await);
    let asked = server.asked().len();
    drop(open(&mysql, &gate, &server.address()).await);
    assert_eq!((server.connections(), server.asked().len()), (1, asked));
    // What is not understood, or is not set back, ends the connection.
    for (number, statement) in ["stay", "columns", "file", "drop", "large"]
        .into_iter()
        .enumerate()
    {
        let client = open(&mysql, &gate, &server.address()).await;
        let _ = tokio::time::timeout(Duration::from_millis(300), client.execute(statement, Vec::new())).await;
        drop(client);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let client = open(&mysql, &gate, &server.address()).await;
        assert_eq!(said(&client, "two").await, "2 rows", "after {statement}");
        assert_eq!(server.connections(), 2 + number, "after {statement}");
        let before = server.asked().iter().filter(|asked| *asked == "renewed").count();
        drop(client);
        server.until_asked("renewed", before + 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = server.connections();
    drop(
        open(
            &mysql,
            &gate,
            &format!("mysql://me:secret@{}/db?ssl-mode=preferred", server.at),
        )
        .await,
    );
    assert_eq!(server.connections(), before + 1, "another address");
    // The last use of one is told to the server.
    drop((mysql, gate));
    server.until_asked("quit", 1).await;
}

#[tokio::test]
async fn rows_that_nobody_takes_are_passed_over_and_one_statement_is_answered_after_the_other() {
    let (server, mysql, gate) = world(Manner::Native).await;
    let client = open(&mysql, &gate, &server.address()).await;
    let mut rows = client.rows("two", Vec::new()).await.unwrap();
    assert!(rows.next().await.unwrap().is_some());
    let other = tokio::time::timeout(Duration::from_millis(50), client.execute("two", Vec::new()));
    assert!(other.await.is_err(), "it waits for its turn");
    drop(rows);
    assert_eq!(said(&client, "two").await, "2 rows");
    // Who takes them all gives the turn back without being dropped.
    let mut rows = client.rows("two", Vec::new()).await.unwrap();
    while rows.next().await.unwrap().is_some() {}
    assert_eq!(said(&client, "two").await, "2 rows");
    // A row that was not waited for comes later; a statement that was not ends the connection for others.
    let given_up = client.execute("nothing", Vec::new());
    assert!(
        tokio::time::timeout(Duration::from_millis(50), given_up)
            .await
            .is_err()
    );
    let why = "the connection was given up in the middle of an answer";
    assert_eq!(said(&client, "two").await, why);
    assert_eq!(server.connections(), 1);
}

// proves: HI-1
#[tokio::test]
async fn an_answer_that_is_too_large_or_not_understood_ends_the_connection() {
    let (server, mysql, gate) = world(Manner::Native).await;
    let large = "the answer is larger than any may be";
    let foreign = "the server does not speak the protocol of MySQL";
    for (statement, expected) in [
        ("large", large),
        ("nulls", large),
        ("text", large),
        ("columns", foreign),
        ("broken", foreign),
        ("drop", "the connection was broken off"),
        ("file", "the server wants a file of this machine, and gets none"),
    ] {
        let client = open(&mysql, &gate, &server.address()).await;
        assert_eq!(said(&client, statement).await, expected, "{statement}");
    }
    // Those that nobody looks at are bounded too.
    let client = open(&mysql, &gate, &server.address()).await;
    let why = client.execute("text", Vec::new()).await.unwrap_err();
    assert_eq!(why.to_string(), large);
    let closed = "[5, 0, 0, 0, 25, 1, 0, 0, 0] after the file was asked for";
    server.until_asked(closed, 1).await;
}

// proves: HI-1
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_or_half_of_it_is_given_up_after_a_minute() {
    let (server, mysql, gate) = world(Manner::Native).await;
    for statement in ["nothing", "halfway", "parameters"] {
        let client = open(&mysql, &gate, &server.address()).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(
            said(&client, statement).await,
            "the server did not answer in time"
        );
        assert_eq!(begun.elapsed().as_secs(), 60, "{statement}");
    }
    for first in [&b""[..], b"\x50", b"\x50\0\0\0\x0a8.4.0"] {
        let (server, mysql, gate) = world(Manner::First(first)).await;
        let begun = tokio::time::Instant::now();
        let said = not_opened(&mysql, &gate, &server.address()).await;
        assert_eq!(said, "the server did not answer in time");
        assert_eq!(begun.elapsed().as_secs(), 10, "{first:?}");
    }
}

#[tokio::test]
async fn a_component_has_as_many_connections_as_it_may() {
    let (server, _, gate) = world(Manner::Native).await;
    let mysql = Mysql::new(Some(2));
    let first = open(&mysql, &gate, &server.address()).await;
    let _second = open(&mysql, &gate, &server.address()).await;
    let said = not_opened(&mysql, &gate, &server.address()).await;
    assert_eq!(said, "too many connections are open");
    drop(first);
    let _third = open(&mysql, &gate, &server.address()).await;
}

// proves: RSN-6, HI-1
#[tokio::test]
async fn what_is_allowed_and_fails_is_told_to_the_operator() {
    for (manner, rest, expected) in [
        (
            Manner::Native,
            "",
            "failed [server-refused] it is allowed, but the server says: ERROR 1045 (28000): Access denied",
        ),
        (
            Manner::Native,
            "?ssl-mode=required",
            "failed [tls-not-offered] it is allowed, but the server has no TLS, which `ssl-mode` demands",
        ),
        (
            Manner::Switch(b"mysql_clear_password"),
            "",
            "failed [protocol-error] it is allowed, but the server wants a way to authenticate",
        ),
    ] {
        let (server, mysql, _) = world(manner).await;
        let (gate, told) = Told::gate("mysql://*:*");
        let address = format!("mysql://me:other@{}/db{rest}", server.at);
        not_opened(&mysql, &gate, &address).await;
        let lines = told.take();
        assert!(
            lines.len() == 1 && lines[0].starts_with(expected),
            "{expected}: {lines:?}"
        );
    }
}
