#![allow(
    clippy::disallowed_methods,
    reason = "clients of the server that is tested ask no gate"
)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use outport_manifest::{HttpAnswer, Manifest, PathRoute, SourceFile};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::http::{Listeners, RouteAnswer, RouteEntry, Router, Server, ServerLimits};

/// What was told of a request.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    line: String,
    route: Option<String>,
    status: u16,
    sent: u64,
    is_whole: bool,
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Told>>>);

impl RequestObserver for Notes {
    fn ended(&self, request: &RequestRecord<'_>) {
        assert!(request.component.is_none() && request.client.ip().is_loopback());
        self.0.lock().unwrap().push(Told {
            line: format!("{} {} {:?}", request.method, request.target, request.version),
            route: request.route.map(str::to_owned),
            status: request.status.as_u16(),
            sent: request.sent,
            is_whole: request.is_whole,
        });
    }
}

impl Notes {
    /// The next that is told.
    fn next(&self) -> Told {
        for _ in 0..6000 {
            let mut told = self.0.lock().unwrap();
            if !told.is_empty() {
                return told.remove(0);
            }
            drop(told);
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("nothing is told")
    }
}

fn fixed(written: &str) -> RouteAnswer {
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"a\"\n[[trigger.http]]\nroute = \"/\"\n\
         static_response = {{ {written} }}\n"
    );
    let read = Manifest::parse(&SourceFile::new("spin.toml", manifest));
    let (manifest, _) = read.complete().unwrap();
    match &manifest.http_triggers[0].answer {
        HttpAnswer::Static(fixed) => RouteAnswer::Static(fixed.clone()),
        HttpAnswer::Component { .. } => unreachable!(),
    }
}

fn server(notes: &Notes) -> (Server, SocketAddr) {
    let entry = |route, answer| RouteEntry {
        route: PathRoute::parse(route).unwrap(),
        answer: fixed(answer),
    };
    let large = "x".repeat(LARGE);
    let entries = [
        entry("/text", "body = \"text\""),
        entry("/none", "status_code = 204"),
        entry("/large/...", &format!("body = \"{large}\"")),
    ];
    let router = Router::new(entries, 1).with_observer(Arc::new(notes.clone()));
    let listeners = Listeners::bind((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap();
    let address = listeners.address();
    let server = Server::start(router, listeners, ServerLimits::default()).unwrap();
    (server, address)
}

/// Bytes: more than is written ahead of a client.
const LARGE: usize = 1_000_000;

/// What is sent as a request line, and what is told of it: route, status, bytes.
const ROWS: [(&str, &str, Option<&str>, u16, u64); 8] = [
    ("GET", "/text?x=1", Some("/text"), 200, 4),
    ("HEAD", "/text", Some("/text"), 200, 0),
    ("DELETE", "/none", Some("/none"), 204, 0),
    ("GET", "/large/a", Some("/large/..."), 200, LARGE as u64),
    ("HEAD", "/large/a", Some("/large/..."), 200, 0),
    ("GET", "/nowhere", None, 404, 31),
    ("GET", "/.well-known/spin/health", None, 200, 2),
    ("PUT", "/.well-known/spin/health", None, 405, 28),
];

#[test]
fn each_request_of_http_1_is_told_once_it_is_over() {
    let notes = Notes::default();
    let (_server, address) = server(&notes);
    for (method, path, route, status, sent) in ROWS {
        let mut client = TcpStream::connect(address).unwrap();
        write!(
            client,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
        let told = Told {
            line: format!("{method} {path} HTTP/1.1"),
            route: route.map(str::to_owned),
            status,
            sent,
            is_whole: true,
        };
        assert_eq!(notes.next(), told);
    }
    let mut client = TcpStream::connect(address).unwrap();
    write!(client, "GET /text HTTP/1.1\r\n\r\n").unwrap();
    let told = notes.next();
    assert_eq!((told.status, told.is_whole), (400, true), "{told:?}");
    assert!(notes.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_request_of_http_2_is_told_once_it_is_over() {
    let notes = Notes::default();
    let (_server, address) = server(&notes);
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut client, connection) = builder.handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    for (method, path, route, status, sent) in ROWS {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://x{path}"))
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.len() as u64, sent, "{method} {path}");
        let told = notes.next();
        assert_eq!(told.line, format!("{method} http://x{path} HTTP/2.0"));
        let rest = (told.route.as_deref(), told.status, told.sent, told.is_whole);
        assert_eq!(rest, (route, status, sent, true), "{method} {path}");
    }
    assert!(notes.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_client_gives_up_is_told_as_not_whole() {
    let notes = Notes::default();
    let (_server, address) = server(&notes);
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    // So much may come before its client has read it.
    builder.initial_stream_window_size(1000).max_frame_size(16_384);
    let (mut client, connection) = builder.handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://x/large/a")
        .body(Empty::<Bytes>::new())
        .unwrap();
    drop(client.send_request(request).await.unwrap());
    let told = tokio::task::spawn_blocking(move || notes.next()).await.unwrap();
    assert!(!told.is_whole && told.sent < LARGE as u64, "{told:?}");
}

/// The fields of the spans that were made on this thread.
#[derive(Clone, Default)]
struct Fields(Arc<Mutex<BTreeMap<String, String>>>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        let value = value.trim_matches('"').to_owned();
        self.0.lock().unwrap().insert(field.name().to_owned(), value);
    }
}

impl Subscriber for Fields {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == SPANS
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_request_has_a_span_by_the_conventions_until_its_response_has_ended() {
    let labels = Arc::new(RouteLabels {
        component: Some("web".to_owned()),
        route: Some("/a/...".to_owned()),
        ..RouteLabels::default()
    });
    let client = SocketAddr::from(([192, 0, 2, 1], 1234));
    let failed = Poll::Ready(Some(Err(Error::HttpResponseIncomplete)));
    // (method, status of a response, how its body ends, name, further fields)
    let rows = [
        (
            "GET",
            Some(200),
            Poll::Ready(None),
            "GET /a/...",
            &[("http.response.status_code", "200")][..],
        ),
        (
            "BREW",
            Some(404),
            Poll::Ready(None),
            "HTTP /a/...",
            &[("http.request.method", "_OTHER")],
        ),
        (
            "GET",
            Some(503),
            Poll::Ready(None),
            "GET /a/...",
            &[("otel.status_code", "ERROR"), ("error.type", "503")],
        ),
        (
            "GET",
            Some(200),
            failed,
            "GET /a/...",
            &[("otel.status_code", "ERROR"), ("error.type", "incomplete")],
        ),
        (
            "GET",
            None,
            Poll::Pending,
            "GET /a/...",
            &[("otel.status_code", "ERROR"), ("error.type", "cancelled")],
        ),
        (
            "GET",
            Some(200),
            Poll::Pending,
            "GET /a/...",
            &[("otel.status_code", "ERROR"), ("error.type", "cancelled")],
        ),
    ];
    for (method, status, end, name, further) in rows {
        let fields = Fields::default();
        let listening = tracing::subscriber::set_default(fields.clone());
        let path = format!("/a/{}", "x".repeat(1000));
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}?secret"))
            .body(())
            .unwrap();
        let (exchange, trace) = Exchange::begin(&labels, &request, client, None);
        assert!(trace.is_alone());
        let mut exchange = exchange.expect("somebody listens");
        if let Some(status) = status {
            let response = Response::builder().status(status).body(()).unwrap();
            exchange.respond(&response);
            exchange.pass(&end, false);
        }
        drop(exchange);
        drop(listening);
        let fields = fields.0.lock().unwrap();
        let common = [
            ("otel.name", name),
            ("otel.kind", "server"),
            ("outport.component", "web"),
            ("http.route", "/a/..."),
            ("url.scheme", "http"),
            ("client.address", "192.0.2.1"),
            ("client.port", "1234"),
        ];
        for (field, value) in common.iter().chain(further) {
            assert_eq!(fields.get(*field).map(String::as_str), Some(*value), "{fields:?}");
        }
        let path = &fields["url.path"];
        assert!(
            path.starts_with("/a/xxx") && path.chars().count() <= 301,
            "{path}"
        );
        let has_error = further.iter().any(|(field, _)| *field == "error.type");
        assert_eq!(fields.contains_key("error.type"), has_error, "{fields:?}");
    }
}

#[test]
fn a_call_of_a_component_has_no_client_and_may_leave_its_body_where_it_is() {
    // (status of a response, error)
    for (status, error) in [
        (Some(200), None),
        (Some(503), Some("503")),
        (None, Some("cancelled")),
    ] {
        let fields = Fields::default();
        let listening = tracing::subscriber::set_default(fields.clone());
        let request = Request::get("/a").body(()).unwrap();
        let (exchange, _) = Exchange::begin(&Arc::default(), &request, IN_PROCESS, None);
        let mut exchange = exchange.expect("somebody listens");
        if let Some(status) = status {
            exchange.respond(&Response::builder().status(status).body(()).unwrap());
        }
        drop(exchange);
        drop(listening);
        let fields = fields.0.lock().unwrap();
        assert_eq!(fields["url.path"], "/a");
        assert!(
            !fields.keys().any(|field| field.starts_with("client.")),
            "{fields:?}"
        );
        assert_eq!(fields.get("error.type").map(String::as_str), error, "{status:?}");
        assert_eq!(
            fields.contains_key("otel.status_code"),
            error.is_some(),
            "{status:?}"
        );
    }
}

#[test]
fn where_nobody_counts_traces_or_is_told_there_is_no_exchange() {
    let _deaf = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    let request = Request::get("/").body(()).unwrap();
    let client = SocketAddr::from(([192, 0, 2, 1], 1234));
    let (exchange, trace) = Exchange::begin(&Arc::default(), &request, client, None);
    assert!(exchange.is_none() && !trace.is_alone());
}
