//! The world outside, which listens at every port that guests try to get to: who gets out is counted.
//!
//! A listener has its port at every address of this network, IPv4 and IPv6, for TCP and UDP. A connection that speaks
//! HTTP gets an answer that says which host it asked for and at which address it arrived; any other is echoed, and
//! so is a datagram. `/to/URL` answers with a redirection to that URL, `/keep` keeps the connection open. One that begins
//! with a command of Redis gets answers: to `GET` of `moved:HOST:PORT` that the key is there, of `close` the end of the
//! connection, of any other key at which address it arrived.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The ports that have a listener. Others refuse, as closed ports do.
pub(crate) const PORTS: [u16; 15] = [
    22, 53, 80, 443, 1023, 1024, 1883, 3306, 3307, 5353, 5432, 6379, 8080, 9999, 65535,
];

/// The port of MySQL, whose clients wait until the server has spoken, and another one: whoever arrives is sent away.
const SENT_AWAY: [u16; 2] = [3306, 3307];

/// All listeners. They stay open until the process ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    arrivals: Arc<AtomicUsize>,
}

impl Outside {
    /// Listens at every port.
    pub(crate) fn open() -> Self {
        let outside = Self::default();
        for port in PORTS {
            let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            let fail = |error: io::Error| -> ! { panic!("a listener at port {port}: {error}") };
            let connections = TcpListener::bind(everywhere).unwrap_or_else(|error| fail(error));
            let datagrams = UdpSocket::bind(everywhere).unwrap_or_else(|error| fail(error));
            let (here, there) = (outside.clone(), outside.clone());
            thread::spawn(move || here.welcome(&connections));
            thread::spawn(move || there.echo(&datagrams));
        }
        outside
    }

    /// Connections and datagrams so far.
    pub(crate) fn arrivals(&self) -> usize {
        self.arrivals.load(Ordering::SeqCst)
    }

    /// Waits until there are `count` arrivals, or for a while; and says how many there are.
    pub(crate) fn wait_for(&self, count: usize) -> usize {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.arrivals() < count && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        self.arrivals()
    }

    fn welcome(&self, connections: &TcpListener) {
        for stream in connections.incoming().flatten() {
            self.arrivals.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || talk(stream));
        }
    }

    fn echo(&self, datagrams: &UdpSocket) {
        let mut buffer = [0; 2048];
        while let Ok((length, sender)) = datagrams.recv_from(&mut buffer) {
            self.arrivals.fetch_add(1, Ordering::SeqCst);
            let _ = datagrams.send_to(&buffer[..length], sender);
        }
    }
}

fn talk(mut stream: TcpStream) -> io::Result<()> {
    if SENT_AWAY.contains(&stream.local_addr()?.port()) {
        return Ok(());
    }
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut start = [0; 4];
    let length = stream.peek(&mut start)?;
    let http = [&b"GET "[..], b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN"];
    if http.contains(&&start[..length]) {
        while answer(&mut stream)? {}
        return Ok(());
    }
    if start[..length].starts_with(b"*") {
        return speak_redis(stream);
    }
    let mut buffer = [0; 2048];
    while let length @ 1.. = stream.read(&mut buffer)? {
        stream.write_all(&buffer[..length])?;
    }
    Ok(())
}

/// Answers commands, of which each is an array of texts.
fn speak_redis(mut stream: TcpStream) -> io::Result<()> {
    let here = stream.local_addr()?.ip().to_canonical().to_string();
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let number = |line: Option<io::Result<String>>| -> io::Result<usize> {
        let line = line.transpose()?.unwrap_or_default();
        line.get(1..)
            .and_then(|digits| digits.parse().ok())
            .ok_or(io::ErrorKind::InvalidData.into())
    };
    loop {
        let mut words = Vec::new();
        for _ in 0..number(lines.next())? {
            number(lines.next())?;
            words.extend(lines.next().transpose()?);
        }
        let answer = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["GET", "close"] => return Ok(()),
            ["GET", key] => match key.strip_prefix("moved:") {
                Some(place) => format!("-MOVED 3999 {place}\r\n"),
                None => format!("${}\r\n{here}\r\n", here.len()),
            },
            _ => "+OK\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes())?;
    }
}

/// Answers one request, and says whether there may be another.
fn answer(stream: &mut TcpStream) -> io::Result<bool> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut host = String::new();
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("host") => host = value.trim().to_owned(),
            Some(_) => {}
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let keep = path.starts_with("/keep");
    let (status, location) = match path.strip_prefix("/to/") {
        Some(url) => ("302 Found", format!("Location: {url}\r\n")),
        None => ("200 OK", String::new()),
    };
    let body = format!("{host} at {}", stream.local_addr()?.ip().to_canonical());
    let connection = if keep { "keep-alive" } else { "close" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{location}Content-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(keep)
}
