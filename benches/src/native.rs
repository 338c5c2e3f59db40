//! The native client: the few statements of the guest `script-guest` that are measured, on the standard library's
//! blocking sockets. Nothing on this machine does it in less.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Bytes that the guests move at once.
const CHUNK: usize = 64 * 1024;

/// What a statement asks for.
enum Statement {
    /// `median N tcp.connect ADDRESS`
    Connects(usize, SocketAddr),
    /// `tcp.connect ADDRESS as NAME`; the last connection is the one that the others use
    Connect(SocketAddr),
    /// `tcp.ping NAME ROUNDS`
    Ping(usize),
    /// `tcp.upload NAME BYTES`
    Upload(u64),
    /// `tcp.download NAME`
    Download,
    /// `udp.connect ADDRESS as NAME`; as with connections, the last is used
    UdpConnect(SocketAddr),
    /// `udp.ping NAME ROUNDS`
    UdpPing(usize),
    /// `median N dns.query ADDRESS NAME`, which no guest knows: a server is asked for the IPv4 addresses of a name
    Queries(usize, SocketAddr, String),
}

/// Performs statements and prints their results as the guest does.
pub(crate) fn run(statements: &[String]) -> std::io::Result<String> {
    let mut sockets = Sockets::default();
    let mut lines = String::new();
    for (number, text) in (1..).zip(statements) {
        let statement = parse(text).unwrap_or_else(|| panic!("the native client knows no `{text}`"));
        let result = perform(&statement, &mut sockets)?;
        lines.push_str(&format!("{number} {text} => {result}\n"));
    }
    Ok(lines)
}

/// What statements leave to those after them.
#[derive(Default)]
struct Sockets {
    tcp: Option<TcpStream>,
    udp: Option<UdpSocket>,
}

fn parse(text: &str) -> Option<Statement> {
    let words: Vec<&str> = text.split(' ').collect();
    Some(match words[..] {
        ["median", times, "tcp.connect", address] => {
            Statement::Connects(times.parse().ok()?, address.parse().ok()?)
        }
        ["tcp.connect", address, "as", _] => Statement::Connect(address.parse().ok()?),
        ["tcp.ping", _, rounds] => Statement::Ping(rounds.parse().ok()?),
        ["tcp.upload", _, bytes] => Statement::Upload(bytes.parse().ok()?),
        ["tcp.download", _] => Statement::Download,
        ["udp.connect", address, "as", _] => Statement::UdpConnect(address.parse().ok()?),
        ["udp.ping", _, rounds] => Statement::UdpPing(rounds.parse().ok()?),
        ["median", times, "dns.query", server, name] => {
            Statement::Queries(times.parse().ok()?, server.parse().ok()?, name.to_owned())
        }
        _ => return None,
    })
}

fn perform(statement: &Statement, sockets: &mut Sockets) -> std::io::Result<String> {
    Ok(match statement {
        Statement::Connects(times, address) => {
            format!(
                "ok, {}",
                median(*times, || TcpStream::connect(address).map(drop))?
            )
        }
        Statement::Connect(address) => {
            let new = TcpStream::connect(address)?;
            new.set_nodelay(true)?;
            sockets.tcp = Some(new);
            "ok".to_owned()
        }
        Statement::Ping(rounds) => {
            let mut message = [b'.'; 64];
            median(*rounds, || {
                sockets.tcp().write_all(&message)?;
                sockets.tcp().read_exact(&mut message)
            })?
        }
        Statement::Upload(bytes) => timed(|| {
            let chunk = vec![0; CHUNK];
            let mut left = *bytes;
            while left > 0 {
                let length = left.min(CHUNK as u64);
                sockets.tcp().write_all(&chunk[..length as usize])?;
                left -= length;
            }
            Ok(*bytes)
        })?,
        Statement::Download => timed(|| {
            let mut chunk = vec![0; CHUNK];
            let mut bytes = 0;
            while let length @ 1.. = sockets.tcp().read(&mut chunk)? {
                bytes += length as u64;
            }
            Ok(bytes)
        })?,
        Statement::UdpConnect(remote) => {
            sockets.udp = Some(datagrams_to(*remote)?);
            "ok".to_owned()
        }
        Statement::UdpPing(rounds) => {
            let mut message = [b'.'; 64];
            median(*rounds, || {
                sockets.udp().send(&message)?;
                sockets.udp().recv(&mut message).map(drop)
            })?
        }
        Statement::Queries(times, server, name) => {
            let (question, mut answer) = (question(name), [0; 512]);
            let median = median(*times, || {
                let socket = datagrams_to(*server)?;
                socket.send(&question)?;
                socket.recv(&mut answer).map(drop)
            })?;
            format!("ok, {median}")
        }
    })
}

impl Sockets {
    fn tcp(&mut self) -> &mut TcpStream {
        self.tcp.as_mut().expect("the script connects first")
    }

    fn udp(&self) -> &UdpSocket {
        self.udp.as_ref().expect("the script connects first")
    }
}

fn datagrams_to(remote: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(remote)?;
    Ok(socket)
}

/// A question for the IPv4 addresses of a name (RFC 1035, section 4.1).
fn question(name: &str) -> Vec<u8> {
    const HEADER: [u8; 12] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let labels = name
        .split('.')
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    HEADER.into_iter().chain(labels).chain([0, 0, 1, 0, 1]).collect()
}

fn median(times: usize, mut action: impl FnMut() -> std::io::Result<()>) -> std::io::Result<String> {
    let mut all: Vec<Duration> = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        action()?;
        all.push(start.elapsed());
    }
    all.sort_unstable();
    let median = all.get(all.len() / 2).copied().unwrap_or_default();
    Ok(format!("median {:.1}us of {times}", median.as_secs_f64() * 1e6))
}

fn timed(action: impl FnOnce() -> std::io::Result<u64>) -> std::io::Result<String> {
    let start = Instant::now();
    let bytes = action()?;
    Ok(format!("{bytes} bytes in {}us", start.elapsed().as_micros()))
}
