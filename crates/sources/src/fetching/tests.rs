use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use outport_manifest::VersionRange;

use super::*;
use crate::http::{FetchErrorKind, FetchOptions, Reach};
use crate::oci::RegistryError;
use crate::progress::Quiet;
use crate::test_server::{Server, answer};

fn digest_of(content: &str) -> Digest {
    let hash = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
    Digest::parse(&format!("sha256:{}", crate::cache::hex(hash.as_ref()))).unwrap()
}

fn package(name: &str, range: &str) -> Remote {
    Remote::Package(request(name, range))
}

fn request(name: &str, range: &str) -> PackageRequest {
    PackageRequest {
        name: name.into(),
        registry: None,
        versions: VersionRange::Range(range.parse().unwrap()),
    }
}

/// Everything that fetching takes, in a directory of its own.
struct Place {
    directory: tempfile::TempDir,
    fetcher: Fetcher,
    cache: Cache,
    settings: String,
}

impl Place {
    fn new(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("packages");
        Self {
            cache: Cache::new(Some(&directory.path().join("cache")), None),
            settings: settings.replace("ROOT", root.to_str().unwrap()),
            fetcher: Fetcher::new(FetchOptions::default()),
            directory,
        }
    }

    /// One whose packages are in a directory.
    fn local() -> Self {
        Self::new("default_registry = \"here\"\n[registry.here.local]\nroot = \"ROOT\"\n")
    }

    fn offline(mut self) -> Self {
        self.fetcher = Fetcher::new(FetchOptions {
            offline: true,
            ..FetchOptions::default()
        });
        self
    }

    fn publish(&self, package: &str, version: &str, content: &str) {
        let directory = self.directory.path().join("packages").join(package);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{version}.wasm")), content).unwrap();
    }

    fn lock(&self) -> LockFile {
        LockFile::beside(&self.directory.path().join("spin.toml")).unwrap()
    }

    fn sources(&self) -> Sources<'_> {
        let registries = Registries::parse(&self.settings).unwrap();
        Sources::new(&self.fetcher, &self.cache, &Quiet).with_registries(registries)
    }

    async fn fetch(
        &self,
        remote: Remote,
        lock: &mut LockFile,
        locking: Locking,
    ) -> Result<String, SourceError> {
        let sources = self.sources();
        let mut outcomes = sources.fetch(&[remote.clone(), remote], lock, locking).await;
        assert_eq!(outcomes.len(), 1);
        outcomes
            .remove(0)
            .1
            .map(|file| fs::read_to_string(file.path).unwrap())
    }
}

#[tokio::test]
async fn a_range_comes_to_the_highest_version_and_stays_there_until_it_is_updated() {
    let place = Place::local();
    for version in ["1.0.0", "1.2.0", "1.10.0", "2.0.0", "1.11.0-rc.1", "nonsense"] {
        place.publish("acme/auth", version, version);
    }
    let mut lock = place.lock();
    let auth = || package("acme:auth", "^1.0");
    assert_eq!(
        place.fetch(auth(), &mut lock, Locking::Add).await.unwrap(),
        "1.10.0"
    );
    lock.write().unwrap();
    place.publish("acme/auth", "1.12.0", "1.12.0");
    let mut lock = place.lock();
    assert_eq!(
        place.fetch(auth(), &mut lock, Locking::Keep).await.unwrap(),
        "1.10.0"
    );
    assert!(!lock.is_outdated());
    let outcomes = place
        .sources()
        .update(&[request("acme:auth", "^1.0")], &mut lock)
        .await;
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
    assert_eq!(lock.changes().len(), 1);
    assert_eq!(
        place.fetch(auth(), &mut lock, Locking::Keep).await.unwrap(),
        "1.12.0"
    );
    let exact = package("acme:auth", "=1.11.0-rc.1");
    assert_eq!(
        place.fetch(exact, &mut lock, Locking::Add).await.unwrap(),
        "1.11.0-rc.1"
    );
}

#[tokio::test]
async fn an_app_from_outside_names_nothing_inside_but_what_the_settings_name() {
    let server = Server::start(|_, _| answer("404 Not Found\r\ncontent-length: 0", "")).await;
    let registry = format!("127.0.0.1:{}", server.port);
    let outside = |settings: &str| {
        let mut place = Place::new(settings);
        place.fetcher = Fetcher::new(FetchOptions {
            reach: Reach::Outside,
            ..FetchOptions::default()
        });
        place
    };
    let of_registry = || {
        Remote::Package(PackageRequest {
            registry: Some(registry.clone()),
            ..request("acme:auth", "^1.0")
        })
    };
    let of_url = Remote::Url {
        url: server.url("/admin/reset"),
        digest: digest_of("code"),
    };
    let place = outside("");
    for remote in [of_url, of_registry()] {
        let refused = place
            .fetch(remote, &mut place.lock(), Locking::Add)
            .await
            .unwrap_err();
        let (SourceError::Fetch(error)
        | SourceError::Package(PackageError::Registry(RegistryError::Fetch(error)))) = refused
        else {
            panic!("{refused}");
        };
        assert!(matches!(error.kind(), FetchErrorKind::RedirectInside), "{error}");
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);
    let place = outside(&format!("default_registry = \"{registry}\""));
    for remote in [of_registry(), package("acme:auth", "^1.0")] {
        let asked = place
            .fetch(remote, &mut place.lock(), Locking::Add)
            .await
            .unwrap_err();
        let is_there = matches!(asked, SourceError::Package(PackageError::NoPackage { .. }));
        assert!(is_there, "{asked}");
    }
}

#[tokio::test]
async fn a_version_that_was_published_anew_is_refused() {
    let place = Place::local();
    place.publish("acme/auth", "1.0.0", "first");
    let mut lock = place.lock();
    let auth = || package("acme:auth", "^1.0");
    assert_eq!(
        place.fetch(auth(), &mut lock, Locking::Add).await.unwrap(),
        "first"
    );
    place.publish("acme/auth", "1.0.0", "second");
    let changed = place.fetch(auth(), &mut lock, Locking::Add).await;
    assert!(
        matches!(&changed, Err(SourceError::Package(PackageError::Changed { found, .. })) if *found == digest_of("second")),
        "{changed:?}"
    );
}

#[tokio::test]
async fn what_a_package_lacks_is_said() {
    let place = Place::local();
    place.publish("acme/auth", "1.0.0", "1.0.0");
    let mut lock = place.lock();
    let wrong = place
        .fetch(package("acme:auth", "^3"), &mut lock, Locking::Add)
        .await
        .unwrap_err();
    assert!(wrong.to_string().ends_with("that is ^3; it has 1.0.0"), "{wrong}");
    let wrong = place
        .fetch(package("acme:none", "*"), &mut lock, Locking::Add)
        .await
        .unwrap_err();
    assert!(
        matches!(wrong, SourceError::Package(PackageError::NoPackage { .. })),
        "{wrong}"
    );
    let wrong = place
        .fetch(package("acme:auth", "*"), &mut lock, Locking::Keep)
        .await
        .unwrap_err();
    assert!(matches!(wrong, SourceError::NotLocked(_)), "{wrong}");
    // An exact version is told like a range: by what there is instead.
    for (name, ending) in [
        ("acme:auth", "that is =3.0.0; it has 1.0.0"),
        ("acme:none", "has no package `acme:none`"),
    ] {
        let exact = PackageRequest {
            name: name.to_owned(),
            registry: None,
            versions: VersionRange::Exact(semver::Version::new(3, 0, 0)),
        };
        let wrong = place
            .fetch(Remote::Package(exact), &mut lock, Locking::Add)
            .await
            .unwrap_err();
        assert!(wrong.to_string().ends_with(ending), "{wrong}");
    }
    let nowhere = Place::new("");
    let wrong = nowhere
        .fetch(package("acme:auth", "*"), &mut lock, Locking::Add)
        .await
        .unwrap_err();
    assert!(
        matches!(wrong, SourceError::Package(PackageError::NoRegistry { .. })),
        "{wrong}"
    );
    assert!(!lock.is_outdated());
}

/// What a registry of one package answers: `acme:auth`, whose code is its version.
fn registry(request: &str) -> Vec<u8> {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let json = |text: String| answer(&format!("200 OK\r\ncontent-length: {}", text.len()), &text);
    let blob = |content: &str| {
        format!(
            "{{\"mediaType\": \"application/wasm\", \"digest\": \"{}\", \"size\": {}}}",
            digest_of(content),
            content.len()
        )
    };
    if path == "/v2/" {
        return json("{}".into());
    }
    if path == "/.well-known/wasm-pkg/registry.json" {
        return json("{\"preferredProtocol\": \"oci\", \"oci\": {\"namespacePrefix\": \"pre/\"}}".into());
    }
    if path.starts_with("/v2/pre/acme/auth/tags/list") {
        return json(
            "{\"name\": \"x\", \"tags\": [\"1.0.0\", \"1.1.0\", \"sha256-abc.sig\", \"../../x\"]}".into(),
        );
    }
    if let Some(version) = path.strip_prefix("/v2/pre/acme/auth/manifests/") {
        let manifest = format!(
            "{{\"schemaVersion\": 2, \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\", \"config\": \
             {{\"mediaType\": \"application/vnd.wasm.config.v0+json\", \"digest\": \"{}\", \"size\": 2}}, \"layers\": [{}]}}",
            digest_of("{}"),
            blob(version)
        );
        return json(manifest);
    }
    let of = |version: &str| path == format!("/v2/pre/acme/auth/blobs/{}", digest_of(version));
    match ["1.0.0", "1.1.0"].into_iter().find(|version| of(version)) {
        Some(version) => json(version.to_owned()),
        None => answer("404 Not Found\r\ncontent-length: 0", ""),
    }
}

#[tokio::test]
async fn packages_come_from_the_registry_that_the_settings_name() {
    let server = Server::start(|request, _| registry(request)).await;
    let settings = format!("[namespace_registries]\nacme = \"localhost:{}\"\n", server.port);
    let place = Place::new(&settings);
    let mut lock = place.lock();
    let auth = || package("acme:auth", "^1.0");
    assert_eq!(
        place.fetch(auth(), &mut lock, Locking::Add).await.unwrap(),
        "1.1.0"
    );
    lock.write().unwrap();
    // From here on neither the registry nor its settings are needed.
    server.asked.store(0, Ordering::SeqCst);
    let place = Place {
        settings: String::new(),
        ..place
    };
    assert_eq!(
        place.fetch(auth(), &mut lock, Locking::Keep).await.unwrap(),
        "1.1.0"
    );
    let place = place.offline();
    assert_eq!(
        place
            .fetch(auth(), &mut place.lock(), Locking::Keep)
            .await
            .unwrap(),
        "1.1.0"
    );
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);
    let unlocked = Place::new(&settings).offline();
    let wrong = unlocked
        .fetch(auth(), &mut unlocked.lock(), Locking::Add)
        .await
        .unwrap_err();
    assert!(
        matches!(wrong, SourceError::Package(PackageError::Offline { .. })),
        "{wrong}"
    );
    let wrong = unlocked
        .fetch(auth(), &mut place.lock(), Locking::Add)
        .await
        .unwrap_err();
    assert!(matches!(wrong, SourceError::NotInCache { .. }), "{wrong}");
    let named = Remote::Package(PackageRequest {
        registry: Some(format!("localhost:{}", server.port)),
        ..request("acme:auth", "=1.0.0")
    });
    let place = Place::new("");
    assert_eq!(
        place.fetch(named, &mut place.lock(), Locking::Add).await.unwrap(),
        "1.0.0"
    );
}

#[tokio::test]
async fn a_registry_cannot_name_a_directory_of_this_machine() {
    let server = Server::start(|_, _| {
        let metadata = "{\"preferredProtocol\": \"local\", \"local\": {\"root\": \"/etc\"}}";
        answer(&format!("200 OK\r\ncontent-length: {}", metadata.len()), metadata)
    })
    .await;
    let place = Place::new(&format!("default_registry = \"localhost:{}\"\n", server.port));
    let wrong = place
        .fetch(package("acme:auth", "*"), &mut place.lock(), Locking::Add)
        .await
        .unwrap_err();
    assert!(
        matches!(wrong, SourceError::Package(PackageError::Metadata { .. })),
        "{wrong}"
    );
}

#[tokio::test]
async fn a_transfer_that_breaks_off_is_begun_again() {
    let server = Server::start(|_, number| match number {
        0 => answer("200 OK\r\ncontent-length: 5", "wh"),
        _ => answer("200 OK\r\ncontent-length: 5", "whole"),
    })
    .await;
    let place = Place::new("");
    let remote = |content: &str| Remote::Url {
        url: server.url("/a.wasm"),
        digest: digest_of(content),
    };
    let mut lock = place.lock();
    assert_eq!(
        place
            .fetch(remote("whole"), &mut lock, Locking::Add)
            .await
            .unwrap(),
        "whole"
    );
    assert_eq!(server.asked.load(Ordering::SeqCst), 2);
    assert!(!lock.is_outdated());
    let place = place.offline();
    assert_eq!(
        place
            .fetch(remote("whole"), &mut lock, Locking::Add)
            .await
            .unwrap(),
        "whole"
    );
    let wrong = place
        .fetch(remote("other"), &mut lock, Locking::Add)
        .await
        .unwrap_err();
    let expected: PathBuf = place.cache.places(&digest_of("other")).remove(0);
    assert!(
        matches!(&wrong, SourceError::NotInCache { place: Some(place), .. } if *place == expected),
        "{wrong}"
    );
}
