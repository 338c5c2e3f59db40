//! How much a guest may have at once, and what it may use up.

use std::time::{Duration, Instant};

use outport_e2e::guest::Wasi;
use outport_e2e::outport::Outport;
use outport_e2e::script::{Script, results};
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;

// proves: Q-1, RSN-3
#[test]
fn q_1_the_257th_socket_of_an_instance_is_refused_until_another_is_dropped() {
    let script = Script::new()
        .gets("repeat 256 tcp.create ipv4 as s{}", "ok x256")
        .refused(
            "tcp.create ipv4 as more",
            Wasi::under_test().quota_code(),
            "quota.sockets",
        )
        .refused(
            "tcp.create ipv6 as more",
            Wasi::under_test().quota_code(),
            "quota.sockets",
        )
        .ok("drop s7")
        .ok("tcp.create ipv4 as more")
        .refused(
            "tcp.create ipv4",
            Wasi::under_test().quota_code(),
            "quota.sockets",
        );
    script.run(Outport::script_guest().allow("*://*:*"));
}

// proves: Q-1
#[test]
fn q_1_sockets_that_are_dropped_do_not_count() {
    let script = Script::new().gets("repeat 1000 tcp.create ipv4", "ok x1000");
    script.run(Outport::script_guest().allow("*://*:*"));
}

// proves: Q-1
#[test]
fn q_1_the_operator_sets_both_numbers() {
    for option in ["--max-sockets=3", "--max-sockets-per-instance=3"] {
        let script = Script::new()
            .gets("repeat 3 tcp.create ipv4 as s{}", "ok x3")
            .refused(
                "tcp.create ipv4 as s4",
                Wasi::under_test().quota_code(),
                "quota.sockets",
            );
        script.run(Outport::script_guest().option(option));
    }
}

// proves: Q-1
#[test]
fn q_1_udp_sockets_count_and_connected_ones_too() {
    let peer = TcpPeer::start(Manner::Stall);
    let script = Script::new()
        .ok("udp.create ipv4 as u")
        .ok(format!("tcp.connect {} as c", peer.address()))
        .refused(
            "tcp.create ipv4",
            Wasi::under_test().quota_code(),
            "quota.sockets",
        );
    script.run(
        Outport::script_guest()
            .allow("*://*:*")
            .options(["--allow-udp", "--max-sockets-per-instance=2"]),
    );
}

// proves: Q-2
#[test]
fn q_2_spins_limits_keep_their_meaning() {
    for key in ["max_socket_connections", "max_total_connections"] {
        let config = format!("[outbound_networking]\n{key} = 2\n");
        let peer = TcpPeer::start(Manner::Stall);
        let finished = Outport::script_guest()
            .allow("*://*:*")
            .file("config.toml", config)
            .option("--runtime-config-file=config.toml")
            .args((1..=3).map(|number| format!("tcp.connect {} as c{number}", peer.address())))
            .finish()
            .expect_code(0);
        assert_eq!(
            results(&finished.stdout),
            ["ok", "ok", Wasi::under_test().quota_code()],
            "{key}\n{finished}"
        );
        assert_eq!(finished.reasons(), ["quota.connections"], "{key}\n{finished}");
    }
}

// proves: Q-3
#[test]
fn q_3_time_memory_and_computing_are_bounded() {
    for (option, statement, word) in [
        ("--max-cpu-time=300ms", "spin 60000", "0.3"),
        ("--max-time=1500ms", "wait 60000", "1.5"),
    ] {
        let start = Instant::now();
        let finished = Outport::script_guest()
            .option(option)
            .args(["print before", statement])
            .finish();
        assert!(!matches!(finished.code, Some(0) | None), "{option}\n{finished}");
        assert!(
            start.elapsed() < Duration::from_secs(50),
            "{option}: {:?}",
            start.elapsed()
        );
        assert!(
            finished.stderr.contains(word),
            "{option}: no `{word}`\n{finished}"
        );
        assert_eq!(finished.lines(), ["1 print before => before"]);
    }
    let finished = Outport::script_guest()
        .option("--max-memory=16M")
        .args(["alloc 4000000", "alloc 64000000"])
        .finish();
    let expected = ["ok", "out-of-memory"];
    assert_eq!(results(&finished.stdout), expected, "{finished}");
}

// proves: Q-3
#[test]
fn q_3_the_memory_of_all_guests_together_is_bounded() {
    let finished = Outport::script_guest()
        .option("--max-memory-total=16M")
        .args(["alloc 4000000", "repeat 3 alloc 64000000", "alloc 4000000"])
        .finish();
    let expected = ["ok", "out-of-memory x3", "ok"];
    assert_eq!(results(&finished.stdout), expected, "{finished}");
    assert_eq!(
        finished.stderr.matches("--max-memory-total").count(),
        1,
        "{finished}"
    );
}

// proves: Q-3
#[test]
fn q_3_a_client_for_whom_there_is_no_memory_is_told_so_until_there_is_again() {
    let manifest = "spin_manifest_version = 2\n[application]\nname = \"full\"\n[[trigger.http]]\nroute = \"/...\"\n\
        component = \"web\"\n[component.web]\nsource = \"GUESTS/http-script-guest.wasm\"\n\
        allowed_outbound_hosts = [\"*://127.0.0.1:*\"]\n";
    let app = Outport::up(manifest).option("--max-memory-total=8M").start();
    let address = app.address();
    assert_eq!(app.get("/hello").status, 200);
    std::thread::scope(|scope| {
        let turnstile = Turnstile::closed();
        let script = format!("alloc 6500000; {}", turnstile.wait());
        let holding = scope.spawn(move || {
            outport_e2e::http::send(
                address,
                &format!(
                    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{script}",
                    script.len()
                ),
            )
        });
        turnstile.has(1);
        assert_eq!(app.get("/hello").status, 503);
        turnstile.open();
        let held = holding.join().unwrap().unwrap();
        assert!(held.body.contains("alloc 6500000 => ok"), "{}", held.body);
    });
    until("the memory is given back", || app.get("/hello").status == 200);
}

// proves: Q-3
#[test]
fn q_3_a_guest_that_computes_for_ever_does_not_stop_its_neighbours() {
    let manifest = "spin_manifest_version = 2\n[application]\nname = \"busy\"\n[[trigger.http]]\nroute = \"/...\"\n\
        component = \"web\"\n[component.web]\nsource = \"GUESTS/http-script-guest.wasm\"\n";
    let app = Outport::up(manifest)
        .options(["--max-cpu-time=1500ms", "--workers=1"])
        .start();
    let address = app.address();
    app.get("/hello");
    std::thread::scope(|scope| {
        let computing = [(); 3].map(|()| {
            scope.spawn(move || {
                let path = "/?tcp.connect%2010.0.0.1:80;%20spin%2060000";
                outport_e2e::http::get(address, path)
            })
        });
        until("all compute", || app.denials() == 3);
        assert_eq!(app.get("/hello").status, 200);
        let ended = computing.iter().filter(|guest| guest.is_finished()).count();
        assert_eq!(ended, 0, "their neighbour waited");
    });
}
