//! Asks a store or a server again and again with Spin's Rust SDK, as benchmarks want it: `/WHAT/N?ADDRESS` does it N times
//! with one handle. A handle is opened for each request, as apps do.
//!
//! | `WHAT` | what is done N times |
//! | --- | --- |
//! | `nothing` | nothing |
//! | `key-value-get`, `key-value-set` | a value of 64 bytes is read or written in the store `default` |
//! | `redis-get` | a value is read from the server at `ADDRESS` |
//! | `postgres-select` | one row of one number is read from the server at `ADDRESS` |

use spin_sdk::http::{IntoResponse, Request, StatusCode};
use spin_sdk::{http_service, key_value, redis};

use self::postgres::spin::postgres::postgres as pg;

mod postgres {
    spin_sdk::wit_bindgen::generate!({
        runtime_path: "spin_sdk::wit_bindgen::rt",
        world: "postgres",
        path: "wit",
        generate_all,
    });
}

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let address = request.uri().query().unwrap_or_default();
    match asked(request.uri().path(), address).await {
        Ok(()) => (StatusCode::OK, "Hello\n".to_owned()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

async fn asked(path: &str, address: &str) -> Result<(), String> {
    let (what, times) = path
        .trim_start_matches('/')
        .split_once('/')
        .ok_or("no number of times")?;
    let times: usize = times
        .parse()
        .map_err(|_| format!("`{times}` is not a number"))?;
    match what {
        "nothing" => Ok(()),
        "key-value-get" => key_value_get(times).await.map_err(|error| error.to_string()),
        "key-value-set" => key_value_set(times).await.map_err(|error| error.to_string()),
        "redis-get" => redis_get(address, times).await.map_err(|error| format!("{error:?}")),
        "postgres-select" => postgres_select(address, times).await.map_err(|error| format!("{error:?}")),
        _ => Err(format!("`{what}` is nothing to do")),
    }
}

async fn key_value_get(times: usize) -> Result<(), key_value::Error> {
    let store = key_value::Store::open_default().await?;
    for _ in 0..times {
        store.get(KEY).await?;
    }
    Ok(())
}

async fn key_value_set(times: usize) -> Result<(), key_value::Error> {
    let store = key_value::Store::open_default().await?;
    for number in 0..times {
        // A value that was there before would not be written.
        store.set(KEY, value(number)).await?;
    }
    Ok(())
}

async fn redis_get(address: &str, times: usize) -> Result<(), redis::Error> {
    let connection = redis::Connection::open(address).await?;
    for _ in 0..times {
        connection.get(KEY).await?;
    }
    Ok(())
}

async fn postgres_select(address: &str, times: usize) -> Result<(), pg::Error> {
    let connection = pg::Connection::open_async(address.to_owned()).await?;
    for number in 0..times {
        let number = pg::ParameterValue::Int32(i32::try_from(number).unwrap_or_default());
        let statement = "SELECT $1::int4".to_owned();
        let (_columns, rows, end) = connection.query_async(statement, vec![number]).await?;
        rows.collect().await;
        end.await?;
    }
    Ok(())
}

const KEY: &str = "key";

/// 64 bytes, different for each number.
fn value(number: usize) -> String {
    format!("{number:064}")
}
