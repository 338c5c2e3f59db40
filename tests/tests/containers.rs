//! What a node of Kubernetes does with apps: containerd, asked over CRI as a kubelet asks it, starts them by `outport-runc`.
//!
//! No kubelet and no API server are there: what a pod's manifest becomes in calls of CRI, the tests do themselves
//! ([`pod`]). Everything below is real: Debian's containerd and runc, images from archives, bridges, control groups.

mod artifacts;
mod bad_images;
mod built_image;
mod cri;
mod ends;
mod escapes;
mod images;
mod manifests;
mod node;
mod operators;
mod pod;

use std::fs;
use std::path::Path;
use std::thread;

use outport_e2e::until::until;

use self::images::Image;
use self::node::{HANDLER, Node, STRICT, waiting_program};
use self::pod::{Container, Pod, TRUSTED, Wanted};

/// An app of the script guest, called `web`, with what its manifest says beside.
fn script_app(name: &str, more: &str) -> Image {
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"{name}\"\n[[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n\
         [component.web]\nsource = \"http-script-guest.wasm\"\n{more}"
    );
    Image::app(name, &manifest, "http-script-guest")
}

/// What one statement of a script gets in a pod.
#[track_caller]
fn statement(pod: &Pod<'_>, port: u16, statement: &str) -> String {
    let (status, answer) = pod
        .ask(&format!("http://127.0.0.1:{port}/"), Some(statement))
        .expect("an answer");
    assert_eq!(status, 200, "{answer}");
    let (_, result) = answer.trim().split_once(" => ").expect("a result");
    result.to_owned()
}

#[test]
fn a_pod_has_an_app_and_an_ordinary_container_beside_it() {
    let Some(node) = Node::shared() else { return };
    let app = script_app("two", "environment = { GREETING = \"good morning\" }\n");
    let sidecar = Image::new("sidecar")
        .program("bin/waiting", waiting_program())
        .entrypoint(&["waiting"]);
    node.import("two", &[app, sidecar.variable("PATH=/usr/bin:/bin")]);
    let pod = Pod::start(node, HANDLER);
    // As SpinKube's operator writes it.
    let app = pod.run(Wanted::image("two").command(&["/"]));
    let sidecar = pod.run(Wanted::image("sidecar"));
    assert_eq!(pod.answer(&app, "http://127.0.0.1/hello"), "hello\n");
    assert_eq!(
        pod.answer(&app, "http://127.0.0.1/env"),
        "GREETING=good morning\n"
    );
    assert!(app.logs().contains("Serving http://0.0.0.0:80"), "{}", app.logs());
    assert!(
        app.logs()
            .contains("Kernel sandbox: system calls, files and ports"),
        "{}",
        app.logs()
    );
    until("the sidecar writes", || sidecar.logs() == "waiting");
    let (code, said) = app.exec(&["/.outport/outport", "--version"]).expect("it runs");
    assert!(code == 0 && said.starts_with("outport "), "{code} {said}");
    let program = |container: &Container<'_>| {
        let link = format!("/proc/{}/exe", container.process());
        let output = node.inside(&["readlink", &link]).output().expect("readlink");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(program(&app), "/.outport/outport");
    assert_eq!(program(&sidecar), "/bin/waiting");
}

#[test]
fn the_limits_of_a_pod_are_those_of_its_control_groups() {
    let Some(node) = Node::shared() else { return };
    node.import("limits", &[script_app("limits", "")]);
    let pod = Pod::start(node, HANDLER);
    let app = pod.run(Wanted::image("limits").memory(192 << 20).processor(750));
    pod.answer(&app, "http://127.0.0.1/hello");
    let memory = app.control(&[("memory", "memory.limit_in_bytes"), ("", "memory.max")]);
    assert_eq!(memory, (192 << 20).to_string());
    let processor = app.control(&[("cpu", "cpu.cfs_quota_us"), ("", "cpu.max")]);
    assert_eq!(processor.split(' ').next(), Some("75000"));
    let used = app.memory();
    assert!((1 << 20..192 << 20).contains(&used), "{used} bytes");
}

#[test]
fn fifty_starts_and_none_fails() {
    let Some(node) = Node::shared() else { return };
    let manifest = "spin_manifest_version = 2\napplication.name = \"hello\"\n[[trigger.http]]\nroute = \"/...\"\n\
                    component = \"web\"\n[component.web]\nsource = \"hello.wasm\"\n";
    node.import("fifty", &[Image::app("fifty", manifest, "hello")]);
    let starts = |pods: usize| {
        for _ in 0..pods {
            let pod = Pod::start(node, HANDLER);
            for _ in 0..5 {
                let app = pod.run(Wanted::image("fifty"));
                pod.answer(&app, "http://127.0.0.1/");
                app.stop(20);
                let status = app.status();
                assert_eq!(status.exit_code, 0, "{status:?}\n{}", app.logs());
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| starts(5));
        scope.spawn(|| starts(5));
    });
}

#[test]
fn a_guest_reaches_what_its_list_says_from_inside_a_pod_and_nothing_else() {
    let Some(node) = Node::shared() else { return };
    let list = "allowed_outbound_hosts = [\"*://{{ neighbour }}:80\"]\n[variables]\nneighbour = { required = true }\n";
    node.import(
        "egress",
        &[script_app("neighbour", ""), script_app("egress", list)],
    );
    let neighbours = Pod::start(node, HANDLER);
    let neighbour = neighbours.run(Wanted::image("neighbour"));
    neighbours.answer(&neighbour, "http://127.0.0.1/hello");
    let pod = Pod::start(node, HANDLER);
    let app = pod.run(Wanted::image("egress").variable("SPIN_VARIABLE_NEIGHBOUR", &neighbours.address));
    pod.answer(&app, "http://127.0.0.1/hello");
    let ask = |what: &str| statement(&pod, 80, what);
    assert_eq!(ask(&format!("tcp.connect {}:80", neighbours.address)), "ok");
    assert_eq!(
        ask(&format!("http.text GET http://{}/hello", neighbours.address)),
        "200 hello\\n"
    );
    let others = [
        format!("{}:81", neighbours.address),
        // The node, by its address on the bridge.
        "10.88.0.1:80".to_owned(),
        "10.88.0.1:10250".to_owned(),
        // Metadata of a cloud, the API server's usual address, and the pod itself.
        "169.254.169.254:80".to_owned(),
        "10.96.0.1:443".to_owned(),
        "127.0.0.1:80".to_owned(),
        format!("{}:80", pod.address),
        "93.184.216.34:443".to_owned(),
    ];
    for other in others {
        assert_eq!(ask(&format!("tcp.connect {other}")), "access-denied", "{other}");
    }
    assert_eq!(
        ask("dns.lookup kubernetes.default.svc.cluster.local"),
        "access-denied"
    );
    assert_eq!(ask("udp.create ipv4 as u"), "access-denied");
    // The neighbour has no list.
    assert_eq!(
        statement(&neighbours, 80, &format!("tcp.connect {}:80", pod.address)),
        "access-denied"
    );
    until("a denial is in the log", || app.logs().contains("10.96.0.1:443"));
}

#[test]
fn an_app_keeps_its_state_with_a_read_only_root_and_a_user_that_is_not_root() {
    let Some(node) = Node::shared() else { return };
    let manifest = fs::read_to_string(outport_e2e::guest::workspace().join("examples/guestbook/spin.toml"));
    let manifest = manifest.expect("the example").replace("../../guests/wasm/", "");
    let image = |name: &str| Image::app(name, &manifest, "guestbook");
    node.import(
        "state",
        &[image("state"), image("state-of-a-user").user("65532:65532")],
    );
    let pods = [
        ("of the pod", Wanted::image("state").user(65_532).read_only()),
        ("of the image", Wanted::image("state-of-a-user").read_only()),
        ("root", Wanted::image("state").read_only()),
        ("root that writes", Wanted::image("state")),
    ];
    for (what, wanted) in pods {
        let pod = Pod::start(node, HANDLER);
        let app = pod.run(wanted.variable("SPIN_HTTP_LISTEN_ADDR", "0.0.0.0:8080"));
        pod.answer(&app, "http://127.0.0.1:8080/");
        assert_eq!(
            pod.ask("http://127.0.0.1:8080/ada", Some("hello"))
                .map(|(status, _)| status),
            Ok(200),
            "{what}"
        );
        let page = pod.answer(&app, "http://127.0.0.1:8080/");
        assert!(page.contains("ada: hello\n"), "{what}: {page}");
        let status = format!("/proc/{}/status", app.process());
        let status = node
            .inside(&["grep", "-E", "^(Uid|Seccomp|NoNewPrivs):", &status])
            .output()
            .expect("grep");
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        let user = if what.starts_with("root") { "0" } else { "65532" };
        assert!(
            status.contains(&format!("Uid:\t{user}\t{user}\t")),
            "{what}: {status}"
        );
        assert!(
            status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"),
            "{what}: {status}"
        );
        assert!(
            !app.logs().contains("compiled code is not kept"),
            "{what}: {}",
            app.logs()
        );
    }
}

#[test]
fn settings_of_spinkube_are_read_where_they_are_mounted() {
    let Some(node) = Node::shared() else { return };
    node.import(
        "spinkube",
        &[script_app(
            "spinkube",
            "allowed_outbound_hosts = [\"*://10.88.0.1:*\", \"*://db.test:5432\"]\n",
        )],
    );
    let file = node.path("runtime-config.toml");
    fs::write(
        &file,
        "[outbound_networking]\nblock_networks = [\"10.88.0.0/16\"]\n[component.web]\nmax_lookups_per_minute = 0\n",
    )
    .expect("a file of our own");
    let pod = Pod::start(node, HANDLER);
    let wanted = || Wanted::image("spinkube").command(&["/spin.toml"]);
    let app = pod.run(wanted().volume(&file, "/runtime-config.toml"));
    pod.answer(&app, "http://127.0.0.1/hello");
    assert_eq!(statement(&pod, 80, "tcp.connect 10.88.0.1:81"), "access-denied");
    // What is said of one component: it may ask for no name.
    assert_eq!(
        statement(&pod, 80, "dns.lookup db.test"),
        "temporary-resolver-failure"
    );
    until("the budget is told", || {
        app.logs().contains("--max-lookups-per-minute") || app.logs().contains("max_lookups_per_minute")
    });
    app.stop(20);
    // Without the file nothing denies it, and nobody listens there.
    let app = pod.run(wanted());
    pod.answer(&app, "http://127.0.0.1/hello");
    assert_eq!(
        statement(&pod, 80, "tcp.connect 10.88.0.1:81"),
        "connection-refused"
    );
}

/// Writes a file as a kubelet updates a ConfigMap: a new folder, and a link `..data` that leads there from one moment on.
fn swap(volume: &Path, name: &str, content: &str) {
    let fresh = tempfile::Builder::new()
        .prefix("..")
        .tempdir_in(volume)
        .expect("a folder")
        .keep();
    fs::set_permissions(&fresh, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("a folder of our own");
    fs::write(fresh.join(name), content).expect("a file of our own");
    let link = volume.join("..data_tmp");
    std::os::unix::fs::symlink(fresh.file_name().expect("a name"), &link).expect("a link");
    fs::rename(link, volume.join("..data")).expect("one step");
    let shown = volume.join(name);
    if !shown.exists() {
        std::os::unix::fs::symlink(Path::new("..data").join(name), shown).expect("a link");
    }
}
