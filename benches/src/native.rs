//! The native client: the few statements of the guest `player` that are measured, on the standard library's blocking
//! sockets. Nothing on this machine does it in less.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
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
}

/// Performs statements and prints their results as the guest does.
pub(crate) fn play(statements: &[String]) -> std::io::Result<String> {
    let mut connection = None;
    let mut lines = String::new();
    for (number, text) in (1..).zip(statements) {
        let statement = parse(text).unwrap_or_else(|| panic!("the native client knows no `{text}`"));
        let result = perform(&statement, &mut connection)?;
        lines.push_str(&format!("{number} {text} => {result}\n"));
    }
    Ok(lines)
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
        _ => return None,
    })
}

fn perform(statement: &Statement, connection: &mut Option<TcpStream>) -> std::io::Result<String> {
    Ok(match *statement {
        Statement::Connects(times, address) => {
            format!("ok, {}", median(times, || TcpStream::connect(address).map(drop))?)
        }
        Statement::Connect(address) => {
            let new = TcpStream::connect(address)?;
            new.set_nodelay(true)?;
            *connection = Some(new);
            "ok".to_owned()
        }
        Statement::Ping(rounds) => {
            let mut message = [b'.'; 64];
            median(rounds, || {
                own(connection).write_all(&message)?;
                own(connection).read_exact(&mut message)
            })?
        }
        Statement::Upload(bytes) => timed(|| {
            let chunk = vec![0; CHUNK];
            let mut left = bytes;
            while left > 0 {
                let length = left.min(CHUNK as u64);
                own(connection).write_all(&chunk[..length as usize])?;
                left -= length;
            }
            Ok(bytes)
        })?,
        Statement::Download => timed(|| {
            let mut chunk = vec![0; CHUNK];
            let mut bytes = 0;
            while let length @ 1.. = own(connection).read(&mut chunk)? {
                bytes += length as u64;
            }
            Ok(bytes)
        })?,
    })
}

fn own(connection: &mut Option<TcpStream>) -> &mut TcpStream {
    connection.as_mut().expect("the script connects first")
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
