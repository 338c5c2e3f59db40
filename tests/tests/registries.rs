//! Apps and components from registries and to them: Debian's registry, and `skopeo` as the other client.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outport_e2e::docker_registry::{DockerRegistry, RawArtifact, digest_of};
use outport_e2e::guest;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::script::results;
use serde_json::json;

/// An app that runs `statements` of a guest with files, and asks for more than Spin's layout names by itself.
fn app(command: &'static str, statements: &[&str]) -> Outport {
    let app = Outport::command(command).manifest(&format!(
        "spin_manifest_version = 2\n[application]\nname = \"files\"\nversion = \"1.2.3\"\n\
         [variables]\nname = {{ default = \"a\" }}\nkey = {{ default = \"\", secret = true }}\n\
         [[trigger.command]]\ncomponent = \"it\"\nargs = {statements:?}\n\
         [[trigger.http]]\nroute = \"/hello\"\ncomponent = \"web\"\n\
         [component.it]\nsource = \"GUESTS/script-guest.wasm\"\nfiles = [\"pages/**/*\"]\n\
         exclude_files = [\"pages/*.secret\"]\nenvironment = {{ A = \"1\" }}\nvariables = {{ name = \"{{{{ name }}}}\" }}\n\
         allowed_outbound_hosts = [\"https://{{{{ name }}}}.example.com\"]\n\
         key_value_stores = [\"default\"]\n\
         [component.web]\nsource = \"GUESTS/hello.wasm\"\n"
    ));
    let long = "a line that does not fit into the description\n".repeat(20);
    fs::create_dir_all(app.folder().join("pages/deep")).unwrap();
    for (name, content) in [("one", "1"), ("deep/two", &long), ("key.secret", "hidden")] {
        fs::write(app.folder().join("pages").join(name), content).unwrap();
    }
    app
}

/// A cache of the test's own.
fn with_cache(outport: Outport, cache: &Path) -> Outport {
    outport.variable("OUTPORT_CACHE_DIR", cache)
}

fn refused(finished: &Finished, words: &str) {
    assert_eq!(finished.code, Some(2), "{finished}");
    assert!(finished.stderr.contains(words), "{words}\n{finished}");
}

#[test]
fn what_a_pull_has_to_fulfil_is_nothing_to_ask_of_a_push() {
    let push = || Outport::command("push").manifest("").args(["127.0.0.1:1/shop:1"]);
    for option in ["--require-digest", "--verify-key=cosign.pub"] {
        let finished = push().option(option).finish().expect_code(2);
        let name = option.split('=').next().unwrap();
        let expected = format!("`{name}` has no effect on a push");
        assert!(finished.stderr.contains(&expected), "{finished}");
    }
    let finished = push()
        .variable("OUTPORT_REQUIRE_DIGEST", "1")
        .finish()
        .expect_code(2);
    assert!(!finished.stderr.contains("no effect"), "{finished}");
}

#[test]
fn an_app_that_was_pushed_is_what_others_see_and_runs_from_there() {
    let registry = DockerRegistry::start();
    let statements = [
        "file.read pages/one",
        "file.read pages/deep/two",
        "file.read pages/key.secret",
    ];
    let target = registry.reference("me/files:1.0");
    let push = || {
        app("push", &statements)
            .option(target.as_str())
            .finish()
            .expect_code(0)
    };
    let pushed = push();
    let digest = pushed.stdout.trim().to_owned();
    assert!(pushed.stderr.contains("of which 4 were new"), "{pushed}");
    let again = push();
    assert_eq!(again.stdout.trim(), digest, "the same app has the same digest");
    assert!(again.stderr.contains("of which 0 were new"), "{again}");

    let seen = registry.skopeo(&["inspect", &format!("docker://{target}")]);
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["Digest"], digest.as_str());
    assert_eq!(seen["Architecture"], "wasm");
    assert_eq!(seen["Os"], "Wasip1");
    let raw = registry.skopeo(&["inspect", "--raw", &format!("docker://{target}")]);
    let raw: serde_json::Value = serde_json::from_str(&raw).unwrap();
    let kinds: Vec<&str> = raw["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|layer| layer["mediaType"].as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "application/vnd.wasm.content.layer.v1+wasm",
            "application/vnd.wasm.content.layer.v1+data",
            "application/vnd.wasm.content.layer.v1+wasm",
            "application/vnd.fermyon.spin.application.v1+config",
        ],
        "the file of one byte is in the description"
    );

    // To a folder and back by somebody else, under another name.
    let folder = tempfile::tempdir().unwrap();
    let copy = format!("dir:{}", folder.path().display());
    registry.skopeo(&["copy", &format!("docker://{target}"), &copy]);
    let other = registry.reference("copy:2");
    registry.skopeo(&["copy", &copy, &format!("docker://{other}")]);

    let cache = tempfile::tempdir().unwrap();
    let up = || {
        with_cache(
            Outport::command("up").options(["--listen=127.0.0.1:0", "--no-output-prefix"]),
            cache.path(),
        )
    };
    let running = up().option(other.as_str()).start();
    assert_eq!(running.get("/hello").body, "Hello\n");
    // Its command runs beside the server.
    running.wait_for_line("3 ");
    let finished = running.stop();
    let read = results(&finished.stdout);
    assert_eq!(read[0], "1", "{finished}");
    assert!(read[1].starts_with("a line that does not fit"), "{finished}");
    assert_eq!(read[2], "no-entry", "{finished}");
    assert!(
        finished.stderr.contains(&format!("Using {other}@{digest}")),
        "{finished}"
    );
    assert!(
        finished.stderr.contains("key-value default  in memory"),
        "{finished}"
    );
    let said = |name: &str| {
        fs::read_dir(cache.path())
            .unwrap()
            .flatten()
            .any(|entry| entry.file_name() == name)
    };
    assert!(said("apps") && !said(".spin"));

    // Without the network: what is pinned, and what the tag last was.
    let pinned = format!("{}@{digest}", registry.reference("copy"));
    drop(registry);
    for reference in [&pinned, &other] {
        let running = up().options(["--offline", reference]).start();
        assert_eq!(running.get("/hello").body, "Hello\n");
        let finished = running.stop();
        let says_so = finished.stderr.contains("what the tag was the last time");
        assert_eq!(says_so, reference == &other, "{finished}");
    }
    let elsewhere = other.replace("copy:2", "copy:3");
    refused(
        &up().options(["--offline", &elsewhere]).finish(),
        "not in the cache",
    );
    refused(
        &up().options(["--require-digest", &other]).finish(),
        "only digests are permitted",
    );
    let by_environment = up()
        .option(other.as_str())
        .variable("OUTPORT_REQUIRE_DIGEST", "1");
    refused(&by_environment.finish(), "only digests are permitted");
}

#[test]
fn many_and_large_files_arrive() {
    let registry = DockerRegistry::start();
    let target = registry.reference("many");
    let statements = ["file.read pages/many/file-599"];
    // More than one request takes, and not as many times as often.
    let large = vec![7; (33 << 20) + 5];
    let push = |files: usize| {
        let push = app("push", &statements);
        let many = push.folder().join("pages/many");
        fs::create_dir_all(&many).unwrap();
        for number in 0..files {
            fs::write(
                many.join(format!("file-{number}")),
                format!("{number} ").repeat(50),
            )
            .unwrap();
        }
        fs::write(push.folder().join("pages/large"), &large).unwrap();
        push.option(target.as_str()).finish().expect_code(0)
    };
    let pushed = push(600);
    assert!(pushed.stderr.contains("4 layers"), "one archive: {pushed}");
    let up = Outport::command("up").options(["--listen=127.0.0.1:0", "--no-output-prefix", &target]);
    let running = up.start();
    running.wait_for_line("1 ");
    let finished = running.stop();
    assert!(results(&finished.stdout)[0].starts_with("599 599"), "{finished}");

    let pushed = push(3);
    assert!(pushed.stderr.contains("5 layers"), "{pushed}");
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("app");
    let pulled = Outport::command("pull").options([target.as_str(), out.to_str().unwrap()]);
    pulled.finish().expect_code(0);
    assert!(fs::read(out.join("files/0/pages/large")).unwrap() == large);
}

#[test]
fn check_explain_inspect_and_pull_take_a_reference() {
    let registry = DockerRegistry::start();
    let target = registry.reference("me/files");
    let digest = app("push", &[])
        .option(target.as_str())
        .finish()
        .expect_code(0)
        .stdout;
    let cache = tempfile::tempdir().unwrap();
    let command = |name: &'static str| with_cache(Outport::command(name), cache.path());

    let explained = command("explain")
        .options([
            "-f",
            &target,
            "--component=it",
            "--format=json",
            "https://a.example.com",
        ])
        .finish();
    assert!(
        explained.stdout.contains(&format!("{target}:latest/spin.toml")),
        "{explained}"
    );
    let checked = command("check").options([&*target, "--format=json"]).finish();
    assert!(matches!(checked.code, Some(0 | 1)), "{checked}");
    refused(
        &command("check").options([&*target, "--fix"]).finish(),
        "cannot be changed",
    );
    let inspected = command("inspect").option(&*target).finish().expect_code(0);
    assert!(inspected.stdout.contains("component `web`"), "{inspected}");

    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("new/app").display().to_string();
    let pulled = command("pull").options([&*target, &*out]).finish().expect_code(0);
    assert_eq!(pulled.stdout, digest);
    let written = fs::read_to_string(Path::new(&out).join("spin.toml")).unwrap();
    assert!(written.contains("name = \"files\""), "{written}");
    let finished = Outport::command("check").option(&*out).finish();
    assert_eq!(finished.code, checked.code, "{finished}");
    let nothing_new = command("push")
        .options([&*target, "-f", &*out])
        .finish()
        .expect_code(0);
    assert!(nothing_new.stderr.contains("4 layers"), "{nothing_new}");
    let taken = command("pull").options([&*target, &*out]);
    refused(&taken.finish(), "is there already");
}

#[test]
fn a_component_of_a_registry_runs_and_serves() {
    let registry = DockerRegistry::start();
    let component = |name: &str| {
        let config = json!({ "architecture": "wasm", "os": "wasip2", "created": "2026-01-01T00:00:00Z" });
        RawArtifact::new("application/vnd.wasm.config.v0+json", &config)
            .layer("application/wasm", &fs::read(guest::path(name)).unwrap())
    };
    registry.put("tools/script:1", &component("script-guest"));
    registry.put("sites/hello:1", &component("hello"));
    let script = registry.reference("tools/script:1");
    let hello = registry.reference("sites/hello:1");

    let finished = Outport::run(script.as_str()).args(["file.read x"]).finish();
    assert_eq!(results(&finished.stdout), ["no-directory"], "{finished}");
    let running = Outport::serve(hello.as_str()).start();
    assert_eq!(running.get("/").body, "Hello\n");
    let finished = running.stop();
    assert!(finished.stderr.contains("@sha256:"), "{finished}");

    let up = Outport::command("up").option(hello.as_str()).finish();
    refused(&up, "outport serve 127.0.0.1");
    app("push", &[])
        .option(registry.reference("app"))
        .finish()
        .expect_code(0);
    refused(
        &Outport::serve(registry.reference("app")).finish(),
        "outport up 127.0.0.1",
    );
    refused(
        &Outport::serve(registry.reference("none")).finish(),
        "has no `none:latest`",
    );
    let inspected = Outport::command("inspect")
        .option(hello.as_str())
        .finish()
        .expect_code(0);
    assert!(inspected.stdout.contains("answers HTTP"), "{inspected}");
}

#[test]
fn an_image_is_its_authors_word_and_nothing_of_it_the_operators() {
    let registry = DockerRegistry::start();
    let hello = fs::read(guest::path("hello")).unwrap();
    let manifest = |source: &str, more: &str| {
        format!(
            "spin_manifest_version = 2\napplication.name = \"image\"\nvariables.token = {{ default = \"fine\" }}\n\
             [[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n[component.web]\nsource = \"{source}\"\n{more}"
        )
    };
    let image = |name: &str, manifest: &str| {
        registry.put(
            name,
            &RawArtifact::image(&[
                ("./spin.toml", manifest.as_bytes()),
                ("app/web.wasm", &hello),
                // The name of a variable that nobody has would be an error, were the file read.
                (".env", b"SPIN_VARIABLE_TOKEN"),
            ]),
        );
        registry.reference(name)
    };
    let serves = image("fine", &manifest("app/web.wasm", ""));
    let up = |reference: &str, options: &[&str]| {
        let up = Outport::command("up").options(["--listen=127.0.0.1:0", reference]);
        up.options(options.iter().copied())
    };
    let running = up(&serves, &[]).start();
    assert_eq!(running.get("/").body, "Hello\n");
    running.stop();
    // The operator's side holds as always.
    let wide = manifest("app/web.wasm", "allowed_outbound_hosts = [\"https://a.test\"]\n");
    let wide = image("wide", &wide);
    let denied = up(
        &wide,
        &["--disallowed-outbound-hosts=*://a.test:*", "--deny-warnings"],
    )
    .finish();
    assert_eq!(denied.code, Some(1), "{denied}");
    assert!(
        denied.stderr.contains(&format!("{wide}:latest/spin.toml")),
        "{denied}"
    );

    let outside = guest::path("hello").display().to_string();
    for source in [outside.as_str(), "../../../../../x.wasm", "app/../../x.wasm"] {
        let reference = image("out", &manifest(source, ""));
        refused(&up(&reference, &[]).finish(), "not a path below it");
    }
    let files = manifest(
        "app/web.wasm",
        "files = [{ source = \"../..\", destination = \"/\" }]\n",
    );
    refused(
        &up(&image("files", &files), &[]).finish(),
        "leads out of the directory",
    );
}

#[test]
fn a_password_is_taken_from_where_docker_keeps_it_and_never_shown() {
    let registry = DockerRegistry::start_for("me", "hunter2");
    let target = registry.reference("app:1");
    let folder = tempfile::tempdir().unwrap();
    let write = |pair: &str| {
        let config = json!({ "auths": { registry.host(): { "auth": STANDARD.encode(pair) } } });
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    };
    let push = || {
        app("push", &[])
            .option(target.as_str())
            .variable("DOCKER_CONFIG", folder.path())
    };
    refused(&push().finish(), "there are no credentials for it");
    write("me:wrong-password");
    let denied = push().finish();
    refused(&denied, "these credentials do not permit it");
    assert!(!denied.stderr.contains("wrong-password"), "{denied}");
    fs::write(folder.path().join("config.json"), "{").unwrap();
    refused(&push().finish(), "cannot be read");

    write("me:hunter2");
    let pushed = push().option("--verbose").finish().expect_code(0);
    assert!(!pushed.stderr.contains("hunter2"), "{pushed}");
    let cache = tempfile::tempdir().unwrap();
    let pull = with_cache(Outport::command("pull").option(target.as_str()), cache.path());
    let pulled = pull
        .variable("DOCKER_CONFIG", folder.path())
        .finish()
        .expect_code(0);
    assert_eq!(pulled.stdout, pushed.stdout);

    // A helper, as Docker has them on desktops.
    let helper = folder.path().join("docker-credential-test");
    fs::write(
        &helper,
        "#!/bin/sh\ncat >/dev/null\necho '{\"Username\": \"me\", \"Secret\": \"hunter2\"}'\n",
    )
    .unwrap();
    fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let config = json!({ "credHelpers": { registry.host(): "test" } });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let pushed = push().variable("PATH", path).finish().expect_code(0);
    assert_eq!(pulled.stdout, pushed.stdout);
}

#[test]
fn with_a_key_only_what_it_has_signed_starts() {
    let registry = DockerRegistry::start();
    let keys = tempfile::tempdir().unwrap();
    let at = |name: &str| keys.path().join(name).display().to_string();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let make = |name: &str, arguments: &[&str]| {
        let private = at(&format!("{name}.key"));
        openssl(&[&["genpkey", "-out", &private][..], arguments].concat());
        openssl(&[
            "pkey",
            "-in",
            &private,
            "-pubout",
            "-out",
            &at(&format!("{name}.pub")),
        ]);
    };
    make(
        "ecdsa",
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    );
    make("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    make("ed25519", &["-algorithm", "ED25519"]);
    make(
        "other",
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    );
    let sign = |repository: &str, of: &str, at_digest: &str, key: &str| {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": registry.reference(repository) },
                "image": { "docker-manifest-digest": of },
                "type": "cosign container image signature",
            },
            "optional": null,
        })
        .to_string();
        fs::write(at("payload"), &payload).unwrap();
        let key_file = at(&format!("{key}.key"));
        let (payload_file, signature) = (at("payload"), at("signature"));
        if key == "ed25519" {
            openssl(&[
                "pkeyutl",
                "-sign",
                "-inkey",
                &key_file,
                "-rawin",
                "-in",
                &payload_file,
                "-out",
                &signature,
            ]);
        } else {
            openssl(&[
                "dgst",
                "-sha256",
                "-sign",
                &key_file,
                "-out",
                &signature,
                &payload_file,
            ]);
        }
        let signature = STANDARD.encode(fs::read(&signature).unwrap());
        let config = json!({ "architecture": "", "os": "", "rootfs": { "type": "layers", "diff_ids": [digest_of(payload.as_bytes())] } });
        let artifact = RawArtifact::new("application/vnd.oci.image.config.v1+json", &config).annotated(
            "application/vnd.dev.cosign.simplesigning.v1+json",
            payload.as_bytes(),
            &json!({ "dev.cosignproject.cosign/signature": signature }),
        );
        registry.put(
            &format!("{repository}:{}.sig", at_digest.replace(':', "-")),
            &artifact,
        );
    };
    let push = |repository: &str| {
        let pushed = app("push", &[])
            .option(registry.reference(repository))
            .finish()
            .expect_code(0);
        pushed.stdout.trim().to_owned()
    };
    let other_digest = digest_of(b"other");
    // (repository, key that signs and what for, keys that count, whether it is pulled)
    let rows = [
        ("ecdsa", Some(("ecdsa", None)), vec!["ecdsa"], true),
        ("rsa", Some(("rsa", None)), vec!["rsa"], true),
        ("ed25519", Some(("ed25519", None)), vec!["ed25519"], true),
        ("one-of-two", Some(("ecdsa", None)), vec!["other", "ecdsa"], true),
        ("by-another", Some(("other", None)), vec!["ecdsa", "rsa"], false),
        (
            "for-another",
            Some(("ecdsa", Some(&other_digest))),
            vec!["ecdsa"],
            false,
        ),
        ("unsigned", None, vec!["ecdsa"], false),
    ];
    for (repository, signed, accepted, expected) in rows {
        let digest = push(repository);
        if let Some((key, of)) = signed {
            sign(repository, of.unwrap_or(&digest), &digest, key);
        }
        let cache = tempfile::tempdir().unwrap();
        let pull = || {
            with_cache(
                Outport::command("pull").option(registry.reference(repository)),
                cache.path(),
            )
        };
        let with_keys = accepted.iter().fold(pull(), |pull, key| {
            pull.option("--verify-key").option(at(&format!("{key}.pub")))
        });
        let finished = with_keys.finish();
        if expected {
            assert_eq!(finished.code, Some(0), "{repository}: {finished}");
            assert!(finished.stderr.contains("which is signed"), "{finished}");
        } else {
            refused(&finished, "is not signed by a key of `--verify-key`");
            assert!(
                !cache
                    .path()
                    .join("apps")
                    .join(&digest["sha256:".len()..])
                    .exists(),
                "{repository}"
            );
        }
    }
    let reference = registry.reference("ecdsa");
    let with = |key: &str| {
        let up = Outport::command("up").options(["--verify-key", &at(key)]);
        up.option(reference.as_str()).finish()
    };
    refused(&with("ecdsa.key"), "it is a private key");
    refused(&with("payload"), "is not a public key");
    refused(&with("missing.pub"), "there is no key of `--verify-key`");
}

#[test]
fn an_app_that_is_pushed_or_updated_is_on_this_machine() {
    for line in [&["push", "a.example/shop"][..], &["update"]] {
        let of = |from: &str| {
            let command = Outport::command(line[0]).options(line[1..].iter().copied());
            command.options(["-f", from]).finish()
        };
        refused(
            &of("a.example/other:1.0"),
            "pull it first: `outport pull a.example/other:1.0 DIR`",
        );
        let help = Outport::command(line[0]).option("--help").finish();
        assert!(!help.stdout.contains("or a reference such as"), "{help}");
    }
    let missing = Outport::command("push").option("a.example/shop").file(
        "spin.toml",
        "spin_manifest_version = 2\n[application]\nname = \"a\"\n[[trigger.command]]\ncomponent = \"a\"\n\
         [component.a]\nsource = \"none.wasm\"\n",
    );
    refused(&missing.finish(), "there is no file `none.wasm`");
}

#[test]
fn what_is_no_reference_is_told_as_what_it_could_be() {
    let rows = [
        ("shop", "there is no manifest `shop`"),
        ("oci://shop", "does not begin with the host of a registry"),
        (
            "a.example/Shop",
            "and there is no such file: its repository is not one",
        ),
        ("a.example/shop@sha256:12", "its digest is not"),
    ];
    for (given, words) in rows {
        let finished = Outport::command("up").option(given).finish();
        refused(&finished, words);
    }
}
