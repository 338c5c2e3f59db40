//! Being started by a service manager: with sockets that it opened, and told what becomes of the process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use outport_e2e::outport::{Finished, Outport, binary};
use outport_e2e::process::free_port;
use outport_e2e::service_manager::ServiceManager;
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;
use outport_e2e::{guest, http};
use rustix::process::Signal;

const APP: &str = r#"
spin_manifest_version = 2
[application]
name = "started"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*"]
"#;

/// An app that nobody gave an address.
fn app() -> Outport {
    Outport::command("up").option("--no-output-prefix").manifest(APP)
}

fn socket() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn an_inherited_socket_is_served_and_nothing_else() {
    let serve = || Outport::command("serve").args([guest::path("http-script-guest")]);
    for (name, command) in [("up", app()), ("serve", serve())] {
        let (socket, address) = socket();
        // Who came before anybody served waits.
        let mut early = TcpStream::connect(address).unwrap();
        early
            .write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let run = command.option("--kernel-sandbox=on").inheriting(&socket).start();
        assert_eq!(run.address(), address, "{name}");
        let mut answer = String::new();
        early.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        assert_eq!(run.get("/hello").status, 200, "{name}");
        run.stop().expect_code(0);
        // The socket is the test's, and goes on to listen.
        TcpStream::connect(address).unwrap();
    }
}

#[test]
fn one_inherited_socket_is_served_by_every_worker() {
    let (socket, address) = socket();
    let mut run = app().option("--workers=3").inheriting(&socket).start();
    assert_eq!(run.address(), address);
    // As many guests as there are workers wait, each on a connection of its own, and others are served beside them.
    let turnstile = Turnstile::closed();
    let waiting: Vec<_> = (0..24)
        .map(|_| {
            let script = turnstile.wait();
            let request = format!(
                "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{script}",
                script.len()
            );
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client
        })
        .collect();
    turnstile.has(24);
    let id = run.id();
    let of_workers = || {
        let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let names = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
        names.filter(|name| name.starts_with("outport-worker-")).count()
    };
    assert_eq!(of_workers(), 3);
    turnstile.open();
    for mut client in waiting {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    run.stop().expect_code(0);
}

#[test]
fn systemd_passes_sockets_for_clients_and_for_tools_by_their_names() {
    let (clients, tools) = (free_port(), free_port());
    let folder = tempfile::tempdir().unwrap();
    let component = guest::path("hello");
    let mut command = Command::new("systemd-socket-activate");
    command
        .args(["-E", &format!("XDG_CACHE_HOME={}", folder.path().display())])
        .args(["--fdname=http:admin", "-l", &format!("127.0.0.1:{clients}")])
        .args(["-l", &format!("127.0.0.1:{tools}")])
        .arg(binary())
        .arg("serve")
        .arg(component);
    let _process =
        outport_e2e::process::Process::start(&mut command, Signal::TERM).expect("systemd is installed");
    let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    until("it is started by the first client", || {
        http::get(at(clients), "/").is_ok()
    });
    until("it is ready", || {
        http::get(at(tools), "/readyz").is_ok_and(|response| response.status == 200)
    });
    assert_eq!(http::get(at(tools), "/").unwrap().status, 200);
}

fn refused(command: Outport, part: &str) -> Finished {
    let finished = command.finish().expect_code(2);
    assert!(finished.stderr.contains(part), "{part}: {finished}");
    assert!(!finished.stderr.contains("Serving"), "{finished}");
    finished
}

#[test]
fn a_socket_that_cannot_be_served_is_an_error_and_nothing_is_served_instead() {
    let stale = "export LISTEN_FDS=1 LISTEN_PID=$$";
    let closed = format!("exec 3<&- && {stale}");
    let steps: [(&str, &str); 9] = [
        (&closed, "descriptor 3 is closed"),
        (
            "exec 3</dev/null && export LISTEN_FDS=1 LISTEN_PID=$$",
            "descriptor 3 is closed, or not a socket",
        ),
        (
            "export LISTEN_FDS=1 LISTEN_PID=1",
            "they are for the process 1, and this one is",
        ),
        (
            "export LISTEN_FDS=1 LISTEN_PID=me",
            "`LISTEN_PID` is not the number of a process",
        ),
        (
            "export LISTEN_FDS=0 LISTEN_PID=$$",
            "`LISTEN_FDS` is not a number from 1 to 1024",
        ),
        (
            "export LISTEN_FDS=1000000000 LISTEN_PID=$$",
            "`LISTEN_FDS` is not a number from 1 to 1024",
        ),
        (
            "export LISTEN_FDS=many LISTEN_PID=$$",
            "`LISTEN_FDS` is not a number from 1 to 1024",
        ),
        (
            "export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=http",
            "there are 2 by `LISTEN_FDS`, and 1 names",
        ),
        (
            "export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=metrics",
            "nobody knows what `metrics` is for",
        ),
    ];
    for (step, part) in steps {
        refused(app().after(step), part);
    }
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    refused(app().inheriting(&udp), "descriptor 3 is a UDP socket");
    let folder = tempfile::tempdir().unwrap();
    let unix = UnixListener::bind(folder.path().join("socket")).unwrap();
    refused(app().inheriting(&unix), "descriptor 3 is a Unix socket");
    let (listener, address) = socket();
    let connected = TcpStream::connect(address).unwrap();
    refused(
        app().inheriting(&connected),
        "descriptor 3 is a TCP socket that does not listen",
    );
    let elsewhere = app().option("--listen=127.0.0.1:1").inheriting(&listener);
    let finished = refused(elsewhere, "and 127.0.0.1:1 is asked for\n --> --listen\n");
    assert!(
        finished.stderr.contains(&format!("listens on {address}")),
        "{finished}"
    );
    let elsewhere = app()
        .variable("SPIN_HTTP_LISTEN_ADDR", "0.0.0.0:80")
        .inheriting(&listener);
    refused(
        elsewhere,
        "and 0.0.0.0:80 is asked for\n --> SPIN_HTTP_LISTEN_ADDR\n",
    );
    let upgrade = app().option("--upgrade-socket=upgrade").inheriting(&listener);
    refused(upgrade, "`--upgrade-socket` would take them from another");
    let once = Outport::command("up")
        .manifest(
            r#"
spin_manifest_version = 2
[application]
name = "once"
[[trigger.command]]
component = "job"
[component.job]
source = "GUESTS/script-guest.wasm"
"#,
        )
        .inheriting(&listener);
    refused(once, "the app has no HTTP trigger");
}

#[test]
fn the_address_of_an_option_may_be_that_of_the_socket_and_a_command_has_no_use_for_one() {
    let (socket, address) = socket();
    let run = app()
        .option(format!("--listen={address}"))
        .inheriting(&socket)
        .start();
    assert_eq!(run.get("/hello").status, 200);
    run.stop().expect_code(0);
    let run = Outport::script_guest()
        .inheriting(&socket)
        .args(["print here"])
        .finish()
        .expect_code(0);
    assert!(run.stdout.contains("here"), "{run}");
}

#[test]
fn neither_sockets_nor_variables_of_the_service_manager_reach_a_guest() {
    let (manager, (socket, _)) = (ServiceManager::default(), socket());
    let mut run = app()
        .variable("WATCHDOG_USEC", "1000000")
        .notifying(manager.path())
        .inheriting(&socket)
        .start();
    run.address();
    manager.wait_for("READY=1", 1);
    let id = run.id();
    // What the process was started with stays in /proc; what it would pass on does not.
    let open = fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    let open = open.map(|fd| fd.unwrap().file_name().to_string_lossy().into_owned());
    for fd in open {
        let kind = fs::read_link(format!("/proc/{id}/fd/{fd}")).unwrap_or_default();
        if !kind.to_string_lossy().starts_with("socket:") {
            continue;
        }
        let Ok(info) = fs::read_to_string(format!("/proc/{id}/fdinfo/{fd}")) else {
            continue;
        };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
        assert_ne!(
            flags & 0o2_000_000,
            0,
            "descriptor {fd} would be inherited: {info}"
        );
    }
    run.stop().expect_code(0);
}

#[test]
fn the_service_manager_is_told_of_every_step() {
    let manager = ServiceManager::default();
    let mut run = app()
        .options(["--listen=127.0.0.1:0", "--kernel-sandbox=on"])
        .file("config.toml", "[outbound_networking]\n")
        .option("--runtime-config-file=config.toml")
        .variable("WATCHDOG_USEC", "200000")
        .notifying(manager.path())
        .start();
    let address = run.address();
    manager.wait_for("READY=1", 1);
    let first = manager.told().remove(0);
    assert_eq!(
        first,
        format!("READY=1\nMAINPID={}\nSTATUS=Serving http://{address}\n", run.id())
    );
    manager.wait_for("WATCHDOG=1", 3);
    run.signal(Signal::HUP);
    manager.wait_for("RELOADING=1", 1);
    manager.wait_for("READY=1", 2);
    let told = manager.told();
    let reloading = told
        .iter()
        .find(|message| message.starts_with("RELOADING=1"))
        .unwrap();
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    run.stop().expect_code(0);
    let told = manager.told();
    let stopping = told
        .iter()
        .position(|message| message.starts_with("STOPPING=1"))
        .unwrap();
    assert!(
        told[stopping..]
            .iter()
            .any(|message| message.starts_with("EXTEND_TIMEOUT_USEC=")),
        "{told:?}"
    );
    assert_eq!(manager.count("READY=1"), 2, "{told:?}");
}

#[test]
fn a_worker_that_hangs_is_noticed() {
    let manager = ServiceManager::default();
    let mut run = app()
        .options(["--listen=127.0.0.1:0", "--workers=2"])
        .variable("WATCHDOG_USEC", "100000")
        .notifying(manager.path())
        .start();
    run.address();
    manager.wait_for("WATCHDOG=1", 2);
    let id = run.id();
    let worker = fs::read_dir(format!("/proc/{id}/task"))
        .unwrap()
        .map(|thread| thread.unwrap().path())
        // All that is left of `outport-worker-1`.
        .find(|thread| fs::read_to_string(thread.join("comm")).unwrap().trim() == "outport-worker-")
        .expect("a worker");
    let worker: i32 = worker.file_name().unwrap().to_string_lossy().parse().unwrap();
    let _held = Held::thread(worker);
    // A sign of life may be under way.
    until("signs of life have stopped", || {
        let before = manager.count("WATCHDOG=1");
        std::thread::sleep(Duration::from_millis(1000));
        manager.count("WATCHDOG=1") == before
    });
    drop(_held);
    let before = manager.count("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1", before + 2);
    run.stop().expect_code(0);
}

#[test]
fn the_units_are_right_and_what_they_start_has_few_rights() {
    let packaging = guest::workspace().join("packaging/systemd");
    let folder = tempfile::tempdir().unwrap();
    for unit in ["outport@.service", "outport@.socket"] {
        let text = fs::read_to_string(packaging.join(unit)).unwrap();
        let installed = text.replace("/usr/bin/outport", &binary().display().to_string());
        fs::write(folder.path().join(unit), installed).unwrap();
    }
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("systemd is installed");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said.into_owned())
    };
    let units = ["./outport@shop.service", "./outport@shop.socket"];
    let (is_fine, said) = analyze(&["verify", units[0], units[1]]);
    assert!(is_fine && said.is_empty(), "{said}");
    let (is_fine, said) = analyze(&["security", "--offline=true", "--threshold=20", units[0]]);
    assert!(is_fine && said.contains(" OK "), "{said}");
}

/// A thread that stands still until this is dropped.
struct Held(std::process::Child);

impl Held {
    fn thread(id: i32) -> Self {
        let script = format!(
            "import ctypes, sys\n\
             libc = ctypes.CDLL(None, use_errno=True)\n\
             ptrace = lambda request: libc.ptrace(request, {id}, None, None)\n\
             assert ptrace(0x4206) == 0, ctypes.get_errno()\n\
             assert ptrace(0x4207) == 0, ctypes.get_errno()\n\
             print('held', flush=True)\n\
             sys.stdin.read()\n"
        );
        let mut child = Command::new("python3")
            .args(["-c", &script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 4];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut said)
            .expect("the thread is held");
        Self(child)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
