//! `services POSTGRES-URL REDIS-URL HTTP-URL`: asks each of the three something, over sockets of the guest's own.

use std::env;
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use redis::TypedCommands;
use tokio_postgres::{Config, NoTls, config::Host};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [postgres, redis, api] = &arguments[..] else {
        bail!("usage: services POSTGRES-URL REDIS-URL HTTP-URL");
    };
    println!("PostgreSQL: 6 * 7 = {}", product(postgres, 6, 7).await?);
    println!("Redis: visit {}", visit(redis)?);
    println!("HTTP: {}", ureq::get(api).call()?.body_mut().read_to_string()?);
    Ok(())
}

async fn product(url: &str, one: i32, other: i32) -> Result<i32> {
    let config: Config = url.parse()?;
    let (Some(Host::Tcp(host)), Some(port)) = (config.get_hosts().first(), config.get_ports().first()) else {
        bail!("no host or no port in `{url}`");
    };
    // The driver's own way to connect does not compile for WASI. It takes any stream: the standard library looks the
    // name up and connects, and tokio waits for the socket from there on.
    let stream = TcpStream::connect((host.as_str(), *port)).context("PostgreSQL")?;
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    let row = client
        .query_one("SELECT $1::INT * $2::INT", &[&one, &other])
        .await?;
    Ok(row.get(0))
}

fn visit(url: &str) -> Result<isize> {
    let mut connection = redis::Client::open(url)?.get_connection().context("Redis")?;
    Ok(connection.incr("visits", 1)?)
}
