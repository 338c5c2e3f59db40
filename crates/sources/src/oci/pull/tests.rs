//! Pulls from a registry that does what its test says, also what no honest one does.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::super::artifact::ArtifactError;
use super::super::manifest::IMAGE_MANIFEST;
use super::super::tree::{TreeError, digest_of};
use super::*;
use crate::http::{FetchErrorKind, FetchOptions};
use crate::progress::Quiet;
use crate::test_server::{Server, answer};

/// What a registry has, by path. A path without an answer is not there.
#[derive(Clone, Default)]
struct Fake {
    answers: HashMap<String, Vec<u8>>,
}

const STEALS: &[u8] = b"spin_manifest_version = 2\n\
    application = { name = 'x' }\n\
    trigger.http = [{ route = '/', component = 'x' }]\n\
    component.x = { source = '../../../secret.wasm' }\n";

const STEALS_BY_TRIGGER: &[u8] = b"spin_manifest_version = 2\n\
    application = { name = 'x' }\n\
    [[trigger.http]]\nroute = '/'\ncomponent = 'x'\ndependencies.middleware = [{ path = '/secret.wasm' }]\n\
    [component]\nx = { source = 'x.wasm' }\n";

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "size": bytes.len(), "digest": digest_of(bytes).to_string() })
}

fn raw(head: &str, body: &[u8]) -> Vec<u8> {
    [answer(head, "").as_slice(), body].concat()
}

impl Fake {
    fn path(&mut self, path: String, answer: Vec<u8>) -> &mut Self {
        self.answers.insert(path, answer);
        self
    }

    fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        let path = format!("/v2/app/blobs/{}", digest_of(bytes));
        self.path(path, raw("200 OK", bytes))
    }

    fn manifest(&mut self, name: &str, value: &Value) -> Digest {
        let bytes = value.to_string().into_bytes();
        let digest = digest_of(&bytes);
        for name in [name, &digest.to_string()] {
            self.path(format!("/v2/app/manifests/{name}"), raw("200 OK", &bytes));
        }
        digest
    }

    /// An artifact of layers under the tag `latest`.
    fn artifact(layers: &[(&str, &[u8])]) -> (Self, Digest) {
        let mut fake = Self::default();
        let layers: Vec<Value> = layers
            .iter()
            .map(|(kind, bytes)| {
                fake.blob(bytes);
                descriptor(kind, bytes)
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": descriptor("c", b"{}"), "layers": layers,
        });
        let digest = fake.manifest("latest", &manifest);
        (fake, digest)
    }

    async fn start(self) -> Server {
        let answers = self.answers;
        Server::start(move |request, _| {
            let path = request.split(' ').nth(1).unwrap_or_default();
            match answers.get(path) {
                Some(answer) => answer.clone(),
                None if path == "/v2/" => answer("200 OK", ""),
                None => answer("404 Not Found", ""),
            }
        })
        .await
    }
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

struct Machine {
    folder: tempfile::TempDir,
    trust: Trust,
    offline: bool,
}

impl Machine {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            trust: Trust::default(),
            offline: false,
        }
    }

    async fn pull(&self, reference: &str) -> Result<Pulled, PullError> {
        let options = FetchOptions {
            attempts: 1,
            offline: self.offline,
            ..FetchOptions::default()
        };
        let fetcher = Fetcher::new(options);
        let cache = Cache::new(Some(self.folder.path()), None);
        let puller = Puller {
            fetcher: &fetcher,
            cache: &cache,
            progress: &Quiet,
            trust: &self.trust,
        };
        puller.pull(&reference.parse().unwrap()).await
    }

    /// True if there is something of an artifact.
    fn has_any(&self) -> bool {
        let entries = fs::read_dir(self.folder.path().join("apps"))
            .into_iter()
            .flatten();
        entries
            .flatten()
            .any(|entry| entry.file_name() != "tags" && entry.file_name() != "documents")
    }
}

fn reference(server: &Server, rest: &str) -> String {
    format!("127.0.0.1:{}/app{rest}", server.port)
}

#[tokio::test]
async fn an_image_is_pulled_once_and_then_found() {
    let layer = archive(&[("spin.toml", b"manifest"), ("app.wasm", b"code")]);
    let (fake, digest) = Fake::artifact(&[(LAYER, &layer)]);
    let server = fake.start().await;
    let mut machine = Machine::new();
    let pulled = machine.pull(&reference(&server, "")).await.unwrap();
    assert_eq!(pulled.digest, digest);
    let PulledContent::App(folder) = &pulled.content else {
        panic!("{pulled:?}");
    };
    assert_eq!(fs::read(folder.join("app.wasm")).unwrap(), b"code");

    let asked = || server.asked.load(std::sync::atomic::Ordering::SeqCst);
    let before = asked();
    let pinned = reference(&server, &format!("@{digest}"));
    assert_eq!(machine.pull(&pinned).await.unwrap(), pulled);
    assert_eq!(asked(), before, "a digest that is there needs no registry");
    machine.offline = true;
    let known = machine.pull(&reference(&server, ":latest")).await.unwrap();
    assert!(known.is_last_known && known.digest == digest);
    assert!(matches!(
        machine.pull(&reference(&server, ":other")).await,
        Err(PullError::Offline)
    ));
    machine.trust.require_digest = true;
    assert!(machine.pull(&pinned).await.is_ok());
    assert!(matches!(
        machine.pull(&reference(&server, "")).await,
        Err(PullError::NotPinned)
    ));
}

#[tokio::test]
async fn a_component_is_its_file() {
    let (fake, _) = Fake::artifact(&[("application/wasm", b"\0asm")]);
    let server = fake.start().await;
    let machine = Machine::new();
    let pulled = machine.pull(&reference(&server, "")).await.unwrap();
    let PulledContent::Component(file) = &pulled.content else {
        panic!("{pulled:?}");
    };
    assert_eq!(fs::read(file).unwrap(), b"\0asm");
}

#[tokio::test]
async fn a_bundle_has_the_files_that_the_app_names() {
    let bundle = archive(&[("static/a", b"content of a"), ("b", b"content of b")]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&bundle).unwrap();
    let bundle = gzip.finish().unwrap();
    let app = json!({
        "spin_lock_version": 0, "metadata": { "name": "app" }, "triggers": [],
        "components": [{
            "id": "web", "source": { "content_type": "application/wasm", "digest": digest_of(b"code").to_string() },
            "files": [{ "path": "static/a", "digest": digest_of(b"content of a").to_string() }],
        }],
    })
    .to_string();
    let (fake, _) = Fake::artifact(&[
        ("application/vnd.wasm.content.layer.v1+wasm", b"code"),
        ("application/vnd.wasm.content.bundle.v1.tar+gzip", &bundle),
        (
            "application/vnd.fermyon.spin.application.v1+config",
            app.as_bytes(),
        ),
    ]);
    let server = fake.start().await;
    let machine = Machine::new();
    let pulled = machine.pull(&reference(&server, "")).await.unwrap();
    let PulledContent::App(folder) = &pulled.content else {
        panic!("{pulled:?}");
    };
    assert_eq!(
        fs::read(folder.join("files/0/static/a")).unwrap(),
        b"content of a"
    );
    assert!(!folder.join("files/0/b").exists());
}

#[tokio::test]
async fn of_what_a_registry_lies_about_nothing_is_used() {
    let layer = archive(&[("spin.toml", b"manifest")]);
    let (honest, digest) = Fake::artifact(&[(LAYER, &layer)]);
    let blob = format!("/v2/app/blobs/{}", digest_of(&layer));
    let latest = "/v2/app/manifests/latest".to_owned();
    let by_digest = format!("/v2/app/manifests/{digest}");
    let pinned = format!("@{digest}");
    let with = |path: &str, answer: Vec<u8>| {
        let mut fake = honest.clone();
        fake.path(path.to_owned(), answer);
        fake
    };
    let nested = {
        let mut fake = Fake::default();
        let index = |of: &Value| json!({ "schemaVersion": 2, "manifests": [of] });
        let inner = index(&descriptor(IMAGE_MANIFEST, b"x"));
        fake.manifest("inner", &inner);
        // It says that it lists a manifest.
        let lists = descriptor(IMAGE_MANIFEST, inner.to_string().as_bytes());
        fake.manifest("latest", &index(&lists));
        fake
    };
    let bomb = {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let mut header = tar::Header::new_gnu();
        header.set_path("zeroes").unwrap();
        header.set_size(200 << 20);
        header.set_cksum();
        gzip.write_all(header.as_bytes()).unwrap();
        for _ in 0..200 {
            gzip.write_all(&vec![0; 1 << 20]).unwrap();
        }
        gzip.finish().unwrap()
    };
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    let other = json!({ "schemaVersion": 2, "config": descriptor("c", b"{}"), "layers": [] }).to_string();
    let honest_bytes = honest.answers[&latest].clone();
    let body = String::from_utf8(honest_bytes).unwrap();
    let body = body.split_once("\r\n\r\n").unwrap().1.to_owned();
    let claims = format!("200 OK\r\ndocker-content-digest: {}", digest_of(b"other"));
    let basic = "401 Unauthorized\r\nwww-authenticate: Basic realm=x";
    let elsewhere = "401 Unauthorized\r\nwww-authenticate: Bearer realm=\"http://auth.example/token\"";
    type Is = fn(&PullError) -> bool;
    fn registry(error: &PullError, is: fn(&RegistryError) -> bool) -> bool {
        matches!(error, PullError::Registry(error) if is(error))
    }
    let too_large: Is = |error| {
        registry(
            error,
            |error| matches!(error, RegistryError::Fetch(error) if matches!(error.kind(), FetchErrorKind::TooLarge(_))),
        )
    };
    let wrong_digest: Is = |error| registry(error, |error| matches!(error, RegistryError::Digest { .. }));
    let another_digest: Is = |error| {
        registry(
            error,
            |error| matches!(error, RegistryError::Fetch(error) if matches!(error.kind(), FetchErrorKind::WrongDigest { .. })),
        )
    };
    let wrong_size: Is = |error| registry(error, |error| matches!(error, RegistryError::Size { .. }));
    let rows: Vec<(&str, Fake, &str, Is)> = vec![
        (
            "another manifest than the pinned one",
            with(&by_digest, raw("200 OK", other.as_bytes())),
            &pinned,
            wrong_digest,
        ),
        (
            "a manifest whose digest is not what the registry says",
            with(&latest, raw(&claims, body.as_bytes())),
            "",
            wrong_digest,
        ),
        (
            "a manifest without end",
            with(&latest, raw("200 OK", &vec![b' '; 5 << 20])),
            "",
            too_large,
        ),
        (
            "a manifest that is none",
            with(&latest, raw("200 OK", b"<html>")),
            "",
            |error| matches!(error, PullError::Registry(RegistryError::Manifest(_))),
        ),
        (
            "another blob",
            with(&blob, raw("200 OK", &vec![b'x'; layer.len()])),
            "",
            another_digest,
        ),
        (
            "a blob without end",
            with(&blob, raw("200 OK", &vec![b'x'; layer.len() + 1])),
            "",
            wrong_size,
        ),
        (
            "a blob that is cut off",
            with(&blob, raw("200 OK", &layer[..100])),
            "",
            another_digest,
        ),
        (
            "a redirect in a circle",
            with(
                &blob,
                answer(&format!("307 Temporary Redirect\r\nlocation: {blob}"), ""),
            ),
            "",
            |error| {
                registry(error, |error| {
                    matches!(error, RegistryError::Fetch(error)
                        if matches!(error.kind(), FetchErrorKind::TooManyRedirects(_)))
                })
            },
        ),
        (
            "a redirect to a metadata service",
            with(
                &blob,
                answer("307 Temporary Redirect\r\nlocation: http://169.254.169.254/", ""),
            ),
            "",
            |error| {
                registry(error, |error| {
                    matches!(error, RegistryError::Fetch(error)
                        if matches!(error.kind(), FetchErrorKind::ForbiddenAddress))
                })
            },
        ),
        ("a refusal", with(&latest, answer(basic, "")), "", |error| {
            registry(error, |error| {
                matches!(
                    error,
                    RegistryError::Denied {
                        with_credentials: false,
                        ..
                    }
                )
            })
        }),
        (
            "a realm to which nobody sends anything",
            with(&latest, answer(elsewhere, "")),
            "",
            |error| registry(error, |error| matches!(error, RegistryError::Challenge { .. })),
        ),
        ("an index in an index", nested, "", |error| {
            matches!(error, PullError::Manifest(ManifestError::Nested))
        }),
        (
            "a layer that leads out",
            Fake::artifact(&[(LAYER, &archive(&[("../spin.toml", b"x")]))]).0,
            "",
            |error| matches!(error, PullError::Tree(TreeError::Name { .. })),
        ),
        (
            "a layer that is a bomb",
            Fake::artifact(&[(gzip, &bomb)]).0,
            "",
            |error| matches!(error, PullError::Tree(TreeError::Bomb)),
        ),
        (
            "middleware that is a file of the machine",
            Fake::artifact(&[(LAYER, &archive(&[("spin.toml", STEALS_BY_TRIGGER)]))]).0,
            "",
            |error| matches!(error, PullError::LeadsOut { .. }),
        ),
        (
            "a manifest that names files of the machine",
            Fake::artifact(&[(LAYER, &archive(&[("spin.toml", STEALS)]))]).0,
            "",
            |error| matches!(error, PullError::LeadsOut { .. }),
        ),
        (
            "an image of something else",
            Fake::artifact(&[(LAYER, &archive(&[("bin/sh", b"x")]))]).0,
            "",
            |error| matches!(error, PullError::NoManifest),
        ),
        (
            "an artifact of something else",
            Fake::artifact(&[("text/plain", b"x")]).0,
            "",
            |error| matches!(error, PullError::Artifact(ArtifactError::Kind { .. })),
        ),
    ];
    for (what, fake, rest, is) in rows {
        let server = fake.start().await;
        let machine = Machine::new();
        let error = machine.pull(&reference(&server, rest)).await.unwrap_err();
        assert!(is(&error), "{what}: {error:?}");
        // What is whole may stay; it is refused the next time as well.
        if machine.has_any() {
            let error = machine.pull(&reference(&server, rest)).await.unwrap_err();
            assert!(
                is(&error) && matches!(error, PullError::LeadsOut { .. }),
                "{what}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_registry_that_refuses_for_ever_is_asked_twice() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&requests);
    let server = Server::start(move |request, _| {
        kept.lock().unwrap().push(request.to_owned());
        answer("401 Unauthorized\r\nwww-authenticate: Basic realm=x", "")
    })
    .await;
    let fetcher = Fetcher::new(FetchOptions::default());
    let host: RegistryHost = format!("127.0.0.1:{}", server.port).parse().unwrap();
    let options = RegistryOptions {
        credentials: Some(super::super::Credentials::basic("u", "p")),
        ..RegistryOptions::default()
    };
    let registry = Registry::new(&fetcher, host, options);
    let error = registry.tags(&"app".parse().unwrap()).await.unwrap_err();
    let denied = matches!(
        error,
        RegistryError::Denied {
            with_credentials: true,
            ..
        }
    );
    assert!(denied, "{error:?}");
    let requests = requests.lock().unwrap();
    let of_tags: Vec<_> = requests
        .iter()
        .filter(|request| request.contains("/tags/list"))
        .collect();
    assert_eq!(of_tags.len(), 2, "{requests:?}");
    assert!(
        of_tags[1].to_lowercase().contains("authorization: basic dtpw"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_token_is_got_for_our_own_scope_and_used_again() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&requests);
    let port = Arc::new(Mutex::new(0));
    let own_port = Arc::clone(&port);
    let server = Server::start(move |request, _| {
        kept.lock().unwrap().push(request.split(' ').nth(1).unwrap().to_owned());
        let port = *own_port.lock().unwrap();
        let challenge = format!(
            "401 Unauthorized\r\nwww-authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"s\",scope=\"repository:other:push\""
        );
        if request.starts_with("GET /token") {
            answer("200 OK", r#"{"token": "t"}"#)
        } else if request.to_lowercase().contains("authorization: bearer t\r") {
            answer("200 OK", r#"{"tags": ["1.0", "../x", "2.0"]}"#)
        } else {
            answer(&challenge, "")
        }
    })
    .await;
    *port.lock().unwrap() = server.port;
    let fetcher = Fetcher::new(FetchOptions::default());
    let host: RegistryHost = format!("127.0.0.1:{}", server.port).parse().unwrap();
    let options = RegistryOptions {
        credentials: Some(super::super::Credentials::None),
        ..RegistryOptions::default()
    };
    let registry = Registry::new(&fetcher, host, options);
    for _ in 0..2 {
        let tags = registry.tags(&"app".parse().unwrap()).await.unwrap();
        let tags: Vec<_> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(tags, ["1.0", "2.0"]);
    }
    let requests = requests.lock().unwrap();
    let tokens: Vec<_> = requests
        .iter()
        .filter(|path| path.starts_with("/token"))
        .collect();
    assert_eq!(tokens, ["/token?service=s&scope=repository%3Aapp%3Apull"]);
}

#[tokio::test]
async fn a_list_of_tags_has_an_end_whatever_is_in_it() {
    for (names, pages) in [(1_000, 51), (1, 1_000)] {
        let server = Server::start(move |_, number| {
            let names = vec!["\"../no tag\""; names].join(",");
            answer(
                &format!("200 OK\r\nlink: </v2/app/tags/list?last={number}>; rel=\"next\""),
                &format!("{{\"tags\": [{names}]}}"),
            )
        })
        .await;
        let fetcher = Fetcher::new(FetchOptions::default());
        let host: RegistryHost = format!("127.0.0.1:{}", server.port).parse().unwrap();
        let registry = Registry::new(&fetcher, host, RegistryOptions::default());
        let endless = registry.tags(&"app".parse().unwrap()).await.unwrap_err();
        assert!(matches!(endless, RegistryError::Answer { .. }), "{endless}");
        // One more asks whether it speaks HTTP at all.
        assert_eq!(server.asked.load(Ordering::SeqCst), pages + 1);
    }
}

#[tokio::test]
async fn with_keys_only_what_is_signed_is_pulled_also_offline() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let head = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    let der = [&head[..], pair.public_key().as_ref()].concat();
    let key = VerifyKey::from_pem(pem::encode(&pem::Pem::new("PUBLIC KEY", der)).as_bytes()).unwrap();
    let layer = archive(&[("spin.toml", b"manifest")]);
    let (unsigned, digest) = Fake::artifact(&[(LAYER, &layer)]);
    let sign = |of: &Digest| {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": "" }, "type": "cosign container image signature",
                "image": { "docker-manifest-digest": of.to_string() },
            },
        })
        .to_string();
        let mut layer = descriptor(
            "application/vnd.dev.cosign.simplesigning.v1+json",
            payload.as_bytes(),
        );
        let signature = STANDARD.encode(pair.sign(payload.as_bytes()).as_ref());
        layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature });
        let manifest = json!({ "schemaVersion": 2, "config": descriptor("c", b"{}"), "layers": [layer] });
        let mut fake = unsigned.clone();
        fake.blob(payload.as_bytes());
        fake.manifest(&format!("sha256-{}.sig", digest.hex()), &manifest);
        fake
    };
    let rows = [
        ("signed", sign(&digest), true),
        ("not signed", unsigned.clone(), false),
        ("signed for another", sign(&digest_of(b"other")), false),
    ];
    for (what, fake, expected) in rows {
        let server = fake.start().await;
        let mut machine = Machine::new();
        machine.trust.keys = vec![key.clone()];
        let pulled = machine.pull(&reference(&server, "")).await;
        match (expected, pulled) {
            (true, Ok(pulled)) => assert!(pulled.is_signed),
            (false, Err(PullError::NotSigned { .. })) => assert!(!machine.has_any(), "{what}"),
            (_, other) => panic!("{what}: {other:?}"),
        }
        // Without a key it is pulled; that does not make it signed.
        machine.trust.keys.clear();
        assert!(machine.pull(&reference(&server, "")).await.is_ok(), "{what}");
        machine.offline = true;
        machine.trust.keys = vec![key.clone()];
        assert_eq!(
            machine.pull(&reference(&server, "")).await.is_ok(),
            expected,
            "{what}"
        );
    }
}

/// A cache that somebody else has filled is worth what its digests are.
#[tokio::test]
async fn a_cache_is_only_what_its_digests_say() {
    let layer = archive(&[("spin.toml", b"manifest"), ("app.wasm", b"code")]);
    let (fake, digest) = Fake::artifact(&[(LAYER, &layer)]);
    let server = fake.start().await;
    let evil = archive(&[("spin.toml", b"manifest"), ("app.wasm", b"evil")]);
    let (_, of_evil) = Fake::artifact(&[(LAYER, &evil)]);
    let pinned = reference(&server, &format!("@{digest}"));
    type Change<'c> = &'c dyn Fn(&Path);
    let fetched = |bytes: &[u8]| format!("fetched/{}", digest_of(bytes).hex());
    let manifest = format!("apps/documents/{}", digest.hex());
    let folder = format!("apps/{}/app", digest.hex());
    let rows: [(&str, Change<'_>, bool); 6] = [
        ("nothing", &|_| {}, true),
        (
            "a file of the folder",
            &|cache| fs::write(cache.join(&folder).join("app.wasm"), b"evil").unwrap(),
            true,
        ),
        (
            "the folder and a list of what is in it",
            &|cache| {
                fs::write(cache.join(&folder).join("app.wasm"), b"evil").unwrap();
                let list = json!({ "app.wasm": { "sha256": digest_of(b"evil").hex(), "size": 4 },
                    "spin.toml": { "sha256": digest_of(b"manifest").hex(), "size": 8 } });
                fs::write(cache.join(&folder).join("../files.json"), list.to_string()).unwrap();
            },
            true,
        ),
        (
            "folder and layer",
            &|cache| {
                fs::write(cache.join(&folder).join("app.wasm"), b"evil").unwrap();
                fs::write(cache.join(fetched(&layer)), &evil).unwrap();
            },
            false,
        ),
        (
            "folder, layer and manifest",
            &|cache| {
                fs::write(cache.join(&folder).join("app.wasm"), b"evil").unwrap();
                fs::write(cache.join(fetched(&evil)), &evil).unwrap();
                let forged = json!({
                    "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": descriptor("c", b"{}"),
                    "layers": [descriptor(LAYER, &evil)],
                });
                assert_eq!(digest_of(forged.to_string().as_bytes()), of_evil);
                fs::write(cache.join(&manifest), forged.to_string()).unwrap();
            },
            false,
        ),
        (
            "the folder is a link",
            &|cache| {
                let away = cache.join("away");
                fs::rename(cache.join(&folder), &away).unwrap();
                std::os::unix::fs::symlink(&away, cache.join(&folder)).unwrap();
            },
            true,
        ),
    ];
    for (what, change, without_network) in rows {
        let mut machine = Machine::new();
        machine.pull(&pinned).await.unwrap();
        change(machine.folder.path());
        machine.offline = true;
        for offline in [true, false] {
            machine.offline = offline;
            let pulled = machine.pull(&pinned).await;
            if offline && !without_network {
                assert!(matches!(pulled, Err(PullError::Offline)), "{what}: {pulled:?}");
                continue;
            }
            let PulledContent::App(folder) = pulled.unwrap().content else {
                panic!("{what}");
            };
            assert_eq!(fs::read(folder.join("app.wasm")).unwrap(), b"code", "{what}");
        }
    }
}
