//! Images that are no apps, or bad ones, or made to do harm: each is refused before anything of it runs, by a text that
//! becomes the event of its pod.

use super::*;

const MANIFEST: &str = "spin_manifest_version = 2\napplication.name = \"shop\"\n[[trigger.http]]\nroute = \"/...\"\n\
                        component = \"web\"\n[component.web]\nsource = \"web.wasm\"\n";

/// An image with the manifest, and whatever is in the component's place.
fn shop(name: &str) -> Image {
    Image::new(name).file("spin.toml", MANIFEST)
}

fn component() -> Vec<u8> {
    fs::read(outport_e2e::guest::path("hello")).expect("a committed guest")
}

/// The beginning of a program for a machine.
fn elf(machine: u8) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..6].copy_from_slice(b"\x7fELF\x02\x01");
    header[18] = machine;
    header
}

/// Each image, and what has to be said of it.
fn table() -> Vec<(Image, &'static str)> {
    let foreign = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    vec![
        (
            Image::new("empty").file("readme", "nothing here"),
            "the image is no app for Outport: it has no manifest at `/spin.toml`, and no program `/spin.toml` either; add a \
             spin.toml, or take `runtimeClassName` away",
        ),
        (
            Image::new("elsewhere")
                .file("app/web.wasm", component())
                .starting_in("/app")
                .entrypoint(&["serve"]),
            "it has no manifest at `/spin.toml` or `/app/spin.toml`, and no program `serve` either",
        ),
        (
            Image::new("foreign")
                .program("bin/serve", elf(foreign))
                .entrypoint(&["/bin/serve"]),
            "take an image for the node's architecture",
        ),
        (
            Image::new("mistake")
                .file("spin.toml", MANIFEST.replace("source =", "sorce ="))
                .file("web.wasm", component()),
            "the manifest /spin.toml is refused: line 7, column 1: `[component.web]` has no key `sorce`",
        ),
        (
            Image::new("entry").file(
                "spin.toml",
                format!("{MANIFEST}allowed_outbound_hosts = [\"db.example.com:5432\"]\n"),
            ),
            "the manifest /spin.toml is refused: line 8, column 28: `db.example.com:5432` is not a valid entry: it has no scheme",
        ),
        (
            Image::new("value").file(
                "spin.toml",
                format!("{MANIFEST}[variables]\npassword = {{ required = true }}\n"),
            ),
            "the manifest /spin.toml is refused: line 9, column 1: ",
        ),
        (
            Image::new("no-toml").file("spin.toml", "<xml/>"),
            "the manifest /spin.toml is refused: line 1, column ",
        ),
        (
            Image::new("binary").file("spin.toml", component()),
            "the manifest /spin.toml cannot be read: it is not UTF-8 text",
        ),
        (
            shop("missing"),
            "component `web`: its source `web.wasm` is missing: the image has no /web.wasm",
        ),
        (
            shop("machine-code").file("web.wasm", elf(foreign)),
            "component `web`: its source `web.wasm` is machine code for ",
        ),
        (
            shop("nothing-in-it").file("web.wasm", ""),
            "component `web`: its source `web.wasm` is empty",
        ),
        (
            shop("a-directory").directory("web.wasm"),
            "component `web`: its source `web.wasm` is a directory, not a file",
        ),
        // What is made to do harm.
        (
            Image::new("pipe").pipe("spin.toml"),
            "the manifest /spin.toml cannot be read: it is a pipe",
        ),
        (
            Image::new("huge").zeroes("spin.toml", 64 << 20),
            "the manifest /spin.toml cannot be read: it is longer than 1 MiB",
        ),
        (
            Image::new("link-out").link("spin.toml", "/etc/passwd"),
            "the image is no app for Outport: it has no manifest at `/spin.toml`",
        ),
        (
            Image::new("climbing").link("spin.toml", "../../../../../../../../etc/passwd"),
            "the image is no app for Outport: it has no manifest at `/spin.toml`",
        ),
        (
            Image::new("magic").link("spin.toml", "/proc/self/root/etc/passwd"),
            "the image is no app for Outport: it has no manifest at `/spin.toml`",
        ),
        (
            Image::new("round").link("spin.toml", "spin.toml"),
            "the manifest /spin.toml cannot be read: it is a symbolic link that leads in a circle",
        ),
        (
            Image::new("source-out").file("spin.toml", MANIFEST.replace("web.wasm", "../../../../bin/sh")),
            "component `web`: its source `../../../../bin/sh` is missing",
        ),
        (
            shop("source-pipe").pipe("web.wasm"),
            "component `web`: its source `web.wasm` is a pipe, not a file",
        ),
        (
            shop("source-link").link("web.wasm", "/bin/sh"),
            "component `web`: its source `web.wasm` is missing",
        ),
        (
            shop("mount-link")
                .file("web.wasm", component())
                .link(".outport", "/etc"),
            "the image has a symbolic link at /.outport/cache, where Outport needs to mount something of its own",
        ),
        (
            shop("mount-file")
                .file("web.wasm", component())
                .file(".outport/outport", "mine"),
            "the image has a file at /.outport/outport, where Outport needs to mount something of its own",
        ),
    ]
}

#[test]
fn a_bad_image_is_refused_by_a_text_that_a_person_understands() {
    let Some(node) = Node::shared() else { return };
    let table = table();
    let (images, said): (Vec<Image>, Vec<&str>) = table.into_iter().unzip();
    node.import("bad", &images);
    let pod = Pod::start(node, HANDLER);
    let mut wrong = Vec::new();
    for (image, expected) in images.iter().zip(said) {
        let name = image.short_name();
        let refused = match pod.try_run(Wanted::image(name)) {
            Err(refused) => refused.0,
            Ok(app) => format!("it runs: {}", app.logs()),
        };
        // An event has one line, and what an author is told is of the image, not of the node.
        let is_an_event = refused.len() < 700 && !refused.contains('\n');
        if !is_an_event
            || !refused.contains(expected)
            || refused.contains("/tmp/")
            || refused.contains("root:x:0")
        {
            wrong.push(format!("{name}: {refused}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The same pod still runs what is right.
    node.import("right", &[shop("right").file("web.wasm", component())]);
    let app = pod.run(Wanted::image("right"));
    pod.answer(&app, "http://127.0.0.1/");
}

/// Components run everywhere, so what their image says is no reason to refuse it. Programs do not: see the table.
#[test]
fn an_app_runs_whatever_architecture_its_image_is_for() {
    let Some(node) = Node::shared() else { return };
    let other = if cfg!(target_arch = "x86_64") {
        "arm64"
    } else {
        "amd64"
    };
    let image = |name: &str, architecture| {
        shop(name)
            .file("web.wasm", component())
            .for_architecture(architecture)
    };
    node.import(
        "other",
        &[
            image("other-architecture", other),
            image("wasm-architecture", "wasm"),
        ],
    );
    let pod = Pod::start(node, HANDLER);
    for name in ["other-architecture", "wasm-architecture"] {
        let app = pod.run(Wanted::image(name));
        pod.answer(&app, "http://127.0.0.1/");
        app.stop(20);
    }
}

/// What only shows when it runs is the last that is logged, which becomes the pod's termination message.
#[test]
fn a_user_that_may_not_listen_on_port_80_and_a_root_without_a_place_say_so() {
    let Some(node) = Node::shared() else { return };
    let app = |name: &str| shop(name).file("web.wasm", component());
    node.import("not-root", &[app("not-root"), app("of-a-user").user("65532")]);
    let pod = Pod::start(node, HANDLER);
    let pods = [
        (
            "not-root",
            Wanted::image("not-root").user(65_532).read_only(),
            "0.0.0.0:80",
        ),
        ("of-a-user", Wanted::image("of-a-user"), "0.0.0.0:80"),
        (
            "no-place",
            Wanted::image("not-root")
                .read_only()
                .variable("OUTPORT_ACCESS_LOG", "/access.log"),
            "/access.log",
        ),
    ];
    for (what, wanted, expected) in pods {
        let app = pod.run(wanted);
        assert_ne!(app.ended().exit_code, 0, "{what}: {}", app.logs());
        let logs = app.logs();
        let is_told = logs
            .lines()
            .any(|line| line.starts_with("error") && line.contains(expected));
        assert!(is_told, "{what}: {logs}");
    }
}

#[test]
fn a_volume_is_not_mounted_over_what_outport_has_there() {
    let Some(node) = Node::shared() else { return };
    node.import("volume", &[shop("volume").file("web.wasm", component())]);
    let pod = Pod::start(node, HANDLER);
    let volume = node.path("over");
    fs::create_dir(&volume).expect("a folder of our own");
    for place in ["/.outport", "/.outport/outport", "/x/../.outport/cache"] {
        let refused = pod
            .try_run(Wanted::image("volume").volume(&volume, place))
            .expect_err(place);
        assert!(
            refused.0.contains("the image has a volume at /.outport"),
            "{place}: {refused}"
        );
    }
}
