//! What a store or a server costs a guest that the host has it for, beside a program that uses the same library itself.
//!
//! The guest answers when it has asked so many times, by one handle that it opened for that. So what is timed is a
//! request, of which the asking is nearly all.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::Instant;

use outport_e2e::postgres::Postgres;
use outport_e2e::redis::Redis;
use redis::AsyncCommands;
use rusqlite::{Connection, OptionalExtension};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use crate::contestants::{NATIVE, OUTPORT_P3, Programs};
use crate::http_client::HttpClient;
use crate::samples::Unit;
use crate::server::Server;
use crate::table::Table;

/// The same request, in which the guest asks nobody.
pub(crate) const WITHOUT: &str = "without";

pub(crate) const REDIS: &str = "Redis `get`, 16 guests";
pub(crate) const POSTGRES: &str = "PostgreSQL `select`, 16 guests";
pub(crate) const KEY_VALUE_GET: &str = "key-value `get`";
pub(crate) const KEY_VALUE_SET: &str = "key-value `set`";
pub(crate) const KEY_VALUE_READ: &str = "a request that opens a store and reads a key";

pub(crate) fn platform(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("platform", "Stores and servers", NATIVE);
    let redis = Redis::start();
    redis
        .ask(&format!("SET {KEY} {VALUE}"))
        .expect("the server is there");
    // One for each: what Outport keeps for a while would be too much for both on one.
    let (own_postgres, postgres) = (Postgres::start(), Postgres::start());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = outport(programs, folder.path());
    let runtime = Runtime::new().expect("a runtime");

    let redis_url = format!("redis://127.0.0.1:{}", redis.port());
    let postgres_url = format!(
        "postgres://postgres:secret@127.0.0.1:{}/postgres?sslmode=disable",
        postgres.port()
    );
    let own = Own::open(&folder.path().join("own.db"));
    // The key has to be there to be read.
    at_a_time(server.address, 1, "/key-value-set/1");
    own.set(1);
    for _ in 0..repetitions {
        let native = per_second(CROWD * MANY, || runtime.block_on(redis_natively(&redis_url)));
        table.add(REDIS, Unit::PerSecond, NATIVE, native);
        let path = format!("/redis-get/{MANY}?{redis_url}");
        let guests = per_second(CROWD * MANY, || at_a_time(server.address, CROWD, &path));
        table.add(REDIS, Unit::PerSecond, OUTPORT_P3, guests);

        let native = per_second(CROWD * MANY, || {
            runtime.block_on(postgres_natively(own_postgres.port()))
        });
        table.add(POSTGRES, Unit::PerSecond, NATIVE, native);
        let path = format!("/postgres-select/{MANY}?{postgres_url}");
        let guests = per_second(CROWD * MANY, || at_a_time(server.address, CROWD, &path));
        table.add(POSTGRES, Unit::PerSecond, OUTPORT_P3, guests);

        let native = per_second(GETS, || own.get(GETS));
        table.add(KEY_VALUE_GET, Unit::PerSecond, NATIVE, native);
        let path = format!("/key-value-get/{GETS}");
        let guest = per_second(GETS, || at_a_time(server.address, 1, &path));
        table.add(KEY_VALUE_GET, Unit::PerSecond, OUTPORT_P3, guest);

        let native = per_second(SETS, || own.set(SETS));
        table.add(KEY_VALUE_SET, Unit::PerSecond, NATIVE, native);
        let path = format!("/key-value-set/{SETS}");
        let guest = per_second(SETS, || at_a_time(server.address, 1, &path));
        table.add(KEY_VALUE_SET, Unit::PerSecond, OUTPORT_P3, guest);

        let mut client = HttpClient::connect(server.address);
        for (contestant, path) in [(WITHOUT, "/nothing/1"), (OUTPORT_P3, "/key-value-get/1")] {
            let mut times: Vec<_> = (0..MANY).map(|_| client.get(path)).collect();
            times.sort();
            let median = times[MANY / 2].as_secs_f64() * 1e6;
            table.add(KEY_VALUE_READ, Unit::Microseconds, contestant, median);
        }
    }
    table
}

fn outport(programs: &Programs, state: &Path) -> Server {
    let state = format!("--state-dir={}", state.display());
    let options = [
        "--allowed-outbound-hosts=redis://127.0.0.1:*,postgres://127.0.0.1:*",
        "--key-value-store=default",
        &state,
    ];
    Server::outport(OUTPORT_P3, programs, "stores-load", &options)
}

/// So many requests for `path` at the same time, each on a connection of its own.
fn at_a_time(address: SocketAddr, many: usize, path: &str) {
    thread::scope(|scope| {
        for _ in 0..many {
            scope.spawn(|| HttpClient::connect(address).get(path));
        }
    });
}

fn per_second(many: usize, work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    many as f64 / begun.elapsed().as_secs_f64()
}

/// Tasks that have a connection of their own each, as the guests have.
async fn redis_natively(url: &str) {
    let client = redis::Client::open(url).expect("an address of our own");
    let tasks = (0..CROWD).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let connection = client.get_multiplexed_async_connection().await;
            let mut connection = connection.expect("the server is there");
            for _ in 0..MANY {
                let value: Option<Vec<u8>> = connection.get(KEY).await.expect("the server answers");
                assert!(value.is_some());
            }
        })
    });
    all(tasks.collect()).await;
}

async fn postgres_natively(port: u16) {
    let config = || {
        let mut config = tokio_postgres::Config::new();
        config.user("postgres").password("secret").dbname("postgres");
        config
    };
    let tasks = (0..CROWD).map(|_| {
        tokio::spawn(async move {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
            let stream = stream.expect("the server is there");
            let _ = stream.set_nodelay(true);
            let connected = config().connect_raw(stream, NoTls).await;
            let (client, connection) = connected.expect("the server is there");
            tokio::spawn(connection);
            for number in 0..MANY {
                let number = i32::try_from(number).expect("a small number");
                let rows = client.query("SELECT $1::int4", &[&number]).await;
                assert_eq!(rows.expect("the server answers").len(), 1);
            }
        })
    });
    all(tasks.collect()).await;
}

async fn all(tasks: Vec<tokio::task::JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("a task of our own");
    }
}

/// The same table in the same kind of file, with the settings that Outport gives it.
struct Own(Connection);

impl Own {
    fn open(path: &Path) -> Self {
        let connection = Connection::open(path).expect("a file in a folder of our own");
        connection
            .execute_batch(
                "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
                 CREATE TABLE spin_key_value (store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
                 PRIMARY KEY (store, key))",
            )
            .expect("a new file");
        Self(connection)
    }

    fn get(&self, times: usize) {
        let sql = "SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2";
        for _ in 0..times {
            let mut statement = self.0.prepare_cached(sql).expect("its table is there");
            let value: Option<Vec<u8>> = statement
                .query_row(["default", KEY], |row| row.get(0))
                .optional()
                .expect("its table is there");
            assert!(value.is_some());
        }
    }

    fn set(&self, times: usize) {
        let sql = "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
                   ON CONFLICT (store, key) DO UPDATE SET value = excluded.value";
        for number in 0..times {
            let mut statement = self.0.prepare_cached(sql).expect("its table is there");
            // A value that was there before would not be written.
            statement
                .execute(("default", KEY, format!("{number:064}").into_bytes()))
                .expect("its table is there");
        }
    }
}

/// Guests, or tasks, at a time.
const CROWD: usize = 16;

/// Questions of each of them.
const MANY: usize = 2_000;

/// Questions about a key, which take less time.
const GETS: usize = 20_000;

/// Values that are set, each of which has to be on the disk.
const SETS: usize = 200;

const KEY: &str = "key";
const VALUE: &str = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
