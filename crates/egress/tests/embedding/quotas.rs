//! Quotas: how much a guest may have at once, and what comes of more.

use outport_egress::{Destination, DialError, Egress};
use outport_policy::{AllowList, Operator, Quotas, Scheme};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = server.local_addr()?.port();

    let quotas = Quotas {
        sockets_per_instance: 2,
        sockets_per_process: 1000,
        ..Quotas::default()
    };
    let operator = Operator {
        quotas,
        ..Operator::default()
    };
    let egress = Egress::builder().operator(operator).build()?;
    let gate = egress.gate(
        "shop",
        AllowList::parse([format!("redis://127.0.0.1:{port}")])?.into(),
    );

    let instance = gate.open();
    let there = Destination::new(Scheme::parse("redis").ok_or("no scheme")?, "127.0.0.1", port)?;
    let first = instance.dialer().connect(&there).await?;
    let second = instance.dialer().connect(&there).await?;
    assert_eq!(instance.open_in_process(), 2);
    assert!(matches!(
        instance.dialer().connect(&there).await,
        Err(DialError::Quota)
    ));

    // Another instance has places of its own, and what is dropped gives its place back.
    let other = gate.open();
    let third = other.dialer().connect(&there).await?;
    drop((first, second, third));
    assert_eq!(egress.metrics().connections, 0);
    assert_eq!(egress.metrics().denied["quota.connections"], 1);
    Ok(())
}
