//! A libSQL server of the tests' own: the protocol Hrana 3 over HTTP, as it is documented, over SQLite.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, Statement};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{read_head, read_request_body};

/// One database on 127.0.0.1, for whoever has the token. Ends when dropped.
#[derive(Debug)]
pub struct LibSqlServer {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    token: String,
    folder: TempDir,
    /// Streams that nobody asks at the moment, by the baton that each was answered last.
    streams: Mutex<HashMap<String, Connection>>,
    batons: AtomicU64,
    ended: AtomicBool,
}

impl LibSqlServer {
    /// A server on a free port, with an empty database.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(token: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(State {
            token: token.to_owned(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            streams: Mutex::default(),
            batons: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let state = Arc::clone(&own);
                    // Who hangs up gets no answer.
                    thread::spawn(move || state.serve(stream));
                }
            }
        });
        Self {
            address,
            state,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many streams are open, and wait.
    pub fn streams(&self) -> usize {
        self.state.streams().len()
    }

    /// Ends all streams, as a server does with those that wait for long.
    pub fn end_streams(&self) {
        self.state.streams().clear();
    }
}

impl Drop for LibSqlServer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    fn streams(&self) -> MutexGuard<'_, HashMap<String, Connection>> {
        self.streams.lock().expect("no thread panics with the streams")
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut stream = BufReader::new(stream);
        loop {
            let head = read_head(&mut stream)?;
            let body = read_request_body(&mut stream, &head)?;
            let (status, answer) = if head.value("authorization") != Some(&format!("Bearer {}", self.token)) {
                let error = format!("not with {:?}", head.value("authorization"));
                ("401 Unauthorized", json!({ "error": error }))
            } else if head.first.starts_with("POST /db/v3/pipeline ") {
                self.pipeline(&serde_json::from_slice(&body)?)
            } else {
                ("404 Not Found", json!({ "error": "nothing is here" }))
            };
            let (answer, stream) = (answer.to_string(), stream.get_mut());
            let length = answer.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{answer}"
            )?;
            stream.flush()?;
        }
    }

    fn pipeline(&self, asked: &Value) -> (&'static str, Value) {
        let connection = match asked["baton"].as_str() {
            Some(baton) => self.streams().remove(baton),
            None => Connection::open(self.folder.path().join("database")).ok(),
        };
        let Some(connection) = connection else {
            return ("400 Bad Request", json!({ "error": "the stream has expired" }));
        };
        let mut is_open = true;
        let mut results = Vec::new();
        for request in asked["requests"].as_array().into_iter().flatten() {
            let kind = request["type"].as_str().unwrap_or_default();
            let done = match kind {
                "execute" => execute(&connection, &request["stmt"])
                    .map(|result| json!({ "type": kind, "result": result })),
                "get_autocommit" => Ok(json!({ "type": kind, "is_autocommit": connection.is_autocommit() })),
                "sequence" => connection
                    .execute_batch(request["sql"].as_str().unwrap_or_default())
                    .map(|()| json!({ "type": kind })),
                "close" => {
                    is_open = false;
                    Ok(json!({ "type": kind }))
                }
                kind => panic!("nobody documents {kind:?}"),
            };
            results.push(match done {
                Ok(response) => json!({ "type": "ok", "response": response }),
                Err(error) => json!({
                    "type": "error",
                    "error": { "message": format!("SQLite error: {error}"), "code": "SQLITE_ERROR" },
                }),
            });
        }
        let baton = is_open.then(|| {
            let baton = format!("baton-{}", self.batons.fetch_add(1, Ordering::SeqCst));
            self.streams().insert(baton.clone(), connection);
            baton
        });
        (
            "200 OK",
            json!({ "baton": baton, "base_url": null, "results": results }),
        )
    }
}

fn execute(connection: &Connection, asked: &Value) -> rusqlite::Result<Value> {
    let mut statement = connection.prepare(asked["sql"].as_str().unwrap_or_default())?;
    for (number, argument) in asked["args"].as_array().into_iter().flatten().enumerate() {
        statement.raw_bind_parameter(number + 1, bound(argument))?;
    }
    let columns: Vec<Value> = statement
        .column_names()
        .map(|name| json!({ "name": name, "decltype": null }))
        .collect();
    let rows = rows(&mut statement, columns.len())?;
    let changes = if statement.readonly() {
        0
    } else {
        connection.changes()
    };
    Ok(json!({
        "cols": columns,
        "rows": rows,
        "affected_row_count": changes,
        "last_insert_rowid": connection.last_insert_rowid().to_string(),
    }))
}

fn rows(statement: &mut Statement<'_>, columns: usize) -> rusqlite::Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let values: rusqlite::Result<Vec<Value>> = (0..columns)
            .map(|column| {
                Ok(match row.get_ref(column)? {
                    ValueRef::Null => json!({ "type": "null" }),
                    ValueRef::Integer(number) => json!({ "type": "integer", "value": number.to_string() }),
                    ValueRef::Real(number) => json!({ "type": "float", "value": number }),
                    ValueRef::Text(text) => json!({ "type": "text", "value": String::from_utf8_lossy(text) }),
                    ValueRef::Blob(bytes) => {
                        json!({ "type": "blob", "base64": STANDARD_NO_PAD.encode(bytes) })
                    }
                })
            })
            .collect();
        all.push(Value::Array(values?));
    }
    Ok(all)
}

fn bound(argument: &Value) -> SqlValue {
    let text = argument["value"].as_str().unwrap_or_default();
    match argument["type"].as_str() {
        Some("integer") => SqlValue::Integer(text.parse().expect("an integer")),
        Some("float") => SqlValue::Real(argument["value"].as_f64().expect("a number")),
        Some("text") => SqlValue::Text(text.to_owned()),
        Some("blob") => {
            let text = argument["base64"].as_str().unwrap_or_default();
            SqlValue::Blob(STANDARD.decode(text).expect("base64"))
        }
        Some("null") => SqlValue::Null,
        kind => panic!("nobody documents {kind:?}"),
    }
}
