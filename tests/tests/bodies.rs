//! Bodies are passed on as they come: however long one is, the process's memory stays as it was.
//!
//! By default bodies of 128 MiB, twice what memory may grow by; with `--ignored` the same with 1 GiB.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use outport_e2e::outport::{Outport, Running};

const MIB: u64 = 1024 * 1024;

/// How much of a body is kept, in bytes.
const START: u64 = 200;

/// What memory may grow by over that of the idle process.
const ROOM: u64 = 64 * MIB;

#[test]
fn memory_stays_flat_while_long_bodies_go_through() {
    every_way(128 * MIB);
}

#[test]
#[ignore = "takes a minute"]
fn memory_stays_flat_while_bodies_of_a_gibibyte_go_through() {
    every_way(1024 * MIB);
}

fn every_way(length: u64) {
    let server = bulk_server();
    for guest in ["http-script-guest", "http-script-guest-p3"] {
        let mut app = Outport::up(&format!(
            "spin_manifest_version = 2\napplication.name = \"bodies\"\n[[trigger.http]]\nroute = \"/...\"\n\
             component = \"it\"\n[component.it]\nsource = \"GUESTS/{guest}.wasm\"\n\
             allowed_outbound_hosts = [\"http://{server}\"]\n"
        ))
        .within(Duration::from_secs(300))
        .start();
        // Whatever is made once is made before the memory of the idle process is looked at.
        go_through(&app, server, MIB);
        let idle = memory(&mut app, "VmRSS:");
        go_through(&app, server, length);
        let most = memory(&mut app, "VmHWM:");
        let grown = most.saturating_sub(idle);
        eprintln!("{guest}: {} MiB idle, {} MiB at most", idle / MIB, most / MIB);
        assert!(grown < ROOM, "{guest}: memory grew by {grown} bytes\n{app}");
        app.stop();
    }
}

/// A body of so many bytes in each direction, once by the guest's own requests and once by its client's.
fn go_through(app: &Running, server: SocketAddr, length: u64) {
    let address = app.address();
    let run_script = |statement: &str| {
        let request = format!("GET /script?{}", statement.replace(' ', "%20"));
        let (answer, _) = exchange(address, &request, 0).expect("an answer");
        let (_, result) = answer.trim_end().split_once(" => ").unwrap_or(("", &answer));
        result.to_owned()
    };
    let download = run_script(&format!("http.length GET http://{server}/{length}"));
    assert_eq!(download, format!("200 {length} bytes"), "{app}");
    let upload = run_script(&format!("http.upload {length} http://{server}/"));
    assert_eq!(upload, format!("200 {length}"), "{app}");

    let answered = exchange(address, &format!("GET /zeroes?{length}"), 0).expect("an answer");
    assert_eq!(answered.1, length, "{app}");
    let (text, _) = exchange(address, "POST /count", length).expect("an answer");
    assert_eq!(text.trim_end(), length.to_string(), "{app}");
}

/// Sends a request with so many zeroes. Answers the start of the body, and its length.
fn exchange(address: SocketAddr, request: &str, zeroes: u64) -> io::Result<(String, u64)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: it\r\nConnection: close\r\nContent-Length: {zeroes}\r\n\r\n"
    )?;
    io::copy(&mut io::repeat(0).take(zeroes), &mut stream)?;
    read_message(&mut BufReader::with_capacity(1 << 16, stream))
}

/// Reads a message: the start of its body, and its length.
fn read_message(stream: &mut impl BufRead) -> io::Result<(String, u64)> {
    let (mut length, mut chunked) = (0, false);
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        let lower = line.trim_end().to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        chunked |= lower.starts_with("transfer-encoding:") && lower.ends_with("chunked");
        line.clear();
    }
    let mut start = Vec::new();
    let mut whole = 0;
    loop {
        if chunked {
            line.clear();
            stream.read_line(&mut line)?;
            length = u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        }
        let mut chunk = stream.by_ref().take(length);
        chunk.by_ref().take(START).read_to_end(&mut start)?;
        io::copy(&mut chunk, &mut io::sink())?;
        whole += length;
        if chunked {
            stream.read_line(&mut line)?;
        }
        if !chunked || length == 0 {
            start.truncate(START as usize);
            return Ok((String::from_utf8_lossy(&start).into_owned(), whole));
        }
    }
}

/// A server that answers `GET /N` with N zeroes, and `POST` with the number of bytes that it got.
fn bulk_server() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
    let address = listener.local_addr().expect("a bound listener has an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let mut reader = BufReader::with_capacity(1 << 16, stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let target = first.split(' ').nth(1).unwrap_or_default();
    let (_, got) = read_message(&mut reader)?;
    let mut stream = stream;
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
    match target.trim_start_matches('/').parse::<u64>() {
        Ok(zeroes) => {
            write!(stream, "{head} {zeroes}\r\n\r\n")?;
            io::copy(&mut io::repeat(0).take(zeroes), &mut stream)?;
        }
        Err(_) => write!(stream, "{head} {}\r\n\r\n{got}", got.to_string().len())?,
    }
    stream.shutdown(Shutdown::Write)
}

/// Bytes of memory of the process: `VmRSS:` what it has, `VmHWM:` the most that it ever had.
fn memory(app: &mut Running, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.id())).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    kibibytes
        .and_then(|number| number.parse::<u64>().ok())
        .expect("a number")
        * 1024
}
