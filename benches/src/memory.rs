//! How much memory processes hold: idle, for each instance that waits, and for each connection that a guest holds.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::contestants::{Client, OUTPORT, Programs, WASMTIME};
use crate::peers::Keeper;
use crate::samples::Unit;
use crate::server::{Server, free_address, resident};
use crate::table::Table;

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Requests that wait at a time.
const INSTANCES: usize = 100;

/// Connections that one guest holds. Outport gives guests half of the descriptors that it may have, so this takes a
/// limit of 20,000.
const CONNECTIONS: usize = 10_000;

pub(crate) fn memory(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("memory", "Resident memory", "wasmtime");
    for _ in 0..repetitions {
        let app = quickstart(programs);
        table.add(
            "`up` of the quickstart, idle",
            Unit::Mebibytes,
            OUTPORT,
            app.memory() / MEBIBYTE,
        );
        drop(app);
        for server in servers(programs) {
            let idle = server.memory();
            table.add(
                "serving, before a request",
                Unit::Mebibytes,
                server.name,
                idle / MEBIBYTE,
            );
            let each = while_waiting(&server) / INSTANCES as f64;
            table.add(
                "each waiting instance",
                Unit::Kibibytes,
                server.name,
                each / 1024.0,
            );
        }
        for client in holders(programs) {
            let each = of_connections(&client) / 1024.0;
            table.add("each connection of a guest", Unit::Kibibytes, client.name, each);
        }
    }
    table
}

fn servers(programs: &Programs) -> Vec<Server> {
    let outport = Server::outport(OUTPORT, programs, "http-script-guest", &[]);
    let wasmtime = programs.wasmtime.as_ref();
    let wasmtime = wasmtime.map(|program| Server::wasmtime(WASMTIME, program, "http-script-guest"));
    std::iter::once(outport).chain(wasmtime).collect()
}

fn quickstart(programs: &Programs) -> Server {
    let address = free_address();
    let mut command = Command::new(&programs.outport);
    command.args(["up", "-q", &format!("--listen={address}"), "-f"]);
    command.arg(outport_e2e::guest::workspace().join("examples/quickstart"));
    Server::start(OUTPORT, address, command)
}

/// Bytes by which the process grows with requests whose instances wait.
fn while_waiting(server: &Server) -> f64 {
    let _ = ask(server.address, "wait 1").map(|mut answer| answer.read_to_end(&mut Vec::new()));
    let before = server.memory();
    let waiting: Vec<_> = (0..INSTANCES)
        .filter_map(|_| ask(server.address, "wait 3000"))
        .collect();
    thread::sleep(Duration::from_millis(1500));
    let grown = server.memory() - before;
    assert_eq!(waiting.len(), INSTANCES);
    grown
}

fn ask(server: SocketAddr, statement: &str) -> Option<TcpStream> {
    let mut connection = TcpStream::connect(server).ok()?;
    let path = statement.replace(' ', "%20");
    let request = format!("GET /script?{path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).ok()?;
    Some(connection)
}

/// Who runs a guest that holds connections.
fn holders(programs: &Programs) -> Vec<Client> {
    let many = ["--max-sockets=10000", "--max-sockets-per-instance=10000"];
    let outport = programs.on_outport(OUTPORT, "script-guest", &many);
    let wasmtime = programs.wasmtime.as_ref();
    let wasmtime = wasmtime.map(|program| Client::on_wasmtime(WASMTIME, program, "script-guest"));
    std::iter::once(outport).chain(wasmtime).collect()
}

/// Bytes for each connection, from two runs that differ by their number only. What the kernel holds for a socket is
/// not part of a process; what the guest remembers of it is.
fn of_connections(client: &Client) -> f64 {
    let keeper = Keeper::start();
    let hold = |count: usize| {
        let statements = [
            format!("repeat {count} tcp.connect {} as s{{}}", keeper.address),
            "wait 2000".to_owned(),
        ];
        let mut command = client.command(&statements);
        let mut child = command
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut line = String::new();
        let _ = BufReader::new(child.stdout.take().expect("a piped output")).read_line(&mut line);
        assert!(line.contains(&format!("ok x{count}")), "{} {line}", client.name);
        let memory = resident(child.id());
        let _ = child.kill();
        let _ = child.wait();
        memory
    };
    (hold(CONNECTIONS) - hold(1)) / (CONNECTIONS - 1) as f64
}
