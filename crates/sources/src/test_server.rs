//! A web server for tests, which answers what it is told to, also what is no HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers each request with the bytes that `answer` has for it, and keeps the connection open after them
/// if they end with none.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) asked: Arc<AtomicUsize>,
}

/// Ends an answer after which the server is silent.
pub(crate) const STOP: &[u8] = b"<stop>";

impl Server {
    pub(crate) async fn start(answer: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (answer, counter) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !is_whole(&request) {
                        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let number = counter.fetch_add(1, Ordering::SeqCst);
                    let bytes = answer(&String::from_utf8(request).unwrap(), number);
                    let stops = bytes.ends_with(STOP);
                    let sent = bytes.strip_suffix(STOP).unwrap_or(&bytes);
                    let _ = stream.write_all(sent).await;
                    if stops {
                        let _ = stream.read_to_end(&mut Vec::new()).await;
                    }
                });
            }
        });
        Self { port, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// True if the body is there, too, of as many bytes as the head says.
fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
}

/// An answer without a length, unless `head` has one.
pub(crate) fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}
