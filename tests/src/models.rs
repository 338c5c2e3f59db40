//! A server that runs models, or says so: what it generates is what it was asked.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::http::{read_head, read_request_body};

/// A request that a [`ModelServer`] got.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// `/v1/embeddings`
    pub path: String,
    /// The header of that name.
    pub authorization: String,
    /// What is asked.
    pub body: Value,
}

/// Understands Spin's own API and the one of OpenAI, on 127.0.0.1. Every prompt is three tokens, and every text one. A
/// model `missing` is not there. Ends when dropped.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    log: Arc<Log>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Log {
    asked: Mutex<Vec<Asked>>,
    ended: AtomicBool,
}

impl ModelServer {
    /// A server on a free port, which speaks TLS if it is told how.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let log = Arc::new(Log::default());
        let own = Arc::clone(&log);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if log.ended.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let (tls, log) = (tls.clone(), Arc::clone(&log));
                    // Who hangs up, or does not like the certificate, gets no answer.
                    thread::spawn(move || serve(stream, tls, &log));
                }
            }
        });
        Self {
            address,
            log: own,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = self.log.asked.lock();
        asked.expect("no thread panics with the requests").clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.log.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, log: &Log) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    match tls {
        None => answer(stream, log),
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            answer(StreamOwned::new(connection, stream), log)
        }
    }
}

fn answer(stream: impl Read + Write, log: &Log) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let head = read_head(&mut stream)?;
        let body = read_request_body(&mut stream, &head)?;
        let asked = Asked {
            path: head.first.split(' ').nth(1).unwrap_or_default().to_owned(),
            authorization: head.value("authorization").unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body)?,
        };
        let (status, answer) = answer_to(&asked);
        let all = log.asked.lock();
        all.expect("no thread panics with the requests").push(asked);
        let (answer, stream) = (answer.to_string(), stream.get_mut());
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{answer}"
        )?;
        stream.flush()?;
    }
}

fn answer_to(asked: &Asked) -> (&'static str, Value) {
    let body = &asked.body;
    let model = body["model"].as_str().unwrap_or_default();
    if model == "missing" {
        let message = format!("nobody here is {model}; you are {}", asked.authorization);
        return ("404 Not Found", json!({ "error": { "message": message } }));
    }
    let said = |prompt: &Value| format!("{model} was asked: {}", prompt.as_str().unwrap_or_default());
    let embeddings = || {
        let texts = body["input"].as_array().into_iter().flatten();
        texts.map(|text| json!([text.as_str().unwrap_or_default().len(), 0.5]))
    };
    let answer = match asked.path.as_str() {
        "/infer" => json!({
            "text": said(&body["prompt"]),
            "usage": { "promptTokenCount": 3, "generatedTokenCount": 4 },
        }),
        "/embed" => json!({
            "embeddings": embeddings().collect::<Vec<_>>(),
            "usage": { "promptTokenCount": embeddings().count() },
        }),
        "/v1/chat/completions" => json!({
            "object": "chat.completion",
            "choices": [{
                "index": 0,
                "finish_reason": "stop",
                "message": { "role": "assistant", "content": said(&body["messages"][0]["content"]) },
            }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7 },
        }),
        "/v1/embeddings" => json!({
            "object": "list",
            "data": embeddings()
                .enumerate()
                .map(|(index, own)| json!({ "object": "embedding", "index": index, "embedding": own }))
                .collect::<Vec<_>>(),
            "usage": { "prompt_tokens": embeddings().count(), "total_tokens": embeddings().count() },
        }),
        path => {
            return (
                "404 Not Found",
                json!({ "detail": format!("there is no {path}") }),
            );
        }
    };
    ("200 OK", answer)
}
