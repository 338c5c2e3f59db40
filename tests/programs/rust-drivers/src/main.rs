//! `rust-drivers DRIVER URL`: 20 operations with one driver, a line of what came back for each.
//!
//! The same program runs as a component and natively, and has to print the same. A driver stands in a file of its own,
//! and uses what it documents and nothing else. Where it would have tokio look a name up, which takes a thread, it is given
//! the address that the standard library found.

mod http;
mod mqtt;
mod mysql;
mod postgres;
mod redis;
mod tls;

use std::env;
use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [driver, url, more @ ..] = &arguments[..] else {
        bail!("usage: rust-drivers DRIVER URL");
    };
    match driver.as_str() {
        "tokio-postgres" => postgres::tokio_postgres(url).await,
        "sqlx" => postgres::sqlx(url).await,
        "redis" => redis::blocking(url),
        "redis (tokio)" => redis::asynchronous(url).await,
        "mysql_async" => mysql::mysql_async(url).await,
        "rumqttc" => mqtt::rumqttc(url).await,
        "ureq" => http::ureq(url),
        "hyper" => http::hyper(url).await,
        "reqwest" => http::reqwest(url).await,
        "rustls" => tls::rustls(url, more),
        other => bail!("no driver `{other}`"),
    }
}

/// The first address of `HOST:PORT`, by the standard library.
fn lookup(address: &str) -> Result<SocketAddr> {
    address
        .to_socket_addrs()?
        .next()
        .with_context(|| format!("no address of `{address}`"))
}

/// A URL with the address that its `HOST:PORT` has, in the place of that.
fn with_address(url: &str) -> Result<String> {
    let (_, rest) = url.split_once("://").context("a URL")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let address = authority.rsplit('@').next().unwrap_or_default();
    Ok(url.replacen(address, &lookup(address)?.to_string(), 1))
}
