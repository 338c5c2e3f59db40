//! Code from elsewhere: URLs and packages, the cache, the lock file, and servers that lie.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use outport_e2e::guest;
use outport_e2e::http::read_head;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::script::results;
use outport_e2e::tls::{Authority, TlsPeer};
use outport_e2e::until::until;
use rustix::process::Signal;
use sha2::{Digest, Sha256};

use crate::stores::can_mount;

/// A web server that answers with bytes, whether they are HTTP or not.
struct WebServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    pages: Arc<Mutex<HashMap<String, Page>>>,
}

#[derive(Clone)]
enum Page {
    /// All of it, and the end of the connection.
    Whole(Vec<u8>),
    /// That much, and silence.
    Stops(Vec<u8>),
    /// That, again and again.
    Endless(Vec<u8>),
}

impl WebServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = Self {
            address: listener.local_addr().expect("an address"),
            asked: Arc::default(),
            pages: Arc::default(),
        };
        let (asked, pages) = (Arc::clone(&server.asked), Arc::clone(&server.pages));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, pages) = (Arc::clone(&asked), Arc::clone(&pages));
                thread::spawn(move || answer(&stream, &asked, &pages));
            }
        });
        server
    }

    fn page(&self, path: &str, page: Page) {
        self.pages.lock().expect("pages").insert(path.to_owned(), page);
    }

    /// A file that is there.
    fn file(&self, path: &str, content: &[u8]) {
        self.page(path, Page::Whole(with_length(content.len(), content)));
    }

    fn redirect(&self, path: &str, to: &str) {
        let head =
            format!("HTTP/1.1 302 Found\r\ncontent-length: 0\r\nconnection: close\r\nlocation: {to}\r\n\r\n");
        self.page(path, Page::Whole(head.into_bytes()));
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: &TcpStream, asked: &AtomicUsize, pages: &Mutex<HashMap<String, Page>>) {
    let Ok(head) = read_head(&mut BufReader::new(stream)) else {
        return;
    };
    let path = head.first.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.fetch_add(1, Ordering::SeqCst);
    let page = pages.lock().expect("pages").get(&path).cloned();
    let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
    let _ = match page.unwrap_or(Page::Whole(none)) {
        Page::Whole(bytes) => stream.write_all(&bytes),
        Page::Stops(bytes) => stream
            .write_all(&bytes)
            .and_then(|()| io::copy(&mut stream, &mut io::sink()).map(|_| ())),
        Page::Endless(bytes) => loop {
            if let Err(error) = stream.write_all(&bytes) {
                break Err(error);
            }
        },
    };
}

fn with_length(length: usize, content: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), content].concat()
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(content))
}

fn script_guest() -> Vec<u8> {
    fs::read(guest::script_guest()).expect("a committed guest")
}

/// An app of one command, whose code is at `url`.
fn app(url: &str, digest: &str) -> Outport {
    Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"far\"\n[[trigger.command]]\ncomponent = \"far\"\n\
         args = [\"print here\"]\n[component.far]\nsource = {{ url = \"{url}\", digest = \"{digest}\" }}\n"
    ))
}

fn files_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// A cache of the test's own, which outlives its commands.
struct Cache(tempfile::TempDir);

impl Cache {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn option(&self) -> String {
        format!("--cache-dir={}", self.0.path().display())
    }

    fn fetched(&self) -> PathBuf {
        self.0.path().join("fetched")
    }
}

#[track_caller]
fn assert_ran(finished: Finished) {
    let finished = finished.expect_code(0);
    assert_eq!(results(&finished.stdout).len(), 1, "{finished}");
}

#[test]
fn code_from_a_url_is_fetched_once_and_then_comes_from_the_cache() {
    let (server, cache) = (WebServer::start(), Cache::new());
    let (code, url) = (script_guest(), server.url("/moved"));
    server.file("/far.wasm", &code);
    server.redirect("/moved", "/far.wasm");
    let far = |command: &'static str| match command {
        "up" => app(&url, &digest(&code)).option(cache.option()),
        other => Outport::command(other).option(cache.option()).manifest(
            &fs::read_to_string(app(&url, &digest(&code)).folder().join("spin.toml")).expect("a manifest"),
        ),
    };
    let offline = far("up").option("--offline").finish().expect_code(2);
    assert!(offline.stderr.contains("is not in the cache"), "{offline}");
    assert!(offline.stderr.contains("spin.toml:7:10"), "{offline}");
    assert_eq!(server.asked(), 0);
    let inspected = far("inspect").finish().expect_code(0);
    assert!(inspected.stdout.contains("a component"), "{inspected}");
    assert_eq!(server.asked(), 2);
    far("check").option("--offline").finish().expect_code(0);
    assert_ran(far("up").finish());
    assert_ran(far("up").option("--offline").finish());
    assert_eq!(server.asked(), 2);
    assert_eq!(files_in(&cache.fetched()), [digest(&code).replace("sha256:", "")]);

    // Nothing in the cache is believed.
    fs::write(
        cache.fetched().join(digest(&code).replace("sha256:", "")),
        "changed",
    )
    .expect("a file of ours");
    let changed = far("up").option("--offline").finish().expect_code(2);
    assert!(changed.stderr.contains("in the cache was changed"), "{changed}");
    assert_ran(far("up").finish());
    assert_eq!(server.asked(), 4);
}

#[test]
fn whatever_a_server_lies_about_is_an_error_with_its_place_and_leaves_nothing() {
    let (server, cache) = (WebServer::start(), Cache::new());
    let code = script_guest();
    let rows = [
        ("/other", "has the digest sha256:"),
        ("/truncated", "the transfer broke off"),
        ("/endless", "more than 1048576 bytes"),
        ("/announced", "more than 1048576 bytes"),
        ("/stops", "the server stopped"),
        ("/silent", "the server stopped"),
        ("/nonsense", "the transfer broke off"),
        ("/missing", "404 Not Found: there is no such file"),
        ("/missing?token=SECRET", "404 Not Found: there is no such file"),
        ("/broken", "500 Internal Server Error"),
        ("/loop", "leads on more than 10 times"),
        ("/metadata", "link-local addresses or metadata services"),
        ("/file", "leads to a `file` address"),
    ];
    let length = code.len();
    server.file("/other", b"\0asm another");
    server.page("/truncated", Page::Whole(with_length(length, &code[..1000])));
    server.page("/stops", Page::Stops(with_length(length, &code[..1000])));
    server.page("/silent", Page::Stops(Vec::new()));
    server.page("/announced", Page::Stops(with_length(1 << 40, &code)));
    server.page("/nonsense", Page::Whole(b"SSH-2.0-OpenSSH\r\n".to_vec()));
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = [b"8000\r\n".as_slice(), &vec![0; 0x8000], b"\r\n"].concat();
    server.page(
        "/endless",
        Page::Endless([head.as_slice(), &chunks.repeat(64)].concat()),
    );
    let broken = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    server.page("/broken", Page::Whole(broken.to_vec()));
    server.redirect("/loop", "/loop");
    server.redirect("/metadata", "http://169.254.169.254/latest/meta-data/");
    server.redirect("/file", "file:///etc/passwd");
    let mut manifest = "spin_manifest_version = 2\napplication.name = \"far\"\n".to_owned();
    for (number, (path, _)) in rows.iter().enumerate() {
        manifest += &format!(
            "[[trigger.command]]\ncomponent = \"c{number}\"\n[component.c{number}]\n\
             source = {{ url = \"{}\", digest = \"{}\" }}\n",
            server.url(path),
            // All others than themselves.
            digest(&[code.as_slice(), path.as_bytes()].concat())
        );
    }
    let refused = Outport::up(&manifest)
        .options([cache.option().as_str(), "--max-download=1M", "--fetch-timeout=1s"])
        .finish()
        .expect_code(2);
    for (number, (path, message)) in rows.iter().enumerate() {
        let line = 6 + 4 * number;
        let places = refused
            .stderr
            .split("error[")
            .find(|error| error.contains(&format!("spin.toml:{line}:10")));
        let told = places.unwrap_or_else(|| panic!("{path}: nothing at line {line}\n{refused}"));
        assert!(told.contains(message), "{path}: {told}\n{refused}");
    }
    assert_eq!(files_in(&cache.fetched()), [""; 0]);
    // It may be a signature, in the line that is quoted as in the message.
    assert!(!refused.stderr.contains("SECRET"), "{refused}");
}

#[test]
fn a_url_behind_a_misspelt_key_is_quoted_without_what_may_be_secret() {
    let url = "https://me:SECRET@files.example.com/far.wasm?signature=SECRET";
    let rows = [
        format!("source = {{ ulr = \"{url}\", digest = \"sha256:00\" }}"),
        format!("source = {{ url = \"https://files.example.com\", digst = '{url}' }}"),
        format!("sorce = \"{url}\""),
    ];
    for row in rows {
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"far\"\n[[trigger.command]]\ncomponent = \"c\"\n\
             [component.c]\n{row}\n"
        );
        for command in ["up", "check"] {
            let finished = Outport::command(command).manifest(&manifest).finish();
            assert_ne!(finished.code, Some(0), "{finished}");
            assert!(
                finished.to_string().contains("files.example.com"),
                "{row}: {finished}"
            );
            assert!(!finished.to_string().contains("SECRET"), "{row}: {finished}");
        }
    }
}

#[test]
fn two_starts_at_once_fetch_once_and_one_that_is_killed_leaves_nothing_that_is_used() {
    let (server, cache) = (WebServer::start(), Cache::new());
    let code = script_guest();
    let far = || app(&server.url("/far.wasm"), &digest(&code)).option(cache.option());
    server.page(
        "/far.wasm",
        Page::Stops(with_length(code.len(), &code[..code.len() / 2])),
    );
    let first = far().start();
    until("the first one fetches", || server.asked() == 1);
    let part = cache
        .fetched()
        .join(digest(&code).replace("sha256:", "") + ".part");
    until("half of it is there", || {
        fs::metadata(&part).is_ok_and(|file| file.len() >= code.len() as u64 / 2)
    });
    server.file("/far.wasm", &code);
    let others = [far().start(), far().start()];
    first.signal(Signal::KILL);
    assert_eq!(first.finish().code, None);
    for other in others {
        assert_ran(other.finish());
    }
    assert_eq!(server.asked(), 2);
    assert_eq!(files_in(&cache.fetched()), [digest(&code).replace("sha256:", "")]);
}

#[test]
fn a_cache_that_can_only_be_read_serves_what_it_has() {
    if !can_mount() {
        return;
    }
    let server = WebServer::start();
    let code = script_guest();
    server.file("/far.wasm", &code);
    let far = || {
        app(&server.url("/far.wasm"), &digest(&code))
            .option("--cache-dir=cache")
            .mounts("mount --bind cache cache && mount -o remount,ro,bind cache")
    };
    let full = far();
    let fetched = full.folder().join("cache/fetched");
    fs::create_dir_all(&fetched).expect("a folder in a folder of our own");
    let kept = fetched.join(digest(&code).replace("sha256:", ""));
    fs::write(kept, &code).expect("a file in a folder of our own");
    assert_ran(full.finish());
    let empty = far();
    fs::create_dir_all(empty.folder().join("cache/fetched")).expect("a folder in a folder of our own");
    let refused = empty.finish().expect_code(2);
    assert!(refused.stderr.contains("Read-only file system"), "{refused}");
}

#[test]
fn a_full_disk_is_an_error_and_nothing_half_written_is_used() {
    if !can_mount() {
        return;
    }
    let server = WebServer::start();
    let code = script_guest();
    server.file("/far.wasm", &code);
    let refused = app(&server.url("/far.wasm"), &digest(&code))
        .option("--cache-dir=cache")
        .mounts("mkdir cache && mount -t tmpfs -o size=64k,mode=700 tmpfs cache")
        .finish()
        .expect_code(2);
    assert!(refused.stderr.contains("No space left on device"), "{refused}");
    assert_eq!(server.asked(), 1);
}

#[test]
fn the_operators_proxy_and_authorities_are_used_and_no_redirect_leaves_tls() {
    let (plain, cache, authority) = (WebServer::start(), Cache::new(), Authority::new());
    let code = script_guest();
    plain.file("/far.wasm", &code);
    let (far, down) = (with_length(code.len(), &code), plain.url("/far.wasm"));
    let secure = TlsPeer::start(authority.identity("localhost"), move |mut client| {
        let head = read_head(&mut BufReader::new(&mut client))?;
        if head.first.starts_with("GET /far.wasm ") {
            client.write_all(&far)?;
        } else {
            write!(
                client,
                "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: {down}\r\n\r\n"
            )?;
        }
        client.conn.send_close_notify();
        client.flush()
    });
    let url = |path: &str| format!("https://localhost:{}{path}", secure.address().port());
    let inspect = |url: &str, cache: &Cache| {
        let manifest = fs::read_to_string(app(url, &digest(&code)).folder().join("spin.toml"));
        Outport::command("inspect")
            .option(cache.option())
            .manifest(&manifest.expect("a manifest"))
            .file("authority.pem", authority.pem())
    };
    let unknown = inspect(&url("/far.wasm"), &cache).finish().expect_code(2);
    assert!(unknown.stdout.contains("certificate"), "{unknown}");
    let trusting = |path: &str| inspect(&url(path), &cache).variable("SSL_CERT_FILE", "authority.pem");
    let refused = trusting("/down").finish().expect_code(2);
    assert!(refused.stdout.contains("leads from https to http"), "{refused}");
    assert_eq!(plain.asked(), 0);
    trusting("/far.wasm").finish().expect_code(0);

    // A proxy is asked for the whole address, whose name nobody here knows.
    let (proxy, cache) = (WebServer::start(), Cache::new());
    proxy.file("http://far.invalid/far.wasm", &code);
    let by_proxy = || inspect("http://far.invalid/far.wasm", &cache).variable("HTTP_PROXY", proxy.url("/"));
    let direct = by_proxy()
        .variable("NO_PROXY", "far.invalid")
        .finish()
        .expect_code(2);
    assert!(direct.stdout.contains("cannot connect"), "{direct}");
    assert_eq!(proxy.asked(), 0);
    by_proxy().finish().expect_code(0);
    assert_eq!(proxy.asked(), 1);
}

/// A directory of packages, and the settings that name it.
struct Packages(tempfile::TempDir);

impl Packages {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = folder.path().join("config/wasm-pkg");
        fs::create_dir_all(&settings).expect("a folder in a folder of our own");
        let root = folder.path().join("packages");
        let text = format!(
            "default_registry = \"here\"\n[registry.here.local]\nroot = \"{}\"\n",
            root.display()
        );
        fs::write(settings.join("config.toml"), text).expect("a file in a folder of our own");
        Self(folder)
    }

    /// The guest `callee` as a package in this version; what is behind it makes each another file.
    fn publish(&self, version: &str) {
        let mut code = fs::read(guest::path("callee")).expect("a committed guest");
        // A custom section with the version as its name.
        let name = version.as_bytes();
        code.extend([0, name.len() as u8 + 1, name.len() as u8]);
        code.extend(name);
        let folder = self.0.path().join("packages/outport/callee");
        fs::create_dir_all(&folder).expect("a folder in a folder of our own");
        fs::write(folder.join(format!("{version}.wasm")), code).expect("a file in a folder of our own");
    }

    fn with(&self, outport: Outport) -> Outport {
        outport.variable("XDG_CONFIG_HOME", self.0.path().join("config"))
    }
}

fn composed(range: &str) -> String {
    format!(
        "spin_manifest_version = 2\napplication.name = \"composed\"\n[[trigger.command]]\ncomponent = \"main\"\n\
         args = [\"callee: print there\"]\n[component.main]\nsource = \"GUESTS/caller.wasm\"\n\
         [component.main.dependencies]\n\"outport:callee/interpreter\" = \"{range}\"\n"
    )
}

#[test]
fn a_package_comes_to_what_the_lock_file_says_until_it_is_updated() {
    let packages = Packages::new();
    for version in ["1.0.0", "1.1.0", "2.0.0"] {
        packages.publish(version);
    }
    let up = |range: &str| packages.with(Outport::up(&composed(range)));
    let locked_without = up("^1.0").option("--locked").finish().expect_code(2);
    assert!(
        locked_without.stderr.contains("is not in `outport.lock`"),
        "{locked_without}"
    );

    let first = up("^1.0").start();
    first.wait_for_error_line("Locked outport:callee 1.1.0");
    let lock = fs::read_to_string(first.folder().join("outport.lock")).expect("a lock file");
    assert!(
        lock.contains("ranges = [\"^1.0\"]\nversion = \"1.1.0\""),
        "{lock}"
    );
    assert_ran(first.finish());

    packages.publish("1.2.0");
    let again = |options: &[&str], range: &str, lock: &str| {
        up(range)
            .file("outport.lock", lock)
            .options(options.iter().copied())
    };
    for options in [
        &[] as &[&str],
        &["--locked"],
        &["--offline"],
        &["--offline", "--locked"],
    ] {
        let again = again(options, "^1.0", &lock).finish();
        assert!(!again.stderr.contains("Locked"), "{again}");
        assert_ran(again);
    }
    let other = again(&["--locked"], ">=1.0.0", &lock).finish().expect_code(2);
    assert!(other.stderr.contains("`outport.lock` would change"), "{other}");

    let command = |options: &[&str]| {
        packages
            .with(Outport::command("update").manifest(&composed("^1.0")))
            .file("outport.lock", &lock)
            .options(options.iter().copied())
    };
    let updated = command(&[]).finish().expect_code(0);
    assert!(
        updated.stderr.contains("Locked outport:callee 1.1.0 → 1.2.0"),
        "{updated}"
    );
    let updated = command(&["outport:callee"]).finish().expect_code(0);
    assert!(updated.stderr.contains("1.1.0 → 1.2.0"), "{updated}");
    let unknown = command(&["outport:caller"]).finish().expect_code(2);
    assert!(
        unknown.stderr.contains("it asks for `outport:callee`"),
        "{unknown}"
    );
    let refused = command(&["--locked"]).finish().expect_code(2);
    assert!(refused.stderr.contains("1.1.0 → 1.2.0"), "{refused}");
    command(&["--offline"]).finish().expect_code(2);

    // What a manifest with a mistake does not ask for may be what cannot be read.
    let broken = packages
        .with(Outport::command("check").manifest(&composed("newest")))
        .file("outport.lock", &lock)
        .start();
    let written = broken.folder().join("outport.lock");
    broken.wait_for_line("error[manifest.source]");
    assert_eq!(fs::read_to_string(written).expect("a lock file"), lock);

    let damaged = again(&[], "^1.0", &lock.replace("sha256:", "sha256:.."))
        .finish()
        .expect_code(2);
    assert!(damaged.stderr.contains("outport.lock:10:10"), "{damaged}");
    let (before, _) = lock.split_once("digest = ").expect("a digest");
    let changed = format!("{before}digest = \"{}\"\n", digest(b"another"));
    let changed = again(&[], "^1.0", &changed).finish().expect_code(2);
    assert!(
        changed.stderr.contains("other bytes for `outport:callee` 1.1.0"),
        "{changed}"
    );
    let none = up("^3").finish().expect_code(2);
    assert!(none.stderr.contains("spin.toml:9:32"), "{none}");
    assert!(none.stderr.contains("it has 4 from 1.0.0 to 2.0.0"), "{none}");
}
