//! What becomes of a bundle: from `config.json` to `config.json`.

mod artifacts;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::command_line::Log;

use super::*;

/// A bundle whose image has nothing in it yet.
struct Made {
    folder: tempfile::TempDir,
    settings: Settings,
    configuration: Value,
}

const MANIFEST: &str = "spin_manifest_version = 2\napplication.name = \"shop\"\n[[trigger.http]]\nroute = \"/...\"\n\
                        component = \"web\"\n[component.web]\nsource = \"web.wasm\"\n";

impl Made {
    fn new(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let outport = folder.path().join("outport");
        fs::create_dir(folder.path().join("rootfs")).expect("a folder of our own");
        fs::write(&outport, "").expect("a file of our own");
        fs::set_permissions(&outport, fs::Permissions::from_mode(0o755)).expect("a file of our own");
        let settings = Settings {
            outport: Some(outport),
            ..Settings::default()
        };
        let configuration = json!({
            "ociVersion": "1.0.2",
            "annotations": { "io.kubernetes.cri.container-type": "container" },
            "root": { "path": "rootfs" },
            "process": { "args": arguments, "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 65532, "gid": 1 } },
            "mounts": [{ "destination": "/etc/shop", "type": "bind", "source": "/var/lib/kubelet/pods/1/volumes/shop" }],
        });
        Self {
            folder,
            settings,
            configuration,
        }
    }

    fn file(self, path: &str, content: &str) -> Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of our own");
        fs::write(path, content).expect("a file of our own");
        self
    }

    /// An app in a directory.
    fn app(self, directory: &str) -> Self {
        self.file(&format!("{directory}spin.toml"), MANIFEST)
            .file(&format!("{directory}web.wasm"), "\0asm")
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }

    fn with(mut self, pointer: &str, value: Value) -> Self {
        *self.configuration.pointer_mut(pointer).expect("there is one") = value;
        self
    }

    fn prepared(&self) -> Result<Value, String> {
        let file = self.folder.path().join("config.json");
        fs::write(&file, self.configuration.to_string()).expect("a file of our own");
        prepare(self.folder.path(), &self.settings, Bounds::start(Log::default()))
            .map_err(|failure| failure.to_string())?;
        Ok(serde_json::from_slice(&fs::read(file).expect("it is there")).expect("JSON"))
    }
}

#[test]
fn what_a_container_is_follows_from_its_command_and_its_image() {
    let shell = |made: Made| made.file("bin/sh", "#!");
    let rows = [
        (
            "the entrypoint names the manifest",
            Made::new(&["/spin.toml"]).app(""),
            vec!["/spin.toml"],
        ),
        (
            "SpinKube's command",
            Made::new(&["/"]).app(""),
            vec!["/spin.toml"],
        ),
        (
            "a command of another runtime",
            Made::new(&["spin", "up"]).app(""),
            vec!["/spin.toml"],
        ),
        (
            "a program beside the manifest",
            shell(Made::new(&["sh"])).app(""),
            vec!["/spin.toml"],
        ),
        (
            "a directory",
            Made::new(&["/app"]).app("app/"),
            vec!["/app/spin.toml"],
        ),
        (
            "another name",
            Made::new(&["/app/./shop.toml"])
                .app("app/")
                .file("app/shop.toml", MANIFEST),
            vec!["/app/shop.toml"],
        ),
        (
            "options behind it",
            Made::new(&["/spin.toml", "--max-requests", "7"]).app(""),
            vec!["/spin.toml", "--max-requests", "7"],
        ),
        (
            "the working directory",
            Made::new(&["serve"])
                .app("app/")
                .with("/process/cwd", json!("/app")),
            vec!["/app/spin.toml"],
        ),
    ];
    for (what, made, expected) in rows {
        let edited = made.prepared().expect(what);
        let mut arguments = vec!["/.outport/outport", "up", "-f"];
        arguments.extend(expected);
        arguments.push("--offline");
        assert_eq!(edited["process"]["args"], json!(arguments), "{what}");
    }
    let rows = [
        ("a program of the PATH", shell(Made::new(&["sh", "-c", "exit"]))),
        ("a program by its path", shell(Made::new(&["/bin/sh"]))),
        (
            "a program where a manifest lies around",
            shell(Made::new(&["sh"]))
                .app("src/")
                .with("/process/cwd", json!("/src")),
        ),
        (
            "a sandbox",
            Made::new(&["/pause"]).app("").with(
                "/annotations",
                json!({ "io.kubernetes.cri.container-type": "sandbox" }),
            ),
        ),
    ];
    for (what, mut made) in rows {
        assert_eq!(made.prepared().as_ref(), Ok(&made.configuration), "{what}");
        made.settings.ordinary_containers = OrdinaryContainers::Refuse;
        assert_eq!(made.prepared().is_ok(), what == "a sandbox", "{what}");
    }
}

#[test]
fn a_pod_that_says_it_is_a_sandbox_is_none() {
    let keys = [
        "io.kubernetes.cri.container-type",
        "io.kubernetes.cri-o.ContainerType",
    ];
    let rows = [
        (json!({ keys[0]: "container", keys[1]: "sandbox" }), false),
        (json!({ keys[0]: "sandbox" }), true),
        (json!({ keys[1]: "sandbox" }), true),
        (json!({ keys[0]: "Sandbox" }), false),
        (json!({ "container-type": "sandbox" }), false),
        (json!({}), false),
    ];
    for (annotations, is_one) in rows {
        let mut made = Made::new(&["sh"])
            .file("bin/sh", "#!")
            .with("/annotations", annotations.clone());
        made.settings.ordinary_containers = OrdinaryContainers::Refuse;
        assert_eq!(made.prepared().is_ok(), is_one, "{annotations}");
    }
}

#[test]
fn an_app_gets_its_program_its_places_and_spinkubes_defaults() {
    let made = Made::new(&["/spin.toml"]).app("").file("runtime-config.toml", "");
    let config = made.root().join("runtime-config.toml");
    let secret = json!({ "destination": "/runtime-config.toml", "type": "bind", "source": config });
    let made = made.with("/mounts/0", secret.clone());
    let edited = made.prepared().expect("an app");
    let outport = made.settings.outport.as_ref().expect("set");
    let in_memory = |place: &str| {
        json!({ "destination": place, "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=0700", "uid=65532", "gid=1"] })
    };
    let mounts = json!([
        secret,
        { "destination": "/.outport/outport", "type": "bind", "source": outport, "options": ["bind", "ro", "nosuid", "nodev"] },
        in_memory("/.outport/cache"),
        in_memory("/.spin"),
    ]);
    assert_eq!(edited["mounts"], mounts);
    let environment = json!([
        "PATH=/bin",
        "SPIN_HTTP_LISTEN_ADDR=0.0.0.0:80",
        "RUNTIME_CONFIG_FILE=/runtime-config.toml",
        "OUTPORT_CACHE_DIR=/.outport/cache",
    ]);
    assert_eq!(edited["process"]["env"], environment);
    // All else is as it was.
    let mut rest = edited.clone();
    for pointer in ["/process/args", "/process/env", "/mounts"] {
        *rest.pointer_mut(pointer).expect("there") =
            made.configuration.pointer(pointer).expect("there").clone();
    }
    assert_eq!(rest, made.configuration);
}

#[test]
fn what_somebody_said_stays() {
    let own = json!([
        "OUTPORT_LISTEN=0.0.0.0:1",
        "OUTPORT_CACHE_DIR=/etc/shop/c",
        "RUNTIME_CONFIG_FILE=/etc/shop/r",
        "SPIN_STATE_DIR=/s"
    ]);
    let made = Made::new(&["/spin.toml"])
        .app("")
        .with("/process/env", own.clone());
    let edited = made.prepared().expect("an app");
    assert_eq!(edited["process"]["env"], own);
    assert_eq!(edited["mounts"].as_array().map(Vec::len), Some(2));
    // State that the image has, or that would lie behind a link, is not hidden.
    let with_state = Made::new(&["/spin.toml"]).app("").file(".spin/kept.db", "x");
    let with_link = Made::new(&["/spin.toml"]).app("");
    symlink("/etc", with_link.root().join(".spin")).expect("a link");
    for made in [with_state, with_link] {
        let edited = made.prepared().expect("an app");
        assert!(!edited["mounts"].to_string().contains("/.spin"), "{edited}");
    }
}

#[test]
fn options_of_the_node_stand_before_those_of_the_pod() {
    let mut made = Made::new(&["/spin.toml", "--grace", "1s"]).app("");
    made.settings.options = vec!["--max-requests".into(), "7".into()];
    made.settings.config = Some("/etc/outport/pods".into());
    let edited = made.prepared().expect("an app");
    let expected = json!([
        "/.outport/outport",
        "up",
        "-f",
        "/spin.toml",
        "--config=/.outport/config/outport.toml",
        "--max-requests",
        "7",
        "--grace",
        "1s",
        "--offline",
    ]);
    assert_eq!(edited["process"]["args"], expected);
    let annotated = json!({ "outport.dev/options": " --allow-udp\n--max-sent 1G/1h" });
    let edited = made.with("/annotations", annotated).prepared().expect("an app");
    let expected = json!([
        "7",
        "--allow-udp",
        "--max-sent",
        "1G/1h",
        "--grace",
        "1s",
        "--offline"
    ]);
    let arguments = edited["process"]["args"].as_array().expect("arguments");
    assert_eq!(json!(arguments[6..]), expected);
    let mut made = Made::new(&["/spin.toml"]).app("");
    made.settings.config = Some("/etc/outport/pods".into());
    let made = made.with("/process/env", json!(["OUTPORT_CONFIG=/etc/shop/mine.toml"]));
    let said = made.prepared().expect_err("two configurations");
    assert!(said.contains("`OUTPORT_CONFIG`"), "{said}");
}

#[test]
fn what_an_image_may_have_said_lifts_nothing() {
    let with_variable = |line: &str| {
        Made::new(&["/spin.toml"])
            .app("")
            .with("/process/env", json!([line]))
    };
    let with_argument = |words: &[&str]| Made::new(&[&["/spin.toml"], words].concat()).app("");
    let own = [
        with_variable("OUTPORT_ALLOW_UDP="),
        with_variable("OUTPORT_DISALLOWED_OUTBOUND_HOSTS=*://192.0.2.1:*"),
        with_variable("OUTPORT_LOG=debug"),
        with_variable("OUTPORT_RUNC_CONFIG=/nowhere"),
        // Of a Service called `outport` or `outport-web`.
        with_variable("OUTPORT_SERVICE_HOST=10.0.0.1"),
        with_variable("OUTPORT_PORT=tcp://10.0.0.1:80"),
        with_variable("OUTPORT_WEB_PORT_80_TCP_ADDR=10.0.0.1"),
        with_variable("OUTPORT_WEB_SERVICE_PORT_HTTP=80"),
        with_variable("SPIN_VARIABLE_OUTPORT_CONFIG=/x"),
        with_argument(&["--listen", "0.0.0.0:8080", "-q", "--audit-denials", "--grace=1s"]),
    ];
    for made in own {
        made.prepared().expect("an app");
    }
    let others = [
        (
            with_variable("OUTPORT_ALLOW_UDP=true"),
            "`OUTPORT_ALLOW_UDP`",
            "--allow-udp",
        ),
        (
            with_variable("OUTPORT_NO_RESOLVE_DISALLOWED=1"),
            "`OUTPORT_NO_RESOLVE",
            "--no-resolve-disallowed",
        ),
        (
            with_variable("OUTPORT_KERNEL_SANDBOX=off"),
            "`OUTPORT_KERNEL",
            "--kernel-sandbox",
        ),
        (
            with_variable("OUTPORT_EGRESS_PROXY=none"),
            "`OUTPORT_EGRESS",
            "--egress-proxy",
        ),
        (
            with_variable("OUTPORT_OF_TOMORROW=1"),
            "`OUTPORT_OF_TOMORROW`",
            "--of-tomorrow",
        ),
        (with_argument(&["--allow-udp"]), "`--allow-udp`", "--allow-udp"),
        (with_argument(&["--build"]), "`--build`", "--build"),
        (
            with_argument(&["--listen=x", "--allow-loopback-ports=1-65535"]),
            "`--allow-loopback-ports=",
            "--allow-loopback-ports",
        ),
        (with_argument(&["--from", "/other"]), "`--from`", "--from"),
        (with_argument(&["-f/other"]), "`-f/other`", "f/other"),
        (with_argument(&["--listen", "x", "/other"]), "`/other`", "/other"),
        (with_argument(&["--grace=1s", "/other"]), "`/other`", "/other"),
        (with_argument(&["--", "--allow-udp"]), "`--`", ""),
    ];
    for (mut made, what, option) in others {
        let said = made.prepared().expect_err(what);
        assert!(said.contains(what) && said.contains("must not decide"), "{said}");
        assert!(
            said.contains(&format!(
                "`outport.dev/options: --{} …`",
                option.trim_start_matches('-')
            )),
            "{said}"
        );
        made.settings.trusted_containers = true;
        made.prepared().expect(what);
    }
}

#[test]
fn a_settings_file_is_one_that_the_pod_mounts() {
    let volume = "/var/lib/kubelet/pods/1/volumes/kubernetes.io~secret/config";
    let rows = [
        ("RUNTIME_CONFIG_FILE=/etc/shop/r.toml", volume, true),
        ("OUTPORT_RUNTIME_CONFIG_FILE=etc/shop/r.toml", volume, true),
        ("OUTPORT_CONFIG=/etc/shop/o.toml", volume, true),
        ("OUTPORT_CONFIG=/proc/self/root/o.toml", volume, false),
        ("RUNTIME_CONFIG_FILE=/etc/shop/../r.toml", volume, false),
        ("RUNTIME_CONFIG_FILE=/link/../etc/shop/r.toml", volume, false),
        ("RUNTIME_CONFIG_FILE=/etc/shop.toml", volume, false),
        ("OUTPORT_CONFIG=/etc/o.toml", volume, false),
        ("OUTPORT_CACHE_DIR=/etc/shop", volume, true),
        ("OUTPORT_CACHE_DIR=/etc/cache", volume, false),
    ];
    for (line, source, is_of_pod) in rows {
        let made = Made::new(&["/spin.toml"])
            .app("")
            .with("/process/env", json!([line]))
            .with(
                "/mounts/0",
                json!({ "destination": "/etc/shop", "type": "bind", "source": source }),
            );
        match made.prepared() {
            Ok(_) => assert!(is_of_pod, "{line} {source}"),
            Err(said) => {
                assert!(
                    !is_of_pod && said.contains("is the image's"),
                    "{line} {source}: {said}"
                );
            }
        }
    }
    let made = Made::new(&["/spin.toml"]).app("").file("runtime-config.toml", "");
    let said = made.prepared().expect_err("the image's");
    assert!(
        said.contains("/runtime-config.toml, which is the image's"),
        "{said}"
    );
}

#[test]
fn what_only_the_system_mounts_is_not_the_pods() {
    for destination in ["/proc", "/sys", "/dev/shm"] {
        let path = format!("{destination}/self/root/o.toml");
        for kind in ["proc", "bind"] {
            let made = Made::new(&["/spin.toml"])
                .app("")
                .with("/process/env", json!([format!("RUNTIME_CONFIG_FILE={path}")]))
                .with(
                    "/mounts/0",
                    json!({ "destination": destination, "type": kind, "source": "proc" }),
                );
            let said = made.prepared().expect_err("the system's");
            assert!(said.contains("is the image's"), "{said}");
        }
    }
}

#[test]
fn an_image_that_is_not_trusted_has_no_volumes_no_collector_and_fetches_nothing() {
    let volume = "/var/lib/containerd/io.containerd.grpc.v1.cri/containers/1/volumes/2";
    let made = || Made::new(&["/spin.toml"]).app("");
    let with_volume = || {
        made().with(
            "/mounts/0",
            json!({ "destination": "/data", "type": "bind", "source": volume }),
        )
    };
    let collector = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:4318";
    let with_collector = || made().with("/process/env", json!([collector]));
    let offline = |edited: &Value| {
        let arguments = edited["process"]["args"].as_array().expect("arguments");
        arguments
            .iter()
            .filter(|argument| *argument == "--offline")
            .count()
    };
    for (refused, expected) in [
        (with_volume(), "volume at /data"),
        (with_collector(), "`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`"),
    ] {
        let said = refused.prepared().expect_err(expected);
        assert!(
            said.contains(expected) && said.contains("`outport.dev/trusted: \"true\"`"),
            "{said}"
        );
    }
    assert_eq!(offline(&made().prepared().expect("an app")), 1);
    // What containerd makes for each pod is neither the image's nor the pod's.
    let sandbox = "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/1/resolv.conf";
    let resolv = json!({ "destination": "/etc/resolv.conf", "type": "bind", "source": sandbox });
    let with_resolv = made().with("/mounts/0", resolv);
    with_resolv.prepared().expect("an app");
    let as_settings = with_resolv.with("/process/env", json!(["OUTPORT_CONFIG=/etc/resolv.conf"]));
    as_settings.prepared().expect_err("no file of the pod's");
    let twice = Made::new(&["/spin.toml", "--offline"]).app("");
    assert_eq!(offline(&twice.prepared().expect("an app")), 1);
    for trusted in [made(), with_volume(), with_collector()] {
        let annotated = json!({ "outport.dev/trusted": "true" });
        let edited = trusted
            .with("/annotations", annotated)
            .prepared()
            .expect("an app");
        assert_eq!(offline(&edited), 0);
    }
    let odd = made().with("/annotations", json!({ "outport.dev/trusted": "yes" }));
    assert!(
        odd.prepared()
            .expect_err("neither")
            .contains("neither `true` nor `false`")
    );
}

#[test]
fn spinkubes_selection_of_components_is_kept() {
    let made = Made::new(&["/spin.toml"])
        .app("")
        .with("/process/env", json!(["SPIN_COMPONENTS_TO_RETAIN=web, ,cart"]));
    let edited = made.prepared().expect("an app");
    let arguments = edited["process"]["args"].to_string();
    assert!(
        arguments.contains(r#""--component=web","--component=cart""#),
        "{arguments}"
    );
}

#[test]
fn the_cache_of_an_image_is_passed_over() {
    for (line, is_given) in [
        ("XDG_CACHE_HOME=/cache", true),
        ("CACHE_DIRECTORY=/cache:/proc", true),
        ("XDG_CACHE_HOME=/proc/../cache", true),
        ("XDG_CACHE_HOME=/etc/shop", true),
        ("OUTPORT_CACHE_DIR=/etc/shop", false),
        ("HOME=/", true),
    ] {
        let made = Made::new(&["/spin.toml"])
            .app("")
            .with("/process/env", json!([line]));
        let environment = made.prepared().expect("an app")["process"]["env"].to_string();
        let ours = "OUTPORT_CACHE_DIR=/.outport/cache";
        assert_eq!(environment.contains(ours), is_given, "{line}: {environment}");
    }
}

#[test]
fn what_a_container_may_say_are_options_that_there_are() {
    let schema = include_str!("../../../docs/schema/outport.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    // Those of a command line alone are no keys.
    let typed = ["component", "env", "quiet", "variable", "verbose"];
    for option in authority::OWN {
        let is_key = schema["properties"].get(option).is_some();
        assert!(is_key != typed.contains(&option), "{option}");
        assert!(
            !option.starts_with("allow") && !option.contains("proxy"),
            "{option}"
        );
    }
    assert!(authority::OWN.is_sorted());
}

#[test]
fn a_container_is_made_again_in_the_root_of_an_earlier_one() {
    // What runc leaves behind where it mounted.
    let made = Made::new(&["/spin.toml"]).app("").file(".outport/outport", "");
    for folder in [".outport/cache", ".spin"] {
        fs::create_dir_all(made.root().join(folder)).expect("a folder of our own");
    }
    let edited = made.prepared().expect("an app");
    assert_eq!(edited["mounts"].as_array().map(Vec::len), Some(4));
    // But a configuration that was edited already is nobody's to hand in.
    let again = Made {
        configuration: edited,
        ..made
    };
    let said = again.prepared().expect_err("edited already");
    assert!(said.contains("/.outport/"), "{said}");
}

#[test]
fn a_program_of_the_node_that_others_can_write_to_is_not_mounted() {
    let made = Made::new(&["/spin.toml"]).app("");
    let outport = made.settings.outport.as_deref().unwrap_or(Path::new("/"));
    fs::set_permissions(outport, fs::Permissions::from_mode(0o775)).expect("a file of our own");
    let said = made.prepared().expect_err("anybody's program");
    assert!(said.contains("others than its owner may write to it"), "{said}");
}
