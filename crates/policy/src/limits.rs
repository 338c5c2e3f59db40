//! The limits that stay shut until the operator lifts it (RL-1 to RL-3), and how much may happen at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{Address, ByteBudgets, PortSet};

/// A limit that is on by default and that only the operator can take away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The limit holds.
    #[default]
    Holds,
    /// The operator has lifted it. That permits nothing by itself (RL-5).
    Lifted,
}

impl Limit {
    /// `Lifted` where the operator said so.
    pub fn lifted_if(lifted: bool) -> Self {
        if lifted { Self::Lifted } else { Self::Holds }
    }
}

/// The runtime limits in force. By default all of them hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeLimits {
    /// RL-2: UDP sockets.
    pub udp: Limit,
    /// RL-1: the ports from 1 to 1023 that are open on loopback after all. Default: none.
    pub loopback_ports: PortSet,
    /// RL-3: link-local and instance-metadata addresses.
    pub link_local: Limit,
    /// DNS-9: loopback addresses as answers for names other than `localhost`.
    pub loopback_answers: Limit,
}

impl RuntimeLimits {
    /// True if RL-1 refuses `port` on this address.
    pub(crate) fn shuts_loopback_port(&self, address: Address, port: u16) -> bool {
        // The address last: it is read in every way that it can be.
        port < 1024 && !self.loopback_ports.contains(port) && address.reads_as_loopback()
    }

    /// True if RL-3 refuses this address.
    pub(crate) fn shuts_address(&self, address: Address) -> bool {
        self.link_local == Limit::Holds
            && (address.reads_as_link_local() || address.reads_as_metadata_service())
    }
}

/// The numbers of what a guest and all guests together may hold at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Open sockets of one instance, counted from creation. Default 256.
    pub sockets_per_instance: u32,
    /// Open sockets of the process. Default 4096; the runtime keeps it below half the file-descriptor limit.
    pub sockets_per_process: u32,
    /// Spin's `max_socket_connections`: open sockets of all instances of one component. Default: no limit of its own.
    pub sockets_per_component: Option<u32>,
    /// Spin's `max_total_connections`: sockets and HTTP connections of the process. Default: no limit of its own.
    pub total_connections: Option<u32>,
    /// Look-ups of one instance under way at once (DNS-12). Default 16.
    pub lookups_in_flight: u32,
    /// The time that a look-up may take (DNS-12). Default 5 seconds.
    pub lookup_time: Duration,
    /// Addresses taken from one answer (DNS-12). Default 64.
    pub lookup_addresses: usize,
    /// Names with grants of one instance (DNS-12). Default 256.
    pub granted_names: usize,
    /// Look-ups of one component that DNS servers are asked for, in any minute (BUD-1). Default 600.
    pub lookups_per_minute: u32,
    /// Names that one component asks for below one wildcard of its list, in any hour (BUD-2). Default 1000.
    pub names_per_wildcard: u32,
    /// Narrower bounds of these two for single components, by their ids. Default: none.
    pub names_of_components: Arc<BTreeMap<Box<str>, NameLimits>>,
    /// Peers whose datagrams an instance receives (HL-4). Default 1024.
    pub peers: usize,
    /// The time that a peer is remembered after the last datagram sent to it (HL-4). Default 120 seconds.
    pub peer_idle: Duration,
    /// The bytes that components may send and receive (BUD-3). Default: no limits.
    pub bytes: ByteBudgets,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            sockets_per_instance: 256,
            sockets_per_process: 4096,
            sockets_per_component: None,
            total_connections: None,
            lookups_in_flight: 16,
            lookup_time: Duration::from_secs(5),
            lookup_addresses: 64,
            granted_names: 256,
            lookups_per_minute: 600,
            names_per_wildcard: 1000,
            names_of_components: Arc::default(),
            peers: 1024,
            peer_idle: Duration::from_secs(120),
            bytes: ByteBudgets::default(),
        }
    }
}

/// What one component may ask for, where that is said of it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameLimits {
    /// Look-ups that DNS servers are asked for, in any minute (BUD-1).
    pub lookups_per_minute: Option<u32>,
    /// Names below one wildcard, in any hour (BUD-2).
    pub names_per_wildcard: Option<u32>,
}

/// The bounds of what one component may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameBounds {
    /// Look-ups that DNS servers are asked for, in any minute (BUD-1).
    pub lookups_per_minute: u32,
    /// Names below one wildcard, in any hour (BUD-2).
    pub names_per_wildcard: u32,
}

impl Quotas {
    /// The bounds of what the component with this id may ask for: of what is said of all and of it alone the narrower.
    pub fn names_of(&self, component: &str) -> NameBounds {
        let own = self
            .names_of_components
            .get(component)
            .copied()
            .unwrap_or_default();
        let narrower = |all: u32, own: Option<u32>| own.map_or(all, |own| own.min(all));
        NameBounds {
            lookups_per_minute: narrower(self.lookups_per_minute, own.lookups_per_minute),
            names_per_wildcard: narrower(self.names_per_wildcard, own.names_per_wildcard),
        }
    }
}

/// The counts of what is held at the moment of an attempt, kept by the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Open sockets of the instance, its exchanges of outgoing HTTP, and its uses of connections of the host.
    pub sockets_of_instance: u32,
    /// Open sockets of all instances of the component.
    pub sockets_of_component: u32,
    /// Open sockets of the process, and the connections that the host has for guests.
    pub sockets_of_process: u32,
    /// The number of those that the process may have which are kept for other components (ISO-1).
    pub kept_for_others: u32,
    /// Sockets and HTTP connections of the process.
    pub connections_of_process: u32,
    /// Look-ups of the instance under way.
    pub lookups_of_instance: u32,
    /// The look-ups of the component in the last minute for which DNS servers were asked (BUD-1). None for an attempt that
    /// asks no server.
    pub lookups_of_last_minute: Option<u32>,
    /// The other names that the component asked for in the last hour below the wildcard by which it may ask for this one,
    /// the one with most room (BUD-2). None for a name that counts below no wildcard.
    pub names_below_wildcard: Option<u32>,
    /// TCP connections that the instance has sockets for.
    pub tcp_connections_of_instance: u32,
    /// TLS connections that the host has for the instance on these, those that are being agreed on among them.
    pub tls_of_instance: u32,
    /// Bytes that the component has sent in the time that runs, of each of the [bounds](crate::BudgetInForce::sent) that it
    /// has (BUD-3).
    pub sent_of_component: [u64; 2],
    /// Bytes that leave with the attempt itself, as those of a datagram do.
    pub about_to_send: u64,
}
