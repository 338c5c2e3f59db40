//! A node: a containerd of the tests' own, with `outport-runc` as what runs its pods.
//!
//! It lives in namespaces of its own for mounts, processes and the network: pods have a bridge that leads nowhere, and
//! when the first process there ends, all shims and containers do. That process is a shell that waits for its standard input
//! to end, which it does with the program of the tests, whatever that dies of. Then it removes what is outside of these
//! namespaces: control groups and the folder.
//!
//! All tests share one node, which is started by the first. That only root can, on a machine that has containerd and runc;
//! others are skipped, but where nobody reads along.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use outport_e2e::outport::sibling;
use outport_e2e::static_outport::static_outport;
use outport_e2e::until::until;
use rustix::process::geteuid;

use super::cri::{Cri, ImageSpec, ImageStatusRequest, ImageStatusResponse, Nothing};
use super::images::{Image, reference, write_archive};

/// A containerd that serves.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) cri: Cri,
    folder: PathBuf,
    /// The first process in the namespaces, as the tests see it.
    first: u32,
    /// Whoever has its standard input keeps the node alive.
    _shell: Option<Child>,
}

/// The handler whose ordinary containers are run by runc.
pub(super) const HANDLER: &str = "outport";
/// The handler that runs apps only, and has the node's own configuration.
pub(super) const STRICT: &str = "strict";

/// The control group of everything in it.
pub(super) fn cgroup() -> String {
    format!("/outport-test-{}", std::process::id())
}

impl Node {
    /// The node of all tests; none, after it said why, where there can be none.
    pub(super) fn shared() -> Option<&'static Self> {
        static NODE: OnceLock<Option<Node>> = OnceLock::new();
        NODE.get_or_init(|| match unfit() {
            None => Some(Self::start()),
            Some(why) => {
                let nobody_reads_along = std::env::var("CI").as_deref() == Ok("true");
                assert!(!nobody_reads_along, "no containerd: {why}");
                eprintln!("SKIPPED, since there can be no containerd here: {why}");
                None
            }
        })
        .as_ref()
    }

    fn start() -> Self {
        // It takes a while, and whoever ends the tests meanwhile leaves no folder behind.
        static_outport();
        let folder = tempfile::Builder::new()
            .prefix("outport-node-")
            .tempdir()
            .expect("a folder")
            .keep();
        configure(&folder);
        let mut shell = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "bash",
                "-c",
                FIRST_PROCESS,
                "node",
            ])
            .arg(&folder)
            .arg(cgroup())
            .stdin(Stdio::piped())
            .stdout(fs::File::create(folder.join("containerd.log")).expect("a log"))
            .stderr(fs::File::create(folder.join("errors.log")).expect("a log"))
            .spawn()
            .expect("unshare (package util-linux)");
        let cri = Cri::at(&folder.join("containerd.sock"));
        until("containerd serves", || {
            let ended = shell.try_wait().expect("a child");
            assert!(ended.is_none(), "containerd ended: {}", logs(&folder));
            cri.call::<Nothing>("Version", &Nothing::default()).is_ok()
        });
        let first = only_child(shell.id());
        let node = Self {
            cri,
            folder,
            first,
            _shell: Some(shell),
        };
        node.import("pause", &[pause()]);
        node
    }

    /// The node that another process of the tests has started, and outlives this one.
    pub(super) fn of_another(folder: PathBuf, first: u32) -> Self {
        Self {
            cri: Cri::at(&folder.join("containerd.sock")),
            folder,
            first,
            _shell: None,
        }
    }

    /// What another process needs to know of it.
    pub(super) fn handle(&self) -> (&Path, u32) {
        (&self.folder, self.first)
    }

    /// A path in the node's folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Has an artifact on the node that is no container image, so that nothing of it is unpacked.
    pub(super) fn import_with(&self, name: &str, write: impl FnOnce(&Path)) {
        self.import_archive(name, write, &["--no-unpack"]);
    }

    fn import_archive(&self, name: &str, write: impl FnOnce(&Path), options: &[&str]) {
        let archive = self.path(&format!("{name}.tar"));
        write(&archive);
        let output = self
            .inside(&["ctr", "--namespace", "k8s.io", "--address"])
            .arg(self.path("containerd.sock"))
            .args(["images", "import", "--all-platforms"])
            .args(options)
            .arg(&archive)
            .output()
            .expect("nsenter (package util-linux)");
        fs::remove_file(archive).expect("a file of our own");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{}", self.logs());
    }

    /// Has images on the node. `name` is one of the test's own.
    pub(super) fn import(&self, name: &str, images: &[Image]) {
        self.import_archive(name, |archive| write_archive(archive, images), &[]);
        for image in images {
            let wanted = ImageStatusRequest {
                image: Some(ImageSpec {
                    image: image.name().to_owned(),
                }),
            };
            until(format_args!("{} is known", image.name()), || {
                let status =
                    self.cri
                        .call_service::<ImageStatusResponse>("ImageService", "ImageStatus", &wanted);
                status.expect("an answer").image.is_some()
            });
        }
    }

    /// A command in the node's namespaces.
    pub(super) fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.first.to_string(), "--mount", "--net", "--pid"])
            .args(words);
        command
    }

    /// The root directory of these namespaces, as the tests see it.
    pub(super) fn root(&self) -> PathBuf {
        format!("/proc/{}/root", self.first).into()
    }

    /// What containerd has to say, for messages.
    pub(super) fn logs(&self) -> String {
        logs(&self.folder)
    }
}

fn unfit() -> Option<String> {
    if !geteuid().is_root() {
        return Some("it needs root".to_owned());
    }
    let missing: Vec<&str> = ["containerd", "ctr", "runc", "containerd-shim-runc-v2", "cc"]
        .into_iter()
        .filter(|program| Command::new(program).arg("--version").output().is_err())
        .collect();
    if !missing.is_empty() {
        return Some(format!("it needs {missing:?} (packages containerd, runc, gcc)"));
    }
    let plugins = Path::new(PLUGINS).join("bridge");
    (!plugins.exists()).then(|| {
        format!(
            "it needs {} (package containernetworking-plugins)",
            plugins.display()
        )
    })
}

const PLUGINS: &str = "/usr/lib/cni";

/// What the first process does, with the folder and the control group as arguments.
const FIRST_PROCESS: &str = r#"
    folder=$1 cgroup=$2
    mount -t tmpfs tmpfs /run
    ip link set lo up
    OUTPORT_RUNC_CONFIG=$folder/runc.toml containerd --config "$folder/containerd.toml" &
    while read -r; do :; done
    kill -9 -1
    wait
    cut -d' ' -f2 /proc/mounts | grep -F "$folder" | sort -r | xargs --no-run-if-empty umount --lazy
    find /sys/fs/cgroup/*"$cgroup" /sys/fs/cgroup"$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
    rm -rf --one-file-system "$folder"
"#;

fn configure(folder: &Path) {
    let at = |name: &str| folder.join(name);
    let write = |name: &str, content: String| fs::write(at(name), content).expect("a file of our own");
    fs::create_dir_all(at("cni")).expect("a folder of our own");
    let root = folder.display();
    let runc = sibling("outport-runc");
    let socket = at("containerd.sock");
    write(
        "runc.toml",
        format!(
            "outport = {:?}\n[artifacts]\naddress = {socket:?}\n",
            static_outport()
        ),
    );
    fs::create_dir_all(at("pods")).expect("a folder of our own");
    write(
        "pods/outport.toml",
        "disallowed-outbound-hosts = [\"*://10.88.0.0/16:*\"]\n".to_owned(),
    );
    write(
        "strict.toml",
        format!(
            "outport = {:?}\nconfig = \"{root}/pods\"\nordinary-containers = \"refuse\"\n",
            static_outport()
        ),
    );
    write(
        "strict",
        format!(
            "#!/bin/sh\nOUTPORT_RUNC_CONFIG={root}/strict.toml exec {:?} \"$@\"\n",
            runc
        ),
    );
    fs::set_permissions(at("strict"), fs::Permissions::from_mode(0o755)).expect("a file of our own");
    write(
        "cni/10-test.conflist",
        format!(
            r#"{{"cniVersion":"0.4.0","name":"test","plugins":[{{"type":"bridge","bridge":"cni0","isGateway":true,"ipam":{{
                "type":"host-local","dataDir":"{root}/ipam","ranges":[[{{"subnet":"10.88.0.0/16"}}]],"routes":[{{"dst":"0.0.0.0/0"}}]}}}}]}}"#
        ),
    );
    write(
        "containerd.toml",
        format!(
            r#"
version = 2
root = "{root}/root"
state = "{root}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.restart"]
[grpc]
address = "{root}/containerd.sock"
[ttrpc]
address = "{root}/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "{pause}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{PLUGINS}"
conf_dir = "{root}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{HANDLER}]
runtime_type = "io.containerd.runc.v2"
pod_annotations = ["outport.dev/*"]
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{HANDLER}.options]
BinaryName = {runc:?}
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{STRICT}]
runtime_type = "io.containerd.runc.v2"
pod_annotations = ["outport.dev/*"]
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{STRICT}.options]
BinaryName = "{root}/strict"
"#,
            pause = reference("pause"),
        ),
    );
}

/// What holds the namespaces of a pod: a program that waits. It says so first, since it is a sidecar in tests, too.
pub(super) fn waiting_program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = "#include <signal.h>\n#include <unistd.h>\nstatic void end(int s) { _exit(0); }\n\
                      int main(void) { signal(SIGTERM, end); if (write(1, \"waiting\\n\", 8) < 0) return 1; for (;;) pause(); }\n";
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("waiting");
        let mut compiler = Command::new("cc")
            .args(["-static", "-Os", "-s", "-x", "c", "-", "-o"])
            .arg(&program)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a C compiler");
        compiler.stdin.take().expect("a pipe").write_all(source.as_bytes()).expect("it reads");
        assert!(compiler.wait().expect("it ends").success());
        fs::read(program).expect("a program")
    })
}

fn pause() -> Image {
    Image::new("pause")
        .program("waiting", waiting_program())
        .entrypoint(&["/waiting"])
}

fn only_child(process: u32) -> u32 {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(path).expect("a process of our own");
    children.trim().parse().expect("one child")
}

fn logs(folder: &Path) -> String {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let all = read("errors.log") + &read("containerd.log");
    let from = all.len().saturating_sub(8_000);
    all[all.ceil_char_boundary(from)..].to_owned()
}
