//! What a program did that an entry has to permit.

use std::collections::BTreeSet;
use std::sync::Arc;

use outport_policy::{Address, Host, Name, Scheme, Transport};

/// What has to be permitted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A socket to a host: by name where the instance had looked the address up, else by address.
    Socket {
        /// The socket's transport.
        transport: Transport,
        /// The host.
        host: Host,
        /// The port, as it was used.
        port: u16,
    },
    /// A request, or a connection by another interface of the host's that takes a URL.
    Request {
        /// The URL's scheme.
        scheme: Scheme,
        /// The URL's host.
        host: Host,
        /// The URL's port or the scheme's own.
        port: u16,
    },
    /// A look-up that had an answer.
    Lookup {
        /// The name.
        name: Name,
    },
}

impl Target {
    /// The host that it is about.
    pub fn host(&self) -> Host {
        match self {
            Self::Socket { host, .. } | Self::Request { host, .. } => host.clone(),
            Self::Lookup { name } => Host::Name(name.clone()),
        }
    }

    /// The kind of attempt in the words of the audit log.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Socket {
                transport: Transport::Tcp,
                ..
            } => "tcp",
            Self::Socket {
                transport: Transport::Udp,
                ..
            } => "udp",
            Self::Request { scheme, .. } => match scheme.as_str() {
                "http" | "https" => "http",
                "redis" | "rediss" => "redis",
                "postgres" | "postgresql" => "postgres",
                "mysql" | "mariadb" => "mysql",
                "mqtt" | "mqtts" => "mqtt",
                _ => "url",
            },
            Self::Lookup { .. } => "look-up",
        }
    }
}

/// How often something was seen, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// How often.
    pub count: u64,
    /// The first time, as the log writes it (RFC 3339, UTC), which orders as text.
    pub first: String,
    /// The last time.
    pub last: String,
}

impl Times {
    pub(super) fn once(at: &str) -> Self {
        // A log that somebody else wrote may have anything there.
        let at: String = at.chars().take(LONGEST_TIME).collect();
        Self {
            count: 1,
            first: at.clone(),
            last: at,
        }
    }

    pub(super) fn again(&mut self, at: &str) {
        self.count = self.count.saturating_add(1);
        if *self.first > *at {
            self.first = Self::once(at).first;
        }
        if *self.last < *at {
            self.last = Self::once(at).last;
        }
    }

    /// Those of both.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            first: self.first.clone().min(other.first.clone()),
            last: self.last.clone().max(other.last.clone()),
        }
    }
}

/// Characters of a time; one of ours has 24.
const LONGEST_TIME: usize = 40;

/// One thing that a component did, however often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// What it was.
    pub target: Target,
    /// How often and when.
    pub times: Times,
    /// Of a socket that was reached by name the addresses that were connected to, at most 64 of them.
    pub addresses: BTreeSet<Address>,
    /// True if there were more addresses than are kept.
    pub more_addresses: bool,
    /// The component, and the parts of it, that did it; at most 16 of them.
    pub by: BTreeSet<Arc<str>>,
    /// Other names by which the instance had the same address at that moment, at most 16 of them.
    pub also_named: BTreeSet<Name>,
}

impl Use {
    pub(super) fn new(target: Target, at: &str) -> Self {
        Self {
            target,
            times: Times::once(at),
            addresses: BTreeSet::new(),
            more_addresses: false,
            by: BTreeSet::new(),
            also_named: BTreeSet::new(),
        }
    }

    pub(super) fn reached(&mut self, address: Address) {
        if self.addresses.contains(&address) {
            return;
        }
        if self.addresses.len() < MOST_ADDRESSES {
            self.addresses.insert(address);
        } else {
            self.more_addresses = true;
        }
    }

    pub(super) fn by(&mut self, component: &Arc<str>) {
        if self.by.len() < MOST_OTHER_NAMES {
            self.by.insert(Arc::clone(component));
        }
    }

    pub(super) fn also(&mut self, names: impl IntoIterator<Item = Name>) {
        for name in names {
            if self.also_named.len() < MOST_OTHER_NAMES {
                self.also_named.insert(name);
            }
        }
    }
}

/// The addresses of one use that are kept: those of one answer.
const MOST_ADDRESSES: usize = 64;

/// The other names that are kept, and the parts.
const MOST_OTHER_NAMES: usize = 16;
