//! Guests and clients that take descriptors, in a process that has 1,024.

use std::thread;
use std::time::Duration;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http;
use outport_e2e::script::results;
use outport_e2e::tcp::{Manner, TcpPeer};

use crate::component::{Hostile, data, times};
use crate::peers::{Does, Peer};
use crate::row::{Complaint, Row};
use crate::scene::Scene;

pub(crate) fn rows() -> Vec<Row> {
    let slow = Peer::start(Does::Nothing);
    let authority = slow.authority();
    let get = format!("(drop (call $get (i32.const 0) (i32.const {})))", authority.len());
    let requests = Hostile::new(format!("{} (call $hold (i64.const 5000))", times("i", 400, &get)));
    let stalled = TcpPeer::start(Manner::Stall);
    let socket = "(call $tcp.create (i32.const 0) (i32.const 1024))";
    let sockets = Hostile::new(format!(
        "{} (call $hold (i64.const 5000))",
        times("i", 2000, socket)
    ));
    let open = "(call $descriptor.open-at (i32.load (i32.load (i32.const 1024))) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 1032))";
    let files = format!(
        "(call $directories (i32.const 1024)) {} (call $hold (i64.const 5000))",
        times("i", 2000, open)
    );
    let files = Hostile::new(files).items(data(64, "a"));
    vec![
        row(
            "requests to a slow server, kept",
            requests.items(data(64, &authority)),
        )
        .attack(eight_and_a_lookup)
        .asks(slow.is_reached())
        .keep(slow),
        row("sockets of one component", sockets)
            .attack(eight_and_a_lookup)
            .keep(stalled),
        row("files that are opened", files)
            .with_files()
            .attack(eight_and_a_lookup),
        row("connections of clients, 2,000", Hostile::new("")).attack(connections),
    ]
}

fn row(name: &'static str, hostile: Hostile) -> Row {
    let dns = DnsServer::start();
    dns.answers("fast.test", [Reply::addresses(["10.0.0.5"])]);
    Row::new(name, "Q-4")
        .hostile(hostile)
        .manifest(LOOKUP)
        .option(format!("--dns-server={}", dns.address()))
        .descriptors(1024)
        .lasts(Duration::from_secs(2))
        .within_lines(80)
        .keep(dns)
}

/// A third component, which resolves names.
const LOOKUP: &str = r#"
[[trigger.http]]
route = "/third/..."
component = "third"

[component.third]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://*.test:*"]
"#;

/// Eight clients of the hostile component; when they have done their worst, another component looks a name up.
fn eight_and_a_lookup(scene: &Scene<'_>) {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| scene.ask_again_and_again());
        }
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(1200));
            lookup(scene);
        });
    });
}

fn lookup(scene: &Scene<'_>) {
    let script = "dns.lookup fast.test";
    let request = format!(
        "POST /third/script HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{script}",
        script.len()
    );
    match http::send(scene.server, &request) {
        Ok(response) if results(&response.body) == ["10.0.0.5"] => {}
        Ok(response) => scene.complain(Complaint::Late(format!(
            "a look-up meanwhile: {} {}",
            response.status, response.body
        ))),
        Err(error) => scene.complain(Complaint::Late(format!("a look-up meanwhile: {error}"))),
    }
}

/// Connections that say nothing, all that the server takes.
fn connections(scene: &Scene<'_>) {
    let mut open = Vec::new();
    for _ in 0..2000 {
        if scene.is_over() {
            return;
        }
        open.extend(scene.connect());
    }
    lookup(scene);
    scene.wait();
}
