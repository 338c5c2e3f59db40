//! Events: a clock, events that are handed over by hand, and what becomes of them beside requests.

use std::io::Write;
use std::time::{Duration, Instant};

use outport_e2e::guest;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::tcp::TcpPeer;
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;
use rustix::process::Signal;

/// The guests that handle events of every type: synchronous as before Spin 4, asynchronous as since.
const GUESTS: [&str; 2] = ["events", "events-p3"];

/// An app of one component with these lines, and these triggers.
fn app(guest: &str, lines: &str, triggers: &str) -> String {
    format!(
        "spin_manifest_version = 2\napplication.name = \"events\"\n{triggers}\n[component.job]\nsource = \
         \"GUESTS/{guest}.wasm\"\n{lines}\n"
    )
}

/// A trigger that starts `job` every second.
const EVERY_SECOND: &str = "[[trigger.cron]]\ncomponent = \"job\"\ncron_expression = \"* * * * * *\"\n";

/// `outport trigger` with these arguments, in an app of one component with these lines.
fn by_hand(guest: &str, lines: &str, arguments: &[&str]) -> Finished {
    let command = Outport::command("trigger").manifest(&app(guest, lines, EVERY_SECOND));
    command.options(arguments).option("--no-output-prefix").finish()
}

#[test]
fn a_clock_starts_components_and_an_app_of_events_alone_has_no_listener() {
    for guest in GUESTS {
        let running = Outport::up(&app(
            guest,
            "environment = { EVENT = \"print hello\" }",
            EVERY_SECOND,
        ))
        .start();
        running.wait_for_error_line("Waiting for events");
        let line = running.wait_for_line("cron ");
        let seconds = line
            .split_whitespace()
            .nth(1)
            .and_then(|word| word.trim_end_matches(':').parse().ok());
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let seconds: u64 = seconds.unwrap_or_else(|| panic!("{line}"));
        assert!(now - 60 < seconds && seconds <= now, "{line} at {now}");
        until("it is started again", || {
            running.to_string().matches(": print hello").count() > 1
        });
        let ended = running.stop().expect_code(0);
        assert!(!ended.stderr.contains("Serving"), "{ended}");
        assert!(ended.stdout.contains(": 1 print hello => hello"), "{ended}");
        assert!(
            ended.stderr.contains("the clock, `* * * * * *` UTC  job"),
            "{ended}"
        );
    }
}

#[test]
fn a_run_that_outlasts_its_interval_is_not_started_twice_and_what_is_missed_is_said() {
    let turnstile = Turnstile::closed();
    let lines = format!(
        "environment = {{ EVENT = \"{}\" }}\nallowed_outbound_hosts = [\"{}\"]\n\
         [[trigger.cron]]\ncomponent = \"beside\"\ncron_expression = \"* * * * * *\"\n\
         [component.beside]\nsource = \"GUESTS/events.wasm\"\nenvironment = {{ EVENT = \"tick\" }}",
        turnstile.wait(),
        turnstile.entry()
    );
    let running = Outport::up(&app("events-p3", &lines, EVERY_SECOND)).start();
    turnstile.has(1);
    let ticks = |running: &str| running.matches(": tick").count();
    let before = ticks(&running.to_string());
    // The other clock goes on, by which the first has passed its time as well.
    until("time goes on", || ticks(&running.to_string()) >= before + 3);
    assert_eq!(turnstile.guests(), 1);
    turnstile.open();
    running.wait_for_error_line(
        "warning: component `job` was not started at a time of `* * * * * *`: the run before had not ended",
    );
    running.stop().expect_code(0);
}

#[test]
fn an_event_by_hand_is_handled_by_the_function_for_it() {
    let rows: &[(&[&str], &str)] = &[
        (
            &["cron", "job", "--timestamp", "86400"],
            "cron 86400: from the environment",
        ),
        (&["redis", "job", "--payload", "one two"], "redis: one two"),
        (&["redis", "job"], "redis: "),
        (
            &["mqtt", "job", "--topic", "a/b", "--payload", "x"],
            "mqtt a/b: x",
        ),
        (
            &[
                "sqs",
                "job",
                "--body",
                "x",
                "--attribute",
                "a=b",
                "--attribute",
                "c=d=e",
            ],
            "sqs by-hand a=b c=d=e: x",
        ),
        (
            &["redis", "job", "--payload", "@message.txt"],
            "redis: from a file",
        ),
    ];
    for guest in GUESTS {
        for (arguments, line) in rows {
            // A component needs no trigger of that type.
            let lines = "environment = { EVENT = \"from the environment\" }";
            let ended = Outport::command("trigger")
                .manifest(&app(guest, lines, EVERY_SECOND))
                .file("message.txt", "from a file")
                .options(arguments.iter().copied())
                .option("--no-output-prefix")
                .finish()
                .expect_code(0);
            assert_eq!(ended.lines(), [*line], "{guest} {arguments:?}: {ended}");
        }
    }
}

#[test]
fn a_command_is_started_by_hand_with_a_trigger_or_without() {
    let app = |trigger: &str| app("script-guest", "environment = { A = \"b\" }", trigger);
    for (trigger, code) in [
        (EVERY_SECOND, 0),
        (
            "[[trigger.http]]\nroute = \"/\"\nstatic_response = { status_code = 200 }\n",
            0,
        ),
        (
            "[[trigger.command]]\ncomponent = \"job\"\nargs = [\"exit 3\"]\n",
            3,
        ),
    ] {
        let command = Outport::command("trigger").manifest(&app(trigger));
        command.options(["command", "job"]).finish().expect_code(code);
    }
}

#[test]
fn a_message_may_come_by_standard_input() {
    let (input, mut output) = std::io::pipe().unwrap();
    output.write_all(b"by a pipe").unwrap();
    drop(output);
    let ended = Outport::command("trigger")
        .manifest(&app("events", "", EVERY_SECOND))
        .reading(input)
        .options(["redis", "job", "--payload", "-", "--no-output-prefix"])
        .finish()
        .expect_code(0);
    assert_eq!(ended.lines(), ["redis: by a pipe"], "{ended}");
}

// proves: Q-3
#[test]
fn an_event_that_is_not_handled_has_an_exit_status_and_says_why() {
    let time = ["--max-cpu-time=300ms", "--max-time=1s"];
    // (statements, exit code, what is said)
    for (text, code, said) in [
        (
            "fail it was\u{1b}[31m asked to",
            1,
            "error: component `job` answered with the error `",
        ),
        ("trap", 134, "error: component `job` trapped in `"),
        ("spin 60000", 134, "computed for more than 0.3 s"),
        ("wait 60000", 134, "error: component `job` was ended after 1 s"),
        ("leave", 0, "The message would stay in its queue"),
    ] {
        for guest in GUESTS {
            let ended =
                by_hand(guest, "", &["sqs", "job", "--body", text, time[0], time[1]]).expect_code(code);
            assert!(ended.stderr.contains(said), "{guest} {text:?}: {ended}");
            assert!(!ended.stderr.contains('\u{1b}'), "{guest} {text:?}: {ended}");
        }
    }
    // The first interface has an error without a text.
    let ended = by_hand("events", "", &["redis", "job", "--payload", "fail x"]).expect_code(1);
    assert!(
        ended.stderr.contains("answered with the error `error`"),
        "{ended}"
    );
}

#[test]
fn what_handles_an_event_reaches_what_the_manifest_says() {
    let peer = TcpPeer::echo();
    let connect = format!("tcp.connect {}", peer.address());
    for guest in GUESTS {
        for (entries, result) in [
            (format!("\"*://{}\"", peer.address()), "ok"),
            (String::new(), "access-denied"),
        ] {
            let lines = format!("allowed_outbound_hosts = [{entries}]");
            let ended = by_hand(guest, &lines, &["redis", "job", "--payload", &connect]).expect_code(0);
            let line = format!("redis: 1 {connect} => {result}");
            assert_eq!(ended.lines().last(), Some(&line.as_str()), "{guest}: {ended}");
        }
    }
}

#[test]
fn what_no_component_handles_is_refused_before_anything_runs() {
    let hello = app("hello", "", EVERY_SECOND);
    let said = "component `job` handles no events of a clock: it exports no `handle-cron-event`, but \
                `wasi:http/incoming-handler@";
    let ended = Outport::up(&hello).finish().expect_code(2);
    assert!(ended.stderr.contains(said), "{ended}");
    let ended = Outport::command("check").manifest(&hello).finish().expect_code(1);
    assert!(
        ended.stdout.contains("error[component.missing-export]"),
        "{ended}"
    );
    let rows: &[(&[&str], &str)] = &[
        (
            &["redis", "job"],
            "exports no `spin:redis/inbound-redis@3.0.0` or `fermyon:spin/inbound-redis`",
        ),
        (&["mqtt", "job", "--topic=a"], "exports no `handle-message`"),
        (&["sqs", "job"], "exports no `handle-queue-message`"),
        (&["cron", "jobs"], "the app has no component `jobs`"),
        (
            &["command", "job"],
            "component `job` is not a command: it does not export `wasi:cli/run`, but",
        ),
        (&["mqtt", "job"], "--topic"),
        (&["kafka", "job"], "kafka"),
    ];
    for (arguments, said) in rows {
        let manifest = hello.replace(
            EVERY_SECOND,
            "[[trigger.http]]\nroute = \"/\"\ncomponent = \"job\"\n",
        );
        let command = Outport::command("trigger").manifest(&manifest);
        let ended = command.options(arguments.iter().copied()).finish().expect_code(2);
        assert!(ended.stderr.contains(said), "{arguments:?}: {ended}");
    }
    // A function of that name with other parameters.
    let odd = r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func (export "handle-cron-event") (canon lift (core func $i "f"))))"#;
    let manifest = app("hello", "", EVERY_SECOND).replace("GUESTS/hello.wasm", "odd.wasm");
    let odd = wat::parse_str(odd).unwrap();
    let ended = Outport::up(&manifest)
        .file("odd.wasm", odd)
        .finish()
        .expect_code(2);
    let said = "component `job` handles no events of a clock: its `handle-cron-event` has another type than that of \
                Spin's triggers";
    assert!(ended.stderr.contains(said), "{ended}");
}

#[test]
fn an_address_that_cannot_be_listened_to_says_what_to_write() {
    let redis = |address: &str| {
        format!("[[trigger.redis]]\ncomponent = \"job\"\nchannel = \"a\"\naddress = \"{address}\"\n")
    };
    let mqtt = |address: &str| {
        format!(
            "[application.trigger.mqtt]\naddress = \"{address}\"\nusername = \"\"\npassword = \"\"\n\
             keep_alive_interval = \"30\"\n[[trigger.mqtt]]\ncomponent = \"job\"\ntopic = \"a\"\nqos = \"1\"\n"
        )
    };
    let sqs = |url: &str| format!("[[trigger.sqs]]\ncomponent = \"job\"\nqueue_url = \"{url}\"\n");
    for (triggers, wrong, help) in [
        (redis("127.0.0.1:6379"), "it has no scheme", "write `redis://"),
        (redis("redis://"), "it has no host", "write `redis://"),
        (mqtt("127.0.0.1:1883"), "it has no scheme", "write `mqtt://"),
        (
            mqtt("mqtt://u:hunter2@127.0.0.1"),
            "it has a user",
            "stands in `username` and `password`",
        ),
        (
            sqs("http://127.0.0.1:4566/0/q"),
            "is not at AWS",
            "AWS_ENDPOINT_URL",
        ),
        (
            sqs("http://sqs.eu-west-1.amazonaws.com/0/q"),
            "is not one of `https`",
            "write `https://`",
        ),
    ] {
        let manifest = app("events", "allowed_outbound_hosts = [\"*://*:*\"]", &triggers);
        let check = Outport::command("check").manifest(&manifest);
        let ended = check.finish().expect_code(1);
        let told = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for said in [wrong, help] {
            assert!(told.contains(said), "{triggers}: {said}: {ended}");
        }
        assert!(!told.contains("hunter2"), "{ended}");
    }
}

#[test]
fn a_component_that_handles_events_is_no_command_and_answers_no_requests() {
    for outport in [
        Outport::run(guest::path("events")),
        Outport::serve(guest::path("events")),
    ] {
        let ended = outport.finish().expect_code(2);
        assert!(ended.stderr.contains("outport trigger"), "{ended}");
    }
    let ended = Outport::command("inspect")
        .options([guest::path("events")])
        .finish()
        .expect_code(0);
    for uses in [
        "handles events of a clock",
        "handles messages of MQTT",
        "handles messages of Redis (Spin's first interface)",
        "handles messages of SQS",
    ] {
        assert!(ended.stdout.contains(uses), "{ended}");
    }
}

#[test]
fn a_module_of_the_first_abi_handles_messages_of_redis() {
    // Answers with an error if the message is longer than three bytes.
    let module = r#"(module
        (memory (export "memory") 1)
        (func (export "canonical_abi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "handle-redis-message") (param i32 i32) (result i32)
            (i32.store8 (i32.const 16) (i32.gt_u (local.get 1) (i32.const 3)))
            (i32.store8 (i32.const 17) (i32.const 1))
            i32.const 16))"#;
    let manifest = app("events", "", EVERY_SECOND).replace("GUESTS/events.wasm", "module.wasm");
    let manifest = manifest.replace(
        EVERY_SECOND,
        "[[trigger.http]]\nroute = \"/\"\nstatic_response = { status_code = 200 }\n",
    );
    for (payload, code) in [("abc", 0), ("abcd", 1)] {
        Outport::command("trigger")
            .manifest(&manifest)
            .file("module.wasm", wat::parse_str(module).unwrap())
            .options(["redis", "job", "--payload", payload])
            .finish()
            .expect_code(code);
    }
}

/// A handler that waits at a turnstile each second.
fn waiting(guest: &str, turnstile: &Turnstile) -> String {
    let lines = format!(
        "environment = {{ EVENT = \"{}; print done\" }}\nallowed_outbound_hosts = [\"{}\"]",
        turnstile.wait(),
        turnstile.entry()
    );
    app(guest, &lines, EVERY_SECOND)
}

#[test]
fn a_handler_that_runs_may_end_when_the_app_stops_and_nothing_new_begins() {
    for guest in GUESTS {
        let turnstile = Turnstile::closed();
        let running = Outport::up(&waiting(guest, &turnstile))
            .option("--grace=60s")
            .start();
        turnstile.has(1);
        running.signal(Signal::TERM);
        running.wait_for_error_line("Stopping");
        turnstile.open();
        let ended = running.finish().expect_code(0);
        assert!(ended.stdout.contains("print done => done"), "{ended}");
        assert_eq!(
            ended.stdout.matches("tcp.connect").count(),
            2,
            "one event and its result: {ended}"
        );
    }
}

#[test]
fn a_handler_that_outlasts_the_grace_is_cut_off() {
    let turnstile = Turnstile::closed();
    let running = Outport::up(&waiting("events", &turnstile))
        .option("--grace=300ms")
        .start();
    turnstile.has(1);
    let start = Instant::now();
    running.signal(Signal::TERM);
    let ended = running.finish().expect_code(0);
    assert!(start.elapsed() < Duration::from_secs(60), "{ended}");
    assert!(!ended.stdout.contains("print done => done"), "{ended}");
}

// proves: ISO-1, ISO-2
#[test]
fn events_and_requests_run_side_by_side_and_call_each_others_components() {
    let manifest = "spin_manifest_version = 2\napplication.name = \"both\"\n\
        [[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n\
        [[trigger.cron]]\ncomponent = \"burns\"\ncron_expression = \"* * * * * *\"\n\
        [[trigger.cron]]\ncomponent = \"calls\"\ncron_expression = \"* * * * * *\"\n\
        [component.web]\nsource = \"GUESTS/http-script-guest.wasm\"\n\
        [component.burns]\nsource = \"GUESTS/events.wasm\"\nenvironment = { EVENT = \"spin 100000\" }\n\
        [component.calls]\nsource = \"GUESTS/events-p3.wasm\"\n\
        environment = { EVENT = \"http.text GET http://web.spin.internal/hello\" }\n\
        allowed_outbound_hosts = [\"http://web.spin.internal\"]\n";
    // As few slots as make it tell if one kind could take all from the other: one of each component's own, five common.
    let running = Outport::up(manifest)
        .options(["--max-requests=8", "--workers=1", "--max-cpu-time=none"])
        .start();
    running.address();
    until("one burns", || running.to_string().contains(": spin 100000"));
    for _ in 0..10 {
        assert_eq!(running.get("/hello").body, "hello\n");
    }
    until("one is called", || running.to_string().contains("=> 200 hello"));
    running.signal(Signal::TERM);
    running.signal(Signal::TERM);
    running.finish();
}
