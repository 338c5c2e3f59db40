//! One connection of a visitor: HTTP/1.1, or HTTP/2 for a visitor who begins with it.
//!
//! A visitor who connects and then says nothing, or says it a byte a minute, loses the connection: for the first
//! bytes, for each request's headers, and for the pause between two requests there is a limit. How slowly a body
//! comes or goes is the guest's affair, whose own limits end it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::net::TcpStream;

use super::site::Site;

/// What a connection needs to know.
pub(super) struct Visit {
    pub(super) site: Arc<Site>,
    pub(super) client: SocketAddr,
    /// Time for what the visitor owes us.
    pub(super) patience: Duration,
    /// Tells of the server's end.
    pub(super) stop: Watcher,
}

impl Visit {
    /// Serves a connection until one side ends it, or until the server stops.
    pub(super) async fn serve(self, socket: TcpStream) {
        let (client, site) = (self.client, Arc::clone(&self.site));
        let ended = match tokio::time::timeout(self.patience, first_words(&socket)).await {
            Ok(Ok(Protocol::Http1)) => self.serve_http1(socket).await,
            Ok(Ok(Protocol::Http2)) => self.serve_http2(socket).await,
            // The visitor left, or had nothing to say.
            Ok(Err(_)) | Err(_) => Ok(()),
        };
        match ended {
            Ok(()) => {}
            // The body of a response is not of the length that its headers say, or its guest trapped. The visitor cannot
            // be told any more. (Of HTTP/2 only the stream ends, which nobody hears of.)
            Err(error) if error.is_user() => site.note_broken_response(&error),
            Err(error) => tracing::debug!(%client, %error, "a connection broke"),
        }
    }

    async fn serve_http1(self, socket: TcpStream) -> hyper::Result<()> {
        let Visit {
            site,
            client,
            patience,
            stop,
        } = self;
        let answer = service_fn(move |request| {
            let site = Arc::clone(&site);
            async move { Ok::<_, Infallible>(site.answer(request, client, 0).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience)
            .serve_connection(TokioIo::new(socket), answer);
        stop.watch(connection).await
    }

    /// Once a visitor has asked for something, answering our pings is enough to stay.
    async fn serve_http2(self, socket: TcpStream) -> hyper::Result<()> {
        let Visit {
            site,
            client,
            patience,
            stop,
        } = self;
        let asked = Arc::new(AtomicBool::new(false));
        let asks = Arc::clone(&asked);
        let answer = service_fn(move |request| {
            asks.store(true, Ordering::Relaxed);
            let site = Arc::clone(&site);
            async move { Ok::<_, Infallible>(site.answer(request, client, 0).await) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(patience)
            .keep_alive_timeout(patience)
            .max_concurrent_streams(MAX_STREAMS)
            .serve_connection(TokioIo::new(socket), answer);
        let mut connection = pin!(stop.watch(connection));
        tokio::select! {
            ended = &mut connection => return ended,
            () = tokio::time::sleep(patience) => {}
        }
        match asked.load(Ordering::Relaxed) {
            true => connection.await,
            false => Ok(()),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// Looks at the first bytes and leaves them where they are. No HTTP/1 request begins with the method `PRI`.
async fn first_words(socket: &TcpStream) -> io::Result<Protocol> {
    let mut start = [0; 3];
    let seen = socket.peek(&mut start).await?;
    Ok(if &start[..seen] == b"PRI" {
        Protocol::Http2
    } else {
        Protocol::Http1
    })
}

/// Requests that may run at a time on one connection of HTTP/2.
const MAX_STREAMS: u32 = 100;
