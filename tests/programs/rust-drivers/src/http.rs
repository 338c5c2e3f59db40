//! HTTP by the guest's own sockets: `http://HOST:PORT/PATH`.

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;

pub fn ureq(url: &str) -> Result<()> {
    let agent = ureq::Agent::new_with_defaults();
    for number in 0..20 {
        let mut response = agent.get(format!("{url}?{number}")).call()?;
        println!(
            "{} {}",
            response.status(),
            response.body_mut().read_to_string()?.trim()
        );
    }
    Ok(())
}

/// One connection for all requests, which hyper wants from its caller.
pub async fn hyper(url: &str) -> Result<()> {
    let uri: hyper::Uri = url.parse()?;
    let authority = uri.authority().context("a host")?.clone();
    let stream = std::net::TcpStream::connect(authority.as_str())?;
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    for number in 0..20 {
        let request = hyper::Request::get(format!("{}?{number}", uri.path()))
            .header("host", authority.as_str())
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        println!("{status} {}", String::from_utf8_lossy(&body).trim());
        sender.ready().await?;
    }
    Ok(())
}

pub async fn reqwest(url: &str) -> Result<()> {
    let uri: hyper::Uri = url.parse()?;
    let host = uri.host().context("a host")?;
    let address = crate::lookup(uri.authority().context("a host")?.as_str())?;
    let client = reqwest::Client::builder().resolve(host, address).build()?;
    for number in 0..20 {
        let response = client.get(format!("{url}?{number}")).send().await?;
        println!("{} {}", response.status(), response.text().await?.trim());
    }
    Ok(())
}
