//! PostgreSQL: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.

use std::net::TcpStream;

use anyhow::{Context, Result};
use tokio_postgres::{Config, NoTls, config::Host};

/// On WASI the driver has no connections of its own: the feature `runtime`, which makes them, does not compile for it. It
/// takes any stream, so the standard library looks the name up and connects, and tokio takes that over.
pub async fn tokio_postgres(url: &str) -> Result<()> {
    let config: Config = url.parse()?;
    let [Host::Tcp(host), ..] = config.get_hosts() else {
        anyhow::bail!("no host in `{url}`");
    };
    let port = *config.get_ports().first().context("a port")?;
    let stream = TcpStream::connect((host.as_str(), port))?;
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute(
            "DROP TABLE IF EXISTS notes; CREATE TABLE notes (id INT PRIMARY KEY, text TEXT, weight FLOAT8)",
        )
        .await?;
    for id in 0..10_i32 {
        let text = format!("note {id}: é");
        let rows = client
            .execute(
                "INSERT INTO notes VALUES ($1, $2, $3)",
                &[&id, &text, &(f64::from(id) / 3.0)],
            )
            .await?;
        println!("inserted {rows}");
    }
    let select = client
        .prepare("SELECT text, weight FROM notes WHERE id = $1")
        .await?;
    for id in 0..10_i32 {
        let row = client.query_one(&select, &[&id]).await?;
        println!("{} {}", row.get::<_, &str>(0), row.get::<_, f64>(1));
    }
    let failed = client
        .execute("INSERT INTO notes VALUES (0, 'again', 0)", &[])
        .await;
    println!("{:?}", failed.expect_err("a key twice").code());
    Ok(())
}

pub async fn sqlx(url: &str) -> Result<()> {
    use sqlx::{Connection, PgConnection, Row};
    let mut connection = PgConnection::connect(&crate::with_address(url)?).await?;
    sqlx::raw_sql("DROP TABLE IF EXISTS notes; CREATE TABLE notes (id INT PRIMARY KEY, text TEXT)")
        .execute(&mut connection)
        .await?;
    for id in 0..10_i32 {
        let done = sqlx::query("INSERT INTO notes VALUES ($1, $2)")
            .bind(id)
            .bind(format!("note {id}"))
            .execute(&mut connection)
            .await?;
        println!("inserted {}", done.rows_affected());
    }
    for id in 0..10_i32 {
        let row = sqlx::query("SELECT text FROM notes WHERE id = $1")
            .bind(id)
            .fetch_one(&mut connection)
            .await?;
        println!("{}", row.get::<&str, _>(0));
    }
    Ok(connection.close().await?)
}
