//! A guest of PostgreSQL as a command: `postgres NAME` signs a visitors' book and prints who has.
//!
//! `DATABASE_URL` says where the server is, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. The standard library looks the host
//! up and connects; the driver, which has no connections of its own on WASI, speaks its protocol on that stream.

use std::env;
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use tokio_postgres::config::{Config, Host};
use tokio_postgres::{Client, NoTls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let name = env::args().nth(1).context("usage: postgres NAME")?;
    let url = env::var("DATABASE_URL").context("DATABASE_URL")?;
    let client = connect(&url.parse()?).await?;
    client
        .batch_execute("CREATE TABLE IF NOT EXISTS visitors (name TEXT PRIMARY KEY, visits INT NOT NULL)")
        .await?;
    client
        .execute(
            "INSERT INTO visitors VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET visits = visitors.visits + 1",
            &[&name],
        )
        .await?;
    for row in client
        .query("SELECT name, visits FROM visitors ORDER BY name", &[])
        .await?
    {
        println!("{}: {}", row.get::<_, &str>(0), row.get::<_, i32>(1));
    }
    Ok(())
}

async fn connect(config: &Config) -> Result<Client> {
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        bail!("DATABASE_URL names no host");
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let stream = TcpStream::connect((host.as_str(), port)).with_context(|| format!("{host}:{port}"))?;
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    // What the client asks for goes back and forth in a task of its own.
    tokio::spawn(connection);
    Ok(client)
}
