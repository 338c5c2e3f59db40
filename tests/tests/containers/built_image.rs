//! The image that `scripts/dist image` makes, as a cluster without `outport-runc` runs it: an ordinary container with as few
//! rights as there can be.

use std::process::Command;

use serde_json::Value;

use super::cri::{ImageSpec, ImageStatusRequest, ImageStatusResponse};
use super::images::reference;
use super::*;
use outport_e2e::guest::{path, workspace};
use outport_e2e::static_outport::static_outport;

const APP: &str = "http://127.0.0.1:3000";

/// Makes the image, twice, by different hands. Answers the archive.
fn build(node: &Node, name: &str) -> String {
    let dist = |out: &Path, mask: &str, zone: &str| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "umask $0; exec \"$@\"", mask])
            .arg(workspace().join("scripts/dist"))
            .args(["image", "--binary"])
            .arg(static_outport())
            .arg("--out")
            .arg(out)
            .env("TZ", zone);
        let output = shell.output().expect("scripts/dist");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        fs::read_to_string(out.join("SHA256SUMS")).expect("checksums")
    };
    let (one, two) = (node.path(name), node.path(&format!("{name}-again")));
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| dist(&two, "077", "Asia/Tokyo"));
        (dist(&one, "022", "UTC"), second.join().expect("made"))
    });
    assert_eq!(first, second, "the same sources give the same bytes");
    let (_, archive) = first.trim().split_once("  ").expect("one file");
    one.join(archive).to_string_lossy().into_owned()
}

/// Makes the image and has it on the node. Answers its configuration.
fn provide(node: &Node, name: &str) -> Value {
    let archive = build(node, name);
    let ctr = |words: &[&str]| {
        let output = node
            .inside(&["ctr", "--namespace", "k8s.io", "--address"])
            .arg(node.path("containerd.sock"))
            .args(words)
            .output()
            .expect("nsenter (package util-linux)");
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    ctr(&["images", "import", &archive]);
    let built = concat!("localhost/outport:", env!("CARGO_PKG_VERSION"));
    ctr(&["images", "tag", built, &reference(name)]);
    let wanted = ImageStatusRequest {
        image: Some(ImageSpec {
            image: reference(name),
        }),
    };
    until("the image is known", || {
        let status = node
            .cri
            .call_service::<ImageStatusResponse>("ImageService", "ImageStatus", &wanted);
        status.expect("an answer").image.is_some()
    });
    let blob = |digest: &Value| {
        let digest = digest["digest"].as_str().expect("a digest");
        serde_json::from_slice::<Value>(&ctr(&["content", "get", digest])).expect("JSON")
    };
    let index = Command::new("tar")
        .args(["--extract", "--to-stdout", "--file", &archive, "index.json"])
        .output();
    let index: Value = serde_json::from_slice(&index.expect("tar").stdout).expect("JSON");
    let manifest = blob(&index["manifests"][0]);
    let version = "org.opencontainers.image.version";
    assert_eq!(manifest["annotations"][version], env!("CARGO_PKG_VERSION"));
    blob(&manifest["config"])
}

#[test]
fn the_image_serves_an_app_of_a_volume_without_any_right_and_loads_its_list_again() {
    let Some(node) = Node::shared() else { return };
    let configuration = provide(node, "built");
    assert_eq!(configuration["config"]["User"], "65532:65532");
    assert_eq!(
        configuration["config"]["Labels"]["org.opencontainers.image.licenses"],
        "Apache-2.0 WITH LLVM-exception"
    );

    let (app, list) = (node.path("built-app"), node.path("built-list"));
    fs::create_dir_all(&app).expect("a folder of our own");
    fs::create_dir_all(&list).expect("a folder of our own");
    let manifest = "spin_manifest_version = 2\napplication.name = \"built\"\n[[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n\
                    [component.web]\nsource = \"guest.wasm\"\nallowed_outbound_hosts = [\"*://10.88.0.1:*\"]\n";
    fs::write(app.join("spin.toml"), manifest).expect("a file of our own");
    fs::copy(path("http-script-guest"), app.join("guest.wasm")).expect("a committed guest");
    swap(&list, "outport.toml", "max-requests = 100\n");

    let wanted = Wanted::image("built")
        .read_only()
        .without_capabilities()
        .volume(&app, "/app")
        .volume(&list, "/etc/outport")
        .variable("OUTPORT_CONFIG", "/etc/outport/outport.toml")
        .variable("OUTPORT_ADMIN_LISTEN", "0.0.0.0:9100");
    // runc's, since nothing of a node is needed for it.
    let pod = Pod::start(node, "runc");
    let container = pod.run(wanted);
    assert_eq!(pod.answer(&container, &format!("{APP}/hello")), "hello\n");
    let ready = pod.ask("http://127.0.0.1:9100/readyz", None);
    assert_eq!(ready.map(|(status, _)| status), Ok(200), "{}", container.logs());
    assert_rights(node, &container);

    let connect = || statement(&pod, 3000, "tcp.connect 10.88.0.1:81");
    assert_eq!(connect(), "connection-refused");
    swap(
        &list,
        "outport.toml",
        "max-requests = 100\ndisallowed-outbound-hosts = [\"*://10.88.0.0/16:*\"]\n",
    );
    until("the list denies it", || connect() == "access-denied");

    container.stop(20);
    assert_eq!(container.status().exit_code, 0, "{}", container.logs());
}

/// Nobody's user, no capability, none to be had, and a root that is not written to.
fn assert_rights(node: &Node, container: &Container<'_>) {
    let process = format!("/proc/{}", container.process());
    let read = |words: &[&str]| {
        let output = node.inside(words).output().expect("a program of the system");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let status = read(&["cat", &format!("{process}/status")]);
    for line in [
        "Uid:\t65532\t65532\t65532\t65532",
        "Gid:\t65532\t65532\t65532\t65532",
        "CapPrm:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.lines().any(|own| own == line), "{line}: {status}");
    }
    let mounts = read(&["cat", &format!("{process}/mountinfo")]);
    let root = mounts.lines().find(|mount| mount.split(' ').nth(4) == Some("/"));
    let options = root.and_then(|root| root.split(' ').nth(5)).expect("a root");
    assert!(options.split(',').any(|option| option == "ro"), "{options}");
}
