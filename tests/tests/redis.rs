//! A real Redis server behind a guest that speaks its protocol.

use outport_e2e::guest;
use outport_e2e::outport::Outport;
use outport_e2e::redis::Redis;

fn client() -> Outport {
    Outport::run(guest::path("redis"))
}

// proves: DNS-3, DNS-10
#[test]
fn a_guest_sets_and_gets_a_value_by_host_name() {
    let redis = Redis::start();
    let server = format!("localhost:{}", redis.port());
    let run = |command: &[&str]| {
        let client = client()
            .allow(format!("*://{server}"))
            .args([server.as_str()])
            .args(command.iter().copied());
        client.finish().expect_code(0).stdout
    };
    assert_eq!(run(&[]), "PONG\n");
    assert_eq!(run(&["SET", "colour", "green"]), "OK\n");
    assert_eq!(run(&["GET", "colour"]), "\"green\"\n");
    assert_eq!(redis.ask("GET colour").ok().as_deref(), Some("$5\r\ngreen\r\n"));
}

// proves: AL-3, AL-9
#[test]
fn an_entry_for_the_scheme_redis_permits_no_socket() {
    let redis = Redis::start();
    let server = format!("127.0.0.1:{}", redis.port());
    let finished = client()
        .allow(format!("redis://{server}"))
        .args([&server])
        .finish()
        .expect_code(1);
    assert!(finished.stderr.contains("access-denied"), "{finished}");
    assert_eq!(finished.reasons(), ["allow.scheme"]);
}

// proves: DL-1, DL-8
#[test]
fn the_operator_keeps_the_server_away() {
    let redis = Redis::start();
    let server = format!("localhost:{}", redis.port());
    let run = client()
        .allow(format!("*://{server}"))
        .deny(format!("*://{server}"))
        .args([&server]);
    let finished = run.finish().expect_code(1);
    assert!(
        finished.reasons().iter().all(|reason| reason == "deny.host"),
        "{finished}"
    );
    assert!(!finished.reasons().is_empty(), "{finished}");
}
