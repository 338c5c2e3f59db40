//! Servers on loopback, each on a free port.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

/// A TCP server on loopback that sends back what it gets.
pub(crate) async fn tcp_echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    address
}

/// A UDP server on loopback that answers every datagram twice: itself, and from another port.
pub(crate) async fn udp_echo() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            stranger.send_to(b"unsolicited", peer).await.ok();
            socket.send_to(&buffer[..length], peer).await.ok();
        }
    });
    address
}

/// A port of loopback where nobody listens.
pub(crate) async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

/// An HTTP/1.1 server, how many connections it has accepted, and how many of them are open.
pub(crate) struct HttpServer {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl HttpServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (all, now) = (accepted.clone(), open.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                all.fetch_add(1, Ordering::Relaxed);
                now.fetch_add(1, Ordering::Relaxed);
                let now = now.clone();
                tokio::spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new();
                    let served = connection.serve_connection(TokioIo::new(stream), service_fn(answer));
                    served.await.ok();
                    now.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self {
            address,
            accepted,
            open,
        }
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// An HTTPS server for `host.example` that speaks HTTP/2.
pub(crate) struct HttpsServer {
    pub(crate) address: SocketAddr,
    /// What vouches for it, as PEM.
    pub(crate) certificate: String,
    open: Arc<AtomicUsize>,
}

impl HttpsServer {
    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

pub(crate) async fn https() -> HttpsServer {
    let certified = rcgen::generate_simple_self_signed(vec!["host.example".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let open = Arc::new(AtomicUsize::new(0));
    let count = open.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, count) = (acceptor.clone(), count.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await?;
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                count.fetch_add(1, Ordering::Relaxed);
                connection
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await
                    .ok();
                count.fetch_sub(1, Ordering::Relaxed);
                std::io::Result::Ok(())
            });
        }
    });
    HttpsServer {
        address,
        certificate: certified.cert.pem(),
        open,
    }
}

type Body = Either<Full<Bytes>, StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

/// `/trace` has the trace context of the request; `/bytes/N` has N bytes; `/begun` begins and never ends; a POST says how many it got; `/close` ends the connection; all
/// else says what was asked.
async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if path == "/begun" {
        let begun = stream::iter([Ok(Frame::data(Bytes::from_static(b"begun")))]);
        let body = StreamBody::new(begun.chain(stream::pending()).boxed());
        return Ok(Response::new(Either::Right(body)));
    }
    let host = parts
        .headers
        .get("host")
        .map(|host| host.to_str().unwrap().to_owned());
    let host = host
        .or(parts.uri.authority().map(ToString::to_string))
        .unwrap_or_default();
    if path == "/trace" {
        let value = |name| {
            parts
                .headers
                .get(name)
                .map_or("-", |value| value.to_str().unwrap())
        };
        let context = format!("{} {}", value("traceparent"), value("tracestate"));
        return Ok(Response::new(Either::Left(Full::new(Bytes::from(context)))));
    }
    let length = path
        .strip_prefix("/bytes/")
        .map(|length| length.parse::<usize>().unwrap());
    let body = match length {
        Some(length) => vec![b'x'; length],
        None if parts.method == Method::POST => format!("{} bytes", count(body).await).into(),
        None => format!("{:?} {} {host}{path}", parts.version, parts.method).into(),
    };
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(body))));
    if path == "/close" {
        response
            .headers_mut()
            .insert("connection", "close".parse().unwrap());
    }
    Ok(response)
}

async fn count(mut body: Incoming) -> usize {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    length
}
