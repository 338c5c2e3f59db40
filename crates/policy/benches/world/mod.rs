//! The policy that decisions are measured on. Each benchmark uses a part of this.
//!
//! The list is a third names, a third wildcards and a third networks, each with its own port, which is the worst
//! mix for the index: every structure is populated. Beside them stand `*://db.example:5432`, looked up and granted
//! at 192.0.2.1, and `*://10.0.0.0/8:5432`.

#![allow(
    clippy::mod_module_files,
    reason = "several programs share it, and a file beside them would be one more"
)]
#![allow(dead_code, reason = "every benchmark uses a part")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use outport_policy::*;

pub(crate) struct World {
    policy: Policy,
    grants: Grants,
    peers: Peers,
    now: Instant,
}

impl World {
    /// A component with so many entries, under an operator who denies nothing.
    pub(crate) fn new(entries: usize) -> Self {
        Self::denying(entries, Operator::default())
    }

    /// A component with so many entries, under an operator who denies as many others.
    pub(crate) fn denied_as_many(entries: usize) -> Self {
        let denied = (0..entries).map(|n| entry(n, "denied", 0x4000_0000)).collect();
        let operator = Operator {
            deny: DenyList::compile(denied, Vec::new()),
            ..Operator::default()
        };
        Self::denying(entries, operator)
    }

    fn denying(entries: usize, operator: Operator) -> Self {
        let granted = parse("*://db.example:5432");
        let last = parse("*://10.0.0.0/8:5432");
        let entries = (0..entries)
            .map(|n| entry(n, "example", 0x0B00_0000))
            .chain([granted, last])
            .collect();
        let mut grants = Grants::new(256);
        let ticket = grants.begin(name("db.example"));
        let addresses = vec![Ipv4Addr::new(192, 0, 2, 1).into()];
        let now = Instant::now();
        grants.settle(
            ticket,
            LookupOutcome::Answered {
                chain: Vec::new(),
                addresses,
            },
            now,
        );
        let allow = Arc::new(AllowList::compile(entries));
        Self {
            policy: Policy::new("bench", allow, Arc::new(operator)),
            grants,
            peers: Peers::from(&Quotas::default()),
            now,
        }
    }

    /// One decision.
    pub(crate) fn decide(&self, attempt: &Attempt<'_>) -> Option<Reason> {
        let situation = Situation {
            grants: &self.grants,
            peers: &self.peers,
            usage: Usage::default(),
            now: self.now,
        };
        self.policy.decide(attempt, &situation).reason()
    }
}

/// A TCP connection.
pub(crate) fn connect(ip: impl Into<std::net::IpAddr>, port: u16) -> Attempt<'static> {
    Attempt::Connect {
        transport: Transport::Tcp,
        remote: Endpoint::new(ip.into(), port),
    }
}

/// The `n`th name of the list.
pub(crate) fn listed_name(n: usize) -> Name {
    name(&host(n / 3 * 3, "example"))
}

/// An address in the `n`th network of the list, and its port.
pub(crate) fn listed_address(n: usize) -> (Ipv4Addr, u16) {
    let n = n / 3 * 3 + 2;
    (Ipv4Addr::from(u32::from(network(n, 0x0B00_0000)) + 9), port(n))
}

/// The port of the `n`th name of the list.
pub(crate) fn listed_port(n: usize) -> u16 {
    port(n / 3 * 3)
}

/// The canonical name.
pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("the name is well formed")
}

fn entry(n: usize, zone: &str, networks: u32) -> Entry {
    let port = port(n);
    parse(&match n % 3 {
        0 => format!("*://{}:{port}", host(n, zone)),
        1 => format!("*://*.zone{n}.{zone}:{port}"),
        _ => format!("*://{}/24:{port}", network(n, networks)),
    })
}

fn parse(text: &str) -> Entry {
    Entry::parse(text, Location::Code).expect("the entry is well formed")
}

fn host(n: usize, zone: &str) -> String {
    format!("host{n}.{zone}")
}

fn port(n: usize) -> u16 {
    (1024 + n % 50_000) as u16
}

fn network(n: usize, first: u32) -> Ipv4Addr {
    Ipv4Addr::from(first + ((n as u32) << 8))
}
