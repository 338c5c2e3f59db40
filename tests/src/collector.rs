//! A collector of OpenTelemetry, which takes what it gets by OTLP over HTTP, or does not.

use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::http::{read_head, read_request_body};

/// What a collector answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// That it has taken what came.
    Taken,
    /// This, word for word.
    Text(String),
    /// Nothing: it keeps the connection and is silent.
    Nothing,
}

impl Answer {
    /// A status, with further headers, each with its line break.
    pub fn status(status: u16, headers: &str) -> Self {
        Self::Text(format!(
            "HTTP/1.1 {status} No\r\n{headers}Content-Length: 0\r\n\r\n"
        ))
    }
}

/// A running collector. Ends when dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    got: Arc<Got>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Got {
    answer: Mutex<Answer>,
    messages: Mutex<Vec<OtlpMessage>>,
    ended: AtomicBool,
}

/// What came.
#[derive(Clone, Debug)]
pub struct OtlpMessage {
    /// The path of the request.
    pub path: String,
    /// The header `x-key`.
    pub key: Option<String>,
    /// True if it was compressed.
    pub was_compressed: bool,
    body: Vec<u8>,
}

impl Collector {
    /// Starts a collector on a free port of 127.0.0.1.
    pub fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let got = Arc::new(Got {
            answer: Mutex::new(answer),
            messages: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let log = got.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if log.ended.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let log = log.clone();
                    thread::spawn(move || log.converse(stream));
                }
            }
        });
        Self {
            address,
            got,
            thread: Some(thread),
        }
    }

    /// The address for all signals.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has it answer something else from now on.
    pub fn answer(&self, answer: Answer) {
        *lock(&self.got.answer) = answer;
    }

    /// All that came so far.
    pub fn messages(&self) -> Vec<OtlpMessage> {
        lock(&self.got.messages).clone()
    }

    /// The spans that it has taken.
    pub fn spans(&self) -> Vec<Span> {
        let messages = self.of_path::<ExportTraceServiceRequest>("/v1/traces");
        let resources = messages.into_iter().flat_map(|message| message.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The lines that it has taken.
    pub fn lines(&self) -> Vec<LogRecord> {
        let messages = self.of_path::<ExportLogsServiceRequest>("/v1/logs");
        let resources = messages.into_iter().flat_map(|message| message.resource_logs);
        let scopes = resources.flat_map(|resource| resource.scope_logs);
        scopes.flat_map(|scope| scope.log_records).collect()
    }

    /// The metrics that came last, by their names, and the resource whose they are.
    pub fn metrics(&self) -> Option<(HashMap<String, Metric>, Resource)> {
        let last = self.of_path::<ExportMetricsServiceRequest>("/v1/metrics").pop()?;
        let resource = last.resource_metrics.into_iter().next()?;
        let scopes = resource.scope_metrics.into_iter();
        let metrics = scopes.flat_map(|scope| scope.metrics);
        let metrics = metrics.map(|metric| (metric.name.clone(), metric));
        Some((metrics.collect(), resource.resource?))
    }

    fn of_path<M: Message + Default>(&self, path: &str) -> Vec<M> {
        let messages = lock(&self.got.messages);
        let own = messages.iter().filter(|message| message.path == path);
        own.map(|message| M::decode(&*message.body).expect("a message of OTLP"))
            .collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.got.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Got {
    fn converse(&self, stream: TcpStream) {
        let Ok(mut answers) = stream.try_clone() else {
            return;
        };
        let mut reader = BufReader::new(stream);
        while let Ok(head) = read_head(&mut reader) {
            let Ok(body) = read_request_body(&mut reader, &head) else {
                return;
            };
            let was_compressed = head.value("content-encoding") == Some("gzip");
            let mut plain = Vec::new();
            if was_compressed {
                let read = GzDecoder::new(&*body).read_to_end(&mut plain);
                read.expect("what is called compressed is");
            } else {
                plain = body;
            }
            let message = OtlpMessage {
                path: head.first.split(' ').nth(1).unwrap_or_default().to_owned(),
                key: head.value("x-key").map(ToOwned::to_owned),
                was_compressed,
                body: plain,
            };
            lock(&self.messages).push(message);
            let answer = match lock(&self.answer).clone() {
                Answer::Taken => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
                Answer::Text(text) => text,
                Answer::Nothing => continue,
            };
            if answers.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// The text of an attribute; none if it is not there, or no text.
pub fn text_of<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key == name)?;
    text(attribute.value.as_ref())
}

/// The text of a value.
pub fn text(value: Option<&AnyValue>) -> Option<&str> {
    match value?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
