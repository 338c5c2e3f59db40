use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::thread::sleep;
use std::time::Instant;

use super::*;

struct Running {
    server: AdminServer,
    subjects: Arc<Subjects>,
}

fn running() -> Running {
    let registry = Registry::new(crate::METRICS);
    crate::process::collect(&registry, "1.2.3");
    let subjects = Arc::new(Subjects {
        registry,
        readiness: Readiness::default(),
        names: HostNames::parse(["tools.example"]).unwrap(),
        policy: OnceLock::new(),
    });
    let listener = AdminListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let server = listener.start(subjects.clone()).unwrap();
    Running { server, subjects }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.server.address()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client
    }

    fn exchange(&self, request: &str) -> String {
        let mut client = self.connect();
        client.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        response
    }

    fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"))
    }
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or("none")
}

#[test]
fn pages_are_read_and_nothing_else_is_done() {
    let running = running();
    let host = "host: 127.0.0.1";
    for (request, expected, part) in [
        ("GET / HTTP/1.1\r\nhost: localhost", "200", "/policy"),
        (
            "GET /metrics HTTP/1.1\r\nhost: [::1]:1",
            "200",
            "outport_build_info{version=\"1.2.3\"} 1\n",
        ),
        (
            "GET /metrics?x=y HTTP/1.1\r\nhost: tools.example",
            "200",
            "version=0.0.4",
        ),
        (
            "GET /metrics HTTP/1.1\r\naccept: application/openmetrics-text\r\nhost: 10.0.0.1",
            "200",
            "# EOF\n",
        ),
        ("GET /healthz HTTP/1.0", "200", "ok\n"),
        ("GET /healthz HTTP/1.1", "421", ""),
        (
            "GET /healthz HTTP/1.1\r\nhost: evil.example",
            "421",
            "--admin-host",
        ),
        (
            "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: evil.example",
            "421",
            "",
        ),
        (
            "GET http://evil.example/healthz HTTP/1.1\r\nhost: 127.0.0.1",
            "421",
            "",
        ),
        (
            "HEAD /healthz HTTP/1.1\r\nhost: 127.0.0.1",
            "200",
            "content-length: 3",
        ),
        (
            "POST /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0",
            "405",
            "allow: GET, HEAD",
        ),
        ("DELETE /policy HTTP/1.1\r\nhost: 127.0.0.1", "405", ""),
        ("OPTIONS * HTTP/1.1\r\nhost: 127.0.0.1", "405", ""),
        ("GET /metrics/ HTTP/1.1\r\nhost: 127.0.0.1", "404", "/metrics"),
        ("GET /../etc/passwd HTTP/1.1\r\nhost: 127.0.0.1", "404", ""),
        ("nonsense", "400", ""),
    ] {
        let response = running.exchange(&format!("{request}\r\n\r\n"));
        assert_eq!(status(&response), expected, "{request}\n{response}");
        assert!(response.contains(part), "{request}\n{response}");
    }
    let many_headers = format!("GET / HTTP/1.1\r\n{host}\r\nx: {}\r\n\r\n", "x".repeat(HEADERS));
    let mut client = running.connect();
    // It is answered, or cut off before all of it was sent.
    let _ = client.write_all(many_headers.as_bytes());
    let mut response = Vec::new();
    let _ = client.read_to_end(&mut response);
    assert!(!response.starts_with(b"HTTP/1.1 200"), "{response:?}");
}

#[test]
fn a_head_has_no_body_and_no_response_is_kept_or_guessed_at() {
    let running = running();
    let response = running.exchange("HEAD /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "");
    for header in ["cache-control: no-store", "x-content-type-options: nosniff"] {
        assert!(head.contains(header), "{head}");
    }
    assert!(!head.to_ascii_lowercase().contains("access-control"), "{head}");
}

#[test]
fn it_is_ready_between_the_last_step_of_a_start_and_the_first_of_an_end() {
    let running = running();
    let readiness = &running.subjects.readiness;
    let missing = |part: &str| {
        let response = running.get("/readyz");
        assert_eq!(status(&response), "503", "{response}");
        assert!(response.contains(part), "{response}");
    };
    missing("policy is not in force");
    let names = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let resolved = names.clone();
    readiness.policy_in_force(move || resolved.load(std::sync::atomic::Ordering::Relaxed));
    missing("denied names are not resolved");
    names.store(true, std::sync::atomic::Ordering::Relaxed);
    missing("components are not prepared");
    readiness.guests_prepared();
    missing("nobody is listened to");
    readiness.listening();
    assert_eq!(status(&running.get("/readyz")), "200");
    assert_eq!(status(&running.get("/healthz")), "200");
    readiness.stopping();
    missing("stopping");
    assert_eq!(status(&running.get("/healthz")), "200");
}

#[test]
fn the_policy_is_shown_while_there_is_one() {
    let running = running();
    assert_eq!(status(&running.get("/policy")), "503");
    let policy: Box<dyn Fn() -> Option<String> + Send + Sync> = Box::new(|| Some("{}\n".to_owned()));
    running.subjects.policy.set(policy).ok().unwrap();
    let response = running.get("/policy");
    assert!(
        response.ends_with("\r\n\r\n{}\n") && response.contains("application/json"),
        "{response}"
    );
}

// proves: ISO-5
#[test]
fn whoever_says_nothing_makes_place_for_others() {
    let running = running();
    let silent: Vec<TcpStream> = (0..2 * CONNECTIONS).map(|_| running.connect()).collect();
    let mut slow = running.connect();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nhost: ").unwrap();
    for _ in 0..3 {
        assert_eq!(status(&running.get("/healthz")), "200");
    }
    let mut ended = 0;
    for mut client in silent {
        client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        // The end, and not a wait that was cut short.
        ended += usize::from(matches!(client.read(&mut [0]), Ok(0)));
    }
    assert!(ended >= CONNECTIONS, "{ended}");
}

// proves: ISO-5
#[test]
fn whoever_does_not_read_makes_place_for_others() {
    let running = running();
    let large: Box<dyn Fn() -> Option<String> + Send + Sync> = Box::new(|| Some("x".repeat(8 << 20)));
    running.subjects.policy.set(large).ok().unwrap();
    let idle: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = running.connect();
            client
                .write_all(b"GET /policy HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
                .unwrap();
            let mut begin = [0; 12];
            client.read_exact(&mut begin).unwrap();
            assert_eq!(&begin, b"HTTP/1.1 200");
            client
        })
        .collect();
    let began = Instant::now();
    assert_eq!(status(&running.get("/healthz")), "200");
    assert!(began.elapsed() < TIME, "{:?}", began.elapsed());
    // Who does read gets all of it, however many do.
    drop(idle);
    let response = running.get("/policy");
    assert!(response.ends_with(&"x".repeat(8 << 20)), "{}", response.len());
}

#[test]
fn more_requests_at_a_time_than_there_are_places_are_all_answered() {
    let running = running();
    let clients: Vec<TcpStream> = (0..3 * CONNECTIONS)
        .map(|_| {
            let mut client = running.connect();
            client
                .write_all(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
                .unwrap();
            client
        })
        .collect();
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        assert_eq!(status(&response), "200", "{number}");
    }
}

// proves: ISO-5
#[test]
fn a_client_has_so_much_time_from_its_first_byte_to_its_last() {
    let running = running();
    let mut idle = running.connect();
    let mut slow = running.connect();
    let began = Instant::now();
    let (mut from, mut ended) = (slow.try_clone().unwrap(), [0; 64]);
    let drip = thread::spawn(move || {
        // For longer than it is listened to.
        while slow.write_all(b"x").is_ok() && began.elapsed() < 6 * TIME {
            sleep(Duration::from_millis(200));
        }
    });
    let first = idle.read(&mut ended);
    let second = from.read(&mut ended);
    let _ = from.shutdown(Shutdown::Both);
    drip.join().unwrap();
    for read in [first, second] {
        assert!(
            !matches!(read, Err(ref error) if error.kind() == io::ErrorKind::WouldBlock),
            "{read:?}"
        );
    }
    assert!(began.elapsed() < 5 * TIME, "{:?}", began.elapsed());
}
