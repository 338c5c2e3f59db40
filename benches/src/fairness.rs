//! What a neighbour on the same thread notices: of a guest that computes without pause, and of connections that are
//! slow.
//!
//! Each server has one thread. A client asks for a hello, again and again on one connection: with nobody else there;
//! while another request computes, for a second, then the next; while 64 connections send a byte of their request every
//! so often. On Outport a guest that computes gives way after each slice of its time, however many there are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::contestants::{OUTPORT, OUTPORT_P3, Programs, WASMTIME, WASMTIME_P3};
use crate::http_client::HttpClient;
use crate::samples::Unit;
use crate::server::Server;
use crate::table::Table;

/// For how long the neighbour asks.
const SPAN: Duration = Duration::from_millis(1500);

/// Connections that are slow.
const SLOW: usize = 64;

/// Between two bytes of a slow request.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn fairness(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("fairness", "A hello on the only thread", OUTPORT);
    let servers = servers(programs);
    for server in &servers {
        ask_for(Duration::from_millis(300), server.address);
    }
    for _ in 0..repetitions {
        for server in &servers {
            note(&mut table, "alone", server, ask_for(SPAN, server.address));
        }
        for server in &servers {
            let times = beside(server.address, 1, compute, || ask_for(SPAN, server.address));
            note(&mut table, "beside a guest that computes", server, times);
        }
        for server in &servers {
            let times = beside(server.address, SLOW, dawdle, || ask_for(SPAN, server.address));
            note(&mut table, "beside 64 slow connections", server, times);
        }
    }
    table
}

fn servers(programs: &Programs) -> Vec<Server> {
    let one = &["--workers=1"];
    let mut servers = vec![
        Server::outport(OUTPORT, programs, "http-script-guest", one),
        Server::outport(OUTPORT_P3, programs, "http-script-guest-p3", one),
    ];
    if let Some(wasmtime) = &programs.wasmtime {
        servers.push(Server::wasmtime_on_one_thread(
            WASMTIME,
            wasmtime,
            "http-script-guest",
        ));
        servers.push(Server::wasmtime_on_one_thread(
            WASMTIME_P3,
            wasmtime,
            "http-script-guest-p3",
        ));
    }
    servers
}

fn note(table: &mut Table, what: &str, server: &Server, mut times: Vec<Duration>) {
    times.sort_unstable();
    for (percentile, hundredths) in [("p50", 50), ("p99", 99)] {
        let time = times[(times.len() - 1) * hundredths / 100];
        let row = format!("{what}, {percentile}");
        table.add(&row, Unit::Microseconds, server.name, time.as_secs_f64() * 1e6);
    }
}

/// How long each answer took.
fn ask_for(span: Duration, server: SocketAddr) -> Vec<Duration> {
    let mut client = HttpClient::connect(server);
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < span {
        times.push(client.get("/hello"));
    }
    times
}

/// Does `work` while so many others do theirs.
fn beside<R>(
    server: SocketAddr,
    others: usize,
    other: fn(SocketAddr, &AtomicBool),
    work: impl FnOnce() -> R,
) -> R {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(|| other(server, &over));
        }
        // Until they have begun.
        thread::sleep(Duration::from_millis(100));
        let result = work();
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// Asks for a second of computing, again and again.
fn compute(server: SocketAddr, over: &AtomicBool) {
    let mut client = HttpClient::connect(server);
    while !over.load(Ordering::Relaxed) {
        client.get("/script?spin%201000");
    }
}

/// Sends requests slowly.
fn dawdle(server: SocketAddr, over: &AtomicBool) {
    let request = b"GET /hello HTTP/1.1\r\nhost: bench\r\n\r\n";
    let Ok(mut connection) = TcpStream::connect(server) else {
        return;
    };
    let _ = connection.set_nodelay(true);
    while !over.load(Ordering::Relaxed) {
        for byte in request {
            if connection.write_all(&[*byte]).is_err() || over.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(PAUSE);
        }
        let _ = connection.read(&mut [0; 1024]);
    }
}
