use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::*;
use crate::http::{FetchOptions, Fetcher, HeaderMap};
use crate::progress::Quiet;
use crate::test_server::{STOP, Server, answer};

const CONTENT: &str = "the content";

fn digest_of(content: &str) -> Digest {
    let hash = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
    Digest::parse(&format!("sha256:{}", hex(hash.as_ref()))).unwrap()
}

fn whole() -> Vec<u8> {
    answer(&format!("200 OK\r\ncontent-length: {}", CONTENT.len()), CONTENT)
}

fn fetcher() -> Fetcher {
    Fetcher::new(FetchOptions {
        stall_timeout: Duration::from_millis(500),
        ..FetchOptions::default()
    })
}

async fn fetch(cache: &Cache, digest: &Digest, url: &str) -> Result<CachedFile, FillError> {
    match cache.claim(digest, "it", &Quiet).await? {
        Claim::There(file) => Ok(file),
        Claim::Vacant(mut vacancy) => {
            let mut response = fetcher().get(url, HeaderMap::new()).await?;
            vacancy.fill(&mut response, "it", &Quiet).await
        }
    }
}

fn files_in(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn many_who_want_the_same_fetch_it_once() {
    let server = Server::start(|_, _| whole()).await;
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(Some(directory.path()), None);
    let digest = digest_of(CONTENT);
    let url = server.url("/");
    let all = (0..8).map(|_| fetch(&cache, &digest, &url));
    for file in futures::future::join_all(all).await {
        let file = file.unwrap();
        assert_eq!(fs::read_to_string(&file.path).unwrap(), CONTENT);
        assert_eq!(file.digest, digest);
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    assert_eq!(files_in(&directory.path().join("fetched")), [digest.hex()]);
}

#[tokio::test]
async fn nothing_is_kept_that_did_not_come_whole_or_is_another() {
    let server = Server::start(|request, _| match request.split(' ').nth(1) {
        Some("/other") => answer("200 OK\r\ncontent-length: 5", "other"),
        Some("/truncated") => answer(&format!("200 OK\r\ncontent-length: {}", CONTENT.len()), "the con"),
        _ => [answer("200 OK\r\ncontent-length: 11", "the con"), STOP.to_vec()].concat(),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(Some(directory.path()), None);
    let digest = digest_of(CONTENT);
    for path in ["/other", "/truncated", "/stopped"] {
        let failed = fetch(&cache, &digest, &server.url(path)).await;
        assert!(matches!(failed, Err(FillError::Fetch(_))), "{path}");
        assert_eq!(cache.find(&digest).unwrap(), Found::Missing, "{path}");
        assert!(files_in(&directory.path().join("fetched")).is_empty(), "{path}");
    }
}

#[tokio::test]
async fn what_others_left_behind_is_removed_and_begun_anew() {
    let server = Server::start(|_, _| whole()).await;
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(Some(directory.path()), None);
    let digest = digest_of(CONTENT);
    let fetched = directory.path().join("fetched");
    fs::DirBuilder::new().create(&fetched).unwrap();
    fs::set_permissions(&fetched, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(fetched.join(part_of(&digest)), "half of something longer than it").unwrap();
    fs::write(fetched.join(part_of(&digest_of("another"))), "half").unwrap();
    let file = fetch(&cache, &digest, &server.url("/")).await.unwrap();
    assert_eq!(fs::read_to_string(file.path).unwrap(), CONTENT);
    assert_eq!(files_in(&fetched), [digest.hex()]);
}

#[tokio::test]
async fn a_file_that_was_changed_is_found_out_and_replaced() {
    let server = Server::start(|_, _| whole()).await;
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(Some(directory.path()), None);
    let digest = digest_of(CONTENT);
    let file = fetch(&cache, &digest, &server.url("/")).await.unwrap();
    fs::write(&file.path, "changed").unwrap();
    assert_eq!(cache.find(&digest).unwrap(), Found::Damaged(file.path.clone()));
    let again = fetch(&cache, &digest, &server.url("/")).await.unwrap();
    assert_eq!(again, file);
    assert_eq!(fs::read_to_string(&file.path).unwrap(), CONTENT);
}

/// Keeps what was waited for.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn begin(&self, name: &str, total: Option<u64>) -> Box<dyn Transfer> {
        Quiet.begin(name, total)
    }

    fn wait(&self, name: &str) {
        self.0.lock().unwrap().push(name.to_owned());
    }
}

#[tokio::test]
async fn who_gets_nowhere_is_not_waited_for_and_who_takes_long_neither() {
    let short = Duration::from_millis(100);
    let long = Duration::from_secs(3600);
    for (at_a_standstill, at_most, grows) in [(short * 2, long, false), (long, short * 4, true)] {
        let directory = tempfile::tempdir().unwrap();
        let mut cache = Cache::new(Some(directory.path()), None);
        cache.patience = Patience {
            in_silence: short,
            at_a_standstill,
            at_most,
        };
        let digest = digest_of(CONTENT);
        let Claim::Vacant(mut first) = cache.claim(&digest, "it", &Quiet).await.unwrap() else {
            panic!("it is there");
        };
        let told = Told::default();
        let second = async {
            let claimed = cache.claim(&digest, "the code", &told).await.unwrap();
            let Claim::Vacant(mut second) = claimed else {
                panic!("it is there");
            };
            let server = Server::start(|_, _| whole()).await;
            let mut response = fetcher().get(&server.url("/"), HeaderMap::new()).await.unwrap();
            second.fill(&mut response, "it", &Quiet).await.unwrap()
        };
        let drip = async {
            for _ in 0..if grows { 1_000 } else { 0 } {
                first.locked.file().write_all(b"x").unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            std::future::pending::<()>().await;
        };
        let file = tokio::select! {
            file = second => file,
            () = drip => unreachable!(),
        };
        assert_eq!(fs::read_to_string(&file.path).unwrap(), CONTENT);
        assert_eq!(*told.0.lock().unwrap(), ["the code"]);
        // The first one may still be done, with the same bytes.
        let server = Server::start(|_, _| whole()).await;
        let mut response = fetcher().get(&server.url("/"), HeaderMap::new()).await.unwrap();
        first.fill(&mut response, "it", &Quiet).await.unwrap();
        drop(first);
        assert_eq!(files_in(&directory.path().join("fetched")), [digest.hex()]);
    }
}

#[tokio::test]
async fn what_is_in_the_way_of_a_file_is_said_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(Some(directory.path()), None);
    let digest = digest_of(CONTENT);
    drop(cache.claim(&digest, "it", &Quiet).await.unwrap());
    for name in [digest.hex().to_owned(), format!("{}{PART}", digest.hex())] {
        let place = directory.path().join("fetched").join(name);
        let is_said = async || {
            let refused = cache.claim(&digest, "it", &Quiet).await;
            assert!(matches!(refused, Err(CacheError::InTheWay { path }) if path == place));
        };
        fs::create_dir(&place).unwrap();
        is_said().await;
        fs::remove_dir(&place).unwrap();
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &place, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        if place.extension().is_some() {
            is_said().await;
            fs::remove_file(&place).unwrap();
        } else {
            let server = Server::start(|_, _| whole()).await;
            let file = fetch(&cache, &digest, &server.url("/")).await.unwrap();
            assert_eq!(fs::read_to_string(&file.path).unwrap(), CONTENT);
            fs::remove_file(&place).unwrap();
        }
    }
}

#[test]
fn files_of_spin_and_of_others_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let (own, users) = (directory.path().join("own"), directory.path().join("users"));
    let cache = Cache::new(Some(&own), Some(&users));
    let digest = digest_of(CONTENT);
    assert_eq!(cache.find(&digest).unwrap(), Found::Missing);
    for place in cache.places(&digest) {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, CONTENT).unwrap();
        let found = cache.find(&digest).unwrap();
        assert!(matches!(found, Found::There(file) if file.path == place));
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        assert_eq!(cache.find(&digest).unwrap(), Found::Missing);
        fs::remove_dir(&place).unwrap();
    }
}

#[tokio::test]
async fn nothing_is_written_where_others_could() {
    let directory = tempfile::tempdir().unwrap();
    let fetched = directory.path().join("fetched");
    fs::create_dir(&fetched).unwrap();
    fs::set_permissions(&fetched, fs::Permissions::from_mode(0o777)).unwrap();
    let cache = Cache::new(Some(directory.path()), None);
    let refused = cache.claim(&digest_of(CONTENT), "it", &Quiet).await;
    assert!(matches!(
        refused,
        Err(CacheError::Unsafe(UnsafeDirectory::WritableByOthers {
            mode: 0o777,
            ..
        }))
    ));
    let nowhere = Cache::new(None, None)
        .claim(&digest_of(CONTENT), "it", &Quiet)
        .await;
    assert!(matches!(nowhere, Err(CacheError::NoDirectory)));
}
