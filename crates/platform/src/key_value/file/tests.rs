use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::table::TABLE;
use super::*;
use crate::embedded_sqlite::{MOST_IN_MEMORY, PATIENCE, open_directly};

fn store(path: &Path, label: &str) -> FileStore {
    FileStore::new(Arc::new(Database::file(path.to_owned())), label)
}

fn set_directly(connection: &Connection, label: &str, key: &str, value: &[u8]) {
    table::set(connection, label, key, value).unwrap();
}

fn set(pairs: &[(&str, &[u8])]) -> Change {
    Change::Set(
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_vec()))
            .collect(),
    )
}

async fn all_keys(store: &FileStore) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let some = store.keys(all.last().cloned(), None).await.unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

// proves: HI-5
#[tokio::test]
async fn a_store_has_what_was_set_in_it_and_nothing_of_another_label_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::file(folder.path().join("kv.db")));
    for database in [database, Arc::new(Database::memory())] {
        let (one, other) = (
            FileStore::new(database.clone(), "one"),
            FileStore::new(database, "other"),
        );
        assert_eq!(one.get("a", None).await, Ok(None));
        let large = vec![7; 100_000];
        let pairs = set(&[("a", b"1"), ("", b""), ("ключ\0", &large)]);
        assert_eq!(one.change(pairs, None).await, Ok(Changed::Done));
        // By the quick way and by the slow one, before and after a connection is there.
        for _ in 0..2 {
            assert_eq!(one.get("a", None).await, Ok(Some(b"1".to_vec())));
            assert_eq!(one.get("", None).await, Ok(Some(Vec::new())));
            assert_eq!(one.get("ключ\0", None).await, Ok(Some(large.clone())));
            assert_eq!(one.exists("", None).await, Ok(true));
            assert_eq!(other.get("a", None).await, Ok(None));
            assert_eq!(other.exists("a", None).await, Ok(false));
        }
        assert_eq!(all_keys(&one).await, ["", "a", "ключ\0"]);
        assert!(all_keys(&other).await.is_empty());
        let keys = vec!["a".to_owned(), "nothing".to_owned()];
        assert_eq!(one.change(Change::Delete(keys), None).await, Ok(Changed::Done));
        assert_eq!(one.exists("a", None).await, Ok(false));
    }
}

#[tokio::test]
async fn more_keys_than_are_read_at_a_time_are_all_listed_once() {
    let store = FileStore::new(Arc::new(Database::memory()), "many");
    let mut names: Vec<String> = (0..2_500).map(|number| format!("key-{number}")).collect();
    names.push("long".repeat(100_000));
    let pairs = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    store.change(Change::Set(pairs), None).await.unwrap();
    names.sort_unstable();
    assert_eq!(all_keys(&store).await, names);
}

#[tokio::test]
async fn numbers_are_added_to_and_what_is_none_is_an_error_and_stays() {
    let store = FileStore::new(Arc::new(Database::memory()), "numbers");
    let add = |key: &str, delta| Change::Add {
        key: key.to_owned(),
        delta,
    };
    // (key, value before, what is added, the number then or the error)
    type Row = (
        &'static str,
        Option<&'static [u8]>,
        i64,
        Result<i64, &'static str>,
    );
    const MOST: [u8; 8] = i64::MAX.to_le_bytes();
    const LEAST: [u8; 8] = i64::MIN.to_le_bytes();
    let rows: [Row; 7] = [
        ("new", None, 5, Ok(5)),
        ("new", None, -7, Ok(-2)),
        ("zero", Some(&[0; 8]), 0, Ok(0)),
        (
            "short",
            Some(b"7"),
            1,
            Err("the value is not a number of 8 bytes"),
        ),
        (
            "long",
            Some(&[0; 9]),
            1,
            Err("the value is not a number of 8 bytes"),
        ),
        (
            "most",
            Some(&MOST),
            1,
            Err("the number would not fit into 64 bits"),
        ),
        (
            "least",
            Some(&LEAST),
            -1,
            Err("the number would not fit into 64 bits"),
        ),
    ];
    for (key, before, delta, expected) in rows {
        if let Some(before) = before {
            store.change(set(&[(key, before)]), None).await.unwrap();
        }
        let before = store.get(key, None).await.unwrap();
        let answer = store.change(add(key, delta), None).await;
        match expected {
            Ok(number) => assert_eq!(answer, Ok(Changed::Number(number)), "{key}"),
            Err(text) => {
                assert_eq!(answer, Err(StoreError(text.to_owned())), "{key}");
                assert_eq!(store.get(key, None).await.unwrap(), before, "{key}");
            }
        }
    }
}

#[tokio::test]
async fn a_value_is_swapped_if_it_is_what_was_seen() {
    let store = FileStore::new(Arc::new(Database::memory()), "swap");
    let swap = |from: Option<&[u8]>, to: &[u8]| Change::Swap {
        key: "k".to_owned(),
        from: from.map(<[u8]>::to_vec),
        to: to.to_vec(),
    };
    for (from, to, expected, then) in [
        (Some(&b"a"[..]), &b"x"[..], Changed::Not, None),
        (None, b"a", Changed::Done, Some(&b"a"[..])),
        (None, b"b", Changed::Not, Some(b"a")),
        (Some(b"b"), b"c", Changed::Not, Some(b"a")),
        (Some(b"a"), b"c", Changed::Done, Some(b"c")),
    ] {
        assert_eq!(store.change(swap(from, to), None).await, Ok(expected), "{from:?}");
        assert_eq!(store.get("k", None).await.unwrap().as_deref(), then, "{from:?}");
    }
}

/// A file whose rows somebody else made, among them some that no guest can have made.
#[tokio::test]
async fn a_file_of_spins_is_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sqlite_key_value.db");
    let spin = open_directly(&path);
    spin.execute_batch(
        "CREATE TABLE IF NOT EXISTS spin_key_value (
            store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key)
         );
         INSERT INTO spin_key_value VALUES ('default', 'blob', x'00ff'), ('default', 'text', 'täxt'),
            ('default', 'number', 7), ('other', 'blob', x'01'), ('default', x'00', x'02');
         CREATE TRIGGER hostile AFTER INSERT ON spin_key_value BEGIN DELETE FROM spin_key_value; END;",
    )
    .unwrap();
    let store = store(&path, "default");
    assert_eq!(store.get("blob", None).await, Ok(Some(vec![0, 255])));
    assert_eq!(
        store.get("text", None).await,
        Ok(Some("täxt".as_bytes().to_vec()))
    );
    assert!(store.get("number", None).await.is_err());
    assert_eq!(all_keys(&store).await, ["blob", "number", "text"]);
    store.change(set(&[("mine", b"1")]), None).await.unwrap();
    let count = |sql: &str| spin.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM spin_key_value"), 6);
    assert_eq!(
        count("SELECT value = x'31' FROM spin_key_value WHERE key = 'mine'"),
        1
    );
}

// proves: HI-7
#[tokio::test]
async fn a_file_that_is_damaged_or_no_database_or_not_there_to_be_made_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    fs::write(
        &text,
        "this is no database at all, and long enough for its first page to be looked at".repeat(50),
    )
    .unwrap();
    let directory = folder.path().join("directory.db");
    fs::create_dir(&directory).unwrap();
    let nowhere = folder.path().join("no/such/folder/kv.db");
    let damaged = folder.path().join("damaged.db");
    let whole = open_directly(&damaged);
    whole.execute_batch(TABLE).unwrap();
    whole.execute_batch("BEGIN").unwrap();
    for number in 0..2_000 {
        set_directly(&whole, "default", &number.to_string(), &[1; 100]);
    }
    whole.execute_batch("COMMIT").unwrap();
    drop(whole);
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(&damaged, &bytes).unwrap();
    for (path, says) in [
        (&text, "it is not a database"),
        (&directory, "it cannot be opened"),
        (&nowhere, "it cannot be opened"),
        (&damaged, "it is damaged"),
    ] {
        let store = store(path, "default");
        let error = match store.get("7", None).await {
            Err(error) => error,
            Ok(found) => store
                .change(set(&[("7", b"x")]), None)
                .await
                .expect_err(&format!("{found:?}")),
        };
        assert!(error.to_string().ends_with(says), "{}: {error}", path.display());
    }
    assert!(fs::read(&text).unwrap().starts_with(b"this is no database"));
}

// proves: HI-7
#[tokio::test]
async fn a_file_that_another_process_has_locked_is_waited_for_a_bounded_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.db");
    let store = store(&path, "default");
    let large = vec![1; 100_000];
    store
        .change(set(&[("a", b"1"), ("large", &large)]), None)
        .await
        .unwrap();
    let other = open_directly(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    let reads = async {
        // By then there is one who waits for the lock.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let read = (store.get("a", None).await, store.get("large", None).await);
        (read, begun.elapsed())
    };
    let (((small, slow), elapsed), written) = tokio::join!(reads, store.change(set(&[("a", b"2")]), None));
    assert_eq!(small, Ok(Some(b"1".to_vec())));
    assert_eq!(slow, Ok(Some(large)));
    assert!(
        elapsed < PATIENCE,
        "who reads does not wait for who writes: {elapsed:?}"
    );
    let error = written.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the store was not written: another process has it locked"
    );
    assert!(begun.elapsed() < PATIENCE * 4, "{:?}", begun.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.change(set(&[("a", b"2")]), None).await, Ok(Changed::Done));
    assert_eq!(store.get("a", None).await, Ok(Some(b"2".to_vec())));
}

#[tokio::test]
async fn changes_that_come_together_are_each_made_or_refused_by_themselves() {
    let store = FileStore::new(Arc::new(Database::memory()), "together");
    store.change(set(&[("text", b"no number")]), None).await.unwrap();
    let add = |key: &'static str| {
        store.change(
            Change::Add {
                key: key.to_owned(),
                delta: 1,
            },
            None,
        )
    };
    let mut all = Vec::new();
    for _ in 0..100 {
        let (good, bad) = tokio::join!(add("number"), add("text"));
        assert!(bad.is_err());
        all.push(good.unwrap());
    }
    assert_eq!(all.last(), Some(&Changed::Number(100)));
    assert_eq!(store.get("text", None).await, Ok(Some(b"no number".to_vec())));
}

#[tokio::test]
async fn who_goes_away_while_it_waits_keeps_nobody_else_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder.path().join("kv.db"), "default");
    for number in 0..50_u8 {
        let change = store.change(set(&[("gone", &[number])]), None);
        assert!(tokio::time::timeout(Duration::ZERO, change).await.is_err() || number > 0);
    }
    assert_eq!(
        store.change(set(&[("here", b"1")]), None).await,
        Ok(Changed::Done)
    );
}

/// What comes of changes that are asked for at the same time.
async fn together(store: Arc<FileStore>, changes: Vec<Change>) -> Vec<Result<Changed, StoreError>> {
    let tasks: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.change(change, None).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

// proves: HI-7
#[tokio::test]
async fn a_store_in_memory_is_full_at_its_bound_and_for_what_does_not_fit_alone() {
    let store = Arc::new(FileStore::new(Arc::new(Database::memory()), "full"));
    let mebibyte = usize::try_from(MOST_IN_MEMORY).unwrap() >> 7;
    let large = vec![1; mebibyte];
    for number in 0..120 {
        let key = number.to_string();
        assert_eq!(
            store.change(set(&[(&key, &large)]), None).await,
            Ok(Changed::Done),
            "{number}"
        );
    }
    let changes = (0..20)
        .map(|number| match number {
            10 => set(&[("too large", &vec![1; 10 * mebibyte])]),
            _ => set(&[(&format!("small {number}"), b"1")]),
        })
        .collect();
    for (number, answer) in together(Arc::clone(&store), changes)
        .await
        .into_iter()
        .enumerate()
    {
        let expected = match number {
            10 => Err(StoreError(
                "the store was not written: it is full, or its disk is".to_owned(),
            )),
            _ => Ok(Changed::Done),
        };
        assert_eq!(answer, expected, "{number}");
    }
    assert_eq!(store.get("small 19", None).await, Ok(Some(b"1".to_vec())));
}
