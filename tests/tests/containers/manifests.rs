//! What `deploy/kubernetes` has: manifests and a chart, held against the schemas of Kubernetes, and the script that sets up a
//! node, which is let loose on a folder.
//!
//! There is no API server that would say more, and no Helm.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use outport_e2e::guest::workspace;
use outport_e2e::outport::Outport;
use outport_e2e::python;

/// Apps that are exported, with options that make every kind of rule: names, networks with exceptions, ranges of ports.
const EXPORTED: [(&str, &str); 4] = [
    ("shop", ""),
    (
        "fetch",
        "--variable api=https://*.example.com --disallowed-outbound-hosts *://10.0.0.0/8:*,*://evil.example.com:443",
    ),
    (
        "guestbook-postgres",
        "--variable server=10.1.2.0/24:5000..5999 --variable password=x --disallowed-outbound-hosts *://10.1.2.7:*",
    ),
    ("redis", "--dns-server 10.96.0.10"),
];

#[test]
fn manifests_and_chart_are_what_kubernetes_knows() {
    let python = python::interpreter("kubernetes-validate", &["kubernetes-validate==1.37.0"]);
    let exported = tempfile::tempdir().expect("a folder");
    for (name, options) in EXPORTED {
        for target in ["networkpolicy", "cilium"] {
            let file = exported
                .path()
                .join(format!("{}.{target}.yaml", name.replace('/', "-")));
            let folder = match name {
                "shop" => workspace().join("deploy/kubernetes/example"),
                name => workspace().join("examples").join(name),
            };
            let finished = Outport::command("export")
                .option(format!("--to={target}"))
                .option("-f")
                .option(folder)
                .option("-o")
                .option(file)
                .options(options.split_whitespace())
                .finish();
            assert_eq!(finished.code, Some(0), "{finished}");
        }
    }
    let output = Command::new(python)
        .arg(workspace().join("tests/tests/containers/manifests.py"))
        .arg(workspace().join("deploy/kubernetes"))
        .arg("1.33")
        .arg(exported.path())
        .output()
        .expect("Python");
    assert!(output.status.success(), "{}", said(&output));
}

/// A folder in the place of a node's root, and what containerd and systemd are asked for there.
struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    fn new(containerd: Option<&str>) -> Self {
        let root = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        for folder in ["host/etc/containerd", "programs", "pods"] {
            fs::create_dir_all(root.path(folder)).expect("a folder of our own");
        }
        for program in ["outport", "outport-runc"] {
            root.write(&format!("programs/{program}"), "first");
        }
        root.write("pods/outport.toml", "max-requests = 1\n");
        if let Some(containerd) = containerd {
            root.write("host/etc/containerd/config.toml", containerd);
        }
        let on_node = "#!/bin/sh\necho \"$@\" >>\"$HOST/../asked\"\n[ \"$1\" = containerd ] || exit 0\n\
                       exec containerd --config \"$HOST$3\" config dump\n";
        root.write("on-node", on_node);
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.path("on-node"), executable).expect("a file of our own");
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file of our own");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn install(&self, on_node: &Path) -> Output {
        Command::new(workspace().join("deploy/kubernetes/node-installer/install"))
            .env("HOST", self.path("host"))
            .env("PROGRAMS", self.path("programs"))
            .env("PODS", self.path("pods"))
            .env("ON_NODE", on_node)
            .env("ONCE", "1")
            .output()
            .expect("sh")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

const CONFIG: &str = "host/etc/containerd/config.toml";

#[test]
fn a_node_is_set_up_once_and_kept_up_to_date() {
    let own = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"mine:1\"\n\
               [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
    for containerd in [None, Some(own)] {
        let root = Root::new(containerd);
        let output = root.install(&root.path("on-node"));
        assert!(output.status.success(), "{}", said(&output));
        let dump = Command::new("containerd")
            .arg("--config")
            .arg(root.path(CONFIG))
            .args(["config", "dump"])
            .output();
        let dump = said(&dump.expect("containerd"));
        assert!(
            dump.contains("BinaryName = \"/opt/outport/bin/outport-runc\""),
            "{dump}"
        );
        assert_eq!(
            dump.contains("sandbox_image = \"mine:1\""),
            containerd.is_some(),
            "{dump}"
        );
        assert_eq!(
            dump.matches("SystemdCgroup = true").count(),
            2 * usize::from(containerd.is_some()),
            "{dump}"
        );
        assert!(
            root.read("asked").ends_with("systemctl restart containerd\n"),
            "{}",
            root.read("asked")
        );
        let mode = fs::metadata(root.path("host/opt/outport/bin/outport"))
            .expect("installed")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
        assert_eq!(
            root.read("host/etc/outport/pods/outport.toml"),
            "max-requests = 1\n"
        );
        assert!(
            root.read("host/etc/outport/runc.toml")
                .contains("config = \"/etc/outport/pods\"")
        );

        let before = (root.read(CONFIG), root.read("asked"));
        root.write("programs/outport", "second");
        root.write("pods/outport.toml", "max-requests = 2\n");
        root.write("host/etc/outport/runc.toml", "# mine\n");
        let output = root.install(&root.path("on-node"));
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(
            (root.read(CONFIG), root.read("asked")),
            before,
            "containerd is left alone"
        );
        assert_eq!(root.read("host/opt/outport/bin/outport"), "second");
        assert_eq!(
            root.read("host/etc/outport/pods/outport.toml"),
            "max-requests = 2\n"
        );
        assert_eq!(root.read("host/etc/outport/runc.toml"), "# mine\n");
    }
}

#[test]
fn a_configuration_that_containerd_would_not_read_is_left_as_it_was() {
    let rows = [
        ("version = 2\n[plugins\n", "nothing was changed"),
        ("version = 1\n", "neither version = 2 nor version = 3"),
        ("root = \"/x\"\n", "neither version = 2 nor version = 3"),
    ];
    for (containerd, expected) in rows {
        let root = Root::new(Some(containerd));
        let output = root.install(&root.path("on-node"));
        assert!(
            !output.status.success() && said(&output).contains(expected),
            "{containerd}: {}",
            said(&output)
        );
        assert_eq!(root.read(CONFIG), containerd);
        assert!(!root.read("asked").contains("systemctl"), "{containerd}");
    }
    // What containerd 2 reads, which is not here to be asked.
    let root = Root::new(Some("version = 3\n"));
    let output = root.install(Path::new("true"));
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        root.read(CONFIG)
            .contains("[plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.outport]")
    );
}
