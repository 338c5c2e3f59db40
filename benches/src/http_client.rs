//! A client that asks one thing after another on one connection.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// How long a server may take until it listens; one that is counted takes a while.
const TIMEOUT: Duration = Duration::from_secs(120);

/// One open connection.
pub(crate) struct HttpClient {
    runtime: Runtime,
    sender: SendRequest<Empty<Bytes>>,
    host: String,
}

impl HttpClient {
    /// Connects as soon as there is a server.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let deadline = Instant::now() + TIMEOUT;
        let sender = runtime.block_on(async {
            let connection = loop {
                match TcpStream::connect(address).await {
                    Ok(connection) => break connection,
                    Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
                }
                thread::sleep(Duration::from_millis(5));
            };
            let _ = connection.set_nodelay(true);
            let handshake = http1::handshake(TokioIo::new(connection)).await;
            let (sender, connection) = handshake.expect("nothing is exchanged yet");
            tokio::spawn(connection);
            sender
        });
        Self {
            runtime,
            sender,
            host: address.to_string(),
        }
    }

    /// Asks, and waits for the whole answer.
    pub(crate) fn get(&mut self, path: &str) -> Duration {
        let request = Request::get(path).header("host", &self.host).body(Empty::new());
        let request = request.expect("the path is one of ours");
        let begun = Instant::now();
        let status = self.runtime.block_on(async {
            let answer = self.sender.send_request(request).await?;
            let status = answer.status();
            answer.into_body().collect().await?;
            Ok::<_, hyper::Error>(status)
        });
        let time = begun.elapsed();
        let status = status.unwrap_or_else(|error| panic!("{path} of {}: {error}", self.host));
        assert!(
            status.is_success(),
            "{path} of {} is answered with {status}",
            self.host
        );
        time
    }
}
