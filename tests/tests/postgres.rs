//! A real PostgreSQL server behind a guest that sends its bytes by hand.

use outport_e2e::outport::Outport;
use outport_e2e::postgres::Postgres;
use outport_e2e::script::Script;

/// `StartupMessage` of protocol 3.0 for the user `postgres`, as the script guest writes bytes.
const STARTUP: &str = r"\x00\x00\x00\x17\x00\x03\x00\x00user\x00postgres\x00\x00";

/// The server asks for SCRAM-SHA-256: `AuthenticationSASL`, request 10.
const ANSWER: &str = r"R\x00\x00\x00\x17\x00\x00\x00\nSCRAM-SHA-256\x00\x00";

// proves: AL-3, DNS-3
#[test]
fn the_server_answers_a_guest_that_is_let_through() {
    let postgres = Postgres::start();
    let port = postgres.port();
    let script = Script::new()
        .denied(
            format!("tcp.connect 127.0.0.1:{port}"),
            "allow.name-not-looked-up",
        )
        .gets("dns.lookup localhost", "127.0.0.1,::1")
        .ok(format!("tcp.connect 127.0.0.1:{port} as db"))
        .ok(format!("tcp.send db {STARTUP}"))
        .gets("tcp.recv db", ANSWER);
    script.run(Outport::script_guest().allow(format!("*://localhost:{port}")));
    Script::new()
        .denied(format!("tcp.connect 127.0.0.1:{port}"), "allow.scheme")
        .run(Outport::script_guest().allow(format!("postgres://127.0.0.1:{port}")));
}
