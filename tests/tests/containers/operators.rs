//! What a node's operator says of all apps, and what the deployer of one says of his: loaded again while they run.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use super::*;

const TO_THE_NODE: &str = "allowed_outbound_hosts = [\"*://10.88.0.1:*\"]\n";
const CONNECT: &str = "tcp.connect 10.88.0.1:81";

#[test]
fn a_config_map_that_is_swapped_under_load_is_loaded_again() {
    let Some(node) = Node::shared() else { return };
    node.import("swapped", &[script_app("swapped", TO_THE_NODE)]);
    let volume = node.path("swapped");
    fs::create_dir(&volume).expect("a folder of our own");
    swap(&volume, "outport.toml", "max-requests = 100\n");
    let pod = Pod::start(node, HANDLER);
    let wanted = Wanted::image("swapped").variable("OUTPORT_CONFIG", "/etc/outport/outport.toml");
    let app = pod.run(wanted.volume(&volume, "/etc/outport"));
    pod.answer(&app, "http://127.0.0.1/hello");
    assert_eq!(statement(&pod, 80, CONNECT), "connection-refused");
    let (is_over, answers) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let answer = pod.ask("http://127.0.0.1/hello", None);
                assert_eq!(answer, Ok((200, "hello\n".to_owned())), "{}", app.logs());
                answers.fetch_add(1, Ordering::Relaxed);
            }
        });
        swap(
            &volume,
            "outport.toml",
            "max-requests = 100\ndisallowed-outbound-hosts = [\"*://10.88.0.0/16:*\"]\n",
        );
        until("the list denies it", || {
            statement(&pod, 80, CONNECT) == "access-denied"
        });
        swap(&volume, "outport.toml", "disallowed-outbound-hosts = \n");
        until("a mistake is told", || {
            app.logs().contains("/etc/outport/outport.toml:1:")
        });
        assert_eq!(
            statement(&pod, 80, CONNECT),
            "access-denied",
            "the list stays as it was"
        );
        swap(&volume, "outport.toml", "max-requests = 100\n");
        until("the list is lifted", || {
            statement(&pod, 80, CONNECT) == "connection-refused"
        });
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(answers.into_inner() > 5);
}

#[test]
fn what_the_node_denies_no_pod_lifts_and_it_is_loaded_again() {
    let Some(node) = Node::shared() else { return };
    node.import("denied", &[script_app("denied", TO_THE_NODE)]);
    let own = node.path("own");
    fs::create_dir(&own).expect("a folder of our own");
    let pod = Pod::start(node, STRICT);
    let named = Wanted::image("denied").variable("OUTPORT_CONFIG", "/etc/own/outport.toml");
    let refused = pod
        .try_run(named.volume(&own, "/etc/own"))
        .expect_err("two configurations");
    assert!(
        refused
            .0
            .contains("this node gives apps a configuration of its own"),
        "{refused}"
    );
    let wanted = Wanted::image("denied").variable("OUTPORT_DISALLOWED_OUTBOUND_HOSTS", "*://192.0.2.1:*");
    // What steers programs of the node, or the loader of programs, is a pod's own where a pod has it.
    let wanted = wanted
        .variable("OUTPORT_RUNC_CONFIG", "/nowhere.toml")
        .variable("OUTPORT_RUNC_BECAME_RUNC", "1")
        .variable("LD_PRELOAD", "/lib/evil.so")
        .variable("LD_LIBRARY_PATH", "/lib")
        .variable("PATH", "/nowhere");
    let app = pod.run(wanted);
    pod.answer(&app, "http://127.0.0.1/hello");
    assert_eq!(statement(&pod, 80, CONNECT), "access-denied");
    // A probe or a shell would be a program beside the gate.
    let refused = app
        .exec(&["/.outport/outport", "--version"])
        .expect_err("beside the gate");
    assert!(
        refused
            .0
            .contains("a program in a running container is not started"),
        "{refused}"
    );
    fs::write(node.path("pods/outport.toml.new"), "max-requests = 100\n").expect("a file of our own");
    fs::rename(node.path("pods/outport.toml.new"), node.path("pods/outport.toml")).expect("one step");
    until("the node's list is lifted", || {
        statement(&pod, 80, CONNECT) == "connection-refused"
    });
}

#[test]
fn a_node_may_refuse_containers_that_are_no_apps() {
    let Some(node) = Node::shared() else { return };
    node.import(
        "refused",
        &[Image::new("refused")
            .program("waiting", waiting_program())
            .entrypoint(&["/waiting"])],
    );
    let pod = Pod::start(node, STRICT);
    let refused = pod
        .try_run(Wanted::image("refused"))
        .expect_err("an ordinary container");
    assert!(
        refused.0.contains(
            "the container's program `/waiting` is not run: this node runs apps with a spin.toml only"
        ),
        "{refused}"
    );
}

#[test]
fn an_image_decides_nothing_of_the_operators_and_its_pod_does() {
    let Some(node) = Node::shared() else { return };
    let to_all = "allowed_outbound_hosts = [\"*://*:*\"]\n";
    let lifting = "[outbound_networking]\nallow_udp = true\n";
    node.import(
        "deciding",
        &[
            script_app("deciding", to_all),
            script_app("by-variable", to_all).variable("OUTPORT_ALLOW_UDP=true"),
            script_app("by-argument", to_all).entrypoint(&["/spin.toml", "--allow-udp"]),
            script_app("by-file", to_all).file("runtime-config.toml", lifting),
            script_app("by-volume", to_all)
                .directory("etc")
                .directory("etc/own")
                .file("etc/own/r.toml", lifting)
                .volume("/etc/own")
                .variable("RUNTIME_CONFIG_FILE=/etc/own/r.toml"),
        ],
    );
    let pod = Pod::start(node, HANDLER);
    for (name, expected) in [
        (
            "by-variable",
            "the variable `OUTPORT_ALLOW_UDP`, which its image may have set",
        ),
        (
            "by-argument",
            "the argument `--allow-udp`, which its image may have set",
        ),
        ("by-file", "/runtime-config.toml, which is the image's"),
        ("by-volume", "the image asks for a volume at /etc/own"),
    ] {
        let refused = pod.try_run(Wanted::image(name)).expect_err(name);
        assert!(refused.0.contains(expected), "{refused}");
        assert!(refused.0.contains("`outport.dev/"), "{refused}");
    }
    let udp = |pod: &Pod<'_>| statement(pod, 80, "udp.create ipv4");
    let app = pod.run(Wanted::image("deciding"));
    pod.answer(&app, "http://127.0.0.1/hello");
    assert_eq!(udp(&pod), "access-denied");
    let pod = Pod::annotated(node, HANDLER, &[("options", "--allow-udp")]);
    let app = pod.run(Wanted::image("deciding"));
    pod.answer(&app, "http://127.0.0.1/hello");
    assert_eq!(udp(&pod), "ok");
    let volume = node.path("lifting");
    fs::create_dir(&volume).expect("a folder of our own");
    fs::write(volume.join("r.toml"), lifting).expect("a file of our own");
    let pod = Pod::start(node, HANDLER);
    let wanted = Wanted::image("deciding").variable("RUNTIME_CONFIG_FILE", "/etc/own/r.toml");
    let app = pod.run(wanted.volume(&volume, "/etc/own"));
    pod.answer(&app, "http://127.0.0.1/hello");
    assert_eq!(udp(&pod), "ok");
}
