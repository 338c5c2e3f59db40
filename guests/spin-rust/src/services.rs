//! What an app does with each of the host's services: it writes, and tells what it reads back.

use std::fmt::Debug;

use spin_sdk::http::StatusCode;
use spin_sdk::llm::{self, EmbeddingModel, InferencingModel};
use spin_sdk::{pg, redis, sqlite};

/// `wasi:keyvalue`, for which the SDK has no words of its own.
mod keyvalue {
    spin_sdk::wit_bindgen::generate!({
        runtime_path: "spin_sdk::wit_bindgen::rt",
        world: "keyvalue",
        path: "wit",
        generate_all,
    });
}

use keyvalue::wasi::keyvalue::{atomics, batch, store};

pub(crate) fn told<E: Debug>(result: Result<String, E>) -> (StatusCode, String) {
    match result {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::FORBIDDEN, format!("{error:?}")),
    }
}

pub(crate) async fn kept_in_sqlite(label: &str) -> Result<String, sqlite::Error> {
    let connection = sqlite::Connection::open(label).await?;
    for statement in [
        "CREATE TABLE colours (name TEXT, share REAL)",
        "INSERT INTO colours VALUES ('green', 0.5), ('red', 0.25)",
    ] {
        connection.execute(statement, []).await?.result().await?;
    }
    let changed = connection.changes().await;
    let query = "SELECT name, share FROM colours WHERE share > ? ORDER BY name";
    let found = connection.execute(query, [sqlite::Value::Real(0.1)]).await?;
    let columns = found.columns().join(",");
    let rows = found.collect().await?;
    let rows = rows.iter().map(|row| {
        let (name, share) = (row.get::<&str>(0), row.get::<f64>(1));
        format!("{}={}", name.unwrap_or_default(), share.unwrap_or_default())
    });
    let rows: Vec<String> = rows.collect();
    Ok(format!("{changed} changed; {columns}: {}", rows.join(" ")))
}

pub(crate) async fn kept_in_redis(address: &str) -> Result<String, redis::Error> {
    let connection = redis::Connection::open(address).await?;
    connection.set("rust:colour", b"green").await?;
    let colour = connection.get("rust:colour").await?.unwrap_or_default();
    let number = connection.incr("rust:number").await?;
    let new = connection.sadd("rust:set", ["a", "b", "a"]).await?;
    let pong = connection.execute("PING", []).await?;
    Ok(format!(
        "{} {number} {new} {pong:?}",
        String::from_utf8_lossy(&colour)
    ))
}

pub(crate) async fn kept_in_postgres(address: &str) -> Result<String, pg::Error> {
    let connection = pg::Connection::open(address).await?;
    connection
        .execute("CREATE TABLE rust_colours (name text, number int4)", &[])
        .await?;
    let insert = "INSERT INTO rust_colours VALUES ($1, $2), ('red', 2)";
    let values = ["green".to_owned().into(), 1i32.into()];
    let inserted = connection.execute(insert, &values).await?;
    let mut found = connection
        .query("SELECT name, number FROM rust_colours ORDER BY number", &[])
        .await?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().await {
        let (name, number) = (row.get::<String>("name"), row.get::<i32>("number"));
        rows.push(format!(
            "{}={}",
            name.unwrap_or_default(),
            number.unwrap_or_default()
        ));
    }
    found.result().await?;
    Ok(format!("{inserted} inserted: {}", rows.join(" ")))
}

pub(crate) fn kept_in_a_bucket(key: &str) -> Result<String, store::Error> {
    let bucket = store::open("default")?;
    bucket.set(key, b"green")?;
    let many = batch::get_many(&bucket, &[key.to_owned(), "no such key".to_owned()])?;
    let there = many.iter().filter(|(_, value)| value.is_some()).count();
    let number = atomics::increment(&bucket, &format!("{key}-number"), 5)?;
    let value = bucket.get(key)?.unwrap_or_default();
    Ok(format!("{} {there} {number}", String::from_utf8_lossy(&value)))
}

pub(crate) fn inferred(model: &str) -> Result<String, llm::Error> {
    let answer = llm::infer(InferencingModel::Other(model), "say something")?;
    let usage = answer.usage;
    Ok(format!(
        "{} ({}+{})",
        answer.text, usage.prompt_token_count, usage.generated_token_count
    ))
}

pub(crate) fn embedded(model: &str) -> Result<String, llm::Error> {
    let answer = llm::generate_embeddings(EmbeddingModel::Other(model), &["a".to_owned(), "bcd".to_owned()])?;
    Ok(format!("{:?}", answer.embeddings))
}
