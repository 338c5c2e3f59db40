//! As much HTTP/1.1 as a test needs: a client for what Outport serves, and an origin for guests to talk to.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};

use crate::until::PATIENCE;

/// A response that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, taken as UTF-8.
    pub body: String,
}

impl Response {
    /// The first header of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Sends `GET path` to `server` on a connection of its own.
///
/// # Errors
///
/// If the server does not answer in HTTP, or says nothing for [`PATIENCE`].
pub fn get(server: SocketAddr, path: &str) -> io::Result<Response> {
    send(server, &get_request(server, path))
}

/// Sends `POST path` with a body to `server` on a connection of its own.
///
/// # Errors
///
/// If the server does not answer in HTTP within thirty seconds.
pub fn post(server: SocketAddr, path: &str, body: &str) -> io::Result<Response> {
    let length = body.len();
    send(
        server,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

/// Like [`get`], from an address of this machine, such as another one of 127.0.0.0/8.
///
/// # Errors
///
/// If the server does not answer in HTTP, or says nothing for [`PATIENCE`].
pub fn get_from(from: Ipv4Addr, server: SocketAddr, path: &str) -> io::Result<Response> {
    send_on(connect_from(from, server)?, &get_request(server, path))
}

/// A connection to `server` from an address of this machine.
///
/// # Errors
///
/// If the address is none of this machine, or the server refuses.
pub fn connect_from(from: Ipv4Addr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::from((from, 0)))?;
    rustix::net::connect(&socket, &server)?;
    Ok(TcpStream::from(socket))
}

fn get_request(server: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")
}

/// Sends `request` as it is, and reads one response.
///
/// # Errors
///
/// If the server does not answer in HTTP, or says nothing for [`PATIENCE`].
pub fn send(server: SocketAddr, request: &str) -> io::Result<Response> {
    send_on(TcpStream::connect(server)?, request)
}

fn send_on(mut stream: TcpStream, request: &str) -> io::Result<Response> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    read_response(&mut BufReader::new(stream), request)
}

/// Reads the response to `request`, of which only the method matters.
///
/// # Errors
///
/// If there is none, or it breaks off.
pub fn read_response(reader: &mut impl BufRead, request: &str) -> io::Result<Response> {
    let head = read_head(reader)?;
    let status = head.first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| invalid(&head.first))?;
    let body = if request.starts_with("HEAD ") || matches!(status, 204 | 304) {
        Vec::new()
    } else {
        read_body(reader, &head)?
    };
    Ok(Response {
        status,
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// A request that an [`Origin`] got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it arrived: the server's own end of the connection, with IPv4 as IPv4.
    pub at: SocketAddr,
    /// `GET /path HTTP/1.1`
    pub line: String,
    /// Names in lower case, and values, in the order of arrival.
    pub headers: Vec<(String, String)>,
}

/// When an [`Origin`] closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// After every answer.
    Always,
    /// After the answer to a path that ends with `/close`; others may follow one another.
    OnRequest,
}

/// An HTTP server that answers every request with the same text. Ends when dropped.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    log: Arc<Log>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Log {
    requests: Mutex<Vec<Request>>,
    accepted: AtomicUsize,
    ended: AtomicBool,
}

impl Origin {
    /// Starts an origin on a free port of 127.0.0.1 whose body is `text`.
    pub fn start(text: &str) -> Self {
        Self::start_on((Ipv4Addr::LOCALHOST, 0), text, Closing::Always)
    }

    /// Starts an origin on an address. `[::]` is every address of both families.
    pub fn start_on(address: impl ToSocketAddrs, text: &str, closing: Closing) -> Self {
        let listener = TcpListener::bind(address).expect("an address of this machine with a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let origin_log = Arc::new(Log::default());
        let (log, text) = (Arc::clone(&origin_log), text.to_owned());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if log.ended.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), log, text) = (stream, Arc::clone(&log), text.clone()) else {
                    continue;
                };
                log.accepted.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || answer(&stream, &text, closing, &log));
            }
        });
        Self {
            address,
            log: origin_log,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        let requests = self.log.requests.lock();
        requests.expect("no thread panics with the requests").clone()
    }

    /// How many connections came so far, with a request or without.
    pub fn accepted(&self) -> usize {
        self.log.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.log.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: &TcpStream, text: &str, closing: Closing, log: &Log) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let local = stream.local_addr()?;
    let at = SocketAddr::new(local.ip().to_canonical(), local.port());
    let mut reader = BufReader::new(stream);
    loop {
        let head = read_head(&mut reader)?;
        let path = head.first.split(' ').nth(1).unwrap_or_default();
        let close = closing == Closing::Always || path.ends_with("/close");
        let request = Request {
            at,
            line: head.first,
            headers: head.headers,
        };
        let requests = log.requests.lock();
        requests
            .expect("no thread panics with the requests")
            .push(request);
        let (length, header) = (text.len(), if close { "Connection: close\r\n" } else { "" });
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{header}\r\n{text}"
        )?;
        if close {
            return Ok(());
        }
    }
}

/// What comes before a body.
#[derive(Debug)]
pub struct Head {
    /// `GET /path HTTP/1.1`, or `HTTP/1.1 200 OK`.
    pub first: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that name, which is given in lower case.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads the head of a message.
///
/// # Errors
///
/// If there is none.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Head> {
    let first = read_line(reader)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(Head { first, headers });
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    match reader.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

/// Reads the body of a request, which has none unless its head says so.
///
/// # Errors
///
/// If it breaks off.
pub fn read_request_body(reader: &mut impl BufRead, head: &Head) -> io::Result<Vec<u8>> {
    match head.value("transfer-encoding").or(head.value("content-length")) {
        Some(_) => read_body(reader, head),
        None => Ok(Vec::new()),
    }
}

/// The body behind `head`.
pub fn read_body(reader: &mut impl BufRead, head: &Head) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head
        .value("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        loop {
            let size = read_line(reader)?;
            let size = usize::from_str_radix(&size, 16).map_err(|_| invalid(&size))?;
            let mut chunk = vec![0; size];
            reader.read_exact(&mut chunk)?;
            read_line(reader)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }
    match head.value("content-length").map(str::parse) {
        Some(length) => {
            body.resize(length.map_err(|_| invalid("content-length"))?, 0);
            reader.read_exact(&mut body)?;
        }
        None => {
            reader.read_to_end(&mut body)?;
        }
    }
    Ok(body)
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: `{text}`"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_client_understands_the_origin() {
        let origin = Origin::start("hello");
        let response = get(origin.address(), "/a?b=c").unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "hello"));
        assert_eq!(response.header("content-length"), Some("5"));
        assert_eq!(origin.requests()[0].line, "GET /a?b=c HTTP/1.1");
    }

    #[test]
    fn an_origin_says_where_a_request_came_and_keeps_what_it_is_not_asked_to_close() {
        let origin = Origin::start_on((Ipv4Addr::LOCALHOST, 0), "hello", Closing::OnRequest);
        let mut stream = TcpStream::connect(origin.address()).unwrap();
        let request = "GET /a HTTP/1.1\r\n\r\nGET /close HTTP/1.1\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert_eq!(answers.matches("hello").count(), 2, "{answers}");
        assert_eq!((origin.accepted(), origin.requests().len()), (1, 2));
        assert_eq!(origin.requests()[1].at, origin.address());
    }

    #[test]
    fn chunks_are_put_together() {
        let head = Head {
            first: String::new(),
            headers: vec![("transfer-encoding".into(), "chunked".into())],
        };
        let mut body = BufReader::new(&b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"[..]);
        assert_eq!(read_body(&mut body, &head).unwrap(), b"abcde");
    }
}
