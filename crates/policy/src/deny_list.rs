//! The operator's side: what no guest of the process may reach, compiled (DL-1 to DL-8).
//!
//! Three sources, each with its reason:
//!
//! 1. entries, by name and by address, `deny.host` or `deny.network`;
//! 2. `block_networks`, every port and scheme, `deny.network`;
//! 3. what denied names resolved to, [`LearnedAddresses`], on the entry's ports, `deny.name-address`.
//!
//! All three judge every reading of an address: the address itself and the IPv4 addresses that it embeds. An
//! entry for `localhost` also covers the loopback addresses themselves, which is what people mean by it.
//!
//! A list is immutable. Learned addresses and reloads make a new one, and whoever holds the policy swaps it as a
//! whole.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::index::{Index, Match, Networks, Side};
use crate::{
    Address, BlockedNetwork, EntriesError, Entry, EntryError, HostPattern, Limit, Name, Protocol, Reason,
    RuntimeLimits, Transport, entries,
};

/// The operator's deny list. By default it denies nothing.
#[derive(Clone, Debug, Default)]
pub struct DenyList {
    compiled: Arc<Compiled>,
    learned: LearnedAddresses,
}

#[derive(Debug, Default)]
struct Compiled {
    index: Index,
    blocked: Vec<BlockedNetwork>,
    /// The place in `blocked` where each network is written first.
    blocked_at: Networks<usize>,
}

/// The addresses that denied names resolved to, last time they were asked (DL-5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedAddresses(HashMap<Address, Vec<Name>>);

/// A refusal by the deny list.
#[derive(Clone, Debug)]
pub(crate) struct DenyMatch<'p> {
    pub(crate) reason: Reason,
    pub(crate) by: DeniedBy<'p>,
    /// The denied name, where the destination was reached by another spelling of it.
    pub(crate) name: Option<Name>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum DeniedBy<'p> {
    Entry(&'p Entry),
    Blocked(&'p BlockedNetwork),
}

impl LearnedAddresses {
    /// Notes that `name` has just these addresses.
    pub fn insert(&mut self, name: &Name, addresses: impl IntoIterator<Item = Address>) {
        self.remove(name);
        for address in addresses {
            let names = self.0.entry(address).or_default();
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }

    fn remove(&mut self, name: &Name) {
        self.0.retain(|_, names| {
            names.retain(|own| own != name);
            !names.is_empty()
        });
    }

    /// Each address with each of its names, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Address, &Name)> {
        let names = self.0.iter();
        names.flat_map(|(address, names)| names.iter().map(move |name| (*address, name)))
    }

    fn names_of(&self, address: Address) -> impl Iterator<Item = &Name> {
        self.0.get(&address).into_iter().flatten()
    }
}

impl DenyList {
    /// Reads and compiles entries that code has, such as `*://*.internal.example.com:*`, without blocked networks.
    /// Templates such as `{{ host }}` are of `spin.toml`, whose reader fills them in: here they are no entries.
    ///
    /// # Errors
    ///
    /// All entries that cannot be read, each with what is wrong and what to write instead. There is no list then: one with
    /// entries left out would let through what was to be denied.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, EntriesError> {
        let entries = entries::read(texts, EntryError::in_a_deny_list)?;
        Ok(Self::compile(entries, Vec::new()))
    }

    /// Compiles entries and blocked networks.
    pub fn compile(entries: Vec<Entry>, blocked: Vec<BlockedNetwork>) -> Self {
        let networks = blocked.iter().map(BlockedNetwork::networks);
        let compiled = Compiled {
            index: Index::compile(entries, loopback_of_localhost),
            blocked_at: Networks::compile(
                (0..)
                    .zip(networks)
                    .flat_map(|(at, all)| all.into_iter().map(move |net| (net, at))),
            ),
            blocked,
        };
        Self {
            compiled: Arc::new(compiled),
            learned: LearnedAddresses::default(),
        }
    }

    /// The same list with what its names resolve to now. Cheap: the compiled entries are shared.
    #[must_use]
    pub fn with_learned(&self, learned: LearnedAddresses) -> Self {
        Self {
            compiled: Arc::clone(&self.compiled),
            learned,
        }
    }

    /// The entries in the order in which they were written.
    pub fn entries(&self) -> &[Entry] {
        self.compiled.index.entries()
    }

    /// The blocked networks in the order in which they were written.
    pub fn blocked_networks(&self) -> &[BlockedNetwork] {
        &self.compiled.blocked
    }

    /// The addresses that were learned of the names.
    pub fn learned(&self) -> &LearnedAddresses {
        &self.learned
    }

    /// The names to resolve, so that their addresses can be denied (DL-5). `localhost` is not among them:
    /// its addresses are known. Wildcards cannot be resolved.
    pub fn exact_names(&self) -> Vec<Name> {
        let hosts = self.entries().iter().flat_map(Entry::hosts);
        let mut names: Vec<Name> = hosts
            .filter_map(|host| match host {
                HostPattern::Name(name) if !name.is_localhost() => Some(name.clone()),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(crate) fn refuses_address(
        &self,
        address: Address,
        protocol: Protocol<'_>,
        port: u16,
    ) -> Option<DenyMatch<'_>> {
        if self.is_empty() {
            return None;
        }
        if let Some(blocked) = self.blocked(address) {
            return Some(DenyMatch {
                reason: Reason::DenyNetwork,
                by: DeniedBy::Blocked(blocked),
                name: None,
            });
        }
        address.readings().find_map(|reading| {
            let index = &self.compiled.index;
            if let Some(found) = index.at(reading).find(Side::Deny, protocol, port) {
                let reason = match found.by {
                    Match::Network if !names_localhost(found.entry) => Reason::DenyNetwork,
                    _ => Reason::DenyHost,
                };
                return Some(DenyMatch {
                    reason,
                    by: DeniedBy::Entry(found.entry),
                    name: None,
                });
            }
            // The name is looked for once more: what was learned outlives the list that it was learned for, until the
            // next refresh.
            self.learned.names_of(reading).find_map(|name| {
                let by = DeniedBy::Entry(index.find_name(name, Side::Deny, protocol, port)?);
                Some(DenyMatch {
                    reason: Reason::DenyNameAddress,
                    by,
                    name: Some(name.clone()),
                })
            })
        })
    }

    /// Refuses a name, or one of the names that its answer led through (DL-4).
    pub(crate) fn refuses_name(
        &self,
        name: &Name,
        chain: &[Name],
        protocol: Protocol<'_>,
        port: u16,
    ) -> Option<DenyMatch<'_>> {
        if self.compiled.index.is_empty() {
            return None;
        }
        let index = &self.compiled.index;
        let find = |name: &Name| {
            if protocol.reaches_the_app(name) {
                index.find_self(Side::Deny)
            } else if protocol.reaches_a_component(name) {
                index.denies_component(name, protocol, port)
            } else {
                index.find_name(name, Side::Deny, protocol, port)
            }
        };
        if let Some(entry) = find(name) {
            return Some(DenyMatch {
                reason: Reason::DenyHost,
                by: DeniedBy::Entry(entry),
                name: None,
            });
        }
        chain.iter().find_map(|alias| {
            let by = DeniedBy::Entry(find(alias)?);
            Some(DenyMatch {
                reason: Reason::DenyCname,
                by,
                name: Some(alias.clone()),
            })
        })
    }

    /// Refuses a name that nobody can read, as the list names hosts by name for that port (TLS-1).
    pub(crate) fn refuses_unread_name(&self, protocol: Protocol<'_>, port: u16) -> Option<DenyMatch<'_>> {
        let by = DeniedBy::Entry(self.compiled.index.denies_some_name(protocol, port)?);
        let reason = Reason::DenyTlsName;
        Some(DenyMatch {
            reason,
            by,
            name: None,
        })
    }

    /// Refuses a name of which no port is left for a socket (DL-3, DL-4).
    pub(crate) fn refuses_whole_name(
        &self,
        name: &Name,
        chain: &[Name],
        limits: &RuntimeLimits,
    ) -> Option<DenyMatch<'_>> {
        let index = &self.compiled.index;
        let reach = |transport, port| {
            let protocol = Protocol::Socket(transport);
            let names = std::iter::once(name).chain(chain);
            names
                .filter_map(|name| index.reach_of_name(name, Side::Deny, protocol, port))
                .max()
        };
        if !covers_sockets(reach, limits) {
            return None;
        }
        // All ports are denied, so any of them finds the entry.
        self.refuses_name(name, chain, Protocol::Socket(Transport::Tcp), 1)
    }

    /// Refuses an address of which no port is left for a socket (DNS-9).
    pub(crate) fn refuses_whole_address(
        &self,
        address: Address,
        limits: &RuntimeLimits,
    ) -> Option<DenyMatch<'_>> {
        let index = &self.compiled.index;
        let reach = |transport, port| {
            let protocol = Protocol::Socket(transport);
            let learned = |reading| {
                let names = self.learned.names_of(reading);
                names
                    .filter_map(|name| index.reach_of_name(name, Side::Deny, protocol, port))
                    .max()
            };
            let itself = |reading| index.reach_of_address(reading, Side::Deny, protocol, port);
            address
                .readings()
                .filter_map(|reading| itself(reading).max(learned(reading)))
                .max()
        };
        if self.blocked(address).is_none() && !covers_sockets(reach, limits) {
            return None;
        }
        // As for a name, any port finds what denies it.
        self.refuses_address(address, Protocol::Socket(Transport::Tcp), 1)
    }

    /// The blocked network, of those that hold some reading of the address the one that is written first.
    fn blocked(&self, address: Address) -> Option<&BlockedNetwork> {
        address
            .readings()
            .flat_map(|reading| self.compiled.blocked_at.holding(reading))
            .min()
            .map(|at| &self.compiled.blocked[*at])
    }

    /// True if it denies nothing. What was learned is nobody's without an entry.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.compiled.index.is_empty() && self.compiled.blocked.is_empty()
    }
}

/// True if no port is left to a socket: none over TCP, and none over UDP unless that is shut anyway. `reach` says up
/// to which port all are denied, from some port on.
fn covers_sockets(reach: impl Fn(Transport, u16) -> Option<u16>, limits: &RuntimeLimits) -> bool {
    let covers = |transport| {
        let mut port = 1;
        // From the end of one range to the next, rather than port by port.
        while let Some(last) = reach(transport, port) {
            match last.checked_add(1) {
                Some(next) => port = next,
                None => return true,
            }
        }
        false
    };
    covers(Transport::Tcp) && (limits.udp == Limit::Holds || covers(Transport::Udp))
}

/// The loopback networks that an entry for `localhost` denies (DL-8), with what counts as loopback for judging (HL-6).
pub(crate) fn loopback_of_localhost(host: &HostPattern) -> Vec<HostPattern> {
    if !is_localhost(host) {
        return Vec::new();
    }
    let network = |ip: Ipv4Addr| IpNet::new_assert(ip.into(), 8);
    vec![
        HostPattern::Network(network(Ipv4Addr::new(127, 0, 0, 0))),
        HostPattern::Network(network(Ipv4Addr::UNSPECIFIED)),
        HostPattern::Address(Address::new(Ipv6Addr::LOCALHOST.into())),
        HostPattern::Address(Address::new(Ipv6Addr::UNSPECIFIED.into())),
    ]
}

fn is_localhost(host: &HostPattern) -> bool {
    matches!(host, HostPattern::Name(name) | HostPattern::Subdomains(name) if name.as_str() == "localhost")
}

fn names_localhost(entry: &Entry) -> bool {
    entry.hosts().iter().any(is_localhost)
}
