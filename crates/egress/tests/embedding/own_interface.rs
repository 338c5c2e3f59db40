//! An interface of the host's own that connects somewhere for a guest, and names that the host resolves.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use outport_egress::{Answer, Destination, Egress, Extent, GateCtx, Resolve, ResolveError};
use outport_policy::{Address, AllowList, AnswerSource, Name, Scheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A resolver that knows one name. It decides nothing: the policy judges the name before, and the addresses after.
struct Services;

impl Resolve for Services {
    fn resolve(&self, name: &Name) -> BoxFuture<'static, Result<Answer, ResolveError>> {
        let answer = match name.as_str() {
            "cache.example.com" => Ok(Answer {
                chain: Vec::new(),
                addresses: vec![Address::from(Ipv4Addr::LOCALHOST)],
                source: AnswerSource::HostsFile,
                ttl: Duration::from_secs(30),
                extent: Extent::Whole,
            }),
            _ => Err(ResolveError::NoSuchName),
        };
        Box::pin(async { answer })
    }
}

/// What the guest calls. An address that is not understood is refused, and told as such.
async fn ping(gate: &GateCtx, address: &str) -> Result<String, Box<dyn std::error::Error>> {
    let dialer = gate.dialer();
    let Some((host, port)) = address
        .strip_prefix("redis://")
        .and_then(|rest| rest.rsplit_once(':'))
    else {
        dialer.refuse_address("redis.connect", "no host and port");
        return Err("no address".into());
    };
    let redis = Scheme::parse("redis").ok_or("no scheme")?;
    let mut connection = dialer
        .connect(&Destination::new(redis, host, port.parse()?)?)
        .await?;
    connection.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    connection.read_exact(&mut answer).await?;
    Ok(String::from_utf8(answer.to_vec())?)
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = server.local_addr()?.port();
    tokio::spawn(async move {
        let (mut client, _) = server.accept().await?;
        client.write_all(b"+PONG\r\n").await
    });

    let egress = Egress::builder().resolver(Arc::new(Services)).build()?;
    let allow = AllowList::parse([format!("redis://cache.example.com:{port}")])?;
    let instance = egress.gate("shop", allow.into()).open();

    assert_eq!(
        ping(&instance, &format!("redis://cache.example.com:{port}")).await?,
        "+PONG\r\n"
    );
    for refused in ["redis://other.example.com:6379", "cache.example.com"] {
        assert!(ping(&instance, refused).await.is_err());
    }
    let denied = egress.metrics().denied;
    assert_eq!((denied["allow.no-match"], denied["address.invalid"]), (1, 1));
    Ok(())
}
