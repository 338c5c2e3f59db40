//! The listener for an operator's tools: its pages, whom it answers, and what it takes from others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http::Response;
use outport_e2e::network::isolated;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;
use outport_e2e::{guest, http};
use rustix::process::Signal;

const LISTEN: &str = "--admin-listen=127.0.0.1:0";

const APP: &str = r#"
spin_manifest_version = 2
[application]
name = "watched"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*", "https://denied.test"]
"#;

/// Where the tools of a process ask.
fn admin(run: &Running) -> SocketAddr {
    let line = run.wait_for_error_line("Admin listener: http://");
    let address = line.trim_start_matches("Admin listener: http://");
    address
        .parse()
        .unwrap_or_else(|_| panic!("`{line}` has no address"))
}

fn get(admin: SocketAddr, path: &str) -> Response {
    http::get(admin, path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
}

/// The strictest sandbox that this kernel has.
fn sandbox() -> &'static str {
    let strictest = Outport::script_guest()
        .option("--kernel-sandbox=required")
        .finish();
    if strictest.code == Some(0) {
        "--kernel-sandbox=required"
    } else {
        "--kernel-sandbox=on"
    }
}

#[test]
fn every_command_that_runs_guests_shows_its_pages_from_inside_the_sandbox() {
    let command = |at: &Turnstile| Outport::script_guest().allow("*://127.0.0.1:*").args([at.wait()]);
    let event = |at: &Turnstile| {
        let app = r#"
            spin_manifest_version = 2
            application.name = "job"
            [[trigger.command]]
            component = "web"
            args = ["STATEMENT"]
            [component.web]
            source = "GUESTS/script-guest.wasm"
            allowed_outbound_hosts = ["*://127.0.0.1:*"]
        "#;
        Outport::command("up").manifest(&app.replace("STATEMENT", &at.wait()))
    };
    let sandbox = sandbox();
    let at = Turnstile::closed();
    let script_guest = guest::script_guest();
    let script_guest = script_guest.file_stem().unwrap().to_str().unwrap().to_owned();
    let rows = [
        ("up", Outport::up(APP), "web", 0),
        ("serve", Outport::serve(guest::path("hello")), "hello", 0),
        ("run", command(&at), script_guest.as_str(), 1),
        ("up with a command", event(&at), "web", 2),
    ];
    let running: Vec<_> = rows
        .into_iter()
        .map(|(what, run, component, waits)| {
            let run = run.options([LISTEN, sandbox]).start();
            let admin = admin(&run);
            until(format_args!("{what} is ready"), || {
                get(admin, "/readyz").status == 200
            });
            at.has(waits);
            assert_eq!(get(admin, "/healthz").body, "ok\n", "{what}");
            let metrics = get(admin, "/metrics").body;
            assert!(
                metrics.contains("outport_build_info{version=\""),
                "{what}: {metrics}"
            );
            for name in [
                "process_resident_memory_bytes",
                "process_open_fds",
                "process_cpu_seconds_total",
            ] {
                let value = metrics
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
                assert!(
                    value.is_some_and(|value| value > 0.0),
                    "{what}: {name}\n{metrics}"
                );
            }
            let policy: serde_json::Value = serde_json::from_str(&get(admin, "/policy").body).unwrap();
            assert_eq!(policy["components"][0]["id"], component, "{what}");
            assert_eq!(
                http::send(admin, "DELETE /policy HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    .unwrap()
                    .status,
                405
            );
            (what, run, admin)
        })
        .collect();
    at.open();
    for (what, run, admin) in running {
        drop(run);
        assert!(TcpStream::connect(admin).is_err(), "{what} has ended");
    }
}

#[test]
fn the_policy_is_that_of_explain_and_follows_a_reload() {
    let config = |hosts: &str| format!("[outbound_networking]\ndisallowed_outbound_hosts = [{hosts}]\n");
    let (before, after) = (config("\"*://10.0.0.0/8:*\""), config("\"https://denied.test\""));
    let file = "--runtime-config-file=config.toml";
    let explained = |config: &str| {
        let explained = Outport::command("explain")
            .manifest(APP)
            .file("config.toml", config);
        explained
            .options(["--format=json", file])
            .finish()
            .expect_code(0)
            .stdout
    };
    let app = Outport::up(APP)
        .file("config.toml", &before)
        .options([file, LISTEN, "--no-resolve-disallowed"])
        .start();
    app.address();
    let admin = admin(&app);
    assert_eq!(get(admin, "/policy").body, explained(&before));
    app.write("config.toml", &after);
    until("the new list is shown", || {
        get(admin, "/policy").body == explained(&after)
    });
    app.write("config.toml", "nonsense");
    until("a mistake is counted", || {
        let metrics = get(admin, "/metrics").body;
        metrics.contains("outport_reloads_total{outcome=\"refused\"} 1\n")
    });
    let metrics = get(admin, "/metrics").body;
    assert!(
        metrics.contains("outport_reloads_total{outcome=\"loaded\"} 1\n"),
        "{metrics}"
    );
    assert_eq!(get(admin, "/policy").body, explained(&after));
}

#[test]
fn an_address_in_use_is_no_mistake_in_a_file_and_has_its_place() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = other.local_addr().unwrap().to_string();
    let refused = Outport::serve(guest::path("hello"))
        .variable("OUTPORT_ADMIN_LISTEN", &address)
        .finish()
        .expect_code(1);
    for part in [
        address.as_str(),
        "choose another address",
        "said by `OUTPORT_ADMIN_LISTEN`",
    ] {
        assert!(refused.stderr.contains(part), "no `{part}`\n{refused}");
    }
}

#[test]
fn only_components_that_run_are_in_the_policy() {
    let second = "\n[[trigger.http]]\nroute = \"/other/...\"\ncomponent = \"web-2\"\n\
                  [component.web-2]\nsource = \"GUESTS/hello.wasm\"\n";
    let app = format!("{APP}{second}");
    for (options, expected) in [(&[][..], &["web", "web-2"][..]), (&["--component=web"], &["web"])] {
        let app = Outport::up(&app)
            .option(LISTEN)
            .options(options.iter().copied())
            .start();
        app.address();
        let policy: serde_json::Value = serde_json::from_str(&get(admin(&app), "/policy").body).unwrap();
        let ids: Vec<_> = policy["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|component| component["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, expected);
    }
}

#[test]
fn a_process_is_ready_when_denied_names_are_resolved_and_until_it_is_told_to_stop() {
    let dns = DnsServer::start();
    dns.answers("denied.test", [Reply::silence()]);
    let app = Outport::up(APP)
        .file("config.toml", "")
        .options([LISTEN, "--grace=60s", "--runtime-config-file=config.toml"])
        .deny("https://denied.test")
        .dns(&dns)
        .start();
    let admin = admin(&app);
    let early = get(admin, "/readyz");
    // Where the machine is so slow that the start is over, there is nothing to see of it.
    if early.status != 200 {
        assert!(early.body.contains("not ready: "), "{}", early.body);
    }
    assert_eq!(get(admin, "/healthz").status, 200);
    until("it is ready", || get(admin, "/readyz").status == 200);

    // A name that is denied from now on is as unknown as those of the start were.
    dns.answers("later.test", [Reply::silence()]);
    app.write(
        "config.toml",
        "[outbound_networking]\ndisallowed_outbound_hosts = [\"https://later.test\"]\n",
    );
    until("the new name is missing", || {
        get(admin, "/readyz").body == "not ready: denied names are not resolved yet\n"
    });
    until("it was tried", || get(admin, "/readyz").status == 200);
    let turnstile = Turnstile::closed();
    let (address, script) = (app.address(), turnstile.wait());
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{script}",
        script.len()
    );
    let client = thread::spawn(move || http::send(address, &request));
    turnstile.has(1);
    app.signal(Signal::TERM);
    until("it is not ready any more", || get(admin, "/readyz").status == 503);
    assert_eq!(get(admin, "/readyz").body, "not ready: the process is stopping\n");
    assert_eq!(get(admin, "/healthz").status, 200);
    turnstile.open();
    assert_eq!(client.join().unwrap().unwrap().status, 200);
    app.finish().expect_code(0);
}

#[test]
fn who_may_listen_where_is_the_operators_to_say_and_nobody_elses() {
    for (option, part) in [
        (
            "--admin-listen=9090".to_owned(),
            "write the address too: `127.0.0.1:9090`",
        ),
        (
            "--admin-listen=example.com:1".to_owned(),
            "`localhost` is the only name",
        ),
        ("--admin-host=tools.test".to_owned(), "--admin-listen <ADDR:PORT>"),
    ] {
        let refused = Outport::serve(guest::path("hello"))
            .options([LISTEN, &option][1..].iter().copied())
            .finish();
        assert_eq!(refused.code, Some(2), "{option}: {refused}");
        assert!(refused.stderr.contains(part), "{option}: {refused}");
    }
    let refused = Outport::serve(guest::path("hello"))
        .options([LISTEN, "--admin-host=a b"])
        .finish();
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(
        refused
            .stderr
            .contains("`a b` is not a valid name of a host; write a name without a port"),
        "{refused}"
    );
    // (variables, options, what is told)
    type Row<'r> = (&'r [(&'r str, &'r str)], &'r [&'r str], &'r str);
    let rows: [Row<'_>; 4] = [
        (
            &[("OUTPORT_ADMIN_LISTEN", "foo")],
            &[],
            "the value of `OUTPORT_ADMIN_LISTEN` cannot be used: write a port too",
        ),
        (
            &[("OUTPORT_ADMIN_LISTEN", "foo")],
            &["--admin-listen=bar"],
            "invalid value 'bar' for '--admin-listen <ADDR:PORT>'",
        ),
        (
            &[("OUTPORT_KERNEL_SANDBOX", "maybe")],
            &[],
            "the value of `OUTPORT_KERNEL_SANDBOX` cannot be used: `maybe` is none of `off`, `on` and `required`",
        ),
        (
            &[("OUTPORT_ADMIN_HOST", "a b")],
            &[LISTEN],
            "the value of `OUTPORT_ADMIN_HOST` cannot be used: `a b` is not a valid name of a host",
        ),
    ];
    for (variables, options, part) in rows {
        let mut serve = Outport::serve(guest::path("hello")).options(options.iter().copied());
        for (name, value) in variables {
            serve = serve.variable(name, value);
        }
        let refused = serve.finish();
        assert_eq!(refused.code, Some(2), "{variables:?}: {refused}");
        assert!(refused.stderr.contains(part), "{variables:?}: {refused}");
    }
    for table in ["", "[outbound_networking]\n", "[admin]\n"] {
        let config = format!("{table}admin_listen = \"127.0.0.1:0\"\n");
        let refused = Outport::up(APP)
            .file("config.toml", &config)
            .option("--runtime-config-file=config.toml")
            .finish();
        assert_eq!(refused.code, Some(2), "{config}: {refused}");
        assert!(!refused.stderr.contains("Admin listener"), "{config}: {refused}");
    }
    let app = Outport::up(APP)
        .variable("OUTPORT_ADMIN_LISTEN", "")
        .variable("OUTPORT_ADMIN_HOST", "tools.test")
        .start();
    assert_eq!(app.get("/hello").status, 200);
    assert!(!app.stderr().contains("Admin listener"), "{app}");

    let app = Outport::up(APP)
        .variable("OUTPORT_ADMIN_LISTEN", "localhost:0")
        .variable("OUTPORT_ADMIN_HOST", "tools.test,other.test")
        .start();
    let admin = admin(&app);
    for (host, status) in [("tools.test:80", 200), ("Other.test", 200), ("third.test", 421)] {
        let response = http::send(admin, &format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(response.unwrap().status, status, "{host}");
    }
    assert!(!app.stderr().contains("whoever reaches"), "{app}");
}

#[test]
fn listening_for_others_is_warned_of() {
    isolated(|| {
        let app = Outport::serve(guest::path("hello"))
            .option("--admin-listen=0.0.0.0:0")
            .start();
        assert_eq!(app.get("/").status, 200);
        let port = admin(&app).port();
        assert_eq!(
            get(SocketAddr::from(([10, 9, 0, 1], port)), "/healthz").status,
            200
        );
        app.wait_for_error_line(&format!("warning: whoever reaches 0.0.0.0:{port} can read"));
    });
}

// proves: ISO-5
#[test]
fn clients_of_the_listener_that_are_hostile_hold_up_nobody() {
    let app = Outport::serve(guest::path("hello")).option(LISTEN).start();
    let (served, admin) = (app.address(), admin(&app));
    let connect = |request: &str| {
        let mut client = TcpStream::connect(admin).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client
    };
    let complete = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..100 {
        for request in [
            "",
            "GET /metrics HTTP/1.1\r\nHost:",
            complete,
            "\u{0}\u{1}\u{2}\r\n\r\n",
        ] {
            held.push(connect(request));
        }
        let began = Instant::now();
        assert_eq!(http::get(served, "/").unwrap().status, 200);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    let endless = thread::spawn(move || {
        let mut client = TcpStream::connect(admin).unwrap();
        let _ = client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n");
        let header = format!("x: {}\r\n", "x".repeat(1000));
        let taken = (0..100_000)
            .take_while(|_| client.write_all(header.as_bytes()).is_ok())
            .count();
        assert!(taken < 100_000, "somebody takes headers without an end");
    });
    assert_eq!(get(admin, "/healthz").status, 200);
    assert_eq!(get(admin, "/metrics").status, 200);
    endless.join().unwrap();
    // Those who asked have their answer, late as they read it.
    let mut answered = 0;
    for mut client in held {
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut response = Vec::new();
        let _ = client.read_to_end(&mut response);
        answered += usize::from(response.starts_with(b"HTTP/1.1 200"));
    }
    assert!(answered > 0, "{answered}");
}
