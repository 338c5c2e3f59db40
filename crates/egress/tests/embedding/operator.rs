//! The operator's policy, and another one while guests run: a list that closes what is open.

use outport_egress::{Destination, Egress};
use outport_policy::{AllowList, DenyList, Limit, Operator, PortSet, Scheme};
use tokio::io::AsyncReadExt;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = server.local_addr()?;

    let mut operator = Operator {
        deny: DenyList::parse(["*://*.internal.example.com:*", "*://10.0.0.0/8:*"])?,
        ..Operator::default()
    };
    operator.limits.udp = Limit::Lifted;
    operator.limits.loopback_ports = PortSet::parse("53")?;
    let egress = Egress::builder().operator(operator.clone()).build()?;
    let gate = egress.gate("shop", AllowList::parse(["redis://*:*"])?.into());

    // An instance that has a connection; here one that the host makes for it.
    let instance = gate.open();
    let redis = Scheme::parse("redis").ok_or("no scheme")?;
    let there = Destination::new(redis, "127.0.0.1", address.port())?;
    let mut open = instance.dialer().connect(&there).await?;

    // Another list: it holds for every gate, at once, and for what is open.
    operator.deny = DenyList::parse([format!("*://{address}")])?;
    egress.replace_operator(operator);
    assert!(
        !matches!(open.read(&mut [0; 1]).await, Ok(length) if length > 0),
        "it is shut"
    );
    let refused = instance.dialer().connect(&there).await;
    assert!(refused.is_err_and(|error| error.is_refused()));

    // Counted for the process, whether or not anybody listens.
    assert_eq!(egress.metrics().denied["deny.host"], 1);
    Ok(())
}
