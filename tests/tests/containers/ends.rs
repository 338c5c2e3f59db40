//! How containers of apps end: killed, out of memory, and stopped while they answer.

use std::thread;

use super::*;

#[test]
fn an_app_that_is_killed_is_started_again_in_its_pod() {
    let Some(node) = Node::shared() else { return };
    node.import("killed", &[script_app("killed", "")]);
    let pod = Pod::start(node, HANDLER);
    for _ in 0..2 {
        let app = pod.run(Wanted::image("killed"));
        pod.answer(&app, "http://127.0.0.1/hello");
        app.signal("KILL");
        assert_eq!(app.ended().exit_code, 137);
    }
    let app = pod.run(Wanted::image("killed"));
    assert_eq!(pod.answer(&app, "http://127.0.0.1/hello"), "hello\n");
}

#[test]
fn a_pod_without_memory_ends_alone() {
    let Some(node) = Node::shared() else { return };
    node.import("memory", &[script_app("memory", "")]);
    let neighbours = Pod::start(node, HANDLER);
    let neighbour = neighbours.run(Wanted::image("memory"));
    neighbours.answer(&neighbour, "http://127.0.0.1/hello");
    let pod = Pod::start(node, HANDLER);
    // By itself Outport lets guests have what the control group leaves, and no more.
    let limited = || {
        Wanted::image("memory")
            .memory(160 << 20)
            .variable("OUTPORT_MAX_MEMORY", "1G")
    };
    let app = pod.run(limited());
    pod.answer(&app, "http://127.0.0.1/hello");
    assert_eq!(statement(&pod, 80, "alloc 600000000"), "out-of-memory");
    app.stop(20);
    let app = pod.run(limited().variable("OUTPORT_MAX_MEMORY_TOTAL", "8G"));
    pod.answer(&app, "http://127.0.0.1/hello");
    thread::scope(|scope| {
        let asked = scope.spawn(|| pod.ask("http://127.0.0.1/", Some("alloc 600000000")));
        let mut answers = 0;
        while !asked.is_finished() || answers == 0 {
            assert_eq!(
                neighbours.ask("http://127.0.0.1/hello", None),
                Ok((200, "hello\n".to_owned()))
            );
            answers += 1;
        }
        let asked = asked.join().expect("a thread");
        assert!(asked.is_err(), "{asked:?}");
    });
    let status = app.ended();
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (137, "OOMKilled"),
        "{status:?}"
    );
    assert_eq!(neighbours.answer(&neighbour, "http://127.0.0.1/hello"), "hello\n");
}

#[test]
fn a_pod_that_is_stopped_is_unready_first_and_answers_what_it_has() {
    let Some(node) = Node::shared() else { return };
    node.import("stopped", &[script_app("stopped", "")]);
    let pod = Pod::start(node, HANDLER);
    let app = pod.run(Wanted::image("stopped").variable("OUTPORT_ADMIN_LISTEN", "0.0.0.0:9100"));
    pod.answer(&app, "http://127.0.0.1/hello");
    // As the kubelet asks: by the pod's address.
    let admin = |path: &str| pod.ask(&format!("http://{}:9100/{path}", pod.address), None);
    until("it is ready", || {
        admin("readyz").is_ok_and(|(status, _)| status == 200)
    });
    thread::scope(|scope| {
        let slow = scope.spawn(|| pod.ask("http://127.0.0.1/", Some("wait 8000")));
        until("the request is at work", || {
            admin("metrics").is_ok_and(|(_, metrics)| {
                metrics.contains("outport_http_requests_active{component=\"web\"} 1")
            })
        });
        // Whoever gets a connection gets an answer, until there are no connections any more.
        let clients = scope.spawn(|| {
            loop {
                match pod.ask("http://127.0.0.1/hello", None) {
                    Ok(answer) => assert_eq!(answer, (200, "hello\n".to_owned())),
                    Err(said) => break said,
                }
            }
        });
        let stop = scope.spawn(|| app.stop(30));
        until("it is not ready", || {
            admin("readyz").is_ok_and(|(status, _)| status == 503)
        });
        assert!(!slow.is_finished(), "readiness goes first");
        let said = clients.join().expect("a thread");
        // curl's word for a port where nobody listens: neither a connection that was reset nor one without an answer.
        assert!(said.contains("(7) "), "{said}");
        let (status, answer) = slow.join().expect("a thread").expect("an answer");
        assert_eq!((status, answer.contains("=> ok")), (200, true), "{answer}");
        stop.join().expect("stopped");
    });
    assert_eq!(app.ended().exit_code, 0, "{}", app.logs());
}
