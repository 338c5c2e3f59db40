use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use outport_egress::{Egress, HostAccount, HostInterface};

use super::*;
use crate::embedded_sqlite::open_directly;

type Found = (Vec<String>, Vec<Row>);

fn database() -> Arc<Database> {
    Arc::new(Database::memory())
}

fn file(path: &Path) -> Arc<Database> {
    Arc::new(Database::file(path.to_owned()))
}

/// A session of an instance of its own.
fn session(database: &Arc<Database>) -> Session {
    session_of(database, &Arc::new(Semaphore::new(4)), None)
}

fn session_of(database: &Arc<Database>, own: &Arc<Semaphore>, account: Account) -> Session {
    let place = Place::take(&Arc::new(AtomicU32::new(0))).unwrap();
    let egress = Egress::builder().build().unwrap();
    let gate = egress.gate("web", Arc::default()).open();
    let calls = gate.calls(HostInterface::Sqlite);
    Session::new(Arc::clone(database), account, Arc::clone(own), (place, calls))
}

async fn ask(session: &Session, sql: &str) -> Result<Found, SqliteError> {
    session.execute_whole(sql.to_owned(), Vec::new()).await
}

async fn all(session: &Session, statements: &[&str]) {
    for sql in statements {
        ask(session, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// The one value that a statement answers.
async fn value(session: &Session, sql: &str) -> Value {
    let (_, mut rows) = ask(session, sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(rows.len(), 1, "{sql}");
    rows.remove(0).remove(0)
}

async fn number(session: &Session, sql: &str) -> i64 {
    match value(session, sql).await {
        Value::Integer(number) => number,
        other => panic!("{sql}: {other:?}"),
    }
}

async fn error(session: &Session, sql: &str) -> String {
    match ask(session, sql).await {
        Err(error) => error.to_string(),
        Ok((columns, rows)) => panic!("{sql}: {columns:?}, {} rows", rows.len()),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

// proves: HI-5
#[tokio::test]
async fn values_come_back_as_they_were_given() {
    let folder = tempfile::tempdir().unwrap();
    for database in [database(), file(&folder.path().join("values.db"))] {
        let session = session(&database);
        all(&session, &["CREATE TABLE v (a)"]).await;
        let values = [
            (Value::Integer(i64::MIN), "integer"),
            (Value::Integer(i64::MAX), "integer"),
            (Value::Real(-0.5), "real"),
            (Value::Real(f64::INFINITY), "real"),
            (text(""), "text"),
            (text("ключ\0nul"), "text"),
            (Value::Blob(Vec::new()), "blob"),
            (Value::Blob(vec![0, 255, 254]), "blob"),
            (Value::Null, "null"),
        ];
        for (given, kind) in values {
            all(&session, &["DELETE FROM v"]).await;
            let inserted = session
                .execute_whole("INSERT INTO v VALUES (?)".to_owned(), vec![given.clone()])
                .await;
            assert_eq!(inserted, Ok((Vec::new(), Vec::new())), "{given:?}");
            let (columns, rows) = ask(&session, "SELECT a, typeof(a) AS kind FROM v").await.unwrap();
            assert_eq!(columns, ["a", "kind"]);
            assert_eq!(rows, [vec![given, text(kind)]]);
        }
        let not_a_number = session.execute_whole("SELECT ?1".to_owned(), vec![Value::Real(f64::NAN)]);
        assert_eq!(not_a_number.await.unwrap().1, [vec![Value::Null]]);
        let (columns, rows) = ask(&session, "SELECT 1 AS a, 2 AS a WHERE 0").await.unwrap();
        assert_eq!(
            (columns, rows),
            (vec!["a".to_owned(), "a".to_owned()], Vec::new())
        );
        for nothing in ["", " ; ", "-- nothing", "/* nothing"] {
            assert_eq!(
                ask(&session, nothing).await,
                Ok((Vec::new(), Vec::new())),
                "{nothing}"
            );
        }
    }
}

// proves: HI-5
#[tokio::test]
async fn what_a_connection_has_begun_is_its_own_and_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    for database in [database(), file(&folder.path().join("own.db"))] {
        let (one, other) = (session(&database), session(&database));
        assert_eq!((one.last_insert_rowid(), one.changes()), (0, 0));
        all(
            &one,
            &["CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2), (3)"],
        )
        .await;
        assert_eq!((one.last_insert_rowid(), one.changes()), (3, 3));
        assert_eq!(number(&other, "SELECT count(*) FROM t").await, 3);
        assert_eq!((other.last_insert_rowid(), other.changes()), (0, 0));
        all(&one, &["CREATE TEMP TABLE mine (a)", "PRAGMA user_version = 7"]).await;
        assert_eq!(error(&other, "SELECT * FROM mine").await, "no such table: mine");
        assert_eq!(number(&other, "PRAGMA user_version").await, 7);
        all(&one, &["BEGIN", "INSERT INTO t VALUES (4)"]).await;
        assert_eq!(number(&one, "SELECT count(*) FROM t").await, 4);
        drop(one);
        assert_eq!(number(&other, "SELECT count(*) FROM t").await, 3);
        all(&other, &["INSERT INTO t VALUES (4)"]).await;
    }
}

#[tokio::test]
async fn what_apps_use_of_sqlite_is_there() {
    let session = session(&database());
    let statements = [
        "CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        "CREATE TABLE book (id INTEGER PRIMARY KEY, author REFERENCES author, title TEXT)",
        "CREATE INDEX by_title ON book (title COLLATE NOCASE)",
        "CREATE VIEW titles AS SELECT name, title FROM book JOIN author ON author.id = book.author",
        "CREATE TRIGGER written AFTER INSERT ON book BEGIN UPDATE author SET name = name || '!'; SELECT 1; END;",
        "INSERT INTO author (name) VALUES ('a') ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id",
        "INSERT INTO book (author, title) VALUES (1, 'b;c')",
        "PRAGMA foreign_keys = on",
        "PRAGMA table_info(book)",
        "PRAGMA journal_mode",
        "PRAGMA journal_mode = WAL",
        "PRAGMA busy_timeout = 5000",
        "PRAGMA Synchronous = off",
        "SELECT * FROM pragma_table_info('book')",
        "CREATE VIRTUAL TABLE words USING fts5(a)",
        "INSERT INTO words VALUES ('some words')",
        "ALTER TABLE book ADD COLUMN year",
        "ANALYZE",
        "REINDEX",
        "SAVEPOINT one",
        "RELEASE one",
        "EXPLAIN QUERY PLAN SELECT * FROM titles",
        "SELECT json_extract('{\"a\": [1, 2]}', '$.a[1]'), date('now'), row_number() OVER () FROM book",
        "DROP VIEW titles",
        "  -- all of it\n VACUUM;",
    ];
    all(&session, &statements).await;
    assert_eq!(value(&session, "SELECT name FROM author").await, text("a!"));
    assert_eq!(number(&session, "SELECT count(*) FROM words('words')").await, 1);
    assert_eq!(number(&session, "PRAGMA synchronous").await, 2);
    let error = error(&session, "INSERT INTO book (author) VALUES (99)").await;
    assert_eq!(error, "FOREIGN KEY constraint failed");
}

// proves: HI-7
#[tokio::test]
async fn a_statement_reaches_no_other_file_and_none_of_the_hosts_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret-place.db");
    let session = session(&file(&path));
    all(&session, &["CREATE TABLE t (a)"]).await;
    let other = folder.path().join("other.db").display().to_string();
    let rows = [
        (format!("ATTACH '{other}' AS x"), "`ATTACH` is not served"),
        (format!("ATTACH '{other}' || '' AS x"), "`ATTACH` is not served"),
        ("ATTACH '' AS x".to_owned(), "`ATTACH` is not served"),
        ("ATTACH ':memory:' AS x".to_owned(), "`ATTACH` is not served"),
        (
            "attach 'file:/outport-0?vfs=memdb' AS x".to_owned(),
            "`ATTACH` is not served",
        ),
        ("DETACH x".to_owned(), "`DETACH` is not served"),
        (format!("VACUUM INTO '{other}'"), "`VACUUM INTO` is not served"),
        (
            format!("vacuum main into '{other}' || ''"),
            "`VACUUM INTO` is not served",
        ),
        (
            "SELECT load_extension('libc.so.6')".to_owned(),
            "the function `load_extension` is not served",
        ),
        (
            "SELECT FTS3_Tokenizer('simple')".to_owned(),
            "the function `fts3_tokenizer` is not served",
        ),
        (
            "PRAGMA database_list".to_owned(),
            "`PRAGMA database_list` is not served",
        ),
        (
            "SELECT * FROM pragma_database_list".to_owned(),
            "`PRAGMA database_list` is not served",
        ),
        (
            "PRAGMA writable_schema = on".to_owned(),
            "`PRAGMA writable_schema` with a value is not served",
        ),
        (
            "PRAGMA Writable_Schema(1)".to_owned(),
            "`PRAGMA writable_schema` with a value is not served",
        ),
        (
            "PRAGMA journal_mode = off".to_owned(),
            "`PRAGMA journal_mode` with a value is not served",
        ),
        (
            "PRAGMA main.journal_mode = delete".to_owned(),
            "`PRAGMA journal_mode` with a value is not served",
        ),
        (
            "PRAGMA max_page_count = 1".to_owned(),
            "`PRAGMA max_page_count` with a value is not served",
        ),
        (
            "PRAGMA locking_mode = exclusive".to_owned(),
            "`PRAGMA locking_mode` with a value is not served",
        ),
        (
            "PRAGMA hard_heap_limit = 1".to_owned(),
            "`PRAGMA hard_heap_limit` with a value is not served",
        ),
        (
            "PRAGMA temp_store_directory = '/tmp'".to_owned(),
            "`PRAGMA temp_store_directory` with a value is not served",
        ),
        (
            "PRAGMA trusted_schema = on".to_owned(),
            "`PRAGMA trusted_schema` with a value is not served",
        ),
        (
            "PRAGMA schema_version = 9".to_owned(),
            "`PRAGMA schema_version` with a value is not served",
        ),
        (
            "PRAGMA what_is_this".to_owned(),
            "`PRAGMA what_is_this` is not served",
        ),
        ("EXPLAIN ATTACH 'x' AS x".to_owned(), "`ATTACH` is not served"),
        (
            "INSERT INTO sqlite_schema VALUES (1, 2, 3, 4, 5)".to_owned(),
            "table sqlite_master may not be modified",
        ),
        (
            "INSERT INTO fired VALUES (1)".to_owned(),
            "the function `load_extension` is not served",
        ),
    ];
    let trigger = "CREATE TRIGGER r AFTER INSERT ON fired BEGIN SELECT load_extension('x'); END";
    all(&session, &["CREATE TABLE fired (a)", trigger]).await;
    for (sql, says) in rows {
        let refused = error(&session, &sql).await;
        assert_eq!(refused, says, "{sql}");
        assert!(!refused.contains("secret-place"), "{sql}");
    }
    for tuning in [
        "cache_size = -1000000",
        "mmap_size = 99999999",
        "temp_store = 1",
        "threads = 8",
    ] {
        all(&session, &[&format!("PRAGMA {tuning}")]).await;
    }
    assert_eq!(number(&session, "PRAGMA temp_store").await, 2);
    let names = fs::read_dir(folder.path()).unwrap();
    let foreign: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("secret-place.db"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

// proves: HI-7
#[tokio::test]
async fn whatever_grows_in_a_statement_has_a_bound() {
    let session = session(&database());
    let deep = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let deep_chain = format!("SELECT 1{}", "+1".repeat(100_000));
    let wide = format!("SELECT {}1", "1,".repeat(5_000));
    let compound = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5_000));
    let long = format!("SELECT '{}'", "x".repeat(1 << 20));
    let nots = format!("SELECT {} 1", "NOT ".repeat(100_000));
    let many = "SELECT 1;".repeat(100_000);
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let sorted = format!("{numbers} SELECT randomblob(1000) AS r FROM n ORDER BY r");
    let result = format!("{numbers} SELECT randomblob(100000) FROM n");
    let small_rows = format!("{numbers} SELECT 1 FROM n");
    let grouped =
        format!("{numbers} SELECT group_concat(r) FROM (SELECT randomblob(100000) AS r FROM n LIMIT 1000)");
    let temporary = format!("CREATE TEMP TABLE much AS {numbers} SELECT randomblob(1000) FROM n");
    let arrays = format!("SELECT json('{}')", "[".repeat(500_000));
    let rows = [
        ("SELECT zeroblob(2147483647)", "string or blob too big"),
        ("SELECT randomblob(2147483647)", "string or blob too big"),
        (
            "SELECT length(printf('%.*c', 2147483647, 'x'))",
            "string or blob too big",
        ),
        (
            "SELECT length(format('%2147483647d', 1))",
            "string or blob too big",
        ),
        (
            "SELECT replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000)))",
            "string or blob too big",
        ),
        ("SELECT hex(zeroblob(4000000))", "string or blob too big"),
        (&deep, "Recursion limit"),
        (&deep_chain, "Expression tree is too large"),
        (&nots, "Recursion limit"),
        (&wide, "too many columns in result set"),
        (&compound, "too many terms in compound SELECT"),
        (&long, "statement too long"),
        (&many, "more than one statement"),
        (&sorted, "out of memory"),
        (&temporary, "out of memory"),
        (&grouped, "string or blob too big"),
        (&result, "the result is larger than 128 MiB"),
        (&small_rows, "the result is larger than 128 MiB"),
        (&arrays, "malformed JSON"),
        ("SELECT 1\0; DROP TABLE t", "the statement has a NUL character"),
        (
            "SELECT CAST(x'61ff' AS TEXT) AS c",
            "a text of the column `c` is not UTF-8",
        ),
        ("SELECT ?", "0 parameters for a statement that has 1"),
        ("SELEC", "near \"SELEC\": syntax error"),
        ("SELECT ';'; garbage", "more than one statement"),
    ];
    let mut others = Vec::new();
    for (sql, says) in rows {
        let begun = Instant::now();
        let failed = error(&session, sql).await;
        let shown: String = sql.chars().take(80).collect();
        if !failed.starts_with(says) {
            others.push(format!("{shown}: {failed}"));
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{shown}: {:?}",
            begun.elapsed()
        );
        assert_eq!(number(&session, "SELECT 1;").await, 1, "{shown}");
    }
    assert!(others.is_empty(), "{others:#?}");
}

// proves: HI-7
#[tokio::test]
async fn a_database_that_is_as_large_as_it_may_be_is_full_and_goes_on() {
    let session = session(&database());
    all(&session, &["CREATE TABLE t (a)"]).await;
    let fill = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
         SELECT zeroblob(4000000) FROM n";
    assert_eq!(ask(&session, fill).await, Err(SqliteError::Full));
    assert_eq!(number(&session, "SELECT count(*) FROM t").await, 0);
    all(&session, &["INSERT INTO t VALUES (1)"]).await;
}

// proves: HI-7
#[tokio::test]
async fn what_a_database_in_memory_holds_is_not_the_connections() {
    let database = database();
    let session = session(&database);
    all(&session, &["CREATE TABLE t (a)"]).await;
    for _ in 0..30 {
        all(&session, &["INSERT INTO t VALUES (zeroblob(1000000))"]).await;
    }
    let Kind::Embedded(own) = &session.kind else {
        unreachable!("it is in this process")
    };
    let mut connected = own.connected.lock().await;
    let (_, held) = connected.as_mut().unwrap().parts().unwrap();
    let bytes = held.bytes();
    assert!((10_000..8_000_000).contains(&bytes), "{bytes}");
}

// proves: HI-7
#[tokio::test]
async fn a_statement_without_end_ends_and_keeps_no_neighbour_waiting() {
    let database = Arc::new(Database::memory().with_most_time(Duration::from_secs(3)));
    let neighbour = session(&database);
    all(&neighbour, &["CREATE TABLE t (a)"]).await;
    let own = Arc::new(Semaphore::new(4));
    let endless: Vec<_> = (0..12)
        .map(|_| {
            let session = session_of(&database, &own, None);
            tokio::spawn(async move { ask(&session, ENDLESS).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    for _ in 0..10 {
        all(&neighbour, &["INSERT INTO t VALUES (1)", "SELECT * FROM t"]).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let text = "the statement took more than 3 s".to_owned();
    let mut endless = endless.into_iter();
    assert_eq!(
        endless.next().unwrap().await.unwrap(),
        Err(SqliteError::Other(text))
    );
    for other in endless {
        other.abort();
    }
}

// proves: HI-7
#[tokio::test]
async fn a_statement_that_nobody_waits_for_ends() {
    let session = session(&database());
    for _ in 0..3 {
        let endless = tokio::time::timeout(Duration::from_millis(50), ask(&session, ENDLESS));
        assert!(endless.await.is_err());
        let begun = Instant::now();
        assert_eq!(number(&session, "SELECT 1").await, 1);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    let rows =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, randomblob(1000) FROM n";
    let (columns, mut rows) = session.execute(rows.to_owned(), Vec::new()).await.unwrap();
    assert_eq!(columns, ["i", "randomblob(1000)"]);
    let first = rows.next().await.unwrap().unwrap();
    assert_eq!(first[0][0], Value::Integer(1));
    drop(rows);
    assert_eq!(number(&session, "SELECT 1").await, 1);
}

/// An account that is used up after some looks.
#[derive(Default)]
struct Small {
    charged: AtomicUsize,
    looks: AtomicUsize,
}

impl HostAccount for Small {
    fn charge(&self, work: &mut dyn FnMut()) {
        self.charged.fetch_add(1, Ordering::Relaxed);
        work();
    }

    fn aside(&self, work: &mut dyn FnMut()) {
        work();
    }

    fn may_go_on(&self) -> bool {
        self.looks.fetch_add(1, Ordering::Relaxed) < 5
    }
}

// proves: HI-7
#[tokio::test]
async fn an_instance_is_charged_in_the_middle_of_a_statement_and_may_have_to_end_it() {
    let account = Arc::new(Small::default());
    let session = session_of(&database(), &Arc::new(Semaphore::new(4)), Some(account.clone()));
    assert_eq!(error(&session, ENDLESS).await, "interrupted");
    assert_eq!(account.charged.load(Ordering::Relaxed), 1);
    assert_eq!(account.looks.load(Ordering::Relaxed), 6);
}

// proves: HI-7
#[tokio::test]
async fn a_file_that_is_damaged_or_none_or_locked_or_read_only_is_an_error_that_names_no_path() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    fs::write(
        &garbage,
        "no database at all, and longer than a header is".repeat(100),
    )
    .unwrap();
    let directory = folder.path().join("directory.db");
    fs::create_dir(&directory).unwrap();
    let nowhere = folder.path().join("no/such/folder.db");
    let made = |name: &str| {
        let path = folder.path().join(name);
        let connection = open_directly(&path);
        connection
            .execute_batch("CREATE TABLE t (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000) INSERT INTO t SELECT randomblob(100) FROM n")
            .unwrap();
        path
    };
    let damaged = made("damaged.db");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(&damaged, &bytes).unwrap();
    // Of a format that only later versions write.
    let read_only = made("read-only.db");
    let mut bytes = fs::read(&read_only).unwrap();
    bytes[18] = 3;
    fs::write(&read_only, &bytes).unwrap();
    let rows = [
        (&garbage, "SELECT 1 FROM t", "file is not a database"),
        (
            &directory,
            "SELECT 1",
            "the database was not opened: it cannot be opened",
        ),
        (
            &nowhere,
            "SELECT 1",
            "the database was not opened: it cannot be opened",
        ),
        (
            &damaged,
            "SELECT count(*) FROM t",
            "database disk image is malformed",
        ),
        (
            &damaged,
            "INSERT INTO t VALUES (1)",
            "database disk image is malformed",
        ),
        (
            &read_only,
            "INSERT INTO t VALUES (1)",
            "attempt to write a readonly database",
        ),
    ];
    for (path, sql, says) in rows {
        let session = session(&file(path));
        assert_eq!(error(&session, sql).await, says, "{}: {sql}", path.display());
    }
    assert_eq!(
        number(&session(&file(&read_only)), "SELECT count(*) FROM t").await,
        2_000
    );

    let locked = made("locked.db");
    let database = file(&locked);
    let (reader, writer) = (session(&database), session(&database));
    all(&reader, &["SELECT 1 FROM t"]).await;
    let other = open_directly(&locked);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(number(&reader, "SELECT count(*) FROM t").await, 2_000);
    let begun = Instant::now();
    assert_eq!(
        error(&writer, "INSERT INTO t VALUES (1)").await,
        "database is locked"
    );
    assert!(begun.elapsed() >= PATIENCE, "{:?}", begun.elapsed());
    let waiting = ask(&writer, "INSERT INTO t VALUES (1)");
    let free = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        other.execute_batch("ROLLBACK").unwrap();
    };
    let (written, ()) = tokio::join!(waiting, free);
    assert_eq!(written, Ok((Vec::new(), Vec::new())));
}

// proves: HI-7
#[tokio::test]
async fn many_write_at_a_time_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    for database in [database(), file(&folder.path().join("many.db"))] {
        let one = session(&database);
        all(&one, &["CREATE TABLE t (n)", "INSERT INTO t VALUES (0)"]).await;
        let writers = (0..20).map(|_| {
            let session = session(&database);
            tokio::spawn(async move {
                for _ in 0..10 {
                    all(&session, &["UPDATE t SET n = n + 1"]).await;
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert_eq!(number(&one, "SELECT n FROM t").await, 200);
    }
}

#[tokio::test]
async fn the_host_puts_into_a_database_what_guests_find() {
    let platform = crate::Platform::builder()
        .sqlite_database("default", crate::sqlite::SqliteDefinition::Memory)
        .build();
    let database = platform.sqlite_database("default").unwrap();
    database
        .execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES ('x;y');")
        .await
        .unwrap();
    let wrong = database.execute_batch("CREATE TABLE t (a)").await.unwrap_err();
    assert_eq!(wrong.to_string(), "table t already exists");
    let session = session(match database.backend() {
        Backend::Embedded(database) => database,
        Backend::Server(_) => unreachable!("it is a file"),
    });
    assert_eq!(value(&session, "SELECT a FROM t").await, text("x;y"));
}

// proves: HI-7, ISO-2
#[tokio::test]
async fn functions_one_after_the_other_end_when_their_time_is_over() {
    let database = Database::memory().with_most_time(Duration::from_millis(300));
    let session = session(&Arc::new(database));
    let columns = |column: &str| vec![column; 500].join(", ");
    let long = "(SELECT replace(hex(zeroblob(1000000)), '0', 'a') AS x)";
    for column in [
        "x LIKE '%aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'",
        "x GLOB '*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'",
        "length(upper(x || 'b'))",
        "length(replace(x, 'a', 'b'))",
    ] {
        let begun = Instant::now();
        let sql = format!("SELECT {} FROM {long}", columns(column));
        assert_eq!(
            error(&session, &sql).await,
            "the statement took more than 0 s",
            "{column}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{column}: {:?}",
            begun.elapsed()
        );
        assert_eq!(number(&session, "SELECT 1").await, 1, "the connection goes on");
    }
}

// proves: HI-7
#[tokio::test]
async fn what_could_take_hours_is_refused_by_name() {
    let session = session(&database());
    all(
        &session,
        &[
            "CREATE VIRTUAL TABLE notes USING fts5(text)",
            "CREATE VIRTUAL TABLE old USING fts4(text)",
        ],
    )
    .await;
    for (sql, refused) in [
        (
            "SELECT snippet(notes, 0, '[', ']', '', 3) FROM notes WHERE notes MATCH 'a'",
            "snippet",
        ),
        ("SELECT snippet(old) FROM old WHERE old MATCH 'a'", "snippet"),
        ("SELECT offsets(old) FROM old WHERE old MATCH 'a'", "offsets"),
        (
            "SELECT matchinfo(old, 's') FROM old WHERE old MATCH 'a'",
            "matchinfo",
        ),
    ] {
        assert_eq!(
            error(&session, sql).await,
            format!("the function `{refused}` is not served"),
            "{sql}"
        );
    }
}
