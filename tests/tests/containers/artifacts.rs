//! Apps in Spin's OCI layout, which are no container images.
//!
//! This containerd refuses them over CRI; later ones make a container whose root is empty. So the bundle that those make is
//! written by hand here, and everything behind it is real: the artifact lies in containerd, and `outport-runc` gets it there.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};

use outport_e2e::outport::sibling;
use serde_json::{Value, json};

use super::images::{digest, write_artifact};
use super::*;

const APP: &str = "application/vnd.fermyon.spin.application.v1+config";
const CODE: &str = "application/vnd.wasm.content.layer.v1+wasm";
const FILE: &str = "application/vnd.wasm.content.layer.v1+data";

/// A container as containerd 1.7 hands it to runc.
struct Bundle<'n> {
    node: &'n Node,
    name: String,
    folder: PathBuf,
}

impl<'n> Bundle<'n> {
    fn new(node: &'n Node, name: &str, listen: &str) -> Self {
        let folder = node.path(&format!("bundle-{name}"));
        // As containerd has it: what is large lies elsewhere, and goes with it.
        fs::create_dir_all(node.path(&format!("work-{name}"))).expect("a folder of our own");
        fs::create_dir_all(folder.join("rootfs")).expect("a folder of our own");
        std::os::unix::fs::symlink(node.path(&format!("work-{name}")), folder.join("work")).expect("a link");
        let spec = Command::new("runc")
            .arg("spec")
            .arg("--bundle")
            .arg(&folder)
            .status();
        assert!(spec.expect("runc").success());
        let text = fs::read(folder.join("config.json")).expect("runc wrote it");
        let mut spec: Value = serde_json::from_slice(&text).expect("JSON");
        spec["annotations"] = json!({ "io.kubernetes.cri.container-type": "container",
                                      "io.kubernetes.cri.image-name": images::reference(name) });
        let process = &mut spec["process"];
        process["terminal"] = json!(false);
        process["args"] = json!(["/"]);
        process["user"] = json!({ "uid": 65532, "gid": 65532 });
        process["env"] = json!([
            format!("SPIN_HTTP_LISTEN_ADDR={listen}"),
            "SPIN_VARIABLE_GREETING=good evening"
        ]);
        spec["linux"]["cgroupsPath"] = json!(format!("{}/{name}", node::cgroup()));
        // In the node's own network, of which a kubelet would give it a part.
        let namespaces = spec["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.retain(|namespace| namespace["type"] != "network");
        fs::write(folder.join("config.json"), spec.to_string()).expect("a file of our own");
        Self {
            node,
            name: name.to_owned(),
            folder,
        }
    }

    fn runc(&self, words: &[&str]) -> Command {
        let settings = self.node.path("artifacts.toml");
        let text = format!(
            "outport = {:?}\n[artifacts]\naddress = {:?}\nmax-bytes = 33554432\n",
            outport_e2e::static_outport::static_outport(),
            self.node.path("containerd.sock")
        );
        fs::write(&settings, text).expect("a file of our own");
        let mut command = self.node.inside(&[]);
        command
            .env("OUTPORT_RUNC_CONFIG", settings)
            .arg(sibling("outport-runc"))
            .arg("--root")
            .arg(self.node.path("runc-of-artifacts"))
            .args(words)
            .arg(&self.name);
        command
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }

    /// Makes the container and starts it, or says why not.
    fn start(&self) -> Result<(), String> {
        let open = || {
            File::options()
                .append(true)
                .create(true)
                .open(self.folder.join("output"))
        };
        let bundle = self.folder.to_string_lossy().into_owned();
        let made = self
            .runc(&["create", "--bundle", &bundle])
            .stdout(open().expect("a file of our own"))
            .stderr(open().expect("a file of our own"))
            .status();
        if !made.expect("outport-runc").success() {
            return Err(self.output());
        }
        assert!(self.runc(&["start"]).status().expect("outport-runc").success());
        Ok(())
    }

    /// The state that runc has of it.
    fn is_stopped(&self) -> bool {
        let Output { stdout, .. } = self.runc(&["state"]).output().expect("outport-runc");
        let state: Value = serde_json::from_slice(&stdout).expect("JSON");
        state["status"] == "stopped"
    }
}

impl Drop for Bundle<'_> {
    fn drop(&mut self) {
        let _ = self.runc(&["delete", "--force"]).output();
    }
}

/// The description of an app as Spin writes it: a component of the script guest, with what `more` adds to it.
fn locked(code: &[u8], more: &Value) -> Vec<u8> {
    let mut component = json!({
        "id": "web",
        "metadata": { "allowed_outbound_hosts": [] },
        "source": { "content_type": "application/wasm", "digest": digest(code) },
        "env": { "GREETING": "good morning" },
    });
    for (key, value) in more.as_object().expect("an object") {
        component[key] = value.clone();
    }
    let app = json!({
        "spin_lock_version": 1,
        "metadata": { "name": "artifact", "version": "1.0.0" },
        "triggers": [{ "id": "web", "trigger_type": "http", "trigger_config": { "component": "web", "route": "/..." } }],
        "components": [component],
    });
    app.to_string().into_bytes()
}

#[test]
fn an_app_in_spins_layout_runs_without_being_an_image() {
    let Some(node) = Node::shared() else { return };
    let code = fs::read(outport_e2e::guest::path("http-script-guest")).expect("a committed guest");
    let page: &[u8] = b"<p>a file of the artifact</p>";
    let files = json!({ "files": [{ "path": "page.html", "digest": digest(page) }] });
    let locked = locked(&code, &files);
    node.import_with("artifact", |archive| {
        write_artifact(
            archive,
            "artifact",
            &[(APP, &locked), (CODE, &code), (FILE, page)],
        );
    });
    let bundle = Bundle::new(node, "artifact", "127.0.0.1:18080");
    bundle.start().unwrap_or_else(|said| panic!("{said}"));
    let ask = |path: &str, body: &str| {
        let url = format!("http://127.0.0.1:18080/{path}");
        let mut curl = node.inside(&[
            "curl",
            "--silent",
            "--max-time",
            "60",
            "--data-binary",
            body,
            &url,
        ]);
        String::from_utf8_lossy(&curl.output().expect("curl").stdout).into_owned()
    };
    until("it answers", || {
        assert!(!bundle.is_stopped(), "{}", bundle.output());
        ask("hello", "") == "hello\n"
    });
    assert!(
        ask("env", "").contains("GREETING=good morning"),
        "{}",
        ask("env", "")
    );
    let file = ask("", "file.read page.html");
    assert!(file.contains("a file of the artifact"), "{file}");
    let refused = ask("", "tcp.connect 10.88.0.1:80");
    assert!(refused.contains("access-denied"), "{refused}");
    let output = bundle.output();
    let name = images::reference("artifact");
    assert!(output.contains(&format!("Using {name}@sha256:")), "{output}");
    // What was brought is where it goes with the bundle, and nobody can write to it.
    assert!(node.path("work-artifact/outport-image/index.json").exists());
    let mounts = fs::read_to_string(bundle.folder.join("config.json")).expect("edited");
    assert!(mounts.contains("/.outport/image"), "{mounts}");
}

/// Each artifact, what is said, and whether that is before a container is made or by what runs in it.
#[test]
fn a_bad_artifact_says_what_it_is() {
    let Some(node) = Node::shared() else { return };
    let code = fs::read(outport_e2e::guest::path("hello")).expect("a committed guest");
    let leads_out = json!({ "files": [{ "path": "../../../etc/passwd", "digest": digest(&code) }] });
    let (missing, out, right) = (
        locked(b"something else", &json!({})),
        locked(&code, &leads_out),
        locked(&code, &json!({})),
    );
    let huge = vec![0; 33 << 20];
    type Layers<'a> = Vec<(&'a str, &'a [u8])>;
    let rows: [(&str, Layers<'_>, &str, bool); 5] = [
        (
            "artifact-component",
            vec![("application/wasm", &code)],
            "has no files, and is no app in Spin's layout either, but has application/",
            true,
        ),
        (
            "artifact-huge",
            vec![(APP, &right), (CODE, &code), (FILE, &huge)],
            "it has more than 32 MiB, which is the most that this node has for one",
            true,
        ),
        (
            "artifact-json",
            vec![(APP, b"{]"), (CODE, &code)],
            "its description of the app cannot be read",
            false,
        ),
        (
            "artifact-missing",
            vec![(APP, &missing), (CODE, &code)],
            "is not among the layers: sha256:",
            false,
        ),
        (
            "artifact-out",
            vec![(APP, &out), (CODE, &code)],
            "../../../etc/passwd",
            false,
        ),
    ];
    for (name, layers, expected, is_before) in rows {
        node.import_with(name, |archive| write_artifact(archive, name, &layers));
        let bundle = Bundle::new(node, name, "127.0.0.1:18081");
        let started = bundle.start();
        assert_eq!(started.is_err(), is_before, "{name}: {started:?}");
        if !is_before {
            until(format_args!("{name} ends"), || bundle.is_stopped());
        }
        let said = bundle.output();
        assert!(said.contains(expected), "{name}: {said}");
        let left = node.path(&format!("work-{name}/outport-image"));
        assert_eq!(left.exists(), !is_before, "{name}");
    }
    let unknown = Bundle::new(node, "artifact-unknown", "127.0.0.1:18081");
    let said = unknown.start().expect_err("nobody has it");
    let expected = format!(
        "the image `{}` cannot be taken out of containerd: `ctr` says: ",
        images::reference("artifact-unknown")
    );
    assert!(said.contains(&expected) && said.contains("not found"), "{said}");
}

/// Over CRI, where an ordinary image without any files looks alike: what tells them apart is asked of the containerd that asks.
#[test]
fn an_image_of_nothing_is_no_app() {
    let Some(node) = Node::shared() else { return };
    node.import("nothing", &[Image::new("nothing")]);
    let pod = Pod::start(node, HANDLER);
    let refused = pod.try_run(Wanted::image("nothing")).expect_err("nothing to run");
    assert!(
        refused.0.contains(
            "has no files, and is no app in Spin's layout either, but has application/vnd.oci.image"
        ),
        "{refused}"
    );
}
