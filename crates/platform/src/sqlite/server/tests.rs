//! Servers of the tests' own, which behave as they like.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::ctx::Place;
use crate::sqlite::Value;

/// What a server answers to a request with this body, which is the one of this number; nothing, and it waits.
type Answers = dyn Fn(usize, &Json) -> Option<Vec<u8>> + Send + Sync;

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Json>>,
    connections: AtomicUsize,
}

impl Seen {
    fn asked(&self) -> Vec<Json> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    answers: impl Fn(usize, &Json) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, answers) = (Arc::new(Seen::default()), Arc::new(answers));
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.connections.fetch_add(1, Ordering::SeqCst);
            let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
            tokio::spawn(async move { answer(stream, &seen, &*answers).await });
        }
    });
    (address, noted)
}

async fn answer(mut stream: TcpStream, seen: &Seen, answers: &Answers) -> Option<()> {
    loop {
        let mut request = Vec::new();
        let body = loop {
            if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
                let length = head.split_once("content-length: ")?.1;
                let length: usize = length.lines().next()?.parse().ok()?;
                if request.len() >= end + 4 + length {
                    break serde_json::from_slice::<Json>(&request[end + 4..]).ok()?;
                }
            }
            if stream.read_buf(&mut request).await.ok()? == 0 {
                return None;
            }
        };
        let number = {
            let mut asked = seen.asked.lock().unwrap();
            asked.push(body.clone());
            asked.len() - 1
        };
        match answers(number, &body) {
            Some(said) if said.is_empty() => return None,
            Some(said) => stream.write_all(&said).await.ok()?,
            None => std::future::pending().await,
        }
    }
}

fn http(status: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    Some(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes())
}

fn ok(body: &Json) -> Option<Vec<u8>> {
    http("200 OK", &body.to_string())
}

/// What a statement answers that has one row.
fn one_row(baton: Option<&str>, is_autocommit: bool) -> Option<Vec<u8>> {
    ok(&json!({ "baton": baton, "base_url": null, "results": [
        { "type": "ok", "response": { "type": "execute", "result": {
            "cols": [{ "name": "a" }],
            "rows": [[{ "type": "integer", "value": "5" }]],
            "affected_row_count": 0, "last_insert_rowid": null,
        } } },
        { "type": "ok", "response": { "type": "get_autocommit", "is_autocommit": is_autocommit } },
    ] }))
}

fn server(at: SocketAddr) -> DatabaseServer {
    let egress = Egress::builder().build().unwrap();
    let url = format!("http://{at}/db/");
    DatabaseServer::new(&egress, "reports", (&url, "hunter2"), Location::Code).unwrap()
}

fn session(server: &Arc<DatabaseServer>) -> ServerSession {
    let place = Place::take(&Arc::new(AtomicU32::new(0))).unwrap();
    let own = Arc::new(Semaphore::new(4));
    ServerSession::new(Arc::clone(server), "web", None, own, place)
}

async fn execute(session: &ServerSession) -> Result<(), String> {
    let executed = session.execute(&Trace::none(), "SELECT 5 AS a", &[]).await;
    let (columns, rows) = executed.map_err(|error| error.to_string())?;
    assert_eq!(columns, ["a"]);
    assert_eq!(rows, [[[Value::Integer(5)]]]);
    Ok(())
}

fn batons(seen: &Seen) -> Vec<Json> {
    seen.asked()
        .into_iter()
        .map(|mut asked| asked["baton"].take())
        .collect()
}

#[tokio::test]
async fn a_stream_goes_on_by_the_last_baton_and_is_closed_in_the_end() {
    let (at, seen) = serve(|number, _| one_row(Some(&format!("b{number}")), true)).await;
    let server = Arc::new(server(at));
    let session = session(&server);
    for _ in 0..3 {
        assert_eq!(execute(&session).await, Ok(()));
    }
    assert_eq!(batons(&seen), [json!(null), json!("b0"), json!("b1")]);
    assert_eq!(seen.asked()[0]["requests"][0]["stmt"]["sql"], "SELECT 5 AS a");
    drop(session);
    while seen.asked().len() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let last = seen.asked().pop().unwrap();
    assert_eq!(last, json!({ "baton": "b2", "requests": [{ "type": "close" }] }));
    assert_eq!(seen.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waited_for_long_is_begun_anew_unless_a_transaction_is_open() {
    for (is_autocommit, expected) in [(true, json!(null)), (false, json!("b"))] {
        let (at, seen) = serve(move |_, _| one_row(Some("b"), is_autocommit)).await;
        let server = Arc::new(server(at));
        let session = session(&server);
        assert_eq!(execute(&session).await, Ok(()));
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(execute(&session).await, Ok(()));
        assert_eq!(batons(&seen)[1], expected);
    }
}

#[tokio::test]
async fn what_is_lost_in_a_transaction_ends_the_session_and_what_is_lost_outside_does_not() {
    let expired = || http("400 Bad Request", r#"{"error":"the stream has expired"}"#);
    let lost = "the transaction was lost: the connection is not one any more";
    // In a transaction.
    let (at, _) = serve(move |number, _| match number {
        0 => one_row(Some("b"), false),
        1 => expired(),
        _ => one_row(Some("b"), true),
    })
    .await;
    let server_of_one = Arc::new(server(at));
    let one = session(&server_of_one);
    assert_eq!(execute(&one).await, Ok(()));
    let expected = "the database server answered with `400 Bad Request`: the stream has expired";
    assert_eq!(execute(&one).await, Err(expected.to_owned()));
    assert_eq!(execute(&one).await, Err(lost.to_owned()));
    assert_eq!(execute(&session(&server_of_one)).await, Ok(()), "of another");
    // The server says by itself that it has ended the stream.
    let (at, _) = serve(|_, _| one_row(None, false)).await;
    let server_of_one = Arc::new(server(at));
    let one = session(&server_of_one);
    assert_eq!(execute(&one).await, Ok(()));
    assert_eq!(execute(&one).await, Err(lost.to_owned()));
    // Outside.
    let (at, seen) = serve(move |number, _| match number {
        1 => expired(),
        _ => one_row(Some("b"), true),
    })
    .await;
    let server_of_one = Arc::new(server(at));
    let one = session(&server_of_one);
    assert_eq!(execute(&one).await, Ok(()));
    assert!(execute(&one).await.is_err());
    assert_eq!(execute(&one).await, Ok(()));
    assert_eq!(batons(&seen), [json!(null), json!("b"), json!(null)]);
}

// proves: HI-1, HI-6
#[tokio::test]
async fn what_is_no_answer_is_an_error_and_nothing_is_followed_or_done_twice() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = elsewhere.local_addr().unwrap();
    let visited = Arc::new(AtomicUsize::new(0));
    let visits = Arc::clone(&visited);
    tokio::spawn(async move {
        while elsewhere.accept().await.is_ok() {
            visits.fetch_add(1, Ordering::SeqCst);
        }
    });
    let failed = "the database server failed: ";
    let answered = "the database server answered with ";
    let rows: [(Option<Vec<u8>>, String); 9] = [
        (
            http("401 Unauthorized", r#"{"error":"hunter2 is not known"}"#),
            format!("{answered}`401 Unauthorized`: *** is not known"),
        ),
        (
            Some(
                format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n")
                    .into_bytes(),
            ),
            format!("{answered}`307 Temporary Redirect`, and where it leads is not followed"),
        ),
        (
            ok(&json!({ "baton": "b", "base_url": format!("http://{there}/db"), "results": [{}, {}] })),
            format!("{failed}it wants to be asked elsewhere, which is not followed"),
        ),
        (
            http("200 OK", "<html>"),
            format!("{failed}what it answered is not what a database answers, at line 1, column 1"),
        ),
        (
            ok(&json!({ "baton": "b", "results": [] })),
            format!("{failed}it answered 0 questions of 2"),
        ),
        (
            ok(&json!({ "baton": "b", "results": [{}, {}] })),
            format!("{failed}it does not say whether a transaction is open"),
        ),
        (
            Some(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n".to_vec()),
            format!("{failed}its answer is longer than 128 MiB"),
        ),
        (Some(b"SSH-2.0-x\r\n\r\n".to_vec()), format!("{failed}it answered something that is not HTTP")),
        (Some(Vec::new()), format!("{failed}it closed the connection without an answer")),
    ];
    for (said, expected) in rows {
        let (at, seen) = serve(move |_, _| said.clone()).await;
        let server = Arc::new(server(at));
        let session = session(&server);
        assert_eq!(execute(&session).await, Err(expected.clone()));
        assert_eq!(seen.asked().len(), 1, "{expected}");
    }
    assert_eq!(visited.load(Ordering::SeqCst), 0);
    // A statement that came on a connection that is used again may have been executed.
    let (at, seen) = serve(|number, _| match number {
        0 => one_row(Some("b"), true),
        _ => Some(Vec::new()),
    })
    .await;
    let server_of_one = Arc::new(server(at));
    let one = session(&server_of_one);
    assert_eq!(execute(&one).await, Ok(()));
    assert!(execute(&one).await.is_err());
    assert_eq!(seen.asked().len(), 2);
    let nobody = Arc::new(server(
        TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap(),
    ));
    let said = execute(&session(&nobody)).await;
    assert_eq!(
        said,
        Err(format!("{failed}it cannot be reached: nobody listens there"))
    );
}

// proves: HI-1
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_after_a_minute() {
    let (at, _) = serve(|_, _| None).await;
    let server = Arc::new(server(at));
    let begun = tokio::time::Instant::now();
    let late = Err("the statement took more than 60 s".to_owned());
    assert_eq!(execute(&session(&server)).await, late);
    assert_eq!(begun.elapsed().as_secs(), 60);
    let late = server.execute_batch("SELECT 1").await;
    assert!(late.is_err());
}

#[tokio::test]
async fn an_answer_that_comes_for_ever_ends_at_its_bound() {
    let (at, _) = serve(|_, _| {
        // Of no announced length: chunks of 1 MiB.
        let mut said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..140 {
            said.extend(b"100000\r\n");
            said.extend(vec![b' '; 0x10_0000]);
            said.extend(b"\r\n");
        }
        Some(said)
    })
    .await;
    let server = Arc::new(server(at).with_most_time(Duration::from_secs(120)));
    let expected = "the database server failed: its answer is longer than 128 MiB".to_owned();
    assert_eq!(execute(&session(&server)).await, Err(expected));
}

#[tokio::test]
async fn the_host_executes_many_statements_at_once() {
    let (at, seen) = serve(|number, _| {
        let result = match number {
            0 => json!({ "type": "ok", "response": { "type": "sequence" } }),
            _ => json!({ "type": "error", "error": { "message": "no such table: hunter2" } }),
        };
        let closed = json!({ "type": "ok", "response": { "type": "close" } });
        ok(&json!({ "baton": null, "results": [result, closed] }))
    })
    .await;
    let server = server(at);
    assert_eq!(server.execute_batch("a; b").await, Ok(()));
    let expected = SqliteError::Other("no such table: ***".to_owned());
    assert_eq!(server.execute_batch("c").await, Err(expected));
    let asked = json!([{ "type": "sequence", "sql": "a; b" }, { "type": "close" }]);
    assert_eq!(seen.asked()[0]["requests"], asked);
}
