//! Asks PostgreSQL for its version, over a TCP connection of its own.

use std::env;
use std::error::Error;
use std::net::{SocketAddr, ToSocketAddrs};

use tokio::net::TcpStream;
use tokio_postgres::config::{Config, Host};
use tokio_postgres::NoTls;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let config: Config = env::var("DATABASE_URL")?.parse()?;
    let stream = TcpStream::connect(&*addresses(&config)?).await?;
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    // What the client asks for goes back and forth in a task of its own.
    tokio::spawn(connection);

    let row = client.query_one("select version()", &[]).await?;
    println!("{}", row.get::<_, &str>(0));
    Ok(())
}

/// The addresses of the server. Tokio's own lookup needs a thread, which there is none of here; that of the standard
/// library does not.
fn addresses(config: &Config) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
    let Some(Host::Tcp(name)) = config.get_hosts().first() else {
        return Err("DATABASE_URL names no host".into());
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    Ok((name.as_str(), port).to_socket_addrs()?.collect())
}
