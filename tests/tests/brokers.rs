//! Triggers that listen to real brokers, and to a queue of the test's own: what comes, in which order, and what may.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use outport_e2e::mosquitto::{self, Mosquitto};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::redis::Redis;
use outport_e2e::sqs::Queue;
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;

/// An app of the component `job`, which may reach `allowed`, with these triggers, and of one that says hello.
fn app(allowed: &str, triggers: &str) -> Outport {
    Outport::up(&format!(
        r#"
spin_manifest_version = 2
application.name = "brokers"

[[trigger.http]]
route = "/hello"
component = "hello"

{triggers}

[component.hello]
source = "GUESTS/hello.wasm"

[component.job]
source = "GUESTS/events.wasm"
allowed_outbound_hosts = [{allowed}]
"#
    ))
}

fn mqtt(port: u16, topic: &str) -> String {
    format!(
        r#"
[application.trigger.mqtt]
address = "mqtt://127.0.0.1:{port}"
username = ""
password = ""
keep_alive_interval = "30"

[[trigger.mqtt]]
component = "job"
topic = "{topic}"
qos = "1"
"#
    )
}

fn redis(port: u16) -> String {
    format!(
        "[[trigger.redis]]\ncomponent = \"job\"\naddress = \"redis://127.0.0.1:{port}\"\nchannel = \"orders\"\n"
    )
}

/// The texts of the events that came so far, without what stands before them.
fn came(app: &Running, kind: &str) -> Vec<String> {
    let all = app.stdout();
    let lines = all.lines().filter_map(|line| line.strip_prefix(kind));
    lines.map(str::to_owned).collect()
}

/// Each of them once, where it came first.
fn first_ones(mut texts: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    texts
}

// proves: HI-1, HI-2
#[test]
fn no_message_that_a_broker_has_confirmed_is_lost_or_overtaken_when_it_goes_away() {
    let mut broker = Mosquitto::start_persistent();
    let port = broker.port();
    let app = app(&format!("\"mqtt://127.0.0.1:{port}\""), &mqtt(port, "orders/+"))
        .within(Duration::from_secs(300))
        .start();
    app.address();
    until("it has subscribed", || !broker.log_with("SUBACK").is_empty());
    let messages: Vec<(&str, String)> = (0..10_000)
        .map(|number| (["orders/a", "orders/b"][number % 2], format!("number {number}")))
        .collect();
    let published = messages.clone();
    let publisher = thread::spawn(move || mosquitto::publish(port, &published));
    for number in [1500, 4000] {
        until("some have come", || came(&app, "mqtt ").len() > number);
        broker.stop();
        broker.start_again();
    }
    publisher.join().unwrap();
    let wanted = |topic: &str| -> Vec<String> {
        let own = messages.iter().filter(|(own, _)| *own == topic);
        own.map(|(topic, text)| format!("{topic}: {text}")).collect()
    };
    until("the last one has come", || {
        came(&app, "mqtt ")
            .iter()
            .any(|text| text.ends_with("number 9999"))
    });
    until("all have come", || {
        first_ones(came(&app, "mqtt ")).len() == 10_000
    });
    let all = first_ones(came(&app, "mqtt "));
    for topic in ["orders/a", "orders/b"] {
        let found: Vec<String> = all
            .iter()
            .filter(|text| text.starts_with(topic))
            .cloned()
            .collect();
        assert!(found == wanted(topic), "{topic} is out of order");
    }
    let ended = app.stop().expect_code(0);
    assert!(
        ended.stderr.contains("gets no events from topic `orders/+`"),
        "{ended}"
    );
    assert!(
        ended.stderr.contains("gets events from topic `orders/+`"),
        "{ended}"
    );
    until("it unsubscribes", || !broker.log_with("UNSUBACK").is_empty());
}

// proves: HI-1, HI-2, HI-8
#[test]
fn messages_of_a_channel_come_in_their_order_and_again_when_the_server_is_back() {
    let mut server = Redis::start();
    let port = server.port();
    let app = app(&format!("\"redis://127.0.0.1:{port}\""), &redis(port)).start();
    app.address();
    let subscribed = |server: &Redis| {
        let said = server.ask("PUBSUB NUMSUB orders");
        said.is_ok_and(|said| said.ends_with(":1\r\n"))
    };
    let publish = |server: &Redis, numbers: std::ops::Range<u32>| {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        let commands: Vec<String> = numbers
            .map(|number| format!("PUBLISH orders n{number}\r\n"))
            .collect();
        stream.write_all(commands.concat().as_bytes()).unwrap();
        // So that all are read before the connection ends.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    };
    until("it has subscribed", || subscribed(&server));
    publish(&server, 0..3000);
    until("all have come", || came(&app, "redis: ").len() == 3000);
    server.kill();
    app.wait_for_error_line("warning: component `job` gets no events from channel `orders`");
    server.start_again();
    until("it has subscribed again", || subscribed(&server));
    publish(&server, 3000..4000);
    until("all have come", || came(&app, "redis: ").len() == 4000);
    let expected: Vec<String> = (0..4000).map(|number| format!("n{number}")).collect();
    assert!(came(&app, "redis: ") == expected, "out of order\n{app}");
    let ended = app.stop().expect_code(0);
    let dials = ended
        .audit
        .iter()
        .filter(|line| line.field("attempt") == "redis.dial");
    assert!(dials.count() >= 2, "each connection was judged: {ended}");
    assert!(ended.reasons().is_empty(), "{ended}");
}

fn sqs(queue: &str) -> String {
    format!(
        "[[trigger.sqs]]\ncomponent = \"job\"\nqueue_url = \"https://sqs.eu-west-1.amazonaws.com/1/{queue}\"\n\
         idle_wait_seconds = 1\nmessage_attributes = [\"All\"]\n"
    )
}

fn at_queue(queue: &Queue, outport: Outport) -> Outport {
    outport
        .variable("AWS_ENDPOINT_URL_SQS", format!("http://{}", queue.address()))
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "hunter2")
}

// proves: HI-6
#[test]
fn a_queue_is_asked_with_the_operators_credentials_and_loses_what_was_handled_alone() {
    let queue = Queue::start();
    let app = at_queue(&queue, app("", &sqs("orders"))).start();
    for number in 0..50 {
        queue.send("", &format!("m{number}"));
    }
    queue.send("", "leave");
    queue.send("", "fail it");
    until("all others are deleted", || {
        let mut left = queue.bodies();
        left.sort();
        left == ["fail it", "leave"]
    });
    let times = |text: &str| {
        came(&app, "sqs ")
            .iter()
            .filter(|line| line.ends_with(text))
            .count()
    };
    until("what stays comes again", || {
        times(": leave") > 1 && times(": fail it") > 1
    });
    let lines = came(&app, "sqs ");
    assert!(lines.contains(&"id-1 colour=green: m0".to_owned()), "{lines:?}");
    let asked = queue.asked();
    let first = &asked[0];
    assert_eq!(first.action, "GetQueueAttributes");
    let (date, _) = first.date.split_once('T').unwrap();
    let credential = format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{date}/eu-west-1/sqs/aws4_request, ");
    for one in &asked {
        assert!(one.authorization.starts_with(&credential), "{one:?}");
        let (_, signature) = one.authorization.split_once("Signature=").unwrap();
        assert_eq!(signature.len(), 64, "{one:?}");
        assert_eq!(
            one.body["QueueUrl"],
            "https://sqs.eu-west-1.amazonaws.com/1/orders"
        );
    }
    let audit = fs::read_to_string(app.folder().join("audit.jsonl")).unwrap();
    let ended = app.stop().expect_code(0);
    assert!(
        ended.stderr.contains("(operator)"),
        "where it is is shown: {ended}"
    );
    for told in [&ended.stdout, &ended.stderr, &audit] {
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn messages_of_a_group_are_handled_in_their_order() {
    let queue = Queue::start();
    for number in 0..40 {
        queue.send(["a", "b"][number % 2], &format!("m{number}"));
    }
    let app = at_queue(&queue, app("", &sqs("orders.fifo"))).start();
    until("all are handled", || queue.bodies().is_empty());
    let lines = first_ones(came(&app, "sqs "));
    for group in 0..2 {
        let numbers = lines
            .iter()
            .map(|line| line.rsplit_once(": m").unwrap().1.parse::<usize>().unwrap());
        let own: Vec<usize> = numbers.filter(|number| number % 2 == group).collect();
        assert!(own.is_sorted() && own.len() == 20, "{lines:?}");
    }
    app.stop().expect_code(0);
}

// proves: HI-1, HI-2, HI-6
#[test]
fn a_server_that_the_policy_refuses_is_not_listened_to_unless_it_is_the_operators() {
    let server = Redis::start();
    let port = server.port();
    let own = format!("redis://127.0.0.1:{port}");
    let config = format!("[trigger.redis]\naddress = \"{own}\"\n");
    let line = format!("add \"{own}\" to allowed_outbound_hosts");
    for entry in [
        "",
        &format!("\"tcp://127.0.0.1:{port}\""),
        "\"mqtt://127.0.0.1:*\"",
    ] {
        let refused = app(entry, &redis(port)).finish().expect_code(2);
        assert!(refused.stderr.contains("trigger.denied"), "{refused}");
        assert!(refused.stderr.contains("redis://127.0.0.1:"), "{refused}");
        assert!(refused.stderr.contains(&line), "{refused}");
    }
    let secret = redis(port).replace("redis://", "redis://:hunter2@");
    for (triggers, finds) in [
        (secret.clone(), "trigger.denied"),
        (secret.replace("\"\nchannel", "/x/y\"\nchannel"), "trigger.denied"),
        (secret.replace("channel", "chanel"), "unknown-key"),
        (
            mqtt(port, "a").replace("password = \"\"", "password = \"hunter2\" 5"),
            "syntax",
        ),
    ] {
        let refused = app("", &triggers).finish().expect_code(2);
        assert!(refused.stderr.contains(finds), "{refused}");
        assert!(!refused.stderr.contains("hunter2"), "{refused}");
    }
    let wrong = app("", &redis(port))
        .file(
            "config.toml",
            "[trigger.redis]\naddress = \"mqtt://:hunter2@cache\"\n",
        )
        .option("--runtime-config-file=config.toml")
        .finish()
        .expect_code(2);
    assert!(!wrong.stderr.contains("hunter2"), "{wrong}");
    let refused = at_queue(&Queue::start(), app("", &sqs("orders")))
        .variable("AWS_ENDPOINT_URL_SQS", "")
        .finish()
        .expect_code(2);
    assert!(
        refused.stderr.contains("https://sqs.eu-west-1.amazonaws.com"),
        "{refused}"
    );
    let running = app("", &redis(port))
        .file("config.toml", config)
        .option("--runtime-config-file=config.toml")
        .start();
    running.address();
    until("it has subscribed", || {
        server
            .ask("PUBSUB NUMSUB orders")
            .is_ok_and(|said| said.ends_with(":1\r\n"))
    });
    server.ask("PUBLISH orders hello").unwrap();
    running.wait_for_line("redis: hello");
    let ended = running.stop().expect_code(0);
    assert!(ended.stderr.contains("(operator)"), "{ended}");
    let whose = |line: &&outport_e2e::audit::AuditLine| line.field("attempt") == "redis.dial";
    let dial = ended.audit.iter().find(whose).unwrap();
    assert_eq!(dial.field("component"), "trigger.redis (operator)", "{ended}");
}

// proves: HI-4, DL-9
#[test]
fn a_list_that_comes_to_deny_a_broker_ends_what_is_listened_to() {
    let broker = Mosquitto::start();
    let port = broker.port();
    let running = app(&format!("\"mqtt://127.0.0.1:{port}\""), &mqtt(port, "orders/+"))
        .file("config.toml", "")
        .option("--runtime-config-file=config.toml")
        .start();
    running.address();
    until("it has subscribed", || !broker.log_with("SUBACK").is_empty());
    running.write(
        "config.toml",
        format!("[outbound_networking]\ndisallowed_outbound_hosts = [\"mqtt://127.0.0.1:{port}\"]\n"),
    );
    running.wait_for_error_line("warning: component `job` gets no events from topic `orders/+`");
    until("the broker is left", || {
        broker
            .log_with("outport-brokers")
            .iter()
            .any(|line| line.contains("closed") || line.contains("disconnect"))
    });
    until("it is refused", || {
        running
            .audit()
            .iter()
            .any(|line| line.denied() && line.field("attempt") == "mqtt.connect")
    });
    running.stop().expect_code(0);
}

// proves: ISO-3, ISO-5
#[test]
fn a_flood_at_a_slow_component_waits_with_the_server_and_its_neighbour_is_served() {
    let server = Redis::start();
    let port = server.port();
    let turnstile = Turnstile::closed();
    let allowed = format!("\"redis://127.0.0.1:{port}\", \"{}\"", turnstile.entry());
    let mut running = app(&allowed, &redis(port)).start();
    running.address();
    until("it has subscribed", || {
        server
            .ask("PUBSUB NUMSUB orders")
            .is_ok_and(|said| said.ends_with(":1\r\n"))
    });
    server
        .ask(&format!("PUBLISH orders \"{}\"", turnstile.wait()))
        .unwrap();
    turnstile.has(1);
    let before = memory(&mut running);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let message = "x".repeat(10_000);
    // 300 MB, of which the server keeps what it likes.
    for _ in 0..300 {
        let commands = format!("PUBLISH orders {message}\r\n").repeat(100);
        stream.write_all(commands.as_bytes()).unwrap();
        assert_eq!(running.get("/hello").status, 200, "{running}");
    }
    let after = memory(&mut running);
    assert!(after < before + 64_000_000, "from {before} to {after} bytes");
    turnstile.open();
    running.stop();
}

/// Bytes of memory that the process has.
fn memory(app: &mut Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.id())).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    kibibytes
        .and_then(|number| number.parse::<u64>().ok())
        .expect("a number")
        * 1024
}
